# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Queue pairs through pyverbs (Debian's python3-pyverbs), for set-up and proof, not for speed: reliable connections
here, datagrams in ``datagram.py``."""

from __future__ import annotations

import collections
import errno
import os
import resource
import secrets
import select
import time
from pathlib import Path
from typing import Any, Callable

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import counters, link

DEPTH = 16
_SEND = DEPTH  # the number of a receive is its slot, from 0
_IDLE_CALL_S = 0.25
_MTU_BYTES = {1: 256, 2: 512, 3: 1024, 4: 2048, 5: 4096}
_STATUS = (
    "success",
    "local length error",
    "local queue pair operation error",
    "local EE context operation error",
    "local protection error",
    "work request flushed",
    "memory window bind error",
    "bad response",
    "local access error",
    "remote invalid request",
    "remote access error",
    "remote operation error",
    "transport retry counter exceeded: the other end does not acknowledge",
    "receiver-not-ready retry counter exceeded: the other end posts no receives",
)


class VerbsEndpoint:
    """See ``pingpong.Endpoint``. Opens the device and makes a queue pair in state INIT; nothing is sent yet.

    Up to DEPTH receives are posted, each with its slot. What an RC message carries nobody reads, so ``shared``: all
    its slots have one piece of memory. ``headers_bytes`` come before a message there.
    """

    headers_bytes = 0
    shared = True

    def __init__(
        self,
        device: str,
        local_address: str,
        size_bytes: int,
        gid_index: int | None,
        traffic_class: int,
        roce_version: int = 2,
        port: int = 1,
    ) -> None:
        try:
            from pyverbs.cq import CQ
            from pyverbs.device import Context
            from pyverbs.mr import MR
            from pyverbs.pd import PD
            from pyverbs.pyverbs_error import PyverbsError
            from pyverbs.qp import QP, QPAttr, QPCap, QPInitAttr
            from pyverbs.wr import SGE, RecvWR, SendWR
        except ImportError as error:
            raise LookupError(
                "pyverbs cannot be imported by this Python (%s): install python3-pyverbs" % error
            ) from error
        self._error = PyverbsError
        self._enums = _enums()
        self._open: list[Any] = []
        entry = link.find_device(link.read_devices(), device)
        self._info: dict[str, Any] = next((item for item in entry["ports"] if item["port"] == port), {})
        if not self._info:
            raise LookupError("%s has no port %d" % (device, port))
        if self._info["state"] != "ACTIVE":
            raise LookupError(
                "port %d of %s is %s (%s), not ACTIVE: look at 'ip link show %s'"
                % (port, device, self._info["state"], self._info["physical_state"], self._info["netdev"])
            )
        self._emulated = entry["emulated"]
        self._counters = Path("/sys/class/infiniband", device, "ports", str(port))
        chosen = link.choose_gid(self._info, local_address, gid_index, roce_version)
        self._gid, self._gid_index, self._roce_version = chosen["gid"], chosen["index"], roce_version
        self._traffic_class, self._port, self._psn = traffic_class, port, secrets.randbits(24)
        self._size_bytes = size_bytes
        self._arrived: collections.deque[int] = collections.deque()
        self._unsent = 0
        try:
            context = self._keep(Context(name=device))
            self._mtu = int(context.query_port(port).active_mtu)
            self._domain = self._keep(PD(context))
            # Hardware is polled without a pause. Soft-RoCE is made by the CPUs that a spinning loop would take from it,
            # in virtual machines from the other end and the switch too, so there the loop sleeps until a completion.
            self._events = _Events(self._keep, context) if self._emulated else None
            channel = self._events.channel if self._events else None
            self._queue = self._keep(CQ(context, 4 * DEPTH, None, channel, 0))
            last = self._offset(DEPTH - 1) + self.headers_bytes + size_bytes
            self._region = region = self._keep(MR(self._domain, last, self._enums.IBV_ACCESS_LOCAL_WRITE))
            cap = QPCap(max_send_wr=DEPTH, max_recv_wr=DEPTH, max_send_sge=1, max_recv_sge=1)
            kind, attributes = self._kind(QPAttr(port_num=port))
            initial = QPInitAttr(qp_type=kind, scq=self._queue, rcq=self._queue, cap=cap, sq_sig_all=1)
            self._pair = self._keep(QP(self._domain, initial, attributes))
            self._send_request = SendWR(
                wr_id=_SEND, opcode=self._enums.IBV_WR_SEND, num_sge=1, sg=[SGE(region.buf, size_bytes, region.lkey)]
            )
            room = self.headers_bytes + size_bytes
            self._receive_requests = [
                RecvWR(wr_id=slot, num_sge=1, sg=[SGE(region.buf + self._offset(slot), room, region.lkey)])
                for slot in range(DEPTH)
            ]
        except PyverbsError as error:
            self.close()
            raise RuntimeError(
                "%s does not give a queue pair: %s%s"
                % (
                    device,
                    error,
                    memlock_hint(getattr(error, "error_code", 0), resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]),
                )
            ) from error

    def describe(self) -> dict[str, Any]:
        return {
            "qpn": int(self._pair.qp_num),
            "psn": self._psn,
            "gid": self._gid,
            "gid_index": self._gid_index,
            "roce_version": self._roce_version,
            "mtu": _MTU_BYTES[self._mtu],
            "emulated": self._emulated,
        }

    def connect(self, remote: dict[str, Any]) -> None:
        from pyverbs.addr import GID, AHAttr, GlobalRoute
        from pyverbs.qp import QPAttr

        mtu = min(self._mtu, next(code for code, size in _MTU_BYTES.items() if size == remote["mtu"]))
        try:
            route = GlobalRoute(
                dgid=GID(remote["gid"]), sgid_index=self._gid_index, hop_limit=64, traffic_class=self._traffic_class
            )
            kind, attributes = self._kind(QPAttr(port_num=self._port))
            attributes.ah_attr = AHAttr(is_global=1, gr=route, port_num=self._port)
            attributes.path_mtu = mtu
            attributes.dest_qp_num, attributes.rq_psn, attributes.sq_psn = remote["qpn"], remote["psn"], self._psn
            attributes.max_dest_rd_atomic = attributes.max_rd_atomic = 1
            attributes.min_rnr_timer = 12  # 0.64 ms
            attributes.timeout, attributes.retry_cnt, attributes.rnr_retry = (
                15,
                7,
                7,
            )  # 4.096 us * 2^15 = 134 ms an attempt
            for request in self._receive_requests:
                self._pair.post_recv(request)
            self._pair.to_rts(attributes)
        except self._error as error:
            raise RuntimeError(
                "the queue pair does not reach ready-to-send towards %s: %s" % (remote["gid"], error)
            ) from error

    def counters(self) -> dict[str, int]:
        return counters.settled_counters(self._counters)

    def send(self, number: int) -> None:
        self._pair.post_send(self._send_request)
        self._unsent += 1

    def receive(self, deadline: float, idle: Callable[[], None]) -> int:
        self._pair.post_recv(self._receive_requests[self._arrival(deadline, idle)])
        return 0

    def flush(self, deadline: float) -> None:
        self._poll_until(lambda: self._unsent == 0, deadline, lambda: None)

    def close(self) -> None:
        for item in reversed(self._open):
            try:
                item.close()
            except self._error:  # the device went away: the kernel has given it back already
                pass
        self._open = []

    def _kind(self, attributes: Any) -> tuple[Any, Any]:
        """The type of queue pair, and the attributes with what this type needs."""
        attributes.qp_access_flags = self._enums.IBV_ACCESS_LOCAL_WRITE
        return self._enums.IBV_QPT_RC, attributes

    def _offset(self, slot: int) -> int:
        """Where a slot's memory begins; what is sent is before the first."""
        return self._size_bytes + (0 if self.shared else slot * (self.headers_bytes + self._size_bytes))

    def _arrival(self, deadline: float, idle: Callable[[], None]) -> int:
        """Wait for a message; its slot."""
        self._poll_until(lambda: bool(self._arrived), deadline, idle)
        return self._arrived.popleft()

    def _poll_until(self, reached: Callable[[], bool], deadline: float, idle: Callable[[], None]) -> None:
        next_idle = time.monotonic() + _IDLE_CALL_S
        while not reached():
            if self._take_completions():
                continue
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError("time is up")
            if now >= next_idle:
                next_idle = now + _IDLE_CALL_S
                idle()
            if self._events is not None:
                self._events.wait(self._queue, self._take_completions, min(next_idle, deadline) - now)

    def _take_completions(self) -> int:
        count, completions = self._queue.poll(DEPTH)
        for completion in completions[:count]:
            if completion.status:
                known = completion.status < len(_STATUS)
                raise RuntimeError(
                    "work completion status %d, %s"
                    % (completion.status, _STATUS[completion.status] if known else "see ibv_wc_status")
                )
            if completion.wr_id == _SEND:
                self._unsent -= 1
            else:
                self._arrived.append(completion.wr_id)
        return count

    def _keep(self, item: Any) -> Any:
        self._open.append(item)
        return item


def memlock_hint(error: int, limit: int) -> str:
    """What to do where no more memory may be locked; "" where that is not what is wrong. The limit is in bytes."""
    if error != errno.ENOMEM or limit == resource.RLIM_INFINITY:
        return ""
    return ". RLIMIT_MEMLOCK is %d kB. Next: raise it (roce_host_limits.memlock), or become root" % (limit // 1024)


class _Events:
    """Completion events of one queue, waited for with a bound."""

    def __init__(self, keep: Callable[[Any], Any], context: Any) -> None:
        from pyverbs.cq import CompChannel

        before = _event_files()
        self.channel = keep(CompChannel(context))
        # pyverbs gives no way to the channel's descriptor, and its own wait has no time-out.
        self._poller = select.poll()
        self._poller.register((_event_files() - before).pop(), select.POLLIN)

    def wait(self, queue: Any, take: Callable[[], int], seconds: float) -> None:
        """Return after a completion was taken or is there to be taken, or after the time given."""
        queue.req_notify()
        if take():  # it came between the last look and the request
            return
        if self._poller.poll(max(0.0, seconds) * 1000):
            self.channel.get_cq_event(queue)
            queue.ack_events(1)


def _event_files() -> set[int]:
    """The open descriptors of verbs event files (anon_inode:[infinibandevent])."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            if "infinibandevent" in os.readlink("/proc/self/fd/" + name):
                found.add(int(name))
        except OSError:  # the descriptor of this listing itself
            continue
    return found


def _enums() -> Any:
    """pyverbs moved its constants between rdma-core releases."""
    try:
        from pyverbs import enums
    except ImportError:
        from pyverbs import libibverbs_enums as enums
    return enums
