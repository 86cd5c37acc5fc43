/*
 * Extending a segment. See log_file.h.
 */
#include "log_file.h"

#include <string.h>

/* Disk space is reserved in steps, so that the end of the file moves seldom under its readers. */
#define ALLOCATION_STEP_BYTES (1u << 20)

void log_file_close(log_file *file)
{
    if (file->os != NULL) {
        file->os->close(file->log);
        file->os->close(file->index);
    }
    memset(file, 0, sizeof *file);
}

status log_file_check_end(log_file *file, uint64_t end, bool *ret_usable, failure *why)
{
    le64 word;
    size_t got = 0;
    status result;

    memset(&word, 0, sizeof word);
    result = file->os->read(file->log, &word, sizeof word, end, &got, why);
    if (result != STATUS_OK)
        return result;
    *ret_usable = le64_load(&word) == 0;
    return STATUS_OK;
}

static status read_header(const os *os, os_file *file, segment_header *header, bool *ret_whole,
                          failure *why)
{
    size_t got = 0;
    status result = os->read(file, header, sizeof *header, 0, &got, why);
    *ret_whole = got == sizeof *header;
    return result;
}

/* Write the index's header unless it stands there. */
static status prepare_index(log_file *file, const uint8_t uuid[COMMITLOG_UUID_BYTES],
                            const commitlog_segment *row, failure *why)
{
    segment_header header;
    bool is_whole = false;
    status result = read_header(file->os, file->index, &header, &is_whole, why);

    if (result != STATUS_OK)
        return result;
    if (is_whole && segment_header_check(&header, FILE_INDEX, uuid, row->base_offset, row->nonce,
                                         row->name, NULL) == STATUS_OK)
        return STATUS_OK;
    segment_header_encode(&header, FILE_INDEX, uuid, row->base_offset, row->nonce);
    return file->os->write(file->index, &header, sizeof header, 0, why);
}

/* The index is a hint: something else that stands in its place must not stop the writer. */
static status open_index(log_file *file, os_directory *directory,
                         const uint8_t uuid[COMMITLOG_UUID_BYTES], const commitlog_segment *row,
                         failure *why)
{
    char name[COMMITLOG_NAME_BYTES];
    failure ignored;
    status result;

    index_name_build(name, row->name);
    result = file->os->open(directory, name, OS_CREATE, &file->index, &ignored);
    if (result == STATUS_DAMAGED)
        return STATUS_OK;
    if (result != STATUS_OK)
        return fail(why, result, "%s", ignored.text);
    return prepare_index(file, uuid, row, why);
}

status log_file_open(log_file *file, const os *os, os_directory *directory,
                     const uint8_t uuid[COMMITLOG_UUID_BYTES], const commitlog_segment *row,
                     bool *ret_usable, failure *why)
{
    log_file opened = {.os = os};
    segment_header header;
    bool is_whole = false;
    status result = os->open(directory, row->name, OS_WRITE, &opened.log, why);

    *ret_usable = false;
    /* Missing or replaced: readers will say so; the log goes on in a new file. */
    if (result == STATUS_NOT_FOUND || result == STATUS_DAMAGED)
        return STATUS_OK;
    if (result != STATUS_OK)
        return result;
    result = os->size(opened.log, &opened.allocated_bytes, why);
    if (result == STATUS_OK)
        result = read_header(os, opened.log, &header, &is_whole, why);
    if (result != STATUS_OK || !is_whole || opened.allocated_bytes < row->bytes ||
        segment_header_check(&header, FILE_LOG, uuid, row->base_offset, row->nonce, row->name,
                             NULL) != STATUS_OK)
        goto unusable;
    result = log_file_check_end(&opened, row->bytes, ret_usable, why);
    if (result != STATUS_OK || !*ret_usable)
        goto unusable;
    result = open_index(&opened, directory, uuid, row, why);
    if (result != STATUS_OK)
        goto unusable;
    *file = opened;
    return STATUS_OK;
unusable:
    *ret_usable = false;
    log_file_close(&opened);
    return result;
}

status log_file_create(log_file *file, const os *os, os_directory *directory,
                       const uint8_t uuid[COMMITLOG_UUID_BYTES], commitlog_segment *row,
                       failure *why)
{
    log_file made = {.os = os};
    segment_header header;
    status result;

    /* A plain name that is taken was left by a killed or rolled-back writer, or by a younger life
     * of this database: it is not ours to touch. */
    segment_name_build(row->name, row->base_offset, row->nonce, false);
    result = os->open(directory, row->name, OS_CREATE_NEW, &made.log, why);
    if (result == STATUS_EXISTS) {
        segment_name_build(row->name, row->base_offset, row->nonce, true);
        result = os->open(directory, row->name, OS_CREATE_NEW, &made.log, why);
    }
    if (result != STATUS_OK)
        return result;
    segment_header_encode(&header, FILE_LOG, uuid, row->base_offset, row->nonce);
    result = os->write(made.log, &header, sizeof header, 0, why);
    if (result == STATUS_OK)
        result = open_index(&made, directory, uuid, row, why);
    if (result != STATUS_OK) {
        char index_name[COMMITLOG_NAME_BYTES];
        index_name_build(index_name, row->name);
        log_file_close(&made);
        (void)os->remove(directory, index_name, NULL);
        (void)os->remove(directory, row->name, NULL);
        return result;
    }
    made.allocated_bytes = SEGMENT_HEADER_BYTES;
    row->bytes = SEGMENT_HEADER_BYTES;
    *file = made;
    return STATUS_OK;
}

/* Reserve room up to `end`, rounded up to a step, but not beyond a full segment. */
static status reserve(log_file *file, uint64_t end, uint64_t segment_bytes, failure *why)
{
    uint64_t wanted = (end + ALLOCATION_STEP_BYTES - 1) & ~(uint64_t)(ALLOCATION_STEP_BYTES - 1);
    status result;

    if (end <= file->allocated_bytes)
        return STATUS_OK;
    if (wanted > segment_bytes)
        wanted = end > segment_bytes ? end : segment_bytes;
    result = file->os->allocate(file->log, wanted, why);
    if (result == STATUS_OK)
        file->allocated_bytes = wanted;
    return result;
}

status log_file_write(log_file *file, const uint8_t *bytes, uint64_t size, uint64_t position,
                      const index_entry *entries, size_t count, uint64_t first_record,
                      uint64_t segment_bytes, failure *why)
{
    status result = reserve(file, position + size, segment_bytes, why);

    if (result == STATUS_OK)
        result = file->os->write(file->log, bytes, (size_t)size, position, why);
    if (result == STATUS_OK && file->index != NULL)
        result = file->os->write(file->index, entries, count * sizeof *entries,
                                 SEGMENT_HEADER_BYTES + first_record * sizeof *entries, why);
    return result;
}

status log_file_sync(log_file *file, failure *why)
{
    return file->os->sync(file->log, why);
}

void log_file_seal(log_file *file, uint64_t end)
{
    if (file->allocated_bytes > end && file->os->truncate(file->log, end, NULL) == STATUS_OK)
        file->allocated_bytes = end;
}
