# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""pmc's text, as recorded from linuxptp 3.1.1 and 4.2."""

from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.ptp import pmc

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "ptp"


def recorded(name):
    return (FIXTURES / name).read_text()


def read(name):
    return pmc.status(lambda argv: (0, recorded(name), ""), "/var/run/ptp4l", 0)


def test_grandmaster():
    assert read("pmc_3.1.1_grandmaster.txt") == {
        "clock_identity": "7671cd.fffe.f8cdd8",
        "clock_class": 248,
        "priority1": 127,
        "domain": 0,
        "ports": [{"identity": "7671cd.fffe.f8cdd8-1", "state": "MASTER"}],
        "steps_removed": 0,
        "mean_path_delay_ns": 0.0,
        "offset_ns": 0,
        "grandmaster_present": False,
        "grandmaster_identity": "7671cd.fffe.f8cdd8",
        "grandmaster_clock_class": 248,
        "parent_port_identity": "7671cd.fffe.f8cdd8-0",
    }


def test_ordinary_clock():
    reading = read("pmc_3.1.1_ordinary_uncalibrated.txt")
    assert reading["offset_ns"] == -1196
    assert reading["mean_path_delay_ns"] == 2390.0
    assert reading["grandmaster_present"] is True
    assert reading["grandmaster_identity"] == "7671cd.fffe.f8cdd8"
    assert reading["clock_identity"] == "4a90b2.fffe.d25ca9"
    assert reading["clock_class"] == 255
    assert reading["ports"] == [{"identity": "4a90b2.fffe.d25ca9-1", "state": "UNCALIBRATED"}]


def test_linuxptp_4():
    master, slave = read("pmc_4.2_grandmaster.txt"), read("pmc_4.2_ordinary_slave.txt")
    assert master["ports"] == [{"identity": "525400.fffe.7c0101-1", "state": "MASTER"}]
    assert slave["ports"] == [{"identity": "525400.fffe.7c0301-1", "state": "SLAVE"}]
    assert slave["grandmaster_identity"] == master["clock_identity"] == "525400.fffe.7c0101"
    assert (slave["offset_ns"], slave["mean_path_delay_ns"]) == (3411980, 2437871.0)
    assert slave["grandmaster_present"] is True and slave["clock_class"] == 255


def test_request_lines_between_answers_are_no_fields():
    answers = pmc.parse(recorded("pmc_3.1.1_ordinary_uncalibrated.txt"))
    assert sorted(answers) == sorted(pmc.DATA_SETS)
    assert answers["CURRENT_DATA_SET"] == [
        {
            "port": "4a90b2.fffe.d25ca9-0",
            "stepsRemoved": "1",
            "offsetFromMaster": "-1196.0",
            "meanPathDelay": "2390.0",
        }
    ]


def test_several_ports_are_all_read():
    text = recorded("pmc_3.1.1_grandmaster.txt")
    start = text.index("\t7671cd.fffe.f8cdd8-1 seq 3")
    port = text[start : text.index("\t7671cd.fffe.f8cdd8-0 seq 4")]
    second = port.replace("f8cdd8-1", "f8cdd8-2").replace("MASTER", "FAULTY")
    answers = pmc.parse(text[:start] + port + second + text[start + len(port) :])
    assert [entry["state"] for entry in pmc.reading(answers, "here")["ports"]] == ["MASTER", "FAULTY"]


def test_no_answer_although_pmc_ends_with_0():
    with pytest.raises(pmc.PtpUnavailable, match="did not answer at /run/x, domain 7.*systemctl status"):
        pmc.status(lambda argv: (0, recorded("pmc_3.1.1_no_answer.txt"), ""), "/run/x", 7)


def test_one_data_set_missing_is_named():
    text = recorded("pmc_3.1.1_grandmaster.txt")
    cut = text[: text.index("\t7671cd.fffe.f8cdd8-0 seq 4")]
    with pytest.raises(pmc.PtpUnavailable, match="did not answer TIME_STATUS_NP at"):
        pmc.reading(pmc.parse(cut), "here")


def test_unknown_fields_are_told_and_not_guessed():
    text = recorded("pmc_3.1.1_grandmaster.txt").replace("clockIdentity ", "clockIdent    ")
    with pytest.raises(pmc.PtpUnavailable, match="not understood.*clockIdentity"):
        pmc.reading(pmc.parse(text), "here")


def test_pmc_failing_is_told():
    with pytest.raises(pmc.PtpUnavailable, match="ended with 255: failed to open"):
        pmc.status(lambda argv: (255, "", "failed to open configuration file"), "/var/run/ptp4l", 0)


def test_command_asks_this_clock_only():
    argv = pmc.command("/run/socket", 24)
    assert argv[:8] == ["pmc", "-u", "-b", "0", "-s", "/run/socket", "-d", "24"]
    assert argv[8:] == ["GET " + name for name in pmc.DATA_SETS]
