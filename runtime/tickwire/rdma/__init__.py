# SPDX-License-Identifier: Apache-2.0
"""RoCEv2 traffic, seen from a capture."""
