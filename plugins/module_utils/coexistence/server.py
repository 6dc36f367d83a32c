# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The end that answers probes and sends the load: one thread, one loop, until the client is done or time is up."""

from __future__ import annotations

import selectors
import socket
import struct
import time

from .channel import LINE_MAX, CoexistenceError, line, message
from .stamps import StampedSocket, set_traffic_class

BLOCK = bytes(256 * 1024)
NUMBER = struct.Struct("!I")
SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; bytes a second


class Server:
    """``congestion`` is the congestion control of the load, "" for the system's."""

    def __init__(self, address: str, port: int, congestion: str, connect_timeout_s: float, timeout_s: float) -> None:
        self._selector = selectors.DefaultSelector()
        self._connect_timeout_s, self._timeout_s = connect_timeout_s, timeout_s
        family, kind, protocol, _name, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        self._listener = socket.socket(family, kind, protocol)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if congestion:
            set_congestion(self._listener, congestion)
        try:
            self._listener.bind(where)
        except OSError as error:
            raise CoexistenceError(
                f"can not listen on {address} port {port}: {error.strerror}; choose another port"
            ) from error
        self._listener.listen(64)
        self._listener.setblocking(False)
        self._echo = StampedSocket(address)
        self._echoes: list[tuple[int, int, int]] = []  # probe, received, number of the answer
        self._buffers: dict[socket.socket, bytes] = {}
        self._control: socket.socket | None = None
        self._done = False
        self.sent_bytes = 0
        self.answered = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def run(self) -> dict[str, object]:
        """Serve one client. CoexistenceError when none comes, it goes without a word, or time is up."""
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._echo, selectors.EVENT_READ, self._answer)
        deadline = time.monotonic() + self._connect_timeout_s
        try:
            while not self._done:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise CoexistenceError(
                        "the client did not finish in time; look at its message"
                        if self._control
                        else f"no client came within {self._connect_timeout_s:g} s; is the fabric between them up?"
                    )
                waiting = self._control is None
                for key, _events in self._selector.select(left):
                    key.data(key.fileobj)
                if waiting and self._control is not None:
                    deadline = time.monotonic() + self._timeout_s
        finally:
            self._close()
        return {"answered": self.answered, "sent_bytes": self.sent_bytes}

    def _accept(self, listener: socket.socket) -> None:
        sock, _peer = listener.accept()
        sock.setblocking(False)
        self._buffers[sock] = b""
        self._selector.register(sock, selectors.EVENT_READ, self._read)

    def _read(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            if sock is self._control:
                raise CoexistenceError("the client ended the connection before it was done; its own message says why")
            self._drop(sock)
            return
        self._buffers[sock] += data
        if len(self._buffers[sock]) > LINE_MAX:
            self._drop(sock)
            return
        while sock in self._buffers and b"\n" in self._buffers[sock]:
            first, self._buffers[sock] = self._buffers[sock].split(b"\n", 1)
            self._handle(sock, message(first))

    def _handle(self, sock: socket.socket, asked: dict[str, object]) -> None:
        kind = asked.get("kind")
        if kind == "hello":
            self._control = sock
            set_traffic_class(self._echo.socket, number(asked, "traffic_class"))
            sock.sendall(line({"kind": "ready", "port": self._echo.port}))
        elif kind == "load":
            set_traffic_class(sock, number(asked, "traffic_class"))
            pace = number(asked, "pace_bytes_s")
            if pace:
                sock.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, pace)
            self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, self._fill)
        elif kind == "stamps":
            self._echo.wait_for_stamps(0.5)
            echoes = [[probe, received, self._echo.sent.get(answer)] for probe, received, answer in self._echoes]
            self._echoes.clear()
            sock.setblocking(True)
            sock.settimeout(self._timeout_s)
            sock.sendall(line({"kind": "stamps", "echoes": echoes}))
            sock.setblocking(False)
        elif kind == "done":
            self._done = True
        else:
            raise CoexistenceError(f"the client asks for {kind!r}, which this version does not know")

    def _fill(self, sock: socket.socket) -> None:
        try:
            self.sent_bytes += sock.send(BLOCK)
        except BlockingIOError:
            try:
                gone = not sock.recv(1)
            except BlockingIOError:
                return
            except OSError:
                gone = True
            if gone:
                self._drop(sock)
        except OSError:
            self._drop(sock)

    def _answer(self, echo: StampedSocket) -> None:
        echo.collect()
        for data, sender, received in echo.receive():
            if len(data) < NUMBER.size or received is None:
                continue
            (probe,) = NUMBER.unpack_from(data)
            try:
                self._echoes.append((probe, received, echo.send(data, sender)))
            except OSError:
                continue  # as lost as one that the network dropped
            self.answered += 1

    def _drop(self, sock: socket.socket) -> None:
        self._selector.unregister(sock)
        self._buffers.pop(sock, None)
        sock.close()

    def _close(self) -> None:
        self._selector.close()
        for sock in [*self._buffers, self._listener]:
            sock.close()
        self._echo.close()


def number(asked: dict[str, object], name: str) -> int:
    """A whole number of a message. CoexistenceError when it is none."""
    value = asked.get(name)
    if not isinstance(value, int):
        raise CoexistenceError(f"the other end's {name} is {value!r} and no number")
    return value


def set_congestion(sock: socket.socket, name: str) -> None:
    """Choose the congestion control. CoexistenceError where the kernel has it not or does not let us."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        raise CoexistenceError(
            f"congestion control {name} can not be had: {error.strerror}; run as root on a kernel with tcp_{name}"
        ) from error
