/*
 * SQL functions and table-valued commitlog_segments() with arguments that nobody should give them,
 * in places where they may not be used, and names that need quoting. And commands and columns with
 * hostile values. None of it may crash, hang, or change anything.
 *
 * Options are the business of sql/options.sql; what the functions are good for, of
 * sql/functions.sql.
 */
#define _GNU_SOURCE
#include "check_main.h"
#include "glue.h"

#include <string.h>

static sqlite3 *db;

static void setup(void)
{
    facts_setup();
    db = glue_open("test.db");
    MUST(db, "CREATE VIRTUAL TABLE x USING commitlog; CREATE TABLE t(a);"
             "INSERT INTO x(key, value) VALUES('k', 'v')");
}

static void teardown(void)
{
    glue_close(&db);
    facts_teardown();
}

static void nothing_has_changed(void)
{
    ROWS(db, "SELECT offset, key, value FROM x", "0|k|v");
    ROWS(db, "SELECT count(*) FROM t", "0");
    ck_assert_int_eq(sqlite3_get_autocommit(db), 1);
}

/* ---- the name of a log ---- */

START_TEST(names_that_are_no_log)
{
    static const char *const names[] = {
        "NULL",
        "''",
        "'nosuch'",
        "'t'",
        "'main.t'",
        "'nosuch.x'",
        "'x.x'",
        "'main.'",
        "'.x'",
        "'.'",
        "'..'",
        "'main.main.x'",
        "'x_ledger'",
        "'main.x_segments'",
        "'sqlite_schema'",
        "'commitlog_segments'",
        "'commitlog_dropped_tables'",
        "'pragma_table_info'",
        "42",
        "4.2",
        "x''",
        "x'ff'",
        "'x '",
        "' x'",
        "'x;DROP TABLE x'",
        "'\"x\"'",
        "'x\"'",
        "'''x'''",
        "'%s%n'",
        "'main.x.'",
        "'temp.x'",
        "zeroblob(1000000)",
        "printf('%.*c', 1000000, 'x')",
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *name = names[i];
        FAILS_WITH(db, glue_text("SELECT commitlog_append(%s, 1, 2)", name), SQLITE_ERROR,
                   "commitlog_append: ");
        FAILS_WITH(db, glue_text("SELECT commitlog_adopt(%s)", name), SQLITE_ERROR,
                   "commitlog_adopt: ");
        FAILS_WITH(db, glue_text("SELECT * FROM commitlog_segments(%s)", name), SQLITE_ERROR,
                   "commitlog_segments: ");
    }
    nothing_has_changed();
}
END_TEST

START_TEST(names_as_sqlite_takes_them)
{
    ROWS(db, "SELECT commitlog_append('X', 'k', 1)", "1");
    ROWS(db, "SELECT commitlog_append('Main.x', 'k', 2)", "2");
    ROWS(db, "SELECT commitlog_append(CAST(x'78' AS BLOB), 'k', 3)", "3");
    ROWS(db, "SELECT records FROM commitlog_segments('MAIN.X')", "4");
    MUST(db, "PRAGMA case_sensitive_like = ON");
    ROWS(db, "SELECT commitlog_append('x', 'k', 4)", "4");
    MUST(db, "PRAGMA case_sensitive_like = OFF");
    /* temp before main before the attached, as everywhere in SQL. */
    MUST(db, "CREATE VIRTUAL TABLE temp.x USING commitlog");
    ROWS(db, "SELECT commitlog_append('x', 'k', 'temp')", "0");
    ROWS(db, "SELECT commitlog_append('main.x', 'k', 5), commitlog_append('temp.x', 'k', 6)",
         "5|1");
    ROWS(db, "SELECT count(*) FROM x", "2");
    MUST(db,
         "DROP TABLE temp.x; ATTACH ':memory:' AS far;"
         "CREATE VIRTUAL TABLE far.x USING commitlog; CREATE VIRTUAL TABLE far.y USING commitlog");
    ROWS(db,
         "SELECT commitlog_append('x', 'k', 6), commitlog_append('y', 'k', 7), "
         "commitlog_append('far.x', 'k', 8)",
         "6|0|0");
    /* An ordinary table hides the log of the same name in a later schema. */
    MUST(db, "CREATE TABLE y(a)");
    FAILS(db, "SELECT commitlog_append('y', 1, 2)", SQLITE_ERROR,
          "commitlog_append: y is not a log");
}
END_TEST

START_TEST(tables_with_awkward_names)
{
    static const char *const names[] = {
        "a.b",    "main.x", "we\"ird", "it's", "a b", "%1", "100%", "[x]", "\xc3\xa4\xe2\x82\xac",
        "select", "-",      "x_y_z",   "1"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *n = names[i];
        MUST(db, glue_text("CREATE VIRTUAL TABLE \"%w\" USING commitlog(segment_bytes=4096)", n));
        MUST(db, glue_text("INSERT INTO \"%w\"(value) VALUES('a')", n));
        ROWS(db, glue_text("SELECT commitlog_append(%Q, NULL, 'b')", n), "1");
        MUST(db, glue_text("INSERT INTO \"%w\"(\"%w\") VALUES('rotate')", n, n));
        MUST(db, glue_text("BEGIN; INSERT INTO \"%w\"(value) VALUES('c'); SAVEPOINT s;"
                           "INSERT INTO \"%w\"(value) VALUES('d'); ROLLBACK TO s; COMMIT",
                           n, n));
        ROWS(db, glue_text("SELECT group_concat(value) FROM \"%w\"", n), "a,b,c");
        ROWS(db, glue_text("SELECT sum(records) FROM commitlog_segments(%Q)", n), "3");
        MUST(db, glue_text("ALTER TABLE \"%w\" RENAME TO \"other %w\"", n, n));
        ROWS(db, glue_text("SELECT group_concat(value) FROM \"other %w\"", n), "a,b,c");
        MUST(db, glue_text("DROP TABLE \"other %w\"", n));
    }
    ROWS(db, "SELECT name FROM sqlite_schema WHERE name NOT IN ('x', 't') AND name NOT GLOB 'x_*'",
         "");
    nothing_has_changed();
}
END_TEST

/* ---- arguments ---- */

START_TEST(wrong_numbers_of_arguments)
{
    static const char *const calls[] = {
        "commitlog_append()",       "commitlog_append('x')",
        "commitlog_append('x', 1)", "commitlog_append('x', 1, 2, 3)",
        "commitlog_adopt()",        "commitlog_adopt('x', 1)",
        "commitlog_version(1)",
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        FAILS_WITH(db, glue_text("SELECT %s", calls[i]), SQLITE_ERROR,
                   "wrong number of arguments to function");
    FAILS_WITH(db, "SELECT * FROM commitlog_segments", SQLITE_ERROR,
               "commitlog_segments: the log is named as 'table' or 'schema.table'");
    FAILS_WITH(db, "SELECT * FROM commitlog_segments()", SQLITE_ERROR, "the log is named as");
    FAILS_WITH(db, "SELECT * FROM commitlog_segments('x', 1)", SQLITE_ERROR, "too many arguments");
    nothing_has_changed();
}
END_TEST

START_TEST(values_of_every_kind)
{
    MUST(db, "DELETE FROM x");
    ROWS(db,
         "SELECT commitlog_append('x', NULL, NULL), commitlog_append('x', 1.5, x''), "
         "commitlog_append('x', '', -9223372036854775808), commitlog_append('x', x'00', 1e308)",
         "1|2|3|4");
    ROWS(db, "SELECT offset, typeof(key), quote(key), typeof(value), quote(value) FROM x",
         "1|null|NULL|null|NULL;2|real|1.5|blob|X'';3|text|''|integer|-9223372036854775808;"
         "4|blob|X'00'|real|1.0e+308");
    FAILS_WITH(db, "SELECT commitlog_append('x', 1, zeroblob(2000000000))", SQLITE_TOOBIG, "");
    ROWS(db, "SELECT count(*) FROM x", "4");
}
END_TEST

/* Called for each row of the log it appends to: it sees the rows that were there. */
START_TEST(append_in_a_select_of_the_same_log)
{
    ROWS(db, "SELECT commitlog_append('x', key, value) FROM x", "1");
    ROWS(db, "SELECT commitlog_append('x', key, value) FROM x ORDER BY offset DESC", "2;3");
    MUST(db, "BEGIN");
    ROWS(db, "SELECT max(commitlog_append('x', key, value)) FROM x", "7");
    ROWS(db, "SELECT count(*) FROM x", "8");
    MUST(db, "ROLLBACK");
    ROWS(db, "SELECT count(*) FROM x", "4");
    /* As a value that is inserted: the inner append comes first. */
    MUST(db, "INSERT INTO x(value) SELECT commitlog_append('x', 'inner', 'inner')");
    ROWS(db, "SELECT offset, value FROM x WHERE offset >= 4", "4|inner;5|4");
}
END_TEST

START_TEST(segments_in_a_join_and_with_a_column)
{
    MUST(db, "CREATE VIRTUAL TABLE y USING commitlog; CREATE TABLE names(n);"
             "INSERT INTO names VALUES('x'), ('y'), ('main.x')");
    ROWS(db, "SELECT n, count(records) FROM names LEFT JOIN commitlog_segments(n) GROUP BY 1",
         "main.x|1;x|1;y|0");
    ROWS(db, "SELECT count(*) FROM names, commitlog_segments WHERE log = n", "2");
    FAILS_WITH(db, "INSERT INTO commitlog_segments(base_offset) VALUES(1)", SQLITE_ERROR,
               "may not be modified");
    /* While one is open, the log goes on. */
    sqlite3_stmt *open = glue_prepare(db, "SELECT * FROM commitlog_segments('x')");
    ck_assert_int_eq(sqlite3_step(open), SQLITE_ROW);
    MUST(db, "INSERT INTO x(x) VALUES('rotate'); INSERT INTO x(value) VALUES('b')");
    while (sqlite3_step(open) == SQLITE_ROW) {
    }
    sqlite3_finalize(open);
    ROWS(db, "SELECT count(*) FROM commitlog_segments('x')", "2");
}
END_TEST

/* In a transaction, too, a segment that was closed is sealed. */
START_TEST(segment_states_in_a_transaction)
{
    ROWS(db, "SELECT base_offset, state FROM commitlog_segments('x')", "0|active");
    MUST(db, "BEGIN; INSERT INTO x(value) VALUES('b')");
    MUST(db, "INSERT INTO x(x) VALUES('rotate')");
    ROWS(db, "SELECT base_offset, records, state FROM commitlog_segments('x')", "0|2|sealed");
    MUST(db, "INSERT INTO x(value) VALUES('c'); INSERT INTO x(x) VALUES('flush')");
    ROWS(db, "SELECT base_offset, records, state FROM commitlog_segments('x')",
         "0|2|sealed;2|1|active");
    MUST(db, "COMMIT");
    ROWS(db, "SELECT base_offset, records, state FROM commitlog_segments('x')",
         "0|2|sealed;2|1|active");
}
END_TEST

/* ---- where they may not be used ---- */

/* (SQLite 3.40 lets CHECK pass, whatever the function is.) */
START_TEST(side_effects_are_for_direct_calls_only)
{
    static const char *const calls[] = {"commitlog_append('x', 1, 2)", "commitlog_adopt('x')"};
    static const char *const columns[] = {"b DEFAULT (%s)", "b AS (%s)"};

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const char *call = calls[i];
        MUST(db, glue_text("CREATE VIEW v AS SELECT %s AS a", call));
        FAILS_WITH(db, "SELECT * FROM v", SQLITE_ERROR, "unsafe use of commitlog_");
        MUST(db, glue_text("DROP VIEW v; CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT %s; END",
                           call));
        FAILS_WITH(db, "INSERT INTO t VALUES(1)", SQLITE_ERROR, "unsafe use of commitlog_");
        MUST(db, glue_text("DROP TRIGGER r; CREATE TEMP VIEW v AS SELECT %s AS a", call));
        /* TEMP is the connection's own: SQLite trusts it. */
        facts_exec(db, "SELECT * FROM v");
        MUST(db, "DROP VIEW v");
        FAILS_WITH(db, glue_text("CREATE INDEX i ON t(%s)", call), SQLITE_ERROR,
                   "non-deterministic functions prohibited in index expressions");
        for (size_t j = 0; j < sizeof columns / sizeof *columns; j++) {
            const char *column = glue_text(columns[j], call);
            FAILS_WITH(db, glue_text("CREATE TABLE u(a, %s); INSERT INTO u(a) VALUES(1)", column),
                       SQLITE_ERROR, j == 1 ? "non-deterministic" : "unsafe use of commitlog_");
            MUST(db, "DROP TABLE IF EXISTS u");
        }
    }
    ROWS(db, "SELECT count(*) FROM t", "0");
}
END_TEST

/* The hidden table behind DROP is nobody's to write, read or drop. */
START_TEST(hidden_table_of_drops)
{
    FAILS(db, "INSERT INTO commitlog_dropped_tables VALUES(1)", SQLITE_ERROR,
          "commitlog_dropped_tables is for DROP TABLE alone");
    FAILS(db, "DELETE FROM commitlog_dropped_tables WHERE 1", SQLITE_ERROR, "no query solution");
    FAILS(db, "SELECT * FROM commitlog_dropped_tables", SQLITE_ERROR, "no query solution");
    MUST(db, "CREATE VIEW v AS SELECT * FROM commitlog_dropped_tables");
    FAILS_WITH(db, "SELECT * FROM v", SQLITE_ERROR, "unsafe use of virtual table");
    ck_assert_int_ne(facts_exec(db, "DROP TABLE commitlog_dropped_tables"), SQLITE_OK);
    ck_assert_int_ne(facts_exec(db, "CREATE VIRTUAL TABLE y USING commitlog_dropped_tables"),
                     SQLITE_OK);
    MUST(db, "DROP VIEW v; BEGIN; SAVEPOINT s; ROLLBACK TO s; COMMIT");
    nothing_has_changed();
}
END_TEST

/* ---- hostile values ---- */

START_TEST(hostile_commands_and_columns)
{
    static const struct {
        const char *sql;
        int code;
        const char *part;
    } cases[] = {
        {"INSERT INTO x(x) VALUES('')", SQLITE_ERROR, "unknown command \"\""},
        {"INSERT INTO x(x) VALUES('Drop')", SQLITE_ERROR, "allowed are rotate, flush, trim and"},
        {"INSERT INTO x(x) VALUES(zeroblob(0))", SQLITE_ERROR, "unknown command"},
        {"INSERT INTO x(x) VALUES(1)", SQLITE_ERROR, "unknown command \"1\""},
        {"INSERT INTO x(x) VALUES('%s%n%99999d')", SQLITE_ERROR, "unknown command"},
        {"INSERT INTO x(x) VALUES(printf('%.*c', 100000, 'x'))", SQLITE_ERROR, "unknown command"},
        {"INSERT INTO x(x, value) VALUES('flush', 1)", SQLITE_ERROR, "a command takes no values"},
        {"INSERT INTO x(x, offset) VALUES('flush', 1)", SQLITE_ERROR, "a command takes no values"},
        {"INSERT INTO x(x, offset) VALUES('delete-records', 'one')", SQLITE_MISMATCH, "offset"},
        {"INSERT INTO x(x, offset) VALUES('delete-records', 1e19)", SQLITE_MISMATCH, "offset"},
        {"INSERT INTO x(x, offset) VALUES('delete-records', 9223372036854775807)", SQLITE_ERROR,
         "allowed are 0 to 1"},
        {"INSERT INTO x(x, offset) VALUES('delete-records', -9223372036854775808)", SQLITE_ERROR,
         "allowed are 0 to 1"},
        {"INSERT INTO x(offset) VALUES(9223372036854775807)", SQLITE_CONSTRAINT,
         "next offset is 1"},
        {"INSERT INTO x(offset) VALUES(-9223372036854775808)", SQLITE_CONSTRAINT,
         "next offset is 1"},
        {"INSERT INTO x(rowid) VALUES(-1)", SQLITE_CONSTRAINT, "next offset is 1"},
        {"INSERT INTO x(rowid, offset) VALUES(1, 2)", SQLITE_CONSTRAINT, "offset 2 given"},
        {"INSERT INTO x(offset) VALUES(x'31')", SQLITE_MISMATCH, "offset must be an integer"},
        {"INSERT INTO x(offset) VALUES('1.5')", SQLITE_MISMATCH, "offset must be an integer"},
        {"INSERT INTO x(timestamp) VALUES('')", SQLITE_MISMATCH, "timestamp must be an integer"},
        {"INSERT INTO x(timestamp) VALUES(1e300)", SQLITE_MISMATCH, "timestamp must be an integer"},
        {"INSERT INTO x(headers) VALUES('{')", SQLITE_MISMATCH, "headers must be JSON text"},
        {"INSERT INTO x(headers) VALUES(x'7b7d')", SQLITE_MISMATCH, "headers must be JSON text"},
        {"INSERT INTO x(segment) VALUES(0)", SQLITE_ERROR, "the log sets them"},
        {"INSERT INTO x(position) VALUES(0)", SQLITE_ERROR, "the log sets them"},
        {"INSERT INTO x(size) VALUES(0)", SQLITE_ERROR, "the log sets them"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        FAILS_WITH(db, cases[i].sql, cases[i].code, cases[i].part);
        if (cases[i].code != SQLITE_CONSTRAINT) {
            /* Nothing but the comparison of offsets is for OR IGNORE to swallow. */
            char *sql = sqlite3_mprintf("INSERT OR IGNORE%s", cases[i].sql + strlen("INSERT"));
            FAILS_WITH(db, sql, cases[i].code, cases[i].part);
            sqlite3_free(sql);
        }
    }
    nothing_has_changed();
}
END_TEST

/* Timestamps may be any integer; ranges over them skip no row. */
START_TEST(extreme_timestamps)
{
    MUST(db, "DELETE FROM x; INSERT INTO x(timestamp) VALUES(-9223372036854775808), "
             "(9223372036854775807), (0), (-1)");
    MUST(db, "INSERT INTO x(x) VALUES('rotate'); INSERT INTO x(timestamp) VALUES(5)");
    ROWS(db, "SELECT offset FROM x WHERE timestamp >= 9223372036854775807", "2");
    ROWS(db, "SELECT offset FROM x WHERE timestamp <= -9223372036854775808", "1");
    ROWS(db, "SELECT offset FROM x WHERE timestamp < 0", "1;4");
    ROWS(db, "SELECT offset FROM x WHERE timestamp BETWEEN 0 AND 5", "3;5");
    ROWS(db, "SELECT count(*) FROM x WHERE timestamp < 'a'", "5");
    ROWS(db, "SELECT count(*) FROM x WHERE timestamp > 'a'", "0");
    ROWS(db, "SELECT min(first_timestamp), max(last_timestamp) FROM commitlog_segments('x')",
         "-9223372036854775808|9223372036854775807");
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("glue_functions");
    TCase *names = tcase_create("names");
    TCase *arguments = tcase_create("arguments");
    TCase *places = tcase_create("places");
    TCase *values = tcase_create("values");

    tcase_add_checked_fixture(names, setup, teardown);
    tcase_add_test(names, names_that_are_no_log);
    tcase_add_test(names, names_as_sqlite_takes_them);
    tcase_add_test(names, tables_with_awkward_names);
    suite_add_tcase(suite, names);
    tcase_add_checked_fixture(arguments, setup, teardown);
    tcase_add_test(arguments, wrong_numbers_of_arguments);
    tcase_add_test(arguments, values_of_every_kind);
    tcase_add_test(arguments, append_in_a_select_of_the_same_log);
    tcase_add_test(arguments, segments_in_a_join_and_with_a_column);
    tcase_add_test(arguments, segment_states_in_a_transaction);
    suite_add_tcase(suite, arguments);
    tcase_add_checked_fixture(places, setup, teardown);
    tcase_add_test(places, side_effects_are_for_direct_calls_only);
    tcase_add_test(places, hidden_table_of_drops);
    suite_add_tcase(suite, places);
    tcase_add_checked_fixture(values, setup, teardown);
    tcase_add_test(values, hostile_commands_and_columns);
    tcase_add_test(values, extreme_timestamps);
    suite_add_tcase(suite, values);
    return suite;
}
