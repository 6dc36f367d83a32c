# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Asks a running ptp4l through linuxptp's ``pmc`` and reads its text (the same in 3.1.1 and 4.x but for spacing)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Callable

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

DATA_SETS = ("DEFAULT_DATA_SET", "CURRENT_DATA_SET", "PARENT_DATA_SET", "PORT_DATA_SET", "TIME_STATUS_NP")
PORT_STATES = (
    "INITIALIZING",
    "FAULTY",
    "DISABLED",
    "LISTENING",
    "PRE_MASTER",
    "MASTER",
    "PASSIVE",
    "UNCALIBRATED",
    "SLAVE",
    "GRAND_MASTER",
    "NONE",
)
_HEADER = re.compile(
    r"^\s*(?P<port>[0-9a-f]{6}\.[0-9a-f]{4}\.[0-9a-f]{6}-\d+) seq \d+ RESPONSE MANAGEMENT (?P<id>\w+)\s*$"
)
_FIELD = re.compile(r"^\s+(?P<name>[\w.]+)\s+(?P<value>\S.*?)\s*$")


class PtpUnavailable(Exception):
    """ptp4l did not answer; the message says what to do next."""


def command(uds_address: str, domain: int) -> list[str]:
    """Return the pmc command line that asks a local ptp4l for every data set used here (boundary hops 0: only
    itself)."""
    return ["pmc", "-u", "-b", "0", "-s", uds_address, "-d", str(domain)] + ["GET " + name for name in DATA_SETS]


def parse(text: str) -> dict[str, list[dict[str, str]]]:
    """Return {data set: [fields of each answer]} of pmc's output; every field is the text printed, ``port`` the
    answering port.

    A data set answered by several ports (PORT_DATA_SET) has several entries. Errors printed by pmc are no entries.
    """
    answers: dict[str, list[dict[str, str]]] = {}
    current: dict[str, str] | None = None
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            current = {"port": header.group("port")}
            answers.setdefault(header.group("id"), []).append(current)
            continue
        if not line[:1].isspace() or "MANAGEMENT" in line:
            current = None
            continue
        field = _FIELD.match(line)
        if field and current is not None:
            current[field.group("name")] = field.group("value")
    return answers


def status(run: Run, uds_address: str, domain: int) -> dict[str, Any]:
    """Return one reading of the local ptp4l: identities, port states, offset and path delay in nanoseconds.

    Raises PtpUnavailable when pmc is missing or ptp4l does not answer (pmc then ends with 0 and prints no answer).
    """
    rc, out, err = run(command(uds_address, domain))
    if rc != 0:
        raise PtpUnavailable(
            "pmc ended with %d: %s. Next: install linuxptp, or look at 'journalctl -u tickwire-ptp4l'"
            % (rc, (err or out).strip() or "no message")
        )
    return reading(parse(out), "%s, domain %d" % (uds_address, domain))


def reading(answers: dict[str, list[dict[str, str]]], where: str) -> dict[str, Any]:
    """Turn parsed answers into typed values; raises PtpUnavailable naming the data sets that were not answered."""
    missing = [name for name in DATA_SETS if not answers.get(name)]
    if missing:
        what = "" if len(missing) == len(DATA_SETS) else " " + ", ".join(missing)
        raise PtpUnavailable("ptp4l did not answer%s at %s. Next: 'systemctl status tickwire-ptp4l'" % (what, where))
    default, current = answers["DEFAULT_DATA_SET"][0], answers["CURRENT_DATA_SET"][0]
    parent, time_status = answers["PARENT_DATA_SET"][0], answers["TIME_STATUS_NP"][0]
    try:
        return {
            "clock_identity": default["clockIdentity"],
            "clock_class": int(default["clockClass"]),
            "priority1": int(default["priority1"]),
            "domain": int(default["domainNumber"]),
            "ports": [
                {"identity": port["portIdentity"], "state": port["portState"]} for port in answers["PORT_DATA_SET"]
            ],
            "steps_removed": int(current["stepsRemoved"]),
            "mean_path_delay_ns": float(current["meanPathDelay"]),
            "offset_ns": int(time_status["master_offset"]),
            "grandmaster_present": time_status["gmPresent"] == "true",
            "grandmaster_identity": parent["grandmasterIdentity"],
            "grandmaster_clock_class": int(parent["gm.ClockClass"]),
            "parent_port_identity": parent["parentPortIdentity"],
        }
    except (KeyError, ValueError) as error:
        raise PtpUnavailable(
            "pmc's answer at %s is not understood (%r): this version of linuxptp prints other fields. Next: report it "
            "with the output of '%s'" % (where, error, " ".join(command("UDS", 0)))
        ) from error
