/*
 * Statuses of the engine, and the message that goes with a failure.
 *
 * One list gives number, name, text and the SQLite result code the glue reports. The engine never
 * includes SQLite's header: the fourth column is a word that only ext/ expands.
 */
#ifndef COMMITLOG_STATUS_H
#define COMMITLOG_STATUS_H

#include <stdint.h>

#define STATUS_LIST(X)                                               \
    X(OK, 0, "ok", SQLITE_OK)                                        \
    X(NO_MEMORY, 1, "out of memory", SQLITE_NOMEM)                   \
    X(NO_SPACE, 2, "disk full", SQLITE_FULL)                         \
    X(IO, 3, "input/output error", SQLITE_IOERR)                     \
    X(CANT_OPEN, 4, "cannot open", SQLITE_CANTOPEN)                  \
    X(READ_ONLY, 5, "read-only", SQLITE_READONLY)                    \
    X(NOT_FOUND, 6, "not found", SQLITE_CANTOPEN)                    \
    X(EXISTS, 7, "already exists", SQLITE_CANTOPEN)                  \
    X(BUSY, 8, "locked by another reader or writer", SQLITE_BUSY)    \
    X(DAMAGED, 9, "damaged", SQLITE_CORRUPT_VTAB)                    \
    X(UNSUPPORTED, 10, "unsupported", SQLITE_ERROR)                  \
    X(TOO_BIG, 11, "too big", SQLITE_TOOBIG)                         \
    X(WRONG_OFFSET, 12, "not the next offset", SQLITE_CONSTRAINT)    \
    X(WRONG_TYPE, 13, "wrong type", SQLITE_MISMATCH)                 \
    X(TRIMMED, 14, "older than retention", SQLITE_ERROR)             \
    X(NO_LOG, 15, "the log's directory is missing", SQLITE_CANTOPEN) \
    X(MISUSE, 16, "misuse", SQLITE_MISUSE)                           \
    X(REFUSED, 17, "refused", SQLITE_ERROR)                          \
    X(INTERRUPTED, 18, "interrupted", SQLITE_INTERRUPT)              \
    X(DROPPED, 19, "the log's table was dropped", SQLITE_ERROR)

typedef enum {
#define STATUS_ENUM(name, number, text, sqlite_code) STATUS_##name = number,
    STATUS_LIST(STATUS_ENUM)
#undef STATUS_ENUM
} status;

#define STATUS_MUST_CHECK __attribute__((warn_unused_result))

/* What went wrong, in words: what, which file, which position, what was expected, what was found.
 */
typedef struct {
    status code;
    char text[640];
} failure;

/* The status's own words, never NULL. */
const char *status_text(status code);

/*
 * Fill `why` (may be NULL) with a formatted message and return `code`, so that a failing function
 * can end with `return fail(why, STATUS_IO, "...")`. A text longer than the buffer is cut.
 */
status fail(failure *why, status code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
