/*
 * Samples, medians and tables. See report.h.
 */
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_BYTES = 96 };

static const char *const append_names[APPEND_COUNT] = {"normal", "off", "full", "one"};

static const struct {
    const char *name; /* in the CSV file */
    const char *title;
    const char *unit;
} jobs[JOB_COUNT] = {
    [JOB_APPEND + APPEND_NORMAL] = {"append-normal", "append, NORMAL", "row"},
    [JOB_APPEND + APPEND_OFF] = {"append-off", "append, OFF", "row"},
    [JOB_APPEND + APPEND_FULL] = {"append-full", "append, FULL", "row"},
    [JOB_APPEND + APPEND_ONE] = {"append-one", "append, NORMAL, one transaction", "row"},
    [JOB_SETTLED + APPEND_NORMAL] = {"settled-normal", "append, NORMAL, then sync", "row"},
    [JOB_SETTLED + APPEND_OFF] = {"settled-off", "append, OFF, then sync", "row"},
    [JOB_SETTLED + APPEND_FULL] = {"settled-full", "append, FULL, then sync", "row"},
    [JOB_SETTLED +
        APPEND_ONE] = {"settled-one", "append, NORMAL, one transaction, then sync", "row"},
    [JOB_DISK] = {"disk", "size on disk", "row"},
    [JOB_SCAN_FIRST] = {"scan-first", "scan, first of a process", "row"},
    [JOB_SCAN_AGAIN] = {"scan-again", "scan, again", "row"},
    [JOB_COUNT_ROWS] = {"count", "count(*)", "query"},
    [JOB_LOOKUP] = {"lookup", "random lookup by offset", "lookup"},
    [JOB_LOOKUP_INSIDE] = {"lookup-inside", "the same, in one transaction", "lookup"},
    [JOB_NEWEST] = {"newest", "newest 10", "query"},
};

typedef struct {
    double median;
    double least;
    double greatest;
} summary;

const char *append_name(append_variant variant)
{
    return append_names[variant];
}

void report_csv_header(FILE *csv)
{
    fputs("rows,value_bytes,job,side,repetition,operations,total,unit\n", csv);
}

void report_add(report *to, job_kind job, side_kind side, uint64_t total)
{
    int *count = &to->counts[job][side];

    to->samples[job][side][(*count)++] = (double)total / (double)to->operations[job];
    fprintf(to->csv, "%" PRIu64 ",%zu,%s,%s,%d,%" PRIu64 ",%" PRIu64 ",%s\n", to->work->rows,
            to->work->value_bytes, jobs[job].name, side_name(side), *count, to->operations[job],
            total, job == JOB_DISK ? "bytes" : "ns");
    fflush(to->csv);
}

static int number_compare(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;

    return (a > b) - (a < b);
}

static summary summarize(const double *samples, int count)
{
    double sorted[PAIRS_MAX];

    memcpy(sorted, samples, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, number_compare);
    return (summary){.median = (sorted[(count - 1) / 2] + sorted[count / 2]) / 2,
                     .least = sorted[0],
                     .greatest = sorted[count - 1]};
}

/* A time in the unit that leaves one to three digits before the point. */
static void time_format(double ns, char *ret, size_t size)
{
    static const char *const units[] = {"ns", "µs", "ms", "s"};
    size_t unit = 0;

    while (ns >= 999.5 && unit + 1 < sizeof units / sizeof units[0]) {
        ns /= 1000;
        unit++;
    }
    snprintf(ret, size, "%.*f %s", ns < 10 ? 2 : (ns < 100 ? 1 : 0), ns, units[unit]);
}

static void amount_format(job_kind job, double amount, char *ret, size_t size)
{
    if (job == JOB_DISK)
        snprintf(ret, size, "%.1f bytes", amount);
    else
        time_format(amount, ret, size);
}

static void side_cell(const report *from, job_kind job, side_kind side, FILE *to)
{
    char median[CELL_BYTES];
    char least[CELL_BYTES];
    char greatest[CELL_BYTES];
    summary all;

    if (from->counts[job][side] == 0) {
        fputs(" – |", to);
        return;
    }
    all = summarize(from->samples[job][side], from->counts[job][side]);
    amount_format(job, all.median, median, sizeof median);
    amount_format(job, all.least, least, sizeof least);
    amount_format(job, all.greatest, greatest, sizeof greatest);
    fprintf(to, " %s (%s – %s) |", median, least, greatest);
}

/* The ratio of each pair first, then their median: what slows the machine down for a while slows
 * both halves of a pair. */
static void ratio_cell(const report *from, job_kind job, side_kind above, side_kind below, FILE *to)
{
    double ratios[PAIRS_MAX];
    int count = from->counts[job][above];
    summary all;

    if (count == 0 || count != from->counts[job][below]) {
        fputs(" – |", to);
        return;
    }
    for (int i = 0; i < count; i++)
        ratios[i] = from->samples[job][above][i] / from->samples[job][below][i];
    all = summarize(ratios, count);
    fprintf(to, " **%.2f** (%.2f – %.2f) |", all.median, all.least, all.greatest);
}

void report_print(const report *from, FILE *to)
{
    fprintf(to, "\n### %" PRIu64 " x %zu bytes\n\n", from->work->rows, from->work->value_bytes);
    fputs("| job | for each | plain | commitlog | floor | plain ÷ commitlog | "
          "commitlog ÷ floor |\n|---|---|---|---|---|---|---|\n",
          to);
    for (job_kind job = 0; job < JOB_COUNT; job++) {
        bool any = false;

        for (side_kind side = 0; side < SIDE_COUNT; side++)
            any = any || from->counts[job][side] > 0;
        if (!any)
            continue;
        fprintf(to, "| %s | %s |", jobs[job].title, jobs[job].unit);
        for (side_kind side = 0; side < SIDE_COUNT; side++)
            side_cell(from, job, side, to);
        ratio_cell(from, job, SIDE_PLAIN, SIDE_COMMITLOG, to);
        ratio_cell(from, job, SIDE_COMMITLOG, SIDE_FLOOR, to);
        fputc('\n', to);
    }
}
