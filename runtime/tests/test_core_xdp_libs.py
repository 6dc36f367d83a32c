# SPDX-License-Identifier: Apache-2.0
"""What core/transport/xdp_libs.h declares of libxdp and libbpf, compared by the compiler with their own headers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

CORE = Path(__file__).resolve().parents[1] / "core"
HEADER = CORE / "transport" / "xdp_libs.h"

# Ours, theirs.
STRUCTS = {
    "xdp_ring": ["xsk_ring_prod", "xsk_ring_cons"],
    "xdp_umem_config": ["xsk_umem_config"],
    "xdp_socket_config": ["xsk_socket_config"],
}
FIELDS = re.compile(r"^    [\w ]+?[ *]+(\w+);", re.MULTILINE)
FUNCTION = re.compile(r"\(\*(\w+)\)\(")


def test_structures_and_functions_are_the_libraries_own(tmp_path: Path) -> None:
    text = HEADER.read_text()
    lines = ["#include <xdp/xsk.h>", "#include <xdp/libxdp.h>", "#include <bpf/bpf.h>", "#include <stddef.h>",
             "#include <linux/if_link.h>", f'#include "{HEADER}"']  # fmt: skip
    for ours, theirs in STRUCTS.items():
        body = text.split(f"struct {ours} {{")[1].split("};")[0]
        fields = FIELDS.findall(body)
        assert len(fields) >= 5, ours
        for other in theirs:
            lines.append(f'_Static_assert(sizeof(struct {ours}) == sizeof(struct {other}), "{ours}");')
            for field in fields:
                place = f"(struct {{}}, {field})"
                lines.append(
                    f"_Static_assert(offsetof{place.format(ours)} == offsetof{place.format(other)} && "
                    f"sizeof(((struct {ours} *)0)->{field}) == sizeof(((struct {other} *)0)->{field}), "
                    f'"{ours}.{field}");'
                )
    lines.append(
        '_Static_assert(offsetof(struct xdp_link_opts, flags) == offsetof(struct bpf_link_create_opts, flags), "");'
    )
    lines.append(
        '_Static_assert(sizeof(struct xdp_link_opts) == offsetof(struct bpf_link_create_opts, iter_info), "");'
    )
    lines.append('_Static_assert(XDP_ATTACH_TYPE == BPF_XDP, "");')
    lines.append('_Static_assert(XDP_INHIBIT_PROG_LOAD == XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD, "");')
    functions = FUNCTION.findall(text)
    assert len(functions) == 21
    lines.append("void *functions[] = {" + ", ".join(f"(void *){name}" for name in functions) + "};")
    source = tmp_path / "compare.c"
    source.write_text("\n".join(lines) + "\n")
    done = subprocess.run(
        ["gcc", "-std=gnu11", "-Wall", "-Werror", "-c", str(source), "-o", str(tmp_path / "compare.o")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
