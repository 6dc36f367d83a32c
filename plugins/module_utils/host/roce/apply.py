# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets RoCE by the difference and reads it back; a failure puts back what was changed.

Values live in the kernel's device: a reboot and a device that is made anew start from the defaults, and the agent
calls reapply() then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..before import forget, read_before, remember
from ..errors import HostError
from ..programs import find_program
from ..system import System
from .devices import CONFIGFS, RdmaPort, Setting, check_wanted, cma_settings, driver_settings, ports_of
from .gids import gid_table

OWNER = "roce"


@dataclass
class RoceResult:
    """Changes as (port, name, before, after); GID index by address of each port; what is not as it should be, or not
    supported."""

    changed: list[tuple[str, str, str | None, str]] = field(default_factory=list)
    gids: dict[str, dict[str, int]] = field(default_factory=dict)
    unsupported: dict[str, list[str]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def text(self, after: bool) -> str:
        """One line per value that changes, for the diff."""
        lines = [f"{port} {name}: {new if after else old or 'not known'}\n" for port, name, old, new in self.changed]
        return "".join(lines)


@dataclass
class PortState:
    """What of one port's settings can be set, what has no place in its driver, and its GIDs."""

    settings: list[Setting]
    unsupported: list[str]
    gids: dict[str, Any]


def port_state(system: System, port: RdmaPort, wanted: Mapping[str, Any]) -> PortState:
    """Reads only."""
    settings, unsupported = cma_settings(port, wanted), []
    for places in driver_settings(system, port, wanted):
        there = next((place for place in places if system.path(place.file).exists()), None)
        if there and there.is_closed(system):
            unsupported.append(
                f"{there.name}: the kernel does not let /{there.file} be opened (lockdown, as by Secure Boot)"
            )
        elif there:
            settings.append(there)
        else:
            unsupported.append(
                f"{places[0].name}: {port.device} has no {' and no '.join('/' + one.file for one in places)}"
            )
    return PortState(settings, unsupported, gid_table(system, port, wanted.get("version", 2)))


def apply_roce(system: System, interfaces: Mapping[str, Any] | None, check: bool) -> RoceResult:
    """Make every RDMA port of the interfaces as wanted; HostError when one can not be, all as before then."""
    check_wanted(interfaces)
    kept = read_kept(system)
    work = _Work(system, check, kept)
    ours: set[str] = set()
    try:
        for interface, wanted in (interfaces or {}).items():
            ports = ports_of(system, interface)
            if not ports and wanted:
                work.result.findings.append(missing(interface))
            for port in ports if wanted else []:
                ours |= work.port(port, wanted)
        work.give_back(ours)
    except (HostError, OSError) as error:
        failed = work.put_back()
        if isinstance(error, HostError) and not failed:
            raise
        rest = f"; not put back: {', '.join(failed)}" if failed else ""
        raise HostError("roce", work.at, f"{error}{rest}") from error
    if not check:
        forget(system, OWNER, work.kept.keys() - ours)
    return work.result


def reapply(system: System, wanted: Mapping[str, Any], interface: str) -> list[str]:
    """Set again what a boot, or a device that was made anew, does not have; what was changed, in words."""
    given = (wanted.get("roce") or {}).get(interface)
    if not given:
        return []
    check_wanted({interface: given})
    work = _Work(system, False, read_kept(system))
    for port in ports_of(system, interface):
        work.port(port, given)
    return [f"roce {name} of {port}: {old or 'not known'} -> {new}" for port, name, old, new in work.result.changed]


def missing(interface: str) -> str:
    """What is said of an interface without an RDMA device."""
    return (
        f"{interface} has no RDMA device. Load the driver of its NIC (rdma link show), or make a Soft-RoCE device: "
        f"rdma link add rxe0 type rxe netdev {interface}."
    )


def read_kept(system: System) -> dict[str, Any]:
    """Former values of what is ours, by file; None where nobody could read them."""
    return {name: json.loads(value) for name, value in read_before(system, OWNER).items()}


class _Work:
    """One run: what was written, for the result and for the way back."""

    def __init__(self, system: System, check: bool, kept: dict[str, Any]) -> None:
        self.system = system
        self.check = check
        self.kept = kept
        self.kept_before = dict(kept)
        self.result = RoceResult()
        self.at = ""
        self.done: list[tuple[Setting, str]] = []

    def port(self, port: RdmaPort, wanted: Mapping[str, Any]) -> set[str]:
        """Set what differs; the files that are ours."""
        self.at = str(port)
        state = port_state(self.system, port, wanted)
        if state.unsupported:
            self.result.unsupported[str(port)] = state.unsupported
        self.result.gids[str(port)] = state.gids["gids"]
        self.result.findings += state.gids["missing"]
        made = bool(cma_settings(port, wanted)) and not self.check and self._make_directory(port)
        for setting in state.settings:
            self.write(str(port), setting)
        if made:
            self._remember_directory(cma_settings(port, wanted))
        return {setting.file for setting in state.settings}

    def _remember_directory(self, settings: Iterable[Setting]) -> None:
        """A directory of ours goes away again by what is kept, also where no value had to be written.

        That is so after the device was renamed, since the values are the device's.
        """
        self._keep({setting.file: setting.value for setting in settings})

    def _make_directory(self, port: RdmaPort) -> bool:
        """The device's directory in configfs, which the kernel fills with its values; whether it was not there."""
        directory = self.system.path(f"{CONFIGFS}/{port.device}")
        if directory.is_dir():
            return False
        if not directory.parent.is_dir():
            modprobe = find_program(self.system, "modprobe")
            if modprobe:
                self.system.run([modprobe, "rdma_cm"])
        try:
            directory.mkdir()
        except OSError as error:
            raise HostError(
                "directory",
                f"/{CONFIGFS}/{port.device}",
                str(error),
                "look whether configfs is mounted and rdma_cm loaded",
            ) from error
        return True

    def write(self, port: str, setting: Setting) -> None:
        """Write one value when it differs, and read it back."""
        old = setting.read(self.system)
        if old == setting.value:
            return
        if not self.check:
            self._keep({setting.file: old})
            try:
                self.system.write(self.system.path(setting.file), setting.value)
            except OSError as error:
                raise HostError(
                    f"roce {setting.name} of {port}", setting.value, f"the driver refuses it: {error}"
                ) from error
            if old is not None:
                self.done.append((setting, old))
            now = setting.read(self.system)
            if now != setting.value:
                raise HostError(f"roce {setting.name} of {port}", setting.value, f"it was written and reads {now}")
        self.result.changed.append((port, setting.name, old, setting.value))

    def give_back(self, ours: set[str]) -> None:
        """Files that were ours go back; where a device has gone there is nothing to do."""
        for file, value in self.kept_before.items():
            if file in ours or value is None or not self.system.path(file).exists():
                continue
            self.at = file
            setting = Setting(file.rpartition("/")[2], file, value)
            if setting.read(self.system) is not None:
                self.write("/" + file.rpartition("/")[0], setting)
        if self.check:
            return
        used = {file.split("/")[4] for file in ours if file.startswith(CONFIGFS)}
        for device in {file.split("/")[4] for file in self.kept_before if file.startswith(CONFIGFS)} - used:
            directory = self.system.path(f"{CONFIGFS}/{device}")
            if directory.is_dir():
                directory.rmdir()

    def _keep(self, values: Mapping[str, Any]) -> None:
        """Former values are on disk before the first change, whatever happens then."""
        self.kept = {**values, **self.kept}
        remember(self.system, OWNER, {name: json.dumps(value) for name, value in values.items()})

    def put_back(self) -> list[str]:
        """Undo in reverse; the files that could not be."""
        failed = []
        for setting, old in reversed(self.done):
            try:
                self.system.write(self.system.path(setting.file), old)
            except OSError as error:
                failed.append(f"{setting.file} ({error})")
        if not self.check and not failed:
            forget(self.system, OWNER, self.kept.keys() - self.kept_before.keys())
        return failed
