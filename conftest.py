# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of every test, the runtime's too."""

from __future__ import annotations

import signal

from hypothesis import settings

# Programs under test are ended by it; a shell that runs the tests behind itself lets them be born ignoring it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts a time: a busy machine takes any example past a deadline.
settings.register_profile("tickwire", deadline=None)
settings.load_profile("tickwire")
