# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How often the host is looked at, and where the metrics go: the value of ``drift_timer``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import HostError
from . import textfile

_INTERVAL = re.compile(r"(?:\d+ ?(?:s|sec|min|h|d) ?)+")
_DIRECTORY = re.compile(r"(?:/[A-Za-z0-9][A-Za-z0-9._-]*)+")


@dataclass(frozen=True)
class Timer:
    """``interval`` is a time span of systemd; ``directory`` that of node_exporter's textfile collector, or empty."""

    enabled: bool = True
    interval: str = "15min"
    directory: str = ""

    @property
    def textfile(self) -> str:
        """The file of the metrics, or empty."""
        return f"{self.directory}/{textfile.NAME}" if self.enabled and self.directory else ""


def parse(value: object) -> Timer:
    """The timer of a mapping, with what is missing by default; HostError when something is wrong in it."""
    given = value if isinstance(value, dict) else {}
    enabled = str(given.get("enabled", True)).lower() in ("true", "yes", "1")
    interval = str(given.get("interval") or Timer.interval).strip()
    directory = str(given.get("textfile_directory") or "").rstrip("/")
    if not _INTERVAL.fullmatch(interval):
        raise HostError("drift_timer interval", interval, "this is no time span", "write it as 15min or 1h 30min")
    if directory and not _DIRECTORY.fullmatch(directory):
        rule = "this is no absolute path of letters, digits, '.', '_' and '-'"
        raise HostError("drift_timer textfile_directory", directory, rule, "name the directory of the collector")
    return Timer(enabled, interval, directory)
