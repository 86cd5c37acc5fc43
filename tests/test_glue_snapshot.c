/*
 * Who sees what, and when: a transaction its own records and nobody else's, an open SELECT the end
 * it began with, a reader in WAL its snapshot, also when what it is to read has been trimmed since.
 * And who waits for whom: SQLITE_BUSY_SNAPSHOT, the busy handler.
 *
 * One process, several connections, in a fixed order. Real concurrency is that of processes.c.
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
    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
}

static void teardown(void)
{
    glue_close(&other);
    glue_close(&db);
    facts_teardown();
}

/* Records of 1000 bytes, so that three fill a segment; key and length tell whose they are. */
static void append(sqlite3 *conn, int count)
{
    MUST(conn, glue_text("WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                         "INSERT INTO x(key, value) SELECT 'k', printf('%%.*c', 1000, 'x') FROM c",
                         count));
}

static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

/* Step to the end; returns the rows, or minus the error code. Every row must be whole. */
static int rest_of(sqlite3_stmt *statement)
{
    int rows = 0, code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        ck_assert_int_eq(sqlite3_column_bytes(statement, 1), 1000);
        rows++;
    }
    return code == SQLITE_DONE ? rows : -code;
}

static sqlite3_stmt *select_started(sqlite3 *conn, const char *order)
{
    sqlite3_stmt *statement =
        glue_prepare(conn, glue_text("SELECT offset, value FROM x ORDER BY offset %s", order));

    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    return statement;
}

/* ---- an uncommitted transaction ---- */

START_TEST(own_records_are_seen_by_nobody_else)
{
    append(db, 2);
    MUST(db, "BEGIN");
    append(db, 1);
    append(db, 9);
    ROWS(db, summary, "12|0|11|12000");
    ROWS(other, summary, "2|0|1|2000");
    MUST(db, "INSERT INTO x(x) VALUES('flush')");
    append(db, 1);
    ROWS(db, summary, "13|0|12|13000");
    ROWS(db, "SELECT sum(length(value)) FROM x WHERE offset IN (0, 5, 12)", "3000");
    ROWS(db, "SELECT max(offset) FROM x", "12");
    ROWS(db, "SELECT offset FROM x ORDER BY offset DESC LIMIT 2", "12;11");
    ROWS(other, summary, "2|0|1|2000");
    ROWS(other, "SELECT sum(records) FROM commitlog_segments('x')", "2");
    MUST(db, "COMMIT");
    ROWS(other, summary, "13|0|12|13000");
}
END_TEST

START_TEST(own_trim_is_seen_by_nobody_else)
{
    append(db, 10);
    MUST(db, "BEGIN; INSERT INTO x(x, offset) VALUES('delete-records', 7)");
    ROWS(db, summary, "3|7|9|3000");
    ROWS(other, summary, "10|0|9|10000");
    MUST(db, "ROLLBACK");
    ROWS(db, summary, "10|0|9|10000");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 7)");
    ROWS(other, summary, "3|7|9|3000");
}
END_TEST

START_TEST(insert_from_itself_ends)
{
    append(db, 10);
    MUST(db, "INSERT INTO x(value) SELECT value FROM x");
    ROWS(db, summary, "20|0|19|20000");
    MUST(db, "BEGIN; INSERT INTO x(value) SELECT value FROM x ORDER BY offset DESC; COMMIT");
    ROWS(other, summary, "40|0|39|40000");
    ROWS(db, "SELECT count(commitlog_append('x', NULL, value)) FROM x", "40");
    ROWS(other, summary, "80|0|79|80000");
}
END_TEST

/* ---- an open SELECT ---- */

static const char *const orders[] = {"ASC", "DESC"};

START_TEST(open_select_keeps_its_end_while_its_connection_appends)
{
    append(db, 10);
    sqlite3_stmt *reading = select_started(db, orders[_i]);
    append(db, 10);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "BEGIN");
    append(db, 500);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "COMMIT");
    append(other, 10);
    ck_assert_int_eq(rest_of(reading), 7);
    sqlite3_finalize(reading);
    ROWS(db, summary, "530|0|529|530000");
}
END_TEST

START_TEST(open_select_sees_staged_records_through_the_commit)
{
    append(db, 2);
    MUST(db, "BEGIN");
    append(db, 2);
    sqlite3_stmt *reading = select_started(db, orders[_i]);
    append(db, 2);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "COMMIT");
    ck_assert_int_eq(rest_of(reading), 2);
    sqlite3_finalize(reading);
}
END_TEST

START_TEST(open_select_and_rollback)
{
    append(db, 4);
    MUST(db, "BEGIN");
    append(db, 4);
    sqlite3_stmt *reading = select_started(db, orders[_i]);
    append(db, 4);
    if (_i == 0) {
        MUST(db, "ROLLBACK");
        ck_assert_int_eq(rest_of(reading), 3);
    } else {
        /* Going down from offset 7: those that were rolled back are gone, the others stay. */
        MUST(db, "ROLLBACK");
        ck_assert_int_eq(rest_of(reading), 4);
    }
    sqlite3_finalize(reading);
    append(db, 1);
    ROWS(db, summary, "5|0|4|5000");
}
END_TEST

/* What another transaction then puts at the same offsets is not for the old SELECT. */
START_TEST(open_select_and_rollback_and_new_records)
{
    append(db, 4);
    MUST(db, "BEGIN");
    append(db, 4);
    sqlite3_stmt *reading = select_started(db, orders[_i]);
    MUST(db, "ROLLBACK");
    append(db, 20);
    ck_assert_int_eq(rest_of(reading), _i == 0 ? 3 : 4);
    sqlite3_finalize(reading);
}
END_TEST

START_TEST(open_select_and_rollback_to)
{
    append(db, 4);
    MUST(db, "BEGIN");
    append(db, 2);
    MUST(db, "SAVEPOINT s");
    append(db, 2);
    if (_i / 2 == 1)
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    sqlite3_stmt *reading = select_started(db, orders[_i % 2]);
    MUST(db, "ROLLBACK TO s");
    append(db, 2);
    ck_assert_int_eq(rest_of(reading), _i % 2 == 0 ? 5 : 6);
    sqlite3_finalize(reading);
    MUST(db, "COMMIT");
    ROWS(other, summary, "8|0|7|8000");
}
END_TEST

START_TEST(open_select_keeps_its_rows_while_its_connection_trims)
{
    append(db, 30);
    sqlite3_stmt *reading = select_started(db, orders[_i]);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 25)");
    ROWS(db, summary, "5|25|29|5000");
    append(db, 1);
    MUST(db, "BEGIN; DELETE FROM x WHERE offset < 28");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "COMMIT");
    ck_assert_int_eq(rest_of(reading), 28);
    sqlite3_finalize(reading);
    append(db, 1);
    append(db, 1);
    ROWS(db, summary, "5|28|32|5000");
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 6);
}
END_TEST

START_TEST(delete_through_an_open_select)
{
    append(db, 10);
    sqlite3_stmt *reading = glue_prepare(db, "SELECT offset, value FROM x");
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
        MUST(db, glue_text("DELETE FROM x WHERE offset = %d", sqlite3_column_int(reading, 0)));
        ck_assert_int_eq(sqlite3_column_bytes(reading, 1), 1000);
    }
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_DONE);
    sqlite3_finalize(reading);
    ROWS(db, summary, "0|null|null|null");
}
END_TEST

/* ---- snapshots of WAL ---- */

START_TEST(reader_keeps_its_snapshot_while_another_appends)
{
    append(db, 4);
    MUST(other, "BEGIN");
    ROWS(other, summary, "4|0|3|4000");
    append(db, 20);
    MUST(db, "INSERT INTO x(x) VALUES('rotate')");
    ROWS(other, summary, "4|0|3|4000");
    ROWS(other, "SELECT sum(records) FROM commitlog_segments('x')", "4");
    ROWS(other, "SELECT count(*) FROM x WHERE offset > 3", "0");
    MUST(other, "COMMIT");
    ROWS(other, summary, "24|0|23|24000");
}
END_TEST

/* One that is in the middle of a SELECT loses no row; the files go when it is done. */
START_TEST(running_select_over_trimmed_segments_returns_all_rows)
{
    append(db, 60);
    int files = glue_count("test.db-commitlog", ".log");
    sqlite3_stmt *reading = select_started(other, orders[_i]);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 50)");
    append(db, 1);
    ck_assert_int_gt(glue_count("test.db-commitlog", ".log"), files / 2);
    ck_assert_int_eq(rest_of(reading), 59);
    sqlite3_finalize(reading);
    append(db, 1);
    append(db, 1);
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 10);
    ROWS(other, summary, "13|50|62|13000");
    ROWS(db, "SELECT count(*) FROM x_dropped", "0");
}
END_TEST

/* Who trimmed is gone, the reader is done: a writer that has been here all along cleans up, at the
 * latest when it starts a segment. */
START_TEST(what_a_reader_held_up_goes_with_a_later_commit)
{
    append(db, 60);
    sqlite3_stmt *reading = select_started(_i == 0 ? db : other, "ASC");
    sqlite3 *third = glue_open("test.db");
    MUST(third, "INSERT INTO x(x, offset) VALUES('delete-records', 58)");
    glue_close(&third);
    ck_assert_int_eq(rest_of(reading), 59);
    sqlite3_finalize(reading);
    for (int i = 0; i < 5; i++)
        append(db, 1);
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 6);
    ROWS(other, summary, "7|58|64|7000");
}
END_TEST

/* The pin is for what the reader needs: segments below it may go at once. */
START_TEST(a_select_of_the_newest_records_pins_only_those)
{
    append(db, 60);
    sqlite3_stmt *reading = glue_prepare(other, "SELECT offset, value FROM x WHERE offset >= 55");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 50)");
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 6);
    ck_assert_int_eq(rest_of(reading), 4);
    sqlite3_finalize(reading);
}
END_TEST

#define TRIMMED "it was trimmed by retention after this snapshot of the database began"

/* A snapshot from before the trim that comes to the log after it: an error, never fewer rows. */
START_TEST(old_snapshot_that_comes_after_the_trim_gets_an_error)
{
    MUST(db, "CREATE TABLE t(a); INSERT INTO t VALUES(1)");
    append(db, 60);
    MUST(other, "BEGIN");
    ROWS(other, "SELECT a FROM t", "1");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 50)");
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 6);
    FAILS_WITH(other, "SELECT value FROM x", SQLITE_ERROR, TRIMMED);
    HAS(facts_error(), "offset 0: segment ");
    HAS(facts_error(), "00000000000000000000.log is missing");
    FAILS_WITH(other, "SELECT value FROM x WHERE offset = 7", SQLITE_ERROR, "offset 7: segment ");
    FAILS_WITH(other, "SELECT value FROM x ORDER BY offset DESC", SQLITE_ERROR, TRIMMED);
    ROWS(other, "SELECT count(value) FROM x WHERE offset >= 50", "10");
    ROWS(other, "SELECT a FROM t", "1");
    MUST(other, "COMMIT");
    ROWS(other, summary, "10|50|59|10000");
}
END_TEST

/* count(*) needs no file, and may tell what the snapshot holds; but then it tells all of it. */
START_TEST(old_snapshot_counts_all_or_nothing)
{
    append(db, 60);
    MUST(other, "BEGIN");
    ROWS(other, "SELECT count(*) FROM sqlite_schema WHERE name = 'x'", "1");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 50)");
    const char *answer = facts_query(other, "SELECT count(*) FROM x");
    ck_assert_msg(strcmp(answer, "60") == 0 || strstr(answer, TRIMMED) != NULL, "%s", answer);
    answer = facts_query(other, "SELECT group_concat(offset, '') FROM x WHERE offset < 5");
    ck_assert_msg(strcmp(answer, "01234") == 0 || strstr(answer, TRIMMED) != NULL, "%s", answer);
    MUST(other, "COMMIT");
}
END_TEST

START_TEST(old_snapshot_of_a_dropped_log_gets_an_error)
{
    append(db, 6);
    MUST(other, "BEGIN");
    ROWS(other, "SELECT count(*) FROM sqlite_schema WHERE name = 'x'", "1");
    MUST(db, "DROP TABLE x");
    FAILS_WITH(other, "SELECT value FROM x", SQLITE_CANTOPEN, "test.db-commitlog/");
    MUST(other, "COMMIT");
    FAILS(other, "SELECT value FROM x", SQLITE_ERROR, "no such table: x");
}
END_TEST

/* Two statements of one transaction: the second still reads what the first read. */
START_TEST(second_statement_of_an_old_snapshot)
{
    append(db, 30);
    MUST(other, "BEGIN");
    ROWS(other, summary, "30|0|29|30000");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 25)");
    const char *answer = facts_query(other, summary);
    ck_assert_msg(strcmp(answer, "30|0|29|30000") == 0 || strstr(answer, TRIMMED) != NULL, "%s",
                  answer);
    MUST(other, "COMMIT");
    ROWS(other, summary, "5|25|29|5000");
}
END_TEST

/* ---- locks ---- */

START_TEST(busy_snapshot_stages_nothing)
{
    append(db, 2);
    MUST(other, "BEGIN");
    ROWS(other, summary, "2|0|1|2000");
    append(db, 1);
    ck_assert_int_eq(facts_exec(other, "INSERT INTO x(value) VALUES('late')"),
                     SQLITE_BUSY_SNAPSHOT);
    ck_assert_int_eq(facts_exec(other, "DELETE FROM x"), SQLITE_BUSY_SNAPSHOT);
    ck_assert_int_eq(facts_exec(other, "INSERT INTO x(x) VALUES('rotate')"), SQLITE_BUSY_SNAPSHOT);
    ROWS(other, summary, "2|0|1|2000");
    if (_i == 0)
        MUST(other, "COMMIT");
    else
        MUST(other, "ROLLBACK");
    ROWS(other, summary, "3|0|2|3000");
    append(other, 1);
    ROWS(db, summary, "4|0|3|4000");
    MUST(other, "BEGIN IMMEDIATE");
    ROWS(other, summary, "4|0|3|4000");
    append(other, 1);
    MUST(other, "COMMIT");
    ROWS(db, summary, "5|0|4|5000");
}
END_TEST

/* A busy handler that, the second time it is asked, lets the lock go. */
typedef struct {
    sqlite3 *holder;
    const char *release;
    int calls;
} patience;

static int be_patient(void *argument, int calls)
{
    patience *with = argument;

    with->calls++;
    if (calls == 1)
        MUST(with->holder, with->release);
    return 1;
}

START_TEST(busy_handler_is_asked)
{
    patience with = {db, "COMMIT", 0};

    MUST(db, "BEGIN");
    append(db, 3);
    ck_assert_int_eq(facts_exec(other, "INSERT INTO x(value) VALUES('no')"), SQLITE_BUSY);
    ck_assert_int_eq(facts_exec(other, "BEGIN IMMEDIATE"), SQLITE_BUSY);
    sqlite3_busy_handler(other, be_patient, &with);
    append(other, 1);
    ck_assert_int_eq(with.calls, 2);
    ROWS(db, summary, "4|0|3|4000");
}
END_TEST

/* The COMMIT in a rollback-journal mode that waits for a reader: xSync has run already. */
START_TEST(busy_handler_is_asked_in_commit)
{
    patience with = {other, "COMMIT", 0};

    glue_journal(db, "delete");
    append(db, 1);
    MUST(other, "BEGIN");
    ROWS(other, summary, "1|0|0|1000");
    sqlite3_busy_handler(db, be_patient, &with);
    append(db, 5);
    ck_assert_int_eq(with.calls, 2);
    ROWS(other, summary, "6|0|5|6000");
}
END_TEST

/* In a rollback-journal mode a reader holds up the writer's commit, and nobody sees half of it. */
START_TEST(rollback_journal_modes_lock_as_sqlite_documents)
{
    glue_journal(db, "delete");
    MUST(db, "CREATE TABLE t(a)");
    append(db, 1);
    MUST(db, "BEGIN");
    append(db, 5);
    MUST(db, "INSERT INTO t VALUES(1)");
    ROWS(other, summary, "1|0|0|1000");
    sqlite3_stmt *reading = select_started(other, "ASC");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    /* PENDING: those who read go on, nobody else begins. */
    sqlite3 *third = glue_open("test.db");
    ck_assert_int_eq(facts_exec(third, "SELECT * FROM x"), SQLITE_BUSY);
    ck_assert_int_eq(rest_of(reading), 0);
    sqlite3_finalize(reading);
    MUST(db, "COMMIT");
    ROWS(third, summary, "6|0|5|6000");
    ROWS(third, "SELECT count(*) FROM t", "1");
    glue_close(&third);
}
END_TEST

/* In WAL neither waits for the other. */
START_TEST(wal_readers_and_writer_do_not_wait)
{
    append(db, 4);
    sqlite3_stmt *reading = select_started(other, "ASC");
    MUST(db, "BEGIN IMMEDIATE");
    append(db, 4);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    sqlite3 *third = glue_open("test.db");
    ROWS(third, summary, "4|0|3|4000");
    MUST(db, "COMMIT");
    ROWS(third, summary, "8|0|7|8000");
    glue_close(&third);
    ck_assert_int_eq(rest_of(reading), 2);
    sqlite3_finalize(reading);
}
END_TEST

START_TEST(exclusive_locking_mode_works)
{
    glue_close(&other);
    ROWS(db, "PRAGMA locking_mode = EXCLUSIVE", "exclusive");
    append(db, 10);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 8)");
    append(db, 1);
    ROWS(db, summary, "3|8|10|3000");
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 4);
    glue_journal(db, "delete");
    append(db, 1);
    ROWS(db, summary, "4|8|11|4000");
    ROWS(db, "PRAGMA locking_mode = NORMAL", "normal");
    ROWS(db, summary, "4|8|11|4000");
    other = glue_open("test.db");
    ROWS(other, summary, "4|8|11|4000");
}
END_TEST

/* The oldest segments are mapped already, from an earlier statement; that they can be read must not
 * hide that those behind them are gone. The statement fails before its first row, not amid them. */
START_TEST(mapped_segments_do_not_hide_a_trim)
{
    append(db, 30);
    ROWS(db, summary, "30|0|29|30000");
    MUST(db, "CREATE TABLE t(a); BEGIN; SELECT count(*) FROM t");
    MUST(other, "INSERT INTO x(x, offset) VALUES('delete-records', 25)");
    ck_assert_int_lt(glue_count("test.db-commitlog", ".log"), 4);
    sqlite3_stmt *statement =
        glue_prepare(db, _i == 0 ? "SELECT offset, value FROM x"
                                 : "SELECT offset, value FROM x ORDER BY offset DESC");
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ERROR);
    HAS(sqlite3_errmsg(db), TRIMMED);
    sqlite3_finalize(statement);
    /* One record that is mapped is still there to be read. */
    ROWS(db, "SELECT offset, length(value) FROM x WHERE offset = 0", "0|1000");
    MUST(db, "COMMIT");
    ROWS(db, summary, "5|25|29|5000");
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_snapshot");
    TCase *own = tcase_create("own transaction");
    TCase *selects = tcase_create("open SELECT");
    TCase *snapshots = tcase_create("snapshots");
    TCase *locks = tcase_create("locks");

    tcase_add_checked_fixture(own, setup, teardown);
    tcase_add_test(own, own_records_are_seen_by_nobody_else);
    tcase_add_test(own, own_trim_is_seen_by_nobody_else);
    tcase_add_test(own, insert_from_itself_ends);
    suite_add_tcase(suite, own);
    tcase_add_checked_fixture(selects, setup, teardown);
    tcase_add_loop_test(selects, open_select_keeps_its_end_while_its_connection_appends, 0, 2);
    tcase_add_loop_test(selects, open_select_sees_staged_records_through_the_commit, 0, 2);
    tcase_add_loop_test(selects, open_select_and_rollback, 0, 2);
    tcase_add_loop_test(selects, open_select_and_rollback_and_new_records, 0, 2);
    tcase_add_loop_test(selects, open_select_and_rollback_to, 0, 4);
    tcase_add_loop_test(selects, open_select_keeps_its_rows_while_its_connection_trims, 0, 2);
    tcase_add_test(selects, delete_through_an_open_select);
    suite_add_tcase(suite, selects);
    tcase_add_checked_fixture(snapshots, setup, teardown);
    tcase_add_test(snapshots, reader_keeps_its_snapshot_while_another_appends);
    tcase_add_loop_test(snapshots, mapped_segments_do_not_hide_a_trim, 0, 2);
    tcase_add_loop_test(snapshots, running_select_over_trimmed_segments_returns_all_rows, 0, 2);
    tcase_add_loop_test(snapshots, what_a_reader_held_up_goes_with_a_later_commit, 0, 2);
    tcase_add_test(snapshots, a_select_of_the_newest_records_pins_only_those);
    tcase_add_test(snapshots, old_snapshot_that_comes_after_the_trim_gets_an_error);
    tcase_add_test(snapshots, old_snapshot_counts_all_or_nothing);
    tcase_add_test(snapshots, old_snapshot_of_a_dropped_log_gets_an_error);
    tcase_add_test(snapshots, second_statement_of_an_old_snapshot);
    suite_add_tcase(suite, snapshots);
    tcase_add_checked_fixture(locks, setup, teardown);
    tcase_add_loop_test(locks, busy_snapshot_stages_nothing, 0, 2);
    tcase_add_test(locks, busy_handler_is_asked);
    tcase_add_test(locks, busy_handler_is_asked_in_commit);
    tcase_add_test(locks, rollback_journal_modes_lock_as_sqlite_documents);
    tcase_add_test(locks, wal_readers_and_writer_do_not_wait);
    tcase_add_test(locks, exclusive_locking_mode_works);
    suite_add_tcase(suite, locks);
    return suite;
}
