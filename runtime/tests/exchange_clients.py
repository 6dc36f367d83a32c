# SPDX-License-Identifier: Apache-2.0
"""What the exchange's tests share: orders in both versions of OUCH, a client over a socket, an exchange in a thread."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

from tickwire import _core, config, itchfile
from tickwire.exchange.server import Exchange
from tickwire.exchange.soupbin import packet

TIME_LIMIT_S = 20
VERSIONS = ("5.0", "4.2")


def key_of(version: str, n: int) -> Any:
    """The n-th order's UserRefNum or token."""
    return n if version == "5.0" else f"TOKEN{n}"


def enter(version: str, n: int, **changes: Any) -> bytes:
    """Enter Order; `changes`: side, quantity, symbol, price, immediate, or the version's own names."""
    side, price = changes.pop("side", "B"), changes.pop("price", 1_000_000)
    quantity, symbol = changes.pop("quantity", 100), changes.pop("symbol", "TAAAA")
    immediate = changes.pop("immediate", False)
    fields: dict[str, Any] = {
        "type": "O",
        "side": side,
        "price": price,
        "display": "Y",
        "capacity": "P",
        "intermarket_sweep": "N",
        "cross_type": "N",
    }
    if version == "5.0":
        fields |= {"user_ref_num": n, "quantity": quantity, "symbol": symbol, "cl_ord_id": f"C{n}"}
        fields["time_in_force"] = "3" if immediate else "0"
    else:
        fields |= {"order_token": f"TOKEN{n}", "shares": quantity, "stock": symbol, "firm": "TICK"}
        fields |= {"time_in_force": 0 if immediate else 99998, "customer_type": "N"}
    return _core.ouch_encode({**fields, **changes}, True, version)


def replace(version: str, original: int, n: int, quantity: int, price: int, immediate: bool = False) -> bytes:
    fields: dict[str, Any] = {"type": "U", "price": price, "display": "Y", "intermarket_sweep": "N"}
    if version == "5.0":
        fields |= {"orig_user_ref_num": original, "user_ref_num": n, "quantity": quantity, "cl_ord_id": f"C{n}"}
        fields["time_in_force"] = "3" if immediate else "0"
    else:
        fields |= {"existing_order_token": f"TOKEN{original}", "order_token": f"TOKEN{n}", "shares": quantity}
        fields["time_in_force"] = 0 if immediate else 99998
    return _core.ouch_encode(fields, True, version)


def about(version: str, kind: str, n: int, quantity: int = 0, **more: Any) -> bytes:
    """Cancel ("X") or Modify ("M") of the n-th order."""
    names = ("user_ref_num", "quantity") if version == "5.0" else ("order_token", "shares")
    return _core.ouch_encode({"type": kind, names[0]: key_of(version, n), names[1]: quantity, **more}, True, version)


def plain(version: str, message: bytes) -> dict[str, Any]:
    """An answer of the exchange in one set of names: key, shares, price, flag, match and what it has else."""
    fields = _core.ouch_decode(message, False, version)
    names = {
        "user_ref_num": "key",
        "order_token": "key",
        "orig_user_ref_num": "original",
        "previous_order_token": "original",
        "quantity": "shares",
        "decrement_shares": "shares",
        "executed_shares": "shares",
        "execution_price": "price",
        "liquidity_flag": "flag",
        "match_number": "match",
        "stock": "symbol",
    }
    return {names.get(name, name): value for name, value in fields.items()}


class Client:
    """A blocking SoupBinTCP client of the exchange."""

    def __init__(self, port: int, user: str, version: str = "5.0", sequence: int = 1) -> None:
        self.version = version
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIME_LIMIT_S)
        self.stream = self.sock.makefile("rb")
        self.sock.sendall(packet(b"L", f"{user:<6}{'secret':<10}{'':<10}{sequence:>20}".encode()))
        self.accepted = self._packet()
        assert self.accepted[0] == b"A", self.accepted

    def _packet(self) -> tuple[bytes, bytes]:
        header = self.stream.read(3)
        if len(header) < 3:
            return b"", b""
        return header[2:], self.stream.read(int.from_bytes(header[:2], "big") - 1)

    def send(self, *messages: bytes) -> None:
        self.sock.sendall(b"".join(packet(b"U", message) for message in messages))

    def next(self) -> dict[str, Any]:
        """The next sequenced message but system events."""
        while True:
            kind, payload = self._packet()
            assert kind in (b"S", b"H"), (kind, payload)
            if kind == b"S" and payload[:1] != b"S":
                return plain(self.version, payload)

    def close(self) -> None:
        self.stream.close()
        self.sock.close()


class Control:
    """A client of the control port."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=TIME_LIMIT_S)
        self.lines = self.sock.makefile("rb")

    def ask(self, **request: Any) -> dict[str, Any]:
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        return self.answer()

    def answer(self) -> dict[str, Any]:
        answer = json.loads(self.lines.readline())
        assert isinstance(answer, dict)
        return answer

    def close(self) -> None:
        self.lines.close()
        self.sock.close()


class Site:
    """A running exchange on free ports of loopback, with accounts FIVE0.. (OUCH 5.0) and FOUR0.. (4.2)."""

    def __init__(self, directory: Path, ports: list[int], messages: list[bytes], accounts: int = 2, **changes: str):
        self.orders, self.control, self.feed, self.requests, self.feed_b = ports
        self.directory = directory
        itchfile.write(directory / "feed.itch", messages)
        logins = "".join(
            f'[[orders.accounts]]\nusername = "{name}{n}"\npassword = "secret"\nversion = "{version}"\n'
            for name, version in (("FIVE", "5.0"), ("FOUR", "4.2"))
            for n in range(accounts)
        )
        settings = config.parse(
            f"""
            [exchange]
            itch_file = "{directory}/feed.itch"
            block = "{directory}/exchange.json"
            {changes.get("exchange", "")}
            [feed]
            group = "127.0.0.1"
            port = {self.feed}
            interface = "127.0.0.1"
            request_port = {self.requests}
            {changes.get("feed", "")}
            [orders]
            address = "127.0.0.1"
            port = {self.orders}
            heartbeat_ms = 200
            {logins}
            [control]
            port = {self.control}
            """,
            config.EXCHANGE,
            "test",
        )
        self.server = Exchange(settings)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.clients: list[Client | Control] = []

    def client(self, user: str) -> Client:
        client = Client(self.orders, user, "5.0" if user.startswith("FIVE") else "4.2")
        self.clients.append(client)
        return client

    def ask(self) -> Control:
        client = Control(self.control)
        self.clients.append(client)
        return client

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.server.stop()
        self.thread.join(TIME_LIMIT_S)
        assert not self.thread.is_alive()
