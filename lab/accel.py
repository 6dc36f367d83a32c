"""KVM or software emulation: decided by a trial boot of the image, since /dev/kvm may exist and not work (nesting)."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from lab import qemu
from lab.errors import LabError
from lab.progress import Progress, tail

VARIABLE = "TICKWIRE_LAB_ACCEL"
KVM_DEVICE = Path("/dev/kvm")
# A good KVM has the image's first user space message within five seconds.
TRIAL_LIMIT_S = 25.0
# A kernel which runs at all says something on the console well before that.
SILENT_LIMIT_S = 12.0
BOOTED = "Welcome to"
KERNEL_TALKS = ("Loading, please wait", "[    ", BOOTED)


def choose(image: Path, cache: Path, progress: Progress) -> str:
    """`kvm` or `tcg` for this image on this host; a trial's result is kept per image, host kernel and boot CPU."""
    forced = os.environ.get(VARIABLE, "")
    if forced:
        if forced not in ("kvm", "tcg"):
            raise LabError(f"{VARIABLE}={forced!r} is neither kvm nor tcg", f"correct or unset {VARIABLE}")
        return forced
    if not KVM_DEVICE.exists():
        progress.say("no /dev/kvm here: software emulation (slower, same results)")
        return "tcg"
    if not os.access(KVM_DEVICE, os.R_OK | os.W_OK):
        progress.say("/dev/kvm may not be used by this user (group kvm gives it): software emulation")
        return "tcg"
    record = cache / "kvm" / f"{image.stem[:16]}-{platform.release()}.json"
    known = _read(record)
    if known is None:
        progress.say(f"trial boot under KVM (at most {TRIAL_LIMIT_S:.0f} s, once per image and host kernel)")
        known, reason = trial(image, progress)
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"works": known, "reason": reason}) + "\n")
        partial.replace(record)
        progress.say(f"KVM {'works' if known else f'does not boot the image ({reason}): software emulation'}")
    return "kvm" if known else "tcg"


def trial(image: Path, progress: Progress) -> tuple[bool, str]:
    """Boot `image` under KVM without writing to it; whether it reached user space, and why not."""
    work = Path(tempfile.mkdtemp(prefix="twlab-kvm-"))
    console = work / "console.log"
    argv = qemu.machine_arguments("kvm", 1, 512, console) + qemu.disk_arguments(image, snapshot=True)
    try:
        with (work / "qemu.log").open("wb") as log:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            return _watch(process, console, work / "qemu.log", progress)
        finally:
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(work)


def _watch(process: subprocess.Popen[bytes], console: Path, log: Path, progress: Progress) -> tuple[bool, str]:
    start_s = time.monotonic()
    while True:
        elapsed_s = time.monotonic() - start_s
        text = "\n".join(tail(console, 500))
        if BOOTED in text:
            return True, ""
        if process.poll() is not None:
            said = tail(log, 1)
            return False, f"QEMU ended: {said[0] if said else process.returncode}"
        if elapsed_s > SILENT_LIMIT_S and not any(word in text for word in KERNEL_TALKS):
            return False, f"no word from the kernel in {SILENT_LIMIT_S:.0f} s"
        if elapsed_s > TRIAL_LIMIT_S:
            return False, f"no user space in {TRIAL_LIMIT_S:.0f} s"
        progress.beat("trial boot under KVM is still running")
        time.sleep(0.25)


def _read(record: Path) -> bool | None:
    try:
        return bool(json.loads(record.read_text())["works"])
    except (OSError, ValueError, KeyError):
        return None
