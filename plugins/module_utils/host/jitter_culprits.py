# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who ran on some CPUs during a measurement, by the kernel's counters before and after it.

It needs no tracer: /proc/interrupts and /proc/softirqs count by CPU, and every thread has its number of time slices
and the CPU that it ran on last. So a thread that only passed by and went on to another CPU, or ended, is not seen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Set
from dataclasses import dataclass
from typing import Any

from .files import read_text
from .system import System

#: (name, CPU) to a count.
Counts = dict[tuple[str, int], int]

_TASK = re.compile(r"(\d+) \((.*)\) (.*)\Z", re.DOTALL)
#: Fields of /proc/PID/stat after the name, from 0 (proc(5) counts from 1, and the state is 3): start, last CPU.
_START, _CPU = 22 - 3, 39 - 3


@dataclass(frozen=True)
class Thread:
    """A thread: the CPU it ran on last, how often it ran and for how long since it began."""

    name: str
    cpu: int
    runs: int
    time_ns: int


@dataclass(frozen=True)
class Snapshot:
    """All counters at one time; threads by thread number and time of their start."""

    irqs: Counts
    softirqs: Counts
    threads: dict[tuple[int, str], Thread]


def parse_counters(text: str) -> Counts:
    """Counts of /proc/interrupts or /proc/softirqs; lines that do not count by CPU (ERR, MIS) are left out.

    An interrupt is named by its number and user: ``24 virtio0-input.0``, ``LOC Local timer interrupts``.
    """
    lines = text.splitlines()
    cpus = [int(word[3:]) for word in (lines[0].split() if lines else []) if re.match(r"CPU\d+\Z", word)]
    counts: Counts = {}
    for line in lines[1:]:
        label, colon, rest = line.partition(":")
        values = rest.split(None, len(cpus))
        if not colon or len(values) < len(cpus) or not all(value.isdigit() for value in values[: len(cpus)]):
            continue
        text_after = values[len(cpus)].strip() if len(values) > len(cpus) else ""
        # After the controller and the trigger, two blanks apart, comes who uses it.
        user = re.split(r"\s{2,}", text_after)[-1] if label.strip().isdigit() else text_after
        name = f"{label.strip()} {user}".strip()
        for cpu, value in zip(cpus, values):
            counts[name, cpu] = int(value)
    return counts


def read_threads(system: System) -> dict[tuple[int, str], Thread]:
    """All threads of the host but our own; those that end meanwhile are left out."""
    threads = {}
    for place in system.path("proc").glob("[0-9]*/task/[0-9]*"):
        if place.parts[-3] == str(os.getpid()):
            continue
        try:
            stat, times = read_text(place / "stat"), read_text(place / "schedstat")
        except ProcessLookupError:
            continue
        match = _TASK.match(stat or "")
        values = (times or "").split()
        if match is None or len(values) != 3:
            continue
        fields = match.group(3).split()
        threads[int(match.group(1)), fields[_START]] = Thread(
            match.group(2), int(fields[_CPU]), int(values[2]), int(values[0])
        )
    return threads


def snapshot(system: System) -> Snapshot:
    """The counters now."""
    return Snapshot(
        parse_counters(system.read("proc/interrupts") or ""),
        parse_counters(system.read("proc/softirqs") or ""),
        read_threads(system),
    )


def disturbers(before: Snapshot, after: Snapshot, cpus: Set[int]) -> dict[str, list[dict[str, Any]]]:
    """What ran on ``cpus`` between the two: name, cpu, count and, of threads, time_us; the most frequent first."""
    threads = []
    for key, thread in after.threads.items():
        old = before.threads.get(key)
        runs = thread.runs - (old.runs if old else 0)
        if thread.cpu in cpus and runs > 0:
            time_us = (thread.time_ns - (old.time_ns if old else 0)) / 1000
            threads.append({"name": thread.name, "cpu": thread.cpu, "count": runs, "time_us": time_us})
    return {
        "threads": sorted(threads, key=_most_first),
        "irqs": _grown(before.irqs, after.irqs, cpus),
        "softirqs": _grown(before.softirqs, after.softirqs, cpus),
    }


def _grown(before: Counts, after: Counts, cpus: Set[int]) -> list[dict[str, Any]]:
    grown = [
        {"name": name, "cpu": cpu, "count": count - before.get((name, cpu), 0)}
        for (name, cpu), count in after.items()
        if cpu in cpus and count > before.get((name, cpu), 0)
    ]
    return sorted(grown, key=_most_first)


def _most_first(entry: dict[str, Any]) -> tuple[int, str, int]:
    return -entry["count"], entry["name"], entry["cpu"]
