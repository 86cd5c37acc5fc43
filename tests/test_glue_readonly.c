/*
 * Reading where nothing can be written: a read-only connection, an immutable database, a directory
 * without write permission, a user who may only read. Answers are the same, nothing is written, and
 * what would write is refused with SQLite's code.
 *
 * Run as root, a child becomes another user, because root may write everywhere.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <dlfcn.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534 };

static sqlite3 *db;

static const char summary[] =
    "SELECT count(*), min(offset), max(offset), sum(length(value)) FROM x";

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog(segment_bytes=4096, file_delete_delay_ms=0);"
             "WITH c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 10) "
             "INSERT INTO x(timestamp, value) SELECT i, printf('%.*c', 1000, 'x') FROM c;"
             "CREATE TABLE t(a)");
}

static int open_up(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found, (void)where;
    return chmod(path, kind == FTW_D ? 0755 : 0644);
}

static int close_down(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)found, (void)where;
    return chmod(path, kind == FTW_D ? 0555 : 0444);
}

static void permissions(int (*change)(const char *, const struct stat *, int, struct FTW *))
{
    ck_assert_int_eq(nftw(facts_path(""), change, 8, FTW_PHYS), 0);
}

static void teardown(void)
{
    if (db != NULL)
        glue_close(&db);
    permissions(open_up);
    facts_teardown();
}

/* Every kind of read, and that writes are refused with `code`. */
static void read_everything(sqlite3 *conn, int code)
{
    ROWS(conn, summary, "10|0|9|10000");
    ROWS(conn, "SELECT offset, timestamp, length(value) FROM x WHERE offset = 5", "5|6|1000");
    ROWS(conn, "SELECT max(offset), (SELECT min(offset) FROM x) FROM x", "9|0");
    ROWS(conn, "SELECT offset FROM x WHERE timestamp > 8 ORDER BY offset DESC", "9;8");
    ROWS(conn, "SELECT count(*), sum(records) FROM commitlog_segments('x')", "4|10");
    ck_assert_int_eq(facts_exec(conn, "INSERT INTO x(value) VALUES('no')"), code);
    ck_assert_int_eq(facts_exec(conn, "DELETE FROM x"), code);
    ck_assert_int_eq(facts_exec(conn, "INSERT INTO x(x) VALUES('flush')"), code);
    ck_assert_int_eq(facts_exec(conn, "SELECT commitlog_append('x', 1, 2)"), code);
    ck_assert_int_eq(facts_exec(conn, "DROP TABLE x"), code);
    ROWS(conn, summary, "10|0|9|10000");
}

static const char *uri(const char *parameters)
{
    return glue_text("file:%s?%s", facts_path("test.db"), parameters);
}

START_TEST(read_only_connection)
{
    glue_close(&db);
    for (int i = 0; i < 4; i++) {
        if (i == 1)
            glue_remove(glue_segment("test.db", 3, ".idx"));
        if (i == 2)
            glue_cut(glue_segment("test.db", 0, ".idx"), 70);
        if (i == 3)
            glue_remove(glue_text("%s/PINS", glue_directory("test.db")));
        char *before = sqlite3_mprintf("%s", glue_listing());
        sqlite3 *conn = glue_open_uri(uri("mode=ro"), SQLITE_OPEN_READONLY);
        read_everything(conn, SQLITE_READONLY);
        glue_close(&conn);
        ck_assert_str_eq(glue_listing(), before);
        sqlite3_free(before);
    }
}
END_TEST

/* Immutable: SQLite takes no lock and looks for no journal. */
START_TEST(immutable_database)
{
    glue_close(&db);
    if (_i % 2 == 1)
        glue_remove(glue_segment("test.db", 3, ".idx"));
    char *before = sqlite3_mprintf("%s", glue_listing());
    sqlite3 *conn = glue_open_uri(uri(_i / 2 ? "mode=ro&immutable=1" : "immutable=1"),
                                  _i / 2 ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    ROWS(conn, summary, "10|0|9|10000");
    ROWS(conn, "SELECT length(value) FROM x WHERE offset = 4", "1000");
    glue_close(&conn);
    ck_assert_str_eq(glue_listing(), before);
    sqlite3_free(before);
}
END_TEST

/* query_only keeps the connection from writing to the database; the log obeys it, too. */
START_TEST(query_only_connection)
{
    MUST(db, "PRAGMA query_only = ON");
    ck_assert_int_eq(facts_exec(db, "INSERT INTO x(value) VALUES('no')"), SQLITE_READONLY);
    ck_assert_int_eq(facts_exec(db, "DELETE FROM x"), SQLITE_READONLY);
    ROWS(db, summary, "10|0|9|10000");
    MUST(db, "PRAGMA query_only = OFF; INSERT INTO x(value) VALUES('yes')");
    ROWS(db, "SELECT max(offset) FROM x", "10");
}
END_TEST

/* ---- another user ---- */

typedef int (*entry_point)(sqlite3 *db, char **message, const sqlite3_api_routines *api);

static entry_point loaded_entry;

static int load_as_anybody(sqlite3 *conn, char **message, const sqlite3_api_routines *api)
{
    int code = loaded_entry(conn, message, api);
    return code == SQLITE_OK_LOAD_PERMANENTLY ? SQLITE_OK : code;
}

/* Another user may not reach the extension's file: have it in the process before. */
static void become_another_user(void)
{
    const char *path = getenv("COMMITLOG_SO");
    void *library = dlopen(path != NULL ? path : COMMITLOG_SO, RTLD_NOW);

    ck_assert_msg(library != NULL, "%s", dlerror());
    *(void **)&loaded_entry = dlsym(library, "sqlite3_commitlog_init");
    ck_assert(loaded_entry != NULL);
    sqlite3_auto_extension((void (*)(void))load_as_anybody);
    if (geteuid() == 0) {
        ck_assert_int_eq(setgid(NOBODY), 0);
        ck_assert_int_eq(setuid(NOBODY), 0);
    }
}

static sqlite3 *open_as_anybody(int flags)
{
    sqlite3 *conn = NULL;

    ck_assert_int_eq(sqlite3_open_v2(facts_path("test.db"), &conn, flags, NULL), SQLITE_OK);
    sqlite3_extended_result_codes(conn, 1);
    return conn;
}

static int read_as_another_user(void *code)
{
    become_another_user();
    for (int i = 0; i < 2; i++) {
        sqlite3 *conn = open_as_anybody(i == 0 ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY);
        read_everything(conn, *(int *)code);
        glue_close(&conn);
    }
    return 0;
}

START_TEST(user_with_read_permission_only)
{
    int code = SQLITE_READONLY;

    glue_close(&db);
    if (_i == 1)
        glue_remove(glue_segment("test.db", 3, ".idx"));
    if (_i == 2)
        glue_remove(glue_text("%s/PINS", glue_directory("test.db")));
    permissions(close_down);
    char *before = sqlite3_mprintf("%s", glue_listing());
    ck_assert_int_eq(glue_in_child(read_as_another_user, &code), 0);
    ck_assert_str_eq(glue_listing(), before);
    sqlite3_free(before);
}
END_TEST

/* In WAL, while a writer is there, whose WAL and index the reader finds. */
START_TEST(user_with_read_permission_only_in_wal)
{
    int code = SQLITE_READONLY;

    glue_journal(db, "wal");
    MUST(db, "INSERT INTO t VALUES(1)");
    permissions(close_down);
    char *before = sqlite3_mprintf("%s", glue_listing());
    ck_assert_int_eq(glue_in_child(read_as_another_user, &code), 0);
    ck_assert_str_eq(glue_listing(), before);
    sqlite3_free(before);
    MUST(db, "INSERT INTO x(value) VALUES('the writer is none the worse')");
    ROWS(db, "SELECT max(offset) FROM x", "10");
}
END_TEST

static int pin_as_another_user(void *pipes)
{
    int *ends = pipes;
    char byte = 'p';

    become_another_user();
    sqlite3 *conn = open_as_anybody(SQLITE_OPEN_READONLY);
    sqlite3_stmt *reading = glue_prepare(conn, "SELECT length(value) FROM x");
    ck_assert_int_eq(sqlite3_step(reading), SQLITE_ROW);
    ck_assert_int_eq(write(ends[1], &byte, 1), 1);
    ck_assert_int_eq(read(ends[2], &byte, 1), 1);
    int rows = 1;
    while (sqlite3_step(reading) == SQLITE_ROW)
        rows += sqlite3_column_int(reading, 0) == 1000;
    sqlite3_finalize(reading);
    glue_close(&conn);
    return rows;
}

/* A reader that may only read holds up the removal of what it reads, like any other. */
START_TEST(reader_without_write_permission_pins)
{
    int to_parent[2], to_child[2], result;
    char byte;

    glue_journal(db, "wal");
    MUST(db, "INSERT INTO t VALUES(1)");
    permissions(close_down);
    ck_assert_int_eq(pipe(to_parent), 0);
    ck_assert_int_eq(pipe(to_child), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        int ends[3] = {-1, to_parent[1], to_child[0]};
        _exit(pin_as_another_user(ends));
    }
    close(to_parent[1]);
    ck_assert_int_eq(read(to_parent[0], &byte, 1), 1);
    permissions(open_up);
    MUST(db, "INSERT INTO x(x, offset) VALUES('delete-records', 10)");
    ck_assert_int_ge(glue_count("test.db-commitlog", ".log"), 3);
    ck_assert_int_eq(write(to_child[1], &byte, 1), 1);
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    ck_assert_int_eq(WEXITSTATUS(result), 10);
    MUST(db, "INSERT INTO x(value) VALUES('a')");
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 1);
}
END_TEST

static int fail_without_permission(void *unused)
{
    (void)unused;
    become_another_user();
    sqlite3 *conn = open_as_anybody(SQLITE_OPEN_READWRITE);
    /* The database may be written, the log not even looked at: an error, not an empty log. */
    FAILS_WITH(conn, "SELECT value FROM x", SQLITE_CANTOPEN, "test.db-commitlog/");
    HAS(facts_error(), "Permission denied");
    FAILS_WITH(conn, "INSERT INTO x(value) VALUES('a')", SQLITE_CANTOPEN, "Permission denied");
    MUST(conn, "INSERT INTO t VALUES(1)");
    ROWS(conn, "SELECT count(*) FROM t", "1");
    MUST(conn, "DROP TABLE x");
    ROWS(conn, "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'x*'", "0");
    glue_close(&conn);
    return 0;
}

START_TEST(log_without_permission)
{
    glue_close(&db);
    permissions(open_up);
    chmod(facts_path(""), 0777);
    chmod(facts_path("test.db"), 0666);
    chmod(glue_directory("test.db"), _i == 0 ? 0000 : 0111);
    ck_assert_int_eq(glue_in_child(fail_without_permission, NULL), 0);
    /* What a table without access could not remove stays. */
    ck_assert_int_eq(chmod(glue_directory("test.db"), 0755), 0);
    ck_assert_int_eq(glue_count("test.db-commitlog", ".log"), 4);
}
END_TEST

/* Files and directory follow the database's mode, as its WAL does. */
START_TEST(modes_follow_the_database)
{
    static const struct {
        mode_t database, directory, file;
    } modes[] = {{0600, 0700, 0600}, {0640, 0750, 0640}, {0664, 0775, 0664}, {0666, 0777, 0666}};
    struct stat found;

    umask(0077);
    sqlite3 *conn = facts_open("moded.db");
    MUST(conn, "CREATE TABLE t(a)");
    glue_close(&conn);
    chmod(facts_path("moded.db"), modes[_i].database);
    conn = glue_open("moded.db");
    MUST(conn, "CREATE VIRTUAL TABLE x USING commitlog; INSERT INTO x(value) VALUES(1)");
    glue_close(&conn);
    ck_assert_int_eq(stat(facts_path("moded.db-commitlog"), &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, modes[_i].directory);
    ck_assert_int_eq(stat(glue_directory("moded.db"), &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, modes[_i].directory);
    ck_assert_int_eq(stat(glue_segment("moded.db", 0, ".log"), &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, modes[_i].file);
    ck_assert_int_eq(stat(glue_segment("moded.db", 0, ".idx"), &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, modes[_i].file);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_readonly");
    TCase *connection = tcase_create("connection");
    TCase *user = tcase_create("user");

    tcase_add_checked_fixture(connection, setup, teardown);
    tcase_add_test(connection, read_only_connection);
    tcase_add_loop_test(connection, immutable_database, 0, 4);
    tcase_add_test(connection, query_only_connection);
    suite_add_tcase(suite, connection);
    tcase_add_checked_fixture(user, setup, teardown);
    tcase_add_loop_test(user, user_with_read_permission_only, 0, 3);
    tcase_add_test(user, user_with_read_permission_only_in_wal);
    tcase_add_test(user, reader_without_write_permission_pins);
    tcase_add_loop_test(user, log_without_permission, 0, 2);
    tcase_add_loop_test(user, modes_follow_the_database, 0, 4);
    suite_add_tcase(suite, user);
    return suite;
}
