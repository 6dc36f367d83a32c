# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""When a clock counts as locked, and how long is waited for it."""

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.ptp import lock
from ansible_collections.tickwire.fabric.plugins.module_utils.ptp.pmc import PtpUnavailable

MASTER = "7671cd.fffe.f8cdd8"
OWN = "4a90b2.fffe.d25ca9"


def reading(state="SLAVE", offset=0, grandmaster=MASTER, own=OWN, present=True):
    return {
        "clock_identity": own,
        "ports": [{"identity": own + "-1", "state": state}],
        "offset_ns": offset,
        "grandmaster_present": present,
        "grandmaster_identity": grandmaster,
    }


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def observe(sequence, readings=2, wait_s=10.0, role="ordinary", grandmaster="", max_offset_ns=100):
    clock, left, taken = Clock(), list(sequence), []

    def read():
        item = left.pop(0) if len(left) > 1 else left[0]
        taken.append(item)
        if isinstance(item, Exception):
            raise item
        return item

    result = lock.observe(read, role, max_offset_ns, grandmaster, readings, 1.0, wait_s, clock, clock.sleep)
    return result, len(taken)


@pytest.mark.parametrize(
    ("found", "role", "reason"),
    [
        (reading(), "ordinary", ""),
        (reading(offset=100), "ordinary", ""),
        (reading(offset=-100), "ordinary", ""),
        (reading(offset=101), "ordinary", "offset 101 ns is beyond 100 ns"),
        (reading(offset=-101), "ordinary", "offset -101 ns is beyond 100 ns"),
        (reading("UNCALIBRATED"), "ordinary", "no port is SLAVE: %s-1 is UNCALIBRATED" % OWN),
        (reading("LISTENING"), "ordinary", "no port is SLAVE: %s-1 is LISTENING" % OWN),
        (reading(present=False), "ordinary", "no grandmaster is present"),
        (reading("MASTER", grandmaster=OWN), "grandmaster", ""),
        (reading("SLAVE", grandmaster=OWN), "grandmaster", "port %s-1 is SLAVE, not MASTER" % OWN),
        (reading("MASTER"), "grandmaster", "its grandmaster is %s, not itself (%s)" % (MASTER, OWN)),
    ],
)
def test_reasons(found, role, reason):
    assert lock.why_unlocked(found, role, 100) == reason


def test_another_grandmaster_is_no_lock():
    assert lock.why_unlocked(reading(), "ordinary", 100, MASTER) == ""
    assert lock.why_unlocked(reading(), "ordinary", 100, OWN) == "its grandmaster is %s, not %s" % (MASTER, OWN)


def test_readings_have_to_be_locked_in_a_row():
    good, bad = reading(offset=5), reading(offset=900)
    result, taken = observe([good, bad, good, good], readings=2)
    assert result["locked"] and taken == 4
    assert result["offsets_ns"] == [5, 5]
    assert result["reason"] == ""


def test_the_wait_has_a_bound():
    result, taken = observe([reading("UNCALIBRATED")], readings=3, wait_s=5.0)
    assert not result["locked"] and result["running"]
    assert "UNCALIBRATED" in result["reason"]
    assert result["waited_s"] <= 5.0 and taken == 6
    assert result["offsets_ns"] == []


def test_without_a_wait_exactly_the_readings_are_taken():
    result, taken = observe([reading(offset=3)], readings=4, wait_s=0)
    assert taken == 4 and result["locked"] and result["offsets_ns"] == [3, 3, 3, 3]
    result, taken = observe([reading(offset=300)], readings=4, wait_s=0)
    assert taken == 4 and not result["locked"] and result["offsets_ns"] == [300, 300, 300, 300]


def test_ptp4l_that_comes_up_late():
    result, taken = observe([PtpUnavailable("ptp4l did not answer"), reading(), reading()], readings=2)
    assert result["locked"] and taken == 3


def test_ptp4l_that_never_comes():
    result, taken = observe([PtpUnavailable("ptp4l did not answer")], readings=1, wait_s=3.0)
    assert not result["running"] and not result["locked"]
    assert result["reason"] == "ptp4l did not answer"
    assert "ports" not in result


def test_ptp4l_that_dies_is_not_running_any_more():
    result, taken = observe([reading(), PtpUnavailable("gone")], readings=2, wait_s=0)
    assert not result["running"] and not result["locked"] and result["reason"] == "gone"
