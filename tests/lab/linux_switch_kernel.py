# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Linux switch of three ports between network namespaces of this machine's kernel: what packets really do.

As root, with the collection on the module path. Prints one JSON object, or "missing: ..." where the kernel lacks
something. Everything it makes is in namespaces of its own, which go at the end.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.compare import aspects
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import desired_switch
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.session import Session
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.tools import Iproute

SWITCH = "tickwire-sw"
HOSTS = ("tickwire-h1", "tickwire-h2", "tickwire-h3")
PORTS = ("swp1", "swp2", "swp3")
NEEDED = (
    "tbf rate 1mbit burst 10k limit 10k",
    "red limit 60000 min 10000 max 30000 avpkt 1000 burst 20 bandwidth 1gbit probability 0.1 ecn",
    "ets bands 2 strict 1 quanta 1514",
)
FRAMES = 50
SOL_PACKET, PACKET_QDISC_BYPASS = 263, 20


def intent(**over: Any) -> dict[str, Any]:
    """swp1 is in VLAN 110 without a tag, swp2 in it with a tag, swp3 in VLAN 120 too; bands: cnp, trading, bulk."""
    return {
        "name": "kernel",
        "mtu": {"host": 1500, "switch": 1500},
        "lanes": {
            "trading": {"dscp": [26], "priority": 3, "lossless": True, "share": 50},
            "cnp": {"dscp": [48], "priority": 6, "strict": True},
            "bulk": {"dscp": [0], "priority": 0, "share": 50, "default": True},
        },
        "vlans": {"trading": 110, "storage": 120},
        "devices": {"sw": {"os": "linux"}},
        "links": [
            {"a": "sw:swp1", "b": "h1:e0", "speed_gbps": 10, "cable_m": 1},
            {"a": "sw:swp2", "b": "h2:e0", "speed_gbps": 10, "cable_m": 1, "vlans": ["trading"]},
            {"a": "sw:swp3", "b": "h3:e0", "speed_gbps": 10, "cable_m": 1, "vlans": ["trading", "storage"]},
        ],
        **over,
    }


def run(*argv: str, data: str = "") -> tuple[int, str, str]:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr


def must(*argv: str) -> str:
    code, out, err = run(*argv)
    if code:
        raise RuntimeError(f"{' '.join(argv)}: {err}")
    return out


def in_switch(argv: Sequence[str], data: str) -> tuple[int, str, str]:
    return run("ip", "netns", "exec", SWITCH, *argv, data=data)


def frame(vlan: int | None, pcp: int, dscp: int, family: int, broadcast: bool) -> bytes:
    """An Ethernet frame with an IP header, to nobody's MAC address: the switch floods it within its VLAN."""
    to = b"\xff" * 6 if broadcast else b"\x02\x00\x00\x00\x00\x99"
    tag = b"" if vlan is None else struct.pack("!HH", 0x8100, pcp << 13 | vlan)
    if family == 6:
        kind = 0x86DD
        packet = struct.pack("!IHBB", 6 << 28 | dscp << 22, 8, 59, 64) + bytes(32)
    else:
        kind = 0x0800
        packet = struct.pack("!BBHHHBBH", 0x45, dscp << 2, 28, 0, 0, 64, 253, 0) + bytes(8)
    return to + b"\x02\x00\x00\x00\x00\x01" + tag + struct.pack("!H", kind) + packet.ljust(64, b"\0")


def send(host: str, data: bytes, count: int = FRAMES) -> None:
    """Send it from a host; the child enters the namespace, since that cannot be undone in this process."""
    child = os.fork()
    if child == 0:
        try:
            with open(f"/run/netns/{host}") as namespace:
                os.setns(namespace.fileno(), os.CLONE_NEWNET)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
                sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
                sock.bind(("e0", 0))
                for _number in range(count):
                    sock.send(data)
            os._exit(0)
        finally:
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"{host} cannot send")


def packets(port: str) -> dict[str, int]:
    """Packets by band of a port."""
    shown = json.loads(must("ip", "netns", "exec", SWITCH, "tc", "-s", "-j", "class", "show", "dev", port))
    return {item["handle"]: item["stats"]["packets"] for item in shown if item["class"] == "ets"}


def taken(port: str, act: Callable[[], None]) -> str:
    """The band of a port that the frames sent by ``act`` went through."""
    before = packets(port)
    act()
    grown = {band: count - before[band] for band, count in packets(port).items()}
    return ",".join(band for band, count in grown.items() if count >= FRAMES)


def dropped(port: str) -> int:
    text = must("ip", "netns", "exec", SWITCH, "tc", "-s", "filter", "show", "dev", port, "ingress", "pref", "5")
    return sum(int(part.split(",")[0]) for part in text.split("(dropped ")[1:])


def session(root: Path, rates: dict[str, int] | None = None, **over: Any) -> Session:
    paths = {tool: tool for tool in ("ip", "bridge", "tc", "dcb")}
    wanted = desired_switch(parse_intent(intent(**over)), "sw", "br0", rates)
    return Session(Iproute(in_switch, paths), wanted, root, True, "sw")


def applied(root: Path, rates: dict[str, int] | None = None, **over: Any) -> bool:
    """Apply, and whether a second run would change nothing."""
    session(root, rates, **over).apply()
    return not session(root, rates, **over).check()["changed"]


def story(root: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    fresh = aspects(session(root).before)
    found["dscp settles"] = applied(root, {"swp2": 1000})
    one, two = HOSTS[0], HOSTS[1]
    for family in (4, 6):
        for name, dscp in (("cnp", 48), ("trading", 26), ("other", 10)):
            found[f"v{family} {name} to the trunk"] = taken(
                "swp2", lambda dscp=dscp, family=family: send(one, frame(None, 0, dscp, family, False))
            )
            found[f"v{family} {name} from the trunk"] = taken(
                "swp1", lambda dscp=dscp, family=family: send(two, frame(110, 0, dscp, family, False))
            )
    # PCP does not count there
    found["pcp 3 under trust dscp"] = taken("swp1", lambda: send(two, frame(110, 3, 0, 4, False)))
    between = aspects(session(root).before)
    found["pcp settles"] = applied(root, trust="pcp", storm_control={"broadcast_percent": 0.01})
    for pcp in (0, 3, 6, 5):
        data = frame(110, pcp, 26, 4, False)
        found[f"pcp {pcp} to an access port"] = taken("swp1", lambda data=data: send(two, data))
        found[f"pcp {pcp} to a trunk"] = taken("swp3", lambda data=data: send(two, data))
    found["no tag under trust pcp"] = taken("swp3", lambda: send(one, frame(None, 0, 26, 4, False)))
    before = dropped("swp1")
    send(one, frame(None, 0, 0, 4, True), 5000)
    found["broadcast dropped"] = dropped("swp1") - before
    before = dropped("swp1")
    send(one, frame(None, 0, 0, 4, False), 5000)
    found["unicast dropped"] = dropped("swp1") - before
    session(root).roll_back(check=False)
    found["way back is exact"] = aspects(session(root).before) == between
    session(root, {"swp2": 1000}).apply()
    (root / "var/lib/tickwire/switch/before.json").unlink(missing_ok=True)
    found["fresh had no bridge"] = "br0" not in fresh
    return found


def missing() -> str:
    """The first part that this kernel or iproute2 lacks, "" for none."""
    for qdisc in NEEDED:
        code, _out, err = in_switch(["tc", "qdisc", "replace", "dev", "swp1", "root", *qdisc.split()], "")
        if code:
            return f"{qdisc.split()[0]}: {err.strip().splitlines()[0]}"
    in_switch(["tc", "qdisc", "del", "dev", "swp1", "root"], "")
    in_switch(["tc", "qdisc", "add", "dev", "swp1", "clsact"], "")
    police = "flower dst_mac ff:ff:ff:ff:ff:ff action police rate 1mbit burst 10k conform-exceed drop/continue"
    code, _out, err = in_switch(["tc", "filter", "add", "dev", "swp1", "ingress", *police.split()], "")
    in_switch(["tc", "qdisc", "del", "dev", "swp1", "clsact"], "")
    return f"flower or police: {err.strip().splitlines()[0]}" if code else ""


def main() -> int:
    names = (SWITCH, *HOSTS)
    try:
        for name in names:
            must("ip", "netns", "add", name)
        for port, host in zip(PORTS, HOSTS, strict=True):
            must("ip", "-n", SWITCH, "link", "add", port, "type", "veth", "peer", "name", "e0", "netns", host)
            must("ip", "-n", SWITCH, "link", "set", port, "up")
            must("ip", "-n", host, "link", "set", "e0", "up")
        lack = missing()
        if lack:
            print(f"missing: {lack}")
            return 0
        with tempfile.TemporaryDirectory() as root:
            print(json.dumps(story(Path(root))))
        return 0
    finally:
        for name in names:
            run("ip", "netns", "del", name)


if __name__ == "__main__":
    sys.exit(main())
