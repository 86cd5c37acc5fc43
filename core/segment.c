/*
 * Reading a segment: verification, and finding a record by its offset. See segment.h.
 */
#include "segment.h"

#include "format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define VERIFIED_BYTES (MAPPED_CHUNK_BYTES / FORMAT_ALIGNMENT / 8) /* bitmap of one chunk */

void segment_forget_marks(segment *seg)
{
    if (!seg->has_marks)
        return;
    seg->has_marks = false;
    for (uint64_t chunk = 0; chunk <= seg->log.size / MAPPED_CHUNK_BYTES; chunk++) {
        if (seg->verified[chunk] != NULL)
            *seg->mark_bytes -= VERIFIED_BYTES;
        free(seg->verified[chunk]);
        seg->verified[chunk] = NULL;
    }
}

void segment_close(segment *seg)
{
    if (seg == NULL)
        return;
    segment_forget_marks(seg);
    free(seg->verified);
    mapped_file_close(&seg->log);
    mapped_file_close(&seg->index);
    free(seg->built);
    free(seg);
}

status segment_missing(const os *os, os_directory *directory, const commitlog_segment *row,
                       failure *why)
{
    return fail(why, STATUS_TRIMMED,
                "segment %s/%s is missing: it was trimmed by retention after this snapshot of "
                "the database began, or somebody removed it",
                os->directory_path(directory), row->name);
}

/* Map the .log and hold it against the row. */
static status open_log(segment *seg, const commitlog_segment *row, uint64_t map_bytes, failure *why)
{
    uint64_t file_bytes = 0, size = row->bytes > map_bytes ? row->bytes : map_bytes;
    failure cause = {STATUS_OK, ""};
    status result =
        mapped_file_open(&seg->log, seg->os, seg->directory, row->name, size, &file_bytes, why);

    if (result == STATUS_NOT_FOUND)
        return segment_missing(seg->os, seg->directory, row, why);
    if (result != STATUS_OK)
        return result;
    /* Somebody cut it short: what is left can be read. */
    seg->cut_bytes = file_bytes < row->bytes ? file_bytes : UINT64_MAX;
    if (file_bytes < SEGMENT_HEADER_BYTES)
        return fail(why, STATUS_DAMAGED, "segment %s/%s was cut short: it has %" PRIu64 " bytes",
                    seg->os->directory_path(seg->directory), row->name, file_bytes);
    seg->verified = calloc((size_t)(size / MAPPED_CHUNK_BYTES) + 1, sizeof *seg->verified);
    if (seg->verified == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    result = mapped_file_ready(&seg->log, 0, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, why);
    if (result != STATUS_OK)
        return result;
    result = segment_header_check((const segment_header *)seg->log.bytes, FILE_LOG, seg->uuid,
                                  row->base_offset, row->nonce, row->name, &cause);
    if (result != STATUS_OK)
        return fail(why, result, "segment %s/%s", seg->os->directory_path(seg->directory),
                    cause.text);
    return STATUS_OK;
}

status segment_open(const os *os, os_directory *directory, bool may_write,
                    const uint8_t uuid[COMMITLOG_UUID_BYTES], const commitlog_segment *row,
                    uint64_t map_bytes, size_t *mark_bytes, segment **ret, failure *why)
{
    segment *seg;
    status result;

    if (!segment_row_is_plausible(row))
        return fail(why, STATUS_DAMAGED,
                    "the log's tables describe an impossible segment at offset "
                    "%" PRIu64,
                    row->base_offset);
    seg = calloc(1, sizeof *seg);
    if (seg == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    seg->os = os;
    seg->directory = directory;
    seg->may_write = may_write;
    seg->mark_bytes = mark_bytes;
    seg->base_offset = row->base_offset;
    seg->nonce = row->nonce;
    memcpy(seg->uuid, uuid, sizeof seg->uuid);
    memcpy(seg->name, row->name, sizeof seg->name);
    result = open_log(seg, row, map_bytes, why);
    if (result != STATUS_OK) {
        segment_close(seg);
        return result;
    }
    *ret = seg;
    return STATUS_OK;
}

/* ---- verification ---------------------------------------------------------------------------- */

static status damaged(const segment *seg, uint64_t offset, uint64_t position, failure *why)
{
    if (seg->cut_bytes != UINT64_MAX)
        return fail(why, STATUS_DAMAGED,
                    "offset %" PRIu64 " in segment %s/%s: the file was cut short, at position "
                    "%" PRIu64,
                    offset, seg->os->directory_path(seg->directory), seg->name, seg->cut_bytes);
    return fail(why, STATUS_DAMAGED,
                "offset %" PRIu64 " in segment %s/%s: the record at position %" PRIu64
                " fails its checksum",
                offset, seg->os->directory_path(seg->directory), seg->name, position);
}

/* Whole records only, below the end: how large is the one that starts here? 0 if none can. */
static uint64_t plausible_bytes(segment *seg, uint64_t position, segment_limit limit,
                                status *result, failure *why)
{
    uint64_t size;

    if (position < SEGMENT_HEADER_BYTES || position % FORMAT_ALIGNMENT != 0 ||
        limit.bytes < RECORD_FRAME_BYTES || position > limit.bytes - RECORD_FRAME_BYTES)
        return 0;
    *result = mapped_file_ready(&seg->log, position, RECORD_FRAME_BYTES, limit.bytes, why);
    if (*result != STATUS_OK)
        return 0;
    size = record_frame_bytes((const record_frame *)(seg->log.bytes + position));
    return size <= limit.bytes - position ? size : 0;
}

static uint8_t *verified_byte(segment *seg, uint64_t position)
{
    uint8_t *chunk = seg->verified[position / MAPPED_CHUNK_BYTES];
    return chunk != NULL ? chunk + position % MAPPED_CHUNK_BYTES / FORMAT_ALIGNMENT / 8 : NULL;
}

static uint8_t verified_bit(uint64_t position)
{
    return (uint8_t)(1u << (position / FORMAT_ALIGNMENT % 8));
}

status segment_record(segment *seg, uint64_t offset, uint64_t position, segment_limit limit,
                      uint64_t *ret_bytes, failure *why)
{
    status result = STATUS_OK;
    uint64_t size;
    uint8_t *byte;

    if (limit.bytes > seg->cut_bytes)
        limit.bytes = seg->cut_bytes;
    size = plausible_bytes(seg, position, limit, &result, why);
    if (result != STATUS_OK)
        return result;
    if (size == 0)
        return damaged(seg, offset, position, why);
    byte = verified_byte(seg, position);
    if (byte == NULL || (*byte & verified_bit(position)) == 0) {
        result = mapped_file_ready(&seg->log, position, size, limit.bytes, why);
        if (result != STATUS_OK)
            return result;
        if (!record_verify(seg->log.bytes + position, size, seg->nonce, offset))
            return damaged(seg, offset, position, why);
        if (byte == NULL) {
            uint8_t *chunk = calloc(1, VERIFIED_BYTES);
            if (chunk == NULL)
                return fail(why, STATUS_NO_MEMORY, "out of memory");
            seg->verified[position / MAPPED_CHUNK_BYTES] = chunk;
            *seg->mark_bytes += VERIFIED_BYTES;
            seg->has_marks = true;
            byte = verified_byte(seg, position);
        }
        *byte |= verified_bit(position);
    }
    *ret_bytes = size;
    return STATUS_OK;
}

/* ---- the index ------------------------------------------------------------------------------- */

static uint64_t index_position(uint64_t record)
{
    return SEGMENT_HEADER_BYTES + record * sizeof(index_entry);
}

/* (Re)map the index so that `record` lies in it, with room for it to grow. false: it does not. */
static bool map_index(segment *seg, uint64_t record)
{
    uint64_t wanted = index_position(record + 1), size = MAPPED_CHUNK_BYTES;
    char name[COMMITLOG_NAME_BYTES];

    while (size < wanted)
        size *= 2;
    mapped_file_close(&seg->index);
    seg->index_bytes = 0;
    index_name_build(name, seg->name);
    if (mapped_file_open(&seg->index, seg->os, seg->directory, name, size, &seg->index_bytes,
                         NULL) != STATUS_OK)
        return false;
    if (seg->index_bytes < wanted || seg->index_bytes < SEGMENT_HEADER_BYTES ||
        mapped_file_ready(&seg->index, 0, SEGMENT_HEADER_BYTES, SEGMENT_HEADER_BYTES, NULL) !=
            STATUS_OK)
        return false;
    return segment_header_check((const segment_header *)seg->index.bytes, FILE_INDEX, seg->uuid,
                                seg->base_offset, seg->nonce, name, NULL) == STATUS_OK;
}

/* The position that the index file gives for a record. false: it gives none. */
static bool indexed_position(segment *seg, uint64_t record, uint64_t *ret_position)
{
    uint64_t at = index_position(record);
    uint64_t end;

    if (at + sizeof(index_entry) >
            (seg->index_bytes < seg->index.size ? seg->index_bytes : seg->index.size) &&
        !map_index(seg, record)) {
        mapped_file_close(&seg->index);
        seg->index_bytes = 0;
        return false;
    }
    end = seg->index_bytes < seg->index.size ? seg->index_bytes : seg->index.size;
    if (mapped_file_ready(&seg->index, at, sizeof(index_entry), end, NULL) != STATUS_OK)
        return false;
    *ret_position = index_entry_position((const index_entry *)(seg->index.bytes + at));
    return true;
}

/* Put a complete index that was built from the .log on disk. Nothing depends on it. */
static void write_index(segment *seg)
{
    enum { BATCH = 512 };
    index_entry entries[BATCH];
    segment_header header;
    char name[COMMITLOG_NAME_BYTES];
    os_file *file = NULL;
    uint64_t done = 0;

    index_name_build(name, seg->name);
    if (!seg->may_write || seg->os->open(seg->directory, name, OS_CREATE, &file, NULL) != STATUS_OK)
        return;
    segment_header_encode(&header, FILE_INDEX, seg->uuid, seg->base_offset, seg->nonce);
    if (seg->os->write(file, &header, sizeof header, 0, NULL) == STATUS_OK) {
        while (done < seg->built_count) {
            size_t count = 0;
            for (; count < BATCH && done + count < seg->built_count; count++) {
                uint64_t position = seg->built[done + count];
                const record_frame *frame = (const record_frame *)(seg->log.bytes + position);
                entries[count] = index_entry_make(position, record_frame_bytes(frame));
            }
            if (seg->os->write(file, entries, count * sizeof *entries, index_position(done),
                               NULL) != STATUS_OK)
                break;
            done += count;
        }
    }
    seg->os->close(file);
}

/*
 * After a damaged record: the next place, at or after `position`, where one of the offsets
 * [offset, end) verifies. As many records may lie between as fit. Hashes a bounded number of bytes,
 * so that no file makes it run for long.
 */
static bool resynchronise(segment *seg, uint64_t *offset, uint64_t end, uint64_t *position,
                          segment_limit limit)
{
    uint64_t allowance = 16 * limit.bytes;

    for (uint64_t at = *position; at < limit.bytes; at += FORMAT_ALIGNMENT) {
        uint64_t tried = (at - *position) / RECORD_FRAME_BYTES + 1, size;
        status result = STATUS_OK;
        size = plausible_bytes(seg, at, limit, &result, NULL);
        if (result != STATUS_OK || size == 0 || size > allowance ||
            le64_load(&((const record_frame *)(seg->log.bytes + at))->checksum) == 0 ||
            mapped_file_ready(&seg->log, at, size, limit.bytes, NULL) != STATUS_OK)
            continue;
        for (uint64_t i = 0; i < tried && i < end - *offset && size <= allowance; i++) {
            allowance -= size;
            if (record_verify(seg->log.bytes + at, size, seg->nonce, *offset + i)) {
                *offset += i;
                *position = at;
                return true;
            }
        }
    }
    return false;
}

/* Walk the .log from its start and note where each record stands. */
static status build_index(segment *seg, segment_limit limit, failure *why)
{
    uint64_t end = seg->base_offset + limit.record_count, position = SEGMENT_HEADER_BYTES;
    uint64_t *built = calloc((size_t)limit.record_count, sizeof *built);
    bool is_complete = true;

    if (limit.bytes > seg->cut_bytes)
        limit.bytes = seg->cut_bytes;
    if (built == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    for (uint64_t offset = seg->base_offset; offset < end;) {
        uint64_t size = 0;
        status result = segment_record(seg, offset, position, limit, &size, NULL);
        if (result == STATUS_NO_MEMORY) {
            free(built);
            return fail(why, result, "out of memory");
        }
        if (result == STATUS_OK) {
            built[offset++ - seg->base_offset] = position;
            position += size;
            continue;
        }
        is_complete = false;
        offset++;
        position += FORMAT_ALIGNMENT;
        if (offset >= end || !resynchronise(seg, &offset, end, &position, limit))
            break;
    }
    free(seg->built);
    seg->built = built;
    seg->built_count = limit.record_count;
    if (is_complete)
        write_index(seg);
    return STATUS_OK;
}

status segment_find(segment *seg, uint64_t offset, segment_limit limit, uint64_t *ret_position,
                    uint64_t *ret_bytes, failure *why)
{
    uint64_t record = offset - seg->base_offset, position = 0;
    status result;

    if (record >= seg->built_count) {
        if (indexed_position(seg, record, &position) &&
            segment_record(seg, offset, position, limit, ret_bytes, why) == STATUS_OK)
            goto found;
        result = build_index(seg, limit, why);
        if (result != STATUS_OK)
            return result;
    }
    position = seg->built[record];
    if (position == 0 && seg->cut_bytes != UINT64_MAX)
        return damaged(seg, offset, position, why);
    if (position == 0)
        return fail(why, STATUS_DAMAGED,
                    "offset %" PRIu64 " in segment %s/%s: no record with a right checksum", offset,
                    seg->os->directory_path(seg->directory), seg->name);
    result = segment_record(seg, offset, position, limit, ret_bytes, why);
    if (result != STATUS_OK)
        return result;
found:
    *ret_position = position;
    return STATUS_OK;
}
