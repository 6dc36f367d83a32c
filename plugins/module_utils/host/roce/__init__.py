# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""RoCE of a host's interfaces: version, ToS, congestion notifications, ECN, and the table of GIDs."""
