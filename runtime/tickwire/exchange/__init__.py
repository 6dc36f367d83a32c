# SPDX-License-Identifier: Apache-2.0
"""The exchange simulator: market data out over MoldUDP64, orders in over SoupBinTCP and OUCH 5.0 or 4.2.

The feed is sent by C in a thread of its own (`feed`); everything else is one loop over sockets in the main thread
(`server`): SoupBinTCP sessions (`soupbin`), order entry (`ouch`, `dialects`), matching (`matching`, `resting`) against
books that follow the feed (`follow`), re-requests (`rerequest`), the drop copy (`dropcopy`) and the control port
(`control`, `replays`). A device under test is timed by `dut`, with the stamps of `timing` and `arrivals`.
docs/exchange.md has the rules.
"""
