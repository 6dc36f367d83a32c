# SPDX-License-Identifier: Apache-2.0
"""Tickwire: a tick-to-trade runtime. C on the hot path (`tickwire._core`), Python for everything slow."""

__version__ = "0.1.0"
