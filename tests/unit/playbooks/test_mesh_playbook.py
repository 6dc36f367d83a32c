# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""mesh.yml over local hosts: what it refuses, what of a failure is in its report, and which pairs ping at once."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.link import gid_of_address
from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.mesh import rounds

CHECKOUT = Path(__file__).resolve().parents[3]
SYSFS = CHECKOUT / "tests/fixtures/rdma/sysfs_rxe_linux_6.12.json"
PYVERBS = ("addr", "cq", "device", "enums", "mr", "pd", "pyverbs_error", "qp", "wr")
INTENT = {"fabric": {"name": "rack"}}  # validate.yml refuses an inventory without one
ITERATIONS = 10
BUDGETS = {
    "rdma_link": {"state": "ACTIVE", "errors_risen_max": 0},
    "mesh": {"failed_pairs_max": 0},
    "ptp": {"locked": True},
}


def mesh(
    tmp_path: Path,
    hosts: list[str],
    *arguments: str,
    playbook: str = "mesh",
    of_group: dict[str, Any] | None = None,
    own: dict[str, dict[str, str]] | None = None,
    under: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> tuple[str, dict[str, Any] | None]:
    """The output of the playbook, which has to fail, and its report, if it wrote one.

    of_group: variables of fabric_hosts; own: of each host; under: the command to run it under; env: of the environment.
    """
    variables: dict[str, Any] = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "fabric_rdma_device": "none0",
        "fabric_address": "127.0.0.1",
        "fabric_budgets": BUDGETS,
    }
    inventory = tmp_path / "hosts.json"
    group = {"hosts": {name: (own or {}).get(name, {}) for name in hosts}, "vars": of_group or {}}
    children = {"fabric_hosts": group, "traders": {"hosts": dict.fromkeys(hosts[1:], {})}}
    children.update(
        exchanges={"hosts": {hosts[0]: {}}}, fabric_switches={"hosts": {"sw1": {}}}, other={"hosts": {"spare": {}}}
    )
    inventory.write_text(json.dumps({"all": {"vars": variables, "children": children}}))
    done = subprocess.run(
        [
            *under,
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            str(inventory),
            f"playbooks/{playbook}.yml",
            "-e",
            f"mesh_report_dir={tmp_path}/report validation_report_dir={tmp_path}/report",
            *arguments,
        ],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"), "COLUMNS": "1000", **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0, done.stdout + done.stderr
    report = tmp_path / "report/report.json"
    return re.sub(r"\s+", " ", done.stdout), json.loads(report.read_text()) if report.exists() else None


def test_hosts_without_a_device_are_in_the_report(tmp_path: Path) -> None:
    said, report = mesh(tmp_path, ["h1", "h2", "h3"])
    assert report is not None
    assert set(report["mesh"]["away"]) == {"h1", "h2", "h3"}
    assert all("no RDMA device none0" in reason for reason in report["mesh"]["away"].values())
    assert len(report["mesh"]["pairs"]) == report["mesh"]["failed"] == 6
    assert {gate["name"] for gate in report["gates"]} == {
        "rdma_link.state",
        "rdma_link.errors_risen_max",
        "mesh.failed_pairs_max",
    }
    assert "The mesh failed, see" in said and "rdma_link.state (budget ACTIVE)" in said


def test_a_limit_makes_a_smaller_mesh(tmp_path: Path) -> None:
    report = mesh(tmp_path, ["h1", "h2", "h3"], "--limit", "h1,h3,localhost")[1]
    assert report is not None and report["mesh"]["hosts"] == ["h1", "h3"]


@pytest.mark.parametrize(
    ("hosts", "arguments", "said"),
    [
        (["h1"], [], "The group fabric_hosts has 1 hosts, and a pair needs two"),
        (["h1", "h2"], ["-e", "mesh_group=racks"], "The group racks has 0 hosts"),
        (["h1", "h2"], ["-e", "mesh_at_once=3"], "with 5 forks it has to be 1 to 2. Next: run with --forks 6"),
        (["h1", "h2"], ["--forks", "1"], "mesh_at_once 0: with 1 forks it has to be 1 to 0. Next: run with --forks 2"),
    ],
)
def test_what_is_refused(tmp_path: Path, hosts: list[str], arguments: list[str], said: str) -> None:
    output, report = mesh(tmp_path, hosts, *arguments)
    assert said in output and report is None


@pytest.mark.parametrize("playbook", ["mesh", "validate"])
@pytest.mark.parametrize(
    ("of_group", "arguments", "said"),
    [
        ({"mesh_at_once": 3}, [], "mesh_at_once 3: with 5 forks it has to be 1 to 2. Next: run with --forks 6"),
        ({}, ["--forks", "1"], "mesh_at_once 0: with 1 forks it has to be 1 to 0. Next: run with --forks 2"),
    ],
)
def test_both_playbooks_refuse_a_mesh_for_which_there_are_too_few_forks(
    tmp_path: Path, playbook: str, of_group: dict[str, Any], arguments: list[str], said: str
) -> None:
    of_group = {**of_group, "validate_mesh": True}
    output, report = mesh(
        tmp_path, ["h1", "h2"], "-e", json.dumps(INTENT), *arguments, playbook=playbook, of_group=of_group
    )
    assert said in output and report is None
    assert "Read the RDMA link" not in output, "before any host is touched"


def test_validate_without_a_mesh_is_not_refused_for_it(tmp_path: Path) -> None:
    arguments = ["--forks", "1", "--limit", "localhost,spare", "-e", json.dumps(INTENT)]
    output = mesh(tmp_path, ["h1", "h2"], *arguments, playbook="validate")[0]
    assert "Judge by the budgets and write the report" in output and "mesh_at_once" not in output


def devices(root: Path, count: int) -> Path:
    """The recorded sysfs of Soft-RoCE as rxe1, rxe2 and so on; what /sys/class is.

    Each has the GIDs of all of them: on one machine a connection has the server's address at both ends.
    """
    recorded = json.loads(SYSFS.read_text(encoding="utf-8"))
    gids = {f"gids/{number}": gid_of_address(bytes([127, 0, 0, number])) for number in range(1, count + 1)}
    for number in range(1, count + 1):
        port = f"sys/class/infiniband/rxe{number}/ports/1/"
        files = {name.replace("rxe0", f"rxe{number}"): text for name, text in recorded.items()}
        files.update({port + name: f"{gid}\n" for name, gid in gids.items()})
        files.update({f"{port}gid_attrs/types/{index}": "RoCE v2\n" for index in range(1, count + 1)})
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
    return root / "sys/class"


def double(root: Path, plan: dict[str, Any]) -> dict[str, str]:
    """Put pyverbs_double.py in the place of pyverbs; the environment in which it is found."""
    (root / "pyverbs").mkdir()
    shutil.copy(Path(__file__).with_name("pyverbs_double.py"), root / "pyverbs/__init__.py")
    for name in PYVERBS:
        (root / f"pyverbs/{name}.py").write_text("from pyverbs import *\n", encoding="utf-8")
    (root / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return {"PYTHONPATH": str(root), "PYVERBS_DOUBLE": str(root)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """The report and the double's log of a mesh of five hosts, two pairs at a time, each host a device of its own.

    Over RC the first message of rxe1's and rxe2's pair fails at its client, and the last answer of rxe3's and rxe4's at
    its server, which the client does not see.
    """
    tmp_path = tmp_path_factory.mktemp("mesh")
    names = [f"rxe{number}" for number in range(1, 6)]
    planned = list(rounds(names, 2))
    first, last = (pair for one in planned for pair in one if set(pair) in ({"rxe1", "rxe2"}, {"rxe3", "rxe4"}))
    if "rxe1" not in first:
        first, last = last, first
    fails = {f"{first[1]} {first[0]} rc": 1, f"{last[0]} {last[1]} rc": 50 + ITERATIONS}
    env = double(tmp_path, {"rounds": planned, "fails": fails})
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    report = mesh(
        tmp_path,
        names,
        *("--forks", "4", "-e", f"mesh_iterations={ITERATIONS} validate_rdma_ping_port={port}"),
        own={name: {"fabric_rdma_device": name, "fabric_address": f"127.0.0.{name[3:]}"} for name in names},
        under=(
            *("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])),
            *("sh", "-c", 'mount --bind "$0" /sys/class && exec "$@"', str(devices(tmp_path, len(names)))),
        ),
        env=env,
    )[1]
    assert report is not None
    return report, [json.loads(line) for line in (tmp_path / "log").read_text(encoding="utf-8").splitlines()]


def test_all_pairs_ping_and_no_host_in_two_at_once(run: tuple[dict[str, Any], list[dict[str, str]]]) -> None:
    log = run[1]
    everyone = {f"rxe{number}" for number in range(1, 6)}
    met = Counter((line["transport"], frozenset((line["device"], line["peer"]))) for line in log if "peer" in line)
    assert met == {
        (transport, frozenset(pair)): 2 for transport in ("rc", "ud") for pair in combinations(sorted(everyone), 2)
    }, "each pair once over each transport, from both ends"
    for device in everyone:
        assert [line["what"] for line in log if line["device"] == device] == ["open", "peer", "close"] * 8, device
    # A device that is open has one peer, and that peer has it: at any time the open ones are pairs.
    busy: dict[str, str] = {}
    at_once = 0
    for line in log:
        if line["what"] == "peer":
            busy[line["device"]] = line["peer"]
            assert busy.get(line["peer"], line["device"]) == line["device"], "a host is in two pairs"
            at_once = max(at_once, len({frozenset(pair) for pair in busy.items()}))
        elif line["what"] == "close":
            busy.pop(line["device"], None)
    assert at_once == 2


def test_pairs_that_fail_end_no_other(run: tuple[dict[str, Any], list[dict[str, str]]]) -> None:
    report = run[0]
    pairs = {(pair["transport"], *sorted((pair["client"], pair["server"]))): pair for pair in report["mesh"]["pairs"]}
    assert len(pairs) == 20 and report["mesh"]["away"] == {} and report["mesh"]["failed"] == 2
    failed = {name: pair for name, pair in pairs.items() if "error" in pair}
    assert set(failed) == {("rc", "rxe1", "rxe2"), ("rc", "rxe3", "rxe4")}
    seen, unseen = failed["rc", "rxe1", "rxe2"], failed["rc", "rxe3", "rxe4"]
    assert "transport retry counter exceeded" in seen["error"] and "the server's end" not in seen["error"]
    assert unseen["error"].startswith(f"the server's end on {unseen['server']} failed: ")
    assert "transport retry counter exceeded" in unseen["error"]
    for name, pair in pairs.items():
        if name not in failed:
            assert pair["samples"] + pair["lost"] == ITERATIONS and 0 < pair["median_us"] <= pair["p99_us"]
    # with the failure come the counters, of the end that counted
    assert seen["errors_risen"] == {seen["client"]: {"completer_retry_err": 1}, seen["server"]: {}}
    assert unseen["errors_risen"] == {unseen["client"]: {}, unseen["server"]: {"completer_retry_err": 1}}
    gates = {(gate["name"], gate["host"]) for gate in report["gates"] if not gate["ok"]}
    assert gates == {("mesh.failed_pairs_max", f"rxe{number}") for number in range(1, 5)} | {
        ("rdma_link.errors_risen_max", seen["client"]),
        ("rdma_link.errors_risen_max", unseen["server"]),
    }
    assert report["summary"][0].endswith("its speed says nothing about hardware")
