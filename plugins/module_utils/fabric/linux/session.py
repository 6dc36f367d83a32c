# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of the module: look, compare, and change or only say so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..findings import plain as plain_findings
from .apply import apply
from .boot import ENABLED, NETWORK_FILE, UNIT_FILE, boot_files, differing, enable, enabled, write
from .compare import drift, plain, text, without_dcb
from .disruption import disruptions
from .plan import Plan, plan, restorable
from .running import running_switch
from .snapshot import forget, keep, kept, take
from .state import Switch, SwitchError
from .tools import Iproute
from .verify import drift as findings


class Session:
    """What was found on the machine, against what ``desired`` wants. Making one changes nothing."""

    def __init__(self, tools: Iproute, desired: Switch, root: Path, persist: bool, device: str = "") -> None:
        self._tools = tools
        self._device = device
        self._root = root
        self.before = running_switch(tools, desired)
        self._desired = desired = without_dcb(desired, self.before)
        self.plan = plan(desired, self.before)
        files = boot_files(desired, tools.paths) if persist else {}
        self._names = list(files)
        self.kept = False  # whether there is a way back from this run
        self.files = differing(files, root)
        self.enable = persist and not enabled(root)

    def check(self) -> dict[str, object]:
        """The module's result without a change."""
        return self._result(self.before, self.plan.commands())

    def apply(self) -> dict[str, object]:
        """Make it so. The boot files follow the running state, so that no boot starts what did not work."""
        wanted = {name: content for name, (now, content) in self.files.items()}
        try:
            if self.plan or self.files or self.enable:
                keep(take(self.before, self._names, self._root), self._root)
                self.kept = True
            if NETWORK_FILE in wanted:
                write({NETWORK_FILE: wanted.pop(NETWORK_FILE)}, self._root)
                self._release_ports()
            after, commands = self.before, list(self.plan.commands())
            if self.plan:
                applied = apply(self._tools, self._desired, self.before)
                after, commands = applied.after, list(applied.commands)
            write(wanted, self._root)
            if self.enable:
                enable(self._root)
            if UNIT_FILE in wanted and (self._root / "run/systemd/system").is_dir():
                self._run("systemctl", "daemon-reload")
        except OSError as error:
            raise SwitchError(f"{error.filename or 'a boot file'} can not be written: {error.strerror}") from error
        return self._result(after, commands)

    def roll_back(self, check: bool) -> dict[str, object]:
        """Go back to what was before the last change, or only say what that needs; nothing when nothing is kept."""
        snapshot = kept(self._root)
        if snapshot is None:
            return self._told(self.before, [], Plan((), (), ()), False)
        former = restorable(snapshot.switch, self._desired)
        steps, diff = plan(former, self.before), self._way_back(snapshot.files, former)
        if check:
            return {**self._told(self.before, steps.commands(), steps, True), "diff": diff}
        after, commands = self.before, steps.commands()
        if steps:
            applied = apply(self._tools, former, self.before, self._desired)
            after, commands = applied.after, list(applied.commands)
        try:
            write({name: content for name, content in snapshot.files.items() if content is not None}, self._root)
            for name, content in snapshot.files.items():
                if content is None and (self._root / name).is_file():
                    (self._root / name).unlink()
            if enabled(self._root) and not snapshot.enabled:
                (self._root / ENABLED).unlink()
            if (self._root / "run/systemd/system").is_dir():
                self._run("systemctl", "daemon-reload")
            forget(self._root)
        except OSError as error:
            raise SwitchError(f"{error.filename or 'a boot file'} can not be written: {error.strerror}") from error
        lost = [
            f"{port.name}: {', '.join(port.egress.foreign)}" for port in snapshot.switch.ports if port.egress.foreign
        ]
        if lost:
            raise SwitchError(
                f"everything was put back but queues which this module had not made ({'; '.join(lost)}); these ports "
                "have the kernel's default now, make them again"
            )
        return {**self._told(after, commands, steps, True), "diff": diff}

    def _way_back(self, files: Mapping[str, str | None], former: Switch) -> list[dict[str, str]]:
        """What putting back changes: the switch, and the boot files as they are now and were."""
        diff = [_running_diff(self.before, former)]
        for name, content in files.items():
            path = self._root / name
            now = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            if now != (content or ""):
                headers = {"before_header": f"/{name}", "after_header": f"/{name}"}
                diff.append({**headers, "before": now, "after": content or ""})
        return diff

    def _release_ports(self) -> None:
        """Tell a running systemd-networkd that the ports are no longer its own.

        It can only be told over D-Bus. On a machine without one the file counts from the next boot, and whether the
        ports stay until then is what reading back after the change tells.
        """
        run = self._root / "run"
        if (run / "systemd/netif/links").is_dir() and (run / "dbus/system_bus_socket").exists():
            self._run("networkctl", "reload")

    def _run(self, *argv: str) -> None:
        rc, out, err = self._tools.run(argv, "")
        if rc != 0:
            raise SwitchError(f"'{' '.join(argv)}' failed with {rc}: {err.strip() or out.strip()}")

    def _result(self, state: Switch, commands: list[str]) -> dict[str, object]:
        diff = [_running_diff(self.before, self._desired)]
        for name, (now, wanted) in self.files.items():
            diff.append({"before_header": f"/{name}", "after_header": f"/{name}", "before": now, "after": wanted})
        files = list(self.files)
        if self.enable:
            files.append(ENABLED)
            diff.append(
                {"before_header": f"/{ENABLED}", "after_header": f"/{ENABLED}", "before": "", "after": "link\n"}
            )
        changed = bool(self.plan or self.files or self.enable)
        told = {"files": [f"/{name}" for name in files], "diff": diff if changed else []}
        return self._told(state, commands, self.plan, changed) | told

    def _told(self, state: Switch, commands: list[str], steps: Plan, changed: bool) -> dict[str, object]:
        return {
            "changed": changed,
            "commands": commands,
            "disruptions": disruptions(steps, self.before),
            "drift": drift(self._desired, self.before),
            "files": [],
            "findings": plain_findings(findings(self._device, self._desired, state)),
            "state": plain(state),
            "unmanaged": list(self.before.unmanaged),
            "diff": [],
        }


def _running_diff(before: Switch, after: Switch) -> dict[str, str]:
    headers = {"before_header": "running", "after_header": "running"}
    return {**headers, "before": text(before), "after": text(after)}
