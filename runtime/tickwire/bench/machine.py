# SPDX-License-Identifier: Apache-2.0
"""What a figure depends on beside the code: CPU, kernel, network interface and RDMA device of one end of a benchmark.

Read from /proc and /sys (the kernel's Documentation/admin-guide: pm, cputopology; ABI/stable/sysfs-class-infiniband).
What a machine does not say is None: a guest without cpufreq has no governor.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SIOCGIFADDR = 0x8915
_POLICIES = {
    os.SCHED_OTHER: "other",
    os.SCHED_BATCH: "batch",
    os.SCHED_IDLE: "idle",
    os.SCHED_FIFO: "fifo",
    os.SCHED_RR: "rr",
}
SOFTWARE_RDMA = ("rxe", "siw")  # drivers without a device: Soft-RoCE, Soft-iWARP


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _cpus(path: Path) -> str:
    """A list of CPUs as the kernel writes it; "" for none, which some kernels write as "(null)"."""
    return (_text(path) or "").replace("(null)", "")


def _number(path: Path) -> int | None:
    try:
        return int(_text(path) or "")
    except ValueError:
        return None


def _driver(device: Path) -> str | None:
    try:
        return (device / "driver").resolve(strict=True).name
    except OSError:
        return None


def _cpu(number: int, root: Path) -> dict[str, Any]:
    """State of one CPU; frequencies in kHz, as the kernel has them."""
    base = root / f"sys/devices/system/cpu/cpu{number}"
    states = sorted((base / "cpuidle").glob("state*"), key=lambda path: int(path.name[5:]))
    return {
        "number": number,
        "governor": _text(base / "cpufreq/scaling_governor"),
        "frequency_khz": _number(base / "cpufreq/scaling_cur_freq"),
        "frequency_max_khz": _number(base / "cpufreq/scaling_max_freq"),
        "siblings": _text(base / "topology/thread_siblings_list"),
        "idle_states": [
            {
                "name": _text(state / "name"),
                "latency_us": _number(state / "latency"),
                "disabled": _text(state / "disable") == "1",
            }
            for state in states
        ],
    }


def _processor(root: Path) -> tuple[str | None, bool]:
    """Name of the processor, and whether it says that a hypervisor is below it (x86 only)."""
    lines = (_text(root / "proc/cpuinfo") or "").splitlines()
    entries = {key.strip(): value.strip() for key, _colon, value in (line.partition(":") for line in lines)}
    return entries.get("model name"), "hypervisor" in entries.get("flags", "").split()


def interface_of(address: str) -> str | None:
    """The interface that has this IPv4 address as its first one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _index, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                if socket.inet_ntoa(answer[20:24]) == address:
                    return name
    return None


def _nic(address: str, root: Path) -> dict[str, Any] | None:
    name = interface_of(address)
    if name is None:
        return None
    base = root / "sys/class/net" / name
    speed = _number(base / "speed")
    return {
        "interface": name,
        "driver": _driver(base / "device"),
        "mtu_bytes": _number(base / "mtu"),
        "speed_mbps": speed if speed is not None and speed > 0 else None,
    }


def rdma(name: str, root: Path = Path("/")) -> dict[str, Any]:
    """An RDMA device by name; `software` when no hardware is behind it."""
    base = root / "sys/class/infiniband" / name
    driver = _driver(base / "device")
    if driver is None:
        driver = next((known for known in SOFTWARE_RDMA if name.startswith(known)), None)
    return {
        "device": name,
        "driver": driver,
        "firmware": _text(base / "fw_ver"),
        "software": driver is None or driver in SOFTWARE_RDMA,
    }


def rdma_of(names: Sequence[str]) -> str | None:
    """Of several RDMA devices the one that says most of a figure: the first in software, else the first one."""
    return min(names, key=lambda name: not rdma(name)["software"], default=None)


def thread_named(pid: int, name: str, root: Path = Path("/")) -> int:
    """The thread of a process that has this name; the process itself when there is none."""
    tasks = (root / f"proc/{pid}/task").glob("[0-9]*")
    return next((int(task.name) for task in tasks if _text(task / "comm") == name), pid)


def allowed_cpus(thread: int) -> list[int]:
    """The CPUs a thread (0: this one) may run on; those of this one when it is gone."""
    try:
        return sorted(os.sched_getaffinity(thread))
    except ProcessLookupError:
        return sorted(os.sched_getaffinity(0))


def _scheduling(thread: int) -> tuple[str, int]:
    """Policy and real-time priority of a thread; this one's when it is gone."""
    try:
        return _POLICIES.get(os.sched_getscheduler(thread), "other"), os.sched_getparam(thread).sched_priority
    except ProcessLookupError:
        return _scheduling(0)


def read(
    address: str, pinned: int | None, rdma_device: str | None = None, root: Path = Path("/"), thread: int = 0
) -> dict[str, Any]:
    """Everything about this end, whose messages leave from `address`; `pinned`: the CPU it was told to stay on.
    `thread`: whose scheduling it is, 0: this one's."""
    system = os.uname()
    allowed = allowed_cpus(thread)
    scheduler, priority = _scheduling(thread)
    name, virtual = _processor(root)
    cpus = root / "sys/devices/system/cpu"
    smt = _text(cpus / "smt/active")
    return {
        "name": system.nodename,
        "address": address,
        "kernel": system.release,
        "architecture": system.machine,
        "processor": name,
        "virtual_machine": virtual,
        "clocksource": _text(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "pinned_cpu": pinned,
        "allowed_cpus": allowed,
        "scheduler": scheduler,
        "scheduler_priority": priority,
        "load_average": os.getloadavg()[0],
        "online_cpus": _text(cpus / "online"),
        "isolated_cpus": _cpus(cpus / "isolated"),
        "nohz_full_cpus": _cpus(cpus / "nohz_full"),
        "smt": None if smt is None else smt == "1",
        "cpu": _cpu(allowed[0] if pinned is None else pinned, root),
        "nic": _nic(address, root),
        "rdma": None if rdma_device is None else rdma(rdma_device, root),
    }
