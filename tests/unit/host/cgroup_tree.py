"""Topologies, and a systemd with a kernel's cpusets on the file tree: what isolate.py sees and writes of both.

The answers of the kernel are those that Linux 6.12.107 gave on the lab's machine, see tests/fixtures/host.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import (
    format_cpu_list,
    format_cpu_mask,
    parse_cpu_list,
    parse_cpu_mask,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

CPU = "sys/devices/system/cpu"
CGROUP = "sys/fs/cgroup"
MASK = "sys/devices/virtual/workqueue/cpumask"
UNITS = "etc/systemd/system"
KTHREAD, NO_SETAFFINITY = 0x00208040, 0x04208040


def topology(host: Host, nodes: Iterable[Iterable[Iterable[int]]], offline: Iterable[int] = ()) -> None:
    """CPUs as nodes of cores of CPUs. An offline CPU loses its topology and is in no list of siblings, as on Linux."""
    nodes = [[list(core) for core in node] for node in nodes]
    gone = set(offline)
    everything = {cpu for node in nodes for core in node for cpu in core} | gone
    host.write(f"{CPU}/present", format_cpu_list(everything) + "\n")
    host.write(f"{CPU}/online", format_cpu_list(everything - gone) + "\n")
    for number, node in enumerate(nodes):
        cpus = {cpu for core in node for cpu in core} - gone
        host.write(f"sys/devices/system/node/node{number}/cpulist", format_cpu_list(cpus) + "\n")
        for core in node:
            for cpu in set(core) - gone:
                host.write(f"{CPU}/cpu{cpu}/topology/core_cpus_list", format_cpu_list(set(core) - gone) + "\n")


class Machine:
    """systemd and kernel of a host. ``claimed`` are CPUs that a cgroup of somebody else claims for itself."""

    def __init__(self, host: Host, slices: Iterable[str] = ("init.scope", "system.slice", "user.slice")) -> None:
        self.host = host
        self.slices = list(slices)
        self.claimed: frozenset[int] = frozenset()
        self.ran: list[str] = []
        self.affinity: dict[int, str] = {}
        self.reload_does = True
        host.write("run/systemd/system/.keep", "")
        host.write("proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n")
        host.write(f"{CGROUP}/cgroup.controllers", "cpuset cpu io memory\n")
        host.write(f"{CGROUP}/cpuset.cpus.isolated", "\n")
        for unit in self.slices:
            host.write(f"{CGROUP}/{unit}/cgroup.procs", "")
        host.write(MASK, format_cpu_mask(self.present) + "\n")
        self.system = System(host.root, self.run, self.write)

    @property
    def present(self) -> frozenset[int]:
        return parse_cpu_list(self.host.read(f"{CPU}/present"))

    @property
    def online(self) -> frozenset[int]:
        path = self.host.root / CPU / "online"
        return parse_cpu_list(path.read_text()) if path.exists() else self.present

    def kthread(self, pid: int, name: str, cpus: str, flags: int = KTHREAD) -> None:
        self.host.write(f"proc/{pid}/stat", f"{pid} ({name}) S 2 0 0 0 -1 {flags} 0 0 0\n")
        self.host.write(f"proc/{pid}/status", f"Name:\t{name}\nCpus_allowed:\tff\nCpus_allowed_list:\t{cpus}\n")

    def set_affinity(self, pid: int, cpus: Iterable[int]) -> None:
        text = format_cpu_list(frozenset(cpus))
        self.affinity[pid] = text
        path = self.host.root / f"proc/{pid}/status"
        path.write_text(re.sub(r"(Cpus_allowed_list:\t).*", rf"\g<1>{text}", path.read_text()))

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        self.ran.append(" ".join(argv))
        program, verb, *rest = argv
        assert program == "systemctl"
        link = self.host.root / UNITS / "basic.target.wants/tickwire-partition.service"
        if verb == "daemon-reload" and self.reload_does:
            for unit in self.slices:
                drop_in = self.host.root / UNITS / f"{unit}.d/50-tickwire-isolation.conf"
                if drop_in.exists():
                    self._cpuset(unit, re.findall(r"^AllowedCPUs=(.*)$", drop_in.read_text(), re.MULTILINE)[0])
        elif verb == "enable":
            link.parent.mkdir(parents=True, exist_ok=True)
            link.write_text("")
        elif verb == "disable":
            assert rest == ["--now", "tickwire-partition.service"]
            link.unlink(missing_ok=True)
        elif verb == "restart":
            self._cpuset("tickwire.slice", "")
            for line in (self.host.root / "etc/tickwire/partition.conf").read_text().splitlines():
                if not line.startswith("#"):
                    self.write(self.host.root / line.split()[1].lstrip("/"), line.split()[-1] + "\n")
        return 0, "", ""

    def write(self, path: Path, text: str) -> None:
        """What the kernel makes of a write to a file of a cpuset, or to any other."""
        if path.name == "cpuset.cpus" and not text.strip():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # there are processes in it
        path.write_text(text)
        if path.name.startswith("cpuset."):
            self._judge()

    def _cpuset(self, unit: str, cpus: str) -> None:
        self.host.write(f"{CGROUP}/{unit}/cpuset.cpus", cpus + "\n")
        if not (self.host.root / CGROUP / unit / "cpuset.cpus.partition").exists():
            self.host.write(f"{CGROUP}/{unit}/cpuset.cpus.partition", "member\n")
        self._judge()

    def _judge(self) -> None:
        ours = self.host.root / CGROUP / "tickwire.slice"
        exclusive: frozenset[int] = frozenset()
        state = (ours / "cpuset.cpus.partition").read_text() if ours.exists() else ""
        if state.startswith("isolated"):
            exclusive = parse_cpu_list((ours / "cpuset.cpus").read_text())
            others = self.claimed.union(
                *(
                    parse_cpu_list(path.read_text())
                    for path in (self.host.root / CGROUP).glob("*/cpuset.cpus")
                    if path.parent != ours
                )
            )
            if exclusive & others:
                state, exclusive = "isolated invalid (Cpu list in cpuset.cpus not exclusive)\n", frozenset()
            else:
                state = "isolated\n"
            (ours / "cpuset.cpus.partition").write_text(state)
        self.host.write(f"{CGROUP}/cpuset.cpus.isolated", format_cpu_list(exclusive & self.online) + "\n")
        for path in (self.host.root / CGROUP).glob("*/cpuset.cpus"):
            asked = parse_cpu_list(path.read_text())
            free = self.online if path.parent == ours else self.online - exclusive
            effective = (asked & free) or free
            path.with_name("cpuset.cpus.effective").write_text(format_cpu_list(effective) + "\n")
        mask = parse_cpu_mask(self.host.read(MASK))
        self.host.write(MASK, format_cpu_mask((mask - exclusive) or mask) + "\n")
