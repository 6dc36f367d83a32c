# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change of an Arista switch as one configuration session, committed with a timer.

Nothing runs until the commit, and what was committed is taken back by the switch itself unless it is confirmed in time:
a lost connection leaves the switch as it was. ``show configuration sessions detail`` tells the timer in two ways, in
EOS before 4.32 as the session's state ``pendingCommitTimer``, from then on as ``commitTimerSessionName``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .disruption import disruptions
from .lines import Scope, commands, ours

SESSION_PREFIX = "tickwire-"
BEFORE = "flash:tickwire-before.cfg"
OPEN = "pending"
TIMED = "pendingCommitTimer"


class DeviceError(RuntimeError):
    """The switch did not do it; the message says what it said, and what became of the switch."""


class Device(Protocol):
    """The way to the switch. Both raise DeviceError with what the switch or the connection said."""

    def run(self, lines: Sequence[str]) -> list[str]:
        """Run commands in one go; the text each gave."""

    def read(self, command: str) -> dict[str, Any]:
        """The structured answer to a show command."""


@dataclass
class Change:
    """What a run did, or would do in check mode."""

    changed: bool = False
    commands: list[str] = field(default_factory=list)
    diff: str = ""
    session: str = ""
    disruptions: list[str] = field(default_factory=list)


class Session:
    """Changes of one switch under the session name ``name``; ``timer_s`` is how long a commit waits to be confirmed."""

    def __init__(self, device: Device, scope: Scope, name: str, timer_s: int) -> None:
        self._device = device
        self._scope = scope
        self._name = name
        self._timer_s = timer_s

    def apply(self, wanted: str, check: bool, disruptive: bool) -> Change:
        """Commit with a timer what makes ``wanted`` true; ``check`` only shows it."""
        self._refuse_others()
        running = self._running()
        change = self._stage(commands(wanted, running, self._scope))
        if not change.changed:
            return change
        if check:
            self._abort(self._name)
            return change
        if change.disruptions and not disruptive:
            self._abort(self._name)
            raise DeviceError(
                f"{'; '.join(change.disruptions)}. Nothing was changed. Next: allow it with "
                "roce_switch_disruptive_allowed in a maintenance window"
            )
        self._guarded(["copy running-config " + BEFORE], "what runs could not be saved")
        self._commit()
        return change

    def confirm(self, name: str) -> bool:
        """Make the timed commit ``name`` stay; False when it stays already."""
        sessions = self._sessions()
        if name in timed(sessions):
            self._device.run([f"configure session {name} commit"])
            if name in timed(self._sessions()):
                raise DeviceError(f"session {name} is still not confirmed; the switch takes it back at its timer")
            return True
        if sessions.get("sessions", {}).get(name, {}).get("state") in ("completed", "committed"):
            return False
        raise DeviceError(
            f"session {name} was not confirmed in time, and the switch took the change back. Next: raise "
            "roce_switch_confirm_seconds and run again"
        )

    def roll_back(self, restore: bool, check: bool) -> Change:
        """Take an unconfirmed commit of ours back; else, with ``restore``, put back what ran before the last one."""
        mine = [name for name in timed(self._sessions()) if name.startswith(SESSION_PREFIX)]
        if mine:
            change = Change(changed=True, commands=[f"configure session {mine[0]} abort"], session=mine[0])
            if check:
                return change
            self._device.run(change.commands)
            if timed(self._sessions()):
                raise DeviceError(f"session {mine[0]} could not be taken back; the switch does it at its timer")
            self._prove(self._before())
            return change
        self._abort_leftovers()
        if not restore:
            return Change()
        self._refuse_others()
        before = self._before()
        if before is None:
            return Change()
        change = self._stage(commands(ours(before, self._scope), self._running(), self._scope, restoring=True))
        if not change.changed:
            return change
        if check:
            self._abort(self._name)
            return change
        self._commit()
        self._prove(before)
        self.confirm(self._name)
        return change

    def _stage(self, lines: list[str]) -> Change:
        """Enter ``lines`` into a session; the switch says what they would change."""
        change = Change(commands=lines, session=self._name)
        if not lines:
            return change
        enter = f"configure session {self._name}"
        said = "the switch refused the change or the connection ended"
        self._guarded([enter, *lines, "end"], said)
        change.diff = self._guarded([enter, "show session-config diffs", "end"], said)[1].strip()
        if not change.diff:
            # the lines are what the switch does already without showing them
            self._abort(self._name)
            return Change()
        change.changed = True
        change.disruptions = disruptions(change.diff)
        return change

    def _commit(self) -> None:
        minutes, seconds = divmod(self._timer_s, 60)
        timer = f"commit timer {minutes // 60:02}:{minutes % 60:02}:{seconds:02}"
        try:
            self._device.run([f"configure session {self._name}", timer])
        except DeviceError as error:
            raise DeviceError(
                f"the commit of session {self._name} was not answered: {error}. Nobody confirms it, so the switch "
                f"takes it back within {self._timer_s} s. Next: look at the way to the switch, then run again"
            ) from error

    def _guarded(self, lines: Sequence[str], said: str) -> list[str]:
        """Run lines before any commit; on failure nothing stays."""
        try:
            return self._device.run(lines)
        except DeviceError as error:
            left = "its session is aborted" if self._leave() else f"session {self._name} is open and has no effect"
            raise DeviceError(f"{said}: {error}. Nothing was changed, {left}") from error

    def _leave(self) -> bool:
        try:
            self._abort(self._name)
        except DeviceError:
            return False
        return True

    def _abort(self, name: str) -> None:
        self._device.run([f"configure session {name}", "abort"])

    def _refuse_others(self) -> None:
        self._abort_leftovers()
        sessions = self._sessions()
        waiting = timed(sessions)
        if waiting:
            raise DeviceError(
                f"session {waiting[0]} waits for its confirmation. Nothing was changed. Next: confirm or abort it "
                f"(configure session {waiting[0]} abort), or wait until its timer has run out, then run again"
            )
        for name, session in sessions.get("sessions", {}).items():
            if session.get("state") == OPEN:
                users = {str(user.get("user", "")) for user in session.get("instances", {}).values()} - {""}
                by = f" of {', '.join(sorted(users))}" if users else ""
                raise DeviceError(
                    f"configuration session {name}{by} is open on the switch. Nothing was changed. Next: have it "
                    f"committed or aborted (configure session {name} abort), then run again"
                )

    def _abort_leftovers(self) -> None:
        """Sessions of an earlier run that ended in the middle; nobody is in them and they have no effect."""
        for name, session in self._sessions().get("sessions", {}).items():
            if name.startswith(SESSION_PREFIX) and session.get("state") == OPEN and not session.get("instances"):
                self._abort(name)

    def _sessions(self) -> dict[str, Any]:
        return self._device.read("show configuration sessions detail")

    def _running(self) -> str:
        return self._device.run(["show running-config"])[0]

    def _before(self) -> str | None:
        """What ran before the last change; None when there was none."""
        try:
            return self._device.run([f"more {BEFORE}"])[0]
        except DeviceError as error:
            if "No such file" in str(error):
                return None
            raise DeviceError(f"{BEFORE}, saved before a change, can not be read: {error}") from error

    def _prove(self, before: str | None) -> None:
        """Read back that our part is what it was; nothing to compare with when somebody removed the copy."""
        if before is None:
            return
        left = commands(ours(before, self._scope), self._running(), self._scope, restoring=True)
        if left:
            raise DeviceError(f"the switch is not as it was before: {'; '.join(left)}")


def timed(sessions: Mapping[str, Any]) -> list[str]:
    """Names of the sessions whose commit waits to be confirmed."""
    found = [name for name, session in sessions.get("sessions", {}).items() if session.get("state") == TIMED]
    name = sessions.get("commitTimerSessionName")
    return found + [name] if name and name not in found else found
