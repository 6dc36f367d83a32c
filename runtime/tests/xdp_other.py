# SPDX-License-Identifier: Apache-2.0
"""Somebody else who uses AF_XDP and XDP on an interface."""

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct

AF_XDP, SOL_XDP = 44, 283
RX_RING, UMEM_REG, UMEM_FILL_RING, UMEM_COMPLETION_RING = 2, 4, 5, 6
XDP_COPY = 2
DRIVER, GENERIC = 4, 2  # XDP_FLAGS_
_libc = ctypes.CDLL(None, use_errno=True)


class OtherSocket:
    """An AF_XDP socket on a queue, in copy mode; of the namespace it is made in."""

    def __init__(self, interface: str, queue: int) -> None:
        self.memory = mmap.mmap(-1, 16 * 2048)
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW)
        at = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.socket.setsockopt(SOL_XDP, UMEM_REG, struct.pack("=QQIIII", at, len(self.memory), 2048, 0, 0, 0))
        for ring in (UMEM_FILL_RING, UMEM_COMPLETION_RING, RX_RING):
            self.socket.setsockopt(SOL_XDP, ring, 8)
        to = struct.pack("=HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(interface), queue, 0)
        if _libc.bind(self.socket.fileno(), to, len(to)) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def close(self) -> None:
        self.socket.close()


def attach(interface: str, program: int, mode: int) -> None:
    """An XDP program onto an interface as `ip link` does it: it stays when its process ends."""
    error = ctypes.CDLL("libbpf.so.1").bpf_xdp_attach(socket.if_nametoindex(interface), program, mode, None)
    assert error == 0, os.strerror(-error)
