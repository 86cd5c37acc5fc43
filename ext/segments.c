/*
 * commitlog_segments(log): a row for each segment, in the snapshot the statement reads in.
 */
#include "glue.h"

#include <string.h>

typedef enum {
    SEGMENTS_BASE_OFFSET,
    SEGMENTS_RECORDS,
    SEGMENTS_BYTES,
    SEGMENTS_FIRST_TIMESTAMP,
    SEGMENTS_LAST_TIMESTAMP,
    SEGMENTS_STATE,
    SEGMENTS_FILE,
    SEGMENTS_LOG
} segments_column;

typedef struct {
    sqlite3_vtab base;
    connection *conn;
} segments_table;

typedef struct {
    sqlite3_vtab_cursor base;
    log_handle *handle; /* referenced; NULL: no log was named */
    int is_at_end;
    commitlog_state state;
    commitlog_segment row;
} segments_cursor;

static int connect(sqlite3 *db, void *conn, int count, const char *const *arguments,
                   sqlite3_vtab **ret, char **ret_message)
{
    segments_table *table;
    int code = sqlite3_declare_vtab(db, "CREATE TABLE x(base_offset INTEGER, records INTEGER, "
                                        "bytes INTEGER, first_timestamp INTEGER, "
                                        "last_timestamp INTEGER, state TEXT, file TEXT, "
                                        "log TEXT HIDDEN)");

    (void)count, (void)arguments, (void)ret_message;
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
    connection_release(((segments_table *)base)->conn);
    sqlite3_free(base);
    return SQLITE_OK;
}

/* The argument is a constraint on the hidden column, and must be there. */
static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    (void)base;
    for (int i = 0; i < info->nConstraint; i++) {
        if (info->aConstraint[i].iColumn != SEGMENTS_LOG ||
            info->aConstraint[i].op != SQLITE_INDEX_CONSTRAINT_EQ)
            continue;
        if (!info->aConstraint[i].usable)
            return SQLITE_CONSTRAINT;
        info->aConstraintUsage[i].argvIndex = 1;
        info->aConstraintUsage[i].omit = 1;
        info->idxNum = 1;
        info->estimatedCost = 1000;
        info->estimatedRows = 100;
        return SQLITE_OK;
    }
    info->estimatedCost = 1e9;
    return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    segments_cursor *cursor = sqlite3_malloc64(sizeof *cursor);

    (void)base;
    if (cursor == NULL)
        return SQLITE_NOMEM;
    memset(cursor, 0, sizeof *cursor);
    *ret = &cursor->base;
    return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
    segments_cursor *cursor = (segments_cursor *)base;

    handle_put(cursor->handle);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int fail_cursor(segments_cursor *cursor, const failure *why)
{
    sqlite3_vtab *base = cursor->base.pVtab;

    sqlite3_free(base->zErrMsg);
    base->zErrMsg = sqlite3_mprintf("commitlog_segments: %s", why->text);
    return sqlite_code(why->code);
}

/* The first segment that this transaction has made or extended, from an offset on. */
static const commitlog_segment *touched_from(const log_handle *handle, uint64_t from)
{
    size_t count = 0;
    const commitlog_segment *touched = commitlog_touched(handle->core, &count);

    for (size_t i = 0; i < count && commitlog_in_transaction(handle->core); i++)
        if (touched[i].base_offset >= from)
            return &touched[i];
    return NULL;
}

/* From the table, or what the transaction has in its place. */
static int read_row(segments_cursor *cursor, uint64_t from)
{
    const commitlog_segment *touched = touched_from(cursor->handle, from);
    failure why;
    status result = store_segment_from(cursor->handle, from, &cursor->row, &why);

    if (result != STATUS_OK && result != STATUS_NOT_FOUND)
        return fail_cursor(cursor, &why);
    if (touched != NULL &&
        (result == STATUS_NOT_FOUND || touched->base_offset <= cursor->row.base_offset))
        cursor->row = *touched;
    else if (result == STATUS_NOT_FOUND)
        cursor->is_at_end = 1;
    return SQLITE_OK;
}

static status read_state(segments_cursor *cursor, failure *why)
{
    log_handle *handle = cursor->handle;

    if (!commitlog_in_transaction(handle->core))
        return handle_read_state(handle, &cursor->state, why);
    cursor->state.has_active = commitlog_active_segment(handle->core, &cursor->state.active);
    return STATUS_OK;
}

static int filter(sqlite3_vtab_cursor *base, int plan, const char *words, int count,
                  sqlite3_value **arguments)
{
    segments_cursor *cursor = (segments_cursor *)base;
    connection *conn = ((segments_table *)base->pVtab)->conn;
    char *message = NULL;
    failure why;
    int code;

    (void)words, (void)count;
    handle_put(cursor->handle);
    cursor->handle = NULL;
    cursor->is_at_end = 0;
    code = resolve_log(conn, plan == 1 ? (const char *)sqlite3_value_text(arguments[0]) : NULL,
                       &cursor->handle, &message);
    if (code != SQLITE_OK) {
        sqlite3_free(base->pVtab->zErrMsg);
        base->pVtab->zErrMsg = sqlite3_mprintf("commitlog_segments: %z", message);
        cursor->handle = NULL;
        return code;
    }
    cursor->handle->reference_count++;
    if (read_state(cursor, &why) != STATUS_OK)
        return fail_cursor(cursor, &why);
    return read_row(cursor, 0);
}

static int next(sqlite3_vtab_cursor *base)
{
    segments_cursor *cursor = (segments_cursor *)base;
    return read_row(cursor, cursor->row.base_offset + 1);
}

static int is_at_end(sqlite3_vtab_cursor *base)
{
    return ((segments_cursor *)base)->is_at_end;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *context, int number)
{
    segments_cursor *cursor = (segments_cursor *)base;
    const commitlog_segment *row = &cursor->row;
    int is_active = cursor->state.has_active && cursor->state.active.nonce == row->nonce;

    switch (number) {
    case SEGMENTS_BASE_OFFSET:
        sqlite3_result_int64(context, (sqlite3_int64)row->base_offset);
        break;
    case SEGMENTS_RECORDS:
        sqlite3_result_int64(context, (sqlite3_int64)row->record_count);
        break;
    case SEGMENTS_BYTES:
        sqlite3_result_int64(context, (sqlite3_int64)row->bytes);
        break;
    case SEGMENTS_FIRST_TIMESTAMP:
        sqlite3_result_int64(context, row->min_timestamp_ms);
        break;
    case SEGMENTS_LAST_TIMESTAMP:
        sqlite3_result_int64(context, row->max_timestamp_ms);
        break;
    case SEGMENTS_STATE:
        sqlite3_result_text(context, is_active ? "active" : "sealed", -1, SQLITE_STATIC);
        break;
    case SEGMENTS_FILE: {
        char *path = sqlite3_mprintf("%s/%s", commitlog_directory(cursor->handle->core), row->name);
        if (path == NULL)
            return SQLITE_NOMEM;
        sqlite3_result_text(context, path, -1, sqlite3_free);
        break;
    }
    default:
        break;
    }
    return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((segments_cursor *)base)->row.base_offset;
    return SQLITE_OK;
}

const sqlite3_module segments_module = {
    .iVersion = 1,
    .xConnect = connect,
    .xBestIndex = best_index,
    .xDisconnect = disconnect,
    .xDestroy = disconnect,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next,
    .xEof = is_at_end,
    .xColumn = column,
    .xRowid = rowid,
};
