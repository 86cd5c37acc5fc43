/*
 * The sides of the benchmark and the jobs they do: the same SQL through the same C API on a plain
 * table, on a commit log and on the floor.
 *
 * Every job runs on a connection of its own and stops the process with fail() when SQLite reports
 * an error or an answer is wrong. Times cover the SQL only: not opening, creating, closing or
 * checking.
 */
#ifndef COMMITLOG_BENCH_SIDE_H
#define COMMITLOG_BENCH_SIDE_H

#include "workload.h"

#include <stdint.h>

typedef enum { SIDE_PLAIN, SIDE_COMMITLOG, SIDE_FLOOR, SIDE_COUNT } side_kind;

typedef enum { SYNCHRONOUS_OFF = 0, SYNCHRONOUS_NORMAL = 1, SYNCHRONOUS_FULL = 2 } synchronous_mode;

typedef struct {
    side_kind side;
    synchronous_mode synchronous;
    const char *extension; /* path of commitlog.so, for SIDE_COMMITLOG */
    const char *directory; /* where the database is or goes */
    int64_t mmap_bytes;
    int64_t cache_kib;
    uint64_t batch_rows; /* rows a transaction; 0: all in one */
    uint64_t lookup_count;
    uint64_t newest_count;
    uint64_t seed; /* of the lookups' offsets */
    workload *work;
} side_task;

/* Rows that the job "newest" asks for. */
enum { NEWEST_ROWS = 10 };

/* Nanoseconds each job took. */
typedef struct {
    uint64_t append_ns;
    uint64_t settled_ns; /* the append, and then everything written to the disk */
} append_times;

typedef struct {
    uint64_t scan_first_ns; /* the process's first */
    uint64_t scan_again_ns;
    uint64_t count_ns;
    uint64_t lookup_ns;        /* all of them, each a transaction of its own */
    uint64_t lookup_inside_ns; /* all of them, inside one transaction */
    uint64_t newest_ns;        /* all of them */
} read_times;

const char *side_name(side_kind side);

/* Create the database and append the workload. */
void side_append(const side_task *task, append_times *ret);

/* Read what side_append() left, or what the floor makes up. Sums, counts and offsets are checked
 * against the workload after each clock has stopped. */
void side_read(const side_task *task, read_times *ret);

/* Compare count, offsets, sizes, timestamps and the hash of all values with the workload. */
void side_verify(const side_task *task);

/* Change one byte of one value, so that side_verify() must fail. SIDE_PLAIN only. */
void side_damage(const side_task *task);

#endif
