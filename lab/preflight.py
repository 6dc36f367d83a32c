"""What is checked before anything is started or written: programs, root, disk space, memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab.errors import LabError
from lab.topology import Topology

# Where a user's PATH may not reach.
ADMIN_PATH = "/usr/local/sbin:/usr/sbin:/sbin"
RUN_TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
}
BUILD_TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "xz": "xz-utils", "unshare": "util-linux"}
# Measured: a tree of 0.7 GB, a raw disk of 0.7 GB and the image of 0.7 GB lie side by side for a moment.
BUILD_GB = 3.0
# Overlays hold what the roles write; room for each VM and some more.
OVERLAY_GB_PER_VM = 0.5


def find_tool(name: str) -> str | None:
    """Full path of a program, also outside the user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{ADMIN_PATH}")


def check_tools(tools: dict[str, str], purpose: str) -> None:
    """LabError with the Debian packages when a program is missing."""
    missing = sorted(name for name in tools if find_tool(name) is None)
    if missing:
        packages = " ".join(sorted({tools[name] for name in missing}))
        raise LabError(
            f"not installed, and needed to {purpose}: {', '.join(missing)}",
            f"install them: apt-get install {packages}",
        )


def free_gb(path: Path) -> float:
    """Free space, in GB (10^9 bytes), where `path` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 1e9


def check_space(path: Path, needed_gb: float, purpose: str) -> None:
    """LabError when the file system of `path` has not `needed_gb` free."""
    free = free_gb(path)
    if free < needed_gb:
        raise LabError(
            f"no disk space to {purpose}: {path} needs {needed_gb:.1f} GB free, has {free:.1f} GB",
            f"free {needed_gb - free:.1f} GB there, or set XDG_CACHE_HOME (image) or move the checkout (VM disks)",
        )


def root_prefix(uid: int, tty: bool) -> list[str]:
    """What to put before a command that needs root: nothing for root, sudo otherwise. LabError without sudo."""
    if uid == 0:
        return []
    sudo = find_tool("sudo")
    if sudo is None:
        raise LabError(
            f"building the lab image needs root (you are uid {uid}), and sudo is not installed",
            "run `make site` as root (an image that root builds is in root's cache), or allow sudo to this user",
        )
    return [sudo] if tty else [sudo, "-n"]


def memory_needed_mb(topology: Topology) -> int:
    """Memory of all VMs, and what QEMU itself takes for each."""
    return sum(vm.memory_mb + 256 for vm in topology.vms)


def memory_available_mb(meminfo: str) -> int:
    """MemAvailable out of the text of /proc/meminfo, in MB."""
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    raise ValueError("/proc/meminfo has no MemAvailable")


def check_memory(topology: Topology) -> None:
    """LabError when the VMs do not fit in the memory that is free now."""
    needed, available = memory_needed_mb(topology), memory_available_mb(Path("/proc/meminfo").read_text())
    if available < needed:
        raise LabError(
            f"no memory for the lab: its VMs need {needed} MB, available are {available} MB",
            "stop other programs or labs (`python3 -m lab down` in their checkout)",
        )


def check_run(topology: Topology, lab_root: Path) -> None:
    """All that booting needs."""
    check_tools(RUN_TOOLS, "run the lab")
    check_space(lab_root, OVERLAY_GB_PER_VM * len(topology.vms), "run the lab")
    check_memory(topology)


def check_build(cache: Path) -> None:
    """All that building the image needs; root or sudo is asked for by `root_prefix`."""
    check_tools(BUILD_TOOLS | {"qemu-img": RUN_TOOLS["qemu-img"]}, "build the lab image")
    check_space(cache, BUILD_GB, "build the lab image")
