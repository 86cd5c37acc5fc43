/*
 * What a statement on the log must do, done to an ordinary table. The source of an INSERT is first
 * evaluated into a staging table with the log's column affinities; then each row meets the log's
 * rules, one at a time: the clause decides what a refused row does to the statement. The next
 * offset stands in the table log_end, so that it follows ROLLBACK and savepoints by itself.
 *
 * Relies on nothing of the log: where its answers are needed (retention, the clock), the caller's
 * statement has already run, and what it did is checked before the oracle follows.
 */
#include "differential.h"

#include <inttypes.h>
#include <string.h>

/*
 * A statement on the oracle is a savepoint, or a transaction outside of one. Taking the write lock
 * first, as an INSERT into a virtual table does, makes both sides busy in the same places.
 */
static int statement_begin(pair *p, bool *ret_own)
{
    *ret_own = sqlite3_get_autocommit(p->oracle) != 0;
    int code = driver_exec(p->oracle, *ret_own ? "BEGIN" : "SAVEPOINT model");
    if (code == SQLITE_OK) {
        code = driver_exec(p->oracle, "UPDATE log_end SET next = next WHERE 0");
        if (code != SQLITE_OK) {
            driver_exec(p->oracle, *ret_own ? "ROLLBACK" : "RELEASE model");
        }
    }
    return code;
}

static int statement_end(pair *p, bool own, bool keep)
{
    if (!own) {
        if (!keep) {
            driver_must(p->oracle, "ROLLBACK TO model");
        }
        return driver_exec(p->oracle, "RELEASE model");
    }
    int code = driver_exec(p->oracle, keep ? "COMMIT" : "ROLLBACK");
    if (code != SQLITE_OK && !sqlite3_get_autocommit(p->oracle)) {
        driver_must(p->oracle, "ROLLBACK");
    }
    return code;
}

static void set_code(result *r, int code, const char *message)
{
    sqlite3_free(r->message);
    r->code = code & 0xff;
    r->message = sqlite3_mprintf("%s", message);
}

void oracle_create(world *w, pair *p)
{
    /* offset -1 stands for a refused comparison in a trigger: CHECK meets the outer conflict
     * clause exactly as the log's own constraint does. */
    driver_must(p->oracle,
                "CREATE TABLE %s(offset INTEGER PRIMARY KEY CHECK (offset >= 0),"
                "                timestamp INTEGER, key, value, headers TEXT);"
                "CREATE TABLE log_end(next INTEGER NOT NULL, writes INTEGER NOT NULL);"
                "INSERT INTO log_end VALUES (0, 0);",
                w->name);
}

/* One staged row: what becomes of it, checked in the order the log promises. */
static row_fate judge_row(const world *w, sqlite3_stmt *staged, int64_t next)
{
    bool offset_given = sqlite3_column_type(staged, 1) != SQLITE_NULL;

    if (sqlite3_column_int(staged, 6) == 0) {
        return ROW_MISMATCH;
    }
    if (w->message_bytes_max > 0 &&
        (uint64_t)sqlite3_column_int64(staged, 7) > w->message_bytes_max) {
        return ROW_TOO_BIG;
    }
    if (offset_given && sqlite3_column_int64(staged, 1) != next) {
        return ROW_CONSTRAINT;
    }
    return ROW_APPENDED;
}

/* Append the staged rows until the statement is done or fails; what failed is in `r`. */
static void append_staged(world *w, pair *p, const char *clause, result *r, int64_t *changes,
                          int64_t *last_offset)
{
    int64_t next = driver_integer(p->oracle, "SELECT next FROM log_end");
    char *sql = sqlite3_mprintf("INSERT INTO %s(offset, timestamp, key, value, headers) "
                                "SELECT ?1, timestamp, key, value, headers FROM temp.staged "
                                "WHERE number = ?2",
                                w->name);
    sqlite3_stmt *insert = driver_prepare(p->oracle, sql);
    sqlite3_stmt *staged =
        driver_prepare(p->oracle, "SELECT number, offset, timestamp, key, value, headers,"
                                  "       typeof(offset) IN ('integer', 'null')"
                                  "       AND typeof(timestamp) IN ('integer', 'null')"
                                  "       AND (headers IS NULL OR typeof(headers) = 'text'"
                                  "            AND json_valid(headers)),"
                                  "       ifnull(length(CAST(key AS BLOB)), 0) +"
                                  "       ifnull(length(CAST(value AS BLOB)), 0) +"
                                  "       ifnull(length(CAST(headers AS BLOB)), 0)"
                                  "  FROM temp.staged ORDER BY number");

    while (r->code == SQLITE_OK && sqlite3_step(staged) == SQLITE_ROW) {
        switch (judge_row(w, staged, next)) {
        case ROW_APPENDED:
            sqlite3_bind_int64(insert, 1, next);
            sqlite3_bind_int64(insert, 2, sqlite3_column_int64(staged, 0));
            if (sqlite3_step(insert) != SQLITE_DONE) {
                driver_fail("the oracle cannot insert: %s", sqlite3_errmsg(p->oracle));
            }
            sqlite3_reset(insert);
            *last_offset = next++;
            ++*changes;
            break;
        case ROW_CONSTRAINT:
            if (strcmp(clause, "IGNORE") != 0) {
                set_code(r, SQLITE_CONSTRAINT, "wrong offset");
            }
            break;
        case ROW_MISMATCH:
            set_code(r, SQLITE_MISMATCH, "bad offset, timestamp or headers");
            break;
        case ROW_TOO_BIG:
            set_code(r, SQLITE_TOOBIG, "message too big");
            break;
        }
    }
    sqlite3_finalize(staged);
    sqlite3_finalize(insert);
    sqlite3_free(sql);
    driver_must(p->oracle, "UPDATE log_end SET next = %lld WHERE next <> %lld", (long long)next,
                (long long)next);
}

/* Evaluate the source into temp.staged. */
static result stage_source(pair *p, const char *columns, const char *source, const query *q)
{
    driver_must(p->oracle, "CREATE TEMP TABLE IF NOT EXISTS staged(number INTEGER PRIMARY KEY,"
                           " offset INTEGER, timestamp INTEGER, key, value, headers TEXT);"
                           "DELETE FROM temp.staged;");
    char *sql = sqlite3_mprintf("INSERT INTO temp.staged(%s) %s", columns, source);
    result r = run_statement(p->oracle, sql, q);
    sqlite3_free(sql);
    return r;
}

result oracle_insert(world *w, pair *p, const char *clause, const char *columns, const char *source,
                     const query *q, int64_t *ret_changes, int64_t *ret_last_offset)
{
    result r = {0};
    bool own = false;
    int code = statement_begin(p, &own);

    *ret_changes = 0;
    *ret_last_offset = -1;
    if (code != SQLITE_OK) {
        set_code(&r, code, sqlite3_errmsg(p->oracle));
        return r;
    }
    r = stage_source(p, columns, source, q);
    if (r.code == SQLITE_OK) {
        append_staged(w, p, clause, &r, ret_changes, ret_last_offset);
    }
    /* Only the comparison obeys the clause: every other error undoes the statement. */
    bool constraint = r.code == SQLITE_CONSTRAINT;
    if (constraint && strcmp(clause, "ROLLBACK") == 0) {
        driver_must(p->oracle, "ROLLBACK");
        kept_rolled_back(p);
        return r;
    }
    code =
        statement_end(p, own, r.code == SQLITE_OK || (constraint && strcmp(clause, "FAIL") == 0));
    if (code != SQLITE_OK) {
        set_code(&r, code, sqlite3_errmsg(p->oracle));
    }
    if (r.code == SQLITE_OK && *ret_changes > 0) {
        w->next_hint = *ret_last_offset + 1;
    }
    return r;
}

result oracle_delete(world *w, pair *p, const char *where, const query *q, int64_t *ret_changes)
{
    result r = {0};
    bool own = false;
    int code = statement_begin(p, &own);

    *ret_changes = 0;
    if (code != SQLITE_OK) {
        set_code(&r, code, sqlite3_errmsg(p->oracle));
        return r;
    }
    /* The rows to go must be the oldest ones, without a gap. */
    int64_t before = driver_integer(p->oracle, "SELECT count(*) FROM %s", w->name);
    int64_t oldest = driver_integer(p->oracle, "SELECT min(offset) FROM %s", w->name);
    char *sql = sqlite3_mprintf("DELETE FROM %s%s", w->name, where);
    r = run_statement(p->oracle, sql, q);
    int64_t gone = before - driver_integer(p->oracle, "SELECT count(*) FROM %s", w->name);
    int64_t left = driver_integer(p->oracle, "SELECT ifnull(min(offset), %lld) FROM %s",
                                  (long long)(oldest + gone), w->name);
    if (r.code == SQLITE_OK && left != oldest + gone) {
        set_code(&r, SQLITE_ERROR, "DELETE would leave a hole");
    }
    code = statement_end(p, own, r.code == SQLITE_OK);
    if (r.code == SQLITE_OK && code != SQLITE_OK) {
        set_code(&r, code, sqlite3_errmsg(p->oracle));
    }
    if (r.code == SQLITE_OK) {
        *ret_changes = gone;
        w->start_hint = oldest + gone;
    }
    sqlite3_free(sql);
    return r;
}

result oracle_delete_records(world *w, pair *p, int64_t before)
{
    result r = {0};
    bool own = false;
    int code = statement_begin(p, &own);

    set_code(&r, code, code == SQLITE_OK ? "ok" : sqlite3_errmsg(p->oracle));
    if (code != SQLITE_OK) {
        return r;
    }
    if (before > driver_integer(p->oracle, "SELECT next FROM log_end")) {
        set_code(&r, SQLITE_ERROR, "delete-records beyond the end");
    } else {
        driver_must(p->oracle, "DELETE FROM %s WHERE offset < %lld", w->name, (long long)before);
    }
    code = statement_end(p, own, r.code == SQLITE_OK);
    if (r.code == SQLITE_OK && code != SQLITE_OK) {
        set_code(&r, code, sqlite3_errmsg(p->oracle));
    }
    if (r.code == SQLITE_OK && before > w->start_hint) {
        w->start_hint = before;
    }
    return r;
}

int64_t oracle_peek(pair *p, int64_t otherwise, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t found = otherwise;

    if (sqlite3_prepare_v2(p->oracle, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        found = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return found;
}

int64_t oracle_next(world *w, pair *p)
{
    driver_exec(p->log, "SELECT count(*) FROM sqlite_schema");
    return oracle_peek(p, w->next_hint, "SELECT next FROM log_end");
}

/* The first offset of the log; its segments' rows may lag behind it inside a transaction. */
static int64_t log_start(world *w, pair *p)
{
    return driver_integer(p->log, "SELECT ifnull(min(offset), 0) FROM %s", w->name);
}

static void check_trim(world *w, pair *p, int64_t left)
{
    /* After a trim the oldest sealed segment cannot be spared. */
    int64_t oldest = driver_integer(
        p->log,
        "SELECT ifnull(min(records), 0) FROM (SELECT records, state FROM "
        "commitlog_segments(%Q) ORDER BY base_offset LIMIT 1) WHERE state = 'sealed'",
        w->name);

    if (oldest > 0 && left - oldest >= (int64_t)w->retention_records) {
        mismatch(w, p, "trim",
                 "%" PRId64 " records are left, the oldest sealed segment with %" PRId64
                 " could go, the limit is %" PRIu64,
                 left, oldest, w->retention_records);
    }
}

void oracle_follow_retention(world *w, pair *p, bool trimmed)
{
    if (w->retention_records == 0) {
        return;
    }
    int64_t rows = driver_integer(p->oracle, "SELECT count(*) FROM %s", w->name);
    int64_t first = log_start(w, p);
    int64_t going = driver_integer(p->oracle, "SELECT count(*) FROM %s WHERE offset < %lld",
                                   w->name, (long long)first);
    /* Only with something to delete: a connection that has but read may not be able to write. */
    if (going > 0) {
        driver_must(p->oracle, "DELETE FROM %s WHERE offset < %lld", w->name, (long long)first);
        w->start_hint = first;
    }
    if (going > 0 && rows - going < (int64_t)w->retention_records) {
        mismatch(w, p, "retention", "%" PRId64 " records are left, the limit is %" PRIu64,
                 rows - going, w->retention_records);
    }
    if (trimmed && !in_transaction(p)) {
        check_trim(w, p, rows - going);
    }
}

void oracle_take_timestamps(world *w, pair *p, const char *sql, int64_t earliest_ms)
{
    int64_t latest_ms = driver_wall_ms();
    sqlite3_stmt *missing = NULL;
    char *text = sqlite3_mprintf("SELECT offset FROM %s WHERE timestamp IS NULL", w->name);

    missing = driver_prepare(p->oracle, text);
    sqlite3_free(text);
    text = sqlite3_mprintf("UPDATE %s SET timestamp = ?1 WHERE offset = ?2", w->name);
    sqlite3_stmt *update = driver_prepare(p->oracle, text);
    while (sqlite3_step(missing) == SQLITE_ROW) {
        int64_t offset = sqlite3_column_int64(missing, 0);
        int64_t stamp =
            driver_integer(p->log, "SELECT ifnull(sum(timestamp), -1) FROM %s WHERE offset = %lld",
                           w->name, (long long)offset);
        if (stamp < earliest_ms || stamp > latest_ms) {
            mismatch(w, p, sql, "offset %" PRId64 " has timestamp %" PRId64 ", now is %" PRId64,
                     offset, stamp, latest_ms);
        }
        sqlite3_bind_int64(update, 1, stamp);
        sqlite3_bind_int64(update, 2, offset);
        if (sqlite3_step(update) != SQLITE_DONE) {
            driver_fail("the oracle cannot take a timestamp: %s", sqlite3_errmsg(p->oracle));
        }
        sqlite3_reset(update);
    }
    sqlite3_finalize(update);
    sqlite3_finalize(missing);
    sqlite3_free(text);
}
