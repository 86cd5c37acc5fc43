/*
 * The differential test: seeded random statements on a log and on an ordinary table, every result
 * equal. See differential.h for the parts.
 *
 * The statements are divided into epochs. Each has databases of its own, with segment size, journal
 * mode, encoding, retention and so on chosen at random, and a generator seeded with the run's seed
 * and the epoch's number: `--epoch` runs one of them alone and meets the same statements.
 *
 * Fails on the first difference; when less than half of the statements succeeded; and, in a run of
 * 10,000 statements or more, when a kind never succeeded (one that is wrong on purpose: was never
 * refused). Does not test several processes, crashes or damaged files.
 */
#include "differential.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { EPOCH_STATEMENTS = 2500, STATEMENTS_DEFAULT = 50000, STATEMENTS_FOR_EVERY_KIND = 10000 };
enum { COMPARE_EVERY = 250, KIND_MAX = 64 };

/* The one there is; the last words need it. */
static world the_world;

/* Statements by kind and outcome. */
static uint64_t counts[KIND_MAX][OUTCOME_SKIPPED];

static void choose_configuration(world *w)
{
    static const unsigned sizes_kib[] = {4, 4, 8, 16, 64, 1024};
    static const char *const modes[] = {"wal", "wal", "wal", "delete", "truncate", "memory"};
    static const char *const synchronous[] = {"OFF", "OFF", "OFF", "NORMAL", "FULL"};
    static const char *const encodings[] = {"UTF-8", "UTF-8", "UTF-8", "UTF-16le"};
    sqlite3_str *create = sqlite3_str_new(NULL);

    w->name = prng_chance(&w->random, 50) ? "events" : "audit";
    w->in_memory = prng_chance(&w->random, 10);
    w->pair_count = w->in_memory || prng_chance(&w->random, 35) ? 1 : PAIR_COUNT;
    w->journal_mode = w->in_memory ? "memory" : RANDOM_OF(w, modes);
    w->synchronous = RANDOM_OF(w, synchronous);
    w->encoding = RANDOM_OF(w, encodings);
    w->retention_records = 0;
    w->message_bytes_max = prng_chance(&w->random, 60) ? 20000 : 0;
    w->segment_kib = sizes_kib[prng_below(&w->random, sizeof sizes_kib / sizeof *sizes_kib)];
    sqlite3_str_appendf(create, "CREATE VIRTUAL TABLE %%s USING commitlog(segment_bytes='%uKiB'",
                        w->segment_kib);
    if (w->message_bytes_max > 0) {
        sqlite3_str_appendf(create, ", max.message.bytes=%llu",
                            (unsigned long long)w->message_bytes_max);
    }
    /* Without a delay a file may go before a snapshot older than the trim has come to the log. */
    if (w->pair_count == 1 && prng_chance(&w->random, 50)) {
        sqlite3_str_appendall(create, ", file_delete_delay_ms=0");
    }
    if (strcmp(w->journal_mode, "wal") == 0 && prng_chance(&w->random, 35)) {
        w->retention_records = 20 + prng_below(&w->random, 80);
        sqlite3_str_appendf(create, ", retention_records=%llu",
                            (unsigned long long)w->retention_records);
    }
    sqlite3_str_appendall(create, ")");
    w->create = sqlite3_str_finish(create);
}

static void epoch_open(world *w)
{
    w->random.state = w->seed * UINT64_C(0x2545f4914f6cdd1d) + w->epoch;
    prng_next(&w->random);
    choose_configuration(w);
    if (!w->in_memory) {
        w->directory = driver_directory_new("differential");
        w->log_path = sqlite3_mprintf("%s/log.db", w->directory);
        w->oracle_path = sqlite3_mprintf("%s/oracle.db", w->directory);
    }
    w->next_hint = 0;
    w->start_hint = 0;
    w->kind_name = "create";
    for (int i = 0; i < HISTORY_MAX; i++) {
        sqlite3_free(w->history[i]);
        w->history[i] = NULL;
    }
    w->history_count = 0;
    if (w->trace) {
        printf("/* epoch %" PRIu64 ", journal_mode %s, synchronous %s, encoding %s */ ", w->epoch,
               w->journal_mode, w->synchronous, w->encoding);
        printf(w->create, w->name);
        printf(";\n");
    }
    world_open(w);
}

static void epoch_close(world *w)
{
    w->kind_name = "close";
    world_close(w);
    for (int i = 0; i < HISTORY_MAX; i++) {
        sqlite3_free(w->history[i]);
        w->history[i] = NULL;
    }
    if (w->directory != NULL) {
        driver_directory_remove(w->directory);
    }
    sqlite3_free(w->log_path);
    sqlite3_free(w->oracle_path);
    sqlite3_free(w->create);
    w->directory = w->log_path = w->oracle_path = w->create = NULL;
}

static const kind *choose_kind(world *w)
{
    uint64_t weight_sum = 0;

    for (size_t i = 0; i < differential_kind_count; i++) {
        weight_sum += differential_kinds[i].weight;
    }
    uint64_t dice = prng_below(&w->random, weight_sum);
    size_t chosen = 0;
    while (dice >= differential_kinds[chosen].weight) {
        dice -= differential_kinds[chosen++].weight;
    }
    return &differential_kinds[chosen];
}

/* One statement that was not skipped. */
static void run_one(world *w)
{
    outcome common = OUTCOME_SKIPPED;

    while (common == OUTCOME_SKIPPED) {
        const kind *chosen = choose_kind(w);
        pair *p = &w->pairs[w->pair_count > 1 && prng_chance(&w->random, 25) ? 1 : 0];

        for (unsigned i = 0; i < w->pair_count; i++) {
            if (!in_transaction(&w->pairs[i])) {
                w->pairs[i].savepoint_count = 0;
                w->pairs[i].dirty = false;
                w->pairs[i].soiled = false;
            }
        }
        w->kind_name = chosen->name;
        common = chosen->run(w, p);
        if (common != OUTCOME_SKIPPED) {
            counts[chosen - differential_kinds][common]++;
        }
    }
    pair *first = &w->pairs[0];
    if (!in_transaction(first) && w->statement % 50 == 0) {
        char *oldest = sqlite3_mprintf(
            "SELECT ifnull(min(offset), (SELECT next FROM log_end)) FROM %s", w->name);
        w->next_hint = oracle_peek(first, w->next_hint, "SELECT next FROM log_end");
        w->start_hint = oracle_peek(first, w->start_hint, oldest);
        sqlite3_free(oldest);
    }
    if (w->statement % COMPARE_EVERY == 0) {
        compare_everything(w, first);
    }
}

static void run_epochs(world *w, bool only_one)
{
    uint64_t first = only_one ? w->epoch * EPOCH_STATEMENTS : 0;

    for (uint64_t start = first; start < w->statement_limit; start += EPOCH_STATEMENTS) {
        w->epoch = start / EPOCH_STATEMENTS;
        epoch_open(w);
        for (w->statement = start;
             w->statement < start + EPOCH_STATEMENTS && w->statement < w->statement_limit;
             w->statement++) {
            run_one(w);
        }
        epoch_close(w);
        if (only_one) {
            break;
        }
    }
}

static void last_words(void)
{
    if (the_world.create != NULL) {
        report_run(&the_world);
    }
}

static int print_counts(bool every_kind)
{
    uint64_t sums[OUTCOME_SKIPPED] = {0};
    int status = 0;

    printf("%-28s %10s %10s %10s\n", "kind", "succeeded", "refused", "busy");
    for (size_t i = 0; i < differential_kind_count; i++) {
        const kind *k = &differential_kinds[i];
        uint64_t needed = counts[i][k->must_be_refused ? OUTCOME_REFUSED : OUTCOME_SUCCEEDED];

        printf("%-28s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", k->name,
               counts[i][OUTCOME_SUCCEEDED], counts[i][OUTCOME_REFUSED], counts[i][OUTCOME_BUSY]);
        for (int j = 0; j < OUTCOME_SKIPPED; j++) {
            sums[j] += counts[i][j];
        }
        if (every_kind && needed == 0) {
            printf("FAILED: '%s' was never %s\n", k->name,
                   k->must_be_refused ? "refused" : "successful");
            status = 1;
        }
    }
    printf("%-28s %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "\n", "all", sums[OUTCOME_SUCCEEDED],
           sums[OUTCOME_REFUSED], sums[OUTCOME_BUSY]);
    if (sums[OUTCOME_SUCCEEDED] < sums[OUTCOME_REFUSED] + sums[OUTCOME_BUSY]) {
        printf("FAILED: less than half of the statements succeeded\n");
        status = 1;
    }
    return status;
}

int main(int argc, char **argv)
{
    bool seed_given = false;
    bool only_one = false;
    const driver_option options[] = {
        {"--seed", &the_world.seed, &seed_given, "the seed of the run"},
        {"--statements", &the_world.statement_limit, NULL, "how many statements (50000)"},
        {"--epoch", &the_world.epoch, &only_one, "run only this epoch of 2500 statements"},
        {"--trace", NULL, &the_world.trace, "print every statement before it runs"},
    };

    the_world.statement_limit = STATEMENTS_DEFAULT;
    driver_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
    if (!seed_given) {
        the_world.seed = driver_random_seed();
    }
    printf("differential: seed %" PRIu64 ", %" PRIu64 " statements, SQLite %s\n", the_world.seed,
           the_world.statement_limit, sqlite3_libversion());
    fflush(stdout);
    driver_failing = last_words;
    run_epochs(&the_world, only_one);
    int status = print_counts(!only_one && the_world.statement_limit >= STATEMENTS_FOR_EVERY_KIND);
    printf("differential: seed %" PRIu64 " %s\n", the_world.seed,
           status == 0 ? "passed" : "FAILED");
    return status;
}
