"""A change of an Arista switch: the difference only, whole or not at all, and back."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.lines import scope_of
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.session import (
    SESSION_PREFIX,
    DeviceError,
    Session,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.verify import (
    COMMANDS,
    drift,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.verify import (
    RUNNING as RUNNING_CONFIG,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from tests.devices.eapi import EosSwitch
from tests.devices.eos_grammar import GRAMMAR, shown
from tests.devices.eos_intents import EXAMPLE, RUNNING, Direct, intents, rendered
from tests.devices.state import Position

NAME = SESSION_PREFIX + "1"
VERSIONS = pytest.mark.parametrize("version", ["4.31.5M", "4.32.2F"])


def session(switch: EosSwitch, intent: dict[str, Any] | None = None, timer_s: int = 300) -> Session:
    return Session(Direct(switch), scope_of(parse_intent(intent or EXAMPLE), "leaf1"), NAME, timer_s)


def applied(switch: EosSwitch, intent: dict[str, Any] | None = None) -> Session:
    """A change committed and confirmed."""
    one = session(switch, intent)
    if one.apply(rendered(intent or EXAMPLE), check=False, disruptive=True).changed:
        assert one.confirm(NAME)
    switch.sessions.clear()  # a real switch forgets completed sessions; our test names them all alike
    return one


def runs(switch: EosSwitch) -> list[str]:
    """What the switch shows, the order of sections aside."""
    return sorted(line for line in shown(switch.running).splitlines() if line != "!")


def findings(switch: EosSwitch, intent: dict[str, Any] | None = None) -> list[Any]:
    way = Direct(switch)
    state: dict[str, Any] = {command: way.read(command) for command in COMMANDS}
    state[RUNNING_CONFIG] = way.run([RUNNING_CONFIG])[0]
    return drift(parse_intent(intent or EXAMPLE), "leaf1", state)


@VERSIONS
def test_check_mode_tells_and_changes_nothing(version: str) -> None:
    switch = EosSwitch(RUNNING, version=version)
    before = switch.running.text()
    change = session(switch).apply(rendered(EXAMPLE), check=True, disruptive=False)
    assert change.changed
    assert "+   mtu 9214" in change.diff.splitlines()
    assert "-qos profile TICKWIRE-400G" in change.diff.splitlines()
    assert (switch.running.text(), switch.files, switch.sessions) == (before, {}, {})


@VERSIONS
def test_what_is_ours_changes_and_what_is_not_stays(version: str) -> None:
    switch = EosSwitch(RUNNING, version=version)
    applied(switch)
    lines = switch.running.lines()
    assert "qos profile TICKWIRE-400G" not in lines
    for line in ("   description trade1", "qos profile THEIRS", "      bandwidth percent 10", "   mtu 1500"):
        assert line in lines
    assert "   no lldp transmit" in lines[lines.index("interface Ethernet2") :]
    assert "   no lldp transmit" not in lines[: lines.index("interface Ethernet2")]
    assert not findings(switch)
    again = session(switch).apply(rendered(EXAMPLE), check=False, disruptive=False)
    assert (again.changed, again.diff, switch.sessions) == (False, "", {})


@VERSIONS
def test_an_unconfirmed_commit_is_taken_back_by_the_switch(version: str) -> None:
    switch = EosSwitch(RUNNING, version=version)
    before = switch.running.text()
    one = session(switch, timer_s=1)
    assert one.apply(rendered(EXAMPLE), check=False, disruptive=False).changed
    assert switch.running.text() != before
    with pytest.raises(DeviceError, match="waits for its confirmation. Nothing was changed. Next: confirm or abort"):
        session(switch).apply(rendered(EXAMPLE), check=False, disruptive=False)
    deadline = time.monotonic() + 10
    while not switch.reverted and time.monotonic() < deadline:
        time.sleep(0.02)
    assert switch.running.text() == before
    with pytest.raises(DeviceError, match="was not confirmed in time, and the switch took the change back"):
        one.confirm(NAME)


@VERSIONS
def test_the_way_back_takes_an_unconfirmed_commit_back_and_restores_a_confirmed_one(version: str) -> None:
    switch = EosSwitch(RUNNING, version=version)
    before = runs(switch)
    one = session(switch)
    one.apply(rendered(EXAMPLE), check=False, disruptive=False)
    assert one.roll_back(restore=True, check=False).changed
    assert runs(switch) == before
    assert not one.roll_back(restore=False, check=False).changed
    one = applied(switch)
    switch.running.enter(Position(GRAMMAR), "hostname renamed")  # somebody else, meanwhile
    assert one.roll_back(restore=True, check=True).changed
    assert one.roll_back(restore=True, check=False).changed
    assert runs(switch) == sorted(line.replace("hostname leaf1", "hostname renamed") for line in before)
    switch.sessions.clear()
    assert not one.roll_back(restore=True, check=False).changed


def test_without_a_change_there_is_nothing_to_put_back() -> None:
    switch = EosSwitch(RUNNING)
    before = runs(switch)
    assert not session(switch).roll_back(restore=True, check=False).changed
    assert runs(switch) == before


def test_another_session_is_refused_and_an_own_leftover_removed() -> None:
    switch = EosSwitch(RUNNING)
    before = switch.running.text()
    switch.open_session("maintenance", "alice")
    with pytest.raises(DeviceError, match="session maintenance of alice is open on the switch. Nothing was changed"):
        session(switch).apply(rendered(EXAMPLE), check=False, disruptive=False)
    assert switch.running.text() == before
    assert list(switch.sessions) == ["maintenance"]
    del switch.sessions["maintenance"]
    Direct(switch).run([f"configure session {SESSION_PREFIX}0", "hostname half", "end"])
    applied(switch)
    assert switch.running.lines()[0] == "hostname leaf1"


def test_a_refused_line_leaves_everything_as_it_was() -> None:
    switch = EosSwitch(RUNNING)
    before = switch.running.text()
    switch.refused = "storm-control"
    with pytest.raises(
        DeviceError, match="storm-control broadcast level 1.5.*Nothing was changed, its session is aborted"
    ):
        session(switch).apply(rendered(EXAMPLE), check=False, disruptive=False)
    assert (switch.running.text(), switch.sessions, switch.files) == (before, {}, {})


@pytest.mark.parametrize("after", [False, True])
def test_a_connection_that_ends_anywhere_leaves_nothing_half_applied(after: bool) -> None:
    whole = EosSwitch(RUNNING)
    applied(whole)
    words = ("show", "configure", "commit", "copy", "more", "end", "vlan")
    steps = [step for step in dict.fromkeys(whole.log) if step.startswith(words)]
    seen = set()
    for step in steps:
        switch = EosSwitch(RUNNING)
        before = switch.running.text()
        switch.drop_at, switch.dropped_after = step, after
        one = session(switch)
        try:
            one.apply(rendered(EXAMPLE), check=False, disruptive=False)
            one.confirm(NAME)
        except DeviceError as error:
            seen.add(str(error).split(":")[0])
        switch.expire()
        assert switch.running.text() in (before, whole.running.text()), step
        switch.sessions.clear()
        applied(switch)
        assert switch.running.text() == whole.running.text()
    assert any(said.startswith("the commit of session") for said in seen)


def test_the_buffer_profile_needs_leave() -> None:
    intent = {**EXAMPLE, "devices": {"leaf1": {**EXAMPLE["devices"]["leaf1"], "asic": "trident3"}}}
    switch = EosSwitch(RUNNING)
    told = session(switch, intent).apply(rendered(intent), check=True, disruptive=False).disruptions
    assert len(told) == 1
    with pytest.raises(DeviceError, match="the buffer profile changes .*Nothing was changed. Next: allow it"):
        session(switch, intent).apply(rendered(intent), check=False, disruptive=False)
    assert switch.sessions == {}
    applied(switch, intent)
    assert "platform trident mmu queue profile TICKWIRE apply" in switch.running.lines()
    assert not findings(switch, intent)


@settings(max_examples=12)
@given(intents(), intents())
def test_any_intent_converges_over_any_other_and_goes_back(first: dict[str, Any], then: dict[str, Any]) -> None:
    switch = EosSwitch(RUNNING)
    before: list[str] = []
    for intent in (first, then):
        ran = runs(switch)
        one = applied(switch, intent)
        before = ran if runs(switch) != ran else before
        assert not [finding for finding in findings(switch, intent) if finding.severity == "error"]
        assert not session(switch, intent).apply(rendered(intent), check=True, disruptive=False).changed
    if one.roll_back(restore=True, check=False).changed:
        assert runs(switch) == before
