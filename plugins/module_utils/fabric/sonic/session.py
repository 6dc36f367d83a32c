# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run on a switch: look, compare, and change, say only what would be changed, or go back to the checkpoint."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..findings import plain
from ..model import Fabric
from .commands import CHECKPOINTS, SAVED, Switch
from .desired import Platform, desired, sonic_device
from .disruption import disruptions, needs_restart, refused_by_platform
from .plan import applied, differences, patch, refuse_impossible, target
from .running import ECN_CAPABILITY, State, read_state
from .tables import SonicError, Tables
from .verify import drift, leaf_text, place

LOCK = "etc/sonic/reload.lock"
# what SONiC itself writes into the running configuration at boot
BOOT_TABLES = ("VERSIONS", "FLEX_COUNTER_TABLE")
# what the checkpoint after a change has behind its name
AFTER = "-after"
NONE, PATCH, RELOAD = "none", "patch", "reload"


@dataclass(frozen=True)
class Leave:
    """What the caller allows: ``reload`` of all services; saving what somebody else changed and did not save."""

    reload: bool = False
    unsaved: bool = False


@dataclass(frozen=True)
class Options:
    """``checkpoint`` is its name; without ``save`` the change is gone after the next boot."""

    leave: Leave = Leave()
    checkpoint: str = "tickwire"
    save: bool = True


class Session:
    """What was found on the switch, against what the intent wants. Making one changes nothing."""

    def __init__(self, switch: Switch, fabric: Fabric, name: str, options: Options, workdir: Path, root: Path) -> None:
        self._device = sonic_device(fabric, name)
        self._switch, self._fabric, self._workdir, self._root = switch, fabric, workdir, root
        self._leave, self._checkpoint, self._save = options.leave, options.checkpoint, options.save
        self.running, self._printed = switch.tables("-d")
        self._saved = switch.tables("-j", SAVED)[0]
        self._platform = self._ask_platform()
        self._wanted = desired(fabric, name, self._platform)
        refuse_impossible(self.running, self._wanted)
        self.target = target(self.running, self._wanted)
        self.operations = patch(self.running, self.target)
        ours_unsaved, self._foreign = self._read_unsaved()
        self._unsaved = ours_unsaved and options.save
        self.way, self._reason = NONE, ""

    def _ask_platform(self) -> Platform:
        name, chip = self._switch.asic_type(), self._device.asic or ""
        if chip.startswith("spectrum") != (name == "mellanox") and chip not in ("", "generic", "virtual"):
            path = f"fabric.devices.{self._device.name}.asic"
            raise SonicError(f"{path}: {chip}, and the switch says asic_type {name}; correct the intent")
        capabilities = self._switch.hashes("STATE_DB", ECN_CAPABILITY)
        counted = capabilities.get(ECN_CAPABILITY, {}).get("isSupported") == "true"
        return Platform(name, ecn_counters=counted)

    def _read_unsaved(self) -> tuple[bool, list[str]]:
        """Whether something of ours is running and not saved, and what of somebody else's."""
        ours = {leaf for leaf, old, new in differences(self._saved, target(self._saved, self._wanted))}
        unsaved = differences(self._saved, self.running)
        # where, and not what: the tables of others have passwords
        foreign = [place(leaf) for leaf, old, new in unsaved if leaf not in ours and leaf[0] not in BOOT_TABLES]
        return any(leaf in ours for leaf, old, new in unsaved), foreign

    def _choose(self) -> tuple[str, str]:
        """The way of the change and, for a reload, the reason. The switch itself is asked, in a dry run."""
        if not self.operations:
            return NONE, ""
        reason = needs_restart(self.running, self.target)
        if reason:
            return RELOAD, reason
        works, said = self._switch.asked("config", "apply-patch", "--dry-run", self._write("patch", self.operations))
        if works:
            return PATCH, ""
        if refused_by_platform(said):
            return RELOAD, f"this platform takes no such patch while it runs ({said[-160:]})"
        raise SonicError(f"the switch refuses the change: {said[-400:]}; nothing was changed")

    def _write(self, name: str, content: object) -> str:
        path = self._workdir / f"tickwire-{name}.json"
        path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return str(path)

    def check(self) -> dict[str, Any]:
        """The module's result without a change. SonicError when the switch would refuse it."""
        self.way, self._reason = self._choose()
        return self._result(read_state(self._switch, self.running))

    def apply(self) -> dict[str, Any]:
        """Make it so, all of it or nothing, and save it. SonicError says what became of the switch."""
        if not self.operations and not self._unsaved:
            return self.check()
        self.way, self._reason = self._choose()
        self._refuse_without_leave()
        if self.operations:
            self._refused(self._switch.change("config", "checkpoint", self._checkpoint), "nothing was changed")
            failure = self._change() or self._left()
            failure = failure or self._switch.change("config", "checkpoint", f"{self._checkpoint}{AFTER}")
            if failure:
                raise SonicError(f"{failure}; {self._back()}")
        failure = self._switch.change("config", "save", "-y") if self._save else None
        if failure:
            raise SonicError(f"{failure}; {self._back() if self.operations else 'the running switch is as wanted'}")
        return self._result(read_state(self._switch, self._switch.tables("-d")[0]))

    def restore(self, check_mode: bool) -> dict[str, Any]:
        """Go back to the checkpoint that :meth:`apply` made, unless that would undo what others did since."""
        former, after = (self._checkpointed(name) for name in (self._checkpoint, f"{self._checkpoint}{AFTER}"))
        since = [place(one[0]) for one in differences(after, self.running) if one[0][0] not in BOOT_TABLES]
        if since and differences(former, self.running):
            said = f"checkpoint {self._checkpoint} would also undo what somebody changed since: {'; '.join(since[:5])}"
            raise SonicError(f"{said}; undo that, or change the intent and run the role")
        changes = [leaf_text(leaf, old, new) for leaf, old, new in differences(self.running, former)]
        if changes and not check_mode:
            said = restore(self._switch, former, self._checkpoint, self._leave.reload)
            if said:
                raise SonicError(said)
            if self._save and differences(self._saved, former):
                failure = self._switch.change("config", "save", "-y")
                self._refused(failure, "the former configuration runs and is not saved")
        return {"changed": bool(changes), "commands": self._switch.commands, "drift": changes}

    def _checkpointed(self, name: str) -> Tables:
        try:
            return self._switch.tables("-j", f"{CHECKPOINTS}/{name}.cp.json")[0]
        except SonicError as error:
            raise SonicError(f"there is no checkpoint {name} to go back to: {error}") from error

    def _refuse_without_leave(self) -> None:
        holder = lock_holder(self._root)
        if holder:
            raise SonicError(f"somebody else changes this switch now ({holder} holds /{LOCK}); run again after it")
        if self._foreign and not self._leave.unsaved:
            shown = "; ".join(self._foreign[:5]) + ("; ..." if len(self._foreign) > 5 else "")
            raise SonicError(
                f"the running configuration has changes that nobody saved ({shown}), and saving ours would save them; "
                "run 'config save -y' or undo them, or allow it with roce_switch_sonic_unsaved_allowed"
            )
        if self.way == RELOAD and not self._leave.reload:
            said = "; ".join(disruptions(self._reason))
            raise SonicError(f"this needs a {said}. Nothing was changed; allow it with roce_switch_reload_allowed")

    def _change(self) -> str | None:
        if self.way == PATCH:
            return self._switch.change("config", "apply-patch", self._write("patch", self.operations))
        whole = self._write("config", applied(self._printed, self.operations))
        return self._switch.change("config", "reload", "-y", whole)

    def _left(self) -> str | None:
        """What still differs after a change that worked."""
        try:
            now = self._switch.tables("-d")[0]
        except SonicError as error:
            return str(error)
        left = [leaf_text(leaf, old, new) for leaf, old, new in differences(now, target(now, self._wanted))]
        return f"the change was taken and yet differs: {'; '.join(left[:5])}" if left else None

    def _back(self) -> str:
        """Undo the change; says in words what became of it."""
        said = restore(self._switch, self.running, self._checkpoint, self.way == RELOAD)
        return said or "the former configuration is back"

    def _refused(self, failure: str | None, consequence: str) -> None:
        if failure:
            raise SonicError(f"{failure}; {consequence}")

    def _result(self, state: State) -> dict[str, Any]:
        found = [leaf_text(leaf, old, new) for leaf, old, new in differences(self.running, self.target)]
        changed = bool(self.operations or self._unsaved)
        before, after = _text(self.running, self.target), _text(self.target, self.running)
        diff = [{"before_header": "CONFIG_DB", "after_header": "CONFIG_DB", "before": before, "after": after}]
        return {
            "changed": changed,
            "way": self.way,
            "disruptions": disruptions(self._reason),
            "commands": self._switch.commands,
            "checkpoint": self._checkpoint if self.operations else "",
            "patch": self.operations,
            "drift": found,
            "unsaved": self._foreign,
            "findings": plain(drift(self._fabric, self._device, state, self._platform)),
            "diff": diff if self.operations else [],
        }


def restore(switch: Switch, former: Tables, checkpoint: str, reload_allowed: bool) -> str:
    """Bring ``former`` back from the checkpoint; empty when that worked, else what is left to do, in words."""
    failure = switch.change("config", "rollback", checkpoint)
    if failure and reload_allowed:
        # forced: SONiC would refuse it until all of its services are up, and they may never be
        failure = switch.change("config", "reload", "-y", "-f", f"{CHECKPOINTS}/{checkpoint}.cp.json")
    try:
        now = switch.tables("-d")[0]
    except SonicError as error:
        return f"whether the former configuration is back is unknown: {error}; run 'config rollback {checkpoint}'"
    left = [leaf_text(leaf, old, new) for leaf, old, new in differences(now, former) if leaf[0] not in BOOT_TABLES]
    if not left:
        return ""
    said = f" {failure};" if failure else ""
    return f"the former configuration is NOT back:{said} {'; '.join(left[:5])}; run 'config rollback {checkpoint}'"


def lock_holder(root: Path) -> str:
    """Who holds the lock that `config reload` takes; empty when nobody does."""
    try:
        with (root / LOCK).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return file.read().strip() or "an unknown process"
    except FileNotFoundError:
        pass
    return ""


def _text(mine: Tables, other: Tables) -> str:
    """The rows of a configuration that the other has not, or not so, as lines."""
    lines = []
    for table, name in sorted({(table, name) for (table, name, field), old, new in differences(mine, other)}):
        row = mine.get(table, {}).get(name)
        if row is not None:
            lines += [f"{table}|{name}", *(f"  {field}: {row[field]}" for field in sorted(row))]
    return "\n".join(lines) + "\n" if lines else ""
