# SPDX-License-Identifier: Apache-2.0
"""Builds `tickwire._core`: one abi3 extension for Python 3.11 and later, plain C11, no dependency."""

import os
import sysconfig
from pathlib import Path

from setuptools import Extension, setup

CORE = Path("core")
# Across files: the way from packet to order leads through a dozen. Only with GCC: clang needs a linker plugin for it.
COMPILER = os.environ.get("CC") or sysconfig.get_config_var("CC") or ""
ACROSS_FILES = [] if "clang" in COMPILER else ["-flto=auto"]

# Without it GCC 12 puts words together in a vector register to store them at once, one slow move each.
SPEED = ["-O3", "-fno-tree-slp-vectorize"]
STRICT = ["-Wall", "-Wextra", "-Werror"]

setup(
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
