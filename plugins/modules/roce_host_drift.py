#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the running state of a trading host and compares it with what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: roce_host_drift
short_description: Read the running state of a trading host and its drift
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Reads the boot parameters, isolated CPUs, hugepages per NUMA node and interrupt affinities of the running kernel,
    and lists everything that is not as wanted.
  - Fails when the host cannot be what is wanted, such as when a CPU to isolate does not exist. So it serves as a
    check before anything is changed, too.
  - Says whether the host may be disturbed now, that is rebooted or one of its NICs bounced. It may not while something
    trades on it, unless a maintenance window is open. An engine of role P(tickwire.fabric.t2t_runtime#role) trades
    while it has a session at the exchange or open orders; the units of C(workload_units) trade while they are active.
  - Changes nothing.
extends_documentation_fragment:
  - tickwire.fabric.attributes.changes_nothing
options:
  wanted:
    description:
      - All that is wanted of the host, the variables of role P(tickwire.fabric.roce_host#role) without their prefix
        C(roce_host_). What is missing is not compared.
      - Without it the host's own document is taken, C(/etc/tickwire/host.json), see M(tickwire.fabric.host_agent).
        Where there is none, nothing is compared.
    type: dict
  boot_trial_timeout_s:
    description:
      - Given where a reboot that is needed and possible now will be made by what follows, as one on trial with this
        limit in seconds, see O(tickwire.fabric.kernel_cmdline#module:trial_timeout_s).
      - It fails then as well where the boot parameters of O(wanted) need a reboot, the host may be disturbed, and GRUB
        cannot boot an entry once. Pages of 1 GB that are wanted and not there yet need a reboot by this reckoning.
    type: int
"""

EXAMPLES = r"""
- name: Compare the host with its own document
  tickwire.fabric.roce_host_drift:
  register: host

- name: Look for drift
  tickwire.fabric.roce_host_drift:
    wanted:
      isolated_cpus: 2-7
      hugepages:
        - {size: 2M, count: 512, node: 0}
  register: host
  failed_when: host.drift | length > 0
"""

RETURN = r"""
running:
  description: The running state.
  returned: success
  type: dict
  contains:
    kernel:
      description: Release of the running kernel.
      type: str
      sample: 6.12.48+deb13-amd64
    cmdline:
      description: Its command line.
      type: str
      sample: BOOT_IMAGE=/boot/vmlinuz-6.12.48+deb13-amd64 root=/dev/vda1 ro isolcpus=managed_irq,domain,1
    present_cpus:
      description: CPUs of the host.
      type: str
      sample: 0-1
    isolated_cpus:
      description: CPUs out of the scheduler's domains.
      type: str
      sample: "1"
    nohz_full_cpus:
      description: CPUs whose tick stops.
      type: str
      sample: "1"
    isolation:
      description: How the CPUs are isolated, and what the cgroups, workqueues and kernel threads show of it.
      type: dict
      contains:
        way:
          description: The chosen way, V(partition) or V(boot). Empty where no CPU is to be isolated.
          type: str
          sample: boot
        reason:
          description: Why this way was chosen.
          type: str
          sample: a partition holds whole processes, and whole_processes is not set
        partition:
          description: What the kernel says of the partition of C(tickwire.slice). Empty where there is none.
          type: str
          sample: isolated
        partition_cpus:
          description: CPUs in isolated partitions.
          type: str
          sample: "1"
        slices:
          description: CPUs of each top-level unit of systemd that has a cpuset.
          type: dict
          sample: {"system.slice": "0"}
        workqueue_cpus:
          description: CPUs of the unbound workqueues.
          type: str
          sample: "0"
        kernel_threads:
          description: Kernel threads that may be moved and may run on isolated CPUs and on others.
          type: list
          elements: dict
          contains:
            pid:
              description: Number of the thread.
              type: int
              sample: 45
            name:
              description: Its name.
              type: str
              sample: kswapd0
            cpus:
              description: CPUs on which it may run.
              type: str
              sample: 0-1
    hugepages:
      description: Hugepages per node and size.
      type: list
      elements: dict
      contains:
        node:
          description: NUMA node.
          type: int
          sample: 0
        size:
          description: Size of a page.
          type: str
          sample: 2M
        count:
          description: Number of pages.
          type: int
          sample: 64
    default_irq_affinity:
      description: CPUs on which interrupts may fire that are requested later.
      type: str
      sample: "0"
    irqs_on_isolated_cpus:
      description: Movable interrupts that may fire on a wanted isolated CPU, each with its CPUs.
      type: list
      elements: dict
      contains:
        irq:
          description: Number of the interrupt.
          type: int
          sample: 24
        actions:
          description: Who uses it.
          type: str
          sample: virtio0-input.0
        cpus:
          description: CPUs on which it is allowed to fire.
          type: str
          sample: 0-1
    irqbalance:
      description:
        - Whether irqbalance is installed, running and started at boot, and the CPUs it was told to keep off. Empty
          where it was told none or does not run.
      type: dict
      sample: {installed: true, running: true, enabled: true, banned_cpus: "1"}
    dcb:
      description: Pauses, scheduling and the DSCP map by interface, and what has no support.
      type: dict
    dcb_findings:
      description: Who else sets DCB or spoils it, and what to do.
      type: list
      elements: str
    roce:
      description: Settings, GIDs of the IPv4 addresses and what has no support, by RDMA device and port.
      type: dict
wanted_tokens:
  description: All boot parameters that are wanted, derived ones first.
  returned: success
  type: list
  elements: str
  sample: ["isolcpus=managed_irq,domain,1", "nohz_full=1", "rcu_nocbs=1", "irqaffinity=0"]
drift:
  description: Everything that is not as wanted. Empty when the host is as wanted.
  returned: success
  type: list
  elements: dict
  contains:
    item:
      description: What it is.
      type: str
      sample: hugepages 2M on node 0
    wanted:
      description: What is wanted.
      type: str
      sample: "64"
    found:
      description: What the running kernel has.
      type: str
      sample: "40"
    pending_reboot:
      description: Whether it waits for a reboot that is due.
      type: bool
      sample: false
    message:
      description: All of it in words.
      type: str
      sample: "hugepages 2M on node 0: wanted '64', found '40'"
document_differs:
  description: Whether the host's own document says something else than O(wanted), or is missing.
  returned: success
  type: bool
  sample: false
may_disturb:
  description: Whether the host may be rebooted, or one of its NICs bounced, now.
  returned: success
  type: bool
  sample: false
may_disturb_reason:
  description: Why.
  returned: success
  type: str
  sample: >-
    tickwire-engine.service is active and it has a session at the exchange, and no maintenance window is open
trading:
  description: What trades on the host, a sentence each.
  returned: success
  type: list
  elements: str
  sample: ["tickwire-engine.service is active and it has a session at the exchange"]
kept:
  description: Parts whose module has something to do or to take back even where nothing is wanted of them.
  returned: success
  type: list
  elements: str
  sample: [boot, isolation, irq, hugepages, memory, noise, nic, agent]
reboot_required:
  description:
    - Whether the running kernel lacks or contradicts a wanted boot parameter, or still has one that was taken away.
  returned: success
  type: bool
  sample: false
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import drift
from ansible_collections.tickwire.fabric.plugins.module_utils.host.agent import document
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import boot
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "wanted": {"type": "dict"},
            "boot_trial_timeout_s": {"type": "int"},
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        wanted = module.params["wanted"]
        kept = document.read_document(system) if wanted is None else document.intact_document(system)
        wanted = kept or {} if wanted is None else wanted
        report = drift.report(system, wanted)
        timeout_s = module.params["boot_trial_timeout_s"]
        if timeout_s is not None and report["may_disturb"]:
            boot.check_trial(system, wanted, timeout_s)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, document_differs=wanted != kept, **report)


if __name__ == "__main__":
    main()
