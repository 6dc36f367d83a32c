# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Draws histograms as SVG to be put into the page. Runs on the controller only, where matplotlib is.

The same figures give the same bytes: fixed ids, no date, text as text.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.report.document import duration
from ansible_collections.tickwire.fabric.plugins.module_utils.report.measurements import t2t_name

INK, MUTED, GRID, BAR = "#1f2733", "#5d6b7e", "#e3e8ef", "#3b6ea8"
MARKS = (("median", "#14713d"), ("p99", "#b26a00"), ("p99.9", "#b3261e"))


def histogram_svg(name: str, buckets: Sequence[Sequence[float]], marks: Sequence[float | None], label: str) -> str:
    """Return an ``<svg>`` element of [[lower_ns, upper_ns, count], ...] on a logarithmic time axis with three
    percentiles marked.

    marks: median, p99 and p99.9 in nanoseconds, None to leave one out; name: unique in the page, for the ids in the
    drawing. Raises ImportError without matplotlib, ValueError for no buckets.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    bars = [bucket for bucket in buckets if bucket[2] > 0]
    if not bars:
        raise ValueError("no buckets to draw for %s" % name)
    settings: Any = {
        "svg.hashsalt": "tickwire-" + name,
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9.2, 3.0), facecolor="none")
        axes = figure.add_subplot()
        figure.subplots_adjust(left=0.075, right=0.97, top=0.97, bottom=0.19)
        axes.set_facecolor("none")
        # A bucket may start at 0, which a logarithmic axis cannot show, or have no width when all samples are equal.
        lefts = [max(1.0, float(bucket[0])) for bucket in bars]
        rights = [max(float(bucket[1]), left * 1.002) for bucket, left in zip(bars, lefts)]
        axes.bar(
            lefts,
            [bucket[2] for bucket in bars],
            width=[right - left for left, right in zip(lefts, rights)],
            align="edge",
            color=BAR,
            linewidth=0,
        )
        axes.set_xscale("log")
        axes.set_yscale("symlog", linthresh=1)
        top = max(bucket[2] for bucket in bars)
        axes.set_ylim(0, top * 3)
        span = max(rights) / min(lefts)
        axes.set_xlim(min(lefts) / span**0.03 / 1.001, max(rights) * span**0.06 * 1.001)
        for height, (value, (text, colour)) in enumerate(zip(marks, MARKS)):
            if value is None:
                continue
            axes.axvline(value, color=colour, linewidth=1.4)
            near_the_right = math.log(value / axes.get_xlim()[0]) > 0.82 * math.log(
                axes.get_xlim()[1] / axes.get_xlim()[0]
            )
            axes.annotate(
                "%s %s" % (text, duration(value)),
                (value, 1),
                (-4 if near_the_right else 4, -12 * (height + 1)),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                horizontalalignment="right" if near_the_right else "left",
                color=colour,
                fontsize=9,
                fontweight="bold",
            )
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 300 else (1,)))
        if span < 3:
            axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, position: duration(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, position: "%d" % value))
        axes.set_xlabel(label)
        axes.set_ylabel("samples (log)")
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(GRID)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return embedded(out.getvalue(), name, label)


def embedded(svg: str, name: str, label: str) -> str:
    """Return the ``<svg>`` element alone, with a size that follows the page and a label for screen readers.

    Several drawings share one page, so every id and every reference to one carries the drawing's name.
    """
    element = svg[svg.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    element = re.sub(r' (?:width|height)="[^"]*"', "", element, count=2)
    element = re.sub(r'( id="|url\(#|href="#)', lambda match: match[1] + name + "-", element)
    return element.replace("<svg", '<svg role="img" aria-label="%s"' % label.replace('"', "'"), 1)


def of_bench(host: str, bench: dict[str, Any]) -> str:
    """Return the tick-to-trade histogram of a ``t2t_latency`` result, "" when there is nothing to draw."""
    if not bench.get("histogram"):
        return ""
    marks = [bench.get(name) for name in ("median_ns", "p99_ns", "p99_9_ns")]
    return histogram_svg("t2t-" + host, bench["histogram"], marks, "%s on %s" % (t2t_name(bench), host))


def of_ping(host: str, ping: dict[str, Any]) -> str:
    """Return the half-round-trip histogram of an ``rdma_ping`` result, "" when there is nothing to draw."""
    figures = ping.get("half_round_trip") or {}
    if not figures.get("histogram"):
        return ""
    marks = [figures[name] * 1000 for name in ("median_us", "p99_us", "p99_9_us")]
    buckets = [[lower * 1000, upper * 1000, count] for lower, upper, count in figures["histogram"]]
    return histogram_svg(
        "ping-" + host, buckets, marks, "RDMA half round trip, %s to %s" % (host, ping.get("peer_host"))
    )
