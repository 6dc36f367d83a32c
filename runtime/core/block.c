/* SPDX-License-Identifier: Apache-2.0 */
#include "block.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mapped.h"

#define WHAT "block file"
#define SAMPLES_OFFSET 4096u
_Static_assert(sizeof(struct block) <= SAMPLES_OFFSET, "the samples follow the fixed part");

static struct block_sample *samples_of(const struct block *block)
{
    return (struct block_sample *)((uint8_t *)block + block->samples_offset);
}

static uint64_t *legs_of(const struct block *block)
{
    return (uint64_t *)((uint8_t *)block + block->legs_offset);
}

static size_t legs_offset(uint64_t max_samples)
{
    return SAMPLES_OFFSET + (size_t)max_samples * sizeof(struct block_sample);
}

struct block *block_create(const char *path, const char *name, uint32_t max_samples, struct failure *failure)
{
    size_t bytes = legs_offset(max_samples) + BLOCK_LEGS * sizeof(uint64_t);
    struct block *block = mapped_make(WHAT, path, bytes, failure);
    if (block == NULL)
        return NULL;
    memcpy(block->magic, BLOCK_MAGIC, sizeof block->magic);
    block->version = BLOCK_VERSION;
    block->pid = (uint32_t)getpid();
    block->bytes = bytes;
    block->samples_offset = SAMPLES_OFFSET;
    block->max_samples = max_samples;
    block->legs_offset = legs_offset(max_samples);
    snprintf(block->name, sizeof block->name, "%s", name);
    return mapped_publish(WHAT, path, block, bytes, failure) ? block : NULL;
}

void block_unmap(struct block *block)
{
    if (block != NULL)
        munmap(block, block->bytes);
}

const struct block *block_map(const char *path, struct failure *failure)
{
    size_t bytes;
    struct block *block = mapped_open(WHAT, path, SAMPLES_OFFSET, SIZE_MAX, &bytes, NULL, failure);
    if (block == NULL)
        return NULL;
    if (memcmp(block->magic, BLOCK_MAGIC, sizeof block->magic) != 0)
        failure_set(failure, EBADMSG, WHAT " %s: not a tickwire block", path);
    else if (block->version != BLOCK_VERSION)
        failure_set(failure, EBADMSG, WHAT " %s: version %u, this release reads version %u", path, block->version,
                    BLOCK_VERSION);
    else if (block->bytes != bytes || block->samples_offset != SAMPLES_OFFSET || block->max_samples > BLOCK_SAMPLES_LIMIT ||
             block->legs_offset != legs_offset(block->max_samples) ||
             bytes != block->legs_offset + BLOCK_LEGS * sizeof(uint64_t))
        failure_set(failure, EBADMSG, WHAT " %s: says %llu bytes, has %zu", path, (unsigned long long)block->bytes, bytes);
    else
        return block;
    munmap(block, bytes);
    return NULL;
}

void block_snapshot(const struct block *block, struct block *copy)
{
    /* A writer killed between the two increments leaves the lock odd for good: take what is there after a while. */
    for (unsigned attempt = 0; attempt < 100000; attempt++) {
        uint64_t before = BLOCK_GET(block, lock);
        memcpy(copy, block, sizeof *copy);
        atomic_thread_fence(memory_order_acquire);
        if (before % 2 == 0 && before == BLOCK_GET(block, lock))
            return;
    }
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t block_copy_samples(const struct block *block, struct block_sample *samples, uint64_t limit)
{
    uint64_t epoch, count;
    do {
        epoch = BLOCK_GET(block, feed_epoch);
        count = least(BLOCK_GET(block, samples), least(block->max_samples, limit));
        memcpy(samples, samples_of(block), count * sizeof *samples);
        atomic_thread_fence(memory_order_acquire);
    } while (epoch != BLOCK_GET(block, feed_epoch));
    return count;
}

uint64_t block_copy_legs(const struct block *block, uint64_t *spreads, uint64_t limit)
{
    uint64_t epoch, count;
    do {
        epoch = BLOCK_GET(block, feed_epoch);
        count = least(BLOCK_GET(block, leg_groups), least(BLOCK_LEGS, limit));
        memcpy(spreads, legs_of(block), count * sizeof *spreads);
        atomic_thread_fence(memory_order_acquire);
    } while (epoch != BLOCK_GET(block, feed_epoch));
    return count;
}

void block_add_sample(struct block *block, const struct block_sample *sample)
{
    uint64_t count = BLOCK_GET(block, samples);
    if (UNLIKELY(count >= block->max_samples)) {
        BLOCK_COUNT(block, samples_dropped, 1);
        return;
    }
    samples_of(block)[count] = *sample;
    BLOCK_SET(block, samples, count + 1);
}

void block_add_legs(struct block *block, uint64_t spread_ns)
{
    uint64_t count = BLOCK_GET(block, leg_groups);
    if (LIKELY(count < BLOCK_LEGS))
        legs_of(block)[count] = spread_ns;
    BLOCK_SET(block, leg_spread_last_ns, spread_ns);
    if (spread_ns > BLOCK_GET(block, leg_spread_max_ns))
        BLOCK_SET(block, leg_spread_max_ns, spread_ns);
    BLOCK_SET(block, leg_groups, count + 1);
}

static void begin_change(struct block *block)
{
    BLOCK_COUNT(block, lock, 1);
    atomic_thread_fence(memory_order_release);
}

static void end_change(struct block *block)
{
    atomic_thread_fence(memory_order_release);
    BLOCK_COUNT(block, lock, 1);
}

void block_begin_session(struct block *block, const uint8_t session[10])
{
    begin_change(block);
    memcpy(block->feed_session, session, 10);
    BLOCK_SET(block, feed_ended, 0);
    BLOCK_SET(block, samples, 0);
    BLOCK_SET(block, samples_dropped, 0);
    BLOCK_SET(block, by_kernel, 0);
    BLOCK_SET(block, unstamped, 0);
    BLOCK_SET(block, unstamped_receive, 0);
    BLOCK_SET(block, unstamped_transmit, 0);
    BLOCK_SET(block, unstamped_clocks, 0);
    BLOCK_SET(block, leg_groups, 0);
    BLOCK_SET(block, leg_spread_max_ns, 0);
    BLOCK_COUNT(block, feed_epoch, 1);
    block->top_count = 0;
    end_change(block);
}

void block_put_tops(struct block *block, const struct block_top *tops, uint32_t count)
{
    begin_change(block);
    memcpy(block->top, tops, count * sizeof *tops);
    block->top_count = count;
    end_change(block);
}

void block_put_positions(struct block *block, const struct block_position *positions, uint32_t count)
{
    begin_change(block);
    memcpy(block->position, positions, count * sizeof *positions);
    block->position_count = count;
    end_change(block);
}

void block_add_reject(struct block *block, uint32_t reference, uint16_t reason, const uint8_t stock[8])
{
    struct block_reject *at = &block->reject[BLOCK_GET(block, orders_rejected) % BLOCK_REJECTS];
    begin_change(block);
    *at = (struct block_reject){.reference = reference, .reason = reason};
    memcpy(at->stock, stock, sizeof at->stock);
    BLOCK_COUNT(block, orders_rejected, 1);
    end_change(block);
}
