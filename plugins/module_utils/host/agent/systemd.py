# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the agent asks of systemd."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import HostError
from ..system import System
from . import units


class Systemd:
    """systemctl on one host. ``runs`` is False where systemd does not run it, such as while an image is made."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.runs = system.path("run/systemd/system").is_dir()

    def call(self, *words: str) -> str:
        """Run systemctl; HostError with its own words when it fails."""
        return self._checked("systemctl", *words)

    def start_later(self, timer: str, delay_s: int, names: Sequence[str]) -> None:
        """Have these units started after so many seconds, by a timer that a boot forgets; an earlier one is replaced.

        HostError when systemd does not take it.
        """
        self.forget(timer)
        unit = timer[: -len(".timer")]
        # With --collect nothing of it stays, whatever becomes of the start.
        order = ["--quiet", "--collect", f"--unit={unit}", f"--on-active={delay_s}s"]
        self._checked("systemd-run", *order, "systemctl", "start", "--no-block", *names)

    def forget(self, timer: str) -> None:
        """Take such a timer away; systemd refuses where it is gone already, which is as good."""
        self._system.run(["systemctl", "stop", timer])

    def _checked(self, *argv: str) -> str:
        rc, out, err = self._system.run(list(argv))
        if rc != 0:
            lines = (err.strip() or out.strip()).splitlines() or [f"exit status {rc}"]
            raise HostError(" ".join(argv[:2]), " ".join(argv[2:]), lines[0], "see 'journalctl -xe'")
        return out

    def active(self, names: Sequence[str]) -> set[str]:
        """Those of the units that are active or about to be; none where systemd does not run."""
        if not self.runs or not names:
            return set()
        blocks = self.call("show", "--property=ActiveState", "--", *names).strip().split("\n\n")
        good = ("ActiveState=active", "ActiveState=activating", "ActiveState=reloading")
        return {name for name, block in zip(names, blocks) if block.strip() in good}

    def enabled_instances(self) -> set[str]:
        """The units of NICs that start with their NIC."""
        pattern = f"*.device.wants/{units.NIC.replace('@', '@*')}"
        return {path.name for path in self._system.path(units.DIRECTORY).glob(pattern)}

    def enabled(self, unit: str) -> bool:
        """Whether the unit is started by its NIC or by the boot."""
        if unit == units.TIMER:
            return self._system.path(f"{units.DIRECTORY}/timers.target.wants/{unit}").is_symlink()
        return unit in self.enabled_instances()
