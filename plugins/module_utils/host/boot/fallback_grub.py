# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Boot once, then fall back, where GRUB's menu is generated (Debian and Ubuntu)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .. import grub
from ..cmdline import Token, format_cmdline
from ..errors import HostError
from ..files import read_text, remove, write_atomic
from ..system import System
from .grubenv import check_writable, read_grubenv, set_grubenv
from .menu import MenuEntry, trial_name, trial_tokens

#: Makes the entry that a trial falls back to. It comes after the entries of 10_linux, whose numbers stay as they are.
SCRIPT = "etc/grub.d/11_tickwire-previous"
TRIAL_DROP_IN = "etc/default/grub.d/zz-tickwire-trial.cfg"
GRUBENV = "boot/grub/grubenv"
EDITENV = "usr/bin/grub-editenv"
PROBE = "usr/sbin/grub-probe"
PREVIOUS = "tickwire-previous"

_DEFAULT = re.compile(r'\s*set default="([^"]*)"')
_MENUENTRY = re.compile(r"\s*menuentry\s")
_LINUX = re.compile(r"(\s*linux(?:16|efi)?\s+)(\S+)(.*)")


def check_able(system: System, running: Sequence[Token]) -> None:
    """HostError where this host cannot boot an entry once, or has none to fall back to."""
    check_writable(system, PROBE, GRUBENV)
    script_text(read_text(system.path(grub.GRUB_CFG)) or "", running)


def arm(system: System, name: str, running: Sequence[Token]) -> None:
    """Make the next boot the default entry with the trial's tokens, and every later one the running kernel's.

    What is written before the last step leaves the default entry as it is.
    """
    text = read_text(system.path(grub.GRUB_CFG)) or ""
    default = default_spec(text, read_grubenv(system, GRUBENV))
    menu = [entry for entry in grub.parse_menu(text) if entry.ours]
    write_atomic(system.path(SCRIPT), script_text(text, running), 0o755)
    added = trial_tokens(menu[0].tokens if menu else [], name)
    write_atomic(system.path(TRIAL_DROP_IN), drop_in_text(added))
    grub.regenerate(system.root, system.run, added)
    after = read_text(system.path(grub.GRUB_CFG)) or ""
    if not any(_is_previous(entry) for entry in grub.parse_menu(after)):
        raise HostError("boot menu entry", PREVIOUS, "update-grub did not make it", f"look at /{SCRIPT}")
    if "${saved_entry}" not in _DEFAULT.findall(after):
        raise HostError("GRUB_DEFAULT", "saved", "the menu does not obey it", "look for GRUB_DEFAULT in /etc/default")
    set_grubenv(system, EDITENV, GRUBENV, {"saved_entry": PREVIOUS, "next_entry": default})


def disarm(system: System, saved_entry: str | None) -> None:
    """Take the trial away: the default entry is the default again."""
    there = [name for name in (SCRIPT, TRIAL_DROP_IN) if system.path(name).exists()]
    for name in there:
        remove(system.path(name))
    # The menu is asked as well: an earlier run may have been cut off after it had removed the files.
    if there or any(trial_name(entry.tokens) or _is_previous(entry) for entry in grub.read_menu(system.root)):
        grub.regenerate(system.root, system.run, [])
    set_grubenv(system, EDITENV, GRUBENV, {"saved_entry": saved_entry, "next_entry": None})


def _is_previous(entry: MenuEntry) -> bool:
    return entry.script == SCRIPT.rsplit("/", 1)[-1]


def default_spec(text: str, environment: dict[str, str]) -> str:
    """What the menu boots by default, as GRUB's ``default`` takes it."""
    found = [value for value in _DEFAULT.findall(text) if value != "${next_entry}"]
    if found and found[-1] == "${saved_entry}":
        return environment.get("saved_entry") or "0"
    return found[-1] if found else "0"


def drop_in_text(tokens: Sequence[Token]) -> str:
    """Text of the trial's drop-in; GRUB_SAVEDEFAULT would make the first boot the default."""
    line = format_cmdline(tokens)
    return (
        f"{grub.MARKER}\nGRUB_DEFAULT=saved\nGRUB_SAVEDEFAULT=false\n"
        f'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {line}"\n'
    )


def script_text(text: str, running: Sequence[Token]) -> str:
    """Script of /etc/grub.d that prints the running kernel's entry of the menu with the running command line."""
    image = next((token.value or "" for token in running if token.key == "BOOT_IMAGE"), "")
    kernel = re.sub(r"^\([^)]*\)", "", image)
    arguments = format_cmdline([token for token in running if token.key != "BOOT_IMAGE"])
    body = _body_of(text, kernel, arguments)
    if body is None:
        raise HostError(
            "boot on trial",
            kernel or "unknown kernel",
            "the running kernel has no entry in the boot menu, so there is none to fall back to",
            "reboot into an installed kernel first, or set roce_host_boot_trial to false",
        )
    title = "Previous kernel command line, until the new one is confirmed"
    return "\n".join(
        [
            "#!/bin/sh",
            grub.MARKER,
            'exec tail -n +4 "$0"',
            f"menuentry '{title}' --class gnu-linux --id '{PREVIOUS}' {{",
            *body,
            "}",
            "",
        ]
    )


def _body_of(text: str, kernel: str, arguments: str) -> list[str] | None:
    """Lines of the first entry that boots this kernel, with these arguments."""
    body: list[str] | None = None
    for line in text.splitlines():
        if _MENUENTRY.match(line):
            body = []
        elif body is not None and line.strip() == "}":
            if any(match and match.group(2) == kernel for match in map(_LINUX.match, body)):
                return [_LINUX.sub(lambda match: f"{match.group(1)}{match.group(2)} {arguments}", one) for one in body]
            body = None
        elif body is not None:
            body.append(line)
    return None
