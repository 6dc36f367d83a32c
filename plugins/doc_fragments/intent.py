# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that name a switch and the intent it is in; module_utils/fabric/arguments.py has them as code."""

from __future__ import annotations


class ModuleDocFragment:
    """INTENT of module_utils, and by ``intent.filter`` the same of a filter."""

    DOCUMENTATION = r"""
options:
  fabric:
    description:
      - The fabric intent, the whole of it.
    type: dict
    required: true
  device:
    description:
      - The name of this switch in the intent.
    type: str
    required: true
"""

    FILTER = r"""
options:
  _input:
    description: The C(fabric) intent.
    type: dict
    required: true
  device:
    description: The name of the switch in the intent.
    type: str
    required: true
"""
