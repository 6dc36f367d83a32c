# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RoCE version 1 has no IP header: every system goes by the PCP, and nobody is told of a UDP port."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.possible import RENDER
from tests.unit.fabric.intents import star

PORTS = {"cumulus": "swp{}", "eos": "Ethernet{}", "linux": "swp{}", "nxos": "Ethernet1/{}", "sonic": "Ethernet{}"}
BY_PCP = {
    "cumulus": "'trust': 'l2'",
    "eos": "'trust': 'cos'",
    "linux": "pcp=(0, 1, 2, 3, 4, 5, 6, 7)",
    "nxos": "{'cos': [3]}",
    "sonic": "dot1p_to_tc_map",
}
BY_DSCP = {
    "cumulus": "'trust': 'l3'",
    "eos": "'trust': 'dscp'",
    "linux": "DscpFilter(",
    "nxos": "{'dscp': [26]}",
    "sonic": "dscp_to_tc_map",
}


def rendered(system: str, **more: Any) -> str:
    intent = {**star(), "lldp": {"dcbx": True}, **more}
    intent["devices"] = {"leaf1": {"os": system, "version": "10.4" if system == "nxos" else "5.15"}}
    for number, link in enumerate(intent["links"], start=1):
        link["a"] = f"leaf1:{PORTS[system].format(number)}"
    return repr(RENDER[system](parse_intent(intent), "leaf1"))


@pytest.mark.parametrize("system", RENDER)
def test_version_1_goes_by_the_pcp(system: str) -> None:
    one, two = rendered(system, roce_version=1, trust="pcp"), rendered(system)
    assert BY_PCP[system] in one and BY_DSCP[system] not in one
    assert BY_DSCP[system] in two and BY_PCP[system] not in two
    assert "4791" not in one and ("4791" in two) == (system == "cumulus")
