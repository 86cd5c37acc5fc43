/*
 * Append and read a commit log and a plain SQLite table, in turns, and print how they compare.
 *
 * This file reads the options, plans the run and keeps the order: for each workload, repetition and
 * way to append, each side once, one after the other, each in processes of its own and on an empty
 * directory. bench/README.md says what is measured and how to read it. Nothing here is timed; see
 * side.c for that.
 */
#include "machine.h"
#include "report.h"
#include "side.h"
#include "workload.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef BENCH_BUILD_TYPE
#define BENCH_BUILD_TYPE "unknown"
#endif

enum {
    WORKLOADS_MAX = 8,
    LOOKUPS_MOST = 100000,
    NEWEST_MOST = 10000,
};

/* What a run uses besides its rows: SQLite's cache, WAL, heap. */
static const uint64_t memory_spare_bytes = UINT64_C(128) << 20;

typedef struct {
    uint64_t rows;
    uint64_t value_bytes;
} workload_size;

typedef struct {
    workload_size workloads[WORKLOADS_MAX];
    int workload_count;
    int pairs;
    bool sides[SIDE_COUNT];
    bool appends[APPEND_COUNT];
    bool check; /* also see that a damaged table is noticed */
    const char *extension;
    const char *directory;
    const char *csv;
    const char *label;
    uint64_t batch_rows;
    uint64_t mmap_bytes;
    uint64_t cache_kib;
    uint64_t seed;
} options;

static const char usage[] =
    "usage: bench --extension PATH [options]\n"
    "  --extension PATH    the library to load, commitlog.so\n"
    "  --quick             a tenth of the rows: under a minute\n"
    "  --check             a few thousand rows, one pair, every job: is the benchmark sound?\n"
    "  --workload ROWSxBYTES  in place of 1000000x1000 and 5000000x100; may be repeated\n"
    "  --pairs N           repetitions, each side in turn (5)\n"
    "  --append LIST       of normal, off, full, one (normal); reads follow the first\n"
    "  --sides LIST        of plain, commitlog, floor (all)\n"
    "  --batch N           rows a transaction (1000)\n"
    "  --mmap-bytes N      PRAGMA mmap_size of both sides (2147418112)\n"
    "  --cache-kib N       PRAGMA cache_size of both sides, in KiB (65536)\n"
    "  --directory DIR     where the databases go, on the disk to measure (.)\n"
    "  --csv FILE          the raw figures (bench.csv)\n"
    "  --label TEXT        printed with the results, such as a commit\n"
    "  --seed N            of the values and of the offsets looked up (1)\n";

static uint64_t number_parse(const char *option, const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long number;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < least ||
        number > most)
        fail("%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'", option, least, most,
             text);
    return number;
}

static void workload_parse(options *to, const char *text)
{
    char rows[32];
    size_t length = strcspn(text, "x");
    workload_size *size = &to->workloads[to->workload_count];

    if (to->workload_count == WORKLOADS_MAX)
        fail("at most %d workloads", WORKLOADS_MAX);
    if (length >= sizeof rows || text[length] != 'x')
        fail("--workload takes ROWSxBYTES, not '%s'", text);
    memcpy(rows, text, length);
    rows[length] = '\0';
    size->rows = number_parse("--workload", rows, NEWEST_ROWS, UINT64_C(1) << 40);
    size->value_bytes = number_parse("--workload", text + length + 1, WORKLOAD_VALUE_BYTES_MIN,
                                     WORKLOAD_VALUE_BYTES_MAX);
    to->workload_count++;
}

/* Set `chosen[i]` for every name i of a comma-separated list, and no other. */
static void list_parse(const char *option, const char *text, bool *chosen, int count,
                       const char *(*name)(int))
{
    memset(chosen, 0, (size_t)count * sizeof *chosen);
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        int found = -1;

        for (int i = 0; i < count; i++) {
            if (strlen(name(i)) == length && memcmp(name(i), text, length) == 0)
                found = i;
        }
        if (found < 0)
            fail("%s: unknown: '%.*s'", option, (int)length, text);
        chosen[found] = true;
        text += length + (text[length] == ',');
    }
}

static const char *side_name_at(int i)
{
    return side_name((side_kind)i);
}

static const char *append_name_at(int i)
{
    return append_name((append_variant)i);
}

/* The short forms set what they are about; options after them may still change it. */
static bool form_parse(options *to, const char *option)
{
    if (strcmp(option, "--quick") == 0) {
        workload_parse(to, "100000x1000");
        workload_parse(to, "500000x100");
    } else if (strcmp(option, "--check") == 0) {
        workload_parse(to, "2000x1000");
        workload_parse(to, "5003x100");
        to->pairs = 1;
        to->check = true;
        for (int i = 0; i < APPEND_COUNT; i++)
            to->appends[i] = true;
    } else {
        return false;
    }
    return true;
}

static void option_parse(options *to, const char *option, const char *value)
{
    if (strcmp(option, "--extension") == 0)
        to->extension = value;
    else if (strcmp(option, "--directory") == 0)
        to->directory = value;
    else if (strcmp(option, "--csv") == 0)
        to->csv = value;
    else if (strcmp(option, "--label") == 0)
        to->label = value;
    else if (strcmp(option, "--workload") == 0)
        workload_parse(to, value);
    else if (strcmp(option, "--pairs") == 0)
        to->pairs = (int)number_parse(option, value, 1, PAIRS_MAX);
    else if (strcmp(option, "--batch") == 0)
        to->batch_rows = number_parse(option, value, 1, UINT64_C(1) << 40);
    else if (strcmp(option, "--mmap-bytes") == 0)
        to->mmap_bytes = number_parse(option, value, 0, INT64_MAX);
    else if (strcmp(option, "--cache-kib") == 0)
        to->cache_kib = number_parse(option, value, 1, INT32_MAX);
    else if (strcmp(option, "--seed") == 0)
        to->seed = number_parse(option, value, 0, UINT64_MAX);
    else if (strcmp(option, "--sides") == 0)
        list_parse(option, value, to->sides, SIDE_COUNT, side_name_at);
    else if (strcmp(option, "--append") == 0)
        list_parse(option, value, to->appends, APPEND_COUNT, append_name_at);
    else
        fail("unknown option %s\n%s", option, usage);
}

static void options_parse(options *to, int argc, char **argv)
{
    *to = (options){.pairs = 5,
                    .sides = {true, true, true},
                    .appends = {[APPEND_NORMAL] = true},
                    .directory = ".",
                    .csv = "bench.csv",
                    .batch_rows = 1000,
                    .mmap_bytes = 2147418112,
                    .cache_kib = 65536,
                    .seed = 1};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(usage, stdout);
            exit(0);
        }
        if (form_parse(to, argv[i]))
            continue;
        if (i + 1 == argc)
            fail("%s: unknown, or its value is missing\n%s", argv[i], usage);
        option_parse(to, argv[i], argv[i + 1]);
        i++;
    }
    if (to->sides[SIDE_COMMITLOG] && to->extension == NULL)
        fail("--extension is missing\n%s", usage);
    if (to->workload_count == 0) {
        workload_parse(to, "1000000x1000");
        workload_parse(to, "5000000x100");
    }
}

static void append_child(void *task, void *ret)
{
    side_append(task, ret);
}

static void read_child(void *task, void *ret)
{
    side_read(task, ret);
}

static void verify_child(void *task, void *ret)
{
    side_verify(task);
    *(char *)ret = 1;
}

static void damage_child(void *task, void *ret)
{
    side_damage(task);
    *(char *)ret = 1;
}

/* A check that cannot fail checks nothing: see that one wrong byte is noticed. */
static void damage_check(side_task *task)
{
    char done;

    machine_run(damage_child, task, &done, sizeof done, false);
    fputs("bench: one byte of the plain table was changed; the next line must say so\n", stderr);
    if (machine_run(verify_child, task, &done, sizeof done, true))
        fail("the changed byte was not noticed");
}

static void read_run(report *to, side_task *task)
{
    read_times times;

    machine_sync();
    machine_run(read_child, task, &times, sizeof times, false);
    report_add(to, JOB_SCAN_FIRST, task->side, times.scan_first_ns);
    report_add(to, JOB_SCAN_AGAIN, task->side, times.scan_again_ns);
    report_add(to, JOB_COUNT_ROWS, task->side, times.count_ns);
    report_add(to, JOB_LOOKUP, task->side, times.lookup_ns);
    report_add(to, JOB_LOOKUP_INSIDE, task->side, times.lookup_inside_ns);
    report_add(to, JOB_NEWEST, task->side, times.newest_ns);
}

/* One side's half of a pair: on a fresh directory and warm memory, append, then `read` or not, then
 * verify. */
static void side_run(report *to, const options *from, side_task *task, append_variant variant,
                     bool read)
{
    static const synchronous_mode modes[APPEND_COUNT] = {
        [APPEND_NORMAL] = SYNCHRONOUS_NORMAL,
        [APPEND_OFF] = SYNCHRONOUS_OFF,
        [APPEND_FULL] = SYNCHRONOUS_FULL,
        [APPEND_ONE] = SYNCHRONOUS_NORMAL,
    };
    uint64_t payload_bytes = task->work->rows * (task->work->value_bytes + 64);
    append_times times;
    char done;

    task->directory = scratch_make(from->directory);
    task->synchronous = modes[variant];
    task->batch_rows = variant == APPEND_ONE ? 0 : from->batch_rows;
    machine_sync();
    /* One transaction is in the cache twice, in WAL and database. */
    machine_touch_memory(payload_bytes * (variant == APPEND_ONE ? 2 : 1) + memory_spare_bytes);
    machine_run(append_child, task, &times, sizeof times, false);
    report_add(to, JOB_APPEND + (job_kind)variant, task->side, times.append_ns);
    if (task->side != SIDE_FLOOR) {
        report_add(to, JOB_SETTLED + (job_kind)variant, task->side, times.settled_ns);
        if (read)
            report_add(to, JOB_DISK, task->side, scratch_disk_bytes());
    }
    if (read)
        read_run(to, task);
    if (task->side != SIDE_FLOOR)
        machine_run(verify_child, task, &done, sizeof done, false);
    if (from->check && read && task->side == SIDE_PLAIN)
        damage_check(task);
    scratch_remove();
}

static void space_check(const options *from, const workload_size *size)
{
    /* WAL and database of the plain table's one transaction, with room. */
    uint64_t needed_bytes = size->rows * (size->value_bytes + 64) * 5 / 2;
    uint64_t free_bytes = machine_free_bytes(from->directory);

    if (free_bytes < needed_bytes)
        fail("%s has %" PRIu64 " bytes free; %" PRIu64 " are needed", from->directory, free_bytes,
             needed_bytes);
}

/* All repetitions of one workload, and its table. */
static void workload_run(const options *from, const workload_size *size, FILE *csv)
{
    static report all; /* too large for a stack */
    workload work;
    side_task task = {.extension = from->extension,
                      .mmap_bytes = (int64_t)from->mmap_bytes,
                      .cache_kib = (int64_t)from->cache_kib,
                      .lookup_count = size->rows < LOOKUPS_MOST ? size->rows : LOOKUPS_MOST,
                      .newest_count = size->rows < NEWEST_MOST ? size->rows : NEWEST_MOST,
                      .seed = from->seed,
                      .work = &work};

    space_check(from, size);
    if (!workload_init(&work, size->rows, (size_t)size->value_bytes, from->seed))
        fail("no memory");
    all = (report){.work = &work, .csv = csv};
    for (job_kind job = 0; job < JOB_COUNT; job++)
        all.operations[job] = size->rows;
    all.operations[JOB_COUNT_ROWS] = 1;
    all.operations[JOB_LOOKUP] = task.lookup_count;
    all.operations[JOB_LOOKUP_INSIDE] = task.lookup_count;
    all.operations[JOB_NEWEST] = task.newest_count;
    for (int pair = 0; pair < from->pairs; pair++) {
        bool read = true;

        for (append_variant variant = 0; variant < APPEND_COUNT; variant++) {
            if (!from->appends[variant])
                continue;
            for (side_kind side = 0; side < SIDE_COUNT; side++) {
                if (!from->sides[side])
                    continue;
                fprintf(stderr, "bench: %" PRIu64 "x%" PRIu64 " %d/%d %s %s\n", size->rows,
                        size->value_bytes, pair + 1, from->pairs, append_name(variant),
                        side_name(side));
                task.side = side;
                side_run(&all, from, &task, variant, read);
            }
            read = false;
        }
    }
    report_print(&all, stdout);
    fflush(stdout);
    workload_free(&work);
}

static void settings_print(const options *from, FILE *to, const char *lead)
{
    if (from->label != NULL)
        fprintf(to, "%scommitlog: %s\n", lead, from->label);
    machine_describe(to, lead, from->directory);
    fprintf(to, "%sSQLite: %s, threadsafe %d; build type: %s\n", lead, sqlite3_libversion(),
            sqlite3_threadsafe(), BENCH_BUILD_TYPE);
    fprintf(to,
            "%sboth sides: WAL, page_size 4096, wal_autocheckpoint 1000, mmap_size %" PRIu64
            ", cache_size %" PRIu64 " KiB, %" PRIu64 " rows a transaction\n",
            lead, from->mmap_bytes, from->cache_kib, from->batch_rows);
    fprintf(to, "%spairs: %d; seed: %" PRIu64 "\n", lead, from->pairs, from->seed);
}

int main(int argc, char **argv)
{
    options chosen;
    FILE *csv;

    options_parse(&chosen, argc, argv);
    machine_catch_interrupts();
    csv = fopen(chosen.csv, "w");
    if (csv == NULL)
        fail("cannot write %s: %s", chosen.csv, strerror(errno));
    settings_print(&chosen, csv, "# ");
    settings_print(&chosen, stdout, "- ");
    report_csv_header(csv);
    fputs("\nMedian (least – greatest). A ratio is the median of the pairs' ratios; above 1, "
          "commitlog is the faster or smaller of the two.\n",
          stdout);
    for (int i = 0; i < chosen.workload_count; i++)
        workload_run(&chosen, &chosen.workloads[i], csv);
    if (fclose(csv) != 0)
        fail("cannot write %s: %s", chosen.csv, strerror(errno));
    return 0;
}
