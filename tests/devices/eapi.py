"""An Arista switch for tests: eAPI (JSON-RPC ``runCmds``) over HTTP, with configuration sessions and commit timers.

What a real switch does and a change depends on is there: defaults are not shown, maps are shown grouped by target, a
line that is not known ends the request with error 1002 and leaves the session open, a commit with a timer is taken back
when nobody confirms it. Faults are switched on by the test: ``drop_at``, ``refused``, ``open_session``.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hier_config import Platform

from tests.devices.eos_grammar import GRAMMAR, shown
from tests.devices.server import Dropped
from tests.devices.state import Config, Position, Refused

COMMAND_FAILED = 1002
HEADER = "! Command: show running-config\n! device: {name} (DCS-7060X, EOS-{version})\n!\n"


class Failed(Exception):
    """A command failed; the message is what the switch says."""


@dataclass
class ConfigSession:
    config: Config
    state: str = "pending"
    users: tuple[str, ...] = ()


@dataclass
class Shell:
    """Where one request is: in which session, at which position."""

    session: str = ""
    position: Position = field(default_factory=lambda: Position(GRAMMAR))


class EosSwitch:
    """``drop_at``: the connection ends at the first command with this text, before the switch does it or, with
    ``dropped_after``, after; with ``gone`` nothing is answered from then on. ``refused``: lines with this text are
    unknown to it. ``ignored``: such lines are taken and not done. ``l2_mtu``: of the frames of every switching port.
    """

    def __init__(self, running: str = "", name: str = "leaf1", version: str = "4.32.2F") -> None:
        self.name, self.version = name, version
        self.running = Config(Platform.ARISTA_EOS)
        position = Position(GRAMMAR)
        for line in running.splitlines():
            if line and not line.startswith(" "):
                position = Position(GRAMMAR)
            self.running.enter(position, line)
        self.startup = self.running.copy()
        self.sessions: dict[str, ConfigSession] = {}
        self.files: dict[str, str] = {}
        self.counters: dict[str, dict[str, Any]] = {}
        self.log: list[str] = []
        self.drop_at = self.refused = self.ignored = ""
        self.dropped_after = self.gone = False
        self.reverted = 0
        self.l2_mtu = 9214
        self._timer: threading.Timer | None = None
        self._timed = ""
        self._checkpoint = self.running
        self._turn = threading.RLock()

    def open_session(self, name: str, user: str) -> None:
        """Another administrator's session."""
        self.sessions[name] = ConfigSession(self.running.copy(), users=(user,))

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """One request of eAPI."""
        request = json.loads(body)
        assert (method, path, request["method"]) == ("POST", "/command-api", "runCmds"), (method, path, request)
        params = request["params"]
        done: list[dict[str, Any]] = []
        shell = Shell()
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        with self._turn:
            for number, command in enumerate(params["cmds"], start=1):
                line = command if isinstance(command, str) else command["cmd"]
                drops = self.drop_at and self.drop_at in line
                if drops and not self.dropped_after:
                    self._drop()
                try:
                    done.append(self._command(shell, line, params["format"]))
                except (Failed, Refused) as error:
                    reason = f"Invalid input (at token 0: '{error}')" if isinstance(error, Refused) else str(error)
                    said = f"CLI command {number} of {len(params['cmds'])} '{line}' failed: invalid command"
                    answer["error"] = {"code": COMMAND_FAILED, "message": said, "data": [*done, {"errors": [reason]}]}
                    break
                if drops:
                    self._drop()
            else:
                answer["result"] = done
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    def _drop(self) -> None:
        self.drop_at = "" if not self.gone else " "
        self.dropped_after = False
        raise Dropped

    def _command(self, shell: Shell, line: str, output: str) -> dict[str, Any]:
        self.log.append(line)
        if output == "json":
            return self._structured(line)
        return {"output": self._text(shell, line)}

    def _text(self, shell: Shell, line: str) -> str:
        entered = re.fullmatch(r"configure session (\S+)(?: (abort|commit))?", line)
        if entered:
            return self._configure(shell, *entered.groups())
        if line == "show running-config":
            return HEADER.format(name=self.name, version=self.version) + shown(self.running) + "end\n"
        if line == "show startup-config":
            return HEADER.format(name=self.name, version=self.version) + shown(self.startup) + "end\n"
        if line == "copy running-config startup-config":
            self.startup = self.running.copy()
            return "Copy completed successfully.\n"
        copied = re.fullmatch(r"(copy running-config|more) flash:(\S+)", line)
        if copied:
            if copied[1] == "more":
                if copied[2] not in self.files:
                    raise Failed(f"more: flash:{copied[2]}: No such file or directory")
                return self.files[copied[2]]
            self.files[copied[2]] = shown(self.running) + "end\n"
            return "Copy completed successfully.\n"
        if line.startswith("show ") and line != "show session-config diffs":
            return json.dumps(self._structured(line))
        if not shell.session:
            raise Refused(line)
        return self._in_session(shell, line)

    def _configure(self, shell: Shell, name: str, verb: str | None) -> str:
        if verb is None:
            session = self.sessions.setdefault(name, ConfigSession(self.running.copy()))
            if session.state != "pending":
                raise Failed(f"Session {name} is already completed")
            shell.session, shell.position = name, Position(GRAMMAR)
        elif name not in self.sessions:
            raise Failed(f"Cannot {verb} non-existent session {name}")
        elif verb == "commit" and name == self._timed:
            self._stop_timer()
            self.sessions[name].state = "completed"
        elif verb == "commit":
            self._commit(name)
        else:
            self._abort(name)
        return ""

    def _in_session(self, shell: Shell, line: str) -> str:
        session = self.sessions[shell.session]
        timer = re.fullmatch(r"commit timer (\d\d):(\d\d):(\d\d)", line)
        if line == "show session-config diffs":
            names = ("system:/running-config", f"session:/{shell.session}-session-config")
            before, after = shown(self.running).splitlines(), shown(session.config).splitlines()
            return "\n".join(difflib.unified_diff(before, after, *names, lineterm=""))
        if line == "abort":
            self._abort(shell.session)
        elif line == "commit":
            self._commit(shell.session)
        elif timer:
            hours, minutes, seconds = map(int, timer.groups())
            self._commit(shell.session, hours * 3600 + minutes * 60 + seconds)
        elif line != "end":
            if self.refused and self.refused in line:
                raise Refused(line)
            if not self.ignored or self.ignored not in line:
                session.config.enter(shell.position, line)
            return ""
        shell.session = "" if line != "show session-config diffs" else shell.session
        return ""

    def _commit(self, name: str, timer_s: int = 0) -> None:
        if self._timed:
            raise Failed(f"Session {self._timed} is pending commit timer")
        self._checkpoint, self.running = self.running, self.sessions[name].config.copy()
        self.sessions[name].state = "completed"
        if timer_s:
            self.sessions[name].state = "pendingCommitTimer"
            self._timed = name
            self._timer = threading.Timer(timer_s, self.expire)
            self._timer.daemon = True
            self._timer.start()

    def _abort(self, name: str) -> None:
        if name == self._timed:
            self._stop_timer()
            self.running = self._checkpoint
        del self.sessions[name]

    def expire(self) -> None:
        """The timer of a commit runs out."""
        with self._turn:
            if self._timed:
                self.reverted += 1
                self._abort(self._timed)

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timed = ""

    def _structured(self, line: str) -> dict[str, Any]:
        if line in ("show configuration sessions", "show configuration sessions detail"):
            return self._session_list()
        if line == "show version":
            return {"modelName": "DCS-7060X", "version": self.version}
        if line == "show hostname":
            return {"hostname": self.name, "fqdn": self.name}
        if line == "show interfaces":
            # a switching port shows what its frames may have, whatever its line says
            mtus = {
                name: int(lines.get("mtu", 1500)) if lines.get("no") == "switchport" else self.l2_mtu
                for name, lines in self._ports().items()
            }
            return {"interfaces": {name: {"mtu": mtu} for name, mtu in mtus.items()}}
        if line == "show ptp":
            modes = {"boundary": "ptpBoundaryClock", "e2etransparent": "ptpEndToEndTransparentClock"}
            mode = next((text.split()[-1] for text in self.running.lines() if text.startswith("ptp mode ")), "")
            return {"ptpMode": modes.get(mode, "ptpDisabled")}
        if line in self.counters:
            return self.counters[line]
        raise Refused(line)

    def _session_list(self) -> dict[str, Any]:
        """As EOS before 4.32 tells a timer, and as it does from then on."""
        old = tuple(int(part) for part in self.version.split(".")[:2]) < (4, 32)
        sessions = {}
        for name, session in self.sessions.items():
            state = session.state if old or session.state == "pending" else "committed"
            instances = {str(10 + n): {"user": user, "terminal": f"vty{n}"} for n, user in enumerate(session.users)}
            sessions[name] = {"state": state, "commitUser": "", "description": "", "instances": instances}
        found = {"sessions": sessions, "maxSavedSessions": 1, "maxOpenSessions": 5, "mergeOnCommit": False}
        return {**found, "commitTimerSessionName": self._timed} if self._timed and not old else found

    def _ports(self) -> dict[str, dict[str, str]]:
        ports: dict[str, dict[str, str]] = {}
        for child in self.running.tree.children:
            if child.text.startswith("interface "):
                lines = (line.text.rpartition(" ") for line in child.children)
                ports[child.text.split()[1]] = {words: value for words, _space, value in lines}
        return ports
