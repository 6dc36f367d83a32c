# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A SONiC switch from the intent: ``desired``, ``plan``, ``session``, ``verify``, and ``counters``."""
