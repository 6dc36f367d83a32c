# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which counters of a port are errors, and how much they rose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import counters

NAMES = st.sampled_from(["out_of_sequence", "completer_retry_err", "sent_pkts", "np_cnp_sent", "unheard_of"])
READINGS = st.dictionaries(NAMES, st.integers(0, 2**64 - 1))


@pytest.fixture
def port(tmp_path: Path) -> Path:
    for name, text in {
        "counters/port_xmit_discards": "4\n",
        "counters/port_xmit_wait": "9\n",
        "hw_counters/out_of_sequence": "2\n",
        "hw_counters/lifespan": "12\n",
        "hw_counters/CRC errors": "1\n",
        "hw_counters/broken": "N/A\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_every_counter_with_a_number_is_read(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = counters.read_counters(port)
    assert found == {
        "port_xmit_discards": 4,
        "port_xmit_wait": 9,
        "out_of_sequence": 2,
        "lifespan": 12,
        "CRC errors": 1,
    }
    assert counters.errors_in(found) == {"port_xmit_discards": 4, "out_of_sequence": 2, "CRC errors": 1}
    waited: list[float] = []
    monkeypatch.setattr(counters.time, "sleep", waited.append)
    assert counters.settled_counters(port) == found
    assert waited == [0.012], "the kernel gives an old reading for so long"


def test_a_port_without_counters(tmp_path: Path) -> None:
    assert counters.settled_counters(tmp_path) == {}


def test_no_counter_is_both() -> None:
    assert not counters.ERRORS & counters.TRAFFIC
    assert not {"recoverable_errors", "resp_cqe_flush_error"} & counters.ERRORS


def test_what_is_sent_again_is_an_error() -> None:
    assert counters.SENT_AGAIN < counters.ERRORS
    assert not {"link_downed", "out_of_seq_request", "out_of_sequence", "retry_exceeded_err"} & counters.SENT_AGAIN


def test_what_rose() -> None:
    before = {"out_of_sequence": 2, "sent_pkts": 5, "np_cnp_sent": 1, "rnr_nak_retry_err": 7}
    after = {"out_of_sequence": 5, "sent_pkts": 99, "np_cnp_sent": 3, "rnr_nak_retry_err": 1, "RTO": 1, "rx_bytes": 9}
    assert counters.risen(before, after) == (
        {"out_of_sequence": 3, "rnr_nak_retry_err": 1, "RTO": 1},
        {"np_cnp_sent": 2},
    )


@given(READINGS, READINGS)
def test_only_what_rose_and_by_how_much(before: dict[str, int], after: dict[str, int]) -> None:
    errors, others = counters.risen(before, after)
    assert set(errors) <= counters.ERRORS and not set(others) & (counters.ERRORS | counters.TRAFFIC)
    for name, rise in {**errors, **others}.items():
        assert 0 < rise <= after[name]
        assert rise == after[name] - before.get(name, 0) or after[name] < before[name]
    assert counters.risen(after, after) == ({}, {})
