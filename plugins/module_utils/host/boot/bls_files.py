# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The two files from which the RHEL family makes the command line of kernels that are installed later."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..cmdline import Token, format_cmdline, parse_cmdline
from ..errors import HostError
from ..files import read_text
from ..system import System
from .bls import without

#: What kernel-install gives a new kernel (RHEL 9 and later; without it: what the running kernel was started with).
KERNEL_CMDLINE = "etc/kernel/cmdline"
#: What grub2-mkconfig writes into every entry (RHEL 9.0 to 9.2, and later ones with --update-bls-cmdline).
DEFAULT_GRUB = "etc/default/grub"

_LINE = re.compile(r"""^(GRUB_CMDLINE_LINUX=)(["']?)([^"'`\\\n]*)\2[ \t]*$""", re.MULTILINE)
_ANY = re.compile(r"^\s*(export\s+)?GRUB_CMDLINE_LINUX=", re.MULTILINE)
#: What the boot loader adds by itself.
_LOADERS = ("BOOT_IMAGE", "initrd")


def edited(tokens: Sequence[Token], add: Sequence[Token], gone: Sequence[Token]) -> list[Token]:
    """The tokens with those of ``gone`` taken away and those of ``add`` at the end, as grubby does."""
    return [*without(tokens, [*add, *gone]), *add]


def new_kernel_cmdline(system: System, running: Sequence[Token], add: Sequence[Token], gone: Sequence[Token]) -> str:
    """Text of /etc/kernel/cmdline; where there is none it begins with the running kernel's."""
    text = read_text(system.path(KERNEL_CMDLINE))
    if text is None:
        tokens = [token for token in running if token.key not in _LOADERS]
    else:
        tokens = parse_cmdline(text)
    return format_cmdline(edited(tokens, add, gone)) + "\n"


def new_default_grub(system: System, add: Sequence[Token], gone: Sequence[Token]) -> str | None:
    """Text of /etc/default/grub, None where there is none; HostError where its line is more than a plain value."""
    text = read_text(system.path(DEFAULT_GRUB))
    if text is None:
        return None
    lines = _LINE.findall(text)
    if len(lines) != len(_ANY.findall(text)) or len(lines) > 1 or "$(" in (lines[0][2] if lines else ""):
        raise HostError(
            "GRUB_CMDLINE_LINUX",
            "/" + DEFAULT_GRUB,
            "it is not one line with a plain value in quotes, so it cannot be changed safely",
            'write it as GRUB_CMDLINE_LINUX="..." in one line',
        )
    if not lines:
        return text if not add else f'{text.rstrip()}\nGRUB_CMDLINE_LINUX="{format_cmdline(add)}"\n'
    value = format_cmdline(edited(parse_cmdline(lines[0][2]), add, gone))
    return _LINE.sub(lambda match: f'{match.group(1)}"{value}"', text) if value != lines[0][2] else text
