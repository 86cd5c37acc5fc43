/*
 * The benchmark's samples, and what is printed of them: raw as CSV, as they come; at the end a
 * Markdown table for each workload, with medians and the medians of the pairs' ratios.
 */
#ifndef COMMITLOG_BENCH_REPORT_H
#define COMMITLOG_BENCH_REPORT_H

#include "side.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The ways to append: synchronous=NORMAL, OFF and FULL in batches; NORMAL in one transaction. */
typedef enum { APPEND_NORMAL, APPEND_OFF, APPEND_FULL, APPEND_ONE, APPEND_COUNT } append_variant;

typedef enum {
    JOB_APPEND,
    JOB_SETTLED = JOB_APPEND + APPEND_COUNT, /* one for each way to append, as JOB_APPEND */
    JOB_DISK = JOB_SETTLED + APPEND_COUNT,
    JOB_SCAN_FIRST,
    JOB_SCAN_AGAIN,
    JOB_COUNT_ROWS,
    JOB_LOOKUP,
    JOB_LOOKUP_INSIDE,
    JOB_NEWEST,
    JOB_COUNT
} job_kind;

enum { PAIRS_MAX = 100 };

typedef struct {
    const workload *work;
    FILE *csv;                      /* borrowed */
    uint64_t operations[JOB_COUNT]; /* what a sample is divided by; set by the caller */
    double samples[JOB_COUNT][SIDE_COUNT][PAIRS_MAX]; /* a operation's ns (JOB_DISK: bytes) */
    int counts[JOB_COUNT][SIDE_COUNT];
} report;

/* The name of a way to append, as the option --append takes it. */
const char *append_name(append_variant variant);

void report_csv_header(FILE *csv);

/* Note one sample: the nanoseconds (bytes) of all the job's operations together. The samples of one
 * job with the same place in the sequences of two sides are a pair. */
void report_add(report *to, job_kind job, side_kind side, uint64_t total);

/* Print the table. With more than one side, a job is printed with what there is of it. */
void report_print(const report *from, FILE *to);

#endif
