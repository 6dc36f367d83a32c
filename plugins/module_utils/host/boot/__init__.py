# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The boot loader: its entries, the kernel command line of the next boot, and a boot on trial."""
