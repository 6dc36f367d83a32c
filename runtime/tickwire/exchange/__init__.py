# SPDX-License-Identifier: Apache-2.0
"""The exchange simulator: market data out over MoldUDP64, orders in over SoupBinTCP and OUCH 5.0.

The feed is sent by C in a thread of its own (`feed`); everything else is one loop over sockets in the main thread
(`server`), with SoupBinTCP sessions (`soupbin`), order entry (`ouch`) and the control port (`control`).
"""
