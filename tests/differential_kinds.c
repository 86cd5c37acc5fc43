/*
 * The list of kinds, and those that are one statement and no INSERT: DELETE, the log's commands,
 * triggers, what the log refuses, transactions and SELECT. Each function makes the statement, runs
 * it on both sides, compares, and tells whether it succeeded or was refused.
 */
#include "differential.h"

#include <inttypes.h>
#include <string.h>

bool in_transaction(const pair *p)
{
    return sqlite3_get_autocommit(p->log) == 0;
}

/* The same text on both sides; the rows are not looked at. */
static outcome run_both(world *w, pair *p, const char *sql)
{
    record_history(w, p, sql, NULL);
    result log = run_statement(p->log, sql, NULL);
    result oracle = run_statement(p->oracle, sql, NULL);
    compare_codes(w, p, sql, &log, &oracle);
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    if (!in_transaction(p)) {
        p->savepoint_count = 0;
        p->dirty = false;
    }
    return common;
}

/* DELETE. */

static outcome delete_where(world *w, pair *p, const char *where, const query *q)
{
    char *sql = sqlite3_mprintf("DELETE FROM %s%s", w->name, where);
    int64_t changes = 0;

    record_history(w, p, sql, q);
    result log = run_statement(p->log, sql, q);
    result oracle = oracle_delete(w, p, where, q, &changes);
    compare_codes(w, p, sql, &log, &oracle);
    if (log.code == SQLITE_OK) {
        if (sqlite3_changes(p->log) != changes) {
            mismatch(w, p, sql, "changes() is %d, expected %" PRId64, sqlite3_changes(p->log),
                     changes);
        }
        p->dirty = in_transaction(p);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(sql);
    return common;
}

static outcome kind_delete_head(world *w, pair *p)
{
    static const char *const forms[] = {" WHERE offset < %lld",
                                        " WHERE offset <= %lld",
                                        " WHERE rowid < %lld",
                                        " WHERE %lld > offset",
                                        " WHERE offset BETWEEN -5 AND %lld",
                                        " WHERE offset < %lld AND timestamp IS NOT NULL",
                                        " WHERE offset < '%lld'",
                                        " WHERE offset < %lld.5"};
    int64_t rows = rows_about(w);
    /* The log must not grow for ever: the longer it is, the more goes. */
    int64_t some = (int64_t)prng_below(&w->random, rows > 300 ? (uint64_t)rows : 12);
    char *where = sqlite3_mprintf(RANDOM_OF(w, forms), (long long)(w->start_hint + some));
    outcome common = delete_where(w, p, where, NULL);

    sqlite3_free(where);
    return common;
}

static outcome kind_delete_all(world *w, pair *p)
{
    static const char *const forms[] = {"", " WHERE 1", " WHERE offset >= 0",
                                        " WHERE offset IS NOT NULL"};

    return delete_where(w, p, RANDOM_OF(w, forms), NULL);
}

static outcome kind_delete_predicate(world *w, pair *p)
{
    query q;

    query_start(&q);
    sqlite3_str_appendall(q.sql, " WHERE ");
    /* SQLite 3.40 may evaluate a subquery of an ordinary table's DELETE after the first rows have
     * gone, and then keeps rows that it should delete. */
    w->without_subqueries = true;
    random_predicate(w, &q, "", 1);
    w->without_subqueries = false;
    char *where = query_text(&q);
    outcome common = delete_where(w, p, where, &q);
    sqlite3_free(where);
    query_free(&q);
    return common;
}

/* Leaves a hole whenever there are two rows; the oracle knows. */
static outcome kind_delete_hole(world *w, pair *p)
{
    static const char *const forms[] = {
        " WHERE offset = (SELECT max(offset) FROM %s WHERE offset > (SELECT min(offset) FROM %s))",
        " WHERE offset > (SELECT min(offset) FROM %s) AND offset IN (SELECT offset FROM %s)"};
    char *where = sqlite3_mprintf(RANDOM_OF(w, forms), w->name, w->name);
    outcome common = delete_where(w, p, where, NULL);

    sqlite3_free(where);
    return common;
}

/* Commands. */

static outcome kind_delete_records(world *w, pair *p)
{
    int64_t rows = rows_about(w);
    uint64_t reach = rows > 200 ? (uint64_t)rows : 20;
    int64_t before = w->start_hint - 2 + (int64_t)prng_below(&w->random, reach);
    char *sql = sqlite3_mprintf("INSERT INTO %s(%s, offset) VALUES('delete-records', %lld)",
                                w->name, w->name, (long long)(before < 0 ? 0 : before));

    record_history(w, p, sql, NULL);
    result log = run_statement(p->log, sql, NULL);
    result oracle = oracle_delete_records(w, p, before < 0 ? 0 : before);
    compare_codes(w, p, sql, &log, &oracle);
    p->dirty = in_transaction(p) && (p->dirty || log.code == SQLITE_OK);
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(sql);
    return common;
}

/*
 * rotate, flush and trim change nothing that a query could see. But they may write, and then meet
 * the other connection's locks, or make its snapshot old: so the oracle writes when the log did.
 */
static outcome command(world *w, pair *p, const char *name)
{
    if (w->pair_count > 1 && in_transaction(p)) {
        return OUTCOME_SKIPPED;
    }
    char *sql = sqlite3_mprintf("INSERT INTO %s(%s) VALUES('%s')", w->name, w->name, name);
    int64_t last_before = sqlite3_last_insert_rowid(p->log);
    int total_before = sqlite3_total_changes(p->log);

    record_history(w, p, sql, NULL);
    result log = run_statement(p->log, sql, NULL);
    /* The command counts as one change, and every row that the log writes as another. */
    bool wrote = sqlite3_total_changes(p->log) > total_before + 1;
    char *touch = sqlite3_mprintf("UPDATE log_end SET writes = writes + 1 WHERE %d", wrote ? 1 : 0);
    result oracle = run_statement(p->oracle, touch, NULL);
    compare_codes(w, p, sql, &log, &oracle);
    if (log.code == SQLITE_OK) {
        oracle_follow_retention(w, p, strcmp(name, "trim") == 0);
        p->dirty = in_transaction(p);
        if (sqlite3_last_insert_rowid(p->log) != last_before) {
            mismatch(w, p, sql, "last_insert_rowid() became %lld, was %" PRId64,
                     (long long)sqlite3_last_insert_rowid(p->log), last_before);
        }
    }
    outcome common = outcome_of(log.code);
    result_free(&oracle);
    result_free(&log);
    sqlite3_free(touch);
    sqlite3_free(sql);
    return common;
}

static outcome kind_rotate(world *w, pair *p)
{
    return command(w, p, "rotate");
}

static outcome kind_flush(world *w, pair *p)
{
    return command(w, p, "flush");
}

static outcome kind_trim(world *w, pair *p)
{
    return command(w, p, "trim");
}

/* What the log refuses: SQLITE_ERROR, and nothing changes. */

static outcome refused(world *w, pair *p, char *sql, bool may_be_busy)
{
    record_history(w, p, sql, NULL);
    result log = run_statement(p->log, sql, NULL);
    /* An offset that is missing or no integer is a mismatch, as it is for INSERT. */
    bool fits = log.code == SQLITE_ERROR || (may_be_busy && log.code == SQLITE_BUSY) ||
                (log.code == SQLITE_MISMATCH && strstr(sql, "delete-records") != NULL);
    if (!fits) {
        mismatch(w, p, sql, "the log returned %d (%s), expected %d", log.code, log.message,
                 SQLITE_ERROR);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    /* The write lock was taken, and is kept inside a transaction. */
    if (common == OUTCOME_REFUSED && may_be_busy) {
        driver_exec(p->oracle, "UPDATE log_end SET next = next WHERE 0");
    }
    sqlite3_free(sql);
    return common;
}

static outcome kind_update(world *w, pair *p)
{
    static const char *const forms[] = {
        "UPDATE %s SET value = 1 WHERE offset >= (SELECT max(offset) FROM %s)",
        "UPDATE %s SET offset = offset + 1 WHERE offset IN (SELECT offset FROM %s)",
        "UPDATE OR IGNORE %s SET key = NULL WHERE offset = (SELECT min(offset) FROM %s)",
        "UPDATE %s SET timestamp = 0 WHERE offset = (SELECT max(rowid) FROM %s)"};

    /* Without a row to change UPDATE does nothing and succeeds. */
    if (oracle_next(w, p) == 0 || in_transaction(p)) {
        return OUTCOME_SKIPPED;
    }
    char *count = sqlite3_mprintf("SELECT count(*) FROM %s", w->name);
    bool empty = oracle_peek(p, 0, count) == 0;
    sqlite3_free(count);
    return empty ? OUTCOME_SKIPPED
                 : refused(w, p, sqlite3_mprintf(RANDOM_OF(w, forms), w->name, w->name), true);
}

static outcome kind_upsert_returning(world *w, pair *p)
{
    static const char *const forms[] = {
        "INSERT INTO %s(offset, value) VALUES (0, 'x') ON CONFLICT DO NOTHING",
        "INSERT INTO %s(offset, value) VALUES (0, 'x') ON CONFLICT(offset) DO UPDATE SET key = 1",
        "DELETE FROM %s RETURNING offset", "UPDATE %s SET key = 1 RETURNING offset"};

    return refused(w, p, sqlite3_mprintf(RANDOM_OF(w, forms), w->name), false);
}

static outcome kind_bad_command(world *w, pair *p)
{
    static const char *const forms[] = {
        "INSERT INTO %s(%s) VALUES('nonsense')", "INSERT INTO %s(%s) VALUES('')",
        "INSERT INTO %s(%s) VALUES('delete-records')", "INSERT OR IGNORE INTO %s(%s) VALUES(17)"};

    return refused(w, p, sqlite3_mprintf(RANDOM_OF(w, forms), w->name, w->name), true);
}

/* A row in an ordinary table whose trigger appends to the log. */
static outcome kind_trigger(world *w, pair *p)
{
    static const char *const outer[] = {
        "", "", "", " OR IGNORE", " OR FAIL", " OR REPLACE", " OR ABORT", " OR ROLLBACK"};
    static const char *const events[] = {"append", "append", "append", "offset", "headers"};
    unsigned count = 1 + (unsigned)prng_below(&w->random, 4);
    sqlite3_str *text = sqlite3_str_new(NULL);

    sqlite3_str_appendf(text, "INSERT%s INTO orders(id, event, a, b) VALUES ", RANDOM_OF(w, outer));
    for (unsigned i = 0; i < count; i++) {
        const char *event = RANDOM_OF(w, events);
        /* Which offset is right depends on the rows before that the clause lets through. */
        int64_t wanted = w->next_hint + i;
        sqlite3_str_appendf(text, "%s(%d, '%s', %d, %lld)", i > 0 ? ", " : "",
                            (int)prng_below(&w->random, 400), event,
                            (int)w->next_hint + (int)prng_below(&w->random, 9), (long long)wanted);
    }
    char *sql = sqlite3_str_finish(text);
    record_history(w, p, sql, NULL);
    bool was_open = in_transaction(p);
    int64_t last_before = sqlite3_last_insert_rowid(p->log);
    result log = run_statement(p->log, sql, NULL);
    result oracle = run_statement(p->oracle, sql, NULL);
    if (oracle.code == SQLITE_CONSTRAINT && strstr(oracle.message, "bad headers") != NULL) {
        oracle.code = SQLITE_MISMATCH;
    }
    compare_codes(w, p, sql, &log, &oracle);
    if (log.code == SQLITE_OK) {
        if (sqlite3_changes(p->log) != sqlite3_changes(p->oracle)) {
            mismatch(w, p, sql, "changes() is %d, expected %d", sqlite3_changes(p->log),
                     sqlite3_changes(p->oracle));
        }
        int64_t expected =
            sqlite3_changes(p->oracle) > 0 ? sqlite3_last_insert_rowid(p->oracle) : last_before;
        if (sqlite3_last_insert_rowid(p->log) != expected) {
            mismatch(w, p, sql, "last_insert_rowid() is %lld, expected %" PRId64,
                     (long long)sqlite3_last_insert_rowid(p->log), expected);
        }
    }
    if (log.code == SQLITE_OK || log.code == SQLITE_CONSTRAINT) {
        /* OR FAIL keeps what it did before it failed. */
        after_write(w, p, sql, 0);
    }
    if (was_open && !in_transaction(p)) {
        kept_rolled_back(p);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(sql);
    return common;
}

/* Transactions. */

static outcome kind_begin(world *w, pair *p)
{
    static const char *const forms[] = {"BEGIN", "BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"};

    if (in_transaction(p) && prng_chance(&w->random, 95)) {
        return OUTCOME_SKIPPED;
    }
    return run_both(w, p, RANDOM_OF(w, forms));
}

/*
 * Where a transaction undid some of its work, the ordinary table commits pages that the log has not
 * touched, and only there the other connection's snapshot becomes an old one. So it must have none.
 */
static bool commit_would_differ(const world *w, const pair *p)
{
    for (unsigned i = 0; i < w->pair_count && p->soiled; i++) {
        const pair *other = &w->pairs[i];
        bool reads = in_transaction(other);

        for (int j = 0; j < KEPT_MAX; j++) {
            reads = reads || other->kept[j].statement != NULL;
        }
        if (other != p && reads) {
            return true;
        }
    }
    return false;
}

outcome kind_commit(world *w, pair *p)
{
    if (commit_would_differ(w, p)) {
        return OUTCOME_SKIPPED;
    }
    if (!in_transaction(p) && prng_chance(&w->random, 97)) {
        return OUTCOME_SKIPPED;
    }
    int64_t last = sqlite3_last_insert_rowid(p->log);
    outcome common = run_both(w, p, "COMMIT");
    if (common == OUTCOME_SUCCEEDED) {
        if (sqlite3_last_insert_rowid(p->log) != last) {
            mismatch(w, p, "COMMIT", "last_insert_rowid() became %lld, was %" PRId64,
                     (long long)sqlite3_last_insert_rowid(p->log), last);
        }
        oracle_follow_retention(w, p, false);
    }
    return common;
}

static outcome kind_rollback(world *w, pair *p)
{
    if (!in_transaction(p) && prng_chance(&w->random, 97)) {
        return OUTCOME_SKIPPED;
    }
    kept_rolled_back(p);
    return run_both(w, p, "ROLLBACK");
}

static const char *const savepoint_names[] = {"s1", "s2", "s3"};

static outcome savepoint_statement(world *w, pair *p, const char *verb, const char *name)
{
    char *sql = sqlite3_mprintf("%s %s", verb, name);
    outcome common = run_both(w, p, sql);

    sqlite3_free(sql);
    return common;
}

static outcome kind_savepoint(world *w, pair *p)
{
    const char *name = RANDOM_OF(w, savepoint_names);

    if (p->savepoint_count == SAVEPOINTS_MAX) {
        return OUTCOME_SKIPPED;
    }
    outcome common = savepoint_statement(w, p, "SAVEPOINT", name);
    p->savepoints[p->savepoint_count++] = name;
    return common;
}

/* Mostly one that exists, by its number; a name used twice means the later one to SQLite. */
static const char *choose_savepoint(world *w, pair *p, unsigned *ret_number)
{
    const char *name = RANDOM_OF(w, savepoint_names);

    if (p->savepoint_count > 0 && prng_chance(&w->random, 90)) {
        name = random_pick(w, p->savepoints, p->savepoint_count);
    }
    *ret_number = p->savepoint_count;
    for (unsigned i = 0; i < p->savepoint_count; i++) {
        if (strcmp(p->savepoints[i], name) == 0) {
            *ret_number = i;
        }
    }
    return name;
}

static outcome kind_release(world *w, pair *p)
{
    unsigned number = 0;

    if (!in_transaction(p)) {
        return OUTCOME_SKIPPED;
    }
    const char *name = choose_savepoint(w, p, &number);
    if (number == 0 && commit_would_differ(w, p)) {
        return OUTCOME_SKIPPED;
    }
    outcome common = savepoint_statement(w, p, "RELEASE", name);
    if (common == OUTCOME_SUCCEEDED) {
        p->savepoint_count = number < p->savepoint_count ? number : p->savepoint_count;
    }
    if (common == OUTCOME_SUCCEEDED && !in_transaction(p)) {
        oracle_follow_retention(w, p, false);
    }
    return common;
}

static outcome kind_rollback_to(world *w, pair *p)
{
    unsigned number = 0;

    if (!in_transaction(p)) {
        return OUTCOME_SKIPPED;
    }
    const char *name = choose_savepoint(w, p, &number);
    kept_rolled_back(p);
    p->soiled = true;
    outcome common = savepoint_statement(w, p, "ROLLBACK TO", name);
    if (common == OUTCOME_SUCCEEDED && number < p->savepoint_count) {
        p->savepoint_count = number + 1;
    }
    return common;
}

/* SELECT. */

static outcome kind_select(world *w, pair *p)
{
    query q;

    query_start(&q);
    random_select(w, &q);
    outcome common = compare_query(w, p, &q);
    query_free(&q);
    return common;
}

const kind differential_kinds[] = {
    {"insert one row", kind_insert_one, 80, false},
    {"insert several rows", kind_insert_several, 50, false},
    {"insert, clock's timestamp", kind_insert_clock, 15, false},
    {"insert bound values", kind_insert_bound, 40, false},
    {"insert right offset", kind_insert_right_offset, 30, false},
    {"insert wrong offset", kind_insert_wrong_offset, 10, true},
    {"insert or ignore", kind_insert_or_ignore, 12, false},
    {"insert or replace", kind_insert_or_replace, 12, false},
    {"insert or fail", kind_insert_or_fail, 12, false},
    {"insert or abort", kind_insert_or_abort, 12, false},
    {"insert or rollback", kind_insert_or_rollback, 10, false},
    {"insert bad headers", kind_bad_headers, 10, true},
    {"insert bad timestamp", kind_bad_timestamp, 10, true},
    {"insert bad offset", kind_bad_offset, 8, true},
    {"insert too big", kind_too_big, 8, true},
    {"insert select itself", kind_insert_select_itself, 20, false},
    {"insert select generator", kind_insert_select_generator, 15, false},
    {"commitlog_append", kind_append_function, 25, false},
    {"trigger", kind_trigger, 35, false},
    {"delete head", kind_delete_head, 25, false},
    {"delete all", kind_delete_all, 1, false},
    {"delete by predicate", kind_delete_predicate, 15, false},
    {"delete leaving a hole", kind_delete_hole, 10, true},
    {"delete-records", kind_delete_records, 15, false},
    {"rotate", kind_rotate, 18, false},
    {"flush", kind_flush, 18, false},
    {"trim", kind_trim, 8, false},
    {"update", kind_update, 12, true},
    {"upsert, returning", kind_upsert_returning, 8, true},
    {"bad command", kind_bad_command, 8, true},
    {"begin", kind_begin, 90, false},
    {"commit", kind_commit, 35, false},
    {"rollback", kind_rollback, 15, false},
    {"savepoint", kind_savepoint, 40, false},
    {"release", kind_release, 20, false},
    {"rollback to", kind_rollback_to, 25, false},
    {"select", kind_select, 330, false},
    {"select kept open", kind_select_open, 45, false},
    {"select stepped", kind_select_step, 70, false},
    {"segments", kind_segments, 10, false},
    {"reopen", kind_reopen, 3, false},
    {"rename", kind_rename, 3, false},
    {"vacuum", kind_vacuum, 1, false},
    {"journal mode", kind_journal_mode, 2, false},
    {"journal mode off", kind_journal_off, 1, true},
    {"drop and roll back", kind_drop_rollback, 2, false},
    {"commit hook refuses", kind_commit_hook, 4, true},
};
const size_t differential_kind_count = sizeof(differential_kinds) / sizeof(differential_kinds[0]);
