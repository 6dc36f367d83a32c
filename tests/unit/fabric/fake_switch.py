# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small Linux switch in memory: takes batches of ip, bridge and tc, and prints JSON as iproute2 does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import ewma_log

PATHS = {"ip": "/usr/sbin/ip", "bridge": "/usr/sbin/bridge", "tc": "/usr/sbin/tc"}


class Refused(Exception):
    """What the kernel says to one line."""


def pairs(words: Sequence[str]) -> dict[str, str]:
    """Words which take turns: a key, its value."""
    return dict(zip(words[::2], words[1::2], strict=True))


class FakeSwitch:
    """``fail``: lines with this text are refused, ``fail_times`` times. ``writes``: every batch line that was run."""

    def __init__(self, ports: Sequence[str], max_mtu: int = 9216) -> None:
        self.links: dict[str, dict[str, Any]] = {"lo": {"mtu": 65536, "up": True, "master": ""}}
        for name in ports:
            self.links[name] = {"mtu": 1500, "up": True, "master": "", "max_mtu": max_mtu}
        self.vlans: dict[str, dict[int, list[str]]] = {}
        self.qdiscs: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in ports}  # port -> parent -> qdisc
        self.filters: dict[str, dict[tuple[int, int], dict[str, Any]]] = {name: {} for name in ports}
        self.fail, self.fail_times = "", 1
        self.writes: list[str] = []

    # --- the callable the code under test gets

    def run(self, argv: Sequence[str], data: str) -> tuple[int, str, str]:
        tool = next((name for name, path in PATHS.items() if argv[0] == path), "")
        if not tool:
            self.writes.append(" ".join(argv))
            return 0, "", ""
        if list(argv[1:]) == ["-batch", "-"]:
            return self._batch(tool, data)
        assert argv[1] == "-j", f"neither a reader nor a batch: {argv}"
        words = " ".join([tool, *argv[2:]])
        if words == "ip -d link show":
            found: list[dict[str, Any]] = self._show_links()
        elif words == "bridge vlan show":
            found = self._show_vlans()
        elif words == "tc -d qdisc show":
            found = self._show_qdiscs()
        else:
            assert words.startswith("tc filter show dev ") and words.endswith(" parent 1:"), words
            found = self._show_filters(argv[5])
        return 0, json.dumps(found) + "\n", ""

    def _batch(self, tool: str, data: str) -> tuple[int, str, str]:
        for number, line in enumerate(data.splitlines(), start=1):
            if line.startswith("#"):
                continue
            try:
                if self.fail and self.fail in line and self.fail_times:
                    self.fail_times -= 1
                    raise Refused("RTNETLINK answers: Operation not supported")
                words = line.split()
                {"ip": self._ip, "bridge": self._bridge, "tc": self._tc}[tool](words)
            except Refused as error:
                return 1, "", f"Error: {error}\nCommand failed -:{number}\n"
            self.writes.append(f"{tool} {line}")
        return 0, "", ""

    # --- ip and bridge

    def _ip(self, words: list[str]) -> None:
        if words[:3] == ["link", "add", "name"]:
            if words[3] in self.links:
                raise Refused("File exists.")
            self.links[words[3]] = {"mtu": 1500, "up": False, "master": "", "bridge": {}}
            self.vlans[words[3]] = {}
            options = {"vlan_filtering": 0, "vlan_default_pvid": 1, "stp_state": 0, "mcast_snooping": 1}
            self.links[words[3]]["bridge"] = options
            self._options(words[3], words[6:])
            return
        assert words[:3] == ["link", "set", "dev"], words
        name, rest = words[3], words[4:]
        if name not in self.links:
            raise Refused(f'Cannot find device "{name}"')
        if rest[:2] == ["type", "bridge"]:
            self._options(name, rest[2:])
            return
        while rest:
            key = rest.pop(0)
            if key == "up":
                self.links[name]["up"] = True
            elif key == "mtu":
                self.links[name]["mtu"] = int(rest.pop(0))
            else:
                assert key == "master", key
                bridge = rest.pop(0)
                pvid = self.links[bridge]["bridge"]["vlan_default_pvid"]
                self.links[name]["master"] = bridge
                self.vlans[name] = {pvid: ["PVID", "Egress Untagged"]} if pvid else {}

    def _options(self, bridge: str, words: list[str]) -> None:
        options = self.links[bridge]["bridge"]
        for key, value in pairs(words).items():
            assert key in options, key
            if key == "vlan_default_pvid":
                for name, link in self.links.items():  # the kernel takes the former default from its ports
                    if link["master"] == bridge:
                        self.vlans[name].pop(options[key], None)
            options[key] = int(value)

    def _bridge(self, words: list[str]) -> None:
        verb, name, vid, flags = words[1], words[3], int(words[5]), words[6:]
        if name not in self.vlans:
            raise Refused("RTNETLINK answers: Operation not supported")
        if verb == "del":
            if vid not in self.vlans[name]:
                raise Refused("RTNETLINK answers: No such file or directory")
            del self.vlans[name][vid]
            return
        if "pvid" in flags:
            for other in self.vlans[name].values():
                if "PVID" in other:
                    other.remove("PVID")
        self.vlans[name][vid] = ["PVID"] * ("pvid" in flags) + ["Egress Untagged"] * ("untagged" in flags)

    # --- tc

    def _tc(self, words: list[str]) -> None:
        kind, verb, name = words[0], words[1], words[3]
        if name not in self.qdiscs:
            raise Refused(f'Cannot find device "{name}"')
        if kind == "qdisc":
            self._qdisc(verb, name, words[4:])
        elif verb == "del":
            self.filters[name] = {}
        else:
            self._filter(name, words[4:])

    def _qdisc(self, verb: str, name: str, words: list[str]) -> None:
        tree = self.qdiscs[name]
        parent = words.pop(0)
        if parent == "parent":
            parent = words.pop(0)
        if verb == "del":
            if parent not in tree:
                raise Refused("Cannot delete qdisc with handle of zero.")
            if parent == "root":
                tree.clear()
                self.filters[name] = {}
            else:
                del tree[parent]
            return
        assert verb == "replace" and words.pop(0) == "handle"
        handle, kind = words.pop(0), words.pop(0)
        now = tree.get(parent)
        if now and now["handle"] == handle and now["kind"] != kind:
            raise Refused("Invalid qdisc name.")
        if kind == "ets":
            if not (now and now["handle"] == handle):
                tree.clear()
                self.filters[name] = {}
            options = self._ets(words)
        else:
            assert kind == "red", kind
            if int(parent.split(":")[1], 16) > tree["root"]["options"]["bands"]:
                raise Refused("Specified class not found.")
            options = self._red(words)
        tree[parent] = {"kind": kind, "handle": handle, "options": options}

    @staticmethod
    def _ets(words: list[str]) -> dict[str, Any]:
        lists: dict[str, list[int]] = {}
        key = ""
        for word in words:
            if word.isdigit():
                lists[key].append(int(word))
            else:
                key = word
                lists[key] = []
        found: dict[str, Any] = {"bands": lists["bands"][0]}
        if lists["strict"][0]:
            found["strict"] = lists["strict"][0]
        if "quanta" in lists:
            found["quanta"] = lists["quanta"]
        assert len(lists.get("quanta", [])) + lists["strict"][0] == lists["bands"][0]
        assert len(lists["priomap"]) == 16 and max(lists["priomap"]) < lists["bands"][0]
        return {**found, "priomap": lists["priomap"]}

    @staticmethod
    def _red(words: list[str]) -> dict[str, Any]:
        flags = {word: word in words for word in ("ecn", "nodrop")}
        words = [word for word in words if word not in flags]
        given = pairs(words)
        low, high, avpkt, burst = (int(given[key]) for key in ("min", "max", "avpkt", "burst"))
        assert int(given["limit"]) < 2**32 and float(given["bandwidth"][:-4]) * 1e9 / 8 < 2**32
        ewma = ewma_log(low, burst, avpkt)
        if high.bit_length() + ewma >= 32:
            raise Refused("RTNETLINK answers: Invalid argument")
        chance = float(f"{int(float(given['probability']) * 2**32) / 2**32:g}")
        return {
            "limit": int(given["limit"]),
            "min": low,
            "max": high,
            "ecn": flags["ecn"],
            "harddrop": False,
            "adaptive": False,
            "nodrop": flags["nodrop"],
            "ewma": ewma,
            "probability": chance,
            "Scell_log": 9,
        }

    def _filter(self, name: str, words: list[str]) -> None:
        given = pairs([word for word in words if word != "flower"])
        if "root" not in self.qdiscs[name] or given["parent"] != self.qdiscs[name]["root"]["handle"]:
            raise Refused("Parent Qdisc doesn't exists.")
        tos, mask = given["ip_tos"].split("/")
        self.filters[name][(int(given["pref"]), int(given["handle"]))] = {
            "protocol": given["protocol"],
            "kind": "flower",
            "chain": 0,
            "options": {
                "handle": int(given["handle"]),
                "classid": given["classid"],
                "keys": {
                    "eth_type": {"ip": "ipv4", "ipv6": "ipv6"}[given["protocol"]],
                    "ip_tos": int(tos, 16),
                    "ip_tos_mask": f"{int(mask, 16):x}",
                },
                "not_in_hw": True,
            },
        }

    # --- what the tools print

    def _show_links(self) -> list[dict[str, Any]]:
        found = []
        for name, link in self.links.items():
            item: dict[str, Any] = {"ifname": name, "flags": ["UP"] if link["up"] else [], "mtu": link["mtu"]}
            item["max_mtu"] = link.get("max_mtu", 65535)
            if link["master"]:
                item["master"] = link["master"]
            if "bridge" in link:
                item["linkinfo"] = {"info_kind": "bridge", "info_data": dict(link["bridge"])}
            found.append(item)
        return found

    def _show_vlans(self) -> list[dict[str, Any]]:
        found = []
        for name, vlans in self.vlans.items():
            entries = [{"vlan": vid, **({"flags": flags} if flags else {})} for vid, flags in sorted(vlans.items())]
            if entries:
                found.append({"ifname": name, "vlans": entries})
        return found

    def _show_qdiscs(self) -> list[dict[str, Any]]:
        found = []
        for name, tree in self.qdiscs.items():
            if not tree:
                found.append({"kind": "fq_codel", "handle": "0:", "dev": name, "root": True, "options": {}})
            for parent, qdisc in tree.items():
                place: dict[str, Any] = {"root": True} if parent == "root" else {"parent": parent}
                found.append({**qdisc, "dev": name, **place})
        return found

    def _show_filters(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for pref in sorted({pref for pref, handle in self.filters[name]}):
            here = [item for (other, handle), item in self.filters[name].items() if other == pref]
            found.append({"protocol": here[0]["protocol"], "pref": pref, "kind": here[0]["kind"], "chain": 0})
            found += [{**item, "pref": pref} for item in here]
        return found
