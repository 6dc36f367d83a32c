# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Cumulus Linux switch from the intent: ``desired``, ``plan``, ``session`` over ``rest`` or ``cli``, ``verify``."""
