/*
 * What every side of the benchmark appends and is checked against: the same rows, made on demand.
 *
 * Row i's value is a slice of a pool of random bytes with i stamped into its first eight bytes, so
 * no two values are equal and making one costs a few nanoseconds, whatever its size. It relies on
 * nothing but libc and does no I/O.
 */
#ifndef COMMITLOG_BENCH_WORKLOAD_H
#define COMMITLOG_BENCH_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORKLOAD_VALUE_BYTES_MIN = 8, /* the stamp */
    WORKLOAD_VALUE_BYTES_MAX = 64 * 1024 * 1024,
};

typedef struct {
    uint64_t rows;
    size_t value_bytes;
    unsigned char *pool;
    size_t stamp_position; /* where in the pool the row handed out last has its stamp */
    unsigned char saved[WORKLOAD_VALUE_BYTES_MIN]; /* the pool's own bytes there */
    uint64_t expected_sum;                         /* words_sum() over all values, added */
    uint64_t expected_hash; /* words_hash() over all values, chained in row order */
} workload;

/* Fill `work` and compute what is expected of it. False when memory is short. */
bool workload_init(workload *work, uint64_t rows, size_t value_bytes, uint64_t seed);
void workload_free(workload *work);

/* The value of a row, `work->value_bytes` long, good until the next call. */
const void *workload_value(workload *work, uint64_t row);

/* The sum of a value's eight-byte words (a shorter last one is filled with zeros): what the read
 * jobs do with a value, so that every byte of it is touched. */
uint64_t words_sum(const void *bytes, size_t size);

/* An order-sensitive hash over the same words, continuing from `hash`. */
uint64_t words_hash(uint64_t hash, const void *bytes, size_t size);

/* The next number of the splitmix64 sequence. */
uint64_t random_next(uint64_t *state);

#endif
