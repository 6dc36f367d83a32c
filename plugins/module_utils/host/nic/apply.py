# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives the cards their settings, puts everything back on failure, and gives settings that are taken away back."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..before import forget, read_before, remember, write_before
from ..errors import HostError
from ..part import Wanted
from ..system import System
from . import steering
from .bounce import bounces
from .card import GROUPS, Card
from .ethtool import Ethtool, NotSupported
from .plan import ABSENT, CardPlan, Change, Lack, plan_card, plan_steering
from .wanted import Nic, parse_nics

OWNER = "nic"
#: How long a link may take to come back after it bounced: 100 Gbit/s with FEC and a slow switch stay below.
LINK_TIMEOUT_S = 30.0
Undo = list[tuple[str, Callable[[], object]]]


@dataclass
class NicResult:
    """What was changed, or in check mode would be, and what the cards have not got."""

    changes: list[Change] = field(default_factory=list)
    lacks: list[Lack] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.changes)


def kept_of(before: dict[str, str], interface: str) -> dict[str, str]:
    """Values of before our first change of one interface, by setting."""
    marks = [(name, name.partition(" ")) for name in before]
    return {parts[2]: before[name] for name, parts in marks if parts[0] == interface}


def _interface(name: str) -> str:
    """Whose value that is."""
    return name.partition(" ")[0]


def plan_nics(system: System, nics: Sequence[Nic], only: str = "") -> list[tuple[Card, Nic, CardPlan]]:
    """A plan for every card that is wanted or was changed by us; interfaces that are gone are forgotten."""
    ethtool, before = Ethtool(system), read_before(system, OWNER)
    named = {nic.name for nic in nics}
    cards = list(nics) + [Nic(name, {}) for name in sorted(set(map(_interface, before)) - named)]
    plans = []
    for nic in cards:
        card = Card(system, ethtool, nic.name)
        if (only and nic.name != only) or (nic.name not in named and not card.exists()):
            continue
        plans.append((card, nic, plan_card(card, nic, kept_of(before, nic.name))))
    return plans


def apply_nics(
    system: System,
    nics: Sequence[Nic],
    check: bool,
    bounce_allowed: bool,
    only: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> NicResult:
    """Set what differs, group by group. HostError with everything put back.

    With ``only`` that interface is set again after it lost something: what would bounce its link is then left as it is
    where that is not allowed, and the drift says so.
    """
    plans = plan_nics(system, nics, only)
    if only and not bounce_allowed:
        for planned in plans:
            _leave_bounces(planned[0], planned[2])
    result = NicResult([change for dummy, dummy_nic, plan in plans for change in plan.changes])
    result.lacks = [lack for dummy, dummy_nic, plan in plans for lack in plan.lacks]
    costly = [
        change for card, dummy, plan in plans for change in plan.changes if change.bounce and card.link() != "down"
    ]
    if costly and not bounce_allowed:
        raise HostError(
            f"network card {costly[0].interface}",
            "; ".join(map(str, costly)),
            "this takes the link down for a moment",
            "do it when nobody trades on this host: allow it by bounce_allowed (roce_host_bounce_allowed)",
        )
    if check:
        return result
    undo: Undo = []
    kept = read_before(system, OWNER)
    try:
        for card, nic, plan in plans:
            _apply_card(system, card, nic, plan, undo, result, sleep)
    except (HostError, NotSupported, OSError) as error:
        cards = {card.name for card, dummy, dummy_plan in plans}
        own = {name: value for name, value in kept.items() if _interface(name) in cards}
        write_before(system, OWNER, own, lambda name: _interface(name) in cards)
        left = _put_back(undo)
        raise HostError(
            "network card settings",
            "not applied",
            f"{error}; {'what was changed was put back' if not left else 'not put back: ' + '; '.join(left)}",
        ) from error
    if not only:
        _forget(system, nics, result.lacks)
    return result


def _leave_bounces(card: Card, plan: CardPlan) -> None:
    if card.link() == "down":
        return
    left = {change.setting for change in plan.changes if change.bounce}
    plan.changes = [change for change in plan.changes if change.setting not in left]
    for goals in plan.goals.values():
        for name in left & set(goals):
            del goals[name]


def _put_back(undo: Undo) -> list[str]:
    """Undo in reverse order; what could not be."""
    left = []
    for what, act in reversed(undo):
        try:
            act()
        except (HostError, NotSupported, OSError) as error:
            left.append(f"{what} ({error})")
    return left


def _remember(system: System, interface: str, values: dict[str, str]) -> None:
    """Keep values of before our first change of them."""
    remember(system, OWNER, {f"{interface} {name}": value for name, value in values.items()})


def _apply_card(
    system: System,
    card: Card,
    nic: Nic,
    plan: CardPlan,
    undo: Undo,
    result: NicResult,
    sleep: Callable[[float], None],
) -> None:
    if not plan.changes:
        return
    link = card.link()
    _remember(
        system, nic.name, {change.setting: change.before for change in plan.changes if change.setting in nic.settings}
    )
    if any(change.setting.startswith("channels.") for change in plan.changes):
        _clear_steering(system, card, undo)
    anew = False
    for group in GROUPS:
        goals = plan.goals.get(group, {})
        # Read again where an earlier step made the queues anew: they forget then. A driver that coalesces another way
        # forgets the times as well, those that were as wanted too: hence twice.
        for read_again in (anew, True) if group == "coalesce" else (anew,):
            found = card.read(group).values if goals and read_again else plan.values
            lacking = {lack.setting for lack in result.lacks if lack.interface == nic.name}
            differing = {key: value for key, value in goals.items() if key not in lacking and found.get(key) != value}
            if not differing:
                break
            _apply_group(card, nic, group, differing, found, undo, result)
            anew = anew or any(bounces(card.driver, name) for name in differing)
    _apply_steering(system, card, nic, plan, undo)
    if link == "up" and any(change.bounce for change in plan.changes):
        _await_link(card, sleep)


def _apply_group(
    card: Card, nic: Nic, group: str, goals: dict[str, str], found: dict[str, str], undo: Undo, result: NicResult
) -> None:
    former = {name: found[name] for name in goals}
    undo.append((", ".join(f"{name} of {card.name}" for name in goals), lambda: card.write(group, former)))
    try:
        card.write(group, goals)
    except NotSupported as error:
        undo.pop()
        if nic.required:
            raise
        result.lacks += [Lack(card.name, name, str(error)) for name in goals]
        result.changes[:] = [
            change for change in result.changes if change.interface != card.name or change.setting not in goals
        ]
        return
    except HostError:
        # A command that was refused whole leaves nothing to put back.
        if {name: card.read(group).values.get(name) for name in goals} == former:
            undo.pop()
        raise
    after = card.read(group).values
    wrong = {name: after.get(name, "nothing") for name, value in goals.items() if after.get(name) != value}
    for name, value in wrong.items():
        raise HostError(f"{name} of {card.name}", goals[name], f"the driver made it {value}", "ask for what it can do")


def _clear_steering(system: System, card: Card, undo: Undo) -> None:
    """Delete our rules and the table: the kernel refuses fewer queues while something points to one that goes."""
    kept = kept_of(read_before(system, OWNER), card.name)
    present: dict[int, Any] = {}
    if any(name.startswith("rule ") for name in kept):
        present = steering.parse_rules(card.ethtool.text("-n", card.name))
    for name, rule in kept.items():
        if name.startswith("rule ") and str(present.get(int(name[5:]))) == rule:
            _delete_rule(system, card, int(name[5:]), steering.parse_rule(rule), undo)
    if "rss" in kept:
        _set_rss(card, ["default"], undo)


def _apply_steering(system: System, card: Card, nic: Nic, plan: CardPlan, undo: Undo) -> None:
    kept = kept_of(read_before(system, OWNER), nic.name)
    now = CardPlan(goals=plan.goals, lacks=list(plan.lacks))
    plan_steering(card, nic, kept, now)
    again = now.steering
    if again is None:
        return
    for number, rule in again.delete.items():
        _delete_rule(system, card, number, rule, undo)
    for rule in again.add:
        _add_rule(system, card, rule, undo)
    if again.rss is not None:
        if again.rss == ["default"]:
            _set_rss(card, again.rss, undo)
        else:
            _remember(system, nic.name, {"rss": "default"})
            _set_rss(card, again.rss, undo)


def _add_rule(system: System, card: Card, rule: steering.Rule, undo: Undo) -> None:
    out = card.run(["ethtool", "-N", card.name, *rule.argv()])
    match = re.search(r"ID (\d+)", out)
    rules = steering.parse_rules(card.ethtool.text("-n", card.name))
    numbers = [int(match.group(1))] if match else [number for number, found in rules.items() if found == rule]
    if not numbers or rules.get(numbers[0]) != rule:
        raise HostError(f"ntuple of {card.name}", str(rule), "it does not read back", "look with ethtool -n")
    number = numbers[0]
    undo.append((f"ntuple {rule}", lambda: card.run(["ethtool", "-N", card.name, "delete", str(number)])))
    _remember(system, card.name, {f"rule {number}": str(rule)})


def _delete_rule(system: System, card: Card, number: int, rule: steering.Rule, undo: Undo) -> None:
    card.run(["ethtool", "-N", card.name, "delete", str(number)])
    undo.append((f"ntuple {rule}", lambda: card.run(["ethtool", "-N", card.name, *rule.argv(), "loc", str(number)])))
    forget(system, OWNER, {f"{card.name} rule {number}"})


def _set_rss(card: Card, words: list[str], undo: Undo) -> None:
    queues, table = steering.parse_table(card.ethtool.text("-x", card.name))
    shares = ["1" if queue in set(table) else "0" for queue in range(queues)]
    card.run(["ethtool", "-X", card.name, *words])
    undo.append((f"rss of {card.name}", lambda: card.run(["ethtool", "-X", card.name, "weight", *shares])))


def _await_link(card: Card, sleep: Callable[[float], None]) -> None:
    step_s = 0.1
    waited_s = 0.0
    while waited_s < LINK_TIMEOUT_S:
        if card.link() == "up":
            return
        sleep(step_s)
        waited_s += step_s
    raise HostError(
        f"network card {card.name}", card.link(), f"the link did not come back within {LINK_TIMEOUT_S:g} s", ""
    )


def _forget(system: System, nics: Iterable[Nic], lacks: Iterable[Lack]) -> None:
    """Forget what was put back, and interfaces that are gone.

    What a driver refused to put back stays for the next run: ice takes no pause while priorities pause.
    """
    wanted = {nic.name: nic for nic in nics}
    refused = {f"{lack.interface} {lack.setting}" for lack in lacks}
    done = set()
    for key in read_before(system, OWNER):
        interface, dummy, name = key.partition(" ")
        nic = wanted.get(interface)
        ours = nic is not None and (name in nic.settings or (nic.feeds and name.partition(" ")[0] in ("rss", "rule")))
        if not ours and key not in refused:
            done.add(key)
    forget(system, OWNER, done)


def reapply(system: System, wanted: Wanted, interface: str) -> list[str]:
    """Set again what the interface lost by a boot or a link event; what was changed, in words."""
    nics = [nic for nic in parse_nics(wanted.get("nics")) if nic.name == interface]
    if not nics or not system.path(f"sys/class/net/{interface}").is_dir():
        return []
    return [
        str(change) for change in apply_nics(system, nics, False, bool(wanted.get("bounce_allowed")), interface).changes
    ]


def summary(changes: Iterable[Change], after: bool) -> str:
    """One line per setting for a diff."""
    lines = [(change, change.after if after else change.before) for change in changes]
    return "".join(f"{change.interface} {change.setting}: {value}\n" for change, value in lines if value != ABSENT)
