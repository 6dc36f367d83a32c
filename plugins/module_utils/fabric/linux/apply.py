# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Run a plan, and on failure either put a port's queues back or say exactly what was done."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from .compare import drift
from .plan import ingress_lines, plan, restore_lines
from .running import running_switch
from .state import Port, Switch, SwitchError
from .tools import Failure, Iproute


@dataclass(frozen=True)
class Applied:
    """The state after, read back, and every command that was run."""

    after: Switch
    commands: tuple[str, ...]


def apply(tools: Iproute, desired: Switch, before: Switch, like: Switch | None = None) -> Applied:
    """Take the machine from ``before`` to ``desired`` and prove it by reading back. SwitchError when that fails.

    ``like`` names the bridge and the ports that are read, where ``desired`` has no bridge.
    """
    like = like or desired
    done: list[str] = []
    now = before
    steps = plan(desired, now)
    failure = tools.batch("ip", steps.ip)
    if failure:
        raise _stopped(failure, done, "VLANs and queues were not touched")
    if steps.ip:
        # joining a bridge and its default VLAN change the VLANs of a port: look again
        done += [f"ip {line}" for line in steps.ip]
        now = running_switch(tools, like)
        steps = plan(desired, now)
    failure = tools.batch("bridge", steps.bridge)
    if failure:
        raise _stopped(failure, done, "queues were not touched")
    done += [f"bridge {line}" for line in steps.bridge]
    for name, lines in steps.queues:
        failure = tools.batch("tc", lines)
        if failure:
            raise _stopped(failure, done, _put_back(tools, like, now.port(name)), keep_partial=False)
        done += [f"tc {line}" for line in lines]
    failure = tools.batch("dcb", steps.dcb)
    if failure:
        former = dataclasses.replace(desired, ports=tuple(_with_dcb_of(before, port) for port in desired.ports))
        undo = tools.batch("dcb", plan(former, running_switch(tools, like)).dcb)
        told = f"DCB could not be put back: {undo.said}" if undo else "DCB was put back to what it was"
        raise _stopped(failure, done, told, keep_partial=False)
    done += [f"dcb {line}" for line in steps.dcb]
    after = running_switch(tools, like)
    left = drift(desired, after)
    if left:
        raise SwitchError(
            f"all {len(done)} commands worked and yet the switch differs: {'; '.join(left)}. "
            "Something else configures it (systemd-networkd, NetworkManager, a script); take the ports from it"
        )
    return Applied(after, tuple(done))


def _with_dcb_of(before: Switch, port: Port) -> Port:
    return dataclasses.replace(port, dcb=before.port(port.name).dcb)


def _put_back(tools: Iproute, desired: Switch, former: Port) -> str:
    """Restore the queues of one port; says in words what became of it."""
    name = former.name
    lines = restore_lines(name, former.egress, desired.port(name).egress)
    if lines is None:
        return (
            f"the former queues of {name} ({', '.join(former.egress.foreign)}) were not made by this module and "
            "can not be put back; run it again after the cause is gone"
        )
    tools.batch("tc", [f"qdisc del dev {name} root"])  # fails where the default is there already, which is as good
    failure = tools.batch("tc", lines)
    now = running_switch(tools, desired).port(name)
    former_ingress = dataclasses.replace(former.ingress, frame=desired.port(name).ingress.frame)
    failure = failure or tools.batch("tc", ingress_lines(name, former_ingress, now.ingress))
    now = running_switch(tools, desired).port(name)
    if not failure and (now.egress, now.ingress) == (former.egress, former.ingress):
        return f"the former queues of {name} were put back"
    said = f": '{failure.line}': {failure.said}" if failure else ""
    return f"the former queues of {name} could not be put back{said}; look at 'tc qdisc show dev {name}'"


def _stopped(failure: Failure, done: list[str], consequence: str, keep_partial: bool = True) -> SwitchError:
    worked = done + (list(failure.done) if keep_partial else [])
    before = f"These commands had worked and stay: {'; '.join(worked)}" if worked else "Nothing was changed before it"
    return SwitchError(f"'{failure.line}' failed: {failure.said}. {before}; {consequence}")
