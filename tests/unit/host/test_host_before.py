# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is kept of the host before us, by processes that change it at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import before
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

#: Keeps values under an owner and lets go of every second one. It dawdles where the other one would get in between.
WRITER = """
import sys, time
from pathlib import Path
from ansible_collections.tickwire.fabric.plugins.module_utils.host import before
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

def slowly(path, text, mode, write=before.write_atomic):
    time.sleep(0.002)
    write(path, text, mode)

before.write_atomic = slowly
root, owner, interface = sys.argv[1:]
system = System(Path(root), lambda argv: (1, "", ""))
print(flush=True)
sys.stdin.readline()
for number in range(20):
    before.remember(system, owner, {f"{interface} {number}": str(number)})
    if number % 2:
        before.forget(system, owner, {f"{interface} {number}"})
"""
LEFT = range(0, 20, 2)


@pytest.fixture
def system(tmp_path: Path) -> System:
    return System(tmp_path, lambda dummy: (1, "", ""))


@pytest.mark.parametrize("owners", [("nic", "nic"), ("nic", "nic_firmware")])
def test_two_processes_lose_nothing_of_each_other(system: System, owners: tuple[str, str]) -> None:
    started = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(system.root), owner, interface],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for owner, interface in zip(owners, ("ens4", "ens5"), strict=True)
    ]
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == b"\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in started:
        process.communicate(timeout=60)
        assert process.returncode == 0
    for owner, interface in zip(owners, ("ens4", "ens5"), strict=True):
        kept = before.read_before(system, owner)
        mine = {name: value for name, value in kept.items() if name.startswith(interface)}
        assert mine == {f"{interface} {number}": str(number) for number in LEFT}


def test_the_first_value_is_kept_and_nothing_is_left_of_nothing(system: System) -> None:
    before.remember(system, "nic", {"ens4 ring": "256"})
    before.remember(system, "nic", {"ens4 ring": "1024", "ens5 ring": "512"})
    assert before.read_before(system, "nic") == {"ens4 ring": "256", "ens5 ring": "512"}
    before.write_before(system, "nic", {"ens4 mtu": "1500"}, lambda name: name.startswith("ens4"))
    assert before.read_before(system, "nic") == {"ens4 mtu": "1500", "ens5 ring": "512"}
    assert system.path(before.FILE).stat().st_mode & 0o777 == 0o600
    before.forget(system, "nic", {"ens4 mtu", "ens5 ring", "never there"})
    assert list(system.path(before.FILE).parent.iterdir()) == []


def test_what_changes_nothing_makes_no_file(system: System) -> None:
    before.write_before(system, "nic", {})
    before.remember(system, "nic", {})
    before.forget(system, "nic", {"ens4 ring"})
    assert list(system.root.iterdir()) == []
