# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads ethtool: JSON where this version prints it for the option, text otherwise. All values become text by name.

JSON came option by option, as ethtool's NEWS say: -a in 5.10, -k in 5.17, -g and -c in 6.2 (-c was mended in 6.14).
The JSON of -a calls everything true before 6.2, as a card with negotiation off shows with 6.1.
-l, -n, -i and --show-priv-flags have none in 6.14. Before 5.14 an option without JSON ignored --json silently, so the
version decides and not a try.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ..errors import HostError
from ..system import System

#: First version whose JSON of the option is used.
JSON_SINCE = {"-a": (6, 2), "-k": (5, 17), "-g": (6, 2), "-c": (6, 14)}
NOT_SUPPORTED = "Operation not supported"


class NotSupported(Exception):
    """The driver, the kernel or this ethtool has not got it; the text is the reason in their words."""


def reason(err: str, out: str = "") -> str:
    """The last thing that a failed ethtool said, without its own prefix."""
    lines = [line.strip() for line in err.splitlines() + out.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("For more information")]
    details = [line.partition("netlink error: ")[2] or line for line in said]
    return re.sub(r" \(offset \d+\)", "", ": ".join(dict.fromkeys(details))) or "no reason given"


class Ethtool:
    """ethtool of one host."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._version: tuple[int, ...] | None = None

    def version(self) -> tuple[int, ...]:
        """(6, 14, 2); HostError when ethtool is not installed."""
        if self._version is None:
            try:
                code, out, err = self.system.run(["ethtool", "--version"])
            except OSError as error:
                code, out, err = 127, "", str(error)
            match = re.match(r"ethtool version (\d+(?:\.\d+)*)", out)
            if code or match is None:
                said = f"status {code}: {(err or out).strip() or 'no output'}"
                raise HostError("ethtool", said, "it does not run on this host", "install package ethtool")
            self._version = tuple(int(part) for part in match.group(1).split("."))
        return self._version

    def read(self, option: str, interface: str) -> dict[str, str]:
        """Values of one option by name; NotSupported with the driver's reason."""
        with_json = option in JSON_SINCE and self.version() >= JSON_SINCE[option]
        out = self._run(option, interface, with_json)
        if with_json:
            return JSON_PARSERS[option](_one(out, option))
        return TEXT_PARSERS[option](out)

    def text(self, option: str, interface: str) -> str:
        """What an option prints for people; NotSupported as read()."""
        return self._run(option, interface, False)

    def _run(self, option: str, interface: str, with_json: bool) -> str:
        argv = ["ethtool", *(["--json"] if with_json else []), option, interface]
        code, out, err = self.system.run(argv)
        if code:
            why = reason(err)
            if why.endswith(NOT_SUPPORTED) or NOT_SUPPORTED in why.split(": "):
                raise NotSupported(NOT_SUPPORTED)
            raise HostError(" ".join(argv), f"status {code}", why, "look at the interface with that command")
        return out


def _one(out: str, option: str) -> dict[str, Any]:
    try:
        return json.loads(out)[0]
    except (ValueError, IndexError, KeyError) as error:
        raise HostError(
            f"ethtool --json {option}", out[:80], "that is no list with one interface", "report it"
        ) from error


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _plain_json(data: dict[str, Any]) -> dict[str, str]:
    return {
        name: _word(value) for name, value in data.items() if name != "ifname" and not isinstance(value, (dict, list))
    }


def _pause_json(data: dict[str, Any]) -> dict[str, str]:
    found = _plain_json(data)
    return {"autoneg" if name == "autonegotiate" else name: value for name, value in found.items()}


def _features_json(data: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            found[name] = _word(bool(value.get("active"))) + (" [fixed]" if value.get("fixed") else "")
    return found


def _lines(text: str) -> list[tuple[str, str]]:
    """``name: value`` lines of a text; values that the driver has not got are left out."""
    pairs = [line.strip().partition(":") for line in text.splitlines() if ":" in line]
    return [(name.strip(), value.strip()) for name, dummy, value in pairs if value.strip() not in ("", "n/a")]


def parse_maximums(text: str) -> dict[str, str]:
    """-g and -l as text: ``rx`` is the present number, ``rx-max`` the largest."""
    largest, dummy, present = text.partition("Current hardware settings:")
    found = {f"{name.lower().replace(' ', '-')}-max": value for name, value in _lines(largest)}
    found.update((name.lower().replace(" ", "-"), value) for name, value in _lines(present))
    return found


def parse_coalesce(text: str) -> dict[str, str]:
    """-c as text."""
    found: dict[str, str] = {}
    for name, value in _lines(text):
        match = re.match(r"(Adaptive|CQE mode) RX\Z", name)
        if match is None:
            found[name] = value
            continue
        receive, dummy, send = value.partition("TX:")
        for side, word in (("rx", receive.strip()), ("tx", send.strip())):
            if word in ("on", "off"):
                found[f"{match.group(1).lower().replace(' ', '-')}-{side}"] = word
    return found


def parse_pause(text: str) -> dict[str, str]:
    """-a as text; what was negotiated is not what is set and is left out."""
    names = {"Autonegotiate": "autoneg", "RX": "rx", "TX": "tx"}
    return {names[name]: value for name, value in _lines(text) if name in names and value in ("on", "off")}


def parse_features(text: str) -> dict[str, str]:
    """-k as text: ``on``, ``off``, and ``off [fixed]`` where the driver does not let it be changed."""
    found = {}
    for name, value in _lines(text):
        words = value.split()
        if words[0] in ("on", "off"):
            found[name] = words[0] + (" [fixed]" if "[fixed]" in words else "")
    return found


def parse_switches(text: str) -> dict[str, str]:
    """--show-priv-flags: any name with on or off."""
    return {name: value for name, value in _lines(text) if value in ("on", "off")}


def parse_driver(text: str) -> dict[str, str]:
    """-i: driver, version, firmware-version, bus-info and more."""
    return dict(_lines(text))


JSON_PARSERS: dict[str, Callable[[dict[str, Any]], dict[str, str]]] = {
    "-g": _plain_json,
    "-c": _plain_json,
    "-a": _pause_json,
    "-k": _features_json,
}
TEXT_PARSERS: dict[str, Callable[[str], dict[str, str]]] = {
    "-g": parse_maximums,
    "-l": parse_maximums,
    "-c": parse_coalesce,
    "-a": parse_pause,
    "-k": parse_features,
    "-i": parse_driver,
    "--show-priv-flags": parse_switches,
}
