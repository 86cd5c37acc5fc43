/*
 * The module commitlog: creating, connecting, dropping and renaming tables.
 *
 * No data file is made or removed here: the statement may be rolled back, and tells nobody.
 */
#include "glue.h"

#include <string.h>

/* Those that a table is declared with, and SQLite's own for the rowid. */
static const char *const column_names[] = {"offset",  "timestamp", "key",      "value",
                                           "headers", "segment",   "position", "size",
                                           "rowid",   "oid",       "_rowid_"};

/* ---- messages -------------------------------------------------------------------------------- */

int sqlite_code(status code)
{
    switch (code) {
#define STATUS_CASE(name, number, text, sqlite_code) \
    case STATUS_##name:                              \
        return sqlite_code;
        STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return SQLITE_ERROR;
}

int table_fail(log_table *table, const failure *why)
{
    sqlite3_free(table->base.zErrMsg);
    table->base.zErrMsg = sqlite3_mprintf("%s: %s", table->name, why->text);
    return sqlite_code(why->code);
}

int table_open(log_table *table)
{
    failure why;

    if (table->handle == NULL && handle_get(table->conn, table->schema, table->name,
                                            &table->options, &table->handle, &why) != STATUS_OK)
        return table_fail(table, &why);
    if (commitlog_check_process(table->handle->core, &why) != STATUS_OK)
        return table_fail(table, &why);
    return SQLITE_OK;
}

/* ---- connecting ------------------------------------------------------------------------------ */

static int disconnect(sqlite3_vtab *base)
{
    log_table *table = (log_table *)base;

    handle_put(table->handle);
    connection_release(table->conn);
    sqlite3_free(table->base.zErrMsg);
    sqlite3_free(table->schema);
    sqlite3_free(table->name);
    sqlite3_free(table);
    return SQLITE_OK;
}

/* The hidden command column is named like the table, so that name must not be taken. */
static int check_name(const char *name, char **ret_message)
{
    for (size_t i = 0; i < sizeof column_names / sizeof *column_names; i++) {
        if (sqlite3_stricmp(name, column_names[i]) == 0) {
            *ret_message = sqlite3_mprintf(
                "commitlog: a log cannot be named %s, like one of its columns: offset, timestamp, "
                "key, value, headers, segment, position, size, rowid, oid, _rowid_",
                name);
            return SQLITE_ERROR;
        }
    }
    return SQLITE_OK;
}

static int declare(sqlite3 *db, const char *name)
{
    char *sql =
        sqlite3_mprintf("CREATE TABLE x(offset INTEGER NOT NULL, timestamp INTEGER, key, value, "
                        "headers TEXT, segment INTEGER HIDDEN, position INTEGER HIDDEN, "
                        "size INTEGER HIDDEN, \"%w\" HIDDEN)",
                        name);
    int code = sql != NULL ? sqlite3_declare_vtab(db, sql) : SQLITE_NOMEM;

    sqlite3_free(sql);
    if (code == SQLITE_OK)
        code = sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    return code;
}

/* Arguments: module, schema and table, then what stands in the parentheses. */
static int connect(sqlite3 *db, void *conn, int count, const char *const *arguments,
                   sqlite3_vtab **ret, char **ret_message)
{
    log_table *table = sqlite3_malloc64(sizeof *table);
    int code;

    if (table == NULL)
        return SQLITE_NOMEM;
    memset(table, 0, sizeof *table);
    table->conn = conn;
    table->conn->reference_count++;
    table->schema = sqlite3_mprintf("%s", arguments[1]);
    table->name = sqlite3_mprintf("%s", arguments[2]);
    code = table->schema != NULL && table->name != NULL ? SQLITE_OK : SQLITE_NOMEM;
    if (code == SQLITE_OK)
        code = check_name(table->name, ret_message);
    if (code == SQLITE_OK)
        code = options_parse(db, count - 3, arguments + 3, &table->options, ret_message);
    if (code == SQLITE_OK)
        code = declare(db, table->name);
    if (code != SQLITE_OK) {
        disconnect(&table->base);
        return code;
    }
    *ret = &table->base;
    return SQLITE_OK;
}

static int create(sqlite3 *db, void *conn, int count, const char *const *arguments,
                  sqlite3_vtab **ret, char **ret_message)
{
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(db);
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    failure why;
    int code = connect(db, conn, count, arguments, ret, ret_message);

    if (code != SQLITE_OK)
        return code;
    if (commitlog_random(uuid, sizeof uuid, &why) != STATUS_OK) {
        *ret_message = sqlite3_mprintf("commitlog: %s", why.text);
        code = sqlite_code(why.code);
    } else {
        uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40); /* RFC 9562: version 4, */
        uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80); /* variant 10 */
        code = store_create(db, arguments[1], arguments[2], uuid, ret_message);
        sqlite3_set_last_insert_rowid(db, rowid);
    }
    if (code != SQLITE_OK) {
        disconnect(*ret);
        *ret = NULL;
    }
    return code;
}

/* ---- dropping and renaming ------------------------------------------------------------------- */

/* Works whatever the tables and files look like: what cannot be understood is left alone. */
static int destroy(sqlite3_vtab *base)
{
    log_table *table = (log_table *)base;
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(table->conn->db);
    int code = SQLITE_OK;

    if (table_open(table) == SQLITE_OK)
        code = drop_log(table->handle);
    if (code == SQLITE_OK)
        code = store_drop(table->conn->db, table->schema, table->name);
    sqlite3_set_last_insert_rowid(table->conn->db, rowid);
    return code == SQLITE_OK ? disconnect(base) : code;
}

static int rename_table(sqlite3_vtab *base, const char *new_name)
{
    log_table *table = (log_table *)base;
    char *message = NULL, *copy = NULL;
    int code = check_name(new_name, &message);

    if (code == SQLITE_OK && (copy = sqlite3_mprintf("%s", new_name)) == NULL)
        code = SQLITE_NOMEM;
    if (code == SQLITE_OK) {
        if (table->handle != NULL)
            store_finalize(table->handle);
        code = store_rename(table->conn->db, table->schema, table->name, new_name, &message);
    }
    if (code != SQLITE_OK) {
        sqlite3_free(copy);
        sqlite3_free(table->base.zErrMsg);
        table->base.zErrMsg = message;
        return code;
    }
    sqlite3_free(table->name);
    table->name = copy;
    if (table->handle != NULL) {
        /* No memory for the name: it is looked up again when it is not found. */
        char *handle_name = sqlite3_mprintf("%s", new_name);
        if (handle_name != NULL) {
            sqlite3_free(table->handle->name);
            table->handle->name = handle_name;
        }
    }
    return SQLITE_OK;
}

const sqlite3_module table_module = {
    .iVersion = 3,
    .xCreate = create,
    .xConnect = connect,
    .xBestIndex = plan_best_index,
    .xDisconnect = disconnect,
    .xDestroy = destroy,
    .xOpen = cursor_open,
    .xClose = cursor_close,
    .xFilter = cursor_filter,
    .xNext = cursor_next,
    .xEof = cursor_eof,
    .xColumn = cursor_column,
    .xRowid = cursor_rowid,
    .xUpdate = change_update,
    .xBegin = transaction_on_begin,
    .xSync = transaction_on_sync,
    .xCommit = transaction_on_commit,
    .xRollback = transaction_on_rollback,
    .xRename = rename_table,
    .xSavepoint = transaction_on_savepoint,
    .xRelease = transaction_on_release,
    .xRollbackTo = transaction_on_rollback_to,
    .xShadowName = store_is_shadow_name,
};
