# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DCB of a host with the real ``dcb`` and ``ethtool`` on the test NIC twx1, and RoCE on a real rxe device.

As root, with the collection on the module path and the subjects (dcb, roce) as arguments. Prints one JSON object.
Former values are kept in a directory of its own, and every setting is put back, so that nothing of the host it runs on
is touched.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb import apply
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.apply import reapply as reapply_dcb
from ansible_collections.tickwire.fabric.plugins.module_utils.host.dcb.rivals import stop_firmware_agents
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import dcb as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import roce as roce_part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.roce.apply import apply_roce
from ansible_collections.tickwire.fabric.plugins.module_utils.host.roce.apply import reapply as reapply_roce
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

NIC = "twx1"
BARE = "lo"  # has no DCB
FABRIC = "fab0"  # has rxe0
OBJECTS = ("dcbx", "ets", "pfc", "app", "apptrust", "buffer", "maxrate")
LANES: dict[str, Any] = {
    "trust": "dscp",
    "pfc": [3],
    "prio_tc": [0, 0, 0, 3, 0, 0, 6, 0],
    "tsa": ["ets", "strict", "strict", "ets", "strict", "strict", "strict", "strict"],
    "bw": [50, 0, 0, 50, 0, 0, 0, 0],
    "dscp": [{"dscp": 0, "priority": 0}, {"dscp": 26, "priority": 3}, {"dscp": 48, "priority": 6}],
    "headroom_bytes": 40960,
}
EXTRA = {
    "prio_buffer": [0, 0, 0, 1, 0, 0, 0, 0],
    "buffers": [{"buffer": 0, "size_bytes": 65536}, {"buffer": 1, "size_bytes": 65536}],
    "maxrate": [{"tc": 0, "mbps": 1000}],
}


# the link of the test NIC may be up, and nobody uses it
apply_dcb = functools.partial(apply.apply_dcb, bounce_allowed=True)


def run(argv: list[str]) -> tuple[int, str, str]:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr


def must(*argv: str) -> str:
    code, out, err = run(list(argv))
    if code:
        raise RuntimeError(f"{' '.join(argv)}: {err}")
    return out


def shown(*objects: str) -> dict[str, Any]:
    """What the NIC has, as dcb prints it."""
    return {name: json.loads(must("dcb", "-N", "-j", name, "show", "dev", NIC)) for name in objects}


def refused(system: System, interfaces: dict[str, Any], required: bool = False) -> str:
    try:
        apply_dcb(system, interfaces, required, False)
    except HostError as error:
        return str(error)
    return ""


def dcb(system: System) -> dict[str, Any]:
    """What happens, step by step."""
    found: dict[str, Any] = {}
    wanted = {NIC: {**LANES, **EXTRA}}
    document = {"dcb": wanted, "bounce_allowed": True}
    fresh = shown(*OBJECTS)
    must("ethtool", "-A", NIC, "rx", "on", "tx", "on")
    found["with global pause"] = refused(system, wanted)
    found["as before the refusal"] = shown("ets") == {"ets": fresh["ets"]}
    must("ethtool", "-A", NIC, "rx", "off", "tx", "off")

    found["check mode"] = apply_dcb(system, wanted, True, True).changed and shown("pfc") == {"pfc": fresh["pfc"]}
    found["first"] = apply_dcb(system, wanted, True, False).changed
    found["shown"] = shown(*OBJECTS)
    found["drift"] = [str(one) for one in part.drift(system, document, False)]
    found["second"] = apply_dcb(system, wanted, True, False).changed

    must("dcb", "pfc", "set", "dev", NIC, "prio-pfc", "4:on")
    must("dcb", "app", "replace", "dev", NIC, "dscp-prio", "34:3", "26:5")
    found["drift by others"] = [str(one) for one in part.drift(system, document, False)]
    found["finding"] = part.running(system, document)["dcb_findings"]
    found["reapplied"] = reapply_dcb(system, document, NIC)
    found["reapplied again"] = reapply_dcb(system, document, NIC)
    found["entry of others stays"] = [34, 3] in [entry[:2] for entry in shown("app")["app"]["dscp_prio"]]
    must("dcb", "app", "del", "dev", NIC, "dscp-prio", "34:3")

    ruled = shown("ets", "pfc", "buffer")
    found["too large"] = refused(
        system, {NIC: {**LANES, "pfc": [3, 4], "buffers": [{"buffer": 2, "size_bytes": 2**30}]}}
    )
    found["as before the failure"] = shown("ets", "pfc", "buffer") == ruled

    must("ethtool", "--set-priv-flags", NIC, "fw-lldp-agent", "on")
    found["firmware agent"] = part.running(system, document)["dcb_findings"]
    found["stopped"] = stop_firmware_agents(system, NIC)

    found["without extras"] = apply_dcb(system, {NIC: LANES}, True, False).after[NIC]
    apply_dcb(system, {}, False, False)
    found["given back"] = {name: value for name, value in shown(*OBJECTS).items() if value != fresh[name]}
    found["kept"] = sorted(path.name for path in system.path("var/lib/tickwire").iterdir())

    must("ethtool", "-A", NIC, "rx", "on", "tx", "on")  # as the driver loads
    bare = apply_dcb(system, {BARE: LANES}, False, False)
    found["without DCB"] = [bare.changed, sorted(bare.unsupported[BARE])]
    found["required"] = refused(system, {BARE: LANES}, required=True)
    return found


def roce(system: System) -> dict[str, Any]:
    """rxe0 on fab0, as it is and made anew; its directory in configfs is as before in the end."""
    found: dict[str, Any] = {}
    must("modprobe", "rdma_cm")
    wanted = {FABRIC: {"version": 2, "priority": 3, "tos": 106, "cnp": {"dscp": 48, "priority": 6}, "ecn": [3]}}
    document = {"roce": wanted}
    found["check mode"] = [one[1] for one in apply_roce(system, wanted, True).changed]
    first = apply_roce(system, wanted, False)
    found["first"] = [list(one[1:]) for one in first.changed]
    found["gids"] = first.gids
    found["unsupported"] = first.unsupported
    found["second"] = apply_roce(system, wanted, False).changed
    found["drift"] = [str(one) for one in roce_part.drift(system, document, False)]
    try:
        apply_roce(system, {FABRIC: {"tos": 8, "version": 1}}, False)
    except HostError as error:
        found["version 1"] = str(error)
    found["as before the refusal"] = apply_roce(system, wanted, True).changed
    must("rdma", "link", "delete", "rxe0")
    must("rdma", "link", "add", "rxe0", "type", "rxe", "netdev", FABRIC)
    found["made anew"] = [str(one) for one in roce_part.drift(system, document, False)]
    found["reapplied"] = reapply_roce(system, document, FABRIC)
    found["reapplied again"] = reapply_roce(system, document, FABRIC)
    found["taken away"] = [list(one[1:]) for one in apply_roce(system, {}, False).changed]
    found["directory"] = system.path("sys/kernel/config/rdma_cm/rxe0").exists()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for directory in ("sys", "proc", "usr", "etc"):
            os.symlink(f"/{directory}", root / directory)
        system = System(root, run)
        parts = {"dcb": dcb, "roce": roce}
        json.dump({part: parts[part](system) for part in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
