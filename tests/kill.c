/*
 * The kill test: a writer appends to a log and to an ordinary table in one transaction and is
 * killed with SIGKILL at random, round after round, on the same database. After each kill a fresh
 * process opens it and demands: log and table hold the same records without a gap, everything
 * acknowledged is there, PRAGMA integrity_check says ok. The next round appends on.
 *
 * The writer acknowledges a commit by writing to a pipe after COMMIT returned; a round without an
 * acknowledgement does not count. A flag in a page shared with the writer is set around COMMIT:
 * when it is still set after the writer's death, the kill fell inside a commit. At least a third
 * of the kills must.
 *
 * The parent never opens the database: it only forks, kills and counts. Kills show what a dead
 * process leaves behind, not what a power loss would.
 */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE

#include "driver.h"

#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS_DEFAULT = 200, RECORDS_KEPT = 2500, ACKNOWLEDGEMENTS_MAX = 1024, VALUE_MAX = 300000 };

/* Written by the writer, read by the parent. */
typedef struct {
    _Atomic uint32_t in_commit;
} shared_page;

typedef struct {
    uint64_t transaction;
    int64_t next_offset; /* of the log after that transaction */
} acknowledgement;

typedef struct {
    prng random;
    char *path;
    bool delete_mode;
    bool normal;
    shared_page *page;
    acknowledgement acknowledged[ACKNOWLEDGEMENTS_MAX];
    size_t acknowledged_count;
    uint64_t inside_count;
    uint64_t outside_count;
    uint64_t uncounted;
    uint64_t acknowledged_total;
} test_state;

static sqlite3 *open_database(const test_state *test)
{
    sqlite3 *db = driver_open(test->path, 10000);

    driver_must(db, "PRAGMA synchronous = %s", test->normal ? "NORMAL" : "FULL");
    return db;
}

static void set_up(const test_state *test)
{
    sqlite3 *db = open_database(test);

    driver_must(db, "PRAGMA journal_mode = %s", test->delete_mode ? "DELETE" : "WAL");
    driver_must(db, "CREATE VIRTUAL TABLE events USING commitlog(segment_bytes='64KiB',"
                    "                                            file_delete_delay_ms=0);"
                    "CREATE TABLE copy(offset INTEGER PRIMARY KEY, key, value);"
                    "CREATE TABLE state(next_offset INTEGER, next_transaction INTEGER);"
                    "INSERT INTO state VALUES (0, 1);");
    driver_close(db);
}

/* The writer. */

typedef struct {
    sqlite3 *db;
    sqlite3_stmt *append;
    sqlite3_stmt *copy;
    prng random;
    int64_t next_offset;
    uint64_t transaction;
    char *bytes;
} writer;

/* One record in both places. The value tells which transaction wrote it. */
static void writer_append(writer *w, size_t value_bytes)
{
    int prefix = snprintf(w->bytes, VALUE_MAX, "transaction %" PRIu64 " ", w->transaction);
    size_t length = value_bytes > (size_t)prefix ? value_bytes : (size_t)prefix;

    for (size_t i = (size_t)prefix; i < length; i++) {
        w->bytes[i] = (char)('a' + (i * 7 + w->transaction) % 26);
    }
    sqlite3_bind_int64(w->append, 1, (int64_t)w->transaction);
    sqlite3_bind_text(w->append, 2, w->bytes, (int)length, SQLITE_STATIC);
    if (sqlite3_step(w->append) != SQLITE_DONE) {
        driver_fail("INSERT into the log: %s", sqlite3_errmsg(w->db));
    }
    sqlite3_reset(w->append);
    int64_t offset = sqlite3_last_insert_rowid(w->db);
    if (offset != w->next_offset) {
        driver_fail("the log gave offset %" PRId64 ", expected %" PRId64, offset, w->next_offset);
    }
    w->next_offset++;
    sqlite3_bind_int64(w->copy, 1, offset);
    sqlite3_bind_int64(w->copy, 2, (int64_t)w->transaction);
    sqlite3_bind_text(w->copy, 3, w->bytes, (int)length, SQLITE_STATIC);
    if (sqlite3_step(w->copy) != SQLITE_DONE) {
        driver_fail("INSERT into the table: %s", sqlite3_errmsg(w->db));
    }
    sqlite3_reset(w->copy);
}

static void writer_records(writer *w)
{
    uint64_t dice = prng_below(&w->random, 100);
    uint64_t count = 1 + prng_below(&w->random, dice < 80 ? 20 : dice < 97 ? 200 : 2500);

    if (dice < 3) {
        writer_append(w, (size_t)prng_below(&w->random, VALUE_MAX));
    }
    for (uint64_t i = 0; i < count; i++) {
        writer_append(w, (size_t)prng_below(&w->random, dice < 90 ? 600 : 1200));
    }
}

/* Take the oldest records away in both places, in one of the two ways. */
static void writer_trim(writer *w)
{
    int64_t before = w->next_offset - RECORDS_KEPT / 2;

    if (prng_chance(&w->random, 80)) {
        driver_must(w->db, "INSERT INTO events(events, offset) VALUES ('delete-records', %lld)",
                    (long long)before);
    } else {
        driver_must(w->db, "DELETE FROM events WHERE offset < %lld", (long long)before);
    }
    driver_must(w->db, "DELETE FROM copy WHERE offset < %lld", (long long)before);
}

static void writer_transaction(writer *w, shared_page *page, int pipe_end)
{
    int64_t start = w->next_offset;

    driver_must(w->db, "BEGIN IMMEDIATE");
    writer_records(w);
    if (prng_chance(&w->random, 25)) {
        int64_t kept = w->next_offset;
        driver_must(w->db, "SAVEPOINT inner");
        writer_records(w);
        if (prng_chance(&w->random, 60)) {
            driver_must(w->db, "ROLLBACK TO inner");
            w->next_offset = kept;
        }
        driver_must(w->db, "RELEASE inner");
        writer_records(w);
    }
    if (driver_integer(w->db, "SELECT count(*) FROM copy") > RECORDS_KEPT) {
        writer_trim(w);
    }
    if (prng_chance(&w->random, 10)) {
        driver_must(w->db, "ROLLBACK");
        w->next_offset = start;
        return;
    }
    driver_must(w->db, "UPDATE state SET next_offset = %lld, next_transaction = %lld",
                (long long)w->next_offset, (long long)w->transaction + 1);
    sqlite3_stmt *commit = driver_prepare(w->db, "COMMIT");
    atomic_store(&page->in_commit, 1);
    int code = sqlite3_step(commit);
    atomic_store(&page->in_commit, 0);
    if (code != SQLITE_DONE) {
        driver_fail("COMMIT: %s", sqlite3_errmsg(w->db));
    }
    sqlite3_finalize(commit);
    acknowledgement done = {w->transaction++, w->next_offset};
    if (write(pipe_end, &done, sizeof(done)) != (ssize_t)sizeof(done)) {
        driver_fail("cannot acknowledge: %s", strerror(errno));
    }
}

static _Noreturn void run_writer(const test_state *test, int pipe_end)
{
    writer w = {.db = open_database(test), .random = test->random};

    w.bytes = malloc(VALUE_MAX + 64);
    if (w.bytes == NULL) {
        driver_fail("out of memory");
    }
    w.next_offset = driver_integer(w.db, "SELECT next_offset FROM state");
    w.transaction = (uint64_t)driver_integer(w.db, "SELECT next_transaction FROM state");
    w.append = driver_prepare(w.db, "INSERT INTO events(key, value) VALUES (?1, ?2)");
    w.copy = driver_prepare(w.db, "INSERT INTO copy VALUES (?1, ?2, ?3)");
    for (;;) {
        writer_transaction(&w, test->page, pipe_end);
    }
}

/* The check after a kill. */

static void check_same(sqlite3 *db)
{
    sqlite3_stmt *log = driver_prepare(db, "SELECT offset, key, value FROM events ORDER BY offset");
    sqlite3_stmt *copy = driver_prepare(db, "SELECT offset, key, value FROM copy ORDER BY offset");
    int64_t expected = -1;
    int code;

    while ((code = sqlite3_step(log)) == SQLITE_ROW) {
        int64_t offset = sqlite3_column_int64(log, 0);
        if (sqlite3_step(copy) != SQLITE_ROW) {
            driver_fail("the log has offset %" PRId64 ", the table ends before", offset);
        }
        if (offset != sqlite3_column_int64(copy, 0) || (expected >= 0 && offset != expected)) {
            driver_fail("the log has offset %" PRId64 ", the table %lld, expected %" PRId64, offset,
                        (long long)sqlite3_column_int64(copy, 0), expected);
        }
        int length = sqlite3_column_bytes(log, 2);
        if (sqlite3_column_int64(log, 1) != sqlite3_column_int64(copy, 1) ||
            sqlite3_column_type(log, 2) != SQLITE_TEXT || length != sqlite3_column_bytes(copy, 2) ||
            memcmp(sqlite3_column_text(log, 2), sqlite3_column_text(copy, 2), (size_t)length) !=
                0) {
            driver_fail("log and table differ at offset %" PRId64, offset);
        }
        expected = offset + 1;
    }
    if (code != SQLITE_DONE) {
        driver_fail("reading the log: %s", sqlite3_errmsg(db));
    }
    if (sqlite3_step(copy) != SQLITE_DONE) {
        driver_fail("the table has offset %lld, the log ends before",
                    (long long)sqlite3_column_int64(copy, 0));
    }
    sqlite3_finalize(log);
    sqlite3_finalize(copy);
    int64_t next = driver_integer(db, "SELECT next_offset FROM state");
    if (expected >= 0 && expected != next) {
        driver_fail("the log ends at %" PRId64 ", the last commit at %" PRId64, expected, next);
    }
}

static _Noreturn void run_check(const test_state *test)
{
    sqlite3 *db = open_database(test);
    char *integrity = driver_text(db, "PRAGMA integrity_check");

    if (strcmp(integrity, "ok") != 0) {
        driver_fail("integrity_check: %s", integrity);
    }
    sqlite3_free(integrity);
    driver_must(db, "BEGIN");
    check_same(db);
    int64_t oldest = driver_integer(db, "SELECT ifnull(min(offset), 0) FROM events");
    int64_t next_transaction = driver_integer(db, "SELECT next_transaction FROM state");
    for (size_t i = 0; i < test->acknowledged_count; i++) {
        const acknowledgement *a = &test->acknowledged[i];
        if ((int64_t)a->transaction >= next_transaction) {
            driver_fail("transaction %" PRIu64 " was acknowledged and is lost", a->transaction);
        }
        if (a->next_offset - 1 >= oldest &&
            driver_integer(db, "SELECT count(*) FROM events WHERE offset = %lld AND key = %lld",
                           (long long)a->next_offset - 1, (long long)a->transaction) != 1) {
            driver_fail("offset %" PRId64 " of transaction %" PRIu64
                        " was acknowledged and is lost",
                        a->next_offset - 1, a->transaction);
        }
    }
    driver_must(db, "COMMIT");
    driver_close(db);
    exit(0);
}

/* The parent. */

static void wait_for_success(pid_t child, const char *what)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        driver_fail("%s failed (wait status %d)", what, status);
    }
}

static pid_t fork_or_fail(void)
{
    fflush(NULL);
    pid_t child = fork();

    if (child < 0) {
        driver_fail("fork: %s", strerror(errno));
    }
    return child;
}

/* Read one acknowledgement; false at the end of the pipe. Short reads cannot be: 16 bytes. */
static bool read_acknowledgement(test_state *test, int pipe_end)
{
    acknowledgement next;
    ssize_t length = read(pipe_end, &next, sizeof(next));

    if (length == 0) {
        return false;
    }
    if (length != (ssize_t)sizeof(next) || test->acknowledged_count == ACKNOWLEDGEMENTS_MAX) {
        driver_fail("reading acknowledgements: %zd bytes after %zu of them", length,
                    test->acknowledged_count);
    }
    test->acknowledged[test->acknowledged_count++] = next;
    return true;
}

/* Wait for the moment of the kill: any, or a random time after the writer entered a COMMIT. */
static void wait_for_moment(test_state *test)
{
    uint64_t deadline = driver_nanoseconds() + UINT64_C(2000000000);
    bool aim = prng_chance(&test->random, 60);
    uint64_t delay_ns = prng_below(&test->random, UINT64_C(1) << prng_below(&test->random, 23));

    /* From outside of one commit to inside the next, so that its beginning is hit as well. */
    for (uint32_t wanted = 0; aim && wanted <= 1; wanted++) {
        while (atomic_load(&test->page->in_commit) != wanted && driver_nanoseconds() < deadline) {
            sched_yield();
        }
    }
    uint64_t start = driver_nanoseconds();
    while (driver_nanoseconds() - start < delay_ns) {
        continue;
    }
}

/* One writer's life. Returns whether it counts. */
static bool run_round(test_state *test)
{
    int ends[2];
    int status = 0;
    uint64_t wanted = 1 + prng_below(&test->random, 12);

    test->acknowledged_count = 0;
    atomic_store(&test->page->in_commit, 0);
    prng_next(&test->random);
    if (pipe(ends) != 0) {
        driver_fail("pipe: %s", strerror(errno));
    }
    pid_t child = fork_or_fail();
    if (child == 0) {
        close(ends[0]);
        run_writer(test, ends[1]);
    }
    close(ends[1]);
    /* One in ten dies while it opens the database or in its first transactions. */
    if (prng_chance(&test->random, 90)) {
        while (wanted > 0 && read_acknowledgement(test, ends[0])) {
            wanted--;
        }
    }
    wait_for_moment(test);
    kill(child, SIGKILL);
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) ||
        WTERMSIG(status) != SIGKILL) {
        driver_fail("the writer ended by itself (wait status %d)", status);
    }
    bool inside = atomic_load(&test->page->in_commit) != 0;
    while (read_acknowledgement(test, ends[0])) {
        continue;
    }
    close(ends[0]);

    child = fork_or_fail();
    if (child == 0) {
        run_check(test);
    }
    wait_for_success(child, "the check after a kill");
    if (test->acknowledged_count == 0) {
        test->uncounted++;
        return false;
    }
    test->acknowledged_total += test->acknowledged_count;
    test->inside_count += inside ? 1 : 0;
    test->outside_count += inside ? 0 : 1;
    return true;
}

static void run_rounds(test_state *test, uint64_t rounds)
{
    pid_t child = fork_or_fail();

    if (child == 0) {
        set_up(test);
        exit(0);
    }
    wait_for_success(child, "setting up");
    for (uint64_t counted = 0; counted < rounds;) {
        counted += run_round(test) ? 1 : 0;
        if (test->uncounted > rounds + 20) {
            driver_fail("%" PRIu64 " rounds without an acknowledgement, %" PRIu64 " with one",
                        test->uncounted, counted);
        }
    }
}

int main(int argc, char **argv)
{
    static test_state test;
    uint64_t rounds = ROUNDS_DEFAULT;
    uint64_t seed = 0;
    bool seed_given = false;
    const driver_option options[] = {
        {"--rounds", &rounds, NULL, "how many kills (200)"},
        {"--seed", &seed, &seed_given, "the seed of the run"},
        {"--normal", NULL, &test.normal, "synchronous = NORMAL instead of FULL"},
        {"--delete", NULL, &test.delete_mode, "journal_mode = DELETE instead of WAL"},
    };

    driver_options(argc, argv, options, sizeof(options) / sizeof(options[0]));
    if (!seed_given) {
        seed = driver_random_seed();
    }
    test.random.state = seed;
    printf("kill: seed %" PRIu64 ", %" PRIu64 " rounds, journal_mode %s, synchronous %s\n", seed,
           rounds, test.delete_mode ? "DELETE" : "WAL", test.normal ? "NORMAL" : "FULL");
    fflush(stdout);
    char *directory = driver_directory_new("kill");
    test.path = sqlite3_mprintf("%s/kill.db", directory);
    test.page =
        mmap(NULL, sizeof(shared_page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (test.page == MAP_FAILED) {
        driver_fail("mmap: %s", strerror(errno));
    }
    run_rounds(&test, rounds);
    printf("kill: %" PRIu64 " kills inside a commit, %" PRIu64 " outside, %" PRIu64
           " without an acknowledgement (not counted), %" PRIu64 " acknowledged transactions\n",
           test.inside_count, test.outside_count, test.uncounted, test.acknowledged_total);
    if (test.inside_count * 3 < rounds) {
        driver_fail("less than a third of the kills fell inside a commit");
    }
    driver_directory_remove(directory);
    munmap(test.page, sizeof(shared_page));
    sqlite3_free(test.path);
    printf("kill: seed %" PRIu64 " passed\n", seed);
    return 0;
}
