/*
 * Logs of databases without a file: in memory, temporary, shared between connections, attached.
 * They work as any other, in a directory below TMPDIR that goes with the last connection.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <stdlib.h>
#include <string.h>

static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

static void setup(void)
{
    facts_setup();
    setenv("TMPDIR", facts_path(""), 1);
}

/* Nothing is left behind, nor was anything put elsewhere. */
static void teardown(void)
{
    unsetenv("TMPDIR");
    ck_assert_int_eq(glue_count("", ""), 0);
    facts_teardown();
}

static void use(sqlite3 *db, const char *schema)
{
    MUST(db, glue_text("CREATE VIRTUAL TABLE %s.x USING commitlog(segment_bytes=4096, "
                       "file_delete_delay_ms=0)",
                       schema));
    MUST(db, "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 10) "
             "INSERT INTO x(value) SELECT printf('%.*c', 1000, 'x') FROM c");
    ROWS(db, summary, "10|0|9|10000");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('a'); SAVEPOINT s; INSERT INTO x(value) "
             "VALUES('b'); ROLLBACK TO s; INSERT INTO x(value) VALUES('c'); COMMIT");
    ROWS(db, "SELECT group_concat(value) FROM x WHERE offset > 9", "a,c");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('a'); ROLLBACK");
    ck_assert_int_ge(glue_count("", ".log"), 4);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 10)");
    MUST(db, "INSERT INTO x(value) VALUES('d')");
    ROWS(db, "SELECT group_concat(value) FROM x", "a,c,d");
    ck_assert_int_le(glue_count("", ".log"), 2);
}

START_TEST(databases_of_one_connection)
{
    static const char *const names[] = {":memory:", "", "file::memory:", "file:a?mode=memory"};
    sqlite3 *db = glue_open_uri(names[_i], SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

    use(db, "main");
    MUST(db, "DROP TABLE x");
    ck_assert_int_eq(glue_count("", ".log"), 0);
    use(db, "main");
    glue_close(&db);
    ck_assert_int_eq(glue_count("", ""), 0);
}
END_TEST

START_TEST(temp_and_attached)
{
    static const char *const attach[] = {"SELECT 1", "ATTACH ':memory:' AS far",
                                         "ATTACH '' AS far"};
    sqlite3 *db = glue_open(":memory:");

    MUST(db, attach[_i]);
    use(db, _i == 0 ? "temp" : "far");
    if (_i > 0)
        MUST(db, "DETACH far");
    glue_close(&db);
    ck_assert_int_eq(glue_count("", ""), 0);
}
END_TEST

/* sqlite3_close_v2() leaves the connection to its last statement, and so the log. */
START_TEST(connection_closed_before_its_statement)
{
    sqlite3 *db = glue_open(":memory:");

    use(db, "main");
    sqlite3_stmt *reading = glue_prepare(db, "SELECT value FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_close_v2(db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(reading, 0), "c");
    sqlite3_finalize(reading);
    ck_assert_int_eq(glue_count("", ""), 0);
}
END_TEST

/* A log in TEMP beside a database with a file, filled by a trigger on an ordinary table. */
START_TEST(temp_log_of_a_database_with_a_file)
{
    sqlite3 *db = glue_open("test.db");

    MUST(db,
         "CREATE TABLE t(a); CREATE VIRTUAL TABLE temp.x USING commitlog;"
         "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN INSERT INTO x(value) VALUES(new.a); END;"
         "INSERT INTO t VALUES('a'), ('b')");
    ROWS(db, "SELECT offset, value FROM x", "0|a;1|b");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
    glue_close(&db);
    sqlite3 *fresh = glue_open("test.db");
    FAILS(fresh, "SELECT * FROM x", SQLITE_ERROR, "no such table: x");
    glue_close(&fresh);
    glue_remove(facts_path("test.db"));
}
END_TEST

/* ---- shared between connections ---- */

/* Two connections to one database in memory. The log goes with the second, whichever it is. */
static void share(const char *uri)
{
    sqlite3 *one = glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3 *two = glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

    MUST(one, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096)");
    MUST(one, "INSERT INTO x(value) VALUES('one')");
    ROWS(two, "SELECT offset, value FROM x", "0|one");
    MUST(two, "INSERT INTO x(value) VALUES('two')");
    ROWS(one, "SELECT offset, value FROM x", "0|one;1|two");
    MUST(one, "BEGIN; INSERT INTO x(value) VALUES('three')");
    ck_assert_int_ne(facts_exec(two, "INSERT INTO x(value) VALUES('locked')"), SQLITE_OK);
    MUST(one, "COMMIT");
    ck_assert_int_eq(glue_count("", ".log"), 1);
    glue_close(&one);
    ROWS(two, "SELECT group_concat(value) FROM x", "one,two,three");
    MUST(two, "INSERT INTO x(value) VALUES('four')");
    sqlite3 *third = glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    ROWS(third, "SELECT group_concat(value) FROM x", "one,two,three,four");
    glue_close(&two);
    MUST(third, "INSERT INTO x(value) VALUES('five')");
    ROWS(third, "SELECT group_concat(value) FROM x", "one,two,three,four,five");
    glue_close(&third);
}

START_TEST(shared_cache)
{
    share("file:shared?mode=memory&cache=shared");
}
END_TEST

/* The name looks like a path, but there is no such file, nor may a directory stand beside it. */
START_TEST(memdb)
{
    char *path = sqlite3_mprintf("%s", facts_path("sub/mem.db"));
    char *uri = sqlite3_mprintf("file:%s?vfs=memdb", path);

    share(uri);
    sqlite3_free(uri);
    sqlite3_free(path);
}
END_TEST

/* A connection that only looked at the log's table, and one that closes without ever doing so. */
START_TEST(connections_that_did_not_use_the_log)
{
    const char *uri = "file:shared?mode=memory&cache=shared";
    sqlite3 *one = glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    sqlite3 *two = glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

    MUST(one, "CREATE VIRTUAL TABLE x USING commitlog");
    MUST(one, "INSERT INTO x(value) VALUES('one')");
    ROWS(two, "SELECT count(*) FROM sqlite_schema WHERE name = 'x'", "1");
    glue_close(&one);
    /* The database lives on in `two`, and its log with it: gone or there, but never empty. */
    ROWS(two, "SELECT offset, value FROM x", "0|one");
    glue_close(&two);
}
END_TEST

START_TEST(each_memory_database_has_its_own)
{
    sqlite3 *one = glue_open(":memory:"), *two = glue_open(":memory:");

    use(one, "main");
    use(two, "main");
    MUST(one, "INSERT INTO x(value) VALUES('one')");
    ROWS(two, "SELECT group_concat(value) FROM x", "a,c,d");
    glue_close(&one);
    ROWS(two, "SELECT group_concat(value) FROM x", "a,c,d");
    glue_close(&two);
}
END_TEST

/* The backup API copies a database in memory to a file, but not its log. */
START_TEST(backup_of_a_memory_database_is_a_copy_without_its_log)
{
    sqlite3 *db = glue_open(":memory:"), *copy = glue_open("copy.db");

    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog; INSERT INTO x(value) VALUES('a')");
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", db, "main");
    ck_assert_ptr_nonnull(backup);
    ck_assert_int_eq(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    sqlite3_backup_finish(backup);
    FAILS_WITH(copy, "SELECT * FROM x", SQLITE_CANTOPEN, "copy.db-commitlog/");
    FAILS_WITH(copy, "INSERT INTO x(value) VALUES('b')", SQLITE_CANTOPEN, "copy.db-commitlog/");
    ROWS(db, "SELECT value FROM x", "a");
    glue_close(&copy);
    glue_close(&db);
    glue_remove(facts_path("copy.db"));
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_memory");
    TCase *one = tcase_create("one connection");
    TCase *shared = tcase_create("shared");

    tcase_add_checked_fixture(one, setup, teardown);
    tcase_add_loop_test(one, databases_of_one_connection, 0, 4);
    tcase_add_loop_test(one, temp_and_attached, 0, 3);
    tcase_add_test(one, connection_closed_before_its_statement);
    tcase_add_test(one, temp_log_of_a_database_with_a_file);
    suite_add_tcase(suite, one);
    tcase_add_checked_fixture(shared, setup, teardown);
    tcase_add_test(shared, shared_cache);
    tcase_add_test(shared, memdb);
    tcase_add_test(shared, connections_that_did_not_use_the_log);
    tcase_add_test(shared, each_memory_database_has_its_own);
    tcase_add_test(shared, backup_of_a_memory_database_is_a_copy_without_its_log);
    suite_add_tcase(suite, shared);
    return suite;
}
