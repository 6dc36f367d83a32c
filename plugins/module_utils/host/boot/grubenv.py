# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GRUB's environment block: read as the text that it is, written by GRUB's own tool.

Format and tool: GRUB manual, "The GRUB environment block" and grub-editenv.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import HostError
from ..files import read_text
from ..system import System

SIZE_BYTES = 1024
HEADER = "# GRUB Environment Block\n"
#: File systems that GRUB can only read: a next_entry there would stay for ever.
READ_ONLY = frozenset({"btrfs", "zfs", "squash4", "iso9660", "udf"})


def parse_grubenv(text: str) -> dict[str, str]:
    """Variables of a block; the padding of ``#`` and comments say nothing."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition("=")
        if sign and not name.startswith("#"):
            found[name] = value
    return found


def empty_grubenv() -> str:
    """A block without variables."""
    return HEADER.ljust(SIZE_BYTES, "#")


def read_grubenv(system: System, path: str) -> dict[str, str]:
    """Variables of the host's block; none where there is no block yet."""
    return parse_grubenv(read_text(system.path(path)) or "")


def check_writable(system: System, probe: str, path: str) -> None:
    """HostError where GRUB cannot write its environment block, so that "once" would be for ever.

    GRUB manual, "The GRUB environment block": not on LVM or RAID and not on file systems with checksums.
    """
    directory = "/" + path.rsplit("/", 1)[0]
    for target, bad in (("abstraction", None), ("fs", READ_ONLY)):
        rc, out, err = system.run(["/" + probe, f"--target={target}", directory])
        words = set(out.split())
        if rc != 0 or (words if bad is None else words & bad):
            raise HostError(
                "boot on trial",
                f"{directory} on {' '.join(sorted(words)) or 'an unknown device'}",
                f"GRUB cannot write there, so it cannot boot an entry once{': ' + err.strip() if err.strip() else ''}",
                "set roce_host_boot_trial to false on this host",
            )


def set_grubenv(system: System, tool: str, path: str, values: Mapping[str, str | None]) -> None:
    """Give the variables these values (None: none) and read them back; HostError when that fails.

    What is set goes in by one call of the tool, so that GRUB never sees half of it.
    """
    found = read_grubenv(system, path)
    unset = [name for name, value in values.items() if value is None and name in found]
    new = [f"{name}={value}" for name, value in values.items() if value is not None and found.get(name) != value]
    for command in (["unset", *unset] if unset else [], ["set", *new] if new else []):
        if command:
            rc, out, err = system.run(["/" + tool, "/" + path, *command])
            if rc != 0:
                raise HostError(
                    "GRUB environment block", "/" + path, f"it cannot be written: {(err or out).strip()}", "look at it"
                )
    found = read_grubenv(system, path)
    for name, value in values.items():
        if found.get(name) != value:
            raise HostError(
                "GRUB environment block",
                f"{name}={value or ''}",
                f"it reads back as '{found.get(name, '')}'",
                f"look at /{path}",
            )
