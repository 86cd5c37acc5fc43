/*
 * See recorder.h. Shadow tables of a table t: t_data(offset INTEGER PRIMARY KEY, key, value).
 *
 * Rows that SELECT delivers live in anonymous mappings, one a cursor, and are handed out as
 * SQLITE_STATIC. Taking a mapping away makes it inaccessible and never gives its address to
 * another, so a pointer that SQLite kept too long ends the test with a signal, in every build.
 */
#define _DEFAULT_SOURCE

#include "recorder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { COLUMN_OFFSET, COLUMN_KEY, COLUMN_VALUE, COLUMN_COUNT };
enum { SAVEPOINT_LEVELS = 32, STAGED_ROWS = 256, ARENA_BYTES = 1 << 16 };

typedef struct {
    sqlite3_int64 offset;
    sqlite3_value *key;
    sqlite3_value *value;
} staged_row;

typedef struct {
    sqlite3_vtab base;
    recorder *owner;
    char *schema;
    char *name;
    bool is_drops; /* the eponymous-only table: no shadow table behind it */
    staged_row staged[STAGED_ROWS];
    int staged_count;
    int staged_at[SAVEPOINT_LEVELS]; /* staged_count when savepoint n was announced, else 0 */
} recorder_table;

typedef struct {
    sqlite3_int64 offset;
    int type[COLUMN_COUNT];
    int bytes[COLUMN_COUNT];
    const char *data[COLUMN_COUNT];
    double real[COLUMN_COUNT];
    sqlite3_int64 integer[COLUMN_COUNT];
} cursor_row;

struct recorder_arena {
    recorder_arena *next;
    char *bytes;
    size_t used;
    bool released;
};

typedef struct {
    sqlite3_vtab_cursor base;
    recorder_arena *arena;
    cursor_row *rows;
    int row_count;
    int current;
} recorder_cursor;

/* ---- the trace ---- */

void recorder_note(recorder *self, const char *event)
{
    size_t length = strlen(self->trace);
    snprintf(self->trace + length, sizeof self->trace - length, "%s%s", length ? " " : "", event);
}

const char *recorder_take(recorder *self)
{
    char *text = facts_text();
    snprintf(text, FACTS_TEXT_BYTES, "%s", self->trace);
    self->trace[0] = 0;
    return text;
}

static int happen(recorder_table *table, const char *format, ...)
{
    char what[64];
    char event[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(event, sizeof event, "%s.%s", table->name, what);
    recorder_note(table->owner, event);
    return table->owner->react ? table->owner->react(table->owner, event) : SQLITE_OK;
}

/* Works on copies, for asking a blob for its text changes its type. */
static void describe(char *out, size_t out_bytes, int count, sqlite3_value **values)
{
    static const char *const type_name[] = {"?", "int", "real", "text", "blob", "null"};
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < count && used < out_bytes; i++) {
        sqlite3_value *copy = sqlite3_value_dup(values[i]);
        int type = sqlite3_value_type(copy);
        const char *text = type == SQLITE_NULL ? "" : (const char *)sqlite3_value_text(copy);
        used += (size_t)snprintf(out + used, out_bytes - used, "%s%s%s%s", i ? " " : "",
                                 type_name[type], type == SQLITE_NULL ? "" : ":", text ? text : "");
        sqlite3_value_free(copy);
    }
}

/* ---- shadow tables ---- */

static sqlite3_stmt *prepare_on(recorder_table *table, const char *format)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf(format, table->schema, table->name);
    int code = sqlite3_prepare_v2(table->owner->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        sqlite3_free(table->base.zErrMsg);
        table->base.zErrMsg = sqlite3_mprintf("%s", sqlite3_errmsg(table->owner->db));
    }
    sqlite3_free(sql);
    return statement;
}

static int exec_on(recorder_table *table, const char *format)
{
    char *sql = sqlite3_mprintf(format, table->schema, table->name);
    int code = sqlite3_exec(table->owner->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code;
}

static int next_offset(recorder_table *table, sqlite3_int64 *ret_offset)
{
    if (table->staged_count > 0) {
        *ret_offset = table->staged[table->staged_count - 1].offset + 1;
        return SQLITE_OK;
    }
    if (table->is_drops) {
        *ret_offset = 0;
        return SQLITE_OK;
    }
    sqlite3_stmt *statement =
        prepare_on(table, "SELECT coalesce(max(offset) + 1, 0) FROM \"%w\".\"%w_data\"");
    if (!statement)
        return sqlite3_errcode(table->owner->db);
    if (sqlite3_step(statement) == SQLITE_ROW)
        *ret_offset = sqlite3_column_int64(statement, 0);
    return sqlite3_finalize(statement);
}

static int write_staged(recorder_table *table)
{
    if (table->staged_count == 0 || table->is_drops)
        return SQLITE_OK;
    sqlite3_stmt *statement =
        prepare_on(table, "INSERT OR REPLACE INTO \"%w\".\"%w_data\" VALUES (?1, ?2, ?3)");
    if (!statement)
        return sqlite3_errcode(table->owner->db);
    int code = SQLITE_OK;
    for (int i = 0; i < table->staged_count && code == SQLITE_OK; i++) {
        sqlite3_bind_int64(statement, 1, table->staged[i].offset);
        sqlite3_bind_value(statement, 2, table->staged[i].key);
        sqlite3_bind_value(statement, 3, table->staged[i].value);
        sqlite3_step(statement);
        code = sqlite3_reset(statement);
    }
    sqlite3_finalize(statement);
    return code;
}

static void cut_staged(recorder_table *table, int count)
{
    while (table->staged_count > count) {
        staged_row *row = &table->staged[--table->staged_count];
        sqlite3_value_free(row->key);
        sqlite3_value_free(row->value);
    }
}

/* ---- life of a table ---- */

static int make_table(sqlite3 *db, recorder *owner, const char *schema, const char *name,
                      const char *declaration, bool is_drops, sqlite3_vtab **ret_table)
{
    int code = sqlite3_declare_vtab(db, declaration);
    if (code != SQLITE_OK)
        return code;
    recorder_table *table = calloc(1, sizeof *table);
    table->owner = owner;
    table->schema = strdup(schema);
    table->name = strdup(name);
    table->is_drops = is_drops;
    *ret_table = &table->base;
    return SQLITE_OK;
}

static int free_table(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    cut_staged(table, 0);
    free(table->schema);
    free(table->name);
    free(table);
    return SQLITE_OK;
}

static int connect_or_create(sqlite3 *db, recorder *owner, bool is_create, int argc,
                             const char *const *argv, sqlite3_vtab **ret_table)
{
    bool is_drops = strcmp(argv[0], "recorder_drops") == 0;
    const char *declaration = is_drops ? "CREATE TABLE x(name)"
                              : argc > 3
                                  ? "CREATE TABLE x(offset INTEGER NOT NULL, key TEXT, value)"
                                  : "CREATE TABLE x(offset INTEGER, key TEXT, value)";
    if (strcmp(argv[0], "recorder") == 0)
        sqlite3_vtab_config(db, SQLITE_VTAB_CONSTRAINT_SUPPORT, 1);
    int code = make_table(db, owner, argv[1], argv[2], declaration, is_drops, ret_table);
    if (code != SQLITE_OK)
        return code;
    recorder_table *table = (recorder_table *)*ret_table;
    code = happen(table, is_create ? "create" : "connect");
    if (code == SQLITE_OK && is_create)
        code = exec_on(table,
                       "CREATE TABLE \"%w\".\"%w_data\"(offset INTEGER PRIMARY KEY, key, value)");
    if (code != SQLITE_OK) {
        free_table(*ret_table);
        *ret_table = NULL;
    }
    return code;
}

static int do_create(sqlite3 *db, void *owner, int argc, const char *const *argv,
                     sqlite3_vtab **ret_table, char **error)
{
    (void)error;
    return connect_or_create(db, owner, true, argc, argv, ret_table);
}

static int do_connect(sqlite3 *db, void *owner, int argc, const char *const *argv,
                      sqlite3_vtab **ret_table, char **error)
{
    (void)error;
    return connect_or_create(db, owner, false, argc, argv, ret_table);
}

static int do_disconnect(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    if (table->owner->trace_reads)
        happen(table, "disconnect");
    return free_table(base);
}

static int do_destroy(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    int code = happen(table, "destroy");
    if (code == SQLITE_OK)
        code = exec_on(table, "DROP TABLE \"%w\".\"%w_data\"");
    if (code == SQLITE_OK && table->owner->announce_drop)
        code = exec_on(table, "INSERT INTO recorder_drops(name) VALUES (\"%w.%w\")");
    return code == SQLITE_OK ? free_table(base) : code;
}

static int do_rename(sqlite3_vtab *base, const char *name)
{
    recorder_table *table = (recorder_table *)base;
    int code = happen(table, "rename(%s)", name);
    if (code != SQLITE_OK)
        return code;
    char *sql = sqlite3_mprintf("ALTER TABLE \"%w\".\"%w_data\" RENAME TO \"%w_data\"",
                                table->schema, table->name, name);
    code = sqlite3_exec(table->owner->db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code;
}

static int is_shadow_name(const char *suffix)
{
    return strcmp(suffix, "data") == 0;
}

/* ---- transactions ---- */

static int do_begin(sqlite3_vtab *base)
{
    return happen((recorder_table *)base, "begin");
}

static int do_sync(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    int code = happen(table, "sync");
    sqlite3_int64 rowid = sqlite3_last_insert_rowid(table->owner->db);
    if (code == SQLITE_OK)
        code = write_staged(table);
    if (table->owner->keep_rowid)
        sqlite3_set_last_insert_rowid(table->owner->db, rowid);
    return code;
}

static int do_commit(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    cut_staged(table, 0);
    memset(table->staged_at, 0, sizeof table->staged_at);
    return happen(table, "commit");
}

static int do_rollback(sqlite3_vtab *base)
{
    recorder_table *table = (recorder_table *)base;
    cut_staged(table, 0);
    memset(table->staged_at, 0, sizeof table->staged_at);
    return happen(table, "rollback");
}

static int do_savepoint(sqlite3_vtab *base, int level)
{
    recorder_table *table = (recorder_table *)base;
    if (level >= 0 && level < SAVEPOINT_LEVELS)
        table->staged_at[level] = table->staged_count;
    return happen(table, "savepoint(%d)", level);
}

static int do_release(sqlite3_vtab *base, int level)
{
    return happen((recorder_table *)base, "release(%d)", level);
}

static int do_rollback_to(sqlite3_vtab *base, int level)
{
    recorder_table *table = (recorder_table *)base;
    cut_staged(table, level >= 0 && level < SAVEPOINT_LEVELS ? table->staged_at[level] : 0);
    return happen(table, "rollbackto(%d)", level);
}

/* ---- changes ---- */

/* Whether a value points into memory that was taken away, without touching that memory: asking a
 * static blob for its value gives the pointer that went in. */
static bool is_dangling(const recorder *owner, sqlite3_value *value)
{
    if (sqlite3_value_type(value) != SQLITE_BLOB)
        return false;
    const char *pointer = sqlite3_value_blob(value);
    for (const recorder_arena *arena = owner->arenas; arena; arena = arena->next)
        if (arena->released && pointer >= arena->bytes && pointer < arena->bytes + ARENA_BYTES)
            return true;
    return false;
}

static void dangling_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    sqlite3_result_int(context, is_dangling(sqlite3_user_data(context), argv[0]));
}

static int do_update(sqlite3_vtab *base, int argc, sqlite3_value **argv, sqlite3_int64 *ret_rowid)
{
    recorder_table *table = (recorder_table *)base;
    recorder *owner = table->owner;
    owner->conflict = sqlite3_vtab_on_conflict(owner->db);
    if (argc == 1) {
        int code = happen(table, "delete(%lld)", (long long)sqlite3_value_int64(argv[0]));
        if (code != SQLITE_OK)
            return code;
        sqlite3_stmt *statement =
            prepare_on(table, "DELETE FROM \"%w\".\"%w_data\" WHERE offset = ?1");
        sqlite3_bind_value(statement, 1, argv[0]);
        sqlite3_step(statement);
        return sqlite3_finalize(statement);
    }
    if (sqlite3_value_type(argv[0]) != SQLITE_NULL) {
        for (int i = 0; i < argc; i++)
            owner->dangling_count += is_dangling(owner, argv[i]);
        return happen(table, "change(%lld)", (long long)sqlite3_value_int64(argv[0]));
    }
    describe(owner->values, sizeof owner->values, argc - 2, argv + 2);
    int code = happen(table, "insert");
    sqlite3_int64 offset = 0;
    if (code == SQLITE_OK)
        code = next_offset(table, &offset);
    if (code != SQLITE_OK)
        return code;
    if (table->staged_count == STAGED_ROWS)
        return SQLITE_FULL;
    staged_row *row = &table->staged[table->staged_count++];
    row->offset = offset;
    row->key = sqlite3_value_dup(argv[table->is_drops ? 2 : 2 + COLUMN_KEY]);
    row->value = sqlite3_value_dup(argv[table->is_drops ? 2 : 2 + COLUMN_VALUE]);
    *ret_rowid = offset;
    return SQLITE_OK;
}

/* ---- reading ---- */

static const char *operator_name(int comparison)
{
    switch (comparison) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return "=";
    case SQLITE_INDEX_CONSTRAINT_GT:
        return ">";
    case SQLITE_INDEX_CONSTRAINT_LE:
        return "<=";
    case SQLITE_INDEX_CONSTRAINT_LT:
        return "<";
    case SQLITE_INDEX_CONSTRAINT_GE:
        return ">=";
    default:
        return "?";
    }
}

/* The plan: every usable comparison of offset is passed to xFilter and checked again by SQLite;
 * only equality narrows the scan. One ORDER BY term on offset is taken over. */
static int do_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    static const char *const column_name[] = {"rowid", "offset", "key", "value"};
    recorder *owner = ((recorder_table *)base)->owner;
    size_t size = sizeof owner->plan, used = 0;
    int argument_count = 0;
    bool has_limit = false, has_skip = false; /* in an order that differs between versions */
    owner->plan[0] = 0;
    info->idxNum = 0;
    for (int i = 0; i < info->nConstraint; i++) {
        int comparison = info->aConstraint[i].op, column = info->aConstraint[i].iColumn;
        if (comparison == SQLITE_INDEX_CONSTRAINT_LIMIT ||
            comparison == SQLITE_INDEX_CONSTRAINT_OFFSET) {
            if (comparison == SQLITE_INDEX_CONSTRAINT_LIMIT)
                has_limit = true;
            else
                has_skip = true;
            continue;
        }
        used += (size_t)snprintf(owner->plan + used, size - used, "%s%s%s", used ? " " : "",
                                 column_name[column + 1], operator_name(comparison));
        if (!info->aConstraint[i].usable || column > COLUMN_OFFSET ||
            operator_name(comparison)[0] == '?')
            continue;
        info->aConstraintUsage[i].argvIndex = ++argument_count;
        if (comparison == SQLITE_INDEX_CONSTRAINT_EQ && info->idxNum == 0) {
            info->idxNum = argument_count;
            info->idxFlags = SQLITE_INDEX_SCAN_UNIQUE;
        }
    }
    if (has_limit)
        used += (size_t)snprintf(owner->plan + used, size - used, "%slimit", used ? " " : "");
    if (has_skip)
        used += (size_t)snprintf(owner->plan + used, size - used, "%sskip", used ? " " : "");
    for (int i = 0; i < info->nOrderBy; i++)
        used += (size_t)snprintf(owner->plan + used, size - used, "%sorder(%s%s)", used ? " " : "",
                                 column_name[info->aOrderBy[i].iColumn + 1],
                                 info->aOrderBy[i].desc ? " desc" : "");
    if (info->nOrderBy == 1 && info->aOrderBy[0].iColumn <= COLUMN_OFFSET) {
        info->orderByConsumed = 1;
        info->idxNum += info->aOrderBy[0].desc ? 1000 : 0;
    }
    info->estimatedRows = info->idxFlags ? 1 : 1000;
    info->estimatedCost = (double)info->estimatedRows;
    return SQLITE_OK;
}

static int do_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret_cursor)
{
    recorder_table *table = (recorder_table *)base;
    recorder *owner = table->owner;
    recorder_cursor *cursor = calloc(1, sizeof *cursor);
    recorder_arena *arena = calloc(1, sizeof *arena);
    arena->bytes =
        mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert(arena->bytes != MAP_FAILED);
    arena->next = owner->arenas;
    owner->arenas = arena;
    owner->open_cursors++;
    owner->opened_count++;
    cursor->arena = arena;
    *ret_cursor = &cursor->base;
    if (owner->trace_reads)
        happen(table, "open");
    return SQLITE_OK;
}

static void take_away(recorder *owner, recorder_arena *arena)
{
    if (arena->released)
        return;
    if (owner->release == RECORDER_EVERY_CLOSE)
        memset(arena->bytes, 'X', ARENA_BYTES);
    else
        mprotect(arena->bytes, ARENA_BYTES, PROT_NONE);
    arena->released = true;
    owner->released_count++;
}

static int do_close(sqlite3_vtab_cursor *base)
{
    recorder_cursor *cursor = (recorder_cursor *)base;
    recorder *owner = ((recorder_table *)base->pVtab)->owner;
    owner->open_cursors--;
    if (owner->release == RECORDER_EVERY_CLOSE)
        take_away(owner, cursor->arena);
    if (owner->release == RECORDER_LAST_CLOSE && owner->open_cursors == 0)
        for (recorder_arena *arena = owner->arenas; arena; arena = arena->next)
            take_away(owner, arena);
    if (owner->trace_reads)
        happen((recorder_table *)base->pVtab, "close");
    free(cursor->rows);
    free(cursor);
    return SQLITE_OK;
}

static void load_column(recorder_cursor *cursor, cursor_row *row, sqlite3_stmt *from, int column)
{
    row->type[column] = sqlite3_column_type(from, column);
    row->integer[column] = sqlite3_column_int64(from, column);
    row->real[column] = sqlite3_column_double(from, column);
    if (row->type[column] != SQLITE_TEXT && row->type[column] != SQLITE_BLOB)
        return;
    const void *bytes = sqlite3_column_blob(from, column);
    row->bytes[column] = sqlite3_column_bytes(from, column);
    row->data[column] = cursor->arena->bytes + cursor->arena->used;
    ck_assert_uint_le(cursor->arena->used + (size_t)row->bytes[column], ARENA_BYTES);
    if (row->bytes[column] > 0)
        memcpy(cursor->arena->bytes + cursor->arena->used, bytes, (size_t)row->bytes[column]);
    cursor->arena->used += (size_t)row->bytes[column];
}

static int do_filter(sqlite3_vtab_cursor *base, int plan, const char *text, int argc,
                     sqlite3_value **argv)
{
    (void)text;
    recorder_cursor *cursor = (recorder_cursor *)base;
    recorder_table *table = (recorder_table *)base->pVtab;
    describe(table->owner->values, sizeof table->owner->values, argc, argv);
    if (table->owner->trace_reads) {
        int code = happen(table, "filter");
        if (code != SQLITE_OK)
            return code;
    }
    cursor->row_count = cursor->current = 0;
    if (table->is_drops)
        return SQLITE_OK;
    int equal = plan % 1000;
    sqlite3_stmt *statement = prepare_on(
        table, plan >= 1000
                   ? "SELECT * FROM \"%w\".\"%w_data\" WHERE ?1 OR offset = ?2 ORDER BY 1 DESC"
                   : "SELECT * FROM \"%w\".\"%w_data\" WHERE ?1 OR offset = ?2 ORDER BY 1");
    if (!statement)
        return sqlite3_errcode(table->owner->db);
    sqlite3_bind_int(statement, 1, equal == 0);
    if (equal > 0)
        sqlite3_bind_value(statement, 2, argv[equal - 1]);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        cursor->rows =
            realloc(cursor->rows, ((size_t)cursor->row_count + 1) * sizeof *cursor->rows);
        cursor_row *row = &cursor->rows[cursor->row_count++];
        memset(row, 0, sizeof *row);
        row->offset = sqlite3_column_int64(statement, 0);
        for (int column = 0; column < COLUMN_COUNT; column++)
            load_column(cursor, row, statement, column);
    }
    return sqlite3_finalize(statement);
}

static int do_next(sqlite3_vtab_cursor *base)
{
    recorder_cursor *cursor = (recorder_cursor *)base;
    if (((recorder_table *)base->pVtab)->owner->release == RECORDER_OVERWRITE_ROW) {
        cursor_row *row = &cursor->rows[cursor->current];
        for (int column = 0; column < COLUMN_COUNT; column++)
            if (row->bytes[column] > 0)
                memset(cursor->arena->bytes + (row->data[column] - cursor->arena->bytes), 'X',
                       (size_t)row->bytes[column]);
    }
    cursor->current++;
    return SQLITE_OK;
}

static int do_eof(sqlite3_vtab_cursor *base)
{
    recorder_cursor *cursor = (recorder_cursor *)base;
    return cursor->current >= cursor->row_count;
}

static int do_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column)
{
    recorder_cursor *cursor = (recorder_cursor *)base;
    cursor_row *row = &cursor->rows[cursor->current];
    switch (row->type[column]) {
    case SQLITE_INTEGER:
        sqlite3_result_int64(context, row->integer[column]);
        break;
    case SQLITE_FLOAT:
        sqlite3_result_double(context, row->real[column]);
        break;
    case SQLITE_TEXT:
        sqlite3_result_text(context, row->data[column], row->bytes[column], SQLITE_STATIC);
        break;
    case SQLITE_BLOB:
        sqlite3_result_blob(context, row->data[column], row->bytes[column], SQLITE_STATIC);
        break;
    default:
        break;
    }
    return SQLITE_OK;
}

static int do_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret_rowid)
{
    recorder_cursor *cursor = (recorder_cursor *)base;
    *ret_rowid = cursor->rows[cursor->current].offset;
    return SQLITE_OK;
}

static const sqlite3_module table_module = {
    .iVersion = 3,
    .xCreate = do_create,
    .xConnect = do_connect,
    .xBestIndex = do_best_index,
    .xDisconnect = do_disconnect,
    .xDestroy = do_destroy,
    .xOpen = do_open,
    .xClose = do_close,
    .xFilter = do_filter,
    .xNext = do_next,
    .xEof = do_eof,
    .xColumn = do_column,
    .xRowid = do_rowid,
    .xUpdate = do_update,
    .xBegin = do_begin,
    .xSync = do_sync,
    .xCommit = do_commit,
    .xRollback = do_rollback,
    .xRename = do_rename,
    .xSavepoint = do_savepoint,
    .xRelease = do_release,
    .xRollbackTo = do_rollback_to,
    .xShadowName = is_shadow_name,
};

void recorder_register(recorder *self, sqlite3 *db)
{
    static sqlite3_module drops_module;
    drops_module = table_module;
    drops_module.xCreate = NULL; /* eponymous only */
    drops_module.xDestroy = NULL;
    drops_module.xShadowName = NULL;
    memset(self, 0, sizeof *self);
    self->db = db;
    ck_assert_int_eq(sqlite3_create_function(db, "dangling", 1, SQLITE_UTF8, self,
                                             dangling_function, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_create_module(db, "recorder", &table_module, self), SQLITE_OK);
    ck_assert_int_eq(sqlite3_create_module(db, "recorder_loose", &table_module, self), SQLITE_OK);
    ck_assert_int_eq(sqlite3_create_module(db, "recorder_drops", &drops_module, self), SQLITE_OK);
}

void recorder_free(recorder *self)
{
    while (self->arenas) {
        recorder_arena *arena = self->arenas;
        self->arenas = arena->next;
        munmap(arena->bytes, ARENA_BYTES);
        free(arena);
    }
}
