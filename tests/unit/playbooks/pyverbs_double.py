# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A double of pyverbs over UDP sockets of the loopback: what rdma_ping calls of it, and no more. It is ``pyverbs`` and
each of its modules.

The number of a queue pair is its UDP port. PYVERBS_DOUBLE names a directory with

  plan.json   {"rounds": [[[server, client], ...], ...], "fails": {"DEVICE PEER TRANSPORT": n}}, hosts by their devices:
              send n (from 1) of that end is delivered and completes in error, and its completer_retry_err rises by one
  qp.NUMBER   the device of a queue pair
  met.*       a file for each end that got to its peer, by round, transport and device. An end goes on when all ends of
              its round are there, so a round whose pairs follow one another comes to no figure
  log         a line of JSON for every device opened and closed and every peer it was connected to, in that order
"""

from __future__ import annotations

import json
import os
import select
import socket
import time
from pathlib import Path
from types import SimpleNamespace

HERE = Path(os.environ["PYVERBS_DOUBLE"])
PLAN = json.loads((HERE / "plan.json").read_text())
COUNTER = "/sys/class/infiniband/{}/ports/1/hw_counters/completer_retry_err"
PATIENCE_S = 20
RETRIES_EXCEEDED = 12  # enum ibv_wc_status

IBV_ACCESS_LOCAL_WRITE, IBV_WR_SEND, IBV_QPT_RC, IBV_QPT_UD = 1, 2, 2, 4
GRH_BYTES = {IBV_QPT_RC: 0, IBV_QPT_UD: 40}
TRANSPORTS = {IBV_QPT_RC: "rc", IBV_QPT_UD: "ud"}


class PyverbsError(Exception):
    """What pyverbs raises."""


def say(**what):
    with (HERE / "log").open("a") as log:
        log.write(json.dumps(what) + "\n")


class Thing:
    def __init__(self, *values, **named):
        self.values = values
        vars(self).update(named)

    def close(self):
        pass


class Context(Thing):
    device = ""

    def __init__(self, name):
        Context.device = name
        say(what="open", device=name)

    def query_port(self, port):
        return SimpleNamespace(active_mtu=5)

    def close(self):
        say(what="close", device=self.device)


class MR(Thing):
    memory = bytearray()
    buf = lkey = 0

    def __init__(self, domain, length, access):
        MR.memory = bytearray(length)

    def read(self, length, offset):
        return bytes(self.memory[offset : offset + length])

    def write(self, data, length, offset):
        self.memory[offset : offset + length] = data[:length]


class CompChannel(Thing):
    """Its descriptor has the name by which rdma_ping finds it, and is always readable; the wait is for the socket."""

    def __init__(self, context):
        self.file = os.memfd_create("infinibandevent")

    def get_cq_event(self, queue):
        select.select([queue.pair.socket], [], [], 0.05)

    def close(self):
        os.close(self.file)


class CQ(Thing):
    def poll(self, count):
        return self.pair.completions(count)

    def req_notify(self):
        pass

    def ack_events(self, count):
        pass


class SGE:
    def __init__(self, address, length, key):
        self.start, self.length = address, length


class SendWR(Thing):
    def set_wr_ud(self, handle, number, key):
        QP.last.reach(number)


RecvWR = QPAttr = QPCap = QPInitAttr = GID = GlobalRoute = AHAttr = AH = PD = Thing


class QP(Thing):
    last = None

    def __init__(self, domain, init, attributes):
        QP.last = init.rcq.pair = self
        self.kind, self.receives, self.done, self.sent = init.qp_type, [], [], 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.qp_num = self.socket.getsockname()[1]
        (HERE / f"qp.{self.qp_num}").write_text(Context.device)

    def to_rts(self, attributes):
        self.reach(attributes.dest_qp_num)

    def reach(self, number):
        self.to, self.peer = ("127.0.0.1", number), (HERE / f"qp.{number}").read_text()
        meet(TRANSPORTS[self.kind], self.peer)

    def post_recv(self, request):
        self.receives.append(request)

    def post_send(self, request):
        place = request.sg[0]
        self.socket.sendto(MR.memory[place.start : place.start + place.length], self.to)
        self.sent += 1
        fails = PLAN["fails"].get(f"{Context.device} {self.peer} {TRANSPORTS[self.kind]}") == self.sent
        if fails:
            counter = Path(COUNTER.format(Context.device))
            counter.write_text(f"{int(counter.read_text()) + 1}\n")
        self.done.append(SimpleNamespace(status=RETRIES_EXCEEDED if fails else 0, wr_id=request.wr_id))

    def completions(self, count):
        while self.receives and len(self.done) < count:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            request = self.receives.pop(0)
            start = request.sg[0].start + GRH_BYTES[self.kind]
            MR.memory[start : start + len(data)] = data
            self.done.append(SimpleNamespace(status=0, wr_id=request.wr_id))
        taken, self.done = self.done[:count], self.done[count:]
        return len(taken), taken

    def close(self):
        self.socket.close()


def meet(transport, peer):
    """Wait for all ends of the round."""
    number, pairs = next(
        (n, pairs) for n, pairs in enumerate(PLAN["rounds"]) if {Context.device, peer} in map(set, pairs)
    )
    say(what="peer", device=Context.device, peer=peer, transport=transport)
    (HERE / f"met.{number}.{transport}.{Context.device}").touch()
    until = time.monotonic() + PATIENCE_S
    while len(list(HERE.glob(f"met.{number}.{transport}.*"))) < 2 * len(pairs):
        if time.monotonic() > until:
            raise PyverbsError("the other pairs of the round are not there")
        time.sleep(0.02)
