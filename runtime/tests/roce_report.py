# SPDX-License-Identifier: Apache-2.0
"""The report on packets, by way of a file, and what the core makes of them."""

from __future__ import annotations

import tempfile
from typing import Any

from roce_frames import A, Packet, Record, pcap, timed

from tickwire import _core
from tickwire.rdma import trace


def report_of(packets: list[Packet | bytes]) -> dict[str, Any]:
    """Packets a microsecond apart."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(pcap(timed(packets)))
        file.flush()
        return trace.read(file.name)


def flows_of(records: list[Record], **options: Any) -> list[dict[str, Any]]:
    traced = _core.RoceTrace(**options)
    data = pcap(records)
    assert traced.feed(data) == len(data)
    return traced.flows()


def asking(packets: list[Packet | bytes], **options: Any) -> dict[str, Any]:
    """The flow of A's requests, packets a microsecond apart."""
    (flow,) = (flow for flow in flows_of(timed(packets), **options) if flow["source"] == A and flow["requests"])
    return flow
