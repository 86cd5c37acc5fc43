/*
 * The extension linked into a program, as its users do it: sqlite3_auto_extension with the entry
 * point, then a log in every connection without any loading.
 *
 * Relies on commitlog_static, the library built with SQLITE_CORE. Tests that it registers and
 * works, not what it does: the suites test that with the loadable library, from the same sources.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int sqlite3_commitlog_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

static int stop(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return EXIT_FAILURE;
}

static int expect(sqlite3 *db, const char *sql, const char *expected)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW) {
        sqlite3_finalize(statement);
        return stop(sql, sqlite3_errmsg(db));
    }
    const char *given = (const char *)sqlite3_column_text(statement, 0);
    int status = EXIT_SUCCESS;
    if (given == NULL || strcmp(given, expected) != 0) {
        fprintf(stderr, "%s: expected '%s', got '%s'\n", sql, expected, given ? given : "NULL");
        status = EXIT_FAILURE;
    }
    sqlite3_finalize(statement);
    return status;
}

int main(void)
{
    sqlite3 *db = NULL;
    char *error = NULL;

    if (sqlite3_auto_extension((void (*)(void))sqlite3_commitlog_init) != SQLITE_OK) {
        return stop("sqlite3_auto_extension", "failed");
    }
    if (sqlite3_open(":memory:", &db) != SQLITE_OK) {
        return stop("sqlite3_open", sqlite3_errmsg(db));
    }
    if (sqlite3_exec(db,
                     "CREATE VIRTUAL TABLE events USING commitlog;"
                     "INSERT INTO events(key, value) VALUES ('a', 'first'), ('b', 'second');",
                     NULL, NULL, &error) != SQLITE_OK) {
        return stop("CREATE and INSERT", error);
    }
    int status = expect(db, "SELECT commitlog_version()", COMMITLOG_VERSION);
    if (status == EXIT_SUCCESS) {
        status = expect(db, "SELECT group_concat(offset || key || value, ',') FROM events",
                        "0afirst,1bsecond");
    }
    if (sqlite3_close(db) != SQLITE_OK) {
        return stop("sqlite3_close", sqlite3_errmsg(db));
    }
    return status;
}
