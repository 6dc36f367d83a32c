# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Puts what both ends of every pair of a mesh returned into one table of pairs, and what of it concerns each host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from ansible_collections.tickwire.fabric.plugins.module_utils.report.measurements import measurement, one_reason
from ansible_collections.tickwire.fabric.plugins.module_utils.report.outliers import is_outlier, spread

FIGURES = ("median_us", "p99_us")
TRANSPORTS = ("rc", "ud")
_KEPT = ("emulated", "lost", "errors_risen", "others_risen", "size_bytes", "mtu_bytes")


def mesh_end(registered: Mapping[str, Any], pair: Sequence[str], host: str) -> dict[str, Any]:
    """Return what is kept of one end of a pair: {mode, peer, TRANSPORT: figures, or ``error`` and what of a failure
    ``measurement`` keeps}.

    registered: the result of ``rdma_ping`` in a loop over transports; pair: [server, client]. A mesh has many ends, so
    only what the report shows is kept.
    """
    server, client = pair
    items = {item.get(item.get("ansible_loop_var", "item")): item for item in registered.get("results") or []}
    found: dict[str, Any] = {"mode": "server" if host == server else "client"}
    found["peer"] = client if host == server else server
    for transport in TRANSPORTS:
        one = measurement(items.get(transport, registered if not items else None))
        if "error" in one:
            found[transport] = one
            continue
        figures = one.get("half_round_trip") or {}
        found[transport] = {name: one[name] for name in _KEPT if name in one}
        found[transport].update({name: figures.get(name) for name in ("min_us", *FIGURES, "max_us", "samples")})
    return found


def build(hosts: Sequence[str], ends: Mapping[str, Sequence[Mapping[str, Any]]], away: Mapping[str, str]) -> dict:
    """Return the mesh of a group of hosts.

    ends: by host, its ``mesh_end``s; away: why a host took no part. The result has ``hosts``, ``away``, ``pairs`` (one
    for each two hosts and transport, with figures or, when either end failed, ``error``; by host the counters that
    rose, and in ``outliers`` the figures that stand out), ``failed`` and ``outliers`` (how many pairs), and in
    ``spread`` by transport and figure its median, deviation and limit in microseconds, or None.
    """
    by_pair: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for host in hosts:
        for end in ends.get(host) or []:
            by_pair.setdefault(_key(host, end["peer"]), {})[end["mode"]] = dict(end, host=host)
    pairs = [
        _pair(one, other, transport, by_pair.get(_key(one, other), {}), away)
        for transport in TRANSPORTS
        for one, other in combinations(hosts, 2)
    ]
    spreads: dict[str, dict[str, Any]] = {}
    for transport in TRANSPORTS:
        of_kind = [pair for pair in pairs if pair["transport"] == transport and "error" not in pair]
        for figure in FIGURES:
            found = spread([pair[figure] for pair in of_kind])
            spreads.setdefault(transport, {})[figure] = found._asdict() if found else None
            for pair in of_kind:
                if is_outlier(pair[figure], found):
                    pair["outliers"].append(figure)
    return {
        "hosts": list(hosts),
        "away": dict(away),
        "pairs": pairs,
        "failed": sum("error" in pair for pair in pairs),
        "outliers": sum(bool(pair.get("outliers")) for pair in pairs),
        "spread": spreads,
    }


def of_host(mesh: Mapping[str, Any], host: str) -> dict[str, Any]:
    """Return what of a mesh the budgets of one host are for: its pairs, the failed ones and the outliers by name, lost
    datagrams, and of each transport the worst figures."""
    away = set(mesh["away"])
    mine = [pair for pair in mesh["pairs"] if host in _ends(pair)]
    found: dict[str, Any] = {
        "pairs": len(mine),
        # a host that took no part fails its own gates, and not those of all others
        "failed": [_name(pair, host) for pair in mine if "error" in pair and (host in away or not away & _ends(pair))],
        "outliers": [_name(pair, host) for pair in mine if pair.get("outliers")],
        "lost": sum(pair.get("lost") or 0 for pair in mine),
    }
    for transport in TRANSPORTS:
        of_kind = [pair for pair in mine if pair["transport"] == transport and "error" not in pair]
        for figure in FIGURES:
            found["%s_%s" % (transport, figure)] = max((pair[figure] for pair in of_kind), default=None)
    return found


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _ends(pair: Mapping[str, Any]) -> set[str]:
    return {pair["server"], pair["client"]}


def _name(pair: Mapping[str, Any], host: str) -> str:
    peer = pair["client"] if pair["server"] == host else pair["server"]
    return "%s %s" % (pair["transport"].upper(), peer)


def _pair(
    one: str, other: str, transport: str, ends: Mapping[str, Mapping[str, Any]], away: Mapping[str, str]
) -> dict[str, Any]:
    client, server = ends.get("client"), ends.get("server")
    names = {"server": one, "client": other}
    for mode, end, opposite in (("client", client, "server"), ("server", server, "client")):
        if end:
            names[mode], names[opposite] = end["host"], end["peer"]
    result: dict[str, Any] = dict(names, transport=transport)
    if not ends:
        gone = ["%s: %s" % (name, away[name]) for name in (one, other) if name in away]
        return dict(result, error="; ".join(gone) or "not measured")
    at_client, at_server = ((end or {}).get(transport) or {"error": "not measured"} for end in (client, server))
    for name in ("errors_risen", "others_risen"):
        read = ((names[mode], end.get(name)) for mode, end in (("client", at_client), ("server", at_server)))
        result[name] = {host: counters for host, counters in read if counters is not None}
    result["emulated"] = bool(at_client.get("emulated") or at_server.get("emulated"))
    reason = one_reason(at_client.get("error"), at_server.get("error"), names["server"])
    if reason is not None:
        return dict(result, error=reason)
    return dict(at_client, outliers=[], **result)
