"""A host with network cards: an ethtool 6.1 that prints as recorded, a driver that remembers, rounds and refuses."""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

READS = ("-i", "-g", "-l", "-c", "-a", "-k", "-n", "-x", "--show-priv-flags", "--json", "--version")
SHOWN = {"rx": "RX", "tx": "TX", "combined": "Combined", "autoneg": "Autonegotiate"}


class Card:
    """As the test NIC: 8 queues, rings of 64 to 4096 in steps of 32, coalescing forgotten at reopening."""

    def __init__(self, driver: str = "twnic") -> None:
        self.driver = driver
        self.groups: dict[str, dict[str, str]] = {
            "g": {"rx": "512", "tx": "512"},
            "l": {"combined": "8"},
            "a": {"autoneg": "off", "rx": "on", "tx": "on"},
            "k": {"large-receive-offload": "on", "generic-receive-offload": "on", "ntuple-filters": "off"},
            "c": {},
            "priv": {"fw-lldp-agent": "off"},
        }
        self.fixed = {"highdma": "off"}
        self.rules: dict[int, dict[str, str]] = {}
        self.table = [entry % 8 for entry in range(128)]
        self.reopen()

    def reopen(self) -> None:
        self.groups["c"] = {
            "adaptive-rx": "on",
            "adaptive-tx": "on",
            "rx-usecs": "50",
            "tx-usecs": "50",
            "rx-frames": "64",
            "tx-frames": "64",
        }

    def show(self, option: str) -> str:
        group = self.groups.get(option.lstrip("-"), {})
        if option == "-i":
            return f"driver: {self.driver}\nversion: 6.12.107\n"
        if option in ("-g", "-l"):
            largest = {"rx": "4096", "tx": "4096", "combined": "8"}
            head = "".join(f"{SHOWN[name]}:\t\t{largest[name]}\n" for name in group)
            now = "".join(f"{SHOWN[name]}:\t\t{value}\n" for name, value in group.items())
            return (
                f"parameters:\nPre-set maximums:\n{head}RX Mini:\tn/a\nCurrent hardware settings:\n{now}RX Mini:\tn/a\n"
            )
        if option == "-a":
            return "Pause parameters:\n" + "".join(f"{SHOWN[name]}:\t{value}\n" for name, value in group.items())
        if option == "-k":
            fixed = "".join(f"{name}: {value} [fixed]\n" for name, value in self.fixed.items())
            return "Features:\n" + "".join(f"{name}: {value}\n" for name, value in group.items()) + fixed
        if option == "-c":
            head = f"Adaptive RX: {group['adaptive-rx']}  TX: {group['adaptive-tx']}\nrx-usecs-irq: n/a\n"
            return head + "".join(f"{name}: {value}\n" for name, value in group.items() if "adaptive" not in name)
        if option == "--show-priv-flags":
            return "".join(f"{name}: {value}\n" for name, value in self.groups["priv"].items())
        if option == "-x":
            rows = [" ".join(map(str, self.table[start : start + 8])) for start in range(0, 128, 8)]
            body = "".join(f"{8 * number:5}:  {row}\n" for number, row in enumerate(rows))
            queues = self.groups["l"]["combined"]
            return f"RX flow hash indirection table for x with {queues} RX ring(s):\n{body}RSS hash key:\n20:60\n"
        return self._rules()

    def _rules(self) -> str:
        text = "8 RX rings available\nTotal 1 rules\n\n"
        for number, rule in self.rules.items():
            kind = f"{rule['flow-type'][:3].upper()} over IPv{rule['flow-type'][3]}"
            text += (
                f"Filter: {number}\n\tRule Type: {kind}\n\tSrc IP addr: 0.0.0.0 mask: 255.255.255.255\n"
                f"\tDest IP addr: {rule['dst-ip']} mask: 0.0.0.0\n\tTOS: 0x0 mask: 0xff\n\tSrc port: 0 mask: 0xffff\n"
                f"\tDest port: {rule['dst-port']} mask: 0x0\n\tAction: Direct to queue {rule['action']}\n\n"
            )
        return text

    def change(self, option: str, words: list[str]) -> tuple[int, str, str]:
        pairs = dict(zip(words[::2], words[1::2], strict=False))
        if option == "-G":
            self.groups["g"].update({name: str(-(-int(value) // 32) * 32) for name, value in pairs.items()})
            self.reopen()
        elif option == "-L":
            queues = int(pairs["combined"])
            if any(int(rule["action"]) >= queues for rule in self.rules.values()) or (
                max(self.table) >= queues and self.table != [entry % 8 for entry in range(128)]
            ):
                return 1, "", "netlink error: requested channel counts are too low\nnetlink error: Invalid argument\n"
            self.groups["l"].update(pairs)
            self.table = [entry % queues for entry in range(128)]
            self.reopen()
        elif option == "-C":
            adaptive = pairs.get("adaptive-rx", self.groups["c"]["adaptive-rx"]) == "on"
            if int(pairs.get("rx-usecs", 0)) > 8160 or (adaptive and "rx-usecs" in pairs):
                return 1, "", "netlink error: Invalid argument\n"
            before = dict(self.groups["c"])
            self.groups["c"].update(pairs)
            if self.driver == "mlx5_core" and self.groups["c"]["adaptive-rx"] != before["adaptive-rx"]:
                self.groups["c"].update({"rx-usecs": "8", "rx-frames": "128"})
        elif option == "-X":
            queues = int(self.groups["l"]["combined"])
            used = [queue for queue, share in enumerate(words[1:] or ["1"] * queues) if share == "1"]
            self.table = [used[entry % len(used)] for entry in range(128)]
        elif option == "-N":
            return self._steer(words, pairs)
        else:
            self.groups[{"-A": "a", "-K": "k", "--set-priv-flags": "priv"}[option]].update(pairs)
        return 0, "", ""

    def _steer(self, words: list[str], pairs: dict[str, str]) -> tuple[int, str, str]:
        if words[0] == "delete":
            del self.rules[int(words[1])]
            return 0, "", ""
        if self.groups["k"]["ntuple-filters"] != "on":
            return 1, "", "rmgr: Cannot insert RX class rule: Operation not supported\n"
        number = int(pairs.get("loc", max(set(range(64)) - set(self.rules))))
        self.rules[number] = pairs
        return 0, f"Added rule with ID {number}\n", ""


class NicHost:
    """A tree below ``root`` and the cards by interface. ``refuse``: words of a command -> what ethtool says."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cards: dict[str, Card] = {}
        self.ran: list[list[str]] = []
        self.refuse: dict[str, str] = {}
        self.add("twx0")

    @property
    def system(self) -> System:
        return System(self.root, self.run)

    def reads_only(self) -> System:
        return System(self.root, self.run_reads, self.no_write)

    def add(self, name: str, driver: str = "twnic") -> Card:
        for file, text in (("operstate", "up"), ("mtu", "1500"), ("ifindex", str(len(self.cards) + 2))):
            self.write(f"sys/class/net/{name}/{file}", text + "\n")
        self.cards[name] = Card(driver)
        return self.cards[name]

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def run_reads(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv[0] == "ethtool" and argv[1] in READS, f"{argv} was run where nothing may be written"
        return self.run(argv)

    def no_write(self, path: Path, text: str) -> None:
        raise AssertionError(f"{path} was written where nothing may be")

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[1] == "--version":
            return 0, "ethtool version 6.1\n", ""
        self.ran.append(argv)
        for words, said in self.refuse.items():
            if words in " ".join(argv):
                return 1, "", said
        if argv[0] == "ip":
            self.write(f"sys/class/net/{argv[4]}/mtu", argv[6] + "\n")
            return 0, "", ""
        assert argv[0] == "ethtool"
        if argv[1] == "--json":
            assert argv[2] == "-k", "ethtool 6.1 has no other JSON to rely on"
            return 0, self.features_json(argv[3]), ""
        card = self.cards[argv[2]]
        return (0, card.show(argv[1]), "") if argv[1] in READS else card.change(argv[1], argv[3:])

    def features_json(self, name: str) -> str:
        card = self.cards[name]
        found = {key: {"active": value == "on", "fixed": False} for key, value in card.groups["k"].items()}
        found |= {key: {"active": value == "on", "fixed": True} for key, value in card.fixed.items()}
        return json.dumps([{"ifname": name, **found}])

    def tree(self) -> dict[str, str]:
        return {str(path): path.read_text() for path in sorted(self.root.rglob("*")) if path.is_file()}
