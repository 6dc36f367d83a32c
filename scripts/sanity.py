"""Runs `ansible-test sanity` on what users get: the built artifact, unpacked where ansible-test wants it.

No ignore file exists and none is made. The virtual environments ansible-test makes for its tests are kept under the
XDG cache, so only the first run installs them; pip comes into them from Python's own ensurepip, without a download.
Everything is tested on the Python of `.venv`; a Python 3.9, when the machine has one, also compiles and imports what
runs on managed hosts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.artifact import CHECKOUT, build

OLDEST_TARGET = "3.9"
# ansible-test 2.19 looks for a get-pip script of pip 24.2 in its cache before it downloads one.
GET_PIP = '''"""Puts pip into a new virtual environment from Python's own ensurepip."""
import ensurepip

ensurepip.bootstrap()
'''


def cache_home() -> Path:
    """The home directory ansible-test gets: it keeps its environments below."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tickwire/ansible-test"


def environment(oldest: str | None) -> dict[str, str]:
    """Environment of ansible-test: its own home, this virtual environment first on the PATH, pip's cache shared."""
    home = cache_home()
    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "get_pip_24_2.py").write_text(GET_PIP, encoding="utf-8")
    places = [str(Path(sys.executable).parent), *([str(Path(oldest).parent)] if oldest else []), os.environ["PATH"]]
    user_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return {
        **os.environ,
        "HOME": str(home),
        "PATH": os.pathsep.join(places),
        "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(user_cache / "pip")),
        "LC_ALL": "C.UTF-8",
    }


def unpack(directory: Path) -> Path:
    """Builds the artifact and unpacks it as ansible_collections/tickwire/fabric; returns that path."""
    tree = directory / "ansible_collections/tickwire/fabric"
    tree.mkdir(parents=True)
    artifact = build(CHECKOUT, directory / "artifact")
    subprocess.run(["tar", "--extract", "--file", str(artifact), "--directory", str(tree)], check=True)
    # The artifact has neither: what ansible-test needs to know of the collection, and of its files.
    (tree / "tests").mkdir(exist_ok=True)
    shutil.copy2(CHECKOUT / "tests/config.yml", tree / "tests/config.yml")
    shutil.copy2(CHECKOUT / "galaxy.yml", tree / "galaxy.yml")
    subprocess.run(["git", "init", "--quiet", str(tree)], check=True)
    return tree


def oldest_python() -> str | None:
    """Path of a Python 3.9 that starts, from the PATH or from pyenv, when there is one."""
    name = f"python{OLDEST_TARGET}"
    candidates = [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/{OLDEST_TARGET}.*/bin/{name}"))]
    for path in filter(None, candidates):
        query = [path, "-c", "import sys; print(sys.executable)"]
        done = subprocess.run(query, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
    return None


def main() -> int:
    """Command line: further arguments go to ansible-test."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments = parser.parse_known_args()[1]
    oldest = oldest_python()
    env = environment(oldest)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    runs = [["--python", own, *arguments]]
    if oldest and not arguments:
        tests = ["--test", "compile", "--test", "import"]
        runs.append(["--python", OLDEST_TARGET, *tests])
    elif not oldest:
        print(f"sanity: no Python {OLDEST_TARGET} here; its syntax is checked by tests/unit/collection", flush=True)
    with tempfile.TemporaryDirectory(prefix="tickwire-sanity-") as directory:
        tree = unpack(Path(directory))
        for extra in runs:
            command = ["ansible-test", "sanity", "--color", "no", *extra]
            print(f"sanity: {' '.join(command)}", flush=True)
            code = subprocess.run(command, cwd=tree, env=env, check=False).returncode
            if code != 0:
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
