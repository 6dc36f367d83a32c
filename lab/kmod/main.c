// SPDX-License-Identifier: GPL-2.0
/*
 * Test network devices for settings: they carry no packet, but ethtool and dcb find a driver behind them that takes,
 * refuses and remembers what drivers of real cards do. twx0, twx1, ... support everything, twp0, ... support nothing.
 */
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>

#include "twnic.h"

#define TWNIC_LIMIT 8

static unsigned int nics = 2;
module_param(nics, uint, 0444);
MODULE_PARM_DESC(nics, "number of devices twxN which support everything");

static unsigned int plain = 1;
module_param(plain, uint, 0444);
MODULE_PARM_DESC(plain, "number of devices twpN which support nothing");

static unsigned int link_ms = 100;
module_param(link_ms, uint, 0644);
MODULE_PARM_DESC(link_ms, "milliseconds without a link when it bounces");

static struct net_device *devices[2 * TWNIC_LIMIT];
static unsigned int device_count;

static void twnic_link_up(struct work_struct *work)
{
	struct twnic *nic = container_of(to_delayed_work(work), struct twnic, link_up);

	netif_carrier_on(nic->dev);
}

void twnic_bounce(struct twnic *nic)
{
	if (!netif_running(nic->dev))
		return;
	netif_carrier_off(nic->dev);
	mod_delayed_work(system_wq, &nic->link_up, msecs_to_jiffies(link_ms));
}

void twnic_reopen(struct twnic *nic)
{
	if (!(nic->flags & TWNIC_FLAG_KEEP))
		twnic_default_coalesce(nic);
	twnic_bounce(nic);
}

static int twnic_open(struct net_device *dev)
{
	struct twnic *nic = netdev_priv(dev);

	if (!(nic->flags & TWNIC_FLAG_KEEP))
		twnic_default_coalesce(nic);
	netif_tx_start_all_queues(dev);
	mod_delayed_work(system_wq, &nic->link_up, msecs_to_jiffies(link_ms));
	return 0;
}

static int twnic_stop(struct net_device *dev)
{
	struct twnic *nic = netdev_priv(dev);

	cancel_delayed_work_sync(&nic->link_up);
	netif_tx_stop_all_queues(dev);
	netif_carrier_off(dev);
	return 0;
}

static netdev_tx_t twnic_xmit(struct sk_buff *skb, struct net_device *dev)
{
	dev_core_stats_tx_dropped_inc(dev);
	dev_kfree_skb_any(skb);
	return NETDEV_TX_OK;
}

static int twnic_change_mtu(struct net_device *dev, int mtu)
{
	WRITE_ONCE(dev->mtu, mtu);
	twnic_reopen(netdev_priv(dev));
	return 0;
}

static int twnic_set_features(struct net_device *dev, netdev_features_t features)
{
	if (!(features & NETIF_F_NTUPLE))
		twnic_forget_rules(netdev_priv(dev));
	return 0;
}

static const struct net_device_ops twnic_netdev_ops = {
	.ndo_open		= twnic_open,
	.ndo_stop		= twnic_stop,
	.ndo_start_xmit		= twnic_xmit,
	.ndo_change_mtu		= twnic_change_mtu,
	.ndo_set_features	= twnic_set_features,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};

static const struct net_device_ops twnic_plain_netdev_ops = {
	.ndo_open		= twnic_open,
	.ndo_stop		= twnic_stop,
	.ndo_start_xmit		= twnic_xmit,
	.ndo_validate_addr	= eth_validate_addr,
};

static const struct device_type twnic_type = {
	.name = "twnic",
};

static void twnic_setup(struct net_device *dev)
{
	ether_setup(dev);
	SET_NETDEV_DEVTYPE(dev, &twnic_type);
	dev->needs_free_netdev = true;
	dev->min_mtu = ETH_MIN_MTU;
	eth_hw_addr_random(dev);
}

static void twnic_setup_full(struct net_device *dev)
{
	twnic_setup(dev);
	dev->max_mtu = 9978;
	dev->netdev_ops = &twnic_netdev_ops;
	dev->ethtool_ops = &twnic_ethtool_ops;
	dev->dcbnl_ops = &twnic_dcbnl_ops;
	dev->hw_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_RXCSUM | NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_LRO |
			   NETIF_F_NTUPLE | NETIF_F_RXHASH | NETIF_F_HW_VLAN_CTAG_RX | NETIF_F_HW_VLAN_CTAG_TX;
	dev->features = dev->hw_features & ~NETIF_F_NTUPLE;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
}

static void twnic_setup_plain(struct net_device *dev)
{
	twnic_setup(dev);
	dev->max_mtu = ETH_DATA_LEN;
	dev->netdev_ops = &twnic_plain_netdev_ops;
	dev->ethtool_ops = &twnic_plain_ethtool_ops;
}

static int twnic_add(const char *name, void (*setup)(struct net_device *))
{
	struct net_device *dev;
	struct twnic *nic;
	int err;

	dev = alloc_netdev_mqs(sizeof(*nic), name, NET_NAME_ENUM, setup, TWNIC_QUEUES, TWNIC_QUEUES);
	if (!dev)
		return -ENOMEM;
	nic = netdev_priv(dev);
	nic->dev = dev;
	INIT_DELAYED_WORK(&nic->link_up, twnic_link_up);
	twnic_init_ethtool(nic);
	twnic_init_dcb(nic);
	netif_carrier_off(dev);
	err = register_netdev(dev);
	if (err) {
		free_netdev(dev);
		return err;
	}
	devices[device_count++] = dev;
	return 0;
}

static void twnic_remove_all(void)
{
	while (device_count)
		unregister_netdev(devices[--device_count]);
}

static int __init twnic_init(void)
{
	unsigned int i;
	int err = 0;

	if (nics > TWNIC_LIMIT || plain > TWNIC_LIMIT)
		return -EINVAL;
	for (i = 0; i < nics && !err; i++)
		err = twnic_add("twx%d", twnic_setup_full);
	for (i = 0; i < plain && !err; i++)
		err = twnic_add("twp%d", twnic_setup_plain);
	if (err)
		twnic_remove_all();
	return err;
}

static void __exit twnic_exit(void)
{
	twnic_remove_all();
}

module_init(twnic_init);
module_exit(twnic_exit);
MODULE_DESCRIPTION("Test network devices which remember their settings");
MODULE_LICENSE("GPL");
