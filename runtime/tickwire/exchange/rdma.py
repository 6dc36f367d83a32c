# SPDX-License-Identifier: Apache-2.0
"""The exchange's RDMA gateway, a thread beside its sockets: `_core.RdmaGateway` does the work in C without the GIL.

What the feed sends goes out as datagrams too, and each RDMA order connection becomes a TCP connection to the order
server. A gateway whose device goes away is made again every second until it is back; the sockets serve on meanwhile.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

from .. import _core
from ..errors import TickwireError

log = logging.getLogger("tickwire.exchange.rdma")

RETRY_S = 1.0
_WATCH_S = 0.5


class Gateway:
    """Opened at once, so that a wrong configuration ends the exchange's start; `start` and `stop` the threads."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self._stopping = threading.Event()
        try:
            self._gateway = self._open()
        except (OSError, ValueError) as error:
            raise TickwireError(_text(error)) from None
        self._thread = threading.Thread(target=self._run, name="tickwire-rdma")
        self._watcher = threading.Thread(target=self._watch, name="tickwire-rdma-watch")

    def _open(self) -> _core.RdmaGateway:
        rdma, feed, orders = self.config["rdma"], self.config["feed"], self.config["orders"]
        return _core.RdmaGateway(
            interface=rdma["interface"],
            port=rdma["port"],
            group=feed["group"],
            feed_port=feed["port"],
            feed_interface=feed["interface"],
            orders_host=orders["address"],
            orders_port=orders["port"],
            group_b=feed["group_b"],
            feed_port_b=feed["port_b"],
            feed_interface_b=feed["interface_b"],
            tos=rdma["tos"],
            multicast=rdma["multicast"],
            roce_version=rdma["roce_version"],
            gid_index=rdma["gid_index"],
            mtu=rdma["mtu"],
            priority=rdma["priority"],
            messages_per_packet=feed["messages_per_packet"],
        )

    def start(self) -> None:
        self._thread.start()
        self._watcher.start()
        rdma = self.config["rdma"]
        log.info("RDMA gateway on %s:%d", rdma["interface"], rdma["port"])

    def stop(self) -> None:
        """End both threads."""
        self._stopping.set()
        self._gateway.stop()
        for thread in (self._thread, self._watcher):
            if thread.is_alive():
                thread.join()

    def state(self) -> dict[str, Any]:
        """The device, counters, and how many subscribers and order connections there are."""
        return self._gateway.state()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._gateway.run()
            except OSError as error:
                log.error("%s; sockets serve on, the gateway comes back with the device", _text(error))
                self._again()

    def _again(self) -> None:
        complained = ""
        while not self._stopping.wait(RETRY_S):
            try:
                self._gateway = self._open()
            except OSError as error:
                if _text(error) != complained:  # once, not once a second
                    complained = _text(error)
                    log.warning("%s", complained)
                continue
            log.info("RDMA gateway is back on %s", self.config["rdma"]["interface"])
            return

    def _watch(self) -> None:
        told = ""
        while not self._stopping.wait(_WATCH_S):
            problem = self._gateway.problem()
            if problem and problem != told:
                log.warning("%s", problem)
            told = problem


def _text(error: OSError | ValueError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
