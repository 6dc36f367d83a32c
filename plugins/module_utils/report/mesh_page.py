# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The mesh on the page: hosts by hosts, RC above the diagonal and UD below it, small enough for a hundred hosts.

Every pair is measured once, so one half of a table has all pairs of one transport. Host names stay in sight while the
table is scrolled. The depth of a cell's colour is where its median lies between the smallest and the largest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEPTHS = 5
NAMES = 12

STYLE = """
.mesh { overflow: auto; max-height: 80vh; border: 1px solid var(--line); }
.mesh table { width: auto; border-collapse: separate; border-spacing: 0; font-size: 11px; line-height: 1.25; }
.mesh th, .mesh td { padding: 2px 4px; border-bottom: 1px solid #fff; border-right: 1px solid #fff;
  text-align: right; white-space: nowrap; }
.mesh th { background: var(--soft); position: sticky; left: 0; z-index: 1; font-size: 11px; }
.mesh thead th { top: 0; z-index: 2; writing-mode: vertical-rl; text-align: left; }
.mesh thead th:first-child { z-index: 3; }
.mesh td i { font-style: normal; color: var(--muted); display: block; }
.mesh td.self { background: var(--line); } .mesh td.fail { background: var(--bad); color: #fff; text-align: center; }
.mesh td.out { background: var(--warnsoft); color: var(--warn); font-weight: 700; outline: 2px solid #e0a030;
  outline-offset: -2px; }
""" + "".join(
    ".mesh td.d%d { background: rgba(59, 110, 168, %.2f); }\n" % (depth, 0.03 + 0.05 * depth) for depth in range(DEPTHS)
)

SECTION = """
{% if mesh is not none %}
<section>
<h2>RDMA mesh: half round trip of every pair of {{ mesh.hosts | length }} hosts</h2>
{% for name, reason in mesh.away.items() %}
<p class="reason"><b>{{ name }}</b> took no part: {{ reason }}</p>
{% endfor %}
<div class="mesh"><table>
<thead><tr><th>RC above, UD below; {{ mesh.unit }}</th>
{%- for name in mesh.hosts %}<th>{{ name }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in mesh.rows %}
<tr><th>{{ row.host }}</th>
{%- for cell in row.cells %}
<td class="{{ cell.kind }}"{% if cell.title %} title="{{ cell.title }}"{% endif %}>{{ cell.median }}
{%- if cell.p99 %}<i>{{ cell.p99 }}</i>{% endif %}</td>
{%- endfor %}</tr>
{% endfor %}
</tbody></table></div>
<p class="small">Each cell: median, below it p99, in {{ mesh.unit }}, of the pair of its row and its column, RC above
the diagonal, UD below it. Framed: an outlier. x: the pair failed.
{% for transport, figures in mesh.spread.items() %}{% for figure, found in figures.items() if found %}
{{ transport | upper }} {{ figure }}: median {{ found.median | us }}, outlier above {{ found.limit | us }}.
{% endfor %}{% endfor %}
An outlier is more than 3.5 modified z-scores above the median: 0.6745 (x - median) / MAD, of Iglewicz and Hoaglin
(1993). Fewer than 6 pairs are not judged. A pair is judged among all, whatever its way.</p>
{% if mesh.outliers %}
<h3>Outliers</h3>
<div class="scroll"><table>
<tr><th></th><th>client</th><th>server</th><th class="number">median</th><th class="number">p99</th>
<th>what stands out</th></tr>
{% for pair in mesh.outliers %}
<tr><td>{{ pair.transport | upper }}</td><td>{{ pair.client }}</td><td>{{ pair.server }}</td>
<td class="number">{{ pair.median_us | us }}</td><td class="number">{{ pair.p99_us | us }}</td>
<td>{{ pair.outliers | join(', ') }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if mesh.failed %}
<h3>Pairs that failed</h3>
<div class="scroll"><table>
<tr><th>pairs</th><th>why</th></tr>
{% for reason, names in mesh.failed %}
<tr class="bad"><td>{{ names }}</td><td class="reason">{{ reason }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if mesh.risen %}
<h3>Counters that rose during a ping</h3>
<div class="scroll"><table>
<tr><th>host</th><th>errors</th><th>not judged</th></tr>
{% for name, found in mesh.risen.items() %}
<tr><td>{{ name }}</td>
{% for kind in ['errors_risen', 'others_risen'] %}
<td>{% for counter, value in found[kind].items() %}<code>{{ counter }}</code> +{{ value }}<br>
{% else %}none{% endfor %}</td>
{% endfor %}</tr>
{% endfor %}
</table></div>
{% endif %}
</section>
{% endif %}
"""


def view(mesh: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what SECTION shows of ``document["mesh"]``; None for none."""
    if not mesh:
        return None
    hosts = mesh["hosts"]
    good = [pair for pair in mesh["pairs"] if "error" not in pair]
    medians = [pair["median_us"] for pair in good]
    unit, scale = ("ms", 1e-3) if medians and sorted(medians)[len(medians) // 2] >= 1000 else ("us", 1.0)
    by_place = {(pair["transport"], *sorted((pair["server"], pair["client"]))): pair for pair in mesh["pairs"]}
    ranges = {
        transport: [pair["median_us"] for pair in good if pair["transport"] == transport] for transport in ("rc", "ud")
    }
    rows = []
    for number, host in enumerate(hosts):
        cells = []
        for place, other in enumerate(hosts):
            transport = "rc" if number < place else "ud"
            pair = by_place.get((transport, *sorted((host, other))))
            cells.append(_cell(pair, ranges[transport], scale))
        rows.append({"host": host, "cells": cells})
    return {
        "hosts": hosts,
        "away": mesh["away"],
        "spread": mesh["spread"],
        "unit": unit,
        "rows": rows,
        "outliers": sorted((pair for pair in good if pair["outliers"]), key=lambda pair: -pair["median_us"]),
        "failed": _failed(mesh),
        "risen": _risen(mesh["pairs"]),
    }


def _cell(pair: Mapping[str, Any] | None, medians: list[float], scale: float) -> dict[str, str]:
    if pair is None:
        return {"kind": "self", "title": "", "median": "", "p99": ""}
    title = "%s %s - %s" % (pair["transport"].upper(), pair["client"], pair["server"])
    if "error" in pair:
        return {"kind": "fail", "title": "%s: %s" % (title, pair["error"]), "median": "x", "p99": ""}
    low, high = min(medians), max(medians)
    depth = min(DEPTHS - 1, int(DEPTHS * (pair["median_us"] - low) / (high - low))) if high > low else 0
    lost = ", %d lost" % pair["lost"] if pair.get("lost") else ""
    return {
        "kind": "out" if pair["outliers"] else "d%d" % depth,
        "title": title + lost,
        "median": "%.3g" % (pair["median_us"] * scale),
        "p99": "%.3g" % (pair["p99_us"] * scale) + ("!" if lost else ""),
    }


def _failed(mesh: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(reason, names of its pairs), without the pairs of hosts that took no part."""
    by_reason: dict[str, list[str]] = {}
    for pair in mesh["pairs"]:
        if "error" in pair and not {pair["client"], pair["server"]} & set(mesh["away"]):
            name = "%s %s - %s" % (pair["transport"].upper(), pair["client"], pair["server"])
            by_reason.setdefault(pair["error"], []).append(name)
    return [
        (reason, ", ".join(names[:NAMES]) + (" and %d more" % (len(names) - NAMES) if len(names) > NAMES else ""))
        for reason, names in by_reason.items()
    ]


def _risen(pairs: list[Mapping[str, Any]]) -> dict[str, dict[str, dict[str, int]]]:
    """By host and kind, the counters that rose and by how much in all."""
    found: dict[str, dict[str, dict[str, int]]] = {}
    for pair in pairs:
        for kind in ("errors_risen", "others_risen"):
            for host, counters in pair.get(kind, {}).items():
                for name, value in counters.items():
                    mine = found.setdefault(host, {"errors_risen": {}, "others_risen": {}})[kind]
                    mine[name] = mine.get(name, 0) + value
    return found
