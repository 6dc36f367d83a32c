/* SPDX-License-Identifier: GPL-2.0 */
/* A network device which carries nothing and remembers every setting: what is told is read back. */
#ifndef TWNIC_H
#define TWNIC_H

#include <linux/dcbnl.h>
#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/workqueue.h>

#define TWNIC_QUEUES		8
#define TWNIC_RINGS_MIN		64
#define TWNIC_RINGS_MAX		4096
#define TWNIC_RINGS_STEP	32
#define TWNIC_USECS_MAX		8160
#define TWNIC_FRAMES_MAX	1024
#define TWNIC_RSS_SIZE		128
#define TWNIC_RSS_KEY		40
#define TWNIC_RULES		64
#define TWNIC_BUFFER_TOTAL	262144

#define TWNIC_FLAG_FW_LLDP	BIT(0)
#define TWNIC_FLAG_KEEP		BIT(1)

/* All of it is under the RTNL lock. */
struct twnic {
	struct net_device *dev;
	struct delayed_work link_up;

	/* ethtool */
	u32 rx_ring;
	u32 tx_ring;
	u32 channels;
	struct ethtool_coalesce coalesce;
	bool rx_pause;
	bool tx_pause;
	u32 speed;
	u32 flags;
	u32 rss_table[TWNIC_RSS_SIZE];
	u8 rss_key[TWNIC_RSS_KEY];
	struct ethtool_rx_flow_spec rules[TWNIC_RULES];
	DECLARE_BITMAP(rules_used, TWNIC_RULES);

	/* DCB */
	u8 dcbx;
	struct ieee_ets ets;
	struct ieee_pfc pfc;
	struct ieee_maxrate maxrate;
	struct dcbnl_buffer buffer;
	u8 trust[IEEE_8021QAZ_APP_SEL_MAX + 1];
	int trusted;
};

/* Take the link down and bring it back a moment later, as a change of the port's hardware does. */
void twnic_bounce(struct twnic *nic);

/* Close and open the device as far as its queues go: the link bounces, and coalescing is forgotten. */
void twnic_reopen(struct twnic *nic);

void twnic_init_ethtool(struct twnic *nic);
void twnic_default_coalesce(struct twnic *nic);
void twnic_forget_rules(struct twnic *nic);
extern const struct ethtool_ops twnic_ethtool_ops;
extern const struct ethtool_ops twnic_plain_ethtool_ops;

void twnic_init_dcb(struct twnic *nic);
extern const struct dcbnl_rtnl_ops twnic_dcbnl_ops;

#endif
