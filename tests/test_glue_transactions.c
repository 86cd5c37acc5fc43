/*
 * Transactions of a log through SQLite's C API: a COMMIT that fails and is tried again, statements
 * that fail half-way, savepoints around what was already written to a segment, two logs in one
 * transaction. After each, a log and a table that took the same changes must agree, in this
 * connection, in another, and in a new one.
 *
 * Conflict clauses and plain savepoints are the business of sql/conflict.sql and
 * sql/transactions.sql; changes of the schema that of test_glue_schema.c.
 */
#define _GNU_SOURCE /* fdatasync, syscall */
#include "check_main.h"
#include "glue.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static sqlite3 *db;
static sqlite3 *other;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    other = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    MUST(db, "CREATE TABLE t(offset INTEGER PRIMARY KEY, value)");
}

static void teardown(void)
{
    glue_close(&other);
    glue_close(&db);
    facts_teardown();
}

#define CONTENTS "SELECT offset, substr(value, 1, 2), length(value) FROM "

/* The log holds what the table holds. */
static void agree(sqlite3 *conn)
{
    ck_assert_str_eq(facts_query(conn, CONTENTS "x ORDER BY offset"),
                     facts_query(conn, CONTENTS "t ORDER BY offset"));
    ROWS(conn,
         "SELECT count(*) FROM x JOIN t USING(offset) WHERE x.value IS NOT t.value "
         "UNION ALL SELECT (SELECT count(*) FROM x) - (SELECT count(*) FROM t)",
         "0;0");
}

static void agree_everywhere(void)
{
    agree(db);
    agree(other);
    sqlite3 *fresh = glue_open("test.db");
    agree(fresh);
    glue_close(&fresh);
}

/* The same record to log and table. */
static void append(const char *value, int bytes)
{
    MUST(db, glue_text("INSERT INTO x(value) VALUES(printf('%s%%.*c', %d, 'x'))", value, bytes));
    MUST(db, glue_text("INSERT INTO t(offset, value) "
                       "SELECT last_insert_rowid(), printf('%s%%.*c', %d, 'x')",
                       value, bytes));
}

static void both(const char *sql)
{
    MUST(db, glue_text(sql, "x"));
    MUST(db, glue_text(sql, "t"));
}

/* ---- a COMMIT that fails and is tried again ---- */

static sqlite3_stmt *reading;

/* In a rollback-journal mode a reader keeps a COMMIT from getting its exclusive lock. */
static void block_commit(void)
{
    reading = glue_prepare(other, "SELECT count(*) FROM sqlite_schema, x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
}

static void unblock_commit(void)
{
    sqlite3_finalize(reading);
}

static void commit_is_busy(void)
{
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    ck_assert_int_eq(sqlite3_get_autocommit(db), 0);
    agree(db);
}

START_TEST(busy_commit_is_retried)
{
    MUST(db, "BEGIN");
    append("a", 10);
    block_commit();
    commit_is_busy();
    commit_is_busy();
    unblock_commit();
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(db, "SELECT count(*) FROM x", "1");
}
END_TEST

START_TEST(busy_commit_is_retried_with_more_records)
{
    append("0", 10);
    MUST(db, "BEGIN");
    append("a", 3000);
    append("b", 3000);
    block_commit();
    commit_is_busy();
    append("c", 3000);
    append("d", 10);
    commit_is_busy();
    append("e", 10);
    unblock_commit();
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT group_concat(substr(value, 1, 1), '') FROM x", "0abcde");
    ROWS(other, "SELECT sum(records) FROM commitlog_segments('x')", "6");
}
END_TEST

START_TEST(busy_commit_then_rollback)
{
    append("0", 10);
    MUST(db, "BEGIN");
    append("a", 10);
    append("b", 3000);
    block_commit();
    commit_is_busy();
    append("c", 10);
    unblock_commit();
    MUST(db, "ROLLBACK");
    agree_everywhere();
    append("d", 10);
    agree_everywhere();
    ROWS(db, "SELECT group_concat(offset || substr(value, 1, 1)) FROM x", "00,1d");
}
END_TEST

/* The savepoint is from before, in the middle of, or after what the failed COMMIT wrote. */
START_TEST(busy_commit_then_rollback_to)
{
    static const char *const marks[] = {"one", "two", "three", "four"};
    const char *mark = marks[_i % 4];
    int more_first = _i / 4 % 2, again = _i / 8;

    append("0", 10);
    MUST(db, "BEGIN; SAVEPOINT one");
    append("a", 1000);
    MUST(db, "SAVEPOINT two");
    append("b", 1000);
    MUST(db, "SAVEPOINT three");
    append("c", 3000);
    MUST(db, "SAVEPOINT four");
    block_commit();
    commit_is_busy();
    if (more_first)
        append("d", 10);
    MUST(db, glue_text("ROLLBACK TO %s", mark));
    agree(db);
    append("e", 500);
    if (again) {
        commit_is_busy();
        MUST(db, glue_text("ROLLBACK TO %s", mark));
        agree(db);
        append("f", 500);
    }
    unblock_commit();
    MUST(db, "COMMIT");
    agree_everywhere();
    append("g", 10);
    agree_everywhere();
}
END_TEST

START_TEST(busy_commit_then_everything_is_deleted)
{
    append("0", 10);
    append("1", 3500);
    MUST(db, "BEGIN");
    append("a", 3500);
    append("b", 10);
    MUST(db, "SAVEPOINT s");
    block_commit();
    commit_is_busy();
    if (_i % 2 == 0) {
        both("DELETE FROM %s");
    } else {
        MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 4)");
        MUST(db, "DELETE FROM t");
    }
    commit_is_busy();
    if (_i / 2 % 2 == 1)
        append("c", 10);
    if (_i / 4 == 1) {
        MUST(db, "ROLLBACK TO s");
        append("d", 10);
    }
    unblock_commit();
    MUST(db, "COMMIT");
    agree_everywhere();
    append("e", 10);
    agree_everywhere();
    ROWS(db, "SELECT count(*) FROM x WHERE value IS NULL", "0");
}
END_TEST

static int veto(void *is_on)
{
    return *(int *)is_on;
}

START_TEST(commit_hook_turns_commit_into_rollback)
{
    int is_on = 1;

    append("0", 10);
    sqlite3_commit_hook(db, veto, &is_on);
    MUST(db, "BEGIN");
    append("a", 3500);
    append("b", 3500);
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_CONSTRAINT_COMMITHOOK);
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
    agree_everywhere();
    ck_assert_int_eq(facts_exec(db, "INSERT INTO x(value) VALUES('autocommit')"),
                     SQLITE_CONSTRAINT_COMMITHOOK);
    agree_everywhere();
    is_on = 0;
    append("c", 10);
    agree_everywhere();
    ROWS(other, "SELECT group_concat(offset) FROM x", "0,1");
    sqlite3_commit_hook(db, NULL, NULL);
}
END_TEST

/* A deferred foreign key fails the COMMIT before xSync; the transaction goes on. */
START_TEST(deferred_constraint_fails_commit)
{
    MUST(db, "PRAGMA foreign_keys = ON; CREATE TABLE parent(id INTEGER PRIMARY KEY);"
             "CREATE TABLE child(id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)");
    MUST(db, "BEGIN");
    append("a", 10);
    MUST(db, "INSERT INTO child VALUES(1)");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_CONSTRAINT_FOREIGNKEY);
    append("b", 10);
    MUST(db, "INSERT INTO parent VALUES(1); COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT count(*) FROM x", "2");
}
END_TEST

/* ---- statements that fail half-way ---- */

START_TEST(failed_statement_takes_its_rows_back)
{
    append("0", 10);
    MUST(db, "BEGIN");
    append("a", 10);
    FAILS(db, "INSERT INTO x(value, headers) VALUES('b', NULL), ('c', '{}'), ('d', 'no json')",
          SQLITE_MISMATCH, "x: headers must be JSON text or NULL");
    agree(db);
    FAILS(db, "INSERT INTO x(offset, value) VALUES(2, 'b'), (3, 'c'), (9, 'd')", SQLITE_CONSTRAINT,
          "x: offset 9 given, but the next offset is 4");
    agree(db);
    append("b", 10);
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT group_concat(offset) FROM x", "0,1,2");
}
END_TEST

START_TEST(failed_statement_that_filled_segments_takes_them_back)
{
    append("0", 10);
    MUST(db, "BEGIN");
    append("a", 10);
    FAILS(db,
          "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1000) "
          "INSERT INTO x(value, timestamp) SELECT printf('%.*c', 1000, 'x'), "
          "iif(i < 1000, i, 'noon') FROM c",
          SQLITE_MISMATCH,
          "x: timestamp must be an integer, milliseconds since 1970, or NULL for now");
    agree(db);
    append("b", 10);
    agree(db);
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT group_concat(offset) FROM x", "0,1,2");
    FAILS(db,
          "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1000) "
          "INSERT INTO x(value, timestamp) SELECT printf('%.*c', 1000, 'x'), "
          "iif(i < 1000, i, 'noon') FROM c",
          SQLITE_MISMATCH,
          "x: timestamp must be an integer, milliseconds since 1970, or NULL for now");
    agree_everywhere();
    append("c", 10);
    agree_everywhere();
}
END_TEST

/* As on an ordinary table: FAIL keeps the rows before the conflict, ABORT none, ROLLBACK ends it.
 */
START_TEST(conflict_clauses_decide_what_a_failed_statement_leaves)
{
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('a')");
    ck_assert_int_eq(facts_exec(db, "INSERT OR FAIL INTO x(offset, value) "
                                    "VALUES(1, 'b'), (2, 'c'), (0, 'd')"),
                     SQLITE_CONSTRAINT);
    ROWS(db, "SELECT group_concat(value, '') FROM x", "abc");
    ck_assert_int_eq(facts_exec(db, "INSERT OR ABORT INTO x(offset, value) "
                                    "VALUES(3, 'd'), (3, 'e')"),
                     SQLITE_CONSTRAINT);
    ROWS(db, "SELECT group_concat(value, '') FROM x", "abc");
    MUST(db, "INSERT OR IGNORE INTO x(offset, value) VALUES(3, 'd'), (3, 'e'), (4, 'f')");
    ROWS(db, "SELECT group_concat(value, '') FROM x", "abcdf");
    ck_assert_int_eq(facts_exec(db, "INSERT OR ROLLBACK INTO x(offset, value) "
                                    "VALUES(5, 'd'), (5, 'e')"),
                     SQLITE_CONSTRAINT);
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
    ROWS(db, "SELECT count(*) FROM x", "0");
    MUST(db, "INSERT INTO x(offset, value) VALUES(0, 'first')");
    ROWS(other, "SELECT offset, value FROM x", "0|first");
}
END_TEST

static int interrupt(void *calls)
{
    return --*(int *)calls < 0;
}

/* SQLite rolls an interrupted write back, in a transaction all of it; the log goes along. */
START_TEST(interrupted_statement)
{
    static const char sql[] = "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 2000) "
                              "INSERT INTO %s(value) SELECT printf('%%.*c', 1000, 'x') FROM c";

    append("0", 10);
    for (int i = 0; i < 20; i++) {
        int calls = i * 10;
        if (i % 2 == 1) {
            MUST(db, "BEGIN");
            append("a", 10);
        }
        sqlite3_progress_handler(db, 100, interrupt, &calls);
        ck_assert_int_eq(facts_exec(db, glue_text(sql, "x")), SQLITE_INTERRUPT);
        sqlite3_progress_handler(db, 0, NULL, NULL);
        agree(db);
        append("b", 10);
        if (sqlite3_get_autocommit(db) == 0)
            MUST(db, "COMMIT");
        agree(other);
    }
    agree_everywhere();
}
END_TEST

START_TEST(delete_that_would_leave_a_hole_takes_everything_back)
{
    for (int i = 0; i < 5; i++)
        append("a", 10);
    MUST(db, "BEGIN");
    both("DELETE FROM %s WHERE offset < 1");
    FAILS_WITH(db, "DELETE FROM x WHERE offset IN (1, 2, 4)", SQLITE_ERROR,
               "deleting offset 4 would leave a hole");
    agree(db);
    both("DELETE FROM %s WHERE offset <= 2");
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT min(offset), count(*) FROM x", "3|2");
}
END_TEST

/* ---- savepoints around what is already written ---- */

START_TEST(rollback_to_around_a_flush)
{
    append("0", 10);
    MUST(db, "BEGIN");
    append("a", 10);
    if (_i & 1)
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    MUST(db, "SAVEPOINT s");
    if (_i & 2)
        append("b", 10);
    if (_i & 4)
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    if (_i & 8)
        MUST(db, "INSERT INTO x(x) VALUES('rotate')");
    append("c", 10);
    MUST(db, "ROLLBACK TO s");
    agree(db);
    append("d", 10);
    agree(db);
    MUST(db, "RELEASE s; COMMIT");
    agree_everywhere();
    append("e", 10);
    agree_everywhere();
}
END_TEST

/* Every sync of a .log, by its path. SQLite calls the same function, so the linker exports it. */
static char synced[FACTS_TEXT_BYTES];

__attribute__((visibility("default"))) int fdatasync(int descriptor);
int fdatasync(int descriptor)
{
    char link[64], path[512] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    if (readlink(link, path, sizeof path - 1) > 4 && strstr(path, ".log") != NULL)
        strncat(synced, path + strlen(path) - 6, sizeof synced - strlen(synced) - 1);
    return (int)syscall(SYS_fdatasync, descriptor);
}

/* Each file that this connection's records stand in was synced. */
static void all_are_synced(void)
{
    sqlite3_stmt *files = glue_prepare(db, "SELECT substr(file, -6) FROM commitlog_segments('x')");
    int count = 0;

    while (sqlite3_step(files) == SQLITE_ROW) {
        HAS(synced, (const char *)sqlite3_column_text(files, 0));
        count++;
    }
    sqlite3_finalize(files);
    ck_assert_int_ge(count, 1);
}

/* A transaction that leaves records in two files syncs both before its COMMIT. */
START_TEST(every_file_of_a_transaction_is_synced)
{
    append("0", 10);
    all_are_synced();
    MUST(db, "DELETE FROM x; DELETE FROM t");
    MUST(db, "BEGIN");
    append("a", 10);
    MUST(db, "SAVEPOINT s");
    MUST(db, "INSERT INTO x(x) VALUES('flush')");
    MUST(db, "ROLLBACK TO s");
    append("b", 10);
    synced[0] = 0;
    MUST(db, "COMMIT");
    agree_everywhere();
    all_are_synced();
}
END_TEST

/* Descriptors do not pile up, whatever is done in a transaction. */
START_TEST(descriptors_do_not_pile_up)
{
    append("0", 10);
    int before = glue_descriptor_count();
    for (int i = 0; i < 20; i++) {
        if (i % 4 < 2) /* the next record starts a segment */
            both("DELETE FROM %s");
        MUST(db, "BEGIN");
        append("a", 10);
        MUST(db, "SAVEPOINT s");
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
        append("b", 10);
        MUST(db, "ROLLBACK TO s");
        append("c", 3000);
        MUST(db, "INSERT INTO x(x) VALUES('rotate')");
        append("d", 3000);
        MUST(db, i % 2 ? "COMMIT" : "ROLLBACK");
    }
    agree_everywhere();
    ck_assert_int_le(glue_descriptor_count(), before + 4);
}
END_TEST

/* ---- several logs, several databases ---- */

START_TEST(two_logs_and_a_table_are_one_transaction)
{
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096)");
    MUST(db, "BEGIN");
    append("a", 10);
    MUST(db, "INSERT INTO y(value) VALUES('1'), ('2')");
    ROWS(other,
         "SELECT (SELECT count(*) FROM x), (SELECT count(*) FROM y), "
         "(SELECT count(*) FROM t)",
         "0|0|0");
    MUST(db, "SAVEPOINT s");
    append("b", 10);
    MUST(db, "INSERT INTO y(value) SELECT value FROM x");
    MUST(db, "ROLLBACK TO s");
    ROWS(db, "SELECT (SELECT count(*) FROM x), (SELECT count(*) FROM y)", "1|2");
    MUST(db, "COMMIT");
    agree_everywhere();
    ROWS(other, "SELECT group_concat(value, '') FROM y", "12");
    MUST(db, "BEGIN; INSERT INTO y(value) VALUES('3'); INSERT INTO x(value) VALUES('lost')");
    FAILS_WITH(db, "INSERT OR ROLLBACK INTO x(offset, value) VALUES(0, 'no')", SQLITE_CONSTRAINT,
               "offset 0 given");
    agree_everywhere();
    ROWS(other, "SELECT group_concat(value, '') FROM y", "12");
}
END_TEST

START_TEST(attached_logs_are_one_transaction)
{
    MUST(db, glue_text("ATTACH %Q AS far", facts_path("far.db")));
    MUST(db, "CREATE VIRTUAL TABLE far.x USING commitlog; CREATE TABLE far.t(a)");
    MUST(db, "BEGIN");
    append("a", 10);
    MUST(db, "INSERT INTO far.x(value) VALUES('far'); INSERT INTO far.t VALUES(1); ROLLBACK");
    agree_everywhere();
    ROWS(db, "SELECT count(*) FROM far.x", "0");
    MUST(db, "BEGIN");
    append("a", 10);
    MUST(db, "INSERT INTO far.x(value) VALUES('far'); INSERT INTO far.t VALUES(1); COMMIT");
    agree_everywhere();
    sqlite3 *far = glue_open("far.db");
    ROWS(far, "SELECT offset, value, a FROM x, t", "0|far|1");
    glue_close(&far);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_transactions");
    TCase *commits = tcase_create("failed commits");
    TCase *statements = tcase_create("failed statements");
    TCase *savepoints = tcase_create("savepoints");
    TCase *several = tcase_create("several logs");

    tcase_add_checked_fixture(commits, setup, teardown);
    tcase_add_test(commits, busy_commit_is_retried);
    tcase_add_test(commits, busy_commit_is_retried_with_more_records);
    tcase_add_test(commits, busy_commit_then_rollback);
    tcase_add_loop_test(commits, busy_commit_then_rollback_to, 0, 16);
    tcase_add_loop_test(commits, busy_commit_then_everything_is_deleted, 0, 8);
    tcase_add_test(commits, commit_hook_turns_commit_into_rollback);
    tcase_add_test(commits, deferred_constraint_fails_commit);
    suite_add_tcase(suite, commits);
    tcase_add_checked_fixture(statements, setup, teardown);
    tcase_add_test(statements, failed_statement_takes_its_rows_back);
    tcase_add_test(statements, failed_statement_that_filled_segments_takes_them_back);
    tcase_add_test(statements, conflict_clauses_decide_what_a_failed_statement_leaves);
    tcase_add_test(statements, interrupted_statement);
    tcase_add_test(statements, delete_that_would_leave_a_hole_takes_everything_back);
    suite_add_tcase(suite, statements);
    tcase_add_checked_fixture(savepoints, setup, teardown);
    tcase_add_loop_test(savepoints, rollback_to_around_a_flush, 0, 16);
    tcase_add_test(savepoints, every_file_of_a_transaction_is_synced);
    tcase_add_test(savepoints, descriptors_do_not_pile_up);
    suite_add_tcase(suite, savepoints);
    tcase_add_checked_fixture(several, setup, teardown);
    tcase_add_test(several, two_logs_and_a_table_are_one_transaction);
    tcase_add_test(several, attached_logs_are_one_transaction);
    suite_add_tcase(suite, several);
    return suite;
}
