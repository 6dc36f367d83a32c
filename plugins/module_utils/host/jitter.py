# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What disturbs the isolated CPUs: measured by rtla where the kernel has its tracers, by cyclictest otherwise."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import jitter_culprits, jitter_cyclictest, jitter_rtla
from .cpulist import format_cpu_list, parse_cpu_list
from .errors import HostError
from .files import remove, write_atomic
from .jitter_histogram import Histogram, figures
from .system import System

TOOLS = ("auto", "timerlat", "osnoise", "cyclictest")
DURATIONS_S = range(1, 3601)
INTERVALS_US = range(100, 1000001)
BEFORE = "var/lib/tickwire/jitter-before.json"
#: Where the tools put their files.
SCRATCH = "run/tickwire/jitter"
#: The most frequent disturbers of each kind that a result keeps.
KEPT = 12
#: How much longer than its duration a tool may run.
SLACK_S = 30
#: The slice whose processes may run on the CPUs of an isolated partition.
SLICE = "tickwire.slice"
_TRACERS = ("sys/kernel/tracing/available_tracers", "sys/kernel/debug/tracing/available_tracers")


@dataclass(frozen=True)
class Settings:
    """How to measure: which tool, how long, and how often a measuring thread wakes."""

    tool: str = "auto"
    duration_s: int = 10
    interval_us: int = 1000

    def check(self) -> None:
        """HostError for what cannot be asked for."""
        if self.tool not in TOOLS:
            raise HostError("jitter tool", self.tool, f"it is none of {', '.join(TOOLS)}", "give one of these")
        for name, value, limits in (
            ("jitter duration_s", self.duration_s, DURATIONS_S),
            ("jitter interval_us", self.interval_us, INTERVALS_US),
        ):
            if value not in limits:
                raise HostError(name, value, f"it is not within {limits[0]} to {limits[-1]}", "correct it")


def has_tracer(system: System, name: str) -> bool:
    """Whether the running kernel has the tracer, by its own word or, without tracefs, by its configuration."""
    for path in _TRACERS:
        text = system.read(path)
        if text is not None:
            return name in text.split()
    release = system.read("proc/sys/kernel/osrelease") or ""
    return f"CONFIG_{name.upper()}_TRACER=y" in (system.read(f"boot/config-{release}") or "").splitlines()


def choose(system: System, wanted: str) -> str:
    """The tool that measures; HostError where this host has not what is wanted."""
    rtla = system.path(jitter_rtla.PROGRAM).exists()
    if wanted in jitter_rtla.TRACERS:
        if rtla and has_tracer(system, wanted):
            return wanted
        missing = f"the running kernel has no tracer {wanted}" if rtla else "rtla is not installed"
        raise HostError("jitter tool", wanted, missing, "measure with cyclictest")
    if wanted == "auto" and rtla and has_tracer(system, "timerlat"):
        return "timerlat"
    if not system.path(jitter_cyclictest.PROGRAM).exists():
        raise HostError("jitter tool", wanted, "cyclictest is not installed", "install the package rt-tests")
    return "cyclictest"


def measure(system: System, cpus: frozenset[int], settings: Settings) -> dict[str, Any]:
    """Measure on ``cpus`` for the duration and name what ran there; HostError where that does not work.

    samples, beyond, min_us, avg_us, p99_us, max_us of all CPUs and by CPU, and threads, irqs and softirqs that ran.
    """
    settings.check()
    online = parse_cpu_list(system.read("sys/devices/system/cpu/online") or "") or cpus
    if not cpus or cpus - online:
        rule = f"online are {format_cpu_list(online)}"
        raise HostError("jitter CPUs", format_cpu_list(cpus), rule, "name some of them")
    tool = choose(system, settings.tool)
    system.path(SCRATCH).mkdir(mode=0o755, parents=True, exist_ok=True)
    taken = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    before = jitter_culprits.snapshot(system)
    if tool == "cyclictest":
        version, histograms = _cyclictest(system, cpus, online - cpus, settings)
        traced = None
    else:
        version, histograms, traced = _rtla(system, tool, cpus, settings)
    after = jitter_culprits.snapshot(system)
    if not any(histogram.samples for histogram in histograms):
        raise HostError("jitter tool", tool, "it took no sample", "measure longer, or look at its messages")
    found = traced or jitter_culprits.disturbers(before, after, cpus)
    return {
        "tool": tool,
        "version": version,
        "taken": taken,
        "kernel": system.read("proc/sys/kernel/osrelease") or "",
        "cpus": format_cpu_list(cpus),
        "duration_s": settings.duration_s,
        "interval_us": settings.interval_us,
        **figures(histograms),
        "per_cpu": [{"cpu": histogram.cpu, **figures([histogram])} for histogram in histograms if histogram.samples],
        "named_by": "trace" if traced else "counters",
        **{kind: entries[:KEPT] for kind, entries in found.items()},
    }


def _cyclictest(
    system: System, cpus: frozenset[int], others: frozenset[int], settings: Settings
) -> tuple[str, list[Histogram]]:
    dummy, out, err = system.run(["/" + jitter_cyclictest.PROGRAM, "--help"])
    version, has_json = jitter_cyclictest.help_says(out + err)
    result = f"{SCRATCH}/cyclictest.json"
    system.path(result).unlink(missing_ok=True)
    json_path = str(system.path(result)) if has_json else None
    argv = jitter_cyclictest.command(cpus, others, settings.duration_s, settings.interval_us, json_path)
    text = _run(system, [*_scope(system, cpus), *argv], settings)
    try:
        if json_path:
            return version, jitter_cyclictest.parse_json(system.read(result) or "")
        return version, jitter_cyclictest.parse_text(text, cpus)
    except ValueError as error:
        raise HostError("cyclictest", version, str(error), "run it by hand: " + " ".join(argv)) from error


def _rtla(
    system: System, tool: str, cpus: frozenset[int], settings: Settings
) -> tuple[str, list[Histogram], dict[str, list[dict[str, Any]]] | None]:
    paths = {kind: f"{SCRATCH}/{jitter_rtla.event_file(kind)}" for kind in jitter_rtla.EVENTS}
    for path in paths.values():
        system.path(path).unlink(missing_ok=True)
    directory = str(system.path(SCRATCH))
    argv = jitter_rtla.command(tool, cpus, settings.duration_s, settings.interval_us, directory)
    # Newer versions measure with threads of their own, which may run where the session may.
    text = _run(system, [*_scope(system, cpus), *argv], settings)
    try:
        histograms = jitter_rtla.parse_hist(text)
    except ValueError as error:
        raise HostError("rtla", tool, str(error), "run it by hand: " + " ".join(argv)) from error
    return "", histograms, jitter_rtla.disturbers({kind: system.read(path) for kind, path in paths.items()}, cpus)


def _run(system: System, argv: list[str], settings: Settings) -> str:
    # The duration counts wake-ups on a host that is too slow for them: the end is by the clock.
    rc, out, err = system.run(["timeout", str(settings.duration_s + SLACK_S), *argv])
    if rc != 0:
        said = (err or out).strip().splitlines()
        raise HostError(argv[0], rc, said[-1] if said else "it failed and said nothing", "run it by hand")
    return out


def _scope(system: System, cpus: frozenset[int]) -> list[str]:
    """What starts a program where it may use ``cpus``: nothing, or a scope in the slice of the isolated partition."""
    own = (system.read("proc/self/cgroup") or "").rpartition("::/")[2]
    here = _effective(system, own)
    if not here or cpus <= here:
        return []
    if cpus <= (_effective(system, SLICE) or frozenset()):
        return ["systemd-run", "--quiet", "--scope", f"--slice={SLICE}", "--"]
    raise HostError(
        "jitter CPUs",
        format_cpu_list(cpus),
        f"this session may use only {format_cpu_list(here)}, and {SLICE} has not these CPUs either",
        "look for cpuset.cpus.effective below /sys/fs/cgroup",
    )


def _effective(system: System, group: str) -> frozenset[int] | None:
    """CPUs of a control group, or of the nearest one above it that has a cpuset; None without any."""
    parts = [part for part in group.split("/") if part]
    for length in range(len(parts), -1, -1):
        text = system.read("/".join(["sys/fs/cgroup", *parts[:length], "cpuset.cpus.effective"]))
        if text:
            return parse_cpu_list(text)
    return None


def read_before(system: System) -> dict[str, Any] | None:
    """The result that was kept before the host was changed; None without one that can be read."""
    try:
        kept = json.loads(system.read(BEFORE) or "null")
    except ValueError:
        return None
    return kept if isinstance(kept, dict) else None


def keep_before(system: System, result: Mapping[str, Any]) -> None:
    """Keep a result as the one of before."""
    write_atomic(system.path(BEFORE), json.dumps(result, indent=1, sort_keys=True) + "\n", 0o600)


def forget_before(system: System, check: bool) -> bool:
    """Remove the result that was kept as the one of before; whether there was one."""
    there = system.path(BEFORE).exists()
    if not check:
        remove(system.path(BEFORE))
    return there
