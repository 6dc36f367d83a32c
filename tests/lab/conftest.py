"""End to end in the lab's virtual machines: what only they can show, each step run once.

The tests run in file order on one lab and build on each other, as a rollout does: a failure stops them
(``pytest -x``), because every later figure would be about a broken fabric.
"""

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = ("exch1", "sw1", "trade1")
RECAP = re.compile(r"^(?P<host>\S+)\s+: ok=\d+\s+changed=(?P<changed>\d+)\s+")


@dataclass
class Outcome:
    """What a command left: exit code, every line of its output, and the play recaps in it."""

    code: int
    lines: list[str]
    changed: dict[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def stream(*argv: str) -> Outcome:
    """Run a command in the checkout, pass its output on as it comes (no silent minute), and keep it."""
    process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    outcome = Outcome(-1, [])
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        outcome.lines.append(line.rstrip("\n"))
        match = RECAP.match(line)
        if match:
            host = match["host"]
            outcome.changed[host] = outcome.changed.get(host, 0) + int(match["changed"])
    outcome.code = process.wait()
    return outcome


class Lab:
    """The lab of this checkout, driven by the same commands a person types."""

    def up(self) -> Outcome:
        return stream(sys.executable, "-m", "lab", "up")

    def down(self) -> Outcome:
        return stream(sys.executable, "-m", "lab", "down")

    def make(self, target: str, *variables: str) -> Outcome:
        return stream("make", "--no-print-directory", target, *variables)

    def ssh(self, host: str, command: str, check: bool = True) -> str:
        """Run a shell command on a VM and return its output (a test's probe, never the product's way in)."""
        done = subprocess.run(
            ["ssh", "-F", str(ROOT / ".lab" / "ssh_config"), host, command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{host}: {command!r} exited {done.returncode}: {done.stderr}"
        return done.stdout

    def report(self) -> dict:
        return json.loads((ROOT / "report" / "report.json").read_text())


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()
