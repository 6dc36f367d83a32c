"""The agent's commands, and its metrics by prometheus_client's parser."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift, hugepages
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import cli, document, textfile
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent.programs import run
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.part import Drift, Part, Wanted
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host
from tests.unit.host.test_host_maintenance import Running

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: str) -> Samples:
    """Every sample by name and labels; each family has help and a type, and no sample is there twice."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def report(items: Sequence[tuple[str, bool]]) -> dict:
    return {
        "drift": [{"item": item, "pending_reboot": pending} for item, pending in items],
        "running": {"irqs_on_isolated_cpus": [1, 2, 3]},
        "reboot_required": True,
        "may_disturb": False,
    }


@given(st.lists(st.tuples(st.text(max_size=20), st.booleans()), max_size=6))
def test_any_drift_reads_back_from_the_metrics(items: list[tuple[str, bool]]) -> None:
    items = [(item.replace("\r", ""), pending) for item, pending in items]
    found = parsed(textfile.format_report(report(items), 1763762400.25))
    for item, pending in set(items):
        labels = (("item", item), ("pending_reboot", "true" if pending else "false"))
        assert found.pop(("roce_host_drift", labels)) == items.count((item, pending))
    assert found == {
        ("roce_host_drift_total", ()): len(items),
        ("roce_host_reboot_required", ()): 1,
        ("roce_host_irqs_on_isolated_cpus", ()): 3,
        ("roce_host_may_disturb", ()): 0,
        ("roce_host_drift_last_run_timestamp_seconds", ()): 1763762400.25,
        ("roce_host_drift_success", ()): 1,
    }


def wants(host: Host, **wanted: object) -> System:
    host.write(document.FILE, document.as_text(wanted))
    return System(host.root, host.run_nothing)


def test_drift_says_what_is_not_as_wanted_and_writes_the_metrics(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    system = wants(host, hugepages=[{"size": "2M", "count": 64, "node": 0}])
    path = host.root / "metrics.prom"
    assert cli.main(["drift", "--textfile", str(path)], system) == 1
    assert capsys.readouterr().out.splitlines() == [
        "hugepages 2M on node 0: wanted '64', found '0'",
        "/etc/tmpfiles.d/tickwire-hugepages.conf: wanted 'hugepages 2M on node 0: 64', found 'nothing'",
    ]
    labels = (("item", "hugepages 2M on node 0"), ("pending_reboot", "false"))
    found = parsed(path.read_text())
    assert found[("roce_host_drift", labels)] == 1 and found[("roce_host_drift_total", ())] == 2
    assert oct(path.stat().st_mode & 0o777) == "0o644", "node_exporter is not root"
    assert cli.main(["drift", "--json"], system) == 1
    assert json.loads(capsys.readouterr().out) == drift.report(system, document.read_document(system) or {})
    hugepages.apply_hugepages(system, {(0, "2M"): 64}, False, 0, lambda dummy: None)
    before = host.tree()
    assert cli.main(["drift"], system) == 0
    assert capsys.readouterr().out == "the host is as wanted\n" and host.tree() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            None,
            "tickwire-host: /etc/tickwire/host.json '': there is no such file. Run role roce_host, which writes it.\n",
        ),
        ('{"isolated_cpus": "7"}', "CPU 7 does not exist"),
        ("{", "this is no JSON"),
    ],
)
def test_an_error_is_one_line_and_a_metric(
    host: Host, capsys: pytest.CaptureFixture[str], text: str | None, says: str
) -> None:
    if text is not None:
        host.write(document.FILE, text)
    path = host.root / "metrics.prom"
    assert cli.main(["drift", "--textfile", str(path)], System(host.root, host.run_nothing)) == 2
    shown = capsys.readouterr()
    assert says in shown.err and shown.err.count("\n") == 1 and shown.out == ""
    found = parsed(path.read_text())
    assert found[("roce_host_drift_success", ())] == 0
    assert not [name for name, dummy in found if name in ("roce_host_drift_total", "roce_host_reboot_required")]


def parts(*functions: Callable[[System, Wanted, str], list[str]] | None) -> list[Part]:
    """Parts that only apply again, or do not."""

    def check(*dummy: object) -> None:
        raise AssertionError("only reapply is called")

    def drifts(*dummy: object) -> list[Drift]:
        raise AssertionError("only reapply is called")

    def running(*dummy: object) -> dict[str, Any]:
        raise AssertionError("only reapply is called")

    return [Part(f"part{place}", check, drifts, running, one) for place, one in enumerate(functions)]


def test_what_a_part_changes_is_told_and_one_that_fails_does_not_keep_the_others(host: Host) -> None:
    log: list[str] = []
    seen: list[tuple[str, object]] = []

    def refuses(dummy: System, wanted: Wanted, interface: str) -> list[str]:
        raise HostError(interface, 3, "the driver\nrefuses", "ask it")

    def sets(dummy: System, wanted: Wanted, interface: str) -> list[str]:
        seen.append((interface, wanted["bounce_allowed"]))
        return ["rings of fab0 set"]

    system = wants(host, maintenance_window="", bounce_allowed=True)
    assert cli.reapply(system, "fab0", log.append, parts(refuses, None, sets)) == (1, 1)
    assert log == [
        "fab0: part0 could not be applied again: fab0 '3': the driver refuses. Ask it.",
        "rings of fab0 set",
    ]
    assert seen == [("fab0", True)]


def test_when_nobody_knows_what_trades_no_link_goes_down_for_a_setting(host: Host) -> None:
    log: list[str] = []
    seen: list[object] = []

    def looks(dummy: System, wanted: Wanted, interface: str) -> list[str]:
        seen.append(wanted["bounce_allowed"])
        return []

    wants(host, bounce_allowed=True)
    (host.root / "run/systemd/system").mkdir(parents=True)
    system = System(host.root, lambda dummy: (1, "", "no bus\n"))
    cli.reapply(system, "fab0", log.append, parts(looks))
    assert seen == [False] and "no link goes down" in log[0]


@pytest.mark.parametrize("window", ["", True])
@pytest.mark.parametrize("trades", [False, True])
@pytest.mark.parametrize("allowed", [None, False, "no", True, "yes"])
def test_a_link_goes_down_where_the_role_allows_it_and_nothing_trades_or_a_window_is_open(
    host: Host, allowed: object, trades: bool, window: object
) -> None:
    seen: list[object] = []

    def looks(dummy: System, wanted: Wanted, interface: str) -> list[str]:
        seen.append(wanted["bounce_allowed"])
        return []

    wants(host, bounce_allowed=allowed, maintenance_window=window, workload_units=["other.service"])
    running = Running(host, other="active" if trades else "inactive")
    cli.reapply(running.system, "fab0", lambda dummy: None, parts(looks))
    assert seen == [allowed in (True, "yes") and (not trades or window is True)]


def test_apply_without_a_name_goes_through_all_watched_and_refuses_a_stranger(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    system = wants(host, nics=[{"name": "fab0"}])
    (host.root / "sys/class/net/fab0").mkdir(parents=True)
    assert cli.main(["apply"], system) == cli.main(["apply", "fab0"], system) == 0
    assert cli.main(["apply", "fab7"], system) == 2
    assert "interface 'fab7': this host has none of that name" in capsys.readouterr().err


def test_programs_of_the_agent_end_with_a_status_and_never_with_an_exception() -> None:
    assert run(["printf", "x y"]) == (0, "x y", "")
    assert run(["tickwire-no-such-program"]) == (127, "", "tickwire-no-such-program: there is no such program")
    assert run(["false"])[0] == 1
