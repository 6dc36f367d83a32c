# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Compares measurements with budgets. Whatever is not proven fails: no value, no budget, no host, a budget nobody
knows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.counters import SENT_AGAIN


class Gate(NamedTuple):
    """One budget on one host. ``reason`` is empty when ``ok``."""

    name: str
    host: str
    value: Any
    budget: Any
    unit: str
    ok: bool
    reason: str


class Rule(NamedTuple):
    """How one budget is judged: ``kind`` is max (value at most), min (at least) or is (equal to the budget).

    ``why``, where there is one, says more than the value when the gate fails, and ``missing`` why there is no value.
    """

    kind: str
    unit: str
    value: Callable[[Mapping[str, Any]], Any]
    why: Callable[[Mapping[str, Any]], str] | None = None
    missing: Callable[[Mapping[str, Any]], str] | None = None


def _field(*path: str) -> Callable[[Mapping[str, Any]], Any]:
    def value(found: Mapping[str, Any]) -> Any:
        here: Any = found
        for name in path:
            here = here.get(name) if isinstance(here, Mapping) else None
        return here

    return value


def _offset(pick: Callable[[list[int]], float]) -> Callable[[Mapping[str, Any]], Any]:
    def value(found: Mapping[str, Any]) -> Any:
        offsets = [abs(offset) for offset in found.get("offsets_ns") or []]
        return pick(offsets) if offsets else None

    return value


def _as_intended(found: Mapping[str, Any]) -> bool | None:
    """None when it was not compared."""
    return None if found.get("differences") is None else not found["differences"]


def _errors_risen(left_out: frozenset[str]) -> Rule:
    """No value without a ping, and when the counters of any ping were not read: those that were prove nothing of it."""

    def judged(found: Mapping[str, Any]) -> dict[str, int]:
        return {name: value for name, value in found["errors_risen"].items() if name not in left_out}

    def value(found: Mapping[str, Any]) -> int | None:
        if found.get("errors_risen") is None or found.get("counters_unread"):
            return None
        return sum(judged(found).values())

    def why(found: Mapping[str, Any]) -> str:
        return ", ".join("%s +%d" % one for one in sorted(judged(found).items()))

    def missing(found: Mapping[str, Any]) -> str:
        if found.get("errors_risen") is None:
            return "no ping"
        others = "; during the others %s" % why(found) if judged(found) else ""
        return "the counters were not read during %s%s" % (", ".join(found["counters_unread"]), others)

    return Rule("max", "errors", value, why, missing)


def _too_few(found: Mapping[str, Any]) -> str:
    return str(found.get("reason") or "too few samples for p99.9; raise validate_t2t_messages")


def _count(name: str) -> Callable[[Mapping[str, Any]], int]:
    return lambda found: len(found[name])


def _names(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda found: ", ".join(found[name])


RULES: dict[str, dict[str, Rule]] = {
    "rdma_link": {
        "state": Rule("is", "", _field("state")),
        "roce_version_min": Rule(
            "min",
            "",
            lambda found: max((gid.get("roce_version") or 0 for gid in found.get("gids") or []), default=None),
        ),
        "active_mtu_min_bytes": Rule("min", "bytes", _field("active_mtu_bytes")),
        "as_intended": Rule("is", "", _as_intended, lambda found: "; ".join(found["differences"])),
        "errors_risen_max": _errors_risen(frozenset()),
        "errors_besides_sent_again_max": _errors_risen(SENT_AGAIN),
    },
    "rdma_ping": {
        name + "_us": Rule("max", "us", _field("half_round_trip", name + "_us"))
        for name in ("min", "median", "p99", "p99_9", "max")
    },
    "mesh": {
        "failed_pairs_max": Rule("max", "pairs", _count("failed"), _names("failed")),
        "outliers_max": Rule("max", "pairs", _count("outliers"), _names("outliers")),
        "datagrams_lost_max": Rule("max", "datagrams", _field("lost")),
        **{
            "%s_%s_us" % (transport, name): Rule("max", "us", _field("%s_%s_us" % (transport, name)))
            for transport in ("rc", "ud")
            for name in ("median", "p99")
        },
    },
    "ptp": {
        "locked": Rule("is", "", _field("locked")),
        "offset_median_ns": Rule("max", "ns", _offset(statistics.median)),
        "offset_max_ns": Rule("max", "ns", _offset(max)),
    },
    "t2t": {
        **{name + "_ns": Rule("max", "ns", _field(name + "_ns")) for name in ("median", "p99", "max")},
        "p99_9_ns": Rule("max", "ns", _field("p99_9_ns"), missing=_too_few),
        "samples_min": Rule("min", "samples", _field("samples")),
        "samples_dropped_max": Rule("max", "samples", _field("samples_dropped")),
        "unstamped_max": Rule("max", "samples", _field("unstamped")),
        "messages_lost_max": Rule("max", "messages", _field("feed", "lost")),
        "orders_rejected_max": Rule("max", "orders", _field("orders", "rejected")),
        "p99_minus_min_over_mean_max": Rule("max", "", _field("jitter", "p99_minus_min_over_mean")),
    },
    "coexistence": {
        "loss": Rule("max", "probes", _field("loss")),
        "p99_ratio": Rule("max", "", _field("p99_ratio")),
        "p99_busy_ratio": Rule("max", "", _field("p99_busy_ratio")),
        "ecn_marks": Rule("min", "packets", _field("ecn_marks")),
        "load_mbps": Rule("min", "Mbit/s", _field("load_mbps")),
        # the control: that the load is one which plain queues do not stand
        "plain_p99_ratio": Rule("min", "", _field("plain", "p99_ratio")),
    },
    "jitter": {
        **{name: Rule("max", "us", _field(name)) for name in ("min_us", "avg_us", "p99_us", "max_us")},
        "samples_min": Rule("min", "samples", _field("samples")),
    },
}


def applies(section: str, name: str, host: Mapping[str, Any]) -> bool:
    """Whether a host can have this gate: an exchange has no ping of its own and no engine, a grandmaster no offset
    from itself."""
    if section in ("rdma_ping", "t2t", "coexistence", "jitter"):
        return host.get("role") == "trader"
    if section == "ptp" and host.get("role") == "member":
        return False
    return not (section == "ptp" and name.startswith("offset_") and host.get("ptp_role") == "grandmaster")


def evaluate(measurements: Mapping[str, Mapping[str, Any]], budgets: Mapping[str, Mapping[str, Any]]) -> list[Gate]:
    """Return the gates of every host, by host and budget, in the order of the host names.

    measurements: {host: as ``measurements.host_measurements``}; budgets: {host: {section: {name: budget}}}. Every
    budget of the inventory yields at least one gate; one that fits no host at all yields a failed gate for the host
    "any".
    """
    gates = []
    if not measurements:
        gates.append(_failed("hosts", "any", "no host was measured"))
    configured, judged = set(), set()
    for host in sorted(set(measurements) | set(budgets)):
        wanted = budgets.get(host)
        if not isinstance(wanted, Mapping) or not any(wanted.values()):
            gates.append(_failed("budgets", host, "no budgets are configured: set fabric_budgets in the inventory"))
            continue
        found = measurements.get(host)
        if found is None:
            gates.append(_failed("hosts", host, "not measured"))
            continue
        for section, limits in wanted.items():
            if section not in RULES or not isinstance(limits, Mapping):
                gates.append(_failed(section, host, "no such budget; known are %s" % ", ".join(sorted(RULES))))
                continue
            for name, budget in limits.items():
                full = "%s.%s" % (section, name)
                configured.add(full)
                if name not in RULES[section]:
                    gates.append(
                        _failed(full, host, "no such budget; known are %s" % ", ".join(sorted(RULES[section])), budget)
                    )
                    judged.add(full)
                elif applies(section, name, found):
                    gates.append(_judge(full, host, RULES[section][name], found.get(section), budget))
                    judged.add(full)
    gates.extend(_failed(name, "any", "no measured host can have this gate") for name in sorted(configured - judged))
    return gates


def _judge(name: str, host: str, rule: Rule, found: Mapping[str, Any] | None, budget: Any) -> Gate:
    if rule.kind != "is" and not _is_number(budget):
        return _failed(name, host, "budget %r is not a number" % (budget,), budget, rule.unit)
    if rule.kind == "is" and (budget is None or budget is False):
        return _failed(
            name, host, "budget %r demands nothing: leave it out or give the value it has to be" % (budget,), budget
        )
    if not found:
        return _failed(name, host, "not measured", budget, rule.unit)
    if found.get("error"):
        return _failed(name, host, str(found["error"]), budget, rule.unit)
    value = rule.value(found)
    if value is None or (rule.kind != "is" and not _is_number(value)):
        said = rule.missing(found) if rule.missing and value is None else found.get("reason")
        return _failed(name, host, _why_no_value(said, value), budget, rule.unit)
    if rule.kind == "is":
        ok, reason = value == budget, found.get("reason") or "it is %s, not %s" % (value, budget)
    elif rule.kind == "max":
        ok, reason = value <= budget, "%s is above the budget of %s" % (show(value, rule.unit), show(budget, rule.unit))
    else:
        ok, reason = value >= budget, "%s is below the budget of %s" % (show(value, rule.unit), show(budget, rule.unit))
    if not ok and rule.why:
        reason = "%s: %s" % (reason, rule.why(found))
    return Gate(name, host, value, budget, rule.unit, ok, "" if ok else reason)


def show(value: Any, unit: str) -> str:
    """Return a value with its unit for people: at most three decimals, nothing but the value for an empty unit."""
    if value is None:
        return "none"
    text = "%.3f" % value if isinstance(value, float) else str(value)
    if isinstance(value, float):
        text = text.rstrip("0").rstrip(".")
    return "%s %s" % (text, unit) if unit else text


def _why_no_value(said: str | None, value: Any) -> str:
    return "no value%s%s" % ("" if value is None else " but %r" % (value,), ": %s" % said if said else "")


def _failed(name: str, host: str, reason: str, budget: Any = None, unit: str = "") -> Gate:
    return Gate(name, host, None, budget, unit, False, reason)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
