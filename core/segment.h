/*
 * A segment open for reading: the mapped .log with the marks of what was verified, and its index.
 *
 * The index is a hint. An entry counts only if it lies within the end that the caller knows and the
 * record there verifies for this segment's nonce and the offset asked for; if not, the .log is
 * walked and the index built anew, in memory, and on disk where that can be written.
 */
#ifndef COMMITLOG_SEGMENT_H
#define COMMITLOG_SEGMENT_H

#include "commitlog.h"
#include "mapped_file.h"
#include "os.h"

typedef struct segment segment;

/* Links and counts of the handle that keeps the segment (log.c). */
struct segment {
    segment *next;         /* in the list it stands in */
    unsigned reader_count; /* readers that stand in it */
    bool has_handed_out;   /* pointers into it may be held by the caller */
    uint64_t base_offset;
    uint64_t nonce;
    const os *os;
    os_directory *directory; /* borrowed from the handle */
    bool may_write;          /* a rebuilt index may be put on disk */
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    char name[COMMITLOG_NAME_BYTES];
    mapped_file log;
    uint64_t cut_bytes; /* the file's size, if it is shorter than its records; else beyond all */
    uint8_t **verified; /* for each chunk of the .log, NULL or a bit for each 8 bytes */
    bool has_marks;
    size_t *mark_bytes; /* of the handle: what these take in all its segments */
    mapped_file index;
    uint64_t index_bytes; /* of the index file when it was mapped */
    uint64_t *built;      /* positions found by walking the .log; 0: that record is damaged */
    uint64_t built_count;
};

/* A place in a segment as the caller's snapshot has it: never read beyond. */
typedef struct {
    uint64_t record_count;
    uint64_t bytes;
} segment_limit;

/*
 * Open.
 *   row          From the caller's table; hostile. Says how far the file must reach.
 *   map_bytes    How much to map at least, for a segment that grows.
 *   mark_bytes   Counts the memory for marks of verification; outlives the segment.
 * STATUS_TRIMMED if the file is missing, STATUS_DAMAGED, STATUS_UNSUPPORTED, STATUS_NO_MEMORY,
 * STATUS_CANT_OPEN, STATUS_IO.
 */
status segment_open(const os *os, os_directory *directory, bool may_write,
                    const uint8_t uuid[COMMITLOG_UUID_BYTES], const commitlog_segment *row,
                    uint64_t map_bytes, size_t *mark_bytes, segment **ret,
                    failure *why) STATUS_MUST_CHECK;

/* Fails with STATUS_TRIMMED, and says so of this segment. */
status segment_missing(const os *os, os_directory *directory, const commitlog_segment *row,
                       failure *why) STATUS_MUST_CHECK;

/* Accepts NULL. */
void segment_close(segment *seg);

/* Forget what was verified, to free memory: it will be verified again. */
void segment_forget_marks(segment *seg);

/*
 * Verify the record `offset` at `position`, or remember that it was.
 *   ret_bytes  Its size.
 * STATUS_DAMAGED, STATUS_IO, STATUS_NO_MEMORY.
 */
status segment_record(segment *seg, uint64_t offset, uint64_t position, segment_limit limit,
                      uint64_t *ret_bytes, failure *why) STATUS_MUST_CHECK;

/* Find the record `offset`, through the index or without. As segment_record(). */
status segment_find(segment *seg, uint64_t offset, segment_limit limit, uint64_t *ret_position,
                    uint64_t *ret_bytes, failure *why) STATUS_MUST_CHECK;

#endif
