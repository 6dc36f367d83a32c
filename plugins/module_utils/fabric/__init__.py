# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fabric intent and what is rendered from it. Plain Python: no Ansible, no third-party import."""
