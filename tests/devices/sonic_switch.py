# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A SONiC switch for tests: a Redis of its own in a directory, and SONiC's programs in front of it."""

from __future__ import annotations

import json
import shlex
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import redis

from tests.devices.sonic_tools import APPL_DB, CONFIG_DB, COUNTERS_DB, STATE_DB, Config, SonicTools

# The programs run in the process of the tests: to start an interpreter with a Redis client takes longer than they do
CLIENT = """
import socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    server.sendall("\\0".join(sys.argv[2:]).encode())
    server.shutdown(socket.SHUT_WR)
    rc, out, err = server.makefile("rb").read().decode().split("\\0")
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(int(rc))
"""
DATABASES = {"APPL_DB": APPL_DB, "COUNTERS_DB": COUNTERS_DB, "CONFIG_DB": CONFIG_DB, "STATE_DB": STATE_DB}
SPECTRUM = {"asic_type": "mellanox", "gcu_asic": "spc2"}


def factory_config(ports: int = 4) -> Config:
    """What a switch has before us: its ports, and QoS and dynamic buffers as SONiC's own templates set them."""
    names = [f"Ethernet{number * 4}" for number in range(ports)]
    identity = {str(number): str(number) for number in range(8)}
    return {
        "DEVICE_METADATA": {"localhost": {"hwsku": "ACS-MSN3700", "buffer_model": "dynamic", "hostname": "leaf1"}},
        "PORT": {
            name: {"lanes": f"{at},{at + 1},{at + 2},{at + 3}", "speed": "100000", "mtu": "9100", "admin_status": "up"}
            for at, name in zip(range(0, 4 * ports, 4), names, strict=True)
        },
        "DSCP_TO_TC_MAP": {"AZURE": {str(dscp): "3" if dscp == 3 else "1" for dscp in range(64)}},
        "TC_TO_QUEUE_MAP": {"AZURE": identity},
        "TC_TO_PRIORITY_GROUP_MAP": {"AZURE": {**dict.fromkeys(identity, "0"), "3": "3", "4": "4"}},
        "MAP_PFC_PRIORITY_TO_QUEUE": {"AZURE": identity},
        "SCHEDULER": {"scheduler.0": {"type": "DWRR", "weight": "14"}, "scheduler.1": {"type": "DWRR", "weight": "15"}},
        "WRED_PROFILE": {
            "AZURE_LOSSLESS": {
                "ecn": "ecn_all",
                "green_min_threshold": "1048576",
                "green_max_threshold": "2097152",
                "green_drop_probability": "5",
            }
        },
        "QUEUE": {
            **{f"{name}|0": {"scheduler": "scheduler.0"} for name in names},
            **{f"{name}|3": {"scheduler": "scheduler.1", "wred_profile": "AZURE_LOSSLESS"} for name in names},
        },
        "PORT_QOS_MAP": {
            "global": {"dscp_to_tc_map": "AZURE"},
            **{
                name: {
                    "dscp_to_tc_map": "AZURE",
                    "tc_to_queue_map": "AZURE",
                    "tc_to_pg_map": "AZURE",
                    "pfc_to_queue_map": "AZURE",
                    "pfc_enable": "3,4",
                    "pfcwd_sw_enable": "3,4",
                }
                for name in names
            },
        },
        "BUFFER_POOL": {
            "ingress_lossless_pool": {"type": "ingress", "mode": "dynamic"},
            "egress_lossless_pool": {"type": "egress", "mode": "dynamic"},
        },
        "BUFFER_PROFILE": {"egress_lossless_profile": {"pool": "egress_lossless_pool", "size": "0", "dynamic_th": "7"}},
        "BUFFER_PG": {f"{name}|3-4": {"profile": "NULL"} for name in names},
        "BUFFER_QUEUE": {f"{name}|3-4": {"profile": "egress_lossless_profile"} for name in names},
        "CABLE_LENGTH": {"AZURE": dict.fromkeys(names, "300m")},
        "LOSSLESS_TRAFFIC_PATTERN": {"AZURE": {"mtu": "1024", "small_packet_percentage": "50"}},
        "DEFAULT_LOSSLESS_BUFFER_PARAMETER": {"AZURE": {"default_dynamic_th": "0"}},
        "PFC_WD": {"GLOBAL": {"POLL_INTERVAL": "200"}},
        "FLEX_COUNTER_TABLE": {"PORT": {"FLEX_COUNTER_STATUS": "enable"}},
        "NTP_SERVER": {"192.0.2.1": {}},
    }


class _Programs(socketserver.ThreadingUnixStreamServer):
    """Runs the programs of the switch whose directory is ``root``, a call for each connection."""

    def __init__(self, root: Path) -> None:
        self.root = root
        super().__init__(str(root / "tools.sock"), _Call)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class _Call(socketserver.StreamRequestHandler):
    server: _Programs

    def handle(self) -> None:
        rc, out, err = SonicTools(self.server.root).run(self.rfile.read().decode().split("\0"))
        self.wfile.write(f"{rc}\0{out}\0{err}".encode())


class SonicSwitch:
    """Use it with ``with``: Redis stops at the end. ``run`` is what ``commands.Switch`` takes."""

    def __init__(self, root: Path, facts: dict[str, str] | None = None, config: Config | None = None) -> None:
        self.root = root
        (root / "etc/sonic/checkpoints").mkdir(parents=True)
        (root / "facts.json").write_text(json.dumps(facts or SPECTRUM))
        self.faults()
        self._socket = root / "redis.sock"
        argv = ["redis-server", "--port", "0", "--unixsocket", str(self._socket), "--save", "", "--dir", str(root)]
        self._server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self._wait()
        self._programs = _Programs(root)
        self._write_programs()
        self.reset(config or factory_config())

    def reset(self, config: Config) -> None:
        """Run this configuration, save it, and forget everything else."""
        self.database("CONFIG_DB").flushall()
        self.faults()
        self.facts(**SPECTRUM)
        for path in [self.root / "log", self.root / "reloads", *self.root.glob("etc/sonic/checkpoints/*")]:
            path.unlink(missing_ok=True)
        self.tools.load(config)
        self.save()

    def save(self) -> None:
        """As ``config save``."""
        (self.root / "etc/sonic/config_db.json").write_text(json.dumps(self.running()))

    def __enter__(self) -> SonicSwitch:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._programs.shutdown()
        self._programs.server_close()
        self._server.terminate()
        self._server.wait(10)

    def _wait(self) -> None:
        for _attempt in range(200):
            try:
                self.database("CONFIG_DB").ping()
                return
            except redis.ConnectionError:
                time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def _write_programs(self) -> None:
        programs = self.root / "bin"
        programs.mkdir()
        (self.root / "client.py").write_text(CLIENT)
        python = f"exec {shlex.quote(sys.executable)} -I -S {shlex.quote(str(self.root / 'client.py'))}"
        for name in ("config", "sonic-cfggen"):
            text = f'#!/bin/sh\n{python} {shlex.quote(str(self.root / "tools.sock"))} {name} "$@"\n'
            (programs / name).write_text(text)
        numbers = " ".join(f"{name}) number={number} ;;" for name, number in DATABASES.items())
        text = f'#!/bin/sh\ncase "$1" in {numbers} esac\nshift\n'
        text += f'exec redis-cli -s {shlex.quote(str(self._socket))} -n "$number" "$@"\n'
        (programs / "sonic-db-cli").write_text(text)
        for program in programs.iterdir():
            program.chmod(0o755)

    @property
    def programs(self) -> Path:
        """The directory for PATH."""
        return self.root / "bin"

    @property
    def tools(self) -> SonicTools:
        """The programs, in this process."""
        return SonicTools(self.root)

    def faults(self, **faults: Any) -> None:
        """What goes wrong from now on; nothing without arguments."""
        (self.root / "faults.json").write_text(json.dumps(faults))

    def facts(self, **facts: str) -> None:
        """What the switch is."""
        (self.root / "facts.json").write_text(json.dumps(facts))

    def database(self, name: str) -> Any:
        """A connection to one of SONiC's databases."""
        return redis.Redis(unix_socket_path=str(self._socket), db=DATABASES[name], decode_responses=True)

    def running(self) -> Config:
        """CONFIG_DB."""
        return self.tools.running()

    def saved(self) -> Config:
        """/etc/sonic/config_db.json."""
        return json.loads((self.root / "etc/sonic/config_db.json").read_text())

    @property
    def reloads(self) -> int:
        """How often the services were started again."""
        path = self.root / "reloads"
        return len(path.read_text().splitlines()) if path.exists() else 0

    @property
    def log(self) -> list[str]:
        """Every command so far."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []

    def run(self, argv: Sequence[str]) -> tuple[int, str, str]:
        """A command on this switch, in this process but for the database client."""
        if argv[0] == "sonic-db-cli":
            done = subprocess.run([str(self.programs / argv[0]), *argv[1:]], capture_output=True, text=True, timeout=10)
            return done.returncode, done.stdout, done.stderr
        return self.tools.run(list(argv))
