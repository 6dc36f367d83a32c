"""Cards' firmware driven by the real module code against a card that remembers (tests/devices/nic_card.py)."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.firmware.apply import FirmwareResult, apply_firmware
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import firmware as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.devices import nic_card
from tests.unit.host.host_tree import Host

SLOT = "0000:3b:00"
PARAMETERS = {
    "ADVANCED_PCI_SETTINGS": "False(0)",
    "CNP_DSCP_P1": "0",
    "CNP_DSCP_P2": "0",
    "CQE_COMPRESSION": "BALANCED(0)",
    "PCI_WR_ORDERING": "per_mkey(0)",
    "SRIOV_EN": "False(0)",
    "HOST_CHAINING_DESCRIPTORS": "Array[0..7]",
    "HOST_CHAINING_DESCRIPTORS[3]": "128",
}
PROTECTED = {"workload_units": ["other-engine.service"], "workload_protection": True}


class Cards:
    """A host with one dual-port card, ens4 and ens5, and a NIC of somebody else, eth0."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.policy: dict[str, Any] = PROTECTED
        self.file = host.root.parent / "card.json"
        self.running_units: set[str] = set()
        self.state = {
            "slot": SLOT,
            "device_type": "ConnectX5",
            "parameters": {name: {"default": v, "current": v, "next": v} for name, v in PARAMETERS.items()},
            "hidden": ["PCI_WR_ORDERING"],
            "firmware": {"version": "16.28.2006", "running": "16.28.2006", "psid": "MT_0000000011"},
            "reset_levels": [4],
        }
        for tool in nic_card.PROGRAMS:
            host.write(f"usr/bin/{tool}", "#!/bin/sh\n")
        for function, name, vendor in ((f"{SLOT}.0", "ens4", "0x15b3"), (f"{SLOT}.1", "ens5", "0x15b3")):
            self._nic(function, name, vendor)
        self._nic("0000:00:03.0", "eth0", "0x1af4")
        self.boot("boot-1")

    def _nic(self, function: str, name: str, vendor: str) -> None:
        device = self.host.write(f"sys/bus/pci/devices/{function}/vendor", vendor + "\n").parent
        (self.host.root / f"sys/class/net/{name}").mkdir(parents=True)
        (self.host.root / f"sys/class/net/{name}/device").symlink_to(device)

    @property
    def state(self) -> dict[str, Any]:
        return json.loads(self.file.read_text())

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.file.write_text(json.dumps(state))

    def change(self, **values: Any) -> None:
        self.state = {**self.state, **values}

    def parameter(self, name: str, **values: str) -> None:
        state = self.state
        state["parameters"][name].update(values)
        self.state = state

    def boot(self, boot_id: str, load: bool = False) -> None:
        self.host.write("proc/sys/kernel/random/boot_id", boot_id + "\n")
        if load:
            state = self.state
            nic_card.load(state)
            self.state = state

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        program = argv[0].rsplit("/", 1)[-1]
        if program == "systemctl":
            states = {True: "active", False: "inactive"}
            return 0, "\n".join(f"ActiveState={states[unit in self.running_units]}\n" for unit in argv[4:]), ""
        return *nic_card.run(self.file, program, argv[1:]), ""

    def trade(self, *units: str) -> None:
        """These units run, and no others."""
        (self.host.root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
        self.running_units = set(units)

    def ran(self, *words: str) -> list[list[str]]:
        return [call for call in self.state.get("log", []) if set(words) <= set(call)]

    @property
    def system(self) -> System:
        return System(self.host.root, self.run)

    def apply(self, *devices: dict[str, Any], bounce: bool = False, check: bool = False) -> FirmwareResult:
        return apply_firmware(self.system, devices, bounce, self.policy, check)

    def image(self, version: str, psid: str = "MT_0000000011") -> dict[str, str]:
        text = json.dumps({"version": version, "psid": psid})
        # The card's program takes the path as it is on the host, which here is the tree's.
        path = self.host.write("var/lib/firmware/card.bin", text)
        return {
            "path": str(path.relative_to(self.host.root)),
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
        }


@pytest.fixture
def cards(host: Host, tmp_path: Path) -> Cards:
    host.root = tmp_path / "root"
    return Cards(host)


def ens4(**settings: Any) -> dict[str, Any]:
    return {"device": "ens4", "settings": settings}


def states(result: FirmwareResult) -> dict[str, str]:
    return {item["name"]: item["state"] for card in result.cards for item in card["settings"]}


@pytest.mark.parametrize("with_json", [False, True], ids=["4.21", "newer"])
def test_set_wait_load(cards: Cards, with_json: bool) -> None:
    cards.change(json=with_json)
    wanted = ens4(CNP_DSCP=48, SRIOV_EN=True, CQE_COMPRESSION="balanced")
    foretold = cards.apply(wanted, check=True)
    assert foretold.changed and not cards.ran("set")
    first = cards.apply(wanted)
    assert first.changed and (first.before, first.after) == (foretold.before, foretold.after)
    assert cards.ran("set") == [
        ["mstconfig", "-d", f"{SLOT}.0", "-y", "set", "CNP_DSCP_P1=48", "CNP_DSCP_P2=48", "SRIOV_EN=1"]
    ]
    assert states(first) == {
        "CNP_DSCP_P1": "pending",
        "CNP_DSCP_P2": "pending",
        "CQE_COMPRESSION": "as wanted",
        "SRIOV_EN": "pending",
    }
    [card] = first.cards
    assert (card["result"], card["loaded_by"]) == ("Pending", "reboot")
    assert foretold.reboot_required and first.reboot_required
    second = cards.apply(wanted)
    assert not second.changed and len(cards.ran("set")) == 1, "what waits is not set again"
    assert second.reboot_required
    cards.boot("boot-2", load=True)
    third = cards.apply(wanted)
    assert not third.changed and third.cards[0]["result"] == "Applied" and not third.reboot_required


def test_check_mode_asks_and_writes_nothing(cards: Cards) -> None:
    image = cards.image("16.35.4030")
    before = cards.host.tree()
    wanted = {**ens4(SRIOV_EN=1), "image": image}
    result = cards.apply(wanted, bounce=True, check=True)
    assert result.changed and result.after == [f"{SLOT} SRIOV_EN=1", f"{SLOT} firmware 16.35.4030"]
    assert cards.host.tree() == before
    assert all("query" in call for call in cards.state["log"])


def test_a_setting_that_the_reboot_did_not_bring_is_its_own_error(cards: Cards) -> None:
    cards.change(stubborn=["SRIOV_EN"])
    cards.apply(ens4(SRIOV_EN=1, CNP_DSCP=48))
    cards.boot("boot-2", load=True)
    with pytest.raises(HostError, match="SRIOV_EN is False.*failed to apply after reboot") as error:
        cards.apply(ens4(SRIOV_EN=1, CNP_DSCP=48))
    assert "CNP_DSCP" not in str(error.value)
    [found] = part.PART.drift(cards.system, {"firmware": [ens4(SRIOV_EN=1, CNP_DSCP=48)]}, False)
    assert not found.pending_reboot, "no reboot sets it right"


def test_a_card_that_lives_through_reboots_waits_for_power(cards: Cards) -> None:
    cards.change(device_type="BlueField2")
    result = cards.apply(ens4(SRIOV_EN=1))
    assert result.cards[0]["loaded_by"] == "power cycle" and not result.reboot_required
    cards.boot("boot-2")
    assert cards.apply(ens4(SRIOV_EN=1)).cards[0]["result"] == "Pending"


def test_what_is_not_there_is_told_by_name_and_the_rest_is_set(cards: Cards) -> None:
    result = cards.apply(ens4(PCI_WR_ORDERING=1, NO_SUCH_THING=1, CNP_DSCP_P3=48, SRIOV_EN=1))
    assert result.cards[0]["result"] == "PartiallyApplied" and result.changed
    reasons = {item["name"]: item["reason"] for item in result.cards[0]["settings"]}
    assert reasons["PCI_WR_ORDERING"].startswith("it is hidden while ADVANCED_PCI_SETTINGS is off")
    assert reasons["CNP_DSCP_P3"] == "the card has 2 ports"
    assert any("NO_SUCH_THING is not applied" in warning for warning in result.warnings)
    cards.parameter("ADVANCED_PCI_SETTINGS", current="True(1)", next="True(1)")
    again = cards.apply(ens4(PCI_WR_ORDERING=1, NO_SUCH_THING=1, SRIOV_EN=1))
    assert states(again)["PCI_WR_ORDERING"] == "pending"
    assert "this firmware does not know it" in " ".join(again.warnings)


def test_two_functions_are_one_card(cards: Cards) -> None:
    result = cards.apply(ens4(SRIOV_EN=1), {"device": "3b:00.1", "settings": {"SRIOV_EN": True, "CNP_DSCP_P2": 48}})
    assert len(result.cards) == 1 and len(cards.ran("set")) == 1
    with pytest.raises(HostError, match="ens5 and ens4 are one card, and the other wants 1"):
        cards.apply(ens4(SRIOV_EN=1), {"device": "ens5", "settings": {"SRIOV_EN": 0}})


def test_elements_of_arrays(cards: Cards) -> None:
    with pytest.raises(HostError, match=r"it is an array, Array\[0..7\]. Name its elements"):
        cards.apply(ens4(HOST_CHAINING_DESCRIPTORS=64))
    result = cards.apply(ens4(**{"HOST_CHAINING_DESCRIPTORS[3]": 64}))
    assert states(result) == {"HOST_CHAINING_DESCRIPTORS[3]": "pending"}


def test_a_setting_taken_away_goes_back(cards: Cards) -> None:
    cards.apply(ens4(SRIOV_EN=1, CNP_DSCP=48))
    cards.boot("boot-2", load=True)
    back = cards.apply(ens4(CNP_DSCP=48))
    assert back.changed and cards.ran("SRIOV_EN=0")
    assert not cards.apply(ens4(CNP_DSCP=48)).changed
    assert cards.apply().changed and cards.state["parameters"]["CNP_DSCP_P2"]["next"] == "0"
    cards.boot("boot-3", load=True)
    assert not cards.apply().changed
    assert not list((cards.host.root / "var/lib/tickwire").iterdir()), "nothing is remembered"


def test_a_refusal_puts_back_what_was_written_before_it(cards: Cards) -> None:
    cards.change(refused=["SRIOV_EN"])
    with pytest.raises(HostError, match="SRIOV_EN: Bad parameter"):
        cards.apply(ens4(SRIOV_EN=1, CNP_DSCP=48))
    assert {value["next"] for name, value in cards.state["parameters"].items() if "DSCP" in name} == {"0"}
    assert not list((cards.host.root / "var/lib/tickwire").iterdir())


def test_what_does_not_read_back_is_an_error(cards: Cards) -> None:
    cards.change(deaf=["SRIOV_EN"])
    with pytest.raises(HostError, match="it does not read back"):
        cards.apply(ens4(SRIOV_EN=1))


def test_a_firmware_reset_needs_leave_and_nobody_who_trades(cards: Cards) -> None:
    cards.change(reset_levels=[3, 4])
    result = cards.apply(ens4(SRIOV_EN=1))
    assert result.cards[0]["loaded_by"] == "firmware reset" and not cards.ran("reset")
    for unit, why in (
        ("other-engine.service", "other-engine.service is active"),
        ("tickwire-engine.service", "tickwire-engine.service is active without a process"),
    ):
        cards.trade(unit)
        result = cards.apply(ens4(SRIOV_EN=1), bounce=True)
        assert not result.changed and not cards.ran("reset")
        assert f"NIC firmware {SLOT}: not reset: {why}, and no maintenance window is open" in result.warnings
    cards.trade()
    result = cards.apply(ens4(SRIOV_EN=1), bounce=True)
    assert result.changed and result.cards[0]["result"] == "Applied" and result.warnings == []
    assert not cards.apply(ens4(SRIOV_EN=1), bounce=True).changed
    cards.change(stubborn=["CNP_DSCP_P1"])
    with pytest.raises(HostError, match="failed to apply after a firmware reset"):
        cards.apply(ens4(SRIOV_EN=1, CNP_DSCP_P1=48), bounce=True)


def test_an_image_is_burned_with_leave_only(cards: Cards) -> None:
    wanted = {"device": "ens4", "image": cards.image("16.35.4030")}
    told = cards.apply(wanted)
    assert not told.changed and "the image is not burned without leave" in told.warnings[0]
    [found] = part.PART.drift(cards.system, {"firmware": [wanted]}, False)
    assert (found.wanted, found.found, found.pending_reboot) == ("16.35.4030", "16.28.2006", False)
    cards.trade("other-engine.service")
    refused = cards.apply(wanted, bounce=True)
    assert not refused.changed and not cards.ran("burn")
    assert "the image is not burned: other-engine.service is active" in refused.warnings[0]
    cards.trade()
    burned = cards.apply(wanted, bounce=True)
    assert burned.changed and burned.reboot_required
    assert (burned.cards[0]["version"], burned.cards[0]["running_version"]) == ("16.35.4030", "16.28.2006")
    assert not cards.apply(wanted, bounce=True).changed and len(cards.ran("burn")) == 1
    cards.boot("boot-2", load=True)
    assert cards.apply(wanted).cards[0]["result"] == "Applied"


@pytest.mark.parametrize("policy", [{"maintenance_window": True}, {"workload_protection": False}], ids=str)
def test_the_rules_of_the_host_are_those_of_its_cards(cards: Cards, policy: dict[str, Any]) -> None:
    cards.change(reset_levels=[3, 4])
    cards.policy = {**PROTECTED, **policy}
    cards.trade("tickwire-engine.service", "other-engine.service")
    assert cards.apply(ens4(SRIOV_EN=1), bounce=True).cards[0]["result"] == "Applied"


def test_a_card_of_which_nothing_is_wanted_any_more_leaves_no_file(cards: Cards) -> None:
    cards.apply(ens4(SRIOV_EN=1))
    cards.boot("boot-2", load=True)
    cards.apply(ens4(SRIOV_EN=1))
    back = cards.apply()
    assert back.changed and back.reboot_required and states(back) == {"SRIOV_EN": "pending"}
    assert not list((cards.host.root / "var/lib/tickwire").iterdir())
    assert not cards.apply().changed


@pytest.mark.parametrize(
    ("flash", "image", "minimum", "burns"),
    [
        ("16.28.2006", "16.35.4030", "", True),
        ("16.28.2006", "16.35.4030", "16.28.2006", False),
        ("16.4.1000", "16.35.4030", "16.28.2006", True),
        ("16.40.1000", "16.35.4030", "", False),
    ],
)
def test_older_firmware_is_brought_up_and_newer_is_left(
    cards: Cards, flash: str, image: str, minimum: str, burns: bool
) -> None:
    cards.change(firmware={"version": flash, "running": flash, "psid": "MT_0000000011"})
    wanted = {"device": "ens4", "image": cards.image(image), "minimum_version": minimum}
    assert cards.apply(wanted, bounce=True).changed is burns
    assert cards.state["firmware"]["version"] == (image if burns else flash)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "00" * 32}, "its SHA-256 is"),
        ({"path": "/no/such"}, "there is no such file on the host"),
    ],
)
def test_a_wrong_image_is_refused(cards: Cards, change: dict[str, str], message: str) -> None:
    with pytest.raises(HostError, match=message):
        cards.apply({"device": "ens4", "image": {**cards.image("16.35.4030"), **change}}, bounce=True)


def test_an_image_for_another_card_is_refused(cards: Cards) -> None:
    with pytest.raises(HostError, match="it is for PSID MT_0000000999, and 0000:3b:00 has MT_0000000011"):
        cards.apply({"device": "ens4", "image": cards.image("16.35.4030", "MT_0000000999")}, bounce=True)
    with pytest.raises(HostError, match="its version 16.29.1000 is below the wanted minimum 16.30.1000"):
        cards.apply({"device": "ens4", "image": cards.image("16.29.1000"), "minimum_version": "16.30.1000"})
    with pytest.raises(HostError, match="16.28.2006': it is below the wanted minimum 16.30.1000"):
        cards.apply({"device": "ens4", "minimum_version": "16.30.1000"})
    cards.change(broken_burn=True)
    with pytest.raises(HostError, match="write protected"):
        cards.apply({"device": "ens4", "image": cards.image("16.35.4030")}, bounce=True)
    assert not cards.ran("reset")


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("eth0", "no mstflint device: 0000:00:03.0 is of PCI vendor 0x1af4"),
        ("ens9", "no interface or RDMA device of this host"),
        ("0000:3c:00.0", "this host has no such PCI device"),
        ("../ens4", "no interface or RDMA device of this host"),
    ],
)
def test_a_device_that_is_none(cards: Cards, device: str, message: str) -> None:
    with pytest.raises(HostError, match=message):
        cards.apply({"device": device, "settings": {"SRIOV_EN": 1}})
    with pytest.raises(HostError, match=message):
        part.PART.check(cards.system, {"firmware": [{"device": device}]})


def test_a_host_without_mstflint_or_without_wishes(cards: Cards) -> None:
    (cards.host.root / "usr/bin/mstconfig").unlink()
    with pytest.raises(HostError, match="Install the package mstflint"):
        cards.apply(ens4(SRIOV_EN=1))
    nothing = System(cards.host.root, cards.host.run_nothing)
    assert not apply_firmware(nothing, [], False, PROTECTED, False).changed
    report = drift.report(nothing, {})
    assert report["running"]["nic_firmware"] == []


def test_drift_tells_the_next_boot_from_this_one(cards: Cards) -> None:
    wanted = {"firmware": [ens4(SRIOV_EN=1, CNP_DSCP_P1=48, NO_SUCH_THING=1)]}
    cards.parameter("CNP_DSCP_P1", next="48")
    found = part.PART.drift(cards.system, wanted, False)
    assert [(item.item, item.wanted, item.found, item.pending_reboot) for item in found] == [
        (f"NIC firmware {SLOT} CNP_DSCP_P1", "48", "0", True),
        (f"NIC firmware {SLOT} SRIOV_EN at the next boot", "1", "False(0)", False),
    ]
    [card] = part.PART.running(cards.system, wanted)["nic_firmware"]
    assert [item["name"] for item in card["not_applied"]] == ["NO_SUCH_THING"]


def test_the_programs_as_processes(cards: Cards) -> None:
    """The newer mstconfig writes its JSON into another process's memory file."""
    cards.change(json=True)
    root = Path(__file__).resolve().parents[3]

    def run(argv: list[str]) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "tests.devices.nic_card", str(cards.file), Path(argv[0]).name, *argv[1:]]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout, done.stderr

    result = apply_firmware(System(cards.host.root, run), [ens4(SRIOV_EN=1)], False, PROTECTED, False)
    assert result.changed and states(result) == {"SRIOV_EN": "pending"}
