# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent as one file: a zip of the very sources with which the modules run, deterministic.

The sources come from the loaders of the loaded modules, so it is the same from a checkout, from an installed
collection, and from the zip in which Ansible sends a module to the host.
"""

from __future__ import annotations

import io
import marshal
import struct
import sys
import zipfile
from collections.abc import Mapping
from importlib.util import MAGIC_NUMBER, source_hash
from types import ModuleType

from ..errors import HostError

PREFIX = "ansible_collections.tickwire.fabric.plugins.module_utils"
_MAIN = """\
import sys

from {entry} import main

sys.exit(main(sys.argv[1:]))
"""
# The first date that a zip can hold.
_DATE = (1980, 1, 1, 0, 0, 0)


def collect(entry: str, modules: Mapping[str, ModuleType] | None = None) -> dict[str, str]:
    """Sources of the loaded modules of the collection's module_utils by their name in the zip, which runs ``main`` of
    the module ``entry``.

    HostError when one has no source.
    """
    found: dict[str, str] = {"__main__.py": _MAIN.format(entry=entry)}
    for name, module in sorted((sys.modules if modules is None else modules).items()):
        if not name.startswith(f"{PREFIX}."):
            continue
        spec = module.__spec__
        package = spec is not None and spec.submodule_search_locations is not None
        get_source = getattr(spec.loader, "get_source", None) if spec else None
        source = get_source(name) if get_source else None
        if source is None and not package:
            raise HostError(
                "agent", name, "this module has no source to take along", "run the role from its collection"
            )
        path = name.replace(".", "/")
        found[f"{path}/__init__.py" if package else f"{path}.py"] = source or ""
    parts = PREFIX.split(".")
    for depth in range(1, len(parts) + 1):
        found.setdefault("/".join(parts[:depth]) + "/__init__.py", "")
    return found


def build(sources: Mapping[str, str], bytecode: bool = False) -> bytes:
    """A zip of these sources, the same bytes for the same sources.

    It is not compressed: so it does not depend on the release of zlib, and Python starts faster. With ``bytecode`` each
    source has beside it what this interpreter compiles it to, which need not be done at every start then; another
    release of Python takes the source instead.
    """
    entries = {name: text.encode("utf-8") for name, text in sources.items()}
    if bytecode:
        entries.update({f"{name}c": _compiled(name, data) for name, data in entries.items()})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, entries[name])
    return buffer.getvalue()


def _compiled(name: str, source: bytes) -> bytes:
    """A .pyc by PEP 552 that is taken without a look at the source, which came with it."""
    code = compile(source, name, "exec", dont_inherit=True)
    return MAGIC_NUMBER + struct.pack("<I", 1) + source_hash(source) + marshal.dumps(code)


def is_current(data: bytes | None, sources: Mapping[str, str]) -> bool:
    """Whether such a zip has these sources, and bytecode of this interpreter.

    The bytecode itself is not compared: marshal does not promise the same bytes for the same code.
    """
    if parse(data) != dict(sources):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data or b"")) as archive:
            found = {name for name in archive.namelist() if archive.read(name)[:4] == MAGIC_NUMBER}
    except zipfile.BadZipFile:
        return False
    return found == {f"{name}c" for name in sources}


def parse(data: bytes | None) -> dict[str, str]:
    """Sources of such a zip; none of something else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data or b"")) as archive:
            names = [name for name in archive.namelist() if name.endswith(".py")]
            return {name: archive.read(name).decode("utf-8", errors="replace") for name in names}
    except zipfile.BadZipFile:
        return {}
