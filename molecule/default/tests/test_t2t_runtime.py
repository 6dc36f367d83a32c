# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role made of the containers, seen from the running system."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

_INVENTORY = yaml.safe_load((Path(__file__).parents[1] / "inventory/hosts.yml").read_text(encoding="utf-8"))

# Straight into the containers: testinfra's own way through Ansible takes a second for each command.
testinfra_hosts = [f"podman://{name}" for name in _INVENTORY["all"]["children"]["containers"]["hosts"]]

TICKWIRE = "/opt/tickwire/current/bin/tickwire"
BLOCK = "/run/tickwire/t2t.block"
LAST_CPU = (os.cpu_count() or 1) - 1


def status(host: Any, block: str) -> dict[str, Any]:
    """What a component publishes."""
    result: dict[str, Any] = json.loads(host.check_output(f"{TICKWIRE} status {block} --json"))
    return result


def threads(host: Any, unit: str) -> list[str]:
    """Allowed CPUs of each thread of a unit's main process."""
    pid = host.check_output(f"systemctl show --property=MainPID --value {unit}")
    text = host.check_output(f"grep --no-filename Cpus_allowed_list -r /proc/{pid}/task --include=status")
    return sorted(line.split()[1] for line in text.splitlines())


@pytest.mark.parametrize("component", ["exchange", "engine"])
def test_the_service_runs_and_starts_at_boot(host: Any, component: str) -> None:
    service = host.service(f"tickwire-{component}")
    assert service.is_running
    assert service.is_enabled
    assert host.check_output(f"systemctl show --property=NRestarts --value tickwire-{component}") == "0"


def test_the_release_is_complete_offline_and_not_writable_by_the_service(host: Any) -> None:
    release = host.check_output("readlink -f /opt/tickwire/current")
    assert release.startswith("/opt/tickwire/releases/0.1.0-")
    assert host.file(f"{release}/.complete").is_file
    assert not host.file(f"{release}/bin/pip").exists
    assert host.check_output(f"{TICKWIRE} --version") == "tickwire 0.1.0"
    assert host.check_output(f"find {release} -user tickwire -o -perm /022 ! -type l") == ""


@pytest.mark.parametrize("component", ["exchange", "engine"])
def test_the_password_is_for_the_service_alone(host: Any, component: str) -> None:
    config = host.file(f"/etc/tickwire/{component}.toml")
    assert (config.user, config.group, config.mode) == ("root", "tickwire", 0o640)
    assert "s3cret" in config.content_string
    in_force = host.file(f"/run/tickwire/{component}.toml")
    assert (in_force.user, in_force.mode) == ("tickwire", 0o640)
    assert "s3cret" not in host.check_output(f"journalctl --no-pager --unit tickwire-{component}")
    assert host.run("grep -r s3cret /etc/systemd/system").rc == 1


@pytest.mark.parametrize("component", ["exchange", "engine"])
def test_the_unit_is_hardened(host: Any, component: str) -> None:
    properties = host.service(f"tickwire-{component}").systemd_properties
    for name, value in {
        "User": "tickwire",
        "Type": "exec" if component == "engine" else "notify",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "RestrictNamespaces": "yes",
        "LimitMEMLOCK": "infinity",
        "CapabilityBoundingSet": "cap_net_admin" if component == "engine" else "",
    }.items():
        assert properties.get(name, "") == value, name  # testinfra leaves out what is empty
    pid = properties["MainPID"]
    assert host.run(f"nsenter --target {pid} --mount touch /etc/written-by-the-service").rc != 0
    assert not host.file("/etc/written-by-the-service").exists
    assert "NoNewPrivs:\t1" in host.check_output(f"cat /proc/{pid}/status")


@pytest.mark.skipif(LAST_CPU == 0, reason="a machine with one CPU has none to give to the engine")
def test_one_thread_of_the_engine_has_its_cpu_for_itself(host: Any) -> None:
    cpus = threads(host, "tickwire-engine")
    assert cpus.count(str(LAST_CPU)) == 1, cpus
    assert set(cpus) == {"0", str(LAST_CPU)}
    assert set(threads(host, "tickwire-exchange")) == {"0"}


def test_market_data_comes_in_and_orders_go_out(host: Any) -> None:
    """The whole way: the exchange replays its file, the engine trades on it, every order is stamped and accepted."""
    bench = json.loads(
        host.check_output(
            f"{TICKWIRE} bench t2t --block {BLOCK} --exchange 127.0.0.1:26402 --messages 2000 --rate 2000 --json"
        )
    )
    assert bench["feed"]["messages"] == 2000
    assert bench["feed"]["lost"] == 0
    assert bench["orders"]["sent"] > 0
    assert bench["orders"]["accepted"] == bench["orders"]["sent"]
    assert bench["samples"] > 0
    assert bench["timestamp_source"] == "software"


def test_the_engine_logs_in_again_when_the_exchange_was_away(host: Any) -> None:
    before = status(host, BLOCK)
    host.check_output("systemctl restart tickwire-exchange")
    live = f"{TICKWIRE} status {BLOCK} | grep -q live"
    host.check_output(f"timeout 30 sh -c 'sleep 1; until {live}; do sleep 0.2; done'")
    assert status(host, BLOCK)["pid"] == before["pid"], "the engine reconnects, it is not restarted"
    assert host.check_output("systemctl show --property=NRestarts --value tickwire-engine") == "0"
