"""Power and noise: per CPU and for the host; what a host lacks, what is dangerous, and units that are masked."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils.host import noise, noise_values
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import write_text
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import noise as part
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host
from tests.unit.host.machine_double import Machine

CPU = "sys/devices/system/cpu"
#: CPUs 0 to 3 are two cores of two threads: 0 and 2, 1 and 3.
THREADS = {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}
WANTED: dict[str, Any] = {
    "idle_latency_us": 3,
    "governor": "performance",
    "energy_performance_preference": "performance",
    "min_frequency": "max",
    "turbo": False,
    "nmi_watchdog": False,
    "watchdog_housekeeping": True,
    "stat_interval_s": 10,
    "ksm": False,
    "units_off": ["fwupd-refresh.timer"],
}
ISOLATED = frozenset({1, 3})


class Kernel:
    """Writes as the kernel's files take them; ``refuse`` names the files that it refuses, with the error."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.refuse: dict[str, int] = {}

    def write(self, path: Path, text: str) -> None:
        if path.name in self.refuse:
            raise OSError(self.refuse[path.name], os.strerror(self.refuse[path.name]))
        path.write_text(text.strip() + "\n")
        if path.name == "control":
            online = "0-1" if text.strip() == "off" else "0-3"
            self.host.write(f"{CPU}/online", online + "\n")
            for cpu, threads in THREADS.items():
                shown = str(cpu) if text.strip() == "off" else threads
                self.host.write(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", shown + "\n")
        if path.name == "scaling_governor" and text.strip() == "performance":
            # intel_pstate takes the preference along.
            path.with_name("energy_performance_preference").write_text("performance\n")


@pytest.fixture
def machine(host: Host) -> Machine:
    host.cpus(4)
    for name in ("online", "possible"):
        host.write(f"{CPU}/{name}", "0-3\n")
    for cpu, threads in THREADS.items():
        policy = f"{CPU}/cpu{cpu}/cpufreq"
        host.write(f"{CPU}/cpu{cpu}/topology/thread_siblings_list", threads + "\n")
        host.write(f"{CPU}/cpu{cpu}/power/pm_qos_resume_latency_us", "0\n")
        host.write(f"{policy}/scaling_governor", "powersave\n")
        host.write(f"{policy}/scaling_available_governors", "performance powersave \n")
        host.write(f"{policy}/energy_performance_preference", "balance_performance\n")
        host.write(f"{policy}/energy_performance_available_preferences", "default performance balance_performance\n")
        host.write(f"{policy}/cpuinfo_max_freq", "3900000\n")
        host.write(f"{policy}/scaling_min_freq", "800000\n")
        host.write(f"sys/devices/system/machinecheck/machinecheck{cpu}/ignore_ce", "0\n")
    host.write(f"{CPU}/intel_pstate/no_turbo", "0\n")
    host.write(noise_values.SMT, "on\n")
    host.write(noise_values.KSM_RUN, "0\n")
    for name, text in (("nmi_watchdog", "1"), ("soft_watchdog", "1"), ("timer_migration", "1")):
        host.write(f"proc/sys/kernel/{name}", text + "\n")
    host.write("proc/sys/kernel/watchdog_cpumask", "0-3\n")
    host.write("proc/sys/kernel/sched_rt_runtime_us", "950000\n")
    host.write("proc/sys/vm/stat_interval", "1\n")
    host.write("usr/lib/systemd/system/fwupd-refresh.timer", "[Timer]\n")
    machine = Machine(host)
    machine.active.add("fwupd-refresh.timer")
    return machine


def system(machine: Machine, kernel: Kernel | None = None) -> System:
    return System(machine.host.root, machine.run, (kernel or Kernel(machine.host)).write)


def untouched(machine: Machine) -> System:
    def no_write(path: Path, text: str) -> None:
        raise AssertionError(f"{path} was written where nothing may be")

    return System(machine.host.root, machine.host.run_nothing, no_write)


def texts(host: Host) -> dict[str, str]:
    return {name: text for name, (dummy, text, dummy_time) in host.tree().items() if (host.root / name).is_file()}


def test_everything_is_set_now_and_at_boot_once(machine: Machine) -> None:
    host = machine.host
    outcome = noise.apply_noise(system(machine), WANTED, ISOLATED, False)
    assert outcome.unsupported == {} and outcome.warnings == []
    latencies = [host.read(f"{CPU}/cpu{cpu}/power/pm_qos_resume_latency_us").strip() for cpu in range(4)]
    assert latencies == ["0", "3", "0", "3"], "only the isolated CPUs are kept awake"
    assert host.read(f"{CPU}/cpu2/cpufreq/scaling_governor") == "performance\n"
    assert host.read(f"{CPU}/cpu2/cpufreq/scaling_min_freq") == "3900000\n"
    assert host.read(f"{CPU}/intel_pstate/no_turbo") == "1\n"
    assert host.read("proc/sys/kernel/watchdog_cpumask") == "0,2\n"
    assert host.read(noise_values.KSM_RUN) == "2\n"
    assert machine.active == set()
    assert os.readlink(host.root / "etc/systemd/system/fwupd-refresh.timer") == "/dev/null"
    kept = host.read("etc/tmpfiles.d/00-tickwire-noise.conf")
    assert f"w! /{CPU}/cpu3/power/pm_qos_resume_latency_us - - - - 3\n" in kept
    assert "vm/stat_interval = 10\n" in host.read("etc/sysctl.d/99-tickwire-noise.conf")
    before = host.tree()
    assert not noise.apply_noise(untouched(machine), WANTED, ISOLATED, False).changed
    assert host.tree() == before
    assert noise.find_drift(untouched(machine), WANTED, ISOLATED) == []


def test_check_mode_writes_nothing_and_foretells(machine: Machine) -> None:
    before = machine.host.tree()
    foretold = noise.apply_noise(untouched(machine), WANTED, ISOLATED, True)
    assert machine.host.tree() == before
    assert foretold.diff() == noise.apply_noise(system(machine), WANTED, ISOLATED, False).diff()


def test_what_goes_away_is_what_it_was_before(machine: Machine) -> None:
    before = texts(machine.host)
    noise.apply_noise(system(machine), WANTED, ISOLATED, False)
    fewer = noise.apply_noise(system(machine), {**WANTED, "idle_latency_us": 1}, frozenset({1}), False)
    assert fewer.after[f"/{CPU}/cpu3/power/pm_qos_resume_latency_us"] == "0", "a CPU that is isolated no more may sleep"
    assert fewer.after["idle_latency_us of CPU 1"] == "1"
    assert noise.apply_noise(system(machine), {}, ISOLATED, False).changed
    assert texts(machine.host) == before
    assert machine.active == {"fwupd-refresh.timer"}
    assert not noise.apply_noise(untouched(machine), {}, ISOLATED, False).changed


def test_a_failure_puts_everything_back(machine: Machine) -> None:
    before = texts(machine.host)
    machine.refuse["systemctl mask --now fwupd-refresh.timer"] = "Failed to mask unit: File exists"
    with pytest.raises(HostError, match="Failed to mask unit: File exists"):
        noise.apply_noise(system(machine), WANTED, ISOLATED, False)
    assert texts(machine.host) == before
    del machine.refuse["systemctl mask --now fwupd-refresh.timer"]
    kernel = Kernel(machine.host)
    kernel.refuse["run"] = errno.EINVAL
    with pytest.raises(HostError, match="ksm '2': the kernel refuses it in /sys/kernel/mm/ksm/run: Invalid argument"):
        noise.apply_noise(system(machine, kernel), WANTED, ISOLATED, False)
    assert texts(machine.host) == before


def test_no_latency_at_all_is_another_word_of_the_kernel(machine: Machine) -> None:
    """Its 0 means that any latency will do (ABI/testing/sysfs-devices-power)."""
    outcome = noise.apply_noise(system(machine), {"idle_latency_us": 0}, ISOLATED, False)
    assert machine.host.read(f"{CPU}/cpu1/power/pm_qos_resume_latency_us") == "n/a\n"
    assert outcome.warnings == [noise.POLLING]
    with pytest.raises(HostError, match="a time below zero means nothing"):
        noise.check_noise(untouched(machine), {"idle_latency_us": -1}, ISOLATED)


@pytest.mark.parametrize("key", sorted(noise.DANGERS))
def test_what_is_dangerous_comes_with_a_warning(machine: Machine, key: str) -> None:
    outcome = noise.apply_noise(system(machine), {key: False}, ISOLATED, False)
    assert outcome.changed and outcome.warnings == [noise.DANGERS[key]]
    assert noise.apply_noise(system(machine), {key: True}, ISOLATED, False).warnings == []


def test_smt_goes_off_with_what_the_other_threads_had(machine: Machine) -> None:
    host = machine.host
    before = texts(host)
    wanted = {"smt": False, "idle_latency_us": 3, "governor": "performance"}
    outcome = noise.apply_noise(system(machine), wanted, ISOLATED, False)
    assert host.read(noise_values.SMT) == "off\n"
    assert sorted(item for item in outcome.after if item[0] != "/") == [
        "governor of CPU 0",
        "governor of CPU 1",
        "idle_latency_us of CPU 1",
        "smt",
    ]
    assert not noise.apply_noise(untouched(machine), wanted, ISOLATED, False).changed
    assert noise.find_drift(untouched(machine), wanted, ISOLATED) == []
    noise.apply_noise(system(machine), {"idle_latency_us": 3}, ISOLATED, False)
    assert host.read(noise_values.SMT) == "on\n"
    assert host.read(f"{CPU}/cpu3/power/pm_qos_resume_latency_us") == "3\n", "the thread is back and isolated"
    noise.apply_noise(system(machine), {}, ISOLATED, False)
    after = texts(host)
    for cpu in (0, 1):  # the kernel of this test took it along
        name = f"{CPU}/cpu{cpu}/cpufreq/energy_performance_preference"
        assert after.pop(name) and before.pop(name)
    assert after == before


def test_threads_that_are_off_change_nothing_where_housekeeping_cores_are_counted(machine: Machine) -> None:
    wanted = {"smt": False, "watchdog_housekeeping": True}
    noise.apply_noise(system(machine), wanted, ISOLATED, False)
    # The second threads are off now, and are not counted any more.
    assert noise.find_drift(system(machine), wanted, frozenset({1})) == []
    assert not noise.apply_noise(untouched(machine), wanted, frozenset({1}), False).changed


def test_smt_does_not_take_an_isolated_cpu_away(machine: Machine) -> None:
    with pytest.raises(HostError, match="smt 'off': isolated CPU 3 is the second thread of its core"):
        noise.check_noise(untouched(machine), {"smt": False}, frozenset({3}))


@pytest.mark.parametrize("said", noise_values.NO_SMT)
def test_a_processor_without_smt(machine: Machine, said: str) -> None:
    machine.host.write(noise_values.SMT, said + "\n")
    outcome = noise.apply_noise(untouched(machine), {"smt": False}, ISOLATED, False)
    assert outcome.unsupported == {"smt": f"/{noise_values.SMT} says {said}"} and not outcome.changed


def test_a_virtual_machine_lacks_most_of_it(machine: Machine) -> None:
    """As seen under emulation: no cpufreq, no turbo, nmi_watchdog with mode 0444, no fwupd."""
    host = machine.host
    for path in sorted(host.root.glob(f"{CPU}/cpu*/cpufreq/*")):
        path.unlink()
    (host.root / f"{CPU}/intel_pstate/no_turbo").unlink()
    (host.root / "proc/sys/kernel/nmi_watchdog").chmod(0o444)
    (host.root / "usr/lib/systemd/system/fwupd-refresh.timer").unlink()
    wanted = {**WANTED, "units_off": ["fwupd-refresh.timer", "apt-daily@x.timer"]}
    outcome = noise.apply_noise(system(machine), wanted, ISOLATED, False)
    assert outcome.unsupported["governor of CPU 0"] == f"this kernel has no /{CPU}/cpu0/cpufreq/scaling_governor"
    assert outcome.unsupported["turbo"] == f"this kernel has no /{CPU}/cpufreq/boost"
    assert outcome.unsupported["nmi_watchdog"] == "/proc/sys/kernel/nmi_watchdog says 1 and cannot be written here"
    assert outcome.unsupported["fwupd-refresh.timer"] == "this host has no such unit"
    assert "apt-daily@x.timer" in outcome.unsupported
    assert "nmi_watchdog" not in host.read("etc/sysctl.d/99-tickwire-noise.conf")
    assert noise.find_drift(untouched(machine), wanted, ISOLATED) == []
    reasons = noise.running(untouched(machine), wanted, ISOLATED)["unsupported"]
    assert set(reasons) == set(outcome.unsupported) - {"fwupd-refresh.timer", "apt-daily@x.timer"}


def test_a_governor_that_the_driver_has_not(machine: Machine) -> None:
    outcome = noise.apply_noise(untouched(machine), {"governor": "schedutil"}, ISOLATED, False)
    assert outcome.unsupported["governor of CPU 1"] == (
        f"/{CPU}/cpu1/cpufreq/scaling_governor has no schedutil, only performance, powersave"
    )


def test_a_driver_that_comes_late_is_loaded_before_its_settings(machine: Machine) -> None:
    """acpi-cpufreq is loaded by udev, and nothing orders that before tmpfiles.d is read."""
    host = machine.host
    before = texts(host)
    for cpu in THREADS:
        host.write(f"{CPU}/cpu{cpu}/cpufreq/scaling_driver", "acpi-cpufreq\n")
    noise.apply_noise(system(machine), {"governor": "performance"}, ISOLATED, False)
    assert not (host.root / noise.MODULES_LOAD).exists(), "a driver in the kernel is there from the beginning"
    host.write("sys/module/acpi_cpufreq/initstate", "live\n")
    assert [one.item for one in noise.find_drift(untouched(machine), {"governor": "performance"}, ISOLATED)] == [
        f"/{noise.MODULES_LOAD}",
        f"/{noise.TMPFILES_ORDER}",
    ]
    outcome = noise.apply_noise(system(machine), {"governor": "performance"}, ISOLATED, False)
    assert outcome.after[f"/{noise.MODULES_LOAD}"] == "acpi_cpufreq"
    assert host.read(noise.TMPFILES_ORDER).endswith("[Unit]\nAfter=systemd-modules-load.service\n")
    assert noise.find_drift(untouched(machine), {"governor": "performance"}, ISOLATED) == []
    noise.apply_noise(system(machine), {}, ISOLATED, False)
    assert {name for name in texts(host) if name.startswith("etc/")} == {name for name in before if name[:4] == "etc/"}


def test_a_rival_service_is_named(machine: Machine) -> None:
    link = machine.host.root / "etc/systemd/system/multi-user.target.wants/tuned.service"
    link.parent.mkdir(parents=True)
    link.write_text("")
    [warning] = noise.warnings(untouched(machine), {"governor": "performance"})
    assert warning.startswith("tuned.service is enabled")
    assert noise.warnings(untouched(machine), {"ksm": False}) == []


def test_a_boot_file_that_comes_first_is_named(machine: Machine) -> None:
    machine.host.write("etc/tmpfiles.d/00-a.conf", "w /sys/kernel/mm/ksm/run - - - - 1\n")
    with pytest.raises(HostError, match="/etc/tmpfiles.d/00-a.conf sets /sys/kernel/mm/ksm/run to 1 at boot"):
        noise.check_noise(untouched(machine), {"ksm": False}, ISOLATED)


@pytest.mark.parametrize("name", ["fwupd-refresh", "a b.timer", "../x.timer", "--now.timer", ""])
def test_names_that_are_no_units(machine: Machine, name: str) -> None:
    with pytest.raises(HostError, match="it is no name of a unit"):
        noise.check_noise(untouched(machine), {"units_off": [name]}, ISOLATED)


def test_drift_of_each_kind_is_named(machine: Machine) -> None:
    noise.apply_noise(system(machine), WANTED, ISOLATED, False)
    machine.host.write(f"{CPU}/cpu1/cpufreq/scaling_governor", "powersave\n")
    machine.host.write("proc/sys/kernel/watchdog_cpumask", "0-3\n")
    (machine.host.root / "etc/systemd/system/fwupd-refresh.timer").unlink()
    wanted = {"isolated_cpus": "1,3", "noise": WANTED}
    assert [str(one) for one in part.PART.drift(untouched(machine), wanted, False)] == [
        "watchdog_housekeeping: wanted '0,2', found '0-3'",
        "governor of CPU 1: wanted 'performance', found 'powersave'",
        "fwupd-refresh.timer: wanted 'masked', found 'not masked'",
    ]
    machine.host.write("proc/sys/kernel/watchdog_cpumask", "0,2-2\n")
    assert "watchdog_housekeeping" not in [one.item for one in part.PART.drift(untouched(machine), wanted, False)]
    running = part.PART.running(untouched(machine), wanted)["noise"]
    assert running["governors"] == ["performance", "powersave"] and running["isolated_idle_latency"] == ["3"]
    assert part.PART.drift(untouched(machine), {"isolated_cpus": "1,3"}, False) == []


def test_a_bare_host_has_no_drift(host: Host) -> None:
    bare = System(host.root, host.run_nothing, write_text)
    part.PART.check(bare, {"noise": WANTED, "isolated_cpus": "1"})
    assert part.PART.drift(bare, {"noise": WANTED, "isolated_cpus": "1"}, False) == []


@given(st.integers(0, 10**9))
def test_a_latency_never_becomes_the_kernels_no_limit(latency_us: int) -> None:
    text = noise_values.parse_latency({"idle_latency_us": latency_us})
    assert text != "0"
    assert text == (str(latency_us) if latency_us else "n/a")
