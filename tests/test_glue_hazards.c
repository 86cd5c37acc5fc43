/*
 * What must never happen around a log, each once a way to lose records or files, to keep what
 * should go, or to pay for what is not needed: drops that are undecided or whose tables cannot be
 * read, copies in memory, a link in the place of the logs' root, mappings and directories that
 * outlive their files, commits that look at what is not due, counters that a look moves.
 *
 * One process, several connections, in a fixed order. The hostile states of a transaction's
 * beginning are test_begin.c's.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sqlite3 *db;
static sqlite3 *other;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    other = glue_open("test.db");
}

static void teardown(void)
{
    if (other != NULL)
        glue_close(&other);
    if (db != NULL)
        glue_close(&db);
    facts_teardown();
}

static void reopen(void)
{
    glue_close(&db);
    db = glue_open("test.db");
}

/* Records of 1000 bytes, so that three fill a segment of 4096. */
static void append(sqlite3 *conn, const char *table, int count)
{
    MUST(conn, glue_text("WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT %d) "
                         "INSERT INTO %s(value) SELECT printf('%%.*c', 1000, 'x') FROM c",
                         count, table));
}

static sqlite3_stmt *select_started(sqlite3 *conn, const char *sql)
{
    sqlite3_stmt *statement = glue_prepare(conn, sql);

    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    return statement;
}

static void fresh_rows(const char *sql, const char *expected)
{
    sqlite3 *fresh = glue_open("test.db");

    ROWS(fresh, sql, expected);
    glue_close(&fresh);
}

/* ---- drops that are undecided ---------------------------------------------------------------- */

static void two_logs(const char *schema)
{
    MUST(db, glue_text("CREATE VIRTUAL TABLE %s.a USING commitlog;"
                       "CREATE VIRTUAL TABLE %s.b USING commitlog;"
                       "CREATE TABLE %s.t(v);",
                       schema, schema, schema));
    MUST(db, "INSERT INTO t VALUES(1), (2); INSERT INTO a(value) VALUES('of a');"
             "INSERT INTO b(value) VALUES('of b')");
}

/* A COMMIT that was BUSY decides nothing: the log it looked at for removal may come back. */
START_TEST(drop_taken_back_after_a_busy_commit)
{
    glue_journal(db, "delete");
    two_logs("main");
    reopen(); /* a connection's first transaction looks for what others have left */
    sqlite3_stmt *reading = select_started(other, "SELECT v FROM t");
    MUST(db, "BEGIN; INSERT INTO b(value) VALUES('more'); SAVEPOINT s; DROP TABLE a");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    MUST(db, "ROLLBACK TO s");
    sqlite3_finalize(reading);
    MUST(db, "COMMIT");
    ROWS(db, "SELECT value FROM a", "of a");
    fresh_rows("SELECT offset, value FROM a", "0|of a");
    fresh_rows("SELECT group_concat(value) FROM b", "of b,more");
    MUST(db, "INSERT INTO a(value) VALUES('again'); INSERT INTO b(value) VALUES('again')");
    fresh_rows("SELECT group_concat(value) FROM a", "of a,again");
    ck_assert_int_eq(glue_count("test.db-commitlog", "DROPPED"), 0);
}
END_TEST

/* The same where the drop could not be noted in the main database, which is locked. */
START_TEST(drop_in_an_attached_database_taken_back_after_a_busy_commit)
{
    static const char attach[] = "ATTACH %Q AS far";
    sqlite3 *locking = glue_open("test.db");

    MUST(db, "CREATE TABLE main.m(v)");
    MUST(db, glue_text(attach, facts_path("far.db")));
    two_logs("far");
    reopen();
    MUST(db, glue_text(attach, facts_path("far.db")));
    MUST(other, glue_text(attach, facts_path("far.db")));
    MUST(locking, "BEGIN IMMEDIATE");
    sqlite3_stmt *reading = select_started(other, "SELECT v FROM far.t");
    MUST(db, "BEGIN; INSERT INTO far.b(value) VALUES('more'); SAVEPOINT s; DROP TABLE far.a");
    ck_assert_int_eq(facts_exec(db, "COMMIT"), SQLITE_BUSY);
    MUST(db, "ROLLBACK TO s");
    sqlite3_finalize(reading);
    MUST(db, "COMMIT");
    ROWS(db, "SELECT value FROM a", "of a");
    ROWS(other, "SELECT group_concat(value) FROM far.a", "of a");
    ROWS(other, "SELECT group_concat(value) FROM far.b", "of b,more");
    ck_assert_int_eq(glue_count("far.db-commitlog", ".log"), 2);
    glue_close(&locking);
}
END_TEST

/* ---- drops of what cannot be read ------------------------------------------------------------ */

/* Put the mark of a dropped table into every directory of the database's logs. */
static void mark_all_dropped(const char *database)
{
    char *root = sqlite3_mprintf("%s", facts_path(glue_text("%s-commitlog", database)));
    DIR *stream = opendir(root);
    int marked = 0;

    ck_assert_ptr_nonnull(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strlen(entry->d_name) == 36) {
            glue_overwrite(glue_text("%s/%s/DROPPED", root, entry->d_name), 0, "", 0);
            marked++;
        }
    }
    closedir(stream);
    sqlite3_free(root);
    ck_assert_int_eq(marked, glue_count(glue_text("%s-commitlog", database), "DROPPED"));
    ck_assert_int_gt(marked, 0);
}

static const char *const hide_uuid[] = {
    "UPDATE a_config SET checksum = checksum + 1 WHERE name = 'uuid'",
    "UPDATE a_config SET value = CAST(value AS TEXT) WHERE name = 'uuid'",
    "UPDATE a_config SET name = 'nobody' WHERE name = 'uuid'",
};
static const char *const show_uuid[] = {
    "UPDATE a_config SET checksum = checksum - 1 WHERE name = 'uuid'",
    "UPDATE a_config SET value = CAST(value AS BLOB) WHERE name = 'uuid'",
    "UPDATE a_config SET name = 'uuid' WHERE name = 'nobody'",
};

/* Whose directory it is cannot be told, so it is not a dropped table's. */
START_TEST(marked_log_whose_uuid_cannot_be_read)
{
    two_logs("main");
    mark_all_dropped("test.db");
    MUST(db, hide_uuid[_i]);
    reopen();
    FAILS_WITH(db, "SELECT * FROM a", SQLITE_CORRUPT_VTAB, "a_config holds no valid uuid");
    MUST(db, "INSERT INTO b(value) VALUES('more')");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 2);
    MUST(db, show_uuid[_i]);
    reopen();
    ROWS(db, "SELECT offset, value FROM a", "0|of a");
    MUST(db, "INSERT INTO b(value) VALUES('still more')");
    ROWS(db, "SELECT value FROM a", "of a");
    ROWS(db, "SELECT group_concat(value) FROM b", "of b,more,still more");
    ck_assert_int_eq(glue_count("test.db-commitlog", "DROPPED"), 0);
}
END_TEST

/* A table that happens to be called like a shadow table does not stand in the way of a removal. */
START_TEST(marked_log_beside_a_strangers_config)
{
    two_logs("main");
    MUST(db, "CREATE TABLE aa_config(what)");
    glue_journal(db, "wal");
    sqlite3_stmt *reading = select_started(other, "SELECT value FROM a");
    MUST(db, "DROP TABLE a");
    sqlite3_finalize(reading);
    reopen();
    MUST(db, "INSERT INTO b(value) VALUES('more')");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
}
END_TEST

/* DROP TABLE works, but which files are the table's nobody knows: they stay. */
START_TEST(drop_of_a_table_whose_config_is_damaged)
{
    two_logs("main");
    int files = glue_count("test.db-commitlog", "");
    if (_i < 3)
        MUST(db, hide_uuid[_i]);
    else
        MUST(db, _i == 3 ? "DELETE FROM a_config" : "DROP TABLE a_config");
    reopen();
    MUST(db, "DROP TABLE a");
    ROWS(db, "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'a%'", "0");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), files);
    MUST(db, "INSERT INTO b(value) VALUES('more')");
    reopen();
    MUST(db, "INSERT INTO b(value) VALUES('still more')");
    ROWS(db, "SELECT group_concat(value) FROM b", "of b,more,still more");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), files);
    MUST(db, "CREATE VIRTUAL TABLE a USING commitlog; INSERT INTO a(value) VALUES('new')");
    ROWS(db, "SELECT offset, value FROM a", "0|new");
}
END_TEST

/* ---- a dropped table that somebody reads ----------------------------------------------------- */

/* By a connection that has long done its first transaction with the other log; or by one that knows
 * of no drop. */
START_TEST(directory_of_a_dropped_table_goes_after_its_reader)
{
    glue_journal(db, "wal");
    two_logs("main");
    MUST(db, "INSERT INTO b(value) VALUES('1'); INSERT INTO b(value) VALUES('2')");
    MUST(db, "INSERT INTO a(value) VALUES('second')");
    sqlite3_stmt *reading = select_started(other, "SELECT value FROM a");
    MUST(db, "DROP TABLE a");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 2);
    if (_i == 1) { /* a commit that looks, in vain, while the reader is there */
        MUST(db, "INSERT INTO b(value) VALUES('3')");
        ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 2);
    }
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(reading, 0), "second");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_DONE);
    sqlite3_finalize(reading);
    MUST(_i == 2 ? other : db, "INSERT INTO b(value) VALUES('4')");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
    HAS(glue_directory("test.db"), "test.db-commitlog/"); /* fails with two directories */
    ROWS(other, "SELECT group_concat(value) FROM b", _i == 1 ? "of b,1,2,3,4" : "of b,1,2,4");
}
END_TEST

/* ---- files and mappings that are gone -------------------------------------------------------- */

/* Mappings of files that are removed already: their disk space is not free yet. */
static int deleted_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char *line = NULL;
    size_t size = 0;
    int count = 0;

    ck_assert_ptr_nonnull(maps);
    while (getline(&line, &size, maps) >= 0)
        count += strstr(line, "test.db-commitlog") != NULL && strstr(line, "(deleted)") != NULL;
    free(line);
    fclose(maps);
    return count;
}

static const char *const trims[] = {
    "INSERT INTO x(x, offset) VALUES('delete-records', 30)",
    ("BEGIN; INSERT INTO x(x, offset) VALUES('delete-records', 30);"
     "INSERT INTO x(value) VALUES('more'); COMMIT"),
    "DELETE FROM x WHERE offset < 30",
    "DELETE FROM x",
};

START_TEST(removed_files_are_not_mapped)
{
    static const char *const sum = "SELECT sum(length(value)) FROM x";

    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    append(db, "x", 31);
    ROWS(db, sum, "31000");
    ROWS(other, sum, "31000");
    ck_assert_int_ge(glue_mapping_count(), 2 * 10);
    glue_close(&other);
    ck_assert_int_ge(glue_mapping_count(), 10);
    MUST(db, trims[_i]);
    ck_assert_int_le(glue_count("test.db-commitlog", ".log"), 2);
    ck_assert_int_eq(deleted_mappings(), 0);
}
END_TEST

/* Another connection does not hear of the commit; it finds out with its next look at the log. */
START_TEST(removed_files_are_not_mapped_by_an_idle_connection_that_looks_again)
{
    glue_journal(db, "wal");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0)");
    append(db, "x", 31);
    ROWS(other, "SELECT sum(length(value)) FROM x", "31000");
    MUST(db, trims[_i]);
    ck_assert_int_le(glue_count("test.db-commitlog", ".log"), 2);
    ck_assert_int_gt(deleted_mappings(), 0); /* of `other`: else there is nothing to see here */
    ROWS(other, "SELECT sum(length(value)) > 500 FROM x", _i == 3 ? "null" : "1");
    ck_assert_int_eq(deleted_mappings(), 0);
}
END_TEST

/* ---- files that wait for their delay --------------------------------------------------------- */

static int dropped_statements; /* that name x_dropped */
static int statements;

static int count_statement(unsigned kind, void *context, void *statement, void *sql)
{
    (void)kind, (void)context, (void)statement;
    statements++;
    dropped_statements += strstr(sql, "x_dropped") != NULL;
    return 0;
}

/* How many statements, of the extension's too, name x_dropped while this runs? */
static int dropped_lookups(const char *sql)
{
    statements = dropped_statements = 0;
    sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count_statement, NULL);
    MUST(db, sql);
    sqlite3_trace_v2(db, 0, NULL, NULL);
    ck_assert_int_gt(statements, 1); /* the extension's are traced */
    return dropped_statements;
}

START_TEST(waiting_files_cost_a_small_commit_nothing)
{
    static const char *const small[] = {
        "INSERT INTO x(value) VALUES('a')",
        "BEGIN; INSERT INTO x(value) VALUES('a'); INSERT INTO x(value) VALUES('b'); COMMIT",
    };

    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096)");
    append(db, "x", 300);
    MUST(db, "INSERT INTO x(x) VALUES('rotate'); INSERT INTO x(value) VALUES('a'), ('b'), ('c')");
    ck_assert_int_gt(dropped_lookups("INSERT INTO x(x, offset) VALUES('delete-records', 300)"), 0);
    ck_assert_int_ge(glue_integer(db, "SELECT count(*) FROM x_dropped"), 100);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(dropped_lookups(small[_i]), 0);
    /* Who comes later looks once. */
    reopen();
    MUST(db, "INSERT INTO x(value) VALUES('d')");
    ck_assert_int_eq(dropped_lookups(small[_i]), 0);
    ck_assert_int_ge(glue_count("test.db-commitlog", ".log"), 100);
}
END_TEST

/* ---- copies in memory ------------------------------------------------------------------------ */

static void setup_memory(void)
{
    facts_setup();
    setenv("TMPDIR", facts_path(""), 1);
}

/* Neither the logs nor those of the copies are left behind. */
static void teardown_memory(void)
{
    unsetenv("TMPDIR");
    ck_assert_int_eq(glue_count("", ""), 0);
    facts_teardown();
}

static sqlite3 *open_memory(const char *uri)
{
    return glue_open_uri(uri, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
}

static void is_missing(sqlite3 *conn, const char *sql)
{
    FAILS_WITH(conn, sql, SQLITE_CANTOPEN, "is missing: move or copy it along");
}

START_TEST(copy_of_a_database_in_memory_has_no_log)
{
    static const char *const pairs[][2] = {
        {":memory:", ":memory:"},
        {"file:x?mode=memory&cache=shared", "file:y?mode=memory&cache=shared"},
        {"file:/x?vfs=memdb", "file:/y?vfs=memdb"},
        {"file:/x?vfs=memdb", ":memory:"},
    };
    sqlite3 *one = open_memory(pairs[_i][0]), *copy = open_memory(pairs[_i][1]);

    MUST(one, "CREATE VIRTUAL TABLE x USING commitlog; INSERT INTO x(value) VALUES('a'), ('b')");
    sqlite3_backup *backup = sqlite3_backup_init(copy, "main", one, "main");
    ck_assert_ptr_nonnull(backup);
    ck_assert_int_eq(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_backup_finish(backup), SQLITE_OK);
    is_missing(copy, "SELECT * FROM x");
    is_missing(copy, "INSERT INTO x(value) VALUES('of the copy')");
    MUST(one, "INSERT INTO x(value) VALUES('c')");
    is_missing(copy, "SELECT count(*) FROM x");
    ROWS(one, "SELECT group_concat(value) FROM x", "a,b,c");
    ROWS(copy, "SELECT commitlog_adopt('x')", "2");
    MUST(copy, "INSERT INTO x(value) VALUES('of the copy')");
    ROWS(copy, "SELECT offset, value FROM x", "2|of the copy");
    MUST(one, "INSERT INTO x(value) VALUES('d')");
    MUST(copy, "DROP TABLE x");
    glue_close(&copy);
    MUST(one, "INSERT INTO x(value) VALUES('e')");
    ROWS(one, "SELECT group_concat(value) FROM x", "a,b,c,d,e");
    glue_close(&one);
}
END_TEST

START_TEST(connections_to_one_database_in_memory_share_its_log)
{
    static const char *const uris[] = {"file:x?mode=memory&cache=shared", "file:/x?vfs=memdb"};
    sqlite3 *one = open_memory(uris[_i]), *two = open_memory(uris[_i]);

    MUST(one, "CREATE VIRTUAL TABLE x USING commitlog; INSERT INTO x(value) VALUES('one')");
    ROWS(two, "SELECT value FROM x", "one");
    MUST(two, "INSERT INTO x(value) VALUES('two')");
    ROWS(one, "SELECT group_concat(value) FROM x", "one,two");
    ROWS(two,
         glue_text("SELECT count(*) FROM commitlog_segments('x') WHERE file = '%s'",
                   facts_query(one, "SELECT file FROM commitlog_segments('x')")),
         "1");
    glue_close(&one);
    ROWS(two, "SELECT group_concat(value) FROM x", "one,two");
    glue_close(&two);
}
END_TEST

/* ---- a link in the root's place -------------------------------------------------------------- */

/* The lines of glue_listing() about the files of another database's logs. */
static const char *files_of_the_other(void)
{
    char *text = facts_text();
    const char *listing = glue_listing();

    for (const char *line = listing, *end; *line != '\0'; line = end) {
        end = strchr(line, '\n') + 1;
        const char *found = strstr(line, "other.db-commitlog");
        if (found != NULL && found < end)
            strncat(text, line, (size_t)(end - line));
    }
    ck_assert_str_ne(text, "");
    return text;
}

/* Both databases have the same logs' names, as copies do: through the link they would fit. */
START_TEST(link_to_the_logs_of_another_database)
{
    static const char *const refused[] = {
        "SELECT * FROM x",
        "SELECT count(*) FROM x",
        "INSERT INTO x(value) VALUES('b')",
        "DELETE FROM x",
        "INSERT INTO x(x) VALUES('rotate')",
        "INSERT INTO x(x, offset) VALUES('delete-records', 1)",
        "INSERT INTO empty(value) VALUES('b')", /* would make a directory there */
    };

    glue_close(&other);
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(file_delete_delay_ms=0);"
             "CREATE VIRTUAL TABLE empty USING commitlog; INSERT INTO x(value) VALUES('a')");
    glue_close(&db);
    glue_copy(facts_path("test.db"), facts_path("other.db"));
    ck_assert_int_eq(rename(facts_path("test.db-commitlog"), facts_path("other.db-commitlog")), 0);
    ck_assert_int_eq(symlink(_i == 0 ? facts_path("other.db-commitlog") : "other.db-commitlog",
                             facts_path("test.db-commitlog")),
                     0);
    char *before = sqlite3_mprintf("%s", files_of_the_other());
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        db = glue_open("test.db");
        FAILS_WITH(db, refused[i], SQLITE_CANTOPEN, facts_path("test.db-commitlog"));
        glue_close(&db);
    }
    db = glue_open("test.db");
    MUST(db, "DROP TABLE x; DROP TABLE empty");
    ck_assert_str_eq(files_of_the_other(), before);
    sqlite3_free(before);
    other = glue_open("other.db");
    ROWS(other, "SELECT offset, value FROM x", "0|a");
}
END_TEST

/* ---- counters and loading -------------------------------------------------------------------- */

START_TEST(looking_at_segments_moves_no_counter)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096); BEGIN");
    append(db, "x", 5);
    if (_i == 1)
        MUST(db, "INSERT INTO x(x) VALUES('flush')");
    append(db, "x", 2);
    int changes = sqlite3_changes(db), total = sqlite3_total_changes(db);
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(db);
    ck_assert_int_eq(changes, 2);
    ck_assert_int_eq(rowid, 6);
    ck_assert_int_gt(
        glue_integer(db, "SELECT count(*) + total(records) FROM commitlog_segments('x')"),
        _i == 1 ? 0 : -1);
    ROWS(db,
         "SELECT count(*), changes() FROM x JOIN commitlog_segments('x') AS s "
         "ON s.base_offset = x.segment WHERE x.offset = 0",
         _i == 1 ? "1|2" : "0|2");
    ck_assert_int_eq(sqlite3_changes(db), changes);
    ck_assert_int_eq(sqlite3_total_changes(db), total);
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), rowid);
    MUST(db, "COMMIT");
    total = sqlite3_total_changes(db);
    ck_assert_int_eq(glue_integer(db, "SELECT total(records) FROM commitlog_segments('x')"), 7);
    ck_assert_int_eq(sqlite3_total_changes(db), total);
}
END_TEST

START_TEST(creating_and_dropping_keep_the_last_rowid)
{
    MUST(db, "CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES(4711)");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 4711);
    MUST(db, "BEGIN; CREATE VIRTUAL TABLE y USING commitlog; COMMIT");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 4711);
    MUST(db, "INSERT INTO x(value) VALUES('a'), ('b'); INSERT INTO t VALUES(815)");
    MUST(db, "DROP TABLE x; DROP TABLE y");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 815);
}
END_TEST

/* Tables, of before and after, and functions are of one connection: they share its transaction. */
START_TEST(extension_loaded_twice)
{
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096)");
    MUST(db, "INSERT INTO x(value) VALUES('a')");
    if (_i == 1)
        MUST(db, "BEGIN; INSERT INTO x(value) VALUES('b')");
    glue_load(db);
    if (_i == 0)
        MUST(db, "BEGIN; INSERT INTO x(value) VALUES('b')");
    ROWS(db, "SELECT commitlog_append('x', NULL, 'c')", "2");
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog; INSERT INTO y(value) VALUES('of y')");
    ROWS(db, "SELECT commitlog_append('y', NULL, 'more')", "1");
    MUST(db, "INSERT INTO x(value) VALUES('d')");
    ROWS(db, "SELECT group_concat(value) FROM x", "a,b,c,d");
    ROWS(db, "SELECT sum(records) FROM commitlog_segments('x')", "1");
    MUST(db, "SAVEPOINT s; DROP TABLE x; ROLLBACK TO s; COMMIT");
    glue_load(db);
    ROWS(db, "SELECT offset, value FROM x", "0|a;1|b;2|c;3|d");
    ROWS(db, "SELECT sum(records) FROM commitlog_segments('x')", "4");
    fresh_rows("SELECT group_concat(value) FROM x", "a,b,c,d");
    fresh_rows("SELECT group_concat(value) FROM y", "of y,more");
    MUST(db, "DROP TABLE x; DROP TABLE y");
    ck_assert_int_eq(glue_count("test.db-commitlog", ""), 0);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_hazards");
    TCase *drops = tcase_create("drops");
    TCase *files = tcase_create("files");
    TCase *memory = tcase_create("memory");
    TCase *counters = tcase_create("counters and loading");

    tcase_add_checked_fixture(drops, setup, teardown);
    tcase_add_test(drops, drop_taken_back_after_a_busy_commit);
    tcase_add_test(drops, drop_in_an_attached_database_taken_back_after_a_busy_commit);
    tcase_add_loop_test(drops, marked_log_whose_uuid_cannot_be_read, 0, 3);
    tcase_add_test(drops, marked_log_beside_a_strangers_config);
    tcase_add_loop_test(drops, drop_of_a_table_whose_config_is_damaged, 0, 5);
    tcase_add_loop_test(drops, directory_of_a_dropped_table_goes_after_its_reader, 0, 3);
    suite_add_tcase(suite, drops);
    tcase_add_checked_fixture(files, setup, teardown);
    tcase_add_loop_test(files, removed_files_are_not_mapped, 0, 4);
    tcase_add_loop_test(files, removed_files_are_not_mapped_by_an_idle_connection_that_looks_again,
                        0, 4);
    tcase_add_loop_test(files, waiting_files_cost_a_small_commit_nothing, 0, 2);
    tcase_add_loop_test(files, link_to_the_logs_of_another_database, 0, 2);
    suite_add_tcase(suite, files);
    tcase_add_checked_fixture(memory, setup_memory, teardown_memory);
    tcase_add_loop_test(memory, copy_of_a_database_in_memory_has_no_log, 0, 4);
    tcase_add_loop_test(memory, connections_to_one_database_in_memory_share_its_log, 0, 2);
    suite_add_tcase(suite, memory);
    tcase_add_checked_fixture(counters, setup, teardown);
    tcase_add_loop_test(counters, looking_at_segments_moves_no_counter, 0, 2);
    tcase_add_test(counters, creating_and_dropping_keep_the_last_rowid);
    tcase_add_loop_test(counters, extension_loaded_twice, 0, 2);
    suite_add_tcase(suite, counters);
    return suite;
}
