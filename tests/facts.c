/*
 * See facts.h.
 */
#define _XOPEN_SOURCE 700

#include "facts.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING_TEXTS = 8 };

static char directory[256];
static char error_text[512];

char *facts_text(void)
{
    static char ring[RING_TEXTS][FACTS_TEXT_BYTES];
    static unsigned turn;
    char *text = ring[turn++ % RING_TEXTS];
    text[0] = 0;
    return text;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info;
    (void)kind;
    (void)where;
    return remove(path);
}

void facts_setup(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/sqlite-facts-XXXXXX", parent ? parent : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

void facts_teardown(void)
{
    ck_assert_int_eq(nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *facts_path(const char *name)
{
    char *path = facts_text();
    snprintf(path, FACTS_TEXT_BYTES, "%s/%s", directory, name);
    return path;
}

sqlite3 *facts_open(const char *name)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open(strcmp(name, ":memory:") == 0 ? name : facts_path(name), &db);
    ck_assert_msg(code == SQLITE_OK, "cannot open %s: %s", name, sqlite3_errmsg(db));
    sqlite3_extended_result_codes(db, 1);
    return db;
}

int facts_exec(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    int code = sqlite3_exec(db, sql, NULL, NULL, &message);
    snprintf(error_text, sizeof error_text, "%s", message ? message : "");
    sqlite3_free(message);
    return code;
}

const char *facts_error(void)
{
    return error_text;
}

const char *facts_query(sqlite3 *db, const char *sql)
{
    char *text = facts_text();
    size_t used = 0;
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    int rows = 0;
    while (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const char *column = (const char *)sqlite3_column_text(statement, i);
            used += (size_t)snprintf(text + used, FACTS_TEXT_BYTES - used, "%s%s",
                                     i > 0      ? "|"
                                     : rows > 0 ? ";"
                                                : "",
                                     column ? column : "null");
            ck_assert_uint_lt(used, FACTS_TEXT_BYTES);
        }
        rows++;
    }
    if (code == SQLITE_OK)
        code = sqlite3_reset(statement);
    if (code != SQLITE_OK)
        snprintf(text, FACTS_TEXT_BYTES, "error: %s", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return text;
}
