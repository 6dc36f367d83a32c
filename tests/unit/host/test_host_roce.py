# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RoCE of a host on recorded sysfs of rxe and on trees of mlx5: set, read back, given back, and what a driver lacks."""

from __future__ import annotations

import ipaddress
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import roce as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.roce.apply import apply_roce, reapply
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

RECORDED = Path(__file__).resolve().parents[2] / "fixtures/rdma/sysfs_rxe_linux_6.12.json"
CONFIGFS = "sys/kernel/config/rdma_cm"
PORT = f"{CONFIGFS}/rxe0/ports/1"
LANE = {"version": 2, "priority": 3, "tos": 106, "cnp": {"dscp": 48, "priority": 6}, "ecn": [3]}
WANTED = {"fab0": LANE}


class Kernel:
    """rxe0 on fab0 as it was recorded, and its directory in configfs, which is there after somebody made it."""

    def __init__(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
        self.host = host
        self.values = {"default_roce_mode": "RoCE v2", "default_roce_tos": "0"}
        files = json.loads(RECORDED.read_text(encoding="utf-8"))
        for name, text in files.items():
            host.write(name, text)
        mapped = next(text for name, text in files.items() if "/gids/" in name and ":ffff:" in text)
        self.addresses = [str(ipaddress.IPv4Address(bytes.fromhex(mapped.strip().replace(":", ""))[12:]))]
        host.write("usr/sbin/ip", "")
        (host.root / CONFIGFS).mkdir(parents=True)
        mkdir = Path.mkdir

        def make(path: Path, *args: Any, **kwargs: Any) -> None:
            mkdir(path, *args, **kwargs)
            if path.parent == host.root / CONFIGFS:
                for name, value in self.values.items():
                    host.write(f"{CONFIGFS}/{path.name}/ports/1/{name}", value + "\n")

        monkeypatch.setattr(Path, "mkdir", make)
        monkeypatch.setattr(Path, "rmdir", lambda path: shutil.rmtree(path))

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv == ["/usr/sbin/ip", "-j", "address", "show", "dev", "fab0"], argv
        entries = [{"local": address, "prefixlen": 24} for address in self.addresses]
        return 0, json.dumps([{"ifname": "fab0", "addr_info": entries}]) + "\n", ""

    def tos(self) -> str:
        return self.host.read(f"{PORT}/default_roce_tos").strip()


@pytest.fixture
def kernel(host: Host, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(host, monkeypatch)


@pytest.fixture
def system(host: Host, kernel: Kernel) -> System:
    return System(host.root, kernel.run)


def test_lane_is_set_read_back_and_given_back(system: System, kernel: Kernel, host: Host) -> None:
    document = {"roce": WANTED}
    assert [one.item for one in part.drift(system, document, False)] == ["roce mode of rxe0/1", "roce tos of rxe0/1"]
    tree = host.tree()
    assert [one[:3] for one in apply_roce(system, WANTED, True).changed] == [
        ("rxe0/1", "mode", None),
        ("rxe0/1", "tos", None),
    ]
    assert host.tree() == tree

    result = apply_roce(system, WANTED, False)
    assert result.changed == [("rxe0/1", "tos", "0", "106")]
    assert kernel.tos() == "106"
    assert list(result.gids["rxe0/1"]) == kernel.addresses
    assert result.findings == []
    assert [said.partition(":")[0] for said in result.unsupported["rxe0/1"]] == [
        "traffic class",
        "cnp dscp",
        "cnp priority",
        "ecn rp of priority 3 (reacts to congestion notifications)",
        "ecn np of priority 3 (sends congestion notifications)",
    ]
    assert part.drift(system, document, False) == []
    assert apply_roce(system, WANTED, False).changed == []
    assert reapply(system, document, "fab0") == []

    assert apply_roce(system, {}, False).changed == [
        ("/sys/kernel/config/rdma_cm/rxe0/ports/1", "default_roce_tos", "106", "0")
    ]
    assert not (host.root / CONFIGFS / "rxe0").exists()
    assert not (host.root / "var/lib/tickwire/host-before.json").exists()
    assert apply_roce(system, {}, False).changed == []


def test_device_that_was_made_anew_is_set_again(system: System, kernel: Kernel, host: Host) -> None:
    apply_roce(system, WANTED, False)
    host.write(f"{PORT}/default_roce_tos", "0\n")
    assert [str(one) for one in part.drift(system, {"roce": WANTED}, False)] == [
        "roce tos of rxe0/1: wanted '106', found '0'"
    ]
    assert reapply(system, {"roce": WANTED}, "fab0") == ["roce tos of rxe0/1: 0 -> 106"]
    # a reboot: the directory is gone as well
    shutil.rmtree(host.root / CONFIGFS / "rxe0")
    assert reapply(system, {"roce": WANTED}, "fab0") == ["roce tos of rxe0/1: 0 -> 106"]
    assert reapply(system, {"roce": WANTED}, "fab1") == []


def test_the_directory_of_a_renamed_device_goes_away_as_well(system: System, kernel: Kernel, host: Host) -> None:
    apply_roce(system, WANTED, False)
    devices = host.root / "sys/class/infiniband"
    (devices / "rxe0").rename(devices / "roce9")
    kernel.values["default_roce_tos"] = "106"  # they are the device's, whatever its name
    assert reapply(system, {"roce": WANTED}, "fab0") == []
    assert sorted(path.name for path in (host.root / CONFIGFS).iterdir()) == ["roce9", "rxe0"]
    (devices / "roce9").rename(devices / "rxe0")
    apply_roce(system, {}, False)
    assert list((host.root / CONFIGFS).iterdir()) == []
    assert not (host.root / "var/lib/tickwire/host-before.json").exists()


def test_refused_version_puts_the_rest_back(host: Host, kernel: Kernel) -> None:
    def write(path: Path, text: str) -> None:
        if text == "IB/RoCE v1":  # rxe has version 2 only, and says EINVAL
            raise OSError(22, "Invalid argument")
        path.write_text(text + "\n")

    system = System(host.root, kernel.run, write)
    apply_roce(system, WANTED, False)
    with pytest.raises(HostError, match="roce mode of rxe0/1 'IB/RoCE v1': the driver refuses it"):
        apply_roce(system, {"fab0": {"version": 1, "tos": 8}}, False)
    assert kernel.tos() == "106"


def test_missing_device_and_missing_gid_are_told(system: System, kernel: Kernel) -> None:
    assert "rdma link add" in apply_roce(system, {"ens9": LANE}, False).findings[0]
    assert [one.item for one in part.drift(system, {"roce": {"ens9": LANE}}, False)] == ["RDMA device of ens9"]
    apply_roce(system, WANTED, False)
    kernel.addresses = ["192.0.2.1"]
    assert (
        "no RoCE v2 GID for 192.0.2.1 of fab0; its GID table: 0: fe80" in apply_roce(system, WANTED, False).findings[0]
    )
    assert len(part.drift(system, {"roce": WANTED}, False)) == 1
    kernel.addresses = []
    assert "fab0 has no IP address" in apply_roce(system, WANTED, False).findings[0]


def test_gids_are_those_of_the_addresses_that_the_interface_has(system: System, kernel: Kernel, host: Host) -> None:
    """The GIDs of IPv6 addresses are as Linux 6.12 made them of rxe0 on fab0."""
    [v4], v6, local = kernel.addresses, "2001:db8::11", "fe80::5054:ff:fe7c:101"
    for index, gid in enumerate(["fe80:0000:0000:0000:5054:00ff:fe7c:0101", "2001:0db8:0000:0000:0000:0000:0000:0011"]):
        host.write(f"sys/class/infiniband/rxe0/ports/1/gids/{7 + index}", gid + "\n")
        host.write(f"sys/class/infiniband/rxe0/ports/1/gid_attrs/types/{7 + index}", "RoCE v2\n")
    for addresses, expected in (
        ([v6, local], {v6: 8}),
        ([v4, v6, local], {v4: 1, v6: 8}),
        ([local], {local: 7}),
        ([v4, local], {v4: 1}),
    ):
        kernel.addresses = addresses
        result = apply_roce(system, WANTED, False)
        assert result.gids["rxe0/1"] == expected and result.findings == []
        assert part.drift(system, {"roce": WANTED}, False) == []
    kernel.addresses = ["2001:db8::12", local]
    [drift] = part.drift(system, {"roce": WANTED}, False)
    assert (drift.item, drift.wanted) == ("RoCE v2 GIDs of rxe0/1", "one for each address")
    assert drift.found.startswith("rxe0/1 has no RoCE v2 GID for 2001:db8::12 of fab0; its GID table: 0: fe80")


def card(host: Host, ofed: bool) -> None:
    """A ConnectX below e0: with the files of OFED, or with debugfs of the kernel's own driver."""
    pci = host.root / "sys/devices/pci0000:00/0000:01:00.0"
    host.write("sys/class/infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n")
    (pci / "net/e0").mkdir(parents=True)
    (host.root / "sys/class/infiniband/mlx5_0/device").symlink_to(pci)
    for name, value in {"default_roce_mode": "IB/RoCE v1", "default_roce_tos": "0"}.items():
        host.write(f"{CONFIGFS}/mlx5_0/ports/1/{name}", value + "\n")
    if not ofed:
        for name in ("np_cnp_dscp", "np_cnp_prio"):
            host.write(f"sys/kernel/debug/mlx5/0000:01:00.0/cc_params/{name}", "0\n")
        return
    host.write("sys/class/infiniband/mlx5_0/tc/1/traffic_class", "Global tclass=0\n")
    for name in ("roce_np/cnp_dscp", "roce_np/cnp_802p_prio", "roce_np/enable/3", "roce_rp/enable/3"):
        host.write(f"sys/class/net/e0/ecn/{name}", "0\n")


@pytest.mark.parametrize("ofed", [True, False])
def test_congestion_notifications_where_the_driver_has_them(host: Host, ofed: bool) -> None:
    card(host, ofed)
    system = System(host.root, host.run_nothing)
    result = apply_roce(system, {"e0": LANE}, False)
    names = [name for port, name, old, new in result.changed]
    assert names[:2] == ["mode", "tos"]
    both = {"cnp dscp", "cnp priority"}
    assert both <= set(names)
    assert len(result.unsupported.get("mlx5_0/1", [])) == (0 if ofed else 3)
    base = (
        "sys/class/net/e0/ecn/roce_np/cnp_dscp" if ofed else "sys/kernel/debug/mlx5/0000:01:00.0/cc_params/np_cnp_dscp"
    )
    assert host.read(base) == "48"
    if ofed:
        assert host.read("sys/class/net/e0/ecn/roce_rp/enable/3") == "1"
        # this is how OFED shows what was written
        host.write("sys/class/infiniband/mlx5_0/tc/1/traffic_class", "Global tclass=106\n")
    assert part.drift(system, {"roce": {"e0": LANE}}, False) == []
    assert part.running(system, {"roce": {"e0": LANE}})["roce"]["mlx5_0/1"]["settings"]["tos"] == "106"


def test_debugfs_that_is_locked_down_is_told_and_is_no_failure(
    host: Host, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(host, ofed=False)
    read = Path.read_text

    def refuse(path: Path, *args: Any, **kwargs: Any) -> str:
        if "cc_params" in path.parts:
            raise PermissionError(1, "Operation not permitted")
        return read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", refuse)
    wanted = {"e0": {"cnp": {"dscp": 48, "priority": 6}}}
    system = System(host.root, lambda argv: (0, "[]", ""))
    result = apply_roce(system, wanted, False)
    assert result.changed == []
    [told] = result.unsupported.values()
    assert [line.partition(":")[0] for line in told] == ["cnp dscp", "cnp priority"]
    assert all("lockdown" in line for line in told)
    assert [one for one in part.drift(system, {"roce": wanted}, False) if "cnp" in one.item] == []


@pytest.mark.parametrize(
    ("given_value", "said"),
    [
        ({"version": 3}, "roce.e0.version '3'"),
        ({"tos": 256}, "from 0 to 255"),
        ({"cnp": {"dscp": 64}}, "from 0 to 63"),
        ({"ecn": [8]}, "from 0 to 7"),
        ({"dscp": 26}, "no such key"),
        (["tos"], "dictionary"),
    ],
)
def test_wrong_wants_are_named(system: System, given_value: Any, said: str) -> None:
    with pytest.raises(HostError, match=said):
        part.check(system, {"roce": {"e0": given_value}})
