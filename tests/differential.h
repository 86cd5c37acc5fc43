/*
 * The parts of the differential test and what they tell each other.
 *
 *   differential.c          main: options, epochs, which kind comes next, the final counts
 *   differential_kinds.c    the list of kinds; DELETE, commands, transactions, SELECT
 *   differential_insert.c   INSERT in its forms
 *   differential_open.c     SELECTs that stay open while other statements run
 *   differential_scripts.c  kinds that take several statements: reopen, rename, journal modes
 *   differential_oracle.c   what the statement must do, done to the ordinary table
 *   differential_result.c   running a statement, comparing results, reporting a mismatch
 *   differential_random.c   random values, predicates and SELECTs
 *
 * The log and the ordinary table live in two databases with the same names in both, so that most
 * statements run verbatim on both sides. Where the log differs on purpose (offsets start at 0 and
 * are never used twice, an explicit offset is a comparison, DELETE only from the head, no UPDATE),
 * the oracle side does by hand what the log promises.
 */
#ifndef TESTS_DIFFERENTIAL_H
#define TESTS_DIFFERENTIAL_H

#include "driver.h"

enum { PAIR_COUNT = 2, KEPT_MAX = 3, BIND_MAX = 24, HISTORY_MAX = 60, SAVEPOINTS_MAX = 8 };

/* A value to bind. `bytes` belongs to the value. */
typedef struct {
    int type; /* SQLITE_NULL, SQLITE_INTEGER, SQLITE_FLOAT, SQLITE_TEXT, SQLITE_BLOB */
    int64_t integer;
    double real;
    char *bytes;
    size_t length;
} value;

/* A statement under construction: SQL text with the values of its ?N parameters. */
typedef struct {
    sqlite3_str *sql;
    value binds[BIND_MAX];
    int bind_count;
    bool ordered; /* the order of the rows is part of the result */
} query;

/* Everything a statement gave back. Rows are serialised: per column a type and its bytes. */
typedef struct {
    char *bytes;
    size_t length;
} row;

typedef struct {
    int code; /* primary result code, SQLITE_OK on success */
    char *message;
    row *rows;
    size_t row_count;
    size_t row_capacity;
} result;

/* A SELECT on the log that is stepped now and then while other statements run. */
typedef struct {
    sqlite3_stmt *statement;
    sqlite3_stmt *holder; /* a read on the oracle side that holds the same locks and snapshot */
    char *sql;
    result expected; /* what the oracle said when it was opened */
    size_t next_row;
    unsigned age;
    bool saw_uncommitted; /* opened on records that a ROLLBACK may take away */
    bool rolled_back;     /* and it did: it may end early or fail */
} kept;

/* One connection to the log's database with its twin on the oracle's. */
typedef struct {
    sqlite3 *log;
    sqlite3 *oracle;
    kept kept[KEPT_MAX];
    unsigned savepoint_count; /* savepoints announced and not released, for the generator */
    const char *savepoints[SAVEPOINTS_MAX];
    bool dirty;  /* the open transaction has changed something */
    bool soiled; /* and something of it was undone */
} pair;

typedef enum { OUTCOME_SUCCEEDED, OUTCOME_REFUSED, OUTCOME_BUSY, OUTCOME_SKIPPED } outcome;

typedef struct {
    prng random;
    uint64_t seed;
    uint64_t epoch;
    uint64_t statement; /* number of the statement that runs */
    uint64_t statement_limit;
    bool trace;
    char *history[HISTORY_MAX];
    uint64_t history_count;

    char *directory;
    char *log_path;
    char *oracle_path;
    char *create; /* the CREATE VIRTUAL TABLE statement, with %s for the name */
    const char *name;
    const char *journal_mode;
    const char *synchronous;
    const char *encoding;
    uint64_t retention_records; /* 0: none */
    uint64_t message_bytes_max; /* 0: not limited */
    unsigned segment_kib;       /* a segment is full at this size */
    bool in_memory;
    int64_t start_hint; /* about where the log starts and ends, for the generator only */
    int64_t next_hint;
    bool without_subqueries; /* for the predicates made now */
    unsigned pair_count;
    pair pairs[PAIR_COUNT];
    const char *kind_name;
} world;

/* What one row of an INSERT does: the order is the order of the checks. */
typedef enum { ROW_APPENDED, ROW_CONSTRAINT, ROW_MISMATCH, ROW_TOO_BIG } row_fate;

/* differential_random.c */
void value_free(value *v);
value value_random(world *w, size_t bytes_max);
void query_start(query *q);
void query_free(query *q);
char *query_text(query *q);
/* The text with every parameter replaced by its value. */
char *query_expanded(const char *sql, const query *q);
/* Append a literal or a bound parameter for `v`; takes ownership. */
void query_value(world *w, query *q, value v);
void random_literal(world *w, query *q, const char *column);
void random_predicate(world *w, query *q, const char *alias, unsigned depth);
/* A predicate whose plan cannot restart the scan: for statements that are kept open. */
void random_scan_predicate(world *w, query *q);
void random_select(world *w, query *q);
/* How many records the log has, as far as the hints know. */
int64_t rows_about(const world *w);
const char *random_pick(world *w, const char *const *choices, size_t choice_count);
#define RANDOM_OF(w, choices) random_pick(w, choices, sizeof(choices) / sizeof((choices)[0]))

/* differential_result.c */
result run_statement(sqlite3 *db, const char *sql, const query *q);
void result_free(result *r);
void result_sort(result *r);
void record_history(world *w, pair *p, const char *sql, const query *q);
/* Print the last statements, the configuration and how to run it again. */
void report_run(world *w);
_Noreturn void mismatch(world *w, pair *p, const char *sql, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Fail the run unless the codes agree. */
void compare_codes(world *w, pair *p, const char *sql, const result *log, const result *oracle);
void compare_rows(world *w, pair *p, const char *sql, const result *log, const result *oracle);
/* Run the query on both sides and compare; the outcome is the common one. */
outcome compare_query(world *w, pair *p, query *q);
outcome outcome_of(int code);
/* Every row of the log, and of the table with the trigger, on both sides. */
void compare_everything(world *w, pair *p);
row result_current_row(sqlite3_stmt *statement);
void row_free(row *r);

/* differential_oracle.c */
/* The next offset as this connection sees it: reads on both sides, so that both have a snapshot. */
int64_t oracle_next(world *w, pair *p);
/* An integer from the oracle, or `otherwise` where a lock is in the way. */
int64_t oracle_peek(pair *p, int64_t otherwise, const char *sql);
void oracle_create(world *w, pair *p);
/* What INSERT OR <clause> with the columns and source of `q` does; `source` is its SELECT or
 * VALUES. */
result oracle_insert(world *w, pair *p, const char *clause, const char *columns, const char *source,
                     const query *q, int64_t *ret_changes, int64_t *ret_last_offset);
result oracle_delete(world *w, pair *p, const char *where, const query *q, int64_t *ret_changes);
result oracle_delete_records(world *w, pair *p, int64_t before);
/* Retention moved the log's start: check that it may, and move the oracle's. */
void oracle_follow_retention(world *w, pair *p, bool trimmed);
/* Take over the timestamps that the log set by its clock, after checking them. */
void oracle_take_timestamps(world *w, pair *p, const char *sql, int64_t earliest_ms);

/* differential_insert.c, differential_kinds.c, differential_scripts.c */
typedef outcome kind_function(world *w, pair *p);

typedef struct {
    const char *name;
    kind_function *run;
    unsigned weight;
    bool must_be_refused; /* every statement of the kind is wrong on purpose */
} kind;

extern const kind differential_kinds[];
extern const size_t differential_kind_count;

kind_function kind_insert_one, kind_insert_several, kind_insert_clock, kind_insert_bound,
    kind_insert_right_offset, kind_insert_wrong_offset, kind_insert_or_ignore,
    kind_insert_or_replace, kind_insert_or_fail, kind_insert_or_abort, kind_insert_or_rollback,
    kind_bad_headers, kind_bad_timestamp, kind_bad_offset, kind_too_big, kind_insert_select_itself,
    kind_insert_select_generator, kind_append_function;
kind_function kind_reopen, kind_rename, kind_vacuum, kind_journal_mode, kind_drop_rollback,
    kind_commit_hook, kind_segments, kind_journal_off, kind_commit, kind_select_open,
    kind_select_step;

/* After a write that succeeded: timestamps set by the log's clock, and retention. */
void after_write(world *w, pair *p, const char *sql, int64_t earliest_ms);
void world_open(world *w);
void world_close(world *w);
void kept_finish(world *w, pair *p, kept *k);
void kept_finish_all(world *w);
void kept_rolled_back(pair *p);
bool in_transaction(const pair *p);
/* End every transaction and open statement, so that a script may close or alter things. */
void quiesce(world *w);

#endif
