/*
 * A log of 10,000 segments: scan, seek, reopen, append; descriptors and mappings stay bounded, and
 * pointers that SQLite keeps into mapped segments stay valid while mappings come and go. Reopening
 * and reading the newest records costs the same as for a log of one segment, counted in files
 * opened and database pages read, not in time.
 *
 * The log is made once, in the process from which libcheck forks the tests; they leave it as it is.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    SEGMENTS = 10000,
    DESCRIPTORS_MAX = 40,
    IDLE_MAPPINGS_MAX = 72, /* .log and .idx of the few that are kept */
    BUSY_MAPPINGS_MAX = 2 * 1024 + IDLE_MAPPINGS_MAX,
};

static sqlite3 *db;

/* One record a segment: 4000 bytes fill it. Each begins with its offset, in five digits. */
static void fill(const char *table, int segments)
{
    MUST(db, "BEGIN");
    MUST(db, glue_text("WITH c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                       "INSERT INTO %s(timestamp, key, value) "
                       "SELECT i, i, printf('%%05d%%.*c', i, 3995, 'x') FROM c",
                       segments, table));
    MUST(db, "COMMIT");
}

/* Suite-wide: libcheck runs this once, in the parent of all tests. */
static void make_log(void)
{
    facts_setup();
    db = glue_open("test.db");
    glue_journal(db, "wal");
    MUST(db, "PRAGMA synchronous = OFF");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    fill("x", SEGMENTS);
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), SEGMENTS);
    /* A statement reads its own appends; then nothing may be left mapped or open. */
    ck_assert_int_lt(glue_descriptor_count(), DESCRIPTORS_MAX);
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
    glue_close(&db);
}

static void remove_log(void)
{
    facts_teardown();
}

static void setup(void)
{
    db = glue_open("test.db");
}

static void teardown(void)
{
    glue_close(&db);
}

/* At each of a statement's rows, which must be `rows` many, what is open is bounded. */
static void scan(const char *sql, int rows)
{
    sqlite3_stmt *statement = glue_prepare(db, sql);
    int count = 0, code;

    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (count++ % 1000 != 0)
            continue;
        ck_assert_int_lt(glue_descriptor_count(), DESCRIPTORS_MAX);
        ck_assert_int_le(glue_mapping_count(), BUSY_MAPPINGS_MAX);
    }
    ck_assert_msg(code == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
    ck_assert_int_eq(count, rows);
    sqlite3_finalize(statement);
    ck_assert_int_lt(glue_descriptor_count(), DESCRIPTORS_MAX);
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
}

START_TEST(scans)
{
    scan("SELECT * FROM x", SEGMENTS);
    scan("SELECT value FROM x ORDER BY offset DESC", SEGMENTS);
    scan("SELECT a.value, b.value FROM x AS a JOIN x AS b ON b.offset = a.offset + 5000",
         SEGMENTS / 2);
    ROWS(db, "SELECT count(*), sum(length(value)), min(value GLOB '?????x*') FROM x",
         "10000|40000000|1");
    ROWS(db, "SELECT count(*) FROM x WHERE CAST(substr(value, 1, 5) AS INTEGER) <> offset", "0");
    ROWS(db, "SELECT count(*), min(state), max(state), sum(records) FROM commitlog_segments('x')",
         "10000|active|sealed|10000");
}
END_TEST

START_TEST(seeks)
{
    ROWS(db, "SELECT substr(value, 1, 5) FROM x WHERE offset IN (0, 1, 4999, 5000, 9999, 10000)",
         "00000;00001;04999;05000;09999");
    ROWS(db, "SELECT substr(value, 1, 5) FROM x WHERE offset BETWEEN 7000 AND 7002",
         "07000;07001;07002");
    ROWS(db, "SELECT max(offset), (SELECT min(offset) FROM x) FROM x", "9999|0");
    ROWS(db, "SELECT substr(value, 1, 5) FROM x ORDER BY offset DESC LIMIT 2", "09999;09998");
    ROWS(db, "SELECT substr(value, 1, 5) FROM x WHERE timestamp BETWEEN 3333 AND 3334",
         "03333;03334");
    ROWS(db, "SELECT substr(value, 1, 5) FROM x LIMIT 1 OFFSET 8888", "08888");
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
}
END_TEST

/* SQLite keeps the pointer that the row gave, not a copy, while hundreds of segments pass. */
START_TEST(pointers_outlive_their_rows)
{
    ROWS(db, "SELECT substr(max(value), 1, 5), length(max(value)) FROM x", "09999|4000");
    ROWS(db, "SELECT substr(min(value), 1, 5), length(min(value)) FROM x", "00000|4000");
    ROWS(db, "SELECT substr(max(value), 1, 5) FROM x WHERE offset % 2 = 0", "09998");
    ROWS(db, "SELECT substr(value, 1, 5), max(timestamp) FROM x", "09999|9999");
    ROWS(db, "SELECT substr(value, 1, 5), min(timestamp) FROM x", "00000|0");
    ROWS(db, "SELECT substr(value, 1, 5), max(-timestamp) FROM x", "00000|0");
    ROWS(db, "SELECT substr(max(value), 1, 5) FROM (SELECT value FROM x ORDER BY offset DESC)",
         "09999");
    ROWS(db, "SELECT timestamp % 3, substr(max(value), 1, 5) FROM x GROUP BY 1",
         "0|09999;1|09997;2|09998");
    ROWS(db,
         "WITH c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c LIMIT 10000) "
         "SELECT substr(max((SELECT value FROM x WHERE offset = 9999 - i)), 1, 5) FROM c",
         "09999");
    ROWS(db,
         "WITH c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c LIMIT 10000) "
         "SELECT substr(v, 1, 5), max(-i) FROM (SELECT i, (SELECT value FROM x WHERE offset = i) "
         "AS v FROM c)",
         "00000|0");
    ROWS(db,
         "SELECT substr(first, 1, 5), substr(max(value), 1, 5) FROM "
         "(SELECT first_value(value) OVER (ORDER BY offset) AS first, value FROM x)",
         "00000|09999");
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
}
END_TEST

/* While one statement stands on a row, others of the connection run and end. */
START_TEST(pointers_outlive_other_statements)
{
    sqlite3_stmt *one = glue_prepare(db, "SELECT value FROM x");
    sqlite3_stmt *two = glue_prepare(db, "SELECT value, offset FROM x WHERE offset >= 5000");

    ck_assert_int_eq(sqlite3_step(one), SQLITE_ROW);
    const char *value = (const char *)sqlite3_column_text(one, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(sqlite3_step(two), SQLITE_ROW);
        const char *other = (const char *)sqlite3_column_text(two, 0);
        ROWS(db, "SELECT substr(max(value), 1, 5) FROM x", "09999");
        ROWS(db, "SELECT count(value) FROM x", "10000");
        ck_assert_int_eq(strncmp(value, "00000x", 6), 0);
        ck_assert_int_eq(strncmp(other, "0500", 4), 0);
        ck_assert_int_eq(other[5], 'x');
    }
    ck_assert_int_lt(glue_descriptor_count(), DESCRIPTORS_MAX);
    ck_assert_int_le(glue_mapping_count(), BUSY_MAPPINGS_MAX);
    sqlite3_finalize(two);
    ck_assert_int_eq(strncmp(value, "00000x", 6), 0);
    sqlite3_finalize(one);
    ROWS(db, "SELECT 1", "1");
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
}
END_TEST

/* A value that was read is written to another table, and to the log itself. */
START_TEST(values_are_passed_on)
{
    MUST(db, "CREATE TEMP TABLE t(a, b)");
    MUST(db, "INSERT INTO t SELECT offset, value FROM x WHERE offset % 10 = 0");
    ROWS(db, "SELECT count(*), sum(length(b)), min(a = CAST(substr(b, 1, 5) AS INTEGER)) FROM t",
         "1000|4000000|1");
    MUST(db, "BEGIN; INSERT INTO x(value) SELECT value FROM x WHERE offset < 2000");
    ROWS(db, "SELECT count(*), max(offset), substr(max(value), 1, 5) FROM x WHERE offset >= 10000",
         "2000|11999|01999");
    ck_assert_int_lt(glue_descriptor_count(), DESCRIPTORS_MAX);
    MUST(db, "ROLLBACK");
    ROWS(db, "SELECT count(*), max(offset) FROM x", "10000|9999");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), SEGMENTS);
    ck_assert_int_le(glue_mapping_count(), IDLE_MAPPINGS_MAX);
}
END_TEST

START_TEST(append_and_trim)
{
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    MUST(db, "PRAGMA synchronous = OFF");
    fill("y", SEGMENTS);
    MUST(db, "INSERT INTO y(value) VALUES('newest')");
    ROWS(db, "SELECT max(offset), count(*) FROM y", "10000|10001");
    MUST(db, "INSERT INTO y(y, offset) VALUES('delete-records', 9990)");
    ROWS(db, "SELECT min(offset), count(value) FROM y", "9990|11");
    ck_assert_int_le(glue_count("test.db-commitlog", ".log"), SEGMENTS + 12);
    MUST(db, "INSERT INTO y(value) VALUES('newest')");
    ROWS(db, "SELECT count(*) FROM y_dropped", "0");
    MUST(db, "DROP TABLE y");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), SEGMENTS);
}
END_TEST

/* ---- reopening ---- */

/* How many times a file of the log was opened since the watch began? */
static int count_opens(int watch)
{
    _Alignas(struct inotify_event) char bytes[65536];
    int opens = 0;

    for (ssize_t got; (got = read(watch, bytes, sizeof bytes)) > 0;) {
        for (char *at = bytes; at < bytes + got;) {
            const struct inotify_event *event = (const struct inotify_event *)at;
            opens += event->len > 0;
            at += sizeof *event + event->len;
        }
    }
    return opens;
}

typedef struct {
    int opens, pages, mappings, descriptors;
} cost;

static cost cost_of_reopening(const char *name)
{
    int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), used = 0, highest = 0;
    int descriptors = glue_descriptor_count();
    cost result;

    ck_assert_int_ge(watch, 0);
    ck_assert_int_ge(inotify_add_watch(watch, glue_directory(name), IN_OPEN), 0);
    sqlite3 *conn = glue_open(name);
    sqlite3_stmt *newest =
        glue_prepare(conn, "SELECT offset, length(value) FROM x ORDER BY offset DESC LIMIT 1");
    ck_assert_int_eq(sqlite3_step(newest), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(newest, 1), 4000);
    result.mappings = glue_mapping_count();
    result.descriptors = glue_descriptor_count() - descriptors;
    sqlite3_finalize(newest);
    MUST(conn, "BEGIN; INSERT INTO x(value) VALUES('new'); ROLLBACK");
    sqlite3_db_status(conn, SQLITE_DBSTATUS_CACHE_MISS, &used, &highest, 0);
    result.pages = used;
    glue_close(&conn);
    result.opens = count_opens(watch);
    close(watch);
    return result;
}

START_TEST(reopening_costs_the_same)
{
    sqlite3 *small = glue_open("small.db");

    glue_journal(small, "wal");
    MUST(small,
         "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    MUST(small, "INSERT INTO x(value) VALUES(printf('%.*c', 4000, 'x'))");
    glue_close(&small);
    cost one = cost_of_reopening("small.db"), many = cost_of_reopening("test.db");
    ck_assert_int_gt(one.opens, 0);
    ck_assert_int_eq(many.opens, one.opens);
    ck_assert_int_eq(many.mappings, one.mappings);
    ck_assert_int_eq(many.descriptors, one.descriptors);
    /* Only the tree of the segments' rows is deeper. */
    ck_assert_msg(many.pages <= one.pages + 6, "%d pages, %d for one segment", many.pages,
                  one.pages);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_scale");
    TCase *all = tcase_create("10,000 segments");

    tcase_add_unchecked_fixture(all, make_log, remove_log);
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, scans);
    tcase_add_test(all, seeks);
    tcase_add_test(all, pointers_outlive_their_rows);
    tcase_add_test(all, pointers_outlive_other_statements);
    tcase_add_test(all, values_are_passed_on);
    tcase_add_test(all, append_and_trim);
    tcase_add_test(all, reopening_costs_the_same);
    suite_add_tcase(suite, all);
    return suite;
}
