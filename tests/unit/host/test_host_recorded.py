"""The parsers on what a real Debian 13 machine wrote (tests/fixtures/host/README.md)."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.tickwire.fabric.plugins.module_utils.host import grub, irq_affinity
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import differences, parse_cmdline
from ansible_collections.tickwire.fabric.plugins.module_utils.host.isolation import isolation_tokens
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/host"
ISOLATED, PRESENT = frozenset({1}), frozenset({0, 1})


def test_the_boot_menu_of_update_grub() -> None:
    [entry] = grub.parse_menu((FIXTURES / "debian13-grub.cfg").read_text())
    assert entry.title == "Debian GNU/Linux, with Linux 6.12.107+deb13-amd64"
    assert (entry.script, entry.kernel) == ("10_linux", "/boot/vmlinuz-6.12.107+deb13-amd64")
    assert entry.ours
    assert differences(entry.tokens, isolation_tokens(ISOLATED, PRESENT)) == []


def test_the_kernel_runs_with_the_tokens_of_the_menu() -> None:
    [entry] = grub.parse_menu((FIXTURES / "debian13-grub.cfg").read_text())
    running = parse_cmdline((FIXTURES / "debian13-cmdline.txt").read_text())
    assert running[0].key == "BOOT_IMAGE"
    assert running[1:] == list(entry.tokens)


def test_the_interrupts_after_a_boot_with_an_isolated_cpu(host: Host) -> None:
    for line in (FIXTURES / "debian13-irq.txt").read_text().splitlines():
        number, mode, allowed, effective, actions = line.split("|")
        host.irq(int(number), allowed, actions, effective, writable=mode == "644")
    result = irq_affinity.apply_irq_affinity(System(host.root, host.run_nothing), {"isolated_cpus": "1"}, check=False)
    assert [entry.irq.actions for entry in result.moved if entry.irq] == [
        "virtio2-input.0",
        "virtio2-output.0",
        "virtio3-input.0",
        "virtio3-output.0",
    ]
    assert [entry.actions for entry in result.unmovable] == ["virtio1-req.1"]
