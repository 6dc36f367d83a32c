# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The agent as one file: a zip of the very sources with which the modules run, deterministic.

The sources come from the loaders of the loaded modules, so it is the same from a checkout, from an installed
collection, and from the zip in which Ansible sends a module to the host.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Mapping
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


def build(sources: Mapping[str, str]) -> bytes:
    """A zip of these sources, the same bytes for the same sources.

    It is not compressed: so it does not depend on the release of zlib, and Python starts faster.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(sources):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, sources[name].encode("utf-8"))
    return buffer.getvalue()


def parse(data: bytes | None) -> dict[str, str]:
    """Sources of such a zip; none of something else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data or b"")) as archive:
            return {name: archive.read(name).decode("utf-8", errors="replace") for name in archive.namelist()}
    except zipfile.BadZipFile:
        return {}
