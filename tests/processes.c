/*
 * The many-process test. A crowd of writers appends batches to one log and, in the same
 * transactions, to an ordinary table, with rollbacks and savepoints among them; readers scan all
 * the time and hold log against table in one snapshot: no gap, no torn or foreign value, every
 * writer's records in its order. In the end the counts are exact. The crowd meets in WAL and in
 * DELETE mode, with and without retention, as processes and as threads of one process with a
 * connection each. Arranged cases follow, see processes.h.
 *
 * Processes tell each other through pipes: a reader stops when the parent closes its end. Crashes
 * are the kill test's.
 */
#define _XOPEN_SOURCE 700

#include "processes.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEMBERS_MAX = 64, VALUE_MAX = 4096, BATCH_MAX = 24 };

/* One scenario, and the numbers all its members need. */
typedef struct {
    const char *name;
    const char *journal_mode;
    const char *synchronous;
    const char *options;
    bool threads;
    bool trims; /* the first writer takes the oldest records away now and then */
    unsigned records_percent;
    uint64_t records; /* per writer */
    uint64_t writers;
    uint64_t readers;
    uint64_t seed;
    char *path;
    int stop_pipe[2];
} crowd;

typedef struct {
    crowd *crowd;
    uint64_t number; /* writers first, then readers */
    prng random;
    sqlite3 *db;
    sqlite3_stmt *append;
    sqlite3_stmt *copy;
    char bytes[VALUE_MAX + 64];
} member;

pid_t fork_or_fail(void)
{
    fflush(NULL);
    pid_t child = fork();

    if (child < 0) {
        driver_fail("fork: %s", strerror(errno));
    }
    return child;
}

void wait_for_success(pid_t child, const char *what)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        driver_fail("%s failed (wait status %d)", what, status);
    }
}

char *new_database(const char *directory, const char *name, const char *journal_mode,
                   const char *options)
{
    char *path = sqlite3_mprintf("%s/%s.db", directory, name);
    sqlite3 *db = driver_open(path, BUSY_TIMEOUT_MS);

    driver_must(db, "PRAGMA journal_mode = %s", journal_mode);
    driver_must(db,
                "CREATE VIRTUAL TABLE events USING commitlog(%s);"
                "CREATE TABLE copy(offset INTEGER PRIMARY KEY, writer, sequence);"
                "CREATE TABLE state(trimmed INTEGER);"
                "INSERT INTO state VALUES (0);",
                options);
    driver_close(db);
    return path;
}

static uint64_t checksum(const char *bytes, size_t length)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < length; i++) {
        sum = (sum ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    }
    return sum;
}

/* Writers. */

/* A value that proves by itself who wrote it, when, and that it is whole. */
static size_t make_value(member *m, uint64_t sequence)
{
    size_t length = (size_t)prng_below(&m->random, prng_chance(&m->random, 95) ? 200 : VALUE_MAX);
    size_t used = (size_t)snprintf(m->bytes, 64, "%" PRIu64 " %" PRIu64 " ", m->number, sequence);

    while (used < length) {
        m->bytes[used++] = (char)('a' + prng_below(&m->random, 26));
    }
    used += (size_t)snprintf(m->bytes + used, 32, " %016" PRIx64, checksum(m->bytes, used));
    return used;
}

static void append_record(member *m, uint64_t sequence)
{
    size_t length = make_value(m, sequence);

    sqlite3_bind_int64(m->append, 1, (int64_t)m->number);
    sqlite3_bind_text(m->append, 2, m->bytes, (int)length, SQLITE_STATIC);
    if (sqlite3_step(m->append) != SQLITE_DONE) {
        driver_fail("%s: writer %" PRIu64 ": INSERT: %s", m->crowd->name, m->number,
                    sqlite3_errmsg(m->db));
    }
    sqlite3_reset(m->append);
    sqlite3_bind_int64(m->copy, 1, sqlite3_last_insert_rowid(m->db));
    sqlite3_bind_int64(m->copy, 2, (int64_t)m->number);
    sqlite3_bind_int64(m->copy, 3, (int64_t)sequence);
    /* The primary key makes an offset given twice an error. */
    if (sqlite3_step(m->copy) != SQLITE_DONE) {
        driver_fail("%s: writer %" PRIu64 ": copy: %s", m->crowd->name, m->number,
                    sqlite3_errmsg(m->db));
    }
    sqlite3_reset(m->copy);
}

/* Take away the older half of the records, in both places. */
static void trim(member *m)
{
    int64_t count = driver_integer(m->db, "SELECT count(*) FROM copy");
    int64_t oldest = driver_integer(m->db, "SELECT ifnull(min(offset), 0) FROM copy");
    int64_t before = oldest + count / 2;

    if (prng_chance(&m->random, 70)) {
        driver_must(m->db, "INSERT INTO events(events, offset) VALUES ('delete-records', %lld)",
                    (long long)before);
    } else {
        driver_must(m->db, "DELETE FROM events WHERE offset < %lld", (long long)before);
    }
    driver_must(m->db, "DELETE FROM copy WHERE offset < %lld", (long long)before);
    driver_must(m->db, "UPDATE state SET trimmed = trimmed + %lld", (long long)(before - oldest));
}

/* One transaction; returns the next sequence number. */
static uint64_t write_batch(member *m, uint64_t sequence)
{
    uint64_t left = m->crowd->records - sequence;
    uint64_t count = 1 + prng_below(&m->random, left < BATCH_MAX ? left : BATCH_MAX);

    driver_must(m->db, "BEGIN IMMEDIATE");
    for (uint64_t i = 0; i < count; i++) {
        append_record(m, sequence + i);
    }
    if (prng_chance(&m->random, 10)) {
        driver_must(m->db, "SAVEPOINT inner");
        append_record(m, sequence + count);
        driver_must(m->db, "ROLLBACK TO inner; RELEASE inner");
    }
    if (m->crowd->trims && m->number == 0 && prng_chance(&m->random, 15)) {
        trim(m);
    }
    if (prng_chance(&m->random, 15)) {
        driver_must(m->db, "ROLLBACK");
        return sequence;
    }
    driver_must(m->db, "COMMIT");
    return sequence + count;
}

static void open_member(member *m)
{
    m->db = driver_open(m->crowd->path, BUSY_TIMEOUT_MS);
    driver_must(m->db, "PRAGMA synchronous = %s", m->crowd->synchronous);
    m->random.state = m->crowd->seed * 1000 + m->number;
}

static void run_writer(member *m)
{
    open_member(m);
    m->append = driver_prepare(m->db, "INSERT INTO events(key, value) VALUES (?1, ?2)");
    m->copy = driver_prepare(m->db, "INSERT INTO copy VALUES (?1, ?2, ?3)");
    for (uint64_t sequence = 0; sequence < m->crowd->records;) {
        sequence = write_batch(m, sequence);
    }
    sqlite3_finalize(m->append);
    sqlite3_finalize(m->copy);
    driver_close(m->db);
}

/* Readers. */

static void check_value(const crowd *c, int64_t offset, int64_t writer, uint64_t sequence,
                        const char *bytes, size_t length)
{
    uint64_t value_writer = 0;
    uint64_t value_sequence = 0;
    bool whole =
        length > 17 && sscanf(bytes, "%" SCNu64 " %" SCNu64, &value_writer, &value_sequence) == 2;

    if (!whole || checksum(bytes, length - 17) != strtoull(bytes + length - 16, NULL, 16) ||
        value_writer != (uint64_t)writer || value_sequence != sequence) {
        driver_fail("%s: offset %" PRId64 " has a wrong value: %.60s", c->name, offset, bytes);
    }
}

/*
 * A statement failed: where records are trimmed and files go at once, its snapshot may be older
 * than the trim. The pin of a statement before it in the same transaction went with that statement.
 */
static void check_too_old(const crowd *c, sqlite3 *db)
{
    if (!c->trims || strstr(sqlite3_errmsg(db), "retention") == NULL) {
        driver_fail("%s: a reader failed with %d: %s", c->name, sqlite3_extended_errcode(db),
                    sqlite3_errmsg(db));
    }
}

/*
 * Scan the log and the table side by side in the snapshot of the open transaction. False when the
 * log refuses because the snapshot is older than its retention, which only a trim explains.
 */
static bool scan_both(const crowd *c, sqlite3 *db, int64_t *ret_count)
{
    sqlite3_stmt *log = driver_prepare(db, "SELECT offset, key, value FROM events ORDER BY offset");
    sqlite3_stmt *copy = driver_prepare(db, "SELECT * FROM copy ORDER BY offset");
    int64_t next_sequence[MEMBERS_MAX];
    int64_t count = 0;
    int64_t last = -1;
    bool answered = true;
    int code;

    memset(next_sequence, 0xff, sizeof(next_sequence));
    while ((code = sqlite3_step(log)) == SQLITE_ROW) {
        int64_t offset = sqlite3_column_int64(log, 0);
        int64_t writer = sqlite3_column_int64(log, 1);

        if (sqlite3_step(copy) != SQLITE_ROW || sqlite3_column_int64(copy, 0) != offset ||
            sqlite3_column_int64(copy, 1) != writer) {
            driver_fail("%s: offset %" PRId64 " of the log is not the table's", c->name, offset);
        }
        int64_t sequence = sqlite3_column_int64(copy, 2);
        if ((last >= 0 && offset != last + 1) || (last < 0 && !c->trims && offset != 0)) {
            driver_fail("%s: offset %" PRId64 " follows %" PRId64, c->name, offset, last);
        }
        if (writer < 0 || writer >= MEMBERS_MAX ||
            (next_sequence[writer] >= 0 && next_sequence[writer] != sequence)) {
            driver_fail("%s: offset %" PRId64 ": sequence %" PRId64 " of writer %" PRId64
                        " is out of order",
                        c->name, offset, sequence, writer);
        }
        next_sequence[writer] = sequence + 1;
        check_value(c, offset, writer, (uint64_t)sequence,
                    (const char *)sqlite3_column_text(log, 2),
                    (size_t)sqlite3_column_bytes(log, 2));
        last = offset;
        count++;
    }
    if (code != SQLITE_DONE) {
        answered = false;
        check_too_old(c, db);
        if (count > 0) {
            driver_fail("%s: a scan ended early, at offset %" PRId64, c->name, last);
        }
    } else if (sqlite3_step(copy) != SQLITE_DONE) {
        driver_fail("%s: the log ends at %" PRId64 ", the table goes on", c->name, last);
    }
    sqlite3_finalize(log);
    sqlite3_finalize(copy);
    *ret_count = count;
    return answered;
}

/* Whether the parent has closed its end of the pipe. */
static bool told_to_stop(const crowd *c)
{
    struct pollfd end = {.fd = c->stop_pipe[0], .events = POLLIN};

    return poll(&end, 1, 0) > 0;
}

/* Count from some offset on, in the snapshot in which a scan gave `count` records. False as above.
 */
static bool seek_and_count(member *m, int64_t count)
{
    sqlite3_stmt *statement = driver_prepare(m->db, "SELECT ifnull(min(offset), 0) FROM events");
    bool answered = sqlite3_step(statement) == SQLITE_ROW;

    if (!answered) {
        check_too_old(m->crowd, m->db);
        sqlite3_finalize(statement);
        return false;
    }
    int64_t oldest = sqlite3_column_int64(statement, 0);
    int64_t some = oldest + (int64_t)prng_below(&m->random, (uint64_t)count + 1);
    sqlite3_finalize(statement);
    statement = driver_prepare(m->db, "SELECT count(*) FROM events WHERE offset >= ?1");
    sqlite3_bind_int64(statement, 1, some);
    answered = sqlite3_step(statement) == SQLITE_ROW;
    if (!answered) {
        check_too_old(m->crowd, m->db);
    } else if (sqlite3_column_int64(statement, 0) != count - (some - oldest)) {
        driver_fail("%s: %lld records from offset %" PRId64 " on, expected %" PRId64,
                    m->crowd->name, (long long)sqlite3_column_int64(statement, 0), some,
                    count - (some - oldest));
    }
    sqlite3_finalize(statement);
    return answered;
}

static void run_reader(member *m)
{
    int64_t scans = 0;
    int64_t too_old = 0;
    int64_t count = 0;
    bool last_one;

    open_member(m);
    do {
        /* Asked before the scan, so that there is one more after the last commit. */
        last_one = told_to_stop(m->crowd);
        driver_must(m->db, "BEGIN");
        bool answered = scan_both(m->crowd, m->db, &count);
        answered = answered && seek_and_count(m, count);
        driver_must(m->db, "COMMIT");
        scans++;
        too_old += answered ? 0 : 1;
    } while (!last_one);
    driver_close(m->db);
    printf("  %s: reader %" PRIu64 ": %" PRId64 " scans, %" PRId64 " refused as older than "
           "retention, %" PRId64 " records in the last\n",
           m->crowd->name, m->number, scans, too_old, count);
}

/* The crowd. */

static void run_member(member *m)
{
    if (m->number < m->crowd->writers) {
        run_writer(m);
    } else {
        run_reader(m);
    }
}

static void *run_thread(void *argument)
{
    run_member(argument);
    return NULL;
}

static void start_and_wait(crowd *c, member *members)
{
    pthread_t threads[MEMBERS_MAX];
    pid_t children[MEMBERS_MAX];
    uint64_t count = c->writers + c->readers;

    for (uint64_t i = 0; i < count; i++) {
        if (c->threads) {
            if (pthread_create(&threads[i], NULL, run_thread, &members[i]) != 0) {
                driver_fail("cannot start thread %" PRIu64, i);
            }
            continue;
        }
        children[i] = fork_or_fail();
        if (children[i] == 0) {
            close(c->stop_pipe[1]);
            run_member(&members[i]);
            exit(0);
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        if (i == c->writers) {
            close(c->stop_pipe[1]);
        }
        if (!c->threads) {
            wait_for_success(children[i], i < c->writers ? "a writer" : "a reader");
        } else if (pthread_join(threads[i], NULL) != 0) {
            driver_fail("cannot join thread %" PRIu64, i);
        }
    }
}

/* No record lost, none twice: exactly what the writers say they committed. */
static void check_end(const crowd *c)
{
    sqlite3 *db = driver_open(c->path, BUSY_TIMEOUT_MS);
    int64_t count = 0;

    driver_must(db, "BEGIN");
    if (!scan_both(c, db, &count)) {
        driver_fail("%s: the last scan was refused", c->name);
    }
    int64_t trimmed = driver_integer(db, "SELECT trimmed FROM state");
    int64_t expected = (int64_t)(c->writers * c->records);
    if (count + trimmed != expected) {
        driver_fail("%s: %" PRId64 " records and %" PRId64 " trimmed, expected %" PRId64 " in all",
                    c->name, count, trimmed, expected);
    }
    int64_t next = driver_integer(db, "SELECT ifnull(max(offset) + 1, 0) FROM events");
    if (count > 0 && next != expected) {
        driver_fail("%s: the log ends at %" PRId64 ", expected %" PRId64, c->name, next, expected);
    }
    int64_t segments = driver_integer(db, "SELECT count(*) FROM commitlog_segments('events')");
    driver_must(db, "COMMIT");
    char *integrity = driver_text(db, "PRAGMA integrity_check");
    if (strcmp(integrity, "ok") != 0) {
        driver_fail("%s: integrity_check: %s", c->name, integrity);
    }
    sqlite3_free(integrity);
    driver_close(db);
    printf("%s: %" PRId64 " records, %" PRId64 " trimmed, %" PRId64 " segments\n", c->name, count,
           trimmed, segments);
}

static void run_crowd(crowd *c, const char *directory)
{
    member *members = calloc(MEMBERS_MAX, sizeof(member));

    if (members == NULL || pipe(c->stop_pipe) != 0) {
        driver_fail("%s: cannot start: %s", c->name, strerror(errno));
    }
    for (uint64_t i = 0; i < c->writers + c->readers; i++) {
        members[i].crowd = c;
        members[i].number = i;
    }
    if (c->threads) {
        c->path = new_database(directory, c->name, c->journal_mode, c->options);
    } else {
        /* In a child, so that the members do not inherit what the library keeps. */
        c->path = sqlite3_mprintf("%s/%s.db", directory, c->name);
        pid_t child = fork_or_fail();
        if (child == 0) {
            sqlite3_free(new_database(directory, c->name, c->journal_mode, c->options));
            sqlite3_free(c->path);
            exit(0);
        }
        wait_for_success(child, "setting up");
    }
    start_and_wait(c, members);
    close(c->stop_pipe[0]);
    if (c->threads) {
        check_end(c);
    } else {
        pid_t child = fork_or_fail();
        if (child == 0) {
            check_end(c);
            exit(0);
        }
        wait_for_success(child, "the last check");
    }
    sqlite3_free(c->path);
    free(members);
}

int main(int argc, char **argv)
{
    static crowd crowds[] = {
        {.name = "wal",
         .journal_mode = "WAL",
         .synchronous = "FULL",
         .options = "segment_bytes='16KiB'",
         .records_percent = 100},
        {.name = "delete",
         .journal_mode = "DELETE",
         .synchronous = "NORMAL",
         .options = "segment_bytes='64KiB'",
         .records_percent = 20},
        {.name = "retention",
         .journal_mode = "WAL",
         .synchronous = "NORMAL",
         .options = "segment_bytes='8KiB', file_delete_delay_ms=0",
         .trims = true,
         .records_percent = 100},
        {.name = "threads",
         .journal_mode = "WAL",
         .synchronous = "NORMAL",
         .options = "segment_bytes='16KiB'",
         .threads = true,
         .records_percent = 100},
        {.name = "threads-delete",
         .journal_mode = "DELETE",
         .synchronous = "NORMAL",
         .options = "segment_bytes='16KiB'",
         .threads = true,
         .records_percent = 20},
        {.name = "threads-retention",
         .journal_mode = "WAL",
         .synchronous = "OFF",
         .options = "segment_bytes='8KiB', file_delete_delay_ms=0",
         .threads = true,
         .trims = true,
         .records_percent = 100},
    };
    uint64_t writers = 4;
    uint64_t readers = 2;
    uint64_t records = 3000;
    uint64_t seed = 0;
    bool seed_given = false;
    bool only_threads = false;
    bool only_processes = false;
    const driver_option options[] = {
        {"--writers", &writers, NULL, "how many writers (4)"},
        {"--readers", &readers, NULL, "how many readers (2)"},
        {"--records", &records, NULL, "how many records each writer appends (3000)"},
        {"--seed", &seed, &seed_given, "the seed of the run"},
        {"--threads", NULL, &only_threads, "only the crowds of threads, for the thread sanitizer"},
        {"--processes", NULL, &only_processes, "all but the crowds of threads"},
    };

    driver_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
    if (!seed_given) {
        seed = driver_random_seed();
    }
    if (writers < 1 || records < 5 || writers + readers > MEMBERS_MAX) {
        driver_fail("from 1 to %d writers and readers, and 5 records at least", MEMBERS_MAX);
    }
    printf("processes: seed %" PRIu64 ", %" PRIu64 " writers, %" PRIu64 " readers, %" PRIu64
           " records each\n",
           seed, writers, readers, records);
    fflush(stdout);
    char *directory = driver_directory_new("processes");
    for (size_t i = 0; i < sizeof(crowds) / sizeof(crowds[0]); i++) {
        crowd *c = &crowds[i];
        if (c->threads ? only_processes : only_threads) {
            continue;
        }
        c->writers = writers;
        c->readers = readers;
        c->records = records * c->records_percent / 100;
        c->seed = seed + i;
        run_crowd(c, directory);
        fflush(stdout);
    }
    case_upgrade(directory);
    case_busy_timeout(directory);
    if (!only_threads) {
        case_long_scan(directory);
        case_fork(directory);
    }
    driver_directory_remove(directory);
    printf("processes: seed %" PRIu64 " passed\n", seed);
    return 0;
}
