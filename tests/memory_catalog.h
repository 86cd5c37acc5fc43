/*
 * A log without a database: the tables that SQLite would keep are arrays in memory, in a temporary
 * directory that stands for the database's. Several handles may share one, as connections would.
 *
 * The engine runs over fault_os. Functions that are named like those of the engine check that it
 * succeeds; what a test expects to fail it calls itself.
 */
#ifndef MEMORY_CATALOG_H
#define MEMORY_CATALOG_H

#include "check_main.h"

#include "commitlog.h"
#include "os.h"

#define MEMORY_PATH_BYTES 512

typedef struct {
    char parent[MEMORY_PATH_BYTES]; /* where the database would stand */
    char root[MEMORY_PATH_BYTES];   /* parent/log.db-commitlog */
    char directory[MEMORY_PATH_BYTES];
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    commitlog_options options;
    commitlog_state state; /* the anchor */
    commitlog_segment *rows;
    size_t row_count, row_capacity;
} memory_catalog;

/* Make the temporary directory, and an empty catalog whose segments are of `segment_bytes`. Resets
 * fault_os. */
void memory_setup(memory_catalog *catalog, uint64_t segment_bytes);

/* Remove the directory with all that is in it, and check that no file, directory or mapping is
 * open. */
void memory_teardown(memory_catalog *catalog);

commitlog *memory_open(memory_catalog *catalog);
commitlog *memory_open_read_only(memory_catalog *catalog);

/* Begin a durable transaction at the state the catalog has. */
void memory_begin(memory_catalog *catalog, commitlog *log);
void memory_begin_unsynced(memory_catalog *catalog, commitlog *log);

/* What the caller does after commitlog_sync(): its tables now say this. */
void memory_store(memory_catalog *catalog, const commitlog_state *state,
                  const commitlog_segment *segments, size_t count);

/* Sync, store, and commit. */
void memory_commit(memory_catalog *catalog, commitlog *log);

/* Take the rows of segments before the log's start into `dropped` (room for `most`). */
size_t memory_drop_segments(memory_catalog *catalog, commitlog_segment *dropped, size_t most);

/* Append a record whose value is this text, or the text of its own offset and then `bytes` in all.
 * Returns the offset. */
uint64_t memory_append_text(commitlog *log, const char *text);
uint64_t memory_append(commitlog *log, uint32_t bytes);

/* A transaction with `count` such records of `bytes`. */
void memory_append_and_commit(memory_catalog *catalog, commitlog *log, unsigned count,
                              uint32_t bytes);

/* What memory_append() appends: borrowed until the next call. */
commitlog_record memory_record(uint64_t offset, uint32_t bytes);

/* Does this record say that it was appended by memory_append() at `offset`? */
bool memory_is_record(const commitlog_record *record, uint64_t offset);

/* All offsets of [first, end) are read, forward, and say so. */
void memory_expect(commitlog *log, uint64_t first, uint64_t end);

/*
 * In a log that was never trimmed: commit up to `end`, check that the tables have no gap and name
 * nothing that is not synced, and read all there is, with this handle and with a new one, which
 * takes its place.
 */
void memory_commit_and_expect(memory_catalog *catalog, commitlog **log, uint64_t end);

/* Reading this offset gives `code`; the message stays until the next call. */
const char *memory_read_fails(commitlog *log, uint64_t offset, status code);

/* The path of a file in the log's directory: borrowed, four at a time. */
const char *memory_path(const memory_catalog *catalog, const char *name);
bool memory_file_exists(const memory_catalog *catalog, const char *name);
unsigned memory_file_count(const memory_catalog *catalog);

/* The size of a file, its bytes (the caller frees them), and a few bytes written over it. */
uint64_t memory_file_bytes(const memory_catalog *catalog, const char *name);
uint8_t *memory_load(const memory_catalog *catalog, const char *name, size_t *ret_size);
void memory_store_bytes(const memory_catalog *catalog, const char *name, uint64_t position,
                        const void *bytes, size_t size);
void memory_flip_bit(const memory_catalog *catalog, const char *name, uint64_t position);

/* A number in [0, limit), of a sequence that `*seed` stands for (xorshift). */
uint64_t memory_random(uint64_t *seed, uint64_t limit);

/* The seed of a random test: of the variable COMMITLOG_TEST_SEED, else of the clock; printed. */
uint64_t memory_seed(void);

#endif
