"""The file tree that stands for a host in these tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.host.host_tree import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
