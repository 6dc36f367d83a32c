"""What ethtool prints, by version: recorded text and JSON of the same card say the same."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic import ethtool, steering
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

RECORDED = Path(__file__).resolve().parents[2] / "fixtures/host/ethtool"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


def data(name: str) -> dict:
    return json.loads(recorded(name))[0]


@pytest.mark.parametrize("version", ["6.1", "6.14.2"])
def test_text_of_both_versions_says_the_same(version: str) -> None:
    rings = ethtool.parse_maximums(recorded(f"{version}-twnic-rings.txt"))
    assert {name: rings[name] for name in ("rx", "tx", "rx-max", "tx-max")} == {
        "rx": "512", "tx": "512", "rx-max": "4096", "tx-max": "4096",
    }  # fmt: skip
    assert "rx-mini" not in rings
    channels = ethtool.parse_maximums(recorded(f"{version}-twnic-channels.txt"))
    assert channels == {"other": "1", "other-max": "1", "combined": "8", "combined-max": "8"}
    assert ethtool.parse_coalesce(recorded(f"{version}-twnic-coalesce.txt")) == {
        "adaptive-rx": "on", "adaptive-tx": "on", "rx-usecs": "50", "rx-frames": "64",
        "tx-usecs": "50", "tx-frames": "64",
    }  # fmt: skip
    assert ethtool.parse_pause(recorded(f"{version}-twnic-pause.txt")) == {"autoneg": "off", "rx": "on", "tx": "on"}
    features = ethtool.parse_features(recorded(f"{version}-twnic-features.txt"))
    assert (features["large-receive-offload"], features["highdma"], len(features)) == ("on", "off [fixed]", 62)
    queues, table = steering.parse_table(recorded(f"{version}-twnic-rss.txt"))
    assert (queues, len(table), set(table)) == (8, 128, set(range(8)))


@pytest.mark.parametrize(
    ("option", "name"),
    [("-g", "6.14.2-twnic-rings"), ("-c", "6.14.2-twnic-coalesce"), ("-a", "6.14.2-twnic-pause"),
     ("-k", "6.14.2-twnic-features"), ("-k", "6.1-twnic-features")],
)  # fmt: skip
def test_json_and_text_say_the_same(option: str, name: str) -> None:
    from_json = ethtool.JSON_PARSERS[option](data(f"{name}.json"))
    from_text = ethtool.TEXT_PARSERS[option](recorded(f"{name}.txt"))
    assert {key: value.replace(" [fixed]", "") for key, value in from_json.items()} == {
        key: value.replace(" [fixed]", "") for key, value in from_text.items()
    }
    fixed = {key for key, value in from_text.items() if value.endswith(" [fixed]")}
    assert fixed == {key for key, value in from_json.items() if value.endswith(" [fixed]")}


def test_the_json_of_pause_is_not_believed_before_6_2() -> None:
    assert data("6.1-twnic-pause.json")["autonegotiate"] is True
    assert ethtool.parse_pause(recorded("6.1-twnic-pause.txt"))["autoneg"] == "off"
    for version, asked in (("6.1", ["ethtool", "-a", "x"]), ("6.14.2", ["ethtool", "--json", "-a", "x"])):
        ran: list[list[str]] = []

        def run(argv: list[str], version: str = version, ran: list[list[str]] = ran) -> tuple[int, str, str]:
            ran.append(argv)
            if argv[1] == "--version":
                return 0, f"ethtool version {version}\n", ""
            return 0, recorded(f"{version}-twnic-pause.{'json' if '--json' in argv else 'txt'}"), ""

        tool = ethtool.Ethtool(System(Path("/nowhere"), run))
        assert tool.read("-a", "x") == {"autoneg": "off", "rx": "on", "tx": "on"}
        assert ran[1:] == [asked]


def test_what_was_recorded_and_documented_of_other_drivers() -> None:
    assert ethtool.parse_maximums(recorded("6.14.2-virtio_net-channels.txt")) == {"combined": "1", "combined-max": "1"}
    assert ethtool.parse_maximums(recorded("6.14.2-virtio_net-rings.txt"))["rx-max"] == "256"
    assert ethtool.parse_maximums(recorded("documented-mlx5_core-rings.txt"))["rx-max"] == "8192"
    assert ethtool.parse_coalesce(recorded("documented-ice-coalesce.txt"))["adaptive-rx"] == "on"
    assert ethtool.parse_driver(recorded("6.14.2-twnic-driver.txt"))["driver"] == "twnic"
    assert ethtool.parse_switches(recorded("6.14.2-twnic-flags.txt")) == {
        "fw-lldp-agent": "off",
        "keep-coalesce": "off",
    }


def test_recorded_rule() -> None:
    rule = steering.Rule("udp4", "233.54.12.111", 26400, 3)
    assert steering.parse_rules(recorded("6.14.2-twnic-rules.txt")) == {63: rule}
    assert steering.parse_rules(recorded("6.14.2-twnic-rules.txt").replace("0xffff", "0x0")) == {63: None}
    assert steering.parse_rules("8 RX rings available\nTotal 0 rules\n") == {}


@pytest.mark.parametrize(
    ("err", "why"),
    [
        ("netlink error: requested ring size exceeds maximum (offset 36)\nnetlink error: Invalid argument\n",
         "requested ring size exceeds maximum: Invalid argument"),
        ("netlink error: Operation not supported\n", "Operation not supported"),
        ("", "no reason given"),
    ],
)  # fmt: skip
def test_the_drivers_words(err: str, why: str) -> None:
    assert ethtool.reason(err) == why


def test_a_missing_ethtool_is_named() -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        raise FileNotFoundError(argv[0])

    with pytest.raises(HostError, match="it does not run on this host. Install package ethtool"):
        ethtool.Ethtool(System(Path("/nowhere"), run)).version()


@pytest.mark.parametrize(
    ("action", "queue"),
    [("mlx5_comp3@pci:0000:3b:00.0", 3), ("ice-ens1f0-TxRx-12", 12), ("virtio2-input.0", 0), ("virtio2-output.0", None),
     ("mlx5_async0@pci:0000:3b:00.0", None), ("ens4-TxRx-1", 1), ("eth0-tx-1", None)],
)  # fmt: skip
def test_the_queue_of_an_interrupt(action: str, queue: int | None) -> None:
    assert steering.queue_of_interrupt(action) == queue


@given(st.integers(2, 128).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), max_size=n - 1))))
def test_a_table_by_weights_avoids_what_it_should(case: tuple[int, set[int]]) -> None:
    queues, avoided = case
    shares = steering.weights(queues, avoided)
    table = [queue for queue, share in enumerate(shares) for _copy in range(share)]
    assert steering.table_avoids(table, queues, avoided)
    assert not steering.table_avoids([*table, *avoided], queues, avoided) or not avoided


@given(st.sampled_from(["udp4", "tcp4"]), st.ip_addresses(v=4).map(str), st.integers(1, 65535), st.integers(0, 1023))
def test_a_rule_reads_back_from_what_was_kept(kind: str, address: str, port: int, queue: int) -> None:
    rule = steering.Rule(kind, address, port, queue)
    assert steering.parse_rule(str(rule)) == rule


@given(st.text(max_size=200))
def test_no_text_breaks_a_parser(text: str) -> None:
    for parse in ethtool.TEXT_PARSERS.values():
        assert all(isinstance(value, str) for value in parse(text).values())
    steering.parse_table(text)


def test_the_output_of_a_program_that_ends_after_a_silent_second_is_read_whole() -> None:
    code, out, err = run_program([sys.executable, "-c", "import time; time.sleep(1.01); print('x' * 9000)"])
    assert (code, len(out), err) == (0, 9001, "")
    with pytest.raises(OSError):
        run_program(["/nowhere/ethtool"])
