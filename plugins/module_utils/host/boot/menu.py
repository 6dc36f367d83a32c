# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is the same in every boot loader: entries, what they lack, and when a reboot is due."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..cmdline import Token, differences, family, parse_cmdline
from ..files import read_text
from ..isolation import ISOLATION_KEYS

#: ``script`` of an entry that is a file of the Boot Loader Specification.
BLS = "bls"
#: What every rescue kernel of the RHEL family has in its file name.
_RESCUE = "-0-rescue-"


#: A boot on trial carries its name here; a parameter with a dot means nothing to the kernel and to init.
TRIAL_KEY = "tickwire.trial"
#: Seconds after which a kernel that panicked reboots by itself, while a boot is on trial.
TRIAL_PANIC_S = 15
#: What makes a boot that fails before systemd reboot by itself: kernel and initramfs-tools take ``panic``, dracut the
#: other two (dracut.cmdline(7): rd.emergency needs rd.shell=0).
TRIAL_TOKENS = (
    Token("panic", str(TRIAL_PANIC_S)),
    Token("rd.shell", "0"),
    Token("rd.emergency", "reboot"),
)


@dataclass(frozen=True)
class MenuEntry:
    """One bootable entry. ``script`` is the file of /etc/grub.d that made it, or BLS."""

    title: str
    script: str
    kernel: str
    tokens: tuple[Token, ...]
    name: str = ""

    @property
    def ours(self) -> bool:
        """Whether it has to carry our tokens: a Linux of this machine, and not its recovery mode.

        Recovery and rescue entries stay without our tokens on purpose: they are the way in when a token does not boot.
        """
        names = {token.name for token in self.tokens}
        made = self.script.startswith("10_linux") or (self.script == BLS and _RESCUE not in self.kernel)
        return made and not names & {"single", "recovery"}


@dataclass
class CmdlineResult:
    """What was done, or in check mode would be; ``before`` and ``after`` are the tokens that we have set."""

    changed: bool = False
    before: list[Token] = field(default_factory=list)
    after: list[Token] = field(default_factory=list)
    entries: list[MenuEntry] = field(default_factory=list)
    reboot_required: bool = False


def read_running(root: Path) -> list[Token]:
    """Tokens that the running kernel was started with."""
    return parse_cmdline(read_text(root / "proc/cmdline") or "")


def trial_name(tokens: Sequence[Token]) -> str | None:
    """Name of the trial that these tokens belong to, or None."""
    return next((token.value for token in tokens if token.key == TRIAL_KEY), None)


def trial_tokens(tokens: Sequence[Token], name: str) -> list[Token]:
    """What a trial adds to these tokens; a key that is there already stays as it is."""
    names = {token.name for token in tokens}
    return [Token(TRIAL_KEY, name), *(token for token in TRIAL_TOKENS if token.name not in names)]


def added_by_trial(tokens: Sequence[Token]) -> list[Token]:
    """What a trial had added to these tokens: its name, and of what follows that all which is a trial's."""
    start = next((index for index, token in enumerate(tokens) if token.key == TRIAL_KEY), len(tokens))
    ours = {token.same for token in TRIAL_TOKENS}
    return [token for token in tokens[start:] if token.key == TRIAL_KEY or token.same in ours]


def without_trial(tokens: Sequence[Token]) -> list[Token]:
    """The tokens without those that a trial had added."""
    added = {id(token) for token in added_by_trial(tokens)}
    return [token for token in tokens if id(token) not in added]


def stale_entries(entries: Sequence[MenuEntry], wanted: Sequence[Token]) -> dict[str, str]:
    """Entries that should carry the wanted tokens and do not: title to what differs."""
    result: dict[str, str] = {}
    for entry in entries:
        missing = differences(entry.tokens, wanted) if entry.ours else []
        if missing:
            result[entry.title] = "; ".join(f"wanted '{item.wanted}', found '{item.found}'" for item in missing)
    return result


def taken_away(before: Sequence[Token], wanted: Sequence[Token]) -> list[Token]:
    """Tokens of ``before`` that are no longer wanted."""
    kept = {token.same for token in wanted}
    return [token for token in before if token.same not in kept]


def needs_reboot(
    running: Sequence[Token],
    entries: Sequence[MenuEntry],
    wanted: Sequence[Token],
    removed: Sequence[Token] = (),
    predict: bool = False,
) -> bool:
    """Whether the running kernel lacks or contradicts a wanted token, or still has one that is taken away.

    Taken away is a token of ``removed``, and an isolation parameter that nobody wants and that the next boot's first
    entry has not; ``predict`` says that the entries still show the removed ones (check mode).
    Only the running kernel is asked: a file that was written long ago says nothing about it.
    """
    if differences(running, wanted):
        return True
    kept = {family(token) for token in wanted}
    gone = {token.same for token in removed if family(token) not in kept}
    menu = [entry for entry in entries if entry.ours]
    if not menu:
        return any(token.same in gone for token in running)
    at_boot = {token.same for token in menu[0].tokens} - (gone if predict else set())
    return any(
        token.same not in at_boot and (token.same in gone or token.name in ISOLATION_KEYS)
        for token in running
        if family(token) not in kept
    )
