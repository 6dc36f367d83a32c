# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A small Linux switch in memory: takes batches of ip, bridge and tc, and prints JSON as iproute2 does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.linux.desired import ewma_log

PATHS = {tool: f"/usr/sbin/{tool}" for tool in ("ip", "bridge", "tc", "dcb")}


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
        self.ingress: dict[str, dict[tuple[int, int], dict[str, Any]]] = {}  # ports with clsact
        self.dcb: dict[str, dict[str, Any]] = {}  # ports whose driver has DCB
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
        assert "-j" in argv, f"neither a reader nor a batch: {argv}"
        if tool == "dcb":
            return self._show_dcb(argv[3], argv[-1])
        words = " ".join([tool, *argv[2:]])
        if words == "ip -d link show":
            found: list[dict[str, Any]] = self._show_links()
        elif words == "bridge vlan show":
            found = self._show_vlans()
        elif words == "tc -d qdisc show":
            found = self._show_qdiscs()
        elif words.endswith(" ingress"):
            found = self._shown(self.ingress[argv[5]])
        else:
            assert words.startswith("tc filter show dev ") and words.endswith(" parent 1:"), words
            found = self._shown(self.filters[argv[5]])
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
                {"ip": self._ip, "bridge": self._bridge, "tc": self._tc, "dcb": self._dcb}[tool](words)
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
        name, rest = words[3], words[4:]
        if name not in self.links:
            raise Refused(f'Cannot find device "{name}"')
        if words[1] == "del":
            del self.links[name], self.vlans[name]
            return
        assert words[:3] == ["link", "set", "dev"], words
        if rest[:2] == ["type", "bridge"]:
            self._options(name, rest[2:])
            return
        while rest:
            key = rest.pop(0)
            if key in ("up", "down"):
                self.links[name]["up"] = key == "up"
            elif key == "nomaster":
                self.links[name]["master"] = ""
                self.vlans.pop(name, None)
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
        elif words[4] == "ingress":
            self._ingress(verb, name, words[5:])
        elif verb == "del":
            self.filters[name] = {}
        else:
            self._filter(name, words[4:])

    def _qdisc(self, verb: str, name: str, words: list[str]) -> None:
        tree = self.qdiscs[name]
        if words == ["clsact"]:
            if verb == "del" and name not in self.ingress:
                raise Refused("Cannot find specified qdisc on specified device.")
            if verb == "del":
                del self.ingress[name]
            else:
                self.ingress.setdefault(name, {})
            return
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
        if parent == "root" and not (now and now["handle"] == handle):
            tree.clear()
            self.filters[name] = {}
        if kind == "ets":
            assert parent == "root" or tree["root"]["kind"] == "tbf", parent
            options = self._ets(words)
        elif kind == "tbf":
            given = pairs(words)
            rate, burst = int(given["rate"][:-3]), int(given["burst"][:-1])
            assert burst % 1024 == 0
            options = {"rate": rate // 8, "burst": f"{burst // 1024}Kb/1", "mpu": 0, "lat": 0}
        else:
            assert kind == "red", kind
            ets = next(qdisc for qdisc in tree.values() if qdisc["kind"] == "ets")
            if int(parent.split(":")[1], 16) > ets["options"]["bands"]:
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
        if given["parent"] not in [qdisc["handle"] for qdisc in self.qdiscs[name].values()]:
            raise Refused("Parent Qdisc doesn't exists.")
        tos, mask = given["ip_tos"].split("/")
        family = given.get("vlan_ethtype", given["protocol"])
        keys = {
            "eth_type": {"ip": "ipv4", "ipv6": "ipv6"}[family],
            "ip_tos": int(tos, 16),
            "ip_tos_mask": f"{int(mask, 16):x}",
        }
        if "vlan_ethtype" in given:
            assert given["protocol"] == "802.1q"
            keys["vlan_ethtype"] = family
        self.filters[name][(int(given["pref"]), int(given["handle"]))] = {
            "protocol": given["protocol"],
            "kind": "flower",
            "chain": 0,
            "options": {
                "handle": int(given["handle"]),
                "classid": given["classid"],
                "keys": keys,
                "not_in_hw": True,
            },
        }

    def _ingress(self, verb: str, name: str, words: list[str]) -> None:
        if name not in self.ingress:
            raise Refused("Parent Qdisc doesn't exists.")
        here = self.ingress[name]
        if verb == "del":
            for key in [key for key in here if key[0] == int(words[1])]:
                del here[key]
            return
        split = words.index("action")
        given, action = pairs([word for word in words[:split] if word != "flower"]), words[split + 1 :]
        keys: dict[str, Any] = {"dst_mac": given["dst_mac"]} if "dst_mac" in given else {}
        if "vlan_prio" in given:
            keys["vlan_prio"] = int(given["vlan_prio"])
        made: dict[str, Any] = {"order": 1, "kind": action[0], "index": 1}
        if action[0] == "police":
            made["cookie"] = pairs(action[1:])["cookie"]
        else:
            made["priority"] = f":{action[2]}"
        here[(int(given["pref"]), int(given["handle"]))] = {
            "protocol": given["protocol"],
            "kind": "flower",
            "chain": 0,
            "options": {"handle": int(given["handle"]), "keys": keys, "not_in_hw": True, "actions": [made]},
        }

    # --- dcb, printed as dcb/dcb_*.c of iproute2 does

    def _show_dcb(self, what: str, name: str) -> tuple[int, str, str]:
        if name not in self.dcb:
            return 1, "", "Attribute read: Operation not supported\n"
        return 0, json.dumps(self.dcb[name][what]) + "\n", ""

    def _dcb(self, words: list[str]) -> None:
        what, verb, name, rest = words[0], words[1], words[3], words[4:]
        here = self.dcb[name][what]
        lists: dict[str, list[str]] = {}
        key = ""
        for word in rest:
            if ":" in word:
                lists[key].append(word)
            elif word in ("on", "off"):
                here["willing"] = word == "on"
            else:
                key = word
                lists[key] = []
        if what == "app":
            now = {entry[0]: entry[1] for entry in here.get("dscp_prio", [])}
            for item in lists["dscp-prio"]:
                dscp, priority = map(int, item.split(":"))
                if verb == "del":
                    del now[dscp]
                else:
                    now[dscp] = priority
            here["dscp_prio"] = [[dscp, priority, " "] for dscp, priority in sorted(now.items())]
            return
        kinds = {"prio-pfc": lambda value: value == "on", "tc-tsa": str}
        for key, items in lists.items():
            for item in items:
                number, value = item.split(":")
                read = kinds.get(key, int)(value)
                values = here.setdefault(key.replace("-", "_"), [0] * 8)
                for index in range(8) if number == "all" else [int(number)]:
                    values[index] = read

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
            if name in self.ingress:
                found.append({"kind": "clsact", "handle": "ffff:", "dev": name, "parent": "ffff:fff1", "options": {}})
            for parent, qdisc in tree.items():
                place: dict[str, Any] = {"root": True} if parent == "root" else {"parent": parent}
                found.append({**qdisc, "dev": name, **place})
        return found

    @staticmethod
    def _shown(filters: dict[tuple[int, int], dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for pref in sorted({pref for pref, handle in filters}):
            here = [item for (other, handle), item in filters.items() if other == pref]
            found.append({"protocol": here[0]["protocol"], "pref": pref, "kind": here[0]["kind"], "chain": 0})
            found += [{**item, "pref": pref} for item in here]
        return found
