# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Registered results of a healthy two-host fabric, for the report's tests."""

import copy

GM = "7671cd.fffe.f8cdd8"

LINK = {
    "changed": False,
    "present": True,
    "reason": "",
    "devices": [
        {
            "device": "mlx5_0",
            "driver": "mlx5_core",
            "emulated": False,
            "ports": [
                {
                    "port": 1,
                    "state": "ACTIVE",
                    "physical_state": "LinkUp",
                    "netdev": "ens4",
                    "netdev_mtu_bytes": 9000,
                    "active_mtu_bytes": 4096,
                    "gids": [
                        {"index": 0, "gid": "fe80::1", "type": "IB/RoCE v1", "roce_version": 1, "netdev": "ens4"},
                        {"index": 1, "gid": "fe80::1", "type": "RoCE v2", "roce_version": 2, "netdev": "ens4"},
                    ],
                    "speed_gbps": 100.0,
                    "roce_defaults": {"mode": "RoCE v2", "tos": 106, "traffic_class": None},
                    "errors": {"out_of_sequence": 0},
                    "differences": [],
                    "not_compared": [],
                }
            ],
        }
    ],
}

PING = {
    "changed": False,
    "device": "mlx5_0",
    "emulated": False,
    "peer_host": "exch1",
    "peer_device": "mlx5_0",
    "size_bytes": 64,
    "lost": 0,
    "errors_risen": {},
    "others_risen": {},
    "half_round_trip": {
        "samples": 1000,
        "min_us": 1.5,
        "mean_us": 2.0,
        "median_us": 1.9,
        "p90_us": 2.2,
        "p99_us": 3.0,
        "p99_9_us": 4.0,
        "max_us": 6.5,
        "stddev_us": 0.3,
        "histogram": [[1.5, 2.0, 600], [2.0, 3.0, 390], [3.0, 6.5, 10]],
    },
}

T2T = {
    "changed": False,
    "headline": "tick-to-trade, hardware time stamps, session LAB0000001: 4000 samples",
    "software_rdma": False,
    "samples": 4000,
    "unstamped": 0,
    "unstamped_by": {},
    "by_kernel": 0,
    "samples_dropped": 0,
    "timestamp_source": "hardware",
    "timestamp_reason": "by /dev/ptp0 of ens4 (switched on)",
    "other_clocks": {},
    "software": {
        "samples": 4000,
        "min_ns": 2100,
        "mean_ns": 2600.5,
        "median_ns": 2500,
        "p99_ns": 3300,
        "p99_9_ns": 20000,
        "max_ns": 44000,
        "stddev_ns": 890.0,
    },
    "min_ns": 2800,
    "mean_ns": 3300.5,
    "median_ns": 3200,
    "p99_ns": 4000,
    "p99_9_ns": 21000,
    "max_ns": 45000,
    "stddev_ns": 900.0,
    "jitter": {
        "stddev_over_mean": 0.27,
        "p99_minus_min_over_mean": 0.36,
        "max_minus_min_over_mean": 12.8,
        "share_within_5_percent_of_mean": 0.71,
    },
    "histogram": [[2800, 3200, 2000], [3200, 4000, 1950], [4000, 45000, 50]],
    "feed": {"session": "LAB0000001", "messages": 12012, "lost": 0, "gaps": 0},
    "orders": {"sent": 4000, "accepted": 4000, "rejected": 0, "refused": 2},
    "exchange": {"sent": 12012, "orders": 4000, "late_max_us": 12},
}


def phase(p99_us, lost=0, marks=0, load_mbps=0.0):
    return {
        "rounds": 3,
        "sent": 600,
        "lost": lost,
        "unstamped": 0,
        "median_us": 20.0,
        "p99_us": p99_us,
        "max_us": 2 * p99_us,
        "ce_packets": marks,
        "load_mbps": load_mbps,
    }


def coexistence(loaded_p99_us, lost, marks):
    """A client's result: 40 us idle, 50 us busy."""
    return {
        "changed": False,
        "idle": phase(40.0),
        "busy": phase(50.0, load_mbps=50.0),
        "loaded": phase(loaded_p99_us, lost, marks, 95.0),
        "loss": lost,
        "p99_ratio": loaded_p99_us / 40,
        "p99_busy_ratio": loaded_p99_us / 50,
        "ecn_marks": marks,
        "load_mbps": 95.0,
    }


def jitter(max_us):
    """One measurement of two isolated CPUs."""
    one = {"samples": 5000, "beyond": 1, "min_us": 1.0, "avg_us": 2.5, "p99_us": 4.0, "max_us": max_us}
    return {
        "tool": "cyclictest",
        "version": "2.60",
        "taken": "2026-01-02 03:00:00 UTC",
        "kernel": "6.12",
        "cpus": "2-3",
        "duration_s": 5,
        "interval_us": 1000,
        **one,
        "samples": 10000,
        "per_cpu": [{"cpu": cpu, **one} for cpu in (2, 3)],
        "named_by": "counters",
        "threads": [{"name": "kworker/2:1", "cpu": 2, "count": 12, "time_us": 93.1}],
        "irqs": [{"name": "LOC Local timer interrupts", "cpu": 2, "count": 5010}],
        "softirqs": [{"name": "TIMER", "cpu": 3, "count": 4}],
    }


def ptp(role):
    return {
        "changed": False,
        "running": True,
        "locked": True,
        "reason": "",
        "ports": [{"identity": GM + "-1", "state": "MASTER" if role == "grandmaster" else "SLAVE"}],
        "grandmaster_identity": GM,
        "grandmaster_clock_class": 248,
        "offset_ns": 0 if role == "grandmaster" else -40,
        "offsets_ns": [] if role == "grandmaster" else [120, -60, -40],
        "mean_path_delay_ns": 400.0,
    }


BUDGETS = {
    "rdma_link": {
        "state": "ACTIVE",
        "roce_version_min": 2,
        "active_mtu_min_bytes": 4096,
        "as_intended": True,
        "errors_risen_max": 0,
        "errors_besides_sent_again_max": 0,
    },
    "mesh": {
        "failed_pairs_max": 0,
        "outliers_max": 0,
        "datagrams_lost_max": 0,
        "rc_median_us": 5,
        "rc_p99_us": 10,
        "ud_median_us": 5,
        "ud_p99_us": 10,
    },
    "rdma_ping": {"min_us": 4, "median_us": 5, "p99_us": 10, "p99_9_us": 20, "max_us": 100},
    "ptp": {"locked": True, "offset_median_ns": 100, "offset_max_ns": 200},
    "t2t": {
        "median_ns": 5000,
        "p99_ns": 10000,
        "p99_9_ns": 50000,
        "max_ns": 100000,
        "samples_min": 100,
        "samples_dropped_max": 0,
        "unstamped_max": 0,
        "messages_lost_max": 0,
        "orders_rejected_max": 0,
        "p99_minus_min_over_mean_max": 1.0,
    },
    "coexistence": {
        "loss": 0,
        "p99_ratio": 2,
        "p99_busy_ratio": 2,
        "ecn_marks": 1,
        "load_mbps": 90,
        "plain_p99_ratio": 10,
    },
    "jitter": {"min_us": 5, "avg_us": 5, "p99_us": 10, "max_us": 20, "samples_min": 1000},
}


def mesh_end(mode, peer, scale=1.0):
    """One end of a pair, as filter mesh_end keeps it; ``scale`` makes it slower."""
    one = {
        "emulated": False,
        "lost": 0,
        "errors_risen": {},
        "others_risen": {},
        "size_bytes": 64,
        "mtu_bytes": 4096,
        "min_us": 1.5 * scale,
        "median_us": 2.0 * scale,
        "p99_us": 3.0 * scale,
        "max_us": 6.5 * scale,
        "samples": 200,
    }
    return {"mode": mode, "peer": peer, "rc": one, "ud": {**one, "median_us": 2.5 * scale}}


def mesh_results(count, slow=()):
    """Raw results of a mesh of ``count`` hosts alone; pairs in ``slow`` take ten times as long."""
    names = ["h%02d" % number for number in range(count)]
    found = {name: {"role": "member", "rdma_link": copy.deepcopy(LINK), "mesh": []} for name in names}
    for number, server in enumerate(names):
        for place, client in enumerate(names[:number]):
            # not two pairs quite alike, as in life
            scale = 10.0 if (server, client) in slow else 1 + (7 * number + 3 * place) % 11 / 100
            found[server]["mesh"].append(mesh_end("server", client, scale))
            found[client]["mesh"].append(mesh_end("client", server, scale))
    return found


def results():
    """Raw results by host; a fresh copy, to be broken by a test."""
    return copy.deepcopy(
        {
            "exch1": {
                "role": "exchange",
                "ptp_role": "grandmaster",
                "rdma_link": LINK,
                "ptp": ptp("grandmaster"),
                "mesh": [mesh_end("server", "trade1")],
            },
            "trade1": {
                "role": "trader",
                "ptp_role": "ordinary",
                "facts": {
                    "system": "Debian 13.2",
                    "kernel": "6.12",
                    "cmdline": {"quiet": True, "isolcpus": "1", "console": ["tty0", "ttyS0"]},
                },
                "rdma_link": LINK,
                "ptp": ptp("ordinary"),
                "rdma_ping": PING,
                "rdma_ping_server": PING,
                "rdma_ping_server_name": "exch1",
                "mesh": [mesh_end("client", "exch1")],
                "t2t": T2T,
                "jitter": {"changed": False, "result": jitter(11.0), "before": jitter(850.0)},
                "coexistence": coexistence(60.0, lost=0, marks=700),
                "coexistence_server": {"changed": False, "answered": 1800, "sent_bytes": 10**7},
                "coexistence_plain": coexistence(8000.0, lost=40, marks=0),
                "coexistence_plain_server": {"changed": False, "answered": 1760, "sent_bytes": 10**7},
            },
        }
    )


def budgets():
    """Budgets by host; a fresh copy."""
    return {host: copy.deepcopy(BUDGETS) for host in ("exch1", "trade1")}
