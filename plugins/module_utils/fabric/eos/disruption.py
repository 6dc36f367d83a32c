# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change of an Arista switch interrupts, told from the switch's own difference."""

from __future__ import annotations

import re

CHANGED = re.compile(r"\s*[-+](?![-+]{2})\s*(.*)")
BUFFER = re.compile(r"platform trident mmu |ingress (?:threshold|headroom|resume) ")


def disruptions(diff: str) -> list[str]:
    """A sentence for each kind of interruption in the output of ``show session-config diffs``."""
    lines = [match.group(1) for match in map(CHANGED.fullmatch, diff.splitlines()) if match]
    found = []
    if any(BUFFER.match(line) for line in lines):
        found.append(
            "the buffer profile changes (platform trident mmu): the chip divides its buffer anew and loses packets"
        )
    return found
