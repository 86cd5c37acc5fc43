/*
 * The segment that a writer appends to: its .log and .idx, open for writing.
 *
 * The one rule of recovery lives here: bytes beyond the end that the tables know are what a failed
 * or lost transaction left, and they may yet come back with it. So they are never overwritten: a
 * file is extended only where its next word is zero or absent.
 */
#ifndef COMMITLOG_LOG_FILE_H
#define COMMITLOG_LOG_FILE_H

#include "commitlog.h"
#include "format.h"
#include "os.h"

typedef struct {
    const os *os;
    os_file *log, *index;     /* NULL: no target is open */
    uint64_t allocated_bytes; /* size of the .log */
} log_file;

/*
 * Open the segment of `row` to extend it at row->bytes, if that may be done.
 *   ret_usable  false: header, size, or the word at the end say that a new file must be taken.
 * STATUS_NO_MEMORY, STATUS_IO, STATUS_CANT_OPEN, STATUS_READ_ONLY.
 */
status log_file_open(log_file *file, const os *os, os_directory *directory,
                     const uint8_t uuid[COMMITLOG_UUID_BYTES], const commitlog_segment *row,
                     bool *ret_usable, failure *why) STATUS_MUST_CHECK;

/* Is the file, open since an earlier transaction, still to be extended at `end`? */
status log_file_check_end(log_file *file, uint64_t end, bool *ret_usable,
                          failure *why) STATUS_MUST_CHECK;

/*
 * Create a segment. Sets row->name, from base_offset and nonce, and row->bytes. STATUS_NO_SPACE and
 * as above; what was created on the way is removed again.
 */
status log_file_create(log_file *file, const os *os, os_directory *directory,
                       const uint8_t uuid[COMMITLOG_UUID_BYTES], commitlog_segment *row,
                       failure *why) STATUS_MUST_CHECK;

/*
 * Write `count` records, `size` bytes, at `position`, and their index entries from the
 * `first_record`-th on. On failure the file is not to be extended any more.
 */
status log_file_write(log_file *file, const uint8_t *bytes, uint64_t size, uint64_t position,
                      const index_entry *entries, size_t count, uint64_t first_record,
                      uint64_t segment_bytes, failure *why) STATUS_MUST_CHECK;

/* Sync the records. The index is never synced: nothing relies on it. */
status log_file_sync(log_file *file, failure *why) STATUS_MUST_CHECK;

/* Nothing will follow the end: give back what was reserved. Best effort. */
void log_file_seal(log_file *file, uint64_t end);

void log_file_close(log_file *file);

#endif
