"""Counters of an Arista switch from the JSON that ANTA's tests of the same commands are written for."""

from __future__ import annotations

from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.eos.counters import COMMANDS, counters
from ansible_collections.tickwire.fabric.plugins.module_utils.fabric.pfc import Pause, PortCounters, Queue

PFC, ECN, QUEUES, DROPS = COMMANDS
LEVELS = {"DP0": {"enqueuedPackets": 10, "droppedPackets": 1}, "DP1": {"enqueuedPackets": 5, "droppedPackets": 2}}


def test_the_commands_of_a_chip_with_egress_queues() -> None:
    found = counters(
        {
            PFC: {"interfaceCounters": {"Ethernet1/1": {"rxFrames": 7, "txFrames": 8}}},
            ECN: {"intfQueueCounters": {"Ethernet1/1": {"queueCounters": {"2": "-", "3": "42"}}}},
            QUEUES: {
                "egressQueueCounters": {
                    "interfaces": {
                        "Ethernet1/1": {"ucastQueues": {"trafficClasses": {"TC3": {"dropPrecedences": LEVELS}}}}
                    }
                }
            },
        }
    )
    port = found.ports["Ethernet1/1"]
    assert port.pfc == {"all": Pause(rx_frames=7, tx_frames=8)}
    assert port.queues["3"] == Queue(tx_packets=15, dropped_packets=3, ecn_marked_packets=42)
    assert port.queues["2"] == Queue()
    assert "pause durations" in found.missing


def test_the_command_of_a_chip_with_virtual_output_queues() -> None:
    classes = {
        "TC0-2": {
            "ingressVoqCounters": {"countersSum": {"droppedPackets": 3}},
            "egressQueueCounters": {"countersSum": {"droppedPackets": 4}},
        }
    }
    found = counters({DROPS: {"interfaces": {"Ethernet1": {"trafficClasses": classes}}}})
    assert found.ports["Ethernet1"] == PortCounters(queues={"0": Queue(dropped_packets=7)})


def test_no_output_is_no_counter() -> None:
    assert counters({}).ports == {}
