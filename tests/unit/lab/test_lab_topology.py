"""The lab's topology, the identity given to each VM, and the QEMU command line made from them."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from lab import identity, qemu
from lab.topology import LAB, End, Nic, Topology, Vm

KEYS = identity.Keys("ssh-ed25519 AAAA lab\n", "PRIVATE\n", "ssh-ed25519 BBBB host\n")


def arguments(name: str, accel: str = "tcg", run_dir: str = "/tmp/twlab-x") -> list[str]:
    root = Path("/checkout/.lab")
    places = qemu.Places(Path(run_dir), root / f"{name}.qcow2", root / f"{name}.log", root / f"{name}.pid")
    return qemu.vm_arguments(LAB, LAB.vm(name), places, accel, 2201, KEYS)


def values(argv: list[str], option: str) -> list[str]:
    return [argv[index + 1] for index, word in enumerate(argv) if word == option]


def test_the_lab_is_cabled_through_the_switch() -> None:
    assert LAB.peer(End("exch1", "fab0")) == End("sw1", "swp1")
    assert LAB.peer(End("sw1", "swp2")) == End("trade1", "fab0")
    assert [vm.name for vm in LAB.vms] == ["exch1", "sw1", "trade1"]


@pytest.mark.parametrize(
    ("vms", "links", "says"),
    [
        ([("a", ["x"]), ("a", ["x"])], [], "VM name is used twice"),
        ([("a", ["x"])], [("a", "x", "b", "y")], "b:y is not a NIC"),
        ([("a", ["x", "y"])], [("a", "x", "a", "x")], "a:x is cabled twice"),
        ([("a", ["x", "y"]), ("b", ["z"])], [("a", "x", "b", "z")], "not cabled: a:y"),
    ],
)
def test_a_wrong_topology_is_refused(
    vms: list[tuple[str, list[str]]], links: list[tuple[str, str, str, str]], says: str
) -> None:
    machines = tuple(Vm(name, 1, 64, tuple(Nic(nic) for nic in nics)) for name, nics in vms)
    cables = tuple((End(a, b), End(c, d)) for a, b, c, d in links)
    with pytest.raises(ValueError, match=says):
        Topology(machines, cables)


def test_macs_are_unique_and_local() -> None:
    macs = [LAB.mac(vm.name, nic) for vm in LAB.vms for nic in ["mgmt0", *(n.name for n in vm.nics)]]
    assert len(set(macs)) == len(macs) == 7
    assert all(int(mac[:2], 16) & 0b11 == 0b10 for mac in macs)


def test_each_cable_has_mirrored_sockets() -> None:
    def ends(name: str, nic: str) -> tuple[str, str]:
        (netdev,) = [v for v in values(arguments(name), "-netdev") if f"id={nic}," in v]
        fields = dict(field.split("=", 1) for field in netdev.split(",")[1:])
        return fields["local.path"], fields["remote.path"]

    assert ends("exch1", "fab0") == ends("sw1", "swp1")[::-1]
    assert ends("trade1", "fab0") == ends("sw1", "swp2")[::-1]
    assert ends("sw1", "swp1") != ends("sw1", "swp2")


def test_fabric_nics_carry_jumbo_frames_and_management_is_closed() -> None:
    argv = arguments("trade1")
    devices = values(argv, "-device")
    assert f"virtio-net-pci,netdev=fab0,mac={LAB.mac('trade1', 'fab0')},romfile=,host_mtu=9000" in devices
    (user,) = [v for v in values(argv, "-netdev") if v.startswith("user,")]
    assert "restrict=on" in user and "hostfwd=tcp:127.0.0.1:2201-:22" in user
    assert values(argv, "-smp") == ["2"] and values(argv, "-m") == ["1536"]


def test_the_disk_boots_by_itself() -> None:
    argv = arguments("exch1")
    assert not {"-kernel", "-append", "-initrd"} & set(argv)


def test_acceleration() -> None:
    assert values(arguments("sw1", "tcg"), "-accel") == ["tcg,thread=multi"]
    assert values(arguments("sw1", "kvm"), "-accel") == ["kvm"]
    with pytest.raises(ValueError, match="neither kvm nor tcg"):
        arguments("sw1", "hvf")


def test_a_long_socket_path_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="more than 107 bytes; set TMPDIR"):
        arguments("sw1", run_dir="/tmp/" + "x" * 100)


def test_commas_in_paths_do_not_split_options() -> None:
    assert qemu.escape(Path("/a,b/c")) == "/a,,b/c"


def test_identity_goes_in_as_binary_credentials() -> None:
    found = identity.credentials(LAB, LAB.vm("exch1"), KEYS)
    assert found["system.hostname"] == "exch1"
    assert found["ssh.authorized_keys.root"] == "ssh-ed25519 AAAA lab\n"
    assert "Address=10.110.0.1/24" in found["network.network.20-fab0"]
    assert LAB.mac("exch1", "fab0") in found["network.link.20-fab0"]
    argv = identity.smbios_arguments(found)
    assert len(argv) == 2 * len(found)
    prefix = "type=11,value=io.systemd.credential.binary:system.hostname="
    (hostname,) = [value for value in argv if value.startswith(prefix)]
    assert base64.b64decode(hostname.removeprefix(prefix)) == b"exch1"
    assert not any("," in value.removeprefix("type=11,") for value in argv if value.startswith("type=11"))


def test_switch_ports_are_up_without_address_and_stay_in_a_bridge() -> None:
    network = identity.credentials(LAB, LAB.vm("sw1"), KEYS)["network.network.20-swp1"]
    assert "KeepMaster=yes" in network and "Address=" not in network and "MTUBytes=9000" in network


def test_host_keys_are_written_by_tmpfiles() -> None:
    lines = identity.credentials(LAB, LAB.vm("sw1"), KEYS)["tmpfiles.extra"].splitlines()
    kind, path, mode, *_, content = lines[0].split()
    assert (kind, path, mode) == ("f~", "/etc/ssh/ssh_host_ed25519_key", "0600")
    assert base64.b64decode(content) == b"PRIVATE\n"
