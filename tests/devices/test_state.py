"""The configuration of the test switches behaves as a command line does."""

from __future__ import annotations

import pytest
from hier_config import Platform

from tests.devices.state import Config, Position, Refused, Rule

QUEUE = (Rule("bandwidth percent", r"\d+"), Rule("priority", "strict", keeps_no=True))
GRAMMAR = (
    Rule(
        r"interface Ethernet\d+",
        opens=(Rule("mtu", r"\d+"), Rule("description", ".+"), Rule("lldp transmit", keeps_no=True)),
    ),
    Rule(r"qos profile \S+", opens=(Rule(r"tx-queue \d", opens=QUEUE),)),
    Rule(r"map dscp [\d ]+", r"to \d", expand=lambda line: [f"map dscp {n} to {line[-1]}" for n in line.split()[2:-2]]),
)


def entered(config: Config, *lines: str) -> Config:
    position = Position(GRAMMAR)
    for line in lines:
        config.enter(position, line)
    return config


def test_lines_go_to_the_mode_that_knows_them() -> None:
    lines = (
        "interface Ethernet1",
        "mtu 9214",
        "qos profile A",
        "tx-queue 3",
        "bandwidth percent 50",
        "tx-queue 0",
        "no priority",
    )
    config = entered(Config(Platform.ARISTA_EOS), *lines)
    assert config.lines() == [
        "interface Ethernet1",
        "   mtu 9214",
        "qos profile A",
        "   tx-queue 3",
        "      bandwidth percent 50",
        "   tx-queue 0",
        "      no priority",
    ]


def test_a_setting_replaces_itself_and_no_takes_it_away() -> None:
    config = entered(Config(Platform.ARISTA_EOS), "interface Ethernet1", "mtu 9000", "mtu 9214", "description x")
    assert config.lines() == ["interface Ethernet1", "   mtu 9214", "   description x"]
    assert entered(config, "interface Ethernet1", "no mtu", "default description").lines() == ["interface Ethernet1"]
    assert entered(config, "interface Ethernet1", "no lldp transmit").lines()[1:] == ["   no lldp transmit"]
    assert entered(config, "interface Ethernet1", "lldp transmit").lines()[1:] == []
    assert entered(config, "no interface Ethernet1").lines() == []


@pytest.mark.parametrize("line", ["mtu 9214", "interface Vlan1", "no nonsense"])
def test_an_unknown_line_is_refused(line: str) -> None:
    with pytest.raises(Refused, match=line):
        entered(Config(Platform.ARISTA_EOS), line)


def test_one_line_can_be_several_settings() -> None:
    config = entered(Config(Platform.ARISTA_EOS), "map dscp 1 2 to 0", "map dscp 2 3 to 4")
    assert config.lines() == ["map dscp 1 to 0", "map dscp 2 to 4", "map dscp 3 to 4"]


def test_a_copy_is_its_own_and_the_difference_is_shown() -> None:
    running = entered(Config(Platform.ARISTA_EOS), "interface Ethernet1", "mtu 9000")
    session = entered(running.copy(), "interface Ethernet1", "mtu 9214")
    assert running.lines()[1] == "   mtu 9000"
    assert running.diff(session).splitlines() == ["interface Ethernet1", "  - mtu 9000", "  + mtu 9214"]
    assert running.diff(running.copy()) == ""
