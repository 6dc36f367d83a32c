# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The one error of the host code: it names the thing, the value, the rule and the next step."""

from __future__ import annotations


class HostError(ValueError):
    """A host setting that is refused or was not reached.

    item: what is meant, in the user's words (``isolated_cpus``, ``hugepages 2M on node 0``);
    value: what was asked for or found; rule: why that is wrong; next_step: what the reader can do now.
    """

    def __init__(self, item: str, value: object, rule: str, next_step: str = "") -> None:
        self.item = item
        self.value = value
        self.rule = rule
        self.next_step = next_step
        text = f"{item} '{value}': {rule}"
        if next_step:
            text += f". {next_step[0].upper()}{next_step[1:]}."
        super().__init__(text)
