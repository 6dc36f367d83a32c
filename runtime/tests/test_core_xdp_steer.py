# SPDX-License-Identifier: Apache-2.0
"""The XDP program, run by the kernel over frames (BPF_PROG_TEST_RUN): against the rule in Python, and against the
kernel's own sockets."""

from __future__ import annotations

import ctypes
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdp_frames import LONGEST, Frame, Line, line_of
from xdp_wire import ENGINE, Wire

import tickwire

PROGRAM = Path(tickwire.__file__).with_name("steer.bpf.o")
XDP_PASS, XDP_REDIRECT = 2, 4
AF_XDP, SOL_XDP, XDP_RX_RING = 44, 283, 2
STAMPS = struct.Struct("=QQ")  # struct steer_stamps of core/transport/steer.h: the card's, and CLOCK_TAI
LINES = [Line("239.192.110.1", 26400), Line("10.99.0.2", 26410, "10.99.0.1")]
A, B = (Frame(line.group, line.port) for line in LINES)


class Options(ctypes.Structure):
    """struct bpf_test_run_opts of bpf/bpf.h."""

    _fields_ = [
        ("sz", ctypes.c_size_t), ("data_in", ctypes.c_char_p), ("data_out", ctypes.c_char_p),
        ("data_size_in", ctypes.c_uint32), ("data_size_out", ctypes.c_uint32), ("ctx_in", ctypes.c_void_p),
        ("ctx_out", ctypes.c_void_p), ("ctx_size_in", ctypes.c_uint32), ("ctx_size_out", ctypes.c_uint32),
        ("retval", ctypes.c_uint32), ("repeat", ctypes.c_int), ("duration", ctypes.c_uint32),
        ("flags", ctypes.c_uint32), ("cpu", ctypes.c_uint32), ("batch_size", ctypes.c_uint32),
    ]  # fmt: skip


class Program:
    """The program in the kernel, for two lines; with a socket for queue 0 if so wanted."""

    def __init__(self, lines: list[Line], waited_for: bool = True) -> None:
        self.bpf = ctypes.CDLL("libbpf.so.1", use_errno=True)
        for name in ("open_file", "find_map_by_name", "find_program_by_name"):
            getattr(self.bpf, f"bpf_object__{name}").restype = ctypes.c_void_p
        self.object = ctypes.c_void_p(self.bpf.bpf_object__open_file(str(PROGRAM).encode(), None))
        constants = b"".join(line.packed() for line in lines).ljust(24, b"\0")
        assert self.bpf.bpf_map__set_initial_value(self.map(".rodata"), constants, ctypes.c_size_t(24)) == 0
        found = self.program("steer")
        assert self.bpf.bpf_program__set_autoload(self.program("steer_card"), ctypes.c_bool(False)) == 0
        assert self.bpf.bpf_object__load(self.object) == 0
        self.fd = self.bpf.bpf_program__fd(found)
        self.socket = socket.socket(AF_XDP, socket.SOCK_RAW)
        self.socket.setsockopt(SOL_XDP, XDP_RX_RING, 64)
        if waited_for:
            key, value = ctypes.c_uint32(0), ctypes.c_uint32(self.socket.fileno())
            at = self.bpf.bpf_map__fd(self.map("sockets"))
            none = ctypes.c_uint64(0)
            assert self.bpf.bpf_map_update_elem(at, ctypes.byref(key), ctypes.byref(value), none) == 0

    def map(self, name: str) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.bpf.bpf_object__find_map_by_name(self.object, name.encode()))

    def program(self, name: str) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.bpf.bpf_object__find_program_by_name(self.object, name.encode()))

    def run(self, frame: bytes) -> tuple[int, bytes]:
        """Verdict, and what the frame is afterwards, with what was put before it."""
        out = ctypes.create_string_buffer(len(frame) + 256)
        options = Options(ctypes.sizeof(Options), frame, None, len(frame), len(out), repeat=1)
        options.data_out = ctypes.cast(out, ctypes.c_char_p)
        assert self.bpf.bpf_prog_test_run_opts(self.fd, ctypes.byref(options)) == 0, ctypes.get_errno()
        return options.retval, out.raw[: options.data_size_out]

    def steers(self, frame: bytes) -> bool:
        verdict, _ = self.run(frame)
        assert verdict in (XDP_PASS, XDP_REDIRECT)
        return verdict == XDP_REDIRECT

    def close(self) -> None:
        self.socket.close()
        self.bpf.bpf_object__close(self.object)


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    made = Program(LINES)
    yield made
    made.close()


STEERED = {
    "line A": A,
    "line B": B,
    "nothing in it": replace(A, payload=b""),
    "fragments allowed": replace(A, fragment=0),
    "a priority tag": replace(A, vlans=(0x6000,)),
    "padding behind it": replace(A, payload=b"x", padding=b"\0" * 17),
    "any source on line A": replace(A, source="192.0.2.9"),
    "a wrong checksum": replace(A, udp_checksum=1),  # for the engine to find
    "as long as a frame may be": replace(A, payload=b"x" * (LONGEST - 42)),
}
PASSED = {
    "another port": replace(A, port=26401),
    "another group": replace(A, group="239.192.110.2"),
    "line B's port on line A's group": replace(A, port=26410),
    "another source on line B": replace(B, source="10.99.0.3"),
    "TCP": replace(A, protocol=socket.IPPROTO_TCP),
    "options": replace(A, options=b"\x01" * 4),
    "first fragment": replace(A, fragment=0x2000),
    "last fragment": replace(A, fragment=0x0001),
    "a VLAN": replace(A, vlans=(0x6064,)),
    "two tags": replace(A, vlans=(0, 0)),
    "UDP shorter than its header": replace(A, udp_bytes=7),
    "UDP longer than the packet": replace(A, udp_bytes=16),
    "longer than a frame of the UMEM": replace(A, payload=b"x" * (LONGEST - 41)),
}

ON_THE_WIRE = [
    "line B", "nothing in it", "fragments allowed", "a priority tag", "padding behind it", "a wrong checksum", "TCP",
    "options", "first fragment", "last fragment", "a VLAN", "two tags", "UDP shorter than its header",
    "UDP longer than the packet",
]  # fmt: skip


@pytest.mark.parametrize("name", STEERED)
def test_steered(program: Program, name: str) -> None:
    assert program.steers(STEERED[name].packed()) and line_of(STEERED[name].packed(), LINES) is not None


@pytest.mark.parametrize("name", PASSED)
def test_passed_to_the_kernel(program: Program, name: str) -> None:
    assert not program.steers(PASSED[name].packed()) and line_of(PASSED[name].packed(), LINES) is None


def test_every_shorter_frame_is_passed(program: Program) -> None:
    whole = replace(A, vlans=(0,)).packed()
    assert program.steers(whole)
    assert not any(program.steers(whole[:length]) for length in range(14, len(whole)))


def test_other_protocols_are_passed(program: Program) -> None:
    frame = A.packed()
    for ethertype in (0x0806, 0x86DD, 0x88A8, 0x0000):
        assert not program.steers(frame[:12] + ethertype.to_bytes(2, "big") + frame[14:])
    assert not program.steers(frame[:14] + b"\x65" + frame[15:])  # version 6 in what says it is 4


# Good frames, and what a bad day makes of them: bytes changed, cut off, added.
BUILT = st.builds(
    Frame,
    group=st.sampled_from([LINES[0].group, LINES[1].group, "10.0.0.9"]),
    port=st.sampled_from([26400, 26410, 80]),
    payload=st.binary(max_size=40),
    source=st.sampled_from(["10.99.0.1", "10.99.0.3"]),
    vlans=st.lists(st.sampled_from([0, 0x2000, 100]), max_size=2).map(tuple),
    options=st.sampled_from([b"", b"", b"\x01" * 4]),
    fragment=st.sampled_from([0, 0x4000, 0x8000, 0x2000, 0x0100]),
    protocol=st.sampled_from([17, 17, 17, 6]),
    udp_bytes=st.sampled_from([None, None, 0, 7, 8, 60000]),
    padding=st.binary(max_size=8),
)


@settings(max_examples=600, deadline=None)
@given(
    frame=BUILT,
    changes=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 255)), max_size=2),
    cut=st.integers(0, 40),
)
def test_steers_what_the_rule_says(program: Program, frame: Frame, changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(frame.packed())
    for at, value in changes:
        data[at % len(data)] = value
    if cut % 3 == 0:
        del data[max(14, len(data) - cut) :]
    assert program.steers(bytes(data)) == (line_of(bytes(data), LINES) is not None)


def test_the_time_stands_before_a_steered_frame(program: Program) -> None:
    frame = A.packed()
    before = time.clock_gettime_ns(time.CLOCK_TAI)
    _, after_it = program.run(frame)
    by_card, stamp = STAMPS.unpack(after_it[: STAMPS.size])
    assert after_it[STAMPS.size :] == frame and by_card == 0
    assert before <= stamp <= time.clock_gettime_ns(time.CLOCK_TAI)
    other = replace(A, port=80).packed()
    assert program.run(other)[1] == other


def test_without_a_socket_everything_is_passed() -> None:
    program = Program(LINES, waited_for=False)
    assert not any(program.steers(frame.packed()) for frame in STEERED.values())
    program.close()


def test_without_lines_everything_is_passed() -> None:
    program = Program([])
    assert not any(program.steers(frame.packed()) for frame in [*STEERED.values(), Frame("0.0.0.0", 0)])
    program.close()


def test_nothing_is_steered_that_the_kernel_would_not_give_its_socket(program: Program) -> None:
    """Line B's address on a veth pair, the frames for it onto the wire, and a plain UDP socket at the other end."""
    wire = Wire()
    try:
        with wire.inside(ENGINE):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((LINES[1].group, LINES[1].port))
        udp.settimeout(5)
        raw, macs = wire.frames(), wire.macs()
        got = {}
        for name in ON_THE_WIRE:
            frame = replace({**STEERED, **PASSED}[name], macs=macs, group=B.group, port=B.port, source=B.source)
            raw.send(frame.packed())
            raw.send(replace(B, macs=macs, payload=b"end").packed())
            delivered = udp.recv(2048) != b"end"
            assert not delivered or udp.recv(2048) == b"end"
            got[name] = (program.steers(frame.packed()), delivered)
        # The engine looks for wrong checksums itself. What is left to the kernel comes from its socket.
        differ = {name: verdicts for name, verdicts in got.items() if verdicts[0] != verdicts[1]}
        assert differ == {"a wrong checksum": (True, False), "options": (False, True), "two tags": (False, True)}
        raw.close()
        udp.close()
    finally:
        wire.close()
