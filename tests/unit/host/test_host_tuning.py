"""Boot parameters by name: what fits the host, the user's own token wins, and warnings."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import tuning
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import parse_wanted
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import boot
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host


def test_what_does_not_fit_the_host_is_left_out(host: Host) -> None:
    host.write("proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\n")
    found = tuning.tuning_tokens(host.root, tuning.LATENCY, [], [])
    assert found == [
        "processor.max_cstate=1",
        "rcupdate.rcu_normal_after_boot=1",
        "skew_tick=1",
        "nosoftlockup",
        "nmi_watchdog=0",
    ]
    host.write("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n")
    host.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n")
    host.write("sys/module/rcutree/parameters/nohz_full_patience_delay", "0\n")
    more = set(tuning.tuning_tokens(host.root, tuning.LATENCY, [], [])) - set(found)
    assert more == {"intel_idle.max_cstate=0", "rcutree.nohz_full_patience_delay=1000", "tsc=reliable"}
    host.write("sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet\n")
    assert "tsc=reliable" not in tuning.tuning_tokens(host.root, ["tsc"], [], [])


def test_the_users_own_token_wins(host: Host) -> None:
    assert tuning.tuning_tokens(host.root, ["watchdogs"], [], ["nmi-watchdog=1"]) == ["nosoftlockup"]
    wanted = {"kernel_cmdline_extra": ["idle=halt"], "kernel_cmdline_dangerous": ["idle_poll", "nosmt"]}
    assert [str(token) for token in boot.tokens(System(host.root, host.run), wanted)] == ["idle=halt", "nosmt"]


def test_every_dangerous_one_is_a_token_and_says_what_it_takes(host: Host) -> None:
    found = tuning.tuning_tokens(host.root, [], tuning.DANGEROUS, [])
    assert [str(token) for token in parse_wanted(found)] == found
    said = tuning.warnings(tuning.DANGEROUS)
    for text, line in zip(found, said, strict=True):
        assert f"({text}): " in line


@pytest.mark.parametrize("given", [(["on"], []), ([], ["tick"])])
def test_an_unknown_name_is_refused(host: Host, given: tuple[list[str], list[str]]) -> None:
    with pytest.raises(HostError, match="it is none of"):
        tuning.tuning_tokens(host.root, *given, [])


@pytest.mark.parametrize("item", ["True", "False", "None", "mce=False", "skew_tick=True"])
def test_what_yaml_makes_of_on_and_off_is_refused(item: str) -> None:
    with pytest.raises(ValueError, match="YAML makes this of a bare on, off"):
        parse_wanted([item])
