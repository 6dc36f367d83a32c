# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A UDP socket whose packets the kernel stamps on the way out and in (Documentation/networking/timestamping.rst).

Stamps are nanoseconds of the realtime clock, taken by software in the driver's transmit path and on reception, so the
time a program waits for its CPU is in none of them.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
import time

# include/uapi/linux/net_tstamp.h; asm-generic/socket.h
SO_TIMESTAMPING, SO_RCVBUFFORCE = 37, 33
TX_SOFTWARE, RX_SOFTWARE, SOFTWARE, OPT_ID, OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
# struct scm_timestamping: three of struct timespec, the first from software
TIMESPEC = struct.Struct("@ll")
# struct sock_extended_err: errno, origin, type, code, pad, info, data
EXTENDED_ERROR = struct.Struct("@IBBBBII")
ORIGIN_TIMESTAMPING = 4
IP_RECVERR, IPV6_RECVERR = 11, 25
DATAGRAM_MAX = 2048
CONTROL_BYTES = 512
STAMPING_ATTEMPTS, STAMPING_WAIT_MS, STAMPING_IN_A_ROW = 200, 5, 4
# a program that waits for its CPU must not lose what the network brought
RECEIVE_BUFFER_BYTES = 4 * 1024**2


class StampedSocket:
    """A UDP socket; ``sent`` has the transmit stamp of each datagram by the order of sending, from 0."""

    def __init__(self, address: str, port: int = 0) -> None:
        family, kind, protocol, _name, where = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        self.socket = socket.socket(family, kind, protocol)
        self.socket.setblocking(False)
        self.socket.setsockopt(
            socket.SOL_SOCKET, SO_TIMESTAMPING, TX_SOFTWARE | RX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
        )
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES)
        except PermissionError:  # not root: as much as the system allows
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        self.socket.bind(where)
        self.sent: dict[int, int] = {}
        self.count = 0
        _wait_for_stamping()

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def send(self, data: bytes, to: tuple[object, ...]) -> int:
        """Send a datagram; its number, the key of its stamp in ``sent``. OSError where the kernel does not take it."""
        self.socket.sendto(data, to)
        self.count += 1
        return self.count - 1

    def receive(self) -> list[tuple[bytes, tuple[object, ...], int | None]]:
        """Every datagram that waits: data, sender, receive stamp (None: the kernel gave none)."""
        found: list[tuple[bytes, tuple[object, ...], int | None]] = []
        while True:
            try:
                data, control, _flags, sender = self.socket.recvmsg(DATAGRAM_MAX, CONTROL_BYTES)
            except BlockingIOError:
                return found
            except ConnectionRefusedError:
                continue  # the other end closed its socket: its silence is what counts
            found.append((data, sender, _stamp(control)))

    def collect(self) -> None:
        """Take the transmit stamps that wait into ``sent``."""
        while True:
            try:
                _data, control, _flags, _sender = self.socket.recvmsg(0, CONTROL_BYTES, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                return
            number, stamp = _sent_number(control), _stamp(control)
            if number is not None and stamp is not None:
                self.sent[number] = stamp

    def wait_for_stamps(self, timeout_s: float) -> None:
        """Collect what the kernel still has to say of the last packets sent."""
        poll = select.poll()
        poll.register(self.socket, 0)  # an error queue that is not empty is always told
        while len(self.sent) < self.count and poll.poll(timeout_s * 1000):
            self.collect()


def _wait_for_stamping() -> None:
    """Return when datagrams over loopback come with stamps, or after a second without.

    The kernel begins to stamp what is received a moment after the first socket asks for it (net_enable_timestamp leaves
    it to a worker), a long moment on a busy host, and a packet until then has none. The same worker may just be about
    to switch off what the last socket before had asked for; so one stamp alone proves nothing.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, RX_SOFTWARE | SOFTWARE)
        poll = select.poll()
        poll.register(probe, select.POLLIN)
        stamped = 0
        try:
            probe.bind(("127.0.0.1", 0))
            for _attempt in range(STAMPING_ATTEMPTS):
                probe.sendto(b"", probe.getsockname())
                came = poll.poll(STAMPING_WAIT_MS)
                stamped = stamped + 1 if came and _stamp(probe.recvmsg(1, CONTROL_BYTES)[1]) is not None else 0
                if stamped == STAMPING_IN_A_ROW:
                    return
                time.sleep(STAMPING_WAIT_MS / 1000)
        except OSError:
            return  # no loopback: whoever measures counts what has no stamp


def set_traffic_class(sock: socket.socket, traffic_class: int) -> None:
    """DSCP and ECN bits of what the socket sends; TCP keeps the two ECN bits for itself."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, traffic_class)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, traffic_class)


def _stamp(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPING and len(data) >= TIMESPEC.size:
            seconds, nanoseconds = TIMESPEC.unpack_from(data)
            return int(seconds * 10**9 + nanoseconds) or None
    return None


def _sent_number(control: list[tuple[int, int, bytes]]) -> int | None:
    for level, kind, data in control:
        if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            error, origin, _type, _code, _pad, _info, number = EXTENDED_ERROR.unpack_from(data)
            if origin == ORIGIN_TIMESTAMPING and error == errno.ENOMSG:
                return int(number)
    return None
