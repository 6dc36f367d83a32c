# SPDX-License-Identifier: Apache-2.0
"""The report on packets, by way of a file."""

from __future__ import annotations

import tempfile
from typing import Any

from roce_frames import Packet, pcap, timed

from tickwire.rdma import trace


def report_of(packets: list[Packet | bytes]) -> dict[str, Any]:
    """Packets a microsecond apart."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as file:
        file.write(pcap(timed(packets)))
        file.flush()
        return trace.read(file.name)
