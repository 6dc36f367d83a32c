"""irqbalance told or stopped, on a file tree and a systemctl that starts a process with the unit's environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ansible_collections.tickwire.fabric.plugins.module_utils.host import irqbalance
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

BANNED = {"isolated_cpus": "1", "irqbalance": "banned"}
STOPPED = {"isolated_cpus": "1", "irqbalance": "stopped"}
LEAVE = {"isolated_cpus": "1", "irqbalance": "leave"}
RESTART = [["systemctl", "daemon-reload"], ["systemctl", "restart", "irqbalance.service"]]
#: Where Debian and RHEL keep the packaged file.
PACKAGED = ("etc/default/irqbalance", "etc/sysconfig/irqbalance")


class Daemon:
    """systemd as far as this unit goes: files of environment in order, the later one wins."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.ran: list[list[str]] = []
        self.ignores_restart = False
        self.pid = 100
        host.write("usr/lib/systemd/system/irqbalance.service", "[Service]\n")
        host.write("usr/sbin/irqbalance", "\x7fELF IRQBALANCE_BANNED_CPUS IRQBALANCE_BANNED_CPULIST")
        self.enable()

    def environment(self) -> str:
        names = [name for name in PACKAGED if (self.host.root / name).exists()]
        if (self.host.root / irqbalance.DROP_IN).exists():
            names += [
                line.partition("=/")[2] for line in self.host.read(irqbalance.DROP_IN).splitlines() if "=/" in line
            ]
        values: dict[str, str] = {}
        for name in names:
            lines = [line for line in self.host.read(name).splitlines() if line and not line.startswith("#")]
            values.update(line.partition("=")[::2] for line in lines)
        return "".join(f"{name}={value}\0" for name, value in values.items())

    def start(self) -> None:
        self.stop()
        self.pid += 1
        self.host.write(f"proc/{self.pid}/comm", "irqbalance\n")
        self.host.write(f"proc/{self.pid}/environ", "PATH=/usr/bin\0" + self.environment())

    def stop(self) -> None:
        shutil.rmtree(self.host.root / f"proc/{self.pid}", ignore_errors=True)

    def enable(self) -> None:
        link = self.host.root / "etc/systemd/system/multi-user.target.wants/irqbalance.service"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(self.host.root / "usr/lib/systemd/system/irqbalance.service")

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        self.ran.append(argv)
        verb = argv[1]
        if verb == "disable":
            self.stop()
            (self.host.root / "etc/systemd/system/multi-user.target.wants/irqbalance.service").unlink()
        elif verb == "enable":
            self.enable()
        elif verb == "start" or (verb == "restart" and not self.ignores_restart):
            self.start()
        return 0, "", ""


@pytest.fixture
def daemon(host: Host) -> Daemon:
    made = Daemon(host)
    made.start()
    return made


def apply(daemon: Daemon, wanted=BANNED, check: bool = False) -> irqbalance.IrqbalanceResult:
    daemon.ran.clear()
    run = daemon.host.run_nothing if check else daemon.run
    return irqbalance.apply_irqbalance(System(daemon.host.root, run), wanted, check, lambda dummy: None)


def drift(daemon: Daemon, wanted=BANNED) -> list[str]:
    return [str(entry) for entry in irqbalance.drift(System(daemon.host.root, daemon.host.run_nothing), wanted)]


def test_it_is_told_once_and_restarted_only_then(daemon: Daemon) -> None:
    assert drift(daemon) == ["irqbalance.service: wanted 'keeps off CPUs 1', found 'no CPUs named'"]
    first = apply(daemon)
    assert first.changed and first.banned == {1} and daemon.ran == RESTART
    assert drift(daemon) == []
    before = daemon.host.tree()
    second = apply(daemon)
    assert not second.changed and daemon.ran == [] and daemon.host.tree() == before


def test_check_mode_foretells_and_writes_and_runs_nothing(daemon: Daemon) -> None:
    before = daemon.host.tree()
    for wanted in (BANNED, STOPPED):
        assert apply(daemon, wanted, check=True).done
    assert daemon.host.tree() == before


@pytest.mark.parametrize("packaged", PACKAGED)
def test_our_environment_wins_over_the_packaged_file_which_stays(daemon: Daemon, packaged: str) -> None:
    text = "# packaged\nIRQBALANCE_BANNED_CPUS=1\nIRQBALANCE_BANNED_CPULIST=\nIRQBALANCE_ARGS=-j\n"
    daemon.host.write(packaged, text)
    assert apply(daemon).banned == {1}
    assert daemon.host.read(packaged) == text


def test_a_program_that_knows_no_list_gets_a_mask(daemon: Daemon) -> None:
    daemon.host.cpus(40)
    daemon.host.write("usr/sbin/irqbalance", "\x7fELF IRQBALANCE_BANNED_CPUS")
    assert apply(daemon, {"isolated_cpus": "1,33", "irqbalance": "banned"}).banned == {1, 33}
    assert "IRQBALANCE_BANNED_CPUS=2,00000002\n" in daemon.host.read(irqbalance.ENVIRONMENT)


def test_nothing_is_ever_written_empty(daemon: Daemon) -> None:
    apply(daemon)
    gone = apply(daemon, {"isolated_cpus": "", "irqbalance": "banned"})
    assert gone.changed and gone.banned is None and daemon.ran == RESTART
    assert not (daemon.host.root / irqbalance.ENVIRONMENT).exists()
    assert not (daemon.host.root / irqbalance.DROP_IN).exists()
    assert not apply(daemon, {"isolated_cpus": ""}).changed


def test_a_daemon_that_started_before_it_was_told_is_restarted(daemon: Daemon) -> None:
    apply(daemon)
    daemon.host.write(f"proc/{daemon.pid}/environ", "PATH=/usr/bin\0")
    assert apply(daemon).changed and daemon.ran == RESTART


def test_one_that_does_not_run_is_told_for_later(daemon: Daemon) -> None:
    daemon.stop()
    assert apply(daemon).changed and daemon.ran == RESTART[:1]
    assert drift(daemon) == [] and not apply(daemon).changed


def test_a_restart_without_effect_fails_and_the_files_go(daemon: Daemon) -> None:
    daemon.ignores_restart = True
    with pytest.raises(HostError, match="runs with no CPUs named.*systemctl cat irqbalance.service"):
        apply(daemon)
    assert not (daemon.host.root / irqbalance.DROP_IN).exists()
    assert not (daemon.host.root / irqbalance.ENVIRONMENT).exists()


def test_stopped_and_started_again_as_it_was(daemon: Daemon) -> None:
    assert drift(daemon, STOPPED) == ["irqbalance.service: wanted 'stopped', found 'running and enabled'"]
    assert apply(daemon, STOPPED).changed and daemon.ran == [["systemctl", "disable", "--now", "irqbalance.service"]]
    assert drift(daemon, STOPPED) == [] and not apply(daemon, STOPPED).changed
    back = apply(daemon, LEAVE)
    assert back.changed and daemon.ran == [["systemctl", verb, "irqbalance.service"] for verb in ("enable", "start")]
    assert not apply(daemon, LEAVE).changed


def test_from_stopped_to_banned_and_back(daemon: Daemon) -> None:
    apply(daemon, STOPPED)
    assert apply(daemon, BANNED).banned == {1}
    assert apply(daemon, STOPPED).changed and irqbalance.running_pid(System(daemon.host.root, daemon.run)) is None
    assert not (daemon.host.root / irqbalance.DROP_IN).exists(), "what told it is not needed any more"


@pytest.mark.parametrize("wanted", [BANNED, STOPPED, LEAVE, {}])
def test_a_host_without_it_has_nothing_to_do(host: Host, wanted: dict[str, str]) -> None:
    before = host.tree()
    system = System(host.root, host.run_nothing)
    assert not irqbalance.apply_irqbalance(system, wanted, False, lambda dummy: None).changed
    assert irqbalance.drift(system, wanted) == [] and host.tree() == before


def test_pinned_nics_and_a_running_irqbalance_do_not_go_together(daemon: Daemon) -> None:
    daemon.host.write("sys/class/net/fab0/queues/rx-0/rps_cpus", "0\n")
    nics = [{"name": "fab0", "irq_cpus": "0"}]
    with pytest.raises(HostError, match="irqbalance 'banned': it moves every interrupt.*those of fab0 too"):
        apply(daemon, {**BANNED, "nics": nics})
    assert apply(daemon, {**STOPPED, "nics": nics}).changed
    with pytest.raises(HostError, match="it moves every interrupt"):
        apply(daemon, {**BANNED, "nics": nics})  # it would run again


def test_pinned_nics_and_an_irqbalance_that_is_off_go_together(daemon: Daemon) -> None:
    daemon.host.write("sys/class/net/fab0/queues/rx-0/rps_cpus", "0\n")
    daemon.run(["systemctl", "disable", "--now", "irqbalance.service"])
    pinned = {**BANNED, "nics": [{"name": "fab0", "irq_cpus": "0"}]}
    assert apply(daemon, pinned).banned is None and not apply(daemon, pinned).changed
    daemon.start()
    with pytest.raises(HostError, match="it moves every interrupt"):
        apply(daemon, pinned)


def test_it_is_stopped_for_pinned_nics_without_isolated_cpus_too(daemon: Daemon) -> None:
    daemon.host.write("sys/class/net/fab0/queues/rx-0/rps_cpus", "0\n")
    pinned = {"irqbalance": "stopped", "nics": [{"name": "fab0", "irq_cpus": "0"}]}
    assert drift(daemon, pinned) == ["irqbalance.service: wanted 'stopped', found 'running and enabled'"]
    assert apply(daemon, pinned).changed and drift(daemon, pinned) == [] and not apply(daemon, pinned).changed
    apply(daemon, {"irqbalance": "stopped", "nics": []})
    assert irqbalance.running_pid(System(daemon.host.root, daemon.run)) is not None, "nothing is pinned any more"


@pytest.mark.parametrize(
    ("environment", "banned"),
    [
        ("", None),
        ("IRQBALANCE_BANNED_CPULIST=\0", None),
        ("IRQBALANCE_BANNED_CPULIST=1,3-4\0", {1, 3, 4}),
        ("IRQBALANCE_BANNED_CPUS=00000001,00000002\0IRQBALANCE_BANNED_CPULIST=5\0", {1, 32}),
        ("IRQBALANCE_BANNED_CPUS=0x6\0", {1, 2}),
        ("IRQBALANCE_BANNED_CPULIST=-\0", None),
    ],
)
def test_what_an_environment_bans(environment: str, banned: set[int] | None) -> None:
    assert irqbalance.banned_by(environment) == banned


def test_another_word_is_refused(host: Host) -> None:
    with pytest.raises(HostError, match="irqbalance 'off': it is none of leave, banned, stopped"):
        irqbalance.check(System(Path(host.root), host.run_nothing), {"irqbalance": "off", "nics": []})
