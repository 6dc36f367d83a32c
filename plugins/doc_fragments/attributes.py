# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What check mode and diff mode mean in most modules."""

from __future__ import annotations


class ModuleDocFragment:
    """A module that sets something says itself what its diff shows."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing at all is
        written.
    support: full
"""

    #: Where the prediction needs no program either.
    NOTHING_RUN = r"""
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Nothing at all is
        written and no program is run.
    support: full
"""

    #: A module that reads or measures.
    CHANGES_NOTHING = r"""
attributes:
  check_mode:
    description: Does the same in check mode, as it changes nothing.
    support: full
  diff_mode:
    description: Has no diff, as it changes nothing.
    support: none
"""
