"""Sets up a checkout on Debian 12 or 13: system packages, `.venv` with pinned packages, the collection's path.

`scripts/bootstrap site` gives what `make site` needs, `scripts/bootstrap test` what `make test` needs as well. Standard
library only: it runs before anything is installed. What is there already is left alone, so a second run takes no time.

A virtual environment counts as complete when it carries a stamp with the hash of its requirements. The stamp is written
last and taken away before anything is changed, so an interrupted run never leaves an environment that looks complete.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
SYSTEM_PYTHON = Path("/usr/bin/python3")
SUPPORTED = {"12": "Debian 12 (bookworm)", "13": "Debian 13 (trixie)"}
KINDS = ("site", "test")
# Room for what is downloaded and unpacked here; the lab checks the room for its image and disks itself.
VENV_GB = {"site": 1.0, "test": 3.0}
APT_GB = {"site": 1.5, "test": 2.0}


class BootstrapError(Exception):
    """A machine on which the set-up cannot go on, with the next step for its user."""

    def __init__(self, problem: str, next_step: str) -> None:
        super().__init__(f"{problem}\n  Next: {next_step}")


class Machine:
    """The machine as far as the checks look at it; tests give one of their own."""

    def __init__(self, os_release: Path = Path("/etc/os-release")) -> None:
        self.os_release = os_release

    def release(self) -> dict[str, str]:
        """The key-value pairs of os-release, without quotes; empty when there is no such file."""
        try:
            lines = self.os_release.read_text(encoding="utf-8").splitlines()
        except OSError:
            return {}
        pairs = (line.partition("=") for line in lines if "=" in line)
        return {key.strip(): value.strip().strip('"') for key, _, value in pairs}

    def architecture(self) -> str:
        """The machine's architecture in the kernel's words."""
        return platform.machine()

    def user_id(self) -> int:
        """The effective user id."""
        return os.geteuid()

    def has_command(self, name: str) -> bool:
        """True when a command is on the PATH."""
        return shutil.which(name) is not None

    def free_gb(self, path: Path) -> float:
        """Free space in GB (10^9 bytes) on the file system that holds the path."""
        return shutil.disk_usage(path).free / 1e9

    def missing_packages(self, names: list[str]) -> list[str]:
        """Those of the Debian packages that are not installed."""
        query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *names]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        installed = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
        return [name for name in names if name not in installed]

    def run(self, argv: list[str]) -> int:
        """Runs a command with its output shown; returns its exit code.

        Ctrl-C reaches the command as well. Its end is waited for: apt-get killed in the middle leaves dpkg broken.
        """
        interrupts: list[int] = []
        previous = signal.signal(signal.SIGINT, lambda signum, _frame: interrupts.append(signum))
        try:
            code = subprocess.run(argv, check=False).returncode
        finally:
            signal.signal(signal.SIGINT, previous)
        if interrupts:
            raise KeyboardInterrupt
        return code


def say(text: str) -> None:
    """Prints a line at once, also into a pipe."""
    print(f"bootstrap: {text}", flush=True)


def package_list(path: Path) -> list[str]:
    """The names in a list with one name a line and comments after '#'."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def parts_of(kind: str) -> list[str]:
    """The lists that make up a kind: test has everything site has."""
    return ["site"] if kind == "site" else ["site", "test"]


def check_system(machine: Machine) -> None:
    """Refuses anything but Debian 12 or 13 on x86_64."""
    release = machine.release()
    name = release.get("PRETTY_NAME", "an unknown system")
    if release.get("ID") != "debian" or release.get("VERSION_ID") not in SUPPORTED:
        raise BootstrapError(
            f"this machine runs {name}; the controller and the lab are supported on {' and '.join(SUPPORTED.values())}",
            "use a Debian 12 or 13 machine or virtual machine with 8 GB of memory",
        )
    if machine.architecture() != "x86_64":
        raise BootstrapError(
            f"this machine is {machine.architecture()}; the lab's virtual machines need x86_64", "use an x86_64 machine"
        )


def check_space(machine: Machine, path: Path, needed_gb: float, purpose: str) -> None:
    """Refuses when the file system of a path has less room than the purpose needs."""
    free_gb = machine.free_gb(path)
    if free_gb < needed_gb:
        raise BootstrapError(
            f"{purpose} needs {needed_gb:.1f} GB on the disk of {path}, which has {free_gb:.1f} GB free",
            "free some space, or put the checkout on a larger disk, and run the same command again",
        )


def privilege(machine: Machine, packages: list[str]) -> list[str]:
    """The words before a command which needs root: none for root, sudo otherwise."""
    if machine.user_id() == 0:
        return []
    if not machine.has_command("sudo"):
        raise BootstrapError(
            f"Debian packages are missing ({' '.join(packages)}), and this user is neither root nor has sudo",
            f"as root: apt-get install {' '.join(packages)}",
        )
    return ["sudo"]


def wanted_packages(checkout: Path, kind: str) -> list[str]:
    """The Debian packages of a kind."""
    return [name for part in parts_of(kind) for name in package_list(checkout / f"requirements/apt-{part}.txt")]


def install_packages(machine: Machine, root: list[str], missing: list[str]) -> None:
    """Installs Debian packages; `root` is put before the commands."""
    say(f"installing Debian packages: {' '.join(missing)}")
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if machine.run([*apt, "update"]) != 0:
        raise BootstrapError(
            "apt-get update failed, see its lines above",
            "check sudo rights, the network and /etc/apt/sources.list*, and run the same command again",
        )
    if machine.run([*apt, "install", "--yes", "--no-install-recommends", *missing]) != 0:
        raise BootstrapError("apt-get install failed, see its lines above", "run the same command again")


def wanted_stamp(checkout: Path, kind: str, python: str) -> dict[str, str]:
    """The stamp of a complete environment: interpreter, place (its scripts name it) and a hash per list of pins."""
    stamp = {"python": python, "checkout": str(checkout)}
    for part in parts_of(kind):
        stamp[part] = hashlib.sha256((checkout / f"requirements/{part}.txt").read_bytes()).hexdigest()
    return stamp


def system_python_version() -> str:
    """Version of Debian's own interpreter, as in 3.13.5."""
    if not SYSTEM_PYTHON.exists():
        raise BootstrapError(f"{SYSTEM_PYTHON} is missing", "apt-get install python3")
    query = [str(SYSTEM_PYTHON), "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(query, capture_output=True, text=True, check=True).stdout.strip()


def read_stamp(venv: Path) -> dict[str, str]:
    """The stamp of a complete environment; empty when it is not complete."""
    try:
        stamp = json.loads((venv / "tickwire-stamp.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and (venv / "bin/python").exists() else {}


def write_stamp(venv: Path, stamp: dict[str, str]) -> None:
    """Marks an environment as complete, atomically."""
    partial = venv / "tickwire-stamp.json.partial"
    partial.write_text(json.dumps(stamp, indent=2) + "\n", encoding="utf-8")
    partial.rename(venv / "tickwire-stamp.json")


def make_venv(machine: Machine, checkout: Path, wanted: dict[str, str]) -> None:
    """Brings `.venv` to the pinned packages of a wanted stamp."""
    venv = checkout / ".venv"
    stamp = read_stamp(venv)
    kept = all(stamp.get(key) == wanted[key] for key in ("python", "checkout"))
    if venv.exists() and not kept:
        # One of another interpreter or place, or one that was never finished, is not worth repairing.
        say("removing a virtual environment that is unfinished or of another interpreter")
        shutil.rmtree(venv)
    (venv / "tickwire-stamp.json").unlink(missing_ok=True)
    parts = [part for part in KINDS if part in wanted]
    say(f"making .venv with Python {wanted['python']} and the pinned packages for {parts[-1]}")
    pip = [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    lists = [word for part in parts for word in ("--requirement", str(checkout / f"requirements/{part}.txt"))]
    steps = [] if kept else [[str(SYSTEM_PYTHON), "-m", "venv", str(venv)]]
    # --no-deps: nothing comes in that is not pinned; the check afterwards fails when a pin is missing.
    steps.append([*pip, "install", "--no-deps", "--progress-bar", "off", "--root-user-action", "ignore", *lists])
    steps.append([*pip, "check"])
    for step in steps:
        if machine.run(step) != 0:
            raise BootstrapError(
                f"this step failed, see its lines above: {' '.join(step)}",
                "check the network and the pins in requirements/, and run the same command again",
            )
    link_collection(checkout)
    write_stamp(venv, wanted)


def link_collection(checkout: Path) -> bool:
    """Lets Ansible and Python find the checkout as `ansible_collections.tickwire.fabric`; returns whether it had to."""
    link = checkout / ".venv/collections/ansible_collections/tickwire/fabric"
    if link.exists() and link.resolve() == checkout:
        return False
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(Path("../../../.."), target_is_directory=True)
    return True


def bootstrap(kind: str, machine: Machine, checkout: Path) -> bool:
    """Sets up everything for a kind; returns whether anything changed. Every check comes before the first change."""
    check_system(machine)
    missing = machine.missing_packages(wanted_packages(checkout, kind))
    wanted = wanted_stamp(checkout, kind, system_python_version())
    stamp = read_stamp(checkout / ".venv")
    complete = all(stamp.get(key) == value for key, value in wanted.items())
    root: list[str] = []
    if missing:
        root = privilege(machine, missing)
        check_space(machine, Path("/usr"), APT_GB[kind], "installing Debian packages")
    if not complete:
        check_space(machine, checkout, VENV_GB[kind], "the virtual environment")
    if missing:
        install_packages(machine, root, missing)
    if not complete:
        make_venv(machine, checkout, wanted)
    linked = link_collection(checkout)
    return bool(missing) or not complete or linked


def main() -> int:
    """Command line: `bootstrap.py [--quiet] site|test`."""
    parser = argparse.ArgumentParser(prog="scripts/bootstrap", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("kind", choices=KINDS, help="what the checkout is set up for")
    parser.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to do")
    arguments = parser.parse_args()
    try:
        changed = bootstrap(arguments.kind, Machine(), CHECKOUT)
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 2
    except PermissionError as error:
        print(
            f"bootstrap: {error.filename} cannot be written by this user\n"
            f"  Next: run as the user who owns {CHECKOUT}, or give it to this one: chown -R",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("bootstrap: interrupted\n  Next: run the same command again", file=sys.stderr)
        return 130
    if changed or not arguments.quiet:
        say("ready" if changed else "everything is there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
