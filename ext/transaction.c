/*
 * The log's transaction within SQLite's, as core/PROTOCOL.md lays it out.
 *
 * It begins with the first change, when SQLite holds the write lock. xSync writes the records, and
 * in the same SQLite transaction the rows that name them; it may come again, after a COMMIT that
 * was BUSY, and then writes the same rows and those of what was added. SQLite's commit is the
 * commit. What xCommit does after it (removing files of dropped segments) needs no success.
 */
#include "glue.h"

#include <string.h>

/* ---- beginning ------------------------------------------------------------------------------- */

/* The answer to a PRAGMA without a value, as text or number. */
static int ask_pragma(log_handle *handle, const char *pragma, char *ret, int size)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("PRAGMA \"%w\".%s", handle->schema, pragma);
    int code;

    if (sql == NULL)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v2(handle->conn->db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        sqlite3_snprintf(size, ret, "%s", sqlite3_column_text(statement, 0));
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

int transaction_begin(log_table *table)
{
    log_handle *handle = table->handle;
    char journal_mode[16] = "", synchronous[16] = "";
    commitlog_state state;
    failure why;
    int code;

    if (commitlog_in_transaction(handle->core))
        return SQLITE_OK;
    code = ask_pragma(handle, "journal_mode", journal_mode, sizeof journal_mode);
    if (code == SQLITE_OK)
        code = ask_pragma(handle, "synchronous", synchronous, sizeof synchronous);
    if (code != SQLITE_OK)
        return code;
    if (strcmp(journal_mode, "off") == 0) {
        fail(&why, STATUS_REFUSED,
             "journal_mode=OFF has no ROLLBACK, and a log needs one: choose another, best WAL");
        return table_fail(table, &why);
    }
    if (handle_read_state(handle, &state, &why) != STATUS_OK ||
        commitlog_begin(handle->core, &state, strcmp(synchronous, "0") != 0, &why) != STATUS_OK)
        return table_fail(table, &why);
    handle->stored = state;
    return SQLITE_OK;
}

int transaction_on_begin(sqlite3_vtab *base)
{
    (void)base; /* not reliable, and too early: see transaction_begin() */
    return SQLITE_OK;
}

/* ---- retention ------------------------------------------------------------------------------- */

/* Would the log still keep what the options ask for, without this, its oldest segment? */
static int may_drop(const log_handle *handle, const commitlog_segment *oldest, uint64_t log_end,
                    int64_t total_bytes, int64_t now_ms)
{
    const log_options *options = &handle->options;
    uint64_t end = oldest->base_offset + oldest->record_count;

    if (options->retention_ms > 0 && oldest->max_timestamp_ms < now_ms - options->retention_ms)
        return 1;
    if (options->retention_bytes > 0 &&
        total_bytes - (int64_t)oldest->bytes >= options->retention_bytes)
        return 1;
    return options->retention_records > 0 && (int64_t)(log_end - end) >= options->retention_records;
}

/* Move the start over segments before `keep_from` that the options do not keep. Their rows are in
 * the table. */
static status trim_segments(log_handle *handle, uint64_t keep_from, failure *why)
{
    const log_options *options = &handle->options;
    uint64_t start = commitlog_start_offset(handle->core);
    uint64_t log_end = commitlog_next_offset(handle->core);
    int64_t total_bytes = 0, now_ms = commitlog_now_ms();
    commitlog_segment oldest;
    status result;

    if (options->retention_ms == 0 && options->retention_bytes == 0 &&
        options->retention_records == 0)
        return STATUS_OK;
    result = options->retention_bytes > 0 ? store_sum_bytes(handle, &total_bytes, why) : STATUS_OK;
    if (result == STATUS_OK)
        result = store_segment_at(handle, start, &oldest, why);
    while (result == STATUS_OK && oldest.base_offset < keep_from &&
           may_drop(handle, &oldest, log_end, total_bytes, now_ms)) {
        uint64_t end = oldest.base_offset + oldest.record_count;
        total_bytes -= (int64_t)oldest.bytes;
        if (end > start) /* else deleted already, in this transaction */
            commitlog_set_start_offset(handle->core, start = end);
        result = store_segment_from(handle, end, &oldest, why);
    }
    return result == STATUS_NOT_FOUND ? STATUS_OK : result;
}

status transaction_trim(log_handle *handle, failure *why)
{
    status result = transaction_write_segments(handle, why);
    return result == STATUS_OK ? trim_segments(handle, UINT64_MAX, why) : result;
}

/* ---- the sync before the commit -------------------------------------------------------------- */

static status write_rows(log_handle *handle, const commitlog_segment *segments, size_t count,
                         failure *why)
{
    status result = STATUS_OK;
    for (size_t i = 0; i < count && result == STATUS_OK; i++)
        result = store_write_segment(handle, &segments[i], why);
    return result;
}

status transaction_write_segments(log_handle *handle, failure *why)
{
    size_t count = 0;
    const commitlog_segment *segments = commitlog_touched(handle->core, &count);

    return write_rows(handle, segments, count, why);
}

/* What to remove after the commit, and which rows have done their duty. Looks only when there may
 * be something: in a connection's first transaction, after a drop, when those that wait are due,
 * and at each rotation, for what other connections have left. */
static status find_collectable(log_handle *handle, failure *why)
{
    int64_t delay_ms = handle->options.file_delete_delay_ms, later_ms = INT64_MAX;
    commitlog_segment *rows = NULL;
    size_t count = 0, kept = 0;
    status result =
        store_read_dropped(handle, commitlog_now_ms() - delay_ms, &rows, &count, &later_ms, why);

    if (result != STATUS_OK)
        return result;
    for (size_t i = 0; i < count && result == STATUS_OK; i++) {
        if (commitlog_is_collected(handle->core, &rows[i]))
            result = store_forget_dropped(handle, &rows[i], why);
        else
            rows[kept++] = rows[i];
    }
    sqlite3_free(handle->collectable);
    handle->collectable = rows;
    handle->collectable_count = result == STATUS_OK ? kept : 0;
    handle->wants_drop_check = kept > 0;
    handle->next_collection_ms = later_ms != INT64_MAX ? later_ms + delay_ms : INT64_MAX;
    return result;
}

/* Would the anchor say the same? Then a command that had nothing to do writes nothing. */
static int is_same(const commitlog_state *a, const commitlog_state *b)
{
    return a->end_offset == b->end_offset && a->log_start_offset == b->log_start_offset &&
           a->has_active == b->has_active && a->unsynced == b->unsynced &&
           (!a->has_active ||
            (a->active.nonce == b->active.nonce && a->active.bytes == b->active.bytes));
}

static status sync_log(log_handle *handle, failure *why)
{
    commitlog_state state;
    const commitlog_segment *segments;
    size_t count = 0;
    int dropped = 0, has_rotated;
    status result = commitlog_sync(handle->core, &state, &segments, &count, why);

    if (result == STATUS_OK)
        result = write_rows(handle, segments, count, why);
    has_rotated = result == STATUS_OK && count > 0 && segments[count - 1].base_offset > 0 &&
                  segments[count - 1].base_offset >= handle->stored.end_offset;
    if (has_rotated) {
        result = trim_segments(handle, segments[count - 1].base_offset, why);
        if (result == STATUS_OK)
            result = commitlog_sync(handle->core, &state, &segments, &count, why);
    }
    if (result == STATUS_OK && state.log_start_offset > handle->stored.log_start_offset)
        result =
            store_drop_segments(handle, state.log_start_offset, commitlog_now_ms(), &dropped, why);
    if (result == STATUS_OK && !is_same(&state, &handle->stored))
        result = store_write_state(handle, &state, why);
    if (result == STATUS_OK && (handle->wants_drop_check || dropped > 0 || has_rotated ||
                                (handle->next_collection_ms != INT64_MAX &&
                                 commitlog_now_ms() >= handle->next_collection_ms))) {
        drop_find_leftovers(handle);
        result = find_collectable(handle, why);
    }
    return result;
}

status transaction_sync(log_handle *handle, failure *why)
{
    sqlite3 *db = handle->conn->db;
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(db);
    status result;

    if (!commitlog_in_transaction(handle->core))
        return STATUS_OK;
    result = commitlog_check_process(handle->core, why);
    if (result == STATUS_OK)
        result = sync_log(handle, why);
    sqlite3_set_last_insert_rowid(db, rowid);
    return result == STATUS_DROPPED ? STATUS_OK : result; /* in this transaction */
}

/* ---- the end --------------------------------------------------------------------------------- */

status transaction_make_durable(sqlite3 *db, const char *schema, const char *database_path,
                                failure *why)
{
    sqlite3_file *journal = NULL;

    if (database_path == NULL)
        return STATUS_OK;
    /* In WAL mode the WAL; else the journal, if the mode keeps it open. */
    if (sqlite3_file_control(db, schema, SQLITE_FCNTL_JOURNAL_POINTER, &journal) != SQLITE_OK)
        return fail(why, STATUS_UNSUPPORTED, "the VFS does not tell the journal");
    if (journal != NULL && journal->pMethods != NULL &&
        journal->pMethods->xSync(journal, SQLITE_SYNC_NORMAL) != SQLITE_OK)
        return fail(why, STATUS_IO, "the journal cannot be synced");
    return commitlog_sync_directory_of(database_path, why);
}

/* Remove the files of dropped segments, now that the drop is committed. */
static void collect(log_handle *handle)
{
    if (handle->collectable_count > 0 &&
        transaction_make_durable(handle->conn->db, handle->schema, handle->database_path, NULL) ==
            STATUS_OK)
        commitlog_collect(handle->core, handle->collectable, handle->collectable_count);
    sqlite3_free(handle->collectable);
    handle->collectable = NULL;
    handle->collectable_count = 0;
}

void transaction_commit(log_handle *handle)
{
    if (!commitlog_in_transaction(handle->core))
        return;
    commitlog_forget_before(handle->core, commitlog_start_offset(handle->core));
    commitlog_commit(handle->core);
    collect(handle);
    drop_remove_leftovers(handle->conn);
    if (handle->conn->cursor_count == 0)
        cursor_release_mappings(handle->conn);
}

void transaction_rollback(log_handle *handle)
{
    if (!commitlog_in_transaction(handle->core))
        return;
    commitlog_rollback(handle->core);
    handle->collectable_count = 0;
    handle->wants_drop_check = 1;
    drop_forget_leftovers(handle->conn);
}

/* ---- savepoints ------------------------------------------------------------------------------ */

status transaction_savepoint(log_handle *handle, int number, failure *why)
{
    if (!commitlog_in_transaction(handle->core))
        return STATUS_OK;
    return commitlog_savepoint(handle->core, number, why);
}

void transaction_release(log_handle *handle, int number)
{
    if (commitlog_in_transaction(handle->core))
        commitlog_release(handle->core, number);
}

void transaction_rollback_to(log_handle *handle, int number)
{
    if (!commitlog_in_transaction(handle->core))
        return;
    commitlog_rollback_to(handle->core, number);
    store_finalize(handle);              /* a rename may have been rolled back, too, */
    drop_forget_leftovers(handle->conn); /* or a drop */
    handle->wants_drop_check = 1;
}

/* ---- SQLite's callbacks ---------------------------------------------------------------------- */

int transaction_on_sync(sqlite3_vtab *base)
{
    log_table *table = (log_table *)base;
    failure why;
    int code;

    if (table->handle == NULL || transaction_sync(table->handle, &why) == STATUS_OK)
        return SQLITE_OK;
    code = table_fail(table, &why);
    /* Busy would leave the transaction open for another try; this one is over. */
    return code == SQLITE_BUSY ? SQLITE_IOERR : code;
}

int transaction_on_commit(sqlite3_vtab *base)
{
    log_table *table = (log_table *)base;

    if (table->handle != NULL)
        transaction_commit(table->handle);
    return SQLITE_OK;
}

int transaction_on_rollback(sqlite3_vtab *base)
{
    log_table *table = (log_table *)base;

    if (table->handle != NULL)
        transaction_rollback(table->handle);
    return SQLITE_OK;
}

int transaction_on_savepoint(sqlite3_vtab *base, int number)
{
    log_table *table = (log_table *)base;
    failure why;

    if (table->handle == NULL || transaction_savepoint(table->handle, number, &why) == STATUS_OK)
        return SQLITE_OK;
    return table_fail(table, &why);
}

int transaction_on_release(sqlite3_vtab *base, int number)
{
    log_table *table = (log_table *)base;

    if (table->handle != NULL)
        transaction_release(table->handle, number);
    return SQLITE_OK;
}

int transaction_on_rollback_to(sqlite3_vtab *base, int number)
{
    log_table *table = (log_table *)base;

    if (table->handle != NULL)
        transaction_rollback_to(table->handle, number);
    return SQLITE_OK;
}
