"""The loopback ports on which the VMs' ssh is reached."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from lab.errors import LabError

BASE_VARIABLE = "TICKWIRE_LAB_PORT_BASE"


def is_free(port: int) -> bool:
    """Whether this machine can listen on 127.0.0.1:port now."""
    with socket.socket() as probe:
        # As QEMU does: a port in TIME_WAIT may be taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True


def pinned_base() -> int | None:
    """The first port when the user pins them with TICKWIRE_LAB_PORT_BASE, else None."""
    text = os.environ.get(BASE_VARIABLE, "")
    if not text:
        return None
    if not text.isdigit() or not 1024 <= int(text) <= 65000:
        raise LabError(
            f"{BASE_VARIABLE}={text!r} is not a port from 1024 to 65000", f"correct or unset {BASE_VARIABLE}"
        )
    return int(text)


def choose(names: Sequence[str]) -> dict[str, int]:
    """A free port per VM: from the pinned base in the order of `names`, or any that the kernel gives.

    LabError when a pinned port is taken: name, port and what to do.
    """
    base = pinned_base()
    if base is None:
        # All open at the same time, so that no port is given twice.
        probes = [socket.socket() for _name in names]
        try:
            for probe in probes:
                probe.bind(("127.0.0.1", 0))
            return {name: int(probe.getsockname()[1]) for name, probe in zip(names, probes, strict=True)}
        finally:
            for probe in probes:
                probe.close()
    wanted = {name: base + index for index, name in enumerate(names)}
    for name, port in wanted.items():
        if not is_free(port):
            raise LabError(
                f"port 127.0.0.1:{port} for {name} is in use ({BASE_VARIABLE}={base} asks for it)",
                f"see `ss -ltnp 'sport = :{port}'`, stop that program, or set or unset {BASE_VARIABLE}",
            )
    return wanted
