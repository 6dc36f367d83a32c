# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of network cards: what is wanted, what the driver has, the steps between, and what a step costs."""
