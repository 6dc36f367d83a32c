# SPDX-License-Identifier: Apache-2.0
"""Builds `tickwire._core`: one abi3 extension for Python 3.11 and later, plain C11, no dependency.

Beside it the XDP program of feed.transport = "xdp", for which clang and libbpf-dev are needed. Where they are missing
the build says so and goes on without: everything but that transport works, and the transport says what is missing.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("core")
XDP_SOURCE, XDP_PROGRAM = Path("bpf/steer.bpf.c"), "steer.bpf.o"
# Across files: the way from packet to order leads through a dozen. Only with GCC: clang needs a linker plugin for it.
COMPILER = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
ACROSS_FILES = [] if "clang" in COMPILER else ["-flto=auto"]

# Without it GCC 12 puts words together in a vector register to store them at once, one slow move each.
SPEED = ["-O3", "-fno-tree-slp-vectorize"]
STRICT = ["-Wall", "-Wextra", "-Werror"]


class BuildExtension(build_ext):
    """The extension, and the XDP program beside it."""

    def run(self) -> None:
        super().run()
        target = Path(self.get_ext_fullpath("tickwire._core")).with_name(XDP_PROGRAM)
        target.unlink(missing_ok=True)  # one of older sources
        # The system's headers are those of another architecture to clang, so it does not look where Debian has them.
        headers = f"-I/usr/include/{sysconfig.get_config_var('MULTIARCH') or ''}"
        command = ["clang", "-target", "bpf", "-O2", "-g", *STRICT, headers, "-fdebug-compilation-dir=."]
        try:
            subprocess.run(
                [*command, "-c", str(XDP_SOURCE), "-o", str(target)], check=True, capture_output=True, text=True
            )
        except FileNotFoundError:
            problem = "clang is not installed"
        except subprocess.CalledProcessError as error:
            problem = next(iter(error.stderr.strip().splitlines()), f"clang: exit code {error.returncode}")
        else:
            return
        print(
            f'tickwire: built without feed.transport = "xdp": {problem}; install clang and libbpf-dev, and build again',
            file=sys.stderr,
        )


setup(
    cmdclass={"build_ext": BuildExtension},
    ext_modules=[
        Extension(
            "tickwire._core",
            sources=sorted(str(path) for path in CORE.rglob("*.c")),
            depends=sorted(str(path) for path in CORE.rglob("*.h")),
            include_dirs=[str(CORE)],
            define_macros=[("Py_LIMITED_API", "0x030B0000"), ("_GNU_SOURCE", "1")],
            extra_compile_args=["-std=c11", *SPEED, *STRICT, "-fvisibility=hidden", *ACROSS_FILES],
            extra_link_args=ACROSS_FILES,
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
