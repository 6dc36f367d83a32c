# SPDX-License-Identifier: Apache-2.0
"""What to know before the engine's thread spins at a real-time priority (`engine.priority`)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from .errors import TickwireError

_KERNEL = Path("/proc/sys/kernel")


def throttling(kernel: Path = _KERNEL, release: str = os.uname().release) -> str | None:
    """How the kernel takes the CPU from real-time threads, as a sentence; None when it does not.

    Documentation/scheduler/sched-rt-group.rst: they may run for sched_rt_runtime_us of each sched_rt_period_us, and -1
    is all of it. From Linux 6.12 on that is gone ("sched/rt: Remove default bandwidth control"): there the fair server
    helps ordinary threads, and only those that wait for the same CPU.
    """
    version = re.match(r"(\d+)\.(\d+)", release)
    if version and tuple(map(int, version.groups())) >= (6, 12):
        return None
    try:
        runtime_us, period_us = (int((kernel / f"sched_rt_{name}_us").read_text()) for name in ("runtime", "period"))
    except (OSError, ValueError):
        return None
    if runtime_us < 0 or runtime_us >= period_us:
        return None
    return (
        f"kernel.sched_rt_runtime_us {runtime_us}: the kernel takes the CPU from a thread that spins in real time "
        f"for {(period_us - runtime_us) / 1000:g} ms of each {period_us / 1000:g} ms; set it to -1 (role roce_host: "
        "roce_host_noise.rt_throttling: false)"
    )


def check(config: dict[str, Any], housekeeping: set[int]) -> None:
    """TickwireError where a thread that spins in real time would leave nothing to the others."""
    cpu, priority = config["engine"]["cpu"], config["engine"]["priority"]
    if priority and housekeeping <= {cpu}:
        raise TickwireError(
            f"engine.priority {priority}: CPU {cpu} is the only one here (of {os.cpu_count()}), and nothing "
            "else would ever run beside a thread that spins in real time; leave engine.priority at 0"
        )
