/*
 * The shadow tables of a log: what SQL is said to them, and what their rows mean.
 *
 *   <t>_config    name, value             uuid and format of the log
 *   <t>_ledger    the anchor              where the log ends, in one row
 *   <t>_segments  a row a segment
 *   <t>_dropped   a row a segment whose files may be removed once the drop is durable
 *
 * Rows are hostile until checked: each carries a checksum over its columns, seeded with the log's
 * uuid, so that a stranger's edit or a flipped bit is an error and not a wrong answer.
 */
#include "glue.h"

#include <stdarg.h>
#include <string.h>

#define FORMAT_VERSION 1

static const char *const suffixes[] = {"config", "ledger", "segments", "dropped"};
#define SUFFIX_COUNT (sizeof suffixes / sizeof *suffixes)

int store_is_shadow_name(const char *suffix)
{
    for (size_t i = 0; i < SUFFIX_COUNT; i++)
        if (sqlite3_stricmp(suffix, suffixes[i]) == 0)
            return 1;
    return 0;
}

status fail_sqlite(sqlite3 *db, int code, failure *why)
{
    status as = STATUS_IO;

    switch (code & 0xff) {
    case SQLITE_NOMEM:
        as = STATUS_NO_MEMORY;
        break;
    case SQLITE_FULL:
        as = STATUS_NO_SPACE;
        break;
    case SQLITE_READONLY:
        as = STATUS_READ_ONLY;
        break;
    case SQLITE_CANTOPEN:
        as = STATUS_CANT_OPEN;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        as = STATUS_BUSY;
        break;
    case SQLITE_INTERRUPT:
        as = STATUS_INTERRUPTED;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a shadow table is missing, or has other columns than ours */
        as = STATUS_DAMAGED;
        break;
    default:
        break;
    }
    return fail(why, as, "the log's tables: %s", sqlite3_errmsg(db));
}

/* ---- creating, dropping, renaming ------------------------------------------------------------ */

/* Run SQL made by sqlite3_mprintf(). */
static int run(sqlite3 *db, char **ret_message, const char *format, ...)
{
    va_list arguments;
    char *sql;
    int code;

    va_start(arguments, format);
    sql = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    if (sql == NULL)
        return SQLITE_NOMEM;
    code = sqlite3_exec(db, sql, NULL, NULL, ret_message);
    sqlite3_free(sql);
    return code;
}

#define SEGMENT_COLUMNS                                                                   \
    "base_offset, name, nonce, record_count, bytes, min_timestamp_ms, max_timestamp_ms, " \
    "created_ms, checksum"

#define SEGMENT_COLUMN_TYPES                                                               \
    "base_offset INTEGER, name TEXT, nonce INTEGER, record_count INTEGER, bytes INTEGER, " \
    "min_timestamp_ms INTEGER, max_timestamp_ms INTEGER, created_ms INTEGER, checksum INTEGER"

static uint64_t seed_of(const uint8_t uuid[COMMITLOG_UUID_BYTES])
{
    return commitlog_checksum(uuid, COMMITLOG_UUID_BYTES, 0);
}

/* Of the anchor's numbers, in the order of its columns. */
static sqlite3_int64 ledger_checksum(const uint8_t uuid[COMMITLOG_UUID_BYTES],
                                     const commitlog_state *state)
{
    uint8_t bytes[5 * 8 + COMMITLOG_BOOT_ID_BYTES] = {0};
    uint64_t numbers[5] = {state->end_offset, state->log_start_offset, state->has_active,
                           state->has_active ? state->active.base_offset : 0,
                           state->has_active ? state->active.bytes : 0};

    for (int i = 0; i < 5 * 8; i++)
        bytes[i] = (uint8_t)(numbers[i / 8] >> i % 8 * 8);
    if (state->unsynced)
        memcpy(bytes + 5 * 8, state->boot_id, COMMITLOG_BOOT_ID_BYTES);
    return (sqlite3_int64)commitlog_checksum(bytes, sizeof bytes, seed_of(uuid));
}

static sqlite3_int64 segment_checksum(const uint8_t uuid[COMMITLOG_UUID_BYTES],
                                      const commitlog_segment *row)
{
    uint8_t bytes[7 * 8 + COMMITLOG_NAME_BYTES] = {0};
    uint64_t numbers[7] = {row->base_offset,
                           row->nonce,
                           row->record_count,
                           row->bytes,
                           (uint64_t)row->min_timestamp_ms,
                           (uint64_t)row->max_timestamp_ms,
                           (uint64_t)row->created_ms};

    for (int i = 0; i < 7 * 8; i++)
        bytes[i] = (uint8_t)(numbers[i / 8] >> i % 8 * 8);
    memcpy(bytes + 7 * 8, row->name, strlen(row->name));
    return (sqlite3_int64)commitlog_checksum(bytes, sizeof bytes, seed_of(uuid));
}

/* Insert the row of uuid and format, replacing what is there. */
static int write_config(sqlite3 *db, const char *schema, const char *name,
                        const uint8_t uuid[COMMITLOG_UUID_BYTES], char **ret_message)
{
    char hex[2 * COMMITLOG_UUID_BYTES + 1];

    sqlite3_snprintf(sizeof hex, hex, "%s", "");
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++)
        sqlite3_snprintf(3, hex + 2 * i, "%02x", uuid[i]);
    return run(db, ret_message,
               "INSERT OR REPLACE INTO \"%w\".\"%w_config\" VALUES('uuid', x'%s', %lld),"
               "('format', %d, %lld)",
               schema, name, hex,
               (sqlite3_int64)commitlog_checksum(uuid, COMMITLOG_UUID_BYTES, FORMAT_VERSION),
               FORMAT_VERSION, (sqlite3_int64)seed_of(uuid));
}

int store_create(sqlite3 *db, const char *schema, const char *name,
                 const uint8_t uuid[COMMITLOG_UUID_BYTES], char **ret_message)
{
    commitlog_state empty = {0};
    int code = run(db, ret_message,
                   "CREATE TABLE \"%w\".\"%w_config\"(name TEXT PRIMARY KEY, value, "
                   "checksum INTEGER) WITHOUT ROWID;"
                   "CREATE TABLE \"%w\".\"%w_ledger\"(next_offset INTEGER PRIMARY KEY, "
                   "log_start_offset INTEGER, active_base_offset INTEGER, active_bytes INTEGER, "
                   "boot_id BLOB, redo BLOB, checksum INTEGER);"
                   "CREATE TABLE \"%w\".\"%w_segments\"(" SEGMENT_COLUMN_TYPES
                   ", PRIMARY KEY(base_offset)) WITHOUT ROWID;"
                   "CREATE TABLE \"%w\".\"%w_dropped\"(" SEGMENT_COLUMN_TYPES
                   ", dropped_ms INTEGER, PRIMARY KEY(base_offset, nonce)) WITHOUT ROWID;",
                   schema, name, schema, name, schema, name, schema, name);

    if (code == SQLITE_OK)
        code = write_config(db, schema, name, uuid, ret_message);
    if (code == SQLITE_OK)
        code = run(db, ret_message,
                   "INSERT INTO \"%w\".\"%w_ledger\" VALUES(0, 0, NULL, NULL, NULL, NULL, %lld)",
                   schema, name, ledger_checksum(uuid, &empty));
    return code;
}

int store_drop(sqlite3 *db, const char *schema, const char *name)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < SUFFIX_COUNT && code == SQLITE_OK; i++)
        code = run(db, NULL, "DROP TABLE IF EXISTS \"%w\".\"%w_%s\"", schema, name, suffixes[i]);
    return code;
}

int store_rename(sqlite3 *db, const char *schema, const char *name, const char *new_name,
                 char **ret_message)
{
    int code = SQLITE_OK;
    for (size_t i = 0; i < SUFFIX_COUNT && code == SQLITE_OK; i++)
        code = run(db, ret_message, "ALTER TABLE \"%w\".\"%w_%s\" RENAME TO \"%w_%s\"", schema,
                   name, suffixes[i], new_name, suffixes[i]);
    return code;
}

/* ---- identity -------------------------------------------------------------------------------- */

status store_read_uuid(sqlite3 *db, const char *schema, const char *name,
                       uint8_t uuid[COMMITLOG_UUID_BYTES], failure *why)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT value, checksum FROM \"%w\".\"%w_config\" "
                                "WHERE name = 'uuid'",
                                schema, name);
    status result = STATUS_OK;
    int code;

    if (sql == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    if (code != SQLITE_OK)
        return (code & 0xff) == SQLITE_ERROR ? fail(why, STATUS_NOT_FOUND, "%s", sqlite3_errmsg(db))
                                             : fail_sqlite(db, code, why);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW && sqlite3_column_type(statement, 0) == SQLITE_BLOB &&
        sqlite3_column_bytes(statement, 0) == COMMITLOG_UUID_BYTES &&
        (uint64_t)sqlite3_column_int64(statement, 1) ==
            commitlog_checksum(sqlite3_column_blob(statement, 0), COMMITLOG_UUID_BYTES,
                               FORMAT_VERSION))
        memcpy(uuid, sqlite3_column_blob(statement, 0), COMMITLOG_UUID_BYTES);
    else if (code == SQLITE_ROW || code == SQLITE_DONE)
        result = fail(why, STATUS_DAMAGED, "the log's tables: %s_config holds no valid uuid", name);
    else
        result = fail_sqlite(db, code, why);
    sqlite3_finalize(statement);
    return result;
}

status store_find_table(sqlite3 *db, const char *schema, const uint8_t uuid[COMMITLOG_UUID_BYTES],
                        char **ret_name, failure *why)
{
    sqlite3_stmt *statement = NULL;
    char *sql =
        sqlite3_mprintf("SELECT substr(name, 1, length(name) - 7) FROM \"%w\".sqlite_schema "
                        "WHERE type = 'table' AND name LIKE '%%\\_config' ESCAPE '\\'",
                        schema);
    status result = STATUS_OK;
    int code;

    if (sql == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    *ret_name = NULL;
    code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_free(sql);
    while (code == SQLITE_OK && *ret_name == NULL &&
           (code = sqlite3_step(statement)) == SQLITE_ROW) {
        uint8_t found[COMMITLOG_UUID_BYTES];
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        code = SQLITE_OK;
        if (name == NULL)
            continue;
        /* One that cannot be read might be the one. A stranger's table has other columns. */
        result = store_read_uuid(db, schema, name, found, why);
        if (result == STATUS_OK && memcmp(found, uuid, sizeof found) == 0 &&
            (*ret_name = sqlite3_mprintf("%s", name)) == NULL)
            code = SQLITE_NOMEM;
        else if (result != STATUS_OK && result != STATUS_NOT_FOUND)
            break;
        result = STATUS_OK;
    }
    if (result == STATUS_OK && code != SQLITE_OK && code != SQLITE_DONE)
        result = fail_sqlite(db, code, why);
    sqlite3_finalize(statement);
    return result;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* %1 stands for the prefix of the table names: "schema"."table without its closing quote. */
static const char *const texts[STATEMENT_COUNT] = {
    [STATEMENT_LEDGER_READ] = "SELECT next_offset, log_start_offset, active_base_offset, "
                              "active_bytes, boot_id, redo IS NOT NULL, checksum FROM %1_ledger\" "
                              "ORDER BY next_offset DESC LIMIT 1",
    [STATEMENT_LEDGER_CLEAR] = "DELETE FROM %1_ledger\"",
    [STATEMENT_LEDGER_WRITE] = "INSERT INTO %1_ledger\" VALUES(?1, ?2, ?3, ?4, ?5, NULL, ?6)",
    [STATEMENT_SEGMENT_AT] =
        "SELECT " SEGMENT_COLUMNS " FROM %1_segments\" WHERE base_offset <= ?1 "
        "ORDER BY base_offset DESC LIMIT 1",
    [STATEMENT_SEGMENT_DROPPED_AT] = "SELECT " SEGMENT_COLUMNS " FROM %1_dropped\" "
                                     "WHERE base_offset <= ?1 ORDER BY base_offset DESC LIMIT 1",
    [STATEMENT_SEGMENT_FROM] = "SELECT " SEGMENT_COLUMNS " FROM %1_segments\" "
                               "WHERE base_offset >= ?1 ORDER BY base_offset LIMIT 1",
    [STATEMENT_SEGMENT_WRITE] = "INSERT OR REPLACE INTO %1_segments\"(" SEGMENT_COLUMNS ") "
                                "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [STATEMENT_SEGMENT_BYTES] = "SELECT total(bytes) FROM %1_segments\"",
    [STATEMENT_DROP_COPY] = "INSERT OR REPLACE INTO %1_dropped\" SELECT " SEGMENT_COLUMNS ", ?2 "
                            "FROM %1_segments\" "
                            "WHERE base_offset < ?1 AND base_offset + record_count <= ?1",
    [STATEMENT_DROP_DELETE] = "DELETE FROM %1_segments\" "
                              "WHERE base_offset < ?1 AND base_offset + record_count <= ?1",
    /* A name that a live segment has is never removed, whatever the dropped rows say. */
    [STATEMENT_DROPPED_READ] = "SELECT " SEGMENT_COLUMNS ", dropped_ms FROM %1_dropped\" AS d "
                               "WHERE NOT EXISTS (SELECT 1 FROM %1_segments\" AS s "
                               "WHERE s.base_offset = d.base_offset AND s.name = d.name) "
                               "ORDER BY base_offset",
    [STATEMENT_DROPPED_DELETE] = "DELETE FROM %1_dropped\" WHERE base_offset = ?1 AND nonce = ?2",
};

/* The text with the table names in it, from sqlite3_malloc64(). */
static char *build_text(const log_handle *handle, const char *text)
{
    sqlite3_str *sql = sqlite3_str_new(handle->conn->db);

    for (; *text != '\0'; text++) {
        if (text[0] == '%' && text[1] == '1') {
            sqlite3_str_appendf(sql, "\"%w\".\"%w", handle->schema, handle->name);
            text++;
        } else {
            sqlite3_str_appendchar(sql, 1, *text);
        }
    }
    return sqlite3_str_finish(sql);
}

static int prepare(log_handle *handle, store_statement which)
{
    char *sql = build_text(handle, texts[which]);
    int code;

    if (sql == NULL)
        return SQLITE_NOMEM;
    code = sqlite3_prepare_v3(handle->conn->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
                              &handle->statements[which], NULL);
    sqlite3_free(sql);
    return code;
}

void store_finalize(log_handle *handle)
{
    for (int i = 0; i < STATEMENT_COUNT; i++) {
        sqlite3_finalize(handle->statements[i]);
        handle->statements[i] = NULL;
    }
}

/* Is the virtual table itself still in the schema? */
static int is_in_schema(log_handle *handle)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT 1 FROM \"%w\".sqlite_schema WHERE type = 'table' AND "
                                "name = %Q COLLATE NOCASE",
                                handle->schema, handle->name);
    int is_found = sql == NULL ||
                   sqlite3_prepare_v2(handle->conn->db, sql, -1, &statement, NULL) != SQLITE_OK ||
                   sqlite3_step(statement) != SQLITE_DONE;

    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return is_found;
}

/* The shadow tables are not there under the name. The table was renamed, and the rename rolled
 * back, under a transaction that still is: find it. Or it was dropped. */
static status find_again(log_handle *handle, failure *why)
{
    char *name = NULL;
    status result = store_find_table(handle->conn->db, handle->schema, handle->uuid, &name, why);

    if (result != STATUS_OK)
        return result;
    if (name == NULL && is_in_schema(handle))
        return fail(why, STATUS_DAMAGED, "the log's tables: %s_ledger and others are missing",
                    handle->name);
    if (name == NULL)
        return fail(why, STATUS_DROPPED, "the log's table was dropped");
    store_finalize(handle);
    sqlite3_free(handle->name);
    handle->name = name;
    return STATUS_OK;
}

/* A prepared statement, ready to be bound. */
static status get(log_handle *handle, store_statement which, sqlite3_stmt **ret, failure *why)
{
    int code = SQLITE_OK;

    if (handle->statements[which] == NULL) {
        code = prepare(handle, which);
        if ((code & 0xff) == SQLITE_ERROR) {
            status result = find_again(handle, why);
            if (result != STATUS_OK)
                return result;
            code = prepare(handle, which);
        }
    }
    if (code != SQLITE_OK)
        return fail_sqlite(handle->conn->db, code, why);
    *ret = handle->statements[which];
    return STATUS_OK;
}

/* Step a statement that returns no row, and reset it. */
static status finish(log_handle *handle, sqlite3_stmt *statement, failure *why)
{
    int code = sqlite3_step(statement);
    status result = code == SQLITE_DONE ? STATUS_OK : fail_sqlite(handle->conn->db, code, why);

    sqlite3_reset(statement);
    return result;
}

/* ---- segments -------------------------------------------------------------------------------- */

static status decode_segment(const log_handle *handle, sqlite3_stmt *statement,
                             commitlog_segment *ret, failure *why)
{
    commitlog_segment row;
    const char *name = (const char *)sqlite3_column_text(statement, 1);

    memset(&row, 0, sizeof row);
    row.base_offset = (uint64_t)sqlite3_column_int64(statement, 0);
    row.nonce = (uint64_t)sqlite3_column_int64(statement, 2);
    row.record_count = (uint64_t)sqlite3_column_int64(statement, 3);
    row.bytes = (uint64_t)sqlite3_column_int64(statement, 4);
    row.min_timestamp_ms = sqlite3_column_int64(statement, 5);
    row.max_timestamp_ms = sqlite3_column_int64(statement, 6);
    row.created_ms = sqlite3_column_int64(statement, 7);
    if (name != NULL && strlen(name) < sizeof row.name)
        strcpy(row.name, name);
    if (sqlite3_column_int64(statement, 8) != segment_checksum(handle->uuid, &row))
        return fail(why, STATUS_DAMAGED,
                    "the log's tables: the row of the segment at offset %lld fails its checksum",
                    (long long)row.base_offset);
    *ret = row;
    return STATUS_OK;
}

/* One row of a statement with one parameter, an offset. */
static status read_segment(log_handle *handle, store_statement which, uint64_t offset,
                           commitlog_segment *ret, failure *why)
{
    sqlite3_stmt *statement = NULL;
    status result = get(handle, which, &statement, why);
    int code;

    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(statement, 1, offset <= INT64_MAX ? (sqlite3_int64)offset : INT64_MAX);
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        result = decode_segment(handle, statement, ret, why);
    else if (code == SQLITE_DONE)
        result = STATUS_NOT_FOUND;
    else
        result = fail_sqlite(handle->conn->db, code, why);
    sqlite3_reset(statement);
    return result;
}

status store_segment_at(log_handle *handle, uint64_t offset, commitlog_segment *ret, failure *why)
{
    status result = read_segment(handle, STATEMENT_SEGMENT_AT, offset, ret, why);

    if (result == STATUS_NOT_FOUND)
        result = read_segment(handle, STATEMENT_SEGMENT_DROPPED_AT, offset, ret, why);
    return result;
}

status store_segment_from(log_handle *handle, uint64_t offset, commitlog_segment *ret, failure *why)
{
    return read_segment(handle, STATEMENT_SEGMENT_FROM, offset, ret, why);
}

status store_write_segment(log_handle *handle, const commitlog_segment *row, failure *why)
{
    sqlite3_stmt *statement = NULL;
    status result = get(handle, STATEMENT_SEGMENT_WRITE, &statement, why);

    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->base_offset);
    sqlite3_bind_text(statement, 2, row->name, -1, SQLITE_TRANSIENT);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)row->nonce);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)row->record_count);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)row->bytes);
    sqlite3_bind_int64(statement, 6, row->min_timestamp_ms);
    sqlite3_bind_int64(statement, 7, row->max_timestamp_ms);
    sqlite3_bind_int64(statement, 8, row->created_ms);
    sqlite3_bind_int64(statement, 9, segment_checksum(handle->uuid, row));
    return finish(handle, statement, why);
}

status store_sum_bytes(log_handle *handle, int64_t *ret_bytes, failure *why)
{
    sqlite3_stmt *statement = NULL;
    status result = get(handle, STATEMENT_SEGMENT_BYTES, &statement, why);
    int code;

    if (result != STATUS_OK)
        return result;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        *ret_bytes = sqlite3_column_int64(statement, 0);
    else
        result = fail_sqlite(handle->conn->db, code, why);
    sqlite3_reset(statement);
    return result;
}

/* ---- dropped segments ------------------------------------------------------------------------ */

status store_drop_segments(log_handle *handle, uint64_t start_offset, int64_t now_ms,
                           int *ret_count, failure *why)
{
    sqlite3_stmt *copy = NULL, *delete = NULL;
    status result = get(handle, STATEMENT_DROP_COPY, &copy, why);

    if (result == STATUS_OK)
        result = get(handle, STATEMENT_DROP_DELETE, &delete, why);
    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(copy, 1, (sqlite3_int64)start_offset);
    sqlite3_bind_int64(copy, 2, now_ms);
    result = finish(handle, copy, why);
    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(delete, 1, (sqlite3_int64)start_offset);
    result = finish(handle, delete, why);
    if (result == STATUS_OK)
        *ret_count = sqlite3_changes(handle->conn->db);
    return result;
}

status store_read_dropped(log_handle *handle, int64_t until_ms, commitlog_segment **ret_segments,
                          size_t *ret_count, int64_t *ret_later_ms, failure *why)
{
    sqlite3_stmt *statement = NULL;
    commitlog_segment *rows = NULL;
    size_t count = 0, capacity = 0;
    int64_t later_ms = INT64_MAX;
    int code = SQLITE_DONE;
    status result = get(handle, STATEMENT_DROPPED_READ, &statement, why);

    if (result != STATUS_OK)
        return result;
    while (result == STATUS_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (sqlite3_column_int64(statement, 9) > until_ms) {
            later_ms = sqlite3_column_int64(statement, 9);
            code = SQLITE_DONE; /* those behind it must wait for it, too */
            break;
        }
        if (count == capacity) {
            commitlog_segment *grown;
            capacity = capacity != 0 ? 2 * capacity : 16;
            grown = sqlite3_realloc64(rows, capacity * sizeof *rows);
            if (grown == NULL) {
                result = fail(why, STATUS_NO_MEMORY, "out of memory");
                break;
            }
            rows = grown;
        }
        /* A damaged row says nothing that may be acted on; it stays, and so does its file. */
        if (decode_segment(handle, statement, &rows[count], NULL) == STATUS_OK)
            count++;
    }
    if (result == STATUS_OK && code != SQLITE_DONE)
        result = fail_sqlite(handle->conn->db, code, why);
    sqlite3_reset(statement);
    if (result != STATUS_OK) {
        sqlite3_free(rows);
        return result;
    }
    *ret_segments = rows;
    *ret_count = count;
    *ret_later_ms = later_ms;
    return STATUS_OK;
}

status store_forget_dropped(log_handle *handle, const commitlog_segment *row, failure *why)
{
    sqlite3_stmt *statement = NULL;
    status result = get(handle, STATEMENT_DROPPED_DELETE, &statement, why);

    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)row->base_offset);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)row->nonce);
    return finish(handle, statement, why);
}

/* ---- the ledger ------------------------------------------------------------------------------ */

static status decode_ledger(log_handle *handle, sqlite3_stmt *statement, commitlog_state *state,
                            failure *why)
{
    if (sqlite3_column_int(statement, 5))
        return fail(why, STATUS_UNSUPPORTED,
                    "the log was written by a later version of the library: its newest records "
                    "stand in the ledger");
    memset(state, 0, sizeof *state);
    state->end_offset = (uint64_t)sqlite3_column_int64(statement, 0);
    state->log_start_offset = (uint64_t)sqlite3_column_int64(statement, 1);
    state->has_active = sqlite3_column_type(statement, 2) != SQLITE_NULL;
    state->active.base_offset = (uint64_t)sqlite3_column_int64(statement, 2);
    state->active.bytes = (uint64_t)sqlite3_column_int64(statement, 3);
    state->unsynced = sqlite3_column_bytes(statement, 4) == COMMITLOG_BOOT_ID_BYTES;
    if (state->unsynced)
        memcpy(state->boot_id, sqlite3_column_blob(statement, 4), COMMITLOG_BOOT_ID_BYTES);
    if (sqlite3_column_int64(statement, 6) != ledger_checksum(handle->uuid, state) ||
        state->log_start_offset > state->end_offset || state->end_offset > INT64_MAX)
        return fail(why, STATUS_DAMAGED,
                    "the log's tables: the row of %s_ledger fails its checksum", handle->name);
    return STATUS_OK;
}

status store_read_state(log_handle *handle, commitlog_state *ret, failure *why)
{
    sqlite3_stmt *statement = NULL;
    commitlog_state state;
    commitlog_segment active;
    status result = get(handle, STATEMENT_LEDGER_READ, &statement, why);
    int code;

    if (result != STATUS_OK)
        return result;
    code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        result = decode_ledger(handle, statement, &state, why);
    else if (code == SQLITE_DONE)
        result = fail(why, STATUS_DAMAGED, "the log's tables: %s_ledger is empty", handle->name);
    else
        result = fail_sqlite(handle->conn->db, code, why);
    sqlite3_reset(statement);
    if (result != STATUS_OK)
        return result;
    if (state.has_active) {
        result = read_segment(handle, STATEMENT_SEGMENT_AT, state.active.base_offset, &active, why);
        if (result == STATUS_NOT_FOUND ||
            (result == STATUS_OK && (active.base_offset != state.active.base_offset ||
                                     active.bytes != state.active.bytes ||
                                     active.base_offset + active.record_count != state.end_offset)))
            return fail(why, STATUS_DAMAGED,
                        "the log's tables: %s_ledger and %s_segments contradict each other",
                        handle->name, handle->name);
        if (result != STATUS_OK)
            return result;
        state.active = active;
    }
    *ret = state;
    return STATUS_OK;
}

status store_write_state(log_handle *handle, const commitlog_state *state, failure *why)
{
    sqlite3_stmt *clear = NULL, *write = NULL;
    status result = get(handle, STATEMENT_LEDGER_CLEAR, &clear, why);

    if (result == STATUS_OK)
        result = get(handle, STATEMENT_LEDGER_WRITE, &write, why);
    if (result == STATUS_OK)
        result = finish(handle, clear, why);
    if (result != STATUS_OK)
        return result;
    sqlite3_bind_int64(write, 1, (sqlite3_int64)state->end_offset);
    sqlite3_bind_int64(write, 2, (sqlite3_int64)state->log_start_offset);
    sqlite3_bind_null(write, 3);
    sqlite3_bind_null(write, 4);
    sqlite3_bind_null(write, 5);
    if (state->has_active) {
        sqlite3_bind_int64(write, 3, (sqlite3_int64)state->active.base_offset);
        sqlite3_bind_int64(write, 4, (sqlite3_int64)state->active.bytes);
    }
    if (state->unsynced)
        sqlite3_bind_blob(write, 5, state->boot_id, COMMITLOG_BOOT_ID_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int64(write, 6, ledger_checksum(handle->uuid, state));
    return finish(handle, write, why);
}

status store_reset(log_handle *handle, const commitlog_state *state,
                   const uint8_t uuid[COMMITLOG_UUID_BYTES], failure *why)
{
    sqlite3 *db = handle->conn->db;
    int code = run(db, NULL,
                   "DELETE FROM \"%w\".\"%w_segments\"; DELETE FROM \"%w\".\"%w_dropped\";"
                   "DELETE FROM \"%w\".\"%w_ledger\";"
                   "INSERT INTO \"%w\".\"%w_ledger\" VALUES(%lld, %lld, NULL, NULL, NULL, NULL, "
                   "%lld)",
                   handle->schema, handle->name, handle->schema, handle->name, handle->schema,
                   handle->name, handle->schema, handle->name, (sqlite3_int64)state->end_offset,
                   (sqlite3_int64)state->log_start_offset, ledger_checksum(uuid, state));

    if (code == SQLITE_OK)
        code = write_config(db, handle->schema, handle->name, uuid, NULL);
    return code == SQLITE_OK ? STATUS_OK : fail_sqlite(db, code, why);
}
