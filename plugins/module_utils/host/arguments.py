# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments that several modules of a host have; the fragments of the same names are their documentation."""

from __future__ import annotations

from typing import Any

Arguments = dict[str, dict[str, Any]]

#: Which CPUs are isolated, see isolation.isolated_cpus().
ISOLATED_CPUS: Arguments = {
    "isolated_cpus": {"type": "str", "default": ""},
    "housekeeping_per_node": {"type": "int", "default": 0},
    "split_siblings": {"type": "bool", "default": False},
}
#: And by which way, see isolation_way.choose().
ISOLATION: Arguments = {
    **ISOLATED_CPUS,
    "isolation": {"type": "str", "choices": ["auto", "partition", "boot"], "default": "auto"},
    "whole_processes": {"type": "bool", "default": False},
}
#: When the host may be disturbed, see maintenance.judge().
PROTECTION: Arguments = {"protection": {"type": "dict", "default": {}}}
