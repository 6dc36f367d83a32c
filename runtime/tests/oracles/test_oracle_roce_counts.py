# SPDX-License-Identifier: Apache-2.0
"""What is counted and timed in a capture, once more by hand from the fields tshark prints."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from roce_frames import ACK, NAK_SEQUENCE, RNR, Packet, answer, pause, pcap, timed
from roce_tshark import tshark

from tickwire import _core

FIXTURES = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "roce"
REQUESTS = {*range(0, 13), 19, 20, 22, 23}  # of the reliable service, by opcode
CLASSES = [f"macc.cbfc.pause_time.c{number}" for number in range(8)]

Flow = tuple[str, int]  # source address, destination queue pair


def flows_in(capture: Path) -> dict[Flow, dict[str, Any]]:
    traced = _core.RoceTrace()
    traced.feed(capture.read_bytes())
    return {(flow["source"], flow["destination_qp"]): flow for flow in traced.flows()}


@pytest.mark.parametrize("name", ["send", "ecn", "rnr", "loss"])
def test_round_trips_are_those_of_the_times_and_psns_tshark_prints(name: str) -> None:
    """By hand: a request to one address, an ACK (syndrome 0 to 31) from it with the same PSN, nothing sent twice."""
    fields = ("ip.src", "infiniband.bth.opcode", "infiniband.bth.psn", "infiniband.aeth.syndrome", "frame.time_epoch")
    sent: dict[tuple[str, int], list[int]] = {}
    expected: dict[str, list[int]] = {"10.9.0.1": [], "10.9.0.2": []}
    for row in tshark(FIXTURES / f"{name}.pcap", *fields):
        if not row["infiniband.bth.opcode"]:
            continue
        seconds, _, fraction = row["frame.time_epoch"].partition(".")
        time_ns, psn = int(seconds) * 10**9 + int(fraction), int(row["infiniband.bth.psn"])
        asker = {"10.9.0.1": "10.9.0.2", "10.9.0.2": "10.9.0.1"}[row["ip.src"]]
        if int(row["infiniband.bth.opcode"]) != ACK:
            sent.setdefault((row["ip.src"], psn), []).append(time_ns)
        elif int(row["infiniband.aeth.syndrome"], 0) < 32 and (times := sent.get((asker, psn))):
            if len(times) == 1:
                expected[asker].append(time_ns - times[0])
            times.append(0)  # answered
    found = {source: flow["round_trip"] for (source, _qp), flow in flows_in(FIXTURES / f"{name}.pcap").items()}
    for source, took_ns in expected.items():
        assert found[source]["samples"] == len(took_ns)
        if took_ns:
            assert (found[source]["min_ns"], found[source]["max_ns"]) == (min(took_ns), max(took_ns))
            assert found[source]["mean_ns"] == pytest.approx(sum(took_ns) / len(took_ns))
            for key, per_mille in (("p50_ns", 500), ("p90_ns", 900), ("p99_ns", 990), ("p99_9_ns", 999)):
                exact = sorted(took_ns)[-(-per_mille * len(took_ns) // 1000) - 1]  # nearest rank
                assert exact <= found[source][key] <= exact * 1.008, key
    assert any(expected.values())


@pytest.mark.parametrize("name", ["send", "read", "atomic", "rnr", "loss", "ecn", "cm"])
def test_what_was_sent_again_is_every_further_request_with_a_psn(name: str) -> None:
    fields = ("ip.src", "infiniband.bth.destqp", "infiniband.bth.opcode", "infiniband.bth.psn")
    seen: Counter[tuple[Flow, str]] = Counter()
    for row in tshark(FIXTURES / f"{name}.pcap", *fields):
        if row["infiniband.bth.opcode"] and int(row["infiniband.bth.opcode"]) in REQUESTS:
            flow = (row["ip.src"], int(row["infiniband.bth.destqp"], 0))
            seen[flow, row["infiniband.bth.psn"]] += 1
    flows = flows_in(FIXTURES / f"{name}.pcap")
    for flow in {flow for flow, _psn in seen}:
        counts = [count for (of, _psn), count in seen.items() if of == flow]
        assert flows[flow]["requests"] == sum(counts)
        assert flows[flow]["retransmissions"] == sum(counts) - len(counts)
        assert flows[flow]["repeated"] == sum(count > 1 for count in counts)
    assert seen
    assert (max(seen.values()) > 1) == (name in ("rnr", "loss"))


def refusals(tmp_path: Path) -> Path:
    """Every kind of acknowledgement, some with the reserved bit: the first once, the second twice, and so on."""
    story: list[Packet | bytes] = [Packet(psn=1), answer(1)]
    for number, syndrome in enumerate((RNR | 14, RNR, NAK_SEQUENCE, 0x61, 0x62, 0x63, 0x64, 0x00, 0x1F, 0x47), 1):
        story += [answer(2, syndrome | (0x80 if copy % 2 else 0)) for copy in range(number)]
    file = tmp_path / "refusals.pcap"
    file.write_bytes(pcap(timed(story)))
    return file


@pytest.mark.parametrize("name", ["rnr", "loss", "send", "refusals"])
def test_naks_are_those_whose_syndrome_tshark_calls_so(name: str, tmp_path: Path) -> None:
    """By its fields of the syndrome: two bits of operation, five of the error or of the timer."""
    capture = refusals(tmp_path) if name == "refusals" else FIXTURES / f"{name}.pcap"
    parts = [f"infiniband.aeth.syndrome.{part}" for part in ("opcode", "error_code", "timer")]
    expected: Counter[tuple[Flow, str, int]] = Counter()
    for row in tshark(capture, "ip.src", "infiniband.bth.destqp", "infiniband.bth.opcode", *parts):
        if row["infiniband.bth.opcode"] != str(ACK):
            continue
        operation, error, timer = (row[part] for part in parts)
        key, code = {
            "0": ("acks", "0"),
            "1": ("not_ready", timer),
            "2": ("other_syndromes", "0"),
            "3": ("naks", error),
        }[operation]
        expected[(row["ip.src"], int(row["infiniband.bth.destqp"], 0)), key, int(code)] += 1
    found: Counter[tuple[Flow, str, int]] = Counter()
    for flow, counts in flows_in(capture).items():
        found.update({(flow, key, 0): counts[key] for key in ("acks", "other_syndromes") if counts[key]})
        found.update({(flow, key, code): n for key in ("naks", "not_ready") for code, n in counts[key].items()})
    assert found == expected
    assert {key for _flow, key, _code in expected} >= {"rnr": {"not_ready", "naks"}, "loss": {"naks"}}.get(
        name, {"acks"}
    )


def test_pauses_ask_for_as_many_quanta_as_tshark_prints(tmp_path: Path) -> None:
    """By sender and class, with whose bit is set; zero quanta are a resume."""
    chance = random.Random(5)
    frames: list[Packet | bytes] = []
    for _frame in range(200):
        source = bytes([2, 0, 0, 0, 0, chance.randrange(3)])
        classes = chance.sample(range(8), chance.randrange(9))
        quanta = {number: chance.choice((0, 1, 0x1234, 0xFFFF)) for number in classes}
        frames.append(pause(chance.choice((quanta, quanta, chance.choice((0, 9, 0xFFFF)))), source))
    capture = tmp_path / "pauses.pcap"
    capture.write_bytes(pcap(timed(frames)))
    expected: dict[str, dict[str, Counter[int]]] = {}
    for row in tshark(capture, "eth.src", "macc.opcode", "macc.pause_time", "macc.cbfc.enbv", *CLASSES):
        if int(row["macc.opcode"], 0) == 1:
            asked = {8: int(row["macc.pause_time"])}
        else:
            enabled = int(row["macc.cbfc.enbv"], 0)
            asked = {number: int(row[name]) for number, name in enumerate(CLASSES) if enabled >> number & 1}
        sums = expected.setdefault(row["eth.src"], {key: Counter() for key in ("pauses", "resumes", "quanta")})
        for number, quantum in asked.items():
            sums["pauses" if quantum else "resumes"][number] += 1
            sums["quanta"][number] += quantum
    traced = _core.RoceTrace()
    traced.feed(capture.read_bytes())
    senders = traced.state()["pause_senders"]
    assert {sender["source"]: {key: sender[key] for key in ("pauses", "resumes", "quanta")} for sender in senders} == {
        source: {key: dict(+counts) for key, counts in sums.items()} for source, sums in expected.items()
    }
    assert len(senders) == 3 and all(len(sender["quanta"]) == 9 for sender in senders)
