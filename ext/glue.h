/*
 * The glue's one internal header, a section per file.
 *
 *   extension.c    entry point; what belongs to a connection
 *   options.c      options of CREATE VIRTUAL TABLE
 *   store.c        a log's shadow tables: SQL, and what their rows mean
 *   handle.c       the one open log behind all of a connection's instances of a table
 *   table.c        the module: create, connect, drop, rename
 *   plan.c         xBestIndex, and what it tells xFilter
 *   cursor.c       SELECT
 *   change.c       INSERT, DELETE, commands
 *   transaction.c  begin, sync, commit, rollback, savepoints; retention and collection
 *   drop.c         removing the files of dropped tables, at the commit
 *   functions.c    SQL functions
 *   segments.c     table-valued commitlog_segments()
 *
 * Knows SQLite and core/commitlog.h, nothing else of core.
 */
#ifndef COMMITLOG_GLUE_H
#define COMMITLOG_GLUE_H

#include "commitlog.h"

#ifdef SQLITE_CORE
#include <sqlite3.h>
#endif
#include <sqlite3ext.h>
#ifndef COMMITLOG_EXTENSION_C
SQLITE_EXTENSION_INIT3
#endif

typedef struct connection connection;
typedef struct log_handle log_handle;
typedef struct log_table log_table;
typedef struct log_cursor log_cursor;
typedef struct dropped_log dropped_log;

/* ---- extension.c ----------------------------------------------------------------------------- */

struct connection {
    connection *next;
    sqlite3 *db;
    log_handle *handles;
    unsigned cursor_count;    /* open cursors on logs */
    dropped_log *drops;       /* tables dropped in this transaction */
    dropped_log *leftovers;   /* drops of earlier ones, whose files go at the commit */
    log_handle *dropping;     /* argument of the INSERT that drop_log() makes */
    int drop_depth;           /* savepoints that are open around the drops */
    unsigned reference_count; /* modules, functions and tables that hold this */
    int is_in_memory;         /* the main database has no file */
};

/* Give a reference back. SQLite calls it for modules and functions; it lets go of a module before
 * it disconnects the last of its tables, so each table holds a reference, too. */
void connection_release(void *conn);

/* Does the process have a connection, with this extension, to a database in memory? */
int connection_any_in_memory(void);

/* ---- options.c ------------------------------------------------------------------------------- */

typedef struct {
    int64_t segment_bytes;
    int64_t segment_ms; /* 0: off, here and below */
    int64_t retention_bytes;
    int64_t retention_ms;
    int64_t retention_records;
    int64_t max_message_bytes;
    int64_t file_delete_delay_ms;
} log_options;

/* Fill with the defaults, then apply `count` arguments of the form name=value. Returns SQLITE_OK,
 * or SQLITE_ERROR and a message from sqlite3_mprintf(). */
int options_parse(sqlite3 *db, int count, const char *const *arguments, log_options *ret,
                  char **ret_message);

/* ---- store.c --------------------------------------------------------------------------------- */

typedef enum {
    STATEMENT_LEDGER_READ,
    STATEMENT_LEDGER_CLEAR,
    STATEMENT_LEDGER_WRITE,
    STATEMENT_SEGMENT_AT,
    STATEMENT_SEGMENT_DROPPED_AT,
    STATEMENT_SEGMENT_FROM,
    STATEMENT_SEGMENT_WRITE,
    STATEMENT_SEGMENT_BYTES,
    STATEMENT_DROP_COPY,
    STATEMENT_DROP_DELETE,
    STATEMENT_DROPPED_READ,
    STATEMENT_DROPPED_DELETE,
    STATEMENT_COUNT
} store_statement;

/* Create the four shadow tables of `name`, for a new log with this uuid. */
int store_create(sqlite3 *db, const char *schema, const char *name,
                 const uint8_t uuid[COMMITLOG_UUID_BYTES], char **ret_message);
int store_drop(sqlite3 *db, const char *schema, const char *name);
int store_rename(sqlite3 *db, const char *schema, const char *name, const char *new_name,
                 char **ret_message);

/* Is `suffix` that of one of the shadow tables? */
int store_is_shadow_name(const char *suffix);

/* The uuid of the log whose shadow tables are those of `name`. STATUS_NOT_FOUND: there are none. */
status store_read_uuid(sqlite3 *db, const char *schema, const char *name,
                       uint8_t uuid[COMMITLOG_UUID_BYTES], failure *why) STATUS_MUST_CHECK;

/* The table whose log has this uuid, from sqlite3_mprintf(); NULL if there is none. */
status store_find_table(sqlite3 *db, const char *schema, const uint8_t uuid[COMMITLOG_UUID_BYTES],
                        char **ret_name, failure *why) STATUS_MUST_CHECK;

/*
 * The functions below read and write in the connection's present transaction. Each row carries a
 * checksum: STATUS_DAMAGED for one that no writer of ours made.
 */

/* What the ledger and the newest segment's row say. */
status store_read_state(log_handle *handle, commitlog_state *ret, failure *why) STATUS_MUST_CHECK;

status store_write_state(log_handle *handle, const commitlog_state *state,
                         failure *why) STATUS_MUST_CHECK;

/* The segment with the greatest base_offset <= offset, also if this connection has just dropped it
 * while one of its statements reads on. STATUS_NOT_FOUND. */
status store_segment_at(log_handle *handle, uint64_t offset, commitlog_segment *ret,
                        failure *why) STATUS_MUST_CHECK;

/* The segment with the least base_offset >= offset. STATUS_NOT_FOUND. */
status store_segment_from(log_handle *handle, uint64_t offset, commitlog_segment *ret,
                          failure *why) STATUS_MUST_CHECK;

status store_write_segment(log_handle *handle, const commitlog_segment *segment,
                           failure *why) STATUS_MUST_CHECK;

/* Bytes of all segments together. */
status store_sum_bytes(log_handle *handle, int64_t *ret_bytes, failure *why) STATUS_MUST_CHECK;

/* Move the rows of segments wholly before `start_offset` to the dropped ones. */
status store_drop_segments(log_handle *handle, uint64_t start_offset, int64_t now_ms,
                           int *ret_count, failure *why) STATUS_MUST_CHECK;

/* Dropped segments, ascending, up to the first that was dropped after `until_ms`, from
 * sqlite3_malloc64(); and when that one was, INT64_MAX if there is none. */
status store_read_dropped(log_handle *handle, int64_t until_ms, commitlog_segment **ret_segments,
                          size_t *ret_count, int64_t *ret_later_ms, failure *why) STATUS_MUST_CHECK;
status store_forget_dropped(log_handle *handle, const commitlog_segment *segment,
                            failure *why) STATUS_MUST_CHECK;

/* Start anew under another uuid: no segments, offsets go on at `state->end_offset`. */
status store_reset(log_handle *handle, const commitlog_state *state,
                   const uint8_t uuid[COMMITLOG_UUID_BYTES], failure *why) STATUS_MUST_CHECK;

void store_finalize(log_handle *handle);

/* ---- handle.c -------------------------------------------------------------------------------- */

#define HANDLE_CACHED_ROWS 8u

/*
 * One open log of a connection. After a change of the schema within a transaction SQLite makes a
 * second instance of the table while the first is still part of the transaction; both share this.
 */
struct log_handle {
    log_handle *next;
    connection *conn;
    unsigned reference_count; /* instances of the table */
    char *schema;
    char *name; /* of the table; looked up again when the schema has changed under us */
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    commitlog *core;
    log_options options;
    char *root_path;
    char *database_path; /* NULL for a database without a file */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    sqlite3_int64 known_records; /* for the planner */

    /* What the tables said, good as long as SQLite's data version stays what it was. */
    unsigned cache_version;
    int has_cached_state;
    commitlog_state cached_state;
    commitlog_segment cached_rows[HANDLE_CACHED_ROWS];
    unsigned cached_row_count; /* ever; the oldest is overwritten */

    /* The transaction, beyond what core keeps of it. */
    commitlog_state stored;     /* what the tables said at the beginning */
    int64_t next_collection_ms; /* when dropped files that wait are due; INT64_MAX: none known */
    int wants_drop_check;       /* dropped tables and files are to be looked for */
    commitlog_segment *collectable; /* to be removed after the commit */
    size_t collectable_count;
};

/* The handle for a log, opened if the connection has none, with a reference more. */
status handle_get(connection *conn, const char *schema, const char *name,
                  const log_options *options, log_handle **ret, failure *why) STATUS_MUST_CHECK;
void handle_put(log_handle *handle);

/* The tables have another uuid than the handle: open the log that is meant now. */
status handle_reopen(log_handle *handle, failure *why) STATUS_MUST_CHECK;

/* Remember nothing of what the tables said. */
void handle_forget(log_handle *handle);

/* store_read_state(), and if another connection has adopted the log meanwhile, once more. */
status handle_read_state(log_handle *handle, commitlog_state *ret, failure *why) STATUS_MUST_CHECK;

/* The path of a database's file; NULL if it has none. */
const char *handle_database_path(sqlite3 *db, const char *schema);

/* Where a database keeps its logs. Both from sqlite3_mprintf(); *ret_database_path is NULL, and
 * the root a temporary directory, for a database without a file. */
status handle_locate(connection *conn, const char *schema, const uint8_t uuid[COMMITLOG_UUID_BYTES],
                     char **ret_root_path, char **ret_database_path,
                     failure *why) STATUS_MUST_CHECK;

/* Remove the temporary directories that this connection's logs made. */
void handle_release_temporary_roots(connection *conn);

/* ---- table.c --------------------------------------------------------------------------------- */

struct log_table {
    sqlite3_vtab base;
    connection *conn;
    char *schema, *name;
    log_options options;
    log_handle *handle; /* NULL until needed: a table must connect, and drop, whatever its state */
};

extern const sqlite3_module table_module;

typedef enum {
    COLUMN_OFFSET,
    COLUMN_TIMESTAMP,
    COLUMN_KEY,
    COLUMN_VALUE,
    COLUMN_HEADERS,
    COLUMN_SEGMENT,
    COLUMN_POSITION,
    COLUMN_SIZE,
    COLUMN_COMMAND,
    COLUMN_COUNT
} table_column;

/* Have table->handle. Sets the table's error message. */
int table_open(log_table *table);

/* Set the table's error message and return SQLite's code for the status. */
int table_fail(log_table *table, const failure *why);

/* SQLite's code for a status. */
int sqlite_code(status code);

/* Failure with the message of the connection's last error. */
status fail_sqlite(sqlite3 *db, int code, failure *why);

/* ---- plan.c ---------------------------------------------------------------------------------- */

/* Bits of idxNum; arguments of xFilter come in this order. */
enum {
    PLAN_OFFSET_EQUAL = 1,
    PLAN_OFFSET_ABOVE = 2, /* > */
    PLAN_OFFSET_FROM = 4,  /* >= */
    PLAN_OFFSET_BELOW = 8, /* < */
    PLAN_OFFSET_TO = 16,   /* <= */
    PLAN_TIMESTAMP_EQUAL = 32,
    PLAN_TIMESTAMP_FROM = 64, /* > and >=: SQLite checks again */
    PLAN_TIMESTAMP_TO = 128,  /* < and <= */
    PLAN_SKIP = 256,          /* SQL's OFFSET */
    PLAN_DESCENDING = 512     /* no argument */
};

int plan_best_index(sqlite3_vtab *base, sqlite3_index_info *info);

/* The offsets [first, end) and timestamps that a plan asks for, given the log's own. */
typedef struct {
    uint64_t first, end;
    int64_t min_timestamp_ms, max_timestamp_ms;
} plan_range;

void plan_apply(int plan, sqlite3_value **arguments, plan_range *range);

/* ---- cursor.c -------------------------------------------------------------------------------- */

int cursor_open(sqlite3_vtab *base, sqlite3_vtab_cursor **ret);
int cursor_close(sqlite3_vtab_cursor *base);
int cursor_filter(sqlite3_vtab_cursor *base, int plan, const char *words, int count,
                  sqlite3_value **arguments);
int cursor_next(sqlite3_vtab_cursor *base);
int cursor_eof(sqlite3_vtab_cursor *base);
int cursor_column(sqlite3_vtab_cursor *base, sqlite3_context *context, int column);
int cursor_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *ret);

/* No cursor is open: if no other statement runs, let mappings go that only SQLite's pointers kept.
 */
void cursor_release_mappings(connection *conn);

/* ---- change.c -------------------------------------------------------------------------------- */

int change_update(sqlite3_vtab *base, int count, sqlite3_value **values, sqlite3_int64 *ret_rowid);

/* The integer that INTEGER affinity makes of a value. 0: it makes none. */
int value_to_integer(sqlite3_value *value, sqlite3_int64 *ret);

/* ---- transaction.c --------------------------------------------------------------------------- */

/* Begin the log's transaction if it has not begun: at the first change, not before. */
int transaction_begin(log_table *table);

/* Apply the retention options now. */
status transaction_trim(log_handle *handle, failure *why) STATUS_MUST_CHECK;

/* Write the rows of segments that this transaction has made or extended so far. */
status transaction_write_segments(log_handle *handle, failure *why) STATUS_MUST_CHECK;

/* SQLite's calls, for a log whose transaction is open; without one they do nothing. */
status transaction_sync(log_handle *handle, failure *why) STATUS_MUST_CHECK;
void transaction_commit(log_handle *handle);
void transaction_rollback(log_handle *handle);
status transaction_savepoint(log_handle *handle, int number, failure *why) STATUS_MUST_CHECK;
void transaction_release(log_handle *handle, int number);
void transaction_rollback_to(log_handle *handle, int number);

/* Make what is committed in this schema's database survive a power loss. */
status transaction_make_durable(sqlite3 *db, const char *schema, const char *database_path,
                                failure *why) STATUS_MUST_CHECK;

int transaction_on_begin(sqlite3_vtab *base);
int transaction_on_sync(sqlite3_vtab *base);
int transaction_on_commit(sqlite3_vtab *base);
int transaction_on_rollback(sqlite3_vtab *base);
int transaction_on_savepoint(sqlite3_vtab *base, int number);
int transaction_on_release(sqlite3_vtab *base, int number);
int transaction_on_rollback_to(sqlite3_vtab *base, int number);

/* ---- drop.c ---------------------------------------------------------------------------------- */

extern const sqlite3_module drop_module;

/* The table of this handle is being dropped: at the commit its files go. SQLITE_OK, or why it
 * cannot be dropped now. */
int drop_log(log_handle *handle);

/* In a transaction that writes: find directories whose drop was left unfinished. */
void drop_find_leftovers(log_handle *handle);

/* At the commit, remove them; at the rollback, forget them. */
void drop_remove_leftovers(connection *conn);
void drop_forget_leftovers(connection *conn);

/* ---- functions.c ----------------------------------------------------------------------------- */

int functions_register(connection *conn);

/* The connected table that 'table' or 'schema.table' names, as SQLite resolves it. SQLITE_OK, or a
 * code and a message from sqlite3_mprintf(). */
int resolve_log(connection *conn, const char *text, log_handle **ret, char **ret_message);

/* ---- segments.c ------------------------------------------------------------------------------ */

extern const sqlite3_module segments_module;

#endif
