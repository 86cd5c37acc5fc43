/*
 * The handle behind commitlog.h: its directory, the segments it keeps mapped, its readers and its
 * transaction. Private to core's top layer: log.c, writer.c, reader.c, collector.c.
 */
#ifndef COMMITLOG_LOG_H
#define COMMITLOG_LOG_H

#include "commitlog.h"
#include "log_file.h"
#include "os.h"
#include "segment.h"

/* Files of the directory that are no segments: range locks of readers, and the mark of a drop. */
#define PINS_NAME "PINS"
#define DROPPED_NAME "DROPPED"

/* ---- the transaction (writer.c) -------------------------------------------------------------- */

/* A record in the staging buffer. */
typedef struct {
    size_t start; /* in the buffer */
    uint32_t bytes;
    int64_t timestamp_ms;
} staged_record;

/* A segment file that this transaction made. */
typedef struct {
    char name[COMMITLOG_NAME_BYTES];
    bool was_synced; /* a commitlog_sync() succeeded with it: its commit may come back */
} created_file;

typedef struct {
    int number;
    uint64_t next_offset, start_offset;
    bool must_create;
    /* How the segments stood when the records below next_offset had been written; valid once they
     * have been (next_offset <= the offset of the first staged record). */
    size_t touched_count;
    bool has_active;
    commitlog_segment active;
} savepoint;

typedef struct {
    bool is_open;
    bool is_durable;  /* sync before the commit; */
    bool was_durable; /* from the beginning, not only since a flush */
    bool is_dirty;    /* the target holds bytes that were not synced */
    bool must_sync;   /* sync the active segment although nothing was written to it */
    bool must_create; /* the next record starts a new segment */
    bool has_active;
    bool was_unsynced; /* the active segment has bytes of an earlier transaction that were not */
    commitlog_state begin;    /* what the tables said */
    commitlog_segment active; /* the segment that records go to, as this transaction has it */
    uint64_t next_offset, start_offset;
    failure failed; /* code other than STATUS_OK: only a rollback helps */

    uint8_t *buffer; /* encoded records, without their checksums */
    size_t capacity, used;
    staged_record *staged;
    size_t staged_capacity, staged_count;
    size_t staged_first; /* those before it are written */

    commitlog_segment *touched; /* segments made or extended, ascending */
    size_t touched_capacity, touched_count;
    created_file *created;
    size_t created_capacity, created_count;
    savepoint *savepoints; /* ascending numbers */
    size_t savepoint_capacity, savepoint_count;
} transaction;

/* ---- the handle (log.c) ---------------------------------------------------------------------- */

struct commitlog_reader {
    commitlog *log;
    commitlog_reader *next;
    uint64_t first, end;
    segment *seg;           /* where the last record stood, counted; NULL at first */
    commitlog_segment row;  /* of seg, as the snapshot has it */
    uint64_t next_offset;   /* the record after the last one found, */
    uint64_t next_position; /* and where it stands if it is in seg */
};

struct commitlog {
    const os *os;
    uint64_t process_generation;
    commitlog_options options;
    commitlog_catalog catalog;
    bool read_only;
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    char *root_path, *database_path, *directory_path;
    os_directory *directory; /* NULL until needed */
    os_file *pins;           /* NULL until needed; its shared lock covers [pin_low, end of time) */
    uint64_t pin_low;
    bool is_pinned;
    segment *cached; /* mapped segments, the most recently used first */
    unsigned cached_count;
    segment *retired; /* mapped only because the caller may hold pointers */
    unsigned retired_count;
    size_t mark_bytes;   /* memory for marks of verification, in all segments */
    uint64_t live_start; /* cached segments before it are not worth keeping, */
    bool has_stale;      /* and there is one that only the caller's pointers keep */
    commitlog_reader *readers;
    log_file target; /* kept open between transactions */
    uint64_t target_nonce;
    transaction txn;
};

/* Open the log's directory if it is not. `create` makes it and its root. STATUS_NO_LOG. */
status log_open_directory(commitlog *log, bool create, failure *why) STATUS_MUST_CHECK;

/* Sync the log's directory, the root, and the directory of the database: always all three, for
 * whoever made them may have died before it could. */
status log_sync_directories(commitlog *log, failure *why) STATUS_MUST_CHECK;

/* Get a segment for a reader; each get is paired with a put. Failures of segment_open(). The first
 * answers NULL for one that is not mapped. */
segment *log_find_segment(commitlog *log, const commitlog_segment *row);
status log_get_segment(commitlog *log, const commitlog_segment *row, segment **ret,
                       failure *why) STATUS_MUST_CHECK;
void log_put_segment(commitlog *log, segment *seg);

/* May another mapping be kept for pointers that were handed out? */
bool log_may_hand_out(const commitlog *log);

/* Forget mapped segments that start at or after `offset` and that nobody uses. */
void log_forget_segments(commitlog *log, uint64_t first, uint64_t end);

/* ---- between the parts ----------------------------------------------------------------------- */

/* The row of the segment that holds `offset`, as this transaction sees it. STATUS_NOT_FOUND: the
 * transaction has not touched it. */
status txn_segment_at(const commitlog *log, uint64_t offset, commitlog_segment *ret);

/* Offset of the first record that is only staged; end of the log if none is. */
uint64_t txn_staged_offset(const commitlog *log);

/* Pin for readers that were opened before there was a directory. */
status readers_pin(commitlog *log, failure *why) STATUS_MUST_CHECK;

/* No reader goes to `end` or beyond. */
void readers_cut(commitlog *log, uint64_t end);

void txn_free(commitlog *log);

#endif
