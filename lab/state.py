"""The lab's directory `.lab/` in the checkout: what is running, the keys, and the lock that keeps two runs apart."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from lab.errors import LabError
from lab.identity import Keys

VERSION = 1


@dataclass
class VmState:
    """A started VM: its QEMU process and the loopback port of its ssh."""

    pid: int
    port: int


@dataclass
class LabState:
    """What `.lab/state.json` holds."""

    image: str
    accel: str
    run_dir: str
    vms: dict[str, VmState] = field(default_factory=dict)


@dataclass(frozen=True)
class LabDir:
    """Paths below `.lab/`."""

    root: Path

    @property
    def state_file(self) -> Path:
        """What is running."""
        return self.root / "state.json"

    @property
    def ssh_config(self) -> Path:
        """ssh client configuration with one entry per VM."""
        return self.root / "ssh_config"

    @property
    def lock_file(self) -> Path:
        """Held while the lab is changed; the only file left after `down`."""
        return self.root / "lock"

    def disk(self, vm: str) -> Path:
        """The VM's overlay."""
        return self.root / f"{vm}.qcow2"

    def console(self, vm: str) -> Path:
        """Everything the VM wrote to its serial console."""
        return self.root / f"{vm}.console.log"

    def pidfile(self, vm: str) -> Path:
        """Written by QEMU."""
        return self.root / f"{vm}.pid"

    def load(self) -> LabState | None:
        """The recorded state, or None when there is no lab."""
        try:
            data = json.loads(self.state_file.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise LabError(
                f"{self.state_file} cannot be read: {error}", "remove it, then run `python3 -m lab down`"
            ) from error
        if data.pop("version", None) != VERSION:
            raise LabError(
                f"{self.state_file} was written by another version of the lab",
                "run `python3 -m lab down` from that version, then remove the file",
            )
        vms = {name: VmState(**vm) for name, vm in data.pop("vms").items()}
        return LabState(vms=vms, **data)

    def save(self, state: LabState) -> None:
        """Record the state, atomically."""
        text = json.dumps({"version": VERSION, **asdict(state)}, indent=2) + "\n"
        partial = self.state_file.with_suffix(".new")
        partial.write_text(text)
        partial.replace(self.state_file)

    def clear(self) -> None:
        """Remove everything but the lock."""
        if self.root.is_dir():
            for path in self.root.iterdir():
                if path != self.lock_file:
                    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def keys(self) -> Keys:
        """The lab's ssh keys, made when there are none."""
        for name in ("id_ed25519", "host_ed25519"):
            path = self.root / name
            if not path.exists():
                argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tickwire-lab", "-f", str(path)]
                subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
        return Keys(
            user_public=(self.root / "id_ed25519.pub").read_text(),
            host_private=(self.root / "host_ed25519").read_text(),
            host_public=(self.root / "host_ed25519.pub").read_text(),
        )

    def write_ssh_config(self, state: LabState, keys: Keys) -> None:
        """Write ssh_config and known_hosts. The control sockets live in the short run directory, one set per lab."""
        known_hosts = self.root / "known_hosts"
        known_hosts.write_text(f"tickwire-lab {' '.join(keys.host_public.split()[:2])}\n")
        blocks = [
            f"Host {name}\n    HostName 127.0.0.1\n    Port {vm.port}\n" for name, vm in sorted(state.vms.items())
        ]
        common = [
            ("User", "root"),
            ("IdentityFile", f'"{self.root / "id_ed25519"}"'),
            ("IdentitiesOnly", "yes"),
            ("HostKeyAlias", "tickwire-lab"),
            ("UserKnownHostsFile", f'"{known_hosts}"'),
            ("StrictHostKeyChecking", "yes"),
            ("ControlMaster", "auto"),
            ("ControlPersist", "120"),
            ("ControlPath", f'"{state.run_dir}/cm-%n"'),
            ("PreferredAuthentications", "publickey"),
            ("ConnectTimeout", "15"),
            ("LogLevel", "ERROR"),
        ]
        blocks.append("Host *\n" + "".join(f"    {name} {value}\n" for name, value in common))
        self.ssh_config.write_text("# Written by `python3 -m lab up`.\n" + "\n".join(blocks))


def new_run_dir() -> Path:
    """A short private directory for unix sockets (their paths hold at most 107 bytes)."""
    base = tempfile.gettempdir()
    return Path(tempfile.mkdtemp(prefix="twlab-", dir=base if len(base) <= 40 else "/tmp"))


@contextmanager
def locked(path: Path, on_busy: Callable[[str], None], wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `path`, which then names this process.

    When another process holds it, `on_busy` gets "pid N (command)": once when not waiting (it should raise), else
    every second until the lock is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                on_busy(os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "another process")
                if not wait:
                    raise LabError(f"{path} is locked", "wait for the other run to end") from None
                time.sleep(1.0)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"pid {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
