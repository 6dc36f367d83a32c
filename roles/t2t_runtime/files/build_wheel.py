# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the runtime's wheel on the controller, once for each content of its sources.

The wheel is kept in CACHE/<hash>/ where the hash is that of the sources and of this machine's architecture, so a
second run finds it and builds nothing. It is built from a copy, so that the sources stay clean, in a directory which is
renamed into place when the wheel is whole: what is in the cache is complete.

With clang and libbpf's headers the wheel has the XDP program of feed.transport = "xdp", without them it has not; it is
another wheel then, so it is not kept for longer than they are missing.

Prints one JSON object: {"version", "hash", "release", "wheel", "built", "xdp", "xdp_missing"}; with --check nothing is
built, and "built" says whether it would be. "xdp": the XDP program is in it; "xdp_missing": else why not. Errors go to
standard error, one line, exit code 1.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

#: What tests, tools and earlier builds leave in the source directory and never enters the wheel.
SKIPPED_DIRECTORIES = frozenset({"__pycache__", "build", "dist", "tests", "node_modules"})
SKIPPED_SUFFIXES = frozenset({".pyc", ".pyo", ".so", ".o"})

#: Of libbpf-dev; the XDP program includes it.
BPF_HEADER = Path("/usr/include/bpf/bpf_helpers.h")


class BuildError(Exception):
    """Why there is no wheel, and the next step."""


def sources(root: Path) -> Iterator[Path]:
    """Files of the source directory that can enter the wheel, relative to it, sorted by name."""
    found = []
    for directory, names, files in os.walk(root):
        names[:] = [
            name
            for name in names
            if name not in SKIPPED_DIRECTORIES and not name.startswith(".") and not name.endswith(".egg-info")
        ]
        for name in files:
            if not name.startswith(".") and Path(name).suffix not in SKIPPED_SUFFIXES:
                found.append(Path(directory, name).relative_to(root))
    yield from sorted(found, key=lambda path: path.as_posix())


def xdp_missing() -> str:
    """What keeps this machine from building the XDP program; empty when nothing does."""
    missing = [] if shutil.which("clang") else ["clang is not installed"]
    if not BPF_HEADER.is_file():
        missing.append(f"{BPF_HEADER} is not there")
    return " and ".join(missing)


def source_hash(root: Path) -> str:
    """SHA-256 over names and contents of the sources, the architecture, and whether the XDP program can be built."""
    digest = hashlib.sha256(platform.machine().encode() + b"\0")
    if xdp_missing():
        digest.update(b"no XDP program\0")
    for path in sources(root):
        content = (root / path).read_bytes()
        digest.update(path.as_posix().encode() + b"\0" + str(len(content)).encode() + b"\0" + content)
    return digest.hexdigest()


def version_of(root: Path) -> str:
    """Version in the sources' pyproject.toml."""
    try:
        project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"])
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise BuildError(
            f"runtime sources '{root}': no version in pyproject.toml ({error!r}). Next: set t2t_runtime_source "
            "to the directory of the runtime"
        ) from error


def check_tools() -> None:
    """Whether this interpreter and this machine can build; BuildError names what is missing."""
    missing = [name for name in ("build", "setuptools", "wheel") if importlib.util.find_spec(name) is None]
    if missing:
        raise BuildError(
            f"python '{sys.executable}': no module {', '.join(missing)}. Next: "
            f"'{sys.executable} -m pip install {' '.join(missing)}' on the controller"
        )
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise BuildError(
            f"C compiler '{compiler}': not found on the controller. Next: install gcc and python3-dev, or set CC"
        )
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise BuildError(f"'{header}': not found on the controller. Next: install python3-dev")


def find_wheel(directory: Path) -> Path | None:
    """The one wheel in a directory, or None."""
    wheels = sorted(directory.glob("*.whl"))
    return wheels[0] if len(wheels) == 1 else None


def build(root: Path, version: str, kept: Path) -> Path:
    """Build the wheel of the sources into the directory `kept`, atomically, and return its path."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=kept.parent) as name:
        work = Path(name)
        for path in sources(root):
            (work / "source" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / path, work / "source" / path)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "build",
                "--wheel",
                "--no-isolation",
                "--outdir",
                str(work / "out"),
                str(work / "source"),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "SOURCE_DATE_EPOCH": "315532800"},
        )
        wheel = find_wheel(work / "out")
        if done.returncode != 0 or wheel is None or not wheel.name.startswith(f"tickwire-{version}-"):
            lines = [line for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
            errors = [line for line in lines if "error" in line.lower()] or lines
            raise BuildError(
                f"runtime sources '{root}': the wheel cannot be built: {' | '.join(errors[-6:])}. Next: run "
                f"'{sys.executable} -m build --wheel --no-isolation {root}' and read its output"
            )
        target = work / "kept"
        target.mkdir()
        shutil.move(wheel, target / wheel.name)
        if kept.exists():  # no wheel in it, or it would have been used
            shutil.rmtree(kept)
        target.rename(kept)
    return kept / wheel.name


def default_cache() -> Path:
    """Where wheels are kept when nothing else is said."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tickwire", "wheels")


def main(arguments: list[str] | None = None) -> int:
    """The command; exit code."""
    parser = argparse.ArgumentParser(description="Build the runtime's wheel once for each content of its sources.")
    parser.add_argument("source", type=Path)
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--check", action="store_true", help="build nothing")
    options = parser.parse_args(arguments)
    try:
        version, digest = version_of(options.source), source_hash(options.source)
        kept = options.cache / digest[:32]
        wheel = find_wheel(kept)
        missing = wheel is None
        if missing:
            check_tools()
            if not options.check:
                wheel = build(options.source, version, kept)
    except (BuildError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        json.dumps(
            {
                "version": version,
                "hash": digest,
                "release": f"{version}-{digest[:8]}",
                "wheel": str(wheel) if wheel else "",
                "built": missing,
                "xdp": not xdp_missing(),
                "xdp_missing": xdp_missing(),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
