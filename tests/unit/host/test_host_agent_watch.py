"""Link events: recorded bytes, the kernel's own in a network namespace, and what follows from them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import netlink, watch
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent.netlink import Event

CHECKOUT = Path(__file__).resolve().parents[3]
RECORDED = json.loads((CHECKOUT / "tests/fixtures/host/netlink/linux-6.12.json").read_text())


@pytest.mark.parametrize("record", RECORDED["links"], ids=lambda record: record["what"])
def test_recorded_messages_of_rtnetlink(record: dict) -> None:
    found = netlink.parse_links(bytes.fromhex(record["bytes"]))
    assert [[event.kind, event.index, event.name] for event in found] == record["events"]


@pytest.mark.parametrize("record", RECORDED["ethtool"], ids=lambda record: record["what"])
def test_recorded_notifications_of_ethtool(record: dict) -> None:
    family, groups = netlink.parse_family(bytes.fromhex(RECORDED["family"]))
    assert family == RECORDED["family_id"] and "monitor" in groups
    found = netlink.parse_ethtool(bytes.fromhex(record["bytes"]), family)
    assert [[event.kind, event.index, event.name] for event in found] == record["events"]
    assert netlink.parse_ethtool(bytes.fromhex(record["bytes"]), family + 1) == []


@pytest.mark.parametrize("record", RECORDED["uevents"], ids=lambda record: record["what"])
def test_recorded_uevents_of_rdma_devices(record: dict) -> None:
    found = netlink.parse_uevent(bytes.fromhex(record["bytes"]))
    assert [[event.kind, event.index, event.name] for event in found] == record["events"]


def test_a_family_that_is_not_there_is_the_kernels_error() -> None:
    with pytest.raises(OSError, match="No such file or directory"):
        netlink.parse_family(bytes.fromhex(RECORDED["no_family"]))


@given(st.binary(max_size=300), st.integers(0, 300))
def test_what_is_cut_off_or_garbage_is_no_error(noise: bytes, cut: int) -> None:
    whole = bytes.fromhex(RECORDED["links"][0]["bytes"])
    for data in (noise, whole[:cut], whole[:cut] + noise):
        netlink.parse_links(data)
        netlink.parse_ethtool(data, 16)
        netlink.parse_uevent(data)


NAMESPACE = textwrap.dedent("""
    import json, select, socket, subprocess
    from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import netlink
    def ip(*words): subprocess.run(["ip", "link", *words], check=True, timeout=20)
    ip("add", "one0", "type", "veth", "peer", "name", "other0")
    listener = netlink.Listener()
    index = socket.if_nametoindex("one0")
    ip("set", "one0", "up"); ip("set", "one0", "down")
    ip("set", "one0", "name", "one1"); ip("del", "one1")
    # The last source has the uevents of the interfaces, which are none of an RDMA device.
    uevent = "" if any("uevents" in one for one in listener.missing) else listener.sockets[-1].recv(65536).decode()
    found = []
    for ready in select.select(listener.sockets, [], [], 10)[0]:
        found += [[event.kind, event.index, event.name] for event in listener.receive(ready)]
    # More than the buffer holds: the kernel says that it dropped some.
    listener.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    ip("add", "two0", "type", "veth", "peer", "name", "other0")
    batch = "link set two0 mtu 1400\\nlink set two0 mtu 1500\\n" * 60
    subprocess.run(["ip", "-batch", "-"], input=batch.encode(), check=True, timeout=30)
    lost = [event.kind for event in listener.receive(listener.sockets[0])]
    print(json.dumps([index, found, lost, listener.missing, uevent]))
""")


def test_the_kernels_events_in_a_network_namespace() -> None:
    words = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), sys.executable, "-c", NAMESPACE]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / ".venv/collections")}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    index, found, lost, missing, uevent = json.loads(done.stdout)
    kinds = [(kind, name) for kind, number, name in found if number == index]
    assert kinds[0] == ("link", "one0") and ("link", "one1") in kinds and kinds[-1] == ("gone", "one1")
    assert {name for dummy, number, name in found if number != index} == {"other0"}
    assert "lost" in lost
    assert all(one.startswith(("no events of ethtool (", "no uevents (")) for one in missing)
    assert any("no uevents" in one for one in missing) or "SUBSYSTEM=net" in uevent.split("\0")


class Script:
    """A source of events that a test writes, over a real socket so that it can be waited for."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.near.setblocking(False)
        self.sockets = [self.near]

    def send(self, *events: Event) -> None:
        self.far.send(json.dumps([[event.kind, event.index, event.name] for event in events]).encode())

    def receive(self, ready: socket.socket) -> list[Event]:
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found += [Event(*one) for one in json.loads(ready.recv(65536))]
        return found


class Done(Exception):
    """Ends a watch after the last application that a test waits for."""


def watched(script: Script, times: int, indexes: dict[str, int], changes: int = 0) -> tuple[int, list[str]]:
    """How often was applied, and the log, until ``times`` applications."""
    applied = 0
    log: list[str] = []

    def apply() -> int:
        nonlocal applied
        applied += 1
        if applied == times:
            raise Done
        return changes

    with pytest.raises(Done):
        watch.watch("fab0", script, apply, log.append, lambda name: indexes.get(name, 0))
    return applied, log


LINK, END = Event("link", 7, "fab0"), Event("settings", 7, "fab0")


def test_it_applies_at_the_start_and_once_for_a_burst() -> None:
    script = Script()
    for _burst in range(50):
        script.send(LINK, Event("link", 8, "other"), END)
    assert watched(script, 2, {"fab0": 7}) == (2, [])
    assert not select.select(script.sockets, [], [], 0)[0], "the whole burst was read before it was acted on"


def test_events_of_others_are_nothing() -> None:
    follower = watch.Follower("fab0", {"fab0": 7}.__getitem__, lambda dummy: None)
    strangers = [Event("link", 8, "fab1"), Event("gone", 8, "fab1"), Event("settings", 8), Event("gone", 0, "")]
    assert not follower.concerns(strangers) and follower.index == 7
    assert follower.concerns([LINK]) and follower.concerns([END])


def test_a_nic_that_comes_later_goes_and_comes_again_is_followed() -> None:
    log: list[str] = []
    follower = watch.Follower("fab0", lambda dummy: 0, log.append)
    assert not follower.concerns([Event("settings", 0, "")])
    assert follower.concerns([LINK]) and follower.index == 7
    assert not follower.concerns([LINK, Event("gone", 7, "fab0")]) and follower.index == 0
    assert follower.concerns([Event("link", 9, "fab0")]) and follower.index == 9
    assert not follower.concerns([Event("link", 9, "was_fab0")]) and follower.index == 0
    assert not follower.concerns([END])
    assert log == ["fab0 is here", "fab0 is gone", "fab0 is here", "fab0 was renamed to was_fab0 and is not followed"]


def test_an_rdma_device_that_comes_has_all_applied_again_where_the_nic_is_here() -> None:
    follower = watch.Follower("fab0", {"fab0": 7}.__getitem__, lambda dummy: None)
    assert follower.concerns([Event("rdma", 0, "rxe0")]) and follower.index == 7
    assert not follower.concerns([Event("gone", 7, "fab0"), Event("rdma", 0, "rxe0")])


def test_a_container_without_uevents_still_has_the_events_of_the_link(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = socket.socket

    def refuse(family: int, kind: int, protocol: int) -> socket.socket:
        if protocol == 15:
            raise PermissionError(1, "Operation not permitted")
        return opened(family, kind, protocol)

    monkeypatch.setattr(socket, "socket", refuse)
    listener = netlink.Listener()
    try:
        assert listener.sockets and listener.missing[-1].startswith("no uevents ([Errno 1] Operation not permitted)")
    finally:
        listener.close()


def test_dropped_events_have_all_applied_again_with_the_index_of_now() -> None:
    now = {"fab0": 7}
    follower = watch.Follower("fab0", lambda name: now.get(name, 0), lambda dummy: None)
    now["fab0"] = 12
    assert follower.concerns([Event("lost")]) and follower.index == 12


def test_settings_that_never_stay_are_applied_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Applying makes events itself: a driver that rounds a value must not keep a CPU busy."""
    script = Script()
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    monkeypatch.setattr(watch, "QUIET_S", 0.01)
    log: list[str] = []
    applied = 0

    def apply() -> int:
        nonlocal applied
        applied += 1
        if applied == 12:
            raise Done
        script.send(END)
        return 1

    with pytest.raises(Done):
        watch.watch("fab0", script, apply, log.append, lambda dummy: 7)
    assert slept == sorted(slept) and len(slept) == 12 - 2 - 3 and "times in a row" in log[0]


def test_systemd_is_told_that_it_is_ready_after_the_first_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        script.send(LINK)
        assert watched(script, 2, {"fab0": 7})[0] == 2
        assert manager.recv(64) == b"READY=1"
