"""Bring the lab up, take it down, say how it is. Everything it starts is recorded first and undone on failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lab import accel, image, ports, preflight, qemu, vm
from lab.errors import LabError
from lab.identity import Keys
from lab.progress import Progress, last_words, tail
from lab.state import LabDir, LabState, VmState, locked, new_run_dir
from lab.topology import LAB, Topology

BOOT_LIMIT_VARIABLE = "TICKWIRE_LAB_BOOT_TIMEOUT_S"
BOOT_LIMIT_S = {"kvm": 90.0, "tcg": 300.0}
START_TRIES = 3


@dataclass
class UpResult:
    """What `up` did: seconds per stage, and whether anything changed."""

    changed: bool
    state: LabState
    stages: dict[str, float] = field(default_factory=dict)


class Supervisor:
    """The lab of one checkout."""

    def __init__(self, root: Path, progress: Progress, topology: Topology = LAB) -> None:
        self.dir = LabDir(root)
        self.progress = progress
        self.topology = topology

    def up(self) -> UpResult:
        """Make every VM of the topology run and answer ssh; VMs which do are left alone."""
        with self._exclusive("up"):
            preflight.check_tools(preflight.RUN_TOOLS, "run the lab")
            disk_image, built = image.ensure_image(self.progress)
            image_s = self.progress.elapsed_s()
            state = self.dir.load()
            if state is not None and (state.image != str(disk_image) or set(state.vms) - set(self._names())):
                self.progress.say("the running lab is from other inputs (image or topology): replacing it")
                self._remove()
                state = None
            if state is not None and not self._missing(state) and all(vm.answers(s.port) for s in state.vms.values()):
                self.progress.say(f"lab is up ({state.accel}): nothing to do")
                return UpResult(built, state, {"image_s": image_s, "boot_s": 0.0})
            self._check_strays(state)
            preflight.check_run(self.topology, self.dir.root)
            if state is None:
                state = LabState(str(disk_image), accel.choose(disk_image, image.cache_dir(), self.progress), "")
            changed = built or bool(self._missing(state))
            start_s = self.progress.elapsed_s()
            self._boot(state)
            return UpResult(changed, state, {"image_s": image_s, "boot_s": self.progress.elapsed_s() - start_s})

    def down(self) -> bool:
        """Stop every VM and remove all files of the lab; whether there was anything."""
        with self._exclusive("down"):
            there = self.dir.state_file.exists() or bool(vm.strays(self.dir.root))
            self._remove()
            return there

    def status(self) -> list[tuple[str, int | None, int | None, str]]:
        """Per VM: name, pid, port (None when it does not run), and `answers`, `no answer` or `down`."""
        state = self.dir.load()
        rows: list[tuple[str, int | None, int | None, str]] = []
        for name in self._names():
            known = state.vms.get(name) if state is not None else None
            if known is None or not vm.is_ours(known.pid, self.dir.pidfile(name)):
                rows.append((name, None, None, "down"))
            else:
                rows.append((name, known.pid, known.port, "answers" if vm.answers(known.port) else "no answer"))
        return rows

    def _names(self) -> list[str]:
        return [machine.name for machine in self.topology.vms]

    @contextmanager
    def _exclusive(self, what: str) -> Iterator[None]:
        def busy(who: str) -> None:
            raise LabError(
                f"another `python3 -m lab` is changing the lab of this checkout ({who})",
                f"wait until it ends, then run `python3 -m lab {what}` again",
            )

        with locked(self.dir.lock_file, busy):
            yield

    def _missing(self, state: LabState) -> list[str]:
        return [
            name
            for name in self._names()
            if name not in state.vms or not vm.is_ours(state.vms[name].pid, self.dir.pidfile(name))
        ]

    def _check_strays(self, state: LabState | None) -> None:
        """End QEMU processes of this checkout that no state names (their `up` was killed)."""
        known = {machine.pid for machine in state.vms.values()} if state is not None else set()
        for pid in vm.strays(self.dir.root):
            if pid not in known:
                self.progress.say(f"ending a VM left by an interrupted run (pid {pid})")
                self._stop_stray(pid)

    def _boot(self, state: LabState) -> None:
        """Start the VMs that do not run and wait for all; on failure stop what this call started."""
        fresh = not state.run_dir
        missing = self._missing(state)
        try:
            if fresh or not Path(state.run_dir).is_dir():
                state.run_dir = str(new_run_dir())
            keys = self.dir.keys()
            for name, port in self._ports(state, missing).items():
                state.vms[name] = VmState(0, port)
            for name in missing:
                self._start(state, name, keys)
            self.dir.write_ssh_config(state, keys)
            self._wait(state)
        except BaseException:
            if missing:
                self.progress.say("undoing: stopping what was started")
            if fresh:
                self._remove(state)
            else:
                for name in missing:
                    self._stop(state, name)
            raise

    def _ports(self, state: LabState, missing: list[str]) -> dict[str, int]:
        """Ports of the VMs to start; one that ran before keeps its port when it still is free."""
        chosen = ports.choose(self._names())
        if ports.pinned_base() is None:
            for name in missing:
                if name in state.vms and ports.is_free(state.vms[name].port):
                    chosen[name] = state.vms[name].port
        return {name: chosen[name] for name in missing}

    def _start(self, state: LabState, name: str, keys: Keys) -> None:
        disk = self.dir.disk(name)
        if not disk.exists():
            argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", state.image, str(disk)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise LabError(
                    f"cannot make the disk of {name}: {done.stderr.strip()}",
                    f"is the image bad? remove {image.image_path()}; `python3 -m lab up` then makes it again",
                )
        self.dir.console(name).unlink(missing_ok=True)
        run_dir = Path(state.run_dir)
        places = qemu.Places(run_dir, disk, self.dir.console(name), self.dir.pidfile(name))
        machine = self.topology.vm(name)
        for attempt in range(START_TRIES):
            port = state.vms[name].port
            argv = qemu.vm_arguments(self.topology, machine, places, state.accel, port, keys)
            try:
                state.vms[name].pid = vm.start(name, argv, self.dir.pidfile(name))
                break
            except vm.PortTaken:
                if ports.pinned_base() is not None or attempt == START_TRIES - 1:
                    raise
                state.vms[name].port = ports.choose([name])[name]
        self.dir.save(state)
        self.progress.say(
            f"started {name}: {machine.vcpus} CPU, {machine.memory_mb} MB, {state.accel}, "
            f"ssh on 127.0.0.1:{state.vms[name].port}"
        )

    def _wait(self, state: LabState) -> None:
        limit_s = boot_limit_s(state.accel)
        start_s = time.monotonic()
        waiting = {name: state.vms[name] for name in self._names()}
        said = ""
        while waiting:
            for name, machine in list(waiting.items()):
                if vm.answers(machine.port):
                    ok, said = vm.is_booted(self.dir.ssh_config, name)
                    if ok:
                        del waiting[name]
                        self.progress.say(f"{name} answers ssh")
                        continue
                if not vm.is_ours(machine.pid, self.dir.pidfile(name)):
                    raise self._no_boot(name, "its QEMU process ended", said)
                last = tail(self.dir.console(name), 1)
                self.progress.beat(f"booting {', '.join(waiting)}; {name}: {last[0][:90] if last else '...'}")
            if waiting and time.monotonic() - start_s > limit_s:
                name = next(iter(waiting))
                raise self._no_boot(name, f"no ssh within {limit_s:.0f} s ({BOOT_LIMIT_VARIABLE})", said)
            if waiting:
                time.sleep(0.5)

    def _no_boot(self, name: str, why: str, said: str) -> LabError:
        last = last_words(self.dir.console(name), 10) or ["(the console is empty)"]
        lines = "\n".join(f"    {line[:160]}" for line in last)
        heard = f"; ssh said: {said}" if said else ""
        return LabError(
            f"{name} does not boot: {why}{heard}; from its console:\n{lines}",
            f"fresh disks: `python3 -m lab down`, then up; is the machine overloaded? raise {BOOT_LIMIT_VARIABLE}; "
            f"is the image bad? remove {image.image_path()}",
        )

    def _stop(self, state: LabState, name: str) -> None:
        known = state.vms.get(name)
        if known is not None and known.pid:
            vm.stop(known.pid, self.dir.pidfile(name), Path(state.run_dir) / f"{name}.qmp")

    def _stop_stray(self, pid: int) -> None:
        for name in self._names():
            vm.stop(pid, self.dir.pidfile(name), Path("/nonexistent"))

    def _remove(self, state: LabState | None = None) -> None:
        """Stop all VMs of this checkout and remove every file of the lab but the lock."""
        state = state or self.dir.load()
        if state is not None:
            if state.run_dir:
                self._close_masters(state)
            for name in state.vms:
                self._stop(state, name)
                self.progress.say(f"stopped {name}")
        for pid in vm.strays(self.dir.root):
            self._stop_stray(pid)
        if state is not None and state.run_dir:
            shutil.rmtree(state.run_dir, ignore_errors=True)
        self.dir.clear()

    def _close_masters(self, state: LabState) -> None:
        """End the ssh connections that are kept open between tasks."""
        for name in state.vms:
            if (Path(state.run_dir) / f"cm-{name}").exists():
                argv = ["ssh", "-F", str(self.dir.ssh_config), "-O", "exit", name]
                subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=15, check=False)


def boot_limit_s(accel_name: str) -> float:
    """Seconds a VM may take until ssh answers; LabError when the variable that sets it is no number."""
    text = os.environ.get(BOOT_LIMIT_VARIABLE, "")
    if not text:
        return BOOT_LIMIT_S[accel_name]
    try:
        limit_s = float(text)
    except ValueError:
        limit_s = 0.0
    if limit_s <= 0:
        raise LabError(
            f"{BOOT_LIMIT_VARIABLE}={text!r} is not a number of seconds above 0",
            f"correct or unset {BOOT_LIMIT_VARIABLE}",
        )
    return limit_s
