"""A systemd, swap and mount side for the file tree of a host: does to the tree what the programs do to a machine."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.host.host_tree import Host

UNITS = "etc/systemd/system"
SWAPS = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"


def escaped(path: str) -> str:
    """A path as the kernel writes it into /proc/swaps and mountinfo."""
    return path.replace(" ", "\\040")


class Machine:
    """``run`` for a System; ``refuse`` has the text that a program fails with, by its whole command line."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.ran: list[str] = []
        self.refuse: dict[str, str] = {}
        self.active: set[str] = set()
        self.mount_options = ""
        host.write("proc/swaps", SWAPS)
        host.write("proc/meminfo", "MemTotal: 1246804 kB\nMemFree: 1159012 kB\nMemAvailable:    1108572 kB\n")
        host.write(
            "proc/self/mountinfo", "39 30 0:32 / /dev/hugepages rw,nosuid - hugetlbfs hugetlbfs rw,pagesize=2M\n"
        )
        host.write("usr/lib/systemd/system/swap.target", "[Unit]\n")

    def swap(self, path: str, used_kb: int, priority: int) -> None:
        self.host.write(path, "swap")
        line = f"{escaped('/' + path)} file 65532 {used_kb} {priority}\n"
        self.host.write("proc/swaps", self.host.read("proc/swaps") + line)

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        line = " ".join(argv)
        self.ran.append(line)
        if line in self.refuse:
            return 1, "", self.refuse[line]
        program, *rest = argv
        if program == "systemctl":
            return self.systemctl(rest[0], rest[-1], "--now" in rest)
        if program == "swapoff":
            lines = self.host.read("proc/swaps").splitlines(True)
            self.host.write("proc/swaps", "".join(line for line in lines if line.split()[0] != escaped(rest[0])))
        elif program == "swapon":
            priority = int(rest[1]) if rest[0] == "-p" else -2
            self.swap(rest[-1].lstrip("/"), 0, priority)
        else:
            raise AssertionError(f"no such program: {line}")
        return 0, "", ""

    def systemctl(self, verb: str, unit: str, now: bool) -> tuple[int, str, str]:
        link = self.host.root / UNITS / unit
        wants = self.host.root / UNITS / "local-fs.target.wants" / unit
        if verb == "is-active":
            return (0, "active\n", "") if unit in self.active else (3, "inactive\n", "")
        if verb == "mask":
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/dev/null")
        elif verb == "unmask":
            link.unlink()
        elif verb == "enable":
            wants.parent.mkdir(parents=True, exist_ok=True)
            if not wants.is_symlink():
                wants.symlink_to(f"../{unit}")
        elif verb == "disable":
            wants.unlink(missing_ok=True)
        else:
            assert verb in ("start", "stop", "daemon-reload"), verb
        if verb == "start" or (verb == "enable" and now):
            self.start(unit)
        if verb == "stop" or (verb == "mask" and now):
            self.stop(unit)
        return 0, "", ""

    def start(self, unit: str) -> None:
        self.active.add(unit)
        where, options = self.mount(unit)
        if where:
            (self.host.root / where[1:].replace("\\040", " ")).mkdir(parents=True, exist_ok=True)
        if where and f" {where} " not in self.host.read("proc/self/mountinfo"):
            line = f"50 29 0:34 / {where} rw,relatime shared:48 - hugetlbfs hugetlbfs {self.mount_options or options}\n"
            self.host.write("proc/self/mountinfo", self.host.read("proc/self/mountinfo") + line)

    def stop(self, unit: str) -> None:
        self.active.discard(unit)
        where = self.mount(unit)[0]
        lines = self.host.read("proc/self/mountinfo").splitlines(True)
        self.host.write("proc/self/mountinfo", "".join(line for line in lines if not where or f" {where} " not in line))

    def mount(self, unit: str) -> tuple[str, str]:
        """Where and what a mount unit mounts, with the options as hugetlbfs prints them (fs/hugetlbfs/inode.c)."""
        path = self.host.root / UNITS / unit
        text = path.read_text() if unit.endswith(".mount") and not Path(path).is_symlink() and path.exists() else ""
        where = re.search(r"^Where=(.*)$", text, re.MULTILINE)
        given = dict(re.findall(r"(pagesize|uid|gid|mode)=(\w+)", text))
        shown = ["rw"]
        shown += [f"{key}={given[key]}" for key in ("uid", "gid") if int(given.get(key, "0"))]
        shown += [f"mode={int(given['mode'], 8):o}"] if given.get("mode", "0755") != "0755" else []
        shown.append("pagesize=" + given.get("pagesize", "2M").replace("1G", "1024M"))
        return (escaped(where.group(1)) if where else "", ",".join(shown))
