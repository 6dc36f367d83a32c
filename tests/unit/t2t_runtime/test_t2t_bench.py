# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the collection takes of the bench is what the runtime's bench prints."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils import t2t

# The report of a feed session without an order, as the runtime makes it from the shared block's counters.
_PROGRAM = """
import collections, json, os
from tickwire.bench import samples, t2t, ticks
said = {"feed_session": "S", "timestamp_source": "software", "timestamp_reason": "why"}
zero = collections.defaultdict(int, said, unstamped=0, by_kernel=0, samples_dropped=0)
made = {
    **ticks.origin("t2t", "127.0.0.1", os.getpid(), 0, samples.read(b"")),
    **t2t.report(zero, zero, b"", {"session": "S"}),
}
print(json.dumps({**made, "headline": ticks.headline(made, "tick-to-trade")}))
"""


@pytest.fixture(scope="module")
def printed() -> str:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_everything_required_is_printed(printed: str) -> None:
    result = t2t.bench(lambda argv: (0, printed, ""), "tickwire", "block", "host:1", 1, 1, 1)
    # Where the figures are from is in the facts of the host, and what a sample is in the module's documentation.
    left = {"legs", "form", "tickwire", "taken", "test", "quantity", "warmup", "host", "latencies"}
    assert set(t2t.REQUIRED) == set(json.loads(printed)) - left == set(result) - left
    assert result["software_rdma"] is False and result["headline"].startswith("tick-to-trade, ")
    assert result["timestamp_source"] == "software" and result["software"] is None


@pytest.mark.parametrize("name", ["unstamped_by", "software", "timestamp_reason", "software_rdma", "headline"])
def test_an_older_runtime_is_named(printed: str, name: str) -> None:
    result = json.loads(printed)
    del result[name]
    with pytest.raises(t2t.BenchError, match=f"did not print {name}"):
        t2t.bench(lambda argv: (0, json.dumps(result), ""), "tickwire", "block", "host:1", 1, 1, 1)
