# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""rtla's histograms of timerlat and osnoise, and the kernel's of who disturbed, which rtla saves beside them.

timerlat is what cyclictest is, made in the kernel: the latency of a thread that a timer wakes. osnoise runs all the
time and counts how long it was kept from that, each time. Formats: Documentation/tools/rtla and
Documentation/trace/histogram.rst of the kernel.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from typing import Any

from .cpulist import format_cpu_list
from .jitter_histogram import Histogram

PROGRAM = "usr/bin/rtla"
TRACERS = ("timerlat", "osnoise")
#: Buckets of 1 us.
ENTRIES = 2000
#: Event of each kind of disturber, with the field that names it.
EVENTS = {"threads": ("thread_noise", "comm"), "irqs": ("irq_noise", "desc"), "softirqs": ("softirq_noise", "vector")}
#: In the order of the kernel's vectors (include/linux/interrupt.h).
SOFTIRQS = ("HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU")

_COLUMN = re.compile(r"(IRQ|Thr|Usr|CPU)-(\d+)\Z")
_UNIT = re.compile(r"# Time unit is \w+ \((us|ns)\)")
_ENTRY = re.compile(r"\{ common_cpu: +(\d+), \w+: +(.*?) +\} hitcount: +(\d+) +duration: +(\d+)\Z")
_NEEDED = ("over", "count", "min", "avg", "max")


def command(tool: str, cpus: Set[int], duration_s: int, interval_us: int, directory: str) -> list[str]:
    """The measuring command; the histograms of the disturbers are saved into ``directory``, where it is run.

    An event's histogram is only made with a trace (``-t``), which itself is saved only when a threshold stops it.
    """
    argv = ["env", f"--chdir={directory}", "/" + PROGRAM, tool, "hist"]
    argv += ["-c", format_cpu_list(cpus), "-d", f"{duration_s}s", "-E", str(ENTRIES), "-t"]
    if tool == "timerlat":
        argv += ["-p", str(interval_us)]
    for event, name in EVENTS.values():
        argv += ["-e", f"osnoise:{event}", "--trigger", f"hist:key=common_cpu,{name}:vals=duration"]
    return argv


def event_file(kind: str) -> str:
    """Name of the file into which rtla saves the histogram of that kind of disturber."""
    return f"osnoise_{EVENTS[kind][0]}_hist.txt"


def parse_hist(text: str) -> list[Histogram]:
    """Histograms of ``rtla timerlat hist`` (of the thread's latency) or ``rtla osnoise hist``, by CPU.

    ValueError where the table is not whole. The sums over all CPUs, which newer versions print below, are left out.
    """
    unit = _UNIT.search(text)
    scale = 0.001 if unit is not None and unit.group(1) == "ns" else 1.0
    columns: list[tuple[str, int]] = []
    rows: dict[float, Sequence[str]] = {}
    summary: dict[str, Sequence[str]] = {}
    for line in text.splitlines():
        name, *values = line.split() or [""]
        if name == "Index":
            matches = [_COLUMN.match(value) for value in values]
            columns = [(match.group(1), int(match.group(2))) for match in matches if match is not None]
        elif name == "ALL:":
            break
        elif columns and name.isdigit():
            rows[int(name) * scale] = values
        elif columns and name.rstrip(":") in _NEEDED:
            summary[name.rstrip(":")] = values
    for name in _NEEDED:
        if len(summary.get(name, [])) != len(columns) or not columns:
            raise ValueError(f"rtla did not print '{name}' for {len(columns)} columns")
    found = []
    for index, (kind, cpu) in enumerate(columns):
        # A CPU without a sample has '-' in the place of its figures.
        if kind not in ("Thr", "CPU") or int(summary["count"][index]) == 0:
            continue
        minimum, average, maximum = (float(summary[name][index]) * scale for name in ("min", "avg", "max"))
        buckets = {bound: int(values[index]) for bound, values in rows.items() if int(values[index])}
        found.append(Histogram(cpu, buckets, int(summary["over"][index]), minimum, average, maximum))
    return found


def parse_events(kind: str, text: str, cpus: Set[int]) -> list[dict[str, Any]]:
    """Disturbers of one kind on ``cpus`` of a saved histogram: name, cpu, count and time_us, the longest first."""
    found: list[dict[str, Any]] = []
    for line in text.splitlines():
        match = _ENTRY.match(line.strip())
        if match is None or int(match.group(1)) not in cpus:
            continue
        name = match.group(2)
        # The idle task takes no time from anybody, and the measuring threads are the measurement.
        if kind == "threads" and re.match(r"(?:swapper|timerlatu?|osnoise)/\d+\Z", name):
            continue
        if kind == "softirqs" and name.isdigit() and int(name) < len(SOFTIRQS):
            name = SOFTIRQS[int(name)]
        count, time_us = int(match.group(3)), int(match.group(4)) / 1000
        found.append({"name": name, "cpu": int(match.group(1)), "count": count, "time_us": time_us})
    return sorted(found, key=lambda entry: (-entry["time_us"], entry["name"], entry["cpu"]))


def disturbers(files: Mapping[str, str | None], cpus: Set[int]) -> dict[str, list[dict[str, Any]]] | None:
    """Disturbers by kind of the saved histograms; None where rtla saved none of them."""
    if not any(files.values()):
        return None
    return {kind: parse_events(kind, files.get(kind) or "", cpus) for kind in EVENTS}
