# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a change costs: nothing, or a moment without the link, by driver and group of settings.

After the drivers' ethtool and netdev operations, not tried on cards: a driver that closes and opens its queues, resets
the function or trains the link again drops packets and tells the stack that the link went. Kernels differ, and what a
driver does in some of them is named here: one question too many costs less than a link. A driver that is not named here
is taken to do so for every group in which most drivers do.
"""

from __future__ import annotations

#: Groups in which most drivers take the queues down.
USUAL = frozenset({"rings", "channels", "pause", "mtu", "private_flags"})
BOUNCES: dict[str, frozenset[str]] = {
    # Opens new channels beside the old ones and switches over with the carrier off.
    "mlx5_core": frozenset(
        {
            "rings",
            "channels",
            "mtu",
            "private_flags",
            "coalesce.adaptive-rx",
            "coalesce.adaptive-tx",
            "offloads.large-receive-offload",
            "offloads.rx-gro-hw",
            "offloads.rx-vlan-offload",
        }
    ),
    "ice": frozenset({"rings", "channels", "pause", "mtu", "private_flags"}),
    "i40e": frozenset({"rings", "channels", "pause", "mtu", "private_flags", "offloads"}),
    "ixgbe": frozenset({"rings", "channels", "pause", "mtu", "private_flags", "offloads"}),
    "igb": frozenset({"rings", "channels", "pause", "mtu", "private_flags", "offloads"}),
    "igc": frozenset({"rings", "channels", "pause", "mtu", "private_flags", "offloads"}),
    "bnxt_en": frozenset({"rings", "channels", "pause", "mtu", "offloads"}),
    "sfc": frozenset({"rings", "channels", "pause", "mtu"}),
    "virtio_net": frozenset(),
    "veth": frozenset(),
    "dummy": frozenset(),
    # lab/kmod
    "twnic": frozenset({"rings", "channels", "pause", "mtu"}),
}
#: Offloads of the stack itself, of which no driver hears.
SOFTWARE = frozenset(
    {
        "offloads.generic-receive-offload",
        "offloads.generic-segmentation-offload",
        "offloads.rx-gro-list",
        "offloads.rx-udp-gro-forwarding",
        "offloads.tx-nocache-copy",
    }
)


def bounces(driver: str, setting: str) -> bool:
    """Whether a change of this setting takes the link down for a moment."""
    known = BOUNCES.get(driver, USUAL)
    return setting not in SOFTWARE and (setting in known or setting.partition(".")[0] in known)
