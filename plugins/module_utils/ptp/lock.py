# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Decides whether a PTP clock is locked, and waits for that with a bound."""

from __future__ import annotations

from typing import Any, Callable

from ansible_collections.tickwire.fabric.plugins.module_utils.ptp.pmc import PtpUnavailable

ROLES = ("grandmaster", "ordinary")


def why_unlocked(reading: dict[str, Any], role: str, max_offset_ns: int, grandmaster: str = "") -> str:
    """Return why a reading (of ``pmc.status``) is not the locked state of the role, or "" when it is.

    The offset counts only on a port in state SLAVE: ptp4l keeps showing the last one after it lost its grandmaster.
    """
    states = [port["state"] for port in reading["ports"]]
    if role == "grandmaster":
        wrong = [port for port in reading["ports"] if port["state"] not in ("MASTER", "GRAND_MASTER")]
        if wrong:
            return "; ".join("port %s is %s, not MASTER" % (port["identity"], port["state"]) for port in wrong)
        if reading["grandmaster_identity"] != reading["clock_identity"]:
            return "its grandmaster is %s, not itself (%s)" % (
                reading["grandmaster_identity"],
                reading["clock_identity"],
            )
        return ""
    if "SLAVE" not in states:
        return "no port is SLAVE: %s" % ", ".join("%(identity)s is %(state)s" % port for port in reading["ports"])
    if not reading["grandmaster_present"]:
        return "no grandmaster is present"
    if grandmaster and reading["grandmaster_identity"] != grandmaster:
        return "its grandmaster is %s, not %s" % (reading["grandmaster_identity"], grandmaster)
    if abs(reading["offset_ns"]) > max_offset_ns:
        return "offset %d ns is beyond %d ns" % (reading["offset_ns"], max_offset_ns)
    return ""


def observe(
    read: Callable[[], dict[str, Any]],
    role: str,
    max_offset_ns: int,
    grandmaster: str,
    readings: int,
    interval_s: float,
    wait_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    """Read until ``readings`` in a row are locked or wait_s seconds are over; return the last readings and the verdict.

    With wait_s 0 exactly ``readings`` readings are taken. The result has ``running``, ``locked``, ``reason``,
    ``waited_s``, the last reading's fields, and ``offsets_ns`` of the readings that had a port in state SLAVE.
    """
    start = clock()
    recent: list[tuple[dict[str, Any], str]] = []
    taken = 0
    while True:
        taken += 1
        try:
            reading = read()
            recent.append((reading, why_unlocked(reading, role, max_offset_ns, grandmaster)))
        except PtpUnavailable as error:
            recent.append(({}, str(error)))
        recent = recent[-readings:]
        locked = len(recent) == readings and not any(reason for reading, reason in recent)
        if locked or (taken >= readings and clock() - start + interval_s > wait_s):
            break
        sleep(interval_s)
    last = recent[-1][0]
    slaves = [
        reading for reading, reason in recent if any(port["state"] == "SLAVE" for port in reading.get("ports", []))
    ]
    result = dict(last)
    result.update(
        {
            "running": bool(last),
            "locked": locked,
            "reason": next((reason for reading, reason in reversed(recent) if reason), ""),
            "waited_s": round(clock() - start, 3),
            "offsets_ns": [reading["offset_ns"] for reading in slaves],
        }
    )
    return result
