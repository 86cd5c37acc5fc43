/*
 * Retention through SQLite's C API: limits by bytes, age and records, at a rotation and by command;
 * delete-records and DELETE; all of it taken back by savepoints and ROLLBACK; when files go, and
 * that the disk is free then. Nothing goes unasked.
 *
 * Readers of trimmed segments are the business of test_glue_snapshot.c.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "driver.h"
#include "glue.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static sqlite3 *db;

static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
}

static void teardown(void)
{
    glue_close(&db);
    facts_teardown();
}

/* Segments of 4 KiB that hold three records of these, and files that go at once. */
static void create(const char *options)
{
    MUST(db, glue_text("CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, "
                       "file_delete_delay_ms=0%s%s)",
                       options[0] != '\0' ? ", " : "", options));
}

static const char *records(int64_t timestamp, int count)
{
    return glue_text("WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                     "INSERT INTO x(timestamp, value) SELECT %lld, printf('%%.*c', 1000, 'x') "
                     "FROM c",
                     count, timestamp);
}

static void append(int count)
{
    MUST(db, records(0, count));
}

static int files(void)
{
    return glue_count("test.db-commitlog", ".log");
}

static void trim(void)
{
    MUST(db, "INSERT INTO x(x) VALUES('trim')");
}

/* ---- limits ---- */

START_TEST(nothing_goes_unasked)
{
    create("");
    MUST(db, records(1, 300)); /* of 1970 */
    for (int i = 0; i < 10; i++) {
        trim();
        MUST(db, "INSERT INTO x(x) VALUES('rotate')");
        append(3);
    }
    ROWS(db, summary, "330|0|329|330000");
    ck_assert_int_eq(files(), 110);
}
END_TEST

START_TEST(limit_by_records)
{
    create("retention_records=10");
    append(12);
    append(12);
    /* Whole segments only, and never below the limit. */
    int64_t kept = glue_integer(db, "SELECT count(*) FROM x");
    ck_assert_int_ge(kept, 10);
    ck_assert_int_lt(kept, 10 + 3);
    ROWS(db, "SELECT max(offset) FROM x", "23");
    append(1);
    ck_assert_int_le(files(), 5);
    for (int i = 0; i < 50; i++)
        append(1);
    kept = glue_integer(db, "SELECT count(*) FROM x");
    ck_assert_int_ge(kept, 10);
    ck_assert_int_lt(kept, 10 + 3);
    ROWS(db, "SELECT max(offset), count(value) - count(*) FROM x", "74|0");
    ck_assert_int_le(files(), 5);
}
END_TEST

START_TEST(limit_by_bytes)
{
    create("retention_bytes='20KiB'");
    append(60);
    int64_t bytes = glue_integer(db, "SELECT sum(bytes) FROM commitlog_segments('x')");
    ck_assert_int_ge(bytes, 20480);
    ck_assert_int_lt(bytes, 20480 + 4096);
    ck_assert_int_lt(glue_disk_bytes("test.db-commitlog"), 2 * (20480 + 4096) + 65536);
    ROWS(db, "SELECT max(offset), count(value) - count(*) FROM x", "59|0");
    ck_assert_int_gt(glue_integer(db, "SELECT min(offset) FROM x"), 0);
}
END_TEST

/* By a segment's greatest timestamp: one young record keeps its whole segment. */
START_TEST(limit_by_age)
{
    create("retention_ms='1h'");
    int64_t now = driver_wall_ms(), hour = 3600000;
    MUST(db, "BEGIN");
    MUST(db, records(now - 2 * hour, 3));
    MUST(db, records(now - 2 * hour, 2));
    MUST(db, records(now, 1));
    MUST(db, records(now - 2 * hour, 3));
    MUST(db, "COMMIT");
    trim();
    ROWS(db, summary, "6|3|8|6000");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 6)");
    trim();
    /* The active segment, too, when all of it is old. */
    ROWS(db, summary, "0|null|null|null");
    MUST(db, "INSERT INTO x(offset, value) VALUES(9, 'young')");
    trim();
    ROWS(db, "SELECT offset, value FROM x", "9|young");
    ck_assert_int_eq(files(), 1);
}
END_TEST

/* At a rotation, without a command; and in the transaction that rotates. */
START_TEST(limits_apply_at_a_rotation)
{
    create("retention_records=1");
    append(3);
    ROWS(db, summary, "3|0|2|3000");
    MUST(db, "BEGIN");
    append(1);
    MUST(db, "ROLLBACK");
    ROWS(db, summary, "3|0|2|3000");
    append(1);
    ROWS(db, summary, "1|3|3|1000");
    ck_assert_int_eq(files(), 1);
}
END_TEST

START_TEST(several_limits_at_once)
{
    create("retention_records=100, retention_bytes='1MiB', retention_ms='1d'");
    MUST(db, records(driver_wall_ms(), 30));
    ROWS(db, summary, "30|0|29|30000");
    MUST(db, records(driver_wall_ms(), 90));
    ck_assert_int_lt(glue_integer(db, "SELECT count(*) FROM x"), 103);
    ck_assert_int_ge(glue_integer(db, "SELECT count(*) FROM x"), 100);
}
END_TEST

/* A segment that is trimmed and left in one transaction; one transaction larger than the limit. */
START_TEST(transaction_larger_than_the_limit)
{
    create("retention_records=10");
    append(1000);
    ROWS(db, "SELECT count(*) BETWEEN 10 AND 12, max(offset), count(value) = count(*) FROM x",
         "1|999|1");
    append(1);
    ck_assert_int_le(files(), 5);
}
END_TEST

/* ---- commands, taken back ---- */

START_TEST(rollback_brings_back_what_was_trimmed)
{
    static const char *const commands[] = {
        "INSERT INTO x(x) VALUES('trim')",
        "INSERT INTO x(x, offset) VALUES('delete-records', 20)",
        "INSERT INTO x(x, offset) VALUES('delete-records', 30)",
        "DELETE FROM x WHERE offset < 20",
        "DELETE FROM x",
    };

    create("retention_records=5");
    MUST(db, "BEGIN"); /* nothing is trimmed yet: these are the records to be kept */
    append(30);
    MUST(db, "ROLLBACK; DROP TABLE x");
    create(_i == 0 ? "retention_records=30" : "");
    append(30);
    MUST(db, "BEGIN; SAVEPOINT s");
    MUST(db, commands[_i]);
    append(2);
    if (_i > 0)
        ck_assert_int_gt(glue_integer(db, "SELECT min(offset) FROM x"), 0);
    MUST(db, "ROLLBACK TO s");
    ROWS(db, summary, "30|0|29|30000");
    MUST(db, commands[_i]);
    MUST(db, "ROLLBACK");
    ROWS(db, summary, "30|0|29|30000");
    append(1);
    ROWS(db, summary, "31|0|30|31000");
    ck_assert_int_eq(files(), 11);
}
END_TEST

START_TEST(command_and_rotation_in_nested_savepoints)
{
    create("");
    append(10);
    MUST(db, "BEGIN; SAVEPOINT one; INSERT INTO x(x, offset) VALUES('delete-records', 5)");
    MUST(db, "SAVEPOINT two; INSERT INTO x(x) VALUES('rotate'); "
             "INSERT INTO x(x, offset) VALUES('delete-records', 8)");
    append(3);
    MUST(db, "ROLLBACK TO two");
    ROWS(db, summary, "5|5|9|5000");
    append(1);
    MUST(db, "RELEASE one; COMMIT");
    ROWS(db, summary, "6|5|10|6000");
    glue_close(&db);
    db = glue_open("test.db");
    ROWS(db, summary, "6|5|10|6000");
}
END_TEST

/* ---- delete-records ---- */

START_TEST(delete_records_takes_any_offset_of_the_log)
{
    create("");
    append(10);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 0)");
    ROWS(db, summary, "10|0|9|10000");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 4)");
    ROWS(db, summary, "6|4|9|6000");
    ck_assert_int_eq(files(), 3); /* offset 4 is in the middle of one */
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 2)");
    ROWS(db, summary, "6|4|9|6000");
    FAILS(db, "INSERT INTO x(x, offset) VALUES('delete-records', 11)", SQLITE_ERROR,
          "x: delete-records to offset 11: allowed are 0 to 10");
    FAILS(db, "INSERT INTO x(x, offset) VALUES('delete-records', -1)", SQLITE_ERROR,
          "x: delete-records to offset -1: allowed are 0 to 10");
    FAILS_WITH(db, "INSERT INTO x(x) VALUES('delete-records')", SQLITE_MISMATCH,
               "delete-records needs the offset");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 10)");
    ROWS(db, summary, "0|null|null|null");
    MUST(db, "INSERT INTO x(offset, value) VALUES(10, 'a')");
    ROWS(db, "SELECT offset, value FROM x", "10|a");
    ck_assert_int_eq(files(), 1);
}
END_TEST

/* ---- DELETE ---- */

START_TEST(delete_forms_and_changes)
{
    create("");
    append(100);
    MUST(db, "DELETE FROM x WHERE offset < 10");
    ck_assert_int_eq(sqlite3_changes(db), 10);
    MUST(db, "DELETE FROM x WHERE offset <= 19");
    ck_assert_int_eq(sqlite3_changes(db), 10);
    MUST(db, "DELETE FROM x WHERE rowid = 20");
    ck_assert_int_eq(sqlite3_changes(db), 1);
    MUST(db, "DELETE FROM x WHERE offset BETWEEN 21 AND 29");
    ck_assert_int_eq(sqlite3_changes(db), 9);
    MUST(db, "DELETE FROM x WHERE offset IN (31, 30, 32)");
    ck_assert_int_eq(sqlite3_changes(db), 3);
    MUST(db, "DELETE FROM x WHERE offset < 10");
    ck_assert_int_eq(sqlite3_changes(db), 0);
    MUST(db, "DELETE FROM x WHERE timestamp = 0 AND offset < 40");
    ck_assert_int_eq(sqlite3_changes(db), 7);
    ROWS(db, summary, "60|40|99|60000");
    FAILS(db, "DELETE FROM x WHERE offset = 41", SQLITE_ERROR,
          "x: deleting offset 41 would leave a hole: only the oldest records can be deleted, and "
          "the oldest is offset 40");
    FAILS_WITH(db, "DELETE FROM x WHERE offset > 50", SQLITE_ERROR, "deleting offset 51 would");
    FAILS_WITH(db, "DELETE FROM x WHERE offset IN (40, 41, 43)", SQLITE_ERROR,
               "deleting offset 43 would leave a hole");
    FAILS_WITH(db, "DELETE FROM x WHERE offset % 2 = 0", SQLITE_ERROR,
               "deleting offset 42 would leave a hole");
    ROWS(db, summary, "60|40|99|60000");
    MUST(db, "DELETE FROM x");
    ck_assert_int_eq(sqlite3_changes(db), 60);
    ROWS(db, summary, "0|null|null|null");
    MUST(db, "INSERT INTO x(offset, value) VALUES(100, 'a')");
    ck_assert_int_eq(files(), 1);
}
END_TEST

START_TEST(delete_with_joins_and_subqueries)
{
    create("");
    append(20);
    MUST(db, "CREATE TABLE done(consumer, next_offset); INSERT INTO done VALUES('a', 7), ('b', 9)");
    MUST(db, "DELETE FROM x WHERE offset < (SELECT min(next_offset) FROM done)");
    ROWS(db, summary, "13|7|19|13000");
    MUST(db, "DELETE FROM x WHERE offset IN (SELECT offset FROM x LIMIT 3)");
    ROWS(db, summary, "10|10|19|10000");
    MUST(db, "CREATE TRIGGER r AFTER DELETE ON done BEGIN DELETE FROM x WHERE offset < 15; END;"
             "DELETE FROM done");
    ROWS(db, summary, "5|15|19|5000");
}
END_TEST

START_TEST(update_is_refused_with_the_reason)
{
    static const char message[] =
        "x: UPDATE is refused: the records of a log never change; append a new one";

    create("");
    append(3);
    FAILS(db, "UPDATE x SET value = 1", SQLITE_ERROR, message);
    FAILS(db, "UPDATE x SET offset = 7 WHERE offset = 2", SQLITE_ERROR, message);
    FAILS(db, "UPDATE OR IGNORE x SET key = key WHERE offset = 0", SQLITE_ERROR, message);
    FAILS(db, "UPDATE OR REPLACE x SET headers = NULL", SQLITE_ERROR, message);
    MUST(db, "UPDATE x SET value = 1 WHERE offset > 100");
    ROWS(db, summary, "3|0|2|3000");
}
END_TEST

/* A figure to be read, not a limit: time and memory that DELETE takes row by row. */
START_TEST(cost_of_deleting_a_million_rows)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(file_delete_delay_ms=0)");
    MUST(db, "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1000000) "
             "INSERT INTO x(value) SELECT i FROM c");
    sqlite3_int64 memory = sqlite3_memory_used();
    sqlite3_memory_highwater(1);
    uint64_t start = driver_nanoseconds();
    MUST(db, "DELETE FROM x WHERE offset < 1000000");
    uint64_t spent = driver_nanoseconds() - start;
    ck_assert_int_eq(sqlite3_changes(db), 1000000);
    printf("DELETE of 1,000,000 rows: %.0f ns and %.1f bytes of SQLite's memory a row\n",
           (double)spent / 1e6, (double)(sqlite3_memory_highwater(0) - memory) / 1e6);
    ROWS(db, "SELECT count(*) FROM x", "0");
}
END_TEST

/* ---- files and the disk ---- */

START_TEST(disk_is_free_after_the_commit)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes='1MiB', "
             "file_delete_delay_ms=0)");
    MUST(db,
         "INSERT INTO x(value) SELECT zeroblob(500000) FROM (VALUES(1), (2), (3), (4), (5), (6),"
         "(7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18), (19), (20))");
    int64_t before = glue_disk_bytes("test.db-commitlog");
    ck_assert_int_gt(before, 9000000);
    MUST(db, "BEGIN");
    MUST(db, _i == 0 ? "INSERT INTO x(x, offset) VALUES('delete-records', 19)"
                     : "DELETE FROM x WHERE offset < 19");
    ck_assert_int_eq(glue_disk_bytes("test.db-commitlog"), before);
    MUST(db, "COMMIT");
    ck_assert_int_lt(glue_disk_bytes("test.db-commitlog"), 2200000);
    ROWS(db, "SELECT offset, length(value) FROM x", "19|500000");
    MUST(db, "DELETE FROM x");
    ck_assert_int_lt(glue_disk_bytes("test.db-commitlog"), 100000);
    MUST(db, "INSERT INTO x(value) VALUES('a'); DROP TABLE x");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
}
END_TEST

/* A sealed segment keeps no room that it does not use. */
START_TEST(sealed_segments_are_cut_to_their_size)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes='8MiB')");
    for (int i = 0; i < 10; i++)
        MUST(db, "INSERT INTO x(value) VALUES('a'); INSERT INTO x(x) VALUES('rotate')");
    ck_assert_int_lt(glue_disk_bytes("test.db-commitlog"), 20 * 8192);
}
END_TEST

static void wait_until(int64_t time_ms)
{
    while (driver_wall_ms() <= time_ms)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

/* Nothing waits here for another process: the delay itself is what is tested. */
START_TEST(files_stay_for_the_delay)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, "
             "file_delete_delay_ms='2s');"
             "CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096)"); /* 60 s */
    append(30);
    MUST(db, "INSERT INTO y(value) SELECT value FROM x");
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 30);"
             "INSERT INTO y(y, offset) VALUES('delete-records', 30)");
    int64_t trimmed_ms = driver_wall_ms();
    append(1);
    MUST(db, "INSERT INTO y(value) VALUES('a')");
    if (driver_wall_ms() < trimmed_ms + 1000) /* else the machine slept */
        ck_assert_int_eq(files(), 10 + 1 + 10 + 1);
    wait_until(trimmed_ms + 2000);
    if (_i == 1) { /* another connection finds them */
        glue_close(&db);
        db = glue_open("test.db");
    }
    append(1);
    MUST(db, "INSERT INTO y(value) VALUES('b')");
    ck_assert_int_eq(files(), 1 + 10 + 1);
    append(1);
    ROWS(db, "SELECT (SELECT count(*) FROM x_dropped), (SELECT count(*) FROM y_dropped)", "0|10");
    ROWS(db, summary, "3|30|32|3000");
    ROWS(db, "SELECT group_concat(value) FROM y", "a,b");
}
END_TEST

/* ---- rotation by age ---- */

START_TEST(rotation_by_age)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_ms=1);"
             "CREATE VIRTUAL TABLE y USING commitlog(segment_ms='1h')");
    for (int i = 0; i < 5; i++) {
        MUST(db, "INSERT INTO x(value) VALUES('a'); INSERT INTO y(value) VALUES('a')");
        wait_until(driver_wall_ms() + 2);
    }
    ROWS(db, "SELECT count(*), sum(records) FROM commitlog_segments('x')", "5|5");
    ROWS(db, "SELECT count(*), sum(records) FROM commitlog_segments('y')", "1|5");
    ROWS(db, "SELECT count(value) FROM x", "5");
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_retention");
    TCase *limits = tcase_create("limits");
    TCase *commands = tcase_create("commands");
    TCase *deletes = tcase_create("DELETE");
    TCase *disk = tcase_create("disk");

    tcase_add_checked_fixture(limits, setup, teardown);
    tcase_add_test(limits, nothing_goes_unasked);
    tcase_add_test(limits, limit_by_records);
    tcase_add_test(limits, limit_by_bytes);
    tcase_add_test(limits, limit_by_age);
    tcase_add_test(limits, limits_apply_at_a_rotation);
    tcase_add_test(limits, several_limits_at_once);
    tcase_add_test(limits, transaction_larger_than_the_limit);
    suite_add_tcase(suite, limits);
    tcase_add_checked_fixture(commands, setup, teardown);
    tcase_add_loop_test(commands, rollback_brings_back_what_was_trimmed, 0, 5);
    tcase_add_test(commands, command_and_rotation_in_nested_savepoints);
    tcase_add_test(commands, delete_records_takes_any_offset_of_the_log);
    suite_add_tcase(suite, commands);
    tcase_add_checked_fixture(deletes, setup, teardown);
    tcase_add_test(deletes, delete_forms_and_changes);
    tcase_add_test(deletes, delete_with_joins_and_subqueries);
    tcase_add_test(deletes, update_is_refused_with_the_reason);
    tcase_add_test(deletes, cost_of_deleting_a_million_rows);
    suite_add_tcase(suite, deletes);
    tcase_add_checked_fixture(disk, setup, teardown);
    tcase_add_loop_test(disk, disk_is_free_after_the_commit, 0, 2);
    tcase_add_test(disk, sealed_segments_are_cut_to_their_size);
    tcase_add_loop_test(disk, files_stay_for_the_delay, 0, 2);
    tcase_add_test(disk, rotation_by_age);
    suite_add_tcase(suite, disk);
    return suite;
}
