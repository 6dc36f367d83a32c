# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role made of the hosts, step by step: files/host.py kept it after each."""

from __future__ import annotations

import json
from typing import Any

# Asked straight: testinfra's way through Ansible starts one for every question.
testinfra_hosts = ["podman://host-bookworm", "podman://host-trixie"]

ISOLATION = {"nohz_full=1", "rcu_nocbs=1", "irqaffinity=0"}
PAGES = "hugepagesz=1G hugepages=1 hugepagesz=2M hugepages=64"


def state(host: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output(f"cat /opt/states/{name}.json"))
    return found


def test_every_entry_but_recovery_has_the_parameters_in_their_order(host: Any) -> None:
    entries = state(host, "converged")["linux"]
    assert len(entries) == 3
    ours = [entry for entry in entries if "single" not in entry.split()]
    assert len(ours) == 2
    for entry in ours:
        assert {*ISOLATION, "skew_tick=1"} <= set(entry.split())
        assert PAGES in entry


def test_the_way_in_stays_without_them(host: Any) -> None:
    [recovery] = [entry for entry in state(host, "converged")["linux"] if "single" in entry.split()]
    assert not {*ISOLATION, "skew_tick=1"} & set(recovery.split())


def test_hugepages_are_there_and_stay_over_a_boot(host: Any) -> None:
    converged = state(host, "converged")
    assert (converged["pages_2m"], converged["pages_1g"]) == ("64", "0")
    assert "hugepages-2048kB/nr_hugepages - - - - 64" in converged["kept_pages"]


def test_interrupts_leave_the_isolated_cpu(host: Any) -> None:
    converged = state(host, "converged")
    assert converged["irq_24"] == "0"
    assert int(converged["default_irq"].replace(",", ""), 16) == 1


def test_the_boot_brings_the_parameters(host: Any) -> None:
    assert ISOLATION <= set(state(host, "booted")["cmdline"].split())


def test_a_change_of_intent_replaces_what_was_there(host: Any) -> None:
    changed = state(host, "changed")
    assert (changed["pages_2m"], changed["pages_1g"]) == ("32", "1")
    for entry in changed["linux"]:
        assert "skew_tick=1" not in entry.split() and PAGES not in entry
    assert "skew_tick=0" in changed["linux"][0].split()


def test_nothing_wanted_leaves_the_host_as_it_was(host: Any) -> None:
    removed = state(host, "removed")
    assert (removed["drop_in"], removed["kept_pages"]) == ("", "")
    assert (removed["pages_2m"], removed["pages_1g"]) == ("0", "0")
    for entry in removed["linux"]:
        assert not {*ISOLATION, "skew_tick=0", "skew_tick=1"} & set(entry.split())


def test_the_way_back_leaves_no_setting_of_the_role(host: Any) -> None:
    """Directories stay, and of the kernel's files this is no kernel to judge by."""
    kernel = ("/proc/", "/sys/")
    left = {
        name: [path for path in state(host, name)["left_files"] if not path.startswith(kernel)]
        for name in ("converged", "pending", "rolled_back")
    }
    told = {"/etc/default/grub.d/zz-tickwire.cfg", "/var/lib/tickwire/kernel-cmdline.json"}
    assert told <= set(left["converged"]), "the picture tells"
    assert left["pending"] == left["rolled_back"] == [], left


def test_what_ran_before_is_known_until_the_boot_that_takes_it_away(host: Any) -> None:
    """A boot on trial without the parameters would go back to it."""
    assert state(host, "pending")["until_boot"] == ["/run/tickwire-kernel-cmdline.json"]
    assert state(host, "rolled_back")["until_boot"] == []
