"""Jitter: the tools' recorded output, the kernel's counters, and one measurement on a file tree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.tickwire.fabric.plugins.module_utils import stats
from ansible_collections.tickwire.fabric.plugins.module_utils.host import (
    jitter,
    jitter_culprits,
    jitter_cyclictest,
    jitter_rtla,
)
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.jitter_histogram import Histogram, figures
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System
from tests.unit.host.host_tree import Host

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/host"
ONE = frozenset({1})
TEN_SECONDS = jitter.Settings()


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text()


def test_cyclictest_says_the_same_as_json_and_as_text() -> None:
    by_json = jitter_cyclictest.parse_json(fixture("cyclictest/rt-tests-2.4.json"))
    by_text = jitter_cyclictest.parse_text(fixture("cyclictest/rt-tests-2.4.txt"), {0, 1})
    assert [one.cpu for one in by_json] == [one.cpu for one in by_text] == [0, 1]
    for one, other in zip(by_json, by_text, strict=True):
        assert one.buckets == other.buckets and one.over == other.over
        assert (one.min_us, one.max_us) == (other.min_us, other.max_us)
        assert one.avg_us == pytest.approx(other.avg_us, abs=1), "the text has whole microseconds only"
    assert (by_text[0].over, by_text[1].over) == (383, 371)


def test_cyclictest_2_6_as_json() -> None:
    found = jitter_cyclictest.parse_json(fixture("cyclictest/rt-tests-2.6.json"))
    assert [(one.cpu, one.samples, one.over, one.max_us) for one in found][1] == (1, 1343, 439, 108439)
    assert figures(found)["p99_us"] == figures(found)["max_us"], "more than 1 % lies beyond the last bucket"


@pytest.mark.parametrize("text", ['{"thread": {"0": {}}}', "{}", "[]", '{"thread": 3}'])
def test_another_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no result of cyclictest"):
        jitter_cyclictest.parse_json(text)


def test_a_text_for_other_cpus_is_refused() -> None:
    with pytest.raises(ValueError, match="'Min Latencies' for 3 threads"):
        jitter_cyclictest.parse_text(fixture("cyclictest/rt-tests-2.4.txt"), {0, 1, 2})


def test_the_help_tells_version_and_json() -> None:
    assert jitter_cyclictest.help_says("cyclictest V 2.40\nUsage:\n --json=FILENAME  write") == ("2.40", True)
    assert jitter_cyclictest.help_says("cyclictest V 1.50\nUsage:\n -q --quiet\n") == ("1.50", False)


@pytest.mark.parametrize(
    ("name", "cpus", "samples", "worst"),
    [
        ("timerlat-hist-6.1-man-page.txt", 5, 600002, (1, 58)),
        ("osnoise-hist-6.1-man-page.txt", 12, 55215, (9, 50)),
        ("timerlat-hist-6.5-user-threads.txt", 3, 600001, (1, 16)),
        ("timerlat-hist-all-cpus-sum.txt", 2, 1000, (1, 21)),
        ("timerlat-hist-2025-10-one-sample.txt", 1, 1, (0, 21)),
    ],
)
def test_rtla_histograms_of_several_versions(name: str, cpus: int, samples: int, worst: tuple[int, int]) -> None:
    text = fixture("rtla/" + name)
    found = jitter_rtla.parse_hist(text)
    assert len(found) == cpus and found[0].samples == samples
    assert max((one.max_us, -one.cpu) for one in found) == (worst[1], -worst[0])
    in_ns = jitter_rtla.parse_hist(text.replace("microseconds (us)", "nanoseconds (ns)"))
    assert in_ns[0].max_us == pytest.approx(found[0].max_us / 1000)


def test_rtla_takes_the_thread_and_not_the_interrupt() -> None:
    found = jitter_rtla.parse_hist(fixture("rtla/timerlat-hist-6.1-man-page.txt"))
    assert (found[0].min_us, found[0].avg_us, found[0].max_us) == (1, 5, 36)
    assert found[0].buckets[2] == 122584
    assert figures(found[:1])["p99_us"] == 9, "594002 are 99 % of 600002: 586495 are up to 8 us, 596882 up to 9"


@pytest.mark.parametrize("cut", ["max:", "over:", "Index"])
def test_a_table_of_rtla_that_is_not_whole_is_refused(cut: str) -> None:
    lines = [line for line in fixture("rtla/timerlat-hist-6.1-man-page.txt").splitlines() if not line.startswith(cut)]
    with pytest.raises(ValueError, match="rtla did not print"):
        jitter_rtla.parse_hist("\n".join(lines))


def as_event(name: str, old: str, new: str) -> str:
    """A recorded histogram of another event with the value's name of ours: the kernel's printing is the same."""
    text = fixture(f"rtla/{name}")
    assert old in text
    return text.replace(old, new)


def test_the_kernels_histograms_name_threads_without_the_idle_task() -> None:
    text = as_event("kernel-6.12-hist-sched_switch.txt", "  prev_prio:", "  duration:")
    found = jitter_rtla.parse_events("threads", text, ONE)
    assert [entry["name"] for entry in found][:3] == ["rcu_preempt", "kworker/1:1", "kcompactd0"]
    assert all(entry["cpu"] == 1 for entry in found)
    assert found[0] == {"name": "rcu_preempt", "cpu": 1, "count": 6, "time_us": 0.72}
    assert jitter_rtla.disturbers({"threads": text, "irqs": None, "softirqs": None}, ONE) == {
        "threads": found,
        "irqs": [],
        "softirqs": [],
    }
    assert jitter_rtla.disturbers({"threads": None, "irqs": None, "softirqs": ""}, ONE) is None


def test_the_kernels_histograms_name_softirqs_by_vector() -> None:
    text = as_event("kernel-6.12-hist-softirq_entry.txt", "  vec:", "  duration:")
    found = jitter_rtla.parse_events("softirqs", text, {0})
    assert {entry["name"]: entry["count"] for entry in found} == {"SCHED": 44, "RCU": 24, "TIMER": 26, "NET_RX": 1}


def test_counters_of_interrupts_and_softirqs_by_cpu() -> None:
    irqs = jitter_culprits.parse_counters(fixture("proc/interrupts-6.12.txt"))
    assert irqs["0 timer", 0] == 137 and irqs["0 timer", 1] == 0
    names = {name for name, dummy in irqs}
    assert {"24 virtio1-config", "LOC Local timer interrupts", "RES Rescheduling interrupts"} <= names
    assert not any(name.startswith(("ERR", "MIS")) for name in names), "these do not count by CPU"
    softirqs = jitter_culprits.parse_counters(fixture("proc/softirqs-6.12.txt"))
    assert {name for name, dummy in softirqs} == set(jitter_rtla.SOFTIRQS)
    assert jitter_culprits.parse_counters("") == {}


def test_counters_with_a_cpu_that_is_offline() -> None:
    text = "           CPU0       CPU2\n 24:  5  7  PCI-MSIX-0000:00:02.0   0-edge      eth0-TxRx-0\n"
    assert jitter_culprits.parse_counters(text) == {("24 eth0-TxRx-0", 0): 5, ("24 eth0-TxRx-0", 2): 7}


def thread(host: Host, number: int, name: str, cpu: int, runs: int, time_ns: int, start: int = 100) -> None:
    rest = " ".join(["S", *["0"] * 18, str(start), *["0"] * 16, str(cpu), "0 0"])
    host.write(f"proc/{number}/task/{number}/stat", f"{number} ({name}) {rest}\n")
    host.write(f"proc/{number}/task/{number}/schedstat", f"{time_ns} 4 {runs}\n")


def test_threads_that_ran_on_the_cpus_are_named(host: Host) -> None:
    system = System(host.root, host.run_nothing)
    thread(host, 10, "kworker/1:1 (x) y", 1, runs=5, time_ns=1000)
    thread(host, 11, "sleeper", 1, runs=9, time_ns=9000)
    thread(host, 12, "elsewhere", 0, runs=1, time_ns=10)
    thread(host, 13, "old", 1, runs=100, time_ns=10)
    before = jitter_culprits.snapshot(system)
    thread(host, 10, "kworker/1:1 (x) y", 1, runs=8, time_ns=4000)
    thread(host, 12, "elsewhere", 0, runs=7, time_ns=70)
    thread(host, 13, "new of that number", 1, runs=2, time_ns=20, start=999)
    (host.root / "proc/14/task/14").mkdir(parents=True)
    found = jitter_culprits.disturbers(before, jitter_culprits.snapshot(system), ONE)
    assert found["threads"] == [
        {"name": "kworker/1:1 (x) y", "cpu": 1, "count": 3, "time_us": 3.0},
        {"name": "new of that number", "cpu": 1, "count": 2, "time_us": 0.02},
    ]


class Tools:
    """cyclictest or rtla that leave their recorded output, and interrupts that count on meanwhile."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.ran: list[list[str]] = []
        self.help = "cyclictest V 2.60\n --json=FILENAME\n"
        self.rc = 0
        host.write("sys/devices/system/cpu/online", "0-1\n")
        host.write("proc/sys/kernel/osrelease", "6.12.1-amd64\n")
        host.write("usr/bin/cyclictest", "")
        self.count(137)

    def count(self, timer: int) -> None:
        text = fixture("proc/interrupts-6.12.txt").splitlines()
        self.host.write("proc/interrupts", "\n".join([text[0], f" 31: 7 {timer} PCI-MSIX  1-edge  virtio3-input.0"]))

    def run(self, argv: list[str]) -> tuple[int, str, str]:
        self.ran.append(argv)
        if argv[-1] == "--help":
            return 0, "", self.help
        self.count(140)
        if "hist" in argv:
            text = as_event("kernel-6.12-hist-sched_switch.txt", "  prev_prio:", "  duration:")
            self.host.write(f"{jitter.SCRATCH}/osnoise_thread_noise_hist.txt", text)
            return self.rc, fixture("rtla/timerlat-hist-all-cpus-sum.txt"), ""
        for word in argv:
            if word.startswith("--json="):
                Path(word.partition("=")[2]).write_text(fixture("cyclictest/rt-tests-2.6.json"))
        return self.rc, fixture("cyclictest/rt-tests-2.4.txt"), "WARN: a\nERROR: no permission\n" if self.rc else ""

    def measure(self, cpus: frozenset[int] = ONE, how: jitter.Settings = TEN_SECONDS) -> dict[str, Any]:
        return jitter.measure(System(self.host.root, self.run), cpus, how)


@pytest.fixture
def tools(host: Host) -> Tools:
    return Tools(host)


def test_cyclictest_measures_where_there_is_no_tracer(tools: Tools) -> None:
    found = tools.measure(how=jitter.Settings(duration_s=3))
    assert (found["tool"], found["version"], found["cpus"]) == ("cyclictest", "2.60", "1")
    assert found["named_by"] == "counters"
    assert found["max_us"] == 108439 and found["samples"] == 1343 + 1350
    assert found["irqs"] == [{"name": "31 virtio3-input.0", "cpu": 1, "count": 3}]
    assert tools.ran[-1][:2] == ["timeout", "33"] and "--affinity=1" in tools.ran[-1]
    assert "--mainaffinity=0" in tools.ran[-1] and "--default-system" in tools.ran[-1]
    assert json.loads(json.dumps(found)) == found


def test_an_old_cyclictest_without_json_is_read_as_text(tools: Tools) -> None:
    tools.help = "cyclictest V 1.50\n --quiet\n"
    assert tools.measure(frozenset({0, 1}))["beyond"] == 383 + 371
    assert not any(word.startswith("--json") for word in tools.ran[-1])


@pytest.mark.parametrize("by", ["sys/kernel/tracing/available_tracers", "boot/config-6.12.1-amd64"])
def test_rtla_measures_where_the_kernel_has_the_tracer(tools: Tools, by: str) -> None:
    tools.host.write(by, "timerlat osnoise nop" if "tracers" in by else "CONFIG_TIMERLAT_TRACER=y\n")
    assert tools.measure()["tool"] == "cyclictest", "rtla is not installed"
    tools.host.write("usr/bin/rtla", "")
    found = tools.measure(frozenset({1}))
    assert (found["tool"], found["named_by"], found["max_us"]) == ("timerlat", "trace", 21)
    assert found["threads"][0]["name"] == "rcu_preempt"
    assert "hist:key=common_cpu,comm:vals=duration" in tools.ran[-1] and "10s" in tools.ran[-1]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (jitter.Settings("timerlat"), "rtla is not installed"),
        (jitter.Settings("latencytop"), "it is none of auto"),
        (jitter.Settings(duration_s=0), "jitter duration_s '0': it is not within 1 to 3600"),
        (jitter.Settings(interval_us=5), "not within 100 to 1000000"),
    ],
)
def test_what_cannot_be_measured_is_refused_first(tools: Tools, how: jitter.Settings, message: str) -> None:
    with pytest.raises(HostError, match=message):
        tools.measure(how=how)
    assert tools.ran == []


def test_refusals_of_the_host(tools: Tools) -> None:
    with pytest.raises(HostError, match="jitter CPUs '5': online are 0-1"):
        tools.measure(frozenset({5}))
    tools.rc = 1
    with pytest.raises(HostError, match="ERROR: no permission"):
        tools.measure()
    (tools.host.root / "usr/bin/cyclictest").unlink()
    with pytest.raises(HostError, match="cyclictest is not installed. Install the package rt-tests"):
        tools.measure()
    tools.host.write("usr/bin/rtla", "")
    with pytest.raises(HostError, match="the running kernel has no tracer osnoise"):
        tools.measure(how=jitter.Settings("osnoise"))


@pytest.mark.parametrize("tool", ["cyclictest", "timerlat"])
def test_it_runs_in_the_slice_of_the_partition_where_the_session_may_not(tools: Tools, tool: str) -> None:
    if tool == "timerlat":
        tools.host.write("sys/kernel/tracing/available_tracers", "timerlat nop")
        tools.host.write("usr/bin/rtla", "")
    tools.host.write("proc/self/cgroup", "0::/user.slice/user-0.slice/session-3.scope\n")
    tools.host.write("sys/fs/cgroup/cpuset.cpus.effective", "0\n")
    tools.host.write("sys/fs/cgroup/user.slice/cpuset.cpus.effective", "0\n")
    with pytest.raises(HostError, match="this session may use only 0, and tickwire.slice has not"):
        tools.measure()
    tools.host.write("sys/fs/cgroup/tickwire.slice/cpuset.cpus.effective", "1\n")
    assert tools.measure()["tool"] == tool
    assert tools.ran[-1][2:6] == ["systemd-run", "--quiet", "--scope", "--slice=tickwire.slice"]
    tools.host.write("sys/fs/cgroup/user.slice/cpuset.cpus.effective", "0-1\n")
    tools.measure()
    assert "systemd-run" not in tools.ran[-1]


def test_the_result_of_before_is_kept(tools: Tools) -> None:
    system = System(tools.host.root, tools.run)
    assert jitter.read_before(system) is None
    found = tools.measure()
    jitter.keep_before(system, found)
    assert jitter.read_before(system) == found
    for text in ("{", "[]"):
        tools.host.write(jitter.BEFORE, text)
        assert jitter.read_before(system) is None


def test_the_percentile_is_the_nearest_rank() -> None:
    one = Histogram(1, {float(value): 1 for value in range(1, 101)}, 0, 1, 50.5, 100)
    assert figures([one])["p99_us"] == 99


@given(samples=st.lists(st.integers(0, 50), min_size=1, max_size=200), largest=st.integers(1, 60))
def test_figures_of_a_histogram_are_those_of_its_samples(samples: list[int], largest: int) -> None:
    buckets = {float(value): samples.count(value) for value in samples if value < largest}
    over = sum(value >= largest for value in samples)
    one = Histogram(1, buckets, over, min(samples), sum(samples) / len(samples), max(samples))
    found = figures([one])
    exact = stats.percentile(sorted(samples), 99)
    assert found["p99_us"] == (exact if exact < largest else max(samples))
    assert (found["samples"], found["beyond"]) == (len(samples), over)
    half = [Histogram(cpu, buckets, over, one.min_us, one.avg_us, one.max_us) for cpu in (1, 2)]
    assert figures(half)["p99_us"] == found["p99_us"] and figures(half)["avg_us"] == found["avg_us"]
