/*
 * What the suites about SQLite share besides the recording table (recorder.h): a directory for
 * each test, and SQL in, text out.
 *
 * Relies on libsqlite3 and libcheck. It does not hide failures: a failing query gives its message
 * as its result. One thread only.
 */
#ifndef TESTS_FACTS_H
#define TESTS_FACTS_H

#include <check.h>
#include <sqlite3.h>
#include <stddef.h>

enum { FACTS_TEXT_BYTES = 16384 };

/* An empty text of FACTS_TEXT_BYTES, from a ring of eight, so that several can stand in one
 * assertion. Whatever the helpers return lives here. */
char *facts_text(void);

/* A directory for this test, and its removal with all files. */
void facts_setup(void);
void facts_teardown(void);

/* The path of a file in the test's directory. */
const char *facts_path(const char *name);

/* Opens a database there, with extended result codes; fails the test if it cannot. */
sqlite3 *facts_open(const char *name);

/* Runs SQL; returns the extended result code. facts_error() is the message of the last one. */
int facts_exec(sqlite3 *db, const char *sql);
const char *facts_error(void);

/* Runs a query; gives its rows as "1|a;2|b", NULL as "null", or "error: <message>". */
const char *facts_query(sqlite3 *db, const char *sql);

/* SQL must succeed; otherwise the test fails and names statement and message. */
#define MUST(db, sql)                                                                        \
    do {                                                                                     \
        int must_code_ = facts_exec(db, sql);                                                \
        ck_assert_msg(must_code_ == SQLITE_OK, "%s: %d %s", sql, must_code_, facts_error()); \
    } while (0)

/* A query gives exactly these rows. */
#define ROWS(db, sql, expected) ck_assert_str_eq(facts_query(db, sql), expected)

/* SQL fails with this code and this message. */
#define FAILS(db, sql, code, message)                \
    do {                                             \
        ck_assert_int_eq(facts_exec(db, sql), code); \
        ck_assert_str_eq(facts_error(), message);    \
    } while (0)

#endif
