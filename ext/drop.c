/*
 * Removing the files of dropped tables, at the commit and not before.
 *
 * SQLite tells a dropped table nothing of the transaction any more. So xDestroy inserts a row into
 * a hidden table, which takes part in the transaction in its place: at the commit it makes the drop
 * durable and removes the files; at a rollback it forgets. Until a savepoint from before the drop
 * is gone the table may yet come back, with what was appended to it in this transaction; so the
 * hidden table holds the handle, and passes SQLite's calls on to it.
 *
 * A drop that a crash or a reader cut short leaves a mark in the log's directory, which a later
 * writer of the same database finds.
 */
#include "glue.h"

#include <string.h>

struct dropped_log {
    dropped_log *next;
    log_handle *handle;           /* referenced; NULL for a leftover */
    commitlog *core;              /* of a leftover, owned */
    int is_dropped;               /* 0: a rollback to a savepoint has brought the table back */
    int depth;                    /* savepoints that were open when it was dropped, and still are */
    char *schema, *database_path; /* of a leftover */
};

typedef struct {
    sqlite3_vtab base;
    connection *conn;
} drop_table;

/* ---- the end of a transaction ---------------------------------------------------------------- */

static void remove_files(connection *conn, commitlog *core, const char *schema,
                         const char *database_path)
{
    if (transaction_make_durable(conn->db, schema, database_path, NULL) == STATUS_OK)
        commitlog_destroy(core);
}

/* A reader may have kept files that were to go: the next commit tries again. */
static void look_again(connection *conn)
{
    for (log_handle *at = conn->handles; at != NULL; at = at->next)
        at->wants_drop_check = 1;
}

static int on_commit(sqlite3_vtab *base)
{
    connection *conn = ((drop_table *)base)->conn;
    dropped_log *drop = conn->drops;

    conn->drops = NULL;
    while (drop != NULL) {
        dropped_log *next = drop->next;
        log_handle *handle = drop->handle;
        if (drop->is_dropped) {
            transaction_rollback(handle);
            remove_files(conn, handle->core, handle->schema, handle->database_path);
            look_again(conn);
        } else {
            transaction_commit(handle);
        }
        handle_put(handle);
        sqlite3_free(drop);
        drop = next;
    }
    return SQLITE_OK;
}

static int on_rollback(sqlite3_vtab *base)
{
    connection *conn = ((drop_table *)base)->conn;
    dropped_log *drop = conn->drops;

    conn->drops = NULL;
    while (drop != NULL) {
        dropped_log *next = drop->next;
        if (drop->is_dropped)
            commitlog_mark_dropped(drop->handle->core, false);
        transaction_rollback(drop->handle);
        handle_put(drop->handle);
        sqlite3_free(drop);
        drop = next;
    }
    return SQLITE_OK;
}

static int on_sync(sqlite3_vtab *base)
{
    connection *conn = ((drop_table *)base)->conn;
    failure why;

    for (dropped_log *drop = conn->drops; drop != NULL; drop = drop->next) {
        if (!drop->is_dropped && transaction_sync(drop->handle, &why) != STATUS_OK) {
            base->zErrMsg = sqlite3_mprintf("%s: %s", drop->handle->name, why.text);
            return why.code == STATUS_BUSY ? SQLITE_IOERR : sqlite_code(why.code);
        }
    }
    return SQLITE_OK;
}

/* ---- savepoints ------------------------------------------------------------------------------ */

static int on_savepoint(sqlite3_vtab *base, int number)
{
    connection *conn = ((drop_table *)base)->conn;
    failure why;

    conn->drop_depth = number + 1;
    for (dropped_log *drop = conn->drops; drop != NULL; drop = drop->next)
        if (transaction_savepoint(drop->handle, number, &why) != STATUS_OK)
            return sqlite_code(why.code);
    return SQLITE_OK;
}

static int on_release(sqlite3_vtab *base, int number)
{
    connection *conn = ((drop_table *)base)->conn;

    conn->drop_depth = number;
    for (dropped_log *drop = conn->drops; drop != NULL; drop = drop->next) {
        transaction_release(drop->handle, number);
        if (drop->depth > number)
            drop->depth = number;
    }
    return SQLITE_OK;
}

static int on_rollback_to(sqlite3_vtab *base, int number)
{
    connection *conn = ((drop_table *)base)->conn;

    conn->drop_depth = number + 1;
    for (dropped_log *drop = conn->drops; drop != NULL; drop = drop->next) {
        transaction_rollback_to(drop->handle, number);
        if (drop->is_dropped && drop->depth > number) {
            drop->is_dropped = 0;
            commitlog_mark_dropped(drop->handle->core, false);
        }
    }
    return SQLITE_OK;
}

/* ---- dropping -------------------------------------------------------------------------------- */

/* The INSERT that drop_log() makes; nobody else has a handle to drop. */
static int on_update(sqlite3_vtab *base, int count, sqlite3_value **values, sqlite3_int64 *rowid)
{
    connection *conn = ((drop_table *)base)->conn;
    dropped_log *drop;

    (void)count, (void)values;
    if (conn->dropping == NULL) {
        base->zErrMsg = sqlite3_mprintf("commitlog_dropped_tables is for DROP TABLE alone");
        return SQLITE_ERROR;
    }
    drop = sqlite3_malloc64(sizeof *drop);
    if (drop == NULL)
        return SQLITE_NOMEM;
    *drop = (dropped_log){
        .next = conn->drops, .handle = conn->dropping, .is_dropped = 1, .depth = conn->drop_depth};
    drop->handle->reference_count++;
    conn->drops = drop;
    *rowid = 1;
    return SQLITE_OK;
}

int drop_log(log_handle *handle)
{
    connection *conn = handle->conn;
    int code;

    commitlog_mark_dropped(handle->core, true);
    conn->dropping = handle;
    code =
        sqlite3_exec(conn->db, "INSERT INTO commitlog_dropped_tables VALUES(1)", NULL, NULL, NULL);
    conn->dropping = NULL;
    /* Main cannot be written (this is another schema). The mark is found later; but what the table
     * has staged would be lost if the drop were taken back. */
    if (code != SQLITE_OK && commitlog_in_transaction(handle->core)) {
        commitlog_mark_dropped(handle->core, false);
        return code;
    }
    return SQLITE_OK;
}

/* ---- leftovers ------------------------------------------------------------------------------- */

static void free_leftover(dropped_log *drop)
{
    commitlog_close(drop->core);
    sqlite3_free(drop->schema);
    sqlite3_free(drop->database_path);
    sqlite3_free(drop);
}

/* A directory with the mark: if a table still has it, the drop did not come about. */
static void visit_marked(void *context, const uint8_t *uuid)
{
    log_handle *handle = context;
    connection *conn = handle->conn;
    commitlog_location where = {.root_path = handle->root_path};
    commitlog_options options = {.segment_bytes = COMMITLOG_SEGMENT_BYTES_MIN};
    commitlog_catalog catalog = {NULL, NULL};
    dropped_log *drop;
    char *name = NULL;

    for (drop = conn->drops; drop != NULL; drop = drop->next)
        if (memcmp(drop->handle->uuid, uuid, sizeof where.uuid) == 0)
            return; /* of this transaction: not decided yet */
    drop = sqlite3_malloc64(sizeof *drop);
    if (drop == NULL)
        return;
    memset(drop, 0, sizeof *drop);
    memcpy(where.uuid, uuid, sizeof where.uuid);
    drop->schema = sqlite3_mprintf("%s", handle->schema);
    drop->database_path = sqlite3_mprintf("%s", handle->database_path);
    if (drop->schema == NULL || drop->database_path == NULL ||
        commitlog_open(NULL, &where, &options, &catalog, &drop->core, NULL) != STATUS_OK ||
        store_find_table(conn->db, handle->schema, uuid, &name, NULL) != STATUS_OK) {
        free_leftover(drop);
    } else if (name != NULL) {
        commitlog_mark_dropped(drop->core, false);
        sqlite3_free(name);
        free_leftover(drop);
    } else {
        drop->next = conn->leftovers;
        conn->leftovers = drop;
    }
}

void drop_find_leftovers(log_handle *handle)
{
    drop_forget_leftovers(handle->conn);
    if (handle->database_path != NULL)
        commitlog_list_dropped(NULL, handle->root_path, visit_marked, handle);
}

void drop_remove_leftovers(connection *conn)
{
    if (conn->leftovers != NULL)
        look_again(conn);
    for (dropped_log *drop = conn->leftovers; drop != NULL; drop = drop->next)
        remove_files(conn, drop->core, drop->schema, drop->database_path);
    drop_forget_leftovers(conn);
}

void drop_forget_leftovers(connection *conn)
{
    while (conn->leftovers != NULL) {
        dropped_log *drop = conn->leftovers;
        conn->leftovers = drop->next;
        free_leftover(drop);
    }
}

/* ---- the hidden table ------------------------------------------------------------------------ */

static int connect(sqlite3 *db, void *conn, int count, const char *const *arguments,
                   sqlite3_vtab **ret, char **ret_message)
{
    drop_table *table;
    int code = sqlite3_declare_vtab(db, "CREATE TABLE x(log)");

    (void)count, (void)arguments, (void)ret_message;
    if (code == SQLITE_OK)
        code = sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
    if (code != SQLITE_OK)
        return code;
    table = sqlite3_malloc64(sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    memset(table, 0, sizeof *table);
    table->conn = conn;
    table->conn->reference_count++;
    *ret = &table->base;
    return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *base)
{
    connection_release(((drop_table *)base)->conn);
    sqlite3_free(base);
    return SQLITE_OK;
}

/* It has no rows and no use but the INSERT: every other statement finds no plan, and so no cursor.
 */
static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base, (void)info;
    return SQLITE_CONSTRAINT;
}

static int on_begin(sqlite3_vtab *base)
{
    ((drop_table *)base)->conn->drop_depth = 0;
    return SQLITE_OK;
}

const sqlite3_module drop_module = {
    .iVersion = 2,
    .xConnect = connect,
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xDestroy = disconnect,
    .xUpdate = on_update,
    .xBegin = on_begin,
    .xSync = on_sync,
    .xCommit = on_commit,
    .xRollback = on_rollback,
    .xSavepoint = on_savepoint,
    .xRelease = on_release,
    .xRollbackTo = on_rollback_to,
};
