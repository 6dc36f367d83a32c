# SPDX-License-Identifier: Apache-2.0
"""The result of one run of `tickwire bench pingpong` or `burst`: what it says, how it is kept, how it is read again.

The file's form is in bench-result.schema.json beside this and described in docs/bench-results.md. Samples are round
trips in ns in the order of the messages, the warm-up left out, an echo that did not come being LOST; all of them are in
the file.
"""

from __future__ import annotations

import base64
import json
import sys
import zlib
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import TickwireError
from . import stats
from .rendezvous import Request

FORM = "tickwire-bench-result-1"
LOST = 2**64 - 1
NAMES = {"udp": "UDP", "tcp": "TCP", "rc": "RDMA RC", "ud": "RDMA UD"}
_HALVED = ("min_ns", "mean_ns", "median_ns", "p99_ns", "p99_9_ns", "max_ns", "stddev_ns")
QUANTITIES = {
    "pingpong": "round trip, from before the send call to after the receive that found the echo",
    "burst": "round trip, from the time a message was due to after the receive that found its echo",
}
WARNING = "Soft-RoCE: this proves function and says nothing about RDMA hardware"


def encode(samples: Sequence[int]) -> str:
    """Samples as base64 of zlib of little-endian u64."""
    values = array("Q", samples)
    if sys.byteorder == "big":
        values.byteswap()
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()


def decode(text: str, most: int) -> array[int]:
    """The inverse, of at most `most` samples. ValueError when it is anything else."""
    try:
        inflate = zlib.decompressobj()
        raw = inflate.decompress(base64.b64decode(text, validate=True), most * 8 + 1)
    except (ValueError, zlib.error) as error:
        raise ValueError(f"samples cannot be decoded: {error}") from None
    if len(raw) % 8 or len(raw) > most * 8 or not inflate.eof:
        raise ValueError(f"samples decode to {len(raw)} bytes or more, there should be 8 of each of {most} at most")
    values = array("Q", raw)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def is_software(hosts: dict[str, Any]) -> bool:
    """Whether RDMA without hardware was between these two."""
    return any(host["rdma"] is not None and host["rdma"]["software"] for host in hosts.values())


def schedule(request: Request) -> dict[str, Any] | None:
    """When the messages were due; None in a closed loop. The rate is per second, within a burst (None: all at once)."""
    if not request.burst:
        return None
    rate = 1e9 / request.gap_ns if request.gap_ns else None
    if request.burst == 1:
        rate = 1e9 / request.every_ns
    return {"burst": request.burst, "every_ms": request.every_ns / 1e6, "rate_per_s": rate}


def build(request: Request, ran: dict[str, Any]) -> dict[str, Any]:
    """What `--json` writes. TickwireError when not one echo came."""
    samples = array("Q", ran["samples"])[request.warmup :]
    kept = [sample for sample in samples if sample != LOST]
    if not kept:
        raise TickwireError(
            f"{request.host}:{request.port}: {request.transport}: none of {request.count} echoes came within "
            f"{request.timeout_s:g} s; is the way between the hosts open for it?"
        )
    figures = stats.summary(kept)
    outcome = ran["outcome"]
    test = "burst" if request.burst else "pingpong"
    result = {
        "form": FORM,
        "headline": "",
        "tickwire": __version__,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "test": test,
        "transport": request.transport,
        "software_rdma": is_software(ran["hosts"]),
        "quantity": QUANTITIES[test],
        "clock": "CLOCK_MONOTONIC of the client",
        "size_bytes": request.size,
        "tos": request.tos,
        "count": request.count,
        "warmup": request.warmup,
        "timeout_ms": request.timeout_s * 1000,
        "schedule": schedule(request),
        "lost": len(samples) - len(kept),
        "late": outcome["late"],
        "wrong_size": outcome["wrong_size"],
        "send_late_max_ns": outcome["send_late_max_ns"] if request.burst else None,
        "elapsed_ns": outcome["elapsed_ns"],
        "reflected": ran["reflected"]["reflected"],
        "histogram": figures.pop("histogram"),
        "round_trip": figures,
        "half_round_trip": half(figures) if test == "pingpong" else None,
        "hosts": ran["hosts"],
        "samples": encode(samples),
    }
    result["headline"] = headline(result)
    return result


def half(figures: dict[str, Any]) -> dict[str, Any]:
    """Half of each figure in ns; its jitter would be the same."""
    return {name: None if figures[name] is None else figures[name] / 2 for name in _HALVED}


def us(value: float | None) -> str:
    """Nanoseconds for people."""
    return "not measured" if value is None else f"{value / 1000:.3f} us"


def when(plan: dict[str, Any] | None) -> str:
    """A schedule for people."""
    if plan is None:
        return "idle, one message at a time"
    if plan["burst"] == 1:
        return f"steady, {plan['rate_per_s']:g} messages a second"
    apart = "all due at once" if plan["rate_per_s"] is None else f"due at {plan['rate_per_s']:g} a second"
    return f"bursts of {plan['burst']} every {plan['every_ms']:g} ms, {apart}"


def headline(result: dict[str, Any]) -> str:
    """One line; a figure over software RDMA begins with what it is not."""
    figures, name = result["half_round_trip"] or result["round_trip"], NAMES[result["transport"]]
    what = "half round trip" if result["half_round_trip"] else "round trip from due time"
    text = (
        f"{name}, {result['size_bytes']} bytes, {when(result['schedule'])}: {what} median {us(figures['median_ns'])}, "
        f"p99 {us(figures['p99_ns'])}, p99.9 {us(figures['p99_9_ns'])}, max {us(figures['max_ns'])}; "
        f"{result['round_trip']['samples']} samples, {result['lost']} lost"
    )
    return f"{WARNING}. {text}" if result["software_rdma"] else text


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    figures, halves = result["round_trip"], result["half_round_trip"]
    lines = [result["headline"], f"  {'':<8}{'round trip':>18}" + (f"{'half':>18}" if halves else "")]
    for row in ("min", "mean", "median", "p99", "p99_9", "max", "stddev"):
        line = f"  {row.replace('_', '.'):<8}{us(figures[f'{row}_ns']):>18}"
        lines.append(line + (f"{us(halves[f'{row}_ns']):>18}" if halves else ""))
    lines += [f"  {name.replace('_', ' '):<32}{100 * value:>8.1f} %" for name, value in figures["jitter"].items()]
    if result["send_late_max_ns"] is not None:
        lines.append(f"  sent at most {us(result['send_late_max_ns'])} after its due time, which is in the latencies")
    for role, host in result["hosts"].items():
        cpu, nic = host["cpu"], host["nic"] or {}
        lines.append(
            f"  {role} {host['name']} {host['address']}: kernel {host['kernel']}, CPU "
            f"{host['pinned_cpu'] if host['pinned_cpu'] is not None else 'not pinned'}, governor "
            f"{cpu['governor'] or 'none'}, isolated {host['isolated_cpus'] or 'none'}, SMT {_smt(host['smt'])}, NIC "
            f"{nic.get('interface')} ({nic.get('driver') or 'virtual'})"
            + (f", RDMA {host['rdma']['device']} ({host['rdma']['driver']})" if host["rdma"] else "")
            + (", virtual machine" if host["virtual_machine"] else "")
        )
    return "\n".join(lines)


def _smt(on: bool | None) -> str:
    return {True: "on", False: "off", None: "unknown"}[on]


def warnings(result: dict[str, Any]) -> list[str]:
    """What a reader of the figures must know before believing them."""
    found = []
    if result["lost"]:
        found.append(f"{result['lost']} of {result['count']} messages were lost and are in no figure")
    if result["late"] and result["test"] == "pingpong":
        found.append(f"{result['late']} echoes came after --timeout, which count as lost, or twice")
    elif result["late"]:
        found.append(f"{result['late']} echoes came twice, of which the first is in the figures")
    if result["wrong_size"]:
        found.append(f"{result['wrong_size']} messages had another size: something else sends to this port")
    found += [
        f"the {role} is not pinned; give --cpu" for role, host in result["hosts"].items() if host["pinned_cpu"] is None
    ]
    return found


def load(path: str) -> dict[str, Any]:
    """A result file, with `samples` decoded. TickwireError when it is none."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise TickwireError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise TickwireError(f"{path}: not JSON: {error}") from None
    if not isinstance(result, dict) or result.get("form") != FORM:
        raise TickwireError(f"{path}: not a result of `tickwire bench pingpong` or `burst` (form {FORM})")
    try:
        result["samples"] = decode(result["samples"], result["count"])
        kept = result["round_trip"]["samples"]
        lost = result["samples"].count(LOST)
        if len(result["samples"]) != result["count"] or (kept, result["lost"]) != (result["count"] - lost, lost):
            raise ValueError(f"{len(result['samples'])} samples where {result['count']} are told of")
        named = [
            result[name] for name in ("transport", "test", "size_bytes", "tos", "schedule", "hosts", "lost", "warmup")
        ]
        if named[0] not in NAMES or named[1] not in QUANTITIES or {"client", "server"} - set(result["hosts"]):
            raise ValueError(f"transport {named[0]!r}, test {named[1]!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise TickwireError(f"{path}: it was changed or cut off ({error}); take it anew") from None
    return result
