"""Builds the collection's artifact from a checkout: what git knows of, less galaxy.yml's build_ignore.

`.venv/bin/python -m scripts.artifact DIRECTORY` writes tickwire-fabric-VERSION.tar.gz there and prints its path.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


def tracked_files(checkout: Path) -> list[str]:
    """Paths of the files which are or could be committed. RuntimeError when git cannot tell."""
    listing = ["git", "-C", str(checkout), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"git ls-files failed in {checkout}: {done.stderr.strip()}")
    # A file deleted in the checkout is listed until its deletion is committed.
    return sorted(path for path in set(done.stdout.split("\0")) if path and (checkout / path).is_file())


def export(checkout: Path, directory: Path) -> None:
    """Copies the tracked files into a directory."""
    for path in tracked_files(checkout):
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout / path, target)


def build(checkout: Path, output: Path) -> Path:
    """Builds the artifact into a directory; returns its path. CalledProcessError when ansible-galaxy refuses."""
    output.mkdir(parents=True, exist_ok=True)
    galaxy = Path(sys.executable).with_name("ansible-galaxy")
    with tempfile.TemporaryDirectory(prefix="tickwire-artifact-") as directory:
        export(checkout, Path(directory))
        command = [str(galaxy), "collection", "build", "--force", "--output-path", str(output.resolve()), directory]
        subprocess.run(command, check=True, capture_output=True, text=True, cwd=directory)
    return max(output.glob("tickwire-fabric-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def main() -> int:
    """Command line, see the top of the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("output", type=Path, help="directory for the artifact")
    try:
        print(build(CHECKOUT, parser.parse_args().output))
    except subprocess.CalledProcessError as error:
        print(f"artifact: ansible-galaxy refuses: {error.stderr.strip()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
