# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns what the validation's tasks registered into measurements, with an ``error`` in the place of what could not be
measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma.pingpong import SILENT_STEPS

SECTIONS = ("rdma_link", "rdma_ping", "ptp", "t2t", "coexistence", "jitter")
#: A member is measured for its mesh only.
ROLES = ("trader", "exchange", "member")
NOT_MEASURED = "not measured"
#: What is kept of a ``rdma_ping`` that failed.
OF_A_FAILURE = ("step", "errors_risen", "others_risen")


def measurement(result: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a registered result without Ansible's own keys, or {"error": reason} for failed, unreachable, skipped or
    none; with what a ping that failed still says (OF_A_FAILURE)."""
    if not result or result.get("skipped"):
        return {"error": NOT_MEASURED}
    if result.get("unreachable"):
        return {"error": "host unreachable: %s" % _one_line(result.get("msg", "no message"))}
    if result.get("failed"):
        said = {name: result[name] for name in OF_A_FAILURE if name in result}
        return dict(said, error=_one_line(result.get("msg", "failed without a message")))
    return {
        name: value for name, value in result.items() if name not in ("changed", "failed", "invocation", "warnings")
    }


def t2t_name(bench: Mapping[str, Any]) -> str:
    """Return what the figures of a ``t2t_latency`` result are. By the completions of an RDMA device they end with the
    acknowledgement of the order, not with its departure."""
    return "tick to acknowledgement" if bench.get("timestamp_source") == "completion" else "tick-to-trade"


def t2t_beside(bench: Mapping[str, Any]) -> str:
    """Return whose stamps a ``t2t_latency`` result has of the same orders in ``software``."""
    return "engine" if bench.get("timestamp_source") == "completion" else "kernel"


def _one_line(text: Any) -> str:
    return " ".join(str(text).split())


def rdma_link(result: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the one device of an ``rdma_link_info`` result with its first port's fields beside the device's."""
    found = measurement(result)
    if "error" in found:
        return found
    devices = found.get("devices") or []
    if not devices:
        return {"error": found.get("reason") or "no RDMA device"}
    device = dict(devices[0])
    ports = device.pop("ports", [])
    if not ports:
        return {"error": "RDMA device %s has no port" % device.get("device")}
    return dict(device, **ports[0])


def both_ends(client: Mapping[str, Any] | None, server: Mapping[str, Any] | None, server_name: str) -> dict[str, Any]:
    """Return the client's figures, emulated when either end's device is; when either end failed, its reason in their
    place."""
    found, other = measurement(client), measurement(server)
    reason = one_reason(found.get("error"), other.get("error"), server_name)
    if reason is not None:
        return {"error": reason}
    return dict(found, emulated=True) if other.get("emulated") else found


def one_reason(client: str | None, server: str | None, server_name: str) -> str | None:
    """Return why a pair failed: the client's reason and, where it says more, the server's; None when neither failed."""
    if client is None:
        return None if server is None else "the server's end on %s failed: %s" % (server_name, server)
    # A server that was told of the client's failure only repeats it.
    if not server or "the other end reports" in server or server in (NOT_MEASURED, client):
        return client
    return "%s (and %s: %s)" % (client, server_name, server)


def risen_by_host(results: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return by host what its counters say of its pings, as either end: in ``errors_risen`` the errors that rose, and
    by how much in all; in ``counters_unread`` the pings after which nobody could read them, with the reason.

    A ping that failed counts as well, unless it failed before anything was sent; a host without any ping is left out.
    """
    found: dict[str, dict[str, Any]] = {}

    def add(host: str, ping: str, one: Mapping[str, Any]) -> None:
        if "errors_risen" not in one and (one.get("step") in SILENT_STEPS or one.get("error") == NOT_MEASURED):
            return
        mine = found.setdefault(host, {"errors_risen": {}, "counters_unread": []})
        if "errors_risen" not in one:
            mine["counters_unread"].append("%s (%s)" % (ping, one.get("error", "no counters")))
        for name, value in (one.get("errors_risen") or {}).items():
            mine["errors_risen"][name] = mine["errors_risen"].get(name, 0) + value

    for host, raw in results.items():
        server = str(raw.get("rdma_ping_server_name", "server"))
        add(host, "ping to %s" % server, measurement(raw.get("rdma_ping")))
        add(server, "ping from %s" % host, measurement(raw.get("rdma_ping_server")))
        for end in raw.get("mesh") or []:
            for transport, one in end.items():
                if isinstance(one, Mapping):
                    add(host, "%s %s" % (transport.upper(), end["peer"]), one)
    return found


def coexistence(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures with the switch's own queues and, under ``plain``, those with one plain queue instead."""
    name = raw.get("rdma_ping_server_name", "server")
    found = both_ends(raw.get("coexistence"), raw.get("coexistence_server"), name)
    if raw.get("coexistence_plain"):
        found["plain"] = both_ends(raw["coexistence_plain"], raw.get("coexistence_plain_server"), name)
    return found


def jitter(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures measured now and, under ``before``, those that were kept before the host was changed."""
    found = measurement(raw)
    if "error" in found:
        return found
    now = dict(found.get("result") or {}) or {"error": "nothing was measured: the host has no isolated CPUs"}
    return dict(now, before=found["before"]) if found.get("before") else now


def facts(raw: Mapping[str, Any]) -> dict[str, str]:
    """Return system, kernel and cmdline as text; cmdline may be Ansible's mapping of the kernel command line."""
    found = {name: str(raw[name]) for name in ("system", "kernel") if raw.get(name)}
    line = raw.get("cmdline")
    if isinstance(line, Mapping):
        words = []
        for key, value in line.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                words.append(str(key) if item is True else "%s=%s" % (key, item))
        line = " ".join(words)
    return dict(found, cmdline=str(line)) if line else found


def host_measurements(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return one host's measurements from {role, ptp_role, facts, rdma_link, ptp, rdma_ping, rdma_ping_server, ...,
    t2t, coexistence, ..., jitter}; co-existence and jitter are there when they were measured.

    An exchange is not the client of a ping and runs no engine, so it has neither of these; a member has its link only.
    Raises ValueError for another role.
    """
    role = raw.get("role")
    if role not in ROLES:
        raise ValueError("role %r: one of %s is needed" % (role, ", ".join(ROLES)))
    result = {
        "role": role,
        "ptp_role": raw.get("ptp_role", "ordinary"),
        "facts": facts(raw.get("facts") or {}),
        "rdma_link": rdma_link(raw.get("rdma_link")),
    }
    if role != "member":
        result["ptp"] = measurement(raw.get("ptp"))
    if role == "trader":
        result["rdma_ping"] = both_ends(
            raw.get("rdma_ping"), raw.get("rdma_ping_server"), raw.get("rdma_ping_server_name", "server")
        )
        result["t2t"] = measurement(raw.get("t2t"))
        if raw.get("coexistence"):
            result["coexistence"] = coexistence(raw)
        if raw.get("jitter"):
            result["jitter"] = jitter(raw["jitter"])
    return result
