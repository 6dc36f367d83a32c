# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every planned mistake is refused, by the parser or as an error of the plan, and the refusal names its path."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.findings import ERROR
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.intent import IntentError, parse_intent
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.planner import make_plan
from tests.unit.fabric.mistakes import Mistake, mistakes, sound

MISTAKES = mistakes()


def refusals(intent: object) -> list[tuple[str, str]]:
    """Path and message of everything that refuses the intent."""
    try:
        plan = make_plan(parse_intent(intent))
    except IntentError as error:
        return [(error.path, error.reason)]
    return [(finding.path, finding.message) for finding in plan.findings if finding.severity == ERROR]


def test_the_sound_intent_is_sound() -> None:
    assert refusals(sound()) == []


def test_there_are_thirty() -> None:
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_refused_with_its_path(mistake: Mistake) -> None:
    found = refusals(mistake.intent)
    assert [(path, said) for path, said in found if path == mistake.path and mistake.says in said], found
