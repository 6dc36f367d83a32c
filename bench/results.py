"""Writes what was measured: results/<section>.json with every figure of every round, and one table of all sections."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contest import Outcome, ratio

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Section:
    """One comparison: which figure counts, what it is, and what the project set itself as the bar."""

    key: str
    title: str
    metrics: tuple[str, ...]
    bar: str = ""
    note: str = ""


def machine() -> dict[str, Any]:
    """What the figures depend on; nothing that names the machine."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    thp = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "kernel": platform.release().split("-")[0],
        "transparent_hugepages": thp.read_text(encoding="utf-8").strip() if thp.exists() else "",
        "shared_virtual_machine": "hypervisor" in Path("/proc/cpuinfo").read_text(encoding="utf-8"),
    }


def write(
    section: Section, outcomes: list[Outcome], facts: dict[str, Any], measured_on: dict[str, Any] | None = None
) -> Path:
    """results/<key>.json. The first outcome is ours, every ratio is ours over the other's.

    `measured_on`: the machine, as `machine` describes it, where it is not this one.
    """
    ours = outcomes[0]
    document = {
        "section": section.key,
        "title": section.title,
        "bar": section.bar,
        "note": section.note,
        "facts": facts,
        "machine": measured_on or machine(),
        "contenders": [
            {
                "name": outcome.contender.name,
                "licence": outcome.contender.licence,
                "version": outcome.contender.version,
                "note": outcome.contender.note,
                "error": outcome.error,
                "rounds": outcome.rounds,
                "median": {metric: outcome.median(metric) for metric in section.metrics},
                "ours_over_this": {metric: ratio(ours, outcome, metric) for metric in section.metrics},
            }
            for outcome in outcomes
        ],
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{section.key}.json"
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def table(document: dict[str, Any]) -> str:
    """One section as Markdown: medians with the range of the rounds, and ours over theirs."""
    metrics = list(document["contenders"][0]["median"])
    lines = [f"## {document['title']}", ""]
    if document["bar"]:
        lines += [f"Bar: {document['bar']}", ""]
    heads = [f"{metric} (median [min-max])" for metric in metrics] + [f"ours / this, {metric}" for metric in metrics]
    lines += [f"| contender | {' | '.join(heads)} |", f"|---|{'---:|' * len(heads)}"]
    for contender in document["contenders"]:
        name = contender["name"] + (f" ({contender['licence']})" if contender["licence"] else "")
        if contender["version"]:
            name += f" {contender['version']}"
        cells = []
        for metric in metrics:
            values = [figures[metric] for figures in contender["rounds"] if metric in figures]
            spread = f" [{_figure(min(values))}-{_figure(max(values))}]" if values else ""
            cells.append(_figure(contender["median"][metric]) + spread or contender["error"][:60])
        cells += [_figure(contender["ours_over_this"][metric]) for metric in metrics]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    notes = [document["note"]] if document["note"] else []
    notes += [f"{contender['name']}: {contender['note']}" for contender in document["contenders"] if contender["note"]]
    notes += [
        f"{contender['name']}: {contender['error']}" for contender in document["contenders"] if contender["error"]
    ]
    if notes:
        lines += ["", *(f"- {note}" for note in notes)]
    facts = ", ".join(f"{key} {value}" for key, value in document["facts"].items())
    lines += ["", f"{facts}; {document['machine']['cpu']}, kernel {document['machine']['kernel']}.", ""]
    return "\n".join(lines)


def write_table(order: list[str]) -> str:
    """results/README.md out of all the JSON files there are, in this order; returns its text."""
    documents = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}
    known = [key for key in order if key in documents] + sorted(set(documents) - set(order))
    text = (
        "# Results of `make bench`\n\n"
        "Written by the benchmark, not by hand. Compare within a table only: its figures were taken in turn on one\n"
        "core of a shared virtual machine. The input is synthetic: the mix of a published day, see\n"
        "`runtime/bench/mix.c`, and kinder than a real day where it says so.\n\n"
        + "\n".join(table(documents[key]) for key in known)
    )
    (RESULTS / "README.md").write_text(text, encoding="utf-8")
    return text
