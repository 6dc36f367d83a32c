"""Runs contenders in turn, several rounds, and keeps every figure.

One round runs every contender once, on the same core, one after the other; the next round starts with the next one, so
that nobody always runs on a core that another has warmed. Figures are compared within a round only: on a shared machine
memory-bound figures drift by tens of per cent between rounds, and the ratio of two neighbours drifts far less.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Metrics = dict[str, float]

TIMEOUT_S = 900


class BenchError(Exception):
    """A contender that cannot be measured: names it, what it said and what to look at."""


@dataclass(frozen=True)
class Contender:
    """Something to measure: a command, or a function that gives the figures itself.

    `read` turns the command's standard output into figures. `fresh` is a file that must not be there when it starts.
    `pinned`: on the core of the contest; otherwise on all that this process may use.
    """

    name: str
    command: Sequence[str] = ()
    read: Callable[[str], Metrics] | None = None
    measure: Callable[[], Metrics] | None = None
    fresh: Path | None = None
    pinned: bool = True
    licence: str = ""
    version: str = ""
    note: str = ""

    def run(self, cpu: int) -> Metrics:
        if self.measure is not None:
            return self.measure()

        if self.fresh is not None:
            self.fresh.unlink(missing_ok=True)

        def pin() -> None:
            if self.pinned:
                os.sched_setaffinity(0, {cpu})

        try:
            done = subprocess.run(
                list(self.command), capture_output=True, text=True, timeout=TIMEOUT_S, preexec_fn=pin, check=False
            )
        except OSError as error:
            raise BenchError(f"{self.name}: {self.command[0]}: {error.strerror}; is it built?") from None
        except subprocess.TimeoutExpired:
            raise BenchError(f"{self.name}: not done after {TIMEOUT_S} s") from None
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
            raise BenchError(f"{self.name}: exit code {done.returncode}, it said: {said[0]}")
        return (self.read or json_line)(done.stdout)


def json_line(output: str) -> Metrics:
    """Figures of the last JSON line; what is no number is left out."""
    for line in reversed(output.strip().splitlines()):
        if line.startswith("{"):
            found = json.loads(line)
            return {key: float(value) for key, value in found.items() if isinstance(value, int | float)}
    raise BenchError(f"no JSON line in the output: {output[-200:]!r}")


def pattern(expression: str, unit: str, messages: int, metric: str = "ns_per_message") -> Callable[[str], Metrics]:
    """Figures by regular expression: its last match's first group, in `unit` (ns, us, s, messages_per_s).

    "s" is a time of the whole input and is divided by `messages`. A named group is a metric of its own, in ns.
    """
    compiled = re.compile(expression, re.MULTILINE)

    def read(output: str) -> Metrics:
        matches = list(compiled.finditer(output))
        if not matches:
            raise BenchError(f"the pattern {expression!r} is not in the output: {output[-300:]!r}")
        named = {key: float(value) for key, value in matches[-1].groupdict().items() if value is not None}
        if named:
            return named
        value = float(matches[-1].group(1).replace(",", ""))
        factor = {"ns": 1.0, "us": 1e3, "s": 1e9 / max(messages, 1)}
        if unit == "messages_per_s":
            return {metric: 1e9 / value}
        return {metric: value * factor[unit]}

    return read


@dataclass
class Outcome:
    """All figures of one contender, by round; `error` when it could not be measured."""

    contender: Contender
    rounds: list[Metrics] = field(default_factory=list)
    error: str = ""

    def values(self, metric: str) -> list[float]:
        return [figures[metric] for figures in self.rounds if metric in figures]

    def median(self, metric: str) -> float | None:
        values = self.values(metric)
        return statistics.median(values) if values else None


def run(contenders: Sequence[Contender], rounds: int, cpu: int) -> list[Outcome]:
    """Every contender once a round. One that fails is left out of the following rounds, with the reason kept."""
    outcomes = [Outcome(contender) for contender in contenders]
    for number in range(rounds):
        order = outcomes[number % len(outcomes) :] + outcomes[: number % len(outcomes)]
        for outcome in order:
            if outcome.error:
                continue
            try:
                outcome.rounds.append(outcome.contender.run(cpu))
            except BenchError as error:
                outcome.error = str(error)
                print(f"  {error}", file=sys.stderr, flush=True)
        print(f"  round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return outcomes


def ratio(ours: Outcome, theirs: Outcome, metric: str) -> float | None:
    """Median over the rounds of ours / theirs, both of the same round."""
    pairs = [
        mine[metric] / other[metric]
        for mine, other in zip(ours.rounds, theirs.rounds, strict=False)
        if metric in mine and other.get(metric)
    ]
    return statistics.median(pairs) if pairs else None
