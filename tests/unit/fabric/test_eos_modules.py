"""The two ways to an Arista switch give the same to what stands on them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.connection import ConnectionError

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.session import DeviceError
from ansible_collections.tickwire.fabric.plugins.modules import eos_session, eos_verify


class Terminal:
    """A network_cli connection as arista.eos makes it: one command after the other, JSON already read."""

    def __init__(self, refused: str = "") -> None:
        self.refused = refused
        self.asked: list[Any] = []

    def get_capabilities(self) -> str:
        return json.dumps({"network_api": "cliconf"})

    def run_commands(self, commands: list[Any], check_rc: bool = True) -> list[Any]:
        found: list[Any] = []
        for command in commands:
            self.asked.append(command)
            if command == self.refused and check_rc:
                raise ConnectionError(f"{command}\n% Invalid input")
            found.append({"sessions": {}} if isinstance(command, dict) else f"said {command}")
        return found


def test_a_terminal_gives_text_and_json() -> None:
    way = eos_session.Eos(Terminal())
    assert way.run(["show running-config", "end"]) == ["said show running-config", "said end"]
    assert way.read("show configuration sessions detail") == {"sessions": {}}
    assert eos_verify.read(Terminal())["show running-config"] == "said show running-config"


def test_a_terminal_leaves_the_mode_of_a_refused_line() -> None:
    terminal = Terminal(refused="mtu 1")
    with pytest.raises(DeviceError, match="mtu 1 % Invalid input"):
        eos_session.Eos(terminal).run(["configure session x", "mtu 1", "mtu 2"])
    assert terminal.asked == ["configure session x", "mtu 1", "end"]
