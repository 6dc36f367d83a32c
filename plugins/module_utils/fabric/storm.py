# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What two readings of a switch's counters say about its lossless lanes, for every system.

========================  ========  ==================================================================================
rule                      severity  when
========================  ========  ==================================================================================
``storm``                 error     SONiC's watchdog would call it a storm, or the switch's own watchdog does
``lossless-drop``         error     a lossless queue or priority group dropped packets between the readings
``headroom-watermark``    error     the highest use of the headroom reached all of it
``headroom-watermark``    warning   it reached ``headroom_percent`` of it
``pause-share``           warning   paused for at least ``pause_share`` of the time
``pause-share-rising``    warning   at least ``rising_factor`` times as much as before, and ``rising_share`` or more
``ecn-too-late``          warning   the port asked for pauses while no queue of that lane marked a packet
``watchdog-open``         warning   the watchdog detected more storms than it saw end, and none is on now
``counters-cleared``      advice    a counter went back, so that nothing can be said about it
========================  ========  ==================================================================================

The storm is that of ``pfc_detect_mellanox.lua`` of sonic-swss where the time paused is known: a queue that is not empty
sent nothing and was paused for more than 0.99 of the time. Where only pause frames are counted it is the first one of
the generic script: not empty, nothing sent, pauses received. A value that the system does not tell excludes the rules
that need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .findings import ADVICE, ERROR, WARNING, Finding
from .headroom import port_headroom
from .model import Fabric
from .pfc import Pause, PfcCounters, PortCounters, PriorityGroup, Queue

STORM_SHARE = 0.99
STORMED = "stormed"
US_PER_S = 1_000_000


@dataclass(frozen=True)
class Thresholds:
    """When to warn. Shares are of the time between the readings, 0 to 1."""

    pause_share: float = 0.10
    rising_factor: float = 2.0
    rising_share: float = 0.01
    headroom_percent: int = 80


@dataclass(frozen=True)
class Watch:
    """A lossless lane at a port: the keys of its counters, and the headroom it has in bytes."""

    port: str
    lane: str
    priority: str
    queue: str
    group: str
    xoff_bytes: int | None = None
    link: int | None = None


Shares = Mapping[tuple[str, str], float]


def watches(fabric: Fabric, device: str) -> tuple[Watch, ...]:
    """Every lossless lane at every port of a switch."""
    switch = fabric.devices[device]
    return tuple(
        Watch(
            port=port.name,
            lane=lane.name,
            priority=str(lane.priority),
            queue=str(lane.traffic_class),
            group=str(port.settings.priority_group(lane)),
            xoff_bytes=port_headroom(switch, port).xoff_bytes,
            link=port.link,
        )
        for port in fabric.ports_of(device)
        for lane in port.lossless
    )


def pause_shares(before: PfcCounters, after: PfcCounters, seconds: float) -> dict[tuple[str, str], float]:
    """(port, priority) -> share of the ``seconds`` between the readings that the port was paused, 0 to 1."""
    found = {}
    for name, port in after.ports.items():
        for priority, pause in port.pfc.items():
            grown = _grown(_pause(before, name, priority).rx_pause_us, pause.rx_pause_us)
            if grown is not None and grown >= 0 and seconds > 0:
                found[name, priority] = min(1.0, grown / (seconds * US_PER_S))
    return found


def storm_findings(
    device: str,
    watched: Iterable[Watch],
    before: PfcCounters,
    after: PfcCounters,
    seconds: float,
    shares_before: Shares | None = None,
    thresholds: Thresholds | None = None,
) -> list[Finding]:
    """Findings of two readings ``seconds`` apart.

    ``shares_before`` is what :func:`pause_shares` gave for the readings before these; without it nothing can rise.
    ValueError when the readings are not in order.
    """
    if seconds <= 0:
        raise ValueError(f"{seconds} seconds between two readings; the second has to be later than the first")
    watched = tuple(watched)
    marked = _marked(watched, before, after)
    shares = pause_shares(before, after, seconds)
    found = []
    for watch in watched:
        if watch.port not in after.ports:
            said = f"{watch.lane}: nothing is counted at this port, no storm would be seen; have the switch count there"
            path = f"{device}:{watch.port}"
            found.append(Finding(WARNING, "not-counted", path, said, device, watch.port, watch.link))
            continue
        judge = _Judge(device, watch, before, after, thresholds or Thresholds())
        known = (watch.port, watch.priority)
        share, share_before = shares.get(known), (shares_before or {}).get(known)
        found += judge.storm(share) or judge.paused(share, share_before)
        found += judge.drops() + judge.headroom() + judge.late(marked.get(watch.queue)) + judge.cleared()
    found += _open_storms(device, watched, after)
    return found


class _Judge:
    """One lossless lane at one port in two readings."""

    def __init__(
        self, device: str, watch: Watch, before: PfcCounters, after: PfcCounters, thresholds: Thresholds
    ) -> None:
        self._device, self._watch, self._thresholds = device, watch, thresholds
        self._pauses = _pause(before, watch.port, watch.priority), _pause(after, watch.port, watch.priority)
        self._queues = _queue(before, watch.port, watch.queue), _queue(after, watch.port, watch.queue)
        self._groups = _group(before, watch.port, watch.group), _group(after, watch.port, watch.group)

    def _finding(self, severity: str, rule: str, what: str, message: str) -> Finding:
        watch = self._watch
        path = f"{self._device}:{watch.port} {what}"
        return Finding(severity, rule, path, f"{watch.lane}: {message}", self._device, watch.port, watch.link)

    def storm(self, share: float | None) -> list[Finding]:
        """Whether the queue stands still under pauses."""
        sent = _grown(self._queues[0].tx_packets, self._queues[1].tx_packets)
        frames = _grown(self._pauses[0].rx_frames, self._pauses[1].rx_frames)
        depth = self._queues[1].depth_bytes
        if not depth or sent != 0:
            return []
        if share is not None:
            stopped, said = share > STORM_SHARE, f"paused {share:.0%} of the time"
        else:
            stopped, said = (frames or 0) > 0, f"{frames} pauses received"
        if not stopped:
            return []
        message = f"{said}, {depth} bytes wait and no packet left; the peer of {self._watch.port} pauses without end"
        return [self._finding(ERROR, "storm", f"queue {self._watch.queue}", message)]

    def paused(self, share: float | None, before: float | None) -> list[Finding]:
        """Whether the lane is paused much, or more than before."""
        found = []
        what, limit = f"priority {self._watch.priority}", self._thresholds
        if share is not None and share >= limit.pause_share:
            message = f"paused {share:.1%} of the time; the receiver behind {self._watch.port} is slow or overloaded"
            found.append(self._finding(WARNING, "pause-share", what, message))
        if share is not None and before is not None:
            if share >= limit.rising_share and share >= limit.rising_factor * before and share > before:
                message = f"paused {share:.1%} of the time, {before:.1%} before; look at who sends the pauses"
                found.append(self._finding(WARNING, "pause-share-rising", what, message))
        return found

    def drops(self) -> list[Finding]:
        """Whether what must not be lost was."""
        found = []
        for what, pair in (
            (f"queue {self._watch.queue}", self._queues),
            (f"priority group {self._watch.group}", self._groups),
        ):
            dropped = _grown(pair[0].dropped_packets, pair[1].dropped_packets)
            if dropped is not None and dropped > 0:
                message = f"{dropped} packets of a lossless lane dropped; look at headroom, MTU and watchdog"
                found.append(self._finding(ERROR, "lossless-drop", what, message))
        return found

    def headroom(self) -> list[Finding]:
        """How much of the headroom was ever in use."""
        used, size = self._groups[1].headroom_watermark_bytes, self._watch.xoff_bytes
        if used is None or not size or used * 100 < self._thresholds.headroom_percent * size:
            return []
        message = f"{used} of {size} bytes of headroom were in use; check cable length and MTU, or give it more"
        severity = ERROR if used >= size else WARNING
        return [self._finding(severity, "headroom-watermark", f"priority group {self._watch.group}", message)]

    def late(self, marked: int | None) -> list[Finding]:
        """Whether the port asked for pauses before any queue of the lane had marked: ``marked`` packets, all ports."""
        asked = _grown(self._pauses[0].tx_frames, self._pauses[1].tx_frames)
        if asked is None or asked <= 0 or marked != 0:
            return []
        message = f"{asked} pauses sent and not one packet marked; lower kmin_kb of the lane, or check that ECN is on"
        return [self._finding(WARNING, "ecn-too-late", f"priority {self._watch.priority}", message)]

    def cleared(self) -> list[Finding]:
        """Whether a counter is less than it was."""
        grown = [
            _grown(getattr(pair[0], field), getattr(pair[1], field))
            for pair, fields in (
                (self._pauses, ("rx_frames", "tx_frames", "rx_pause_us")),
                (self._queues, ("tx_packets", "dropped_packets", "ecn_marked_packets")),
                (self._groups, ("dropped_packets",)),
            )
            for field in fields
        ]
        if not any(number is not None and number < 0 for number in grown):
            return []
        return [self._finding(ADVICE, "counters-cleared", "counters", "counters went back: cleared; read them again")]


def _open_storms(device: str, watched: tuple[Watch, ...], after: PfcCounters) -> list[Finding]:
    """What the switch's own watchdog says, for every port it watches."""
    links = {watch.port: watch.link for watch in watched}
    found = []
    for name, port in after.ports.items():
        for queue, events in port.watchdog.items():
            path = f"{device}:{name} watchdog {queue}"
            counts = events.detected is not None and events.restored is not None
            if events.state == STORMED:
                message = "the switch's watchdog sees a storm now; find what pauses without end behind this port"
                found.append(Finding(ERROR, "storm", path, message, device, name, links.get(name)))
            elif counts and (events.detected or 0) > (events.restored or 0):
                message = f"{events.detected} storms detected, {events.restored} ended; see what the watchdog left off"
                found.append(Finding(WARNING, "watchdog-open", path, message, device, name, links.get(name)))
    return found


def _marked(watched: tuple[Watch, ...], before: PfcCounters, after: PfcCounters) -> dict[str, int]:
    """Queue -> packets marked on all ports of the switch; congestion is where packets leave, pauses where they come.

    A queue is absent when no port tells, or one went back.
    """
    found: dict[str, int] = {}
    unknown = set()
    for name, port in after.ports.items():
        for queue in {watch.queue for watch in watched}:
            if queue not in port.queues:
                continue
            grown = _grown(_queue(before, name, queue).ecn_marked_packets, port.queues[queue].ecn_marked_packets)
            if grown is None:
                continue
            if grown < 0:
                unknown.add(queue)
            found[queue] = found.get(queue, 0) + grown
    return {queue: number for queue, number in found.items() if queue not in unknown}


def _grown(before: int | None, after: int | None) -> int | None:
    """How much a counter grew; below 0 when it was cleared, None when it is not told."""
    return None if before is None or after is None else after - before


def _port(counters: PfcCounters, port: str) -> PortCounters:
    return counters.ports.get(port) or PortCounters()


def _pause(counters: PfcCounters, port: str, priority: str) -> Pause:
    return _port(counters, port).pfc.get(priority) or Pause()


def _queue(counters: PfcCounters, port: str, queue: str) -> Queue:
    return _port(counters, port).queues.get(queue) or Queue()


def _group(counters: PfcCounters, port: str, group: str) -> PriorityGroup:
    return _port(counters, port).priority_groups.get(group) or PriorityGroup()
