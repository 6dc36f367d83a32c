"""`make bench`: the engine and its peers over the same input, on the same core, in turn.

results/ has the last figures.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Where the collection is `ansible_collections.tickwire.fabric`.
sys.path.append(str(Path(__file__).resolve().parents[1] / ".venv" / "collections"))
