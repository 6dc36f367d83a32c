# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The unit of the role: RDMA devices only for a component whose configuration uses them."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles/t2t_runtime"


@pytest.mark.parametrize(
    ("config", "verbs"),
    [
        ({"feed": {"group": "239.1.1.1"}, "orders": {}}, False),
        ({"feed": {"transport": "verbs"}, "orders": {}}, True),
        ({"orders": {"transport": "verbs"}}, True),
        ({"feed": {}, "rdma": {"interface": "10.110.0.1"}}, True),
        ({"feed": {}, "rdma": {"interface": ""}}, False),
    ],
)
def test_devices_of_the_unit(config: dict[str, dict[str, str]], verbs: bool) -> None:
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(ROLE / "templates"))
    environment.undefined = jinja2.ChainableUndefined
    environment.filters["comment"] = str
    rule = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__t2t_runtime_verbs"]
    found = environment.from_string(rule).render(t2t_runtime_config=config).strip() == "True"
    assert found is verbs
    text = environment.get_template("tickwire.service.j2").render(
        t2t_runtime_component="exchange",
        t2t_runtime_config=config,
        __t2t_runtime_affinity=[0],
        __t2t_runtime_verbs=found,
    )
    lines = text.splitlines()
    assert ("DeviceAllow=char-infiniband_verbs rw" in lines) is verbs
    assert ("PrivateDevices=yes" in lines) is not verbs
    assert any("AF_NETLINK" in line for line in lines) is verbs
