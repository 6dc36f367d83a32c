# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The option that says when a host on which something trades may be disturbed; PROTECTION as code."""

from __future__ import annotations


class ModuleDocFragment:
    """PROTECTION of module_utils/host/arguments.py."""

    DOCUMENTATION = r"""
options:
  protection:
    description:
      - When a host on which something trades may be disturbed, by the variables C(maintenance_window),
        C(workload_protection) and C(workload_units) of role P(tickwire.fabric.roce_host#role) without their prefix
        C(roce_host_).
      - The host is asked at the moment at which it would be disturbed.
    type: dict
    default: {}
"""
