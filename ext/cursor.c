/*
 * SELECT: a cursor is a range of offsets and a place in it. Records are looked up when a column of
 * one is asked for, so count(*) reads no file, and values are handed out where they stand in the
 * mapped segment.
 */
#include "glue.h"

#include <string.h>

struct log_cursor {
    sqlite3_vtab_cursor base;
    log_handle *handle; /* referenced */
    commitlog_reader *reader;
    plan_range range;
    int is_descending;
    int is_at_end;
    uint64_t offset;
    int is_found; /* `found` is the record at `offset` */
    commitlog_found found;
    /* Where timestamps are constrained: offsets [skip_first, skip_end) need no look at their
     * segment's bounds any more. */
    uint64_t skip_first, skip_end;
};

int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret)
{
    log_table *table = (log_table *)base;
    log_cursor *cursor;
    int code = table_open(table);

    if (code != SQLITE_OK)
        return code;
    cursor = sqlite3_malloc64(sizeof *cursor);
    if (cursor == NULL)
        return SQLITE_NOMEM;
    memset(cursor, 0, sizeof *cursor);
    cursor->handle = table->handle;
    cursor->handle->reference_count++;
    cursor->handle->conn->cursor_count++;
    *ret = &cursor->base;
    return SQLITE_OK;
}

/* Is more than one statement of the connection running? */
static int others_are_running(sqlite3 *db)
{
    int running = 0;
    for (sqlite3_stmt *at = sqlite3_next_stmt(db, NULL); at != NULL && running < 2;
         at = sqlite3_next_stmt(db, at))
        running += sqlite3_stmt_busy(at);
    return running > 1;
}

/*
 * SQLite holds pointers into mapped segments beyond the row, but not beyond the statement's last
 * cursor: when that closes, and no other statement runs, mappings can go.
 */
void cursor_release_mappings(connection *conn)
{
    int holds = 0;

    for (log_handle *at = conn->handles; at != NULL; at = at->next)
        holds |= commitlog_holds_mappings(at->core);
    if (!holds || others_are_running(conn->db))
        return;
    for (log_handle *at = conn->handles; at != NULL; at = at->next)
        commitlog_release_mappings(at->core);
}

int cursor_close(sqlite3_vtab_cursor *base)
{
    log_cursor *cursor = (log_cursor *)base;
    connection *conn = cursor->handle->conn;

    if (cursor->reader != NULL)
        commitlog_reader_close(cursor->reader);
    if (--conn->cursor_count == 0)
        cursor_release_mappings(conn);
    handle_put(cursor->handle);
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int cursor_fail(log_cursor *cursor, const failure *why)
{
    return table_fail((log_table *)cursor->base.pVtab, why);
}

/* ---- moving ---------------------------------------------------------------------------------- */

/* Go on in the direction of the scan. */
static void step(log_cursor *cursor)
{
    if (!cursor->is_descending)
        cursor->offset++;
    else if (cursor->offset > cursor->range.first)
        cursor->offset--;
    else
        cursor->is_at_end = 1;
}

/* A rollback may have taken away what was to be read. */
static void stay_below_end(log_cursor *cursor)
{
    uint64_t end = commitlog_reader_end(cursor->reader);

    if (cursor->offset < end)
        return;
    if (!cursor->is_descending || end <= cursor->range.first)
        cursor->is_at_end = 1;
    else
        cursor->offset = end - 1;
}

/* Pass over segments whose timestamps all lie outside the range. */
static status skip_segments(log_cursor *cursor, failure *why)
{
    const plan_range *range = &cursor->range;

    while (!cursor->is_at_end &&
           (cursor->offset < cursor->skip_first || cursor->offset >= cursor->skip_end)) {
        commitlog_segment row;
        status result = commitlog_reader_segment(cursor->reader, cursor->offset, &row, why);
        if (result == STATUS_NOT_FOUND) { /* staged: look at each */
            cursor->skip_first = cursor->offset;
            cursor->skip_end = cursor->offset + 1;
            return STATUS_OK;
        }
        if (result != STATUS_OK)
            return result;
        if (row.max_timestamp_ms >= range->min_timestamp_ms &&
            row.min_timestamp_ms <= range->max_timestamp_ms) {
            cursor->skip_first = row.base_offset;
            cursor->skip_end = row.base_offset + row.record_count;
            return STATUS_OK;
        }
        cursor->offset =
            cursor->is_descending ? row.base_offset : row.base_offset + row.record_count - 1;
        if (cursor->offset < range->first)
            cursor->offset = range->first;
        step(cursor);
        stay_below_end(cursor);
    }
    return STATUS_OK;
}

static int settle(log_cursor *cursor)
{
    failure why;

    cursor->is_found = 0;
    stay_below_end(cursor);
    if ((cursor->range.min_timestamp_ms != INT64_MIN ||
         cursor->range.max_timestamp_ms != INT64_MAX) &&
        skip_segments(cursor, &why) != STATUS_OK)
        return cursor_fail(cursor, &why);
    return SQLITE_OK;
}

int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *words, int count,
                  sqlite3_value **arguments)
{
    log_cursor *cursor = (log_cursor *)base;
    commitlog *core = cursor->handle->core;
    commitlog_state state;
    failure why;
    status result;
    int has_records;

    (void)words, (void)count;
    if (cursor->reader != NULL)
        commitlog_reader_close(cursor->reader);
    cursor->reader = NULL;
    cursor->is_at_end = 0;
    cursor->skip_first = cursor->skip_end = 0;
    if (commitlog_in_transaction(core)) {
        cursor->range.first = commitlog_start_offset(core);
        cursor->range.end = commitlog_next_offset(core);
    } else {
        result = handle_read_state(cursor->handle, &state, &why);
        if (result != STATUS_OK)
            return cursor_fail(cursor, &why);
        core = cursor->handle->core; /* another connection may have adopted the log */
        cursor->range.first = state.log_start_offset;
        cursor->range.end = state.end_offset;
    }
    has_records = cursor->range.first < cursor->range.end;
    plan_apply(plan, arguments, &cursor->range);
    /* A log that is not here is not read as an empty one, whatever range is asked for. A seek for
     * an offset that does not exist is answered by the tables. */
    if (has_records && !commitlog_in_transaction(core) && (plan & PLAN_OFFSET_EQUAL) == 0 &&
        commitlog_find(core, &why) != STATUS_OK)
        return cursor_fail(cursor, &why);
    result =
        commitlog_reader_open(core, cursor->range.first, cursor->range.end, &cursor->reader, &why);
    if (result != STATUS_OK)
        return cursor_fail(cursor, &why);
    cursor->is_descending = (plan & PLAN_DESCENDING) != 0;
    cursor->is_at_end = cursor->range.first >= cursor->range.end;
    cursor->offset = cursor->is_descending ? cursor->range.end - 1 : cursor->range.first;
    return settle(cursor);
}

int cursor_next(sqlite3_vtab_cursor *base)
{
    log_cursor *cursor = (log_cursor *)base;

    step(cursor);
    return settle(cursor);
}

int cursor_eof(sqlite3_vtab_cursor *base)
{
    return ((log_cursor *)base)->is_at_end;
}

int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret)
{
    *ret = (sqlite3_int64)((log_cursor *)base)->offset;
    return SQLITE_OK;
}

/* ---- columns --------------------------------------------------------------------------------- */

static void result_value(sqlite3_context *context, const commitlog_value *value, int is_stable)
{
    sqlite3_destructor_type lifetime = is_stable ? SQLITE_STATIC : SQLITE_TRANSIENT;

    switch (value->type) {
    case COMMITLOG_NULL:
        break;
    case COMMITLOG_INTEGER:
        sqlite3_result_int64(context, value->integer);
        break;
    case COMMITLOG_REAL:
        sqlite3_result_double(context, value->real);
        break;
    case COMMITLOG_TEXT:
        sqlite3_result_text64(context, value->bytes > 0 ? value->data : "", value->bytes, lifetime,
                              SQLITE_UTF8);
        break;
    case COMMITLOG_BLOB:
        if (value->bytes > 0)
            sqlite3_result_blob64(context, value->data, value->bytes, lifetime);
        else
            sqlite3_result_zeroblob(context, 0);
        break;
    }
}

int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    log_cursor *cursor = (log_cursor *)base;
    const commitlog_found *found = &cursor->found;

    if (column == COLUMN_OFFSET) {
        sqlite3_result_int64(context, (sqlite3_int64)cursor->offset);
        return SQLITE_OK;
    }
    /* An UPDATE asks only for columns it does not change, and is refused anyway. */
    if (column == COLUMN_COMMAND)
        return SQLITE_OK;
    if (!cursor->is_found || !found->in_segment) {
        failure why;
        if (commitlog_reader_get(cursor->reader, cursor->offset, &cursor->found, &why) != STATUS_OK)
            return cursor_fail(cursor, &why);
        cursor->is_found = 1;
    }
    switch (column) {
    case COLUMN_TIMESTAMP:
        sqlite3_result_int64(context, found->record.timestamp_ms);
        break;
    case COLUMN_KEY:
        result_value(context, &found->record.key, found->is_stable);
        break;
    case COLUMN_VALUE:
        result_value(context, &found->record.value, found->is_stable);
        break;
    case COLUMN_HEADERS:
        result_value(context, &found->record.headers, found->is_stable);
        break;
    case COLUMN_SEGMENT:
        if (found->in_segment)
            sqlite3_result_int64(context, (sqlite3_int64)found->base_offset);
        break;
    case COLUMN_POSITION:
        if (found->in_segment)
            sqlite3_result_int64(context, (sqlite3_int64)found->position);
        break;
    case COLUMN_SIZE:
        sqlite3_result_int64(context, (sqlite3_int64)found->record_bytes);
        break;
    default:
        break;
    }
    return SQLITE_OK;
}
