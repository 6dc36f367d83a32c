// SPDX-License-Identifier: GPL-2.0
/* What dcb sets: PFC, ETS, the map of DSCP, buffers, rates, who rules (DCBX) and what is trusted. */
#include "twnic.h"

/* While firmware has DCB, or only the old protocol is spoken, the host may not set anything. */
static bool twnic_host_rules(const struct twnic *nic)
{
	return (nic->dcbx & DCB_CAP_DCBX_HOST) && (nic->dcbx & DCB_CAP_DCBX_VER_IEEE);
}

static int twnic_getets(struct net_device *dev, struct ieee_ets *ets)
{
	struct twnic *nic = netdev_priv(dev);

	*ets = nic->ets;
	return 0;
}

static int twnic_setets(struct net_device *dev, struct ieee_ets *ets)
{
	struct twnic *nic = netdev_priv(dev);
	unsigned int i, sum = 0;
	bool shares = false;

	if (!twnic_host_rules(nic))
		return -EINVAL;
	for (i = 0; i < IEEE_8021QAZ_MAX_TCS; i++) {
		if (ets->prio_tc[i] >= IEEE_8021QAZ_MAX_TCS)
			return -EINVAL;
		switch (ets->tc_tsa[i]) {
		case IEEE_8021QAZ_TSA_STRICT:
			break;
		case IEEE_8021QAZ_TSA_ETS:
			shares = true;
			sum += ets->tc_tx_bw[i];
			break;
		default:
			return -EOPNOTSUPP;
		}
	}
	if (shares && sum != 100)
		return -EINVAL;
	nic->ets = *ets;
	nic->ets.ets_cap = IEEE_8021QAZ_MAX_TCS;
	return 0;
}

static int twnic_getpfc(struct net_device *dev, struct ieee_pfc *pfc)
{
	struct twnic *nic = netdev_priv(dev);

	*pfc = nic->pfc;
	return 0;
}

static int twnic_setpfc(struct net_device *dev, struct ieee_pfc *pfc)
{
	struct twnic *nic = netdev_priv(dev);
	u8 before = nic->pfc.pfc_en;

	if (!twnic_host_rules(nic))
		return -EINVAL;
	if (pfc->pfc_en && (nic->rx_pause || nic->tx_pause))
		return -EINVAL;
	nic->pfc.pfc_en = pfc->pfc_en;
	nic->pfc.mbc = pfc->mbc;
	nic->pfc.delay = pfc->delay;
	if (before != pfc->pfc_en)
		twnic_bounce(nic);
	return 0;
}

static int twnic_getmaxrate(struct net_device *dev, struct ieee_maxrate *maxrate)
{
	struct twnic *nic = netdev_priv(dev);

	*maxrate = nic->maxrate;
	return 0;
}

static int twnic_setmaxrate(struct net_device *dev, struct ieee_maxrate *maxrate)
{
	struct twnic *nic = netdev_priv(dev);

	nic->maxrate = *maxrate;
	return 0;
}

/* A DSCP has one priority, and nothing but DSCPs is mapped. */
static int twnic_setapp(struct net_device *dev, struct dcb_app *app)
{
	struct twnic *nic = netdev_priv(dev);
	struct dcb_app old = *app;
	u8 others;

	if (!twnic_host_rules(nic))
		return -EINVAL;
	if (app->selector != IEEE_8021QAZ_APP_SEL_DSCP || app->protocol >= 64 || app->priority > 7)
		return -EINVAL;
	others = dcb_ieee_getapp_mask(dev, app);
	for (old.priority = 0; old.priority < IEEE_8021QAZ_MAX_TCS; old.priority++)
		if (others & BIT(old.priority))
			dcb_ieee_delapp(dev, &old);
	return dcb_ieee_setapp(dev, app);
}

static int twnic_delapp(struct net_device *dev, struct dcb_app *app)
{
	if (!twnic_host_rules(netdev_priv(dev)))
		return -EINVAL;
	return dcb_ieee_delapp(dev, app);
}

static u8 twnic_getdcbx(struct net_device *dev)
{
	struct twnic *nic = netdev_priv(dev);

	return nic->dcbx;
}

/* Mode 0 gives DCB to the firmware. Returns 1 for a mode that is refused. */
static u8 twnic_setdcbx(struct net_device *dev, u8 mode)
{
	struct twnic *nic = netdev_priv(dev);

	if ((mode & DCB_CAP_DCBX_LLD_MANAGED) || (nic->flags & TWNIC_FLAG_FW_LLDP))
		return 1;
	if (mode && !(mode & DCB_CAP_DCBX_HOST))
		return 1;
	if (mode & DCB_CAP_DCBX_VER_CEE)
		return 1;
	nic->dcbx = mode ? mode : DCB_CAP_DCBX_VER_IEEE;
	return 0;
}

static int twnic_getbuffer(struct net_device *dev, struct dcbnl_buffer *buffer)
{
	struct twnic *nic = netdev_priv(dev);

	*buffer = nic->buffer;
	return 0;
}

static int twnic_setbuffer(struct net_device *dev, struct dcbnl_buffer *buffer)
{
	struct twnic *nic = netdev_priv(dev);
	u64 sum = 0;
	int i;

	for (i = 0; i < DCBX_MAX_BUFFERS; i++)
		sum += buffer->buffer_size[i];
	for (i = 0; i < IEEE_8021Q_MAX_PRIORITIES; i++)
		if (buffer->prio2buffer[i] >= DCBX_MAX_BUFFERS)
			return -EINVAL;
	if (sum > TWNIC_BUFFER_TOTAL)
		return -EINVAL;
	nic->buffer = *buffer;
	nic->buffer.total_size = TWNIC_BUFFER_TOTAL;
	return 0;
}

static int twnic_setapptrust(struct net_device *dev, u8 *selectors, int count)
{
	struct twnic *nic = netdev_priv(dev);
	int i;

	if (count > ARRAY_SIZE(nic->trust))
		return -EINVAL;
	for (i = 0; i < count; i++)
		if (selectors[i] != IEEE_8021QAZ_APP_SEL_DSCP && selectors[i] != DCB_APP_SEL_PCP)
			return -EOPNOTSUPP;
	memcpy(nic->trust, selectors, count);
	nic->trusted = count;
	return 0;
}

static int twnic_getapptrust(struct net_device *dev, u8 *selectors, int *count)
{
	struct twnic *nic = netdev_priv(dev);

	memcpy(selectors, nic->trust, nic->trusted);
	*count = nic->trusted;
	return 0;
}

void twnic_init_dcb(struct twnic *nic)
{
	int i;

	nic->dcbx = DCB_CAP_DCBX_HOST | DCB_CAP_DCBX_VER_IEEE;
	nic->ets.ets_cap = IEEE_8021QAZ_MAX_TCS;
	nic->pfc.pfc_cap = IEEE_8021QAZ_MAX_TCS;
	for (i = 0; i < IEEE_8021QAZ_MAX_TCS; i++) {
		nic->ets.tc_tsa[i] = IEEE_8021QAZ_TSA_STRICT;
		nic->ets.prio_tc[i] = i;
	}
	nic->buffer.total_size = TWNIC_BUFFER_TOTAL;
	nic->buffer.buffer_size[0] = TWNIC_BUFFER_TOTAL / 2;
	nic->trust[0] = DCB_APP_SEL_PCP;
	nic->trusted = 1;
}

const struct dcbnl_rtnl_ops twnic_dcbnl_ops = {
	.ieee_getets		= twnic_getets,
	.ieee_setets		= twnic_setets,
	.ieee_getpfc		= twnic_getpfc,
	.ieee_setpfc		= twnic_setpfc,
	.ieee_getmaxrate	= twnic_getmaxrate,
	.ieee_setmaxrate	= twnic_setmaxrate,
	.ieee_setapp		= twnic_setapp,
	.ieee_delapp		= twnic_delapp,
	.getdcbx		= twnic_getdcbx,
	.setdcbx		= twnic_setdcbx,
	.dcbnl_getbuffer	= twnic_getbuffer,
	.dcbnl_setbuffer	= twnic_setbuffer,
	.dcbnl_setapptrust	= twnic_setapptrust,
	.dcbnl_getapptrust	= twnic_getapptrust,
};
