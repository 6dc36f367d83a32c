# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Feeds on one queue by flow rules (ntuple), and the RSS table which keeps everything else off that queue."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from ..cpulist import parse_cpu_list
from ..errors import HostError
from ..system import System
from .wanted import Feed

#: How drivers name the interrupt of a receive queue: mlx5_comp3@pci:0000:3b:00.0, ice-ens1f0-TxRx-3, ens4-TxRx-3,
#: virtio2-input.3, i40e-ens1-TxRx-3, ens1-rx-3.
_QUEUE = (r"mlx5_comp(\d+)(?:@|\Z)", r"-(?:TxRx|rx|Rx)-(\d+)\Z", r"-input\.(\d+)\Z")
#: Lines of a rule without more than addresses and ports.
_PLAIN = {
    "Rule Type", "Src IP addr", "Dest IP addr", "TOS", "Traffic Class", "Src port", "Dest port", "Action",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """One rule of the card: kind and exact destination of packets, and the queue they go to."""

    flow_type: str
    dst_ip: str
    dst_port: int
    queue: int

    def __str__(self) -> str:
        return f"{self.flow_type} {self.dst_ip} port {self.dst_port} to queue {self.queue}"

    def argv(self) -> list[str]:
        """The rule as ethtool -N takes it."""
        where = ["dst-ip", self.dst_ip, "dst-port", str(self.dst_port)]
        return ["flow-type", self.flow_type, *where, "action", str(self.queue)]


def parse_rule(text: str) -> Rule:
    """What str() of a rule says."""
    match = re.match(r"(\S+) (\S+) port (\d+) to queue (\d+)\Z", text)
    if match is None:
        raise ValueError(f"no flow rule: {text}")
    return Rule(match.group(1), match.group(2), int(match.group(3)), int(match.group(4)))


def parse_rules(text: str) -> dict[int, Rule | None]:
    """``ethtool -n`` by location; None for a rule that is not a plain destination address and port to a queue.

    ethtool prints masks the other way round: 0.0.0.0 compares all bits, 255.255.255.255 none.
    """
    found: dict[int, Rule | None] = {}
    for block in re.split(r"^Filter: ", text, flags=re.M)[1:]:
        number, dummy, rest = block.partition("\n")
        pairs = [line.strip().partition(": ") for line in rest.splitlines() if ":" in line]
        found[int(number)] = _plain_rule({name: value.strip() for name, dummy, value in pairs})
    return found


def _plain_rule(values: Mapping[str, str]) -> Rule | None:
    kind = re.match(r"(UDP|TCP) over IPv([46])\Z", values.get("Rule Type", ""))
    action = re.match(r"Direct to queue (\d+)\Z", values.get("Action", ""))
    address = re.match(r"(\S+) mask: (\S+)\Z", values.get("Dest IP addr", ""))
    port = re.match(r"(\d+) mask: 0x0\Z", values.get("Dest port", ""))
    if not (kind and action and address and port) or int(ipaddress.ip_address(address.group(2))):
        return None
    source = values.get("Src IP addr", "").partition(" mask: ")[2]
    if source and ipaddress.ip_address(source) != _all_ones(int(kind.group(2))):
        return None
    # Lines of a VLAN, an outer MAC address or an RSS context are there only where the rule has one.
    if set(values) - _PLAIN or not values.get("Src port", "mask: 0xffff").endswith("mask: 0xffff"):
        return None
    name = f"{kind.group(1).lower()}{kind.group(2)}"
    return Rule(name, str(ipaddress.ip_address(address.group(1))), int(port.group(1)), int(action.group(1)))


def _all_ones(version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.IPv4Address(2**32 - 1) if version == 4 else ipaddress.IPv6Address(2**128 - 1)


def parse_table(text: str) -> tuple[int, list[int]]:
    """``ethtool -x``: number of receive queues, and the queue of each entry of the table."""
    match = re.search(r"with (\d+) RX ring", text)
    rows = re.findall(r"^\s*\d+:((?:\s+\d+)+)\s*$", text, flags=re.M)
    return int(match.group(1)) if match else 0, [int(queue) for row in rows for queue in row.split()]


def weights(queues: int, avoided: Collection[int]) -> list[int]:
    """Equal shares for all queues that are not avoided."""
    return [0 if queue in avoided else 1 for queue in range(queues)]


def table_avoids(table: Collection[int], queues: int, avoided: Collection[int]) -> bool:
    """Whether the table uses every queue that it should and none that it should not."""
    return set(table) == {queue for queue, weight in enumerate(weights(queues, avoided)) if weight}


def queue_of_interrupt(action: str) -> int | None:
    """The queue that an interrupt's name tells, or None."""
    for pattern in _QUEUE:
        match = re.search(pattern, action)
        if match:
            return int(match.group(1))
    return None


def queues_by_cpu(system: System, interface: str) -> dict[int, list[int]]:
    """Queues whose interrupt fires on a CPU and on no other, by CPU."""
    device = system.path(f"sys/class/net/{interface}/device")
    directory = device / "msi_irqs"
    if not directory.is_dir():
        # The interrupts of a virtio device are those of the PCI function above it.
        directory = device.resolve().parent / "msi_irqs"
    found: dict[int, list[int]] = {}
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    for number in sorted(map(int, filter(str.isdigit, names))):
        actions = system.read(f"sys/kernel/irq/{number}/actions") or ""
        queue = next((found for found in map(queue_of_interrupt, actions.split(",")) if found is not None), None)
        cpus = parse_cpu_list(system.read(f"proc/irq/{number}/effective_affinity_list") or "")
        if queue is not None and len(cpus) == 1:
            found.setdefault(min(cpus), []).append(queue)
    return found


def wanted_rules(
    system: System, interface: str, feeds: Iterable[Feed], queue_cpus: Mapping[int, frozenset[int]]
) -> list[Rule]:
    """The rules of these feeds; HostError when no queue has its interrupt on the CPU that is asked for.

    ``queue_cpus`` says where interrupts are to be; without it where they are counts.
    """
    rules: list[Rule] = []
    by_cpu: dict[int, list[int]] | None = None
    if queue_cpus:
        by_cpu = {}
        for queue, cpus in sorted(queue_cpus.items()):
            if len(cpus) == 1:
                by_cpu.setdefault(min(cpus), []).append(queue)
    for feed in feeds:
        number = feed.queue
        if number is None and feed.cpu is not None:
            by_cpu = queues_by_cpu(system, interface) if by_cpu is None else by_cpu
            if not by_cpu.get(feed.cpu):
                having = ", ".join(f"queue {min(queues)} on CPU {cpu}" for cpu, queues in sorted(by_cpu.items()))
                raise HostError(
                    f"ntuple of {interface}",
                    str(feed),
                    f"no queue has its interrupt on CPU {feed.cpu} alone ({having or 'no interrupt has a queue'})",
                    "pin an interrupt of the card there, or name the queue",
                )
            number = min(by_cpu[feed.cpu])
        rules.append(Rule(feed.flow_type, feed.dst_ip, feed.dst_port, int(number or 0)))
    return rules
