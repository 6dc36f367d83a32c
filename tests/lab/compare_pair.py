"""playbooks/compare.yml between exch1 and trade1 of a lab that was rolled out, as a user runs it."""

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from conftest import Outcome, stream

COUNT, WARMUP = 200, 20
TRANSPORTS = ("udp", "tcp", "rc", "ud")
# Emulated machines take milliseconds for a message: what is due has to be less than they can do.
BURSTS = {"compare_burst": 5, "compare_every_ms": 100}
SHAPE = {**BURSTS, "compare_count": COUNT, "compare_warmup": WARMUP, "compare_idle_s": 20, "compare_tos": 26 << 2}
LEFT = "find /tmp /var/tmp -maxdepth 1 -name 'tickwire-compare-*'; pgrep -f '[t]ickwire bench' || true"


def run(inventory: str, report: Path) -> Outcome:
    """The playbook; what it brings is in `report`."""
    asked = {"compare_server": "exch1", "compare_client": "trade1", "compare_report_dir": str(report), **SHAPE}
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    return stream(playbook, "-i", inventory, "playbooks/compare.yml", "-e", json.dumps(asked))


def right(report: Path) -> dict[str, Any]:
    """The comparison, when it has every transport idle and in bursts, every sample, and says what it is."""
    found: dict[str, Any] = json.loads((report / "compare.json").read_text(encoding="utf-8"))
    rows = {(row["transport"], row["test"]): row for row in found["rows"]}
    assert set(rows) == {(name, test) for name in TRANSPORTS for test in ("pingpong", "burst")}, found["missing"]
    for row in rows.values():
        assert row["samples"] + row["lost"] == COUNT and row["samples"] >= COUNT * 0.99
        assert 0 < row["min_ns"] <= row["median_ns"] <= row["p99_ns"] <= row["max_ns"]
        assert row["software_rdma"] == (row["transport"] in ("rc", "ud"))
    assert all(rows[name, "pingpong"]["lost"] == 0 for name in ("tcp", "rc")), "reliable transports lose nothing"
    assert found["headline"].startswith("Soft-RoCE: this proves function and says nothing about RDMA hardware")
    assert found["missing"] == [] and {host["name"] for host in found["hosts"].values()} == {"exch1", "trade1"}
    html = (report / "compare.html").read_text(encoding="utf-8")
    assert html.count("<polyline") == len(rows) and found["headline"] in html
    return found
