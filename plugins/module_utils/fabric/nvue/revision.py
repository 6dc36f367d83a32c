# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applying one revision to its end, and finding and applying the one from before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from .plan import NvueError
from .switch import APPLIED, AT_REST, BROKEN, DONE, NAMES, PENDING, REFUSED, STARTUP, ConnectionLost, Progress, Switch
from .tree import Tree, expanded


@dataclass(frozen=True)
class Revisions:
    """The revisions of a switch. Applying one may take ``timeout_s`` seconds and is polled every ``poll_s``."""

    switch: Switch
    timeout_s: float = 300
    poll_s: float = 1
    sleep: Callable[[float], None] = time.sleep

    def refuse_others(self, ours: tuple[Tree, ...], pending_allowed: bool) -> None:
        """NvueError when another administrator applies something, or has changes waiting that are not ``allowed``.

        A waiting revision with the content of one of ``ours`` was left by a run that was cut off.
        """
        known = [bare(tree) for tree in ours]
        for name, state in self.switch.revisions().items():
            if name in NAMES:
                continue
            if state not in AT_REST:
                raise NvueError(
                    f"revision {name} of another administrator is being applied (state {state}); nothing was changed, "
                    "run it again when that is done"
                )
            if state == PENDING and not pending_allowed and bare(expanded(self.switch.config(name))) not in known:
                raise NvueError(
                    f"revision {name} of another administrator waits with changes ('nv config diff applied {name}'); "
                    "nothing was changed. Have its owner apply or drop it, or let it wait (pending_allowed)"
                )

    def holding(self, tree: Tree) -> str:
        """The newest revision that was applied once and has that content, or ``startup``. NvueError without one."""
        names = [name for name, state in self.switch.revisions().items() if state in DONE and name not in NAMES]
        for name in (*sorted(names, key=_age, reverse=True), STARTUP):
            if bare(expanded(self.switch.config(name))) == bare(tree):
                return name
        raise NvueError(
            "the switch keeps no revision with what is applied, so there would be no way back; nothing was changed, "
            "save it first ('nv config save')"
        )

    def apply(self, revision: str, previous: str) -> None:
        """Apply a revision; on failure apply ``previous`` again and raise NvueError with what became of it."""
        try:
            end = self._applied(revision)
        except ConnectionLost as error:
            raise NvueError(
                f"{error}; the switch was silent for {self.timeout_s:g} s while revision {revision} was applied. "
                "NVUE applies a revision whole or not at all: run it again when the switch answers"
            ) from error
        if end.state in DONE:
            return
        self.switch.discard(revision)
        if end.state in REFUSED:
            raise NvueError(f"the switch refused revision {revision} ({end.state}): {end.said}; nothing was changed")
        raise NvueError(f"revision {revision} stopped ({end.state}): {end.said}. {self.back_to(previous)}")

    def back_to(self, previous: str) -> str:
        """Apply the former revision again; says in words what became of it."""
        if not previous:
            return "Look at 'nv config history' and apply the last good one"
        try:
            end = self._applied(previous)
        except NvueError as error:
            end = Progress("", str(error))
        if end.state in DONE:
            return f"Revision {previous}, applied before, is applied again"
        return f"Revision {previous} from before could not be applied again ({end.state} {end.said}); apply it by hand"

    def _applied(self, revision: str) -> Progress:
        try:
            self.switch.start(revision)
        except ConnectionLost:
            # did the switch hear it? Only its answer tells
            if self._wait(revision, (PENDING,)).state != PENDING:
                return self._wait(revision)
            self.switch.start(revision)
        return self._wait(revision)

    def _wait(self, revision: str, ends: tuple[str, ...] = ()) -> Progress:
        """Poll until the revision rests in a final state or in one of ``ends``.

        switchd restarts and ports flap meanwhile: a lost connection is an error only when the time is over.
        """
        progress = Progress("")
        lost: ConnectionLost | None = None
        for number in range(max(int(self.timeout_s / self.poll_s), 1)):
            if number:
                self.sleep(self.poll_s)
            try:
                progress, lost = self.switch.progress(revision), None
            except ConnectionLost as error:
                lost = error
                continue
            if progress.state in (*DONE, *REFUSED, *BROKEN, *ends):
                return progress
        if lost:
            raise lost
        return Progress("apply_fail", f"still {progress.state} after {self.timeout_s:g} s {progress.said}".strip())


def go_back(revisions: Revisions, revision: str, save: bool, check_mode: bool) -> bool:
    """Apply a former revision again, and save it; whether there was something to do. NvueError when it fails."""
    switch = revisions.switch
    known = switch.revisions()
    if revision not in (*known, STARTUP):
        names = ", ".join(sorted((name for name in known if name not in NAMES), key=_age))
        raise NvueError(f"revision {revision} is not on the switch, which keeps {names}; see 'nv config history'")
    if _applied_is(switch, revision):
        return False
    if not check_mode:
        revisions.apply(revision, "")
        if not _applied_is(switch, revision):
            raise NvueError(
                f"revision {revision} was applied and yet another configuration is; look at 'nv config diff {revision} "
                "applied' for who else configures the switch"
            )
        if save:
            switch.save()
    return True


def _applied_is(switch: Switch, revision: str) -> bool:
    return bare(expanded(switch.config(revision))) == bare(expanded(switch.config(APPLIED)))


def bare(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its header, which names the revision, and without empty branches at the top."""
    return {key: value for key, value in tree.items() if key != "header" and value != {}}


def _age(name: str) -> tuple[int, str]:
    """Numbers by value; the names of older releases end in a date."""
    return (int(name), "") if name.isdigit() else (0, name.rpartition("/")[2])
