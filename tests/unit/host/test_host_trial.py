"""Boot once, then keep: arm, boot, confirm, fall back, remember; on Debian, Ubuntu and the RHEL family."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift, grub
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import (
    fallback_grub,
    loader,
    record,
    trial,
    trial_units,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot.menu import (
    CmdlineResult,
    read_running,
    without_trial,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import Token, parse_cmdline
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import boot
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.boot_tree import BLS_HOSTS, DISTRIBUTIONS, BlsHost, BootHost, GrubHost

GOOD = parse_cmdline("skew_tick=1 nosoftlockup")
BAD = parse_cmdline("skew_tick=1 init=/nonexistent")
LIMIT_S = 300
GUARD = b"what says whether the host may be rebooted"


def make(root: Path, name: str) -> BootHost:
    return GrubHost(root, name) if name in DISTRIBUTIONS else BlsHost(root, name)


@pytest.fixture(params=[*DISTRIBUTIONS, *BLS_HOSTS])
def every_host(request: pytest.FixtureRequest, tmp_path: Path) -> BootHost:
    return make(tmp_path / "root", request.param)


@pytest.fixture(params=["ubuntu2404", "kernelopts"])
def boot_host(request: pytest.FixtureRequest, tmp_path: Path) -> BootHost:
    return make(tmp_path / "root", request.param)


def attempt(system: System, wanted: list[Token], limit_s: int | None, check: bool) -> CmdlineResult:
    """What the role does before it reboots."""
    result = trial.apply(system, wanted, check)
    if limit_s is not None and result.reboot_required:
        result.changed = trial.next_boot(system, limit_s, GUARD, check).changed or result.changed
    return result


def traces(host: BootHost) -> list[str]:
    """What a trial leaves on a host."""
    found = [name for name in host.tree() if "trial" in name or "tickwire-previous" in name]
    found += [name for name, value in host.environment().items() if "tickwire" in value or name == "next_entry"]
    return found + sorted(host.enabled)


def default_args(host: BootHost) -> str:
    """The command line of the entry that boots by default."""
    return " ".join(
        str(token) for token in next(entry for entry in loader.read_entries(host.root) if entry.ours).tokens
    )


def test_a_good_command_line_is_booted_once_and_then_kept(every_host: BootHost) -> None:
    saved = every_host.environment().get("saved_entry")
    first = every_host.read("proc/cmdline")
    result = attempt(every_host.system, GOOD, LIMIT_S, check=False)
    assert result.changed and result.reboot_required and trial.state_of(every_host.system) == trial.ARMED
    assert every_host.enabled == {"tickwire-boot-trial.timer"}
    assert f"OnBootSec={LIMIT_S}s" in every_host.read(trial_units.TIMER)
    line = every_host.boot().split()
    assert {"skew_tick=1", "nosoftlockup", "panic=15", "rd.shell=0", "rd.emergency=reboot"} <= set(line)
    condition = next(word for word in line if word.startswith("tickwire.trial="))
    assert f"ConditionKernelCommandLine={condition}" in every_host.read(trial_units.TIMER)
    assert trial.state_of(every_host.system) == trial.RUNNING
    kept = trial.keep(every_host.system, check=False)
    assert kept.changed and not kept.reboot_required
    assert traces(every_host) == [] and every_host.environment().get("saved_entry") == saved
    assert every_host.read("proc/sys/kernel/panic") == "0\n"
    # The next boot is an ordinary one, with the tokens and without anything of the trial.
    line = every_host.boot()
    assert line.split() == [*first.split()[1:], "skew_tick=1", "nosoftlockup"]
    assert attempt(every_host.system, GOOD, LIMIT_S, check=False).changed is False
    assert trial.keep(every_host.system, check=False).changed is False


def test_a_host_that_falls_back_gets_its_former_tokens_and_remembers(every_host: BootHost) -> None:
    loader.apply_cmdline(every_host.system, GOOD, check=False)
    every_host.boot()
    good, before = every_host.read("proc/cmdline"), default_args(every_host)
    attempt(every_host.system, BAD, LIMIT_S, check=False)
    assert "init=/nonexistent" in every_host.boot().split()
    # It panics, and reboots: now and at every later boot the old command line.
    every_host.boot()
    assert every_host.read("proc/cmdline") == good
    every_host.boot()
    assert every_host.read("proc/cmdline") == good
    assert trial.state_of(every_host.system) == trial.FELL_BACK
    with pytest.raises(HostError) as caught:
        trial.keep(every_host.system, check=False)
    assert "'skew_tick=1 init=/nonexistent': it did not come back healthy" in str(caught.value)
    assert "The host runs 'BOOT_IMAGE=" in str(caught.value)
    assert traces(every_host) == [] and default_args(every_host) == before
    with pytest.raises(HostError, match="failed on this host.*did not come back healthy.*correct the tokens|Correct"):
        attempt(every_host.system, BAD, LIMIT_S, check=False)
    with pytest.raises(HostError, match="failed on this host"):
        drift.check(every_host.system, {"kernel_cmdline_extra": ["skew_tick=1", "init=/nonexistent"]})
    every_host.boot()
    assert every_host.read("proc/cmdline") == good
    # Something else is wanted: the failure is forgotten.
    assert not attempt(every_host.system, GOOD, LIMIT_S, check=False).changed
    assert not (every_host.root / record.FAILED).exists()


def test_check_mode_writes_nothing_at_any_step(boot_host: BootHost) -> None:
    def check(expect_error: bool = False) -> None:
        before, ran = boot_host.tree(), len(boot_host.ran)
        try:
            attempt(boot_host.system, BAD, LIMIT_S, check=True)
            trial.keep(boot_host.system, check=True)
        except HostError:
            assert expect_error
        assert boot_host.tree() == before
        reads = ("--default-index", "--info=ALL")
        written = [argv for argv in boot_host.ran[ran:] if not argv[0].endswith("-probe") and argv[1] not in reads]
        assert not written, "it only reads"

    check()
    attempt(boot_host.system, BAD, LIMIT_S, check=False)
    check(expect_error=True)
    boot_host.boot()
    check()
    boot_host.boot()
    check(expect_error=True)


def test_the_controller_went_away_and_the_role_runs_again(boot_host: BootHost) -> None:
    attempt(boot_host.system, BAD, LIMIT_S, check=False)
    boot_host.boot()
    boot_host.boot()
    with pytest.raises(HostError, match="did not come back healthy"):
        attempt(boot_host.system, BAD, None, check=False)
    assert traces(boot_host) == []


def test_something_else_is_wanted_before_the_reboot(boot_host: BootHost) -> None:
    attempt(boot_host.system, BAD, LIMIT_S, check=False)
    attempt(boot_host.system, GOOD, None, check=False)
    assert traces(boot_host) == []
    attempt(boot_host.system, GOOD, LIMIT_S, check=False)
    before = boot_host.tree()
    assert not attempt(boot_host.system, GOOD, LIMIT_S, check=False).changed, "armed already"
    assert boot_host.tree() == before
    assert "init=/nonexistent" not in boot_host.boot()
    assert trial.keep(boot_host.system, check=False).changed


def test_nothing_is_confirmed_before_the_reboot(boot_host: BootHost) -> None:
    attempt(boot_host.system, GOOD, LIMIT_S, check=False)
    with pytest.raises(HostError, match="did not reboot since"):
        trial.keep(boot_host.system, check=False)


def test_taking_all_tokens_away_is_tried_as_well(boot_host: BootHost) -> None:
    loader.apply_cmdline(boot_host.system, parse_cmdline("nohz_full=1"), check=False)
    boot_host.boot()
    assert attempt(boot_host.system, [], LIMIT_S, check=False).reboot_required
    assert "nohz_full=1" not in boot_host.boot().split()
    assert trial.keep(boot_host.system, check=False).changed
    assert traces(boot_host) == []


@pytest.mark.parametrize("tried", [[], GOOD], ids=["without ours", "others"])
@pytest.mark.parametrize("booted", [False, True])
def test_a_rollback_ends_every_trial(boot_host: BootHost, tried: list[Token], booted: bool) -> None:
    """One without our tokens is what a rollback wants, but nobody comes to confirm it."""
    first = boot_host.read("proc/cmdline")
    loader.apply_cmdline(boot_host.system, parse_cmdline("nohz_full=1"), check=False)
    boot_host.boot()
    assert trial.take_away(boot_host.system, check=True).changed, "tokens of ours"
    attempt(boot_host.system, tried, LIMIT_S, check=False)
    if booted:
        boot_host.boot()
    before = boot_host.tree()
    assert trial.take_away(boot_host.system, check=True).changed and boot_host.tree() == before
    taken = trial.take_away(boot_host.system, check=False)
    assert taken.changed and taken.entries == loader.read_entries(boot_host.root)
    assert traces(boot_host) == [] and trial.state_of(boot_host.system) == trial.NONE
    assert boot_host.read("proc/sys/kernel/panic") == "0\n"
    assert not trial.take_away(boot_host.system, check=False).changed
    for which in ("the first boot", "a later one"):
        boot_host.boot()
        assert boot_host.read("proc/cmdline") == first, which


def test_when_taking_away_failed_the_host_can_still_be_asked_and_rolled_back(boot_host: BootHost) -> None:
    loader.apply_cmdline(boot_host.system, GOOD, check=False)
    boot_host.boot()
    attempt(boot_host.system, [], LIMIT_S, check=False)
    boot_host.boot()
    boot_host.boot()
    with pytest.raises(HostError, match="without our tokens"):
        trial.keep(boot_host.system, check=False)
    drift.check(boot_host.system, {"workload_protection": True})
    assert attempt(boot_host.system, [], None, check=False).changed
    boot_host.boot()
    assert "skew_tick=1" not in boot_host.read("proc/cmdline").split()


def test_a_trial_after_a_trial_falls_back_on_a_clean_line(boot_host: BootHost) -> None:
    """The running kernel still has the parameters of the first trial; the entry to fall back to has not."""
    attempt(boot_host.system, GOOD, LIMIT_S, check=False)
    boot_host.boot()
    trial.keep(boot_host.system, check=False)
    attempt(boot_host.system, BAD, LIMIT_S, check=False)
    boot_host.boot()
    line = boot_host.boot().split()
    assert "nosoftlockup" in line and not any(word.startswith(("tickwire.", "panic=", "rd.shell")) for word in line)


def test_a_running_trial_that_nobody_confirmed_is_drift(boot_host: BootHost) -> None:
    wanted = {"kernel_cmdline_extra": [str(token) for token in GOOD]}
    attempt(boot_host.system, GOOD, LIMIT_S, check=False)
    boot_host.boot()
    items = [item.item for item in drift.find_drift(boot_host.system, wanted)]
    assert "kernel command line on trial" in items
    trial.keep(boot_host.system, check=False)
    assert drift.find_drift(boot_host.system, wanted) == []


@pytest.mark.parametrize("program", ["update-grub", "grub-editenv", "systemctl"])
def test_what_fails_while_arming_leaves_the_host_as_it_was(tmp_path: Path, program: str) -> None:
    host = GrubHost(tmp_path / "root")
    loader.apply_cmdline(host.system, GOOD, check=False)
    before = default_args(host)
    host.fails[program] = 1
    with pytest.raises(HostError, match="disk full"):
        attempt(host.system, GOOD, LIMIT_S, check=False)
    assert traces(host) == [] and default_args(host) == before and trial.state_of(host.system) == trial.NONE


@pytest.mark.parametrize("name", ["debian13", "rocky9"])
def test_wherever_arming_is_cut_off_the_host_boots_and_can_be_armed_again(tmp_path: Path, name: str) -> None:
    """The host dies at each program that is run. It comes back by itself, and the role ends where it wanted to."""
    host = make(tmp_path / "root", name)
    real, copies = host.run, []

    def copying(argv: list[str]) -> tuple[int, str, str]:
        copies.append((shutil.copytree(host.root, tmp_path / f"copy{len(copies)}"), set(host.enabled)))
        return real(argv)

    host.run = copying
    attempt(host.system, GOOD, LIMIT_S, check=False)
    assert len(copies) >= 4
    for copy, enabled in copies:
        host.run, host.root, host.enabled = real, copy, enabled
        host.boot()
        state = trial.state_of(host.system)
        if state == trial.RUNNING:
            trial.keep(host.system, check=False)
        elif state == trial.FELL_BACK:
            with pytest.raises(HostError):
                attempt(host.system, GOOD, None, check=False)
            record.forget_failed(host.system)
        if attempt(host.system, GOOD, LIMIT_S, check=False).reboot_required:
            host.boot()
            trial.keep(host.system, check=False)
        assert traces(host) == [] and parse_cmdline(host.boot())[-2:] == GOOD


@pytest.mark.parametrize("name", ["debian13", "rocky9"])
def test_wherever_giving_up_is_cut_off_the_host_boots_what_ran_before(tmp_path: Path, name: str) -> None:
    host = make(tmp_path / "root", name)
    loader.apply_cmdline(host.system, GOOD, check=False)
    host.boot()
    good = host.read("proc/cmdline")
    attempt(host.system, BAD, LIMIT_S, check=False)
    host.boot()
    host.boot()
    real, copies = host.run, []

    def copying(argv: list[str]) -> tuple[int, str, str]:
        copies.append((shutil.copytree(host.root, tmp_path / f"copy{len(copies)}"), set(host.enabled)))
        return real(argv)

    host.run = copying
    with pytest.raises(HostError, match="did not come back healthy"):
        trial.keep(host.system, check=False)
    assert len(copies) >= 4
    for copy, enabled in copies:
        host.run, host.root, host.enabled = real, copy, enabled
        host.boot()
        running = read_running(host.root)
        assert without_trial(running) == parse_cmdline(good)
        assert len(running) == len(parse_cmdline(good)) or host.enabled == set(), "nothing reboots it again"
        with pytest.raises(HostError, match="did not come back healthy"):
            attempt(host.system, BAD, LIMIT_S, check=False)
        assert not attempt(host.system, GOOD, LIMIT_S, check=False).reboot_required
        host.boot()
        assert traces(host) == [] and host.read("proc/cmdline") == good


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize(("abstraction", "fs"), [("lvm", "ext2"), ("diskfilter mdraid1x", "ext2"), ("", "btrfs")])
def test_where_grub_cannot_write_there_is_no_trial(boot_host: BootHost, abstraction: str, fs: str, check: bool) -> None:
    boot_host.abstraction, boot_host.fs = abstraction, fs
    with pytest.raises(HostError, match="so it cannot boot an entry once.*roce_host_boot_trial"):
        attempt(boot_host.system, GOOD, LIMIT_S, check)
    assert traces(boot_host) == []


@pytest.mark.parametrize(("abstraction", "fs"), [("lvm", "ext2"), ("diskfilter mdraid1x", "ext2"), ("", "btrfs")])
def test_a_host_that_cannot_be_tried_is_refused_before_anything_is_written(
    boot_host: BootHost, abstraction: str, fs: str
) -> None:
    boot_host.abstraction, boot_host.fs = abstraction, fs
    before = boot_host.tree()
    for wanted, limit_s, why in (
        (
            {"kernel_cmdline_extra": ["skew_tick=1"]},
            LIMIT_S,
            "so it cannot boot an entry once.*roce_host_boot_trial to",
        ),
        ({"kernel_cmdline_extra": ["skew_tick=1"]}, 5, "trial_timeout_s '5'"),
    ):
        with pytest.raises(HostError, match=why):
            boot.check_trial(boot_host.system, wanted, limit_s)
    boot.check_trial(boot_host.system, {"hugepages": []}, LIMIT_S)
    assert boot_host.tree() == before and not [argv for argv in boot_host.ran if "-probe" not in argv[0]]


def test_taking_away_is_a_reboot_that_has_to_be_tried_too(boot_host: BootHost) -> None:
    loader.apply_cmdline(boot_host.system, GOOD, check=False)
    boot_host.boot()
    boot.check_trial(boot_host.system, {"kernel_cmdline_extra": [str(token) for token in GOOD]}, LIMIT_S)
    boot.check_trial(boot_host.system, {}, LIMIT_S)
    boot_host.abstraction = "lvm"
    boot.check_trial(boot_host.system, {"kernel_cmdline_extra": [str(token) for token in GOOD]}, LIMIT_S)
    with pytest.raises(HostError, match="so it cannot boot an entry once"):
        boot.check_trial(boot_host.system, {}, LIMIT_S)


def test_what_could_not_be_fallen_back_to_is_told_beforehand(boot_host: BootHost) -> None:
    boot_host.write("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-1.0 root=UUID=5e7b ro\n")
    with pytest.raises(HostError, match="the running kernel has no"):
        boot.check_trial(boot_host.system, {"kernel_cmdline_extra": ["skew_tick=1"]}, LIMIT_S)


def test_a_trial_that_failed_is_for_the_module_to_settle(boot_host: BootHost) -> None:
    """Refused beforehand it would never come to putting the former parameters back."""
    attempt(boot_host.system, BAD, LIMIT_S, check=False)
    boot_host.boot()
    boot_host.boot()
    boot_host.abstraction = "lvm"
    boot.check_trial(boot_host.system, {"kernel_cmdline_extra": [str(token) for token in BAD]}, LIMIT_S)


def test_a_host_that_was_rolled_back_has_no_file_of_ours_after_the_boot(every_host: BootHost) -> None:
    fresh = {name for name in every_host.tree() if "tickwire" in name}
    loader.apply_cmdline(every_host.system, GOOD, check=False)
    every_host.boot()
    attempt(every_host.system, [], None, check=False)
    left = {name for name in every_host.tree() if "tickwire" in name and (every_host.root / name).is_file()} - fresh
    assert left == {record.PASSING} and record.PASSING.startswith("run/")
    before = every_host.tree()
    attempt(every_host.system, [], None, check=False)
    assert every_host.tree() == before
    # Until then it says what a boot on trial without the parameters would go back to.
    attempt(every_host.system, [], None, check=False)
    trial.next_boot(every_host.system, LIMIT_S, GUARD, check=False)
    assert (every_host.root / record.RECORD).exists() and not (every_host.root / record.PASSING).exists()
    every_host.boot()
    every_host.boot()
    with pytest.raises(HostError, match="did not come back healthy"):
        trial.keep(every_host.system, check=False)
    assert record.tokens_of(record.read_record(every_host.system).tokens) == GOOD


def test_a_limit_that_no_boot_can_keep_is_refused(tmp_path: Path) -> None:
    host = GrubHost(tmp_path / "root")
    with pytest.raises(HostError, match="trial_timeout_s '5'"):
        attempt(host.system, GOOD, 5, check=False)
    assert traces(host) == []


def test_a_bls_host_with_a_fixed_default_has_no_trial(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    host.write("boot/grub2/grub.cfg", 'set default="0"\n')
    with pytest.raises(HostError, match="does not take its default from the environment block"):
        attempt(host.system, GOOD, LIMIT_S, check=False)
    assert traces(host) == []


def test_a_bls_host_whose_default_is_not_ours_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    host = BlsHost(tmp_path / "root")
    rescue = next(name for name in host.names() if "rescue" in name)
    host.set_environment({**host.environment(), "saved_entry": rescue})
    with pytest.raises(HostError, match="the default entry is none that carries our tokens"):
        trial.check_able(host.system, GOOD, LIMIT_S)
    assert traces(host) == []


def test_a_kernel_that_was_removed_is_nothing_to_fall_back_to(boot_host: BootHost) -> None:
    boot_host.write("proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz-1.0 root=UUID=5e7b ro\n")
    with pytest.raises(HostError, match="the running kernel has no"):
        attempt(boot_host.system, GOOD, LIMIT_S, check=False)
    assert traces(boot_host) == []


def test_a_default_by_name_is_what_is_tried(tmp_path: Path) -> None:
    host = GrubHost(tmp_path / "root")
    host.write("etc/default/grub", 'GRUB_DEFAULT="gnulinux-advanced>x y"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    host.update_grub()
    attempt(host.system, GOOD, LIMIT_S, check=False)
    assert host.environment()["next_entry"] == "gnulinux-advanced>x y"
    assert fallback_grub.default_spec('set default="${saved_entry}"', {"saved_entry": "3"}) == "3"
    assert fallback_grub.default_spec("", {}) == "0"


def test_the_way_back_is_the_running_line_to_the_letter(tmp_path: Path) -> None:
    host = GrubHost(tmp_path / "root")
    host.started(f"/boot/vmlinuz-{host.kernel}", 'root=UUID=5e7b ro quiet dyndbg="file x.c +p"')
    text = fallback_grub.script_text(host.read(grub.GRUB_CFG), read_running(host.root))
    [entry] = grub.parse_menu("### BEGIN /etc/grub.d/11_tickwire-previous ###\n" + text)
    assert entry.tokens == tuple(read_running(host.root)[1:])
    assert not entry.ours


def test_a_damaged_record_says_what_to_do(tmp_path: Path) -> None:
    host = GrubHost(tmp_path / "root")
    for text in ("{", '{"x": 1}'):
        host.write(record.RECORD, text)
        with pytest.raises(HostError, match="it is damaged.*Remove it"):
            trial.state_of(host.system)
