# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Any sound intent round-trips and any mistake is refused where it is; any switch converges in one run."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.compare import drift
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import (
    desired_switch,
    ewma_log,
    rebuilt,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.plan import plan
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.session import Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.state import Red, SwitchError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import Iproute
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.mapping import fabric_mapping
from tests.unit.fabric.fake_switch import PATHS, FakeSwitch

SPEEDS = [1, 10, 25, 40, 50, 100, 200, 400, 800, 1600]
MAYBE_ECN = st.one_of(
    st.none(),
    st.just({}),
    st.builds(
        lambda low, more, pmax: {"kmin_kb": low, "kmax_kb": low + more, "pmax": pmax},
        st.integers(1, 20_000),
        st.integers(1, 20_000),
        st.integers(1, 100),
    ),
)


@st.composite
def intents(draw: st.DrawFn) -> dict[str, Any]:
    """Sound intents with a Linux switch sw1 that has one to three ports."""
    count = draw(st.integers(1, 5))
    priorities = draw(st.lists(st.integers(0, 7), min_size=count, max_size=count, unique=True))
    dscps = draw(st.lists(st.integers(0, 63), min_size=count, max_size=count + 6, unique=True))
    cuts = sorted(draw(st.lists(st.integers(1, 99), min_size=count - 1, max_size=count - 1, unique=True)))
    shares = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    lanes: dict[str, Any] = {}
    for index in range(count):
        lane: dict[str, Any] = {"dscp": [dscps[index]], "priority": priorities[index], "share": shares[index]}
        lane["lossless"] = draw(st.booleans())
        ecn = draw(MAYBE_ECN)
        if ecn is not None:
            lane["ecn"] = ecn
        lanes[f"lane{index}"] = lane
    lanes["lane0"]["dscp"] += dscps[count:]
    lanes[f"lane{draw(st.integers(0, count - 1))}"]["default"] = True
    spare = [priority for priority in range(8) if priority not in priorities]
    unused = next(dscp for dscp in range(64) if dscp not in dscps)
    if draw(st.booleans()):
        lanes["cnp"] = {"dscp": [unused], "priority": draw(st.sampled_from(spare)), "strict": True}
    host = draw(st.integers(1280, 9216))
    links = [
        {
            "a": f"sw1:swp{number}",
            "b": f"host{number}:fab0",
            "speed_gbps": draw(st.sampled_from(SPEEDS)),
            "cable_m": draw(st.one_of(st.integers(1, 300), st.floats(0.1, 300))),
            "vlan": draw(st.sampled_from(["trading", "storage"])),
        }
        for number in range(1, draw(st.integers(1, 3)) + 1)
    ]
    vids = draw(st.lists(st.integers(1, 4094), min_size=2, max_size=2, unique=True))
    intent: dict[str, Any] = {
        "name": "ldn1",
        "mtu": {"host": host, "switch": draw(st.integers(host, 9216))},
        "lanes": lanes,
        "vlans": dict(zip(["trading", "storage"], vids, strict=True)),
        "links": links,
    }
    if draw(st.booleans()):
        intent["watchdog"] = {"detect_ms": draw(st.integers(100, 5000)), "action": "alert"}
    return intent


def linux(intent: dict[str, Any]) -> Any:
    """The desired switch; intents whose marking curve tc can not do are not meant here."""
    try:
        return desired_switch(parse_intent(intent), "sw1")
    except IntentError as error:
        assume("too far apart" not in error.reason)
        raise


@given(intents())
def test_a_sound_intent_round_trips(intent: dict[str, Any]) -> None:
    fabric = parse_intent(intent)
    written = fabric_mapping(fabric)
    assert parse_intent(written) == fabric
    assert fabric_mapping(parse_intent(written)) == written
    assert sorted(lane.priority for lane in fabric.bands) == sorted(
        lane["priority"] for lane in intent["lanes"].values()
    )


def mistakes(intent: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """Mutants of a sound intent, each with the path its refusal has to have."""
    found = []

    def mutant(path: str, *way: Any, value: Any) -> None:
        wrong = copy.deepcopy(intent)
        here: Any = wrong
        for step in way[:-1]:
            here = here[step]
        here[way[-1]] = value
        found.append((wrong, path))

    for name, lane in intent["lanes"].items():
        path = f"fabric.lanes.{name}"
        mutant(f"{path}.priority", "lanes", name, "priority", value=8)
        mutant(f"{path}.dscp[{len(lane['dscp'])}]", "lanes", name, "dscp", value=[*lane["dscp"], 64])
        mutant(f"{path}.dscp[{len(lane['dscp'])}]", "lanes", name, "dscp", value=[*lane["dscp"], lane["dscp"][0]])
        mutant(f"{path}.weight", "lanes", name, "weight", value=1)
        mutant(f"{path}.ecn", "lanes", name, "ecn", value={"kmin_kb": 2, "kmax_kb": 1, "pmax": 1})
        mutant(f"{path}.ecn.pmax", "lanes", name, "ecn", value={"pmax": 0})
        if "share" in lane:
            mutant(f"{path}.strict", "lanes", name, "strict", value="yes")
            if lane["share"] < 100:
                mutant("fabric.lanes", "lanes", name, "share", value=lane["share"] + 1)
        else:
            mutant(f"{path}.share", "lanes", name, "share", value=10)
    for index in range(len(intent["links"])):
        path = f"fabric.links[{index}]"
        mutant(f"{path}.a", "links", index, "a", value="sw1")
        mutant(path, "links", index, "a", value=f"host{index + 1}:other")
        mutant(f"{path}.cable_m", "links", index, "cable_m", value=0)
        mutant(f"{path}.speed_gbps", "links", index, "speed_gbps", value=3)
        mutant(f"{path}.vlan", "links", index, "vlan", value="none")
    mutant("fabric.vlans.storage", "vlans", "storage", value=intent["vlans"]["trading"])
    mutant("fabric.mtu", "mtu", value={"host": 9000, "switch": 1500})
    mutant("fabric.watchdog.detect_ms", "watchdog", value={"detect_ms": 1})
    mutant("fabric.color", "color", value="blue")
    return found


@settings(max_examples=30)
@given(intents())
def test_every_mistake_is_refused_at_its_path(intent: dict[str, Any]) -> None:
    for wrong, path in mistakes(intent):
        with pytest.raises(IntentError) as error:
            parse_intent(wrong)
        assert error.value.path == path, str(error.value)


@given(intents())
def test_nothing_to_do_when_all_is_as_desired(intent: dict[str, Any]) -> None:
    desired = linux(intent)
    assert not plan(desired, desired) and drift(desired, desired) == []


def disturb(switch: FakeSwitch, data: st.DataObject) -> None:
    """Leave a configured switch half undone, in ways that happen."""
    for name in list(switch.qdiscs):
        what = data.draw(
            st.sampled_from(["", "root", "netem", "our handle", "child", "filters", "red", "vlan", "out", "down"])
        )
        netem = {"kind": "netem", "handle": "8001:", "options": {}}
        if what in ("root", "netem", "our handle"):
            tree = {"netem": {"root": netem}, "our handle": {"root": {**netem, "handle": "1:"}}}
            switch.qdiscs[name] = tree.get(what, {})
            switch.filters[name] = {}
        elif what == "child":
            switch.qdiscs[name]["1:1"] = {**netem, "handle": "11:"}
        elif what == "filters":
            keys = sorted(switch.filters[name])
            switch.filters[name].pop(keys[data.draw(st.integers(0, len(keys) - 1))])
        elif what == "red":
            for parent, qdisc in switch.qdiscs[name].items():
                if parent != "root":
                    qdisc["options"]["ecn"] = False
        elif what == "vlan":
            switch.vlans[name] = {7: ["PVID"]}
        elif what == "out":
            switch.links[name]["master"] = ""
            switch.vlans.pop(name)
        elif what == "down":
            switch.links[name].update(up=False, mtu=1500)


@settings(max_examples=60)
@given(st.data(), intents(), intents())
def test_any_switch_converges_in_one_run(data: st.DataObject, before: dict[str, Any], after: dict[str, Any]) -> None:
    former, desired = linux(before), linux(after)
    switch = FakeSwitch(["swp1", "swp2", "swp3"])
    root = Path(tempfile.gettempdir())  # persist is off: nothing is read or written there
    tools = Iproute(switch.run, PATHS)
    Session(tools, former, root, persist=False).apply()
    known = {port.name for port in former.ports}
    for name in ("swp1", "swp2", "swp3"):
        if name not in known:
            switch.vlans.pop(name, None)
    partial = {name: tree for name, tree in switch.qdiscs.items() if name in known}
    everything, switch.qdiscs = switch.qdiscs, partial
    disturb(switch, data)
    switch.qdiscs = everything | switch.qdiscs

    session = Session(tools, desired, root, persist=False)
    looked = session.check()
    assert bool(looked["commands"]) == bool(looked["drift"])
    result = session.apply()
    assert result["state"] == Session(tools, desired, root, persist=False).check()["state"]
    again = Session(tools, desired, root, persist=False).check()
    assert (again["commands"], again["drift"], again["changed"]) == ([], [], False)


@settings(max_examples=60)
@given(st.data(), intents(), intents())
def test_a_refused_queue_line_leaves_that_port_as_it_was(
    data: st.DataObject, before: dict[str, Any], after: dict[str, Any]
) -> None:
    former, desired = linux(before), linux(after)
    switch = FakeSwitch(["swp1", "swp2", "swp3"])
    tools = Iproute(switch.run, PATHS)
    root = Path(tempfile.gettempdir())
    Session(tools, former, root, persist=False).apply()
    session = Session(tools, desired, root, persist=False)
    assume(session.plan.queues)
    port, lines = data.draw(st.sampled_from(session.plan.queues))
    switch.fail = data.draw(st.sampled_from(lines))
    was = copy.deepcopy((switch.qdiscs[port], sorted(switch.filters[port].items())))
    with pytest.raises(SwitchError, match=f"former queues of {port} were put back"):
        session.apply()
    assert (switch.qdiscs[port], sorted(switch.filters[port].items())) == was


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.integers(1, 8))
def test_a_red_that_was_read_can_be_made_again(kmin_kb: int, more_kb: int, ewma: int) -> None:
    high = (kmin_kb + more_kb) * 1000
    assume(high.bit_length() + ewma <= 31)
    read = Red(limit=4 * high, minimum=kmin_kb * 1000, maximum=high, probability=0.1, ewma=ewma)
    again = rebuilt(read, 100)
    assert again == read and ewma_log(again.minimum, again.burst, again.avpkt) == ewma


@given(intents())
def test_red_fits_the_kernel_and_the_manual(intent: dict[str, Any]) -> None:
    for port in linux(intent).ports:
        for _band, red in port.egress.reds:
            assert red.maximum.bit_length() + red.ewma <= 31 and red.ewma >= 1
            assert red.limit < 2**32 and red.bandwidth_gbps * 10**9 / 8 < 2**32
            assert red.burst >= red.minimum / red.avpkt, "or tc finds no weight"
            assert red.minimum < red.maximum < red.limit and 0 < red.probability < 1
