# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel command line of the next boot, on hosts that boot by GRUB as Debian and Ubuntu set it up.

Our tokens live in a drop-in of our own, read after /etc/default/grub and after the drop-ins of cloud images: packaged
files are never edited. Whether they arrived is read from every menu entry of the generated grub.cfg.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import (
    Token,
    differences,
    family,
    format_cmdline,
    parse_cmdline,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import read_text, remove, write_atomic
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import ISOLATION_KEYS

Run = Callable[[list[str]], tuple[int, str, str]]

DROP_IN = "etc/default/grub.d/zz-tickwire.cfg"
GRUB_CFG = "boot/grub/grub.cfg"
UPDATE_GRUB = "usr/sbin/update-grub"
MODE = 0o644
MARKER = "# Written by tickwire.fabric.kernel_cmdline; changes made here are overwritten."

_SECTION = re.compile(r"### (BEGIN|END) (\S+) ###")
_MENUENTRY = re.compile(r"\s*menuentry\s+'((?:[^']|'\\'')*)'")
_LINUX = re.compile(r"\s*linux(?:16|efi)?\s+(\S+)(.*)")
_ASSIGNMENT = re.compile(r'GRUB_CMDLINE_LINUX_DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT (.*)"\Z')


@dataclass(frozen=True)
class MenuEntry:
    """One bootable entry of grub.cfg. ``script`` is the file of /etc/grub.d that made it."""

    title: str
    script: str
    kernel: str
    tokens: tuple[Token, ...]

    @property
    def ours(self) -> bool:
        """Whether GRUB_CMDLINE_LINUX_DEFAULT reaches it: a Linux of this machine, and not its recovery mode.

        Recovery entries stay without our tokens on purpose: they are the way in when a token does not boot.
        """
        names = {token.name for token in self.tokens}
        return self.script.startswith("10_linux") and not names & {"single", "recovery"}


@dataclass
class CmdlineResult:
    """What was done, or in check mode would be; ``before`` and ``after`` are the tokens of the drop-in."""

    changed: bool = False
    before: list[Token] = field(default_factory=list)
    after: list[Token] = field(default_factory=list)
    entries: list[MenuEntry] = field(default_factory=list)
    reboot_required: bool = False


def parse_menu(text: str) -> list[MenuEntry]:
    """Entries of a generated grub.cfg, in its order."""
    entries: list[MenuEntry] = []
    script, title = "", ""
    for line in text.splitlines():
        section = _SECTION.match(line)
        if section is not None:
            script = section.group(2).rsplit("/", 1)[-1] if section.group(1) == "BEGIN" else ""
            continue
        menu = _MENUENTRY.match(line)
        if menu is not None:
            title = menu.group(1).replace("'\\''", "'")
            continue
        linux = _LINUX.match(line)
        if linux is not None and title:
            entries.append(MenuEntry(title, script, linux.group(1), tuple(parse_cmdline(linux.group(2)))))
            title = ""
    return entries


def read_menu(root: Path) -> list[MenuEntry]:
    """Entries of the host's grub.cfg; none where there is no such file."""
    return parse_menu(read_text(root / GRUB_CFG) or "")


def render_drop_in(tokens: Sequence[Token]) -> str:
    """Text of the drop-in: shell, sourced by grub-mkconfig after /etc/default/grub."""
    line = format_cmdline(tokens).replace('"', '\\"')
    return f'{MARKER}\nGRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {line}"\n'


def parse_drop_in(text: str | None) -> list[Token]:
    """Tokens of a drop-in that render_drop_in() wrote; none of anything else."""
    for line in (text or "").splitlines():
        match = _ASSIGNMENT.match(line)
        if match is not None:
            return parse_cmdline(match.group(1).replace('\\"', '"'))
    return []


def check_supported(root: Path) -> None:
    """HostError where the command line of the next boot cannot be set by this release."""
    if (root / UPDATE_GRUB).exists():
        return
    if (root / "etc/redhat-release").exists() or (root / "usr/sbin/grubby").exists():
        raise HostError(
            "kernel command line",
            "RHEL family",
            "boot loader entries (BLS) come with a later release, this one sets GRUB on Debian and Ubuntu",
            "leave roce_host_isolated_cpus and roce_host_kernel_cmdline_extra empty on this host",
        )
    raise HostError(
        "kernel command line",
        "/" + UPDATE_GRUB,
        "there is no such program, so this host does not boot by GRUB as Debian and Ubuntu set it up",
        "install grub2-common, or leave roce_host_isolated_cpus and roce_host_kernel_cmdline_extra empty on this host",
    )


def read_running(root: Path) -> list[Token]:
    """Tokens that the running kernel was started with."""
    return parse_cmdline(read_text(root / "proc/cmdline") or "")


def reboot_required(root: Path, wanted: Sequence[Token], removed: Sequence[Token] = (), predict: bool = False) -> bool:
    """Whether the running kernel lacks or contradicts a wanted token, or still has one that is taken away.

    Taken away is a token of ``removed``, and an isolation parameter that nobody wants and that the next boot's first
    entry has not; ``predict`` says that the boot menu still shows the removed ones (check mode).
    Only the running kernel is asked: a drop-in that was written long ago says nothing about it.
    """
    running = read_running(root)
    if differences(running, wanted):
        return True
    kept = {family(token) for token in wanted}
    gone = {token.same for token in removed if family(token) not in kept}
    menu = [entry for entry in read_menu(root) if entry.ours]
    if not menu:
        return any(token.same in gone for token in running)
    at_boot = {token.same for token in menu[0].tokens} - (gone if predict else set())
    return any(
        token.same not in at_boot and (token.same in gone or token.name in ISOLATION_KEYS)
        for token in running
        if family(token) not in kept
    )


def stale_entries(entries: Sequence[MenuEntry], wanted: Sequence[Token]) -> dict[str, str]:
    """Entries that should carry the wanted tokens and do not: title to what differs."""
    result: dict[str, str] = {}
    for entry in entries:
        missing = differences(entry.tokens, wanted) if entry.ours else []
        if missing:
            result[entry.title] = "; ".join(f"wanted '{item.wanted}', found '{item.found}'" for item in missing)
    return result


def apply_cmdline(root: Path, run: Run, wanted: Sequence[Token], check: bool) -> CmdlineResult:
    """Make the next boot carry the wanted tokens (none: take ours away); nothing is written when ``check``.

    update-grub runs when the drop-in changed, and when a menu entry lacks a token although the drop-in is right (an
    earlier run was interrupted). When the entries do not read back as wanted the former drop-in is put back.
    """
    path = root / DROP_IN
    old = read_text(path)
    if not wanted and old is None:
        return CmdlineResult(entries=read_menu(root), reboot_required=reboot_required(root, []))
    check_supported(root)
    new = render_drop_in(wanted) if wanted else None
    result = CmdlineResult(before=parse_drop_in(old), after=list(wanted))
    rewrite = new != old or (new is not None and path.stat().st_mode & 0o7777 != MODE)
    result.entries = read_menu(root)
    result.changed = rewrite or not result.entries or bool(stale_entries(result.entries, wanted))
    if result.changed and not check:
        if rewrite:
            _put(path, new)
        try:
            result.entries = _regenerate(root, run, wanted)
        except HostError:
            if rewrite:
                _put(path, old)
                run(["/" + UPDATE_GRUB])
            raise
    removed = [token for token in result.before if token.same not in {kept.same for kept in wanted}]
    result.reboot_required = reboot_required(root, wanted, removed, predict=check)
    return result


def _put(path: Path, text: str | None) -> None:
    if text is None:
        remove(path)
    else:
        write_atomic(path, text, MODE)


def _regenerate(root: Path, run: Run, wanted: Sequence[Token]) -> list[MenuEntry]:
    """Run update-grub and read every menu entry back; HostError when it fails or an entry is not as wanted."""
    rc, out, err = run(["/" + UPDATE_GRUB])
    if rc != 0:
        raise HostError(
            "update-grub",
            f"exit {rc}",
            f"it failed: {(err or out).strip()[-400:]}",
            f"run it by hand on the host; /{DROP_IN} is as it was before",
        )
    entries = read_menu(root)
    if not any(entry.ours for entry in entries):
        raise HostError(
            "boot menu",
            "/" + GRUB_CFG,
            "it has no entry that was made by /etc/grub.d/10_linux, so nothing could be read back",
            f"look whether this host boots by that file; /{DROP_IN} is as it was before",
        )
    for title, reason in stale_entries(entries, wanted).items():
        raise HostError(
            "boot menu entry",
            title,
            f"it does not carry the wanted tokens: {reason}",
            f"look for the key in /etc/default/grub and /etc/default/grub.d; /{DROP_IN} is as it was before",
        )
    return entries
