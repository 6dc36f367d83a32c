"""The section `host`: a no-change run of role roce_host on one container host and on many.

The hosts are those of molecule/roce_host. They live in the private podman of molecule/run, so one process stays in
there (`molecule/run exec python -m bench.host`) and is asked over its standard input: {"hosts": 1} for a run of the
role, {"command": [...]} for a peer's. It answers with one JSON line each.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import contest
from bench.contest import BenchError, Contender, Metrics
from bench.results import Section

CHECKOUT = Path(__file__).resolve().parents[1]
SCENARIO = CHECKOUT / "molecule" / "roce_host"
PLAYBOOK = CHECKOUT / "bench" / "host.yml"
FORKS = 16
FORKS_OF_BOOTS = 4  # each of them is a whole systemd that starts
LIMIT_S = 900


class Rig:
    """The process among the containers."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Its answer; BenchError with what it said when it failed."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise BenchError("the hosts are gone, see above")
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise BenchError(found["error"])
        return found

    def role(self, hosts: int) -> Metrics:
        """Seconds of one host, of all, and how they grow."""
        one, many = self.ask({"hosts": 1}), self.ask({"hosts": hosts})
        per_host = many["seconds"] / hosts
        return {
            "one_host_s": one["seconds"],
            "tasks": one["tasks"],
            f"{hosts}_hosts_s": many["seconds"],
            "per_host_s": per_host,
            "growth": per_host / one["seconds"],
        }

    def peer(self, command: Sequence[str], read: Callable[[str], Metrics]) -> Metrics:
        """Figures of a peer's command, run where podman has the images."""
        return read(self.ask({"command": list(command)})["output"])


@contextmanager
def rig(hosts: int) -> Iterator[Rig]:
    """Hosts that the role was run on and that were booted; all gone afterwards."""
    if os.geteuid() != 0:
        raise BenchError("host: containers with systemd need root; next: run it as root")
    command = [str(CHECKOUT / "molecule" / "run"), "exec", sys.executable, "-m", "bench.host", str(hosts)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT)
    try:
        found = Rig(process)
        found.ask({})
        yield found
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=LIMIT_S)  # it removes every container


def contest_of(found: Rig, hosts: int, listed: list[dict[str, Any]]) -> tuple[Section, list[Contender]]:
    """Ours, then the peers of the section."""
    section = Section(
        "host",
        "A run of role roce_host that changes nothing, on one container host and on many",
        ("one_host_s", "tasks", f"{hosts}_hosts_s", "per_host_s", "growth"),
        bar="under half the time of linux-system-roles' kernel_settings, timesync and bootloader; linear with hosts",
        note="The whole of ansible-playbook, facts gathered once and its start included. growth: seconds a host of all"
        " together over those of one alone; below 1 where tasks of several hosts run side by side.",
    )
    ours = Contender("tickwire.fabric.roce_host", measure=lambda: found.role(hosts))
    return section, [ours, *(_contender(found, peer) for peer in listed if peer["section"] == "host")]


def _contender(found: Rig, peer: dict[str, Any]) -> Contender:
    read = contest.pattern(peer["pattern"], peer["unit"], 1)
    return Contender(
        peer["name"],
        measure=lambda: found.peer(peer["command"], read),
        licence=peer.get("licence", ""),
        version=peer.get("version", ""),
        note=peer.get("note", ""),
    )


def inventory(directory: Path, hosts: int) -> Path:
    """An inventory of that many containers with the scenario's variables."""
    names = [f"host{number:02}" for number in range(1, hosts + 1)]
    image = {"container_image": "localhost/tickwire-trixie:latest"}
    common = {"ansible_connection": "containers.podman.podman", "ansible_python_interpreter": "/usr/bin/python3"}
    directory.mkdir()
    document = {"all": {"vars": common, "children": {"containers": {"hosts": {name: image for name in names}}}}}
    (directory / "hosts.yml").write_text(json.dumps(document), encoding="utf-8")
    variables = SCENARIO / "inventory" / "group_vars"
    (directory / "group_vars").symlink_to(variables)
    return directory


def play(playbook: Path, where: Path, *arguments: str, forks: int = FORKS) -> str:
    """What ansible-playbook printed; BenchError when it failed."""
    command = ["ansible-playbook", "-i", str(where), "--forks", str(forks), str(playbook), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_S, cwd=CHECKOUT)
    if done.returncode != 0:
        raise BenchError(f"{playbook.name}: {(done.stdout + done.stderr)[-1500:]}")
    return done.stdout


def timed(where: Path, hosts: int) -> dict[str, Any]:
    """One run of the role that must change nothing; seconds of the whole ansible-playbook, and its tasks."""
    limit = ["--limit", "host01"] if hosts == 1 else []
    started = time.monotonic()
    output = play(PLAYBOOK, where, *limit)
    seconds = time.monotonic() - started
    changed = re.findall(r"changed=(\d+)", output)
    if changed != ["0"] * hosts:
        raise BenchError(f"host: the run was to change nothing on {hosts} hosts, it said: {output[-800:]}")
    tasks = re.findall(r"^TASK \[(.*)\]", output, re.MULTILINE)
    gathered = sum(1 for name in tasks if name == "Gathering Facts" or name.endswith(("setup", "gather_facts")))
    if gathered != 1:
        raise BenchError(f"host: facts were gathered {gathered} times")
    return {"seconds": seconds, "tasks": len(tasks)}


def answer(where: Path, question: dict[str, Any]) -> dict[str, Any]:
    """One answer."""
    if "hosts" in question:
        return timed(where, question["hosts"])
    if "command" in question:
        done = subprocess.run(
            question["command"], capture_output=True, text=True, check=False, timeout=LIMIT_S, stdin=subprocess.DEVNULL
        )
        if done.returncode != 0:
            raise BenchError(f"exit code {done.returncode}, it said: {(done.stdout + done.stderr)[-800:]}")
        return {"output": done.stdout}
    return {}


def main() -> int:
    """Make the hosts, then answer until there is no question left."""
    hosts = int(sys.argv[1])
    os.environ["ANSIBLE_CONFIG"] = str(CHECKOUT / "ansible.cfg")
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(CHECKOUT / ".venv" / "collections")
    where = Path(os.environ["TICKWIRE_MOLECULE_TMP"]) / "bench-inventory"
    ready = False
    for line in sys.stdin:
        try:
            if not ready:
                inventory(where, hosts)
                play(SCENARIO / "create.yml", where, forks=FORKS_OF_BOOTS)
                play(PLAYBOOK, where)
                ready = True
            found = answer(where, json.loads(line))
        except (BenchError, OSError, subprocess.TimeoutExpired) as error:
            found = {"error": str(error)}
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
