"""Interrupts and packet steering: sets, managed interrupts by either error, what is kept, NICs, check mode."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host import irq, irq_affinity, irq_plan, irq_state
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cpulist import format_cpu_mask, parse_cpu_mask
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import Write, write_text
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import irq as parts_irq
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

WANTED = {"isolated_cpus": "1"}
STEERED = {"isolated_cpus": "1", "nics": [{"name": "fab0", "queue_cpus": [{"queue": 0, "cpus": "1"}]}]}


def no_write(path: Path, text: str) -> None:
    raise AssertionError(f"{path} was written where nothing may be")


def refuse(number: int, code: int) -> Write:
    """A kernel that refuses to move one interrupt with the error."""

    def write(path: Path, text: str) -> None:
        if path.parent.name == str(number):
            raise OSError(code, "refused")
        write_text(path, text)

    return write


def system(host: Host, write: Write = write_text) -> System:
    return System(host.root, host.run_nothing, write)


def apply(
    host: Host, write: Write = write_text, check: bool = False, wanted=WANTED, interface: str = ""
) -> irq_affinity.IrqResult:
    return irq_affinity.apply_irq_affinity(system(host, write), wanted, check, interface)


def labels(result: irq_affinity.IrqResult) -> list[str]:
    return [entry.label for entry in result.moved]


def strayed(host: Host, wanted=WANTED) -> list[str]:
    return [drift.item for drift in irq_affinity.drift(system(host), wanted)]


@pytest.fixture
def nic(host: Host) -> Host:
    """fab0 is a virtio NIC: its interrupts 30 to 32 are those of the PCI device above it."""
    pci = host.root / "sys/devices/pci0000:00/0000:00:04.0"
    host.write("sys/devices/pci0000:00/0000:00:04.0/virtio3/driver_override", "")
    for number in (30, 31, 32):
        host.write(f"sys/devices/pci0000:00/0000:00:04.0/msi_irqs/{number}", "msix\n")
    host.write("sys/class/net/fab0/flags", "0x1003\n")
    (host.root / "sys/class/net/fab0/device").symlink_to(pci / "virtio3")
    host.write("sys/class/net/fab0/queues/rx-0/rps_cpus", "0\n")
    host.write("sys/class/net/fab0/queues/tx-0/xps_cpus", "0\n")
    host.write("sys/class/net/lo/queues/rx-0/rps_cpus", "0\n")
    host.write(irq_affinity.DEFAULT_AFFINITY, "1\n")
    host.irq(30, "0", "virtio3-config", "0")
    host.irq(31, "0", "virtio3-input.0", "0")
    host.irq(32, "0", "virtio3-output.0", "0")
    host.irq(33, "0-1", "virtio0-input", "0")
    return host


def test_interrupts_and_the_default_move_to_the_housekeeping_cpus_once(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(25, "1", "virtio0-output.0", "1")
    host.irq(26, "0", "virtio1-input.0", "0")
    result = apply(host)
    assert labels(result) == ["default interrupt affinity", "IRQ 24 (virtio0-input.0)", "IRQ 25 (virtio0-output.0)"]
    assert all(entry.wanted == {0} for entry in result.moved)
    assert host.read("proc/irq/25/smp_affinity_list") == "0"
    assert host.read(irq_affinity.DEFAULT_AFFINITY) == "1" and result.default == {0}
    before = host.tree()
    assert not apply(host, no_write).changed
    assert host.tree() == before


def test_check_mode_writes_nothing(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    before = host.tree()
    result = apply(host, no_write, check=True)
    assert result.changed and "IRQ 24 (virtio0-input.0)" in labels(result)
    assert host.tree() == before


def test_nothing_wanted_is_nothing_to_do(host: Host) -> None:
    host.irq(24, "0-1")
    before = host.tree()
    for wanted in ({}, {"isolated_cpus": ""}, {"isolated_cpus": "", "nics": [{"name": "nosuch0"}]}):
        assert not apply(host, no_write, wanted=wanted).changed
        assert strayed(host, wanted) == []
    assert host.tree() == before


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM])
def test_managed_interrupts_are_reported_and_kept_in_run(host: Host, code: int) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(40, "0-1", "nvme0q1", "1")
    result = apply(host, refuse(40, code))
    assert "IRQ 24 (virtio0-input.0)" in labels(result)
    assert [str(entry) for entry in result.unmovable] == ["IRQ 40 (nvme0q1)"]
    assert json.loads(host.read(irq_state.FILE))["unmovable"] == {"40": "nvme0q1"}
    assert strayed(host) == [], "verify and the timer know it without an attempt"
    before = host.tree()
    again = apply(host, refuse(40, code))
    assert not again.changed, "what cannot be moved is no change"
    assert [entry.number for entry in again.unmovable] == [40]
    checked = apply(host, no_write, check=True)
    assert not checked.changed and [entry.number for entry in checked.unmovable] == [40]
    assert host.tree() == before
    host.irq(40, "0-1", "eth9-rx-0", "1")
    assert strayed(host) == ["IRQ 40 (eth9-rx-0)"], "the number is another interrupt's now"


def test_check_mode_keeps_nothing_in_run(host: Host) -> None:
    host.irq(40, "0-1", "nvme0q1", "1")
    apply(host, no_write, check=True)
    assert not (host.root / "run").exists()


def test_a_damaged_file_of_what_is_known_is_none(host: Host) -> None:
    for text in ("{", "[]", '{"unmovable": 3}', '{"unmovable": {}, "before": {"a": 1}, "plan": ""}'):
        host.write(irq_state.FILE, text)
        assert irq_state.read_state(system(host)) is None


def test_a_read_only_file_says_that_it_cannot_be_moved(host: Host) -> None:
    write_text(host.root / irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(0, "0-1", "timer", "0", writable=False)
    result = apply(host, no_write)
    assert not result.changed
    assert [str(entry) for entry in result.unmovable] == ["IRQ 0 (timer)"]


def test_another_refusal_fails_with_the_interrupt_and_puts_back_what_was_moved(host: Host) -> None:
    host.irq(23, "0-1", "virtio0-config", "1")
    host.irq(24, "0-1", "virtio0-input.0", "1")
    with pytest.raises(HostError, match=r"IRQ 24 \(virtio0-input.0\) '0': the kernel refuses these CPUs: refused"):
        apply(host, refuse(24, errno.ENOSPC))
    assert host.read("proc/irq/23/smp_affinity_list") == "0-1"
    assert host.read(irq_affinity.DEFAULT_AFFINITY) == "3"
    assert not (host.root / irq_state.FILE).exists()


def test_what_does_not_read_back_fails(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")

    def forget(path: Path, text: str) -> None:
        if path.name == "default_smp_affinity":
            write_text(path, text)

    with pytest.raises(HostError, match="CPUs '0-1' read back.*irqbalance"):
        apply(host, forget)
    with pytest.raises(HostError, match="default interrupt affinity '0'"):
        host.write(irq_affinity.DEFAULT_AFFINITY, "00000000,00000003\n")
        apply(host, lambda path, text: None)


def test_a_reader_knows_the_unmovable_by_the_kernels_file_modes(host: Host) -> None:
    write_text(host.root / irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(0, "0-1", "timer", "0", writable=False)
    host.irq(24, "0-1", "virtio0-input.0", "0")
    assert strayed(host) == ["IRQ 24 (virtio0-input.0)"], "where modes tell, the affinity counts"


def test_a_reader_on_an_older_kernel_looks_where_interrupts_fire_until_somebody_tried(host: Host) -> None:
    write_text(host.root / irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(0, "0-1", "timer", "0")
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(25, "0-1", "virtio0-output.0", "")
    known = ["IRQ 24 (virtio0-input.0)", "IRQ 25 (virtio0-output.0)"]
    assert strayed(host) == known
    assert labels(apply(host, no_write, check=True)) == known, "check mode foretells by the same rule"
    apply(host, refuse(0, errno.EIO))
    host.irq(24, "0-1", "virtio0-input.0", "0")
    assert strayed(host) == known[:1], "now it is known which one cannot be moved"


def test_an_interrupt_that_vanishes_is_left_out(host: Host) -> None:
    write_text(host.root / irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(24, "0-1", "virtio0-input.0", "1")
    (host.root / "proc/irq/30").mkdir()

    def vanish(path: Path, text: str) -> None:
        raise FileNotFoundError(path)

    result = apply(host, vanish)
    assert result.moved == [] and result.unmovable == []


def test_an_interrupt_that_nobody_uses_is_left_alone(host: Host) -> None:
    write_text(host.root / irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(12, "0-1", "", "0")
    host.irq(13, "0-1", "", "", writable=False)
    result = apply(host, no_write)
    assert not result.changed and result.unmovable == []
    assert strayed(host) == []
    # A kernel without the list of users does not say so: then it counts.
    (host.root / "sys/kernel/irq/12/actions").unlink()
    assert strayed(host) == ["IRQ 12"]


def test_what_was_moved_goes_back_when_nothing_is_isolated_any_more(nic: Host) -> None:
    nic.irq(32, "1", "virtio3-output.0", "1")
    nic.write("sys/class/net/fab0/queues/tx-0/xps_cpus", "3\n")
    apply(nic)
    assert nic.read("proc/irq/33/smp_affinity_list") == "0"
    back = apply(nic, wanted={"isolated_cpus": ""})
    assert labels(back) == ["IRQ 32 (virtio3-output.0)", "IRQ 33 (virtio0-input)", "XPS of fab0 tx-0"]
    assert nic.read("proc/irq/32/smp_affinity_list") == "1" and nic.read("proc/irq/33/smp_affinity_list") == "0-1"
    assert not (nic.root / irq_state.FILE).exists()
    assert not apply(nic, no_write, wanted={"isolated_cpus": ""}).changed


def test_fewer_isolated_cpus_give_back_only_those(host: Host) -> None:
    host.cpus(4)
    host.write(irq_affinity.DEFAULT_AFFINITY, "1")
    host.irq(24, "0-3", "eth0-rx-0", "0")
    apply(host, wanted={"isolated_cpus": "2-3"})
    assert host.read("proc/irq/24/smp_affinity_list") == "0-1"
    host.write("proc/irq/24/smp_affinity_list", "0\n")
    assert not apply(host, no_write, wanted={"isolated_cpus": "2-3"}).changed, "where among the others is not ours"
    apply(host, wanted={"isolated_cpus": "3"})
    assert host.read("proc/irq/24/smp_affinity_list") == "0-2"


def test_the_interrupts_of_a_nic_are_those_of_its_device_or_of_the_one_above(nic: Host) -> None:
    assert irq.nic_irqs(system(nic), "fab0") == {30, 31, 32}
    assert irq.nic_irqs(system(nic), "lo") == set(), "it has no device"
    nic.write("sys/devices/pci0000:00/0000:00:05.0/irq", "11\n")
    (nic.root / "sys/class/net/eth1").mkdir()
    (nic.root / "sys/class/net/eth1/device").symlink_to(nic.root / "sys/devices/pci0000:00/0000:00:05.0")
    assert irq.nic_irqs(system(nic), "eth1") == {11}, "a device without MSI has one line"
    assert irq.interfaces(system(nic)) == ["fab0", "lo"]


@pytest.mark.parametrize(
    ("actions", "queue"),
    [
        ("virtio2-input.0", 0),
        ("virtio12-output.13", 13),
        ("virtio2-config", None),
        ("eth0-TxRx-3", 3),
        ("ice-ens4f0np0-TxRx-10", 10),
        ("i40e-enp3s0f0-TxRx-0", 0),
        ("mlx5_comp7@pci:0000:3b:00.1", 7),
        ("mlx5_async0@pci:0000:3b:00.1", None),
        ("bnxt_en: eth1-TxRx-2", 2),
        ("eth0-rx-5", 5),
        ("eth0", None),
        ("ens5-Tx-Rx-1", 1),
        ("enp1s0f0np0-3", 3),
        ("enp1s0f0np0-xdp-3", None),
        ("enp1s0f0np0-ptp", None),
    ],
)
def test_the_queue_of_an_interrupt_by_the_names_that_drivers_give(actions: str, queue: int | None) -> None:
    assert irq.Irq(1, frozenset(), frozenset(), actions, True).queue == queue


def test_one_queue_is_steered_to_an_isolated_cpu_and_the_others_stay_off(nic: Host) -> None:
    assert labels(apply(nic, wanted=STEERED)) == [
        "IRQ 31 (virtio3-input.0)",
        "IRQ 32 (virtio3-output.0)",
        "IRQ 33 (virtio0-input)",
    ]
    assert nic.read("proc/irq/31/smp_affinity_list") == "1" and nic.read("proc/irq/30/smp_affinity_list") == "0\n"
    assert strayed(nic, STEERED) == []
    assert strayed(nic) == ["IRQ 31 (virtio3-input.0)", "IRQ 32 (virtio3-output.0)"]
    apply(nic, wanted=WANTED)
    assert nic.read("proc/irq/31/smp_affinity_list") == "0", "it goes back where it was"


def test_a_queue_without_an_interrupt_is_drift_while_the_interface_is_up(nic: Host) -> None:
    wanted = {"isolated_cpus": "", "nics": [{"name": "fab0", "queue_cpus": [{"queue": 7, "cpus": "1"}]}]}
    assert strayed(nic, wanted) == ["queue 7 of fab0"]
    nic.write("sys/class/net/fab0/flags", "0x1002\n")
    assert strayed(nic, wanted) == []


def test_after_ifup_only_the_interface_is_set_again(nic: Host) -> None:
    apply(nic)
    assert irq_affinity.reapply(system(nic, no_write), WANTED, "fab0") == []
    for number in (31, 33):
        nic.write(f"proc/irq/{number}/smp_affinity_list", "0-1\n")
    nic.write("sys/class/net/fab0/queues/tx-0/xps_cpus", "2\n")
    nic.write("sys/class/net/lo/queues/rx-0/rps_cpus", "3\n")
    assert irq_affinity.reapply(system(nic), WANTED, "fab0") == [
        "IRQ 31 (virtio3-input.0): CPUs '0-1' to '0'",
        "XPS of fab0 tx-0: CPUs '1' to ''",
    ]
    assert nic.read("proc/irq/33/smp_affinity_list") == "0-1\n", "that is another interface's"
    assert irq_affinity.reapply(system(nic), WANTED) == [
        "IRQ 33 (virtio0-input): CPUs '0-1' to '0'",
        "RPS of lo rx-0: CPUs '0-1' to '0'",
    ]


def test_the_agent_brings_back_the_defaults_and_other_devices_too(nic: Host) -> None:
    nic.write(irq_affinity.DEFAULT_AFFINITY, "3\n")
    assert parts_irq.PART.reapply is not None
    assert parts_irq.PART.reapply(system(nic), WANTED, "fab0") == [
        "default interrupt affinity: CPUs '0-1' to '0'",
        "IRQ 33 (virtio0-input): CPUs '0-1' to '0'",
    ]
    assert parts_irq.PART.reapply(system(nic, no_write), WANTED, "fab0") == []


def test_rps_and_xps_keep_housekeeping_cpus_only(nic: Host) -> None:
    nic.cpus(40)
    nic.write(irq_affinity.RPS_DEFAULT, "ff,ffffffff\n")
    nic.write("sys/class/net/fab0/queues/rx-0/rps_cpus", "00000001,00000003\n")
    nic.write("sys/class/net/fab0/queues/tx-0/xps_cpus", "1,00000000\n")
    nic.irq(33, "0", "virtio0-input", "0")
    wanted = {"isolated_cpus": "1,32-39"}
    assert sorted(strayed(nic, wanted)) == ["RPS of fab0 rx-0", "XPS of fab0 tx-0", "default RPS mask"]
    apply(nic, wanted=wanted)
    assert nic.read("sys/class/net/fab0/queues/rx-0/rps_cpus") == "1"
    assert nic.read("sys/class/net/fab0/queues/tx-0/xps_cpus") == "0", "no CPU is left: it is off"
    assert nic.read(irq_affinity.RPS_DEFAULT) == "fffffffd"
    assert strayed(nic, wanted) == []


def test_a_queue_of_no_traffic_class_has_no_xps(nic: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    nic.write("sys/class/net/fab0/queues/tx-1/xps_cpus", "2\n")
    read = System.read

    def kernel(self: System, name: str) -> str | None:
        if name.endswith("tx-1/xps_cpus"):
            raise OSError(errno.EINVAL, "Invalid argument")
        return read(self, name)

    monkeypatch.setattr(System, "read", kernel)
    assert "XPS of fab0 tx-1" not in labels(apply(nic))
    assert strayed(nic) == []


def test_xps_of_a_steered_queue_may_have_its_isolated_cpu(nic: Host) -> None:
    nic.write("sys/class/net/fab0/queues/tx-0/xps_cpus", "2\n")
    assert "XPS of fab0 tx-0" not in labels(apply(nic, wanted=STEERED))
    assert "XPS of fab0 tx-0" in labels(apply(nic, wanted=WANTED))


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"name": "nosuch0", "irq_cpus": "0"},
            "nics name 'nosuch0': there is no such interface",
        ),
        ({"name": "fab0", "irq_cpus": "0-1"}, "irq_cpus of fab0 '0-1': CPU 1 is isolated"),
        ({"name": "fab0", "irq_cpus": "7"}, "irq_cpus of fab0 '7': these are no CPUs of this host, which has 0-1"),
        ({"name": "fab0", "irq_cpus": "a"}, "irq_cpus of fab0 'a': CPU list 'a'"),
        (
            {"name": "fab0", "queue_cpus": [{"queue": 0, "cpus": "0"}] * 2},
            "queue_cpus of fab0 '0': a queue is 0",
        ),
    ],
)
def test_a_nic_that_cannot_be_so_is_refused(nic: Host, item: dict[str, object], message: str) -> None:
    with pytest.raises(HostError) as error:
        irq_plan.make_plan(system(nic), {"isolated_cpus": "1", "nics": [item]})
    assert str(error.value).startswith(message)


CPUS = st.frozensets(st.integers(0, 70))


@given(cpus=CPUS, isolated=st.frozensets(st.integers(1, 70)), empty=st.booleans())
def test_keeping_off_takes_isolated_cpus_only_and_leaves_some(
    cpus: frozenset[int], isolated: frozenset[int], empty: bool
) -> None:
    plan = irq_plan.Plan(isolated, frozenset(range(71)))
    kept = plan.keep_off(cpus, empty)
    assert not kept & isolated and plan.keep_off(kept, empty) == kept
    assert kept == cpus - isolated or (not empty and not cpus - isolated and kept == plan.housekeeping)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(masks=st.lists(CPUS, min_size=3, max_size=3), isolated=st.frozensets(st.integers(1, 70)), zeros=st.booleans())
def test_any_mask_is_free_of_isolated_cpus_after_one_run(
    host: Host, masks: list[frozenset[int]], isolated: frozenset[int], zeros: bool
) -> None:
    host.cpus(71)
    (host.root / irq_state.FILE).unlink(missing_ok=True)
    names = [irq_affinity.DEFAULT_AFFINITY, irq_affinity.RPS_DEFAULT, "sys/class/net/e0/queues/rx-0/rps_cpus"]
    for name, mask in zip(names, masks, strict=True):
        text = format_cpu_mask(mask | {0} if name == names[0] else mask)
        host.write(name, ("00000000," if zeros else "") + text + "\n")
    wanted = {"isolated_cpus": ",".join(map(str, sorted(isolated)))}
    apply(host, wanted=wanted)
    assert not any(parse_cpu_mask(host.read(name)) & isolated for name in names)
    assert not apply(host, no_write, wanted=wanted).changed
