# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a lane's packets see while another lane is saturated: probes, load, and the figures of both."""
