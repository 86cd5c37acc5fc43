/*
 * Mapping of files for reading, populated chunk by chunk. See mapped_file.h.
 */
#include "mapped_file.h"

#include <stdlib.h>
#include <string.h>

status mapped_file_open(mapped_file *file, const os *os, os_directory *directory, const char *name,
                        uint64_t size, uint64_t *ret_file_bytes, failure *why)
{
    mapped_file opened = {.os = os, .size = size};
    status result;

    memset(file, 0, sizeof *file);
    opened.ready = calloc((size_t)(size / MAPPED_CHUNK_BYTES) + 1, sizeof *opened.ready);
    if (opened.ready == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    result = os->map(directory, name, size, &opened.mapping, &opened.bytes, ret_file_bytes, why);
    if (result != STATUS_OK) {
        free(opened.ready);
        return result;
    }
    *file = opened;
    return STATUS_OK;
}

void mapped_file_close(mapped_file *file)
{
    if (file->mapping != NULL)
        file->os->unmap(file->mapping);
    free(file->ready);
    memset(file, 0, sizeof *file);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

status mapped_file_populate(mapped_file *file, uint64_t position, uint64_t size, uint64_t end,
                            failure *why)
{
    uint64_t first = position / MAPPED_CHUNK_BYTES;
    uint64_t last = (position + size - 1) / MAPPED_CHUNK_BYTES;
    uint64_t stop = least((last + 1) * MAPPED_CHUNK_BYTES, end), from;

    /* A record across chunks: leave out what was populated before it. */
    while (first < last && file->ready[first] == MAPPED_CHUNK_BYTES)
        first++;
    from = first * MAPPED_CHUNK_BYTES + file->ready[first];
    if (from < stop) {
        status result = file->os->populate(file->mapping, from, stop - from, why);
        if (result != STATUS_OK)
            return result;
    }
    for (uint64_t chunk = first; chunk <= last; chunk++) {
        uint64_t ready = least((chunk + 1) * MAPPED_CHUNK_BYTES, stop) - chunk * MAPPED_CHUNK_BYTES;
        if (ready > file->ready[chunk]) /* `end` may be that of an older snapshot */
            file->ready[chunk] = (uint32_t)ready;
    }
    return STATUS_OK;
}
