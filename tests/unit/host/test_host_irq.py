"""Interrupts off the isolated CPUs: sets, managed interrupts by either error, check mode, read-back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import irq
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import Write, write_text
from tests.unit.host.host_tree import Host

ONE, BOTH = frozenset({1}), frozenset({0, 1})


def no_write(path: Path, text: str) -> None:
    raise AssertionError(f"{path} was written where nothing may be")


def refuse(number: int, code: int) -> Write:
    """A kernel that refuses to move one interrupt with the error."""

    def write(path: Path, text: str) -> None:
        if path.parent.name == str(number):
            raise OSError(code, "refused")
        write_text(path, text)

    return write


def apply(host: Host, write: Write = write_text, check: bool = False) -> irq.IrqResult:
    return irq.apply_irq_affinity(host.root, ONE, BOTH, check, write)


def test_interrupts_and_the_default_move_to_the_housekeeping_cpus_once(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(25, "1", "virtio0-output.0", "1")
    host.irq(26, "0", "virtio1-input.0", "0")
    result = apply(host)
    assert result.changed
    assert [(str(entry), set(result.after[entry.number])) for entry in result.moved] == [
        ("IRQ 24 (virtio0-input.0)", {0}),
        ("IRQ 25 (virtio0-output.0)", {0}),
    ]
    assert host.read("proc/irq/25/smp_affinity_list") == "0"
    assert host.read(irq.DEFAULT_AFFINITY) == "1"
    again = apply(host, no_write)
    assert not again.changed and again.moved == []


def test_check_mode_writes_nothing(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    before = host.tree()
    result = apply(host, no_write, check=True)
    assert result.changed and [entry.number for entry in result.moved] == [24]
    assert host.tree() == before


def test_nothing_isolated_is_nothing_to_do(host: Host) -> None:
    host.irq(24, "0-1")
    result = irq.apply_irq_affinity(host.root, frozenset(), BOTH, False, no_write)
    assert not result.changed and result.default_after == BOTH


@pytest.mark.parametrize("code", [errno.EIO, errno.EPERM])
def test_managed_interrupts_are_reported_and_do_not_fail(host: Host, code: int) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(40, "0-1", "nvme0q1", "0")
    result = apply(host, refuse(40, code))
    assert [entry.number for entry in result.moved] == [24]
    assert [str(entry) for entry in result.unmovable] == ["IRQ 40 (nvme0q1)"]
    again = apply(host, refuse(40, code))
    assert not again.changed, "what cannot be moved is no change"
    assert [entry.number for entry in again.unmovable] == [40]


def test_a_read_only_file_says_that_it_cannot_be_moved(host: Host) -> None:
    write_text(host.root / irq.DEFAULT_AFFINITY, "1")
    host.irq(0, "0-1", "timer", "0", writable=False)
    result = apply(host, no_write)
    assert not result.changed
    assert [str(entry) for entry in result.unmovable] == ["IRQ 0 (timer)"]


def test_another_refusal_fails_with_the_interrupt(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    with pytest.raises(
        HostError, match=r"IRQ 24 \(virtio0-input.0\) '0': the kernel refuses to move it there: refused"
    ):
        apply(host, refuse(24, errno.ENOSPC))


def test_what_does_not_read_back_fails(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")

    def forget(path: Path, text: str) -> None:
        if path.name == "default_smp_affinity":
            write_text(path, text)

    with pytest.raises(HostError, match="CPUs 0-1 read back.*irqbalance"):
        apply(host, forget)
    with pytest.raises(HostError, match="default interrupt affinity '0-1'"):
        host.write(irq.DEFAULT_AFFINITY, "00000000,00000003\n")
        apply(host, lambda path, text: None)


def numbers(host: Host, unmovable: list[int] | None = None) -> list[int]:
    return [entry.number for entry in irq.on_isolated(irq.read_irqs(host.root), ONE, unmovable)]


def test_a_reader_knows_the_unmovable_by_the_kernels_file_modes(host: Host) -> None:
    host.irq(0, "0-1", "timer", "0", writable=False)
    host.irq(24, "0-1", "virtio0-input.0", "0")
    assert numbers(host) == [24], "where modes tell, the affinity counts and not where it fires just now"


def test_a_reader_on_an_older_kernel_looks_where_interrupts_fire(host: Host) -> None:
    host.irq(0, "0-1", "timer", "0")
    host.irq(24, "0-1", "virtio0-input.0", "1")
    host.irq(25, "0-1", "virtio0-output.0", "")
    assert numbers(host) == [24, 25]
    assert numbers(host, unmovable=[0]) == [24, 25]
    assert numbers(host, unmovable=[24]) == [0, 25]


def test_an_interrupt_that_vanishes_is_left_out(host: Host) -> None:
    host.irq(24, "0-1", "virtio0-input.0", "1")
    (host.root / "proc/irq/30").mkdir()

    def vanish(path: Path, text: str) -> None:
        if path.parent.name == "24":
            raise FileNotFoundError(path)
        write_text(path, text)

    result = apply(host, vanish)
    assert result.moved == [] and result.unmovable == []


def test_an_interrupt_that_nobody_uses_is_left_alone(host: Host) -> None:
    write_text(host.root / irq.DEFAULT_AFFINITY, "1")
    host.irq(12, "0-1", "", "0")
    host.irq(13, "0-1", "", "", writable=False)
    result = apply(host, no_write)
    assert not result.changed and result.unmovable == []
    assert numbers(host, unmovable=[]) == []
    # A kernel without the list of users does not say so: then it counts.
    (host.root / "sys/kernel/irq/12/actions").unlink()
    assert numbers(host, unmovable=[]) == [12]
