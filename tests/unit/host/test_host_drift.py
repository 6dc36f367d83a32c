"""Running state against what is wanted: drift, what waits for the reboot, and refusals."""

from __future__ import annotations

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift, grub, hugepages
from ansible_collections.tickwire.fabric.plugins.module_utils.host.before import write_before
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

PAGES = [{"size": "2M", "count": 64, "node": 0}]
RUNNING = "isolcpus=managed_irq,domain,1 nohz_full=1 rcu_nocbs=1 irqaffinity=0"


def report(host: Host, **wanted: object) -> dict:
    return drift.report(System(host.root, host.run_nothing), wanted or {"isolated_cpus": "1", "hugepages": PAGES})


def done(host: Host) -> None:
    """The host after a whole run."""
    host.boots(RUNNING, isolated="1", nohz_full="1")
    host.pool(0, "2M", 64)
    host.write(hugepages.DROP_IN, hugepages.render_drop_in({(0, "2M"): 64}))
    host.write("proc/irq/default_smp_affinity", "1\n")
    host.irq(0, "0-1", "timer", "0", writable=False)
    host.irq(24, "0", "virtio0-input.0", "0")


def test_a_fresh_host_lists_everything(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    before = host.tree()
    found = report(host)
    assert host.tree() == before
    assert found["reboot_required"]
    assert found["wanted_tokens"] == RUNNING.split()
    assert [(item["item"], item["wanted"], item["found"], item["pending_reboot"]) for item in found["drift"]] == [
        ("kernel command line isolcpus", "isolcpus=managed_irq,domain,1", "", True),
        ("kernel command line nohz_full", "nohz_full=1", "", True),
        ("kernel command line rcu_nocbs", "rcu_nocbs=1", "", True),
        ("kernel command line irqaffinity", "irqaffinity=0", "", True),
        ("/sys/devices/system/cpu/isolated", "1", "", True),
        ("/sys/devices/system/cpu/nohz_full", "1", "", True),
        ("default interrupt affinity", "0", "0-1", False),
        ("IRQ 24 (virtio0-input.0)", "0", "0-1", False),
        ("hugepages 2M on node 0", "64", "0", False),
        ("/etc/tmpfiles.d/tickwire-hugepages.conf", "hugepages 2M on node 0: 64", "nothing", False),
    ]


def test_a_host_that_is_as_wanted_has_no_drift(host: Host) -> None:
    done(host)
    found = report(host)
    assert found["drift"] == [] and not found["reboot_required"]
    assert found["running"]["isolated_cpus"] == "1"
    assert found["running"]["hugepages"] == [
        {"node": 0, "size": "2M", "count": 64},
        {"node": 0, "size": "1G", "count": 0},
    ]


def test_a_kernel_that_ignores_a_token_is_no_pending_reboot(host: Host) -> None:
    """A kernel without NO_HZ_FULL has the token on its command line and does nothing with it."""
    done(host)
    host.boots(RUNNING, isolated="1", nohz_full="(null)")
    found = report(host)
    assert not found["reboot_required"]
    [item] = found["drift"]
    assert item["message"] == "/sys/devices/system/cpu/nohz_full: wanted '1', found ''"
    assert not item["pending_reboot"]


@pytest.mark.parametrize(
    ("path", "text", "item", "found"),
    [
        (
            "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages",
            "40\n",
            "hugepages 2M on node 0",
            "40",
        ),
        ("proc/irq/24/smp_affinity_list", "0-1\n", "IRQ 24 (virtio0-input.0)", "0-1"),
        ("proc/irq/default_smp_affinity", "00000000,00000003\n", "default interrupt affinity", "0-1"),
        ("sys/devices/system/cpu/isolated", "\n", "/sys/devices/system/cpu/isolated", ""),
    ],
)
def test_each_thing_that_drifts_is_named(host: Host, path: str, text: str, item: str, found: str) -> None:
    done(host)
    host.write(path, text)
    [single] = report(host)["drift"]
    assert (single["item"], single["found"], single["pending_reboot"]) == (item, found, False)


def test_tokens_taken_away_make_a_reboot_due(host: Host) -> None:
    done(host)
    found = report(host, isolated_cpus="")
    assert found["drift"] == [] and found["reboot_required"]


def test_a_host_that_cannot_be_as_wanted_is_refused(host: Host) -> None:
    with pytest.raises(HostError, match="CPU 2 does not exist"):
        report(host, isolated_cpus="2")
    with pytest.raises(HostError, match="no such node"):
        report(host, hugepages=[{"size": "2M", "count": 1, "node": 9}])
    (host.root / grub.UPDATE_GRUB).unlink()
    with pytest.raises(HostError, match="/usr/sbin/update-grub"):
        report(host, isolated_cpus="1")
    assert report(host, isolated_cpus="")["drift"] == []


@pytest.mark.parametrize(
    ("owner", "part"),
    [("nic", "nic"), ("dcb", "dcb"), ("dcb firmware agents", "dcb"), ("roce", "roce"), ("nic_firmware", "firmware")],
)
def test_a_part_of_which_something_is_kept_is_named(host: Host, owner: str, part: str) -> None:
    assert part not in report(host)["kept"]
    write_before(System(host.root, host.run_nothing), owner, {"a": "1"})
    assert part in report(host)["kept"]


def test_what_was_set_of_firmware_on_this_boot_is_something_kept(host: Host) -> None:
    host.write("var/lib/tickwire/nic-firmware.json", '{"0000:3b:00.0": {"boot_id": "b", "settings": {}}}')
    assert "firmware" in report(host)["kept"]


def test_the_other_parts_are_always_asked(host: Host) -> None:
    assert report(host)["kept"] == ["boot", "isolation", "irq", "hugepages", "memory", "noise", "agent"]
