# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report of drift as metrics for node_exporter's textfile collector (Prometheus text format 0.0.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

#: Name of the file in the directory of the collector, which reads *.prom.
NAME = "tickwire_host.prom"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _gauge(name: str, text: str, *samples: tuple[str, float]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    lines += [f"{name}{labels} {value:.15g}" for labels, value in samples]
    return "".join(f"{line}\n" for line in lines)


def _run(now_s: float, success: bool) -> str:
    return _gauge(
        "roce_host_drift_last_run_timestamp_seconds", "When the host was last looked at.", ("", now_s)
    ) + _gauge("roce_host_drift_success", "Whether it could be told then what drifts.", ("", success))


def format_report(report: Mapping[str, Any], now_s: float) -> str:
    """Metrics of a report, at that time in seconds since the epoch."""
    items = Counter((item["item"], bool(item["pending_reboot"])) for item in report["drift"])
    drifting = [
        (f'{{item="{_escaped(item)}",pending_reboot="{str(pending).lower()}"}}', float(count))
        for (item, pending), count in sorted(items.items())
    ]
    irqs = report["running"].get("irqs_on_isolated_cpus") or ()
    return (
        _gauge("roce_host_drift", "Settings that are not as wanted, by item.", *drifting)
        + _gauge("roce_host_drift_total", "Number of settings that are not as wanted.", ("", len(report["drift"])))
        + _gauge("roce_host_reboot_required", "Whether a reboot is due.", ("", report["reboot_required"]))
        + _gauge("roce_host_irqs_on_isolated_cpus", "Movable interrupts that may fire there.", ("", len(irqs)))
        + _gauge("roce_host_may_disturb", "Whether the host may be rebooted now.", ("", report["may_disturb"]))
        + _run(now_s, True)
    )


def format_failure(now_s: float) -> str:
    """Metrics of a run that could not tell."""
    return _run(now_s, False)
