# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts measurements and gates together into the report's document (``report.json``) and the summary for the
terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.report import gates as gating
from ansible_collections.tickwire.fabric.plugins.module_utils.report import mesh as meshes
from ansible_collections.tickwire.fabric.plugins.module_utils.report.measurements import (
    host_measurements,
    risen_by_host,
    t2t_beside,
    t2t_name,
)

SCHEMA = 1
SOFT_ROCE = ", on Soft-RoCE (RDMA made by software): its speed says nothing about hardware"
MESH_LINES = 20
# Beside those that have a note of their own.
CLOCKS = ("hardware", "application")


def build(
    fabric: str, results: Mapping[str, Mapping[str, Any]], budgets: Mapping[str, Mapping[str, Any]], generated: str
) -> dict[str, Any]:
    """Return the document of a validation; ``generated`` is its time as text.

    results: as ``measure`` takes them; budgets: {host: its fabric_budgets}.
    """
    hosts, mesh = measure(results)
    gates = gating.evaluate(hosts, budgets)
    failed = [gate for gate in gates if not gate.ok]
    document = {
        "schema": SCHEMA,
        "fabric": fabric,
        "generated": generated,
        "verdict": "failed" if failed else "passed",
        "emulated": emulated(hosts) or any(pair.get("emulated") for pair in (mesh or {}).get("pairs", [])),
        "gates": [gate._asdict() for gate in gates],
        "measurements": hosts,
        "mesh": mesh,
    }
    document["notes"] = notes(document)
    document["summary"] = summary(document)
    return document


def measure(results: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, dict[str, Any]], dict[str, Any] | None]:
    """Return {host: its measurements} and the mesh, if there is one.

    results: {host: raw results, see ``measurements.host_measurements``}. When any host has ``mesh``, its ends of pairs
    (``mesh.mesh_end``), all hosts make a mesh.
    """
    hosts = {name: host_measurements(raw) for name, raw in results.items()}
    for name, risen in risen_by_host(results).items():
        if name in hosts and "error" not in hosts[name]["rdma_link"]:
            hosts[name]["rdma_link"].update(risen)
    mesh = None
    if any(isinstance(raw.get("mesh"), list) for raw in results.values()):
        away = {name: host["rdma_link"]["error"] for name, host in hosts.items() if _away(results[name], host)}
        mesh = meshes.build(list(hosts), {name: raw.get("mesh") or [] for name, raw in results.items()}, away)
        for name, host in hosts.items():
            host["mesh"] = meshes.of_host(mesh, name)
    return hosts, mesh


def _away(raw: Mapping[str, Any], host: Mapping[str, Any]) -> bool:
    """Whether a host took no part in the mesh: it could not be reached, or has no device."""
    return not raw.get("mesh") and "error" in host["rdma_link"]


def emulated(hosts: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether any RDMA device is made by software, by its link, by its ping or by what the engine says."""
    return any(
        bool((host.get(section) or {}).get(said))
        for host in hosts.values()
        for section, said in (("rdma_link", "emulated"), ("rdma_ping", "emulated"), ("t2t", "software_rdma"))
    )


def on_what(document: Mapping[str, Any]) -> str:
    """Return the end of a headline of the result: that its RDMA was made by software; "" when it was not."""
    return SOFT_ROCE if document["emulated"] else ""


def notes(document: Mapping[str, Any]) -> list[str]:
    """Return the sentences a reader needs to judge the figures of tick-to-trade."""
    found = []
    for name, host in sorted(document["measurements"].items()):
        bench = host.get("t2t") or {}
        if "error" in bench or not bench:
            continue
        source = bench.get("timestamp_source")
        if source == "software":
            found.append(
                "%s: tick-to-trade is stamped in software by the kernel, not on the wire: the time in the NIC and its "
                "driver is not in it." % name
            )
        elif source == "completion":
            found.append(
                "%s: the figures are from tick to acknowledgement, by completions of the RDMA device: the way to the "
                "exchange's device and back is in them, so they are no tick-to-trade. Gates judge them all the same."
                % name
            )
        elif source not in CLOCKS:
            found.append("%s: the tick-to-trade figures have no known timestamp source (%s)." % (name, source))
        if bench.get("by_kernel"):
            found.append(
                "%s: the network card was to stamp and gave no stamps of %d orders; they are stamped by the kernel."
                % (name, bench["by_kernel"])
            )
        if bench.get("unstamped"):
            why = ", ".join("%d without %s" % (count, what) for what, count in bench["unstamped_by"].items())
            found.append("%s: %d orders had no stamp and are in no figure (%s)." % (name, bench["unstamped"], why))
        for clock, count in (bench.get("other_clocks") or {}).items():
            found.append(
                "%s: %d orders were stamped by another clock (%s) and are in no figure." % (name, count, clock)
            )
    return found


def summary(document: Mapping[str, Any]) -> list[str]:
    """Return the lines for the terminal: verdict, figures by host, notes (failed gates: see ``failures``)."""
    gates = document["gates"]
    failed = [gate for gate in gates if not gate["ok"]]
    lines = [
        "Fabric %s: %s, %d of %d gates passed%s"
        % (
            document["fabric"],
            document["verdict"].upper(),
            len(gates) - len(failed),
            len(gates),
            on_what(document),
        )
    ]
    for name, host in sorted(document["measurements"].items()):
        lines.extend("%s: %s" % (name, text) for text in _figures(host))
    lines.extend(_mesh(document["mesh"]) if document["mesh"] else [])
    lines.extend("Note: %s" % note for note in document["notes"])
    return lines


def describe(gate: Mapping[str, Any]) -> str:
    """Return a gate as ``rdma_ping.median_us on trade1: value 10400 us, budget 5000 us: reason``."""
    return "%s on %s: value %s, budget %s: %s" % (
        gate["name"],
        gate["host"],
        gating.show(gate["value"], gate["unit"]),
        gating.show(gate["budget"], gate["unit"]),
        gate["reason"],
    )


def failures(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one text for each failed gate; gates of one host without a value for one reason are told together."""
    together: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for number, gate in enumerate(gates):
        if not gate["ok"]:
            key = (gate["host"], gate["reason"]) if gate["value"] is None else (gate["host"], str(number))
            together.setdefault(key, []).append(gate)
    texts = []
    for group in together.values():
        if len(group) == 1:
            texts.append(describe(group[0]))
            continue
        budgets = ", ".join(
            "%s (budget %s)" % (gate["name"], gating.show(gate["budget"], gate["unit"])) for gate in group
        )
        texts.append("%s on %s: value none: %s" % (budgets, group[0]["host"], group[0]["reason"]))
    return texts


def _figures(host: Mapping[str, Any]) -> list[str]:
    lines = []
    bench, ping, ptp = host.get("t2t") or {}, host.get("rdma_ping") or {}, host.get("ptp") or {}
    if bench.get("median_ns") is not None:
        jitter = (bench.get("jitter") or {}).get("p99_minus_min_over_mean")
        lines.append(
            "%s median %s, p99 %s, p99.9 %s, max %s, jitter (p99-min)/mean %s (%d samples, %s stamps%s)%s"
            % (
                t2t_name(bench),
                *(duration(bench[name]) for name in ("median_ns", "p99_ns", "p99_9_ns", "max_ns")),
                "none" if jitter is None else "%.0f %%" % (100 * jitter),
                bench["samples"],
                bench["timestamp_source"],
                ", Soft-RoCE" if bench.get("software_rdma") else "",
                _beside(bench),
            )
        )
    if "half_round_trip" in ping:
        figures = ping["half_round_trip"]
        lines.append(
            "RDMA half round trip to %s median %s, p99 %s (%d samples, %s%s)"
            % (
                ping["peer_host"],
                duration(1000 * figures["median_us"]),
                duration(1000 * figures["p99_us"]),
                figures["samples"],
                ping["device"],
                ", Soft-RoCE" if ping.get("emulated") else "",
            )
        )
    together = host.get("coexistence") or {}
    if together.get("loaded"):
        lines.append(_together("co-existence", together))
        if (together.get("plain") or {}).get("loaded"):
            lines.append(_together("the same with one plain queue", together["plain"]))
    found = host.get("jitter") or {}
    if found.get("max_us") is not None:
        before = found.get("before") or {}
        was = ", before the role %s" % _lateness(before) if before.get("max_us") is not None else ""
        lines.append("jitter of CPUs %s (%s): %s%s" % (found["cpus"], found["tool"], _lateness(found), was))
        worst = ["%s %d" % (entry["name"], entry["count"]) for entry in _disturbers(found)[:3]]
        lines.append("most often on these CPUs: %s" % (", ".join(worst) or "nothing"))
    if ptp.get("running"):
        lines.append(
            "PTP %s, grandmaster %s%s"
            % (
                "locked" if ptp.get("locked") else "not locked",
                ptp.get("grandmaster_identity"),
                "" if host["ptp_role"] == "grandmaster" else ", offset %s" % duration(ptp.get("offset_ns")),
            )
        )
    return lines


def _beside(bench: Mapping[str, Any]) -> str:
    software = bench.get("software")
    if not software:
        return ""
    figures = (duration(software[name]) for name in ("median_ns", "p99_ns"))
    return "; by the %s's stamps median %s, p99 %s" % (t2t_beside(bench), *figures)


def _mesh(found: Mapping[str, Any]) -> list[str]:
    """A line for all pairs, and one for each host that took no part, and each pair that failed or stands out."""
    pairs = found["pairs"]
    lines = [
        "mesh of %d hosts, RC and UD: %d of %d pairs measured, %d outliers"
        % (len(found["hosts"]), len(pairs) - found["failed"], len(pairs), found["outliers"])
    ]
    lines += ["mesh: %s took no part: %s" % one for one in sorted(found["away"].items())]
    for pair in pairs:
        if {pair["client"], pair["server"]} & set(found["away"]):
            continue
        name = "mesh %s %s - %s" % (pair["transport"].upper(), pair["client"], pair["server"])
        if "error" in pair:
            lines.append("%s failed: %s" % (name, pair["error"]))
        elif pair["outliers"]:
            figures = (duration(1000 * pair[figure]) for figure in meshes.FIGURES)
            lines.append("%s stands out: median %s, p99 %s" % (name, *figures))
    return lines[:MESH_LINES] + (["... and %d more" % (len(lines) - MESH_LINES)] if len(lines) > MESH_LINES else [])


def _lateness(found: Mapping[str, Any]) -> str:
    return "p99 %s, max %s" % tuple(duration(1000 * found[name]) for name in ("p99_us", "max_us"))


def _disturbers(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return threads and interrupts, the most frequent first."""
    both = [*(found.get("threads") or []), *(found.get("irqs") or [])]
    return sorted(both, key=lambda entry: -entry["count"])


def _together(what: str, found: Mapping[str, Any]) -> str:
    idle, loaded = (found[kind]["p99_us"] for kind in ("idle", "loaded"))
    return "%s: p99 of a round trip %s, %s under %.1f Mbit/s of load, %d lost, %d ECN marks" % (
        what,
        *(duration(None if value is None else 1000 * value) for value in (idle, loaded)),
        found["load_mbps"],
        found["loss"],
        found["ecn_marks"],
    )


def duration(nanoseconds: float | None) -> str:
    """Return a time for people: 412 ns, 3.21 us, 10.4 ms, 1.50 s; three significant digits."""
    if nanoseconds is None:
        return "not measured"
    scale, unit = next(
        (scale, unit)
        for limit, scale, unit in ((999.5, 1.0, "ns"), (999.5e3, 1e3, "us"), (999.5e6, 1e6, "ms"), (math.inf, 1e9, "s"))
        if abs(nanoseconds) < limit
    )
    scaled = nanoseconds / scale
    digits = 0 if unit == "ns" or abs(scaled) >= 99.95 else 1 if abs(scaled) >= 9.995 else 2
    return "%.*f %s" % (digits, scaled, unit)
