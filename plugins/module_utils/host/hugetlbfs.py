# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Mounts of hugetlbfs: a mount unit of ours per path, mounted now and at every boot, and read back from the kernel.

A unit and not /etc/fstab: it is a file of our own, which goes away as it came. hugetlbfs is not remounted with other
options, so a change is an unmount and a mount, and files in use keep it from happening.
Sources: systemd.mount(5), systemd.unit(5) (names), Documentation/admin-guide/mm/hugetlbpage.rst.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .before import forget, read_before, remember
from .errors import HostError
from .files import read_text
from .hugepages import SIZES_KB, HugepagesResult, Pool, apply_hugepages
from .masks import UNITS, run
from .part import Drift
from .system import System
from .undo import Undo, replace_file
from .values import MODE, Outcome

OWNER = "hugetlbfs"
MARKER = "# Written by tickwire.fabric.hugepages; changes made here are overwritten.\n"
_SIZES = {"2M": "2M", "1G": "1024M"}  # as the kernel prints them in mountinfo
_PLAIN = re.compile(r"[A-Za-z0-9:_.]")


@dataclass(frozen=True)
class Mount:
    """One mount; ``mode`` is the octal number of its root directory, ``uid`` and ``gid`` its owner."""

    path: str
    size: str
    uid: int
    gid: int
    mode: int

    @property
    def unit(self) -> str:
        return unit_name(self.path)

    @property
    def options(self) -> frozenset[str]:
        """Options as the kernel prints them: those which are its defaults are not there."""
        options = {f"pagesize={_SIZES[self.size]}"}
        options |= {f"uid={self.uid}"} if self.uid else set()
        options |= {f"gid={self.gid}"} if self.gid else set()
        return frozenset(options | ({f"mode={self.mode:o}"} if self.mode != 0o755 else set()))

    def render(self) -> str:
        """Text of the unit; specifiers of systemd start with a percent sign, which is doubled."""
        options = f"pagesize={self.size},uid={self.uid},gid={self.gid},mode={self.mode:04o}"
        path = self.path.replace("%", "%%")
        return (
            f"{MARKER}[Unit]\nDescription=Hugepages of {self.size}\n\n"
            f"[Mount]\nWhat=hugetlbfs\nWhere={path}\nType=hugetlbfs\nOptions={options}\n\n"
            "[Install]\nWantedBy=local-fs.target\n"
        )


def unit_name(path: str) -> str:
    """Name of the mount unit of a path, by the rules of systemd-escape --path."""
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "-.mount"
    return "-".join(_escape(part, first=not number) for number, part in enumerate(parts)) + ".mount"


def _escape(part: str, first: bool) -> str:
    escaped = [
        chr(byte) if _PLAIN.match(chr(byte)) and not (first and not place and byte == 0x2E) else f"\\x{byte:02x}"
        for place, byte in enumerate(part.encode())
    ]
    return "".join(escaped)


def parse_mounts(system: System, mounts: Sequence[Mapping[str, Any]] | None) -> list[Mount]:
    """Wanted mounts of the user's list of {path, size, owner, group, mode}; HostError for what cannot be."""
    found: dict[str, Mount] = {}
    for item in mounts or []:
        path = str(item["path"])
        size = str(item.get("size") or "2M")
        mode = str(item.get("mode") or "0755")
        parts = path.split("/")
        if (
            not path.startswith("/")
            or path == "/"
            or {"", ".", ".."} & set(parts[1:])
            or re.search(r"[\x00-\x1f\\\"']", path)
        ):
            raise HostError("hugetlbfs path", path, "it is no absolute path in its shortest form", "correct it")
        if size not in SIZES_KB:
            raise HostError("hugetlbfs size", size, f"it is none of {', '.join(SIZES_KB)}", "give one of these")
        if not re.match(r"[0-7]{3,4}\Z", mode):
            raise HostError("hugetlbfs mode", mode, "it is no octal mode such as '0770'", "quote it in YAML")
        if path in found:
            raise HostError("hugetlbfs path", path, "it is there twice", "keep one of them")
        uid = _number(system, "passwd", str(item.get("owner") or "root"))
        gid = _number(system, "group", str(item.get("group") or "root"))
        found[path] = Mount(path, size, uid, gid, int(mode, 8))
    return list(found.values())


def _number(system: System, database: str, name: str) -> int:
    """uid or gid: hugetlbfs takes numbers only."""
    if name.isdigit():
        return int(name)
    if name == "root":
        return 0
    for line in (system.read(f"etc/{database}") or "").splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) > 2:
            return int(fields[2])
    kind = "user" if database == "passwd" else "group"
    raise HostError(
        f"hugetlbfs {kind}", name, f"/etc/{database} has no such {kind}", "make it first, or give its number"
    )


def read_mounts(system: System) -> dict[str, tuple[str, frozenset[str]]]:
    """Type and the file system's own options of the topmost mount of each path, from /proc/self/mountinfo."""
    mounts = {}
    for line in (system.read("proc/self/mountinfo") or "").splitlines():
        left, dash, right = line.partition(" - ")
        fields, last = left.split(" "), right.split(" ")
        if dash and len(fields) > 4 and len(last) > 2:
            path = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), fields[4])
            mounts[path] = (last[0], frozenset(last[2].split(",")) - {"rw", "seclabel"})
    return mounts


def ours(system: System) -> dict[str, str]:
    """Paths of the mounts that have a unit of ours, with its name."""
    found = {}
    for file in sorted(system.path(UNITS).glob("*.mount")):
        text = read_text(file) or ""
        where = re.search(r"^Where=(.*)$", text, re.MULTILINE)
        if text.startswith(MARKER) and where:
            found[where.group(1).replace("%%", "%")] = file.name
    return found


def check_mounts(system: System, wanted: Sequence[Mount]) -> None:
    """HostError where a path is somebody else's mount, or the kernel has no pages of that size."""
    mine, mounted = ours(system), read_mounts(system)
    for mount in wanted:
        if not system.path(f"sys/kernel/mm/hugepages/hugepages-{SIZES_KB[mount.size]}kB").is_dir():
            raise HostError(
                f"hugetlbfs {mount.path}", mount.size, "the kernel has no pages of that size", "give another size"
            )
        if mount.path not in mine and mount.path in mounted:
            raise HostError(
                f"hugetlbfs {mount.path}",
                mount.size,
                f"there is a mount of {mounted[mount.path][0]} already which is not ours",
                "choose a path of its own, such as /dev/hugepages1G",
            )


def apply_mounts(system: System, wanted: Sequence[Mount], check: bool, undo: Undo, outcome: Outcome) -> None:
    """Mount what is wanted now and at boot, and take away mounts of ours that are not wanted any more."""
    check_mounts(system, wanted)
    paths = {mount.path for mount in wanted}
    for path, unit in ours(system).items():
        if path not in paths:
            outcome.note(f"hugetlbfs {path}", _said(system, path), "not mounted")
            if not check:
                _take_away(system, path, unit, undo)
    for mount in wanted:
        wanted_text = ",".join(sorted(mount.options))
        if _is_kept(system, mount) and _is_mounted(system, mount):
            continue
        kept = "" if _is_kept(system, mount) else ", not at boot"
        outcome.note(f"hugetlbfs {mount.path}", _said(system, mount.path) + kept, wanted_text)
        if not check:
            _mount(system, mount, undo)


def _is_kept(system: System, mount: Mount) -> bool:
    """Whether the next boot mounts it so."""
    as_wanted = read_text(system.path(f"{UNITS}/{mount.unit}")) == mount.render()
    return as_wanted and _is_enabled(system, mount.unit)


def _said(system: System, path: str) -> str:
    found = read_mounts(system).get(path)
    return ",".join(sorted(found[1])) if found else "not mounted"


def _is_mounted(system: System, mount: Mount) -> bool:
    return read_mounts(system).get(mount.path) == ("hugetlbfs", mount.options)


def _is_enabled(system: System, unit: str) -> bool:
    return system.path(f"{UNITS}/local-fs.target.wants/{unit}").is_symlink()


def _mount(system: System, mount: Mount, undo: Undo) -> None:
    undo.add(lambda: run(system, "systemctl", "daemon-reload"))
    if not system.path(mount.path).exists():
        undo.add(lambda: _remove_directory(system, mount.path))
        remember(system, OWNER, {mount.path: "no directory"})
    if not _is_mounted(system, mount):
        if mount.path in read_mounts(system):
            undo.add(lambda: _start_former(system, mount.unit))
            _stop(system, mount.path, mount.unit)
        replace_file(system, f"{UNITS}/{mount.unit}", mount.render(), MODE, undo)
        undo.add(lambda: run(system, "systemctl", "stop", mount.unit))
    else:
        replace_file(system, f"{UNITS}/{mount.unit}", mount.render(), MODE, undo)
    if not _is_enabled(system, mount.unit):
        undo.add(lambda: run(system, "systemctl", "disable", mount.unit))
    run(system, "systemctl", "daemon-reload")
    run(system, "systemctl", "enable", "--now", mount.unit)
    if not _is_mounted(system, mount):
        raise HostError(
            f"hugetlbfs {mount.path}",
            ",".join(sorted(mount.options)),
            f"/proc/self/mountinfo says {_said(system, mount.path)} after it was mounted",
            f"see 'systemctl status {mount.unit}'",
        )


def _start_former(system: System, unit: str) -> None:
    run(system, "systemctl", "daemon-reload")
    run(system, "systemctl", "start", unit)


def _stop(system: System, path: str, unit: str) -> None:
    status, out, err = system.run(["systemctl", "stop", unit])
    if status != 0 or path in read_mounts(system):
        said = err.strip() or out.strip()
        raise HostError(
            f"hugetlbfs {path}", "unmount", f"it stays mounted: {said or 'it is in use'}", "stop what uses its pages"
        )


def _remove_directory(system: System, path: str) -> None:
    """The directory that systemd made for a mount of ours goes away with it; one that somebody uses stays."""
    if path not in read_before(system, OWNER):
        return
    try:
        system.path(path).rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EBUSY):
            raise
    forget(system, OWNER, {path})


def _take_away(system: System, path: str, unit: str, undo: Undo) -> None:
    undo.add(lambda: run(system, "systemctl", "enable", "--now", unit))
    undo.add(lambda: run(system, "systemctl", "daemon-reload"))
    if path in read_mounts(system):
        _stop(system, path, unit)
    run(system, "systemctl", "disable", unit)
    replace_file(system, f"{UNITS}/{unit}", "", MODE, undo)
    run(system, "systemctl", "daemon-reload")
    if path in read_before(system, OWNER):
        undo.add(lambda: remember(system, OWNER, {path: "no directory"}))
        _remove_directory(system, path)


def find_drift(system: System, wanted: Sequence[Mount]) -> list[Drift]:
    """Mounts that are not as wanted, and units that would not bring them back."""
    found = []
    for mount in wanted:
        if not _is_mounted(system, mount):
            found.append(Drift(f"hugetlbfs {mount.path}", ",".join(sorted(mount.options)), _said(system, mount.path)))
        if read_text(system.path(f"{UNITS}/{mount.unit}")) != mount.render():
            found.append(Drift(f"/{UNITS}/{mount.unit}", "as written by hugepages", "changed or not there"))
        elif not _is_enabled(system, mount.unit):
            found.append(Drift(mount.unit, "enabled", "disabled"))
    return found


def apply_all(
    system: System,
    pages: Mapping[Pool, int],
    mounts: Sequence[Mount],
    check: bool,
    timeout_s: float,
    sleep: Callable[[float], None],
    boot_reservation: bool,
) -> tuple[HugepagesResult, Outcome]:
    """Pages and mounts together, so that neither stays when the other cannot be."""
    outcome = Outcome()
    check_mounts(system, mounts)
    with Undo() as undo:
        result = apply_hugepages(system, pages, check, timeout_s, sleep, boot_reservation, undo)
        apply_mounts(system, mounts, check, undo, outcome)
    return result, outcome
