# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of the kernel keep power management and housekeeping from disturbing a CPU, and what they have to say.

Sources: Documentation/admin-guide/pm/{cpuidle,cpufreq,intel_pstate,amd-pstate}.rst, ABI/testing/sysfs-devices-power,
sysfs-devices-system-cpu, admin-guide/lockup-watchdogs.rst, admin-guide/mm/ksm.rst, scheduler/sched-rt-group.rst.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .cpulist import format_cpu_list, parse_cpu_list
from .errors import HostError
from .system import System
from .values import Value, flag

CPUS = "sys/devices/system/cpu"
SMT = f"{CPUS}/smt/control"
KSM_RUN = "sys/kernel/mm/ksm/run"
#: How the kernel writes that no latency at all is allowed; its 0 means that any is.
NO_LATENCY = "n/a"
#: What the kernel says of SMT where there is none.
NO_SMT = ("notsupported", "notimplemented")
#: Sysctl by key of the variable.
SYSCTLS = {
    "nmi_watchdog": "proc/sys/kernel/nmi_watchdog",
    "soft_watchdog": "proc/sys/kernel/soft_watchdog",
    "timer_migration": "proc/sys/kernel/timer_migration",
    "stat_interval_s": "proc/sys/vm/stat_interval",
}
#: Those of them that are no true or false.
NUMBERS = frozenset({"stat_interval_s"})


def _is_off(noise: Mapping[str, Any], key: str) -> bool:
    return flag(key, noise.get(key)) is False


def online(system: System) -> frozenset[int]:
    """CPUs that are on."""
    return parse_cpu_list(system.read(f"{CPUS}/online") or system.read(f"{CPUS}/present") or "")


def threads(system: System, cpu: int) -> frozenset[int]:
    """All CPUs of the core of one."""
    return parse_cpu_list(system.read(f"{CPUS}/cpu{cpu}/topology/thread_siblings_list") or str(cpu))


def second_threads(system: System) -> frozenset[int]:
    """CPUs that go away without SMT: all threads of a core but its first, of those that are on."""
    return frozenset(cpu for cpu in online(system) if cpu != min(threads(system, cpu)))


def smt_values(system: System, noise: Mapping[str, Any], isolated: frozenset[int]) -> list[Value]:
    """SMT off where that is wanted; HostError when all isolated CPUs of a core would go away with it."""
    if not _is_off(noise, "smt") or system.read(SMT) == "forceoff":
        return []
    lost = [cpu for cpu in sorted(isolated & second_threads(system)) if not threads(system, cpu) <= isolated]
    if lost:
        raise HostError(
            "smt",
            "off",
            f"isolated CPU {format_cpu_list(frozenset(lost))} is the second thread of its core and would go away",
            "isolate the first thread of each core, or leave smt alone",
        )
    return [Value("smt", SMT, "off", lacking=NO_SMT)]


def parse_latency(noise: Mapping[str, Any]) -> str | None:
    """The idle latency request as the kernel takes it, None where nothing is wanted."""
    latency = noise.get("idle_latency_us")
    if latency in (None, ""):
        return None
    if int(str(latency)) < 0:
        raise HostError("idle_latency_us", latency, "a time below zero means nothing", "give 0 or more microseconds")
    return str(latency) if int(str(latency)) else NO_LATENCY


def late_driver(system: System) -> str:
    """The frequency driver where it is a loadable module, such as acpi_cpufreq: it may come after tmpfiles.d."""
    driver = (system.read(f"{CPUS}/cpu0/cpufreq/scaling_driver") or "").replace("-", "_")
    return driver if driver and system.path(f"sys/module/{driver}/initstate").exists() else ""


def values(system: System, noise: Mapping[str, Any], isolated: frozenset[int]) -> list[Value]:
    """All wanted values beside SMT, of the CPUs that are on when SMT is as wanted."""
    found = []
    for key, path in SYSCTLS.items():
        if noise.get(key) not in (None, ""):
            given = noise[key] if key in NUMBERS else flag(key, noise[key])
            found.append(Value(key, path, str(int(given or 0))))
    cpus = online(system) - (second_threads(system) if _is_off(noise, "smt") else frozenset())
    if flag("watchdog_housekeeping", noise.get("watchdog_housekeeping")) and isolated:
        rest = parse_cpu_list(system.read(f"{CPUS}/possible") or system.read(f"{CPUS}/present") or "") - isolated
        if _is_off(noise, "smt"):
            # Whether those that are off are isolated is not known any more where housekeeping cores are counted.
            rest &= cpus
        text = format_cpu_list(rest)
        found.append(Value("watchdog_housekeeping", "proc/sys/kernel/watchdog_cpumask", text, cpus=True))
    if _is_off(noise, "rt_throttling"):
        found.append(Value("rt_throttling", "proc/sys/kernel/sched_rt_runtime_us", "-1"))
    if _is_off(noise, "ksm"):
        # 0 only stops; 2 also gives pages that are shared already back to their owners.
        found.append(Value("ksm", KSM_RUN, "2"))
    latency = parse_latency(noise)
    if latency is not None:
        for cpu in sorted(isolated & cpus):
            path = f"{CPUS}/cpu{cpu}/power/pm_qos_resume_latency_us"
            found.append(Value(f"idle_latency_us of CPU {cpu}", path, latency))
    if _is_off(noise, "corrected_errors"):
        for cpu in sorted(cpus):
            path = f"sys/devices/system/machinecheck/machinecheck{cpu}/ignore_ce"
            found.append(Value(f"corrected_errors of CPU {cpu}", path, "1"))
    return found + _turbo(system, noise) + _frequencies(system, noise, cpus)


def _turbo(system: System, noise: Mapping[str, Any]) -> list[Value]:
    """intel_pstate has a switch of its own with the opposite sense."""
    turbo = flag("turbo", noise.get("turbo"))
    if turbo is None:
        return []
    intel = f"{CPUS}/intel_pstate/no_turbo"
    if system.path(intel).exists():
        return [Value("turbo", intel, str(int(not turbo)))]
    return [Value("turbo", f"{CPUS}/cpufreq/boost", str(int(turbo)))]


def _frequencies(system: System, noise: Mapping[str, Any], cpus: frozenset[int]) -> list[Value]:
    """Governor first: some drivers refuse a preference that does not go with it."""
    found = []
    for cpu in sorted(cpus):
        policy = f"{CPUS}/cpu{cpu}/cpufreq"
        if noise.get("governor"):
            path, offered = f"{policy}/scaling_governor", f"{policy}/scaling_available_governors"
            found.append(Value(f"governor of CPU {cpu}", path, str(noise["governor"]), offered=offered))
        if noise.get("energy_performance_preference"):
            path, wanted = f"{policy}/energy_performance_preference", str(noise["energy_performance_preference"])
            offered = f"{policy}/energy_performance_available_preferences"
            found.append(Value(f"energy_performance_preference of CPU {cpu}", path, wanted, offered=offered))
        if noise.get("min_frequency"):
            wanted = str(noise["min_frequency"])
            if wanted == "max":
                wanted = system.read(f"{policy}/cpuinfo_max_freq") or wanted
            found.append(Value(f"min_frequency of CPU {cpu}", f"{policy}/scaling_min_freq", wanted))
    return found
