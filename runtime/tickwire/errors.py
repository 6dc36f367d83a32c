# SPDX-License-Identifier: Apache-2.0
"""The one error that a user is meant to read: `cli.main` prints it as a single line and exits non-zero."""


class TickwireError(Exception):
    """Something that the user can put right; the message names the thing, the value, the rule and the next step."""
