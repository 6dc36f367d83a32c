# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host code on the test NIC of this machine's kernel (lab/kmod): what ethtool and the kernel really answer.

As root, with the collection on the module path. Works on twx1 and twp0 and leaves them as they were; the files of the
host code go to a directory of its own. Prints one JSON object; what is in it is compared by the test that started it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.apply import NicResult, apply_nics, reapply
from ansible_collections.tickwire.fabric.plugins.module_utils.host.nic.wanted import parse_nics
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import nic as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

CARD, PLAIN = "twx1", "twp0"
WANTED: dict[str, Any] = {
    "name": CARD,
    "rings": {"rx": "max", "tx": 1024},
    "channels": {"combined": 4},
    "coalesce": {"adaptive_rx": False, "adaptive_tx": False, "rx_usecs": 0, "tx_usecs": 8},
    "pause": {"rx": False, "tx": False},
    "offloads": {"lro": False, "gro": False},
    "mtu": 9000,
    "ntuple": [{"dst_ip": "233.54.12.111", "dst_port": 26477, "queue": 3}],
}
READS = ("--version", "--json", "-i", "-g", "-l", "-c", "-a", "-k", "-n", "-x", "--show-priv-flags")


def run(argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr


def run_reads(argv: list[str]) -> tuple[int, str, str]:
    if argv[0] != "ethtool" or argv[1] not in READS:
        raise AssertionError(f"{argv} was run in check mode")
    return run(argv)


def settings() -> str:
    """All that ethtool says of the card, for people: no code of the collection is in between."""
    shown = [run(["ethtool", option, CARD])[1] for option in ("-g", "-l", "-c", "-a", "-k", "-n", "-x")]
    return "".join([*shown, Path(f"/sys/class/net/{CARD}/mtu").read_text()])


def await_link() -> None:
    deadline = time.monotonic() + 20
    while Path(f"/sys/class/net/{CARD}/operstate").read_text() != "up\n":
        if time.monotonic() > deadline:
            raise TimeoutError(f"{CARD} has no link")
        time.sleep(0.05)


def refusal(act: Callable[[], object]) -> str:
    try:
        act()
    except HostError as error:
        return str(error)
    return "not refused"


def story(system: System) -> dict[str, Any]:
    def apply(*nics: dict[str, Any], check: bool = False, bounce: bool = True) -> NicResult:
        return apply_nics(system, parse_nics(nics), check, bounce)

    found: dict[str, Any] = {}
    await_link()
    before = settings()
    quiet = System(system.root, run_reads)
    found["check"] = [str(item) for item in apply_nics(quiet, parse_nics([WANTED]), True, True).changes]
    found["bounce"] = refusal(lambda: apply({"name": CARD, "rings": {"rx": 1024}}, bounce=False))
    found["above maximum"] = refusal(lambda: apply({"name": CARD, "rings": {"rx": 9999}}))
    found["rounded"] = refusal(lambda: apply({"name": CARD, "rings": {"rx": 1000}}))
    half = {"name": CARD, "rings": {"rx": 1024}, "coalesce": {"adaptive_rx": False, "rx_usecs": 9000}}
    found["half"] = refusal(lambda: apply(half))
    lacking = {"name": CARD, "coalesce": {"rx_usecs_irq": 1}, "pcie_read_request": 4096}
    result = apply(lacking, {"name": PLAIN, "rings": {"rx": 1024}, "pause": {"rx": False}})
    found["not supported"] = sorted(map(str, result.lacks)) + [str(change) for change in result.changes]
    found["required"] = refusal(lambda: apply({"name": PLAIN, "rings": {"rx": 1024}, "required": True}))
    found["untouched so far"] = settings() == before

    bounces = int(Path(f"/sys/class/net/{CARD}/carrier_changes").read_text())
    found["set"] = [str(item) for item in apply(WANTED).changes]
    found["bounced"] = int(Path(f"/sys/class/net/{CARD}/carrier_changes").read_text()) > bounces
    found["read back"] = settings().splitlines()
    found["again"] = [str(item) for item in apply(WANTED, bounce=False).changes]
    wanted = {"nics": [WANTED]}

    run(["ip", "link", "set", CARD, "down"])
    run(["ip", "link", "set", CARD, "up"])
    found["drift after ifup"] = [item.item for item in part.PART.drift(system, wanted, False)]
    found["set again"] = reapply(system, wanted, CARD)
    # Without a link a bounce would cost nothing.
    await_link()
    run(["ethtool", "-G", CARD, "rx", "512"])
    await_link()
    found["without a bounce"] = reapply(system, wanted, CARD)
    found["with a bounce"] = reapply(system, {**wanted, "bounce_allowed": True}, CARD)

    moved = {**WANTED, "ntuple": [{"dst_ip": "233.54.12.111", "dst_port": 26477, "queue": 1}]}
    found["fewer queues"] = [str(item) for item in apply({**moved, "channels": {"combined": 2}}).changes]
    apply()
    found["as before"] = settings() == before
    found["nothing kept"] = not (system.root / "var/lib/tickwire/host-before.json").exists()
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for directory in ("sys", "proc", "run"):
            (root / directory).symlink_to(f"/{directory}")
        print(json.dumps(story(System(root, run))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
