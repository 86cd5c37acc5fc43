/*
 * A virtual table that records its callbacks.
 *
 * The table is a log in miniature: INSERT stages rows in memory, xSync writes them to a shadow
 * table, SELECT reads that shadow table and hands out pointers without copying. It knows nothing
 * of the engine: the suites that use it hold what the engine believes about SQLite, and must be
 * able to say "SQLite has changed" while the engine is sound.
 *
 * It relies on libsqlite3 and libcheck only. It does not keep promises (no compare-and-append, no
 * limits): it does what a test tells it to.
 */
#ifndef TESTS_RECORDER_H
#define TESTS_RECORDER_H

#include "facts.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct recorder recorder;
typedef struct recorder_arena recorder_arena;

/*
 * Called from inside the callback `event` ("t.sync", "t.rollbackto(1)", ...), after it was noted
 * and before the table acts. What it returns the callback returns, unless that is SQLITE_OK.
 */
typedef int (*recorder_reaction)(recorder *self, const char *event);

/* When the memory behind the pointers that SELECT handed out is taken away, and how. */
typedef enum {
    RECORDER_KEEP,          /* when the connection closes */
    RECORDER_LAST_CLOSE,    /* made inaccessible in the xClose that leaves no cursor open */
    RECORDER_EVERY_CLOSE,   /* overwritten with 'X' in the xClose of its own cursor */
    RECORDER_OVERWRITE_ROW, /* overwritten with 'X' in the xNext that leaves the row */
} recorder_release;

struct recorder {
    sqlite3 *db;
    char trace[4096];   /* events so far, separated by spaces; see recorder_take() */
    char values[1024];  /* arguments of the last xUpdate or xFilter: "int:5 text:x null" */
    char plan[1024];    /* what the last xBestIndex was offered: "offset>= limit order(offset)" */
    int conflict;       /* sqlite3_vtab_on_conflict() in the last xUpdate */
    bool trace_reads;   /* note open, filter and close as well */
    bool keep_rowid;    /* xSync restores last_insert_rowid(), as the design asks */
    bool announce_drop; /* xDestroy writes to the hidden table recorder_drops */
    recorder_reaction react;
    void *context; /* of react */

    recorder_release release;
    int opened_count;
    recorder_arena *arenas; /* one per cursor that was opened */
    int open_cursors;
    int released_count; /* arenas taken away so far */
    int dangling_count; /* arguments of xUpdate that pointed into such an arena */
};

/*
 * Registers on `db` the module "recorder", the module "recorder_loose" (the same without
 * SQLITE_VTAB_CONSTRAINT_SUPPORT) and the eponymous-only table "recorder_drops". With any argument,
 * USING recorder(not_null), the column offset is declared NOT NULL. The function dangling(x) tells
 * whether a blob points into memory that was taken away. *self must outlive the
 * connection; recorder_free() follows sqlite3_close().
 */
void recorder_register(recorder *self, sqlite3 *db);
void recorder_free(recorder *self);

/* Adds a word to the trace. */
void recorder_note(recorder *self, const char *event);

/* The trace so far; the trace starts anew. A text of facts_text(). */
const char *recorder_take(recorder *self);

/* The callbacks since the last look are exactly these. */
#define TRACE(self, expected) ck_assert_str_eq(recorder_take(self), expected)

#endif
