# SPDX-License-Identifier: Apache-2.0
"""A host whose RDMA devices are the double of c/verbs_double.h, for whole commands: the libraries by their real names,
and the kernel's tables in a mount namespace of the command. Queue pairs reach one another within one process only."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_MOUNTED = 'mount --bind "$0" /sys/class && exec "$@"'


class VerbsHost:
    """Made in `directory`: "double0" has 127.0.0.1, "double1" has 127.0.0.2 and 127.0.0.3; all GIDs are RoCE v2."""

    def __init__(self, directory: Path) -> None:
        sources = sorted((Path(__file__).parent / "c").glob("verbs_double*.c"))
        self.libraries, self.tables = directory / "libraries", directory / "class"
        self.libraries.mkdir()
        flags = ["-std=c11", "-D_GNU_SOURCE", "-O1", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden"]
        made = self.libraries / "libibverbs.so.1"
        command = [*os.environ.get("CC", "cc").split(), *flags, "-pthread", "-o", str(made), *map(str, sources)]
        subprocess.run(command, check=True)
        (self.libraries / "librdmacm.so.1").symlink_to(made.name)
        for device, number, address in (("double0", 0, "0001"), ("double1", 0, "0002"), ("double1", 1, "0003")):
            port = self.tables / "infiniband" / device / "ports/1"
            gid = f"0000:0000:0000:0000:0000:ffff:7f00:{address}\n"
            for name, text in (("gids", gid), ("gid_attrs/types", "RoCE v2\n"), ("gid_attrs/ndevs", "lo\n")):
                (port / name).mkdir(parents=True, exist_ok=True)
                (port / name / str(number)).write_text(text, encoding="ascii")
        (self.tables / "net").symlink_to("/sys/devices/virtual/net")

    @property
    def env(self) -> dict[str, str]:
        return {"LD_LIBRARY_PATH": str(self.libraries)}

    @property
    def before(self) -> list[str]:
        """What is put before a command."""
        return ["unshare", "--mount", "sh", "-c", _MOUNTED, str(self.tables)]
