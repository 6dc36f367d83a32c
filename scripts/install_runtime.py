"""Builds the runtime and installs it into `.venv` in development mode, unless what it is compiled from is unchanged."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from scripts.artifact import CHECKOUT

STAMP = Path(sys.prefix) / "tickwire-runtime.sha256"


def source_hash(runtime: Path) -> str:
    """Hash over what the extension module and the package's metadata are made from."""
    files = [
        runtime / "pyproject.toml",
        runtime / "setup.py",
        *sorted(runtime.glob("core/**/*.[ch]")),
        *sorted(runtime.glob("bpf/*.c")),
    ]
    digest = hashlib.sha256()
    for path in files:
        if path.exists():
            digest.update(str(path.relative_to(runtime)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def installed() -> bool:
    """True when the extension module can be imported, in a process of its own."""
    query = [sys.executable, "-c", "import tickwire._core"]
    return subprocess.run(query, capture_output=True, check=False, cwd="/").returncode == 0


def install(runtime: Path) -> bool:
    """Builds and installs; returns whether that was needed. CalledProcessError when the build fails."""
    wanted = source_hash(runtime)
    if STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted and installed():
        return False
    STAMP.unlink(missing_ok=True)
    print("runtime: building and installing in development mode", flush=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--root-user-action", "ignore"]
    subprocess.run([*pip, "--quiet", "--no-build-isolation", "--no-deps", "--editable", str(runtime)], check=True)
    STAMP.write_text(wanted, encoding="utf-8")
    return True


def main() -> int:
    """Installs from runtime/ of this checkout."""
    try:
        install(CHECKOUT / "runtime")
    except subprocess.CalledProcessError as error:
        print(f"runtime: the build failed, see above: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
