# SPDX-License-Identifier: Apache-2.0
"""The C core of Tickwire.

Units: prices are integers in 1/10000 dollar (ITCH and OUCH price with four decimals; `price8` fields in 1/100000000);
times inside ITCH and OUCH messages are nanoseconds since midnight, stamps are nanoseconds since the epoch. Byte strings
are any object with the buffer protocol. Text inside messages is Latin-1; fixed-width text comes out without its
padding blanks and is padded again when encoded, so that encode(decode(m)) == m for every well-formed m.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, final

# typing_extensions.Buffer in spirit: bytes, bytearray, memoryview, mmap, array.array
Buffer = Any

ITCH_TYPES: str
"""The 23 message types of Nasdaq TotalView-ITCH 5.0: "SRHYLVWKJhAFECXDUPQBINO"."""

def itch_length(type: str) -> int:
    """Bytes of the message body of `type` (without framing); 0 when ITCH 5.0 has no such type."""

def itch_fields(type: str) -> list[tuple[str, str, int, int]]:
    """(name, kind, offset, length) of every field of `type` after the type byte itself, in wire order.

    kind: "char" (one character), "alpha" (blank-padded text), "u8", "u16", "u32", "u48", "u64",
    "price4", "price8", "i32". ValueError when `type` is unknown. Names, by type; every type begins with
    stock_locate u16, tracking_number u16, timestamp u48:

    S event_code · R stock, market_category, financial_status, round_lot_size, round_lots_only,
    issue_classification, issue_subtype, authenticity, short_sale_threshold, ipo_flag, luld_tier, etp_flag,
    etp_leverage, inverse · H stock, trading_state, reserved, reason · Y stock, reg_sho_action ·
    L mpid, stock, primary_market_maker, market_maker_mode, participant_state · V level_1, level_2, level_3 ·
    W breached_level · K stock, release_time, release_qualifier, ipo_price · J stock, reference_price,
    upper_price, lower_price, extension · h stock, market_code, halt_action ·
    A order_reference, side, shares, stock, price · F as A, attribution ·
    E order_reference, executed_shares, match_number · C as E, printable, execution_price ·
    X order_reference, cancelled_shares · D order_reference ·
    U original_reference, new_reference, shares, price ·
    P order_reference, side, shares, stock, price, match_number ·
    Q shares, stock, cross_price, match_number, cross_type · B match_number ·
    I paired_shares, imbalance_shares, imbalance_direction, stock, far_price, near_price, reference_price,
    cross_type, price_variation · N stock, interest_flag ·
    O stock, open_eligibility, minimum_price, maximum_price, near_execution_price, near_execution_time,
    lower_collar, upper_collar
    """

def itch_decode(message: Buffer) -> dict[str, Any]:
    """One message body as {"type": ..., field: value}. ValueError names the type, the length and the rule."""

def itch_encode(fields: Mapping[str, Any]) -> bytes:
    """The inverse of `itch_decode`. "type" is required; a field left out is zero or blank.

    ValueError names the unknown field, or the value and the range it must be in.
    """

def itch_frame_index(buf: Buffer) -> tuple[bytes, dict[str, Any]]:
    """Find every message of an ITCH file held in memory (uncompressed).

    Returns an array of native u64, one per message, (offset << 16 | length), offset being that of the message body, and
    {"framing": "length" | "zero", "messages": n, "unknown": n, "bad_length": n}. "length": each message follows a
    two-byte big-endian length (a zero length ends the file); "zero": the two bytes are zero and the length follows
    from the type. ValueError names the offset of a truncated frame (or, with "zero", of an unknown type).
    """

def mold_encode(session: str, sequence: int, messages: Sequence[Buffer]) -> bytes:
    """A MoldUDP64 downstream packet: session (10 characters, blank-padded), sequence of the first message.

    Without messages it is a heartbeat. ValueError above 65,507 bytes.
    """

def mold_end_of_session(session: str, sequence: int) -> bytes:
    """The end-of-session packet (count 0xFFFF); `sequence` is the one the next message would have had."""

def mold_decode(packet: Buffer) -> tuple[str, int, int, list[bytes]]:
    """(session, sequence, count, messages); count 0 is a heartbeat, 0xFFFF the end of the session.

    ValueError when the packet is shorter than its header or its messages say.
    """

def mold_request_encode(session: str, sequence: int, count: int) -> bytes:
    """A MoldUDP64 request packet: `count` messages (1 to 65535) from `sequence` on, please."""

def mold_request_decode(packet: Buffer) -> tuple[str, int, int]:
    """(session, sequence, count) of a request packet. ValueError unless it has exactly 20 bytes."""

def ouch_decode(message: Buffer, inbound: bool, version: str = "5.0") -> dict[str, Any]:
    """One OUCH message; `inbound` True for those a client sends, False for the exchange's. `version`: "5.0" or "4.2".

    Prices in 1/10000 dollar, timestamps in ns since midnight. Names and kinds of the fields: `ouch_fields`. A message
    of 5.0 that has an appendage length carries "appendage" too, its bytes (b"" when the length is 0); where it may be
    left out and is, the key is. ValueError names the type, the length and the rule.
    """

def ouch_encode(fields: Mapping[str, Any], inbound: bool, version: str = "5.0") -> bytes:
    """The inverse of `ouch_decode`. "type" is required; a field left out is zero or blank.

    The appendage length is filled in; it is left out only when it may be and `fields` has no "appendage".
    """

def ouch_types(inbound: bool, version: str = "5.0") -> str:
    """The letters of all message types of a direction: "OUXMCDEQ" for what clients send in 5.0."""

def ouch_fields(type: str, inbound: bool, version: str = "5.0") -> list[tuple[str, str, int, int]]:
    """(name, kind, offset, length) of every field of `type` after the type byte, as `itch_fields`."""

def ouch_appendage_decode(appendage: Buffer) -> dict[str, Any]:
    """The elements of an appendage of OUCH 5.0 by name, in their order.

    secondary_ord_ref_num, firm, min_qty, customer_type, max_floor, price_type, peg_offset (signed), discretion_price,
    discretion_price_type, discretion_peg_offset (signed), post_only, random_reserves, route, expire_time (seconds),
    trade_now, handle_inst, bbo_weight_indicator, display_quantity, display_price, group_id, shares_located,
    locate_broker, side, user_ref_idx, aiq_strategy, aiq_group_id. Prices and offsets in 1/10000 dollar. An element of
    another tag, or of another length than the tag has, comes as bytes under "tag_" and its number. ValueError when an
    element is cut or there twice.
    """

def ouch_appendage_encode(fields: Mapping[str, Any]) -> bytes:
    """The inverse of `ouch_appendage_decode`, in the order of `fields`. ValueError names the field and the rule."""

def ouch_request(
    action: str,
    reference: int,
    *,
    original: int = 0,
    side: str = "B",
    shares: int = 0,
    symbol: str = "",
    price: int = 0,
    time_in_force: str = "0",
    firm: str = "",
    version: str = "5.0",
) -> bytes:
    """The SoupBinTCP packet the engine sends, from its staged templates.

    action: "E" enter, "R" replace (of `original`), "C" cancel. price in 1/10000 dollar; time_in_force "0" day, "3"
    immediate or cancel. `reference` is the UserRefNum of 5.0; in the 4.2 token it follows "TW" as 8 hexadecimal digits.
    """

def ouch_answer(message: Buffer, version: str = "5.0") -> dict[str, Any]:
    """What the engine makes of one message of the exchange.

    {"kind": "A" accepted | "U" replaced | "E" executed | "C" canceled | "J" rejected | "B" broken | "" nothing for
    the order's state, "time_ns", "reference", "original", "shares", "price", "match_number", "reason"}; core/ouch.h has
    the table of what each message type becomes. ValueError for what is damaged or of no known type.
    """

def ouch_reject_text(reason: int | str, version: str = "5.0") -> str:
    """Why an order was rejected: by the number of 5.0 or the letter of 4.2; "unknown reason" for any other."""

def soup_decode(stream: Buffer) -> tuple[str, bytes, int] | None:
    """(type, payload, bytes taken) of the SoupBinTCP packet at the front of `stream`; None: it is not all there yet.

    ValueError when it has length 0.
    """

def soup_encode(type: str, payload: Buffer = b"", /) -> bytes:
    """A SoupBinTCP packet. ValueError above 65,534 bytes."""

def soup_login(username: str, password: str, session: str, sequence: int, /) -> bytes:
    """The login request a client sends: the whole packet. A blank session asks for the one that is running."""

def soup_accepted(payload: Buffer) -> tuple[str, int]:
    """(session, sequence of the next message) of a login-accepted payload. ValueError when damaged."""

def settings_check(config: Mapping[str, Any]) -> None:
    """The core's own check of an engine's configuration, as `Engine` makes it first. ValueError names key and rule."""

@final
class Book:
    """Full-depth books of all instruments, as the engine keeps them. For tests and tools."""

    def __init__(self, max_orders: int = 65536, max_instruments: int = 1024) -> None: ...
    def apply(self, message: Buffer) -> None:
        """Apply one ITCH message; those that do not touch a book are ignored. ValueError when malformed."""

    def apply_range(self, data: Buffer, index: Buffer, first: int, count: int) -> int:
        """Apply messages first to first + count - 1 of a file, as `itch_frame_index` gives its index.

        Returns how many: those of unknown type or wrong length are skipped, as the engine does. ValueError when the
        range or a message is not inside of what was given; messages before it have been applied.
        """

    def top(self, locate: int) -> tuple[int, int, int, int]:
        """(bid price, bid shares, ask price, ask shares); zeros where a side is empty."""

    def depth(self, locate: int, side: str, n: int) -> list[tuple[int, int, int]]:
        """Up to n levels (price, shares, orders) of side "B" or "S", best first."""

    def order(self, reference: int) -> tuple[int, str, int, int] | None:
        """(stock locate, side "B" or "S", price, shares) of a live order; None when there is none."""

    def status(self, locate: int) -> dict[str, Any]:
        """stock ("" before it is named), trading_state ("T", "H", "P" or "Q"), lower_band and upper_band (0: none), and
        system_event, the feed's last ("" before the first)."""

    def trades(self) -> dict[str, int]:
        """Messages about trades that leave the books as they are: hidden (P), crosses (Q), broken (B)."""

    def stats(self) -> dict[str, int]:
        """live_orders, unknown_orders, duplicate_orders, bad_quantities, overflow_orders, overflow_levels,
        overflow_instruments."""

@final
class Feed:
    """The feed of the engine by itself: A and B line and requested packets into one sequence. For tests and tools.

    `gap_timeout_ms`: a gap is declared lost that long after the last missing message came, 0: at once. `request_ms`:
    missing messages are asked for again after so long, if `request`. `silent_ms`: a feed without any packet for that
    long is silent, 0: never. `keep_packets` (1 to 65536): kept behind a gap. `strict_join`: without `request` a session
    joined after its first message is stale.
    """

    def __init__(
        self,
        *,
        gap_timeout_ms: int = 200,
        request_ms: int = 20,
        silent_ms: int = 5000,
        keep_packets: int = 1024,
        request: bool = False,
        strict_join: bool = False,
    ) -> None: ...
    def packet(self, packet: Buffer, line: str = "A", now_ns: int = 0) -> list[bytes]:
        """Take a packet of line "A", "B" or "R" (requested); the messages that can be had now, in order."""

    def drain(self) -> list[bytes]:
        """Messages a declared gap held back."""

    def tick(self, now_ns: int) -> list[bytes]:
        """Time-outs; the request packets to be sent. Call `drain` afterwards."""

    def state(self) -> dict[str, Any]:
        """session, next_sequence, stale, silent, gap_open, packets_a, packets_b, packets_requested, duplicates
        (messages), gaps, gaps_closed (without loss), messages_lost, requests, out_of_session, malformed (packets),
        sessions (begun), ends (of sessions)."""

@final
class Stamping:
    """Which clock stamps the exchange's packets, as the engine's rules have it (core/transport/stamping.h).

    `wish` is "auto", "hardware", "software" or "none"; `sends` is the local address ticks leave from, `receives` the
    one orders come to. Their cards are switched on, and put back by `close`. OSError when the wish cannot be had.
    """

    def __init__(self, wish: str, sends: str, receives: str) -> None: ...
    @property
    def clock(self) -> str:
        """ "none", "software" or "hardware"."""

    @property
    def reason(self) -> str:
        """Why that one; after `close` what could not be put back."""

    def listen(self, listener: Any, /) -> None:
        """Have what comes on the connections of a listening socket stamped, and wait until the kernel does."""

    def close(self) -> None: ...

class StampedReader:
    """Reads a non-blocking TCP connection that a listener of `Stamping.listen` has accepted, from its first byte on."""

    def __init__(self, fd: int) -> None: ...
    def read(self) -> tuple[bytes, int, int, bool]:
        """What has come (b"": the end), the kernel's and the card's stamp of the last segment in ns, 0: none, and
        whether that segment is all that was read. OSError as socket.recv."""

class Replay:
    """Exchange side: sends messages held in memory as MoldUDP64, each packet at its due time, on one line or two.

    `data` and `index` are what `itch_frame_index` takes and gives. `interface` is the local address to send from;
    `group` a multicast group or a unicast address. With `group_b` every packet goes out there as well, from
    `interface_b` ("": `interface`). A packet carries up to `messages_per_packet` messages and is never longer than 1472
    bytes. A session id should not be used again while an engine still listens: the engine takes data from sequence 1 of
    a session that has ended as a new session, and nothing else.
    """

    def __init__(
        self,
        data: Buffer,
        index: Buffer,
        *,
        group: str,
        port: int,
        interface: str,
        session: str,
        messages_per_packet: int = 1,
        ttl: int = 1,
        tos: int = 0,
        group_b: str = "",
        port_b: int = 0,
        interface_b: str = "",
    ) -> None: ...
    def impair(
        self, line: str, *, loss: float = 0.0, duplicate: float = 0.0, reorder: float = 0.0, seed: int = 0
    ) -> None:
        """Lose, duplicate and hold back packets with messages on line "A" or "B", each with its probability (0 to 1).

        Drawn for every packet and line on its own; the same seed gives the same decisions. A packet held back leaves
        behind the next one. Start-over: counts are zero. RuntimeError while `run` is sending.
        """

    def stamp(self, card: bool, /) -> None:
        """Have each packet of line A from now on stamped as it leaves, by the kernel and, with `card`, by the card."""

    def departures(self) -> list[tuple[int, int, int]]:
        """The stamps that have come back since the last call, in ns: (number of the packet since `stamp`, from 0, the
        kernel's, the card's), where one of the two is 0: each comes by itself."""

    def run(self, rate: float, first: int, count: int, speed: float = 0.0) -> dict[str, Any]:
        """Send `count` messages from index `first` (sequence first + 1) at `rate` messages per second, 0: unpaced.

        `speed` above 0 instead: at the file's own time stamps, so many times as fast. Due times are absolute, so a late
        packet does not delay the following; those that are due leave together. Sleeps, then spins for the last tens of
        microseconds only. Releases the GIL. Returns {"messages", "packets", "elapsed_ns", "late_max_ns"} and, as
        "line_a" and "line_b", {"lost", "duplicated", "reordered"} in packets.
        """

    def sent(self) -> int:
        """Sequence number of the last message sent (or lost on purpose, or just going out), 0 for none.

        Whoever has seen a message finds it counted. From any thread.
        """

    def find(self, first: int, end: int, locates: Buffer) -> int:
        """Index of the first message in first..end - 1 that is Stock Directory or Stock Trading Action, or that is
        about an order or trade (AFECXDUP) of a stock locate whose bit is set in `locates` (8192 bytes, bit n % 8 of
        byte n / 8). `end` when there is none.
        """

    def heartbeat(self) -> None:
        """Send a heartbeat with the next sequence; does nothing while `run` is sending."""

    def end_of_session(self) -> None:
        """Send one end-of-session packet."""

    def stop(self) -> None:
        """Make `run` return after the packet in hand; from any thread. Sticky: later runs send nothing."""

@final
class Engine:
    """The engine, over what feed.transport and orders.transport choose.

    `config` is the mapping of the TOML file, keys left out have its defaults.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Allocates everything, opens nothing. ValueError names key, value and rule; MemoryError names the need."""

    def open(self) -> None:
        """Block file, control block, journal and feed sockets; once. OSError or ValueError name what failed.

        The ledger is built from the journal: open orders, positions, and the next order number.
        """

    def connect(self) -> None:
        """Make the order connection and hand it to the engine, which logs in; from any thread, as often as it drops.

        OSError names what failed, within 5 s; after `stop` at once.
        """

    def session(self) -> tuple[str, str]:
        """("closed" | "login" | "settling" | "live" | "rejected" | "again", why it is closed or was rejected).

        "again": the engine has learned where the session ends and has logged out; connect once more.
        """

    def sync(self) -> None:
        """Have the kernel write the journal to the disk and wait for it; from any thread. OSError."""

    def ahead(self) -> None:
        """Have the next pages of the journal writable before the engine writes to them; from any thread, often."""

    def memory(self) -> tuple[int, str]:
        """(bytes taken, "ordinary pages" | "hugepages in part" | "transparent hugepages" | "reserved hugepages")."""

    def feed(self) -> str:
        """What market data comes by, for people; after `run` what came. "" where there is nothing to say."""

    def rdma(self) -> tuple[str, bool]:
        """(devices, GID indices, MTUs and memory of sides over verbs, for people; whether on ordinary pages).

        "" where no side is over verbs, or nothing was opened yet.
        """

    def problem(self) -> str:
        """What is wrong with a transport now and may mend itself, in words; "" for nothing. From any thread."""

    def run(self) -> str:
        """Read the feed, and trade while there is an order session, until told otherwise: "stopped".

        Pins the calling thread to engine.cpu and releases the GIL: call it from a thread of its own, so that Python
        signal handlers (which call `stop`) can run in the main thread. A refused login is PermissionError (wrong user
        or password) or ConnectionRefusedError (no such session), both name user and reason. At the end open orders
        are cancelled, answers awaited for up to a second, and the session logged out.
        """

    def stop(self) -> None:
        """Make `run` return "stopped"; from any thread. For good: the engine will not run again."""

@final
class RdmaGateway:
    """The exchange's RDMA gateway: the feed's UDP lines out as datagrams, RDMA order connections in as TCP ones.

    `interface` is the local address of the RDMA device, `port` that of subscriptions (TCP) and order connections
    (RDMA). `group`, `feed_port` and `feed_interface` are a line as a listener on this host has it, those with `_b` the
    other; `orders_host` and `orders_port` the order server. `multicast`: datagrams to the groups too. `roce_version`,
    `gid_index` (-1: found) and `mtu` (path MTU, bytes; 0: any) are checked against the device, and that the packets of
    `messages_per_packet` ITCH messages (0: unknown) fit into its MTU. Datagrams go with `tos` and `priority` (-1: its
    precedence).
    """

    def __init__(
        self,
        *,
        interface: str,
        port: int,
        group: str,
        feed_port: int,
        feed_interface: str,
        orders_host: str,
        orders_port: int,
        group_b: str = "",
        feed_port_b: int = 0,
        feed_interface_b: str = "",
        tos: int = 0,
        multicast: bool = False,
        roce_version: int = 2,
        gid_index: int = -1,
        mtu: int = 0,
        messages_per_packet: int = 0,
        priority: int = -1,
    ) -> None:
        """Opens everything. OSError or ValueError name what failed and the next step."""

    def run(self) -> None:
        """Serve until `stop`, without the GIL; once. OSError when it cannot go on: ENODEV, the device is gone."""

    def stop(self) -> None:
        """Make `run` return; from any thread."""

    def state(self) -> dict[str, Any]:
        """device, its name; datagrams, dropped (no room), oversize (longer than the MTU), subscriptions, connections
        and refused so far; subscribers and bridges now."""

    def problem(self) -> str:
        """Why somebody was refused last, or a datagram not sent; "" for nothing."""

def memory_needed(config: Mapping[str, Any]) -> int:
    """Bytes that Engine(config) will take. ValueError names key, value and rule."""

def process(
    config: Mapping[str, Any], itch_buffer: Buffer, index: Buffer, *, messages_per_packet: int = 1
) -> dict[str, Any]:
    """The same engine over the replay transport, in memory and as fast as it goes; releases the GIL.

    Only [engine] sizes, [strategy], [risk] and orders.firm of `config` matter. Returns the keys of `block_read` plus
    "elapsed_ns" and "orders": the OUCH messages it would have sent, in order. The exchange behind it takes every order
    and fills none (transport/replay.h).
    """

def process_packets(config: Mapping[str, Any], packets: Sequence[Buffer]) -> dict[str, Any]:
    """`process` for MoldUDP64 packets as given (splits, gaps, duplicates, damage), with "books" besides:

    {locate: (bids, asks)}, each a list of (price, shares, orders), best first; instruments with an empty book left out.
    """

def block_read(path: str) -> dict[str, Any]:
    """A snapshot of the shared block an engine keeps at `path`; works while the engine runs and after it ended.

    Keys: version, name, strategy (a built-in's name, or a file's), pid,
    state ("starting" | "login" | "live" | "stopped"), feed_session, feed_ended,
    stale (the books miss messages), silent (no packet for feed.silent_ms), killed,
    full (journal or ledger: no room for a new order), limits_version (that of Control.read the engine has),
    next_sequence,
    shown_ns (when the engine last wrote there, by the monotonic clock; it does so every few milliseconds),
    every counter of BLOCK_COUNTERS in core/block.h by its name (risk_<reason>: orders refused),
    timestamp_source (one of stamp_clocks(): what was switched on at start), timestamp_reason (why, for people),
    rdma_devices (names of those the sides over verbs use), priority (of the engine's thread, SCHED_FIFO; 0: ordinary),
    memory ("hugepages" | "pages"),
    top: list of {locate, stock, bid, bid_size, ask, ask_size, trading_state}, up to 8 instruments,
    positions: list of {stock, shares, cash, open_buys, open_sells}, up to 16; cash in 1/10000 dollar.
    OSError when there is no such file; ValueError when it is not a block of this version.
    """

def block_legs(path: str) -> bytes:
    """Array of native u64: ns between the sends of the first and the last leg of each group of the feed session."""

def block_samples(path: str) -> bytes:
    """Array of struct block_sample (core/block.h) of the current feed session; bench/samples.py reads it."""

def stamp_clocks() -> tuple[str, ...]:
    """The names of the clocks stamps are of, by their numbers in samples: "none", "software" (the kernel), "hardware"
    (the network card), "completion" (the RDMA device, of completions: tick to acknowledgement), "application" (the
    engine)."""

@final
class Control:
    """The control block of an engine, `<engine.block>.control`: limits, restricted list and kill switch while it runs.

    `with control:` makes several calls one change that no other process comes between; TimeoutError when another holds
    the file for more than a second.
    """

    def __init__(self, path: str) -> None:
        """OSError when there is no such file; ValueError when it is no control block of this version."""

    def __enter__(self) -> Control: ...
    def __exit__(self, *error: object) -> None: ...
    def read(self) -> dict[str, Any]:
        """{"version", "killed", "reason", "limits": {name: value}, "restricted": [symbol]}.

        Limits are those of struct risk_limits in core/risk.h: max_size, max_notional (1/10000 dollar), collar_bps,
        max_position, max_open_orders, max_orders_per_s, duplicate_ms. The version changes with each change of
        them or of the list.
        """

    def kill(self, reason: str = "") -> None:
        """No order goes out from here on, cancels do. Waits for nothing. The reason's first 63 bytes are kept."""

    def revive(self) -> bool:
        """Take the kill back. False: it is held, and stays."""

    def hold(self, held: bool) -> None:
        """Hold the kill, as the kill file is there: it cannot be taken back before hold(False)."""

    def set_limits(self, limits: dict[str, int]) -> None:
        """Change the limits named; the others stay. ValueError names the field and the value."""

    def restrict(self, symbols: Sequence[str]) -> None:
        """The whole restricted list, at most 256 symbols."""

@final
class Risk:
    """The checks of the engine by themselves, for tests.

    Records are dictionaries of the C fields; what is left out is 0, an order by default a buy entered, a view one of an
    instrument that trades.
    """

    def __init__(self, limits: dict[str, int], max_instruments: int = 16) -> None: ...
    def check(self, order: dict[str, Any], view: dict[str, Any], nth: int = 0) -> str:
        """The first reason against the order, or "passed". A view has bid and ask instead of the top of the book."""

    def sent(self, order: dict[str, Any], time_ns: int) -> None: ...
    def tick(self, now_ns: int) -> None: ...
    def set_limits(self, limits: dict[str, int]) -> None: ...
    def kill(self, killed: bool) -> None: ...
    def restrict(self, symbols: Sequence[str]) -> None: ...
    def name(self, locate: int, stock: str) -> None: ...
    def forget(self) -> None: ...

@final
class Strategy:
    """A strategy alone, for tests, without an engine. `strategy` is the [strategy] table, defaults for the rest."""

    def __init__(self, strategy: Mapping[str, Any], max_instruments: int = 64) -> None:
        """ValueError names the key of [strategy], its value and the rule."""

    def name(self, locate: int, stock: str) -> bool:
        """The feed names an instrument; whether the strategy wants to see it."""

    def event(self, event: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The top of a book changed: the fields of struct tw_event, 0 when left out (trading_state: "T").

        "bids" and "asks" are lists of (price, shares, orders), best first. Returns the orders asked for as dictionaries
        of the fields of struct tw_order, with characters as text and None for TW_NO_TAG.
        """

    def update(self, update: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What became of an order: the fields of struct tw_update; returns what `event` does."""

    def reset(self) -> None:
        """A new feed session."""

    def tags(self) -> int:
        """How many tags it uses."""

    def failed(self) -> bool:
        """Whether a user's function failed; the strategy then asks for nothing any more."""

def strategy_try(
    strategy: Mapping[str, Any],
    itch_buffer: Buffer,
    index: Buffer,
    *,
    measured: bool = False,
    max_orders: int = 1 << 20,
    max_instruments: int = 16384,
) -> dict[str, int]:
    """Run a strategy ([strategy] table) over a file, with the simple answers of core/trial.h instead of an exchange.

    Returns messages, calls (of on_top), updates, enters, replaces, cancels, refused, executed (orders), endless (events
    whose answers never came to an end), failed_at (the message, from 1, at which a user's function failed; 0: never).
    When `measured`: elapsed_ns of the calls of on_top, with loop and two looks at the clock every 256 calls, and
    overhead_ns, the same with an empty function. Answers then come after every 256 calls. Releases the GIL.
    """

def strategy_call() -> tuple[int, str]:
    """(calls of a user's strategy in this process so far, the function of it that a thread is in now, or "")."""

def strategy_layout() -> dict[str, dict[str, tuple[int, int]]]:
    """(offset, size) in bytes of every field of the records of core/strategy.h; under "" (0, size of the record)."""

class Ledger:
    """Own orders and positions over the journal at `path` ("": none), as the engine keeps them. For tests.

    Opens and locks the file, makes it when it is not there, and builds the state from it. `name`: who and which day;
    `capacity`: free records it shall have. OSError, ValueError or MemoryError name the file and the next step.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        name: str,
        capacity: int,
        *,
        max_open_orders: int = 64,
        max_instruments: int = 16,
        max_tags: int = 16,
    ) -> None: ...
    def bind(self, locate: int, stock: str) -> bool:
        """The feed named an instrument; False when max_instruments is used up."""

    def unbind(self) -> None:
        """A new feed session: no locate is known any more."""

    def enter(
        self, locate: int, side: str, shares: int, price: int, tag: int = 2**32 - 1, time_in_force: str = "0"
    ) -> int:
        """Journal and book an order before it is sent: its reference, or 0 when it may not go out."""

    def replace(self, tag: int, shares: int, price: int) -> tuple[int, int, int]:
        """(reference, original, quantity): `shares` are to be open, `quantity` is what OUCH's Replace has to say."""

    def cancel(self, tag: int) -> int:
        """The reference to cancel, or 0."""

    def unsent(self, reference: int, action: str) -> None:
        """The transport took nothing of that request ("E", "R" or "C")."""

    def answer(
        self,
        sequence: int,
        kind: str,
        reference: int,
        *,
        original: int = 0,
        shares: int = 0,
        price: int = 0,
        match_number: int = 0,
        reason: int = 0,
        time_ns: int = 0,
        side: str = "\0",
        stock: str = "",
    ) -> dict[str, Any] | None:
        """A sequenced message of the exchange; what the strategy is told of it, if anything. Kinds: tw_update_kind."""

    def session(self, session: str, next_sequence: int) -> None:
        """Logged in: the session and the sequence the exchange goes on with."""

    def settle(self) -> list[dict[str, Any]]:
        """The exchange has told all it has to tell: what is still unsure is dropped. The updates for the strategy."""

    def state(self) -> dict[str, Any]:
        """The keys of `journal_read`."""

    def sync(self) -> None:
        """Have the kernel write the journal to disk, and wait for it."""

def journal_read(path: str | PathLike[str]) -> dict[str, Any]:
    """What a journal says, also while an engine writes it. Changes nothing.

    Keys: name, records, room, lost_records (by a power loss, found when it was opened now), session, answered,
    last_reference, open_orders, replacing_orders, unsure_orders, unknown_answers, exhausted,
    orders: list of {reference, replaces, stock, side, price, open_shares, used_shares, state ("live" | "unsure"), tag,
    canceling}, positions: list of {stock, shares, cash (1/10000 dollar), open_buys, open_sells}.
    An order without an answer is "unsure" here, though the engine may just be waiting for it.
    OSError when it cannot be opened; ValueError when it is not a journal of this version or contradicts itself.
    """

@final
class RoceTrace:
    """A capture of RoCEv2 traffic in, what it says about every queue pair out. The file comes in windows.

    `flows`: how many are followed, one for each (source, destination, destination queue pair); `outstanding`: packets
    and messages of one that wait for an answer, a power of two; `icrc`: check it. Memory is bounded by both, and
    only what is touched is taken. ValueError names what is outside its range, MemoryError the address space needed.
    """

    def __new__(cls, *, flows: int = 4096, outstanding: int = 4096, icrc: bool = False) -> RoceTrace: ...
    def feed(self, window: Buffer) -> int:
        """Read the records that lie whole in `window`; returns how many of its bytes are used up.

        The next window begins with the first byte that was not. A window of 524,288 bytes or more always moves on.
        ValueError names the offset at which the file is no capture, or not any more; what was read before is kept.
        """

    def state(self) -> dict[str, Any]:
        """Counts of the whole capture.

        format ("pcap", "pcapng" or None), offset (bytes used up), to_skip (bytes of a block that have not come),
        records, captured_bytes, first_ns, last_ns; records by what they are: roce, pause, other, cut, malformed,
        fragments, unknown_link; unknown_link_type, unknown_interface, backwards, untracked, connections,
        pause_senders_beyond; pauses {priority: count}, 8 being the pause of a whole port; pause_senders, a list;
        pause_series and pause_series_of_priority, {priority: series}, as in `series`.
        """

    def flows(self) -> list[dict[str, Any]]:
        """Every flow, in order of appearance; docs/rdma-trace.md says what the counts are.

        peer is the index of the flow that answers, or None. naks, not_ready and pauses are {code: count}. round_trip
        and message_time have samples, min_ns, mean_ns, p50_ns, p90_ns, p99_ns, p99_9_ns, max_ns (samples alone when
        it is 0).
        """

    def series(self, flow: int) -> dict[str, Any]:
        """A flow over time, by its index; IndexError when there is none.

        start_ns, bin_ns and bins, those that hold something: (bin, packets, retransmissions, acks, naks, not_ready,
        cnps, ce_marks, pauses, sequence_low, sequence_high, acknowledged, samples, min_ns, sum_ns, max_ns).
        """

def roce_packets(capture: Buffer) -> list[dict[str, Any]]:
    """A whole capture in memory, record by record: for tests and small files.

    kind is "roce", "pause", "other", "cut", "malformed", "fragment" or "unknown_link". A RoCE packet has time_ns,
    source, destination, opcode, destination_qp, psn, ack_request, partition, dscp, ecn, priority, udp_source_port,
    payload_bytes, icrc (None: not captured whole) and, where its opcode has them, syndrome and message_sequence,
    source_qp, dma_length. A pause has enabled (bits) and quanta {priority: quanta}. ValueError as `RoceTrace.feed`.
    """

@final
class BenchSocket:
    """One end of `tickwire bench` over a connected, open socket: `stream` for TCP, else UDP. It stays the caller's.

    `size`: of every message, 8 to 32768 bytes. `watch` in the methods is the descriptor of a connection between the two
    ends; once it is readable the run is over. Samples are round trips in ns of the monotonic clock, native u64 in the
    order of the messages; 2**64 - 1: no echo came within `timeout_ns`. The dictionary beside them: sent, late (echoes
    that came after they were given up, or twice), wrong_size (messages of another size, left out), send_late_max_ns
    (burst: how late after its due time the latest message left), elapsed_ns. OSError when the other end is gone or
    takes nothing; ValueError for what cannot be asked.
    """

    def __new__(cls, fd: int, stream: bool, size: int) -> BenchSocket: ...
    def reflect(self, watch: int) -> dict[str, int]:
        """Send back what comes until `watch` is readable: {reflected, wrong_size}."""

    def pingpong(self, total: int, timeout_ns: int, watch: int) -> tuple[bytes, dict[str, int]]:
        """Closed loop. From before the send call to after the receive that found the whole echo."""

    def burst(
        self, total: int, timeout_ns: int, watch: int, burst: int, every_ns: int, gap_ns: float
    ) -> tuple[bytes, dict[str, int]]:
        """Open loop: message n is due at n // burst * every_ns + n % burst * gap_ns, and is charged from then."""

@final
class BenchRdma:
    """The same over RDMA, from the device that has the IPv4 address `interface`: RC, or UD for `datagram`.

    Both ends make one, tell each other their `offer` and connect. `psn`: the first sequence number, 24 bits. OSError
    and ValueError say what is missing and the next step.
    """

    def __new__(cls, interface: str, datagram: bool, size: int, tos: int, psn: int) -> BenchRdma: ...
    def offer(self) -> dict[str, Any]:
        """device, gid (16 bytes), queue_pair, psn, mtu (bytes)."""

    def connect(self, gid: bytes, queue_pair: int, psn: int, mtu: int) -> None:
        """Take what the other end offers, but its device."""

    def reflect(self, watch: int) -> dict[str, int]: ...
    def pingpong(self, total: int, timeout_ns: int, watch: int) -> tuple[bytes, dict[str, int]]: ...
    def burst(
        self, total: int, timeout_ns: int, watch: int, burst: int, every_ns: int, gap_ns: float
    ) -> tuple[bytes, dict[str, int]]: ...

def bench_registration(interface: str, length: int, hugepages: bool, rounds: int, /) -> tuple[bytes, bytes]:
    """Register `length` bytes of memory with the RDMA device that has the IPv4 address `interface`, and take it back.

    ns of each ibv_reg_mr and of each ibv_dereg_mr, native u64. On reserved hugepages, or on ordinary pages (never
    transparent hugepages). OSError: ENOSPC and EPERM for memory that cannot be had or locked, which another size may;
    others for a device that cannot be used.
    """
