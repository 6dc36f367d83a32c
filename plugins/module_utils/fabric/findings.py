# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A finding: what a plan, a verification or the counters say about the fabric, in one shape for all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

ERROR, WARNING, ADVICE = "error", "warning", "advice"
SEVERITIES = (ERROR, WARNING, ADVICE)


@dataclass(frozen=True)
class Finding:
    """``severity`` error, warning or advice; ``rule`` its short name, such as ``ecn-before-pfc``.

    ``path`` is where in the intent (``fabric.links[3]``) or on a device (``leaf1:Ethernet1/1 pfc``); ``message`` gives
    the value, the rule and the next step. ``device``, ``port`` and ``link`` (index) say what to mark in the picture.
    """

    severity: str
    rule: str
    path: str
    message: str
    device: str = ""
    port: str = ""
    link: int | None = None

    def __str__(self) -> str:
        return f"{self.severity} {self.rule}: {self.path}: {self.message}"


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Errors, then warnings, then advice; within them in the order found."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity))


def plain(findings: Iterable[Finding]) -> list[dict[str, object]]:
    """Findings as plain data for a module's result."""
    return [dataclasses.asdict(finding) for finding in findings]
