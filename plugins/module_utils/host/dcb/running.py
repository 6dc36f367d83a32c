# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DCB that an interface has now, in the fields of wanted.py, and the words that change it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...dcb import (
    DcbError,
    NotSupported,
    change,
    dscp_of,
    dscp_words,
    ets_words,
    kbits_of,
    numbered,
    pfc_of,
    pfc_words,
    rate_words,
    show,
    version,
)
from ..errors import HostError
from ..programs import find_program
from ..system import System

NO_DCB = "Attribute read: Operation not supported"
PACKAGE = "install iproute2 (RHEL: iproute), 5.12 or newer"


@dataclass
class Running:
    """``state``: group -> field -> value; ``unsupported``: group -> why there is none; ``capacity``: what can be."""

    state: dict[str, dict[str, Any]] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    capacity: dict[str, int] = field(default_factory=dict)


class Tool:
    """``dcb`` of one host."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.path = find_program(system, "dcb")
        self._version: tuple[int, int] | None = None

    def version(self) -> tuple[int, int]:
        if self._version is None:
            self._version = version(self.system.run, self.path or "")
        return self._version

    def read(self, interface: str, groups: Iterable[str]) -> Running:
        """What the driver has of these groups; HostError when it can not be read."""
        found = Running()
        nothing = "" if self.path else f"there is no program dcb here: {PACKAGE}"
        for group in groups:
            if self.path is None or nothing:
                found.unsupported[group] = nothing
                continue
            try:
                shown = show(self.system.run, self.path, group, interface)
                found.state[group] = self._fields(group, shown)
            except NotSupported as error:
                found.unsupported[group] = str(error)
                # a driver with any of it has them all read as "not found" at worst (net/dcb/dcbnl.c, dcb_doit)
                nothing = str(error) if NO_DCB in str(error) else ""
                continue
            except (DcbError, KeyError, TypeError, ValueError) as error:
                raise HostError(f"dcb {group}", interface, f"it can not be read: {error}") from error
            for name in ("pfc_cap", "ets_cap"):
                if shown.get(name):
                    found.capacity[name] = int(shown[name])
        return found

    def _fields(self, group: str, shown: Mapping[str, Any]) -> dict[str, Any]:
        if group == "dcbx":
            return {name: bool(shown.get(name)) for name in ("host", "lld_managed", "cee", "ieee", "static")}
        if group == "ets":
            return {
                "willing": bool(shown["willing"]),
                "prio_tc": list(shown["prio_tc"]),
                "tsa": list(shown["tc_tsa"]),
                "bw": list(shown["tc_bw"]),
            }
        if group == "pfc":
            return {"pfc": pfc_of(shown)}
        if group == "app":
            return {f"dscp {dscp}": priorities for dscp, priorities in dscp_of(shown).items()}
        if group == "apptrust":
            return {"order": [str(name).strip() for name in shown.get("order", [])]}
        if group == "buffer":
            sizes = {f"size {number}": int(size) for number, size in enumerate(shown["buffer_size"])}
            return {"prio_buffer": list(shown["prio_buffer"]), **sizes}
        rates = enumerate(shown["tc_maxrate"])
        return {f"tc {number}": kbits_of(int(rate), self.version()) for number, rate in rates}

    def set(self, interface: str, group: str, target: Mapping[str, Any], found: Mapping[str, Any]) -> None:
        """Bring the fields of ``target`` to their values; NotSupported or DcbError. ``found`` is the state before."""
        for words in self._words(interface, group, target, found):
            change(self.system.run, self.path or "", words)

    def _words(
        self, interface: str, group: str, target: Mapping[str, Any], found: Mapping[str, Any]
    ) -> list[list[str]]:
        if group == "dcbx":
            flags = {**found, **target}
            names = {"lld_managed": "lld-managed"}
            return [["dcbx", "set", "dev", interface, *(names.get(name, name) for name, on in flags.items() if on)]]
        if group == "ets":
            return [ets_words(interface, **target)]
        if group == "pfc":
            return [pfc_words(interface, target["pfc"])]
        if group == "app":
            return _app_words(interface, target, found)
        if group == "apptrust":
            return [["apptrust", "set", "dev", interface, "order", *target["order"]]]
        if group == "buffer":
            words = ["buffer", "set", "dev", interface]
            if "prio_buffer" in target:
                words += ["prio-buffer", *numbered(target["prio_buffer"])]
            sizes = [f"{name.split()[1]}:{size}" for name, size in sorted(target.items()) if name != "prio_buffer"]
            return [words + (["buffer-size", *sizes] if sizes else [])]
        rates = {int(name.split()[1]): kbits for name, kbits in target.items()}
        return [rate_words(interface, rates, self.version())]


def _app_words(interface: str, target: Mapping[str, Any], found: Mapping[str, Any]) -> list[list[str]]:
    """New entries first, so that a driver never sees an empty map where there are to be some."""
    wanted = [(int(name.split()[1]), priority) for name, values in target.items() for priority in values]
    gone = [(int(name.split()[1]), old) for name, values in target.items() if not values for old in found.get(name, [])]
    words = [dscp_words("replace", interface, wanted)] if wanted else []
    return words + ([dscp_words("del", interface, gone)] if gone else [])


def different(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of one group that are not as wanted, with the wanted value. A DSCP without an entry has none: []."""
    nothing: list[int] = []
    now = dict(found)
    if "bw" in wanted and "bw" in found:
        now["bw"] = _shares(wanted["bw"], found["bw"], wanted.get("tsa", found["tsa"]))
    return {name: value for name, value in wanted.items() if now.get(name, nothing) != value}


def _shares(wanted: Sequence[int], found: Sequence[int], tsa: Sequence[str]) -> list[int]:
    """What is found, but for the 100 that mlx5 shows of each class that does not share (its mlx5e_build_tc_tx_bw)."""
    return [want if kind != "ets" and now == 100 else now for want, now, kind in zip(wanted, found, tsa)]
