# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The role's configuration goes through the parser of the ptp4l installed here (the lab has another version)."""

import itertools
import shutil
import subprocess
from pathlib import Path

import jinja2
import pytest
import yaml

ROLE = Path(__file__).resolve().parents[3] / "roles" / "ptp"


def render(**variables):
    values = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    values.update(ansible_managed="Ansible managed", **variables)
    text = (ROLE / "templates" / "ptp4l.conf.j2").read_text()
    return jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text).render(values) + "\n"


def parser_says(text, tmp_path):
    """ptp4l without an interface reads its configuration and stops before it opens anything."""
    assert shutil.which("ptp4l"), "ptp4l is not installed here: apt-get install linuxptp"
    path = tmp_path / "ptp4l.conf"
    path.write_text(text)
    done = subprocess.run(["ptp4l", "-f", str(path)], capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("role", "stamping", "transport"),
    list(itertools.product(["grandmaster", "ordinary"], ["software", "hardware"], ["L2", "UDPv4"])),
)
def test_accepted(role, stamping, transport, tmp_path):
    text = render(ptp_role=role, ptp_time_stamping=stamping, ptp_transport=transport)
    assert "no interface specified" in parser_says(text, tmp_path)
    assert ("slaveOnly               1" in text) == (role == "ordinary")


def test_ptp4l_would_refuse_an_unknown_key(tmp_path):
    said = parser_says(render() + "clientOnlyish 1\n", tmp_path)
    assert "unknown option clientOnlyish" in said and "no interface specified" not in said


def test_no_key_of_linuxptp_4_alone():
    keys = {line.split()[0] for line in render().splitlines() if line[:1].isalpha()}
    assert keys.isdisjoint({"clientOnly", "serverOnly", "uds_ro_address", "phc_index", "hwts_filter"})
