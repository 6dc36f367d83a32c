# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which GID an end of a ping uses, and what it is told about memory that cannot be locked."""

from __future__ import annotations

import errno
import resource
from typing import Any

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.rdma import link, verbs

MAPPED = "0000:0000:0000:0000:0000:ffff:0a6e:000b"
TYPES = {1: "IB/RoCE v1", 2: "RoCE v2"}
GIDS = [(0, "fe80:0000:0000:0000:5054:00ff:fe7c:0301", 2), (1, MAPPED, 1), (2, MAPPED, 2)]
PORT: dict[str, Any] = {
    "port": 1,
    "gids": [{"index": index, "gid": gid, "type": TYPES[v], "roce_version": v} for index, gid, v in GIDS],
}


@pytest.mark.parametrize(
    ("address", "version", "index"),
    [("10.110.0.11", 2, 2), ("10.110.0.11", 1, 1), ("fe80::5054:ff:fe7c:301%fab0", 2, 0)],
)
def test_the_gid_of_the_address_by_version(address: str, version: int, index: int) -> None:
    assert link.choose_gid(PORT, address, None, version)["index"] == index


@pytest.mark.parametrize("index", [0, 1, 2])
def test_an_index_that_is_given(index: int) -> None:
    chosen = link.choose_gid(PORT, "192.0.2.1", index, GIDS[index][2])
    assert (chosen["index"], chosen["gid"]) == GIDS[index][:2]


@pytest.mark.parametrize(
    ("address", "index", "version", "text"),
    [
        ("10.110.0.11", 3, 2, "gid_index 3 is not used; indices in use: 0, 1, 2"),
        ("10.110.0.11", 1, 2, "gid_index 1 is 0000:.*0a6e:000b IB/RoCE v1, not RoCE v2. Next: correct gid_index"),
        ("10.110.0.12", None, 2, "no RoCE v2 GID .*0a6e:000c on port 1"),
        ("fe80::5054:ff:fe7c:301", None, 1, "no RoCE v1 GID fe80.* on port 1"),
    ],
)
def test_what_is_not_there(address: str, index: int | None, version: int, text: str) -> None:
    with pytest.raises(LookupError, match=text):
        link.choose_gid(PORT, address, index, version)


def test_the_limit_of_locked_memory_is_named_where_it_is_what_is_wrong() -> None:
    hint = verbs.memlock_hint(errno.ENOMEM, 65536)
    assert hint == ". RLIMIT_MEMLOCK is 64 kB. Next: raise it (roce_host_limits.memlock), or become root"
    assert verbs.memlock_hint(errno.ENOMEM, resource.RLIM_INFINITY) == verbs.memlock_hint(errno.EINVAL, 65536) == ""
