"""One host of the sections rdma_rc and rdma_ud: ssh starts it there, and it needs nothing but python3.

It stays on the CPU it is told (-1: the last one it may have), and so does what it starts. It is asked over its standard
input and answers on its standard output, a line of JSON each:

    {"facts": NETWORK}                 the RDMA device with a RoCE v2 GID in the IPv4 network ("": any), and the machine
    {"start": COMMAND, "port": N}      {} as soon as it listens at that TCP port; what had the port before is ended
    {"finish": PORT, "limit_s": N}     {"output"} of what was started for the port, when it has ended by itself
    {"time": COMMAND, "limit_s": N}    {"ns", "output"}: a whole process by CLOCK_MONOTONIC

An answer may be {"error": TEXT}. When the questions end, what it started is ended too.
"""

from __future__ import annotations

import ipaddress
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INFINIBAND = Path("/sys/class/infiniband")
LISTEN_S = 30
_LISTENING = "0A"  # state of a socket in /proc/net/tcp


class Refused(Exception):
    """Why a question has no answer, and the next step."""


def gids(root: Path) -> list[dict[str, Any]]:
    """RoCE v2 GIDs with an IPv4 address, of active ports; `mtu` is the interface's, in bytes."""
    found = []
    for types in sorted(root.glob("*/ports/*/gid_attrs/types/*"), key=lambda path: int(path.name)):
        port = types.parents[2]
        try:
            if types.read_text().strip() != "RoCE v2" or "ACTIVE" not in (port / "state").read_text():
                continue
            address = ipaddress.IPv6Address((port / "gids" / types.name).read_text().strip()).ipv4_mapped
            interface = (port / "gid_attrs" / "ndevs" / types.name).read_text().strip()
            mtu = int((root.parent / "net" / interface / "mtu").read_text())
        except (OSError, ValueError):  # an empty place of the table cannot be read, nor an interface that is elsewhere
            continue
        if address is not None:
            names = {"device": port.parents[1].name, "port": int(port.name), "gid_index": int(types.name)}
            found.append({**names, "address": str(address), "mtu": mtu})
    return found


def facts(network: str, root: Path = INFINIBAND) -> dict[str, Any]:
    """Where to measure, and what the figures depend on."""
    wanted = ipaddress.ip_network(network or "0.0.0.0/0")
    gid = next((one for one in gids(root) if ipaddress.ip_address(one["address"]) in wanted), None)
    if gid is None:
        raise Refused(f"no active RDMA device with a RoCE v2 GID in {wanted}; see `rdma link show` there")
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    thp = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        **gid,
        "pinned": sorted(os.sched_getaffinity(0)),
        "machine": {
            "cpu": models[0] if models else platform.machine(),
            "cpus": os.cpu_count(),
            "kernel": platform.release().split("-")[0],
            "transparent_hugepages": thp.read_text(encoding="utf-8").strip() if thp.exists() else "",
            "shared_virtual_machine": "hypervisor" in cpuinfo,
        },
    }


def listens(port: int) -> bool:
    """Whether somebody listens at the TCP port. Asked of the kernel: a connection would be taken for the client's."""
    wanted = f":{port:04X}"
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net", table)
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            words = line.split()
            if words[1].endswith(wanted) and words[3] == _LISTENING:
                return True
    return False


@dataclass
class Running:
    """A command that was started."""

    command: list[str]
    process: subprocess.Popen[str]

    @classmethod
    def of(cls, command: list[str]) -> Running:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise Refused(f"{command[0]}: {error.strerror}; is it installed there?") from None
        return cls(command, process)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()

    def output(self, limit_s: float) -> str:
        """What it said until it ended by itself."""
        try:
            said = self.process.communicate(timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            self.end()
            raise Refused(f"{self.command[0]}: not done after {limit_s:g} s") from None
        if self.process.returncode != 0:
            lines = said.strip().splitlines() or ["nothing"]
            raise Refused(f"{self.command[0]}: exit code {self.process.returncode}, it said: {' / '.join(lines[-3:])}")
        return said


class Host:
    """What runs here, by the port it listens at."""

    def __init__(self) -> None:
        self.running: dict[int, Running] = {}

    def end(self, port: int) -> None:
        if port in self.running:
            self.running.pop(port).end()

    def start(self, command: list[str], port: int) -> dict[str, Any]:
        self.end(port)
        if listens(port):
            raise Refused(f"TCP port {port} is taken; end what listens there")
        one = self.running[port] = Running.of(command)
        deadline = time.monotonic() + LISTEN_S
        while not listens(port):
            if one.process.poll() is not None:
                one.output(LISTEN_S)
                raise Refused(f"{command[0]} ended before it listened at {port}")
            if time.monotonic() > deadline:
                self.end(port)
                raise Refused(f"{command[0]} does not listen at {port} after {LISTEN_S} s")
            time.sleep(0.02)
        return {}

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """One answer."""
        if "facts" in asked:
            return facts(asked["facts"])
        if "start" in asked:
            return self.start(asked["start"], asked["port"])
        if "finish" in asked:
            return {"output": self.running.pop(asked["finish"]).output(asked["limit_s"])}
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
        output = Running.of(asked["time"]).output(asked["limit_s"])
        return {"ns": time.clock_gettime_ns(time.CLOCK_MONOTONIC) - began, "output": output}


def stay_on(cpu: int) -> None:
    """Stay on this CPU; -1: on the last one, or on the last of a login's where its slice keeps it from that one."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
        return
    try:
        # Not of the CPUs this process has: one that is isolated by the command line is not among them, and may be had.
        os.sched_setaffinity(0, {(os.cpu_count() or 1) - 1})
    except OSError:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def main() -> int:
    """Answer until there is no question left."""
    cpu = int(sys.argv[1])
    host = Host()
    try:
        stay_on(cpu)
        for line in sys.stdin:
            try:
                found = host.answer(json.loads(line))
            except Refused as error:
                found = {"error": str(error)}
            print(json.dumps(found), flush=True)
    except OSError as error:
        allowed = sorted(os.sched_getaffinity(0))
        print(json.dumps({"error": f"CPU {cpu}: {error.strerror}; a login there has {allowed}"}), flush=True)
    finally:
        for port in list(host.running):
            host.end(port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
