"""The whole story: a fresh lab, check mode, the rollout with its reboot, the proof, and three bad fabrics."""

# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import compare_pair
import verbs_pair

from conftest import HOSTS, ROOT, Lab

# Everything a role may write; where Ansible itself leaves traces is left out.
MANAGED = "/etc /opt /usr /boot /var/lib/tickwire"
# The co-existence measurement saturates a port and takes its time, and the mesh is the ping again: once is enough.
QUIET = "ARGS=-e validate_coexistence=false -e validate_mesh=false"
FILES = f"find {MANAGED} -xdev -newer /run/tickwire-test-marker ! -type d 2>/dev/null; true"


def failed_gates(lab: Lab) -> list[dict]:
    return [gate for gate in lab.report()["gates"] if not gate["ok"]]


def in_lab(host: str, script: str, *arguments: str) -> dict:
    """What a script of this directory prints on a host of the lab, with the collection on its module path."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(ROOT / "plugins/module_utils", "ansible_collections/tickwire/fabric/plugins/module_utils")
        tar.add(ROOT / "tests/lab" / script, script)
    command = (
        "set -e; mkdir /run/tickwire-test; cd /run/tickwire-test; trap 'rm -r /run/tickwire-test' EXIT;"
        f" tar -x; PYTHONPATH=. python3 {script} {' '.join(arguments)}"
    )
    done = subprocess.run(
        ["ssh", "-F", str(ROOT / ".lab" / "ssh_config"), host, command],
        input=archive.getvalue(),
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_check_mode_writes_nothing_on_a_fresh_lab(lab: Lab) -> None:
    assert lab.down().code == 0
    assert lab.up().code == 0
    for host in HOSTS:
        lab.ssh(host, "sleep 1; touch /run/tickwire-test-marker; sleep 1")
    outcome = lab.make("rollout", "ARGS=--check --diff")
    assert outcome.code == 0
    assert all(outcome.changed[host] > 0 for host in HOSTS), "check mode has to foretell the changes"
    for host in HOSTS:
        assert lab.ssh(host, FILES) == "", f"{host}: check mode wrote files"
    assert "br0" not in lab.ssh("sw1", "ip -br link")
    assert "isolcpus" not in lab.ssh("trade1", "cat /proc/cmdline")


def test_rollout_passes_its_gates(lab: Lab) -> None:
    boot = lab.ssh("trade1", "cat /proc/sys/kernel/random/boot_id")
    outcome = lab.make("site")
    assert outcome.code == 0
    assert all(outcome.changed[host] > 0 for host in HOSTS)
    assert lab.ssh("trade1", "cat /proc/sys/kernel/random/boot_id") != boot, "the new command line needs a reboot"
    report = lab.report()
    assert report["gates"] and failed_gates(lab) == []
    figures = report["measurements"]["trade1"]["t2t"]
    assert figures["samples"] > 0 and figures["timestamp_source"] == "software"
    # p99.9 is null, not measured, with too few samples for it
    rows = [figures[f"{row}_ns"] for row in ("min", "median", "p99", "p99_9", "max")]
    rows = [row for row in rows if row is not None]
    assert len(rows) >= 4 and rows == sorted(rows)
    assert figures["software_rdma"] is False
    assert "report.html" in outcome.text, "make site says where the report is"


def test_a_saturated_lane_leaves_the_other_one_alone(lab: Lab) -> None:
    """With the role the trading lane holds while bulk is saturated and marked; with one plain queue it does not."""
    found = lab.report()["measurements"]["trade1"]["coexistence"]
    gates = {gate["name"]: gate for gate in lab.report()["gates"] if gate["name"].startswith("coexistence.")}
    assert set(gates) == {
        f"coexistence.{name}"
        for name in ("loss", "p99_ratio", "p99_busy_ratio", "ecn_marks", "load_mbps", "plain_p99_ratio")
    }
    assert found["loss"] == 0 and found["ecn_marks"] > 0 and found["loaded"]["unstamped"] == 0
    # The budgets that the role's queues are within, the plain queue is not.
    plain, ours = found["plain"], gates["coexistence.p99_ratio"]
    assert plain["p99_ratio"] > ours["budget"] >= found["p99_ratio"]
    assert plain["ecn_marks"] == 0
    assert "ets" in lab.ssh("sw1", "tc qdisc show dev swp2"), "the lanes are back"


def test_the_mesh_has_every_pair(lab: Lab) -> None:
    """Two hosts are one pair, over RC and UD; what Soft-RoCE is, the matrix says."""
    mesh = lab.report()["mesh"]
    assert mesh["hosts"] == ["exch1", "trade1"] and mesh["away"] == {} and mesh["failed"] == 0
    assert [pair["transport"] for pair in mesh["pairs"]] == ["rc", "ud"]
    for pair in mesh["pairs"]:
        assert {pair["client"], pair["server"]} == {"exch1", "trade1"} and pair["emulated"] is True
        assert 0 < pair["median_us"] <= pair["p99_us"] and pair["samples"] + pair["lost"] == 200
    judged = [gate for gate in lab.report()["gates"] if gate["name"] == "rdma_link.errors_besides_sent_again_max"]
    assert {gate["host"]: gate["value"] for gate in judged} == {"exch1": 0, "trade1": 0}
    links = {name: host["rdma_link"] for name, host in lab.report()["measurements"].items()}
    assert [links[name]["differences"] for name in ("exch1", "trade1")] == [[], []]
    assert links["trade1"]["roce_defaults"] == {"mode": "RoCE v2", "tos": 106, "traffic_class": None}


def test_the_lab_kernel_takes_every_part_of_the_switch(lab: Lab) -> None:
    """Trunks, trusted PCP, broadcast limits and the way back, between namespaces of sw1: see linux_switch_kernel.py."""
    found = in_lab("sw1", "linux_switch_kernel.py")
    bands = {name: value for name, value in found.items() if isinstance(value, str)}
    lane = {"cnp": "1:1", "pcp 6": "1:1", "trading": "1:2", "pcp 3": "1:2"}
    for name, band in bands.items():
        # under trust dscp a PCP says nothing; what is of no lane is of the last band
        key = "" if name.endswith("under trust dscp") else next((word for word in lane if word in name), "")
        assert band == lane.get(key, "1:3"), (name, band)
    assert len(bands) == 22
    assert all(found[name] is True for name in ("dscp settles", "pcp settles", "way back is exact"))
    assert found["broadcast dropped"] > 0 and found["unicast dropped"] == 0


def test_the_lab_kernel_takes_dcb_and_roce_of_a_host(lab: Lab) -> None:
    """Set, read back, spoilt by others, refused and given back on the test NIC and on rxe: see dcb_kernel.py."""
    found = in_lab("trade1", "dcb_kernel.py", "dcb")["dcb"]
    assert "global pause is on (rx, tx)" in found["with global pause"]
    for name in ("as before the refusal", "check mode", "first", "entry of others stays", "as before the failure"):
        assert found[name] is True, name
    assert found["shown"]["pfc"]["prio_pfc"] == [number == 3 for number in range(8)]
    assert [entry[:2] for entry in found["shown"]["app"]["dscp_prio"]] == [[0, 0], [26, 3], [48, 6]]
    assert found["shown"]["maxrate"]["tc_maxrate"][0] == 1_000_000
    assert found["second"] is False
    for name in ("drift", "reapplied again", "given back", "kept"):
        assert not found[name], name
    assert len(found["drift by others"]) == len(found["reapplied"]) == 2
    assert "dscp 34" in found["finding"][0]
    assert "Invalid argument" in found["too large"]
    assert any("fw-lldp-agent" in said for said in found["firmware agent"]) and found["stopped"] == ["fw-lldp-agent"]
    assert found["without DCB"][0] is False and "not supported" in found["required"]


def test_running_kernel_has_it(lab: Lab) -> None:
    """The proof again, without the collection's own code."""
    assert lab.ssh("trade1", "cat /sys/devices/system/cpu/isolated").strip() == "1"
    assert int(lab.ssh("trade1", "cat /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")) >= 64
    pid = lab.ssh("trade1", "systemctl show -p MainPID --value tickwire-engine").strip()
    allowed = lab.ssh("trade1", f"cat /proc/{pid}/task/*/status | sed -n 's/^Cpus_allowed_list:\\s*//p'").split()
    assert "1" in allowed and "0" in allowed, f"one thread on the isolated CPU, the others off it: {allowed}"
    # DSCP 26 and ECT(0): the trading lane
    assert lab.ssh("trade1", "cat /sys/kernel/config/rdma_cm/rxe0/ports/1/default_roce_tos").strip() == "106"
    marks = lab.ssh("sw1", "tc qdisc show dev swp2")
    assert "ets" in marks and "red" in marks and "ecn" in marks
    assert "110" in lab.ssh("sw1", "bridge vlan show dev swp2")


def lane_packets(lab: Lab) -> dict[str, int]:
    """Packets sent so far towards trade1 by band of sw1's ETS: 1:1 cnp (strict), 1:2 trading, 1:3 bulk."""
    shown = lab.ssh("sw1", "tc -s class show dev swp2")
    return {band: int(count) for band, count in re.findall(r"class ets (\S+) .*?\n Sent \d+ bytes (\d+) pkt", shown)}


def test_dscp_decides_the_lane(lab: Lab) -> None:
    pings = 100
    for tos, band in ((26 << 2, "1:2"), (48 << 2, "1:1"), (0, "1:3")):
        before = lane_packets(lab)
        lab.ssh("exch1", f"ping -q -c {pings} -i 0.01 -Q {tos} 10.110.0.11")
        sent = {name: count - before[name] for name, count in lane_packets(lab).items()}
        # Sessions, PTP and ARP go on meanwhile, on their own lanes and by far not as many.
        assert sent[band] >= pings, (tos, sent)
        assert all(count < pings for name, count in sent.items() if name != band), (tos, sent)


def test_the_lab_kernel_takes_every_setting_of_a_card(lab: Lab) -> None:
    """Set, read back, refused, put back, set again after ifup and given back on the test NIC: see nic_kernel.py."""
    rings = lab.ssh("trade1", "ethtool -g twx0").split("Current hardware settings:")[1].split()
    assert (rings[rings.index("RX:") + 1], rings[rings.index("TX:") + 1]) == ("4096", "1024"), "the rollout set them"
    assert "Direct to queue 3" in lab.ssh("trade1", "ethtool -n twx0")
    found = in_lab("trade1", "nic_kernel.py")
    assert "rings.rx of twx1: 512 -> 1024': this takes the link down" in found["bounce"]
    assert "the driver's maximum is 4096" in found["above maximum"]
    assert "the driver made it 1024" in found["rounded"] and "was put back" in found["rounded"]
    assert "Invalid argument" in found["half"] and "was put back" in found["half"]
    assert found["not supported"] == [
        "coalesce.rx-usecs-irq of twx1: the driver has no such setting",
        "pause.rx of twp0: Operation not supported",
        "pcie_read_request of twx1: the interface is no PCI function of its own",
        "rings.rx of twp0: Operation not supported",
    ]
    assert "rings.rx of twp0 '1024': Operation not supported" in found["required"]
    for name in ("untouched so far", "bounced", "as before", "nothing kept"):
        assert found[name] is True, name
    assert found["check"] == found["set"] and len(found["set"]) == 15
    shown = {" ".join(line.split()) for line in found["read back"]}
    assert {
        "RX: 4096", "TX: 1024", "Combined: 4", "Adaptive RX: off TX: off", "rx-usecs: 0", "tx-usecs: 8", "RX: off",
        "TX: off", "large-receive-offload: off", "generic-receive-offload: off", "0: 0 0 0 0 0 0 0 0",
        "Dest IP addr: 233.54.12.111 mask: 0.0.0.0", "Dest port: 26477 mask: 0x0", "Action: Direct to queue 3", "9000",
    } <= shown  # fmt: skip
    assert found["again"] == []
    assert len(found["drift after ifup"]) == len(found["set again"]) == 4
    assert "rings.rx of twx1: 512 -> 4096" not in found["without a bounce"]
    assert "rings.rx of twx1: 512 -> 4096" in found["with a bounce"]
    assert "ntuple udp4 233.54.12.111 port 26477 to queue 1 of twx1: absent -> present" in found["fewer queues"]


def test_second_rollout_changes_nothing(lab: Lab) -> None:
    outcome = lab.make("site", QUIET)
    assert failed_gates(lab) == []
    assert outcome.code == 0
    assert {host: outcome.changed[host] for host in HOSTS} == dict.fromkeys(HOSTS, 0)


def test_delay_on_the_switch_is_caught(lab: Lab) -> None:
    lab.ssh("sw1", "tc qdisc replace dev swp2 root netem delay 20ms")
    try:
        outcome = lab.make("validate", QUIET)
    finally:
        lab.ssh("sw1", "systemctl restart tickwire-switch")
    assert outcome.code != 0
    gate = next(gate for gate in failed_gates(lab) if gate["name"].startswith("rdma_ping"))
    assert gate["value"] > gate["budget"] > 0
    said = next(line for line in outcome.lines if gate["name"] in line and gate["host"] in line)
    assert re.search(r"\d", said) and str(gate["budget"]) in outcome.text


def test_missing_rdma_link_is_caught(lab: Lab) -> None:
    lab.ssh("trade1", "rdma link delete rxe0")
    try:
        outcome = lab.make("validate", QUIET)
    finally:
        lab.ssh("trade1", "systemctl restart tickwire-rxe@fab0")
    assert outcome.code != 0
    names = {(gate["name"].split(".")[0], gate["host"]) for gate in failed_gates(lab)}
    assert ("rdma_link", "trade1") in names and ("rdma_ping", "trade1") in names, names


def test_a_command_line_that_does_not_boot_is_given_up(lab: Lab) -> None:
    """The initramfs cannot mount the root and reboots; GRUB then boots what ran before, and the play says so."""
    boot = lab.ssh("trade1", "cat /proc/sys/kernel/random/boot_id")
    added = {"rootfstype=nonexistent"}
    wrong = {"roce_host_kernel_cmdline_extra": sorted(added)}
    # A host on which the engine trades is not rebooted; it starts by itself after the reboot.
    lab.ssh("trade1", "systemctl stop tickwire-engine")
    args = f"ARGS=--limit trade1 -e '{json.dumps(wrong)}'"
    outcome = lab.make("rollout", args)
    assert outcome.code != 0
    assert "did not come back healthy" in outcome.text and "rootfstype=nonexistent" in outcome.text
    running = lab.ssh("trade1", "cat /proc/cmdline").split()
    assert added.isdisjoint(running) and "isolcpus=managed_irq,domain,1" in running
    assert added.isdisjoint(lab.ssh("trade1", "cat /boot/grub/grub.cfg").split()), "the next boot is as before"
    back = lab.ssh("trade1", "cat /proc/sys/kernel/random/boot_id")
    assert back != boot
    again = lab.make("rollout", args)
    assert again.code != 0 and "it failed on this host" in again.text
    assert lab.ssh("trade1", "cat /proc/sys/kernel/random/boot_id") == back, "it is not tried a second time"


def test_switch_keeps_its_configuration_over_a_reboot(lab: Lab) -> None:
    """What ``persist`` promises, and that the fabric is whole again after both bad days."""
    boot = lab.ssh("sw1", "cat /proc/sys/kernel/random/boot_id")
    lab.ssh("sw1", "systemctl reboot", check=False)
    assert lab.make("lab").code == 0, "make lab waits until every VM answers"
    assert lab.ssh("sw1", "cat /proc/sys/kernel/random/boot_id") != boot
    outcome = lab.make("validate", QUIET)
    assert failed_gates(lab) == []
    assert outcome.code == 0


def test_the_engine_trades_over_verbs(lab: Lab) -> None:
    """Market data by datagrams and orders over a reliable connection, through the switch."""
    engine, exchange, booked, told = verbs_pair.trade(lab)
    assert exchange["rdma"]["datagrams"] >= verbs_pair.MESSAGES and exchange["rdma"]["subscribers"] == 1
    assert engine["messages_lost"] == 0 and engine["orders_sent"] > 0 and engine["open_orders"] == 0
    assert booked == told != {}


def test_the_transports_are_compared(lab: Lab, tmp_path: Path) -> None:
    """UDP, TCP, RC and UD, idle and in bursts, in the trading lane: see compare_pair.py."""
    before = lane_packets(lab)
    outcome = compare_pair.run("inventories/lab", tmp_path)
    assert outcome.code == 0
    assert compare_pair.right(tmp_path)["headline"] in " ".join(outcome.text.split())  # it is broken into lines
    # The echoes in one packet each; TCP may put several of a burst together.
    echoes = 6 * (compare_pair.COUNT + compare_pair.WARMUP)
    assert lane_packets(lab)["1:2"] - before["1:2"] >= echoes
    for host in ("exch1", "trade1"):
        assert lab.ssh(host, compare_pair.LEFT) == "", f"{host}: something is left of the comparison"


def test_down_leaves_nothing(lab: Lab) -> None:
    assert lab.make("lab-down").code == 0
    ours = str(ROOT / ".lab")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as handle:
                assert ours.encode() not in handle.read(), f"process {pid} is left"
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    with open("/proc/mounts") as mounts:
        assert ours not in mounts.read()
