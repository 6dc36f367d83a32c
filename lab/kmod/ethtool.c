// SPDX-License-Identifier: GPL-2.0
/* What ethtool sets: rings, coalescing, channels, pause, link, RSS, flow rules. */
#include "twnic.h"

static const char twnic_flag_names[][ETH_GSTRING_LEN] = {
	"fw-lldp-agent",
	"keep-coalesce",
};

static void twnic_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	strscpy(info->driver, "twnic", sizeof(info->driver));
	strscpy(info->fw_version, "1.0.0", sizeof(info->fw_version));
	strscpy(info->bus_info, netdev_name(dev), sizeof(info->bus_info));
}

static int twnic_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *set)
{
	struct twnic *nic = netdev_priv(dev);

	ethtool_link_ksettings_zero_link_mode(set, supported);
	ethtool_link_ksettings_add_link_mode(set, supported, FIBRE);
	ethtool_link_ksettings_add_link_mode(set, supported, Pause);
	ethtool_link_ksettings_add_link_mode(set, supported, 10000baseSR_Full);
	ethtool_link_ksettings_add_link_mode(set, supported, 25000baseSR_Full);
	set->base.port = PORT_FIBRE;
	set->base.duplex = DUPLEX_FULL;
	set->base.autoneg = AUTONEG_DISABLE;
	set->base.speed = netif_carrier_ok(dev) ? nic->speed : SPEED_UNKNOWN;
	return 0;
}

static int twnic_set_link_ksettings(struct net_device *dev, const struct ethtool_link_ksettings *set)
{
	struct twnic *nic = netdev_priv(dev);

	if (set->base.autoneg != AUTONEG_DISABLE || set->base.duplex != DUPLEX_FULL)
		return -EINVAL;
	if (set->base.speed != SPEED_10000 && set->base.speed != SPEED_25000)
		return -EINVAL;
	if (set->base.speed != nic->speed) {
		nic->speed = set->base.speed;
		twnic_bounce(nic);
	}
	return 0;
}

static void twnic_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
				struct kernel_ethtool_ringparam *kernel_ring, struct netlink_ext_ack *extack)
{
	struct twnic *nic = netdev_priv(dev);

	ring->rx_max_pending = TWNIC_RINGS_MAX;
	ring->tx_max_pending = TWNIC_RINGS_MAX;
	ring->rx_pending = nic->rx_ring;
	ring->tx_pending = nic->tx_ring;
}

static int twnic_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kernel_ring, struct netlink_ext_ack *extack)
{
	struct twnic *nic = netdev_priv(dev);
	u32 rx = ALIGN(ring->rx_pending, TWNIC_RINGS_STEP);
	u32 tx = ALIGN(ring->tx_pending, TWNIC_RINGS_STEP);

	if (ring->rx_mini_pending || ring->rx_jumbo_pending)
		return -EINVAL;
	if (rx < TWNIC_RINGS_MIN || rx > TWNIC_RINGS_MAX || tx < TWNIC_RINGS_MIN || tx > TWNIC_RINGS_MAX) {
		NL_SET_ERR_MSG(extack, "ring sizes are 64 to 4096");
		return -EINVAL;
	}
	if (rx == nic->rx_ring && tx == nic->tx_ring)
		return 0;
	nic->rx_ring = rx;
	nic->tx_ring = tx;
	twnic_reopen(nic);
	return 0;
}

void twnic_default_coalesce(struct twnic *nic)
{
	memset(&nic->coalesce, 0, sizeof(nic->coalesce));
	nic->coalesce.use_adaptive_rx_coalesce = 1;
	nic->coalesce.use_adaptive_tx_coalesce = 1;
	nic->coalesce.rx_coalesce_usecs = 50;
	nic->coalesce.tx_coalesce_usecs = 50;
	nic->coalesce.rx_max_coalesced_frames = 64;
	nic->coalesce.tx_max_coalesced_frames = 64;
}

static int twnic_get_coalesce(struct net_device *dev, struct ethtool_coalesce *ec,
			      struct kernel_ethtool_coalesce *kernel_ec, struct netlink_ext_ack *extack)
{
	struct twnic *nic = netdev_priv(dev);
	u32 cmd = ec->cmd;

	*ec = nic->coalesce;
	ec->cmd = cmd;
	return 0;
}

static int twnic_set_coalesce(struct net_device *dev, struct ethtool_coalesce *ec,
			      struct kernel_ethtool_coalesce *kernel_ec, struct netlink_ext_ack *extack)
{
	struct twnic *nic = netdev_priv(dev);

	if (ec->rx_coalesce_usecs > TWNIC_USECS_MAX || ec->tx_coalesce_usecs > TWNIC_USECS_MAX ||
	    ec->rx_max_coalesced_frames > TWNIC_FRAMES_MAX || ec->tx_max_coalesced_frames > TWNIC_FRAMES_MAX) {
		NL_SET_ERR_MSG(extack, "at most 8160 microseconds and 1024 frames");
		return -EINVAL;
	}
	if ((ec->use_adaptive_rx_coalesce && ec->rx_coalesce_usecs != nic->coalesce.rx_coalesce_usecs) ||
	    (ec->use_adaptive_tx_coalesce && ec->tx_coalesce_usecs != nic->coalesce.tx_coalesce_usecs)) {
		NL_SET_ERR_MSG(extack, "microseconds cannot be changed while adaptive coalescing is on");
		return -EINVAL;
	}
	nic->coalesce = *ec;
	return 0;
}

static void twnic_default_rss(struct twnic *nic)
{
	u32 i;

	for (i = 0; i < TWNIC_RSS_SIZE; i++)
		nic->rss_table[i] = ethtool_rxfh_indir_default(i, nic->channels);
}

static void twnic_get_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	struct twnic *nic = netdev_priv(dev);

	ch->max_combined = TWNIC_QUEUES;
	ch->combined_count = nic->channels;
	ch->max_other = 1;
	ch->other_count = 1;
}

static int twnic_set_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	struct twnic *nic = netdev_priv(dev);
	unsigned int rule;
	int err;

	if (!ch->combined_count || ch->combined_count > TWNIC_QUEUES || ch->other_count != 1)
		return -EINVAL;
	if (ch->combined_count == nic->channels)
		return 0;
	for_each_set_bit(rule, nic->rules_used, TWNIC_RULES)
		if (nic->rules[rule].ring_cookie != RX_CLS_FLOW_DISC &&
		    nic->rules[rule].ring_cookie >= ch->combined_count)
			return -EINVAL;
	err = netif_set_real_num_queues(dev, ch->combined_count, ch->combined_count);
	if (err)
		return err;
	nic->channels = ch->combined_count;
	if (!netif_is_rxfh_configured(dev))
		twnic_default_rss(nic);
	twnic_reopen(nic);
	return 0;
}

static void twnic_get_pauseparam(struct net_device *dev, struct ethtool_pauseparam *pause)
{
	struct twnic *nic = netdev_priv(dev);

	pause->autoneg = 0;
	pause->rx_pause = nic->rx_pause;
	pause->tx_pause = nic->tx_pause;
}

static int twnic_set_pauseparam(struct net_device *dev, struct ethtool_pauseparam *pause)
{
	struct twnic *nic = netdev_priv(dev);

	if (pause->autoneg)
		return -EINVAL;
	if (nic->pfc.pfc_en && (pause->rx_pause || pause->tx_pause))
		return -EOPNOTSUPP;
	if (nic->rx_pause == !!pause->rx_pause && nic->tx_pause == !!pause->tx_pause)
		return 0;
	nic->rx_pause = pause->rx_pause;
	nic->tx_pause = pause->tx_pause;
	twnic_bounce(nic);
	return 0;
}

static u32 twnic_get_rxfh_indir_size(struct net_device *dev)
{
	return TWNIC_RSS_SIZE;
}

static u32 twnic_get_rxfh_key_size(struct net_device *dev)
{
	return TWNIC_RSS_KEY;
}

static int twnic_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	struct twnic *nic = netdev_priv(dev);

	rxfh->hfunc = ETH_RSS_HASH_TOP;
	if (rxfh->indir)
		memcpy(rxfh->indir, nic->rss_table, sizeof(nic->rss_table));
	if (rxfh->key)
		memcpy(rxfh->key, nic->rss_key, sizeof(nic->rss_key));
	return 0;
}

static int twnic_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh, struct netlink_ext_ack *extack)
{
	struct twnic *nic = netdev_priv(dev);

	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE && rxfh->hfunc != ETH_RSS_HASH_TOP)
		return -EOPNOTSUPP;
	if (rxfh->indir)
		memcpy(nic->rss_table, rxfh->indir, sizeof(nic->rss_table));
	if (rxfh->key)
		memcpy(nic->rss_key, rxfh->key, sizeof(nic->rss_key));
	return 0;
}

void twnic_forget_rules(struct twnic *nic)
{
	bitmap_zero(nic->rules_used, TWNIC_RULES);
}

static int twnic_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info, u32 *locations)
{
	struct twnic *nic = netdev_priv(dev);
	unsigned int rule, count = 0;

	switch (info->cmd) {
	case ETHTOOL_GRXRINGS:
		info->data = nic->channels;
		return 0;
	case ETHTOOL_GRXCLSRLCNT:
		info->rule_cnt = bitmap_weight(nic->rules_used, TWNIC_RULES);
		info->data = TWNIC_RULES;
		return 0;
	case ETHTOOL_GRXCLSRULE:
		if (info->fs.location >= TWNIC_RULES || !test_bit(info->fs.location, nic->rules_used))
			return -ENOENT;
		info->fs = nic->rules[info->fs.location];
		return 0;
	case ETHTOOL_GRXCLSRLALL:
		for_each_set_bit(rule, nic->rules_used, TWNIC_RULES) {
			if (count == info->rule_cnt)
				return -EMSGSIZE;
			locations[count++] = rule;
		}
		info->rule_cnt = count;
		info->data = TWNIC_RULES;
		return 0;
	}
	return -EOPNOTSUPP;
}

static int twnic_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *info)
{
	struct twnic *nic = netdev_priv(dev);
	const struct ethtool_rx_flow_spec *fs = &info->fs;

	if (fs->location >= TWNIC_RULES)
		return -EINVAL;
	if (info->cmd == ETHTOOL_SRXCLSRLDEL)
		return __test_and_clear_bit(fs->location, nic->rules_used) ? 0 : -ENOENT;
	if (info->cmd != ETHTOOL_SRXCLSRLINS || !(dev->features & NETIF_F_NTUPLE))
		return -EOPNOTSUPP;
	switch (fs->flow_type & ~(FLOW_EXT | FLOW_MAC_EXT)) {
	case TCP_V4_FLOW:
	case UDP_V4_FLOW:
	case TCP_V6_FLOW:
	case UDP_V6_FLOW:
	case ETHER_FLOW:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (fs->ring_cookie != RX_CLS_FLOW_DISC && fs->ring_cookie >= nic->channels)
		return -EINVAL;
	nic->rules[fs->location] = *fs;
	__set_bit(fs->location, nic->rules_used);
	return 0;
}

static int twnic_get_sset_count(struct net_device *dev, int set)
{
	return set == ETH_SS_PRIV_FLAGS ? ARRAY_SIZE(twnic_flag_names) : -EOPNOTSUPP;
}

static void twnic_get_strings(struct net_device *dev, u32 set, u8 *data)
{
	if (set == ETH_SS_PRIV_FLAGS)
		memcpy(data, twnic_flag_names, sizeof(twnic_flag_names));
}

static u32 twnic_get_priv_flags(struct net_device *dev)
{
	struct twnic *nic = netdev_priv(dev);

	return nic->flags;
}

static int twnic_set_priv_flags(struct net_device *dev, u32 flags)
{
	struct twnic *nic = netdev_priv(dev);

	/* The agent in the firmware takes DCB over, and gives it back. */
	if ((flags ^ nic->flags) & TWNIC_FLAG_FW_LLDP)
		nic->dcbx = DCB_CAP_DCBX_VER_IEEE |
			    (flags & TWNIC_FLAG_FW_LLDP ? DCB_CAP_DCBX_LLD_MANAGED : DCB_CAP_DCBX_HOST);
	nic->flags = flags;
	return 0;
}

void twnic_init_ethtool(struct twnic *nic)
{
	nic->rx_ring = 512;
	nic->tx_ring = 512;
	nic->channels = TWNIC_QUEUES;
	nic->speed = SPEED_25000;
	nic->rx_pause = true;
	nic->tx_pause = true;
	twnic_default_coalesce(nic);
	twnic_default_rss(nic);
	netdev_rss_key_fill(nic->rss_key, sizeof(nic->rss_key));
}

const struct ethtool_ops twnic_ethtool_ops = {
	.supported_coalesce_params = ETHTOOL_COALESCE_USECS | ETHTOOL_COALESCE_MAX_FRAMES |
				     ETHTOOL_COALESCE_USE_ADAPTIVE,
	.get_drvinfo		= twnic_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= twnic_get_link_ksettings,
	.set_link_ksettings	= twnic_set_link_ksettings,
	.get_ringparam		= twnic_get_ringparam,
	.set_ringparam		= twnic_set_ringparam,
	.get_coalesce		= twnic_get_coalesce,
	.set_coalesce		= twnic_set_coalesce,
	.get_channels		= twnic_get_channels,
	.set_channels		= twnic_set_channels,
	.get_pauseparam		= twnic_get_pauseparam,
	.set_pauseparam		= twnic_set_pauseparam,
	.get_rxfh_indir_size	= twnic_get_rxfh_indir_size,
	.get_rxfh_key_size	= twnic_get_rxfh_key_size,
	.get_rxfh		= twnic_get_rxfh,
	.set_rxfh		= twnic_set_rxfh,
	.get_rxnfc		= twnic_get_rxnfc,
	.set_rxnfc		= twnic_set_rxnfc,
	.get_sset_count		= twnic_get_sset_count,
	.get_strings		= twnic_get_strings,
	.get_priv_flags		= twnic_get_priv_flags,
	.set_priv_flags		= twnic_set_priv_flags,
};

const struct ethtool_ops twnic_plain_ethtool_ops = {
	.get_drvinfo		= twnic_get_drvinfo,
	.get_link		= ethtool_op_get_link,
};
