# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which pairs of hosts ping when, so that every pair is measured once and no host is in two pairs at a time.

The circle method of round-robin tournaments (Kirkman 1847; de Werra, "Scheduling in sports", 1981): one host stays, the
others turn around it by one place a round. n hosts (with an odd count one of them rests) take n - 1 rounds of n / 2
pairs, which is the least there can be. Where fewer pairs may ping at once, each of these rounds is cut into parts of
even size; a part never mixes two rounds, so the bound on rounds is (n - 1) * ceil(n / 2 / at_once), not always the
least.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def rounds(hosts: Sequence[str], at_once: int) -> Iterator[list[tuple[str, str]]]:
    """Yield the rounds, each a list of at most ``at_once`` pairs (server, client).

    A host serves in about half of its pairs. Fewer than two hosts give no round. Raises ValueError for a host given
    twice or for at_once below 1.
    """
    if at_once < 1:
        raise ValueError("at_once %d: at least one pair has to ping at a time" % at_once)
    if len(set(hosts)) != len(hosts):
        twice = sorted({host for host in hosts if list(hosts).count(host) > 1})
        raise ValueError("%s: a host can be in the mesh once only" % ", ".join(twice))
    ring: list[str | None] = [*hosts]
    if len(ring) % 2:
        ring.append(None)  # who meets it rests
    half = len(ring) // 2
    for turn in range(len(ring) - 1):
        pairs = []
        for place in range(half):
            one, other = ring[place], ring[-1 - place]
            if one is not None and other is not None:
                # by the turn for the host that stays, by the place for the others: nobody serves always
                pairs.append((one, other) if (turn if place == 0 else place) % 2 else (other, one))
        yield from _parts(pairs, at_once)
        ring.insert(1, ring.pop())


def _parts(pairs: list[tuple[str, str]], at_once: int) -> Iterator[list[tuple[str, str]]]:
    """Cut into the fewest parts of at most ``at_once``, whose sizes differ by one at most."""
    count = -(-len(pairs) // at_once)
    for number in range(count):
        yield pairs[number * len(pairs) // count : (number + 1) * len(pairs) // count]
