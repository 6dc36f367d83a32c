# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""DCB of a host's network interfaces: pauses, scheduling, the DSCP map, buffers, rates, and who rules them."""
