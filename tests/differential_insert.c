/*
 * INSERT in its forms: values as literals and parameters, one row or many, with and without an
 * offset, every conflict clause, rows that are wrong on purpose, INSERT ... SELECT, and
 * commitlog_append(). Each runs on the log, then the oracle does what it must have done; codes,
 * changes() and last_insert_rowid() are compared, and the rows by the SELECTs that follow.
 */
#include "differential.h"

#include <inttypes.h>
#include <string.h>

typedef enum { OFFSET_NONE, OFFSET_RIGHT, OFFSET_WRONG, OFFSET_MIXED } offset_choice;
typedef enum { FAULT_NONE, FAULT_HEADERS, FAULT_TIMESTAMP, FAULT_OFFSET, FAULT_SIZE } fault;

/* How an INSERT of values looks. */
typedef struct {
    const char *clause; /* "" or the word after OR */
    offset_choice offsets;
    fault fault;
    unsigned row_count;
    bool clock; /* leave the timestamp to the log */
    size_t bytes_max;
    bool bound; /* every value a parameter */
} insert_form;

static const char *const clauses[] = {"", "", "", "IGNORE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"};

/* After a write that succeeded: the clock's timestamps, retention, and what a kept SELECT sees. */
void after_write(world *w, pair *p, const char *sql, int64_t earliest_ms)
{
    /* Retention may take what the same statement has appended. */
    oracle_follow_retention(w, p, false);
    oracle_take_timestamps(w, p, sql, earliest_ms);
    p->dirty = in_transaction(p);
}

/* Run "INSERT [OR clause] INTO log(columns) source" on both sides and compare everything. */
static outcome insert_both(world *w, pair *p, const char *clause, const char *columns, query *q)
{
    char *source = query_text(q);
    /* rowid is another name of the same thing, but SQLite hands it over in another argument. */
    bool by_rowid = strncmp(columns, "offset", 6) == 0 && prng_chance(&w->random, 20);
    char *sql =
        sqlite3_mprintf("INSERT%s%s INTO %s(%s%s) %s", clause[0] != '\0' ? " OR " : "", clause,
                        w->name, by_rowid ? "rowid" : "", columns + (by_rowid ? 6 : 0), source);
    int64_t changes = 0;
    int64_t last_offset = 0;
    int64_t last_before = sqlite3_last_insert_rowid(p->log);
    int64_t earliest_ms = driver_wall_ms();

    record_history(w, p, sql, q);
    result log = run_statement(p->log, sql, q);
    int64_t log_changes = sqlite3_changes(p->log);
    int64_t log_last = sqlite3_last_insert_rowid(p->log);
    result oracle = oracle_insert(w, p, clause, columns, source, q, &changes, &last_offset);
    compare_codes(w, p, sql, &log, &oracle);
    bool partial = log.code == SQLITE_CONSTRAINT && strcmp(clause, "FAIL") == 0;
    if (log.code == SQLITE_OK || partial) {
        if (log_changes != changes) {
            mismatch(w, p, sql, "changes() is %" PRId64 ", expected %" PRId64, log_changes,
                     changes);
        }
        int64_t expected = changes > 0 ? last_offset : last_before;
        if (log_last != expected) {
            mismatch(w, p, sql, "last_insert_rowid() is %" PRId64 ", expected %" PRId64, log_last,
                     expected);
        }
        after_write(w, p, sql, earliest_ms);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(sql);
    sqlite3_free(source);
    return common;
}

static void append_offset(world *w, query *q, offset_choice choice, int64_t *next)
{
    static const char *const shapes[] = {"%lld", "%lld", "%lld", "'%lld'", "%lld.0", "' %lld '"};
    bool right = choice == OFFSET_RIGHT;

    if (choice == OFFSET_MIXED) {
        if (prng_chance(&w->random, 50)) {
            sqlite3_str_appendall(q->sql, "NULL, ");
            ++*next;
            return;
        }
        right = prng_chance(&w->random, 75);
    }
    int64_t offset = right ? (*next)++ : *next + (prng_chance(&w->random, 50) ? 1 : -1);
    sqlite3_str_appendf(q->sql, RANDOM_OF(w, shapes), (long long)offset);
    sqlite3_str_appendall(q->sql, ", ");
}

static void append_headers(world *w, query *q)
{
    static const char *const headers[] = {"NULL",
                                          "NULL",
                                          "'{}'",
                                          "'{\"a\":1}'",
                                          "'[]'",
                                          "'{\"trace\":\"\\u00e4\",\"n\":[1,2]}'",
                                          "' {\"b\" : null} '",
                                          "'\"text\"'",
                                          "'12'"};

    sqlite3_str_appendf(q->sql, ", %s", RANDOM_OF(w, headers));
}

static void append_bound(query *q, value v)
{
    q->binds[q->bind_count++] = v;
    sqlite3_str_appendf(q->sql, "?%d", q->bind_count);
}

/* One row of VALUES; `bad` is the row that carries the form's fault. */
static void append_row(world *w, query *q, const insert_form *form, bool bad, int64_t *next)
{
    static const char *const bad_headers[] = {"'{'", "'no json'", "''", "x'7b7d'", "'{\"a\":}'"};
    static const char *const bad_integers[] = {"'abc'", "1.5", "x'31'", "'12.5'", "''", "1e300"};

    sqlite3_str_appendall(q->sql, "(");
    if (bad && form->fault == FAULT_OFFSET) {
        sqlite3_str_appendf(q->sql, "%s, ", RANDOM_OF(w, bad_integers));
    } else if (form->offsets != OFFSET_NONE) {
        append_offset(w, q, form->offsets, next);
    } else if (form->fault == FAULT_OFFSET) {
        sqlite3_str_appendall(q->sql, "NULL, ");
    }
    if (bad && form->fault == FAULT_TIMESTAMP) {
        sqlite3_str_appendf(q->sql, "%s, ", RANDOM_OF(w, bad_integers));
    } else if (!form->clock) {
        static const char *const shapes[] = {"%lld, ", "%lld, ", "%lld, ", "'%lld', ", "%lld.0, "};
        /* Mostly rising, as in life: a few late ones keep the segments' bounds overlapping. */
        int64_t stamp = w->next_hint + (int64_t)prng_below(&w->random, 12) - 6;
        sqlite3_str_appendf(q->sql, RANDOM_OF(w, shapes), (long long)stamp);
    }
    for (unsigned i = 0; i < 2; i++) {
        value v = value_random(w, form->bytes_max);
        sqlite3_str_appendall(q->sql, i > 0 ? ", " : "");
        if (bad && form->fault == FAULT_SIZE && i == 1) {
            value_free(&v);
            sqlite3_str_appendf(q->sql, "zeroblob(%lld)",
                                (long long)w->message_bytes_max + 1 +
                                    (long long)prng_below(&w->random, 5000));
        } else if (form->bound) {
            append_bound(q, v);
        } else {
            query_value(w, q, v);
        }
    }
    if (bad && form->fault == FAULT_HEADERS) {
        sqlite3_str_appendf(q->sql, ", %s", RANDOM_OF(w, bad_headers));
    } else {
        append_headers(w, q);
    }
    sqlite3_str_appendall(q->sql, ")");
}

static outcome insert_values(world *w, pair *p, insert_form form)
{
    query q;
    bool with_offset = form.offsets != OFFSET_NONE || form.fault == FAULT_OFFSET;
    unsigned bad_row = (unsigned)prng_below(&w->random, form.row_count);
    int64_t next = with_offset ? oracle_next(w, p) : 0;

    if (w->message_bytes_max > 0 && form.bytes_max > w->message_bytes_max / 4) {
        form.bytes_max = (size_t)w->message_bytes_max / 4;
    }
    query_start(&q);
    sqlite3_str_appendall(q.sql, "VALUES ");
    for (unsigned i = 0; i < form.row_count; i++) {
        sqlite3_str_appendall(q.sql, i > 0 ? ", " : "");
        append_row(w, &q, &form, form.fault != FAULT_NONE && i == bad_row, &next);
    }
    char *columns = sqlite3_mprintf("%s%skey, value, headers", with_offset ? "offset, " : "",
                                    form.clock ? "" : "timestamp, ");
    outcome common = insert_both(w, p, form.clause, columns, &q);
    sqlite3_free(columns);
    query_free(&q);
    return common;
}

static unsigned some_rows(world *w)
{
    return prng_chance(&w->random, 90) ? 1 + (unsigned)prng_below(&w->random, 6)
                                       : 1 + (unsigned)prng_below(&w->random, 60);
}

outcome kind_insert_one(world *w, pair *p)
{
    return insert_values(w, p, (insert_form){.clause = "", .row_count = 1, .bytes_max = 1 << 20});
}

outcome kind_insert_several(world *w, pair *p)
{
    return insert_values(w, p,
                         (insert_form){.clause = "", .row_count = some_rows(w), .bytes_max = 3000});
}

outcome kind_insert_clock(world *w, pair *p)
{
    return insert_values(
        w, p,
        (insert_form){.clause = "", .row_count = some_rows(w), .bytes_max = 100, .clock = true});
}

outcome kind_insert_bound(world *w, pair *p)
{
    return insert_values(w, p,
                         (insert_form){.clause = "",
                                       .row_count = 1 + (unsigned)prng_below(&w->random, 8),
                                       .bytes_max = 200 * 1024 + 1,
                                       .bound = true});
}

outcome kind_insert_right_offset(world *w, pair *p)
{
    return insert_values(w, p,
                         (insert_form){.clause = RANDOM_OF(w, clauses),
                                       .offsets = OFFSET_RIGHT,
                                       .row_count = some_rows(w),
                                       .bytes_max = 100});
}

outcome kind_insert_wrong_offset(world *w, pair *p)
{
    static const char *const loud[] = {"", "", "REPLACE", "FAIL", "ABORT"};

    return insert_values(w, p,
                         (insert_form){.clause = RANDOM_OF(w, loud),
                                       .offsets = OFFSET_WRONG,
                                       .row_count = 1 + (unsigned)prng_below(&w->random, 3),
                                       .bytes_max = 100});
}

static outcome insert_clause(world *w, pair *p, const char *clause)
{
    return insert_values(w, p,
                         (insert_form){.clause = clause,
                                       .offsets = OFFSET_MIXED,
                                       .row_count = 1 + (unsigned)prng_below(&w->random, 5),
                                       .bytes_max = 100});
}

outcome kind_insert_or_ignore(world *w, pair *p)
{
    return insert_clause(w, p, "IGNORE");
}

outcome kind_insert_or_replace(world *w, pair *p)
{
    return insert_clause(w, p, "REPLACE");
}

outcome kind_insert_or_fail(world *w, pair *p)
{
    return insert_clause(w, p, "FAIL");
}

outcome kind_insert_or_abort(world *w, pair *p)
{
    return insert_clause(w, p, "ABORT");
}

outcome kind_insert_or_rollback(world *w, pair *p)
{
    return insert_clause(w, p, "ROLLBACK");
}

static outcome insert_fault(world *w, pair *p, fault f)
{
    return insert_values(w, p,
                         (insert_form){.clause = RANDOM_OF(w, clauses),
                                       .fault = f,
                                       .row_count = 1 + (unsigned)prng_below(&w->random, 4),
                                       .bytes_max = 100});
}

outcome kind_bad_headers(world *w, pair *p)
{
    return insert_fault(w, p, FAULT_HEADERS);
}

outcome kind_bad_timestamp(world *w, pair *p)
{
    return insert_fault(w, p, FAULT_TIMESTAMP);
}

outcome kind_bad_offset(world *w, pair *p)
{
    return insert_fault(w, p, FAULT_OFFSET);
}

outcome kind_too_big(world *w, pair *p)
{
    return w->message_bytes_max > 0 ? insert_fault(w, p, FAULT_SIZE) : OUTCOME_SKIPPED;
}

outcome kind_insert_select_itself(world *w, pair *p)
{
    query q;
    unsigned limit = 1 + (unsigned)prng_below(&w->random, 25);
    const char *columns = "timestamp, key, value, headers";

    query_start(&q);
    if (prng_chance(&w->random, 25)) {
        /* Offsets of the source shifted behind the end: all right when it has no gap. */
        int64_t shift = oracle_next(w, p) - w->start_hint;
        columns = "offset, key, timestamp";
        sqlite3_str_appendf(q.sql,
                            "SELECT offset + %lld, value, timestamp FROM %s WHERE offset < %lld "
                            "ORDER BY offset",
                            (long long)shift, w->name, (long long)(w->start_hint + limit));
    } else {
        sqlite3_str_appendf(q.sql, "SELECT timestamp + 1, %s, headers FROM %s WHERE ",
                            prng_chance(&w->random, 50) ? "key, value" : "value, key", w->name);
        sqlite3_str_appendall(q.sql, "length(value) < 5000 AND ");
        random_predicate(w, &q, "", 1);
        sqlite3_str_appendf(q.sql, " ORDER BY offset%s LIMIT %u",
                            prng_chance(&w->random, 40) ? " DESC" : "", limit);
    }
    outcome common = insert_both(w, p, RANDOM_OF(w, clauses), columns, &q);
    query_free(&q);
    return common;
}

outcome kind_insert_select_generator(world *w, pair *p)
{
    query q;
    /* More than the log keeps in memory: it writes in the middle of the transaction. */
    bool large = prng_chance(&w->random, 12);
    unsigned count = 1 + (unsigned)prng_below(&w->random, large ? 160 : 15);
    unsigned bytes = (unsigned)prng_below(&w->random, large ? 3000 : 80);

    query_start(&q);
    sqlite3_str_appendf(q.sql,
                        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                        "WHERE i < %u) SELECT %lld + i, i %% 7, hex(zeroblob(%u + i)), NULL FROM n",
                        count, (long long)w->next_hint, bytes);
    outcome common = insert_both(w, p, RANDOM_OF(w, clauses), "timestamp, key, value, headers", &q);
    query_free(&q);
    return common;
}

/* commitlog_append('log', key, value): appends and gives the offset. */
outcome kind_append_function(world *w, pair *p)
{
    query q;
    int64_t changes = 0;
    int64_t offset = 0;
    int64_t earliest_ms = driver_wall_ms();

    query_start(&q);
    append_bound(&q, value_random(w, 100));
    sqlite3_str_appendall(q.sql, ", ");
    append_bound(&q, value_random(w, 3000));
    char *arguments = query_text(&q);
    char *sql = sqlite3_mprintf("SELECT commitlog_append('%s%s', %s)",
                                prng_chance(&w->random, 30) ? "main." : "", w->name, arguments);
    char *source = sqlite3_mprintf("VALUES (%s)", arguments);
    record_history(w, p, sql, &q);
    result log = run_statement(p->log, sql, &q);
    /* It reads before it writes, and so takes a snapshot even where the write is then refused. */
    oracle_peek(p, 0, "SELECT next FROM log_end");
    result oracle = oracle_insert(w, p, "", "key, value", source, &q, &changes, &offset);
    compare_codes(w, p, sql, &log, &oracle);
    if (log.code == SQLITE_OK) {
        int64_t given = -1;
        if (log.row_count == 1 && log.rows[0].bytes[0] == SQLITE_INTEGER) {
            memcpy(&given, log.rows[0].bytes + 9, sizeof(given));
        }
        if (given != offset) {
            mismatch(w, p, sql, "returned %" PRId64 ", expected %" PRId64, given, offset);
        }
        after_write(w, p, sql, earliest_ms);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(source);
    sqlite3_free(sql);
    sqlite3_free(arguments);
    query_free(&q);
    return common;
}
