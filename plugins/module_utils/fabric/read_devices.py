# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Devices of the intent: what kind each is, and the settings that it and its ports have instead of the fabric's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import reading
from .asic import ASICS
from .model import HOST_TIER, TIERS, Device, Link
from .read_settings import ROOT, SETTINGS, overlaid, read_settings
from .reading import IntentError
from .settings import Settings

SYSTEMS = ("eos", "nxos", "cumulus", "sonic", "linux")
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.()_+~-]*")
# how each system writes the name of a front port
PORT_NAMES = {
    "eos": re.compile(r"Ethernet\d+(/\d+){0,2}"),
    "nxos": re.compile(r"Ethernet\d+/\d+(/\d+)?"),
    "cumulus": re.compile(r"swp\d+(s\d+)?"),
    "sonic": re.compile(r"Ethernet\d+"),
    "linux": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,14}"),
}
# settings that a device has once, whatever its system: a port can not have another value
ONCE = {
    "ptp": ("role", "domain", "source"),
    "buffers": ("total_kb", "lossless_percent", "shared_headroom_ratio", "model"),
}
PORT_EXAMPLES = {"eos": "Ethernet1/1", "nxos": "Ethernet1/1", "cumulus": "swp1", "sonic": "Ethernet0", "linux": "swp1"}


def read_devices(
    value: object, links: tuple[Link, ...], base: Mapping[str, object], settings: Settings, roce_version: int
) -> dict[str, Device]:
    """Every device that a link names, in order of appearance.

    Switches are those with an ``os``. An intent that names no ``os`` at all leaves it to the links: a device with more
    than one is a (Linux) switch.
    """
    path = f"{ROOT}.devices"
    ports: dict[str, dict[str, int]] = {}
    for index, link in enumerate(links):
        for end in link.ends:
            ports.setdefault(end.device, {})[end.port] = index
    given = reading.mapping(value, path)
    for name in given:
        if name not in ports:
            raise IntentError(f"{path}.{name}", f"no link names this device; devices there: {', '.join(ports)}")
    guess = not any(isinstance(one, Mapping) and "os" in one for one in given.values())
    overrides = _Overrides(base, settings, roce_version)
    devices = {}
    for name, there in ports.items():
        os = "linux" if guess and len(there) > 1 else None
        tier = TIERS["leaf"] if os else HOST_TIER
        if name in given:
            devices[name] = _device(name, given[name], f"{path}.{name}", os, there, overrides)
        else:
            devices[name] = Device(name, os, tier, name, settings)
        system = None if guess else devices[name].os
        if system:
            for port, index in there.items():
                if not PORT_NAMES[system].fullmatch(port):
                    said = f"{name}:{port} is no port of {system}, which writes it like {PORT_EXAMPLES[system]}"
                    raise IntentError(f"{ROOT}.links[{index}]", said)
    return devices


class _Overrides:
    """Settings with overrides laid over the fabric's; what says the same is read once and is one object."""

    def __init__(self, base: Mapping[str, object], settings: Settings, roce_version: int) -> None:
        self._base = base
        self._roce_version = roce_version
        self._read = {repr(()): settings}

    def read(self, overs: tuple[Mapping[str, object], ...], path: str) -> Settings:
        """The settings with each of ``overs`` laid over the one before; ``path`` is that of the last."""
        key = repr(overs)
        if key not in self._read:
            found = self._base
            for over in overs:
                found = _override(found, over, path)
            self._read[key] = read_settings(found, path, self._roce_version)
        return self._read[key]


def _device(
    name: str,
    value: object,
    path: str,
    os: str | None,
    ports: Mapping[str, int],
    overrides: _Overrides,
) -> Device:
    keys = ("os", "tier", "group", "version", "asic", "latency_ns", "ports")
    found = reading.section(value, path, (), (*keys, *SETTINGS))
    if "os" in found:
        os = reading.choice(found["os"], f"{path}.os", SYSTEMS)
    if "tier" in found:
        tier = TIERS[reading.choice(found["tier"], f"{path}.tier", tuple(TIERS))]
        if bool(tier) != bool(os):
            said = "a switch has an os and a host has none; correct os or tier"
            raise IntentError(f"{path}.tier", f"{found['tier']} with os {os or 'missing'}: {said}")
    else:
        tier = TIERS["leaf"] if os else HOST_TIER
    over = {key: found[key] for key in SETTINGS if key in found}
    own = overrides.read((over,) if over else (), path)
    port_settings = {}
    for port, given in reading.mapping(found.get("ports", {}), f"{path}.ports").items():
        here = f"{path}.ports.{port}"
        if port not in ports:
            raise IntentError(here, f"no link names this port; ports of {name} there: {', '.join(ports)}")
        section = reading.section(given, here, (), SETTINGS)
        port_settings[port] = overrides.read((over, section), here)
        _refuse_second_values(port_settings[port], own, here, path)
    group = reading.text(found.get("group", name), f"{path}.group")
    if not DEVICE.fullmatch(group):
        raise IntentError(f"{path}.group", f"{reading.shown(group)} is no name of a group, such as rack1")
    version = None
    if "version" in found:
        version = reading.text(found["version"], f"{path}.version")
        if not VERSION.fullmatch(version):
            raise IntentError(f"{path}.version", f"{reading.shown(version)} is no version, such as '5.15'")
    latency_ns = None
    if "latency_ns" in found:
        latency_ns = reading.integer(found["latency_ns"], f"{path}.latency_ns", 1, 10_000_000)
    return Device(
        name=name,
        os=os,
        tier=tier,
        group=group,
        settings=own,
        version=version,
        asic=reading.choice(found["asic"], f"{path}.asic", tuple(ASICS)) if "asic" in found else None,
        latency_ns=latency_ns,
        port_settings=port_settings,
    )


def _refuse_second_values(port: Settings, device: Settings, here: str, path: str) -> None:
    """A port that says otherwise than its device what the device has once would be passed over in silence."""
    for section, keys in ONCE.items():
        for key in keys:
            mine, whole = (getattr(getattr(one, section), key) for one in (port, device))
            if mine != whole:
                said = f"{mine}, and {whole} for the device, which has one; set it at {path}.{section}"
                raise IntentError(f"{here}.{section}.{key}", said)


def _override(base: Mapping[str, object], over: Mapping[str, object], path: str) -> dict[str, object]:
    """``over`` laid over ``base``; an MTU is one number there, since a device is either switch or host."""
    over = dict(over)
    if isinstance(over.get("mtu"), int):
        over["mtu"] = {"host": over["mtu"], "switch": over["mtu"]}
    if "lanes" in over:
        known = reading.mapping(base["lanes"], f"{path}.lanes")
        for name in reading.mapping(over["lanes"], f"{path}.lanes"):
            if name not in known:
                said = f"no lane of {ROOT}.lanes has this name: {', '.join(known)}; lanes are the fabric's"
                raise IntentError(f"{path}.lanes.{name}", said)
    laid = overlaid(base, over)
    return dict(reading.mapping(laid, path))
