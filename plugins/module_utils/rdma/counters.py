# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Counters of an RDMA port, and which of them count something gone wrong.

The names are those of the kernel's drivers, each list with its source. One name means the same in every driver that
has it, so a counter is judged by its name alone. A counter in neither list is not judged: it is shown when it rises.

Left out of the errors on purpose:
  * ``resp_cqe_flush_error`` and ``req_cqe_flush_error`` of mlx5, and ``resp_cqe_error`` and ``req_cqe_error``, which
    count flushed requests too: they rise whenever any program closes a queue pair with receives still posted.
  * ``recoverable_errors`` of bnxt_re: the driver fills it with the broadcast packets sent (``tx_bcast_pkts``).
  * ``duplicate_request`` and the like stay errors: on a lossless lane nothing is to be sent twice.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

#: By driver, its counters of errors.
ERRORS_OF: dict[str, tuple[str, ...]] = {
    # Port counters of the InfiniBand specification: drivers/infiniband/core/sysfs.c, pma_attrs.
    "any": (
        "symbol_error",
        "link_error_recovery",
        "link_downed",
        "port_rcv_errors",
        "port_rcv_remote_physical_errors",
        "port_rcv_switch_relay_errors",
        "port_xmit_discards",
        "port_xmit_constraint_errors",
        "port_rcv_constraint_errors",
        "local_link_integrity_errors",
        "excessive_buffer_overrun_errors",
        "VL15_dropped",
    ),
    # drivers/infiniband/hw/mlx5/counters.c
    "mlx5": (
        "out_of_buffer",
        "out_of_sequence",
        "duplicate_request",
        "rnr_nak_retry_err",
        "packet_seq_err",
        "implied_nak_seq_err",
        "local_ack_timeout_err",
        "resp_local_length_error",
        "req_remote_invalid_request",
        "req_remote_access_errors",
        "resp_remote_access_errors",
        "req_transport_retries_exceeded",
        "req_rnr_retries_exceeded",
        "roce_adp_retrans",
        "roce_adp_retrans_to",
        "rx_icrc_encapsulated",
    ),
    # drivers/infiniband/hw/bnxt_re/hw_counters.c
    "bnxt_re": (
        "rx_roce_errors",
        "rx_roce_discards",
        "to_retransmits",
        "seq_err_naks_rcvd",
        "max_retry_exceeded",
        "rnr_naks_rcvd",
        "missing_resp",
        "unrecoverable_err",
        "bad_resp_err",
        "local_qp_op_err",
        "local_protection_err",
        "mem_mgmt_op_err",
        "remote_invalid_req_err",
        "remote_access_err",
        "remote_op_err",
        "dup_req",
        "res_exceed_max",
        "res_length_mismatch",
        "res_exceeds_wqe",
        "res_opcode_err",
        "res_rx_invalid_rkey",
        "res_rx_domain_err",
        "res_rx_no_perm",
        "res_rx_range_err",
        "res_tx_invalid_rkey",
        "res_tx_domain_err",
        "res_tx_no_perm",
        "res_tx_range_err",
        "res_irrq_oflow",
        "res_unsup_opcode",
        "res_unaligned_atomic",
        "res_rem_inv_err",
        "res_mem_err",
        "res_srq_err",
        "res_cmp_err",
        "res_invalid_dup_rkey",
        "res_wqe_format_err",
        "res_cq_load_err",
        "res_srq_load_err",
        "res_tx_pci_err",
        "res_rx_pci_err",
        "oos_drop_count",
        "rx_out_of_buffer",
    ),
    # drivers/infiniband/hw/irdma/verbs.c: the names of its first two generations, and those since the third
    "irdma": (
        "ip4InDiscards",
        "ip4InTruncatedPkts",
        "ip4OutNoRoutes",
        "ip6InDiscards",
        "ip6InTruncatedPkts",
        "ip6OutNoRoutes",
        "rxVlanErrors",
        "tcpRetransSegs",
        "tcpInOptErrors",
        "tcpInProtoErrors",
        "RetransSegs",
        "InOptErrors",
        "InProtoErrors",
        "RNR sent",
        "RNR received",
        "Nak Sequence Error",
        "Nak Sequence Error Implied",
        "RTO",
        "Rcvd Out of order packets",
        "CRC errors",
    ),
    # drivers/infiniband/sw/rxe/rxe_hw_counters.c
    "rxe": (
        "duplicate_request",
        "out_of_seq_request",
        "rcvd_rnr_err",
        "send_rnr_err",
        "rcvd_seq_err",
        "retry_exceeded_err",
        "retry_rnr_exceeded_err",
        "completer_retry_err",
        "send_err",
        "link_downed",
    ),
}
ERRORS = frozenset(name for names in ERRORS_OF.values() for name in names)

#: Those of them for which a late acknowledgement is enough: the sender's timer runs out and it sends again, and the
#: other end counts what it had already (of rxe: rxe_comp.c, rxe_resp.c). A host that stalls longer than the timer
#: raises them without a fault of the fabric.
SENT_AGAIN = frozenset(
    "duplicate_request local_ack_timeout_err roce_adp_retrans roce_adp_retrans_to to_retransmits dup_req "
    "RTO RetransSegs tcpRetransSegs completer_retry_err".split()
)

#: Counters of what a ping is: packets and bytes, and how many objects there are. Same sources.
TRAFFIC = frozenset(
    "port_xmit_data port_rcv_data port_xmit_packets port_rcv_packets unicast_xmit_packets unicast_rcv_packets "
    "multicast_xmit_packets multicast_rcv_packets lifespan "
    "rx_write_requests rx_read_requests rx_atomic_requests rx_dct_connect rdma_tx_packets rdma_tx_bytes "
    "rdma_rx_packets rdma_rx_bytes "
    "active_pds active_ahs active_qps active_rc_qps active_ud_qps active_srqs active_cqs active_mrs active_mws "
    "rx_pkts rx_bytes tx_pkts tx_bytes tx_atomic_req tx_read_req tx_read_resp tx_write_req tx_send_req rx_atomic_req "
    "rx_read_req rx_read_resp rx_write_req rx_send_req rx_roce_good_pkts rx_roce_good_bytes "
    "ip4InOctets ip4InPkts ip4OutOctets ip4OutPkts ip6InOctets ip6InPkts ip6OutOctets ip6OutPkts ip4InMcastOctets "
    "ip4InMcastPkts ip4OutMcastOctets ip4OutMcastPkts ip6InMcastOctets ip6InMcastPkts ip6OutMcastOctets "
    "ip6OutMcastPkts InRdmaReads InRdmaSends InRdmaWrites OutRdmaReads OutRdmaSends OutRdmaWrites iwInRdmaReads "
    "iwInRdmaSends iwInRdmaWrites iwOutRdmaReads iwOutRdmaSends iwOutRdmaWrites RxUDP TxUDP InSegs OutSegs tcpInSegs "
    "tcpOutSegs "
    "sent_pkts rcvd_pkts rdma_sends rdma_recvs ack_deferred".split()
)


def read_counters(port: Path) -> dict[str, int]:
    """Return every counter of a port (``/sys/class/infiniband/DEVICE/ports/N``) that has a number; {} without any."""
    found = {}
    for folder in ("counters", "hw_counters"):
        if not (port / folder).is_dir():
            continue
        for entry in sorted((port / folder).iterdir()):
            try:
                text = entry.read_text(encoding="utf-8", errors="replace").strip()
            except OSError:  # the port does not have this one: EINVAL, EOPNOTSUPP
                continue
            if text.isdigit():
                found[entry.name] = int(text)
    return found


def settled_counters(port: Path) -> dict[str, int]:
    """The same, not older than this call: the kernel gives one reading for ``lifespan`` milliseconds
    (drivers/infiniband/core/sysfs.c)."""
    try:
        lifespan_ms = min(1000, int((port / "hw_counters" / "lifespan").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        lifespan_ms = 0
    time.sleep(lifespan_ms / 1000)
    return read_counters(port)


def errors_in(counters: Mapping[str, int]) -> dict[str, int]:
    """Return those that count errors."""
    return {name: value for name, value in counters.items() if name in ERRORS}


def risen(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
    """Return by how much errors rose, and by how much counters of neither list did; both without those that did not.

    A counter that was not there before, or that fell (the device was made anew), counts from 0.
    """
    errors, others = {}, {}
    for name, value in after.items():
        start = before.get(name, 0)
        rise = value - start if value >= start else value
        if rise and name in ERRORS:
            errors[name] = rise
        elif rise and name not in TRAFFIC:
            others[name] = rise
    return errors, others
