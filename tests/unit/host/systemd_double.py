"""systemctl on a file tree: enables by symbolic links that lead somewhere in it, and remembers what is active."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import units

UNITS = "etc/systemd/system"


class Systemctl:
    """``run`` for a System; ``calls`` are those that change something. ``fails`` makes one of them fail."""

    def __init__(self, root: Path, devices: tuple[str, ...] = ()) -> None:
        self.root = root
        self.calls: list[str] = []
        self.fails = ""
        self.later: list[str] = []
        self.active = {f"sys-subsystem-net-devices-{name}.device" for name in devices}
        (root / "run/systemd/system").mkdir(parents=True)

    def _link(self, unit: str) -> Path:
        if unit.endswith(".timer"):
            return self.root / UNITS / "timers.target.wants" / unit
        device = unit.split("@")[1].replace(".service", ".device")
        return self.root / UNITS / f"sys-subsystem-net-devices-{device}.wants" / unit

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] == "systemd-run":
            return self._start_later(argv[1:])
        assert argv[0] == "systemctl"
        verb, names = argv[1], [word for word in argv[2:] if not word.startswith("--")]
        if verb == "show":
            states = ["active" if name in self.active else "inactive" for name in names]
            return 0, "\n".join(f"ActiveState={state}\n" for state in states), ""
        if verb == "stop" and names[0] in self._transient() - self.active:
            return 5, "", f"Failed to stop {names[0]}: Unit {names[0]} not loaded.\n"
        self.calls.append(" ".join([verb, *names]))
        if verb == self.fails:
            return 1, "", f"Failed to {verb}: it is refused\nmore\n"
        for name in names:
            link = self._link(name)
            if verb == "enable":
                link.parent.mkdir(parents=True, exist_ok=True)
                template = name if name.endswith(".timer") else "tickwire-nic@.service"
                assert (self.root / UNITS / template).is_file(), "only what is there can be enabled"
                link.symlink_to(f"../{template}")
            if verb == "disable":
                link.unlink()
                link.parent.rmdir()
            if verb == "restart":
                self.active.add(name)
            if verb == "stop" or (verb == "disable" and "--now" in argv):
                self.active.discard(name)
        return 0, "", ""

    def _transient(self) -> set[str]:
        return {units.HOLD}

    def _start_later(self, words: list[str]) -> tuple[int, str, str]:
        options = dict(word.lstrip("-").partition("=")[::2] for word in words if word.startswith("--"))
        timer = options["unit"] + ".timer"
        assert {timer} == self._transient() and int(options["on-active"].rstrip("s")) > 0 and "collect" in options
        if timer in self.active:
            return 1, "", f"Failed to start transient timer unit: Unit {timer} was already loaded.\n"
        self.calls.append(f"systemd-run {timer}")
        if self.fails == "systemd-run":
            return 1, "", "Failed to start transient timer unit: it is refused\n"
        self.active.add(timer)
        self.later = [word for word in words if word.endswith(".service")]
        assert words[-len(self.later) - 3 : -len(self.later)] == ["systemctl", "start", "--no-block"]
        return 0, "", ""

    def time_passes(self) -> None:
        """The timer of a hold, where there is one, starts what it was told to."""
        for timer in self._transient() & self.active:
            self.active.discard(timer)
            self.active.update(self.later)

    def only_reads(self, argv: list[str]) -> tuple[int, str, str]:
        assert argv[1] == "show", f"{argv} was run where nothing may be changed"
        return self.run(argv)
