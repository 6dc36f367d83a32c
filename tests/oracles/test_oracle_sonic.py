# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A SONiC switch with a real Redis: changed, refused, dropped in the middle, brought back; storms in its counters."""

from __future__ import annotations

import copy
import fcntl
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import Fabric, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import PfcCounters
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.commands import Switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.counters import COMMANDS, counters
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.session import Leave, Options, Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.sonic.tables import SonicError
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.storm import (
    pause_shares,
    storm_findings,
    watches,
)
from tests.devices.sonic_switch import SonicSwitch, factory_config
from tests.devices.sonic_yang import violations

CHECKOUT = Path(__file__).resolve().parents[2]
INTENT: dict[str, Any] = {
    "name": "ldn1",
    "lanes": {
        "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 50},
        "cnp": {"dscp": [48], "priority": 6, "strict": True},
        "bulk": {"dscp": [0], "priority": 0, "share": 50, "default": True},
    },
    "vlans": {"trading": 110, "storage": {"id": 120, "lanes": ["bulk"]}},
    "devices": {"leaf1": {"os": "sonic", "asic": "spectrum2"}},
    "links": [
        {"a": "leaf1:Ethernet0", "b": "trade1:ens4", "speed_gbps": 100, "cable_m": 5},
        {"a": "leaf1:Ethernet4", "b": "store1:ens4", "speed_gbps": 100, "cable_m": 5, "vlan": "storage"},
    ],
}
Make = Callable[..., Session]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SonicSwitch]:
    with SonicSwitch(tmp_path_factory.mktemp("sonic") / "switch") as switch:
        yield switch


@pytest.fixture
def switch(machine: SonicSwitch) -> SonicSwitch:
    machine.reset(factory_config())
    return machine


def fabric_with(**buffers: Any) -> Fabric:
    return parse_intent({**copy.deepcopy(INTENT), "buffers": buffers})


@pytest.fixture
def make(switch: SonicSwitch, tmp_path: Path) -> Make:
    def made(fabric: Fabric | None = None, leave: Leave | None = None, save: bool = True) -> Session:
        options = Options(leave or Leave(), "tickwire", save)
        return Session(Switch(switch.run), fabric or fabric_with(), "leaf1", options, tmp_path, switch.root)

    return made


def test_a_change_is_a_patch_and_the_second_run_changes_nothing(switch: SonicSwitch, make: Make) -> None:
    found = make().check()
    assert (found["changed"], found["way"], found["disruptions"]) == (True, "patch", [])
    assert switch.running() == factory_config() == switch.saved()
    applied = make().apply()
    assert applied["changed"] is True
    assert [command.split()[1] for command in applied["commands"]] == [
        "checkpoint",
        "apply-patch",
        "checkpoint",
        "save",
    ]
    assert violations(switch.running()) == []
    assert switch.saved() == switch.running()
    assert switch.reloads == 0
    assert not [finding for finding in applied["findings"] if finding["severity"] == "error"]
    again = make().apply()
    assert (again["changed"], again["commands"], again["way"], again["patch"]) == (False, [], "none", [])


def test_the_ports_carry_the_lanes_of_their_vlan(switch: SonicSwitch, make: Make) -> None:
    make().apply()
    config = switch.running()
    trading, storage = (config["PORT_QOS_MAP"][port] for port in ("Ethernet0", "Ethernet4"))
    assert (trading["pfc_enable"], trading["pfcwd_sw_enable"], storage["pfc_enable"]) == ("3", "3", "")
    assert config["DSCP_TO_TC_MAP"][trading["dscp_to_tc_map"]]["26"] == "3"
    assert config["DSCP_TO_TC_MAP"][storage["dscp_to_tc_map"]]["26"] == "0"
    assert trading["pfc_to_pg_map"].startswith("TICKWIRE_")
    assert config["BUFFER_PG"]["Ethernet0|3"] == {"profile": "NULL"} == config["BUFFER_PG"]["Ethernet0|4"]
    assert "Ethernet4" not in config["PFC_WD"]
    assert config["PFC_WD"]["GLOBAL"] == {"POLL_INTERVAL": "100"}
    assert config["VLAN_MEMBER"] == {
        "Vlan110|Ethernet0": {"tagging_mode": "untagged"},
        "Vlan120|Ethernet4": {"tagging_mode": "untagged"},
    }
    factory = factory_config()
    for port in ("Ethernet8", "Ethernet12"):
        assert config["PORT_QOS_MAP"][port] == factory["PORT_QOS_MAP"][port]
        assert config["PORT"][port] == factory["PORT"][port]


def test_a_port_has_one_vlan_without_a_tag_and_of_ours_those_of_its_link(switch: SonicSwitch, make: Make) -> None:
    """A port that moves from one VLAN to another would be in both otherwise."""
    config = factory_config()
    config["VLAN"] = {f"Vlan{number}": {"vlanid": str(number)} for number in (1, 110, 120)}
    config["VLAN_MEMBER"] = {
        "Vlan110|Ethernet4": {"tagging_mode": "tagged"},
        "Vlan1|Ethernet0": {"tagging_mode": "untagged"},
        "Vlan1|Ethernet4": {"tagging_mode": "tagged"},
        "Vlan1|Ethernet8": {"tagging_mode": "untagged"},
    }
    switch.reset(config)
    make().apply()
    assert switch.running()["VLAN_MEMBER"] == {
        "Vlan110|Ethernet0": {"tagging_mode": "untagged"},
        "Vlan120|Ethernet4": {"tagging_mode": "untagged"},
        "Vlan1|Ethernet4": {"tagging_mode": "tagged"},
        "Vlan1|Ethernet8": {"tagging_mode": "untagged"},
    }
    assert make().apply()["changed"] is False


def test_what_is_not_ours_and_contradicts_is_told_and_left(switch: SonicSwitch, make: Make) -> None:
    config = factory_config()
    config["VLAN"] = {"Vlan1": {"vlanid": "1"}, "Vlan110": {"vlanid": "110"}}
    config["VLAN_MEMBER"] = {
        "Vlan1|Ethernet0": {"tagging_mode": "tagged"},
        "Vlan110|Ethernet8": {"tagging_mode": "untagged"},
    }
    config["PORT"]["Ethernet4"]["speed"] = "40000"
    config["PFC_WD"]["Ethernet4"] = {"action": "drop", "detection_time": "200", "restoration_time": "400"}
    config["PORT_STORM_CONTROL"] = {"Ethernet0|unknown-multicast": {"kbps": "1000"}}
    config["SCHEDULER"]["mine"] = {"type": "STRICT"}
    config["QUEUE"]["Ethernet0|7"] = {"scheduler": "mine"}
    switch.reset(config)
    found = make().apply()["findings"]
    told = {finding["path"].partition(":")[2] for finding in found if finding["rule"] == "drift-unmanaged"}
    assert told == {
        "BUFFER_PG|Ethernet0|4 profile",
        "BUFFER_PG|Ethernet4|3-4 profile",
        "QUEUE|Ethernet0|7 scheduler",
        "PFC_WD|Ethernet4",
        "PORT_STORM_CONTROL|Ethernet0|unknown-multicast kbps",
        "PORT|Ethernet4 speed",
        "VLAN_MEMBER|Vlan1|Ethernet0",
        "VLAN_MEMBER|Vlan110|Ethernet8",
        "PORT_QOS_MAP|Ethernet8",
        "PORT_QOS_MAP|Ethernet12",
    }
    after = switch.running()
    assert after["PFC_WD"]["Ethernet4"] == config["PFC_WD"]["Ethernet4"]
    assert after["QUEUE"]["Ethernet0|7"] == {"scheduler": "mine"}
    assert make().apply()["changed"] is False


@pytest.mark.parametrize(
    ("facts", "config", "fabric", "reason"),
    [
        (
            {"asic_type": "mellanox", "gcu_asic": "spc2"},
            {},
            {"model": "traditional", "total_kb": 40_000},
            "buffer_model",
        ),
        ({"asic_type": "vs", "gcu_asic": ""}, {}, {}, "PFC_WD"),
        ({"asic_type": "mellanox", "gcu_asic": "spc2"}, {"BUFFER_POOL": None}, {}, "BUFFER_POOL"),
    ],
)
def test_what_needs_a_reload_is_told_and_needs_leave(
    switch: SonicSwitch, make: Make, facts: dict[str, str], config: dict[str, Any], fabric: dict[str, Any], reason: str
) -> None:
    before = factory_config()
    for table in config:
        del before[table]
        before["BUFFER_PROFILE"] = {}
        del before["BUFFER_PROFILE"], before["BUFFER_QUEUE"]
    switch.reset(before)
    switch.facts(**facts)
    intent = fabric_with(**fabric)
    if facts["asic_type"] == "vs":
        intent = parse_intent({**INTENT, "devices": {"leaf1": {"os": "sonic", "asic": "virtual"}}})
    found = make(intent).check()
    assert found["way"] == "reload"
    assert reason in found["disruptions"][0]
    with pytest.raises(SonicError, match=r"needs a config reload.*roce_switch_reload_allowed"):
        make(intent).apply()
    assert switch.running() == before == switch.saved()
    assert switch.reloads == 0
    done = make(intent, Leave(reload=True)).apply()
    assert done["changed"] is True
    assert switch.reloads == 1
    assert violations(switch.running()) == []
    assert switch.saved() == switch.running()
    assert make(intent).apply()["changed"] is False
    # the platform takes no patch, so that the way back is a reload too
    assert make(intent, Leave(reload=True)).restore(check_mode=False)["changed"] is True
    assert switch.running() == before == switch.saved()


def test_a_refused_line_leaves_the_switch_as_it_was(switch: SonicSwitch, make: Make) -> None:
    switch.faults(refuse="WRED_PROFILE")
    with pytest.raises(SonicError, match=r"refuses the change.*WRED_PROFILE.*nothing was changed"):
        make().apply()
    assert switch.running() == factory_config() == switch.saved()
    assert not [line for line in switch.log if line.startswith(("config checkpoint", "config save"))]


@pytest.mark.parametrize("rows", [0, 7])
def test_a_change_that_dies_in_the_middle_is_put_back(switch: SonicSwitch, make: Make, rows: int) -> None:
    switch.faults(drop_after=rows)
    with pytest.raises(SonicError, match=r"apply-patch.*failed with 137.*the former configuration is back"):
        make().apply()
    assert switch.running() == factory_config() == switch.saved()
    switch.faults()
    assert make().apply()["changed"] is True


def test_a_row_that_is_taken_and_not_written_is_noticed_and_put_back(switch: SonicSwitch, make: Make) -> None:
    switch.faults(deaf="VLAN_MEMBER")
    with pytest.raises(SonicError, match=r"yet differs: VLAN_MEMBER.*the former configuration is back"):
        make().apply()
    assert switch.running() == factory_config() == switch.saved()


def test_a_file_that_cannot_be_written_puts_the_change_back(switch: SonicSwitch, make: Make) -> None:
    switch.faults(save=True)
    with pytest.raises(SonicError, match=r"No space left.*the former configuration is back"):
        make().apply()
    assert switch.running() == factory_config() == switch.saved()


def test_another_administrators_unsaved_change_is_not_saved_by_us(switch: SonicSwitch, make: Make) -> None:
    switch.database("CONFIG_DB").hset("PORT|Ethernet12", "mtu", "1500")
    with pytest.raises(SonicError, match=r"nobody saved \(PORT\|Ethernet12 mtu\), "):
        make().apply()
    assert switch.saved() == factory_config()
    assert make(leave=Leave(unsaved=True)).apply()["changed"] is True
    assert switch.saved()["PORT"]["Ethernet12"]["mtu"] == "1500"


def test_our_own_unsaved_change_is_saved_by_the_next_run(switch: SonicSwitch, make: Make) -> None:
    assert make(save=False).apply()["changed"] is True
    assert switch.saved() == factory_config()
    assert make(save=False).apply()["changed"] is False
    again = make().apply()
    assert (again["changed"], again["commands"]) == (True, ["config save -y"])
    assert switch.saved() == switch.running()
    assert make().apply()["changed"] is False


def test_another_administrators_lock_is_respected(switch: SonicSwitch, make: Make) -> None:
    with (switch.root / "etc/sonic/reload.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("reload, pid 4711\n")
        lock.flush()
        with pytest.raises(SonicError, match=r"reload, pid 4711 holds /etc/sonic/reload.lock"):
            make().apply()
    assert switch.running() == factory_config()


def test_going_back_is_exact_and_stops_at_what_others_did_since(switch: SonicSwitch, make: Make) -> None:
    with pytest.raises(SonicError, match="there is no checkpoint tickwire"):
        make().restore(check_mode=False)
    make().apply()
    after = switch.running()
    assert make().restore(check_mode=True)["changed"] is True
    assert switch.running() == after
    switch.database("CONFIG_DB").hset("PORT|Ethernet12", "mtu", "1500")
    with pytest.raises(SonicError, match=r"would also undo.*PORT\|Ethernet12 mtu"):
        make().restore(check_mode=False)
    switch.database("CONFIG_DB").hset("PORT|Ethernet12", "mtu", "9100")
    assert make().restore(check_mode=False)["changed"] is True
    assert switch.running() == factory_config() == switch.saved()
    assert make().restore(check_mode=False)["changed"] is False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: config["PORT"].pop("Ethernet4"), "Ethernet4 of the intent is no port of this switch"),
        (lambda config: config.update(INTERFACE={"Ethernet0|10.0.0.0/31": {}}), "makes Ethernet0 no port of a VLAN"),
    ],
)
def test_a_switch_that_cannot_be_it_is_refused(
    switch: SonicSwitch, make: Make, change: Callable[[Any], Any], message: str
) -> None:
    config = factory_config()
    change(config)
    switch.reset(config)
    with pytest.raises(SonicError, match=message):
        make()


def test_a_chip_that_is_not_the_intents_is_refused(switch: SonicSwitch, make: Make) -> None:
    switch.facts(asic_type="broadcom", gcu_asic="th")
    with pytest.raises(SonicError, match=r"fabric.devices.leaf1.asic: spectrum2, and the switch says .*broadcom"):
        make()


def test_what_became_of_the_configuration_is_read_too(switch: SonicSwitch, make: Make) -> None:
    make().apply()
    appl = switch.database("APPL_DB")
    appl.hset("PORT_TABLE:Ethernet0", mapping={"mtu": "9100", "oper_status": "down"})
    appl.hset("LLDP_ENTRY_TABLE:Ethernet0", "lldp_rem_sys_name", "trade9.example")
    appl.hset("BUFFER_PG_TABLE:Ethernet0:3", "profile", "pg_lossless_100000_5m_profile")
    appl.hset("BUFFER_PROFILE_TABLE:pg_lossless_100000_5m_profile", "xoff", "33792")
    switch.database("STATE_DB").hset("BUFFER_MAX_PARAM_TABLE|Ethernet0", "max_headroom_size", "100000")
    counted = switch.database("COUNTERS_DB")
    counted.hset("COUNTERS_QUEUE_NAME_MAP", "Ethernet0:3", "oid:0x15000000000360")
    watchdog = {"PFC_WD_STATUS": "stormed", "PFC_WD_DETECTION_TIME": "400000", "PFC_WD_RESTORATION_TIME": "400000"}
    counted.hset("COUNTERS:oid:0x15000000000360", mapping=watchdog)
    found = make().check()["findings"]
    assert {(one["severity"], one["rule"]) for one in found if one["port"] == "Ethernet0" and one["link"] == 0} == {
        ("error", "drift"),
        ("warning", "link-down"),
        ("warning", "cabling"),
        ("warning", "headroom"),
        ("error", "headroom"),
        ("error", "storm"),
        ("error", "watchdog"),
    }
    counted.hset("COUNTERS:oid:0x15000000000360", mapping={"PFC_WD_STATUS": "operational"})
    counted.hset("COUNTERS:oid:0x15000000000360", "PFC_WD_DETECTION_TIME", "200000")
    rules = {one["rule"] for one in make().check()["findings"]}
    assert not {"storm", "watchdog"} & rules
    counted.hdel("COUNTERS:oid:0x15000000000360", "PFC_WD_STATUS")
    assert "does not run" in next(one["message"] for one in make().check()["findings"] if one["rule"] == "watchdog")


class Story:
    """Counters of Ethernet0 as the chip and SONiC's watchdog write them, poll by poll.

    The watchdog is played after pfc_detect_mellanox.lua and pfc_restore.lua: a queue that is not empty, sent nothing
    and was paused for more than 0.99 of a poll adds up to a storm after 0.99 of the detection time; no pause frame for
    the restoration time ends it.
    """

    POLL_US, DETECT_US, RESTORE_US = 100_000, 200_000, 400_000
    PORT, QUEUE, GROUP, POOL = "oid:0x1", "oid:0x15", "oid:0x1a", "oid:0x18"

    def __init__(self, switch: SonicSwitch) -> None:
        self._switch, self._db = switch, switch.database("COUNTERS_DB")
        self._db.hset("COUNTERS_PORT_NAME_MAP", "Ethernet0", self.PORT)
        self._db.hset("COUNTERS_QUEUE_NAME_MAP", "Ethernet0:3", self.QUEUE)
        self._db.hset("COUNTERS_PG_NAME_MAP", "Ethernet0:3", self.GROUP)
        self._db.hset("COUNTERS_BUFFER_POOL_NAME_MAP", "ingress_lossless_pool", self.POOL)
        self._db.hset(f"COUNTERS:{self.POOL}", "SAI_BUFFER_POOL_STAT_WATERMARK_BYTES", "4096")
        self._db.hset(f"PERSISTENT_WATERMARKS:{self.GROUP}", f"{self.GROUP_STAT}XOFF_ROOM_WATERMARK_BYTES", "0")
        self.frames = self.paused_us = self.packets = self.detected = self.restored = 0
        self._left_us, self._quiet_us, self.stormed = self.DETECT_US, 0, False
        self.poll(frames=0, paused_us=0, packets=0, depth=0)

    GROUP_STAT = "SAI_INGRESS_PRIORITY_GROUP_STAT_"

    def poll(self, frames: int, paused_us: int, packets: int, depth: int) -> PfcCounters:
        """What one poll adds, and the counters as our reader sees them after it."""
        self.frames, self.paused_us, self.packets = (
            self.frames + frames,
            self.paused_us + paused_us,
            self.packets + packets,
        )
        if not self.stormed:
            still = depth > 0 and packets == 0 and paused_us > 0.99 * self.POLL_US
            self._left_us = self._left_us - self.POLL_US if still else self.DETECT_US
            if self.DETECT_US - self._left_us > 0.99 * self.DETECT_US:
                self.stormed, self.detected, self._quiet_us = True, self.detected + 1, 0
        else:
            self._quiet_us = 0 if frames else self._quiet_us + self.POLL_US
            if self._quiet_us >= self.RESTORE_US:
                self.stormed, self.restored, self._left_us = False, self.restored + 1, self.DETECT_US
        port = {
            "SAI_PORT_STAT_PFC_3_RX_PKTS": self.frames,
            "SAI_PORT_STAT_PFC_3_TX_PKTS": 0,
            "SAI_PORT_STAT_PFC_3_RX_PAUSE_DURATION_US": self.paused_us,
        }
        queue = {
            "SAI_QUEUE_STAT_PACKETS": self.packets,
            "SAI_QUEUE_STAT_DROPPED_PACKETS": 0,
            "SAI_QUEUE_STAT_CURR_OCCUPANCY_BYTES": depth,
            "PFC_WD_STATUS": "stormed" if self.stormed else "operational",
            "PFC_WD_QUEUE_STATS_DEADLOCK_DETECTED": self.detected,
            "PFC_WD_QUEUE_STATS_DEADLOCK_RESTORED": self.restored,
            "PFC_WD_QUEUE_STATS_TX_DROPPED_PACKETS": 0,
        }
        self._db.hset(f"COUNTERS:{self.PORT}", mapping={name: str(value) for name, value in port.items()})
        self._db.hset(f"COUNTERS:{self.QUEUE}", mapping={name: str(value) for name, value in queue.items()})
        return self.read()

    def read(self) -> PfcCounters:
        return counters({COMMANDS[0]: Switch(self._switch.run).read(*shlex.split(COMMANDS[0]))})


def test_a_storm_and_its_end_are_seen_at_the_right_poll(switch: SonicSwitch) -> None:
    story = Story(switch)
    watched = watches(fabric_with(), "leaf1")
    before, shares = story.read(), None
    told = []
    busy = {"frames": 5, "paused_us": 900, "packets": 900, "depth": 2048}
    standing = {"frames": 90, "paused_us": 100_000, "packets": 0, "depth": 65_536}
    waiting = {"frames": 0, "paused_us": 0, "packets": 0, "depth": 65_536}
    for step in [busy, busy, standing, standing, standing, waiting, waiting, waiting, waiting, busy, busy]:
        after = story.poll(**step)
        found = storm_findings("leaf1", watched, before, after, 0.1, shares)
        told.append(sorted(f"{one.rule} {one.path.partition(' ')[2].split()[0]}" for one in found))
        before, shares = after, pause_shares(before, after, 0.1)
    quiet: list[str] = []
    own, watchdog = "storm queue", "storm watchdog"
    # our reader sees the first poll that stands still, SONiC's watchdog acts after its detection time of two
    assert told == [
        quiet,
        quiet,
        [own],
        [own, watchdog],
        [own, watchdog],
        [watchdog],
        [watchdog],
        [watchdog],
        quiet,
        quiet,
        quiet,
    ]
    events = before.ports["Ethernet0"].watchdog["3"]
    assert (events.state, events.detected, events.restored) == ("operational", 1, 1)
    assert before.pools == {"ingress_lossless_pool": 4096}
    assert before.ports["Ethernet0"].priority_groups["3"].headroom_watermark_bytes == 0


PLAY = """
- hosts: leaf1
  gather_facts: false
  roles:
    - tickwire.fabric.roce_switch
"""


def play(switch: SonicSwitch, where: Path, intent: dict[str, Any]) -> tuple[int, str]:
    """Return code and output of the role on the switch."""
    host = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "roce_switch_sonic_settle_s": 0,
        "fabric": intent,
    }
    (where / "inventory.json").write_text(json.dumps({"all": {"hosts": {"leaf1": host}}}))
    (where / "play.yml").write_text(PLAY)
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "-i", "inventory.json", "play.yml"],
        cwd=where,
        env={
            **os.environ,
            "PATH": f"{switch.programs}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".venv/collections"),
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_LOCAL_TEMP": str(where / "local"),
            "ANSIBLE_REMOTE_TEMP": str(where / "remote"),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_role_proves_a_change_before_it_keeps_it_and_undoes_what_it_cannot_prove(
    switch: SonicSwitch, tmp_path: Path
) -> None:
    rc, said = play(switch, tmp_path, INTENT)
    assert rc == 0, said
    proven = switch.running()
    assert proven["PORT"]["Ethernet0"]["mtu"] == "9214"
    assert switch.saved() == proven
    counted = switch.database("COUNTERS_DB")
    counted.hset("COUNTERS_QUEUE_NAME_MAP", "Ethernet0:3", "oid:0x15")
    counted.hset("COUNTERS:oid:0x15", "SAI_QUEUE_STAT_PACKETS", "1")
    rc, said = play(switch, tmp_path, {**INTENT, "mtu": {"host": 9000, "switch": 9100}})
    assert rc != 0
    assert "does not run" in said
    assert "rolled back to what was running before" in said
    assert any("apply-patch" in line and "dry-run" not in line for line in switch.log[-20:])
    assert switch.running() == proven == switch.saved()
