/*
 * Changes of the schema inside a transaction that also appends: a second instance of the table
 * while the first still takes part, RENAME and DROP and their way back by ROLLBACK and ROLLBACK TO,
 * with records staged before and after; also in an attached database, and where the main database
 * cannot be written.
 *
 * What DROP does to files in autocommit is the business of sql/drop.sql.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <string.h>

static sqlite3 *db;
static sqlite3 *other;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    other = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
}

static void teardown(void)
{
    glue_close(&other);
    glue_close(&db);
    facts_teardown();
}

/* Append a record of 1000 bytes, so that a few fill a segment, that begins with these letters. */
static void append(const char *table, const char *letters)
{
    MUST(db,
         glue_text("INSERT INTO %s(value) VALUES(printf('%s%%.*c', 1000, '.'))", table, letters));
}

#define LETTERS(table) "SELECT group_concat(offset || rtrim(value, '.'), ' ') FROM " table

static void everywhere(const char *sql, const char *expected)
{
    ROWS(db, sql, expected);
    ROWS(other, sql, expected);
    sqlite3 *fresh = glue_open("test.db");
    ROWS(fresh, sql, expected);
    glue_close(&fresh);
}

/* ---- two instances ---- */

START_TEST(schema_change_and_rollback_to)
{
    append("x", "a");
    MUST(db, "BEGIN");
    append("x", "b");
    MUST(db, "SAVEPOINT s");
    if (_i & 1)
        append("x", "c");
    MUST(db, "CREATE TABLE foo(a)");
    if (_i & 2)
        append("x", "d");
    MUST(db, "ROLLBACK TO s");
    ROWS(db, LETTERS("x"), "0a 1b");
    append("x", "e");
    ROWS(db, LETTERS("x"), "0a 1b 2e");
    ROWS(other, LETTERS("x"), "0a");
    MUST(db, "COMMIT");
    everywhere(LETTERS("x"), "0a 1b 2e");
}
END_TEST

START_TEST(schema_change_that_stays)
{
    MUST(db, "BEGIN");
    append("x", "a");
    MUST(db, "CREATE TABLE foo(a)");
    append("x", "b");
    MUST(db, "SAVEPOINT s; DROP TABLE foo");
    append("x", "c");
    if (_i & 1)
        MUST(db, "ROLLBACK TO s");
    MUST(db, "CREATE TABLE bar(a)");
    append("x", "d");
    if (_i & 2) {
        MUST(db, "ROLLBACK");
        everywhere("SELECT count(*) FROM x", "0");
    } else {
        MUST(db, "COMMIT");
        everywhere(LETTERS("x"), _i & 1 ? "0a 1b 2d" : "0a 1b 2c 3d");
    }
    append("x", "e");
    ROWS(other, "SELECT max(offset) FROM x", _i & 2 ? "0" : _i & 1 ? "3" : "4");
}
END_TEST

/* Both instances are told of the rollback, after records have been written to the segment. */
START_TEST(two_instances_and_written_records)
{
    append("x", "a");
    MUST(db, "BEGIN");
    append("x", "b");
    MUST(db, "CREATE TABLE foo(a)");
    append("x", "c");
    MUST(db, "SAVEPOINT s");
    append("x", "d");
    MUST(db, "INSERT INTO x(x) VALUES('flush')");
    append("x", "e");
    MUST(db, "ROLLBACK TO s");
    ROWS(db, LETTERS("x"), "0a 1b 2c");
    append("x", "f");
    MUST(db, "INSERT INTO x(x) VALUES('flush'); ROLLBACK TO s");
    append("x", "g");
    append("x", "h");
    MUST(db, "COMMIT");
    everywhere(LETTERS("x"), "0a 1b 2c 3g 4h");
}
END_TEST

START_TEST(create_and_fill_in_one_transaction)
{
    MUST(db, "BEGIN; CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096)");
    append("y", "a");
    MUST(db, "SAVEPOINT s");
    append("y", "b");
    MUST(db, "ROLLBACK TO s");
    append("y", "c");
    if (_i == 0) {
        MUST(db, "COMMIT");
        everywhere(LETTERS("y"), "0a 1c");
    } else {
        MUST(db, "ROLLBACK");
        FAILS(db, "SELECT * FROM y", SQLITE_ERROR, "no such table: y");
        MUST(db, "CREATE VIRTUAL TABLE y USING commitlog");
        append("y", "d");
        everywhere(LETTERS("y"), "0d");
    }
}
END_TEST

START_TEST(create_taken_back_by_rollback_to)
{
    MUST(db, "BEGIN; SAVEPOINT s; CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096)");
    append("y", "a");
    append("x", "b");
    MUST(db, "INSERT INTO y(y) VALUES('flush'); ROLLBACK TO s");
    append("x", "c");
    FAILS(db, "SELECT * FROM y", SQLITE_ERROR, "no such table: y");
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096)");
    append("y", "d");
    MUST(db, "COMMIT");
    everywhere(LETTERS("x"), "0c");
    everywhere(LETTERS("y"), "0d");
}
END_TEST

/* ---- RENAME ---- */

START_TEST(rename_with_staged_records)
{
    append("x", "a");
    MUST(db, "BEGIN");
    append("x", "b");
    MUST(db, "ALTER TABLE x RENAME TO y");
    append("y", "c");
    ROWS(db, LETTERS("y"), "0a 1b 2c");
    if (_i == 0) {
        MUST(db, "COMMIT");
        everywhere(LETTERS("y"), "0a 1b 2c");
        MUST(db, "INSERT INTO y(y) VALUES('rotate')");
        ROWS(other, "SELECT sum(records) FROM commitlog_segments('y')", "3");
        FAILS(other, "SELECT * FROM x", SQLITE_ERROR, "no such table: x");
    } else {
        MUST(db, "ROLLBACK");
        everywhere(LETTERS("x"), "0a");
        append("x", "d");
        everywhere(LETTERS("x"), "0a 1d");
        ROWS(db, "SELECT commitlog_append('x', NULL, 'e')", "2");
    }
}
END_TEST

START_TEST(rename_taken_back_by_rollback_to)
{
    append("x", "a");
    MUST(db, "BEGIN");
    append("x", "b");
    MUST(db, "SAVEPOINT s");
    if (_i & 1)
        append("x", "c");
    MUST(db, "ALTER TABLE x RENAME TO y");
    if (_i & 2)
        append("y", "d");
    if (_i & 4)
        MUST(db, "INSERT INTO y(y) VALUES('trim'); SELECT * FROM commitlog_segments('y')");
    MUST(db, "ROLLBACK TO s");
    ROWS(db, LETTERS("x"), "0a 1b");
    append("x", "e");
    ROWS(db, "SELECT sum(records) >= 1 FROM commitlog_segments('x')", "1");
    MUST(db, "COMMIT");
    everywhere(LETTERS("x"), "0a 1b 2e");
    append("x", "f");
    everywhere(LETTERS("x"), "0a 1b 2e 3f");
}
END_TEST

START_TEST(two_logs_exchange_their_names)
{
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog");
    append("x", "a");
    append("y", "b");
    MUST(db, "BEGIN");
    append("x", "c");
    append("y", "d");
    MUST(db, "ALTER TABLE x RENAME TO z; ALTER TABLE y RENAME TO x; ALTER TABLE z RENAME TO y");
    append("x", "e");
    append("y", "f");
    if (_i == 0) {
        MUST(db, "COMMIT");
        everywhere(LETTERS("x"), "0b 1d 2e");
        everywhere(LETTERS("y"), "0a 1c 2f");
    } else {
        MUST(db, "ROLLBACK");
        everywhere(LETTERS("x"), "0a");
        everywhere(LETTERS("y"), "0b");
    }
    append("x", "g");
    append("y", "h");
    everywhere("SELECT (" LETTERS("x") "), (" LETTERS("y") ")",
               _i == 0 ? "0b 1d 2e 3g|0a 1c 2f 3h" : "0a 1g|0b 1h");
}
END_TEST

/* ---- DROP ---- */

START_TEST(drop_taken_back_by_rollback_to)
{
    append("x", "a");
    MUST(db, "BEGIN");
    if (_i & 1)
        append("x", "b");
    if (_i & 2)
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    MUST(db, "SAVEPOINT s");
    if (_i & 4)
        append("x", "c");
    MUST(db, "DROP TABLE x; ROLLBACK TO s");
    ROWS(db, LETTERS("x"), _i & 1 ? "0a 1b" : "0a");
    append("x", "d");
    MUST(db, _i & 8 ? "RELEASE s; COMMIT" : "COMMIT");
    everywhere(LETTERS("x"), _i & 1 ? "0a 1b 2d" : "0a 1d");
    append("x", "e");
    everywhere("SELECT max(offset) FROM x", _i & 1 ? "3" : "2");
    ck_assert_int_eq(glue_count("test.db-commitlog", "DROPPED"), 0);
}
END_TEST

/* Nothing is appended after it came back: the COMMIT must bring what was staged before. */
START_TEST(drop_taken_back_keeps_what_was_staged)
{
    MUST(db, "BEGIN");
    append("x", "a");
    MUST(db, "SAVEPOINT s; DROP TABLE x; ROLLBACK TO s; COMMIT");
    everywhere(LETTERS("x"), "0a");
}
END_TEST

START_TEST(nested_savepoints_around_drop)
{
    MUST(db, "BEGIN");
    append("x", "a");
    MUST(db, "SAVEPOINT one");
    append("x", "b");
    MUST(db, "SAVEPOINT two; DROP TABLE x; SAVEPOINT three; CREATE TABLE foo(a)");
    switch (_i) {
    case 0:
        MUST(db, "ROLLBACK TO three; ROLLBACK TO two");
        append("x", "c");
        MUST(db, "COMMIT");
        everywhere(LETTERS("x"), "0a 1b 2c");
        break;
    case 1:
        MUST(db, "RELEASE three; RELEASE two; ROLLBACK TO one");
        append("x", "c");
        MUST(db, "COMMIT");
        everywhere(LETTERS("x"), "0a 1c");
        break;
    case 2:
        MUST(db, "ROLLBACK TO three; COMMIT");
        FAILS(other, "SELECT * FROM x", SQLITE_ERROR, "no such table: x");
        ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 0);
        break;
    default:
        MUST(db, "ROLLBACK TO two; DROP TABLE x; ROLLBACK TO one; DROP TABLE x; ROLLBACK");
        everywhere("SELECT count(*) FROM x", "0");
        append("x", "c");
        everywhere(LETTERS("x"), "0c");
    }
}
END_TEST

START_TEST(dropped_and_created_again_in_one_transaction)
{
    append("x", "a");
    MUST(db, "BEGIN");
    append("x", "b");
    MUST(db, "DROP TABLE x; CREATE VIRTUAL TABLE x USING commitlog");
    append("x", "c");
    ROWS(db, LETTERS("x"), "0c");
    ROWS(other, LETTERS("x"), "0a");
    if (_i == 0) {
        MUST(db, "COMMIT");
        everywhere(LETTERS("x"), "0c");
        ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
    } else {
        MUST(db, "ROLLBACK");
        everywhere(LETTERS("x"), "0a");
        append("x", "d");
        everywhere(LETTERS("x"), "0a 1d");
    }
}
END_TEST

/* The COMMIT of a DROP is BUSY: the files stay until one succeeds, or for good. */
START_TEST(busy_commit_of_a_drop)
{
    append("x", "a");
    sqlite3_stmt *reading = glue_prepare(other, "SELECT name FROM sqlite_schema");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "BEGIN; DROP TABLE x");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
    ROWS(other, LETTERS("x"), "0a");
    sqlite3_finalize(reading);
    if (_i == 0) {
        MUST(db, "COMMIT");
        ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
    } else {
        MUST(db, "ROLLBACK");
        everywhere(LETTERS("x"), "0a");
        append("x", "b");
        everywhere(LETTERS("x"), "0a 1b");
    }
}
END_TEST

START_TEST(drop_while_another_connection_reads)
{
    glue_journal(db, "wal");
    for (int i = 0; i < 20; i++)
        append("x", "a");
    sqlite3_stmt *reading = glue_prepare(other, "SELECT value FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "DROP TABLE x");
    int rows = 1;
    while (sqlite3_step(reading) == SQLITE_ROW)
        rows += sqlite3_column_bytes(reading, 0) == 1001;
    ck_assert_int_eq(rows, 20);
    sqlite3_finalize(reading);
    /* What the reader held up, a later writer removes. */
    ck_assert_int_gt(glue_count("test.db-commitlog", ".log"), 0);
    sqlite3 *fresh = glue_open("test.db");
    MUST(fresh, "CREATE VIRTUAL TABLE y USING commitlog; INSERT INTO y(value) VALUES('b')");
    ROWS(fresh, "SELECT value FROM y", "b");
    glue_close(&fresh);
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
}
END_TEST

START_TEST(drop_with_own_running_select_is_refused_by_sqlite)
{
    append("x", "a");
    append("x", "b");
    sqlite3_stmt *reading = glue_prepare(db, "SELECT value FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_int_eq(facts_exec(db, "DROP TABLE x"), SQLITE_LOCKED);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_DONE);
    sqlite3_finalize(reading);
    MUST(db, "DROP TABLE x");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
}
END_TEST

/* ---- attached databases ---- */

static void attach(void)
{
    MUST(db, glue_text("ATTACH %Q AS far", facts_path("far.db")));
    MUST(db, "CREATE VIRTUAL TABLE far.y USING commitlog(file_delete_delay_ms=0)");
    append("far.y", "a");
}

START_TEST(drop_in_an_attached_database)
{
    attach();
    MUST(db, "BEGIN");
    append("far.y", "b");
    MUST(db, "SAVEPOINT s; DROP TABLE far.y; ROLLBACK TO s");
    append("y", "c");
    MUST(db, "COMMIT");
    ROWS(db, LETTERS("far.y"), "0a 1b 2c");
    MUST(db, "BEGIN; DROP TABLE far.y; ROLLBACK");
    ROWS(db, LETTERS("far.y"), "0a 1b 2c");
    MUST(db, "BEGIN; DROP TABLE y; COMMIT");
    ck_assert_int_eq(glue_count("far.db-commitlog", ""), 0);
    FAILS(db, "SELECT * FROM far.y", SQLITE_ERROR, "no such table: far.y");
}
END_TEST

/* The main database cannot be written. What the transaction has appended would be lost if the drop
 * were taken back, so it is refused; without that, it works. */
START_TEST(drop_where_main_is_locked_or_read_only)
{
    sqlite3 *first = db;

    MUST(db, "CREATE TABLE t(a)");
    if (_i % 2 == 0) {
        MUST(other, "BEGIN IMMEDIATE");
    } else {
        db = glue_open_uri(glue_text("file:%s?mode=ro", facts_path("test.db")),
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    }
    attach();
    MUST(db, "BEGIN");
    append("far.y", "b");
    FAILS(db, "DROP TABLE far.y", _i % 2 == 0 ? SQLITE_BUSY : SQLITE_READONLY,
          _i % 2 == 0 ? "database is locked" : "attempt to write a readonly database");
    MUST(db, "COMMIT");
    if (_i / 2 == 0) {
        ROWS(db, LETTERS("far.y"), "0a 1b");
        append("far.y", "c");
        ROWS(db, LETTERS("far.y"), "0a 1b 2c");
    } else {
        MUST(db, "DROP TABLE far.y");
        MUST(db, "CREATE VIRTUAL TABLE far.y USING commitlog(file_delete_delay_ms=0)");
        append("far.y", "d");
        ROWS(db, LETTERS("far.y"), "0d");
        /* The files of the dropped one went, at the latest with this commit. */
        ck_assert_int_eq(glue_count("far.db-commitlog", ".log"), 1);
    }
    if (_i % 2 == 0)
        MUST(other, "ROLLBACK");
    else
        glue_close(&db);
    db = first;
}
END_TEST

START_TEST(detach_and_attach_under_another_name)
{
    attach();
    MUST(db, "DETACH far");
    MUST(db, glue_text("ATTACH %Q AS near", facts_path("far.db")));
    append("near.y", "b");
    ROWS(db, LETTERS("near.y"), "0a 1b");
    ROWS(db, "SELECT commitlog_append('near.y', NULL, 'c')", "2");
    MUST(db, "BEGIN");
    append("near.y", "d");
    FAILS_WITH(db, "DETACH near", SQLITE_ERROR, "database near is locked");
    MUST(db, "COMMIT; DETACH near");
    sqlite3 *far = glue_open("far.db");
    ROWS(far, LETTERS("y"), "0a 1b 2c 3d");
    glue_close(&far);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_schema");
    TCase *instances = tcase_create("instances");
    TCase *rename = tcase_create("rename");
    TCase *drop = tcase_create("drop");
    TCase *attached = tcase_create("attached");

    tcase_add_checked_fixture(instances, setup, teardown);
    tcase_add_loop_test(instances, schema_change_and_rollback_to, 0, 4);
    tcase_add_loop_test(instances, schema_change_that_stays, 0, 4);
    tcase_add_test(instances, two_instances_and_written_records);
    tcase_add_loop_test(instances, create_and_fill_in_one_transaction, 0, 2);
    tcase_add_test(instances, create_taken_back_by_rollback_to);
    suite_add_tcase(suite, instances);
    tcase_add_checked_fixture(rename, setup, teardown);
    tcase_add_loop_test(rename, rename_with_staged_records, 0, 2);
    tcase_add_loop_test(rename, rename_taken_back_by_rollback_to, 0, 8);
    tcase_add_loop_test(rename, two_logs_exchange_their_names, 0, 2);
    suite_add_tcase(suite, rename);
    tcase_add_checked_fixture(drop, setup, teardown);
    tcase_add_loop_test(drop, drop_taken_back_by_rollback_to, 0, 16);
    tcase_add_test(drop, drop_taken_back_keeps_what_was_staged);
    tcase_add_loop_test(drop, nested_savepoints_around_drop, 0, 4);
    tcase_add_loop_test(drop, dropped_and_created_again_in_one_transaction, 0, 2);
    tcase_add_loop_test(drop, busy_commit_of_a_drop, 0, 2);
    tcase_add_test(drop, drop_while_another_connection_reads);
    tcase_add_test(drop, drop_with_own_running_select_is_refused_by_sqlite);
    suite_add_tcase(suite, drop);
    tcase_add_checked_fixture(attached, setup, teardown);
    tcase_add_test(attached, drop_in_an_attached_database);
    tcase_add_loop_test(attached, drop_where_main_is_locked_or_read_only, 0, 4);
    tcase_add_test(attached, detach_and_attach_under_another_name);
    suite_add_tcase(suite, attached);
    return suite;
}
