/*
 * A file mapped for reading, whose pages are brought in before they are touched.
 *
 * A store or load on a bad page is a signal; so every range is announced with mapped_file_ready(),
 * which turns a bad page or a short file into a status. Ranges that were ready stay ready.
 */
#ifndef COMMITLOG_MAPPED_FILE_H
#define COMMITLOG_MAPPED_FILE_H

#include "os.h"

typedef struct {
    const os *os;
    os_mapping *mapping;
    const uint8_t *bytes; /* NULL: nothing is mapped */
    uint64_t size;        /* of the mapping; the file may be shorter and grow */
    uint32_t *ready;      /* for each chunk: bytes from its start that were populated */
} mapped_file;

/* The unit of population: as much as the kernel reads ahead around one fault. */
#define MAPPED_CHUNK_BYTES 65536u

/*
 * Map `size` bytes of a file (zeroed *file on failure).
 *   ret_file_bytes  How long the file is now.
 * STATUS_NOT_FOUND, STATUS_CANT_OPEN, STATUS_DAMAGED (not a regular file), STATUS_NO_MEMORY,
 * STATUS_IO.
 */
status mapped_file_open(mapped_file *file, const os *os, os_directory *directory, const char *name,
                        uint64_t size, uint64_t *ret_file_bytes, failure *why) STATUS_MUST_CHECK;

void mapped_file_close(mapped_file *file);

status mapped_file_populate(mapped_file *file, uint64_t position, uint64_t size, uint64_t end,
                            failure *why) STATUS_MUST_CHECK;

/*
 * Make [position, position + size) safe to read. `end` is how far the file's bytes are known to
 * go; the rest of the chunk up to there comes along. The range must lie within `end`, and that
 * within the mapping.
 */
static inline status mapped_file_ready(mapped_file *file, uint64_t position, uint64_t size,
                                       uint64_t end, failure *why)
{
    uint64_t in_chunk = position % MAPPED_CHUNK_BYTES;
    if (in_chunk + size <= file->ready[position / MAPPED_CHUNK_BYTES])
        return STATUS_OK;
    return mapped_file_populate(file, position, size, end, why);
}

#endif
