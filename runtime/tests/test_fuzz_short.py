# SPDX-License-Identifier: Apache-2.0
"""Every fuzz target over its kept corpus and some thousand inputs more; `make fuzz` runs them for as long as you like.

A failure prints the input in hex and the command that has it again.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import fuzz as script

CHECKOUT = Path(__file__).resolve().parents[2]
# Inputs that take about two seconds, and a bound for slow machines.
RUNS = {
    "book": 20_000,
    "config": 1500,
    "feed": 20_000,
    "itch": 100_000,
    "mold": 100_000,
    "ouch": 80_000,
    "roce": 5000,
    "soup": 5000,
}
SECONDS = 4


def fuzz(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.fuzz", *arguments],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def built() -> None:
    done = fuzz("--build")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_is_run_and_has_a_corpus() -> None:
    targets = {path.stem.removeprefix("fuzz_") for path in (CHECKOUT / "runtime/fuzz").glob("fuzz_*.*")}
    assert set(RUNS) == targets
    kept = {target: list((CHECKOUT / "runtime/fuzz/corpus" / target).iterdir()) for target in targets}
    assert all(kept.values())
    assert sum(path.stat().st_size for paths in kept.values() for path in paths) <= 200_000


@pytest.mark.usefixtures("built")
def test_the_script_counts_as_pytest_does() -> None:
    done = fuzz("--runs=20", "--seconds=4", "--seed=1", "soup", "mold")
    assert done.returncode == 0, done.stdout + done.stderr
    soup, mold, counts = done.stdout.splitlines()
    for line, target in ((soup, "soup"), (mold, "mold")):
        said = re.fullmatch(rf"passed {target}: (\d+) runs in \d+ second\(s\), \d+ places reached", line)
        assert said is not None and int(said[1]) >= 20, line
    assert re.fullmatch(r"2 passed in \d+\.\d\ds", counts)


def test_an_unknown_target_is_named() -> None:
    done = fuzz("mould")
    assert done.returncode == 2 and "no target mould; there are: book, config," in done.stderr


BROKEN = """
import sys
from pathlib import Path
(prefix,) = (word.partition("=")[2] for word in sys.argv if word.startswith("-artifact_prefix="))
Path(prefix + "crash-1").write_bytes(b"\\x01\\xff")
print("it broke")
sys.exit(77)
"""


def test_a_failure_shows_its_input_and_how_to_have_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "fuzz_broken.py").write_text(BROKEN)
    monkeypatch.setattr(script, "FUZZ", tmp_path)
    monkeypatch.setattr(script, "BUILD", tmp_path / "build")
    monkeypatch.setattr(script, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(script, "build", lambda: True)
    monkeypatch.setattr(sys, "argv", ["fuzz", "--runs=1"])
    assert script.main() == 1
    said = capsys.readouterr().out
    assert said.startswith("FAILED broken\nit broke\ninput: 01ff\nagain: ") and said.rstrip().endswith("s")
    assert f"fuzz_broken.py {tmp_path}/build/failures/broken-crash-1\n1 failed in " in said


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("target", RUNS)
def test_fuzz(target: str) -> None:
    done = fuzz(f"--runs={RUNS[target]}", f"--seconds={SECONDS}", "--seed=1", target)
    assert done.returncode == 0, done.stdout + done.stderr
