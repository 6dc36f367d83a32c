# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets DCB by the difference, reads it back, and puts everything back when a step fails.

A value is kept before it is changed for the first time; a field that is no longer wanted goes back to it. Nothing here
survives a boot: the agent calls reapply() then, and after link events.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...dcb import DcbError, NotSupported
from ..before import forget, read_before, remember
from ..errors import HostError
from ..system import System
from .refusal import check_capacity, refusal
from .rivals import host_findings, interface_findings
from .running import Running, Tool, different
from .wanted import GROUPS, NEEDED, parse_interfaces

OWNER = "dcb"
#: What takes a link or its queues down for a moment, after the drivers' code: mlx5 toggles the link when pauses change
#: (mlx5e_dcbnl_ieee_setpfc), ice and bnxt make their queues anew for scheduling (ice_pf_dcb_cfg, bnxt_setup_mq_tc).
DISTURBING = ("ets", "pfc", "buffer")


@dataclass
class DcbResult:
    """By interface: fields before and after (in check mode: as they would be), and what has no support, and why.

    ``findings``: who else sets DCB or spoils it.
    """

    changed: bool = False
    before: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, dict[str, Any]] = field(default_factory=dict)
    unsupported: dict[str, dict[str, str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def text(self, when: str) -> str:
        """One line per field that changes, for the diff."""
        chosen = self.before if when == "before" else self.after
        lines = [
            f"{interface} {name}: {json.dumps(chosen[interface].get(name))}"
            for interface in sorted(self.before)
            for name in sorted({**self.before[interface], **self.after[interface]})
        ]
        return "".join(line + "\n" for line in lines)


def check_interfaces(system: System, interfaces: Mapping[str, Any]) -> None:
    """HostError for an interface that this host has not."""
    for name in interfaces:
        if not system.path(f"sys/class/net/{name}").exists():
            there = system.path("sys/class/net")
            names = sorted(entry.name for entry in there.iterdir()) if there.is_dir() else []
            raise HostError(
                "interface",
                name,
                f"this host has {', '.join(names) or 'none'}",
                "correct the intent's link or the name",
            )


def link_is_up(system: System, interface: str) -> bool:
    """Whether the interface has a carrier; the kernel answers EINVAL while it is down."""
    try:
        return system.read(f"sys/class/net/{interface}/carrier") == "1"
    except OSError:
        return False


def read_kept(system: System) -> dict[str, Any]:
    """Former values of what is ours, by ``interface group field``."""
    return {name: json.loads(value) for name, value in read_before(system, OWNER).items()}


def read_wanted(tool: Tool, interface: str, wanted: Mapping[str, Mapping[str, Any]]) -> Running:
    """What the interface has of the groups that are wanted, in the order in which they are set."""
    return tool.read(interface, [group for group in GROUPS if group in wanted])


def apply_dcb(
    system: System, interfaces: Mapping[str, Any] | None, required: bool, check: bool, bounce_allowed: bool = False
) -> DcbResult:
    """Make every interface as wanted; HostError when one can not be, with everything as it was before.

    ``required``: fails where an interface has no support for what the lanes need, else that is in the result. Without
    ``bounce_allowed`` what disturbs a link that is up is refused.
    """
    wanted = parse_interfaces(interfaces)
    check_interfaces(system, wanted)
    kept = read_kept(system)
    work = Work(system, check, kept, bounce_allowed)
    targets = {name: _with_former(name, fields, kept) for name, fields in wanted.items()}
    for name in sorted({key.split()[0] for key in kept} - set(wanted)):
        if system.path(f"sys/class/net/{name}").exists():
            targets[name] = _with_former(name, {}, kept)
    try:
        for name, fields in targets.items():
            work.interface(name, fields, required and name in wanted)
        for name, fields in targets.items():
            work.prove(name, fields)
    except (HostError, DcbError) as error:
        failed = work.put_back()
        if isinstance(error, HostError) and not failed:
            raise
        rest = f"; not put back: {'; '.join(failed)}" if failed else ""
        raise HostError("dcb", work.at, f"{error}{rest}") from error
    work.forget(wanted)
    findings = host_findings(system) if wanted else []
    for name, fields in wanted.items():
        headroom = int((interfaces or {})[name].get("headroom_bytes") or 0)
        findings += interface_findings(system, name, fields, work.running[name], headroom)
    work.result.findings += [str(finding) for finding in findings]
    return work.result


def reapply(system: System, wanted: Mapping[str, Any], interface: str) -> list[str]:
    """Set what a boot or a link event took away from one interface; what was changed, in words. HostError as apply.

    What would disturb a link that is up stays as it is, unless ``bounce_allowed`` says otherwise.
    """
    given = (wanted.get("dcb") or {}).get(interface)
    if not given or not system.path(f"sys/class/net/{interface}").exists():
        return []
    work = Work(system, False, read_kept(system), bool(wanted.get("bounce_allowed")))
    fields = parse_interfaces({interface: given})[interface]
    if not work.bounce_allowed and link_is_up(system, interface):
        fields = {group: values for group, values in fields.items() if group not in DISTURBING}
    work.interface(interface, fields, False)
    work.prove(interface, fields)
    return [
        f"dcb {name} of {interface}: {json.dumps(work.result.before[interface][name])} -> {json.dumps(value)}"
        for name, value in work.result.after.get(interface, {}).items()
    ]


def _with_former(
    name: str, fields: Mapping[str, Mapping[str, Any]], kept: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Wanted fields, and those that were ours and are no longer wanted at their former values."""
    found = {group: dict(values) for group, values in fields.items()}
    for key, value in kept.items():
        interface, group, item = key.split(" ", 2)
        if interface == name and item not in found.get(group, {}):
            found.setdefault(group, {})[item] = value
    return found


def _hands_over(fields: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether DCB goes back to the NIC's firmware, which ruled it before."""
    dcbx = fields.get("dcbx", {})
    return dcbx.get("host") is False or dcbx.get("lld_managed") is True


class Work:
    """One run: what was done, for the result and for the way back."""

    def __init__(self, system: System, check: bool, kept: dict[str, Any], bounce_allowed: bool) -> None:
        self.system = system
        self.bounce_allowed = bounce_allowed
        self.tool = Tool(system)
        self.check = check
        self.kept = kept
        self.kept_before = dict(kept)
        self.result = DcbResult()
        self.at = ""
        self.done: list[tuple[str, str, dict[str, Any]]] = []
        self.running: dict[str, Running] = {}

    def interface(self, name: str, fields: Mapping[str, Mapping[str, Any]], required: bool) -> None:
        """Set what differs. HostError or DcbError when a step is refused."""
        self.at = name
        running = self.running[name] = read_wanted(self.tool, name, fields)
        check_capacity(name, fields, running)
        unsupported = dict(running.unsupported)
        handed = _hands_over(fields)
        # Without DCB in its hands the host may not set the rest (bnxt_dcbnl_ieee_setets), so that is given away last.
        for group in (*GROUPS[1:], GROUPS[0]) if handed else GROUPS:
            found = running.state.get(group)
            target = different(fields.get(group, {}), found) if found is not None else {}
            if found is None or not target:
                continue
            if group in DISTURBING and not self.bounce_allowed and link_is_up(self.system, name):
                raise HostError(
                    f"dcb {group} of {name}",
                    json.dumps(target),
                    "it may take the link down for a moment, and that is not allowed now",
                    "do it when nobody trades on this host: allow it by bounce_allowed (roce_host_bounce_allowed)",
                )
            old = {item: found.get(item, []) for item in target}
            if not self.check:
                self._keep(name, group, old)
                try:
                    self.tool.set(name, group, target, found)
                except NotSupported as error:
                    unsupported[group] = str(error)
                    continue
                except DcbError as error:
                    if group == "dcbx" and handed:
                        self.stays(name)
                        unsupported[group] = str(error)
                        continue
                    raise refusal(self.system, name, group, target, str(error)) from error
                self.done.append((name, group, old))
            self.result.changed = True
            self.result.before.setdefault(name, {}).update({f"{group} {item}": old[item] for item in target})
            self.result.after.setdefault(name, {}).update({f"{group} {item}": target[item] for item in target})
        if unsupported:
            self.result.unsupported[name] = unsupported
        lacking = [group for group in NEEDED if group in unsupported and group in fields]
        if required and lacking:
            raise HostError(
                f"dcb {', '.join(lacking)}", name, unsupported[lacking[0]], "use a NIC with DCB, or do not require it"
            )

    def stays(self, name: str) -> None:
        """Drivers give DCB back to their firmware by no word that dcb has (mlx5: en_dcbnl.c takes no mode but 0)."""
        said = f"{name}: the driver does not give DCB back to its firmware, which had it before"
        self.result.findings.append(f"{said}. It has it again after a reboot.")

    def prove(self, name: str, fields: Mapping[str, Mapping[str, Any]]) -> None:
        """Read back; HostError names the first field which the driver did not keep."""
        if self.check or name not in self.result.before:
            return
        running = self.running[name] = read_wanted(self.tool, name, fields)
        skip = self.result.unsupported.get(name, {})
        for group, found in running.state.items():
            target = different(fields[group], found) if group not in skip else {}
            if group == "dcbx" and target and _hands_over(fields):
                self.stays(name)
                continue
            for item, value in target.items():
                said = f"it was set and reads {json.dumps(found.get(item, []))}"
                raise refusal(self.system, name, f"{group} {item}", {item: value}, said)

    def _keep(self, name: str, group: str, old: Mapping[str, Any]) -> None:
        """Former values are on disk before the first change, whatever happens then."""
        new = {f"{name} {group} {item}": value for item, value in old.items()}
        self.kept = {**new, **self.kept}
        remember(self.system, OWNER, {key: json.dumps(value) for key, value in new.items()})

    def put_back(self) -> list[str]:
        """Undo in reverse; what could not be."""
        failed: list[str] = []
        for name, group, old in reversed(self.done):
            try:
                self.tool.set(name, group, old, self.tool.read(name, [group]).state.get(group, {}))
            except (DcbError, HostError) as error:
                failed.append(str(error))
        if not self.check and not failed:
            forget(self.system, OWNER, self.kept.keys() - self.kept_before.keys())
        return failed

    def forget(self, wanted: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
        """Keep former values of what is ours, and no others, such as those of an interface that is gone.

        Nothing is written in check mode.
        """
        if self.check:
            return
        ours = {
            f"{name} {group} {item}"
            for name, groups in wanted.items()
            for group, items in groups.items()
            for item in items
        }
        forget(self.system, OWNER, self.kept.keys() - ours)
