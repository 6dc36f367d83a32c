# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/compare.yml over loopback, with the real runtime at both ends, and module t2t_compare by itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils import t2t_compare

CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture
def tickwire(tmp_path: Path) -> Path:
    """The runtime of this checkout as a command."""
    path = tmp_path / "tickwire"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{CHECKOUT / "runtime"}" exec "{sys.executable}" -m tickwire "$@"\n')
    path.chmod(0o755)
    return path


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
        return found


def play(tmp_path: Path, *more: str, **variables: object) -> subprocess.CompletedProcess[str]:
    """The playbook on two hosts of this machine."""
    here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **variables}
    hosts = {"exch1": {"fabric_address": "127.0.0.1"}, "trade1": {}}
    inventory = tmp_path / "hosts.json"
    inventory.write_text(json.dumps({"all": {"vars": here, "hosts": hosts}}))
    return subprocess.run(
        [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(inventory), "playbooks/compare.yml", *more],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


PAIR = ("-e", "compare_server=exch1", "-e", "compare_client=trade1")


def test_two_hosts_are_compared_and_the_report_is_fetched(tmp_path: Path, tickwire: Path, port: int) -> None:
    report = tmp_path / "report"
    small = {
        "compare_count": 1000,
        "compare_warmup": 20,
        "compare_burst": 5,
        "compare_every_ms": 2,
        "compare_idle_s": 10,
    }
    places = {"compare_port": port, "compare_tickwire": str(tickwire), "compare_report_dir": str(report)}
    done = play(tmp_path, *PAIR, **small, **places)
    assert done.returncode == 0, done.stdout + done.stderr
    comparison = json.loads((report / "compare.json").read_text(encoding="utf-8"))
    tests = [(row["transport"], row["test"], row["samples"] + row["lost"]) for row in comparison["rows"]]
    assert tests == [(transport, test, 1000) for test in ("pingpong", "burst") for transport in ("udp", "tcp")]
    assert {one["transport"] for one in comparison["missing"]} == {"rc", "ud"}, "loopback has no RDMA device"
    assert all(one["reason"] for one in comparison["missing"])
    assert all((report / row["file"]).exists() for row in comparison["rows"]), "named as they lie beside it"
    html = (report / "compare.html").read_text(encoding="utf-8")
    assert html.count("<polyline") == 4 and "RDMA RC was not measured" in html
    assert {path.name for path in report.iterdir()} == {
        "compare.html",
        "compare.json",
        *(f"{transport}-{test}.json" for transport in ("udp", "tcp") for test in ("pingpong", "burst")),
    }
    assert comparison["headline"] in done.stdout
    assert not list(tmp_path.glob("tickwire-compare-*")), "nothing stays on the hosts"


def test_check_mode_measures_and_writes_nothing(tmp_path: Path) -> None:
    done = play(
        tmp_path, *PAIR, "--check", compare_tickwire="/nowhere/tickwire", compare_report_dir=str(tmp_path / "r")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "r").exists() and not list(tmp_path.glob("tickwire-compare-*"))


@pytest.mark.parametrize("pair", [(), ("exch1", "exch1"), ("exch1", "trade9")])
def test_without_two_hosts_it_says_what_to_give(tmp_path: Path, pair: tuple[str, ...]) -> None:
    names = ("compare_server", "compare_client")[: len(pair)]
    done = play(tmp_path, *(text for given in zip(names, pair, strict=True) for text in ("-e", "=".join(given))))
    assert done.returncode != 0 and "Next: -e compare_server=HOST -e compare_client=HOST" in done.stdout


def test_without_the_runtime_it_says_so(tmp_path: Path, port: int) -> None:
    done = play(tmp_path, *PAIR, compare_tickwire="/nowhere/tickwire", compare_port=port)
    assert done.returncode != 0 and "deploy the runtime with the role t2t_runtime" in done.stdout
    assert not list(tmp_path.glob("tickwire-compare-*"))


def test_a_transport_that_fails_is_named_and_the_others_are_measured() -> None:
    wanted = t2t_compare.Wanted("tickwire", "10.0.0.1:18700", "/d", transports=("udp", "rc"), cpu=3, rate=7)
    ran: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        ran.append(command)
        return (1, "", "tickwire: warning: x\ntickwire: rc: no device\n") if "rc" in command else (0, "", "")

    found = t2t_compare.measure(run, wanted)
    assert found.files == ["/d/udp-pingpong.json", "/d/udp-burst.json"]
    assert found.missing == {"rc": "tickwire: rc: no device"}
    assert [command[5] for command in ran] == ["pingpong", "burst", "pingpong"]
    assert [command[command.index("--wait") + 1] for command in ran] == ["30", "0", "0"]
    assert all(command[-4:-2] == ["--cpu", "3"] for command in ran) and "--rate" in ran[1] and "--rate" not in ran[0]
    with pytest.raises(t2t_compare.CompareError, match="nothing could be measured .*rc: tickwire: rc: no device"):
        t2t_compare.measure(run, t2t_compare.Wanted("tickwire", "10.0.0.1:1", "/d", transports=("rc",)))
    with pytest.raises(t2t_compare.CompareError, match="was killed"):
        t2t_compare.serve(lambda command: (124, "", ""), wanted)
