# SPDX-License-Identifier: Apache-2.0
"""`tickwire bench registration`: what ibv_reg_mr and ibv_dereg_mr cost by size, on ordinary pages and on hugepages."""

from __future__ import annotations

import errno
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__, _core
from ..errors import TickwireError
from . import machine, rendezvous, results, stats

FORM = "tickwire-bench-registration-1"
HUGE = 2 << 20
SIZES = tuple(4096 << shift for shift in range(0, 19, 2))  # 4 KiB to 1 GiB
WARMUP = 1  # registrations of each size before the first one that is measured
_FIGURES = ("min_ns", "mean_ns", "median_ns", "p99_ns", "max_ns")


def _available() -> int:
    """Bytes the kernel can give without taking any from others."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def _row(address: str, size: int, hugepages: bool, rounds: int) -> dict[str, Any]:
    row: dict[str, Any] = {"size_bytes": size, "pages": "huge" if hugepages else "ordinary"}
    row |= {"warmup": WARMUP, "rounds": rounds}
    if not hugepages and size > (available := _available()) // 2:
        return {**row, "reason": f"more than half of the {available >> 10} kB of memory that is available"}
    try:
        samples = _core.bench_registration(address, size, hugepages, WARMUP + rounds)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPERM):
            raise TickwireError(f"registration {address}: {error.strerror}") from None
        return {**row, "reason": error.strerror}
    for name, ns in zip(("register", "deregister"), samples, strict=True):
        figures = stats.summary(array("Q", ns)[WARMUP:])
        row[name] = {figure: figures[figure] for figure in _FIGURES}
    return row


def measure(address: str, sizes: Sequence[int], rounds: int, cpu: int | None) -> dict[str, Any]:
    """Every size on ordinary pages and, from 2 MiB on, on hugepages; what this host does not allow has a reason."""
    rendezvous.pin(cpu)
    try:
        device = _core.BenchRdma(address, False, 64, 0, 0).offer()["device"]
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TickwireError(f"registration {address}: {reason}") from None
    kinds = [(size, hugepages) for size in sizes for hugepages in (False, True) if not hugepages or size % HUGE == 0]
    rows = [_row(address, size, hugepages, rounds) for size, hugepages in kinds]
    host = machine.read(address, cpu, device)
    headline = f"memory registration with {device}, {rounds} times each size"
    software = host["rdma"]["software"]
    return {
        "form": FORM,
        "headline": f"{results.WARNING}. {headline}" if software else headline,
        "tickwire": __version__,
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "software_rdma": software,
        "rows": rows,
        "host": host,
    }


def text(result: dict[str, Any]) -> str:
    """The result for people."""
    lines = [
        result["headline"],
        f"  {'kB':>8} {'pages':<9}{'register median':>18}{'max':>16}{'deregister median':>20}{'max':>16}",
    ]
    for row in result["rows"]:
        line = f"  {row['size_bytes'] // 1024:>8} {row['pages']:<9}"
        if "reason" in row:
            lines.append(f"{line} not measured: {row['reason']}")
            continue
        take, back = row["register"], row["deregister"]
        lines.append(
            f"{line}{results.us(take['median_ns']):>18}{results.us(take['max_ns']):>16}"
            f"{results.us(back['median_ns']):>20}{results.us(back['max_ns']):>16}"
        )
    return "\n".join(lines)
