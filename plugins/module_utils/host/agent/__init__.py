# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What stays on the host: the modules' code as one file, the units that run it, and the document of what is wanted."""
