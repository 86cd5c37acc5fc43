/*
 * xUpdate: INSERT appends or is a command, DELETE trims the oldest record, UPDATE is refused.
 *
 * Only the comparison of offsets answers SQLITE_CONSTRAINT: OR IGNORE, also one that a trigger
 * inherits from its statement, swallows that code, and nothing else may be lost in silence.
 */
#include "glue.h"

#include <string.h>

static int refuse(log_table *table, int code, const char *format, ...)
{
    va_list arguments;

    sqlite3_free(table->base.zErrMsg);
    va_start(arguments, format);
    table->base.zErrMsg = sqlite3_vmprintf(format, arguments);
    va_end(arguments);
    return code;
}

/* ---- values ---------------------------------------------------------------------------------- */

int value_to_integer(sqlite3_value *value, sqlite3_int64 *ret)
{
    double real;

    switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_INTEGER:
        *ret = sqlite3_value_int64(value);
        return 1;
    case SQLITE_FLOAT:
        real = sqlite3_value_double(value);
        if (real < -9223372036854775808.0 || real >= 9223372036854775808.0 ||
            (double)(sqlite3_int64)real != real)
            return 0;
        *ret = (sqlite3_int64)real;
        return 1;
    default:
        return 0;
    }
}

static int take_bytes(sqlite3_value *value, commitlog_type type, commitlog_value *ret)
{
    /* The conversion first, the length then, as SQLite asks for. */
    ret->type = type;
    ret->data = type == COMMITLOG_TEXT ? (const void *)sqlite3_value_text(value)
                                       : sqlite3_value_blob(value);
    ret->bytes = (uint32_t)sqlite3_value_bytes(value);
    return ret->data == NULL && ret->bytes > 0 ? SQLITE_NOMEM : SQLITE_OK;
}

static int take_value(sqlite3_value *value, commitlog_value *ret)
{
    memset(ret, 0, sizeof *ret);
    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        ret->type = COMMITLOG_INTEGER;
        ret->integer = sqlite3_value_int64(value);
        return SQLITE_OK;
    case SQLITE_FLOAT:
        ret->type = COMMITLOG_REAL;
        ret->real = sqlite3_value_double(value);
        return SQLITE_OK;
    case SQLITE_TEXT:
        return take_bytes(value, COMMITLOG_TEXT, ret);
    case SQLITE_BLOB:
        return take_bytes(value, COMMITLOG_BLOB, ret);
    default:
        ret->type = COMMITLOG_NULL;
        return SQLITE_OK;
    }
}

/* SQLite knows what JSON is. */
static int is_json(sqlite3 *db, sqlite3_value *value, int *ret)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, "SELECT json_valid(?1)", -1, &statement, NULL);

    if (code == SQLITE_OK)
        code = sqlite3_bind_value(statement, 1, value);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *ret = sqlite3_column_int(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

/* A column of TEXT affinity that takes JSON or NULL. */
static int take_headers(log_table *table, sqlite3_value *value, commitlog_value *ret)
{
    int type = sqlite3_value_type(value), is_valid = 0, code;

    memset(ret, 0, sizeof *ret);
    if (type == SQLITE_NULL)
        return SQLITE_OK;
    if (type != SQLITE_BLOB) {
        code = take_bytes(value, COMMITLOG_TEXT, ret);
        if (code != SQLITE_OK)
            return code;
        code = is_json(table->conn->db, value, &is_valid);
        if (code != SQLITE_OK)
            return refuse(table, code, "%s: headers cannot be checked: %s", table->name,
                          sqlite3_errmsg(table->conn->db));
    }
    if (!is_valid)
        return refuse(table, SQLITE_MISMATCH, "%s: headers must be JSON text or NULL", table->name);
    return SQLITE_OK;
}

static int take_timestamp(log_table *table, sqlite3_value *value, int64_t *ret)
{
    sqlite3_int64 integer;

    if (sqlite3_value_type(value) == SQLITE_NULL) {
        *ret = commitlog_now_ms();
        return SQLITE_OK;
    }
    if (!value_to_integer(value, &integer))
        return refuse(table, SQLITE_MISMATCH,
                      "%s: timestamp must be an integer, milliseconds since 1970, or NULL for now",
                      table->name);
    *ret = integer;
    return SQLITE_OK;
}

/* ---- INSERT ---------------------------------------------------------------------------------- */

/* Compare-and-append: an offset that is given, as rowid or as column, must be the next one. */
static int check_offset(log_table *table, sqlite3_value *value)
{
    uint64_t next = commitlog_next_offset(table->handle->core);
    sqlite3_int64 given;

    if (sqlite3_value_type(value) == SQLITE_NULL)
        return SQLITE_OK;
    if (!value_to_integer(value, &given))
        return refuse(table, SQLITE_MISMATCH, "%s: offset must be an integer, or NULL for the next",
                      table->name);
    if (given < 0 || (uint64_t)given != next)
        return refuse(table, SQLITE_CONSTRAINT,
                      "%s: offset %lld given, but the next offset is %lld", table->name, given,
                      (sqlite3_int64)next);
    return SQLITE_OK;
}

static int insert(log_table *table, sqlite3_value **columns, sqlite3_value *rowid,
                  sqlite3_int64 *ret_rowid)
{
    commitlog_record record;
    uint64_t offset = 0;
    failure why;
    int code = take_value(columns[COLUMN_KEY], &record.key);

    for (int i = COLUMN_SEGMENT; i <= COLUMN_SIZE; i++)
        if (sqlite3_value_type(columns[i]) != SQLITE_NULL)
            return refuse(table, SQLITE_ERROR,
                          "%s: segment, position and size cannot be given: the log sets them",
                          table->name);
    if (code == SQLITE_OK)
        code = take_value(columns[COLUMN_VALUE], &record.value);
    if (code == SQLITE_OK)
        code = take_headers(table, columns[COLUMN_HEADERS], &record.headers);
    if (code == SQLITE_OK)
        code = take_timestamp(table, columns[COLUMN_TIMESTAMP], &record.timestamp_ms);
    if (code == SQLITE_OK)
        code = transaction_begin(table);
    /* Last: no other fault of the row may hide behind the one that OR IGNORE swallows. */
    if (code == SQLITE_OK)
        code = check_offset(table, columns[COLUMN_OFFSET]);
    if (code == SQLITE_OK)
        code = check_offset(table, rowid);
    if (code != SQLITE_OK)
        return code;
    if (commitlog_append(table->handle->core, &record, &offset, &why) != STATUS_OK)
        return table_fail(table, &why);
    *ret_rowid = (sqlite3_int64)offset;
    return SQLITE_OK;
}

/* ---- commands -------------------------------------------------------------------------------- */

static int delete_records(log_table *table, sqlite3_value *value)
{
    commitlog *core = table->handle->core;
    sqlite3_int64 offset;

    if (!value_to_integer(value, &offset))
        return refuse(table, SQLITE_MISMATCH,
                      "%s: delete-records needs the offset that the log is to start at: "
                      "INSERT INTO %s(%s, offset) VALUES('delete-records', 5000)",
                      table->name, table->name, table->name);
    if (offset < 0 || (uint64_t)offset > commitlog_next_offset(core))
        return refuse(table, SQLITE_ERROR,
                      "%s: delete-records to offset %lld: allowed are 0 to %lld", table->name,
                      offset, (sqlite3_int64)commitlog_next_offset(core));
    if ((uint64_t)offset > commitlog_start_offset(core))
        commitlog_set_start_offset(core, (uint64_t)offset);
    return SQLITE_OK;
}

static int command(log_table *table, sqlite3_value **columns)
{
    const char *name = (const char *)sqlite3_value_text(columns[COLUMN_COMMAND]);
    int takes_offset = name != NULL && sqlite3_stricmp(name, "delete-records") == 0;
    status result;
    failure why;
    int code;

    for (int i = COLUMN_OFFSET; i < COLUMN_COMMAND; i++)
        if (sqlite3_value_type(columns[i]) != SQLITE_NULL && !(takes_offset && i == COLUMN_OFFSET))
            return refuse(table, SQLITE_ERROR,
                          "%s: a command takes no values but the offset of delete-records",
                          table->name);
    code = transaction_begin(table);
    if (code != SQLITE_OK)
        return code;
    if (takes_offset)
        return delete_records(table, columns[COLUMN_OFFSET]);
    if (name != NULL && sqlite3_stricmp(name, "rotate") == 0)
        result = commitlog_rotate(table->handle->core, &why);
    else if (name != NULL && sqlite3_stricmp(name, "flush") == 0)
        result = commitlog_flush(table->handle->core, &why);
    else if (name != NULL && sqlite3_stricmp(name, "trim") == 0)
        result = transaction_trim(table->handle, &why);
    else
        return refuse(table, SQLITE_ERROR,
                      "%s: unknown command \"%s\"; allowed are rotate, flush, trim and "
                      "delete-records",
                      table->name, name != NULL ? name : "");
    return result == STATUS_OK ? SQLITE_OK : table_fail(table, &why);
}

/* ---- DELETE ---------------------------------------------------------------------------------- */

/* Rows come one by one, oldest first; each must be the oldest there is. */
static int delete_row(log_table *table, sqlite3_value *rowid)
{
    sqlite3_int64 offset = sqlite3_value_int64(rowid);
    uint64_t start;
    int code = transaction_begin(table);

    if (code != SQLITE_OK)
        return code;
    start = commitlog_start_offset(table->handle->core);
    if (offset < 0 || (uint64_t)offset != start)
        return refuse(table, SQLITE_ERROR,
                      "%s: deleting offset %lld would leave a hole: only the oldest records can be "
                      "deleted, and the oldest is offset %lld",
                      table->name, offset, (sqlite3_int64)start);
    commitlog_set_start_offset(table->handle->core, start + 1);
    return SQLITE_OK;
}

int change_update(sqlite3_vtab *base, int count, sqlite3_value **values, sqlite3_int64 *ret_rowid)
{
    log_table *table = (log_table *)base;
    sqlite3_value **columns = values + 2;
    int code = table_open(table);

    if (code != SQLITE_OK)
        return code;
    if (count == 1)
        return delete_row(table, values[0]);
    if (sqlite3_value_type(values[0]) != SQLITE_NULL)
        return refuse(table, SQLITE_ERROR,
                      "%s: UPDATE is refused: the records of a log never change; append a new one",
                      table->name);
    if (sqlite3_value_type(columns[COLUMN_COMMAND]) == SQLITE_NULL)
        return insert(table, columns, values[1], ret_rowid);
    *ret_rowid = sqlite3_last_insert_rowid(table->conn->db);
    return command(table, columns);
}
