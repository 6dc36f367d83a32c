# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where each device of a fabric stands in its picture. Lengths are in pixels of the picture.

A tier is a row, the highest on top and the hosts below; a group of devices stands side by side. Devices that have the
same group or the same neighbours above are drawn as one box where there are too many to draw each.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from .model import HOST_TIER, Device, Fabric

MOST_HOSTS = 24
MOST_SWITCHES = 32
MOST_IN_ROW = 24
MARGIN = 40.0
TOP = 96.0
ROW = 150.0
SWITCH_HEIGHT, HOST_HEIGHT = 46.0, 28.0
GAP, GROUP_GAP = 18.0, 40.0
PADDING = 12.0
NARROWEST = 860.0
SIZE = 12
SMALL = 10


def text_width(text: str, size: float, bold: bool = False) -> float:
    """About how wide a text is in DejaVu Sans, rather too wide than too narrow."""
    wide = sum(0.98 if char in "MWmw@%" or ord(char) > 126 else 0.76 if char.isupper() else 0.64 for char in text)
    return wide * size * (1.12 if bold else 1.0)


@dataclass
class Box:
    """One device, or several alike. ``x`` and ``y`` are its upper left corner."""

    devices: tuple[str, ...]
    tier: int
    group: str
    lines: tuple[str, ...]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass
class Layout:
    """``box_of`` gives the box of a device; ``frames`` are (name, x, y, width, height) around groups."""

    rows: list[list[Box]]
    box_of: Mapping[str, Box]
    width: float
    bottom: float
    frames: list[tuple[str, float, float, float, float]] = field(default_factory=list)


def layout(fabric: Fabric) -> Layout:
    """The boxes of a fabric with their places."""
    boxes = _boxes(fabric)
    box_of = {name: box for box in boxes for name in box.devices}
    near = _near(fabric, box_of)
    tiers = sorted({box.tier for box in boxes}, reverse=True)
    rows = [_together([box for box in boxes if box.tier == tier]) for tier in tiers]
    if tiers[-1] == HOST_TIER and len(rows) > 1:
        place = {id(box): index for index, box in enumerate(box for row in reversed(rows[:-1]) for box in row)}
        rows[-1].sort(key=lambda box: min((place.get(id(other), 0) for other in near[id(box)]), default=0))
    for number, row in enumerate(rows):
        for box in row:
            box.y = TOP + number * ROW
    widest = max(range(len(rows)), key=lambda number: _extent(rows[number], near))
    _pack(rows[widest], near)
    for number in [*range(widest - 1, -1, -1), *range(widest + 1, len(rows))]:
        _align(rows[number], rows[number + (1 if number < widest else -1)], near)
    left = min(box.x for box in boxes)
    right = max(box.x + box.width for box in boxes)
    width = max(NARROWEST, right - left + 2 * MARGIN)
    shift = (width - (right - left)) / 2 - left
    for box in boxes:
        box.x += shift
    frames = [frame for row in rows for frame in _frames(row)]
    return Layout(rows, box_of, width, TOP + (len(rows) - 1) * ROW + SWITCH_HEIGHT, frames)


def _boxes(fabric: Fabric) -> list[Box]:
    """Boxes from the highest tier down, hosts last."""
    switches = sorted(fabric.switches, key=lambda device: -device.tier)
    members: dict[str, int] = {}
    for device in switches:
        members[device.group] = members.get(device.group, 0) + 1
    key_of: dict[str, Hashable] = {}
    merged: dict[Hashable, list[Device]] = {}

    def is_above(name: str, device: Device) -> bool:
        return name in key_of and fabric.devices[name].tier > device.tier

    for device in (*switches, *fabric.hosts):
        key: Hashable = device.name
        if len(switches) > MOST_SWITCHES or (not device.is_switch and len(fabric.hosts) > MOST_HOSTS):
            key = (device.tier, device.group)
            if members.get(device.group, 0) < 2:
                there = {end.device for _index, _own, end in fabric.links_of[device.name]}
                key = (device.tier, frozenset(key_of[name] for name in there if is_above(name, device)))
        key_of[device.name] = key
        merged.setdefault(key, []).append(device)
    boxes = [_box(devices) for devices in merged.values()]
    for tier in {box.tier for box in boxes}:
        row = [box for box in boxes if box.tier == tier]
        if len(row) > MOST_IN_ROW and (tier or len(row) > MOST_HOSTS):
            boxes = [box for box in boxes if box.tier != tier]
            boxes.append(_box([fabric.devices[name] for box in row for name in box.devices]))
    return sorted(boxes, key=lambda box: -box.tier)


def _box(devices: Sequence[Device]) -> Box:
    first, last = devices[0], devices[-1]
    if len(devices) == 1:
        system = " ".join(part for part in (first.os, first.version) if part)
        lines = (first.name, system) if first.is_switch else (first.name,)
    else:
        kind = "switches" if first.is_switch else "hosts"
        lines = (f"{len(devices):,} {kind}", f"{first.name} to {last.name}")
    box = Box(tuple(device.name for device in devices), first.tier, first.group, lines)
    size = SIZE if first.is_switch else SMALL + 1
    box.width = max(text_width(lines[0], size, True), *(text_width(line, SMALL) for line in lines)) + 2 * PADDING
    box.width = max(box.width, 96.0 if first.is_switch else 64.0)
    box.height = SWITCH_HEIGHT if len(lines) > 1 else HOST_HEIGHT
    return box


def _near(fabric: Fabric, box_of: Mapping[str, Box]) -> dict[int, list[Box]]:
    """Id of a box -> boxes of other tiers with a link to it."""
    found: dict[int, list[Box]] = {id(box): [] for box in box_of.values()}
    seen = set()
    for link in fabric.links:
        one, other = box_of[link.a.device], box_of[link.b.device]
        if one.tier != other.tier and (id(one), id(other)) not in seen:
            seen.update([(id(one), id(other)), (id(other), id(one))])
            found[id(one)].append(other)
            found[id(other)].append(one)
    return found


def _together(row: list[Box]) -> list[Box]:
    """The boxes of a group side by side, where its first one stood."""
    place: dict[str, int] = {}
    for box in row:
        place.setdefault(box.group, len(place))
    return sorted(row, key=lambda box: place[box.group])


def _gap(left: Box, right: Box, near: Mapping[int, list[Box]]) -> float:
    if left.tier == HOST_TIER:
        mine = {id(box) for box in near[id(left)]}
        return GAP if mine & {id(box) for box in near[id(right)]} else GROUP_GAP
    return GAP if left.group == right.group else GROUP_GAP


def _extent(row: Sequence[Box], near: Mapping[int, list[Box]]) -> float:
    return sum(box.width for box in row) + sum(_gap(one, other, near) for one, other in zip(row, row[1:]))


def _pack(row: Sequence[Box], near: Mapping[int, list[Box]]) -> None:
    """One after the other."""
    x = 0.0
    for number, box in enumerate(row):
        if number:
            x += _gap(row[number - 1], box, near)
        box.x = x
        x += box.width


def _align(row: Sequence[Box], placed: Sequence[Box], near: Mapping[int, list[Box]]) -> None:
    """Each box over or under the middle of what it is joined with, as far as the others leave it room."""
    there = {id(box) for box in placed}
    centre = sum(box.middle for box in placed) / len(placed)
    wished = []
    for box in row:
        joined = [other.middle for other in near[id(box)] if id(other) in there]
        wished.append(sum(joined) / len(joined) if joined else centre)
    edge = None
    for number, box in enumerate(row):
        box.x = wished[number] - box.width / 2
        if edge is not None:
            box.x = max(box.x, edge + _gap(row[number - 1], box, near))
        edge = box.x + box.width
    off = sum(box.middle - wish for box, wish in zip(row, wished)) / len(row)
    for box in row:
        box.x -= off


def _frames(row: Sequence[Box]) -> list[tuple[str, float, float, float, float]]:
    """A frame around each group of more than one box."""
    found = []
    for group in dict.fromkeys(box.group for box in row):
        boxes = [box for box in row if box.group == group]
        if len(boxes) > 1:
            x = boxes[0].x - PADDING
            width = boxes[-1].x + boxes[-1].width - x + PADDING
            found.append((group, x, boxes[0].y - 24, width, SWITCH_HEIGHT + 34))
    return found
