# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jitter in the report: before and after side by side, with who disturbed, and its gates."""

from report_samples import budgets, results

from ansible_collections.tickwire.fabric.plugins.module_utils.report import document, page

NOW = "2026-01-02 03:04:05 UTC"


def build(raw):
    return document.build("ldn1", raw, budgets(), NOW)


def test_both_measurements_are_in_the_summary_and_on_the_page():
    made = build(results())
    text = "\n".join(made["summary"])
    assert "jitter of CPUs 2-3 (cyclictest): p99 4.00 us, max 11.0 us, before the role p99 4.00 us, max 850 us" in text
    assert "most often on these CPUs: LOC Local timer interrupts 5010, kworker/2:1 12" in text
    html = page.render(made)
    for part in ("before the role changed the host", "850 us", "11.0 us", "kworker/2:1", "93.1 us", "cyclictest 2.60"):
        assert part in html


def test_without_a_result_of_before_only_the_new_one_is_shown():
    raw = results()
    raw["trade1"]["jitter"]["before"] = {}
    made = build(raw)
    assert made["verdict"] == "passed" and "before" not in made["measurements"]["trade1"]["jitter"]
    assert "before the role" not in page.render(made)


def test_what_was_not_measured_is_a_failed_gate_with_the_reason():
    raw = results()
    raw["trade1"]["jitter"] = {"failed": True, "msg": "cyclictest is not installed"}
    made = build(raw)
    (text,) = document.failures(made["gates"])
    assert "jitter.max_us (budget 20 us)" in text and "cyclictest is not installed" in text
    assert "cyclictest is not installed" in page.render(made)
    raw["trade1"]["jitter"] = {"changed": False, "result": {}, "before": {}}
    assert "the host has no isolated CPUs" in document.failures(build(raw)["gates"])[0]


def test_a_late_wake_up_is_a_failed_gate():
    raw = results()
    raw["trade1"]["jitter"]["result"]["max_us"] = 21.0
    (text,) = document.failures(build(raw)["gates"])
    assert text == "jitter.max_us on trade1: value 21 us, budget 20 us: 21 us is above the budget of 20 us"


def test_nobody_has_to_measure_it():
    raw, wanted = results(), budgets()
    del raw["trade1"]["jitter"]
    for host in wanted.values():
        del host["jitter"]
    made = document.build("ldn1", raw, wanted, NOW)
    assert made["verdict"] == "passed" and "Jitter: what disturbed" not in page.render(made)
