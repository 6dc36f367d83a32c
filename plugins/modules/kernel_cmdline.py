#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets the kernel command line of the next boot and says whether the running kernel already has it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_cmdline
short_description: Set the kernel command line of the next boot and read it back
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - On Debian and Ubuntu it keeps the wanted boot parameters in a GRUB drop-in of its own,
    C(/etc/default/grub.d/zz-tickwire.cfg), runs C(update-grub) only when something changed, and reads every entry of
    C(/boot/grub/grub.cfg) back. Packaged files are never edited, and parameters that other files set stay.
  - On the RHEL family every boot entry of C(/boot/loader/entries) but the rescue ones is changed by C(grubby) and read
    back. C(/etc/kernel/cmdline) and C(/etc/default/grub) are kept the same for kernels that are installed later.
  - When an entry does not carry the wanted parameters everything is put back and the module fails. Recovery and rescue
    entries stay without them.
  - Derives C(isolcpus), C(nohz_full), C(rcu_nocbs) and C(irqaffinity) from the isolated CPUs. What needs no boot
    parameter is set by M(tickwire.fabric.cpu_isolation).
  - Compares whole parameters and never text. C(hugepagesz) and C(hugepages) are compared in their order.
  - Never reboots. RV(reboot_required) says whether the running kernel lacks or contradicts a wanted parameter.
  - With O(state=armed) only the next boot gets the new command line, and every later one what runs now, until
    O(state=confirmed) keeps it. A command line that failed so is remembered in
    C(/var/lib/tickwire/kernel-cmdline-failed.json) and refused until other parameters are wanted.
extends_documentation_fragment:
  - tickwire.fabric.attributes
  - tickwire.fabric.isolated_cpus
  - tickwire.fabric.isolated_cpus.way
  - tickwire.fabric.protection
options:
  tokens:
    description:
      - More boot parameters, one per item, kept in this order. A value with a blank is quoted by the module.
      - Quotes inside a value, backslashes, backquotes and dollar signs are refused, since GRUB would not pass them on
        unchanged, and so is what a bare C(on) or C(off) of YAML turns into.
    type: list
    elements: str
    default: []
  latency:
    description:
      - Groups of parameters that take jitter away, as far as they fit the host.
      - V(cstates) is C(processor.max_cstate=1), on Intel with C(intel_idle.max_cstate=0). V(rcu) is
        C(rcupdate.rcu_normal_after_boot=1) and, where the kernel has it, C(rcutree.nohz_full_patience_delay=1000).
        V(tick) is C(skew_tick=1). V(tsc) is C(tsc=reliable), only where the TSC is the clock source. V(watchdogs) is
        C(nosoftlockup) and C(nmi_watchdog=0).
      - A key that is in O(tokens) stays as it is there.
    type: list
    elements: str
    choices: [cstates, rcu, tick, tsc, watchdogs]
    default: []
  dangerous:
    description:
      - Parameters that take jitter away and something else with it, which a warning says.
      - V(audit_off) is C(audit=0), V(idle_poll) C(idle=poll), V(mce_ignore_ce) C(mce=ignore_ce), V(mce_off) C(mce=off),
        V(mitigations_off) C(mitigations=off), V(nosmt) C(nosmt).
    type: list
    elements: str
    choices: [audit_off, idle_poll, mce_ignore_ce, mce_off, mitigations_off, nosmt]
    default: []
  hugepages:
    description:
      - The hugepages of M(tickwire.fabric.hugepages). Pages of 1 GB among them that the running kernel has not are
        reserved at boot, with C(hugepagesz=1G) and C(hugepages) after all other parameters, per node from Linux 5.16
        on. Not so when O(tokens) names C(hugepagesz=1G) itself.
    type: list
    elements: dict
    default: []
  state:
    description:
      - V(present) makes the next boot carry exactly the wanted parameters beside those which other files set.
        With no parameter wanted it takes all away that this module has set.
      - V(absent) does the same, and takes away a boot on trial as well, one that is still to come or runs unconfirmed.
      - V(armed) makes the next boot, with what V(present) or V(absent) has set, one on trial. A kernel or an initramfs
        that fails then reboots by itself, and a timer on the host reboots it when nobody confirms the boot in time. The
        timer does not while something trades on the host (O(protection)), says so in the journal, and comes again
        after the same time. All later boots take the command line that runs now. Refused where GRUB cannot boot an
        entry once, which is where C(/boot) is on LVM, RAID, btrfs or ZFS.
      - V(confirmed) keeps the command line of a boot on trial, and changes nothing where there is none. When the host
        is back on what ran before it puts the former parameters back and fails with the reason.
      - V(disarmed) takes a trial away whose boot is still to come. The next boot keeps the command line that was set
        for it. Changes nothing where none is armed.
    type: str
    choices: [present, absent, armed, disarmed, confirmed]
    default: present
  trial_timeout_s:
    description: How long after its start a boot on trial may stay without being confirmed, in seconds.
    type: int
    default: 600
attributes:
  diff_mode:
    description: Returns the parameters that this module has set before and after, one per line.
    support: full
"""

EXAMPLES = r"""
- name: Isolate CPUs 2 to 7 at the next boot
  tickwire.fabric.kernel_cmdline:
    isolated_cpus: 2-7
    latency: [tick, watchdogs]
    tokens:
      - hugepagesz=1G
      - hugepages=8
  register: cmdline

- name: Try it once at the next boot
  tickwire.fabric.kernel_cmdline:
    state: armed
  when: cmdline.reboot_required

- name: Keep it after the reboot
  tickwire.fabric.kernel_cmdline:
    state: confirmed

- name: Take all parameters away again
  tickwire.fabric.kernel_cmdline:
    state: absent
"""

RETURN = r"""
tokens:
  description: All parameters that this module has set afterwards, in order.
  returned: success
  type: list
  elements: str
  sample: ["isolcpus=managed_irq,domain,2-7", "nohz_full=2-7", "rcu_nocbs=2-7", "irqaffinity=0-1"]
path:
  description: The drop-in, or the directory of the boot entries.
  returned: success
  type: str
  sample: /etc/default/grub.d/zz-tickwire.cfg
entries:
  description: Linux entries of the boot menu as they were read back. In check mode these are the present ones.
  returned: success
  type: list
  elements: dict
  contains:
    title:
      description: Title of the entry.
      type: str
      sample: Debian GNU/Linux
    kernel:
      description: Its kernel.
      type: str
      sample: /boot/vmlinuz-6.12.48+deb13-amd64
    cmdline:
      description: Its kernel command line.
      type: str
      sample: root=UUID=5e7b ro quiet isolcpus=managed_irq,domain,2-7
    managed:
      description: Whether it has to carry the parameters. Recovery and rescue entries have not.
      type: bool
      sample: true
reboot_required:
  description: Whether the running kernel lacks or contradicts a wanted parameter, or still has one that was taken away.
  returned: success
  type: bool
  sample: true
trial:
  description: >-
    What a boot on trial is at. There is C(none), it is C(armed) for the next reboot, C(running) without having been
    confirmed, or the host C(fell_back) on what ran before.
  returned: success
  type: str
  sample: none
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host import guard
from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import ISOLATION, PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot import loader, record, trial, tuning
from ansible_collections.tickwire.fabric.plugins.module_utils.host.boot.menu import CmdlineResult
from ansible_collections.tickwire.fabric.plugins.module_utils.host.cmdline import format_cmdline
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.parts import boot
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System


def _set(system: System, params: dict[str, Any], check: bool) -> CmdlineResult:
    """The tokens of the next boot."""
    if params["state"] == "absent":
        return trial.take_away(system, check)
    named = {f"kernel_cmdline_{name}": params[name] for name in ("latency", "dangerous")}
    return trial.apply(
        system, boot.tokens(system, {**params, "kernel_cmdline_extra": params["tokens"], **named}), check
    )


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            **ISOLATION,
            "hugepages": {"type": "list", "elements": "dict", "default": []},
            "tokens": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "latency": {"type": "list", "elements": "str", "choices": list(tuning.LATENCY), "default": []},
            "dangerous": {"type": "list", "elements": "str", "choices": list(tuning.DANGEROUS), "default": []},
            "state": {
                "type": "str",
                "choices": ["present", "absent", "armed", "disarmed", "confirmed"],
                "default": "present",
            },
            "trial_timeout_s": {"type": "int", "default": 600},
            **PROTECTION,
        },
        supports_check_mode=True,
    )
    system = System(Path("/"), run_program)
    try:
        if module.params["state"] == "armed":
            program = guard.archive(module.params["protection"])
            result = trial.next_boot(system, module.params["trial_timeout_s"], program, module.check_mode)
        elif module.params["state"] == "disarmed":
            result = trial.call_off(system, module.check_mode)
        elif module.params["state"] == "confirmed":
            result = trial.keep(system, module.check_mode)
        else:
            result = _set(system, module.params, module.check_mode)
        state, kept = trial.state_of(system), record.texts(result.after)
    except (HostError, OSError) as error:
        module.fail_json(msg=str(error))
    for text in tuning.warnings(module.params["dangerous"]):
        module.warn(text)
    path = loader.where(system.root)
    module.exit_json(
        changed=result.changed,
        tokens=kept,
        path=path,
        entries=[
            {
                "title": entry.title,
                "kernel": entry.kernel,
                "cmdline": format_cmdline(entry.tokens),
                "managed": entry.ours,
            }
            for entry in result.entries
        ],
        reboot_required=result.reboot_required,
        trial=state,
        diff={
            "before_header": path,
            "after_header": path,
            "before": "".join(f"{token}\n" for token in result.before),
            "after": "".join(f"{token}\n" for token in result.after),
        },
    )


if __name__ == "__main__":
    main()
