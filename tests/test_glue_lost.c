/*
 * Databases that have left their log behind: copied as a file, by VACUUM INTO, by the backup API;
 * whose directory is another log's. They read nothing as empty and append nothing, and the error
 * names the directory. commitlog_adopt() takes over, also while other connections are open.
 *
 * The same through the shell, with .dump and moved files, is sql/lost.sql.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <string.h>
#include <sys/stat.h>

static sqlite3 *db;
static sqlite3 *copy;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096);"
             "CREATE TABLE t(a); INSERT INTO t VALUES(1);"
             "INSERT INTO x(key, value) VALUES('k', 'a'), ('k', 'b'), ('k', 'c')");
}

static void teardown(void)
{
    if (copy != NULL)
        glue_close(&copy);
    glue_close(&db);
    facts_teardown();
}

static void make_copy(int how)
{
    sqlite3 *target = NULL;
    sqlite3_backup *backup;

    switch (how) {
    case 0:
        glue_copy(facts_path("test.db"), facts_path("copy.db"));
        break;
    case 1:
        MUST(db, glue_text("VACUUM INTO %Q", facts_path("copy.db")));
        break;
    default:
        target = facts_open("copy.db");
        backup = sqlite3_backup_init(target, "main", db, "main");
        ck_assert_ptr_nonnull(backup);
        ck_assert_int_eq(sqlite3_backup_step(backup, -1), SQLITE_DONE);
        sqlite3_backup_finish(backup);
        glue_close(&target);
    }
    copy = glue_open("copy.db");
}

/* "/<uuid> is missing", below the copy's own name. */
static void is_lost(sqlite3 *conn, const char *sql)
{
    FAILS_WITH(conn, sql, SQLITE_CANTOPEN, facts_path("copy.db-commitlog/"));
    HAS(facts_error(), strrchr(glue_directory("test.db"), '/'));
    HAS(facts_error(), "is missing");
    HAS(facts_error(), "commitlog_adopt()");
}

static void original_is_whole(void)
{
    ROWS(db, "SELECT offset, key, value FROM x", "0|k|a;1|k|b;2|k|c");
}

START_TEST(copy_reads_and_appends_nothing)
{
    static const char *const statements[] = {
        "SELECT * FROM x",
        "SELECT value FROM x WHERE offset = 1",
        "SELECT value FROM x WHERE offset > 0 ORDER BY offset DESC",
        "SELECT count(*) FROM x",
        "SELECT max(offset) FROM x",
        "SELECT min(offset) FROM x",
        "SELECT EXISTS (SELECT 1 FROM x)",
        "SELECT * FROM x WHERE timestamp > 0",
        "SELECT a FROM t JOIN x ON x.offset = t.a",
        "INSERT INTO x(value) VALUES('d')",
        "INSERT OR IGNORE INTO x(value) VALUES('d')",
        "INSERT OR REPLACE INTO x(offset, value) VALUES(3, 'd')",
        "INSERT INTO x(value) SELECT a FROM t",
        "DELETE FROM x",
        "DELETE FROM x WHERE offset = 0",
        "INSERT INTO x(x) VALUES('rotate')",
        "INSERT INTO x(x) VALUES('flush')",
        "INSERT INTO x(x) VALUES('trim')",
        "INSERT INTO x(x, offset) VALUES('delete-records', 1)",
        "INSERT INTO t SELECT value FROM x",
        "CREATE TABLE u AS SELECT * FROM x",
    };

    make_copy(_i);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        is_lost(copy, statements[i]);
    FAILS_WITH(copy, "SELECT commitlog_append('x', NULL, 'd')", SQLITE_CANTOPEN,
               facts_path("copy.db-commitlog/"));
    ck_assert_int_eq(glue_count("copy.db-commitlog", ""), 0);
    ROWS(copy, "SELECT count(*) FROM t", "1");
    MUST(copy, "DROP TABLE x");
    ROWS(copy, "SELECT count(*) FROM sqlite_schema", "1");
    original_is_whole();
}
END_TEST

START_TEST(transaction_goes_on_after_the_error)
{
    make_copy(0);
    MUST(copy, "BEGIN; INSERT INTO t VALUES(2)");
    is_lost(copy, "INSERT INTO x(value) VALUES('d')");
    is_lost(copy, "SELECT * FROM x");
    MUST(copy, "INSERT INTO t VALUES(3); COMMIT");
    ROWS(copy, "SELECT count(*) FROM t", "3");
}
END_TEST

START_TEST(directory_that_is_not_its_own)
{
    make_copy(0);
    glue_close(&copy);
    mkdir(facts_path("copy.db-commitlog"), 0700);
    const char *uuid = strrchr(glue_directory("test.db"), '/') + 1;
    char *own = sqlite3_mprintf("%s/%s", facts_path("copy.db-commitlog"), uuid);
    if (_i == 0) { /* another log's name */
        mkdir(facts_path("copy.db-commitlog/11111111-2222-4333-8444-555555555555"), 0700);
    } else if (_i == 1) { /* its own name, another log's files */
        sqlite3 *other = glue_open("other.db");
        MUST(other, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096);"
                    "INSERT INTO x(key, value) VALUES('k', 'x'), ('k', 'y'), ('k', 'z')");
        glue_close(&other);
        glue_copy(glue_directory("other.db"), own);
    } else { /* its own name, and nothing in it */
        mkdir(own, 0700);
    }
    copy = glue_open("copy.db");
    if (_i == 0) {
        is_lost(copy, "SELECT * FROM x");
        is_lost(copy, "INSERT INTO x(value) VALUES('d')");
    } else {
        const char *got = facts_query(copy, "SELECT * FROM x");
        HAS(got, "error: x: offset 0");
        HAS(got, own);
    }
    sqlite3_free(own);
    original_is_whole();
}
END_TEST

/* ---- commitlog_adopt ---- */

START_TEST(adopting_starts_anew)
{
    make_copy(_i);
    is_lost(copy, "SELECT * FROM x");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    ROWS(copy, "SELECT count(*) FROM x", "0");
    MUST(copy, "INSERT INTO x(offset, value) VALUES(3, 'd')");
    ROWS(copy, "SELECT offset, value FROM x", "3|d");
    glue_close(&copy);
    copy = glue_open("copy.db");
    ROWS(copy, "SELECT offset, value FROM x", "3|d");
    ck_assert_int_eq(glue_count("copy.db-commitlog", ".log"), 1);
    original_is_whole();
    MUST(db, "INSERT INTO x(value) VALUES('of the original')");
    ROWS(copy, "SELECT offset, value FROM x", "3|d");
}
END_TEST

START_TEST(adopting_what_is_there_is_refused)
{
    FAILS_WITH(db, "SELECT commitlog_adopt('x')", SQLITE_ERROR,
               "commitlog_adopt: the log is whole, in ");
    original_is_whole();
    MUST(db, "CREATE VIRTUAL TABLE empty USING commitlog");
    FAILS_WITH(db, "SELECT commitlog_adopt('empty')", SQLITE_ERROR, "nothing to adopt");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('d')");
    FAILS(db, "SELECT commitlog_adopt('x')", SQLITE_ERROR,
          "commitlog_adopt: this transaction has already changed the log");
    MUST(db, "ROLLBACK");
    original_is_whole();
}
END_TEST

START_TEST(adopting_is_transactional)
{
    make_copy(0);
    MUST(copy, "BEGIN");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    MUST(copy, "INSERT INTO x(value) VALUES('gone')");
    ROWS(copy, "SELECT offset, value FROM x", "3|gone");
    MUST(copy, "ROLLBACK");
    is_lost(copy, "SELECT * FROM x");
    MUST(copy, "BEGIN; SAVEPOINT s");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    MUST(copy, "ROLLBACK TO s");
    is_lost(copy, "SELECT * FROM x");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    MUST(copy, "INSERT INTO x(value) VALUES('d'); COMMIT");
    ROWS(copy, "SELECT offset, value FROM x", "3|d");
}
END_TEST

/* Another connection that has the log open, by a SELECT or by an INSERT that failed. */
START_TEST(adopting_while_another_connection_is_open)
{
    make_copy(0);
    sqlite3 *other = glue_open("copy.db");
    if (_i % 2 == 0)
        is_lost(other, "SELECT * FROM x");
    else
        is_lost(other, "INSERT INTO x(value) VALUES('no')");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    if (_i / 2 % 2 == 0)
        MUST(copy, "INSERT INTO x(value) VALUES('d')");
    else
        MUST(other, "INSERT INTO x(value) VALUES('d')");
    ROWS(other, "SELECT offset, value FROM x", "3|d");
    ROWS(other, "SELECT max(offset) FROM x", "3");
    ROWS(copy, "SELECT offset, value FROM x", "3|d");
    MUST(other, "INSERT INTO x(value) VALUES('e')");
    ROWS(copy, "SELECT offset, value FROM x", "3|d;4|e");
    ROWS(other, "SELECT sum(records) FROM commitlog_segments('x')", "2");
    glue_close(&other);
}
END_TEST

/* The other connection reads another log's rows at that moment, and its own snapshot. */
START_TEST(adopting_while_another_connection_reads)
{
    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog; PRAGMA wal_checkpoint(TRUNCATE)");
    make_copy(0);
    glue_journal(copy, "wal");
    MUST(copy, "INSERT INTO y(value) VALUES('1'), ('2')");
    sqlite3 *other = glue_open("copy.db");
    sqlite3_stmt *reading = glue_prepare(other, "SELECT value FROM y");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    is_lost(other, "SELECT * FROM x");
    ROWS(copy, "SELECT commitlog_adopt('x')", "3");
    MUST(copy, "INSERT INTO x(value) VALUES('d')");
    is_lost(other, "SELECT * FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    sqlite3_finalize(reading);
    ROWS(other, "SELECT offset, value FROM x", "3|d");
    glue_close(&other);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_lost");
    TCase *copies = tcase_create("copies");
    TCase *adopt = tcase_create("adopt");

    tcase_add_checked_fixture(copies, setup, teardown);
    tcase_add_loop_test(copies, copy_reads_and_appends_nothing, 0, 3);
    tcase_add_test(copies, transaction_goes_on_after_the_error);
    tcase_add_loop_test(copies, directory_that_is_not_its_own, 0, 3);
    suite_add_tcase(suite, copies);
    tcase_add_checked_fixture(adopt, setup, teardown);
    tcase_add_loop_test(adopt, adopting_starts_anew, 0, 3);
    tcase_add_test(adopt, adopting_what_is_there_is_refused);
    tcase_add_test(adopt, adopting_is_transactional);
    tcase_add_loop_test(adopt, adopting_while_another_connection_is_open, 0, 4);
    tcase_add_test(adopt, adopting_while_another_connection_reads);
    suite_add_tcase(suite, adopt);
    return suite;
}
