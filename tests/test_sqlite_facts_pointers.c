/*
 * How long SQLite keeps a pointer that a virtual table handed out as SQLITE_STATIC.
 *
 * The engine hands out pointers into mapped segments without copying and must know when a mapping
 * may go. What these tests hold is the rule it goes by: never before the last open cursor of the
 * connection closes, and then at once; and the one place where even that is too early, an UPDATE
 * of the log itself, which therefore must not look at the values it is given.
 *
 * The memory of the recording table is taken away at that very moment, by mprotect, so a statement
 * that breaks the rule dies with a signal instead of passing by luck.
 */
#include "check_main.h"
#include "recorder.h"

#include <stdio.h>
#include <string.h>

enum { ROW_COUNT = 12, SQL_BYTES = 2048 };

static sqlite3 *db;
static recorder rec;

static void setup(void)
{
    facts_setup();
    db = facts_open(":memory:");
    recorder_register(&rec, db);
    MUST(db, "CREATE VIRTUAL TABLE log USING recorder");
    MUST(db, "CREATE TABLE plain(offset INTEGER PRIMARY KEY, key TEXT, value)");
    MUST(db, "CREATE TABLE numbers(n INTEGER)");
    MUST(db, "INSERT INTO numbers WITH RECURSIVE c(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM c "
             "WHERE i < 11) SELECT i FROM c");
    /* Long and short texts, blobs, JSON and a number, out of order in value. */
    MUST(db, "INSERT INTO plain SELECT n, 'key-' || (n % 4), CASE n % 4 "
             "WHEN 0 THEN '{\"op\":\"' || ((n * 7) % 12) || '\",\"pad\":\"' || "
             "hex(zeroblob(n * 6)) || '\"}' WHEN 1 THEN cast('b' || (n * 5 % 12) AS BLOB) "
             "WHEN 2 THEN 'text ' || (n * 11 % 12) ELSE n * 3 END FROM numbers");
    MUST(db, "INSERT INTO log(key, value) SELECT key, value FROM plain ORDER BY offset");
    rec.release = RECORDER_LAST_CLOSE;
}

static void teardown(void)
{
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    recorder_free(&rec);
    facts_teardown();
}

/* Puts the table's name for every LOG. */
static const char *named(const char *sql, const char *table)
{
    static char text[2][SQL_BYTES];
    static int turn;
    char *out = text[turn++ % 2];
    size_t used = 0;
    while (*sql) {
        if (strncmp(sql, "LOG", 3) == 0) {
            used += (size_t)snprintf(out + used, SQL_BYTES - used, "%s", table);
            sql += 3;
        } else {
            out[used++] = *sql++;
        }
        ck_assert_uint_lt(used, SQL_BYTES - 1);
    }
    out[used] = 0;
    return out;
}

static const char *const query_shapes[] = {
    /* aggregates and bare columns keep a row's values until the group ends */
    "SELECT max(value), min(value) FROM LOG",
    "SELECT value, max(offset) FROM LOG",
    "SELECT value, key, min(offset) FROM LOG WHERE offset > 2",
    "SELECT key, value, max(offset) FROM LOG GROUP BY key ORDER BY key",
    "SELECT key, max(value), count(DISTINCT value) FROM LOG GROUP BY key HAVING max(value) > ''",
    "SELECT key, group_concat(value, ',') FROM LOG GROUP BY key ORDER BY max(value)",
    "SELECT max(value) FILTER (WHERE offset % 2) FROM LOG",
    "SELECT json_group_array(key), json_group_object(key, offset) FROM LOG",
    "SELECT max(value) FROM LOG WHERE offset < 0",
    /* sorters, distinct, limits */
    "SELECT value FROM LOG ORDER BY value, key",
    "SELECT DISTINCT key FROM LOG ORDER BY offset % 3, key",
    "SELECT DISTINCT value FROM LOG LIMIT 3 OFFSET 2",
    "SELECT value || key, length(value), hex(value) FROM LOG ORDER BY offset DESC LIMIT 4",
    /* subqueries, once and again for each row */
    "SELECT (SELECT value FROM LOG WHERE offset = n) FROM numbers ORDER BY 1",
    "SELECT max((SELECT value FROM LOG WHERE offset = n)) FROM numbers",
    "SELECT n, max((SELECT value FROM LOG WHERE offset = n % 5)) FROM numbers GROUP BY n % 3",
    "SELECT (SELECT max(value) FROM LOG), (SELECT value FROM LOG WHERE offset = 3), n FROM numbers",
    "SELECT (SELECT max(i.value) FROM LOG AS i WHERE i.offset <= o.offset) FROM LOG AS o",
    "SELECT o.value FROM LOG AS o WHERE EXISTS (SELECT 1 FROM LOG AS i WHERE i.value > o.value)",
    "SELECT value FROM LOG WHERE value IN (SELECT value FROM LOG WHERE offset > 3) ORDER BY offset",
    "SELECT value FROM LOG WHERE (key, value) = (SELECT key, value FROM LOG WHERE offset = 6)",
    "SELECT CASE (SELECT value FROM LOG WHERE offset = n) WHEN 'text 10' THEN 'hit' ELSE "
    "(SELECT value FROM LOG WHERE offset = n + 1) END FROM numbers",
    "SELECT n FROM numbers ORDER BY (SELECT value FROM LOG WHERE offset = n), n",
    "SELECT n FROM numbers GROUP BY (SELECT key FROM LOG WHERE offset = n) ORDER BY n",
    /* joins, in both directions, and several terms of OR */
    "SELECT a.value, b.value FROM LOG a JOIN LOG b ON a.offset = b.offset + 1 ORDER BY a.offset",
    "SELECT a.value, b.value FROM LOG a LEFT JOIN LOG b ON b.offset = a.offset + 6",
    "SELECT a.value, b.value FROM LOG a RIGHT JOIN LOG b ON b.offset = a.offset + 6 ORDER BY 1, 2",
    "SELECT a.value, b.value FROM LOG a FULL JOIN LOG b ON b.value = a.key ORDER BY 1, 2",
    "SELECT max(a.value) FROM numbers LEFT JOIN LOG a ON a.offset = n * 2",
    "SELECT a.value FROM LOG a NATURAL JOIN LOG b ORDER BY a.value",
    "SELECT a.value, b.value FROM LOG a, LOG b WHERE a.key = b.key AND a.offset < b.offset "
    "ORDER BY a.offset, b.offset",
    "SELECT value FROM LOG WHERE offset = 1 OR offset = 5 OR offset = 3 ORDER BY offset",
    "SELECT max(value) FROM LOG WHERE offset = 1 OR offset = 5 OR key = 'key-2'",
    "SELECT value FROM LOG WHERE offset IN (7, 2, 5) ORDER BY offset",
    "SELECT max(value) FROM LOG WHERE offset IN (SELECT n FROM numbers WHERE n > 4)",
    /* compounds, CTEs, views of them */
    "SELECT value FROM LOG UNION SELECT key FROM LOG ORDER BY 1",
    "SELECT value FROM LOG UNION ALL SELECT key FROM LOG ORDER BY 1",
    "SELECT value FROM LOG INTERSECT SELECT value FROM LOG WHERE offset > 4",
    "SELECT value FROM LOG EXCEPT SELECT value FROM LOG WHERE offset > 4",
    "SELECT max(value) FROM (SELECT value FROM LOG UNION ALL SELECT value FROM LOG LIMIT 9)",
    "WITH c AS MATERIALIZED (SELECT * FROM LOG) SELECT a.value, max(b.value) FROM c a, c b",
    "WITH c AS NOT MATERIALIZED (SELECT * FROM LOG) SELECT a.value, max(b.value) FROM c a, c b",
    "WITH RECURSIVE c(o, v) AS (SELECT 0, value FROM LOG WHERE offset = 0 UNION ALL SELECT o + 1, "
    "(SELECT value FROM LOG WHERE offset = o + 1) FROM c WHERE o < 8) SELECT * FROM c",
    "WITH RECURSIVE c(o, v) AS (SELECT offset, value FROM LOG WHERE offset = 0 UNION SELECT "
    "offset, max(value, v) FROM c JOIN LOG ON offset = o + 1) SELECT max(v), count(*) FROM c",
    "SELECT v, count(*) FROM (SELECT value AS v, key FROM LOG ORDER BY value LIMIT 7) GROUP BY key",
    "SELECT * FROM (VALUES ((SELECT value FROM LOG WHERE offset = 1)), "
    "((SELECT max(value) FROM LOG)))",
    /* window functions keep rows of their own */
    "SELECT lag(value, 2) OVER (ORDER BY offset), lead(value) OVER (ORDER BY offset) FROM LOG",
    "SELECT first_value(value) OVER w, last_value(value) OVER w, nth_value(value, 2) OVER w, "
    "max(value) OVER w FROM LOG WINDOW w AS (PARTITION BY key ORDER BY offset ROWS 1 PRECEDING)",
    "SELECT max(value) OVER (ORDER BY offset ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING) FROM LOG",
    "SELECT max((SELECT value FROM LOG WHERE offset = n)) OVER (ORDER BY n) FROM numbers",
    /* functions that look inside, and a statement that fails in the middle of an aggregate */
    "SELECT max(value ->> '$.op') FROM LOG WHERE offset % 4 = 0",
    "SELECT max(value), sum(abs(iif(offset = 5, -9223372036854775807 - 1, 1))) FROM LOG",
    "SELECT key, max(value), json(iif(offset = 5, 'x', '1')) FROM LOG GROUP BY key",
};

static const char *const change_shapes[] = {
    "INSERT INTO sink SELECT value FROM LOG",
    "INSERT INTO sink SELECT DISTINCT key FROM LOG ORDER BY value",
    "INSERT INTO sink SELECT max(value) FROM LOG GROUP BY key",
    "INSERT INTO sink VALUES ((SELECT value FROM LOG WHERE offset = 2))",
    "INSERT INTO sink VALUES ((SELECT max(value) FROM LOG)), ((SELECT min(value) FROM LOG))",
    "INSERT INTO sink SELECT v FROM sink UNION ALL SELECT value FROM LOG",
    "INSERT INTO sink SELECT (SELECT value FROM LOG WHERE offset = n) FROM numbers",
    "INSERT OR REPLACE INTO keyed SELECT key, value FROM LOG",
    "INSERT INTO keyed SELECT key, value FROM LOG WHERE true "
    "ON CONFLICT(k) DO UPDATE SET v = max(v, excluded.v)",
    "INSERT INTO keyed SELECT key, value FROM LOG WHERE true ON CONFLICT(k) DO UPDATE SET "
    "v = (SELECT max(value) FROM LOG WHERE key = excluded.k)",
    "UPDATE keyed SET v = (SELECT max(value) FROM LOG WHERE key = k)",
    "UPDATE keyed SET v = value FROM LOG WHERE key = k AND offset > 5",
    "DELETE FROM keyed WHERE k IN (SELECT key FROM LOG WHERE offset = 2)",
    "DELETE FROM sink WHERE v = (SELECT max(value) FROM LOG)",
    "CREATE TABLE copied AS SELECT value, max(offset) AS top FROM LOG GROUP BY key",
    "INSERT INTO LOG(key, value) SELECT key, value FROM LOG ORDER BY offset LIMIT 3",
    "INSERT INTO LOG(key, value) VALUES ('k', (SELECT max(value) FROM LOG))",
    "INSERT INTO LOG(key, value) SELECT max(key), (SELECT value FROM LOG WHERE offset = 1) FROM "
    "LOG",
    "DELETE FROM LOG WHERE offset = (SELECT min(offset) FROM LOG WHERE value > '')",
    "DELETE FROM LOG WHERE offset < 3 AND value <> (SELECT max(value) FROM LOG)",
    /* triggers: a trigger's cursors all close when it ends, and the statement goes on */
    "INSERT INTO outer1 VALUES (5)",
    "INSERT INTO outer1 SELECT value FROM LOG WHERE offset < 4",
    "INSERT INTO outer1 VALUES ((SELECT max(value) FROM LOG))",
    "INSERT INTO outer1 SELECT max(value) FROM LOG GROUP BY key",
    "UPDATE outer1 SET v = (SELECT max(value) FROM LOG)",
    "DELETE FROM outer1 WHERE v IN (SELECT value FROM LOG)",
    "INSERT INTO seen(offset, value) SELECT offset, value FROM LOG WHERE offset < 6",
    "UPDATE seen SET value = value || 'x' WHERE offset IN (SELECT offset FROM LOG)",
    "DELETE FROM seen WHERE offset > 2",
};

/* The same on the log and on an ordinary table; triggers read the table that LOG stands for. */
static const char *const surroundings[] = {
    "CREATE TABLE sink(v)",
    "CREATE TABLE keyed(k PRIMARY KEY, v)",
    "CREATE TABLE outer1(v)",
    "CREATE TABLE inner1(v)",
    "CREATE TABLE inner2(v)",
    "CREATE TRIGGER o1 AFTER INSERT ON outer1 BEGIN "
    "INSERT INTO inner1 SELECT max(value) FROM LOG; INSERT INTO sink VALUES (new.v); "
    "INSERT INTO inner1 SELECT value FROM LOG WHERE offset = length(new.v) % 5; END",
    "CREATE TRIGGER o2 BEFORE INSERT ON outer1 WHEN (SELECT max(value) FROM LOG) > '' BEGIN "
    "UPDATE inner2 SET v = max(v, (SELECT max(value) FROM LOG WHERE value <> new.v)); END",
    "CREATE TRIGGER o3 AFTER UPDATE ON outer1 BEGIN INSERT INTO sink SELECT old.v UNION ALL "
    "SELECT new.v UNION ALL SELECT value FROM LOG WHERE offset = 4; END",
    "CREATE TRIGGER o4 AFTER DELETE ON outer1 BEGIN INSERT INTO inner1 SELECT max(value) FROM LOG "
    "WHERE value <> old.v; INSERT INTO sink VALUES (old.v); END",
    "CREATE TRIGGER i1 AFTER INSERT ON inner1 BEGIN INSERT INTO inner2 SELECT value FROM LOG WHERE "
    "offset = 7; INSERT INTO inner2 VALUES (new.v); END",
    "CREATE VIEW seen AS SELECT offset, value, (SELECT max(value) FROM LOG) AS top FROM LOG",
    "CREATE TRIGGER s1 INSTEAD OF INSERT ON seen BEGIN INSERT INTO sink SELECT max(value) FROM "
    "LOG; INSERT INTO sink VALUES (new.value); END",
    "CREATE TRIGGER s2 INSTEAD OF UPDATE ON seen BEGIN INSERT INTO sink SELECT max(value) FROM "
    "LOG; INSERT INTO sink VALUES (new.value), (old.value), (old.top); END",
    "CREATE TRIGGER s3 INSTEAD OF DELETE ON seen BEGIN INSERT INTO sink SELECT max(value) FROM "
    "LOG; INSERT INTO sink VALUES (old.value), (old.top); END",
    "INSERT INTO keyed VALUES ('key-1', 'first'), ('key-2', 'second')",
    "INSERT INTO inner2 VALUES ('')",
};

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

/* Runs a statement for one step only, as an application that loses interest does. */
static void run_one_step(const char *sql)
{
    sqlite3_stmt *statement;
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
}

/* Dies here: unmapping when the last cursor closes, and with it every zero-copy read. */
START_TEST(no_query_needs_a_pointer_after_the_last_cursor_closed)
{
    const char *shape = query_shapes[_i];
    rec.released_count = 0;
    const char *from_log = facts_query(db, named(shape, "log"));
    ck_assert_msg(rec.released_count > 0, "nothing was taken away: %s", shape);
    ck_assert_int_eq(rec.open_cursors, 0);
    const char *from_plain = facts_query(db, named(shape, "plain"));
    ck_assert_msg(strcmp(from_log, from_plain) == 0, "%s\nlog:   %s\nplain: %s", shape, from_log,
                  from_plain);
    ck_assert_str_ne(from_log, "");
    run_one_step(named(shape, "log"));
    ck_assert_int_eq(rec.open_cursors, 0);
    ROWS(db, named(shape, "log"), from_plain);
}
END_TEST

/* What the change shape did to every table it can reach. */
static const char *run_change(const char *shape, const char *table)
{
    static const char *const tables[] = {"sink", "keyed", "outer1", "inner1", "inner2", "LOG"};
    static char result[2][FACTS_TEXT_BYTES];
    static int turn;
    char *text = result[turn++ % 2];
    size_t used = 0;
    MUST(db, "BEGIN");
    for (int i = 0; i < COUNT(surroundings); i++)
        MUST(db, named(surroundings[i], table));
    MUST(db, named("INSERT INTO outer1 SELECT key FROM LOG WHERE offset < 2", table));
    rec.released_count = 0;
    MUST(db, named(shape, table));
    if (strcmp(table, "log") == 0)
        ck_assert_msg(rec.released_count > 0, "nothing was taken away: %s", shape);
    ck_assert_int_eq(rec.open_cursors, 0);
    int changes = sqlite3_changes(db);
    MUST(db, "COMMIT"); /* or the log's new rows are not yet in its shadow table */
    used += (size_t)snprintf(text, FACTS_TEXT_BYTES, "%d changes", changes);
    for (int i = 0; i < COUNT(tables); i++) {
        char sql[64];
        snprintf(sql, sizeof sql, "SELECT rowid, hex(v) FROM (SELECT rowid, * FROM %s)", tables[i]);
        if (strcmp(tables[i], "LOG") == 0)
            snprintf(sql, sizeof sql, "SELECT offset, key, hex(value) FROM %s", table);
        used += (size_t)snprintf(text + used, FACTS_TEXT_BYTES - used, "\n%s: %s", tables[i],
                                 facts_query(db, sql));
        ck_assert_uint_lt(used, FACTS_TEXT_BYTES);
    }
    for (int i = 0; i < 5; i++)
        MUST(db, named(i == 0   ? "DROP VIEW seen; DROP TABLE IF EXISTS copied"
                       : i == 1 ? "DROP TABLE sink; DROP TABLE keyed"
                       : i == 2 ? "DROP TABLE outer1"
                       : i == 3 ? "DROP TABLE inner1"
                                : "DROP TABLE inner2",
                       table));
    return text;
}

/* Dies here: the same, for statements that write, where triggers close cursors as they end. */
START_TEST(no_change_needs_a_pointer_after_the_last_cursor_closed)
{
    const char *from_log = run_change(change_shapes[_i], "log");
    const char *from_plain = run_change(change_shapes[_i], "plain");
    ck_assert_msg(strcmp(from_log, from_plain) == 0, "%s\nlog:   %s\nplain: %s", change_shapes[_i],
                  from_log, from_plain);
}
END_TEST

/* Dies here if it stops holding: nothing; then mappings could go with their row. */
START_TEST(pointers_are_kept_beyond_their_row)
{
    ROWS(db, "SELECT max(value) FROM log WHERE offset IN (2, 6, 10)", "text 6");
    rec.release = RECORDER_OVERWRITE_ROW;
    ROWS(db, "SELECT max(key) FROM log WHERE offset < 2", "XXXXX");
    ROWS(db, "SELECT key, max(offset % 3) FROM log WHERE offset < 4", "XXXXX|2");
}
END_TEST

/* Dies here: giving a mapping back when its own cursor closes. SQLite before 3.41 closes and opens
 * the cursor of a subquery for each row of the outer query. */
START_TEST(pointers_are_kept_beyond_their_cursor)
{
    const char *sql =
        "SELECT max((SELECT key FROM log WHERE offset = 3 - n)) FROM numbers WHERE n < 4";
    ROWS(db, sql, "key-3");
    rec.release = RECORDER_EVERY_CLOSE;
    rec.opened_count = 0;
    const char *result = facts_query(db, sql);
    ck_assert_str_eq(result, rec.opened_count > 1 ? "key-0" : "key-3");
}
END_TEST

/* Dies here: UPDATE of the log may read its arguments. SQLite closes the cursor of a one-row UPDATE
 * before xUpdate, while arguments still point to what it delivered; the engine refuses UPDATE by
 * the number of arguments alone. */
START_TEST(an_update_of_one_row_gets_pointers_of_a_closed_cursor)
{
    rec.trace_reads = true;
    recorder_take(&rec);
    MUST(db, "UPDATE log SET key = 'k' WHERE offset = 1");
    TRACE(&rec, "log.begin log.open log.filter log.close log.change(1) log.sync log.commit");
    ck_assert_int_eq(rec.dangling_count, 1);

    rec.dangling_count = 0;
    MUST(db, "UPDATE log SET key = 'k' WHERE offset > 10");
    TRACE(&rec, "log.begin log.open log.filter log.change(11) log.close log.sync log.commit");
    ck_assert_int_eq(rec.dangling_count, 0);
}
END_TEST

/* Dies here: reading staged pointers in xSync. Cursors close before an autocommit commits, so what
 * INSERT ... SELECT from the log itself gave xUpdate must have been copied there. */
START_TEST(cursors_close_before_the_commit_of_their_statement)
{
    rec.trace_reads = true;
    recorder_take(&rec);
    MUST(db, "INSERT INTO log(value) SELECT value FROM log WHERE offset = 1");
    TRACE(&rec, "log.begin log.open log.filter log.insert log.close log.sync log.commit");
}
END_TEST

static int busy_statements;

static int count_busy(recorder *self, const char *event)
{
    if (strcmp(event, "log.close") != 0)
        return SQLITE_OK;
    busy_statements = 0;
    for (sqlite3_stmt *statement = sqlite3_next_stmt(self->db, NULL); statement;
         statement = sqlite3_next_stmt(self->db, statement))
        busy_statements += sqlite3_stmt_busy(statement);
    return SQLITE_OK;
}

/* Dies here: asking sqlite3_stmt_busy() whether another statement may still hold pointers. The
 * statement that closes the cursor counts itself, however it ends. */
START_TEST(the_statement_that_closes_its_cursor_is_still_busy)
{
    sqlite3_stmt *first, *second;
    rec.trace_reads = true;
    rec.react = count_busy;
    facts_query(db, "SELECT max(value) FROM log");
    ck_assert_int_eq(busy_statements, 1);

    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT value FROM log", -1, &first, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT value FROM log", -1, &second, NULL), SQLITE_OK);
    sqlite3_step(first);
    busy_statements = 0;
    sqlite3_reset(first);
    ck_assert_int_eq(busy_statements, 1);
    sqlite3_step(first);
    sqlite3_step(second);
    sqlite3_finalize(first);
    ck_assert_int_eq(busy_statements, 2);
    sqlite3_finalize(second);
    ck_assert_int_eq(busy_statements, 1);
}
END_TEST

/* Runs its argument as a statement of its own, on the same connection. */
static void nested_function(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    (void)argc;
    const char *text =
        facts_query(sqlite3_context_db_handle(context), (const char *)sqlite3_value_text(argv[0]));
    sqlite3_result_text(context, text, -1, SQLITE_TRANSIENT);
}

/* Dies here: counting the open cursors of the whole connection is enough, whatever else it runs. */
START_TEST(a_statement_inside_another_takes_nothing_from_it)
{
    sqlite3_create_function(db, "nested", 1, SQLITE_UTF8, NULL, nested_function, NULL, NULL);
    MUST(db, "CREATE TABLE sink(v, w)");
    MUST(db, "INSERT INTO sink SELECT max(value), nested('SELECT max(key) FROM log') FROM log");
    MUST(db, "INSERT INTO sink VALUES ((SELECT value FROM log WHERE offset = 2), "
             "nested('SELECT max(value) FROM log'))");
    MUST(db, "CREATE TRIGGER s AFTER UPDATE ON sink BEGIN INSERT INTO sink SELECT value, "
             "nested('SELECT min(key) FROM log') FROM log WHERE offset = 1; END");
    MUST(db, "UPDATE sink SET w = nested('SELECT min(value) FROM log WHERE offset < 4')");
    ROWS(db, "SELECT v = (SELECT max(value) FROM plain), w FROM sink WHERE rowid = 1", "1|9");
    ROWS(db, "SELECT count(*), sum(cast(v AS TEXT) = 'b5') FROM sink", "4|2");
    ck_assert_int_gt(rec.released_count, 5);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("sqlite_facts_pointers");
    TCase *test_case = tcase_create("static pointers");
    tcase_add_checked_fixture(test_case, setup, teardown);
    tcase_add_loop_test(test_case, no_query_needs_a_pointer_after_the_last_cursor_closed, 0,
                        COUNT(query_shapes));
    tcase_add_loop_test(test_case, no_change_needs_a_pointer_after_the_last_cursor_closed, 0,
                        COUNT(change_shapes));
    tcase_add_test(test_case, pointers_are_kept_beyond_their_row);
    tcase_add_test(test_case, pointers_are_kept_beyond_their_cursor);
    tcase_add_test(test_case, an_update_of_one_row_gets_pointers_of_a_closed_cursor);
    tcase_add_test(test_case, cursors_close_before_the_commit_of_their_statement);
    tcase_add_test(test_case, the_statement_that_closes_its_cursor_is_still_busy);
    tcase_add_test(test_case, a_statement_inside_another_takes_nothing_from_it);
    suite_add_tcase(suite, test_case);
    return suite;
}
