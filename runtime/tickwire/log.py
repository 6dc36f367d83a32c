# SPDX-License-Identifier: Apache-2.0
"""Logging to standard error, which systemd's journal stamps itself; on a terminal we stamp."""

from __future__ import annotations

import logging
import os
import sys


def setup(verbose: bool = False) -> None:
    """One line per record: in the journal the level as `<n>` prefix, elsewhere a time and the level's name."""
    if os.environ.get("JOURNAL_STREAM"):
        priorities = {logging.DEBUG: "<7>", logging.INFO: "<6>", logging.WARNING: "<4>", logging.ERROR: "<3>"}
        for level, prefix in priorities.items():
            logging.addLevelName(level, prefix)
        pattern = "%(levelname)s%(name)s: %(message)s"
    else:
        pattern = "%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s"
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, stream=sys.stderr, format=pattern, datefmt="%H:%M:%S"
    )
