# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mesh: what is kept of a pair's ends, which pairs stand out, and how it all is shown."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from typing import Any

import numpy
import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st
from report_samples import BUDGETS, PING, mesh_results

from ansible_collections.tickwire.fabric.plugins.filter.mesh_end import mesh_end as filtered
from ansible_collections.tickwire.fabric.plugins.module_utils.report import document, mesh, outliers, page

LATENCIES = st.lists(st.floats(0.1, 1e6), min_size=outliers.FEWEST, max_size=60)
PAIR = ["h01", "h00"]
ERRORS = ("rdma_link.errors_risen_max", "rdma_link.errors_besides_sent_again_max")


def build(raw: dict[str, Any]) -> dict[str, Any]:
    limits = {section: BUDGETS[section] for section in ("rdma_link", "mesh")}
    return document.build("ldn1", raw, dict.fromkeys(raw, limits), "now")


def failed(made: dict[str, Any]) -> set[tuple[str, str]]:
    return {(gate["name"], gate["host"]) for gate in made["gates"] if not gate["ok"]}


@given(LATENCIES)
def test_the_spread_is_that_of_numpy(values: list[float]) -> None:
    found = outliers.spread(values)
    assert found is not None
    middle = numpy.median(values)
    away = numpy.abs(numpy.array(values) - middle)
    deviation = numpy.median(away) / 0.6745 or math.sqrt(math.pi / 2) * numpy.mean(away)
    assert found.median == pytest.approx(middle) and found.deviation == pytest.approx(deviation)
    assert found.limit == pytest.approx(middle + 3.5 * deviation)
    marked = [value for value in values if outliers.is_outlier(value, found)]
    assert len(marked) < len(values) / 2
    if numpy.median(away):
        assert all(0.6745 * (value - middle) / numpy.median(away) > 3.5 * (1 - 1e-9) for value in marked)


def test_one_bad_value_does_not_hide_another() -> None:
    values = [2.0, 2.1, 2.2, 2.0, 2.1, 2.2, 2.05, 50.0, 1000.0]
    found = outliers.spread(values)
    assert [value for value in values if outliers.is_outlier(value, found)] == [50.0, 1000.0]


def test_equal_values_have_no_outlier_and_one_among_them_is_one() -> None:
    assert not outliers.is_outlier(2.0, outliers.spread([2.0] * 9))
    assert outliers.is_outlier(9.0, outliers.spread([2.0] * 20 + [9.0]))
    assert outliers.spread([1.0, 2.0, 3.0, 4.0, 500.0]) is None, "too few to say"
    assert not outliers.is_outlier(500.0, None)


def registered(**changes: Any) -> dict[str, Any]:
    items = [{**PING, "item": name, "ansible_loop_var": "item", **changes} for name in ("rc", "ud")]
    return {"results": items, "changed": False}


def test_what_is_kept_of_an_end() -> None:
    kept = filtered(registered(lost=2), PAIR, "h00")
    assert (kept["mode"], kept["peer"]) == ("client", "h01")
    assert kept["ud"]["median_us"] == 1.9 and kept["ud"]["lost"] == 2 and "histogram" not in json.dumps(kept)
    assert filtered(registered(), PAIR, "h01")["mode"] == "server"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"unreachable": True, "msg": "no\nroute"}, "host unreachable: no route"),
        ({"failed": True, "msg": "no pyverbs"}, "no pyverbs"),
        ({"results": [{"item": "rc", "failed": True, "msg": "no pyverbs"}], "failed": True}, "no pyverbs"),
        ({}, "not measured"),
    ],
)
def test_a_failed_end_keeps_its_reason(result: dict[str, Any], said: str) -> None:
    kept = filtered(result, PAIR, "h00")
    assert kept["rc"] == {"error": said}
    assert kept["ud"]["error"] == ("not measured" if "results" in result else said)


def test_what_the_filter_refuses() -> None:
    with pytest.raises(AnsibleFilterError, match="no registered result"):
        filtered("x", PAIR, "h00")
    with pytest.raises(AnsibleFilterError, match="h09 is not in the pair"):
        filtered({}, PAIR, "h09")


def test_a_healthy_mesh() -> None:
    made = build(mesh_results(5))
    assert made["verdict"] == "passed", document.failures(made["gates"])
    assert len(made["mesh"]["pairs"]) == 20 and made["mesh"]["failed"] == made["mesh"]["outliers"] == 0
    assert json.loads(json.dumps(made)) == made
    assert "mesh of 5 hosts, RC and UD: 20 of 20 pairs measured, 0 outliers" in made["summary"]
    assert set(made["measurements"]["h00"]) == {"role", "ptp_role", "facts", "rdma_link", "mesh"}


def test_a_slow_pair_stands_out_at_both_of_its_hosts_only() -> None:
    made = build(mesh_results(6, slow={("h04", "h02")}))
    marked = [pair for pair in made["mesh"]["pairs"] if pair["outliers"]]
    assert {(pair["server"], pair["client"], pair["transport"]) for pair in marked} == {
        ("h04", "h02", "rc"),
        ("h04", "h02", "ud"),
    }
    assert marked[0]["outliers"] == ["median_us", "p99_us"]
    assert {(name, host) for name, host in failed(made) if "outliers" in name} == {
        ("mesh.outliers_max", "h02"),
        ("mesh.outliers_max", "h04"),
    }
    gate = next(gate for gate in made["gates"] if gate["name"] == "mesh.outliers_max" and gate["host"] == "h02")
    assert (gate["value"], gate["reason"].split(": ")[-1]) == (2, "RC h04, UD h04")
    assert any("mesh RC h02 - h04 stands out: median 20.0 us, p99 30.0 us" in line for line in made["summary"])


def test_a_failed_pair_is_a_result_with_both_reasons() -> None:
    raw = mesh_results(4)
    next(end for end in raw["h01"]["mesh"] if end["peer"] == "h03")["rc"] = {
        "error": "no server on h03",
        "step": "connect",
    }
    next(end for end in raw["h03"]["mesh"] if end["peer"] == "h01")["rc"] = {
        "error": "port 1 is DOWN",
        "step": "open device",
    }
    made = build(raw)
    (pair,) = (pair for pair in made["mesh"]["pairs"] if "error" in pair)
    assert pair["error"] == "no server on h03 (and h03: port 1 is DOWN)"
    assert failed(made) == {("mesh.failed_pairs_max", "h01"), ("mesh.failed_pairs_max", "h03")}
    html = page.render(made)
    assert 'class="fail" title="RC h01 - h03: no server on h03 (and h03: port 1 is DOWN)">x<' in html


def test_a_host_that_is_away_is_named_once() -> None:
    raw = mesh_results(4)
    raw["h02"] = {"role": "member", "rdma_link": {"unreachable": True, "msg": "no route"}, "mesh": []}
    for host in ("h00", "h01", "h03"):
        raw[host]["mesh"] = [end for end in raw[host]["mesh"] if end["peer"] != "h02"]
    made = build(raw)
    assert made["mesh"]["away"] == {"h02": "host unreachable: no route"} and made["mesh"]["failed"] == 6
    assert {(name, host) for name, host in failed(made) if name.startswith("mesh.failed")} == {
        ("mesh.failed_pairs_max", "h02")
    }
    assert [line for line in made["summary"] if "h02" in line] == ["mesh: h02 took no part: host unreachable: no route"]
    html = page.render(made)
    assert "<b>h02</b> took no part: host unreachable: no route" in html and "Pairs that failed" not in html


def test_nobody_in_the_mesh_could_be_reached() -> None:
    raw = {
        name: {"role": "member", "rdma_link": {"unreachable": True, "msg": "off"}, "mesh": []} for name in ("a", "b")
    }
    made = build(raw)
    assert made["mesh"]["failed"] == 2 and made["verdict"] == "failed" and "took no part" in page.render(made)


def test_errors_that_rose_are_the_hosts_own() -> None:
    raw = mesh_results(4)
    raw["h01"]["mesh"][0]["ud"]["errors_risen"] = {"out_of_sequence": 3}
    raw["h01"]["mesh"][1]["rc"]["errors_risen"] = {"out_of_sequence": 1}
    raw["h02"]["mesh"][0]["rc"]["others_risen"] = {"np_cnp_sent": 9}
    made = build(raw)
    assert failed(made) == {(name, "h01") for name in ERRORS}
    for text in document.failures(made["gates"]):
        assert "value 4 errors" in text and text.endswith("out_of_sequence +4")
    html = page.render(made)
    assert "<code>out_of_sequence</code> +4" in html and "<code>np_cnp_sent</code> +9" in html


def test_soft_roce_at_one_end_is_in_the_headline() -> None:
    raw = mesh_results(3)
    raw["h00"]["mesh"][0]["rc"] = {**raw["h00"]["mesh"][0]["rc"], "emulated": True}
    made = build(raw)
    assert made["emulated"] is True
    headline = page.render(made).split("<h1>")[1].split("</h1>")[0]
    assert "on Soft-RoCE" in headline and "its speed says nothing about hardware" in headline
    assert made["summary"][0].endswith(headline.partition(": validation passed")[2])


def end(raw: dict[str, Any], host: str, peer: str) -> dict[str, Any]:
    return next(end for end in raw[host]["mesh"] if end["peer"] == peer)


def test_a_server_that_failed_alone_fails_its_pair_and_names_itself() -> None:
    raw = mesh_results(4)
    server, client = end(raw, "h03", "h01"), end(raw, "h01", "h03")
    assert (server["mode"], client["mode"]) == ("server", "client")
    server["rc"] = {
        "error": "no answer within 30 s",
        "step": "ping-pong",
        "errors_risen": {"out_of_sequence": 7},
        "others_risen": {},
    }
    client["rc"] = {**client["rc"], "emulated": True, "errors_risen": {"packet_seq_err": 2}}
    made = build(raw)
    (pair,) = (pair for pair in made["mesh"]["pairs"] if "error" in pair)
    assert pair["error"] == "the server's end on h03 failed: no answer within 30 s" and pair["emulated"] is True
    assert pair["errors_risen"] == {"h01": {"packet_seq_err": 2}, "h03": {"out_of_sequence": 7}}
    assert failed(made) == {(name, host) for name in ("mesh.failed_pairs_max", *ERRORS) for host in ("h01", "h03")}
    assert "mesh RC h01 - h03 failed: the server's end on h03 failed: no answer within 30 s" in made["summary"]
    html = page.render(made)
    assert "<code>out_of_sequence</code> +7" in html and "<code>packet_seq_err</code> +2" in html


def test_counters_that_nobody_could_read_are_no_proof() -> None:
    raw = mesh_results(4)
    end(raw, "h03", "h01")["ud"] = {"error": "host unreachable: no route"}
    end(raw, "h03", "h02")["rc"]["errors_risen"] = {"out_of_sequence": 7}
    made = build(raw)
    gates = [gate for gate in made["gates"] if gate["name"] in ERRORS and not gate["ok"]]
    assert [(gate["host"], gate["value"]) for gate in gates] == [("h03", None)] * 2
    assert {gate["reason"] for gate in gates} == {
        "no value: the counters were not read during UD h01 (host unreachable: no route); "
        "during the others out_of_sequence +7"
    }
    assert "not read during UD h01 (host unreachable: no route)" in page.render(made)


def test_a_failed_end_keeps_the_counters_that_it_read() -> None:
    said = {"step": "ping-pong", "errors_risen": {"out_of_sequence": 7}, "others_risen": {"np_cnp_sent": 1}}
    kept = filtered(registered(failed=True, msg="no answer", reason="x", **said), PAIR, "h01")
    assert kept["rc"] == kept["ud"] == {"error": "no answer", **said}


class Table(HTMLParser):
    """The cells of the matrix, as (kind, text)."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.cells, self.open = False, [], []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        given = dict(attrs)
        self.inside = self.inside or given.get("class") == "mesh"
        if self.inside and tag == "td":
            self.cells.append([given.get("class"), ""])

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "table"

    def handle_data(self, data: str) -> None:
        if self.inside and self.cells:
            self.cells[-1][1] += " " + data.strip()


def test_the_matrix_has_a_cell_for_every_pair_and_transport() -> None:
    made = build(mesh_results(5, slow={("h04", "h00")}))
    table = Table()
    table.feed(page.render(made))
    cells = [table.cells[row * 5 : row * 5 + 5] for row in range(5)]
    assert [cells[place][place][0] for place in range(5)] == ["self"] * 5
    assert cells[0][4][0] == cells[4][0][0] == "out"
    assert cells[0][4][1].split()[:2] == ["20", "30"] and cells[4][0][1].split() == ["25", "30"], "RC above, UD below"
    assert all(kind.startswith("d") for row in (1, 2, 3) for kind, text in cells[row] if kind != "self")


def test_a_hundred_hosts_make_a_page() -> None:
    html = page.render(build(mesh_results(100)))
    table = Table()
    table.feed(html)
    assert len(table.cells) == 100 * 100
    assert len(html) < 4_000_000


def test_milliseconds_where_microseconds_are_too_small() -> None:
    raw = mesh_results(3)
    for host in raw.values():
        for end in host["mesh"]:
            for transport in mesh.TRANSPORTS:
                end[transport].update(median_us=12345.0, p99_us=45678.0)
    html = page.render(build(raw))
    assert "RC above, UD below; ms" in html and ">12.3<i>45.7</i>" in html
