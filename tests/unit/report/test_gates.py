# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every gate passes on a healthy fabric and fails for each way in which it can be unmet."""

import json

import pytest
from report_samples import BUDGETS, budgets, results

from ansible_collections.tickwire.fabric.plugins.module_utils.report import document, gates


def evaluate(raw=None, wanted=None):
    measured, mesh = document.measure(results() if raw is None else raw)
    return gates.evaluate(measured, budgets() if wanted is None else wanted)


def apart():
    """The samples, none of which two hosts share."""
    return json.loads(json.dumps(results()))


def failed(found):
    return {(gate.name, gate.host): gate for gate in found if not gate.ok}


ERRORS = ("errors_risen_max", "errors_besides_sent_again_max")
EVERY = [(section, name) for section in BUDGETS for name in BUDGETS[section]]


def test_the_samples_have_a_budget_for_every_rule():
    assert {section: set(rules) for section, rules in gates.RULES.items()} == {
        section: set(limits) for section, limits in BUDGETS.items()
    }


def test_a_healthy_fabric_passes_every_gate():
    found = evaluate()
    assert failed(found) == {}
    assert all(gate.reason == "" for gate in found)
    names = {(gate.name, gate.host) for gate in found}
    assert len(names) == len(found)
    assert {"%s.%s" % pair for pair in EVERY} == {name for name, host in names}
    assert {name for name, host in names if host == "exch1"} == {
        "rdma_link.state",
        "rdma_link.roce_version_min",
        "rdma_link.active_mtu_min_bytes",
        "rdma_link.as_intended",
        "rdma_link.errors_risen_max",
        "rdma_link.errors_besides_sent_again_max",
        "ptp.locked",
    } | {"mesh." + name for name in BUDGETS["mesh"]}


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_each_gate_fails_when_the_value_is_beyond_its_budget(section, name):
    rule = gates.RULES[section][name]
    wanted = budgets()
    value = next(gate.value for gate in evaluate() if gate.name == "%s.%s" % (section, name) and gate.host == "trade1")
    beyond = {"max": lambda: value - 1, "min": lambda: value + 1, "is": lambda: "SOMETHING ELSE"}[rule.kind]()
    wanted["trade1"][section][name] = beyond
    found = failed(evaluate(wanted=wanted))
    assert list(found) == [("%s.%s" % (section, name), "trade1")]
    gate = found["%s.%s" % (section, name), "trade1"]
    assert (gate.value, gate.budget) == (value, beyond) and gate.reason


@pytest.mark.parametrize(("section", "name"), EVERY)
def test_each_gate_holds_exactly_at_its_budget(section, name):
    wanted = budgets()
    value = next(gate.value for gate in evaluate() if gate.name == "%s.%s" % (section, name) and gate.host == "trade1")
    wanted["trade1"][section][name] = value
    assert failed(evaluate(wanted=wanted)) == {}


@pytest.mark.parametrize("section", sorted(set(BUDGETS) - {"mesh"}))  # a mesh is no one result: test_mesh_report.py
@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({}, "not measured"),
        (None, "not measured"),
        ({"skipped": True}, "not measured"),
        ({"failed": True, "msg": "rxe0 is gone"}, "rxe0 is gone"),
        ({"unreachable": True, "msg": "no route"}, "host unreachable: no route"),
        ({"failed": True}, "failed without a message"),
    ],
)
def test_what_was_not_measured_fails_every_gate_of_its_section(section, result, reason):
    raw = results()
    raw["trade1"][section] = result
    found = failed(evaluate(raw))
    expected = {("%s.%s" % (section, name), "trade1") for name in BUDGETS[section]}
    if section == "rdma_ping" and reason != "not measured":  # it may have sent, and nobody read the counters
        expected |= {("rdma_link." + name, "trade1") for name in ERRORS}
    assert set(found) == expected
    assert all(gate.value is None and reason in gate.reason for gate in found.values())


def test_a_link_that_differs_from_the_intent_fails_with_every_difference():
    raw = apart()
    port = raw["trade1"]["rdma_link"]["devices"][0]["ports"][0]
    port["differences"] = ["speed is 25 Gb/s, not 100", "default ToS is 0, not 106"]
    (gate,) = failed(evaluate(raw)).values()
    assert gate.name == "rdma_link.as_intended" and gate.value is False
    assert gate.reason.endswith(": speed is 25 Gb/s, not 100; default ToS is 0, not 106")
    del port["differences"]
    assert failed(evaluate(raw))["rdma_link.as_intended", "trade1"].value is None


def test_errors_during_a_ping_fail_the_link_of_the_end_that_counted_them():
    raw = apart()
    raw["trade1"]["rdma_ping_server"]["errors_risen"] = {"out_of_sequence": 2}
    found = failed(evaluate(raw))
    assert set(found) == {("rdma_link." + name, "exch1") for name in ERRORS}
    assert all(gate.value == 2 and "out_of_sequence +2" in gate.reason for gate in found.values())
    for host in raw.values():
        host["mesh"] = []
    raw["trade1"].update(rdma_ping={}, rdma_ping_server={})
    found = failed(evaluate(raw))
    assert found["rdma_link.errors_risen_max", "exch1"].value is None, "no ping, no proof"
    assert found["mesh.failed_pairs_max", "exch1"].value == 2


def test_what_was_sent_again_is_an_error_and_can_be_left_out():
    raw = apart()
    raw["trade1"]["rdma_ping_server"]["errors_risen"] = {"completer_retry_err": 4}
    raw["trade1"]["rdma_ping"]["errors_risen"] = {"duplicate_request": 4}
    assert set(failed(evaluate(raw))) == {("rdma_link.errors_risen_max", host) for host in ("exch1", "trade1")}
    raw["trade1"]["rdma_ping"]["errors_risen"]["link_downed"] = 1
    gate = failed(evaluate(raw))["rdma_link.errors_besides_sent_again_max", "trade1"]
    assert gate.value == 1 and gate.reason.endswith(": link_downed +1")


def test_a_missing_value_in_a_measurement_fails():
    raw = results()
    raw["trade1"]["t2t"]["median_ns"] = None
    del raw["trade1"]["rdma_ping"]["half_round_trip"]["p99_us"]
    raw["trade1"]["rdma_link"]["devices"][0]["ports"][0]["active_mtu_bytes"] = None
    raw["trade1"]["rdma_link"]["devices"][0]["ports"][0]["gids"] = []
    raw["trade1"]["ptp"]["offsets_ns"] = []
    found = failed(evaluate(raw))
    assert {name for name, host in found} == {
        "t2t.median_ns",
        "rdma_ping.p99_us",
        "rdma_link.active_mtu_min_bytes",
        "rdma_link.roce_version_min",
        "ptp.offset_median_ns",
        "ptp.offset_max_ns",
    }


def test_too_few_samples_for_p99_9_fail_its_gate_and_no_other():
    raw = results()
    raw["trade1"]["t2t"].update(samples=400, p99_9_ns=None)
    found = failed(evaluate(raw))
    assert set(found) == {("t2t.p99_9_ns", "trade1")}
    assert found["t2t.p99_9_ns", "trade1"].reason == (
        "no value: too few samples for p99.9; raise validate_t2t_messages"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "3"])
def test_a_value_that_is_no_number_fails(value):
    raw = results()
    raw["trade1"]["t2t"]["median_ns"] = value
    assert ("t2t.median_ns", "trade1") in failed(evaluate(raw))


@pytest.mark.parametrize("budget", [None, True, "5", float("nan"), float("inf"), [5]])
def test_a_budget_that_is_no_number_fails(budget):
    wanted = budgets()
    wanted["trade1"]["rdma_ping"]["median_us"] = budget
    assert "is not a number" in failed(evaluate(wanted=wanted))["rdma_ping.median_us", "trade1"].reason


@pytest.mark.parametrize("budget", [None, False])
def test_a_budget_that_demands_nothing_fails(budget):
    wanted = budgets()
    wanted["trade1"]["ptp"]["locked"] = budget
    raw = results()
    raw["trade1"]["ptp"]["locked"] = budget
    assert "demands nothing" in failed(evaluate(raw, wanted))["ptp.locked", "trade1"].reason


def test_an_unlocked_clock_tells_why():
    raw = results()
    raw["trade1"]["ptp"].update(locked=False, reason="no port is SLAVE: x-1 is LISTENING", offsets_ns=[])
    found = failed(evaluate(raw))
    assert found["ptp.locked", "trade1"].reason == "no port is SLAVE: x-1 is LISTENING"
    assert "no port is SLAVE" in found["ptp.offset_median_ns", "trade1"].reason


def test_offsets_count_without_their_sign():
    raw = results()
    raw["trade1"]["ptp"]["offsets_ns"] = [-500, -500, 0]
    found = failed(evaluate(raw))
    assert found["ptp.offset_median_ns", "trade1"].value == 500
    assert found["ptp.offset_max_ns", "trade1"].value == 500


@pytest.mark.parametrize(
    ("extra", "name"),
    [
        ({"rdma_pong": {"median_us": 5}}, "rdma_pong"),
        ({"t2t": 5}, "t2t"),
        ({"t2t": {"medain_ns": 5}}, "t2t.medain_ns"),
    ],
)
def test_a_budget_nobody_knows_fails(extra, name):
    wanted = budgets()
    wanted["trade1"].update(extra)
    assert "no such budget; known are" in failed(evaluate(wanted=wanted))[name, "trade1"].reason


@pytest.mark.parametrize("nothing", [{}, None, {"t2t": {}}, []])
def test_no_budgets_fail(nothing):
    wanted = dict(budgets(), trade1=nothing)
    assert "no budgets are configured" in failed(evaluate(wanted=wanted))["budgets", "trade1"].reason


def test_no_hosts_fail():
    assert failed(gates.evaluate({}, {}))


def test_a_host_with_budgets_that_was_not_measured_fails():
    raw = results()
    del raw["trade1"]
    found = failed(evaluate(raw))
    assert found["hosts", "trade1"].reason == "not measured"


def test_a_budget_that_fits_no_host_fails():
    raw, wanted = results(), budgets()
    del raw["trade1"], wanted["trade1"]
    found = failed(evaluate(raw, wanted))
    assert found["t2t.median_ns", "any"].reason == "no measured host can have this gate"
    assert ("ptp.offset_max_ns", "any") in found and ("ptp.locked", "any") not in found
