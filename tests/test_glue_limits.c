/*
 * What the system can run out of while a log is written: file size (for a full disk), descriptors.
 * Each fails one transaction with SQLite's own code and a message, leaves no trace, and the next
 * one works. Relies on RLIMIT_FSIZE and RLIMIT_NOFILE; each test runs in a process of its own.
 */
#define _GNU_SOURCE /* sigaction, setrlimit */
#include "check_main.h"
#include "glue.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static sqlite3 *db;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes='64MiB');"
             "CREATE TABLE t(a);"
             "INSERT INTO x(value) VALUES('kept'); INSERT INTO t VALUES('kept')");
}

static void teardown(void)
{
    glue_close(&db);
    facts_teardown();
}

static void set_limit(int resource, rlim_t limit)
{
    struct rlimit old;

    ck_assert_int_eq(getrlimit(resource, &old), 0);
    old.rlim_cur = limit;
    ck_assert_int_eq(setrlimit(resource, &old), 0);
}

static rlim_t most(int resource)
{
    struct rlimit limit;

    ck_assert_int_eq(getrlimit(resource, &limit), 0);
    return limit.rlim_max;
}

static void log_and_table_are(const char *rows)
{
    ROWS(db, "SELECT (SELECT group_concat(value) FROM x), (SELECT group_concat(a) FROM t)", rows);
    ROWS(db, "PRAGMA integrity_check", "ok");
}

/* The file may not grow: what a full disk answers, and SQLite's code for it. */
START_TEST(file_size)
{
    const char *statement = _i == 0 ? "INSERT INTO x(value) VALUES(zeroblob(5000000))"
                                    : "BEGIN; INSERT INTO t VALUES('lost');"
                                      "INSERT INTO x(value) VALUES('lost'), (zeroblob(5000000));"
                                      "COMMIT";

    signal(SIGXFSZ, SIG_IGN);
    set_limit(RLIMIT_FSIZE, 2 << 20);
    FAILS_WITH(db, statement, SQLITE_FULL, ".log: File too large");
    if (!sqlite3_get_autocommit(db))
        MUST(db, "ROLLBACK");
    log_and_table_are("kept|kept");
    /* What fits works at once, beside what was left. */
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('small'); INSERT INTO t VALUES('small'); COMMIT");
    log_and_table_are("kept,small|kept,small");
    set_limit(RLIMIT_FSIZE, most(RLIMIT_FSIZE));
    MUST(db, "INSERT INTO x(value) VALUES(zeroblob(5000000))");
    ROWS(db, "SELECT offset, length(value) FROM x ORDER BY offset DESC LIMIT 1", "2|5000000");
}
END_TEST

/* No descriptor is left. */
START_TEST(descriptors)
{
    int taken[4096], count = 0;

    MUST(db, "INSERT INTO x(x) VALUES('rotate')"); /* the next record wants a new file */
    set_limit(RLIMIT_NOFILE, 64);
    while (count < 4096 && (taken[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    FAILS_WITH(db, "INSERT INTO x(value) VALUES('lost')", SQLITE_CANTOPEN, "Too many open files");
    while (count > 0)
        close(taken[--count]);
    log_and_table_are("kept|kept");
    MUST(db, "INSERT INTO x(value) VALUES('after')");
    log_and_table_are("kept,after|kept");
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_limits");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, file_size, 0, 2);
    tcase_add_test(all, descriptors);
    suite_add_tcase(suite, all);
    return suite;
}
