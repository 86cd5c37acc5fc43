/*
 * A child of fork() with its parent's connection: whatever it tries with a log is refused, and the
 * parent loses nothing by it, neither records nor files nor the pin of a running SELECT.
 *
 * SQLite itself forbids all this (its locks do not pass fork()), so the child does little, and in
 * modes where that little is harmless to the database. What SQLite's own tables suffer is not
 * looked at.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REFUSED "this connection was opened before fork(): a child process needs its own"

static sqlite3 *db;

static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

static void append(sqlite3 *conn, int count)
{
    MUST(conn, glue_text("WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                         "INSERT INTO x(value) SELECT printf('%%.*c', 1000, 'x') FROM c",
                         count));
}

static void setup(void)
{
    facts_setup();
    setenv("TMPDIR", facts_path(""), 1); /* for the directories of logs without a database file */
    db = glue_open("test.db");
    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    append(db, 10);
}

static void teardown(void)
{
    glue_close(&db);
    unsetenv("TMPDIR");
    facts_teardown();
}

static int use_everything(void *unused)
{
    (void)unused;
    FAILS(db, "SELECT * FROM x", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "SELECT max(offset) FROM x", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "INSERT INTO x(value) VALUES('child')", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "DELETE FROM x", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "INSERT INTO x(x) VALUES('rotate')", SQLITE_MISUSE, "x: " REFUSED);
    FAILS_WITH(db, "SELECT commitlog_append('x', NULL, 'child')", SQLITE_MISUSE, REFUSED);
    FAILS_WITH(db, "SELECT * FROM commitlog_segments('x')", SQLITE_MISUSE, REFUSED);
    FAILS_WITH(db, "SELECT commitlog_adopt('x')", SQLITE_MISUSE, REFUSED);
    return 0;
}

static int close_connection(void *unused)
{
    (void)unused;
    sqlite3_close(db);
    return 0;
}

static void parent_is_unharmed(void)
{
    ROWS(db, summary, "10|0|9|10000");
    append(db, 5);
    ROWS(db, summary, "15|0|14|15000");
    sqlite3 *fresh = glue_open("test.db");
    ROWS(fresh, summary, "15|0|14|15000");
    glue_close(&fresh);
}

START_TEST(child_is_refused)
{
    ck_assert_int_eq(glue_in_child(use_everything, NULL), 0);
    parent_is_unharmed();
}
END_TEST

START_TEST(child_closes_the_connection)
{
    ck_assert_int_eq(glue_in_child(close_connection, NULL), 0);
    parent_is_unharmed();
}
END_TEST

/* ---- in the middle of a transaction ---- */

static int commit_in_child(void *unused)
{
    (void)unused;
    FAILS(db, "SELECT * FROM x", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "INSERT INTO x(value) VALUES('child')", SQLITE_MISUSE, "x: " REFUSED);
    FAILS(db, "COMMIT", SQLITE_MISUSE, "x: " REFUSED);
    return 0;
}

static int roll_back_in_child(void *unused)
{
    (void)unused;
    MUST(db, "ROLLBACK");
    sqlite3_close(db);
    return 0;
}

static int roll_back_to_in_child(void *unused)
{
    (void)unused;
    MUST(db, "ROLLBACK TO s");
    sqlite3_close(db);
    return 0;
}

START_TEST(fork_in_a_transaction)
{
    static int (*const bodies[])(void *) = {commit_in_child, roll_back_in_child,
                                            roll_back_to_in_child, close_connection};

    MUST(db, "BEGIN");
    append(db, 3);
    MUST(db, "SAVEPOINT s");
    append(db, 3);
    if (_i >= 4) /* in files that this transaction made */
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    append(db, 2);
    ck_assert_int_eq(glue_in_child(bodies[_i % 4], NULL), 0);
    ROWS(db, summary, "18|0|17|18000");
    append(db, 1);
    MUST(db, "COMMIT");
    ROWS(db, summary, "19|0|18|19000");
    sqlite3 *fresh = glue_open("test.db");
    ROWS(fresh, summary, "19|0|18|19000");
    glue_close(&fresh);
}
END_TEST

/* ---- in the middle of a SELECT ---- */

static sqlite3_stmt *reading;

static int step_in_child(void *unused)
{
    (void)unused;
    /* A row from bytes that are mapped may still come; more must not be opened in secret. */
    int code = sqlite3_step(reading);
    return code == SQLITE_ROW || code == SQLITE_MISUSE ? 0 : code;
}

static int finalize_in_child(void *unused)
{
    (void)unused;
    sqlite3_finalize(reading);
    return 0;
}

static int finalize_and_close_in_child(void *unused)
{
    (void)unused;
    sqlite3_finalize(reading);
    sqlite3_close(db);
    return 0;
}

/* The child's end of the statement must not unpin what the parent still reads. */
START_TEST(fork_in_a_select)
{
    static int (*const bodies[])(void *) = {step_in_child, finalize_in_child,
                                            finalize_and_close_in_child};
    int rows = 1;

    append(db, 50);
    reading = glue_prepare(db, "SELECT value FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_int_eq(glue_in_child(bodies[_i], NULL), 0);
    sqlite3 *other = glue_open("test.db");
    MUST(other, "INSERT INTO x(x, offset) VALUES('delete-records', 60)");
    append(other, 1);
    glue_close(&other);
    int code;
    while ((code = sqlite3_step(reading)) == SQLITE_ROW)
        rows += sqlite3_column_bytes(reading, 0) == 1000;
    ck_assert_msg(code == SQLITE_DONE, "after %d rows: %s", rows, sqlite3_errmsg(db));
    ck_assert_int_eq(rows, 60);
    sqlite3_finalize(reading);
    ROWS(db, summary, "1|60|60|1000");
}
END_TEST

/* ---- databases without a file ---- */

START_TEST(child_closes_an_in_memory_database)
{
    sqlite3 *file_db = db;

    db = glue_open(":memory:");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096);"
             "CREATE VIRTUAL TABLE temp.y USING commitlog");
    append(db, 10);
    MUST(db, "INSERT INTO y(value) VALUES('temp')");
    ck_assert_int_eq(glue_in_child(_i == 0 ? use_everything : close_connection, NULL), 0);
    ROWS(db, summary, "10|0|9|10000");
    append(db, 5);
    ROWS(db, summary, "15|0|14|15000");
    ROWS(db, "SELECT value FROM y", "temp");
    glue_close(&db);
    db = file_db;
    ROWS(db, summary, "10|0|9|10000");
}
END_TEST

/* ---- a connection of the child's own ---- */

static int use_own_connection(void *unused)
{
    (void)unused;
    sqlite3 *own = glue_open("child.db");
    MUST(own, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096)");
    append(own, 10);
    ROWS(own, summary, "10|0|9|10000");
    glue_close(&own);
    own = glue_open(":memory:");
    MUST(own, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096)");
    append(own, 10);
    ROWS(own, summary, "10|0|9|10000");
    glue_close(&own);
    return 0;
}

START_TEST(child_uses_a_connection_of_its_own)
{
    ck_assert_int_eq(glue_in_child(use_own_connection, NULL), 0);
    parent_is_unharmed();
    sqlite3 *child = glue_open("child.db");
    ROWS(child, summary, "10|0|9|10000");
    glue_close(&child);
    ck_assert_int_eq(glue_count("", ".log"), 5 + 4);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_fork");
    TCase *all = tcase_create("fork");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, child_is_refused);
    tcase_add_test(all, child_closes_the_connection);
    tcase_add_loop_test(all, fork_in_a_transaction, 0, 8);
    tcase_add_loop_test(all, fork_in_a_select, 0, 3);
    tcase_add_loop_test(all, child_closes_an_in_memory_database, 0, 2);
    tcase_add_test(all, child_uses_a_connection_of_its_own);
    suite_add_tcase(suite, all);
    return suite;
}
