"""Peers are not part of this project: a TOML file outside of it names their commands.

    [[peer]]
    section = "book"                  # decode, book, deep, path, host
    name = "CppTrader market manager"
    licence = "MIT"
    version = "99e5799"
    command = ["/opt/peers/cpptrader/book", "--input", "{file}"]
    pattern = 'Message latency: ([0-9.]+) ns'
    unit = "ns"                       # ns, us, s (of the whole file), messages_per_s
    note = "red-black trees, callbacks on"

`{file}` becomes the section's ITCH file. A pattern with named groups gives several figures, all in ns:
`p50 +(?P<median_ns>[0-9]+) ns +p99 +(?P<p99_ns>[0-9]+)`. Section host has no file; its commands run as root where
podman has the image `localhost/tickwire-trixie`, and name their figure: `seconds (?P<one_host_s>[0-9.]+)`.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from bench.contest import BenchError, Contender, pattern

KEYS = {"section", "name", "licence", "version", "command", "pattern", "unit", "note"}
UNITS = ("ns", "us", "s", "messages_per_s")


def load(path: str | Path) -> list[dict]:
    """The file's peers, checked; BenchError names the file, the peer and the key."""
    try:
        peers = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("peer", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"{path}: {error}") from None
    for number, peer in enumerate(peers, 1):
        where = f"{path}: peer {number} ({peer.get('name', 'without a name')})"
        for key in ("section", "name", "command", "pattern"):
            if key not in peer:
                raise BenchError(f"{where}: {key} is missing")
        for key in peer:
            if key not in KEYS:
                raise BenchError(f"{where}: unknown key {key}; known: {', '.join(sorted(KEYS))}")
        if peer.setdefault("unit", "ns") not in UNITS:
            raise BenchError(f"{where}: unit {peer['unit']!r} is not one of {', '.join(UNITS)}")
    return peers


def contenders(peers: list[dict], section: str, file: Path, messages: int) -> list[Contender]:
    """Those of a section, over `file`."""
    return [
        Contender(
            name=peer["name"],
            command=[word.replace("{file}", str(file)) for word in peer["command"]],
            read=pattern(peer["pattern"], peer["unit"], messages),
            licence=peer.get("licence", ""),
            version=peer.get("version", ""),
            note=peer.get("note", ""),
        )
        for peer in peers
        if peer["section"] == section
    ]
