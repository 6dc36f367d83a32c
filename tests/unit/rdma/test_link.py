# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RDMA devices read from sysfs, as recorded from Soft-RoCE on Linux 6.12."""

import json
import socket
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import link

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "rdma"
GID = "0000:0000:0000:0000:0000:ffff:0a6e:000b"


@pytest.fixture
def root(tmp_path):
    for name, text in json.loads((FIXTURES / "sysfs_rxe_linux_6.12.json").read_text()).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def devinfo(argv):
    assert argv == ["ibv_devinfo", "-d", "rxe0"]
    return 0, (FIXTURES / "ibv_devinfo_56.1_rxe.txt").read_text(), ""


def port_dir(root):
    return root / "sys/class/infiniband/rxe0/ports/1"


def test_soft_roce(root):
    (device,) = link.read_devices(root, devinfo)
    assert (device["device"], device["driver"], device["emulated"]) == ("rxe0", "rxe", True)
    (port,) = device["ports"]
    assert (port["state"], port["physical_state"], port["link_layer"]) == ("ACTIVE", "LinkUp", "Ethernet")
    assert (port["active_mtu_bytes"], port["max_mtu_bytes"]) == (4096, 4096)
    assert (port["netdev"], port["netdev_mtu_bytes"]) == ("fab0", 9000)
    assert [(gid["index"], gid["roce_version"]) for gid in port["gids"]] == [(0, 2), (1, 2)]
    assert port["gids"][1]["gid"] == GID
    assert set(port["errors"]) == {
        "completer_retry_err",
        "duplicate_request",
        "link_downed",
        "out_of_seq_request",
        "rcvd_rnr_err",
        "rcvd_seq_err",
        "retry_exceeded_err",
        "retry_rnr_exceeded_err",
        "send_err",
        "send_rnr_err",
    }


def test_mtu_is_none_without_ibv_devinfo(root):
    def missing(argv):
        raise FileNotFoundError(argv[0])

    for run in (None, missing, lambda argv: (255, "", "No IB devices found")):
        assert link.read_devices(root, run)[0]["ports"][0]["active_mtu_bytes"] is None


def test_a_port_that_is_down(root):
    (port_dir(root) / "state").write_text("1: DOWN\n")
    (port_dir(root) / "phys_state").write_text("3: Disabled\n")
    port = link.read_devices(root)[0]["ports"][0]
    assert (port["state"], port["physical_state"]) == ("DOWN", "Disabled")


def test_counters_and_roce_v1(root):
    (port_dir(root) / "hw_counters/rcvd_seq_err").write_text("17\n")
    (port_dir(root) / "gid_attrs/types/0").write_text("IB/RoCE v1\n")
    port = link.read_devices(root)[0]["ports"][0]
    assert port["errors"]["rcvd_seq_err"] == 17
    assert port["gids"][0]["roce_version"] == 1
    assert "sent_pkts" not in port["errors"]


def test_hardware_is_known_by_its_driver(root):
    device = root / "sys/class/infiniband/rxe0"
    (device / "parent").unlink()
    assert link.read_devices(root)[0]["driver"] == "unknown"
    driver = root / "sys/bus/pci/drivers/mlx5_core"
    driver.mkdir(parents=True)
    (device / "device").mkdir()
    (device / "device/driver").symlink_to(driver)
    found = link.read_devices(root)[0]
    assert (found["driver"], found["emulated"]) == ("mlx5_core", False)


def test_no_devices(tmp_path):
    assert link.read_devices(tmp_path) == []
    with pytest.raises(LookupError, match="no RDMA device rxe0; devices here: none. Next: 'rdma link show'"):
        link.find_device([], "rxe0")


def test_find_device(root):
    devices = link.read_devices(root)
    assert link.find_device(devices, "rxe0") is devices[0]
    with pytest.raises(LookupError, match="no RDMA device mlx5_0; devices here: rxe0"):
        link.find_device(devices, "mlx5_0")


def test_gid_of_an_address(root):
    port = link.read_devices(root)[0]["ports"][0]
    assert link.gid_of_address(socket.inet_aton("10.110.0.11")) == GID
    assert link.gid_of(port, GID) == 1
    assert link.gid_of_address(socket.inet_pton(socket.AF_INET6, "fe80::5054:ff:fe7c:301")) == port["gids"][0]["gid"]
    with pytest.raises(LookupError, match="no RoCE v1 GID .*0a6e:000b on port 1; its GID table: 0: fe80.*1: 0000"):
        link.gid_of(port, GID, roce_version=1)
    with pytest.raises(ValueError, match="5 bytes"):
        link.gid_of_address(b"12345")


def test_devinfo_of_two_ports():
    text = (FIXTURES / "ibv_devinfo_56.1_rxe.txt").read_text()
    second = (
        text[text.index("\t\tport:") :]
        .replace("port:\t1", "port:\t2")
        .replace("active_mtu:\t\t4096", "active_mtu:\t\t1024")
    )
    assert link.parse_devinfo(text + second) == {
        1: {"max_mtu": 4096, "active_mtu": 4096},
        2: {"max_mtu": 4096, "active_mtu": 1024},
    }
