/*
 * commitlog: the engine's public header, and its manual.
 *
 * A log is a directory of segment files. What belongs to it, and where it ends, stands in tables
 * that the caller keeps in a transactional database: the engine is told at the beginning of each
 * transaction (commitlog_state), tells at its end what to write (commitlog_state and the touched
 * segments), and asks for the row of a segment when it reads (commitlog_catalog). The database's
 * commit is the log's commit; PROTOCOL.md beside this file says why that is enough.
 *
 * Words: *offset* is the number of a record, *position* a byte in a file. Times are milliseconds
 * since 1970 UTC.
 *
 * Threads: one commitlog and everything opened from it belong to one thread at a time (in the
 * extension: to the connection, under its mutex). Different handles are independent, in one process
 * or in several. After fork() the child must not use a handle: calls answer STATUS_MISUSE.
 *
 * Failures: functions that can fail return a status and say in `why` (may be NULL) what happened.
 * Outputs are untouched on failure. Nothing here prints, aborts or raises a signal; but a file that
 * somebody else cuts short while it is mapped is outside what the engine can catch.
 */
#ifndef COMMITLOG_H
#define COMMITLOG_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMITLOG_UUID_BYTES 16
#define COMMITLOG_BOOT_ID_BYTES 16
#define COMMITLOG_NAME_BYTES 48 /* room for the name of a segment file and its final zero */
#define COMMITLOG_SEGMENT_BYTES_MIN 4096u
#define COMMITLOG_SEGMENT_BYTES_MAX (16ull << 30)

/* ---- records -------------------------------------------------------------------------------- */

typedef enum {
    COMMITLOG_NULL = 0,
    COMMITLOG_INTEGER = 1,
    COMMITLOG_REAL = 2,
    COMMITLOG_TEXT = 3, /* UTF-8 as given, not checked, not terminated */
    COMMITLOG_BLOB = 4
} commitlog_type;

typedef struct {
    commitlog_type type;
    uint32_t bytes;   /* TEXT and BLOB: length of data */
    const void *data; /* TEXT and BLOB: borrowed; may be NULL when bytes is 0 */
    int64_t integer;  /* INTEGER */
    double real;      /* REAL */
} commitlog_value;

typedef struct {
    int64_t timestamp_ms;
    commitlog_value key, value;
    commitlog_value headers; /* NULL or TEXT */
} commitlog_record;

/* ---- what the caller's tables hold ----------------------------------------------------------- */

/* A segment, as a row of the caller's table. Rows are ordered by base_offset, without gaps. */
typedef struct {
    uint64_t base_offset; /* offset of its first record */
    uint64_t nonce;       /* random; in the file's header and in every checksum */
    uint64_t record_count;
    uint64_t bytes; /* position of the end: records stand between the header and here */
    int64_t min_timestamp_ms, max_timestamp_ms;
    int64_t created_ms;              /* when the file was made, by the wall clock */
    char name[COMMITLOG_NAME_BYTES]; /* of the .log, without directory */
} commitlog_segment;

/* The end of the log, as the caller's anchor row. */
typedef struct {
    uint64_t log_start_offset; /* oldest record there is; everything before was trimmed */
    uint64_t end_offset;       /* offset of the next record */
    bool has_active;           /* false: the next record starts a new segment */
    commitlog_segment active;  /* the newest segment, if has_active */
    bool unsynced;             /* its last bytes were not synced; it ends when the machine does: */
    uint8_t boot_id[COMMITLOG_BOOT_ID_BYTES]; /* set if unsynced */
} commitlog_state;

/* How the engine reads the caller's table of segments, in the snapshot the caller reads in. */
typedef struct {
    void *context;
    /* The segment with the greatest base_offset <= offset. STATUS_NOT_FOUND if there is none. */
    status (*segment_at)(void *context, uint64_t offset, commitlog_segment *ret, failure *why);
} commitlog_catalog;

/* ---- opening --------------------------------------------------------------------------------- */

typedef struct commitlog commitlog;
struct os;

typedef struct {
    const char *root_path;     /* directory that holds the log's own; made with the first record */
    const char *database_path; /* whose owner and mode new files take; NULL: the user's, private */
    bool read_only;            /* write nothing, not even a rebuilt index */
    uint8_t uuid[COMMITLOG_UUID_BYTES];
} commitlog_location;

typedef struct {
    uint64_t segment_bytes;     /* a segment is full at this size */
    int64_t segment_ms;         /* or at this age, 0: never */
    uint64_t max_message_bytes; /* key, value and headers of a record together */
} commitlog_options;

/*
 * Make a handle. Does no I/O, so it succeeds whatever the directory looks like.
 *
 *   os        NULL for the real operating system; the tests pass a simulated one.
 *   where     Copied.
 *   options   Copied; commitlog_set_options() changes them.
 *   catalog   Copied; its context must outlive the handle.
 *
 * Returns STATUS_NO_MEMORY.
 */
status commitlog_open(const struct os *os, const commitlog_location *where,
                      const commitlog_options *options, const commitlog_catalog *catalog,
                      commitlog **ret_log, failure *why) STATUS_MUST_CHECK;

/* Close. Forgets an open transaction, as commitlog_rollback(). Accepts NULL. */
void commitlog_close(commitlog *log);

void commitlog_set_options(commitlog *log, const commitlog_options *options);

/* The log's directory, an absolute path if root_path is one. Lives as long as the handle. */
const char *commitlog_directory(const commitlog *log);

/* Is this still the process that opened the handle? STATUS_MISUSE after fork(). */
status commitlog_check_process(const commitlog *log, failure *why) STATUS_MUST_CHECK;

/*
 * Is the log's directory there? STATUS_OK; STATUS_NO_LOG, naming it; STATUS_CANT_OPEN or
 * STATUS_IO if that cannot be told.
 */
status commitlog_find(commitlog *log, failure *why) STATUS_MUST_CHECK;

/* ---- appending ------------------------------------------------------------------------------- */

/*
 * Begin a transaction. The caller holds the database's write lock until commit or rollback.
 *
 *   state    What the tables say now, in this transaction.
 *   durable  Sync what is written before the commit. false: as the database's synchronous=OFF.
 *
 * Returns STATUS_READ_ONLY for a handle that is; STATUS_NO_LOG if records are said to exist but the
 * directory does not; STATUS_NO_MEMORY;
 * STATUS_CANT_OPEN, STATUS_IO.
 */
status commitlog_begin(commitlog *log, const commitlog_state *state, bool durable,
                       failure *why) STATUS_MUST_CHECK;

bool commitlog_in_transaction(const commitlog *log);

/*
 * Append one record.
 *
 *   record      Borrowed for the call.
 *   ret_offset  Set to the record's offset.
 *
 * The record is staged in memory, and seen by this handle's readers only. When the staging is full
 * it lands in the segment, which may rotate; not durable before commitlog_sync().
 *
 * Returns STATUS_TOO_BIG; and, if the staging had to be written, STATUS_NO_SPACE, STATUS_IO,
 * STATUS_CANT_OPEN, STATUS_READ_ONLY, STATUS_NO_MEMORY. On failure this record is not appended,
 * those before it still are.
 */
status commitlog_append(commitlog *log, const commitlog_record *record, uint64_t *ret_offset,
                        failure *why) STATUS_MUST_CHECK;

/* In a transaction: the offset of the next record, and of the oldest. */
uint64_t commitlog_next_offset(const commitlog *log);
uint64_t commitlog_start_offset(const commitlog *log);

/*
 * Let the log start at `offset`, which lies between the present start and the next offset. Segments
 * wholly before it are the caller's to move from its table when it writes the anchor.
 */
void commitlog_set_start_offset(commitlog *log, uint64_t offset);

/*
 * Write the staging to the segment now, and let commitlog_sync() sync the segment even if the
 * transaction is not durable otherwise. Same failures as commitlog_append().
 */
status commitlog_flush(commitlog *log, failure *why) STATUS_MUST_CHECK;

/* Let the next record start a new segment. Same failures as commitlog_append(). */
status commitlog_rotate(commitlog *log, failure *why) STATUS_MUST_CHECK;

/*
 * Savepoints, numbered as the caller numbers them, ascending. Setting one that is set changes
 * nothing. Releasing one releases those above it, too. Rolling back to a number that was never set
 * goes back to the beginning of the transaction. STATUS_NO_MEMORY.
 */
status commitlog_savepoint(commitlog *log, int number, failure *why) STATUS_MUST_CHECK;
void commitlog_release(commitlog *log, int number);
void commitlog_rollback_to(commitlog *log, int number);

/*
 * Make all that was appended durable, as far as the log goes, before the caller's commit. May be
 * called again, with more appended in between, when that commit did not come about.
 *
 *   ret_state     What the anchor must say.
 *   ret_segments  Rows to insert or replace: segments made or extended by this transaction.
 *                 Owned by the handle, until the next call that changes it.
 *   ret_count     How many.
 *
 * Returns STATUS_NO_SPACE, STATUS_IO, STATUS_CANT_OPEN, STATUS_READ_ONLY, STATUS_NO_MEMORY: the
 * transaction must be rolled back.
 */
status commitlog_sync(commitlog *log, commitlog_state *ret_state,
                      const commitlog_segment **ret_segments, size_t *ret_count,
                      failure *why) STATUS_MUST_CHECK;

/* In a transaction: the segment that the next record may go to; false: it starts a new one. */
bool commitlog_active_segment(const commitlog *log, commitlog_segment *ret);

/* The segments that this transaction has made or extended so far, ascending; as ret_segments. */
const commitlog_segment *commitlog_touched(const commitlog *log, size_t *ret_count);

/* The database has committed, or rolled back. Neither can fail; without a transaction, nothing. */
void commitlog_commit(commitlog *log);
void commitlog_rollback(commitlog *log);

/* ---- reading --------------------------------------------------------------------------------- */

typedef struct commitlog_reader commitlog_reader;

typedef struct {
    commitlog_record record;
    bool in_segment;       /* false: staged by this transaction, not in a file yet */
    uint64_t base_offset;  /* in_segment: of its segment */
    uint64_t position;     /* in_segment: of the record in the .log */
    uint64_t record_bytes; /* frame and padding included */
    /* The bytes stay where they are until commitlog_release_mappings(); otherwise only until the
     * reader's next call. */
    bool is_stable;
} commitlog_found;

/*
 * Open a reader over the offsets [first, end) of the caller's snapshot. The segments are pinned: no
 * process removes one that the reader may still need.
 *
 * Returns STATUS_NO_LOG; STATUS_TRIMMED if the snapshot is older than a trim whose files are gone;
 * STATUS_NO_MEMORY; STATUS_CANT_OPEN, STATUS_IO.
 */
status commitlog_reader_open(commitlog *log, uint64_t first, uint64_t end,
                             commitlog_reader **ret_reader, failure *why) STATUS_MUST_CHECK;

void commitlog_reader_close(commitlog_reader *reader);

/* Is any reader open? */
bool commitlog_is_reading(const commitlog *log);

/* Where the reader ends. Moves down when a rollback takes records away that it was to read. */
uint64_t commitlog_reader_end(const commitlog_reader *reader);

/*
 * Find the record at `offset`, which lies in the reader's range. Its bytes were verified in this
 * handle's lifetime.
 *
 * Returns STATUS_DAMAGED, naming segment and offset; STATUS_TRIMMED if the segment is gone, which
 * only a snapshot older than the trim can meet; STATUS_NO_MEMORY; STATUS_CANT_OPEN, STATUS_IO.
 */
status commitlog_reader_get(commitlog_reader *reader, uint64_t offset, commitlog_found *ret,
                            failure *why) STATUS_MUST_CHECK;

/*
 * The segment that holds `offset` in the reader's range, from the transaction or the catalog,
 * without opening a file. STATUS_NOT_FOUND for a record that is still staged.
 */
status commitlog_reader_segment(commitlog_reader *reader, uint64_t offset, commitlog_segment *ret,
                                failure *why) STATUS_MUST_CHECK;

/* The log starts at `offset` now: segments before it need not stay mapped. (The segment that holds
 * the start may go, too; it is mapped again when it is read.) */
void commitlog_forget_before(commitlog *log, uint64_t offset);

/* Are segments mapped only because the caller may hold bytes of found records? */
bool commitlog_holds_mappings(const commitlog *log);

/* Nobody holds bytes of a found record any longer: unmap what is not worth keeping. */
void commitlog_release_mappings(commitlog *log);

/* ---- removing -------------------------------------------------------------------------------- */

/*
 * Remove the files of segments that a durable commit has dropped, in ascending order, up to the
 * first that a reader still pins. Never fails: what stays, a later call removes.
 */
void commitlog_collect(commitlog *log, const commitlog_segment *segments, size_t count);

/* Is the file of this segment gone? Also true if the directory is. */
bool commitlog_is_collected(commitlog *log, const commitlog_segment *segment);

/*
 * Mark the log's directory as that of a dropped table, or take the mark away. Best effort: a
 * directory that cannot be written keeps its files.
 */
void commitlog_mark_dropped(commitlog *log, bool dropped);

/*
 * Remove the directory of a log whose drop is durable, unless a reader pins it. Only files the
 * engine made are removed; a directory with others stays, with them.
 */
void commitlog_destroy(commitlog *log);

/* Call `visit` with the uuid of each directory under `root_path` that is marked as dropped. */
void commitlog_list_dropped(const struct os *os, const char *root_path,
                            void (*visit)(void *context, const uint8_t *uuid), void *context);

/* ---- surroundings ---------------------------------------------------------------------------- */

/* A number that is different in a child after fork(). */
uint64_t commitlog_process_generation(void);

/* Sync the directory that holds this file. */
status commitlog_sync_directory_of(const char *file_path, failure *why) STATUS_MUST_CHECK;

/* The wall clock, in milliseconds. */
int64_t commitlog_now_ms(void);

/* Fill with random bytes from the operating system. */
status commitlog_random(void *bytes, size_t size, failure *why) STATUS_MUST_CHECK;

/* Checksum for rows of the caller's tables. Never zero. */
uint64_t commitlog_checksum(const void *bytes, size_t size, uint64_t seed);

/*
 * Make an empty private directory for a log without a database file; `path` has `size` bytes of
 * room. It is removed, with the log's files in it, by commitlog_remove_temporary_root().
 */
status commitlog_make_temporary_root(char *path, size_t size, failure *why) STATUS_MUST_CHECK;
void commitlog_remove_temporary_root(const char *path);

#endif
