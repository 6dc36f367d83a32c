"""What makes a booted copy of the image one particular VM: systemd credentials handed in through SMBIOS type 11.

systemd reads them before it starts anything: PID 1 takes the host name, the network generator the .link and .network
files, tmpfiles the ssh keys. So the disk of every VM is just an overlay, and nothing is edited in it.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from lab.topology import FABRIC_MTU, MGMT, Nic, Topology, Vm

# Fixed by QEMU's user network: the guest, the gateway. The network is closed but for the forwarded ssh port.
MGMT_ADDRESS = "10.0.2.15/24"


@dataclass(frozen=True)
class Keys:
    """The lab's ssh keys: the public key let in as root, and the VMs' own host key pair (one for the whole lab)."""

    user_public: str
    host_private: str
    host_public: str


def link_file(mac: str, name: str) -> str:
    """systemd .link: the NIC with that MAC has that name."""
    return f"[Match]\nMACAddress={mac}\n\n[Link]\nName={name}\n"


def mgmt_network() -> str:
    """systemd .network of the management NIC."""
    return f"[Match]\nName={MGMT}\n\n[Network]\nAddress={MGMT_ADDRESS}\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"


def fabric_network(nic: Nic) -> str:
    """systemd .network of a fabric NIC: a host port has its address, a switch port is up and left to the role."""
    lines = ["[Match]", f"Name={nic.name}", "", "[Link]", f"MTUBytes={FABRIC_MTU}", "", "[Network]"]
    lines.append("IPv6AcceptRA=no")
    if nic.address is None:
        # KeepMaster: networkd must not take the port out of the bridge the switch role puts it in.
        lines += ["LinkLocalAddressing=no", "KeepMaster=yes"]
    else:
        lines.append(f"Address={nic.address}")
    return "\n".join(lines) + "\n"


def credentials(topology: Topology, vm: Vm, keys: Keys) -> dict[str, str]:
    """The credentials of one VM: name -> content."""
    found = {
        "system.hostname": vm.name,
        # Stable, so that a rebuilt lab looks the same to whoever keys on it.
        "system.machine_id": hashlib.sha256(f"tickwire-lab {vm.name}".encode()).hexdigest()[:32],
        "ssh.authorized_keys.root": keys.user_public.strip() + "\n",
        "tmpfiles.extra": _tmpfiles(keys),
        f"network.link.10-{MGMT}": link_file(topology.mac(vm.name, MGMT), MGMT),
        f"network.network.10-{MGMT}": mgmt_network(),
    }
    if vm.test_nics:
        found["tickwire.test_nics"] = "yes"
    for nic in vm.nics:
        found[f"network.link.20-{nic.name}"] = link_file(topology.mac(vm.name, nic.name), nic.name)
        found[f"network.network.20-{nic.name}"] = fabric_network(nic)
    return found


def smbios_arguments(found: dict[str, str]) -> list[str]:
    """QEMU arguments for these credentials; base64, since QEMU splits option values at commas."""
    arguments = []
    for name, content in sorted(found.items()):
        encoded = base64.b64encode(content.encode()).decode()
        arguments += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={encoded}"]
    return arguments


def _tmpfiles(keys: Keys) -> str:
    """tmpfiles.d lines which write the ssh host key; `f~` decodes base64."""
    private = base64.b64encode(keys.host_private.encode()).decode()
    public = base64.b64encode(keys.host_public.encode()).decode()
    path = "/etc/ssh/ssh_host_ed25519_key"
    return f"f~ {path} 0600 root root - {private}\nf~ {path}.pub 0644 root root - {public}\n"
