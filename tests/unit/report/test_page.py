# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page: self-contained, complete, the same for the same figures."""

import re
from html.parser import HTMLParser

import pytest
from report_samples import budgets, results

from ansible_collections.tickwire.fabric.plugins.module_utils.report import charts, document, page

NOW = "2026-01-02 03:04:05 UTC"
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collects references, ids and text, and checks that elements nest."""

    def __init__(self):
        super().__init__()
        self.references, self.open, self.text, self.ids, self.elements = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data", "action", "srcset"):
                self.references.append(value)
            if name == "id":
                self.ids.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, "</%s> closes <%s>" % (tag, self.open[-1] if self.open else "")
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def read(raw=None, wanted=None):
    html = page.render(document.build("ldn1", raw or results(), wanted or budgets(), NOW))
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return html, reader


def test_it_needs_nothing_else():
    html, reader = read()
    assert all(reference.startswith("#") for reference in reader.references)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.elements)
    assert "@import" not in html and not re.search(r"url\((?!['\"]?#)", html)


def test_a_drawing_for_each_distribution_with_its_percentiles():
    html, reader = read()
    assert reader.elements.count("svg") == 2
    text = " ".join(reader.text)
    for part in ("median 3.20 us", "p99 4.00 us", "p99.9 21.0 us", "median 1.90 us"):
        assert part in text
    assert len(set(reader.ids)) == len(reader.ids), "ids of the drawings do not clash"


def test_every_gate_is_in_it():
    html, reader = read()
    for gate in document.build("ldn1", results(), budgets(), NOW)["gates"]:
        assert "<code>%s</code>" % gate["name"] in html
    assert "validation passed" in html and "FAIL" not in html


def test_a_failed_gate_stands_out_with_its_reason():
    raw = results()
    raw["trade1"]["rdma_link"] = {"devices": [], "present": False, "reason": "no RDMA device <rxe0>"}
    html, reader = read(raw)
    assert "validation failed" in html and "FAIL" in html
    assert "no RDMA device &lt;rxe0&gt;" in html and "<rxe0>" not in html


def test_soft_roce_is_in_the_headline():
    raw = results()
    raw["trade1"]["rdma_ping"]["emulated"] = True
    html, reader = read(raw)
    said = "validation passed, on Soft-RoCE (RDMA made by software): its speed says nothing about hardware"
    assert f"<title>Fabric ldn1: {said}</title>" in html and f"<h1>Fabric ldn1: {said}</h1>" in html
    assert html.count("says nothing about hardware") == 2
    assert "Soft-RoCE" not in read()[0]


def test_tick_to_trade_over_soft_roce_says_so_beside_its_figures():
    raw = results()
    warning = "Soft-RoCE: this proves function"
    raw["trade1"]["t2t"].update(software_rdma=True, headline=warning + ". tick-to-trade", p99_9_ns=None)
    html, reader = read(raw)
    assert "its speed says nothing about hardware</h1>" in html.split("</header>")[0]
    assert '<p class="reason">%s' % warning in html and '<td class="number">not measured</td>' in html
    assert warning not in read()[0]


def test_nothing_measured_still_makes_a_page():
    raw = {name: {"role": found["role"], "ptp_role": found["ptp_role"]} for name, found in results().items()}
    html, reader = read(raw)
    assert "not measured" in html and reader.elements.count("svg") == 0


def test_a_bench_without_a_sample_makes_a_page():
    raw = results()
    for name in list(raw["trade1"]["t2t"]):
        if name.endswith("_ns"):
            raw["trade1"]["t2t"][name] = None
    raw["trade1"]["t2t"].update(samples=0, histogram=[], jitter=None)
    html, reader = read(raw)
    assert "validation failed" in html and reader.elements.count("svg") == 1


def test_both_clocks_stand_below_each_other():
    raw = results()
    assert "software, the same orders" in read(raw)[0]
    raw["trade1"]["t2t"]["software"] = None
    assert "software, the same orders" not in read(raw)[0]


def test_completions_are_no_tick_to_trade():
    raw = results()
    raw["trade1"]["t2t"]["timestamp_source"] = "completion"
    html = read(raw)[0]
    assert "tick to acknowledgement median, trade1" in html and "tick to acknowledgement p99, trade1" in html
    assert "application, the same orders" in html and "tick-to-trade median" not in html


def test_ptp_without_an_answer_makes_a_page():
    raw = results()
    raw["trade1"]["ptp"] = {"running": False, "locked": False, "reason": "ptp4l did not answer", "offsets_ns": []}
    assert "ptp4l did not answer" in read(raw)[0]


def test_the_same_figures_give_the_same_bytes():
    assert read()[0] == read()[0]


@pytest.mark.parametrize("buckets", [[[0, 10, 5]], [[100, 100, 7]], [[1, 2, 1], [1e9, 2e9, 1]], [[5, 6, 0], [7, 8, 1]]])
def test_histograms_at_the_edges(buckets):
    drawing = charts.histogram_svg("edge", buckets, [None, 10, 1e9], 'a "label"')
    assert drawing.startswith("<svg") and drawing.endswith("</svg>") and "<metadata" not in drawing
    assert "aria-label=\"a 'label'\"" in drawing


def test_nothing_to_draw():
    with pytest.raises(ValueError, match="no buckets"):
        charts.histogram_svg("none", [[1, 2, 0]], [None, None, None], "x")
