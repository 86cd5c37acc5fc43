/*
 * What a connection's settings do to a log: journal modes, synchronous, with the files that are
 * synced, and the counters that SQLite keeps, last_insert_rowid(), changes() and total_changes().
 *
 * Durability itself, against kills and power losses, is the business of kill.c and of the
 * simulated disk.
 */
#define _GNU_SOURCE /* fdatasync, syscall */
#include "check_main.h"
#include "glue.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static sqlite3 *db;

/* One "l" for each .log that is synced. SQLite calls fdatasync, too, so the linker exports this one
 * to the extension. */
static char synced[256];

static void note(int descriptor)
{
    char link[64], path[512] = "";

    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    if (readlink(link, path, sizeof path - 1) > 4 && strcmp(path + strlen(path) - 4, ".log") == 0)
        strncat(synced, "l", sizeof synced - strlen(synced) - 1);
}

__attribute__((visibility("default"))) int fdatasync(int descriptor);
int fdatasync(int descriptor)
{
    note(descriptor);
    return (int)syscall(SYS_fdatasync, descriptor);
}

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);"
             "CREATE TABLE t(offset INTEGER PRIMARY KEY, value)");
    synced[0] = 0;
}

static void teardown(void)
{
    glue_close(&db);
    facts_teardown();
}

/* ---- journal modes ---- */

START_TEST(every_journal_mode)
{
    static const char *const modes[] = {"delete", "truncate", "persist", "memory", "wal"};

    glue_journal(db, modes[_i]);
    MUST(db, "INSERT INTO x(value) VALUES('a'), ('b')");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('c'); INSERT INTO t VALUES(2, 'c'); ROLLBACK");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('c'); SAVEPOINT s;"
             "INSERT INTO x(value) VALUES('d'); ROLLBACK TO s; INSERT INTO t VALUES(2, 'c');"
             "INSERT INTO x(value) SELECT printf('%.*c', 5000, 'x'); COMMIT");
    sqlite3 *other = glue_open("test.db");
    ROWS(other, "SELECT offset, length(x.value), t.value FROM x LEFT JOIN t USING(offset)",
         "0|1|null;1|1|null;2|1|c;3|5000|null");
    MUST(other, "INSERT INTO x(x, offset) VALUES('delete-records', 3)");
    glue_close(&other);
    MUST(db, "INSERT INTO x(value) VALUES('e')");
    ROWS(db, "SELECT offset, length(value) FROM x", "3|5000;4|1");
    /* Dropped segments are removed in every mode: each makes the past durable in its own way. */
    ck_assert_int_le(glue_count("test.db-commitlog", ".log"), 2);
    MUST(db, "DROP TABLE x");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
}
END_TEST

START_TEST(journal_mode_off_is_refused)
{
    static const char message[] =
        "x: journal_mode=OFF has no ROLLBACK, and a log needs one: choose another, best WAL";

    MUST(db, "INSERT INTO x(value) VALUES('a'), ('b')");
    glue_journal(db, "off");
    FAILS(db, "INSERT INTO x(value) VALUES('c')", SQLITE_ERROR, message);
    FAILS(db, "INSERT OR IGNORE INTO x(value) VALUES('c')", SQLITE_ERROR, message);
    FAILS(db, "DELETE FROM x", SQLITE_ERROR, message);
    FAILS(db, "INSERT INTO x(x) VALUES('rotate')", SQLITE_ERROR, message);
    FAILS(db, "INSERT INTO x(x, offset) VALUES('delete-records', 1)", SQLITE_ERROR, message);
    FAILS_WITH(db, "SELECT commitlog_append('x', 'k', 'v')", SQLITE_ERROR, message);
    ROWS(db, "SELECT offset, value FROM x", "0|a;1|b");
    MUST(db, "INSERT INTO t VALUES(1, 'ordinary tables are none of our business')");
    glue_journal(db, "delete");
    MUST(db, "INSERT INTO x(offset, value) VALUES(2, 'c')");
}
END_TEST

/* The mode changes between the transactions of one connection. */
START_TEST(modes_change_back_and_forth)
{
    static const char *const modes[] = {"wal", "delete", "memory", "wal", "persist", "truncate"};

    for (int i = 0; i < 12; i++) {
        glue_journal(db, modes[i % 6]);
        MUST(db, glue_text("PRAGMA synchronous = %d", i % 4));
        MUST(db, glue_text("INSERT INTO x(offset, value) VALUES(%d, %d)", i, i));
        sqlite3 *other = glue_open("test.db");
        ROWS(other, "SELECT count(value), max(value) FROM x", glue_text("%d|%d", i + 1, i));
        glue_close(&other);
    }
}
END_TEST

/* ---- synchronous ---- */

/* One transaction; what of the log was synced for it. */
static const char *syncs_of(const char *sql)
{
    synced[0] = 0;
    MUST(db, sql);
    return glue_text("%s", synced);
}

#define INSERT "INSERT INTO x(value) VALUES('a')"

START_TEST(synchronous_is_respected)
{
    static const char *const levels[] = {"OFF", "NORMAL", "FULL", "EXTRA"};

    glue_journal(db, _i / 4 == 0 ? "wal" : "delete");
    MUST(db, glue_text("PRAGMA synchronous = %s", levels[_i % 4]));
    const char *each = _i % 4 == 0 ? "" : "l";
    ck_assert_str_eq(syncs_of(INSERT), each);
    ck_assert_str_eq(syncs_of(INSERT), each);
    ck_assert_str_eq(syncs_of("BEGIN; " INSERT "; " INSERT "; COMMIT"), each);
    ck_assert_str_eq(syncs_of("BEGIN; " INSERT "; ROLLBACK"), "");
    ck_assert_str_eq(syncs_of("SELECT * FROM x"), "");
    ROWS(db, "SELECT length(boot_id) FROM x_ledger", _i % 4 == 0 ? "16" : "null");
}
END_TEST

/* Every segment of a transaction is synced, not just the last. */
START_TEST(each_segment_is_synced)
{
    const char *sql = "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 10) "
                      "INSERT INTO x(value) SELECT printf('%.*c', 4000, 'x') FROM c";

    ck_assert_str_eq(syncs_of(sql), "llllllllll");
    MUST(db, "PRAGMA synchronous = OFF");
    ck_assert_str_eq(syncs_of(sql), "");
}
END_TEST

/* What was written with OFF is not trusted after a power loss; after FULL, or flush, it is. */
START_TEST(boot_id_goes_with_the_first_sync)
{
    MUST(db, "PRAGMA synchronous = OFF; " INSERT);
    ROWS(db, "SELECT length(boot_id) FROM x_ledger", "16");
    ck_assert_str_eq(syncs_of("INSERT INTO x(x) VALUES('flush')"), "l");
    ROWS(db, "SELECT boot_id FROM x_ledger", "null");
    MUST(db, INSERT);
    ROWS(db, "SELECT length(boot_id) FROM x_ledger", "16");
    MUST(db, "PRAGMA synchronous = FULL");
    ck_assert_str_eq(syncs_of(INSERT), "l");
    ROWS(db, "SELECT boot_id FROM x_ledger", "null");
    ROWS(db, "SELECT count(value) FROM x", "3");
}
END_TEST

/* A trim moves no record, and leaves what was not synced marked as such. */
START_TEST(boot_id_stays_without_a_sync)
{
    MUST(db, "PRAGMA synchronous = OFF; " INSERT "; " INSERT);
    MUST(db, "PRAGMA synchronous = FULL; INSERT INTO x(x, offset) VALUES('delete-records', 1)");
    ROWS(db, "SELECT length(boot_id) FROM x_ledger", "16");
    ROWS(db, "SELECT count(value) FROM x", "1");
}
END_TEST

/* ---- counters ---- */

static int64_t rowid(void)
{
    return sqlite3_last_insert_rowid(db);
}

START_TEST(last_insert_rowid_is_the_offset)
{
    MUST(db, "INSERT INTO x(value) VALUES('a'), ('b')");
    ck_assert_int_eq(rowid(), 1);
    MUST(db, "INSERT INTO x(value) SELECT printf('%.*c', 5000, 'x')");
    ck_assert_int_eq(rowid(), 2);
    MUST(db, "INSERT INTO t VALUES(100, 'a')");
    ck_assert_int_eq(rowid(), 100);
    /* Neither commands nor DELETE nor any COMMIT are inserts. */
    MUST(db,
         "INSERT INTO x(x) VALUES('rotate'); INSERT INTO x(x) VALUES('flush');"
         "INSERT INTO x(x) VALUES('trim'); INSERT INTO x(x, offset) VALUES('delete-records', 1);"
         "DELETE FROM x WHERE offset < 2; SELECT * FROM commitlog_segments('x')");
    ck_assert_int_eq(rowid(), 100);
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('c'); INSERT INTO t VALUES(200, 'b')");
    MUST(db, "SELECT * FROM commitlog_segments('x')");
    MUST(db, "COMMIT");
    ck_assert_int_eq(rowid(), 200);
    MUST(db, "BEGIN; INSERT INTO t VALUES(300, 'b'); INSERT INTO x(value) VALUES('d'); COMMIT");
    ck_assert_int_eq(rowid(), 4);
    MUST(db, "SELECT commitlog_append('x', NULL, 'e')");
    ck_assert_int_eq(rowid(), 5);
    MUST(db, "INSERT OR IGNORE INTO x(offset, value) VALUES(0, 'no')");
    ck_assert_int_eq(rowid(), 5);
    MUST(db, "INSERT INTO t VALUES(400, 'c'); CREATE VIRTUAL TABLE y USING commitlog;"
             "ALTER TABLE y RENAME TO z; DROP TABLE z");
    MUST(db, "INSERT INTO t VALUES(500, 'c'); CREATE VIRTUAL TABLE y USING commitlog");
    ck_assert_int_eq(rowid(), 500);
    MUST(db, "DROP TABLE y; DROP TABLE x");
    ck_assert_int_eq(rowid(), 500);
}
END_TEST

/* A trigger's INSERT leaves it to the outer statement, as for any table. */
START_TEST(last_insert_rowid_and_triggers)
{
    MUST(db,
         "CREATE TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO x(value) VALUES(new.value); END");
    MUST(db, "INSERT INTO t VALUES(42, 'a')");
    ck_assert_int_eq(rowid(), 42);
    ROWS(db, "SELECT offset, value FROM x", "0|a");
}
END_TEST

static void count(const char *sql, int changes)
{
    MUST(db, sql);
    ck_assert_msg(sqlite3_changes(db) == changes, "%s: changes() is %d, not %d", sql,
                  sqlite3_changes(db), changes);
}

START_TEST(changes_are_right_after_each_statement_of_a_transaction)
{
    MUST(db, "BEGIN");
    count("INSERT INTO x(value) VALUES('a'), ('b'), ('c')", 3);
    count("INSERT INTO x(value, headers) VALUES('d', '{}')", 1);
    count("INSERT INTO x(value) SELECT value FROM x", 4);
    count("INSERT OR IGNORE INTO x(offset, value) VALUES(0, 'no'), (8, 'yes')", 1);
    count("DELETE FROM x WHERE offset < 3", 3);
    count("DELETE FROM x WHERE offset = 100", 0);
    count("INSERT INTO x(value) SELECT printf('%.*c', 5000, 'x') FROM x LIMIT 2", 2);
    count("SELECT count(*) FROM x", 2);
    MUST(db, "INSERT INTO x(x) VALUES('flush')");
    count("INSERT INTO x(value) VALUES('e'), ('f')", 2);
    count("SELECT * FROM commitlog_segments('x')", 2);
    count("DELETE FROM x", 10);
    MUST(db, "ROLLBACK");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('a'), ('b')");
    ROWS(db, "SELECT changes()", "2");
    MUST(db, "COMMIT");
}
END_TEST

/* Documented: after an explicit COMMIT changes() tells of the log's own rows, and total_changes()
 * counts those, too. */
START_TEST(total_changes_counts_shadow_rows)
{
    int before = sqlite3_total_changes(db);

    count("INSERT INTO x(value) VALUES('a'), ('b'), ('c')", 3);
    ck_assert_int_ge(sqlite3_total_changes(db) - before, 3);
    ck_assert_int_le(sqlite3_total_changes(db) - before, 3 + 3);
    MUST(db, "BEGIN");
    count("INSERT INTO x(value) VALUES('d'), ('e')", 2);
    count("COMMIT", 1);
    count("INSERT INTO t VALUES(1, 'a'), (2, 'b')", 2);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_modes");
    TCase *journal = tcase_create("journal modes");
    TCase *synchronous = tcase_create("synchronous");
    TCase *counters = tcase_create("counters");

    tcase_add_checked_fixture(journal, setup, teardown);
    tcase_add_loop_test(journal, every_journal_mode, 0, 5);
    tcase_add_test(journal, journal_mode_off_is_refused);
    tcase_add_test(journal, modes_change_back_and_forth);
    suite_add_tcase(suite, journal);
    tcase_add_checked_fixture(synchronous, setup, teardown);
    tcase_add_loop_test(synchronous, synchronous_is_respected, 0, 8);
    tcase_add_test(synchronous, each_segment_is_synced);
    tcase_add_test(synchronous, boot_id_goes_with_the_first_sync);
    tcase_add_test(synchronous, boot_id_stays_without_a_sync);
    suite_add_tcase(suite, synchronous);
    tcase_add_checked_fixture(counters, setup, teardown);
    tcase_add_test(counters, last_insert_rowid_is_the_offset);
    tcase_add_test(counters, last_insert_rowid_and_triggers);
    tcase_add_test(counters, changes_are_right_after_each_statement_of_a_transaction);
    tcase_add_test(counters, total_changes_counts_shadow_rows);
    suite_add_tcase(suite, counters);
    return suite;
}
