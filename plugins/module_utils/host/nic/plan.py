# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What would be changed on a card, what each change costs, and what the driver has not got. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import HostError
from . import steering
from .bounce import bounces
from .card import GROUPS, Card, Group
from .ethtool import NotSupported
from .mtu import find_owner
from .wanted import FEATURES, MAX, Nic, group_of

NTUPLE = f"offloads.{FEATURES['ntuple']}"
ABSENT = "absent"
PRESENT = "present"


@dataclass(frozen=True)
class Change:
    """One setting of one interface; ``bounce``: the link goes for a moment."""

    interface: str
    setting: str
    before: str
    after: str
    bounce: bool = False

    def __str__(self) -> str:
        return f"{self.setting} of {self.interface}: {self.before} -> {self.after}"


@dataclass(frozen=True)
class Lack:
    """A wanted setting that this interface has not got."""

    interface: str
    setting: str
    reason: str

    def __str__(self) -> str:
        return f"{self.setting} of {self.interface}: {self.reason}"


@dataclass
class CardPlan:
    """The steps for one card. ``goals``: values by group; rules by location where they are to be deleted."""

    goals: dict[str, dict[str, str]] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    steering: Steering | None = None


@dataclass
class Steering:
    """Rules to add and to delete, and the RSS table: weights, ``default``, or None when it stays."""

    add: list[steering.Rule] = field(default_factory=list)
    delete: dict[int, steering.Rule] = field(default_factory=dict)
    keep: dict[int, steering.Rule] = field(default_factory=dict)
    rss: list[str] | None = None
    rss_before: str = ""


def plan_card(card: Card, nic: Nic, kept: Mapping[str, str]) -> CardPlan:
    """Everything that is to be changed; ``kept`` are values of before our first change, by setting.

    HostError where the card is missing or cannot be so, or where a setting that it has not got is required.
    """
    if not card.exists():
        raise HostError("network card", nic.name, "this host has no such interface", "correct roce_host_nics")
    result = CardPlan()
    goals = {name: value for name, value in kept.items() if "." in name or name in GROUPS}
    goals.update(nic.settings)
    for group in GROUPS:
        names = [name for name in goals if group_of(name) == group]
        if names:
            _plan_group(card, group, {name: goals[name] for name in names}, nic, result)
    _check_mtu(card, nic)
    plan_steering(card, nic, kept, result)
    missing = [lack for lack in result.lacks if nic.required]
    if missing:
        raise HostError(
            f"{missing[0].setting} of {nic.name}",
            nic.settings.get(missing[0].setting, PRESENT),
            missing[0].reason,
            "leave it out, or take required away to go on without it",
        )
    return result


def _plan_group(card: Card, group: str, goals: dict[str, str], nic: Nic, result: CardPlan) -> None:
    try:
        found = card.read(group)
    except NotSupported as error:
        result.lacks += [Lack(card.name, name, str(error)) for name in goals if name in nic.settings]
        return
    for name, value in goals.items():
        value = _resolve(card.name, name, value, found)
        before = found.values.get(name)
        if before is None or (before != value and name in found.fixed):
            if name in nic.settings:
                why = "the driver has no such setting" if before is None else f"the driver has it {before} for good"
                result.lacks.append(Lack(card.name, name, why))
            continue
        result.values[name] = before
        result.goals.setdefault(group, {})[name] = value
        if before != value:
            result.changes.append(Change(card.name, name, before, value, bounces(card.driver, name)))


def _resolve(interface: str, name: str, value: str, found: Group) -> str:
    """``max`` as a number; HostError for more than the driver offers."""
    largest = found.largest.get(name)
    if value == MAX:
        return largest or found.values.get(name, MAX)
    if largest is not None and value.isdigit() and int(value) > int(largest):
        raise HostError(
            f"{name} of {interface}", value, f"the driver's maximum is {largest}", f"ask for {largest} or max"
        )
    return value


def _check_mtu(card: Card, nic: Nic) -> None:
    """HostError where another program gives the interface another MTU: the two would take turns."""
    owner = find_owner(card.system, nic.name) if "mtu" in nic.settings else None
    if owner is not None and str(owner.mtu) != nic.settings["mtu"]:
        raise HostError(
            f"mtu of {nic.name}",
            nic.settings["mtu"],
            f"{owner.program} sets {owner.mtu} by {owner.file} whenever it brings the interface up",
            "change it there, or leave mtu out",
        )


def plan_steering(card: Card, nic: Nic, kept: Mapping[str, str], result: CardPlan) -> None:
    """Rules and RSS table, into ``result``; its goals say how many queues there will be."""
    if not nic.feeds and "rss" not in kept and not any(name.startswith("rule ") for name in kept):
        return
    ours = {int(name[5:]): steering.parse_rule(rule) for name, rule in kept.items() if name.startswith("rule ")}
    if nic.feeds and any(lack.setting == NTUPLE for lack in result.lacks):
        result.lacks += [Lack(nic.name, f"ntuple {feed}", f"{NTUPLE} is not to be had") for feed in nic.feeds]
        return
    try:
        present = steering.parse_rules(card.ethtool.text("-n", nic.name))
        queues, table = steering.parse_table(card.ethtool.text("-x", nic.name)) if nic.rss_avoids_feeds else (0, [])
    except NotSupported as error:
        result.lacks += [Lack(nic.name, f"ntuple {feed}", str(error)) for feed in nic.feeds]
        return
    wanted = steering.wanted_rules(card.system, nic.name, nic.feeds, nic.queue_cpus)
    plan = Steering()
    plan.delete = {number: rule for number, rule in ours.items() if present.get(number) == rule and rule not in wanted}
    plan.keep = {number: rule for number, rule in present.items() if rule is not None and rule in wanted}
    plan.add = [rule for rule in wanted if rule not in plan.keep.values()]
    queues = int(result.goals.get("channels", {}).get("channels.combined", queues))
    beyond = [rule for rule in wanted if queues and rule.queue >= queues]
    if beyond:
        raise HostError(
            f"ntuple of {nic.name}", str(beyond[0]), f"the card has queues 0 to {queues - 1}", "name one of these"
        )
    result.changes += [Change(nic.name, f"ntuple {rule}", PRESENT, ABSENT) for rule in plan.delete.values()]
    result.changes += [Change(nic.name, f"ntuple {rule}", ABSENT, PRESENT) for rule in plan.add]
    avoided = {rule.queue for rule in wanted} if nic.rss_avoids_feeds else set()
    plan.rss_before = "queues " + ",".join(map(str, sorted(set(table))))
    if avoided and table and queues > len(avoided):
        shares = list(map(str, steering.weights(queues, avoided)))
        if not steering.table_avoids(table, queues, avoided):
            plan.rss = ["weight", *shares]
            after = "queues " + ",".join(str(queue) for queue, share in enumerate(shares) if share == "1")
            result.changes.append(Change(nic.name, "rss", plan.rss_before, after))
    elif avoided and queues:
        result.lacks.append(Lack(nic.name, "rss", f"{queues} queues leave none beside those of the streams"))
    elif not avoided and "rss" in kept:
        plan.rss = ["default"]
        result.changes.append(Change(nic.name, "rss", plan.rss_before, "default"))
    result.steering = plan
