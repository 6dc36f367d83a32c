# SPDX-License-Identifier: Apache-2.0
"""The verbs transport's threads, engine, keeper, connector and the exchange's gateway, under the thread sanitizer."""

from __future__ import annotations

from pathlib import Path

import core_tsan
import pytest

SOURCES = (
    *("transport/verbs*", "transport/gateway*", "transport/lines"),
    *("arena", "populate", "clock", "ticks", "stamps", "block", "mapped", "line"),
)


@pytest.mark.parametrize("test", ["test_verbs", "test_verbs_stamps", "test_gateway_running"])
def test_threads(test: str, tmp_path: Path) -> None:
    core_tsan.build_double(tmp_path)
    core_tsan.run(core_tsan.build(tmp_path, test, *SOURCES))
