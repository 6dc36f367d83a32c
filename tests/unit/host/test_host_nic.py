"""Settings of network cards: only the difference, in order, all or nothing, and back when they are taken away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import document
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic import pcie
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.apply import NicResult, apply_nics, reapply
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.bounce import bounces
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.ethtool import NotSupported
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.mtu import find_owner
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.wanted import parse_nics
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts.nic import PART
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.nic_host import READS, NicHost

FEED = {"dst_ip": "233.54.12.111", "dst_port": 26477}
WANTED: dict[str, Any] = {
    "name": "twx0",
    "rings": {"rx": "max", "tx": 1024},
    "channels": {"combined": 4},
    "coalesce": {"adaptive_rx": False, "adaptive_tx": False, "rx_usecs": 0},
    "pause": {"rx": False, "tx": False},
    "offloads": {"lro": "off"},
    "private_flags": {"fw-lldp-agent": False},
    "mtu": 9000,
    "ntuple": [{**FEED, "queue": 3}],
}


@pytest.fixture
def host(tmp_path: Path) -> NicHost:
    return NicHost(tmp_path)


def no_sleep(seconds: float) -> None:
    raise AssertionError("there is nothing to wait for")


def apply(host: NicHost, *nics: dict[str, Any], check: bool = False, bounce: bool = True) -> NicResult:
    system = host.reads_only() if check else host.system
    return apply_nics(system, parse_nics(nics), check, bounce, sleep=no_sleep)


def writes(host: NicHost) -> list[str]:
    return [" ".join(argv) for argv in host.ran if argv[1] not in READS]


def test_one_command_per_group_in_the_order_in_which_drivers_forget(host: NicHost) -> None:
    result = apply(host, WANTED)
    assert writes(host) == [
        "ip link set dev twx0 mtu 9000",
        "ethtool -L twx0 combined 4",
        "ethtool -G twx0 rx 4096 tx 1024",
        "ethtool -A twx0 rx off tx off",
        "ethtool -K twx0 large-receive-offload off ntuple-filters on",
        "ethtool -C twx0 adaptive-rx off adaptive-tx off",
        "ethtool -C twx0 rx-usecs 0",
        "ethtool -N twx0 flow-type udp4 dst-ip 233.54.12.111 dst-port 26477 action 3",
        "ethtool -X twx0 weight 1 1 1 0",
    ]
    costs = {change.setting: change.bounce for change in result.changes}
    assert costs["rings.rx"] and costs["mtu"] and not costs["coalesce.rx-usecs"] and not costs["rss"]
    host.ran.clear()
    again = apply(host, WANTED, bounce=False)
    assert not again.changed and writes(host) == []


def test_check_mode_says_the_same_and_writes_nothing(host: NicHost) -> None:
    before = host.tree()
    planned = apply(host, WANTED, check=True)
    assert host.tree() == before
    assert list(map(str, planned.changes)) == list(map(str, apply(host, WANTED).changes))
    assert not apply(host, WANTED, check=True).changed


def test_a_change_of_intent_sets_only_that(host: NicHost) -> None:
    apply(host, WANTED)
    host.ran.clear()
    result = apply(host, {**WANTED, "coalesce": {**WANTED["coalesce"], "rx_usecs": 4}}, bounce=False)
    assert writes(host) == ["ethtool -C twx0 rx-usecs 4"]
    assert list(map(str, result.changes)) == ["coalesce.rx-usecs of twx0: 0 -> 4"]


def test_what_is_taken_away_goes_back(host: NicHost) -> None:
    card = host.cards["twx0"]
    before = ({name: dict(group) for name, group in card.groups.items()}, list(card.table))
    apply(host, WANTED)
    apply(host, {**WANTED, "rings": {"rx": "max"}, "ntuple": []})
    assert card.groups["g"] == {"rx": "4096", "tx": "512"} and card.rules == {}
    assert card.table == [entry % 4 for entry in range(128)]
    apply(host)
    assert ({name: dict(group) for name, group in card.groups.items()}, card.table) == before
    assert host.system.read("sys/class/net/twx0/mtu") == "1500"
    assert not (host.root / "var/lib/tickwire/host-before.json").exists()
    assert not apply(host).changed


def test_an_interface_that_is_gone_is_forgotten(host: NicHost) -> None:
    host.add("twx1")
    apply(host, WANTED, {"name": "twx1", "rings": {"rx": 1024}})
    for name in ("operstate", "mtu", "ifindex"):
        (host.root / "sys/class/net/twx1" / name).unlink()
    (host.root / "sys/class/net/twx1").rmdir()
    apply(host, WANTED)
    assert "twx1" not in (host.root / "var/lib/tickwire/host-before.json").read_text()
    with pytest.raises(HostError, match="network card 'twx1': this host has no such interface"):
        apply(host, {"name": "twx1", "rings": {"rx": 1024}})


def test_a_bounce_is_refused_before_anything_is_done_unless_the_link_is_down(host: NicHost) -> None:
    with pytest.raises(HostError, match="rings.rx of twx0: 512 -> 1024': this takes the link down.*bounce_allowed"):
        apply(host, {"name": "twx0", "rings": {"rx": 1024}, "offloads": {"lro": False}}, bounce=False)
    assert writes(host) == []
    assert apply(host, {"name": "twx0", "offloads": {"lro": False}}, bounce=False).changed
    host.write("sys/class/net/twx0/operstate", "down\n")
    assert apply(host, {"name": "twx0", "rings": {"rx": 1024}}, bounce=False).changed


@pytest.mark.parametrize(
    ("words", "said", "reason"),
    [
        ("-C twx0", "netlink error: Invalid argument\n", "ethtool -C twx0 .*Invalid argument"),
        ("-N twx0", "rmgr: Cannot insert RX class rule: No space left on device\n", "No space left on device"),
        ("-X twx0", "netlink error: Invalid argument\n", "ethtool -X twx0"),
    ],
)
def test_a_refusal_puts_everything_back(host: NicHost, words: str, said: str, reason: str) -> None:
    card = host.cards["twx0"]
    before = {name: dict(group) for name, group in card.groups.items()}
    host.refuse[words] = said
    with pytest.raises(HostError, match=reason) as caught:
        apply(host, WANTED)
    assert str(caught.value).endswith("what was changed was put back")
    host.refuse.clear()
    assert {name: dict(group) for name, group in card.groups.items()} == before and card.rules == {}
    assert not (host.root / "var/lib/tickwire/host-before.json").exists()


def test_a_rounded_value_is_an_error_and_above_the_maximum_nothing_is_tried(host: NicHost) -> None:
    with pytest.raises(HostError, match="rings.rx of twx0 '1000': the driver made it 1024.*was put back"):
        apply(host, {"name": "twx0", "rings": {"rx": 1000}})
    assert host.cards["twx0"].groups["g"]["rx"] == "512"
    host.ran.clear()
    with pytest.raises(HostError, match="rings.rx of twx0 '9999': the driver's maximum is 4096. Ask for 4096 or max"):
        apply(host, {"name": "twx0", "rings": {"rx": 9999}})
    assert writes(host) == []


@pytest.mark.parametrize("usecs", [0, 50])
def test_a_driver_that_forgets_times_when_it_is_no_longer_adaptive(host: NicHost, usecs: int) -> None:
    """mlx5 of older kernels, such as 5.15; 50 microseconds are what the card has, so that only the switch differs."""
    card = host.cards["twx0"]
    card.driver = "mlx5_core"
    wanted = {"name": "twx0", "coalesce": {"adaptive_rx": False, "rx_usecs": usecs, "rx_frames": 64}}
    assert apply(host, wanted).changed
    shown = {name: card.groups["c"][name] for name in ("adaptive-rx", "rx-usecs", "rx-frames")}
    assert shown == {"adaptive-rx": "off", "rx-usecs": str(usecs), "rx-frames": "64"}
    assert not apply(host, wanted).changed


def test_what_the_card_has_not_got_is_reported_unless_it_is_required(host: NicHost) -> None:
    wanted = {
        "name": "twx0",
        "coalesce": {"rx_usecs_irq": 1},
        "offloads": {"highdma": True},
        "pause": {"rx": False},
        "pcie_read_request": 4096,
    }
    host.refuse["-a twx0"] = "netlink error: Operation not supported\n"
    result = apply(host, wanted)
    assert not result.changed
    assert sorted(map(str, result.lacks)) == [
        "coalesce.rx-usecs-irq of twx0: the driver has no such setting",
        "offloads.highdma of twx0: the driver has it off for good",
        "pause.rx of twx0: Operation not supported",
        "pcie_read_request of twx0: the interface is no PCI function of its own",
    ]
    with pytest.raises(HostError, match="pause.rx of twx0 'off': Operation not supported"):
        apply(host, {**wanted, "required": True})


def test_a_driver_that_refuses_only_when_it_is_set_is_reported_too(host: NicHost) -> None:
    """As drivers do for pause while priority flow control is on."""
    host.refuse["-A twx0"] = "netlink error: Operation not supported\n"
    result = apply(host, {"name": "twx0", "pause": {"rx": False}, "offloads": {"lro": False}})
    assert [str(change) for change in result.changes] == ["offloads.large-receive-offload of twx0: on -> off"]
    assert [str(lack) for lack in result.lacks] == ["pause.rx of twx0: Operation not supported"]


def test_what_a_driver_refuses_to_put_back_is_put_back_by_the_next_run(host: NicHost) -> None:
    apply(host, {"name": "twx0", "pause": {"rx": False}, "offloads": {"lro": False}})
    host.refuse["-A twx0"] = "netlink error: Operation not supported\n"
    result = apply(host)
    assert [str(change) for change in result.changes] == ["offloads.large-receive-offload of twx0: off -> on"]
    assert [str(lack) for lack in result.lacks] == ["pause.rx of twx0: Operation not supported"]
    host.refuse.clear()
    assert [str(change) for change in apply(host).changes] == ["pause.rx of twx0: off -> on"]
    assert not apply(host).changed


def test_a_link_that_does_not_come_back_is_an_error_and_everything_goes_back(host: NicHost) -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        if argv[1] == "-G":
            host.write("sys/class/net/twx0/operstate", "down\n")
        return host.run(argv)

    slept: list[float] = []
    wanted = {"name": "twx0", "rings": {"rx": 1024}}
    with pytest.raises(HostError, match="the link did not come back within 30 s.*was put back"):
        apply_nics(System(host.root, run), parse_nics([wanted]), False, True, sleep=slept.append)
    assert slept and host.cards["twx0"].groups["g"]["rx"] == "512"


def test_what_an_ifup_lost_is_set_again_and_a_bounce_only_where_it_may_be(host: NicHost) -> None:
    wanted = {"nics": [WANTED]}
    assert reapply(host.system, {"nics": []}, "twx0") == [] == reapply(host.system, wanted, "twx9")
    apply(host, WANTED)
    host.cards["twx0"].reopen()
    host.cards["twx0"].groups["g"]["rx"] = "512"
    assert sorted(drift.item for drift in PART.drift(host.system, wanted, False)) == [
        "coalesce.adaptive-rx of twx0",
        "coalesce.adaptive-tx of twx0",
        "coalesce.rx-usecs of twx0",
        "rings.rx of twx0",
    ]
    assert len(reapply(host.system, wanted, "twx0")) == 3
    assert reapply(host.system, wanted, "twx0") == []
    allowed = {**wanted, "bounce_allowed": True}
    assert reapply(host.system, allowed, "twx0") == ["rings.rx of twx0: 512 -> 4096"]
    assert PART.drift(host.system, wanted, False) == []
    running = PART.running(host.system, wanted)["nics"][0]
    assert running["driver"] == "twnic" and running["settings"]["rings.rx"] == "4096"


def test_without_cards_nothing_is_run(host: NicHost) -> None:
    for wanted in ({}, {"nics": []}):
        PART.check(host.system, wanted)
        assert PART.drift(host.system, wanted, False) == [] and PART.running(host.system, wanted) == {"nics": []}
    assert not apply(host).changed and host.ran == []


def test_a_feed_follows_the_cpu_of_a_queue(host: NicHost) -> None:
    for queue, cpu in ((0, 1), (1, 3)):
        irq = 40 + queue
        host.write(f"sys/class/net/twx0/device/msi_irqs/{irq}", "msix\n")
        host.write(f"sys/kernel/irq/{irq}/actions", f"mlx5_comp{queue}@pci:0000:3b:00.0\n")
        host.write(f"proc/irq/{irq}/effective_affinity_list", f"{cpu}\n")
    apply(host, {"name": "twx0", "ntuple": [{**FEED, "cpu": 3}]})
    assert [rule["action"] for rule in host.cards["twx0"].rules.values()] == ["1"]
    assert 1 not in host.cards["twx0"].table
    with pytest.raises(
        HostError, match="no queue has its interrupt on CPU 7 alone .queue 0 on CPU 1, queue 1 on CPU 3"
    ):
        apply(host, {"name": "twx0", "ntuple": [{**FEED, "cpu": 7}]})


def test_where_a_queue_is_to_be_counts_before_where_it_is(host: NicHost) -> None:
    """Interrupts are pinned after the cards are set."""
    wanted = {"name": "twx0", "queue_cpus": [{"queue": 2, "cpus": "5"}], "ntuple": [{**FEED, "cpu": 5}]}
    apply(host, wanted)
    assert [rule["action"] for rule in host.cards["twx0"].rules.values()] == ["2"]
    with pytest.raises(HostError, match="no queue has its interrupt on CPU 1 alone .queue 2 on CPU 5"):
        apply(host, {**wanted, "ntuple": [{**FEED, "cpu": 1}]})
    with pytest.raises(HostError, match="queue_cpus of twx0"):
        parse_nics([{"name": "twx0", "queue_cpus": [{"queue": 2}]}])


def test_rules_of_others_stay(host: NicHost) -> None:
    card = host.cards["twx0"]
    card.groups["k"]["ntuple-filters"] = "on"
    card.rules[10] = {"flow-type": "tcp4", "dst-ip": "10.0.0.1", "dst-port": "80", "action": "0"}
    apply(host, {"name": "twx0", "ntuple": [{**FEED, "queue": 2}]})
    apply(host)
    assert list(card.rules) == [10]


def test_an_mtu_below_that_of_the_intent_is_drift(host: NicHost) -> None:
    now = int(host.system.read("sys/class/net/twx0/mtu") or 0)
    for least, drift in ((now, []), (now + 1, [f"wanted '{now + 1} or more', found '{now}'"])):
        found = PART.drift(host.system, {"mtu": {"twx0": least, "gone0": 9000}}, False)
        assert [str(one).partition(": ")[2] for one in found] == drift
    assert not document.anything({"mtu": {"twx0": 9000}}), "it alone is no reason to keep an agent on the host"


def test_who_else_sets_the_mtu(host: NicHost) -> None:
    host.write("run/systemd/netif/links/2", 'NETWORK_FILE=/etc/systemd/network/10-x.network\nNETWORK_FILE_DROPINS=""\n')
    network = host.write("etc/systemd/network/10-x.network", "[Match]\nName=twx0\n[Link]\nMTUBytes=4K\n")
    owner = find_owner(host.system, "twx0")
    assert owner is not None and (owner.program, owner.mtu) == ("systemd-networkd", 4096)
    with pytest.raises(HostError, match="systemd-networkd sets 4096 by /etc/systemd/network/10-x.network whenever"):
        apply(host, {"name": "twx0", "mtu": 9000})
    network.write_text("[Match]\nName=twx0\n")
    assert apply(host, {"name": "twx0", "mtu": 9000}).changed
    host.write("run/NetworkManager/devices/2", "[device]\nconnection-uuid=5e7b\n")
    host.write(
        "etc/NetworkManager/system-connections/x.nmconnection", "[connection]\nuuid=5e7b\n[ethernet]\nmtu=1400\n"
    )
    owner = find_owner(host.system, "twx0")
    assert owner is not None and (owner.program, owner.mtu) == ("NetworkManager", 1400)


def test_the_pcie_read_request_keeps_the_other_bits(host: NicHost) -> None:
    config = bytearray(256)
    config[0x06] = 0x10
    config[0x34] = 0x40
    config[0x40:0x42] = b"\x01\x60"
    config[0x60:0x62] = b"\x10\x00"
    config[0x68:0x6A] = (0x2936).to_bytes(2, "little")
    path = host.root / "sys/class/net/twx0/device/config"
    path.parent.mkdir(parents=True)
    path.write_bytes(config)
    assert pcie.read_request(host.system, "twx0") == 512
    result = apply(host, {"name": "twx0", "pcie_read_request": 4096}, bounce=False)
    assert [str(change) for change in result.changes] == ["pcie_read_request of twx0: 512 -> 4096"]
    config[0x68:0x6A] = (0x5936).to_bytes(2, "little")
    assert path.read_bytes() == config
    apply(host)
    assert pcie.read_request(host.system, "twx0") == 512
    config[0x60] = 0x05
    path.write_bytes(config)
    with pytest.raises(NotSupported, match="no PCI Express capability"):
        pcie.read_request(host.system, "twx0")


def test_what_bounces_is_known_by_driver() -> None:
    assert bounces("mlx5_core", "offloads.large-receive-offload") and not bounces("mlx5_core", "pause.rx")
    assert bounces("ice", "pause.rx") and not bounces("virtio_net", "channels.combined")
    assert bounces("a_driver_of_tomorrow", "rings.rx") and not bounces("a_driver_of_tomorrow", "coalesce.rx-usecs")
    assert not bounces("i40e", "offloads.generic-receive-offload") and bounces("i40e", "offloads.ntuple-filters")


@pytest.mark.parametrize(
    ("over", "reason"),
    [
        ({"name": "a/b"}, "an interface has a name of 1 to 15 characters"),
        ({"rings": {"rx": "many"}}, "rings.rx of twx0 'many': it is a number from 0 up"),
        ({"rings": {"mini": 1}}, "rings of twx0 'mini': it is none of rx, tx"),
        ({"pause": {"rx": "maybe"}}, "pause.rx of twx0 'maybe': it is on or off"),
        ({"mtu": 60}, "mtu of twx0 '60': it is 68 to 65535 bytes"),
        ({"pcie_read_request": 300}, "it is one of 128, 256"),
        ({"ntuple": [{"dst_ip": "x", "dst_port": 1, "queue": 0}]}, "ntuple of twx0 'x': it is no IP address"),
        ({"ntuple": [{**FEED, "queue": 1, "cpu": 1}]}, "it takes either a queue or a CPU"),
        ({"ntuple": [{**FEED, "queue": 1}, {**FEED, "queue": 2}]}, "a stream is there twice"),
        ({"ntuple": [{**FEED, "queue": 1}], "offloads": {"ntuple": "off"}}, "streams are steered by it"),
    ],
)
def test_what_means_nothing_is_refused(over: dict[str, Any], reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        parse_nics([{"name": "twx0", **over}])
    with pytest.raises(HostError, match="it is there twice"):
        parse_nics([{"name": "twx0"}, {"name": "twx0"}])


def test_a_queue_that_the_card_has_not_got_is_refused(host: NicHost) -> None:
    with pytest.raises(HostError, match="the card has queues 0 to 3"):
        apply(host, {"name": "twx0", "channels": {"combined": 4}, "ntuple": [{**FEED, "queue": 4}]})
    assert writes(host) == []
