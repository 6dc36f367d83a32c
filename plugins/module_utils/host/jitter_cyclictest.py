# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""cyclictest of rt-tests: its command, and its result as JSON or as text."""

from __future__ import annotations

import json
import re
from collections.abc import Set

from .cpulist import format_cpu_list
from .jitter_histogram import Histogram

PROGRAM = "usr/bin/cyclictest"
#: Longest latency with a bucket of its own.
LARGEST_US = 10000
PRIORITY = 80

_VERSION = re.compile(r"cyclictest V (\S+)")
_SUMMARY = re.compile(r"# (Min Latencies|Avg Latencies|Max Latencies|Histogram Overflows):((?: +\d+)+)\Z")
_ROW = re.compile(r"(\d+)((?:\s+\d+)+)\Z")


def command(
    cpus: Set[int], housekeeping: Set[int], duration_s: int, interval_us: int, json_path: str | None
) -> list[str]:
    """The measuring command. It leaves power management as it is, since that is part of what is measured.

    The thread that prints stays on the housekeeping CPUs.
    """
    argv = [
        *("/" + PROGRAM, "--quiet", "--mlockall", "--default-system", "--policy=fifo", "--distance=0"),
        f"--priority={PRIORITY}",
        f"--affinity={format_cpu_list(cpus)}",
        f"--threads={len(cpus)}",
        f"--interval={interval_us}",
        f"--duration={duration_s}",
        f"--histogram={LARGEST_US}",
    ]
    if housekeeping:
        argv.append(f"--mainaffinity={format_cpu_list(housekeeping)}")
    return [*argv, f"--json={json_path}"] if json_path else argv


def help_says(text: str) -> tuple[str, bool]:
    """Version and whether it writes JSON, of the text of ``--help``."""
    version = _VERSION.search(text)
    options = re.findall(r"--[a-z-]+", text)
    return (version.group(1) if version else ""), "--json" in options


def parse_json(text: str) -> list[Histogram]:
    """Histograms of what ``--json`` wrote; ValueError where it is not that."""
    try:
        threads = json.loads(text)["thread"].values()
        return [
            Histogram(
                cpu=int(thread["cpu"]),
                buckets={float(bound): int(count) for bound, count in thread["histogram"].items()},
                over=int(thread["cycles"]) - sum(thread["histogram"].values()),
                min_us=float(thread["min"]),
                avg_us=float(thread["avg"]),
                max_us=float(thread["max"]),
            )
            for thread in threads
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no result of cyclictest: {error!r} is missing") from error


def parse_text(text: str, cpus: Set[int]) -> list[Histogram]:
    """Histograms of what ``--quiet --histogram`` prints, one column for each of ``cpus``, ascending.

    ValueError where a line of the summary is missing or has another number of columns.
    """
    order = sorted(cpus)
    buckets: list[dict[float, int]] = [{} for dummy in order]
    summary: dict[str, list[int]] = {}
    for line in text.splitlines():
        row, words = _ROW.match(line.strip()), _SUMMARY.match(line.strip())
        if row is not None:
            for column, count in zip(buckets, row.group(2).split()):
                if int(count):
                    column[float(row.group(1))] = int(count)
        elif words is not None:
            summary[words.group(1)] = [int(value) for value in words.group(2).split()]
    for name in ("Min Latencies", "Avg Latencies", "Max Latencies", "Histogram Overflows"):
        if len(summary.get(name, [])) != len(order):
            raise ValueError(f"cyclictest did not print '{name}' for {len(order)} threads")
    return [
        Histogram(
            cpu,
            buckets[index],
            summary["Histogram Overflows"][index],
            summary["Min Latencies"][index],
            summary["Avg Latencies"][index],
            summary["Max Latencies"][index],
        )
        for index, cpu in enumerate(order)
    ]
