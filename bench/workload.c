/*
 * The rows every side appends, their sums and their hash. See workload.h.
 */
#include "workload.h"

#include <stdlib.h>
#include <string.h>

/* Slices start at this many places, eight bytes apart: a pool that stays in the second-level cache,
 * so that the source of the bytes costs every side the same next to nothing. */
static const uint64_t slice_count = 100003;

static size_t slice_position(uint64_t row)
{
    return (size_t)(row % slice_count) * 8;
}

bool workload_init(workload *work, uint64_t rows, size_t value_bytes, uint64_t seed)
{
    size_t pool_bytes = (size_t)slice_count * 8 + (value_bytes + 7) / 8 * 8;
    unsigned char *pool = malloc(pool_bytes);

    if (pool == NULL)
        return false;
    for (size_t i = 0; i < pool_bytes; i += 8) {
        uint64_t word = random_next(&seed);

        memcpy(pool + i, &word, sizeof word);
    }
    *work = (workload){.rows = rows, .value_bytes = value_bytes, .pool = pool};
    memcpy(work->saved, pool, sizeof work->saved);
    for (uint64_t row = 0; row < rows; row++) {
        const void *value = workload_value(work, row);

        work->expected_sum += words_sum(value, value_bytes);
        work->expected_hash = words_hash(work->expected_hash, value, value_bytes);
    }
    return true;
}

void workload_free(workload *work)
{
    free(work->pool);
    work->pool = NULL;
}

const void *workload_value(workload *work, uint64_t row)
{
    unsigned char *value = work->pool + slice_position(row);

    memcpy(work->pool + work->stamp_position, work->saved, sizeof work->saved);
    work->stamp_position = slice_position(row);
    memcpy(work->saved, value, sizeof work->saved);
    memcpy(value, &row, sizeof row);
    return value;
}

uint64_t words_sum(const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t sum = 0;
    uint64_t word;

    for (; size >= sizeof word; at += sizeof word, size -= sizeof word) {
        memcpy(&word, at, sizeof word);
        sum += word;
    }
    if (size > 0) {
        word = 0;
        memcpy(&word, at, size);
        sum += word;
    }
    return sum;
}

uint64_t words_hash(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    uint64_t word;

    while (size > 0) {
        size_t part = size < sizeof word ? size : sizeof word;

        word = 0;
        memcpy(&word, at, part);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
        at += part;
        size -= part;
    }
    return hash;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = (*state += UINT64_C(0x9e3779b97f4a7c15));

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}
