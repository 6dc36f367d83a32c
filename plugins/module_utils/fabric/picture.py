# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fabric as an SVG picture: tiers, links by lane, and what the plan found, marked where it is.

The same intent and findings give the same text. A link is a bundle of lines, one for each lane that it carries; those
of lossless lanes are thick. Each finding has a number, at its device or link and in the list below.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence

from .drawing import Area, Point, drawn, escaped, overlap, rectangle, short, words
from .findings import ADVICE, ERROR, WARNING, Finding, worst_first
from .layout import MARGIN, SMALL, Box, Layout, layout, text_width
from .model import HOST_TIER, Fabric

FONT = "DejaVu Sans, Helvetica, Arial, sans-serif"
INK, GREY, LINE, FRAME = "#12324a", "#5b6770", "#2b4c66", "#f4f6f8"
LOSSLESS = ("#c05f00", "#8e2f5f", "#7a5c00", "#a33b2a")
LOSSY = ("#5b8db8", "#6f9a4f", "#8a7fb5", "#8b979f")
COLOURS = {ERROR: "#b3261e", WARNING: "#946200", ADVICE: "#2b6c99"}
MOST_LISTED = 40
MOST_LETTERS = 150  # of a line of the list
MARK = 8.0
SPACE = 4.5  # between the lines of a bundle
ALONG = (0.5, 0.38, 0.62, 0.28, 0.72, 0.44, 0.56, 0.33, 0.67, 0.2, 0.8)


def svg(fabric: Fabric, findings: Sequence[Finding] = ()) -> str:
    """The picture as the text of an SVG file."""
    return _Picture(fabric, worst_first(findings)).text()


class _Cable:
    """What is drawn between two boxes: one link, or all that join them where devices are drawn together."""

    def __init__(self, upper: Box, lower: Box) -> None:
        self.upper, self.lower = upper, lower
        self.links: list[int] = []
        self.start: Point = (0.0, 0.0)
        self.end: Point = (0.0, 0.0)

    def at(self, part: float) -> Point:
        """A point of the line, 0 at the upper box and 1 at the lower."""
        (x1, y1), (x2, y2) = self.start, self.end
        if self.upper.tier != self.lower.tier:
            return x1 + (x2 - x1) * part, y1 + (y2 - y1) * part
        low = y1 + self.sag
        weights = ((1 - part) ** 3, 3 * part * (1 - part) ** 2, 3 * part**2 * (1 - part), part**3)
        along = sum(weight * x for weight, x in zip(weights, (x1, x1, x2, x2)))
        return along, sum(weight * y for weight, y in zip(weights, (y1, low, low, y2)))

    @property
    def sag(self) -> float:
        """How far below its boxes a line within a row hangs at its control points."""
        return min(70.0, 34.0 + abs(self.end[0] - self.start[0]) * 0.06)

    def path(self, shift: float) -> str:
        (x1, y1), (x2, y2) = self.start, self.end
        if self.upper.tier != self.lower.tier:
            length = math.hypot(x2 - x1, y2 - y1)
            along, down = (x2 - x1) / length, (y2 - y1) / length
            more = min(40.0, (abs(shift * along) + 4) / max(down, 0.1))  # the ends lie under the boxes
            x1, y1 = x1 + shift * down - more * along, y1 - shift * along - more * down
            x2, y2 = x2 + shift * down + more * along, y2 - shift * along + more * down
            return f"M{short(x1)} {short(y1)} L{short(x2)} {short(y2)}"
        low = y1 + self.sag + shift
        first, last = x1 - shift, x2 + shift
        points = ((first, low), (last, low), (last, y2))
        return f"M{short(first)} {short(y1)} C" + " ".join(f"{short(x)} {short(y)}" for x, y in points)


class _Picture:
    def __init__(self, fabric: Fabric, findings: list[Finding]) -> None:
        self.fabric = fabric
        self.findings = findings
        self.places: Layout = layout(fabric)
        lossless = [lane.name for lane in fabric.lanes if lane.lossless]
        lossy = [lane.name for lane in fabric.lanes if not lane.lossless]
        self.colours = {name: LOSSLESS[number % 4] for number, name in enumerate(lossless)}
        self.colours.update({name: LOSSY[number % 4] for number, name in enumerate(lossy)})
        self.cables, self.cable_of = self._cables()
        self.link_of = {(end.device, end.port): number for number, link in enumerate(fabric.links) for end in link.ends}
        self.taken: list[Area] = [
            (box.x - 2, box.y - 2, box.width + 4, box.height + 4) for row in self.places.rows for box in row
        ]
        self.taken += [(x, y, text_width(name, SMALL) + 20, 16) for name, x, y, _width, _height in self.places.frames]

    # --- where --------------------------------------------------------------------------------------------------

    def _cables(self) -> tuple[list[_Cable], dict[int, _Cable]]:
        merged: dict[tuple[int, ...], _Cable] = {}
        cable_of: dict[int, _Cable] = {}
        for number, link in enumerate(self.fabric.links):
            one, other = (self.places.box_of[end.device] for end in link.ends)
            if one is other:
                continue
            upper, lower = (other, one) if (other.tier, -other.x) > (one.tier, -one.x) else (one, other)
            alone = len(upper.devices) == len(lower.devices) == 1
            key = (number,) if alone else (-1, id(upper), id(lower))
            cable = merged.setdefault(key, _Cable(upper, lower))
            cable.links.append(number)
            cable_of[number] = cable
        cables = list(merged.values())
        for row in self.places.rows:
            for box in row:
                self._ends(box, cables)
        return cables, cable_of

    def _ends(self, box: Box, cables: Sequence[_Cable]) -> None:
        """Spreads the ends of the cables over the upper and the lower side of a box."""
        for is_top in (True, False):
            here = [
                cable
                for cable in cables
                if box in (cable.upper, cable.lower)
                and (is_top == (cable.lower is box and cable.upper.tier != cable.lower.tier))
            ]
            here.sort(key=lambda cable: (cable.lower if cable.upper is box else cable.upper).middle)
            for number, cable in enumerate(here):
                point = (
                    box.x + box.width * (number + 1) / (len(here) + 1),
                    box.y if is_top else box.y + box.height,
                )
                if cable.upper is box:
                    cable.start = point
                else:
                    cable.end = point

    def _free(self, cable: _Cable, width: float, height: float, parts: Iterable[float]) -> Point | None:
        """The middle of a free area of that size on the line."""
        for part in parts:
            x, y = cable.at(part)
            area = (x - width / 2, y - height / 2, width, height)
            if not any(overlap(area, other) for other in self.taken):
                self.taken.append(area)
                return x, y
        return None

    # --- what ---------------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The whole file."""
        fabric, places = self.fabric, self.places
        marks = self._marks()
        worst = self._worst_of_cables()
        body: list[str] = []
        for _name, x, y, width, height in places.frames:
            body.append(rectangle(x, y, width, height, 8, FRAME, "#b7c0c8"))
        for cable in self.cables:
            body += self._cable(cable, worst.get(id(cable)))
        for name, x, y, _width, _height in places.frames:
            body.append(rectangle(x + 6, y + 2, text_width(name, SMALL) + 6, 15, 3, FRAME, None))
            body.append(words(x + 10, y + 13, name, SMALL, GREY))
        for cable in self.cables:
            body += self._speed(cable)
        for row in places.rows:
            for box in row:
                body += self._box(box)
        body += marks
        y = places.bottom + 52
        legend, y = self._legend(y)
        listed, y = self._list(y)
        body += legend + listed
        wide, high = short(places.width), short(y + 10)
        counts = f"{len(fabric.switches):,} switches, {len(fabric.hosts):,} hosts, {len(fabric.links):,} links"
        found = f"; {len(self.findings):,} findings" if self.findings else "; no findings"
        head = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}"'
            f' height="{high}" font-family="{FONT}">',
            f"<title>{escaped('fabric ' + fabric.name)}</title>",
            f"<desc>{counts}{found}</desc>",
            f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
            words(MARGIN, 40, f"fabric {fabric.name}", 18, INK, bold=True),
            words(MARGIN, 60, counts + found, 12, GREY),
        ]
        return "\n".join([*head, *body, "</svg>"]) + "\n"

    def _worst_of_cables(self) -> dict[int, str]:
        found: dict[int, str] = {}
        for one in self.findings:
            link = self._link(one)
            if link in self.cable_of:
                found.setdefault(id(self.cable_of[link]), one.severity)
        return found

    def _link(self, one: Finding) -> int:
        """The link that a finding is about, -1 for none."""
        if one.link is not None:
            return one.link if 0 <= one.link < len(self.fabric.links) else -1
        return self.link_of.get((one.device, one.port), -1)

    def _cable(self, cable: _Cable, severity: str | None) -> list[str]:
        links = [self.fabric.links[number] for number in cable.links]
        lanes = [name for name in self.colours if any(name in link.lanes for link in links)]
        first = links[0]
        said = f"{first.a} - {first.b}: {first.speed_gbps}G, {first.cable_m:g} m, {', '.join(first.lanes) or 'no lane'}"
        if len(links) > 1:
            said = f"{len(links):,} links, the first {said}"
        found = ['<g fill="none">', f"<title>{escaped(said)}</title>"]
        if severity:
            found.append(drawn(cable.path(0), COLOURS[severity], SPACE * max(len(lanes), 1) + 7, ' opacity="0.22"'))
        if not lanes:
            found.append(drawn(cable.path(0), GREY, 1, ' stroke-dasharray="2 4"'))
        is_lossless = {lane.name for lane in self.fabric.lanes if lane.lossless}
        for number, name in enumerate(lanes):
            shift = (number - (len(lanes) - 1) / 2) * SPACE
            width = 3.2 if name in is_lossless else 1.2
            found.append(drawn(cable.path(shift), self.colours[name], width))
        return [*found, "</g>"]

    def _speed(self, cable: _Cable) -> list[str]:
        """The speed on a free place of the line; where there is none it is in the line's title alone."""
        links = [self.fabric.links[number] for number in cable.links]
        speeds = sorted({link.speed_gbps for link in links})
        said = "/".join(str(speed) for speed in speeds) + "G" + (f" x{len(links):,}" if len(links) > 1 else "")
        width = text_width(said, SMALL - 1) + 6
        point = self._free(cable, width, 13, ALONG)
        if point is None:
            return []
        x, y = point
        return [
            rectangle(x - width / 2, y - 6.5, width, 13, 3, "#ffffff", None),
            words(x, y + 3.2, said, SMALL - 1, GREY, anchor="middle"),
        ]

    def _box(self, box: Box) -> list[str]:
        is_host = box.tier == HOST_TIER
        mine = [one.severity for one in self.findings if one.device and self.places.box_of.get(one.device) is box]
        stroke = COLOURS[mine[0]] if mine else LINE
        found = ["<g>", f"<title>{escaped(', '.join(box.devices[:50]))}</title>"]
        fill = "#e9f1f7" if is_host else "#ffffff"
        found.append(rectangle(box.x, box.y, box.width, box.height, 6, fill, stroke, 2.5 if mine else 1.5))
        y = box.y + 19
        for number, line in enumerate(box.lines):
            size = SMALL if number else (11 if is_host else 12)
            found.append(words(box.middle, y, line, size, GREY if number else INK, not number, "middle"))
            y += 16
        return [*found, "</g>"]

    def _marks(self) -> list[str]:
        """A numbered mark for each finding that has a place in the picture."""
        found: list[str] = []
        on_box: dict[int, int] = {}
        for number, one in enumerate(self.findings[:MOST_LISTED], 1):
            box = self.places.box_of.get(one.device)
            link = self._link(one)
            point = None
            if link in self.cable_of:
                cable = self.cable_of[link]
                parts: Sequence[float] = ALONG
                if box is cable.upper or box is cable.lower:
                    near_upper = tuple(sorted(ALONG))
                    parts = near_upper if box is cable.upper else near_upper[::-1]
                point = self._free(cable, 2 * MARK, 2 * MARK, parts)
                box = box or cable.upper
            if point is None and box is not None:
                count = on_box.get(id(box), 0)
                on_box[id(box)] = count + 1
                most = max(1, int(box.width // (2 * MARK + 2)))
                if count >= most:
                    continue  # the list has it; the box is full
                point = (box.x + box.width - (count + 0.5) * (2 * MARK + 2), box.y - 1)
                self.taken.append((point[0] - MARK, point[1] - MARK, 2 * MARK, 2 * MARK))
            if point is not None:
                found += mark(point, number, one)
        return found

    def _legend(self, y: float) -> tuple[list[str], float]:
        found = []
        for lane in self.fabric.lanes:
            parts = ["lossless" if lane.lossless else "lossy", f"priority {lane.priority}"]
            if lane.dscp:
                parts.append(f"DSCP {', '.join(map(str, lane.dscp))}")
            parts.append("strict" if lane.strict else f"share {lane.share} %")
            line = f"M{short(MARGIN)} {short(y - 4)} h34"
            found.append(drawn(line, self.colours[lane.name], 3.2 if lane.lossless else 1.2))
            found.append(words(MARGIN + 46, y, lane.name, 12, INK, bold=True))
            after = MARGIN + 46 + max(90.0, text_width(lane.name, 12, True) + 12)
            found.append(words(after, y, ", ".join(parts), 12, GREY))
            y += 20
        return found, y + 14

    def _list(self, y: float) -> tuple[list[str], float]:
        found = []
        letters = min(MOST_LETTERS, int((self.places.width - 2 * MARGIN - 30) / (11 * 0.62)))
        for number, one in enumerate(self.findings[:MOST_LISTED], 1):
            found += mark((MARGIN + MARK, y - 4), number, one)
            head = f"{one.severity} {one.rule}"
            found.append(words(MARGIN + 30, y, head, 11, COLOURS[one.severity], bold=True))
            y += 16
            for line in textwrap.wrap(f"{one.path}: {one.message}", letters):
                found.append(words(MARGIN + 30, y, line, 11, INK))
                y += 15
            y += 8
        if len(self.findings) > MOST_LISTED:
            more = len(self.findings) - MOST_LISTED
            found.append(words(MARGIN + 30, y, f"and {more:,} more findings, see the table", 11, GREY))
            y += 24
        return found, y


def mark(point: Point, number: int, one: Finding) -> list[str]:
    x, y = point
    return [
        f'<g><title>{escaped(str(one))}</title><circle cx="{short(x)}" cy="{short(y)}" r="{short(MARK)}"'
        f' fill="{COLOURS[one.severity]}" stroke="#ffffff" stroke-width="1.5"/>'
        + words(x, y + 3.3, str(number), 9, "#ffffff", True, "middle")
        + "</g>"
    ]
