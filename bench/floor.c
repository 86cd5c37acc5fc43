/*
 * The virtual table that drops what is inserted and makes what is selected. See floor.h.
 *
 * It takes part in transactions with callbacks that do nothing, because a module that stores has
 * them too. It finds one row by its offset and gives rows in either order, so that every job of
 * the benchmark has its floor. It supports neither DELETE nor UPDATE.
 */
#include "floor.h"

#include <stdlib.h>

enum {
    COLUMN_OFFSET = 0,
    COLUMN_VALUE = 3,
    PLAN_ONE_ROW = 1,    /* offset = ?, given as the only argument */
    PLAN_DESCENDING = 2, /* newest first */
};

typedef struct {
    sqlite3_vtab base;
    floor_state *state;
} floor_table;

typedef struct {
    sqlite3_vtab_cursor base;
    floor_state *state;
    int64_t row;
    int64_t step;
    int64_t left; /* rows from here on, this one included */
} floor_cursor;

static int floor_connect(sqlite3 *db, void *client, int argc, const char *const *argv,
                         sqlite3_vtab **ret_table, char **ret_message)
{
    floor_table *table;
    int code = sqlite3_declare_vtab(
        db, "CREATE TABLE x(offset INTEGER, timestamp INTEGER, key, value, headers TEXT)");

    (void)argc;
    (void)argv;
    (void)ret_message;
    if (code != SQLITE_OK)
        return code;
    table = calloc(1, sizeof *table);
    if (table == NULL)
        return SQLITE_NOMEM;
    table->state = client;
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int floor_disconnect(sqlite3_vtab *table)
{
    free(table);
    return SQLITE_OK;
}

static int floor_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->idxNum = 0;
    info->estimatedCost = 1e6;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];

        if (constraint->usable && constraint->op == SQLITE_INDEX_CONSTRAINT_EQ &&
            (constraint->iColumn == COLUMN_OFFSET || constraint->iColumn == -1)) {
            info->idxNum = PLAN_ONE_ROW;
            info->aConstraintUsage[i].argvIndex = 1;
            info->aConstraintUsage[i].omit = 1;
            info->estimatedCost = 1;
            info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
            break;
        }
    }
    if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_OFFSET) {
        info->orderByConsumed = 1;
        if (info->aOrderBy[0].desc)
            info->idxNum |= PLAN_DESCENDING;
    }
    return SQLITE_OK;
}

static int floor_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
    floor_cursor *cursor = calloc(1, sizeof *cursor);

    if (cursor == NULL)
        return SQLITE_NOMEM;
    cursor->state = ((floor_table *)table)->state;
    *ret_cursor = &cursor->base;
    return SQLITE_OK;
}

static int floor_close(sqlite3_vtab_cursor *cursor)
{
    free(cursor);
    return SQLITE_OK;
}

static int floor_filter(sqlite3_vtab_cursor *base, int plan, const char *plan_text, int argc,
                        sqlite3_value **argv)
{
    floor_cursor *cursor = (floor_cursor *)base;
    int64_t rows = (int64_t)cursor->state->work->rows;

    (void)plan_text;
    (void)argc;
    if (plan & PLAN_ONE_ROW) {
        cursor->row = sqlite3_value_int64(argv[0]);
        cursor->left = cursor->row >= 0 && cursor->row < rows ? 1 : 0;
        cursor->step = 1;
    } else if (plan & PLAN_DESCENDING) {
        cursor->row = rows - 1;
        cursor->left = rows;
        cursor->step = -1;
    } else {
        cursor->row = 0;
        cursor->left = rows;
        cursor->step = 1;
    }
    return SQLITE_OK;
}

static int floor_next(sqlite3_vtab_cursor *base)
{
    floor_cursor *cursor = (floor_cursor *)base;

    cursor->row += cursor->step;
    cursor->left--;
    return SQLITE_OK;
}

static int floor_eof(sqlite3_vtab_cursor *base)
{
    return ((floor_cursor *)base)->left <= 0;
}

static int floor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    floor_cursor *cursor = (floor_cursor *)base;
    workload *work = cursor->state->work;

    if (column == COLUMN_OFFSET)
        sqlite3_result_int64(context, cursor->row);
    else if (column == COLUMN_VALUE)
        sqlite3_result_blob(context, workload_value(work, (uint64_t)cursor->row),
                            (int)work->value_bytes, SQLITE_STATIC);
    else
        sqlite3_result_null(context);
    return SQLITE_OK;
}

static int floor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    *ret_rowid = ((floor_cursor *)base)->row;
    return SQLITE_OK;
}

static int floor_update(sqlite3_vtab *table, int argc, sqlite3_value **argv,
                        sqlite3_int64 *ret_rowid)
{
    floor_state *state = ((floor_table *)table)->state;

    if (argc == 1 || sqlite3_value_type(argv[0]) != SQLITE_NULL)
        return SQLITE_READONLY;
    *ret_rowid = (sqlite3_int64)state->dropped_rows++;
    return SQLITE_OK;
}

static int floor_transaction(sqlite3_vtab *table)
{
    (void)table;
    return SQLITE_OK;
}

static const sqlite3_module floor_module = {
    .iVersion = 1,
    .xCreate = floor_connect,
    .xConnect = floor_connect,
    .xBestIndex = floor_best_index,
    .xDisconnect = floor_disconnect,
    .xDestroy = floor_disconnect,
    .xOpen = floor_open,
    .xClose = floor_close,
    .xFilter = floor_filter,
    .xNext = floor_next,
    .xEof = floor_eof,
    .xColumn = floor_column,
    .xRowid = floor_rowid,
    .xUpdate = floor_update,
    .xBegin = floor_transaction,
    .xSync = floor_transaction,
    .xCommit = floor_transaction,
    .xRollback = floor_transaction,
};

int floor_register(sqlite3 *db, floor_state *state)
{
    return sqlite3_create_module(db, "floor", &floor_module, state);
}
