# SPDX-License-Identifier: Apache-2.0
"""Builds `tickwire._core`: one abi3 extension for Python 3.11 and later, plain C11, no dependency."""

from pathlib import Path

from setuptools import Extension, setup

CORE = Path("core")

setup(
    ext_modules=[
        Extension(
            "tickwire._core",
            sources=sorted(str(path) for path in CORE.rglob("*.c")),
            depends=sorted(str(path) for path in CORE.rglob("*.h")),
            include_dirs=[str(CORE)],
            define_macros=[("Py_LIMITED_API", "0x030B0000"), ("_GNU_SOURCE", "1")],
            extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden"],
            py_limited_api=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
