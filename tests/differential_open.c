/*
 * SELECTs that stay open: stepped over some rows now and then, while appends, deletes, rotations,
 * commits and rollbacks go on, on this connection and on the other. Each must give what was there
 * when it was opened, which the oracle was asked for at that moment. An ordinary table would show
 * later rows to such a SELECT; a log does not.
 */
#include "differential.h"

#include <string.h>

void kept_rolled_back(pair *p)
{
    for (int i = 0; i < KEPT_MAX; i++) {
        p->kept[i].rolled_back = p->kept[i].rolled_back || p->kept[i].saw_uncommitted;
    }
}

static void kept_close(kept *k)
{
    sqlite3_finalize(k->statement);
    sqlite3_finalize(k->holder);
    sqlite3_free(k->sql);
    result_free(&k->expected);
    memset(k, 0, sizeof(*k));
}

static bool holds_row(const result *r, const row *wanted)
{
    for (size_t i = 0; i < r->row_count; i++) {
        if (r->rows[i].length == wanted->length &&
            memcmp(r->rows[i].bytes, wanted->bytes, wanted->length) == 0) {
            return true;
        }
    }
    return false;
}

/*
 * Hold one row of an open SELECT against what was there when it was opened. After a ROLLBACK of
 * records that it saw it may end early, fail, or go on with what is there now, as SQLite's own
 * tables do; but each row must be one of those or of these.
 */
static void kept_compare(world *w, pair *p, kept *k, row *current)
{
    result now = {.rows = current, .row_count = 1};
    result want = {.row_count = 0};

    if (!k->rolled_back) {
        if (k->next_row < k->expected.row_count) {
            want.rows = &k->expected.rows[k->next_row++];
            want.row_count = 1;
        }
        compare_rows(w, p, k->sql, &now, &want);
    } else if (!holds_row(&k->expected, current)) {
        char *sql = sqlite3_mprintf("SELECT * FROM %s", w->name);
        want = run_statement(p->oracle, sql, NULL);
        if (!holds_row(&want, current)) {
            mismatch(w, p, k->sql, "an open SELECT gave a row that never was, after a ROLLBACK");
        }
        result_free(&want);
        sqlite3_free(sql);
    }
}

/* Step an open SELECT over some rows. */
static outcome kept_step(world *w, pair *p, kept *k, uint64_t row_count)
{
    while (row_count-- > 0) {
        int code = sqlite3_step(k->statement);

        if (code == SQLITE_ROW) {
            row current = result_current_row(k->statement);
            kept_compare(w, p, k, &current);
            row_free(&current);
            continue;
        }
        bool complete = code == SQLITE_DONE && k->next_row == k->expected.row_count;
        if (!complete && !k->rolled_back) {
            mismatch(w, p, k->sql, "an open SELECT ended with %d (%s) after %zu of %zu rows", code,
                     sqlite3_errmsg(p->log), k->next_row, k->expected.row_count);
        }
        kept_close(k);
        break;
    }
    return OUTCOME_SUCCEEDED;
}

void kept_finish(world *w, pair *p, kept *k)
{
    if (k->statement != NULL) {
        record_history(w, p, "-- an open SELECT is stepped to its end", NULL);
        kept_step(w, p, k, UINT64_MAX);
    }
}

void kept_finish_all(world *w)
{
    for (unsigned i = 0; i < w->pair_count; i++) {
        for (int j = 0; j < KEPT_MAX; j++) {
            kept_finish(w, &w->pairs[i], &w->pairs[i].kept[j]);
        }
    }
}

outcome kind_select_open(world *w, pair *p)
{
    kept *k = &p->kept[prng_below(&w->random, KEPT_MAX)];
    query q;

    if (k->statement != NULL) {
        return OUTCOME_SKIPPED;
    }
    query_start(&q);
    sqlite3_str_appendf(q.sql, "SELECT * FROM %s WHERE ", w->name);
    random_scan_predicate(w, &q);
    sqlite3_str_appendf(q.sql, " ORDER BY offset%s", prng_chance(&w->random, 30) ? " DESC" : "");
    k->sql = query_text(&q);
    query_free(&q);
    record_history(w, p, k->sql, NULL);
    k->expected = run_statement(p->oracle, k->sql, NULL);
    if (k->expected.code != SQLITE_OK) {
        result log = run_statement(p->log, k->sql, NULL);
        compare_codes(w, p, k->sql, &log, &k->expected);
        outcome common = outcome_of(log.code);
        result_free(&log);
        kept_close(k);
        return common;
    }
    k->statement = driver_prepare(p->log, k->sql);
    k->holder = driver_prepare(p->oracle, "SELECT next FROM log_end UNION ALL SELECT 0");
    if (sqlite3_step(k->holder) != SQLITE_ROW) {
        driver_fail("the oracle cannot hold a read: %s", sqlite3_errmsg(p->oracle));
    }
    k->saw_uncommitted = p->dirty;
    return kept_step(w, p, k, 1 + prng_below(&w->random, 10));
}

outcome kind_select_step(world *w, pair *p)
{
    kept *k = &p->kept[prng_below(&w->random, KEPT_MAX)];

    if (k->statement == NULL) {
        return OUTCOME_SKIPPED;
    }
    record_history(w, p, "-- an open SELECT is stepped", NULL);
    return kept_step(w, p, k,
                     prng_chance(&w->random, 40) ? UINT64_MAX : 1 + prng_below(&w->random, 40));
}
