# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Linux switch from the intent: ``desired``, ``running``, ``plan``, ``apply``, and ``boot`` for the next start."""
