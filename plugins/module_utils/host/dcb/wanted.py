# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wanted of the DCB of each interface: the user's dictionary, checked, as fields that can be compared.

The fields of an interface are grouped as ``dcb`` groups them; each has a plain value, so that it can be kept and told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import HostError

#: Objects of ``dcb`` in the order in which they are set: who rules comes first, then the scheduling, then the pauses.
GROUPS = ("dcbx", "ets", "pfc", "app", "apptrust", "buffer", "maxrate")
#: Without these an interface does not carry the lanes; the others only where a driver has them.
NEEDED = ("ets", "pfc", "app")
KEYS = ("trust", "pfc", "prio_tc", "tsa", "bw", "dscp", "headroom_bytes", "prio_buffer", "buffers", "maxrate")
TRUST = ("dscp", "pcp")
TSA = ("strict", "ets")


def parse_interfaces(interfaces: Mapping[str, Any] | None) -> dict[str, dict[str, dict[str, Any]]]:
    """Interface -> group -> field -> value; HostError names what is wrong. A key that is missing is left alone."""
    return {str(name): _fields(f"dcb.{name}", given or {}) for name, given in (interfaces or {}).items()}


def _fields(item: str, given: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(given, Mapping):
        raise HostError(item, given, "it has to be a dictionary", "see the documentation of tickwire.fabric.dcb")
    for key in given:
        if key not in KEYS:
            raise HostError(f"{item}.{key}", given[key], f"there is no such key; keys are {', '.join(KEYS)}")
    found: dict[str, dict[str, Any]] = {group: {} for group in GROUPS}
    if given:
        found["dcbx"] = {"host": True, "ieee": True, "lld_managed": False}
        found["ets"]["willing"] = False
    for key, low, high in (("prio_tc", 0, 7), ("bw", 0, 100), ("prio_buffer", 0, 7)):
        if given.get(key):
            group = "buffer" if key == "prio_buffer" else "ets"
            found[group][key] = _eight(f"{item}.{key}", _numbers(f"{item}.{key}", given[key], low, high))
    if given.get("tsa"):
        found["ets"]["tsa"] = _eight(f"{item}.tsa", [_one_of(f"{item}.tsa", tsa, TSA) for tsa in given["tsa"]])
    _check_shares(item, found["ets"])
    if given.get("pfc") is not None:
        found["pfc"]["pfc"] = sorted(set(_numbers(f"{item}.pfc", given["pfc"], 0, 7)))
    for entry in given.get("dscp") or []:
        dscp = _number(f"{item}.dscp", entry["dscp"], 0, 63)
        field = f"dscp {dscp}"
        if field in found["app"]:
            raise HostError(f"{item}.dscp", dscp, "it is there twice", "keep one of them")
        found["app"][field] = [_number(f"{item}.dscp.priority", entry["priority"], 0, 7)]
    if given.get("headroom_bytes"):
        _number(f"{item}.headroom_bytes", given["headroom_bytes"], 0, 2**32 - 1)
    if given.get("trust"):
        found["apptrust"]["order"] = [_one_of(f"{item}.trust", given["trust"], TRUST)]
    for entry in given.get("buffers") or []:
        number = _number(f"{item}.buffers.buffer", entry["buffer"], 0, 7)
        found["buffer"][f"size {number}"] = _number(f"{item}.buffers.size_bytes", entry["size_bytes"], 0, 2**32 - 1)
    for entry in given.get("maxrate") or []:
        number = _number(f"{item}.maxrate.tc", entry["tc"], 0, 7)
        found["maxrate"][f"tc {number}"] = _number(f"{item}.maxrate.mbps", entry["mbps"], 0, 10**7) * 1000
    return {group: fields for group, fields in found.items() if fields}


def _check_shares(item: str, ets: Mapping[str, Any]) -> None:
    """802.1Q: the shares of the classes that share are 100 percent together."""
    if "tsa" not in ets or "bw" not in ets:
        return
    shares = [bw for tsa, bw in zip(ets["tsa"], ets["bw"]) if tsa == "ets"]
    if shares and sum(shares) != 100:
        raise HostError(f"{item}.bw", sum(shares), "the shares of the ets classes have to be 100 percent together")


def _eight(item: str, values: list[Any]) -> list[Any]:
    if len(values) != 8:
        raise HostError(item, values, "eight values are needed, one for each of 0 to 7")
    return values


def _numbers(item: str, values: Any, low: int, high: int) -> list[int]:
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise HostError(item, values, "it has to be a list of numbers")
    return [_number(item, value, low, high) for value in values]


def _number(item: str, value: Any, low: int, high: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise HostError(item, value, f"it has to be a whole number from {low} to {high}") from error
    if not low <= number <= high:
        raise HostError(item, value, f"it has to be from {low} to {high}")
    return number


def _one_of(item: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise HostError(item, value, f"it has to be one of {', '.join(choices)}")
    return str(value)
