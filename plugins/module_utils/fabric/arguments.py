# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments that the modules of every switch have; the fragment intent is their documentation."""

from __future__ import annotations

from typing import Any

#: The intent, and which of its switches this is.
INTENT: dict[str, dict[str, Any]] = {
    "fabric": {"type": "dict", "required": True},
    "device": {"type": "str", "required": True},
}
