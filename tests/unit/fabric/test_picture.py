# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The picture of a fabric: valid, complete, bounded, and nothing over a name. The text tables: aligned and in width."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import Finding
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import Fabric, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.layout import layout, text_width
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.picture import MOST_LISTED, svg
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.table import findings_text, text
from bench import clos

EXAMPLE = Path(__file__).parents[3] / "inventories/example/group_vars/all.yml"
SVG = "{http://www.w3.org/2000/svg}"
BAD = [
    Finding("error", "pfc-deadlock", "fabric.links", "a <b> & 'c'\u0007", device="leaf1", port="Ethernet31/1", link=7),
    Finding("warning", "headroom", "fabric.devices.spine2", "of two ports", device="spine2"),
    Finding("advice", "buffer-per-port", "fabric.devices.spine2", "1 MB", device="spine2"),
    Finding("warning", "ecn-before-pfc", "fabric.lanes", "at a port", device="leaf2", port="Ethernet1/31"),
    Finding("advice", "nowhere", "fabric.name", "has no place in the picture"),
    Finding("advice", "gone", "fabric.links[99]", "is about nothing that exists", device="nobody", link=99),
]


def example() -> Fabric:
    return parse_intent(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))["fabric"])


def texts(picture: str) -> list[str]:
    """What is written, in order."""
    return ["".join(one.itertext()) for one in ElementTree.fromstring(picture).iter(f"{SVG}text")]


def test_every_device_lane_and_finding_is_in_it() -> None:
    fabric = example()
    written = texts(svg(fabric, BAD))
    assert {*fabric.devices, *(lane.name for lane in fabric.lanes), "fabric ldn1"} <= set(written)
    joined = " ".join(written)
    for one in BAD:
        assert f"{one.severity} {one.rule}" in written
        assert one.path in joined and one.message.rstrip("\u0007") in joined
    assert [written.count(str(number)) for number in (1, 2, 3, 4, 5, 6)] == [2, 2, 2, 2, 1, 1], "list, and its place"


def test_links_are_drawn_by_lane_and_lossless_ones_are_thick() -> None:
    fabric = example()
    root = ElementTree.fromstring(svg(fabric))
    bundles = [one for one in root.iter(f"{SVG}g") if one.get("fill") == "none"]
    assert len(bundles) == len(fabric.links)
    titles = {one.findtext(f"{SVG}title", ""): one for one in bundles}
    for link in fabric.links:
        (title,) = [one for one in titles if one.startswith(f"{link.a} - {link.b}: {link.speed_gbps}G")]
        lines = titles[title].findall(f"{SVG}path")
        assert len(lines) == len(link.lanes)
        lossless = [lane for lane in fabric.lanes if lane.lossless and lane.name in link.lanes]
        assert sum(float(line.get("stroke-width", "0")) > 3 for line in lines) == len(lossless)


def test_what_is_wrong_is_marked() -> None:
    root = ElementTree.fromstring(svg(example(), BAD))
    colours = {"error": "#b3261e", "warning": "#946200"}
    boxes = {
        one.findtext(f"{SVG}title"): rect.get("stroke")
        for one in root.iter(f"{SVG}g")
        if (rect := one.find(f"{SVG}rect")) is not None
    }
    assert (boxes["leaf1"], boxes["spine2"], boxes["leaf2"]) == (colours["error"], *[colours["warning"]] * 2)
    assert boxes["spine1"] not in colours.values()
    halos = [line.get("stroke") for line in root.iter(f"{SVG}path") if line.get("opacity")]
    assert halos == [colours["error"], colours["warning"]], "links 7 and 9"


def test_the_same_text_every_time() -> None:
    assert svg(example(), BAD) == svg(example(), BAD)
    assert "no findings" in svg(example())


def overlapping(areas: list[tuple[float, float, float, float]]) -> list[Any]:
    return [
        (one, other)
        for one, other in itertools.combinations(areas, 2)
        if one[0] < other[0] + other[2] - 0.1
        and other[0] < one[0] + one[2] - 0.1
        and one[1] < other[1] + other[3] - 0.1
        and other[1] < one[1] + one[3] - 0.1
    ]


def written_areas(picture: str) -> list[tuple[float, float, float, float]]:
    """The boxes of all texts but the numbers of marks."""
    found = []
    for one in ElementTree.fromstring(picture).iter(f"{SVG}text"):
        said = "".join(one.itertext())
        size = float(one.get("font-size", "0"))
        if said.isdigit():
            continue
        width = text_width(said, size, one.get("font-weight") == "bold") * 0.9
        x = float(one.get("x", "0")) - (width / 2 if one.get("text-anchor") == "middle" else 0)
        found.append((x, float(one.get("y", "0")) - size * 0.75, width, size * 0.9))
    return found


def test_nothing_is_written_over_something_else() -> None:
    assert overlapping(written_areas(svg(example(), BAD))) == []


@st.composite
def fabrics(draw: st.DrawFn) -> Fabric:
    """A Clos of two or three tiers with names of any length, and some links between switches of a tier."""
    size = clos.Size(*(draw(st.integers(1, most)) for most in (3, 3, 2, 2, 3, 2)))
    made = clos.intent(size)
    prefix = draw(st.text("abcXYZ019._-", max_size=20))
    made["name"] = "ldn1"
    for link in made["links"]:
        link["a"], link["b"] = "n" + prefix + link["a"], "n" + prefix + link["b"]
    made["devices"] = {"n" + prefix + name: device for name, device in made["devices"].items()}
    return parse_intent(made)


@given(fabrics())
@settings(max_examples=40)
def test_boxes_of_any_fabric_are_apart_and_inside(fabric: Fabric) -> None:
    places = layout(fabric)
    boxes = [(box.x, box.y, box.width, box.height) for row in places.rows for box in row]
    assert overlapping(boxes) == []
    assert all(0 <= x and x + width <= places.width for x, _y, width, _height in boxes)
    assert {name for row in places.rows for box in row for name in box.devices} == set(fabric.devices)
    for row in places.rows:
        for box in row:
            assert all(text_width(line, 10) <= box.width for line in box.lines)
    assert overlapping(written_areas(svg(fabric))) == []


def test_a_big_fabric_is_drawn_together() -> None:
    fabric = parse_intent(clos.intent(clos.Size(pods=6, leaves=12, spines=4, tops=2, hosts=8, cables=2)))
    many = [Finding("warning", "rule", f"fabric.links[{number}]", "said", link=number) for number in range(100)]
    picture = svg(fabric, many)
    written = texts(picture)
    assert "12 switches" in written and "96 hosts" in written
    assert f"and {100 - MOST_LISTED} more findings, see the table" in written
    assert len(picture) < 100_000
    width = float(ElementTree.fromstring(picture).get("width", "0"))
    assert width < 2000


@pytest.mark.parametrize("hosts", [3, 40])
def test_hosts_are_told_together_from_some_number_on(hosts: int) -> None:
    size = clos.Size(pods=1, leaves=2, spines=2, tops=1, hosts=hosts, cables=1)
    written = texts(svg(parse_intent(clos.intent(size))))
    assert ("host0-1-2" in written) == (hosts == 3)
    assert ("40 hosts" in written) == (hosts == 40)


# --- tables ----------------------------------------------------------------------------------------------------------


def test_table() -> None:
    rows = [("leaf1", 18_432, True, "a long remark that goes over the end of the line"), ("x", None, False, "short")]
    assert text(("switch", "xoff", "set", "remark"), rows, 50).splitlines() == [
        "switch    xoff  set  remark",
        "------  ------  ---  -----------------------------",
        "leaf1   18,432  yes  a long remark that goes over",
        "                     the end of the line",
        "x               no   short",
    ]


def test_findings_table_has_the_worst_first() -> None:
    lines = findings_text(BAD).splitlines()
    starts = [line.split()[0] for line in lines[2:] if not line.startswith(" ")]
    assert starts == ["error", "warning", "warning", "advice", "advice", "advice"]
    assert findings_text([]) == "no findings\n"


cells = st.one_of(st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.text("ab c,.-\n", max_size=60))


@given(st.lists(st.tuples(cells, cells, st.text("ab cdefg", max_size=200)), max_size=6), st.integers(100, 140))
def test_a_table_keeps_its_width_and_its_words(rows: list[tuple[Any, ...]], width: int) -> None:
    shown = text(("one", "two", "three"), [(one, str(two)[:20], three) for one, two, three in rows], width)
    assert all(len(line) <= max(width, 60 + 20 + 24 + 4) for line in shown.splitlines())
    assert shown.endswith("\n")
    for row in rows:
        for word in row[2].split():
            assert word[:20] in shown
