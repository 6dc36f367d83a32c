# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The modules themselves: what they return, and that check mode writes nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.tickwire.fabric.plugins.module_utils.deploy import releases
from ansible_collections.tickwire.fabric.plugins.modules import t2t_release, t2t_runtime_info

NAME = "0.1.0-5f0c1b2a"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def run(main: Callable[[], None], **arguments: Any) -> dict[str, Any]:
        with patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


def refuse_to_write(*arguments: object, **options: object) -> None:
    raise AssertionError(f"a write: {arguments} {options}")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A host with one complete release that is current, and a second one that was cut off."""
    for name in ("0.1.0-old", NAME):
        (tmp_path / "releases" / name / "bin").mkdir(parents=True)
    (tmp_path / "releases/0.1.0-old" / releases.MARKER).write_text("{}", encoding="utf-8")
    (tmp_path / "current").symlink_to("releases/0.1.0-old")
    return tmp_path


def test_check_mode_says_what_would_change_and_writes_nothing(
    call: Callable[..., dict[str, Any]], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("install", "switch"):
        monkeypatch.setattr(releases, name, refuse_to_write)
    before = sorted(base.rglob("*"))
    options = {"base": str(base), "wheel": "/nowhere.whl", "python": sys.executable, "_ansible_check_mode": True}
    result = call(t2t_release.main, name=NAME, **options)
    assert (result["changed"], result["installed"], result["previous"]) == (True, True, "0.1.0-old")
    assert result["diff"]["before"].endswith("0.1.0-old\n") and result["diff"]["after"].endswith(f"{NAME}\n")
    assert call(t2t_release.main, name="0.1.0-old", **options)["changed"] is False
    assert sorted(base.rglob("*")) == before


def test_a_complete_release_that_is_not_current_is_only_switched(
    call: Callable[..., dict[str, Any]], base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases, "install", refuse_to_write)
    (base / "releases" / NAME / releases.MARKER).write_text("{}", encoding="utf-8")
    options = {"name": NAME, "base": str(base), "wheel": "/nowhere.whl"}
    result = call(t2t_release.main, **options)
    assert (result["changed"], result["installed"], result["complete"]) == (True, False, [NAME, "0.1.0-old"])
    assert releases.current_release(base) == NAME
    assert call(t2t_release.main, **options)["changed"] is False


def test_a_refused_release_fails_with_the_reason(call: Callable[..., dict[str, Any]], base: Path) -> None:
    result = call(t2t_release.main, name=NAME, base=str(base), wheel="/nowhere.whl", python=sys.executable)
    assert result["failed"] is True and "wheel '/nowhere.whl': no such file" in result["msg"]
    result = call(t2t_release.main, name="../x", base=str(base), wheel="/nowhere.whl")
    assert result["failed"] is True and "release '../x'" in result["msg"]
    result = call(t2t_release.main, name="0.2.0-x", base=str(base), wheel="/nowhere.whl", python="/no/python")
    assert result["failed"] is True and "python '/no/python'" in result["msg"]


def test_info_waits_until_nothing_differs_but_not_longer(
    call: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = {"name": "tickwire-engine.service", "load": "not-found"}
    monkeypatch.setattr(t2t_runtime_info, "PAUSE_S", 0.001)
    monkeypatch.setattr(t2t_runtime_info.service, "read", lambda *_: {"unit": unit})
    answers = [["starting"], ["starting"], []]
    monkeypatch.setattr(t2t_runtime_info.service, "drift", lambda *_: answers.pop(0))
    result = call(t2t_runtime_info.main, component="engine", block="/b", wait_s=60)
    assert (result["drift"], answers, result["changed"]) == ([], [], False)
    answers[:] = [["broken"], []]
    assert call(t2t_runtime_info.main, component="engine", block="/b")["drift"] == ["broken"]
