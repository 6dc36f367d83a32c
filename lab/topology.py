"""Which machines the lab has and how they are cabled; everything else in lab/ follows from this data."""

from __future__ import annotations

from dataclasses import dataclass

FABRIC_MTU = 9000
MGMT = "mgmt0"


@dataclass(frozen=True)
class Nic:
    """A fabric NIC of a VM. `address` is CIDR, or None for a switch port that is up without an address."""

    name: str
    address: str | None = None


@dataclass(frozen=True)
class Vm:
    """A machine of the lab: virtual CPUs, memory in MB and its fabric NICs (each also has `mgmt0`).

    `test_nics`: whether it has twx0 and twx1, which carry nothing and remember their settings (lab/kmod).
    """

    name: str
    vcpus: int
    memory_mb: int
    nics: tuple[Nic, ...]
    test_nics: bool = False


@dataclass(frozen=True)
class End:
    """One end of a cable."""

    vm: str
    nic: str


@dataclass(frozen=True)
class Topology:
    """The VMs and the cables between their fabric NICs."""

    vms: tuple[Vm, ...]
    links: tuple[tuple[End, End], ...]

    def __post_init__(self) -> None:
        names = [vm.name for vm in self.vms]
        if len(set(names)) != len(names):
            raise ValueError(f"lab topology: a VM name is used twice in {names}")
        known = {End(vm.name, nic.name) for vm in self.vms for nic in vm.nics}
        seen: set[End] = set()
        for link in self.links:
            for end in link:
                if end not in known:
                    raise ValueError(f"lab topology: link end {end.vm}:{end.nic} is not a NIC of the lab")
                if end in seen:
                    raise ValueError(f"lab topology: {end.vm}:{end.nic} is cabled twice")
                seen.add(end)
        if seen != known:
            loose = ", ".join(sorted(f"{end.vm}:{end.nic}" for end in known - seen))
            raise ValueError(f"lab topology: not cabled: {loose}")

    def vm(self, name: str) -> Vm:
        """The VM of that name; KeyError when there is none."""
        for vm in self.vms:
            if vm.name == name:
                return vm
        raise KeyError(name)

    def peer(self, end: End) -> End:
        """The other end of the cable at `end`; KeyError when nothing is plugged in."""
        for a, b in self.links:
            if end == a:
                return b
            if end == b:
                return a
        raise KeyError(f"{end.vm}:{end.nic}")

    def mac(self, vm: str, nic: str) -> str:
        """Locally administered MAC address, stable per VM and NIC; labs are isolated, so all use the same."""
        index = [v.name for v in self.vms].index(vm)
        names = [MGMT, *(n.name for n in self.vm(vm).nics)]
        return f"52:54:00:7c:{index + 1:02x}:{names.index(nic):02x}"


LAB = Topology(
    vms=(
        Vm("exch1", vcpus=1, memory_mb=1024, nics=(Nic("fab0", "10.110.0.1/24"),)),
        Vm("sw1", vcpus=1, memory_mb=512, nics=(Nic("swp1"), Nic("swp2"))),
        Vm("trade1", vcpus=2, memory_mb=1536, nics=(Nic("fab0", "10.110.0.11/24"),), test_nics=True),
        # A second trading host: add swp3 to sw1's NICs, this entry, and the link below.
        # Vm("trade2", vcpus=2, memory_mb=1536, nics=(Nic("fab0", "10.110.0.12/24"),)),
    ),
    links=(
        (End("sw1", "swp1"), End("exch1", "fab0")),
        (End("sw1", "swp2"), End("trade1", "fab0")),
        # (End("sw1", "swp3"), End("trade2", "fab0")),
    ),
)
