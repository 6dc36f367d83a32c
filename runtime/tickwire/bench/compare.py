# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench compare`: transports side by side, from results of the same two hosts, message size, type of service
and schedule.

All figures are of round trips, so that idle (closed loop) and bursts (open loop, from the due time) can stand in one
table; they are computed anew from the samples of each file. "Jitter" is given three ways, each named by its formula.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import __version__
from ..errors import TickwireError
from . import results, stats

FORM = "tickwire-bench-compare-1"
TESTS = ("pingpong", "burst")
_NEAR = "share_within_5_percent_of_mean"
CLAIM = (
    "RoCE keeps its latency within 95 % of its mean, where TCP in bursts strays by as much as 300 % "
    "(a published claim, which does not say what it means by jitter)"
)


def _pair(result: dict[str, Any]) -> list[str]:
    return [
        f"{role} {result['hosts'][role]['name']} ({result['hosts'][role]['address']})" for role in ("client", "server")
    ]


def _must_match(taken: Sequence[tuple[str, dict[str, Any]]]) -> None:
    first_path, first = taken[0]
    seen: dict[tuple[str, str], str] = {}
    schedules: dict[str, tuple[str, Any]] = {}
    for path, result in taken:
        for what, here, there in (
            ("messages of {} bytes", result["size_bytes"], first["size_bytes"]),
            ("tos {}", result["tos"], first["tos"]),  # another lane: other queues, other traffic beside it
            ("hosts {}", _pair(result), _pair(first)),
        ):
            if here != there:
                raise TickwireError(
                    f"{path}: {what.format(here)}, {first_path} has {what.format(there)}; only like is compared"
                )
        key = (result["transport"], result["test"])
        if key in seen:
            raise TickwireError(f"{path}: {' '.join(key)} is in {seen[key]} already; give one result of each")
        seen[key] = path
        other, plan = schedules.setdefault(result["test"], (path, result["schedule"]))
        if plan != result["schedule"]:
            raise TickwireError(
                f"{path}: {results.when(result['schedule'])}, {other} has {results.when(plan)}; only like is compared"
            )


def _idle_states(host: dict[str, Any]) -> str:
    return " ".join(state["name"] or "?" for state in host["cpu"]["idle_states"] if not state["disabled"]) or "none"


# What of a host may differ between two runs that are compared, and how a note names it.
_DIFFERS: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (
    ("kernels", lambda host: host["kernel"]),
    ("CPUs", lambda host: host["pinned_cpu"]),
    ("isolated CPUs", lambda host: host["isolated_cpus"]),
    ("CPU governors", lambda host: host["cpu"]["governor"]),
    ("idle states", _idle_states),
    ("SMT", lambda host: {True: "on", False: "off", None: "unknown"}[host["smt"]]),
    ("schedulers", lambda host: f"{host['scheduler']} priority {host['scheduler_priority']}"),
)


def _notes(taken: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """What differs between the runs beside the transport, and what weakens them."""
    notes = []
    for role in ("client", "server"):
        hosts = [result["hosts"][role] for _file, result in taken]
        for text, value in _DIFFERS:
            values = sorted({str(value(host)) for host in hosts})
            if len(values) > 1:
                notes.append(f"the {role} had different {text}: {', '.join(values)}")
        if any(host["pinned_cpu"] is None for host in hosts):
            notes.append(f"the {role} was not pinned in every run")
        if any(host["virtual_machine"] for host in hosts):
            notes.append(f"the {role} is a virtual machine")
    warmups = sorted({result["warmup"] for _file, result in taken})
    if len(warmups) > 1:
        notes.append(f"the runs had different warm-ups: {', '.join(map(str, warmups))} messages")
    for path, result in taken:
        if result["lost"]:
            notes.append(f"{path}: {result['lost']} of {result['count']} messages were lost and are in no figure")
        if len(result["samples"]) - result["lost"] < stats.FEWEST_FOR_P99_9:
            notes.append(f"{path}: under {stats.FEWEST_FOR_P99_9} samples, p99.9 is not measured")
    return notes


def _row(path: str, result: dict[str, Any]) -> dict[str, Any]:
    kept = [sample for sample in result["samples"] if sample != results.LOST]
    figures = stats.summary(kept)
    del figures["histogram"]
    return {
        "file": path,
        "transport": result["transport"],
        "test": result["test"],
        "schedule": result["schedule"],
        "software_rdma": results.is_software(result["hosts"]),
        "warmup": result["warmup"],
        "lost": result["lost"],
        **figures,
        "curve": curve(sorted(kept)),
    }


def curve(ordered: Sequence[int], points: int = 240) -> list[list[float]]:
    """[latency_ns, share of samples that took at least as long] over ascending samples, the slowest single ones too.

    Ranks are spread evenly over the logarithm of the share, so that the tail has as many points as the body.
    """
    n = len(ordered)
    ranks = sorted({round(n ** (1 - step / points)) for step in range(points + 1)} | {1, n}, reverse=True)
    return [[ordered[n - rank], rank / n] for rank in ranks if 1 <= rank <= n]


def compare(taken: Sequence[tuple[str, dict[str, Any]]], missing: dict[str, str]) -> dict[str, Any]:
    """The comparison of (path, loaded result) pairs; `missing`: transports that could not be measured, and why."""
    _must_match(taken)
    order = list(results.NAMES)
    rows = [_row(path, result) for path, result in taken]
    rows.sort(key=lambda row: (TESTS.index(row["test"]), order.index(row["transport"])))
    software = any(row["software_rdma"] for row in rows)
    first = taken[0][1]
    measured = {row["transport"] for row in rows}
    title = ", ".join(results.NAMES[name] for name in order if name in measured)
    headline = f"{title} between the same two hosts, messages of {first['size_bytes']} bytes"
    return {
        "form": FORM,
        "headline": f"{results.WARNING}. {headline}" if software else headline,
        "tickwire": __version__,
        "software_rdma": software,
        "size_bytes": first["size_bytes"],
        "tos": first["tos"],
        "hosts": first["hosts"],
        "rows": rows,
        "missing": [{"transport": name, "reason": reason} for name, reason in missing.items()],
        "claim": claim(rows, software),
        "notes": _notes(taken),
    }


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def claim(rows: Sequence[dict[str, Any]], software: bool) -> dict[str, Any]:
    """What was measured of either half of the claim: numbers only."""
    measured = []
    for name, words in (("rc", "RDMA RC"), ("ud", "RDMA UD"), ("tcp", "TCP"), ("udp", "UDP")):
        for row in rows:
            if row["transport"] == name:
                jitter = row["jitter"]
                measured.append(
                    f"{words}, {results.when(row['schedule'])}: {_percent(jitter[_NEAR])} of "
                    f"{row['samples']} samples within 5 % of the mean; sd/mean {_percent(jitter['stddev_over_mean'])}, "
                    f"(p99-min)/mean {_percent(jitter['p99_minus_min_over_mean'])}, "
                    f"(max-min)/mean {_percent(jitter['max_minus_min_over_mean'])}"
                )
    if not any(row["transport"] in ("rc", "ud") for row in rows):
        measured.append("RDMA was not measured: nothing can be said about its half of the claim")
    if software:
        measured.append("RDMA was done in software here: its figures neither support nor refute the claim")
    return {"text": CLAIM, "measured": measured}


COLUMNS = (
    ("transport", lambda row: results.NAMES[row["transport"]]),
    (
        "when",
        lambda row: "idle" if row["test"] == "pingpong" else "bursts" if row["schedule"]["burst"] > 1 else "steady",
    ),
    ("samples", lambda row: str(row["samples"])),
    ("lost", lambda row: str(row["lost"])),
    ("median", lambda row: results.us(row["median_ns"])),
    ("p99", lambda row: results.us(row["p99_ns"])),
    ("p99.9", lambda row: results.us(row["p99_9_ns"])),
    ("max", lambda row: results.us(row["max_ns"])),
    ("sd/mean", lambda row: _percent(row["jitter"]["stddev_over_mean"])),
    ("(p99-min)/mean", lambda row: _percent(row["jitter"]["p99_minus_min_over_mean"])),
    ("(max-min)/mean", lambda row: _percent(row["jitter"]["max_minus_min_over_mean"])),
    ("within 5 % of mean", lambda row: _percent(row["jitter"]["share_within_5_percent_of_mean"])),
)


def table(comparison: dict[str, Any]) -> str:
    """The comparison for people."""
    cells = [[name for name, _show in COLUMNS]] + [[show(row) for _name, show in COLUMNS] for row in comparison["rows"]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(COLUMNS))]
    lines = [comparison["headline"], "Round trips; in bursts from the time a message was due.", ""]
    for line in cells:
        lines.append(
            "  ".join(
                f"{cell:<{width}}" if i < 2 else f"{cell:>{width}}"
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
        )
    lines.append("")
    lines += [
        f"{results.NAMES.get(one['transport'], one['transport'])}: not measured: {one['reason']}"
        for one in comparison["missing"]
    ]
    lines += [f"note: {note}" for note in comparison["notes"]]
    lines += ["", f"Claim: {comparison['claim']['text']}. Measured:"]
    lines += [f"  {line}" for line in comparison["claim"]["measured"]]
    return "\n".join(lines)
