"""Writes requirements/{site,test}.txt from the .in files: every package the resolver brings, at one version each.

Run with one interpreter of every supported Python; a version must do on all of them, so the oldest decides:
`.venv/bin/python scripts/pin.py python3.11 python3.13`
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"


def resolve(python: str, lists: list[Path], within: dict[str, str] | None = None) -> dict[str, str]:
    """Names and versions pip would install into an empty environment of an interpreter, of the versions ``within``."""
    with tempfile.TemporaryDirectory() as directory:
        venv, report = Path(directory, "venv"), Path(directory, "report.json")
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        words = [word for path in lists for word in ("--requirement", str(path))]
        constraints = Path(directory, "constraints.txt")
        constraints.write_text("".join(f"{name}=={pin}\n" for name, pin in (within or {}).items()), encoding="utf-8")
        words += ["--constraint", str(constraints)]
        pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*pip, "--report", str(report), *words], check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower(): one["metadata"]["version"] for one in installs}


def write(path: Path, pins: dict[str, str]) -> None:
    """Writes a list of pins."""
    lines = [f"# Made by scripts/pin.py from {path.stem}.in.", *(f"{name}=={pins[name]}" for name in sorted(pins))]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    """Command line: interpreters, the oldest first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("python", nargs="+", help="interpreters, the oldest first")
    arguments = parser.parse_args()
    site_in, test_in = REQUIREMENTS / "site.in", REQUIREMENTS / "test.in"
    oldest = resolve(arguments.python[0], [site_in, test_in])
    site = {name: oldest[name] for name in resolve(arguments.python[0], [site_in], oldest)}
    write(REQUIREMENTS / "site.txt", site)
    write(REQUIREMENTS / "test.txt", {name: version for name, version in oldest.items() if name not in site})
    for python in arguments.python[1:]:
        pins = [REQUIREMENTS / "site.txt", REQUIREMENTS / "test.txt"]
        extra = sorted(set(resolve(python, pins)) - set(oldest))
        if extra:
            print(f"pin: {python} needs packages that {arguments.python[0]} does not: {extra}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
