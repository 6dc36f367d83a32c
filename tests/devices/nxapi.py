"""A Nexus 9000 behind NX-API, as far as the role needs one: the ``ins_api`` that cisco.nxos speaks over httpapi.

Its state is a configuration kept by hier_config. Like the real one it takes line after line and keeps those before a
line it refuses; checkpoints and rollback are the way back.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from hier_config import HConfig, HConfigChild, Platform

from tests.devices.nxapi_grammar import GRAMMAR, HIDDEN, children, complaint, value
from tests.devices.server import Dropped, serving
from tests.devices.state import Config, Position, Refused

USER, PASSWORD = "admin", "secret"
JSON_TYPE = {"Content-Type": "application/json"}
HEADER = "!Command: show running-config\n!Time: Sat Nov 21 19:00:00 2026\n\nversion 10.3(4a) Bios:version 07.69\n"


class CliError(Exception):
    """A command that the switch refuses."""


@dataclass
class Nexus:
    """``refuse``: a pattern of lines to refuse. ``drop_at``: the line at which the connection breaks, and stays broken
    until ``drop_at`` is None again, or with ``drop_once`` works again afterwards."""

    text: str = ""
    version: str = "10.3(4a)"
    refuse: str | None = None
    drop_at: str | None = None
    drop_once: bool = False
    sessions: list[dict[str, str]] = field(default_factory=list)
    pauses: dict[str, tuple[int, int]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    checkpoints: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config = Config(Platform.CISCO_NXOS)
        self.down = False
        self.enter(self.text.splitlines())
        self.startup = self.running()

    @contextmanager
    def serving(self) -> Iterator[int]:
        with serving(self) as port:
            yield port

    def running(self) -> str:
        """What ``show running-config`` has, without its header."""
        found: list[str] = []

        def walk(node: HConfig | HConfigChild, depth: int) -> None:
            for child in node.children:
                if child.text not in HIDDEN:
                    found.append("  " * depth + child.text)
                    walk(child, depth + 1)

        walk(self.config.tree, 0)
        return "".join(f"{line}\n" for line in found)

    def answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if self.down:
            raise Dropped
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("Authorization") != f"Basic {token}":
            return 401, JSON_TYPE, b"{}"
        if method != "POST" or path != "/ins":
            return 404, JSON_TYPE, b"{}"
        request = json.loads(body)["ins_api"]
        commands = [command.strip() for command in request["input"].split(" ;")]
        self.commands.extend(commands)
        if request["type"] == "cli_conf":
            outputs = self._configure(commands)
        else:
            outputs = self._show(commands, request["type"] == "cli_show")
        output = outputs[0] if len(outputs) == 1 else outputs
        answer = {"ins_api": {"type": request["type"], "version": "1.0", "sid": "eoc", "outputs": {"output": output}}}
        return 200, JSON_TYPE, json.dumps(answer).encode()

    def _configure(self, lines: list[str]) -> list[dict[str, object]]:
        taken, said = self.enter(lines)
        done = [_done(line, {}) for line in lines[:taken]]
        return [*done, _refusal(lines[taken], said)] if said else done

    def enter(self, lines: list[str]) -> tuple[int, str]:
        """Take lines from the top of the configuration; how many, and why not the next."""
        position, before = Position(GRAMMAR), self.config.copy()
        for number, line in enumerate(lines):
            if self.drop_at and re.search(self.drop_at, line):
                self.down, self.drop_at = not self.drop_once, None
                raise Dropped
            said = self._attached(position, line)
            if not said:
                try:
                    if self.refuse and re.search(self.refuse, line):
                        raise Refused(line)
                    self._follow(line)
                    self.config.enter(position, line)
                    said = complaint(self.config)
                except Refused:
                    said = "% Invalid command"
            if said:
                self.config, again = before, Position(GRAMMAR)
                for one in lines[:number]:
                    self.config.enter(again, one)
                return number, said
        return len(lines), ""

    def _follow(self, line: str) -> None:
        """Switching ports with the jumbo MTU keep it when it changes."""
        if not line.startswith("system jumbomtu "):
            return
        old = value(self.config.tree, "system jumbomtu ") or "9216"
        for port in self._ports():
            mtu = port.get_child(equals=f"mtu {old}")
            if mtu is not None:
                mtu.delete()
                port.add_child(f"mtu {line.split()[-1]}")

    def _attached(self, position: Position, line: str) -> str:
        """A port has one policy of a kind; the old one has to go before the new one comes."""
        if not line.startswith("service-policy type q") or not position.modes:
            return ""
        port = self.config.tree.get_child(equals=position.modes[-1][0])
        kind = line.rpartition(" ")[0]
        there = value(port, f"{kind} ") if port else ""
        return f"ERROR: {kind} is {there} already" if there not in ("", line.split()[-1]) else ""

    def _show(self, commands: list[str], as_json: bool) -> list[dict[str, object]]:
        outputs: list[dict[str, object]] = []
        for command in commands:
            try:
                outputs.append(_done(command, self.execute(command, as_json)))
            except CliError as error:
                outputs.append(_refusal(command, str(error)))
                break
        return outputs

    def execute(self, command: str, as_json: bool) -> str | dict[str, object]:
        """The answer to a command that configures nothing."""
        if as_json:
            return self._tables(command)
        texts = {
            "show version": f"Software\n  NXOS: version {self.version}\n  Device name: leaf1\n",
            "show inventory": 'NAME: "Chassis", DESCR: "Nexus9000 C93180YC-FX Chassis"\nPID: N9K-C93180YC-FX\n',
            "show running-config": HEADER + self.running(),
            "show startup-config": HEADER + self.startup,
            "show checkpoint summary": self._summary(),
            "terminal dont-ask": "",
        }
        if command in texts:
            return texts[command]
        if command == "copy running-config startup-config":
            self.startup = self.running()
            return "Copy complete."
        word, _, name = command.partition("checkpoint ")
        name = name.split()[0] if name else ""
        if word == "" and name:
            if name in self.checkpoints:
                raise CliError(f"ERROR: checkpoint {name} already exists")
            self.checkpoints[name] = self.running()
            return "..Done"
        if name not in self.checkpoints:
            raise CliError("% Invalid command")
        if word == "no ":
            del self.checkpoints[name]
            return ""
        if word == "rollback running-config ":
            self.config = Config(Platform.CISCO_NXOS, self.checkpoints[name])
            return "Rollback completed successfully."
        if word == "show diff rollback-patch ":
            patch = Config(Platform.CISCO_NXOS, self.checkpoints[name]).diff(self.config)
            return "Collecting Running-Config\n#Generating Rollback Patch\n" + (patch or "Rollback Patch is Empty")
        raise CliError("% Invalid command")

    def _summary(self) -> str:
        lines = ["User Checkpoint Summary", "-" * 80] if self.checkpoints else []
        for number, (name, text) in enumerate(self.checkpoints.items(), start=1):
            lines += [f"{number}) {name}:", "Created by admin", f"Size is {len(text):,} bytes", ""]
        return "\n".join(lines)

    def _tables(self, command: str) -> str | dict[str, object]:
        if command == "show version":
            return {"nxos_ver_str": self.version, "host_name": "leaf1"}
        if command == "show configuration session summary":
            return {"TABLE_session": {"ROW_session": _rows(self.sessions)}} if self.sessions else ""
        if command == "show interface priority-flow-control":
            return _module("pfc_interface", [self._pfc(port) for port in self._ports()])
        if command == "show queuing interface":
            return _module("queuing_interface", [self._queuing(port) for port in self._ports()])
        if command == "show queuing pfc-queue detail":
            start = "priority-flow-control watch-dog-interval on"
            rows: list[dict[str, object]] = [
                {"if_name_str": _name(port), "wd-status": "On" if children(port, start) else "Off"}
                for port in self._ports()
            ]
            # nothing at all while the watchdog is off
            return _module("queuing_interface", rows) if any(row["wd-status"] == "On" for row in rows) else ""
        raise CliError("% Invalid command")

    def _ports(self) -> list[HConfigChild]:
        return children(self.config.tree, "interface ")

    def _pfc(self, port: HConfigChild) -> dict[str, object]:
        words = [line.text.split()[2] for line in children(port, "priority-flow-control mode ")]
        mode = words[0] if words else "auto"
        system = self.config.tree.get_child(equals="system qos")
        policy = value(system, "service-policy type network-qos ") if system else ""
        classes = self.config.tree.get_child(equals=f"policy-map type network-qos {policy}")
        pauses = [value(one, "pause pfc-cos ") for one in classes.children] if classes else []
        bits = sum(1 << int(priority) for priority in pauses if priority)
        received, sent = self.pauses.get(_name(port), (0, 0))
        return {
            "if_name_str": _name(port),
            "admin": mode.capitalize(),
            "oper": f"On ({bits:x})" if mode == "on" else "Off",
            "rx-stats": str(received),
            "tx-stats": str(sent),
        }

    def _queuing(self, port: HConfigChild) -> dict[str, object]:
        policy = self.config.tree.get_child(
            equals=f"policy-map type queuing {value(port, 'service-policy type queuing output ')}"
        )
        rows = [
            {
                "qosgrp": queue.text[-1] if queue.text[-1].isdigit() else "0",
                "bandwidth": value(queue, "bandwidth remaining percent ") or "-",
                "priority": value(queue, "priority level ") or "-",
            }
            for queue in (policy.children if policy else [])
        ]
        table = {"TABLE_qosgrp_cfg": {"ROW_qosgrp_cfg": _rows(rows)}} if rows else {}
        return {"dir": "Egress", "if_name_str": _name(port), **table}


def _name(port: HConfigChild) -> str:
    return port.text.split()[-1]


def _rows(rows: list[dict[str, object]] | list[dict[str, str]]) -> object:
    """One row is a mapping, several are a list, as NX-OS has it."""
    return rows[0] if len(rows) == 1 else rows


def _module(name: str, rows: list[dict[str, object]]) -> dict[str, object]:
    table = {f"TABLE_{name}": {f"ROW_{name}": _rows(rows)}} if rows else {}
    return {"TABLE_module": {"ROW_module": {"mod_num": "1", **table}}}


def _done(command: str, body: str | dict[str, object]) -> dict[str, object]:
    return {"input": command, "msg": "Success", "code": "200", "body": body}


def _refusal(command: str, said: str) -> dict[str, object]:
    return {"input": command, "msg": "Input CLI command error", "code": "400", "clierror": said}
