"""The lab's disk image in the user's cache: built once per set of inputs, shared by all checkouts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lab import preflight, recipe
from lab.errors import LabError
from lab.progress import Progress, run_logged, tail
from lab.state import locked

LAB_DIR = Path(__file__).resolve().parent
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/tickwire`, by default below ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "tickwire"


def image_path() -> Path:
    """Where the image of the present inputs is, or will be."""
    return cache_dir() / "images" / f"{recipe.image_key(LAB_DIR)}.qcow2"


def ensure_image(progress: Progress) -> tuple[Path, bool]:
    """The image's path, and whether it had to be built. LabError when it cannot be built; then nothing is left."""
    image = image_path()
    if image.exists():
        return image, False
    preflight.check_build(image.parent)
    prefix = preflight.root_prefix(os.geteuid(), sys.stdin.isatty())

    def busy(who: str) -> None:
        progress.beat(f"waiting for another build of the lab image ({who})")

    with locked(image.parent / "lab.lock", busy, wait=True):
        if image.exists():
            return image, False
        # The lock is ours: what an interrupted build left belongs to nobody.
        for stale in image.parent.glob("lab-build-*"):
            _remove(stale, prefix)
        _build(image, prefix, progress)
    return image, True


def _build(image: Path, prefix: list[str], progress: Progress) -> None:
    progress.say(f"building the lab image {image.name[:12]} (Debian {recipe.RELEASE}, about a minute)")
    work = image.parent / f"lab-build-{os.getpid()}"
    work.mkdir()
    log = work / "log"
    try:
        # -B: no byte code owned by root in the checkout.
        argv = [*prefix, *NAMESPACES, sys.executable, "-B", "-m", "lab.rootfs", str(work), recipe.default_mirror()]
        argv += [str(os.geteuid()), str(os.getegid())]
        _step(argv, log, progress, "building")
        progress.say("converting the disk to qcow2")
        raw, partial = work / "disk.raw", work / "image.qcow2"
        argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(partial)]
        _step(argv, log, progress, "converting")
        partial.chmod(0o444)
        partial.rename(image)
        progress.say(f"lab image ready: {image} ({image.stat().st_size / 1e6:.0f} MB)")
    finally:
        _remove(work, prefix)


def _step(argv: list[str], log: Path, progress: Progress, label: str) -> None:
    status = run_logged(argv, log, progress, label, cwd=LAB_DIR.parent)
    if status != 0:
        last = "\n".join(f"    {line}" for line in tail(log, 12))
        raise LabError(
            f"{label} the lab image failed (status {status}); last lines:\n{last}",
            f"mend that and run it again; the Debian mirror is {recipe.default_mirror()} (TICKWIRE_DEBIAN_MIRROR)",
        )


def _remove(work: Path, prefix: list[str]) -> None:
    """Remove a build directory, the files of root in it too; LabError when something is mounted in it."""
    if str(work) in Path("/proc/self/mountinfo").read_text():
        raise LabError(f"something is mounted below {work}", f"unmount it: findmnt | grep {work.name}")
    argv = [*prefix, "rm", "-rf", "--one-file-system", str(work)]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"cannot remove {work}: {done.stderr.strip()}", f"remove it as root: rm -rf {work}")
