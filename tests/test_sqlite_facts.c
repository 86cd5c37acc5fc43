/*
 * What SQLite promises a virtual table about statements: which values and constraints arrive, what
 * becomes of rowids and counters, what a conflict clause does with an error, and in which order
 * DELETE comes. The engine's planner and its SQL interface rest on every line here; each test says
 * what falls with it.
 *
 * Independent of the engine (see recorder.h). It does not test results that SQLite computes itself.
 */
#include "check_main.h"
#include "recorder.h"

#include <stdio.h>
#include <string.h>

static sqlite3 *db;
static recorder rec;

static void setup(void)
{
    facts_setup();
    db = facts_open("facts.db");
    recorder_register(&rec, db);
    MUST(db, "CREATE TABLE plain(x)");
    MUST(db, "CREATE VIRTUAL TABLE t USING recorder");
    recorder_take(&rec);
}

static void teardown(void)
{
    sqlite3_close(db);
    recorder_free(&rec);
    facts_teardown();
}

static const char *fail_event;
static int fail_code;

static int give_code(recorder *self, const char *event)
{
    (void)self;
    return strcmp(event, fail_event) == 0 ? fail_code : SQLITE_OK;
}

static void fail_at(const char *event, int code)
{
    rec.react = give_code;
    fail_event = event;
    fail_code = code;
}

/* ---- fact 6: rowids and counters ---- */

/* Falls: last_insert_rowid() is the offset only because xSync puts it back. */
START_TEST(a_shadow_write_changes_the_rowid_unless_it_is_put_back)
{
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b')");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 1);
    MUST(db, "INSERT INTO plain(rowid, x) VALUES (100, 0)");
    MUST(db, "COMMIT");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 1); /* the last shadow row's, not 100 */

    rec.keep_rowid = true;
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('c')");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 2);
    MUST(db, "INSERT INTO plain(rowid, x) VALUES (200, 0)");
    MUST(db, "COMMIT");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 200);
    MUST(db, "INSERT INTO t(value) VALUES ('d')");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 3);
}
END_TEST

/* Falls: an outbox trigger leaves the application's own rowid alone. */
START_TEST(an_insert_from_a_trigger_does_not_change_the_rowid)
{
    rec.keep_rowid = true;
    MUST(db, "CREATE TRIGGER p AFTER INSERT ON plain BEGIN "
             "INSERT INTO t(value) VALUES (new.x); END");
    MUST(db, "INSERT INTO plain(rowid, x) VALUES (300, 0)");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 300);
}
END_TEST

/* Falls: what the documentation says about changes() and total_changes(). */
START_TEST(changes_are_right_after_a_statement_but_not_after_commit)
{
    rec.keep_rowid = true;
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b'), ('c')");
    ck_assert_int_eq(sqlite3_changes(db), 3);
    ck_assert_int_eq(sqlite3_total_changes(db), 6); /* three of them shadow rows */
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES ('d'), ('e')");
    ck_assert_int_eq(sqlite3_changes(db), 2);
    ck_assert_int_eq(sqlite3_total_changes(db), 8);
    MUST(db, "COMMIT");
    ck_assert_int_eq(sqlite3_changes(db), 1); /* the last shadow statement's */
    ck_assert_int_eq(sqlite3_total_changes(db), 10);
    MUST(db, "DELETE FROM t WHERE offset < 2");
    ck_assert_int_eq(sqlite3_changes(db), 2);
}
END_TEST

/* ---- fact 7 ---- */

/* Falls: nothing; it is why commitlog_append() exists. */
START_TEST(returning_cannot_give_the_offset)
{
    MUST(db, "INSERT INTO t(value) VALUES ('first')");
    ROWS(db, "INSERT INTO t(value) VALUES ('v') RETURNING offset, rowid, value", "null|-1|v");
    ROWS(db, "INSERT INTO t(offset) VALUES (77) RETURNING offset, rowid", "77|-1");
    ck_assert_int_eq(sqlite3_last_insert_rowid(db), 2);
    FAILS(db, "DELETE FROM t RETURNING offset", SQLITE_ERROR,
          "DELETE RETURNING is not available on virtual tables");
    FAILS(db, "UPDATE t SET value = 1 RETURNING offset", SQLITE_ERROR,
          "UPDATE RETURNING is not available on virtual tables");
    FAILS(db, "INSERT INTO t(value) VALUES (1) ON CONFLICT DO NOTHING", SQLITE_ERROR,
          "UPSERT not implemented for virtual table \"t\"");
}
END_TEST

/* ---- fact 8: values and plans ---- */

/* Falls: the engine converts offset and timestamp itself, on both ways in. */
START_TEST(values_arrive_as_they_were_written)
{
    static const struct {
        const char *sql;
        const char *values;
    } cases[] = {
        {"INSERT INTO t(offset, key, value) VALUES ('12', 5, x'61')", "text:12 int:5 blob:a"},
        {"INSERT INTO t(offset, key, value) VALUES (1.0, 1.5, '5')", "real:1.0 real:1.5 text:5"},
        {"INSERT INTO t(value) VALUES (NULL)", "null null null"},
        {"SELECT * FROM t WHERE offset = '1'", "text:1"},
        {"SELECT * FROM t WHERE offset >= 0.5", "real:0.5"},
        {"SELECT * FROM t WHERE offset > x'61'", "blob:a"},
        {"SELECT * FROM t WHERE rowid < '7'", "text:7"},
        {"SELECT * FROM t WHERE offset = NULL", "null"},
        {"SELECT * FROM t WHERE offset BETWEEN '1' AND 2.0", "text:1 real:2.0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        MUST(db, cases[i].sql);
        ck_assert_msg(strcmp(rec.values, cases[i].values) == 0, "%s: %s", cases[i].sql, rec.values);
    }
}
END_TEST

/* SQLite versions offer LIMIT beside more and more kinds of terms. The engine does not use it: its
 * cursor is lazy. It does use OFFSET, so the two lists that matter are where "skip" stands. */
static const struct {
    const char *sql;
    const char *plan;
} plans[] = {
    {"SELECT value FROM t LIMIT 1", "limit"},
    {"SELECT value FROM t LIMIT 1 OFFSET 1", "limit skip"},
    {"SELECT value FROM t WHERE offset >= 0 LIMIT 1 OFFSET 1", "offset>= limit skip"},
    {"SELECT value FROM t WHERE value = 'b' LIMIT 1 OFFSET 1", "value= limit skip"},
    {"SELECT value FROM t WHERE offset >= 0 AND offset <= 2 LIMIT 1", "offset>= offset<= limit"},
    {"SELECT value FROM t ORDER BY offset DESC LIMIT 1", "limit order(offset desc)"},
    {"SELECT value FROM t ORDER BY value LIMIT 1 OFFSET 1", "limit skip order(value)"},
    /* not offered where SQLite would filter, group or join after us */
    {"SELECT value FROM t WHERE abs(offset) = 1 LIMIT 1 OFFSET 1", ""},
    {"SELECT DISTINCT offset FROM t LIMIT 1 OFFSET 1", "order(offset)"},
    {"SELECT count(*) FROM t LIMIT 1 OFFSET 1", ""},
    {"SELECT t.value FROM t, plain LIMIT 1 OFFSET 1", ""},
    /* max() is one term of ORDER BY; min() is only on a column that cannot be NULL */
    {"SELECT max(offset) FROM t", "order(offset desc)"},
    {"SELECT max(rowid) FROM t", "order(rowid desc)"},
    {"SELECT min(rowid) FROM t", "order(rowid)"},
    {"SELECT min(offset) FROM t", ""},
    {"SELECT max(offset), value FROM t", "order(offset desc)"},
    {"SELECT max(offset) FROM t WHERE offset < 2", "offset< order(offset desc)"},
    {"SELECT min(offset), max(offset) FROM t", ""},
    {"SELECT value FROM t ORDER BY offset DESC, value", "order(offset desc) order(value)"},
    {"SELECT value FROM t ORDER BY offset NULLS LAST", ""},
    {"SELECT value FROM t WHERE offset IN (1, 2)", "offset="},
};

/* Falls: seeking for max(offset), and skipping OFFSET rows by the index. */
START_TEST(plans_are_offered_as_expected)
{
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b'), ('c')");
    facts_query(db, plans[_i].sql);
    ck_assert_msg(strcmp(rec.plan, plans[_i].plan) == 0, "%s: %s", plans[_i].sql, rec.plan);
}
END_TEST

/* Falls: relying on LIMIT. SQLite 3.40 withholds it beside BETWEEN; later ones need not. */
START_TEST(limit_may_be_withheld_beside_between)
{
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b'), ('c')");
    ROWS(db, "SELECT value FROM t WHERE offset BETWEEN 0 AND 2 LIMIT 1 OFFSET 1", "b");
    if (sqlite3_libversion_number() < 3041000 || strstr(rec.plan, "limit") == NULL)
        ck_assert_str_eq(rec.plan, "offset>= offset<=");
    else
        ck_assert_str_eq(rec.plan, "offset>= offset<= limit skip");
}
END_TEST

/* Falls: min(offset) by a seek, which needs the column declared NOT NULL. NULL still arrives. */
START_TEST(min_is_offered_as_order_by_when_the_column_is_not_null)
{
    MUST(db, "CREATE VIRTUAL TABLE strict USING recorder(not_null)");
    MUST(db, "INSERT INTO strict(offset, value) VALUES (NULL, 'a'), (NULL, 'b')");
    ck_assert_str_eq(rec.values, "null null text:b");
    ROWS(db, "SELECT min(offset) FROM strict", "0");
    ck_assert_str_eq(rec.plan, "order(offset)");
    ROWS(db, "SELECT max(offset) FROM strict", "1");
    ck_assert_str_eq(rec.plan, "order(offset desc)");
    ROWS(db, "SELECT count(*) FROM strict WHERE offset IS NULL", "0");
    ck_assert_str_eq(rec.plan, "");
    MUST(db, "INSERT INTO plain VALUES (7)");
    ROWS(db, "SELECT x, offset FROM plain LEFT JOIN strict ON offset = x WHERE offset IS NULL",
         "7|null");
}
END_TEST

/* ---- fact 11: conflict clauses ---- */

static const struct {
    const char *clause;
    int conflict; /* what sqlite3_vtab_on_conflict() says */
} clauses[] = {
    {"", SQLITE_ABORT},           {"OR ABORT", SQLITE_ABORT},     {"OR FAIL", SQLITE_FAIL},
    {"OR IGNORE", SQLITE_IGNORE}, {"OR REPLACE", SQLITE_REPLACE}, {"OR ROLLBACK", SQLITE_ROLLBACK},
};

static const char *with_clause(int i, const char *rest)
{
    static char sql[128];
    snprintf(sql, sizeof sql, "INSERT %s %s", clauses[i].clause, rest);
    return sql;
}

static void make_outbox(void)
{
    MUST(db, "CREATE TABLE orders(x UNIQUE)");
    MUST(db, "CREATE TRIGGER o AFTER INSERT ON orders BEGIN "
             "INSERT INTO t(value) VALUES (new.x); END");
    recorder_take(&rec);
}

/* Falls: xUpdate knows the clause, its own or that of the statement that fired the trigger. */
START_TEST(the_clause_is_seen_also_through_a_trigger)
{
    make_outbox();
    rec.conflict = -1;
    MUST(db, with_clause(_i, "INTO t(value) VALUES (1)"));
    ck_assert_int_eq(rec.conflict, clauses[_i].conflict);
    rec.conflict = -1;
    MUST(db, with_clause(_i, "INTO orders VALUES (1)"));
    ck_assert_int_eq(rec.conflict, clauses[_i].conflict);
}
END_TEST

/* The clause in the trigger counts when the statement outside has none; ON CONFLICT of an UPSERT is
 * none. */
START_TEST(the_statement_outside_wins_over_the_triggers_clause)
{
    MUST(db, "CREATE TABLE orders(x UNIQUE)");
    MUST(db, "CREATE TRIGGER o AFTER INSERT ON orders BEGIN "
             "INSERT OR REPLACE INTO t(value) VALUES (new.x); END");
    MUST(db, "INSERT INTO orders VALUES (1)");
    ck_assert_int_eq(rec.conflict, SQLITE_REPLACE);
    MUST(db, "INSERT OR IGNORE INTO orders VALUES (2)");
    ck_assert_int_eq(rec.conflict, SQLITE_IGNORE);
    MUST(db, "INSERT OR ABORT INTO orders VALUES (3)");
    ck_assert_int_eq(rec.conflict, SQLITE_ABORT);
    MUST(db, "INSERT INTO orders VALUES (4) ON CONFLICT DO NOTHING");
    ck_assert_int_eq(rec.conflict, SQLITE_REPLACE);
}
END_TEST

/* Falls: "only the offset comparison returns SQLITE_CONSTRAINT". Under OR IGNORE the event is lost
 * in silence; under OR FAIL the row stays without its event, but the statement says so. */
START_TEST(a_constraint_follows_the_clause)
{
    make_outbox();
    fail_at("t.insert", SQLITE_CONSTRAINT);
    bool is_ignored = clauses[_i].conflict == SQLITE_IGNORE;
    bool is_kept = is_ignored || clauses[_i].conflict == SQLITE_FAIL;
    const char *trace =
        is_kept ? "t.begin t.insert t.sync t.commit" : "t.begin t.insert t.rollback";
    int expected = is_ignored ? SQLITE_OK : SQLITE_CONSTRAINT;
    ck_assert_int_eq(facts_exec(db, with_clause(_i, "INTO t(value) VALUES (1)")), expected);
    TRACE(&rec, trace);
    ck_assert_int_eq(facts_exec(db, with_clause(_i, "INTO orders VALUES (1)")), expected);
    TRACE(&rec, trace);
    ROWS(db, "SELECT count(*), (SELECT count(*) FROM t) FROM orders", is_kept ? "1|0" : "0|0");
}
END_TEST

/* Falls: every other refusal must be seen, whatever the clause. */
START_TEST(no_other_code_follows_the_clause)
{
    static const int codes[] = {SQLITE_MISMATCH, SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_MISUSE,
                                SQLITE_FULL,     SQLITE_IOERR, SQLITE_BUSY};
    make_outbox();
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        fail_at("t.insert", codes[i]);
        ck_assert_int_eq(facts_exec(db, with_clause(_i, "INTO t(value) VALUES (1)")), codes[i]);
        TRACE(&rec, "t.begin t.insert t.rollback");
        ck_assert_int_eq(facts_exec(db, with_clause(_i, "INTO orders VALUES (1)")), codes[i]);
        TRACE(&rec, "t.begin t.insert t.rollback");
        ROWS(db, "SELECT count(*) FROM orders", "0");
    }
}
END_TEST

/* Falls: INSERT OR IGNORE as compare-and-append needs this option of xConnect. */
START_TEST(without_constraint_support_nothing_is_ignored)
{
    MUST(db, "CREATE VIRTUAL TABLE loose USING recorder_loose");
    recorder_take(&rec);
    fail_at("loose.insert", SQLITE_CONSTRAINT);
    ck_assert_int_eq(facts_exec(db, "INSERT OR IGNORE INTO loose(value) VALUES (1)"),
                     SQLITE_CONSTRAINT);
    TRACE(&rec, "loose.begin loose.insert loose.rollback");
}
END_TEST

/* Falls: savepoints around each statement; the clause decides which of them is undone. */
START_TEST(the_clause_decides_what_a_failing_statement_keeps)
{
    static const char *const traces[] = {
        "t.begin t.insert t.savepoint(0) t.insert t.insert t.rollbackto(0) t.release(0)",
        "t.begin t.insert t.savepoint(0) t.insert t.insert t.rollbackto(0) t.release(0)",
        "t.begin t.insert t.savepoint(0) t.insert t.insert t.release(0)",
        "t.begin t.insert t.insert t.insert",
        "t.begin t.insert t.insert t.insert t.insert",
        "t.begin t.insert t.savepoint(0) t.insert t.insert t.rollback",
    };
    static const char *const kept[] = {"0", "0", "0;1;2", "0;1;2", "0;1;2;1", ""};
    make_outbox();
    MUST(db, "BEGIN");
    MUST(db, "INSERT INTO t(value) VALUES (0)");
    int code = facts_exec(db, with_clause(_i, "INTO orders VALUES (1), (2), (1)"));
    bool is_quiet = _i == 3 || _i == 4;
    ck_assert_int_eq(code, is_quiet ? SQLITE_OK : SQLITE_CONSTRAINT_UNIQUE);
    const char *trace = recorder_take(&rec);
    if (strcmp(traces[_i], trace) != 0) /* a savepoint nobody rolls back to is SQLite's choice */
        ck_assert_msg(is_quiet && strstr(trace, "rollback") == NULL, "%s", trace);
    facts_exec(db, "COMMIT");
    ROWS(db, "SELECT value FROM t_data", kept[_i]);
}
END_TEST

/* ---- fact 14 ---- */

/* Falls: DELETE of the head works row by row because the rows come in ascending order. */
START_TEST(delete_arrives_row_by_row_in_ascending_order)
{
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b'), ('c'), ('d')");
    recorder_take(&rec);
    rec.trace_reads = true;
    MUST(db, "DELETE FROM t WHERE offset < 2");
    TRACE(&rec, "t.begin t.open t.filter t.delete(0) t.delete(1) t.close t.sync t.commit");
    MUST(db, "DELETE FROM t WHERE offset = 2");
    TRACE(&rec, "t.begin t.open t.filter t.close t.delete(2) t.sync t.commit");
    MUST(db, "DELETE FROM t");
    TRACE(&rec, "t.begin t.open t.filter t.delete(3) t.close t.sync t.commit");
    ck_assert_int_eq(rec.open_cursors, 0);
}
END_TEST

START_TEST(a_delete_that_is_refused_half_way_deletes_nothing)
{
    MUST(db, "INSERT INTO t(value) VALUES ('a'), ('b'), ('c'), ('d')");
    recorder_take(&rec);
    fail_at("t.delete(2)", SQLITE_ERROR);
    ck_assert_int_eq(facts_exec(db, "DELETE FROM t"), SQLITE_ERROR);
    TRACE(&rec, "t.begin t.delete(0) t.delete(1) t.delete(2) t.rollback");
    ROWS(db, "SELECT value FROM t", "a;b;c;d");
}
END_TEST

/* ---- PRAGMA in the engine's own statements ---- */

static int step_to_int(sqlite3_stmt *statement)
{
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    sqlite3_reset(statement);
    return value;
}

/* Falls: asking for synchronous by a statement kept from before. Its answer is of the time when it
 * was compiled; running it expires it, so from its second run on it is compiled each time. */
START_TEST(a_kept_pragma_statement_is_stale_in_its_first_run_only)
{
    sqlite3_stmt *kept;
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA main.synchronous", -1, &kept, NULL), 0);
    MUST(db, "PRAGMA main.synchronous = OFF");
    ck_assert_int_eq(step_to_int(kept), 2);
    for (int level = 0; level < 4; level++) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA main.synchronous = %d", level);
        MUST(db, sql);
        ck_assert_int_eq(step_to_int(kept), level);
    }
    ck_assert_int_eq(sqlite3_stmt_status(kept, SQLITE_STMTSTATUS_REPREPARE, 0), 4);
    sqlite3_finalize(kept);
}
END_TEST

/* Falls: the same for journal_mode, which is asked for anew in each run, the first as well. */
START_TEST(a_kept_journal_mode_statement_is_never_stale)
{
    static const char *const modes[] = {"wal", "delete", "truncate", "persist", "memory", "off"};
    sqlite3_stmt *kept;
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA main.journal_mode", -1, &kept, NULL), 0);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "PRAGMA main.journal_mode = %s", modes[i]);
        ROWS(db, sql, modes[i]);
        ck_assert_int_eq(sqlite3_step(kept), SQLITE_ROW);
        ck_assert_str_eq((const char *)sqlite3_column_text(kept, 0), modes[i]);
        sqlite3_reset(kept);
    }
    sqlite3_finalize(kept);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

Suite *make_suite(void)
{
    Suite *suite = suite_create("sqlite_facts");
    TCase *test_case = tcase_create("statements");
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_test(test_case, a_shadow_write_changes_the_rowid_unless_it_is_put_back);
    tcase_add_test(test_case, an_insert_from_a_trigger_does_not_change_the_rowid);
    tcase_add_test(test_case, changes_are_right_after_a_statement_but_not_after_commit);
    tcase_add_test(test_case, returning_cannot_give_the_offset);
    tcase_add_test(test_case, values_arrive_as_they_were_written);
    tcase_add_loop_test(test_case, plans_are_offered_as_expected, 0, COUNT(plans));
    tcase_add_test(test_case, limit_may_be_withheld_beside_between);
    tcase_add_test(test_case, min_is_offered_as_order_by_when_the_column_is_not_null);
    tcase_add_loop_test(test_case, the_clause_is_seen_also_through_a_trigger, 0, COUNT(clauses));
    tcase_add_test(test_case, the_statement_outside_wins_over_the_triggers_clause);
    tcase_add_loop_test(test_case, a_constraint_follows_the_clause, 0, COUNT(clauses));
    tcase_add_loop_test(test_case, no_other_code_follows_the_clause, 0, COUNT(clauses));
    tcase_add_test(test_case, without_constraint_support_nothing_is_ignored);
    tcase_add_loop_test(test_case, the_clause_decides_what_a_failing_statement_keeps, 0,
                        COUNT(clauses));
    tcase_add_test(test_case, delete_arrives_row_by_row_in_ascending_order);
    tcase_add_test(test_case, a_delete_that_is_refused_half_way_deletes_nothing);
    tcase_add_test(test_case, a_kept_pragma_statement_is_stale_in_its_first_run_only);
    tcase_add_test(test_case, a_kept_journal_mode_statement_is_never_stale);
    suite_add_tcase(suite, test_case);
    return suite;
}
