# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unit of the role: only the engine may use isolated CPUs, from the slice that host code keeps them for."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.slices import SLICE

TEMPLATES = Path(__file__).resolve().parents[3] / "roles/t2t_runtime/templates"


@pytest.mark.parametrize(("component", "slices"), [("engine", [SLICE]), ("exchange", [])])
def test_slice_of_the_unit(component: str, slices: list[str]) -> None:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(TEMPLATES), undefined=jinja2.ChainableUndefined)
    environment.filters["comment"] = str
    text = environment.get_template("tickwire.service.j2").render(
        t2t_runtime_component=component, t2t_runtime_config={"feed": {}}, __t2t_runtime_affinity=[0, 1]
    )
    lines = [line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#")]
    assert [value for key, value in lines if key == "Slice"] == slices
    assert [value for key, value in lines if key == "CPUAffinity"] == ["0 1"]
