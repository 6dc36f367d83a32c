"""The lines that lead from what an Arista switch runs to what is wanted."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.disruption import disruptions
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.lines import Scope, commands, ours, parse

OURS = """\
platform trident mmu queue profile TICKWIRE
   ingress resume 1
platform trident mmu queue profile TICKWIRE apply
"""
SCOPE = Scope(("Ethernet1",), (110,))


@pytest.mark.parametrize(
    ("wanted", "running", "lines"),
    [
        # a setting replaces itself; one that nobody wants any more goes
        ("interface Ethernet1\n   mtu 9214", "interface Ethernet1\n   mtu 9000", ["interface Ethernet1", "mtu 9214"]),
        ("interface Ethernet1", "interface Ethernet1\n   mtu 9000", ["interface Ethernet1", "no mtu 9000"]),
        # where no would be the opposite of the default and not its absence
        (
            "interface Ethernet1",
            "interface Ethernet1\n   no lldp transmit",
            ["interface Ethernet1", "default lldp transmit"],
        ),
        (
            "interface Ethernet1",
            "interface Ethernet1\n   lldp transmit",
            ["interface Ethernet1", "default lldp transmit"],
        ),
        # not ours
        ("interface Ethernet1", "interface Ethernet1\n   description x\n   tx-queue 3\n      shape rate 1", []),
        ("", "interface Ethernet2\n   mtu 9000\nvlan 110\nqos map dscp 1 to traffic-class 3\nqos profile THEIRS", []),
        # a profile of ours goes as a whole, after what used it, unless another port has it
        ("", "qos profile TICKWIRE-1\n   tx-queue 3\n      no priority", ["no qos profile TICKWIRE-1"]),
        ("", "qos profile TICKWIRE-1\n   qos trust cos\ninterface Ethernet2\n   service-profile TICKWIRE-1", []),
        # codes that are right already are not entered again
        (
            "qos map dscp 1 2 3 to traffic-class 0",
            "qos map dscp 2 to traffic-class 0\nqos map dscp 3 to traffic-class 5",
            ["qos map dscp 1 3 to traffic-class 0"],
        ),
    ],
)
def test_only_the_difference_of_what_is_ours(wanted: str, running: str, lines: list[str]) -> None:
    assert commands(wanted, running, SCOPE) == lines


@pytest.mark.parametrize(
    ("before", "running", "lines"),
    [
        (
            "",
            "qos map dscp 1 2 to traffic-class 0\nqos map traffic-class 3 to tx-queue 1",
            ["no qos map dscp 1 2", "no qos map traffic-class 3 to tx-queue"],
        ),
        ("", "qos map traffic-class 3 to uc-tx-queue 1", ["no qos map traffic-class 3 to uc-tx-queue"]),
        (
            "qos map traffic-class 3 to tx-queue 3\nqos map traffic-class 3 to mc-tx-queue 1",
            "qos map traffic-class 3 to tx-queue 1\nqos map traffic-class 3 to mc-tx-queue 1",
            ["qos map traffic-class 3 to tx-queue 3"],
        ),
        ("", "ptp mode boundary\nhostname x", ["no ptp mode boundary"]),
        ("", "vlan 110\n   name a\nvlan 111", ["no vlan 110"]),
        (
            "platform trident mmu queue profile X apply",
            OURS,
            ["platform trident mmu queue profile X apply", "no platform trident mmu queue profile TICKWIRE"],
        ),
        (
            "",
            OURS,
            ["no platform trident mmu queue profile TICKWIRE apply", "no platform trident mmu queue profile TICKWIRE"],
        ),
    ],
)
def test_the_way_back_restores_the_switch_itself_too(before: str, running: str, lines: list[str]) -> None:
    assert commands(ours(before, SCOPE), running, SCOPE, restoring=True) == lines


def test_comments_and_the_end_are_no_lines() -> None:
    text = (
        "! Command: show running-config\nqos profile A\n   !\n   tx-queue 3\n      !! note\n      no priority\n!\nend\n"
    )
    assert parse(text) == [
        ("qos profile A",),
        ("qos profile A", "tx-queue 3"),
        ("qos profile A", "tx-queue 3", "no priority"),
    ]


def test_only_the_buffer_profile_disrupts() -> None:
    assert disruptions("--- a\n+++ b\n platform trident mmu queue profile X\n+   mtu 9214\n") == []
    assert len(disruptions("+platform trident mmu queue profile X\n-   ingress resume 1\n")) == 1
