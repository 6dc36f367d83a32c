# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders the report's document as one HTML file that needs nothing else. Runs on the controller only, where jinja2
is."""

from __future__ import annotations

from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.report import charts, gates, mesh_page
from ansible_collections.tickwire.fabric.plugins.module_utils.report.document import duration, on_what
from ansible_collections.tickwire.fabric.plugins.module_utils.report.measurements import t2t_beside, t2t_name
from ansible_collections.tickwire.fabric.plugins.module_utils.report.template import PAGE


def render(document: dict[str, Any]) -> str:
    """Return the page of a document made by ``document.build``. Raises ImportError without jinja2 or matplotlib."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["duration"] = duration
    environment.filters["us"] = lambda value: duration(None if value is None else value * 1000)
    environment.filters["percent"] = lambda value: (
        "none" if value is None else "%.*f %%" % (1 if value < 1 else 0, 100 * value)
    )
    environment.filters["t2t_name"] = t2t_name
    environment.filters["t2t_beside"] = t2t_beside
    environment.globals["gate_value"] = gate_value
    environment.globals["use_percent"] = use_percent
    drawings = {
        name: {
            "t2t": Markup(charts.of_bench(name, host.get("t2t") or {})),
            "ping": Markup(charts.of_ping(name, host.get("rdma_ping") or {})),
        }
        for name, host in document["measurements"].items()
    }
    failed = [gate for gate in document["gates"] if not gate["ok"]]
    return environment.from_string(PAGE).render(
        document=document,
        title="Fabric %s: validation %s%s" % (document["fabric"], document["verdict"], on_what(document)),
        drawings=drawings,
        failed=failed,
        hosts=document["measurements"],
        mesh=mesh_page.view(document["mesh"]),
        # a mesh alone has neither clocks nor engines
        measured=any(host["role"] != "member" for host in document["measurements"].values()),
    )


def gate_value(value: Any, unit: str) -> str:
    """Return a gate's value or budget for people; times in the unit that suits them."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if unit == "ns":
            return duration(value)
        if unit == "us":
            return duration(value * 1000)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return gates.show(value, unit)


def use_percent(gate: dict[str, Any]) -> float | None:
    """Return how much of an upper budget is used, 0 to 100; None for other gates."""
    value, budget = gate["value"], gate["budget"]
    upper = (
        gate["unit"] in ("ns", "us") and all(isinstance(item, (int, float)) for item in (value, budget)) and budget > 0
    )
    return round(min(100.0, 100 * value / budget), 1) if upper else None
