"""The QEMU command line of a VM."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab.identity import Keys, credentials, smbios_arguments
from lab.topology import FABRIC_MTU, MGMT, End, Topology, Vm

BINARY = "qemu-system-x86_64"
# sun_path holds 108 bytes with its final zero.
SOCKET_PATH_MAX = 107


@dataclass(frozen=True)
class Places:
    """Where one VM keeps its things. `run_dir` is short (unix sockets), the rest lies in the checkout's .lab/."""

    run_dir: Path
    disk: Path
    console: Path
    pidfile: Path

    def qmp(self, vm: str) -> Path:
        """The VM's control socket."""
        return self.run_dir / f"{vm}.qmp"

    def end(self, end: End) -> Path:
        """The socket at one end of a cable."""
        return self.run_dir / f"{end.vm}.{end.nic}"


def accel_arguments(accel: str) -> list[str]:
    """`kvm` or `tcg`. Without la57 the emulated page walk is a level shorter."""
    if accel == "kvm":
        return ["-accel", "kvm", "-cpu", "host"]
    if accel == "tcg":
        return ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off"]
    raise ValueError(f"accel {accel!r} is neither kvm nor tcg")


def machine_arguments(accel: str, vcpus: int, memory_mb: int, console: Path) -> list[str]:
    """A machine without screen; firmware, GRUB and kernel all write to the serial console file."""
    return [
        BINARY,
        "-nodefaults", "-no-user-config", "-display", "none", "-vga", "none",
        "-machine", "q35,graphics=off,sata=off,smbus=off,i8042=off",
        *accel_arguments(accel),
        "-smp", str(vcpus), "-m", str(memory_mb),
        "-serial", f"file:{escape(console)}",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip


def disk_arguments(disk: Path, snapshot: bool = False) -> list[str]:
    """The disk; writes are cached without limit, since it is thrown away with the lab."""
    drive = f"if=none,id=disk,file={escape(disk)},format=qcow2,cache=unsafe,discard=unmap"
    extra = ["-snapshot"] if snapshot else []
    return ["-drive", drive, "-device", "virtio-blk-pci,drive=disk,bootindex=0", *extra]


def vm_arguments(topology: Topology, vm: Vm, places: Places, accel: str, port: int, keys: Keys) -> list[str]:
    """The whole command line of a VM. ValueError when a socket path is too long for the kernel."""
    arguments = machine_arguments(accel, vm.vcpus, vm.memory_mb, places.console)
    arguments += ["-name", f"tickwire-{vm.name}", "-daemonize", "-pidfile", str(places.pidfile)]
    arguments += ["-qmp", f"unix:{_socket(places.qmp(vm.name))},server=on,wait=off"]
    arguments += disk_arguments(places.disk)
    forward = f"hostfwd=tcp:127.0.0.1:{port}-:22"
    arguments += ["-netdev", f"user,id={MGMT},restrict=on,ipv6=off,{forward}"]
    arguments += ["-device", _nic(MGMT, topology.mac(vm.name, MGMT), None)]
    for nic in vm.nics:
        end = End(vm.name, nic.name)
        local, remote = _socket(places.end(end)), _socket(places.end(topology.peer(end)))
        ends = f"local.type=unix,local.path={local},remote.type=unix,remote.path={remote}"
        arguments += ["-netdev", f"dgram,id={nic.name},{ends}"]
        arguments += ["-device", _nic(nic.name, topology.mac(vm.name, nic.name), FABRIC_MTU)]
    return arguments + smbios_arguments(credentials(topology, vm, keys))


def escape(path: Path) -> str:
    """A path inside a QEMU option value: commas are doubled."""
    return str(path).replace(",", ",,")


def _nic(netdev: str, mac: str, mtu: int | None) -> str:
    # No boot ROM: the firmware would offer to boot from it.
    device = f"virtio-net-pci,netdev={netdev},mac={mac},romfile="
    return device if mtu is None else f"{device},host_mtu={mtu}"


def _socket(path: Path) -> str:
    if len(str(path).encode()) > SOCKET_PATH_MAX:
        raise ValueError(f"socket path {path} has more than {SOCKET_PATH_MAX} bytes; set TMPDIR to a short directory")
    return escape(path)
