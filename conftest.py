# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of every test, the runtime's too."""

from __future__ import annotations

from hypothesis import settings

# No test asserts a time: a busy machine takes any example past a deadline.
settings.register_profile("tickwire", deadline=None)
settings.load_profile("tickwire")
