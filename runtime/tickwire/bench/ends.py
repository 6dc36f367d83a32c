# SPDX-License-Identifier: Apache-2.0
"""What each transport needs before its messages can be timed: an offer to the other end, and what that one offered.

Both ends make a side, tell its `offer` over the control connection (rendezvous.py), and then `connect` to the other's.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import socket
import time
from abc import ABC, abstractmethod
from typing import Any

from .. import _core
from ..errors import TickwireError

SIZE_MIN, SIZE_MAX = 8, 32768
_RECEIVE_BUFFER = (
    8 << 20
)  # bytes asked for, so that a burst is not lost in the socket; net.core.rmem_max may grant less
_TOKEN = 32


class Side(ABC):
    """One end of one transport. `offer` is for the other end; `end` is there after `connect`."""

    offer: dict[str, Any]
    end: Any
    rdma_device: str | None = None

    @abstractmethod
    def connect(self, peer: str, offer: dict[str, Any]) -> None:
        """Meet the other end, which is at `peer` and has offered `offer`."""

    @abstractmethod
    def close(self) -> None:
        """Give everything back."""


def _prepare(sock: socket.socket, tos: int) -> None:
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _RECEIVE_BUFFER)


def _port(offer: dict[str, Any]) -> int:
    port = offer.get("port")
    if not isinstance(port, int) or not 0 < port < 65536:
        raise TickwireError(f"the other end offers port {port!r}; are both of one version of tickwire?")
    return port


class Udp(Side):
    """A connected UDP socket, so that nobody else's datagrams are taken for echoes. Port 0: any."""

    def __init__(self, address: str, port: int, size: int, tos: int) -> None:
        self.size = size
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            _prepare(self.sock, tos)
            self.sock.bind((address, port))
        except OSError as error:
            self.sock.close()
            raise TickwireError(f"udp {address}:{port}: {error.strerror}; give --port another one") from None
        self.offer = {"port": self.sock.getsockname()[1]}

    def connect(self, peer: str, offer: dict[str, Any]) -> None:
        self.sock.connect((peer, _port(offer)))
        self.end = _core.BenchSocket(self.sock.fileno(), False, self.size)

    def close(self) -> None:
        self.sock.close()


class Tcp(Side):
    """A second connection to the server's port; its first bytes say to which run it belongs."""

    def __init__(self, address: str, listener: socket.socket | None, size: int, tos: int, timeout_s: float) -> None:
        self.address, self.listener, self.size, self.tos, self.timeout_s = address, listener, size, tos, timeout_s
        self.sock: socket.socket | None = None
        self.token = secrets.token_hex(_TOKEN // 2) if listener is not None else ""
        self.offer = {"port": listener.getsockname()[1], "token": self.token} if listener is not None else {}

    def connect(self, peer: str, offer: dict[str, Any]) -> None:
        if self.listener is None:
            try:
                self.sock = socket.create_connection((peer, _port(offer)), self.timeout_s, (self.address, 0))
                self.sock.sendall(str(offer.get("token", "")).encode())
            except OSError as error:
                raise TickwireError(f"tcp {peer}:{offer.get('port')}: {error.strerror or error}") from None
        else:
            self.sock = self._accept(peer)
        _prepare(self.sock, self.tos)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(None)
        self.end = _core.BenchSocket(self.sock.fileno(), True, self.size)

    def _accept(self, peer: str) -> socket.socket:
        """The connection that knows the token; others that come meanwhile are closed."""
        assert self.listener is not None
        deadline = time.monotonic() + self.timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self.listener.settimeout(left)
            try:
                sock, _address = self.listener.accept()
            except TimeoutError:
                break
            sock.settimeout(left)
            said = b""
            with contextlib.suppress(OSError):
                while len(said) < _TOKEN and (more := sock.recv(_TOKEN - len(said))):
                    said += more
            if hmac.compare_digest(said, self.token.encode()):
                return sock
            sock.close()
        raise TickwireError(f"tcp: no second connection from {peer} within {self.timeout_s:g} s")

    def close(self) -> None:
        if self.sock is not None:
            self.sock.close()


class Rdma(Side):
    """A queue pair on the RDMA device that has `address`: a reliable connection, or datagrams."""

    def __init__(self, address: str, transport: str, size: int, tos: int) -> None:
        try:
            self.end = _core.BenchRdma(address, transport == "ud", size, tos, secrets.randbits(24))
        except (OSError, ValueError, MemoryError) as error:
            raise TickwireError(f"{transport} {address}: {_reason(error)}") from None
        here = self.end.offer()
        self.rdma_device = here.pop("device")
        self.offer = {**here, "gid": here["gid"].hex()}
        self.transport = transport

    def connect(self, peer: str, offer: dict[str, Any]) -> None:
        try:
            self.end.connect(bytes.fromhex(offer["gid"]), offer["queue_pair"], offer["psn"], offer["mtu"])
        except (KeyError, TypeError):
            raise TickwireError(
                f"{self.transport} {peer}: its offer is not complete; are both of one version?"
            ) from None
        except (OSError, ValueError, OverflowError) as error:
            raise TickwireError(f"{self.transport} {peer}: {_reason(error)}") from None

    def close(self) -> None:
        del self.end


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def open_side(
    transport: str, address: str, size: int, tos: int, listener: socket.socket | None, timeout_s: float
) -> Side:
    """This end's side of a run from `address`; `listener`: the server's, None at the client."""
    if not SIZE_MIN <= size <= SIZE_MAX:
        raise TickwireError(f"size {size}: a message has {SIZE_MIN} to {SIZE_MAX} bytes")
    if transport == "udp":
        return Udp(address, 0 if listener is None else listener.getsockname()[1], size, tos)
    if transport == "tcp":
        return Tcp(address, listener, size, tos, timeout_s)
    if transport in ("rc", "ud"):
        return Rdma(address, transport, size, tos)
    raise TickwireError(f"transport {transport!r} is none of udp, tcp, rc, ud")
