"""One peer from PyPI over the first messages of a file, timed alone: NAME FILE MESSAGES, prints one JSON line."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from tickwire import itchfile


def _slice(path: str, messages: int) -> tuple[Path, int]:
    """The first messages of a file as a file of their own, in /dev/shm where there is one."""
    shared = Path("/dev/shm")
    with tempfile.NamedTemporaryFile(dir=shared if shared.is_dir() else None, suffix=".itch", delete=False) as stream:
        count = itchfile.write(stream.name, itchfile.load(path).messages(messages))
    return Path(stream.name), count


def itchfeed_ns(path: Path) -> int:
    from itch.parser import MessageParser

    with path.open("rb") as stream:
        parser = MessageParser()
        started = time.perf_counter_ns()
        for _message in parser.parse_file(stream):
            pass
        return time.perf_counter_ns() - started


def meatpy_ns(path: Path) -> int:
    from meatpy.itch50 import ITCH50MessageReader

    with ITCH50MessageReader(str(path)) as reader:
        started = time.perf_counter_ns()
        for _message in reader:
            pass
        return time.perf_counter_ns() - started


def main() -> int:
    name, file, messages = sys.argv[1], sys.argv[2], int(sys.argv[3])
    path, count = _slice(file, messages)
    try:
        elapsed = {"itchfeed": itchfeed_ns, "meatpy": meatpy_ns}[name](path)
    finally:
        path.unlink()
    print(json.dumps({"name": name, "messages": count, "ns_per_message": elapsed / count}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
