"""Runs pytest on the paths that exist, with the runtime built and installed first."""

from __future__ import annotations

import subprocess
import sys

from scripts.artifact import CHECKOUT
from scripts.install_runtime import main as install_runtime


def main() -> int:
    """Command line: paths, then further arguments of pytest."""
    words = [word for word in sys.argv[1:] if word.startswith("-") or (CHECKOUT / word.partition("::")[0]).exists()]
    code = install_runtime()
    if code == 0:
        # A worker for each processor; the tests of a file stay together and share what it set up.
        pytest = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "loadfile"]
        code = subprocess.run([*pytest, *words], cwd=CHECKOUT, check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
