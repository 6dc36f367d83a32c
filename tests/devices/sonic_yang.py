# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Constraints of CONFIG_DB as a table, from SONiC's YANG models (sonic-buildimage, src/sonic-yang-models).

Ranges, patterns, enumerations, leafrefs, mandatory fields and the ``must`` rules of the tables that the intent fills.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

Config = Mapping[str, Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True)
class Number:
    low: int
    high: int

    def wrong(self, value: str, config: Config) -> str:
        ok = re.fullmatch(r"-?\d+", value) and self.low <= int(value) <= self.high
        return "" if ok else f"{value} is outside {self.low}..{self.high}"


@dataclass(frozen=True)
class Text:
    pattern: str

    def wrong(self, value: str, config: Config) -> str:
        return "" if re.fullmatch(self.pattern, value) else f"'{value}' does not match {self.pattern}"


@dataclass(frozen=True)
class Ref:
    table: str
    also: tuple[str, ...] = ()

    def wrong(self, value: str, config: Config) -> str:
        ok = value in self.also or value in config.get(self.table, {})
        return "" if ok else f"'{value}' is no row of {self.table}"


Check = Number | Text | Ref
ANY = Text(r".*")
NAME = Text(r"[a-zA-Z0-9][-a-zA-Z0-9_]{0,31}")
BOOL = Text("true|false")
PORT = Ref("PORT")
PORT_OR_GLOBAL = Ref("PORT", ("global",))
NUMBERS = Text(r"([0-7](,[0-7])*)?")
BYTES = Number(0, 2**32 - 1)
QUEUES = Text(r"1[0-5]|[0-9]|[0-9]-1[0-5]|[0-9]-[0-9]")


@dataclass(frozen=True)
class Table:
    """``key``: a check for each part of the key. ``entries``: the checks of a map, whose fields are numbers."""

    key: tuple[Check, ...]
    fields: Mapping[str, Check] = field(default_factory=dict)
    mandatory: tuple[str, ...] = ()
    entries: tuple[Check, Check] | None = None


def a_map(low: int, high: int, to_high: int) -> Table:
    return Table((NAME,), entries=(Number(low, high), Number(0, to_high)))


TABLES: dict[str, Table] = {
    "DSCP_TO_TC_MAP": a_map(0, 63, 7),
    "DOT1P_TO_TC_MAP": a_map(0, 7, 7),
    "TC_TO_QUEUE_MAP": a_map(0, 7, 9),
    "TC_TO_PRIORITY_GROUP_MAP": a_map(0, 7, 7),
    "MAP_PFC_PRIORITY_TO_QUEUE": a_map(0, 7, 9),
    "PFC_PRIORITY_TO_PRIORITY_GROUP_MAP": a_map(0, 7, 7),
    "PORT_QOS_MAP": Table(
        (PORT_OR_GLOBAL,),
        {
            "dscp_to_tc_map": Ref("DSCP_TO_TC_MAP"),
            "dot1p_to_tc_map": Ref("DOT1P_TO_TC_MAP"),
            "tc_to_queue_map": Ref("TC_TO_QUEUE_MAP"),
            "tc_to_pg_map": Ref("TC_TO_PRIORITY_GROUP_MAP"),
            "pfc_to_queue_map": Ref("MAP_PFC_PRIORITY_TO_QUEUE"),
            "pfc_to_pg_map": Ref("PFC_PRIORITY_TO_PRIORITY_GROUP_MAP"),
            "scheduler": Ref("SCHEDULER"),
            "pfc_enable": NUMBERS,
            "pfcwd_sw_enable": NUMBERS,
        },
    ),
    "SCHEDULER": Table(
        (Text(r"[-a-zA-Z0-9_.]{1,32}"),),
        {"type": Text("DWRR|WRR|STRICT"), "weight": Number(1, 100), "priority": Number(0, 9)},
    ),
    "WRED_PROFILE": Table(
        (NAME,),
        {
            "ecn": Text("ecn_(none|green|yellow|red|green_yellow|green_red|yellow_red|all)"),
            **{f"wred_{colour}_enable": BOOL for colour in ("green", "yellow", "red")},
            **{f"{colour}_{end}_threshold": BYTES for colour in ("green", "yellow", "red") for end in ("min", "max")},
            **{f"{colour}_drop_probability": Number(0, 100) for colour in ("green", "yellow", "red")},
        },
    ),
    "QUEUE": Table((PORT, QUEUES), {"scheduler": Ref("SCHEDULER"), "wred_profile": Ref("WRED_PROFILE")}),
    "BUFFER_POOL": Table(
        (NAME,),
        {
            "type": Text("ingress|egress|both"),
            "mode": Text("static|dynamic"),
            "size": BYTES,
            "xoff": BYTES,
            "percentage": Number(0, 100),
        },
        ("type", "mode"),
    ),
    "BUFFER_PROFILE": Table(
        (NAME,),
        {
            "pool": Ref("BUFFER_POOL"),
            "size": BYTES,
            "dynamic_th": Number(-8, 7),
            "static_th": BYTES,
            "xon": BYTES,
            "xoff": BYTES,
            "xon_offset": BYTES,
            "headroom_type": Text("static|dynamic"),
            "packet_discard_action": Text("drop|trim"),
        },
        ("pool", "size"),
    ),
    "BUFFER_PG": Table((PORT, Text("[0-7](-[0-7])?")), {"profile": Ref("BUFFER_PROFILE", ("NULL",))}),
    "BUFFER_QUEUE": Table((PORT, QUEUES), {"profile": Ref("BUFFER_PROFILE")}),
    "CABLE_LENGTH": Table((NAME,), entries=(PORT, Text("[0-9]+m|None"))),
    "LOSSLESS_TRAFFIC_PATTERN": Table(
        (NAME,), {"mtu": Number(1, 9216), "small_packet_percentage": Number(0, 100)}, ("mtu", "small_packet_percentage")
    ),
    "DEFAULT_LOSSLESS_BUFFER_PARAMETER": Table(
        (NAME,),
        {"default_dynamic_th": Number(-8, 7), "over_subscribe_ratio": Number(0, 65535)},
        ("default_dynamic_th",),
    ),
    "PFC_WD": Table(
        (Ref("PORT", ("GLOBAL",)),),
        {
            "action": Text("drop|forward|alert"),
            "detection_time": Number(100, 5000),
            "restoration_time": Number(100, 60000),
            "pfc_stat_history": Text("enable|disable"),
            "POLL_INTERVAL": Number(100, 1000),
        },
    ),
    "PORT": Table(
        (Text(r"Ethernet\d+"),),
        {
            "mtu": Number(68, 9216),
            "speed": Number(1, 1_600_000),
            "lanes": Text(r"\d+(,\d+)*"),
            "alias": ANY,
            "index": Number(0, 1024),
            "admin_status": Text("up|down"),
            "pfc_asym": Text("on|off"),
            "fec": ANY,
        },
        ("speed", "lanes"),
    ),
    "PORT_STORM_CONTROL": Table(
        (PORT, Text("broadcast|unknown-unicast|unknown-multicast")), {"kbps": Number(0, 100_000_000)}, ("kbps",)
    ),
    "VLAN": Table((Text(r"Vlan\d{1,4}"),), {"vlanid": Number(1, 4094), "mtu": Number(1, 9216)}),
    "VLAN_MEMBER": Table(
        (Ref("VLAN"), PORT), {"tagging_mode": Text("tagged|untagged|priority_tagged")}, ("tagging_mode",)
    ),
    "LLDP": Table((Text("GLOBAL"),), {"enabled": BOOL, "hello_time": Number(5, 254), "multiplier": Number(1, 10)}),
    "LLDP_PORT": Table((PORT,), {"enabled": BOOL, "mode": Text("RECEIVE|TRANSMIT")}),
    "FLEX_COUNTER_TABLE": Table(
        (
            Text(
                "PFCWD|PG_WATERMARK|QUEUE_WATERMARK|BUFFER_POOL_WATERMARK|QUEUE|PG_DROP|PORT|WRED_ECN_QUEUE|WRED_ECN_PORT"
            ),
        ),
        {"FLEX_COUNTER_STATUS": Text("enable|disable"), "POLL_INTERVAL": Number(1, 60_000)},
    ),
}


def violations(config: Config) -> list[str]:
    """Every constraint that a configuration breaks, in words."""
    found = []
    for table, rows in config.items():
        if table not in TABLES:
            continue
        if not rows:
            found.append(f"{table}: an empty table cannot exist in CONFIG_DB")
        for name, row in rows.items():
            found += [f"{table}|{name}: {said}" for said in _row(TABLES[table], name, row, config)]
    return found + _must(config)


def _row(table: Table, name: str, row: Mapping[str, str], config: Config) -> list[str]:
    parts = name.split("|")
    if len(parts) != len(table.key):
        return [f"has {len(parts)} parts, not {len(table.key)}"]
    said = [check.wrong(part, config) for check, part in zip(table.key, parts, strict=True)]
    if table.entries is not None:
        if not row:
            said.append("a map without entries cannot exist in CONFIG_DB")
        for key, value in row.items():
            said += [table.entries[0].wrong(key, config), table.entries[1].wrong(value, config)]
        return [one for one in said if one]
    for key, value in row.items():
        check = table.fields.get(key)
        said.append(
            f"no field {key}"
            if check is None
            else check.wrong(value, config) and f"{key}: {check.wrong(value, config)}"
        )
    said += [f"{key} is mandatory" for key in table.mandatory if key not in row]
    return [one for one in said if one]


def _must(config: Config) -> list[str]:
    found = []
    for name, row in config.get("WRED_PROFILE", {}).items():
        for colour in ("green", "yellow", "red"):
            low, high = row.get(f"{colour}_min_threshold", "0"), row.get(f"{colour}_max_threshold", "0")
            if int(low) > int(high):
                found.append(f"WRED_PROFILE|{name}: {colour} max {high} is below min {low}")
    watchdog = config.get("PFC_WD", {})
    poll = int(watchdog.get("GLOBAL", {}).get("POLL_INTERVAL", "0"))
    for name, row in watchdog.items():
        for key in ("detection_time", "restoration_time"):
            if key in row and int(row[key]) < poll:
                found.append(f"PFC_WD|{name}: {key} {row[key]} is below POLL_INTERVAL {poll}")
        if ("POLL_INTERVAL" in row) != (name == "GLOBAL"):
            found.append(f"PFC_WD|{name}: POLL_INTERVAL is for GLOBAL, and GLOBAL for it")
    for name, row in config.get("VLAN", {}).items():
        if row.get("vlanid", name[4:]) != name[4:]:
            found.append(f"VLAN|{name}: vlanid {row['vlanid']}")
    dynamic = config.get("DEVICE_METADATA", {}).get("localhost", {}).get("buffer_model") == "dynamic"
    for name, row in config.get("BUFFER_POOL", {}).items():
        if "percentage" in row and ("size" in row or not dynamic):
            found.append(f"BUFFER_POOL|{name}: percentage is for the dynamic model, without size")
    for table in ("QUEUE", "BUFFER_PG", "BUFFER_QUEUE"):
        taken: set[tuple[str, int]] = set()
        for name in config.get(table, {}):
            port, rest = name.split("|")
            low, dash, high = rest.partition("-")
            numbers = {(port, number) for number in range(int(low), int(high or low) + 1)}
            if taken & numbers:
                found.append(f"{table}|{name}: overlaps another row")
            taken |= numbers
    return found
