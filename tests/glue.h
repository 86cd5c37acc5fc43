/*
 * What the suites about the extension through SQLite's C API share: connections with the extension
 * loaded, a look at the files of a log, and damage to them. SQL in and text out is facts.h.
 *
 * Relies on facts.h for the test's directory, and on Linux's /proc for descriptors and mappings.
 * The extension is the file that the environment variable COMMITLOG_SO names, or else the macro.
 * A failing helper fails the test that called it.
 */
#ifndef TESTS_GLUE_H
#define TESTS_GLUE_H

#include "facts.h"

#include <stdbool.h>
#include <stdint.h>

/* Text as sqlite3_mprintf() formats it, in facts_text()'s ring. */
const char *glue_text(const char *format, ...);

/* Load the extension into a connection. */
void glue_load(sqlite3 *db);

/* A connection to a database in the test's directory (or ":memory:"), with the extension. */
sqlite3 *glue_open(const char *name);

/* The same for a URI, with the flags of sqlite3_open_v2(). */
sqlite3 *glue_open_uri(const char *uri, int flags);

/* Close, which fails the test while a statement is left. Sets the pointer to NULL. */
void glue_close(sqlite3 **db);

sqlite3_stmt *glue_prepare(sqlite3 *db, const char *sql);

/* Set a journal mode, and fail unless it is the mode now. */
void glue_journal(sqlite3 *db, const char *mode);

/* The first column of the first row. */
int64_t glue_integer(sqlite3 *db, const char *sql);

/* ---- files ---- */

/* How many files below this path of the test's directory end in `suffix`? 0 without the path. */
int glue_count(const char *name, const char *suffix);

/* Allocated bytes below this path of the test's directory. */
int64_t glue_disk_bytes(const char *name);

/* Names, sizes, modes and times of change of all below the test's directory, sorted by name; not of
 * SQLite's shared memory. */
const char *glue_listing(void);

/* The path of the one log directory that the database of this name has. */
const char *glue_directory(const char *database);

/* The path of the file of the segment with this base offset, with ".log" or ".idx". */
const char *glue_segment(const char *database, uint64_t base_offset, const char *suffix);

/* Put `size` bytes at `position` of a file, or cut it there. */
void glue_overwrite(const char *path, int64_t position, const void *bytes, size_t size);
void glue_cut(const char *path, int64_t bytes);
void glue_remove(const char *path);

/* Copy a file; or a tree, removing nothing that is there. */
void glue_copy(const char *from, const char *to);

/* ---- the process ---- */

/* Open descriptors, and mappings of .log and .idx files. */
int glue_descriptor_count(void);
int glue_mapping_count(void);

/* Run `body` in a child of fork(); returns its result, or 1000 + the signal that ended it. */
int glue_in_child(int (*body)(void *argument), void *argument);

/* Texts equal to, and containing. */
#define HAS(text, part)                                                                     \
    do {                                                                                    \
        const char *has_text_ = (text);                                                     \
        ck_assert_msg(strstr(has_text_, part) != NULL, "no '%s' in '%s'", part, has_text_); \
    } while (0)

/* SQL fails with this code, and a message that contains this. */
#define FAILS_WITH(db, sql, code, part)                                               \
    do {                                                                              \
        const char *fails_sql_ = (sql);                                               \
        int fails_code_ = facts_exec(db, fails_sql_);                                 \
        ck_assert_msg(fails_code_ == (code) && strstr(facts_error(), part) != NULL,   \
                      "%s: %d '%s', expected %d '...%s...'", fails_sql_, fails_code_, \
                      facts_error(), code, part);                                     \
    } while (0)

#endif
