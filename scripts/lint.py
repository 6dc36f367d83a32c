"""Runs the checkers over the checkout, all of them, and names those that found something.

The lists of paths leave out what does not exist, never what exists.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.artifact import CHECKOUT, tracked_files

BIN = Path(sys.executable).parent


def shell_scripts(paths: list[str]) -> list[str]:
    """Those of the files that are sh or bash scripts, by suffix or first line."""
    found = []
    for path in paths:
        with (CHECKOUT / path).open("rb") as stream:
            first = stream.readline(80)
        if path.endswith(".sh") or (first.startswith(b"#!") and (b"/sh" in first or b"bash" in first)):
            found.append(path)
    return found


def checks() -> dict[str, list[str]]:
    """Name and command of every check."""
    python = [path for path in ("bench", "lab", "scripts", "runtime/tickwire") if (CHECKOUT / path).is_dir()]
    modules = "ansible_collections.tickwire.fabric.plugins"
    found = {
        "ruff": [str(BIN / "ruff"), "check", "."],
        "mypy: bench, lab, scripts, runtime": [str(BIN / "mypy"), *python],
        "ansible-lint": [str(BIN / "ansible-lint"), "--strict", "--offline"],
        "changelog": [str(BIN / "antsibull-changelog"), "lint"],
        "shellcheck": ["shellcheck", "--severity=warning", *shell_scripts(tracked_files(CHECKOUT))],
        "role tables": [sys.executable, "-m", "scripts.role_readme", "--check"],
    }
    if (CHECKOUT / "plugins").is_dir():
        # Under the name Ansible imports them by; as paths they would be seen twice, once through the link in .venv.
        found["mypy: plugins"] = [str(BIN / "mypy"), "--package", modules]
    return found


def main() -> int:
    """Runs every check from the root of the checkout."""
    failed = []
    for name, command in checks().items():
        print(f"--- {name}", flush=True)
        if subprocess.run(command, cwd=CHECKOUT, check=False).returncode != 0:
            failed.append(name)
    if failed:
        print(f"lint: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
