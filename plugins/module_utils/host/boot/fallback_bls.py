# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot once, then fall back, where every entry is a file (RHEL, Rocky and Alma)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..cmdline import Token, differences, format_cmdline
from ..errors import HostError
from ..files import read_text, remove, write_atomic
from ..system import System
from . import bls
from .grubenv import check_writable, set_grubenv
from .menu import MenuEntry, added_by_trial, trial_tokens

GRUB_CFG = "boot/grub2/grub.cfg"
PROBE = "usr/sbin/grub2-probe"
ENTRY = f"{bls.ENTRIES}/{bls.PREVIOUS}.conf"


def check_able(system: System, running: Sequence[Token]) -> None:
    """HostError where this host cannot boot an entry once (GRUB does not look into its environment block, or cannot
    write it), or has none to fall back to."""
    defaults = re.findall(r'\s*set default="([^"]*)"', read_text(system.path(GRUB_CFG)) or "")
    if "${saved_entry}" not in defaults:
        raise HostError(
            "boot on trial",
            "/" + GRUB_CFG,
            "GRUB does not take its default from the environment block, so it cannot boot an entry once",
            "set GRUB_DEFAULT=saved and run grub2-mkconfig, or set roce_host_boot_trial to false on this host",
        )
    check_writable(system, PROBE, bls.GRUBENV)
    entries, default = bls.read_entries(system.root), bls.default_entry(system)
    if not any(entry.name == default and entry.ours for entry in entries):
        raise HostError(
            "boot on trial",
            default,
            "the default entry is none that carries our tokens",
            "choose another (grubby --set-default), or set roce_host_boot_trial to false on this host",
        )
    previous_text(system, entries, running)


def arm(system: System, name: str, running: Sequence[Token]) -> None:
    """Make the next boot the default entry with the trial's tokens, and every later one the running kernel's."""
    default = bls.default_entry(system)
    entries = {entry.name: entry for entry in bls.read_entries(system.root)}
    write_atomic(system.path(ENTRY), previous_text(system, list(entries.values()), running))
    added = trial_tokens(entries[default].tokens, name)
    bls.update_entries(system, [default], added, [])
    after = {entry.name: entry for entry in bls.read_entries(system.root)}
    if differences(after[default].tokens, [*entries[default].tokens, *added]):
        raise HostError("boot entry", default, "grubby did not give it the trial's tokens", "look at the entry")
    set_grubenv(system, bls.EDITENV, bls.GRUBENV, {"saved_entry": bls.PREVIOUS, "next_entry": default})


def disarm(system: System, saved_entry: str | None) -> None:
    """Take the trial away: the default entry is the default again."""
    set_grubenv(system, bls.EDITENV, bls.GRUBENV, {"saved_entry": saved_entry, "next_entry": None})
    remove(system.path(ENTRY))
    for entry in bls.read_entries(system.root):
        added = added_by_trial(entry.tokens) if entry.ours else []
        if added:
            bls.update_entries(system, [entry.name], [], added)


def previous_text(system: System, entries: Sequence[MenuEntry], running: Sequence[Token]) -> str:
    """The running kernel's entry with the command line it was started with."""
    image = next((token.value or "" for token in running if token.key == "BOOT_IMAGE"), "")
    kernel = image.rsplit("/", 1)[-1]
    found = next((entry for entry in entries if entry.ours and entry.kernel.rsplit("/", 1)[-1] == kernel), None)
    if found is None:
        raise HostError(
            "boot on trial",
            kernel or "unknown kernel",
            "the running kernel has no boot entry, so there is none to fall back to",
            "reboot into an installed kernel first, or set roce_host_boot_trial to false",
        )
    options = format_cmdline([token for token in running if token.key not in ("BOOT_IMAGE", "initrd")])
    lines = []
    for line in (read_text(system.path(f"{bls.ENTRIES}/{found.name}.conf")) or "").splitlines():
        key = line.split(maxsplit=1)[0] if line.strip() else ""
        if key == "title":
            lines.append(f"title {found.title} with the previous kernel command line")
        elif key not in ("options", "id", ""):
            lines.append(line)
    return "\n".join([*lines, f"options {options}", ""])
