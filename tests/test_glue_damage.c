/*
 * Files and shadow tables that a stranger changed: every byte of an index, every byte of a segment,
 * every column of every shadow table. Answers are right or an error that names segment and offset,
 * for the rows concerned only; never fewer rows, never others. And the table can be dropped.
 *
 * Files are changed while the database is closed, but where a test says so.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static sqlite3 *db;

#define CREATE "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)"

static void reopen(void)
{
    if (db != NULL)
        glue_close(&db);
    db = glue_open("test.db");
}

static void setup(void)
{
    facts_setup();
    reopen();
    MUST(db, CREATE);
}

static void teardown(void)
{
    glue_close(&db);
    facts_teardown();
}

/* Three records a segment. */
static void append(int count)
{
    MUST(db, glue_text("WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                       "INSERT INTO x(timestamp, key, value, headers) "
                       "SELECT i, 'k' || i, printf('%%d%%.*c', i, 1000, 'x'), '[]' FROM c",
                       count));
}

static const char all[] = "SELECT offset, timestamp, key, length(value), headers FROM x";
static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

static void flip(const char *path, int64_t position)
{
    FILE *file = fopen(path, "r+b");

    ck_assert_ptr_nonnull(file);
    fseek(file, (long)position, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, (long)position, SEEK_SET);
    fputc(byte ^ (1 << position % 8), file);
    fclose(file);
}

static int64_t size_of(const char *path)
{
    struct stat found;

    ck_assert_int_eq(stat(path, &found), 0);
    return (int64_t)found.st_size;
}

/* ---- the index ---- */

START_TEST(every_byte_of_an_index)
{
    MUST(db, "INSERT INTO x(timestamp, key, value) VALUES(1, 2, 3), (4, 5, 'six'), (7, NULL, 8.5)");
    char *path = sqlite3_mprintf("%s", glue_segment("test.db", 0, ".idx"));
    int64_t size = size_of(path);

    ck_assert_int_eq(size, 64 + 3 * 8);
    for (int64_t i = 0; i < size; i++) {
        glue_close(&db);
        flip(path, i);
        reopen();
        ROWS(db, "SELECT value FROM x WHERE offset = 2", "8.5");
        ROWS(db, "SELECT offset, timestamp, key, value FROM x", "0|1|2|3;1|4|5|six;2|7|null|8.5");
    }
    sqlite3_free(path);
}
END_TEST

/* Missing, cut, garbage, of another segment, of another log, a directory, a link, a FIFO. */
static void spoil_index(int how)
{
    char *path = sqlite3_mprintf("%s", glue_segment("test.db", 3, ".idx"));
    char garbage[512];

    memset(garbage, 0xa5, sizeof garbage);
    switch (how) {
    case 0:
        glue_remove(path);
        break;
    case 1:
    case 2:
    case 3:
        glue_cut(path, how == 1 ? 0 : how == 2 ? 63 : 75);
        break;
    case 4:
        glue_overwrite(path, 0, garbage, sizeof garbage);
        break;
    case 5:
        glue_overwrite(path, 64, garbage, 24);
        break;
    case 6:
        glue_copy(glue_segment("test.db", 6, ".idx"), path);
        break;
    case 7:
        glue_remove(path);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        break;
    case 8:
        glue_remove(path);
        ck_assert_int_eq(symlink(glue_segment("test.db", 0, ".idx"), path), 0);
        break;
    case 9:
        glue_remove(path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        break;
    default:
        glue_remove(path);
        ck_assert_int_eq(link(glue_segment("test.db", 0, ".idx"), path), 0);
        break;
    }
    sqlite3_free(path);
}

START_TEST(index_of_another_kind)
{
    append(10);
    char *expected = sqlite3_mprintf("%s", facts_query(db, all));
    glue_close(&db);
    spoil_index(_i);
    reopen();
    ROWS(db, "SELECT key FROM x WHERE offset = 5", "k6");
    ck_assert_str_eq(facts_query(db, all), expected);
    ROWS(db, "SELECT key FROM x WHERE offset IN (3, 4, 5) ORDER BY offset DESC", "k6;k5;k4");
    append(1);
    reopen();
    ROWS(db, "SELECT key FROM x WHERE offset IN (3, 5, 10)", "k4;k6;k1");
    if (_i <= 6) /* rebuilt, so that the next one need not walk the segment */
        ck_assert_int_ge(size_of(glue_segment("test.db", 3, ".idx")), 64 + 3 * 8);
    sqlite3_free(expected);
}
END_TEST

/* The active segment's index is spoilt, and the log goes on. */
START_TEST(active_index_is_spoilt_and_appended_to)
{
    MUST(db, "INSERT INTO x(value) VALUES('a'), ('b')");
    glue_close(&db);
    char *path = sqlite3_mprintf("%s", glue_segment("test.db", 0, ".idx"));
    if (_i == 0)
        glue_remove(path);
    else if (_i == 1)
        glue_cut(path, 10);
    else
        glue_overwrite(path, 0, "garbage", 7);
    sqlite3_free(path);
    reopen();
    MUST(db, "INSERT INTO x(value) VALUES('c')");
    reopen();
    ROWS(db, "SELECT value FROM x WHERE offset = 0", "a");
    ROWS(db, "SELECT value FROM x WHERE offset = 2", "c");
    MUST(db, "INSERT INTO x(value) VALUES('d')");
    ROWS(db, "SELECT group_concat(value) FROM x", "a,b,c,d");
    ROWS(db, "SELECT count(*) FROM commitlog_segments('x')", "1");
}
END_TEST

/* ---- segments ---- */

/* A flipped bit anywhere: the row it is in is an error, all others are as they were. */
START_TEST(every_byte_of_a_segment)
{
    static const char *const rows[] = {"1|2|3", "4|five|six", "7|null|8.5"};
    int errors[4] = {0};

    MUST(db, "INSERT INTO x(timestamp, key, value) VALUES(1, 2, 3), (4, 'five', 'six'), "
             "(7, NULL, 8.5)");
    int64_t end = glue_integer(db, "SELECT bytes FROM commitlog_segments('x')");
    char *path = sqlite3_mprintf("%s", glue_segment("test.db", 0, ".log"));

    ck_assert_int_eq(end, 64 + (32 + 16) + (32 + 8) + (32 + 8));
    for (int64_t i = 0; i < end; i++) {
        int bad = 0;

        glue_close(&db);
        flip(path, i);
        reopen();
        for (int offset = 0; offset < 3; offset++) {
            const char *got = facts_query(
                db, glue_text("SELECT timestamp, key, value FROM x WHERE offset = %d", offset));
            if (strcmp(got, rows[offset]) == 0)
                continue;
            HAS(got, "error: x: offset ");
            HAS(got, glue_text("offset %d", offset));
            HAS(got, "00000000000000000000.log");
            errors[offset]++;
            bad++;
        }
        /* The compatible flags of the header may be any; its checksum covers them, too. */
        ck_assert_int_eq(bad, i < 64 ? 3 : 1);
        ROWS(db, "SELECT count(*), max(offset) FROM x", "3|2");
        flip(path, i);
    }
    ck_assert_int_eq(errors[0], 64 + 48);
    ck_assert_int_eq(errors[1], 64 + 40);
    ck_assert_int_eq(errors[2], 64 + 40);
    reopen();
    ROWS(db, "SELECT timestamp, key, value FROM x", "1|2|3;4|five|six;7|null|8.5");
    sqlite3_free(path);
}
END_TEST

/* Of five segments the second is spoilt in one way or another. */
static void spoil_segment(int how)
{
    char *path = sqlite3_mprintf("%s", glue_segment("test.db", 3, ".log"));
    char zeros[4096];

    memset(zeros, 0, sizeof zeros);
    switch (how) {
    case 0:
        glue_remove(path);
        break;
    case 1:
    case 2:
    case 3:
        glue_cut(path, how == 1 ? 0 : how == 2 ? 40 : 64);
        break;
    case 4:
        glue_overwrite(path, 0, zeros, 3000);
        break;
    case 5: /* another's, of the same shape */
        glue_copy(glue_segment("test.db", 6, ".log"), path);
        break;
    case 6:
        glue_remove(path);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        break;
    case 7:
        glue_remove(path);
        ck_assert_int_eq(symlink(glue_segment("test.db", 6, ".log"), path), 0);
        break;
    default:
        glue_remove(path);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
    }
    sqlite3_free(path);
}

START_TEST(segment_of_another_kind)
{
    append(13);
    glue_close(&db);
    spoil_segment(_i);
    reopen();
    for (int offset = 3; offset < 6; offset++) {
        const char *got =
            facts_query(db, glue_text("SELECT value FROM x WHERE offset = %d", offset));
        HAS(got, glue_text("error: x: offset %d", offset));
        HAS(got, "00000000000000000003.log");
    }
    HAS(facts_query(db, "SELECT sum(length(value)) FROM x"), "00000000000000000003.log");
    ROWS(db, "SELECT group_concat(key) FROM x WHERE offset < 3", "k1,k2,k3");
    ROWS(db, "SELECT group_concat(key) FROM x WHERE offset >= 6", "k7,k8,k9,k10,k11,k12,k13");
    ROWS(db, "SELECT count(*), min(offset), max(offset) FROM x", "13|0|12");
    append(1);
    ROWS(db, "SELECT key FROM x WHERE offset = 13", "k1");
    if (_i % 2 == 0) {
        MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 6)");
        ROWS(db, "SELECT count(*), count(value) FROM x", "8|8");
    }
    MUST(db, "DROP TABLE x");
    ROWS(db, "SELECT count(*) FROM sqlite_schema", "0");
    MUST(db, CREATE);
    append(1);
    ROWS(db, "SELECT offset, key FROM x", "0|k1");
}
END_TEST

/* Cut in the middle of a record: those before it are whole. Or not? Then an error, not fewer. */
START_TEST(active_segment_is_cut)
{
    append(2);
    int64_t position = glue_integer(db, "SELECT position FROM x WHERE offset = 1");
    glue_close(&db);
    glue_cut(glue_segment("test.db", 0, ".log"), _i == 0 ? position : position + 100);
    reopen();
    HAS(facts_query(db, "SELECT value FROM x WHERE offset = 1"), "error: x: offset 1");
    const char *first = facts_query(db, "SELECT key FROM x WHERE offset = 0");
    ck_assert_msg(strcmp(first, "k1") == 0 || strstr(first, "error: x: offset 0") != NULL, "%s",
                  first);
    /* The writer does not go on where records are missing, but in a new file. */
    append(1);
    ROWS(db, "SELECT key FROM x WHERE offset = 2", "k1");
    HAS(facts_query(db, "SELECT value FROM x WHERE offset = 1"), "error: x: offset 1");
}
END_TEST

START_TEST(active_segment_is_missing)
{
    append(4);
    glue_close(&db);
    glue_remove(glue_segment("test.db", 3, ".log"));
    reopen();
    append(1);
    ROWS(db, "SELECT key FROM x WHERE offset = 4", "k1");
    ROWS(db, "SELECT group_concat(key) FROM x WHERE offset < 3", "k1,k2,k3");
    HAS(facts_query(db, "SELECT value FROM x WHERE offset = 3"), "error: x: offset 3");
}
END_TEST

/* What lies behind the end of the log, in its file or beside it, is not a record. */
START_TEST(leftovers_are_not_records)
{
    append(1);
    int64_t end = glue_integer(db, "SELECT bytes FROM commitlog_segments('x')");
    glue_close(&db);
    if (_i == 0)
        glue_overwrite(glue_segment("test.db", 0, ".log"), end, "leftover", 8);
    else
        glue_copy(glue_segment("test.db", 0, ".log"), glue_segment("test.db", 1, ".log"));
    reopen();
    ROWS(db, summary, "1|0|0|1001");
    append(3);
    ROWS(db, summary, "4|0|3|4004");
    reopen();
    ROWS(db, summary, "4|0|3|4004");
}
END_TEST

/* ---- under a running connection ---- */

static void remove_directory(void)
{
    char *command = sqlite3_mprintf("rm -r '%s'", facts_path("test.db-commitlog"));

    ck_assert_int_eq(system(command), 0);
    sqlite3_free(command);
}

/* The directory goes while the log is open: a record that finds no place is an error. */
START_TEST(directory_is_removed_under_an_open_log)
{
    append(3);
    remove_directory();
    int code = facts_exec(db, _i == 0 ? "INSERT INTO x(value) VALUES(zeroblob(100000))"
                                      : "BEGIN; INSERT INTO x(value) VALUES('a');"
                                        "INSERT INTO x(x) VALUES('rotate');"
                                        "INSERT INTO x(value) VALUES('b'); COMMIT");
    if (code == SQLITE_OK) {
        ck_assert_msg(glue_integer(db, "SELECT max(offset) FROM x") > 2,
                      "an INSERT reported success, and its record is not there");
        ROWS(db, "SELECT count(*) FROM x WHERE value IS NULL", "0");
    }
    if (sqlite3_get_autocommit(db) == 0)
        MUST(db, "ROLLBACK");
    reopen();
    FAILS_WITH(db, "SELECT * FROM x", SQLITE_CANTOPEN, "test.db-commitlog/");
    FAILS_WITH(db, "INSERT INTO x(value) VALUES('a')", SQLITE_CANTOPEN, "test.db-commitlog/");
}
END_TEST

/* The database's file has another name now, so that its log's place is not known. */
START_TEST(database_is_renamed_under_a_connection)
{
    ROWS(db, "SELECT count(*) FROM x", "0");
    ck_assert_int_eq(rename(facts_path("test.db"), facts_path("moved.db")), 0);
    int code = facts_exec(db, "INSERT INTO x(value) VALUES('a')");
    if (code == SQLITE_OK)
        ROWS(db, "SELECT value FROM x", "a");
    glue_close(&db);
    db = glue_open("moved.db");
    const char *got = facts_query(db, "SELECT value FROM x");
    /* Not appended, or there, or an error that names the directory: but not lost in silence. */
    ck_assert_msg(code != SQLITE_OK || strcmp(got, "") != 0,
                  "an INSERT reported success, and its record is not there");
}
END_TEST

/* ---- the shadow tables ---- */

/* What may be said of a log whose shadow tables were edited: the truth, or an error. */
static void truth_or_error(const char *sql, const char *truth)
{
    const char *got = facts_query(db, sql);

    ck_assert_msg(strcmp(got, truth) == 0 || strncmp(got, "error: x: ", 10) == 0,
                  "%s: '%s' is neither '%s' nor an error", sql, got, truth);
}

/* Add one to a number, change a letter of a text, put something where NULL was. */
#define CHANGED                                                                       \
    "CASE typeof(%s) WHEN 'integer' THEN %s + 1 WHEN 'null' THEN 1 WHEN 'text' THEN " \
    "replace(%s, '0', '1') ELSE x'0123456789abcdef0123456789abcdef' END"

START_TEST(every_column_of_every_shadow_table)
{
    static const char *const tables[] = {"x_ledger", "x_segments", "x_config"};
    int columns = 0, errors = 0;

    append(7);
    char *truth = sqlite3_mprintf("%s", facts_query(db, all));
    glue_copy(facts_path("test.db"), facts_path("saved.db"));
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        sqlite3_stmt *names =
            glue_prepare(db, glue_text("SELECT name FROM pragma_table_info('%s')", tables[i]));
        char list[16][32];
        int count = 0;
        while (sqlite3_step(names) == SQLITE_ROW)
            snprintf(list[count++], sizeof list[0], "%s", sqlite3_column_text(names, 0));
        sqlite3_finalize(names);
        for (int j = 0; j < count; j++) {
            const char *c = list[j];
            MUST(db, glue_text("UPDATE OR REPLACE %s SET %s = " CHANGED, tables[i], c, c, c, c));
            reopen();
            truth_or_error(all, truth);
            truth_or_error("SELECT key FROM x WHERE offset = 4", "k5");
            truth_or_error("SELECT max(offset) FROM x", "6");
            truth_or_error("SELECT count(*) FROM x WHERE offset > 2", "4");
            truth_or_error("SELECT key FROM x WHERE timestamp = 3", "k3");
            columns++;
            errors += strncmp(facts_query(db, all), "error", 5) == 0;
            if (facts_exec(db, "INSERT INTO x(value) VALUES('a')") == SQLITE_OK)
                ROWS(db, "SELECT value FROM x WHERE offset = 7", "a");
            MUST(db, "DROP TABLE x");
            ROWS(db, "SELECT count(*) FROM sqlite_schema", "0");
            glue_close(&db);
            /* With the files as the drop left them, or brought back. */
            glue_copy(facts_path("saved.db"), facts_path("test.db"));
            reopen();
            if (facts_exec(db, all) != SQLITE_OK) {
                MUST(db, "DROP TABLE x; " CREATE);
                append(7);
                glue_close(&db);
                glue_copy(facts_path("test.db"), facts_path("saved.db"));
                reopen();
            }
        }
    }
    ck_assert_int_ge(columns, 7 + 9 + 3);
    ck_assert_int_ge(errors, 14);
    sqlite3_free(truth);
}
END_TEST

START_TEST(shadow_rows_are_missing)
{
    static const struct {
        const char *sql, *part;
    } cases[] = {
        {"DELETE FROM x_ledger", "x_ledger is empty"},
        {"DELETE FROM x_segments WHERE base_offset = 3", "no segment for offset 3"},
        {"DELETE FROM x_segments", "contradict each other"},
        {"DELETE FROM x_config", "x_config holds no valid uuid"},
        {"DROP TABLE x_ledger", "no such table: main.x_ledger"},
        {"DROP TABLE x_segments", "no such table: main.x_segments"},
        {"DROP TABLE x_config", "x_config is missing"},
        {"UPDATE x_ledger SET redo = x'00'", "later version"},
        {"UPDATE x_ledger SET next_offset = 100", "x_ledger fails its checksum"},
        {"UPDATE x_segments SET bytes = 5000 WHERE base_offset = 3",
         "the row of the segment at offset 3 fails its checksum"},
    };

    append(7);
    MUST(db, cases[_i].sql);
    reopen();
    HAS(facts_query(db, "SELECT value FROM x"), cases[_i].part);
    HAS(facts_query(db, "SELECT value FROM x"), "error: x: ");
    if (_i != 1 && _i != 9)
        ck_assert_int_ne(facts_exec(db, "INSERT INTO x(value) VALUES('a')"), SQLITE_OK);
    MUST(db, "DROP TABLE x");
    ROWS(db, "SELECT count(*) FROM sqlite_schema", "0");
}
END_TEST

/* Rows with right checksums, in the wrong table: no live segment's file is removed for them. */
START_TEST(live_segments_named_as_dropped)
{
    append(10);
    MUST(db, "INSERT INTO x_dropped SELECT *, 0 FROM x_segments");
    reopen();
    append(1);
    append(1);
    ROWS(db, "SELECT count(value) FROM x", "12");
    ck_assert_int_ge(glue_count("test.db-commitlog", ".log"), 4);
    MUST(db, "UPDATE x_dropped SET name = '../../../test.db'");
    reopen();
    append(1);
    ROWS(db, "SELECT count(value) FROM x", "13");
    ck_assert_int_eq(glue_count("test.db", "test.db"), 1);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_damage");
    TCase *index = tcase_create("index");
    TCase *segments = tcase_create("segments");
    TCase *running = tcase_create("running");
    TCase *shadow = tcase_create("shadow tables");

    tcase_add_checked_fixture(index, setup, teardown);
    tcase_add_test(index, every_byte_of_an_index);
    tcase_add_loop_test(index, index_of_another_kind, 0, 11);
    tcase_add_loop_test(index, active_index_is_spoilt_and_appended_to, 0, 3);
    suite_add_tcase(suite, index);
    tcase_add_checked_fixture(segments, setup, teardown);
    tcase_add_test(segments, every_byte_of_a_segment);
    tcase_add_loop_test(segments, segment_of_another_kind, 0, 9);
    tcase_add_loop_test(segments, active_segment_is_cut, 0, 2);
    tcase_add_test(segments, active_segment_is_missing);
    tcase_add_loop_test(segments, leftovers_are_not_records, 0, 2);
    suite_add_tcase(suite, segments);
    tcase_add_checked_fixture(running, setup, teardown);
    tcase_add_loop_test(running, directory_is_removed_under_an_open_log, 0, 2);
    tcase_add_test(running, database_is_renamed_under_a_connection);
    suite_add_tcase(suite, running);
    tcase_add_checked_fixture(shadow, setup, teardown);
    tcase_add_test(shadow, every_column_of_every_shadow_table);
    tcase_add_loop_test(shadow, shadow_rows_are_missing, 0, 10);
    tcase_add_test(shadow, live_segments_named_as_dropped);
    suite_add_tcase(suite, shadow);
    return suite;
}
