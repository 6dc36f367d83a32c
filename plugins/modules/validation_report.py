#!/usr/bin/python
# Copyright (c) Tickwire
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: validation_report
short_description: Judge a validation's measurements by budgets and write the report
version_added: 0.1.0
description:
  - Compares what C(playbooks/validate.yml) measured with the budgets of the inventory, writes C(report.json) and a
    self-contained C(report.html), and fails naming every failed gate with its host, value and budget.
  - A value that could not be measured is a failed gate, and so is a budget that nothing was measured for.
  - The report is the output of a validation and no managed state, so this module never says V(changed); the files are
    in RV(json_path) and RV(html_path).
author: Tickwire (@tickwire)
options:
  fabric:
    description: Name of the fabric, for the report's title.
    type: str
    required: true
  directory:
    description: Directory to write the report into; it is made when it does not exist.
    type: path
    required: true
  results:
    description:
      - By host, the raw registered results under C(rdma_link), C(ptp), C(rdma_ping), C(rdma_ping_server), C(t2t) and,
        where it was measured, C(coexistence), C(coexistence_server), C(coexistence_plain) and
        C(coexistence_plain_server), and C(jitter), with C(role) (V(trader), V(exchange), or V(member) for a host of a
        mesh alone), C(ptp_role) and C(facts) (C(system), C(kernel), C(cmdline)).
      - Where any host has C(mesh), a list made by filter P(tickwire.fabric.mesh_end#filter), all hosts make a mesh, and
        every two of them have to be in it.
    type: dict
    required: true
  budgets:
    description:
      - By host, its budgets as C(section.name), for example C(rdma_ping.median_us).
      - Sections and names are C(rdma_link) (C(state), C(roce_version_min), C(active_mtu_min_bytes), C(as_intended),
        C(errors_risen_max), C(errors_besides_sent_again_max)), C(rdma_ping) (C(min_us), C(median_us), C(p99_us),
        C(p99_9_us), C(max_us)), C(mesh) (C(failed_pairs_max), C(outliers_max), C(datagrams_lost_max),
        C(rc_median_us), C(rc_p99_us), C(ud_median_us), C(ud_p99_us)), C(ptp) (C(locked), C(offset_median_ns),
        C(offset_max_ns)), C(t2t) (C(median_ns), C(p99_ns), C(p99_9_ns), C(max_ns), C(samples_min),
        C(samples_dropped_max), C(unstamped_max), C(messages_lost_max), C(orders_rejected_max),
        C(p99_minus_min_over_mean_max)), C(coexistence) (at most C(loss), C(p99_ratio), C(p99_busy_ratio); at least
        C(ecn_marks), C(load_mbps), C(plain_p99_ratio)) and C(jitter) (C(min_us), C(avg_us), C(p99_us), C(max_us),
        C(samples_min)).
    type: dict
    required: true
  fail_on_failed_gates:
    description: Whether the module fails when a gate failed. With V(false) the caller has to look at RV(verdict).
    type: bool
    default: true
requirements:
  - jinja2 and matplotlib, for the Python that runs it
attributes:
  check_mode:
    description: Judges in check mode too, but writes nothing.
    support: full
  diff_mode:
    description: Has no diff, as the report is no managed state.
    support: none
"""

EXAMPLES = r"""
- name: Judge and report
  tickwire.fabric.validation_report:
    fabric: lab
    directory: report
    results:
      trade1:
        role: trader
        rdma_ping:
          half_round_trip: {median_us: 3.1}
        rdma_ping_server: {changed: false}
    budgets:
      trade1:
        rdma_ping: {median_us: 5}
  delegate_to: localhost
"""

RETURN = r"""
verdict:
  description: V(passed) when every gate passed.
  returned: always
  type: str
gates:
  description: Every gate.
  returned: always
  type: list
  elements: dict
  sample: [{name: rdma_ping.median_us, host: trade1, value: 3.1, budget: 5, unit: us, ok: true, reason: ''}]
failed_gates:
  description: The failed gates as text, with host, value, budget and reason; those of one host that miss their value
    for one reason in one.
  returned: always
  type: list
  elements: str
summary:
  description: Lines to show.
  returned: always
  type: list
  elements: str
json_path:
  description: The report for machines.
  returned: always
  type: str
html_path:
  description: The report for people.
  returned: always
  type: str
"""

import datetime
import json
import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

from ansible_collections.tickwire.fabric.plugins.module_utils.host.files import write_atomic
from ansible_collections.tickwire.fabric.plugins.module_utils.report import document as documents
from ansible_collections.tickwire.fabric.plugins.module_utils.report import page


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "fabric": {"type": "str", "required": True},
            "directory": {"type": "path", "required": True},
            "results": {"type": "dict", "required": True},
            "budgets": {"type": "dict", "required": True},
            "fail_on_failed_gates": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    directory = os.path.abspath(wanted["directory"])
    paths = {name: os.path.join(directory, "report." + name) for name in ("json", "html")}
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    try:
        document = documents.build(wanted["fabric"], wanted["results"], wanted["budgets"], now)
        html = page.render(document)
    except ImportError as error:
        module.fail_json(msg=missing_required_lib(error.name or "matplotlib", reason="to draw the report"))
    except ValueError as error:
        module.fail_json(msg="results cannot be judged: %s. Next: run playbooks/validate.yml, which makes them" % error)
    if not module.check_mode:
        try:
            os.makedirs(directory, exist_ok=True)
            write_atomic(Path(paths["json"]), json.dumps(document, indent=2, sort_keys=True) + "\n")
            write_atomic(Path(paths["html"]), html)
        except OSError as error:
            module.fail_json(
                msg="the report cannot be written to %s: %s. Next: set validation_report_dir to a directory you may "
                "write" % (directory, error)
            )
    failed = documents.failures(document["gates"])
    result = {
        "changed": False,
        "verdict": document["verdict"],
        "gates": document["gates"],
        "failed_gates": failed,
        "summary": document["summary"],
        "json_path": paths["json"],
        "html_path": paths["html"],
    }
    if document["verdict"] != "passed" and wanted["fail_on_failed_gates"]:
        module.fail_json(msg="Validation failed, see %s\n%s" % (paths["html"], "\n".join(failed)), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
