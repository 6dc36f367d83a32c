# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs mstconfig, mstflint and mstfwreset of Debian's and Red Hat's package mstflint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import HostError
from ..system import System
from .query import (
    Configuration,
    Firmware,
    errors,
    parse_firmware,
    parse_json,
    parse_reset_levels,
    parse_text,
)

MSTCONFIG = "/usr/bin/mstconfig"
MSTFLINT = "/usr/bin/mstflint"
MSTFWRESET = "/usr/bin/mstfwreset"
#: Restarts the driver and the PCI link: what settings and images need. Level 0 loads neither, level 4 is a reboot.
RESET_LEVEL = 3


@dataclass(frozen=True)
class Tools:
    """The tools on one host. HostError names the tool, the card and what the tool said."""

    system: System

    def check(self) -> None:
        """HostError when mstflint is not installed."""
        for tool in (MSTCONFIG, MSTFLINT):
            if not self.system.path(tool).exists():
                raise HostError("program", tool, "it is not on this host", "install the package mstflint")

    def configuration(self, function: str, elements: Sequence[str] = ()) -> Configuration:
        """Parameters of a card with default, current and next boot; of ``elements``, as NAME[3], too."""
        found = self._query(function, ())
        if elements:
            found.parameters.update(self._query(function, elements).parameters)
        return found

    def _query(self, function: str, names: Sequence[str]) -> Configuration:
        # A file in memory: nothing is written to the host's disks for a question.
        handle = os.memfd_create("mstconfig")
        try:
            target = f"/proc/{os.getpid()}/fd/{handle}"
            status, out, err = self.system.run([MSTCONFIG, "-d", function, "-e", "-j", target, "query", *names])
            said = errors(out + err)
            if "invalid argument: -j" in said.split("; "):
                status, out, err = self.system.run([MSTCONFIG, "-d", function, "-e", "query", *names])
                found = parse_text(out)
            else:
                found = self._read_json(handle, function)
        finally:
            os.close(handle)
        # A card may refuse a few of its parameters and give the others: those that are wanted are then told by name.
        if not found.parameters:
            said = errors(out + err) or f"exit status {status} and no parameter"
            raise HostError("mstconfig query", function, said, "is it a physical port, and does its driver run?")
        return found

    def _read_json(self, handle: int, function: str) -> Configuration:
        os.lseek(handle, 0, os.SEEK_SET)
        with os.fdopen(os.dup(handle), encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        try:
            return parse_json(text) if text.strip() not in ("", "{}") else Configuration()
        except ValueError as error:
            raise HostError(
                "mstconfig -j query", function, f"its JSON cannot be read ({error})", "report it"
            ) from error

    def set(self, function: str, settings: Mapping[str, str]) -> str:
        """Set parameters of the next boot, all in one call; what the tool says of loading them."""
        words = [f"{name}={text}" for name, text in sorted(settings.items())]
        status, out, err = self.system.run([MSTCONFIG, "-d", function, "-y", "set", *words])
        if status != 0:
            said = errors(out + err) or f"exit status {status}"
            raise HostError(f"mstconfig -d {function} set", " ".join(words), said, "correct the setting")
        return out

    def firmware(self, function: str) -> Firmware:
        """Versions on the card's flash and running, and its PSID."""
        return self._firmware(["-d", function, "--qq", "query"], function)

    def image(self, path: str) -> Firmware:
        """Version and PSID of an image file."""
        return self._firmware(["-i", path, "query"], path)

    def _firmware(self, arguments: list[str], what: str) -> Firmware:
        status, out, err = self.system.run([MSTFLINT, *arguments])
        found = parse_firmware(out) if status == 0 else None
        if found is None:
            said = errors(out + err) or f"exit status {status} and neither version nor PSID"
            raise HostError("mstflint query", what, said, "is it a physical port, or an image for this card?")
        return found

    def burn(self, function: str, path: str) -> None:
        """Write the image to the card's flash; it runs when it is loaded."""
        status, out, err = self.system.run([MSTFLINT, "-d", function, "-i", path, "-y", "burn"])
        if status != 0:
            said = errors(out + err) or f"exit status {status}"
            raise HostError(f"mstflint -d {function} burn", path, said, "the card keeps what it runs; burn it again")

    def can_reset(self, function: str) -> bool:
        """Whether the firmware of this card can be loaded without a reboot."""
        if not self.system.path(MSTFWRESET).exists():
            return False
        status, out, dummy = self.system.run([MSTFWRESET, "-d", function, "query"])
        return status == 0 and RESET_LEVEL in parse_reset_levels(out)

    def reset(self, function: str) -> None:
        """Load the firmware: the driver restarts and all links of the card go down."""
        argv = [MSTFWRESET, "-d", function, "-l", str(RESET_LEVEL), "-y", "reset"]
        status, out, err = self.system.run(argv)
        if status != 0:
            said = errors(out + err) or f"exit status {status}"
            raise HostError("mstfwreset", function, said, "reboot the host; is the card back at all (lspci)?")
