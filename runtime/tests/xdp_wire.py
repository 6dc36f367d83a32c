# SPDX-License-Identifier: Apache-2.0
"""Two network namespaces with veth pairs between them: the exchange's end and the engine's."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

EXCHANGE, ENGINE = 0, 1
CLONE_NEWNET = 0x40000000
_numbers = itertools.count()
_libc = ctypes.CDLL(None, use_errno=True)


def ip(command: str) -> str:
    done = subprocess.run(["ip", *command.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {command}: {done.stderr}"
    return done.stdout


def _enter(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Wire:
    """`pairs` veth pairs of `queues` queues; on pair N the exchange has the address 10.99.N.1, the engine 10.99.N.2."""

    def __init__(self, pairs: int = 1, queues: int = 1, mtu: int = 1500) -> None:
        name = f"twx{os.getpid()}n{next(_numbers)}"
        self.names = [f"{name}{end}" for end in ("exchange", "engine")]
        self.devices = [(f"x{n}", f"e{n}") for n in range(pairs)]
        for end in self.names:
            ip(f"netns add {end}")
        self.shape = f"mtu {mtu} numrxqueues {queues} numtxqueues {queues}"
        for n in range(pairs):
            self.connect(n)
        for end in self.names:
            ip(f"-n {end} link set lo up")

    def connect(self, pair: int) -> None:
        """Make a pair; also one that was removed."""
        devices, shape = self.devices[pair], self.shape
        ip(f"link add {devices[0]} netns {self.names[0]} {shape} type veth peer name {devices[1]} {shape} "
           f"netns {self.names[1]}")  # fmt: skip
        for end in (EXCHANGE, ENGINE):
            ip(f"-n {self.names[end]} addr add {self.address(end, pair)}/24 dev {devices[end]}")
            ip(f"-n {self.names[end]} link set {devices[end]} up")

    def remove(self, pair: int) -> None:
        ip(f"-n {self.names[ENGINE]} link del {self.devices[pair][ENGINE]}")

    def close(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    @staticmethod
    def address(end: int, pair: int = 0) -> str:
        return f"10.99.{pair}.{1 + end}"

    @contextlib.contextmanager
    def inside(self, end: int) -> Iterator[None]:
        """This thread in a namespace; sockets made in here stay there."""
        with open("/proc/thread-self/ns/net", "rb") as home, open(f"/run/netns/{self.names[end]}", "rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def argv(self, end: int, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.names[end], *command]

    def frames(self, pair: int = 0) -> socket.socket:
        """A socket of the exchange that sends whole frames."""
        with self.inside(EXCHANGE):
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        raw.bind((self.devices[pair][EXCHANGE], 0))
        return raw

    def macs(self, pair: int = 0) -> bytes:
        """Destination and source for frames to the engine."""
        found = [self.link(end, pair)["address"] for end in (ENGINE, EXCHANGE)]
        return b"".join(bytes.fromhex(mac.replace(":", "")) for mac in found)

    def link(self, end: int, pair: int = 0) -> dict[str, Any]:
        (found,) = json.loads(ip(f"-n {self.names[end]} -d -j link show {self.devices[pair][end]}"))
        return dict(found)
