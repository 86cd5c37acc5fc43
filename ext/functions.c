/*
 * SQL functions. Those with side effects are for direct calls only: SQLite refuses them in views
 * and triggers, so that a stranger's schema cannot make use of them.
 */
#include "glue.h"

#include <string.h>

#ifndef COMMITLOG_VERSION
#error "COMMITLOG_VERSION comes from CMakeLists.txt"
#endif

/* ---- resolving names ------------------------------------------------------------------------- */

static log_handle *find_open(connection *conn, const char *schema, const char *name)
{
    for (log_handle *at = conn->handles; at != NULL; at = at->next)
        if (sqlite3_stricmp(at->schema, schema) == 0 && sqlite3_stricmp(at->name, name) == 0)
            return at;
    return NULL;
}

/* Have the table connected and its handle open, by opening a cursor on it. */
static int touch(sqlite3 *db, const char *schema, const char *name)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".\"%w\" WHERE offset = -1", schema, name);
    int code;

    if (sql == NULL)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK) {
        sqlite3_step(statement);
        code = sqlite3_finalize(statement);
    }
    return code;
}

/* Is there a table of this name? Is it one of ours, by the word after USING? */
static int is_log(sqlite3 *db, const char *schema, const char *name, int *ret_exists, int *ret_ours)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf(
        "SELECT lower(sql) GLOB 'create virtual table*using*commitlog*' FROM \"%w\".sqlite_schema "
        "WHERE type IN ('table', 'view') AND name = %Q COLLATE NOCASE",
        schema, name);
    int code;

    if (sql == NULL)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
        *ret_exists = 1;
        *ret_ours = sqlite3_column_int(statement, 0);
    }
    if (code == SQLITE_OK)
        code = sqlite3_finalize(statement);
    return code;
}

/* Schemas in the order in which SQLite looks for a name: temp, main, then as attached. */
static int find_schema(sqlite3 *db, const char *name, char **ret_schema, int *ret_ours)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db,
                                  "SELECT name FROM pragma_database_list "
                                  "ORDER BY name = 'temp' DESC, seq",
                                  -1, &statement, NULL);

    while (code == SQLITE_OK && *ret_schema == NULL && sqlite3_step(statement) == SQLITE_ROW) {
        const char *schema = (const char *)sqlite3_column_text(statement, 0);
        int exists = 0;
        code = is_log(db, schema, name, &exists, ret_ours);
        if (code == SQLITE_OK && exists && (*ret_schema = sqlite3_mprintf("%s", schema)) == NULL)
            code = SQLITE_NOMEM;
    }
    if (code == SQLITE_OK)
        code = sqlite3_finalize(statement);
    else
        sqlite3_finalize(statement);
    return code;
}

int resolve_log(connection *conn, const char *text, log_handle **ret, char **ret_message)
{
    const char *dot = text != NULL ? strchr(text, '.') : NULL, *name = text;
    char *schema = NULL;
    int ours = 0, exists = 0, code = SQLITE_OK;

    if (text == NULL) {
        *ret_message = sqlite3_mprintf("the log is named as 'table' or 'schema.table'");
        return SQLITE_ERROR;
    }
    code = find_schema(conn->db, name, &schema, &ours);
    if (code == SQLITE_OK && schema == NULL && dot != NULL) {
        schema = sqlite3_mprintf("%.*s", (int)(dot - text), text);
        name = dot + 1;
        if (schema == NULL)
            code = SQLITE_NOMEM;
        else if (is_log(conn->db, schema, name, &exists, &ours) != SQLITE_OK || !exists) {
            sqlite3_free(schema);
            schema = NULL;
        }
    }
    if (code == SQLITE_OK && (schema == NULL || !ours)) {
        *ret_message =
            sqlite3_mprintf(schema == NULL ? "no such log: %s" : "%s is not a log", text);
        code = SQLITE_ERROR;
    }
    if (code == SQLITE_OK)
        code = touch(conn->db, schema, name);
    if (code == SQLITE_OK && (*ret = find_open(conn, schema, name)) == NULL) {
        *ret_message = sqlite3_mprintf("%s is not a log", text);
        code = SQLITE_ERROR;
    }
    if (code != SQLITE_OK && *ret_message == NULL)
        *ret_message = sqlite3_mprintf("%s", sqlite3_errmsg(conn->db));
    sqlite3_free(schema);
    return code;
}

/* ---- helpers --------------------------------------------------------------------------------- */

static void result_error(sqlite3_context *context, int code, const char *function,
                         const char *message)
{
    char *text = sqlite3_mprintf("%s: %s", function, message);

    if (text == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    sqlite3_result_error(context, text, -1);
    sqlite3_result_error_code(context, code);
    sqlite3_free(text);
}

/* The handle that the first argument names, or an error in the context and NULL. */
static log_handle *handle_argument(sqlite3_context *context, sqlite3_value *argument,
                                   const char *function)
{
    log_handle *handle = NULL;
    char *message = NULL;
    int code = resolve_log(sqlite3_user_data(context), (const char *)sqlite3_value_text(argument),
                           &handle, &message);

    if (code == SQLITE_OK)
        return handle;
    result_error(context, code, function, message != NULL ? message : "out of memory");
    sqlite3_free(message);
    return NULL;
}

/* ---- commitlog_version() --------------------------------------------------------------------- */

static void version(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    (void)count, (void)arguments;
    sqlite3_result_text(context, COMMITLOG_VERSION, -1, SQLITE_STATIC);
}

/* ---- commitlog_append(log, key, value) ------------------------------------------------------- */

/* An INSERT like any other: in the caller's transaction, or one of its own. */
static void append(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    log_handle *handle = handle_argument(context, arguments[0], "commitlog_append");
    sqlite3 *db = sqlite3_context_db_handle(context);
    sqlite3_stmt *statement = NULL;
    char *sql;
    int code;

    (void)count;
    if (handle == NULL)
        return;
    sql = sqlite3_mprintf("INSERT INTO \"%w\".\"%w\"(key, value) VALUES(?1, ?2)", handle->schema,
                          handle->name);
    if (sql == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK)
        code = sqlite3_bind_value(statement, 1, arguments[1]);
    if (code == SQLITE_OK)
        code = sqlite3_bind_value(statement, 2, arguments[2]);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_DONE)
        code = SQLITE_OK;
    if (code == SQLITE_OK)
        sqlite3_result_int64(context, sqlite3_last_insert_rowid(db));
    else
        result_error(context, code, "commitlog_append", sqlite3_errmsg(db));
    sqlite3_finalize(statement);
}

/* ---- commitlog_adopt(log) -------------------------------------------------------------------- */

/*
 * The log's directory is not here, and will not come: go on without its records. The log gets a new
 * identity, and with it a directory of its own, so that the old one, wherever it is, stays whole;
 * offsets go on where they were.
 */
static status adopt_anew(log_handle *handle, commitlog_state *ret, failure *why)
{
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    commitlog_state state;
    failure missing;
    status result = handle_read_state(handle, &state, why);

    if (result != STATUS_OK)
        return result;
    result = commitlog_find(handle->core, &missing);
    if (result == STATUS_OK || state.end_offset == state.log_start_offset)
        return fail(why, STATUS_REFUSED, "the log is whole, in %s: there is nothing to adopt",
                    commitlog_directory(handle->core));
    if (result != STATUS_NO_LOG)
        return fail(why, result, "%s", missing.text);
    result = commitlog_random(uuid, sizeof uuid, why);
    if (result != STATUS_OK)
        return result;
    uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
    uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
    memset(ret, 0, sizeof *ret);
    ret->log_start_offset = ret->end_offset = state.end_offset;
    result = store_reset(handle, ret, uuid, why);
    return result == STATUS_OK ? handle_reopen(handle, why) : result;
}

static void adopt(sqlite3_context *context, int count, sqlite3_value **arguments)
{
    log_handle *handle = handle_argument(context, arguments[0], "commitlog_adopt");
    sqlite3 *db = sqlite3_context_db_handle(context);
    commitlog_state state;
    failure why;
    int code;

    (void)count;
    if (handle == NULL)
        return;
    if (commitlog_in_transaction(handle->core)) {
        result_error(context, SQLITE_ERROR, "commitlog_adopt",
                     "this transaction has already changed the log");
        return;
    }
    code = sqlite3_exec(db, "SAVEPOINT commitlog_adopt", NULL, NULL, NULL);
    if (code != SQLITE_OK) {
        result_error(context, code, "commitlog_adopt", sqlite3_errmsg(db));
        return;
    }
    if (adopt_anew(handle, &state, &why) != STATUS_OK) {
        sqlite3_exec(db, "ROLLBACK TO commitlog_adopt; RELEASE commitlog_adopt", NULL, NULL, NULL);
        result_error(context, sqlite_code(why.code), "commitlog_adopt", why.text);
        return;
    }
    code = sqlite3_exec(db, "RELEASE commitlog_adopt", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        sqlite3_result_int64(context, (sqlite3_int64)state.end_offset);
    else
        result_error(context, code, "commitlog_adopt", sqlite3_errmsg(db));
}

/* ---- registration ---------------------------------------------------------------------------- */

int functions_register(connection *conn)
{
    static const struct {
        const char *name;
        int arguments;
        int flags;
        void (*call)(sqlite3_context *context, int count, sqlite3_value **arguments);
    } functions[] = {
        {"commitlog_version", 0, SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, version},
        {"commitlog_append", 3, SQLITE_DIRECTONLY, append},
        {"commitlog_adopt", 1, SQLITE_DIRECTONLY, adopt},
    };
    int code = SQLITE_OK;

    for (size_t i = 0; i < sizeof functions / sizeof *functions && code == SQLITE_OK; i++) {
        conn->reference_count++;
        code = sqlite3_create_function_v2(conn->db, functions[i].name, functions[i].arguments,
                                          SQLITE_UTF8 | functions[i].flags, conn, functions[i].call,
                                          NULL, NULL, connection_release);
    }
    return code;
}
