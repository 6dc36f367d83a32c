# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Cisco NX-OS on Nexus 9000: the configuration from the intent, the difference, and reading back."""
