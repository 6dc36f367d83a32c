# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Interfaces with DCB in memory: takes the words of ``dcb`` and prints JSON as it does, from recorded output on.

What the real dcb and a real kernel do is proven in the lab (tests/lab/dcb_kernel.py).
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

READS = ("-V", "--json", "-a", "--version", "--show-priv-flags")
RECORDED = Path(__file__).resolve().parents[2] / "fixtures/host/dcb"


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
    return found


class FakeDcb:
    """``nics``: interface -> object -> what is shown. ``refuse``: words of commands that fail, and what they say.

    ``strict_bw``: what classes that do not share show as their share.
    ``ignore``: objects that are taken and not kept. ``writes``: what was set.
    """

    def __init__(self, *interfaces: str, version: str = "6.15.0") -> None:
        fresh = recorded("iproute2_6.15.0_fresh")
        self.nics: dict[str, dict[str, Any]] = {name: copy.deepcopy(fresh) for name in interfaces}
        self.version = version
        self.strict_bw: int | None = None
        self.ethtool_version = "6.14.2"
        self.refuse: dict[str, str] = {}
        self.ignore: set[str] = set()
        self.flags: dict[str, dict[str, str]] = {}
        self.pause: dict[str, dict[str, bool]] = {}
        self.writes: list[str] = []

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] in ("ethtool", "/usr/sbin/ethtool"):
            return self._ethtool(argv[1:])
        assert argv[0] == "/usr/sbin/dcb", argv
        words = argv[1:]
        if words == ["-V"]:
            return 0, f"dcb utility, iproute2-{self.version}\n", ""
        if words[:2] == ["-N", "-j"]:
            return self._show(words[2], words[5])
        text = " ".join(words)
        for part, said in self.refuse.items():
            if part in text:
                return 1, "", said + "\n"
        self.writes.append(text)
        name, verb, interface, rest = words[0], words[1], words[3], words[4:]
        if name not in self.ignore:
            self._set(self.nics[interface][name], name, verb, rest)
        return 0, "", ""

    def run_reads_only(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv[1:3] == ["-N", "-j"] or argv[1] in READS, f"{argv} writes"
        return self.run(argv)

    def _show(self, name: str, interface: str) -> tuple[int, str, str]:
        if name == "apptrust" and tuple(map(int, self.version.split(".")[:2])) < (6, 2):
            return 1, "\n", 'Object "apptrust" is unknown, try "dcb help".\n'
        if interface not in self.nics:
            return 1, "\n", "Attribute read: Operation not supported\n"
        if name not in self.nics[interface]:
            return 1, "\n", "Attribute not found: Success\n"
        return 0, json.dumps(self.nics[interface][name]) + "\n", ""

    def _ethtool(self, words: list[str]) -> tuple[int, str, str]:
        if words == ["--version"]:
            return 0, f"ethtool version {self.ethtool_version}\n", ""
        if words[:2] == ["--json", "-a"]:
            shown = self.pause.get(words[2], {})
            if tuple(map(int, self.ethtool_version.split("."))) < (6, 2):
                shown = dict.fromkeys(shown, True)  # as recorded in fixtures/host/ethtool/6.1-twnic-pause.json
            return 0, json.dumps([{"ifname": words[2], **shown}]), ""
        if words[0] == "-a":
            names = {"autonegotiate": "Autonegotiate", "rx": "RX", "tx": "TX"}
            lines = [f"{names[key]}:\t\t{'on' if on else 'off'}" for key, on in self.pause.get(words[1], {}).items()]
            return 0, "\n".join([f"Pause parameters for {words[1]}:", *lines]) + "\n", ""
        if words[0] == "--show-priv-flags":
            lines = [f"{name}: {value}" for name, value in self.flags.get(words[1], {}).items()]
            return 0, "\n".join([f"Private flags for {words[1]}:", *lines]) + "\n", ""
        assert words[0] == "--set-priv-flags", words
        self.writes.append(" ".join(words))
        self.flags[words[1]][words[2]] = words[3]
        return 0, "", ""

    def _set(self, shown: dict[str, Any], name: str, verb: str, words: list[str]) -> None:
        if name == "dcbx":
            shown.clear()
            shown.update({word.replace("-", "_"): True for word in words})
        elif name == "apptrust":
            shown["order"] = words[1:]
        elif name == "app":
            entries = [entry[:2] for entry in shown.get("dscp_prio", [])]
            given = [[int(part) for part in word.split(":")] for word in words[1:]]
            if verb == "replace":
                entries = [entry for entry in entries if entry[0] not in [dscp for dscp, priority in given]] + given
            else:
                entries = [entry for entry in entries if entry not in given]
            shown.pop("dscp_prio", None)
            if entries:
                shown["dscp_prio"] = [[*entry, " "] for entry in sorted(entries)]
        else:
            self._maps(shown, words)
            if name == "ets" and self.strict_bw is not None:
                shares = zip(shown["tc_bw"], shown["tc_tsa"], strict=True)
                shown["tc_bw"] = [bw if tsa == "ets" else self.strict_bw for bw, tsa in shares]

    @staticmethod
    def _maps(shown: dict[str, Any], words: list[str]) -> None:
        names = {"tc-tsa": "tc_tsa", "tc-bw": "tc_bw", "prio-tc": "prio_tc", "prio-pfc": "prio_pfc",
                 "prio-buffer": "prio_buffer", "buffer-size": "buffer_size", "tc-maxrate": "tc_maxrate"}  # fmt: skip
        key = ""
        for word in words:
            index, colon, value = word.partition(":")
            if not colon and word == "willing":
                key = "willing"
            elif not colon and key == "willing":
                shown[key] = word == "on"
            elif not colon:
                key = names[word]
            else:
                for place in range(8) if index == "all" else [int(index)]:
                    shown[key][place] = _value(key, value)


def _value(key: str, text: str) -> Any:
    if key == "prio_pfc":
        return text == "on"
    if key == "tc_maxrate":  # what the kernel keeps, as 6.15 and 6.18 print it
        return int(text[:-3]) if text.endswith("bps") else int(text[:-4]) * 125
    return text if key == "tc_tsa" else int(text)
