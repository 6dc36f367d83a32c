"""The command line of the next boot: drop-in, update-grub, read-back, reboot_required, check mode."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import grub
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import loader
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import Token, parse_cmdline, parse_wanted
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import wanted_tokens
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

WANTED = parse_cmdline("isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0")
RUNNING = "isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0"


def test_first_run_writes_the_drop_in_and_reads_every_entry_back(host: Host) -> None:
    result = grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    assert result.changed and result.reboot_required
    assert host.ran == [["/usr/sbin/update-grub"]]
    path = host.root / grub.DROP_IN
    assert path.stat().st_mode & 0o7777 == 0o644
    assert path.read_text().startswith("# Written by tickwire")
    assert [(entry.title, entry.ours) for entry in result.entries] == [
        ("Debian GNU/Linux", True),
        ("Debian GNU/Linux, with Linux 6.12.48+deb13-amd64", True),
        ("Debian GNU/Linux, with Linux 6.12.48+deb13-amd64 (recovery mode)", False),
        ("Somebody's other Linux", False),
    ]
    assert result.entries[0].tokens[-5:] == (parse_cmdline("quiet")[0], *WANTED)
    assert [entry.name for entry in path.parent.iterdir()] == ["zz-tickwire.cfg"], "no temporary file is left"


def test_second_run_changes_nothing_and_runs_nothing(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    before = host.tree()
    result = grub.apply_cmdline(host.root, host.run_nothing, WANTED, check=False)
    assert not result.changed
    assert host.tree() == before
    assert result.reboot_required, "the running kernel still has not the tokens"
    host.boots(RUNNING)
    assert not grub.apply_cmdline(host.root, host.run_nothing, WANTED, check=False).reboot_required


def test_check_mode_writes_nothing_on_a_fresh_host(host: Host) -> None:
    before = host.tree()
    result = grub.apply_cmdline(host.root, host.run_nothing, WANTED, check=True)
    assert host.tree() == before
    assert result.changed and result.reboot_required
    assert result.before == [] and result.after == WANTED


def test_check_mode_writes_nothing_when_tokens_go_away(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    host.boots(RUNNING)
    before = host.tree()
    result = grub.apply_cmdline(host.root, host.run_nothing, [], check=True)
    assert host.tree() == before
    assert result.changed and result.reboot_required


def test_absent_removes_the_drop_in_and_waits_for_the_reboot(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    host.boots(RUNNING)
    result = grub.apply_cmdline(host.root, host.run, [], check=False)
    assert result.changed and result.reboot_required
    assert result.before == WANTED and result.after == []
    assert not (host.root / grub.DROP_IN).exists()
    assert "isolcpus" not in host.read("boot/grub/grub.cfg")
    again = grub.apply_cmdline(host.root, host.run_nothing, [], check=False)
    assert not again.changed and again.reboot_required, "the running kernel is still the old one"
    host.boots()
    assert not grub.apply_cmdline(host.root, host.run_nothing, [], check=False).reboot_required


def test_a_single_token_that_goes_away_needs_a_reboot(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, [*WANTED, *parse_cmdline("skew_tick=1")], check=False)
    host.boots(RUNNING + " skew_tick=1")
    result = grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    assert result.changed and result.reboot_required


def test_nothing_wanted_on_a_host_without_grub_is_no_error(host: Host) -> None:
    (host.root / grub.UPDATE_GRUB).unlink()
    (host.root / grub.GRUB_CFG).unlink()
    result = grub.apply_cmdline(host.root, host.run_nothing, [], check=False)
    assert not result.changed and not result.reboot_required


def test_isolation_by_hand_in_the_same_boot_menu_is_not_ours(host: Host) -> None:
    host.write("etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet isolcpus=1"\n')
    host.update_grub()
    host.boots("isolcpus=1")
    assert not grub.apply_cmdline(host.root, host.run_nothing, [], check=False).reboot_required


def test_an_interrupted_run_is_finished(host: Host) -> None:
    """The drop-in is right and update-grub never ran."""
    host.write(grub.DROP_IN, grub.render_drop_in(WANTED))
    result = grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    assert result.changed and len(host.ran) == 1
    assert not grub.stale_entries(grub.read_menu(host.root), WANTED)


def test_a_wrong_mode_is_set_right(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    (host.root / grub.DROP_IN).chmod(0o600)
    assert grub.apply_cmdline(host.root, host.run, WANTED, check=False).changed
    assert (host.root / grub.DROP_IN).stat().st_mode & 0o7777 == 0o644


def test_a_contradicting_token_of_another_file_fails_and_is_rolled_back(host: Host) -> None:
    host.write("etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet isolcpus=2"\n')
    host.update_grub()
    before = host.read(grub.GRUB_CFG)
    with pytest.raises(HostError, match="found 'isolcpus=2 isolcpus=managed_irq,domain,1'") as caught:
        grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    assert "boot menu entry 'Debian GNU/Linux'" in str(caught.value)
    assert "/etc/default/grub" in str(caught.value)
    assert not (host.root / grub.DROP_IN).exists()
    assert host.read(grub.GRUB_CFG) == before


def test_a_failing_update_grub_puts_the_former_drop_in_back(host: Host) -> None:
    grub.apply_cmdline(host.root, host.run, WANTED, check=False)
    old = host.read(grub.DROP_IN)
    host.update_grub_rc = 1
    with pytest.raises(HostError, match="update-grub 'exit 1': it failed: disk full"):
        grub.apply_cmdline(host.root, host.run, parse_cmdline("nohz_full=1"), check=False)
    assert host.read(grub.DROP_IN) == old


def test_an_update_grub_that_writes_elsewhere_is_noticed(host: Host) -> None:
    host.grub_writes = False
    with pytest.raises(HostError, match="does not carry the wanted tokens"):
        grub.apply_cmdline(host.root, host.run, WANTED, check=False)


def test_quoted_values_pass_the_shell_and_the_menu(host: Host) -> None:
    wanted = parse_wanted(['dyndbg="file x.c +p; file y.c +p"', "a=b;c", "skew_tick=1"])
    result = grub.apply_cmdline(host.root, host.run, wanted, check=False)
    assert list(result.entries[0].tokens[-3:]) == wanted
    assert grub.parse_drop_in(host.read(grub.DROP_IN)) == wanted


def test_tokens_that_an_interrupted_removal_left_are_taken_away(host: Host) -> None:
    """The drop-in is gone and update-grub never ran: the entries still have them."""
    loader.apply_cmdline(System(host.root, host.run), WANTED, check=False)
    (host.root / grub.DROP_IN).unlink()
    result = loader.apply_cmdline(System(host.root, host.run), [], check=False)
    assert result.changed and "isolcpus" not in host.read(grub.GRUB_CFG)
    assert not loader.apply_cmdline(System(host.root, host.run_nothing), [], check=False).changed


def test_other_hosts_are_refused_with_the_reason(host: Host) -> None:
    (host.root / grub.UPDATE_GRUB).unlink()
    with pytest.raises(HostError, match="Install grub2-common"):
        loader.apply_cmdline(System(host.root, host.run_nothing), WANTED, check=False)
    assert not (host.root / grub.DROP_IN).exists()


def wanted(host: Host, isolated_cpus: str, extra: list[str]) -> list[Token]:
    system = System(host.root, host.run_nothing)
    return wanted_tokens(system, {"isolated_cpus": isolated_cpus, "kernel_cmdline_extra": extra})


def test_isolated_cpus_become_tokens(host: Host) -> None:
    host.cpus(8)
    tokens = wanted(host, "2-3,5", ["skew_tick=1"])
    assert [str(token) for token in tokens] == [
        "isolcpus=managed_irq,domain,2-3,5",
        "nohz_full=2-3,5",
        "rcu_nocbs=2-3,5",
        "irqaffinity=0-1,4,6-7",
        "skew_tick=1",
    ]


@pytest.mark.parametrize(
    ("cpus", "reason"),
    [
        ("0", "isolated_cpus '0': CPU 0 stays a housekeeping CPU"),
        ("0,1", "isolated_cpus '0,1': these are all CPUs of the host"),
        ("1-3", "isolated_cpus '1-3': CPU 2-3 does not exist, this host has 0-1"),
        ("4-N", "isolated_cpus '4-N': CPU list '4-N': '4-N' is neither"),
    ],
)
def test_cpus_that_cannot_be_isolated(host: Host, cpus: str, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        wanted(host, cpus, [])


def test_a_derived_token_cannot_be_given_as_well(host: Host) -> None:
    with pytest.raises(HostError, match="'nohz_full=1': nohz_full is derived from isolated_cpus '1'"):
        wanted(host, "1", ["nohz_full=1"])
    assert [str(token) for token in wanted(host, "", ["nohz_full=1"])] == ["nohz_full=1"]
