# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fabric as an SVG picture."""

from __future__ import annotations

from collections.abc import Sequence

from .findings import Finding
from .model import Fabric


def svg(fabric: Fabric, findings: Sequence[Finding] = ()) -> str:
    """The picture as the text of an SVG file."""
    raise NotImplementedError
