#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sets the firmware of network cards through mstflint."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nic_firmware
short_description: Set the firmware of network cards and say what loads it
version_added: 0.1.0
author: Tickwire (@tickwire)
description:
  - Compares settings of a card's firmware (C(mstconfig)) with what is wanted, for the running firmware and for the next
    boot. What the next boot lacks is set in one call and read back. What is set and not loaded yet is not set again.
  - Says for each card whether a firmware reset, a reboot of the host or a power cycle loads what waits. A card that
    was set before this boot and still runs without it fails with its own error, C(failed to apply after reboot).
  - A parameter that a card does not show is told by name with the reason, as far as it can be known, and the result of
    the card is then C(PartiallyApplied). It is no failure, as cards of different age share one list.
  - A setting that is taken off the list goes back to what it was before this module set it.
  - Burns a firmware image from a local file where the flash is older than the image, or than
    O(devices[].minimum_version) where that is given. It never puts older firmware onto a card.
  - Two functions of a dual-port card have one firmware, which is asked and set once.
requirements:
  - mstflint on the host (4.21 of Debian 12 and later)
extends_documentation_fragment:
  - tickwire.fabric.protection
options:
  devices:
    description: The cards and what is wanted of them.
    type: list
    elements: dict
    default: []
    suboptions:
      device:
        description: PCI address, interface or RDMA device of a physical port.
        type: str
        required: true
      settings:
        description:
          - Parameters by name, as C(mstconfig query) shows them, with the number or the name of the value.
          - A name without V(_P1) means every port that the card has. Elements of arrays are named one by one.
        type: dict
        default: {}
      image:
        description: Firmware image to bring the card to.
        type: dict
        suboptions:
          path:
            description: Path of the image on the host.
            type: str
            required: true
          sha256:
            description: SHA-256 of the file, in hexadecimal.
            type: str
            required: true
      minimum_version:
        description:
          - Version that the card shall have at least. With O(devices[].image) a card of this version or later is left
            as it is. Without an image an older card is an error.
        type: str
        default: ""
  bounce_allowed:
    description:
      - Whether links may go down now. Only then images are burned, and what waits is loaded by a reset of the firmware
        where the card can. It counts for nothing while O(protection) keeps the host from being disturbed.
    type: bool
    default: false
attributes:
  check_mode:
    description:
      - Can run in check mode and return changed status prediction without modifying the target. Only questions are
        asked of the cards, and nothing is written.
    support: full
  diff_mode:
    description: Returns the settings of the next boot and the version on the flash, before and after.
    support: full
"""

EXAMPLES = r"""
- name: Give CNPs their DSCP on every port and keep completions uncompressed
  tickwire.fabric.nic_firmware:
    devices:
      - device: ens4f0np0
        settings:
          CNP_DSCP: 48
          CQE_COMPRESSION: BALANCED

- name: Bring a card to the approved firmware at a time when its links may go down
  tickwire.fabric.nic_firmware:
    devices:
      - device: 0000:3b:00.0
        minimum_version: 16.35.2000
        image:
          path: /var/lib/firmware/fw-ConnectX5-rel-16_35_4030.bin
          sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    bounce_allowed: true
"""

RETURN = r"""
cards:
  description: Every card with its settings and versions. In check mode as they were found.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: PCI address of the function that was asked.
      type: str
      sample: "0000:3b:00.0"
    names:
      description: What the card was called in O(devices).
      type: list
      elements: str
      sample: [ens4f0np0]
    device_type:
      description: Type as the tool says it.
      type: str
      sample: ConnectX5
    result:
      description: C(Applied), C(Pending), C(PartiallyApplied) or C(NotApplied).
      type: str
      sample: Pending
    loaded_by:
      description: What loads that which waits. Empty when nothing waits.
      type: str
      sample: reboot
    power_cycle:
      description: Whether a reboot of the host does not restart this card.
      type: bool
      sample: false
    version:
      description: Version on the flash, where an image or a minimum version is wanted.
      type: str
      sample: 16.35.4030
    running_version:
      description: Version that runs.
      type: str
      sample: 16.28.2006
    image_version:
      description: Version of the image.
      type: str
      sample: 16.35.4030
    settings:
      description:
        - Each setting with its default, current and next value, its state, and the reason where it is not applied.
      type: list
      elements: dict
      sample: [{name: CNP_DSCP_P1, wanted: "48", state: pending, default: "0", current: "0", next: "48", reason: ""}]
reboot_required:
  description: Whether a reboot of the host loads something that waits.
  returned: success
  type: bool
  sample: true
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.tickwire.fabric.plugins.module_utils.host.arguments import PROTECTION
from ansible_collections.tickwire.fabric.plugins.module_utils.host.errors import HostError
from ansible_collections.tickwire.fabric.plugins.module_utils.host.firmware.apply import apply_firmware
from ansible_collections.tickwire.fabric.plugins.module_utils.host.run import run_program
from ansible_collections.tickwire.fabric.plugins.module_utils.host.system import System

IMAGE = {"path": {"type": "str", "required": True}, "sha256": {"type": "str", "required": True}}
DEVICE = {
    "device": {"type": "str", "required": True},
    "settings": {"type": "dict", "default": {}},
    "image": {"type": "dict", "options": IMAGE},
    "minimum_version": {"type": "str", "default": ""},
}


def main() -> None:
    """Arguments, one call, result."""
    module = AnsibleModule(
        argument_spec={
            "devices": {"type": "list", "elements": "dict", "default": [], "options": DEVICE},
            "bounce_allowed": {"type": "bool", "default": False},
            **PROTECTION,
        },
        supports_check_mode=True,
    )
    system, wanted = System(Path("/"), run_program), module.params
    try:
        result = apply_firmware(
            system,
            wanted["devices"],
            wanted["bounce_allowed"],
            wanted["protection"],
            module.check_mode,
        )
    except (HostError, OSError, ValueError) as error:
        module.fail_json(msg=str(error))
    for warning in result.warnings:
        module.warn(warning)
    module.exit_json(
        changed=result.changed,
        cards=result.cards,
        reboot_required=result.reboot_required,
        diff={
            "before": "".join(f"{line}\n" for line in result.before),
            "after": "".join(f"{line}\n" for line in result.after),
        },
    )


if __name__ == "__main__":
    main()
