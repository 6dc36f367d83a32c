# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The kernel command line of the next boot, on hosts that boot by GRUB as Debian and Ubuntu set it up.

Our tokens live in a drop-in of our own, read after /etc/default/grub and after the drop-ins of cloud images: packaged
files are never edited. Whether they arrived is read from every menu entry of the generated grub.cfg.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .boot.menu import (
    CmdlineResult,
    MenuEntry,
    needs_reboot,
    read_running,
    stale_entries,
    taken_away,
)
from .cmdline import Token, format_cmdline, parse_cmdline
from .errors import HostError
from .files import read_text, remove, write_atomic
from .system import Run

DROP_IN = "etc/default/grub.d/zz-tickwire.cfg"
GRUB_CFG = "boot/grub/grub.cfg"
UPDATE_GRUB = "usr/sbin/update-grub"
MODE = 0o644
MARKER = "# Written by tickwire.fabric.kernel_cmdline; changes made here are overwritten."

_SECTION = re.compile(r"### (BEGIN|END) (\S+) ###")
_MENUENTRY = re.compile(r"\s*menuentry\s+'((?:[^']|'\\'')*)'")
_LINUX = re.compile(r"\s*linux(?:16|efi)?\s+(\S+)(.*)")
_ASSIGNMENT = re.compile(r'GRUB_CMDLINE_LINUX_DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT (.*)"\Z')


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


def reboot_required(root: Path, wanted: Sequence[Token], removed: Sequence[Token] = (), predict: bool = False) -> bool:
    """needs_reboot() of this host."""
    return needs_reboot(read_running(root), read_menu(root), wanted, removed, predict)


def apply_cmdline(
    root: Path, run: Run, wanted: Sequence[Token], check: bool, leftover: Sequence[Token] = ()
) -> CmdlineResult:
    """Make the next boot carry the wanted tokens (none: take ours away); nothing is written when ``check``.

    update-grub runs when the drop-in changed, and when a menu entry lacks a token or still has one of ``leftover``
    although the drop-in is right (an earlier run was interrupted). When the entries do not read back as wanted the
    former drop-in is put back.
    """
    path = root / DROP_IN
    old = read_text(path)
    new = render_drop_in(wanted) if wanted else None
    result = CmdlineResult(before=parse_drop_in(old), after=list(wanted), entries=read_menu(root))
    rewrite = new != old or (new is not None and path.stat().st_mode & 0o7777 != MODE)
    gone = {token.same for token in taken_away(leftover, wanted)}
    unfinished = any(gone & {token.same for token in entry.tokens} for entry in result.entries if entry.ours)
    stale = bool(wanted) and (not result.entries or bool(stale_entries(result.entries, wanted)))
    result.changed = rewrite or stale or unfinished
    if result.changed and not check:
        if rewrite:
            _put(path, new)
        try:
            result.entries = regenerate(root, run, wanted)
        except HostError:
            if rewrite:
                _put(path, old)
                run(["/" + UPDATE_GRUB])
            raise
    removed = taken_away([*result.before, *leftover], wanted)
    result.reboot_required = reboot_required(root, wanted, removed, predict=check)
    return result


def _put(path: Path, text: str | None) -> None:
    if text is None:
        remove(path)
    else:
        write_atomic(path, text, MODE)


def regenerate(root: Path, run: Run, wanted: Sequence[Token]) -> list[MenuEntry]:
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
