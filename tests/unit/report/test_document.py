# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The report's document, its notes, and what the terminal shows."""

import json

import pytest
from report_samples import budgets, results

from ansible_collections.tickwire.fabric.plugins.module_utils.report import document, measurements

NOW = "2026-01-02 03:04:05 UTC"


def build(raw=None, wanted=None):
    return document.build("ldn1", raw or results(), wanted or budgets(), NOW)


def test_a_healthy_fabric():
    made = build()
    assert made["verdict"] == "passed" and made["generated"] == NOW and made["emulated"] is False
    assert made["notes"] == []
    assert made["summary"][0] == "Fabric ldn1: PASSED, %d of %d gates passed" % (len(made["gates"]), len(made["gates"]))
    assert made["measurements"]["trade1"]["t2t"]["median_ns"] == 3200
    assert json.loads(json.dumps(made)) == made, "it is JSON"
    text = "\n".join(made["summary"])
    assert "tick-to-trade median 3.20 us, p99 4.00 us, p99.9 21.0 us, max 45.0 us" in text
    assert (
        "hardware stamps); by the kernel's stamps median 2.50 us, p99 3.30 us" in text
        and "RDMA half round trip to exch1 median 1.90 us" in text
    )


def test_a_failed_gate_names_gate_host_value_and_budget():
    raw = results()
    raw["trade1"]["rdma_ping"]["half_round_trip"]["median_us"] = 10400.25
    made = build(raw)
    assert made["verdict"] == "failed"
    (text,) = document.failures(made["gates"])
    assert text == (
        "rdma_ping.median_us on trade1: value 10400.25 us, budget 5 us: 10400.25 us is above the budget of 5 us"
    )


def test_gates_without_a_value_for_one_reason_are_told_together():
    raw = results()
    raw["trade1"]["rdma_ping"] = {"failed": True, "msg": "no RDMA device rxe0", "step": "open device"}
    raw["trade1"]["rdma_ping_server"] = {"failed": True, "msg": "no client came", "step": "connect"}
    raw["trade1"]["ptp"].update(locked=False, reason="LISTENING")
    texts = document.failures(build(raw)["gates"])
    assert len(texts) == 2
    together = next(text for text in texts if "rdma_ping" in text)
    for part in ("rdma_ping.median_us (budget 5 us)", "rdma_ping.max_us (budget 100 us)", "on trade1", "value none"):
        assert part in together
    assert "no RDMA device rxe0 (and exch1: no client came)" in together


def test_a_server_that_only_repeats_the_client_is_not_told():
    raw = results()
    raw["trade1"]["rdma_ping"] = {"failed": True, "msg": "no RDMA device rxe0", "step": "open device"}
    told = "the other end reports: no RDMA device rxe0"
    raw["trade1"]["rdma_ping_server"] = {"failed": True, "msg": told, "step": "exchange of queue pairs"}
    assert all("exch1" not in text for text in document.failures(build(raw)["gates"]))


@pytest.mark.parametrize("section", ["rdma_ping", "coexistence"])
def test_a_server_that_failed_alone_fails_the_measurement(section):
    raw = results()
    raw["trade1"][section + "_server"] = {"failed": True, "msg": "the last answer was not acknowledged", "step": "x"}
    made = build(raw)
    reason = "the server's end on exch1 failed: the last answer was not acknowledged"
    assert made["measurements"]["trade1"][section]["error"] == reason
    gates = [gate for gate in made["gates"] if gate["name"].startswith(section) and gate["host"] == "trade1"]
    assert gates and all(gate["reason"] == reason for gate in gates if "plain" not in gate["name"])


SOFT_ROCE = "on Soft-RoCE (RDMA made by software): its speed says nothing about hardware"


@pytest.mark.parametrize("passed", [True, False])
@pytest.mark.parametrize("where", ["link", "client", "server", "mesh"])
def test_soft_roce_anywhere_is_in_the_first_line_and_only_there(where, passed):
    raw = results()
    trader = raw["trade1"]
    found = {
        "link": raw["exch1"]["rdma_link"]["devices"][0],
        "client": trader["rdma_ping"],
        "server": trader["rdma_ping_server"],
        "mesh": raw["exch1"]["mesh"][0]["ud"],
    }[where]
    found["emulated"] = True
    if not passed:
        trader["ptp"].update(locked=False, reason="LISTENING")
    made = build(raw)
    first, *others = made["summary"]
    assert first.startswith("Fabric ldn1: %s, " % made["verdict"].upper()) and first.endswith(SOFT_ROCE)
    assert made["verdict"] == ("passed" if passed else "failed")
    assert not [line for line in others + made["notes"] if "hardware" in line and "stamps" not in line]
    assert SOFT_ROCE not in "\n".join(build()["summary"])


def test_whose_stamps_the_figures_have_is_told():
    raw = results()
    raw["trade1"]["t2t"].update(
        timestamp_source="software",
        software=None,
        unstamped=3,
        unstamped_by={"receive stamp": 2, "transmit stamp": 1},
        by_kernel=5,
        other_clocks={"hardware": 4},
    )
    made = build(raw)
    assert any("stamped in software" in note for note in made["notes"])
    for said in (
        "3 orders had no stamp and are in no figure (2 without receive stamp, 1 without transmit stamp)",
        "gave no stamps of 5 orders; they are stamped by the kernel",
        "4 orders were stamped by another clock (hardware)",
    ):
        assert any(said in note for note in made["notes"]), said
    assert "by the kernel's stamps" not in "\n".join(made["summary"])
    assert [line for line in made["summary"] if line.startswith("Note: ")] == [
        "Note: " + note for note in made["notes"]
    ]


def test_an_engine_over_soft_roce_is_told_even_where_no_other_device_is():
    raw = results()
    assert build(raw)["emulated"] is False and "Soft-RoCE" not in "\n".join(build(raw)["summary"])
    raw["trade1"]["t2t"].update(software_rdma=True, p99_9_ns=None)
    made = build(raw)
    assert made["emulated"] is True and made["summary"][0].endswith(SOFT_ROCE)
    (line,) = [line for line in made["summary"] if line.startswith("trade1: tick-to-trade")]
    assert "p99.9 not measured, max 45.0 us" in line and "(4000 samples, hardware stamps, Soft-RoCE)" in line


def test_completions_are_no_tick_to_trade():
    raw = results()
    raw["trade1"]["t2t"]["timestamp_source"] = "completion"
    made = build(raw)
    text = "\n".join(made["summary"])
    assert "tick to acknowledgement median 3.20 us, p99 4.00 us" in text and "tick-to-trade median" not in text
    assert "completion stamps); by the engine's stamps median 2.50 us" in text
    (note,) = made["notes"]
    assert note.startswith("trade1: the figures are from tick to acknowledgement")
    assert "they are no tick-to-trade" in note


def test_an_unknown_timestamp_source_is_told():
    raw = results()
    raw["trade1"]["t2t"]["timestamp_source"] = "none"
    assert any("no known timestamp source (none)" in note for note in build(raw)["notes"])


def test_nothing_measured_at_all_still_makes_a_document():
    raw = {name: {"role": found["role"], "ptp_role": found["ptp_role"]} for name, found in results().items()}
    made = build(raw)
    assert made["verdict"] == "failed" and not any(gate["ok"] for gate in made["gates"])


def test_no_gate_is_no_pass():
    assert document.build("x", {}, {}, NOW)["verdict"] == "failed"


def test_a_role_nobody_knows_is_refused():
    with pytest.raises(ValueError, match="role 'switch'"):
        build({"sw1": {"role": "switch"}})


def test_the_command_line_as_text():
    facts = build()["measurements"]["trade1"]["facts"]
    assert facts == {
        "system": "Debian 13.2",
        "kernel": "6.12",
        "cmdline": "quiet isolcpus=1 console=tty0 console=ttyS0",
    }
    assert measurements.facts({"cmdline": "a b", "kernel": ""}) == {"cmdline": "a b"}


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0 ns"),
        (412, "412 ns"),
        (999.4, "999 ns"),
        (999.5, "1.00 us"),
        (3210, "3.21 us"),
        (-20120, "-20.1 us"),
        (412000, "412 us"),
        (10.4e6, "10.4 ms"),
        (1.5e9, "1.50 s"),
        (250e9, "250 s"),
        (None, "not measured"),
    ],
)
def test_durations(nanoseconds, text):
    assert document.duration(nanoseconds) == text
