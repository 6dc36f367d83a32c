# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Releases of the runtime side by side, one of them current.

Below the base directory (``/opt/tickwire``) stand ``releases/<name>/``, each a virtual environment, and ``current``, a
symbolic link to one of them. A release counts as complete when its marker file is there, and the marker is written
last, after the release's own command has answered: an installation that was cut off has none and is made anew.
``current`` is replaced by a rename, so that at every moment it points to one complete release.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

#: argv -> (return code, standard output, standard error)
Run = Callable[[Sequence[str]], tuple[int, str, str]]

MARKER = ".complete"
OLDEST_PYTHON = (3, 11)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}\Z")
_PROBE = "import sys, venv, pip; print('%d.%d' % sys.version_info[:2]); print(pip.__path__[0])"


class DeployError(Exception):
    """A deployment that is refused or failed; the text names the thing, the value, the rule and the next step."""


def check_name(name: str) -> str:
    """The release name itself, or DeployError: it becomes a directory name."""
    if _NAME.match(name) is None:
        raise DeployError(
            f"release '{name}': up to 100 letters, digits and . _ + - are allowed, a letter or digit first. "
            "Next: name it <version>-<hash>"
        )
    return name


def read_marker(base: Path, name: str) -> dict[str, str] | None:
    """What the marker of a complete release says, or None when the release is absent or was not finished."""
    try:
        marker = json.loads((base / "releases" / name / MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return marker if isinstance(marker, dict) else None


def complete_releases(base: Path) -> list[str]:
    """Names of the complete releases, sorted."""
    try:
        names = sorted(entry.name for entry in (base / "releases").iterdir() if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if read_marker(base, name) is not None]


def current_release(base: Path) -> str:
    """Name of the complete release that ``current`` points to, or empty text."""
    try:
        target = os.readlink(str(base / "current"))
    except (FileNotFoundError, OSError):
        return ""
    name = Path(target).name
    same = target in (f"releases/{name}", str(base / "releases" / name))
    return name if same and read_marker(base, name) is not None else ""


def check_python(run: Run, python: str) -> str:
    """Directory of the pip of the interpreter that will carry the release, or DeployError when it cannot carry one."""
    try:
        rc, out, err = run([python, "-c", _PROBE])
    except OSError as error:
        raise DeployError(
            f"python '{python}': {error.strerror}. Next: install python3 and python3-venv, or set t2t_runtime_python"
        ) from error
    if rc != 0:
        reason = err.strip().splitlines()[-1] if err.strip() else f"exit code {rc}"
        raise DeployError(
            f"python '{python}': cannot make a virtual environment: {reason}. Next: install python3-venv and "
            "python3-pip"
        )
    version, pip = out.splitlines()[:2]
    major, minor = (int(part) for part in version.split("."))
    if (major, minor) < OLDEST_PYTHON:
        raise DeployError(
            f"python '{python}' is {version}: the runtime needs {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or later. "
            "Next: set t2t_runtime_python to a newer one"
        )
    return pip


def _checked(run: Run, argv: Sequence[str], what: str, next_step: str) -> str:
    rc, out, err = run(argv)
    if rc != 0:
        tail = "; ".join((err.strip() or out.strip()).splitlines()[-5:])
        raise DeployError(f"{what}: '{' '.join(argv)}' ended with {rc}: {tail}. Next: {next_step}")
    return out.strip()


def install(run: Run, base: Path, name: str, wheel: Path, python: str, pip: str) -> dict[str, str]:
    """Make the release complete, from nothing or over what a cut-off installation left, and return its marker.

    Offline: the interpreter's pip (pip: its directory) is run by the virtual environment's python, as `pip --python`
    does in twice the time; the virtual environment has no pip of its own, so there is nothing to update in it. The
    release's command has to answer ``--version`` with its version before the marker is written. DeployError leaves no
    marker, and ``current`` as it was.
    """
    if not wheel.is_file():
        raise DeployError(f"wheel '{wheel}': no such file on this host. Next: run the role from its apply step")
    release = base / "releases" / check_name(name)
    if release.exists():
        shutil.rmtree(str(release))
    release.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    _checked(run, [python, "-m", "venv", "--without-pip", str(release)], f"release {name}", "install python3-venv")
    _checked(
        run,
        [
            str(release / "bin" / "python"),
            pip,
            "--isolated",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            str(wheel),
        ],
        f"release {name}",
        "check that the wheel's tags fit this host's Python, C library and processor",
    )
    version = _checked(
        run,
        [str(release / "bin" / "tickwire"), "--version"],
        f"release {name}: its own command fails",
        "run that command by hand on this host",
    )
    if name.split("-")[0] not in version.split():
        raise DeployError(
            f"release {name}: its command says '{version}', which is another version. Next: build the wheel anew"
        )
    marker = {"release": name, "wheel": wheel.name, "python": python, "version": version}
    _write_marker(release / MARKER, marker)
    return marker


def _write_marker(path: Path, marker: dict[str, str]) -> None:
    """Everything of the release first, then the marker, also after a power cut."""
    os.sync()
    handle, temporary = tempfile.mkstemp(prefix=MARKER, dir=str(path.parent))
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        json.dump(marker, out, sort_keys=True)
        out.flush()
        os.fchmod(out.fileno(), 0o644)
        os.fsync(out.fileno())
    os.replace(temporary, str(path))


def switch(base: Path, name: str) -> None:
    """Point ``current`` to the complete release, atomically."""
    if read_marker(base, name) is None:
        raise DeployError(f"release {name}: it is not complete, so it does not become current. Next: install it first")
    temporary = base / f".current.{os.getpid()}"
    if temporary.is_symlink():
        temporary.unlink()
    os.symlink(f"releases/{name}", str(temporary))
    os.replace(str(temporary), str(base / "current"))
