# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Firmware of network cards through mstflint: settings of the next boot, images, and what loads them."""
