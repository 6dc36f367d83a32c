# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests of the runtime share."""

import contextlib
import socket

import pytest


@pytest.fixture
def free_ports():
    """free_ports(n): n different ports that were free on loopback a moment ago, for TCP and UDP alike."""

    def find(count: int) -> list[int]:
        with contextlib.ExitStack() as stack:
            ports: list[int] = []
            while len(ports) < count:
                tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                tcp.bind(("127.0.0.1", 0))
                with contextlib.suppress(OSError):
                    udp.bind(("127.0.0.1", tcp.getsockname()[1]))
                    ports.append(tcp.getsockname()[1])
            return ports

    return find
