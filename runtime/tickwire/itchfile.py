# SPDX-License-Identifier: Apache-2.0
"""ITCH files: reading them into memory with their index, and writing them. `.gz` by suffix on both sides."""

from __future__ import annotations

import contextlib
import gzip
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from . import _core
from .errors import TickwireError

_CHUNK = 1 << 20


@dataclass(frozen=True)
class ItchFile:
    """An ITCH file in memory: `data` as stored, `index` an array of u64 (offset << 16 | length) per message."""

    path: str
    data: bytes
    index: bytes
    framing: str

    def __len__(self) -> int:
        return len(self.index) // 8

    def messages(self, limit: int | None = None) -> Iterator[bytes]:
        """Message bodies in file order, at most `limit`."""
        count = len(self) if limit is None else min(limit, len(self))
        view = memoryview(self.index).cast("Q")
        for n in range(count):
            offset, length = view[n] >> 16, view[n] & 0xFFFF
            yield self.data[offset : offset + length]


def _inflate(path: Path) -> bytes:
    chunks: list[bytes] = []
    with gzip.open(path, "rb") as stream:
        while chunk := stream.read(_CHUNK):
            chunks.append(chunk)
    return b"".join(chunks)


def load(path: str | Path) -> ItchFile:
    """Read an ITCH 5.0 file with two-byte lengths, or with zeros in their place. TickwireError names what is wrong."""
    path = Path(path)
    try:
        data = _inflate(path) if path.suffix == ".gz" else path.read_bytes()
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TickwireError(f"{path}: damaged gzip file: {error}; fetch or generate it again") from None
    except OSError as error:
        raise TickwireError(
            f"{path}: cannot read the ITCH file: {error.strerror}; `tickwire generate` makes one"
        ) from None
    if not data:
        raise TickwireError(f"{path}: the ITCH file is empty; `tickwire generate` makes one")
    try:
        index, info = _core.itch_frame_index(data)
    except ValueError as error:
        raise TickwireError(f"{path}: not an ITCH 5.0 file, or a damaged one: {error}") from None
    if not index:
        raise TickwireError(f"{path}: the ITCH file has no message")
    last = memoryview(index).cast("Q")[-1]
    end = (last >> 16) + (last & 0xFFFF)
    if info["framing"] == "length" and data[end:].strip(b"\0"):
        # A length of zero ends a file. In the middle of one it is damage, and all behind it would silently be missing.
        raise TickwireError(
            f"{path}: a damaged ITCH file: a length of 0 at offset {end} ends it after {info['messages']} messages, "
            f"but {len(data) - end - 2} bytes follow; fetch or generate it again"
        )
    return ItchFile(str(path), data, index, info["framing"])


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block ends well, and vanishes otherwise."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            os.fchmod(stream.fileno(), 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise


def write(path: str | Path, messages: Iterable[bytes]) -> int:
    """Write messages with two-byte big-endian lengths, whole or not at all. Returns their number."""
    path = Path(path)
    if path.exists() and not path.is_file():
        # The rename at the end would put a file in the place of a device or pipe.
        raise TickwireError(f"{path}: is not a regular file and will not be replaced; name a file")
    count, length = 0, struct.Struct(">H").pack
    try:
        with _replacing(path) as raw, contextlib.ExitStack() as stack:
            stream: IO[bytes] | gzip.GzipFile = raw
            if path.suffix == ".gz":
                # No name and no time in the header: the same messages give the same file.
                stream = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
            buffer = bytearray()
            for message in messages:
                buffer += length(len(message)) + message
                count += 1
                if len(buffer) >= _CHUNK:
                    stream.write(buffer)
                    buffer.clear()
            stream.write(buffer)
    except OSError as error:
        raise TickwireError(
            f"{path}: cannot write: {error.strerror}; name a file in a directory that exists and may be written"
        ) from None
    return count
