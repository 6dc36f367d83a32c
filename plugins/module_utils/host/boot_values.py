# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a boot will write to /proc/sys and /sys: all of sysctl.d and tmpfiles.d, by the rules of systemd.

Sources: sysctl.d(5) and tmpfiles.d(5). A file hides those of the same name in directories after its own; files are
read in the order of their names, whatever their directory. The last sysctl wins, and one that is named wins over a
pattern. Of lines of tmpfiles.d for one path the first counts, and a pattern that comes later writes over it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

from .files import read_text
from .system import System

SYSCTL = "etc/sysctl.d"
TMPFILES = "etc/tmpfiles.d"
_PLACES = ("etc", "run", "usr/local/lib", "usr/lib")
_PATTERN = re.compile(r"[*?\[]")


def render_sysctl(values: Mapping[str, str]) -> str:
    """Lines of sysctl.d, in slash notation: a dot in the name of an interface then means nothing else."""
    return "".join(f"{path[len('proc/sys/') :]} = {value}\n" for path, value in values.items())


def render_tmpfiles(values: Mapping[str, str]) -> str:
    """Lines of tmpfiles.d; ``w!`` writes at boot only, so no package trigger resets the running host."""
    return "".join(f"w! /{path} - - - - {value}\n" for path, value in values.items())


def read_files(system: System, directory: str) -> dict[str, str]:
    """Text of the files in force of ``sysctl.d`` or ``tmpfiles.d`` by their path, in the order of reading."""
    chosen: dict[str, Path] = {}
    for place in _PLACES:
        for path in sorted(system.path(f"{place}/{directory}").glob("*.conf")):
            chosen.setdefault(path.name, path)
    found = {}
    for name in sorted(chosen):
        # A link to /dev/null masks the file; below a test's root that link would lead out of it.
        text = None if chosen[name].is_symlink() and _is_null(chosen[name]) else read_text(chosen[name])
        if text:
            found[str(chosen[name].relative_to(system.root))] = text
    return found


def _is_null(path: Path) -> bool:
    return path.readlink() == Path("/dev/null")


def at_boot(system: System, paths: Iterable[str], ours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Value and file that a boot gives each of ``paths``, if any; ``ours`` are the texts of our files by path.

    All at once, since a host with hundreds of CPUs has thousands of them.
    """
    wanted = set(paths)
    sysctls = {path for path in wanted if path.startswith("proc/sys/")}
    found = _tmpfiles(wanted - sysctls, _in_force(system, "tmpfiles.d", ours)) if wanted - sysctls else {}
    files = _in_force(system, "sysctl.d", ours) if sysctls else {}
    for path in sysctls:
        one = _sysctl(path, files)
        if one is not None:
            found[path] = one
    return found


def _in_force(system: System, directory: str, ours: Mapping[str, str]) -> dict[str, str]:
    """Files in force with ours as they would be, in the order of reading."""
    files = read_files(system, directory)
    for name, text in ours.items():
        if Path(name).parent.name == directory:
            files[name] = text
    return {name: files[name] for name in sorted(files, key=lambda name: Path(name).name)}


def _sysctl(path: str, files: Mapping[str, str]) -> tuple[str, str] | None:
    wanted = path[len("proc/sys/") :]
    named: tuple[str, str] | None = None
    matched: tuple[str, str] | None = None
    excluded = False
    for name, text in files.items():
        for line in text.splitlines():
            line = line.strip()
            if not line or line[0] in "#;":
                continue
            key, equals, value = line.partition("=")
            key = key.strip()
            ignoring = key.startswith("-")
            key = _sysctl_path(key[1:] if ignoring else key)
            if not equals:
                excluded = excluded or (ignoring and key == wanted)
            elif key == wanted:
                named = (value.strip(), name)
            elif _PATTERN.search(key) and fnmatch.fnmatchcase(wanted, key):
                matched = (value.strip(), name)
    return named or (None if excluded else matched)


def _sysctl_path(key: str) -> str:
    """The first separator says which is meant: ``net.ipv4.conf.eth0/1.mtu`` is ``net/ipv4/conf/eth0.1/mtu``."""
    first = re.search(r"[./]", key)
    if first is None or first.group() == "/":
        return key.lstrip("/")
    return key.translate(str.maketrans("./", "/."))


def _tmpfiles(paths: Set[str], files: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    seen: set[str] = set()
    for name, text in files.items():
        for line in text.splitlines():
            fields = _fields(line)
            if not fields or not fields[0].startswith("w"):
                continue
            target = fields[1].lstrip("/")
            if target in seen and "+" not in fields[0]:
                continue
            seen.add(target)
            if target in paths:
                found[target] = (fields[6], name)
            elif _PATTERN.search(target):
                found.update((path, (fields[6], name)) for path in fnmatch.filter(paths, target))
    return found


def _fields(line: str) -> list[str]:
    """Type, path, mode, user, group, age and argument; the argument is the rest of the line."""
    fields = line.split(None, 6)
    if len(fields) < 7 or fields[0].startswith("#"):
        return []
    return [fields[0], fields[1].strip('"'), *fields[2:6], fields[6].strip()]
