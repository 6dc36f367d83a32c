# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A new kernel command line is booted once on trial, and kept only when somebody confirms the boot.

Armed, GRUB's default is a copy of the entry that runs now, and only the next boot takes the new one (next_entry). A
kernel or initramfs that fails reboots by itself, a system on which nobody confirms is rebooted by a timer when nothing
trades on it, and either way the host is back on what ran before. What failed is remembered and refused until something
else is wanted.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from ..cmdline import Token, differences, format_cmdline
from ..errors import HostError
from ..files import write_text
from ..system import System
from . import bls, fallback_bls, fallback_grub
from .grubenv import read_grubenv
from .loader import apply_cmdline, is_bls, read_entries
from .menu import TRIAL_PANIC_S, CmdlineResult, needs_reboot, read_running, trial_name, without_trial
from .record import (
    Trial,
    forget_failed,
    read_record,
    refuse_failed,
    texts,
    tokens_of,
    write_failed,
    write_record,
)
from .trial_units import outdated, remove_units, write_units

BOOT_ID = "proc/sys/kernel/random/boot_id"
PANIC = "proc/sys/kernel/panic"
SHORTEST_TRIAL_S = 60

#: What a trial is at: there is none, the reboot is to come, its boot runs, or the host is back on what ran before.
NONE, ARMED, RUNNING, FELL_BACK = "none", "armed", "running", "fell_back"


def state_of(system: System) -> str:
    """What the trial of this host is at."""
    trial = read_record(system).trial
    if trial is None:
        return NONE
    if trial_name(read_running(system.root)) == trial.name:
        return RUNNING
    return ARMED if system.read(BOOT_ID) == trial.boot_id else FELL_BACK


def check_able(system: System, wanted: Sequence[Token], timeout_s: int) -> None:
    """HostError where these tokens need a reboot and it cannot be one on trial; nothing is written.

    It is asked before anything else is done to the host. One that has a trial already could be tried.
    """
    if state_of(system) == NONE and apply_cmdline(system, wanted, check=True).reboot_required:
        _check_limit(timeout_s)
        _check_loader(system)


def _check_limit(timeout_s: int) -> None:
    if timeout_s < SHORTEST_TRIAL_S:
        raise HostError(
            "trial_timeout_s",
            timeout_s,
            f"no host boots within less than {SHORTEST_TRIAL_S} s for sure",
            "give it more (roce_host_boot_trial_timeout_s)",
        )


def _check_loader(system: System) -> None:
    loader = fallback_bls if is_bls(system.root) else fallback_grub
    loader.check_able(system, without_trial(read_running(system.root)))


def arm(system: System, timeout_s: int, guard: bytes, check: bool) -> bool:
    """Make the next boot, with what was set for it, one on trial; whether something changed.

    ``guard`` (guard.archive()) is asked on the host before that boot is ended. HostError leaves the host as it was
    before.
    """
    record = read_record(system)
    _check_limit(timeout_s)
    if record.trial is not None and state_of(system) == ARMED:
        # The limit or the rules may be others than when it was armed.
        stale = bool(outdated(system, record.trial.name, timeout_s, guard))
        if stale and not check:
            write_units(system, record.trial.name, timeout_s, guard)
        return stale
    _check_loader(system)
    if check:
        return True
    loader = fallback_bls if is_bls(system.root) else fallback_grub
    running = without_trial(read_running(system.root))
    block = bls.GRUBENV if loader is fallback_bls else fallback_grub.GRUBENV
    record.trial = Trial(
        name=secrets.token_hex(4),
        boot_id=system.read(BOOT_ID) or "",
        tried=record.wanted,
        saved_entry=read_grubenv(system, block).get("saved_entry"),
        panic_s=system.read(PANIC) or "0",
    )
    write_record(system, record)
    try:
        write_units(system, record.trial.name, timeout_s, guard)
        loader.arm(system, record.trial.name, running)
    except BaseException:
        disarm(system)
        raise
    return True


def disarm(system: System) -> None:
    """Take the trial away and keep the tokens of the next boot as they are."""
    record = read_record(system)
    if record.trial is None:
        return
    loader = fallback_bls if is_bls(system.root) else fallback_grub
    # The timer first: cut off after it, a boot still has the trial's name, and nothing may reboot it for that.
    remove_units(system)
    loader.disarm(system, record.trial.saved_entry)
    if trial_name(read_running(system.root)) == record.trial.name and system.read(PANIC) == str(TRIAL_PANIC_S):
        write_text(system.path(PANIC), record.trial.panic_s + "\n")
    record.trial = None
    write_record(system, record)


def confirm(system: System, check: bool) -> bool:
    """Keep the command line of the boot on trial, since it came back; whether something changed.

    HostError when the host fell back (the former tokens are put back and the tried ones remembered), when the boot does
    not run with the tokens, and when there was no reboot yet.
    """
    state = state_of(system)
    record = read_record(system)
    if state == NONE or record.trial is None:
        return False
    if state == ARMED:
        raise HostError(
            "kernel command line",
            " ".join(record.trial.tried),
            "the host did not reboot since the trial was armed, so there is nothing to confirm",
            "reboot it",
        )
    missing = differences(read_running(system.root), tokens_of(record.trial.tried)) if state == RUNNING else []
    if state == FELL_BACK or missing:
        raise give_up(system, check, "; ".join(f"'{item.found}' for '{item.wanted}'" for item in missing))
    if not check:
        record.former = record.tokens
        write_record(system, record)
        disarm(system)
        forget_failed(system)
    return True


def settle(system: System, wanted: Sequence[Token], check: bool) -> None:
    """Come to terms with an earlier trial before these tokens are set; HostError as confirm() when they are its own."""
    state = state_of(system)
    trial = read_record(system).trial
    if state == NONE or trial is None or (state != FELL_BACK and trial.tried == texts(wanted)):
        return
    if state == FELL_BACK:
        error = give_up(system, check)
        if trial.tried == texts(wanted):
            raise error
    elif not check:
        disarm(system)


def give_up(system: System, check: bool, reason: str = "") -> HostError:
    """Remember what was tried, put the former tokens back and say so; the error is for the caller to raise."""
    record = read_record(system)
    tried = record.trial.tried if record.trial else []
    running = format_cmdline(read_running(system.root))
    why = f"it came back with {reason}" if reason else "it did not come back healthy, or nobody confirmed it in time"
    if not check:
        write_failed(system, tried, why)
        # In this order: until the trial is taken away the default entry is the one that runs now.
        apply_cmdline(system, tokens_of(record.former), check=False)
        disarm(system)
    return HostError(
        "kernel command line",
        " ".join(tried) or "without our tokens",
        f"{why}. The host runs '{running}', and the next boot is as before",
        "correct the tokens; these are refused from now on",
    )


def apply(system: System, wanted: Sequence[Token], check: bool) -> CmdlineResult:
    """Set the tokens of the next boot; a trial of other tokens is taken away first.

    HostError when these tokens failed on this host before; a failure of other tokens is forgotten.
    """
    settle(system, wanted, check)
    refuse_failed(system, wanted)
    result = apply_cmdline(system, wanted, check)
    if not check:
        forget_failed(system)
    return result


def take_away(system: System, check: bool) -> CmdlineResult:
    """apply() of no tokens, and a trial of just that ends as well: nobody is to wait for a boot without our tokens."""
    result = apply(system, [], check)
    if state_of(system) != NONE:
        result.changed = True
        if not check:
            disarm(system)
            result.entries = read_entries(system.root)
    return result


def next_boot(system: System, timeout_s: int, guard: bytes, check: bool) -> CmdlineResult:
    """arm(), with the tokens that this collection has set."""
    return _as_is(system, arm(system, timeout_s, guard, check))


def call_off(system: System, check: bool) -> CmdlineResult:
    """disarm() of a trial whose boot is still to come, with the tokens that this collection has set."""
    armed = state_of(system) == ARMED
    if armed and not check:
        disarm(system)
    return _as_is(system, armed)


def keep(system: System, check: bool) -> CmdlineResult:
    """confirm(), with the tokens that this collection has set."""
    return _as_is(system, confirm(system, check))


def _as_is(system: System, changed: bool) -> CmdlineResult:
    record = read_record(system)
    tokens = tokens_of(record.tokens)
    entries = read_entries(system.root)
    due = needs_reboot(read_running(system.root), entries, tokens_of(record.wanted))
    return CmdlineResult(changed, tokens, tokens, entries, due)
