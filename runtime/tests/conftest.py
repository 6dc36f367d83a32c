# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several tests of the runtime share."""

import contextlib
import socket
from pathlib import Path

import pytest
from front_shim import Shim
from front_site import FREE, MAKER, Processes, Site, tickwire


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


@pytest.fixture
def processes(tmp_path):
    """Starts tickwire commands; none of them outlives the test."""
    started = Processes(tmp_path)
    yield started
    started.close()


@pytest.fixture
def shim(tmp_path, processes):
    """A Shim that every process is started with."""
    made = Shim(tmp_path)
    processes.env = made.env
    return made


@pytest.fixture
def quoting(make, tmp_path):
    """quoting(version, **more): a Site whose engine quotes all the time, and the path of its exchange's drop copy."""

    def made(version: str = "5.0", **more: str) -> tuple[Site, Path]:
        copy_path = tmp_path / "copy.jsonl"
        site = make(
            exchange_exchange=f'drop_copy = "{copy_path}"',
            exchange_account=f'version = "{version}"',
            engine_orders=f'version = "{version}"',
            **{"engine_strategy": MAKER, "engine_risk": FREE, **more},
        )
        return site, copy_path

    return made


@pytest.fixture
def make(tmp_path, free_ports):
    """make(**more): a Site with 4,000 messages in its ITCH file."""

    def made(**more: str) -> Site:
        site = Site(tmp_path, free_ports(5), **more)
        done = tickwire("generate", site.itch, "--messages", "4000", "--seed", "3", "--instruments", "5")
        assert done.returncode == 0, done.stderr
        return site

    return made
