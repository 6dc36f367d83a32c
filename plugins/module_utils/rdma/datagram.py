# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A queue pair for unreliable datagrams (UD): no connection, no acknowledgement, each datagram with its address.

A datagram is one packet, so its size is bounded by the path MTU. In the memory of a receive 40 bytes of the packet's
GRH come first (with RoCE v2 its IP header), whatever the packet had.
"""

from __future__ import annotations

import secrets
import struct
from typing import Any, Callable

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.verbs import VerbsEndpoint

GRH_BYTES = 40
NUMBER = struct.Struct("!Q")


class DatagramEndpoint(VerbsEndpoint):
    """See ``pingpong.Endpoint``. Every slot has memory of its own: datagrams may come in a heap."""

    headers_bytes = GRH_BYTES
    shared = False

    def describe(self) -> dict[str, Any]:
        return dict(super().describe(), qkey=self._qkey)

    def connect(self, remote: dict[str, Any]) -> None:
        from pyverbs.addr import AH, GID, AHAttr, GlobalRoute

        largest = min(self.describe()["mtu"], remote["mtu"])
        if self._size_bytes > largest:
            raise ValueError("size_bytes %d: a datagram has at most %d bytes here" % (self._size_bytes, largest))
        if not isinstance(remote.get("qkey"), int):
            raise ValueError("its hello has no usable qkey: %r" % (remote.get("qkey"),))
        try:
            route = GlobalRoute(
                dgid=GID(remote["gid"]), sgid_index=self._gid_index, hop_limit=64, traffic_class=self._traffic_class
            )
            attributes = AHAttr(is_global=1, gr=route, port_num=self._port)
            handle = self._keep(AH(self._domain, attr=attributes))
            self._send_request.set_wr_ud(handle, remote["qpn"], remote["qkey"])
            for request in self._receive_requests:
                self._pair.post_recv(request)
        except self._error as error:
            raise RuntimeError("no address handle towards %s: %s" % (remote["gid"], error)) from error

    def send(self, number: int) -> None:
        # Sends share this memory. One follows another before it is out only when the client gave one up; a number that
        # is overwritten then is that of a later datagram, or of an answer that nobody waits for.
        self._region.write(NUMBER.pack(number), NUMBER.size, 0)
        super().send(number)

    def receive(self, deadline: float, idle: Callable[[], None]) -> int:
        slot = self._arrival(deadline, idle)
        number = NUMBER.unpack(self._region.read(NUMBER.size, self._offset(slot) + GRH_BYTES))[0]
        self._pair.post_recv(self._receive_requests[slot])
        return number

    def _kind(self, attributes: Any) -> tuple[Any, Any]:
        self._qkey = secrets.randbits(31)  # the highest bit is for privileged programs
        attributes.qkey, attributes.sq_psn = self._qkey, self._psn
        return self._enums.IBV_QPT_UD, attributes
