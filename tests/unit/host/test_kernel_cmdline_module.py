"""The module kernel_cmdline with a boot on trial: arguments in, result out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

from ansible_collections.tickwire.fabric.plugins.modules import kernel_cmdline, roce_host_drift
from tests.unit.host.boot_tree import GrubHost

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def debian(tmp_path: Path) -> GrubHost:
    return GrubHost(tmp_path / "root")


@pytest.fixture
def call(debian: GrubHost, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    monkeypatch.setattr(kernel_cmdline, "Path", lambda dummy: debian.root)
    monkeypatch.setattr(kernel_cmdline, "run_program", lambda argv: debian.run(argv))

    def call(check: bool = False, **args: Any) -> dict[str, Any]:
        with patch_module_args({**args, "_ansible_check_mode": check, "_ansible_diff": True}):
            with pytest.raises(SystemExit):
                kernel_cmdline.main()
        return json.loads(capsys.readouterr().out)

    return call


def test_try_and_keep(debian: GrubHost, call: Call) -> None:
    args = {"isolated_cpus": "1", "latency": ["tick"]}
    assert call(**args)["reboot_required"]
    assert call(check=True, state="armed")["changed"] and call(**args)["trial"] == "none"
    first = call(state="armed", trial_timeout_s=120)
    assert first["changed"] and first["reboot_required"] and first["trial"] == "armed"
    assert not call(state="armed", trial_timeout_s=120)["changed"]
    assert call(state="disarmed", check=True)["trial"] == "armed" and call(state="disarmed")["trial"] == "none"
    assert not call(state="disarmed")["changed"]
    assert "this is no window" in call(state="armed", protection={"maintenance_window": "at night"})["msg"]
    assert call(**args)["trial"] == "none" and call(state="armed", trial_timeout_s=120)["changed"]
    titles = [entry["title"] for entry in first["entries"] if not entry["managed"]]
    assert any("recovery" in title for title in titles)
    debian.boot()
    assert call(isolated_cpus="1", latency=["tick"])["trial"] == "running"
    assert call(check=True, state="confirmed")["changed"]
    kept = call(state="confirmed")
    assert kept["changed"] and kept["trial"] == "none" and not kept["reboot_required"]
    assert kept["tokens"][-1] == "skew_tick=1"
    assert not call(state="confirmed")["changed"]
    assert not call(**args)["changed"]


def test_absent_ends_a_trial_without_parameters(debian: GrubHost, call: Call) -> None:
    call(isolated_cpus="1")
    debian.boot()
    call()
    assert call(state="armed")["trial"] == "armed"
    assert call()["trial"] == "armed", "the role runs again before the reboot"
    assert call(check=True, state="absent")["changed"]
    gone = call(state="absent")
    assert gone["changed"] and gone["trial"] == "none" and gone["reboot_required"]
    assert not call(state="absent")["changed"]


def test_what_failed_is_said_and_refused(debian: GrubHost, call: Call) -> None:
    args = {"tokens": ["init=/nonexistent"]}
    call(**args)
    call(state="armed")
    debian.boot()
    debian.boot()
    failed = call(state="confirmed")
    assert failed["failed"] and "'init=/nonexistent': it did not come back healthy" in failed["msg"]
    assert "it failed on this host" in call(**args)["msg"]
    assert "failed" not in call(state="absent")


def test_what_is_dangerous_gives_a_warning(call: Call, warned: list[str]) -> None:
    assert call(dangerous=["mitigations_off", "nosmt"])["tokens"] == ["mitigations=off", "nosmt"]
    assert [text.split(":")[0] for text in warned] == ["mitigations_off (mitigations=off)", "nosmt (nosmt)"]


@pytest.mark.parametrize(
    ("fs", "trades", "limit_s", "refused"),
    [
        ("ext2", False, 600, False),
        ("btrfs", False, 600, True),
        ("btrfs", False, None, False),
        ("btrfs", True, 600, False),
    ],
)
def test_a_host_that_this_run_would_reboot_and_cannot_try_is_refused_first(
    debian: GrubHost,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fs: str,
    trades: bool,
    limit_s: int | None,
    refused: bool,
) -> None:
    """Without leave for a reboot there is no limit, and who trades is not rebooted: then the line may be written."""

    def run(argv: list[str]) -> tuple[int, str, str]:
        if argv[:2] == ["systemctl", "show"]:
            return 0, "\n".join(f"ActiveState={'active' if trades else 'inactive'}\n" for dummy in argv[4:]), ""
        assert argv[0].endswith("-probe"), f"{argv} was run where nothing may be changed"
        return debian.run(argv)

    monkeypatch.setattr(roce_host_drift, "Path", lambda dummy: debian.root)
    monkeypatch.setattr(roce_host_drift, "run_program", run)
    (debian.root / "run/systemd/system").mkdir(parents=True)
    debian.fs = fs
    before = debian.tree()
    wanted = {"kernel_cmdline_extra": ["skew_tick=1"], "workload_units": ["other.service"]}
    with patch_module_args({"wanted": wanted, **({"boot_trial_timeout_s": limit_s} if limit_s else {})}):
        with pytest.raises(SystemExit):
            roce_host_drift.main()
    result = json.loads(capsys.readouterr().out)
    assert debian.tree() == before
    assert result.get("failed", False) is refused, result
    if refused:
        assert "boot on trial '/boot/grub on btrfs'" in result["msg"] and "Set roce_host_boot_trial to" in result["msg"]
    else:
        assert result["reboot_required"] and result["may_disturb"] is not trades


def test_a_bare_on_of_yaml_is_refused(call: Call) -> None:
    assert "YAML makes this of a bare on, off" in call(tokens=[True])["msg"]
