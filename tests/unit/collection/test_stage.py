# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Stages: output passed on, no silence, times and tests counted, the first failure named with the way to repeat it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import stage

SCRIPT = Path(stage.__file__)
MAKEFILE = """good:
	@{stage} run good -- printf 'TASK [x : Do]\\n==== 3 passed, 1 skipped in 0.10s ====\\n'
plain:
	@{stage} run plain -- true
bad:
	@{stage} run bad -- sh -c 'echo broken; exit 5'
unready:
	@exit 1
nested:
	@{stage} run nested -- $(MAKE) -s inner
inner:
	@{stage} all inner good
never:
	@touch reached
"""


def run_stage(tmp_path: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Runs stage.py in a directory of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TICKWIRE_", "MAKE", "MFLAGS"))}
    command = [sys.executable, str(SCRIPT), *words]
    return subprocess.run(command, cwd=tmp_path, env={**kept, **env}, capture_output=True, text=True, check=False)


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    text = MAKEFILE.replace("{stage}", f"{sys.executable} {SCRIPT}")
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")
    return tmp_path


def test_output_of_both_streams_is_passed_on_and_kept(tmp_path: Path) -> None:
    done = run_stage(tmp_path, "run", "demo", "--", "sh", "-c", "echo out; echo err >&2")
    assert done.returncode == 0
    assert "out\nerr\n" in done.stdout
    assert (tmp_path / ".stage/demo.log").read_text(encoding="utf-8") == "out\nerr\n"


def test_failure_keeps_the_code_and_names_the_command_to_repeat(tmp_path: Path) -> None:
    words = ("run", "rollout", "--", "sh", "-c", "exit 7")
    done = run_stage(tmp_path, *words, TICKWIRE_MAKE_VARIABLES="INVENTORY=inventories/rack")
    assert done.returncode == 7
    assert "Run it alone with: make rollout INVENTORY=inventories/rack" in done.stdout


def test_command_to_repeat_can_be_pasted(tmp_path: Path) -> None:
    variables = "ARGS=--check\\ --diff INVENTORY=inventories/rack"
    done = run_stage(tmp_path, "run", "rollout", "--", "false", TICKWIRE_MAKE_VARIABLES=variables)
    assert "Run it alone with: make rollout 'ARGS=--check --diff' INVENTORY=inventories/rack" in done.stdout


def test_killed_command_is_a_failure(tmp_path: Path) -> None:
    assert run_stage(tmp_path, "run", "demo", "--", "sh", "-c", "kill -9 $$").returncode == 128 + 9


def test_command_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = run_stage(tmp_path, "run", "demo", "--", "no-such-command")
    assert done.returncode == 127
    assert "no-such-command" in done.stderr
    assert "Traceback" not in done.stderr


def test_silence_is_broken_with_the_running_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setenv("TICKWIRE_STAGE_DIR", str(tmp_path))
    command = ["sh", "-c", "echo 'TASK [ptp : Start ptp4l] *****'; sleep 0.6; echo end"]
    record = stage.run_stage("rollout", command, silence_s=0.2)
    output = capfdbinary.readouterr().out.decode()
    assert record["code"] == 0
    assert "... rollout: still running after" in output
    assert "in TASK [ptp : Start ptp4l]" in output


def test_no_stage_is_silent_for_half_a_minute() -> None:
    assert stage.SILENCE_S <= 20


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        (b"===== 12 passed, 1 skipped in 3.21s =====\n", {"passed": 12, "failed": 0, "skipped": 1}),
        (b"\x1b[31m= \x1b[1m2 failed\x1b[0m, \x1b[32m3 passed\x1b[0m, 1 error in 63.10s (0:01:03) =\x1b[0m\n",
         {"passed": 3, "failed": 3, "skipped": 0}),
        (b"7 passed in 0.5s\n", {"passed": 7, "failed": 0, "skipped": 0}),
        (b"12 passed the border in 3 s\n", {"passed": 0, "failed": 0, "skipped": 0}),
    ],
)  # fmt: skip
def test_closing_lines_are_counted_wherever_they_are_split(line: bytes, counts: dict[str, int]) -> None:
    for cut in range(len(line)):
        watcher = stage.Watcher()
        watcher.feed(line[:cut])
        watcher.feed(line[cut:])
        assert watcher.counts == counts


def test_all_stops_at_the_first_failure_and_ends_with_the_counts(makefile: Path) -> None:
    done = run_stage(makefile, "all", "--tests", "test", "good", "plain", "bad", "never")
    assert done.returncode == 5
    assert not (makefile / "reached").exists()
    assert "Run it alone with: make bad" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("4 passed, 1 failed, 1 skipped in ")
    for name in ("good", "plain", "bad"):
        assert any(line.startswith(f"{name} ") for line in done.stdout.splitlines())


def test_stage_that_cannot_even_start_counts_as_failed(makefile: Path) -> None:
    done = run_stage(makefile, "all", "--tests", "test", "plain", "unready")
    assert done.returncode == 2
    assert done.stdout.splitlines()[-1].startswith("1 passed, 1 failed in ")


def test_interrupt_waits_for_the_stage_to_clean_up(makefile: Path) -> None:
    step = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, lambda *_: (time.sleep(1), print('cleaned'), sys.exit(9)))"
    )
    (makefile / "slow.py").write_text(f"{step}\nprint('started')\ntime.sleep(20)\n", encoding="utf-8")
    with (makefile / "Makefile").open("a", encoding="utf-8") as file:
        file.write(f"slow:\n\t@{sys.executable} {SCRIPT} run slow -- {sys.executable} slow.py\n")
    command = [sys.executable, str(SCRIPT), "all", "site", "slow", "never"]
    with subprocess.Popen(
        command, cwd=makefile, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stdout is not None
        while run.stdout.readline() != "started\n":
            assert run.poll() is None
        os.killpg(run.pid, signal.SIGINT)
        out, err = run.communicate(timeout=30)
    assert "cleaned" in out
    assert "Traceback" not in err
    assert out.index("cleaned") < out.index("stopped at the first stage that failed")
    assert run.returncode == 9
    assert not (makefile / "reached").exists()


def test_all_starts_its_table_anew(makefile: Path) -> None:
    for _attempt in range(2):
        done = run_stage(makefile, "all", "--tests", "test", "plain")
    assert done.stdout.splitlines()[-1].startswith("1 passed, 0 failed in ")
    assert run_stage(makefile, "summary").stdout.splitlines()[-1].startswith("1 passed, 0 failed in ")


def test_stages_inside_a_stage_keep_their_own_times(makefile: Path) -> None:
    done = run_stage(makefile, "all", "--tests", "test", "plain", "nested")
    assert done.returncode == 0
    lines = (makefile / ".stage/times.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["plain", "nested"]
    assert (makefile / ".stage/nested/times.jsonl").exists()


def test_report_is_named_only_when_this_run_wrote_it(makefile: Path) -> None:
    report = makefile / "report.html"
    report.touch()
    os.utime(report, (1, 1))
    assert "Report:" not in run_stage(makefile, "all", "--report", "report.html", "site", "plain").stdout
    (makefile / "Makefile").write_text("write:\n\t@touch report.html\n", encoding="utf-8")
    done = run_stage(makefile, "all", "--report", "report.html", "site", "write")
    assert f"Report: {report}" in done.stdout


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (48.26, "48.3 s"), (425, "7 min 05 s")])
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert stage.duration(seconds) == text
