# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The boot loader that this host has, found by what is there and never by a version: GRUB's menu or BLS entries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .. import grub
from ..cmdline import Token, differences
from ..errors import HostError
from ..files import read_text, remove, write_atomic
from ..system import System
from . import bls, bls_files
from .menu import CmdlineResult, MenuEntry, needs_reboot, read_running, stale_entries, taken_away, without_trial
from .record import read_record, texts, tokens_of, write_record

#: Characters that grubby's shell and sed do not pass on as they are.
_GRUBBY_REFUSES = re.compile(r"[\s&*?\[\]|;<>(){}#]")
_LEAVE = "leave the isolated CPUs and the kernel command line empty on this host"


def is_bls(root: Path) -> bool:
    """Whether this host boots by entry files that grubby keeps."""
    return not (root / grub.UPDATE_GRUB).exists() and bls.find_grubby(root) is not None


def where(root: Path) -> str:
    """The file or directory that has the command line of the next boot."""
    return "/" + (bls.ENTRIES if is_bls(root) else grub.DROP_IN)


def check_supported(root: Path, wanted: Sequence[Token] = ()) -> None:
    """HostError where the command line of the next boot cannot be set."""
    if (root / grub.UPDATE_GRUB).exists():
        return
    if (root / "run/ostree-booted").exists():
        raise HostError("kernel command line", "ostree", "rpm-ostree keeps it on this host", f"use it, or {_LEAVE}")
    if not is_bls(root):
        directory = (root / bls.ENTRIES).exists()
        raise HostError(
            "kernel command line",
            "/" + (bls.GRUBBY[0] if directory else grub.UPDATE_GRUB),
            "there is no such program, so this host boots neither by GRUB's menu nor by entries that grubby keeps",
            f"install {'grubby' if directory else 'grub2-common'}, or {_LEAVE}",
        )
    if not any(entry.ours for entry in bls.read_entries(root)):
        raise HostError("kernel command line", "/" + bls.ENTRIES, "there is no boot entry in it", _LEAVE)
    for token in wanted:
        if _GRUBBY_REFUSES.search(token.key + (token.value or "")):
            raise HostError(
                "kernel command line token",
                str(token),
                "grubby, which keeps the boot entries of this host, does not carry blanks and none of &*?[]|;<>(){}#",
                "leave it out",
            )


def read_entries(root: Path) -> list[MenuEntry]:
    """Every boot entry of this host."""
    return bls.read_entries(root) if is_bls(root) else grub.read_menu(root)


def reboot_required(root: Path, wanted: Sequence[Token]) -> bool:
    """Whether the running kernel is not as wanted: needs_reboot() of this host."""
    return needs_reboot(read_running(root), read_entries(root), wanted)


def apply_cmdline(system: System, wanted: Sequence[Token], check: bool) -> CmdlineResult:
    """Make the next boot carry the wanted tokens (none: take ours away); nothing is written when ``check``.

    What we set and what the host last ran with is kept, before the first write and after the last: an interrupted run
    is finished by the next one. HostError when something fails; everything is then as it was before.
    """
    record = read_record(system)
    before = tokens_of(record.tokens)
    if not is_bls(system.root):
        known = before or grub.parse_drop_in(read_text(system.path(grub.DROP_IN)))
        if wanted or known:
            check_supported(system.root, wanted)
        with _recorded(system, known, wanted, wanted, check):
            return grub.apply_cmdline(system.root, system.run, wanted, check, leftover=known)
    if not wanted and not before:
        entries = bls.read_entries(system.root)
        return CmdlineResult(entries=entries, reboot_required=needs_reboot(read_running(system.root), entries, []))
    check_supported(system.root, wanted)
    add = bls.to_set(bls.read_entries(system.root), wanted, before)
    with _recorded(system, before, add, wanted, check):
        return _apply_bls(system, wanted, before, add, check)


def _apply_bls(
    system: System, wanted: Sequence[Token], before: Sequence[Token], add: Sequence[Token], check: bool
) -> CmdlineResult:
    """``add`` is what of ``wanted`` is ours to set."""
    root = system.root
    entries = bls.read_entries(root)
    gone = bls.without(before, add)
    result = CmdlineResult(before=list(before), after=list(add), entries=entries)
    names = [entry.name for entry in bls.outdated(entries, add, gone)]
    texts_now: dict[str, str | None] = {
        bls_files.KERNEL_CMDLINE: bls_files.new_kernel_cmdline(system, without_trial(read_running(root)), add, gone),
        bls_files.DEFAULT_GRUB: bls_files.new_default_grub(system, add, gone),
    }
    missing = read_text(system.path(bls_files.KERNEL_CMDLINE)) is None
    if not add and (missing or bls_files.KERNEL_CMDLINE in read_record(system).created):
        texts_now[bls_files.KERNEL_CMDLINE] = None
    files = {name: text for name, text in texts_now.items() if read_text(system.path(name)) != text}
    result.changed = bool(names or files)
    if result.changed and not check:
        if bls_files.KERNEL_CMDLINE in files and missing:
            record = read_record(system)
            record.created = [bls_files.KERNEL_CMDLINE]
            write_record(system, record)
        with kept(system, [*files, *(f"{bls.ENTRIES}/{name}.conf" for name in names)]):
            bls.update_entries(system, names, add, gone)
            for name, text in files.items():
                put(system, name, text)
            result.entries = bls.read_entries(root)
            _read_back(result.entries, add, gone)
    result.reboot_required = needs_reboot(
        read_running(root), result.entries, wanted, taken_away(before, wanted), predict=check
    )
    return result


def _read_back(entries: Sequence[MenuEntry], add: Sequence[Token], gone: Sequence[Token]) -> None:
    for title, reason in stale_entries(entries, add).items():
        raise HostError(
            "boot entry", title, f"it does not carry the wanted tokens: {reason}", "all entries are as they were before"
        )
    for entry in bls.outdated(entries, [], gone):
        raise HostError(
            "boot entry",
            entry.title,
            f"it still has one of '{' '.join(texts(gone))}' after grubby took them away",
            "look where the key comes from (grub2-editenv list); all entries are as they were before",
        )


def put(system: System, name: str, text: str | None, mode: int = 0o644) -> None:
    """Write a file whole with the mode that it has (a new one: this mode), or remove it (None)."""
    path = system.path(name)
    if text is None:
        remove(path)
    else:
        write_atomic(path, text, path.stat().st_mode & 0o7777 if path.exists() else mode)


@contextmanager
def kept(system: System, names: Sequence[str]) -> Iterator[None]:
    """Put these files back as they were when the block fails."""
    before = {name: read_text(system.path(name)) for name in names}
    try:
        yield
    except BaseException:
        for name, text in before.items():
            if read_text(system.path(name)) != text:
                put(system, name, text)
        raise


@contextmanager
def _recorded(
    system: System, before: Sequence[Token], add: Sequence[Token], wanted: Sequence[Token], check: bool
) -> Iterator[None]:
    """Keep what is ours (``add`` of what is wanted) while it is changed, and what the host ran with before.

    While the block runs the record has the old tokens and the new: whatever an interruption leaves of them is ours.
    """
    old = read_record(system)
    if check or (old.tokens, old.wanted) == (texts(add), texts(wanted)):
        yield
        return
    between = read_record(system)
    if not before or not differences(read_running(system.root), before):
        between.former = texts(before)
    between.wanted = texts(wanted)
    between.tokens = texts([*add, *bls.without(before, add)])
    write_record(system, between)
    try:
        yield
    except BaseException:
        write_record(system, old)
        raise
    done = read_record(system)
    done.tokens = texts(add)
    if not add:
        done.created = []
    write_record(system, done)
