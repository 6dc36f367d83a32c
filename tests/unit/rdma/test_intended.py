# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A port as sysfs has it, compared with the intent: every difference is named with both values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.filter.host_lanes import host_lanes
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import intended, link

CHECKOUT = Path(__file__).resolve().parents[3]
FIXTURES = CHECKOUT / "tests/fixtures/rdma"
WANTED = {"mtu": 9000, "speed_gbps": 10, "roce_version": 2, "address": "10.110.0.11", "tos": 106}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in json.loads((FIXTURES / "sysfs_rxe_linux_6.12.json").read_text()).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    write(tmp_path, "sys/kernel/config/rdma_cm/rxe0/ports/1/default_roce_mode", "RoCE v2\n")
    write(tmp_path, "sys/kernel/config/rdma_cm/rxe0/ports/1/default_roce_tos", "106\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def compare(root: Path, emulated: bool = True, **changes: Any) -> tuple[list[str], list[str]]:
    text = (FIXTURES / "ibv_devinfo_56.1_rxe.txt").read_text()
    port = link.read_devices(root, lambda argv: (0, text, ""))[0]["ports"][0]
    return intended.compare(port, emulated, {**WANTED, **changes})


def test_as_intended(root: Path) -> None:
    assert compare(root) == ([], ["speed: fab0 has none"])
    write(root, "sys/class/net/fab0/speed", "-1\n")
    assert compare(root) == ([], ["speed: fab0 has none"])
    write(root, "sys/class/net/fab0/speed", "10000\n")
    assert compare(root) == ([], [])


def test_the_labs_intent_is_what_is_wanted() -> None:
    lab = yaml.safe_load((CHECKOUT / "inventories/lab/group_vars/all.yml").read_text())["fabric"]
    lanes = host_lanes(lab, "trade1")["fab0"]
    found = {"mtu": lanes["mtu"], "speed_gbps": lanes["speed_gbps"], "roce_version": lanes["roce"]["version"]}
    assert dict(found, tos=lanes["roce"]["tos"], address="10.110.0.11") == WANTED


PORT = "sys/class/infiniband/rxe0/ports/1/"
CMA = "sys/kernel/config/rdma_cm/rxe0/ports/1/"


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        (PORT + "state", "1: DOWN\n", "state is DOWN, not ACTIVE"),
        (PORT + "phys_state", "3: Disabled\n", "physical state is Disabled, not LinkUp"),
        ("sys/class/net/fab0/mtu", "1500\n", "MTU of fab0 is 1500, not 9000"),
        ("sys/class/net/fab0/speed", "25000\n", "speed is 25 Gb/s, not 10"),
        (PORT + "gid_attrs/types/1", "IB/RoCE v1\n", "GID of 10.110.0.11 is of type IB/RoCE v1, not RoCE v2"),
        (PORT + "gids/1", "0000:" * 7 + "0000\n", "GID of 10.110.0.11 is not in the table, not RoCE v2"),
        (CMA + "default_roce_mode", "IB/RoCE v1\n", "default RoCE mode is IB/RoCE v1, not RoCE v2"),
        (CMA + "default_roce_tos", "0\n", "default ToS is 0, not 106"),
        ("sys/class/infiniband/rxe0/tc/1/traffic_class", "Global tclass=96\n", "traffic class is 96, not 106"),
    ],
)
def test_each_difference(root: Path, file: str, text: str, said: str) -> None:
    write(root, file, text)
    assert compare(root)[0] == [said]


def test_what_is_not_wanted_is_not_compared(root: Path) -> None:
    write(root, "sys/class/net/fab0/mtu", "1500\n")
    nothing = dict.fromkeys(WANTED)
    assert compare(root, **nothing) == ([], [])


def test_active_mtu_that_is_not_the_largest(root: Path) -> None:
    assert compare(root, mtu=1500)[0] == ["MTU of fab0 is 9000, not 1500", "active MTU is 4096, not 1024"]
    port = link.read_devices(root)[0]["ports"][0]
    assert intended.compare(port, True, WANTED)[0] == [
        "active MTU is unknown, not 4096: install ibv_devinfo (ibverbs-utils)"
    ]


def test_hardware_has_to_have_a_speed(root: Path) -> None:
    assert compare(root, emulated=False) == (["speed is unknown, not 10 Gb/s"], [])


def test_no_default_tos(root: Path) -> None:
    (root / CMA / "default_roce_tos").unlink()
    differ, not_compared = compare(root)
    assert differ == [] and any("default ToS: rdma_cm has no directory" in text for text in not_compared)


def test_any_gid_of_the_version(root: Path) -> None:
    assert compare(root, address=None)[0] == []
    assert "no GID of RoCE v1" in compare(root, address=None, roce_version=1)[0]


@given(st.integers(68, 65535))
def test_the_path_mtu_fits_and_is_the_largest(mtu: int) -> None:
    found = intended.path_mtu(mtu)
    assert found == max((size for size in (256, 512, 1024, 2048, 4096) if size + 96 <= mtu), default=0)
