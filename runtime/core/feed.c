/* SPDX-License-Identifier: Apache-2.0 */
#include "feed.h"

#include "clock.h"
#include "kept.h"

/* A reply is one packet; the shortest ITCH message has 12 bytes. The server sends what fits, the rest is asked for again. */
#define REQUEST_MESSAGES (KEPT_BLOCKS / (2 + 12))

#define SPARE_SLOTS 64 /* what overflows is kept as well, be it the longest datagram */

#define HAND_KEPT 0xFF /* `hand` when the packet comes from the kept ones */

struct feed {
    struct mold_tracker mold;
    bool running; /* a session is known and has not ended */
    bool gap;     /* messages below `furthest` are missing */
    bool silent;
    bool stale;
    bool late; /* joined in the middle, and what was before is still being asked for */
    uint8_t hand;      /* transport_line of the packet being walked */
    uint32_t promised; /* its new messages */
    uint64_t heard_ns; /* the last packet of the session */
    uint64_t looked_ns; /* the last feed_tick */
    struct feed_counts counts;
    /* of the gap */
    bool gap_lost;        /* a part of it has been declared */
    bool end_pending;     /* the end of the session waits behind it */
    uint8_t ended_lines;  /* bits of the lines that said the end of this session */
    uint64_t end_sequence;
    uint64_t furthest;    /* what comes after the last message known to exist */
    uint64_t furthest_ns; /* when it became so */
    uint64_t progress_ns; /* the last missing message that came */
    uint64_t since_ns;    /* from here on its time-out runs */
    uint64_t request_due_ns;
    struct feed_policy policy;
    struct kept_ring kept;
    uint8_t end_packet[MOLD_HEADER];
};

size_t feed_footprint(const struct feed_policy *policy)
{
    return arena_footprint(sizeof(struct feed)) + kept_footprint(policy->keep_packets + SPARE_SLOTS);
}

struct feed *feed_init(struct arena *arena, const struct feed_policy *policy)
{
    struct feed *feed = arena_take(arena, sizeof *feed);
    if (feed == NULL || !kept_init(&feed->kept, arena, policy->keep_packets + SPARE_SLOTS))
        return NULL;
    feed->policy = *policy;
    return feed;
}

/* --- gaps --- */

static bool since(uint64_t then_ns, uint64_t now_ns, uint32_t limit_ms)
{
    return (int64_t)(now_ns - then_ns) >= (int64_t)(limit_ms * NS_PER_MS);
}

static void close_gap(struct feed *feed)
{
    feed->gap = feed->late = false;
    feed->counts.gaps_closed += !feed->gap_lost;
}

/* Messages up to `end` exist, and those before the present ones have not come. */
static void reveal(struct feed *feed, uint64_t end, uint64_t now_ns)
{
    if (!feed->gap) {
        feed->gap = true;
        feed->gap_lost = false;
        feed->furthest = 0;
        feed->since_ns = feed->progress_ns = now_ns;
        feed->request_due_ns = 0;
        feed->counts.gaps++;
    }
    if (end > feed->furthest) {
        feed->furthest = end;
        feed->furthest_ns = now_ns;
    }
}

/* Where the missing messages end: at the first kept packet, at the end of the session, or at the last message known of. */
static uint64_t hole_end(const struct feed *feed)
{
    const struct kept *first = kept_first(&feed->kept);
    uint64_t end = first != NULL ? first->sequence : feed->furthest;
    return feed->end_pending && feed->end_sequence < end ? feed->end_sequence : end;
}

static void lose(struct feed *feed, uint64_t up_to, struct mold_view *view)
{
    uint64_t lost = up_to - feed->mold.next_sequence;
    feed->counts.messages_lost += lost;
    feed->mold.next_sequence = up_to;
    feed->stale = true;
    if (view != NULL)
        view->lost += lost;
}

static void declare(struct feed *feed, struct mold_view *view)
{
    lose(feed, hole_end(feed), view);
    feed->gap_lost = true;
    if (feed->mold.next_sequence >= feed->furthest)
        close_gap(feed);
}

/* With a time-out of zero there is no gap to wait in: everything before `sequence` is lost. */
static bool lose_at_once(struct feed *feed, uint64_t sequence, struct mold_view *view)
{
    if (feed->policy.gap_timeout_ms != 0)
        return false;
    feed->counts.gaps++;
    lose(feed, sequence, view);
    return true;
}

/* --- sessions --- */

static void hear(struct feed *feed, uint64_t now_ns)
{
    feed->heard_ns = now_ns;
    feed->silent = false;
}

static uint8_t line_bit(const struct transport_packet *packet)
{
    return (uint8_t)(1u << (packet->line & 7));
}

static bool credible(const uint8_t *packet, uint32_t length)
{
    for (unsigned i = 0; i < MOLD_SESSION; i++)
        if (packet[i] < ' ' || packet[i] > '~')
            return false;
    uint16_t count = mold_count(packet);
    return count == MOLD_END_OF_SESSION || mold_whole(packet, length) == count;
}

static void begin(struct feed *feed, const uint8_t *packet, uint64_t now_ns, struct mold_view *view)
{
    uint64_t sequence = mold_sequence(packet);
    bool late = sequence > 1, recovers = feed->policy.request && feed->policy.gap_timeout_ms != 0;
    if (feed->gap) /* what the session before still missed, and what was kept behind it */
        feed->counts.messages_lost += feed->furthest - feed->mold.next_sequence;
    kept_clear(&feed->kept);
    feed->gap = feed->end_pending = false;
    feed->ended_lines = 0;
    feed->stale = late && !recovers && feed->policy.strict_join;
    feed->late = late && recovers;
    feed->running = true;
    mold_begin(&feed->mold, packet, late && recovers ? 1 : sequence);
    view->new_session = true;
    hear(feed, now_ns);
}

static void end(struct feed *feed, struct mold_view *view)
{
    if (feed->gap) /* what seemed to lie beyond the end does not exist */
        close_gap(feed);
    kept_clear(&feed->kept);
    feed->end_pending = false;
    feed->running = false;
    feed->mold.ended = true;
    view->ends_session = true;
}

/* True when the packet is of the running session, be it a new one. */
static bool in_session(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view)
{
    const uint8_t *bytes = packet->bytes;
    uint8_t line = line_bit(packet);
    switch (mold_standing(&feed->mold, bytes)) {
    case MOLD_RUNNING:
        hear(feed, now_ns);
        return true;
    case MOLD_OVER:
        hear(feed, now_ns);
        if (mold_count(bytes) == MOLD_END_OF_SESSION)
            feed->ended_lines |= line;
        return false;
    case MOLD_BEGINS:
        if (packet->line == TRANSPORT_LINE_REQUESTED)
            break;
        if (!credible(bytes, packet->length)) {
            feed->counts.malformed++;
            return false;
        }
        begin(feed, bytes, now_ns, view);
        return true;
    case MOLD_RESTARTS:
        if (packet->line == TRANSPORT_LINE_REQUESTED || !(feed->ended_lines & line) || !credible(bytes, packet->length))
            break;
        begin(feed, bytes, now_ns, view);
        return true;
    default:
        break;
    }
    feed->counts.out_of_session++;
    return false;
}

/* --- packets --- */

static enum feed_verdict take(struct feed *feed, const struct transport_packet *packet, uint64_t sequence, uint16_t count,
                              struct mold_view *view)
{
    view->count = count;
    view->duplicates = (uint16_t)(feed->mold.next_sequence - sequence);
    feed->counts.duplicates += view->duplicates;
    feed->promised = (uint32_t)(count - view->duplicates);
    feed->hand = packet->line;
    return FEED_TAKE;
}

/* Messages from behind the next one. */
static enum feed_verdict ahead(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view)
{
    uint64_t sequence = mold_sequence(packet->bytes);
    uint16_t whole = mold_whole(packet->bytes, packet->length);
    if (whole < mold_count(packet->bytes))
        feed->counts.malformed++;
    if (whole == 0)
        return FEED_NOTHING;
    if (lose_at_once(feed, sequence, view))
        return take(feed, packet, sequence, whole, view);
    reveal(feed, sequence + whole, now_ns);
    feed->counts.duplicates += kept_put(&feed->kept, packet, sequence, whole, now_ns);
    if (feed->kept.used > feed->policy.keep_packets && !feed_has_kept(feed))
        declare(feed, view);
    return FEED_NOTHING;
}

/* A packet without messages: `sequence` is what comes next. */
static void bare(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view)
{
    uint64_t sequence = mold_sequence(packet->bytes);
    bool ends = mold_count(packet->bytes) == MOLD_END_OF_SESSION;
    if (ends && sequence < feed->mold.next_sequence) { /* of the time before the session began again */
        feed->counts.out_of_session++;
        return;
    }
    if (ends)
        feed->ended_lines |= line_bit(packet);
    if (sequence > feed->mold.next_sequence && !lose_at_once(feed, sequence, view)) {
        reveal(feed, sequence, now_ns);
        if (ends && (!feed->end_pending || sequence < feed->end_sequence)) {
            feed->end_pending = true;
            feed->end_sequence = sequence;
        }
    } else if (ends) {
        end(feed, view);
    }
}

/* Everything but the next packet in order. */
__attribute__((noinline)) static enum feed_verdict judge(struct feed *feed, const struct transport_packet *packet,
                                                         uint64_t now_ns, struct mold_view *view)
{
    enum feed_verdict verdict = FEED_NOTHING;
    feed->promised = 0;
    if (packet->length < MOLD_HEADER || mold_sequence(packet->bytes) > FEED_SEQUENCE_LAST) {
        feed->counts.malformed++;
        return FEED_NOTHING;
    }
    if (!in_session(feed, packet, now_ns, view))
        return FEED_NOTHING;
    uint64_t sequence = mold_sequence(packet->bytes), next = feed->mold.next_sequence;
    uint16_t count = mold_count(packet->bytes);
    if (count == MOLD_HEARTBEAT || count == MOLD_END_OF_SESSION)
        bare(feed, packet, now_ns, view);
    else if (sequence + count <= next)
        feed->counts.duplicates += count;
    else if (sequence <= next)
        verdict = take(feed, packet, sequence, count, view);
    else
        verdict = ahead(feed, packet, now_ns, view);
    return view->new_session || view->ends_session || view->lost > 0 ? FEED_TAKE : verdict;
}

enum feed_verdict feed_packet(struct feed *feed, const struct transport_packet *packet, uint64_t now_ns, struct mold_view *view)
{
    const uint8_t *bytes = packet->bytes;
    *view = (struct mold_view){0};
    if (packet->line == TRANSPORT_LINE_A)
        feed->counts.packets_a++;
    else if (packet->line == TRANSPORT_LINE_B)
        feed->counts.packets_b++;
    else
        feed->counts.packets_requested++;
    if (LIKELY(packet->length >= MOLD_HEADER && feed->running && memcmp(bytes, feed->mold.session, MOLD_SESSION) == 0 &&
               mold_sequence(bytes) == feed->mold.next_sequence)) {
        uint16_t count = mold_count(bytes);
        if (LIKELY((uint16_t)(count - 1) < MOLD_END_OF_SESSION - 1)) {
            hear(feed, now_ns);
            feed->hand = packet->line;
            feed->promised = view->count = count;
            return FEED_TAKE;
        }
    }
    return judge(feed, packet, now_ns, view);
}

/* The next sequence has moved while a gap is open. */
static void advanced(struct feed *feed)
{
    if (feed->mold.next_sequence >= feed->furthest) {
        close_gap(feed);
        return;
    }
    if (feed->hand != HAND_KEPT)
        feed->progress_ns = feed->heard_ns;
    /* Another hole may be the first one now: it has waited since what lies behind it came. */
    const struct kept *first = kept_first(&feed->kept);
    uint64_t revealed_ns = first != NULL ? first->since_ns : feed->furthest_ns;
    feed->since_ns = (int64_t)(revealed_ns - feed->progress_ns) > 0 ? revealed_ns : feed->progress_ns;
    if (feed->hand != TRANSPORT_LINE_A && feed->hand != TRANSPORT_LINE_B)
        feed->request_due_ns = 0; /* an answer, and there is more to ask for */
}

void feed_taken(struct feed *feed, uint32_t messages)
{
    if (UNLIKELY(messages != feed->promised)) {
        feed->counts.malformed++;
        if (messages > feed->promised)
            messages = feed->promised;
    }
    feed->mold.next_sequence += messages;
    feed->promised = 0;
    if (UNLIKELY(feed->gap) && messages > 0)
        advanced(feed);
}

bool feed_has_kept(const struct feed *feed)
{
    const struct kept *first = kept_first(&feed->kept);
    return (first != NULL && first->sequence <= feed->mold.next_sequence) ||
           (feed->end_pending && feed->end_sequence <= feed->mold.next_sequence);
}

enum feed_verdict feed_kept(struct feed *feed, struct transport_packet *packet, struct mold_view *view)
{
    *view = (struct mold_view){0};
    for (const struct kept *kept; (kept = kept_first(&feed->kept)) != NULL && kept->sequence <= feed->mold.next_sequence;) {
        kept_take(&feed->kept, packet);
        if (kept->sequence + kept->count > feed->mold.next_sequence) {
            take(feed, packet, kept->sequence, kept->count, view);
            feed->hand = HAND_KEPT;
            return FEED_TAKE;
        }
        feed->counts.duplicates += kept->count;
    }
    if (!feed->end_pending || feed->end_sequence > feed->mold.next_sequence)
        return FEED_NOTHING;
    mold_header(feed->end_packet, feed->mold.session, feed->end_sequence, MOLD_END_OF_SESSION);
    *packet = (struct transport_packet){.bytes = feed->end_packet, .length = MOLD_HEADER};
    feed->promised = 0;
    end(feed, view);
    return FEED_TAKE;
}

/* --- beside the path --- */

static void request(struct feed *feed, const struct feed_transport *transport)
{
    uint8_t packet[MOLD_HEADER];
    uint64_t missing = hole_end(feed) - feed->mold.next_sequence;
    uint16_t count = missing < REQUEST_MESSAGES ? (uint16_t)missing : REQUEST_MESSAGES;
    mold_header(packet, feed->mold.session, feed->mold.next_sequence, count);
    if (transport->request(transport->self, packet, sizeof packet) == 0)
        feed->counts.requests++;
}

bool feed_tick(struct feed *feed, const struct feed_transport *transport, uint64_t now_ns)
{
    if (feed->heard_ns == 0) /* nothing yet: silence counts from here */
        feed->heard_ns = now_ns;
    uint32_t absence_ms = feed->policy.gap_timeout_ms / 2;
    if (absence_ms < FEED_ABSENCE_MS)
        absence_ms = FEED_ABSENCE_MS;
    bool away = feed->looked_ns != 0 && since(feed->looked_ns, now_ns, absence_ms);
    feed->looked_ns = now_ns;
    feed->silent = feed->policy.silent_ms != 0 && since(feed->heard_ns, now_ns, feed->policy.silent_ms);
    if (LIKELY(!feed->gap) || feed_has_kept(feed))
        return false;
    bool asks = feed->policy.request && transport != NULL && transport->request != NULL;
    if (UNLIKELY(away && asks)) /* nobody has asked either, nor read what came: what is missing has its time from now on */
        feed->since_ns = feed->progress_ns = now_ns;
    if (since(feed->since_ns, now_ns, feed->policy.gap_timeout_ms)) {
        declare(feed, NULL);
        return true;
    }
    if (asks && since(feed->request_due_ns, now_ns, 0)) {
        request(feed, transport);
        feed->request_due_ns = now_ns + feed->policy.request_ms * NS_PER_MS;
    }
    return false;
}

bool feed_is_stale(const struct feed *feed)
{
    return feed->stale || feed->late;
}

bool feed_is_silent(const struct feed *feed)
{
    return feed->silent;
}

bool feed_gap_open(const struct feed *feed)
{
    return feed->gap;
}

uint64_t feed_next_sequence(const struct feed *feed)
{
    return feed->mold.next_sequence;
}

const uint8_t *feed_session(const struct feed *feed)
{
    return feed->mold.session;
}

const struct feed_counts *feed_counts(const struct feed *feed)
{
    return &feed->counts;
}
