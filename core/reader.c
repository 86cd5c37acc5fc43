/*
 * Readers: from an offset to the record's bytes, in the segment or in the staging, and the pin that
 * keeps other processes from removing what a reader may still need.
 */
#include "log.h"

#include "format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- pins ------------------------------------------------------------------------------------ */

/* Have the file of pins open. One that cannot be made or opened cannot be locked by a collector
 * either, on a medium that nobody can write; then there is nothing to pin against. */
static status open_pins(commitlog *log, failure *why)
{
    failure cause = {STATUS_OK, ""};
    status result;

    if (log->pins != NULL)
        return STATUS_OK;
    result = log->os->open(log->directory, PINS_NAME, OS_READ, &log->pins, &cause);
    if (result == STATUS_NOT_FOUND && !log->read_only) {
        result = log->os->open(log->directory, PINS_NAME, OS_CREATE, &log->pins, &cause);
        if (result == STATUS_READ_ONLY || result == STATUS_CANT_OPEN)
            return STATUS_OK;
    }
    if (result == STATUS_OK || result == STATUS_NOT_FOUND)
        return STATUS_OK;
    return fail(why, result, "%s", cause.text);
}

/* Step 14: hold a shared lock on all offsets from `first`, or from lower ones. */
static status pin(commitlog *log, uint64_t first, failure *why)
{
    status result;

    if (log->is_pinned && log->pin_low <= first)
        return STATUS_OK;
    result = open_pins(log, why);
    if (result != STATUS_OK || log->pins == NULL)
        return result;
    result = log->os->lock(log->pins, OS_SHARED, first, 0, why);
    if (result == STATUS_BUSY)
        return fail(why, STATUS_TRIMMED,
                    "offset %" PRIu64 " is being removed: it was trimmed by retention after this "
                    "snapshot of the database began",
                    first);
    if (result != STATUS_OK)
        return result;
    log->is_pinned = true;
    log->pin_low = first;
    return STATUS_OK;
}

static void unpin(commitlog *log)
{
    /* The lock belongs to the open file, which a child of fork() shares: it is not its to drop. */
    if (log->is_pinned && commitlog_check_process(log, NULL) == STATUS_OK)
        (void)log->os->lock(log->pins, OS_UNLOCK, 0, 0, NULL);
    log->is_pinned = false;
}

/* ---- readers --------------------------------------------------------------------------------- */

void commitlog_reader_close(commitlog_reader *reader)
{
    commitlog *log = reader->log;

    for (commitlog_reader **link = &log->readers; *link != NULL; link = &(*link)->next) {
        if (*link == reader) {
            *link = reader->next;
            break;
        }
    }
    if (reader->seg != NULL)
        log_put_segment(log, reader->seg);
    if (log->readers == NULL)
        unpin(log);
    free(reader);
}

bool commitlog_is_reading(const commitlog *log)
{
    return log->readers != NULL;
}

uint64_t commitlog_reader_end(const commitlog_reader *reader)
{
    return reader->end;
}

status readers_pin(commitlog *log, failure *why)
{
    status result = STATUS_OK;
    for (commitlog_reader *reader = log->readers; reader != NULL && result == STATUS_OK;
         reader = reader->next)
        if (reader->seg == NULL && reader->first < reader->end)
            result = pin(log, reader->first, why);
    return result;
}

void readers_cut(commitlog *log, uint64_t end)
{
    for (commitlog_reader *reader = log->readers; reader != NULL; reader = reader->next)
        if (reader->end > end)
            reader->end = end;
}

/* ---- finding records ------------------------------------------------------------------------- */

status txn_segment_at(const commitlog *log, uint64_t offset, commitlog_segment *ret)
{
    const transaction *txn = &log->txn;

    for (size_t low = 0, high = txn->is_open ? txn->touched_count : 0; low < high;) {
        size_t middle = low + (high - low) / 2;
        const commitlog_segment *row = &txn->touched[middle];
        if (offset < row->base_offset) {
            high = middle;
        } else if (offset - row->base_offset >= row->record_count) {
            low = middle + 1;
        } else {
            *ret = *row;
            return STATUS_OK;
        }
    }
    return STATUS_NOT_FOUND;
}

status commitlog_reader_segment(commitlog_reader *reader, uint64_t offset, commitlog_segment *ret,
                                failure *why)
{
    commitlog *log = reader->log;
    commitlog_segment row;
    status result;

    if (log->txn.is_open && offset >= txn_staged_offset(log))
        return STATUS_NOT_FOUND;
    result = txn_segment_at(log, offset, &row);
    if (result == STATUS_NOT_FOUND) {
        result = log->catalog.segment_at(log->catalog.context, offset, &row, why);
        if (result == STATUS_NOT_FOUND)
            return fail(why, STATUS_DAMAGED, "the log's tables name no segment for offset %" PRIu64,
                        offset);
        if (result == STATUS_OK &&
            (offset < row.base_offset || offset - row.base_offset >= row.record_count))
            return fail(why, STATUS_DAMAGED,
                        "the log's tables name no segment for offset %" PRIu64 ": %s holds %" PRIu64
                        " records",
                        offset, row.name, row.record_count);
    }
    if (result == STATUS_OK)
        *ret = row;
    return result;
}

/* Stand in the segment that holds `offset`. */
static status enter_segment(commitlog_reader *reader, uint64_t offset, failure *why)
{
    commitlog_segment row;
    segment *seg = NULL;
    failure cause = {STATUS_OK, ""};
    status result = commitlog_reader_segment(reader, offset, &row, why);

    if (result != STATUS_OK)
        return result;
    result = log_get_segment(reader->log, &row, &seg, &cause);
    if (result == STATUS_NO_LOG)
        return fail(why, result, "%s", cause.text);
    if (result != STATUS_OK)
        return fail(why, result, "offset %" PRIu64 ": %s", offset, cause.text);
    if (reader->seg != NULL)
        log_put_segment(reader->log, reader->seg);
    reader->seg = seg;
    reader->row = row;
    reader->next_offset = UINT64_MAX;
    return STATUS_OK;
}

/*
 * Step 14. A range within one segment that is mapped needs no pin: the mapping keeps the bytes.
 * Else pin, and only then see whether the lowest segment is there: files go in ascending order, so
 * with it all are. If it is mapped, nobody will open it, so its name is looked for here.
 */
static status secure_range(commitlog_reader *reader, bool is_staged, failure *why)
{
    commitlog *log = reader->log;
    commitlog_segment row;
    segment *seg = NULL;
    status result;

    if (commitlog_reader_segment(reader, reader->first, &row, NULL) == STATUS_OK)
        seg = log_find_segment(log, &row);
    if (seg != NULL && reader->end - row.base_offset <= row.record_count) {
        reader->seg = seg;
        reader->row = row;
        reader->next_offset = UINT64_MAX;
        return STATUS_OK;
    }
    result = log_open_directory(log, false, why);
    if (result == STATUS_OK)
        result = pin(log, reader->first, why);
    else if (result == STATUS_NO_LOG && is_staged)
        result = STATUS_OK; /* no segment yet: readers_pin() follows */
    if (result == STATUS_OK && seg != NULL && !log->os->exists(log->directory, row.name)) {
        if (log->readers == NULL)
            unpin(log);
        result = segment_missing(log->os, log->directory, &row, why);
    }
    if (seg != NULL)
        log_put_segment(log, seg);
    return result;
}

status commitlog_reader_open(commitlog *log, uint64_t first, uint64_t end,
                             commitlog_reader **ret_reader, failure *why)
{
    commitlog_reader *reader = calloc(1, sizeof *reader);
    bool is_staged = log->txn.is_open && first >= txn_staged_offset(log);
    status result = STATUS_OK;

    if (reader == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    reader->log = log;
    reader->first = first;
    reader->end = end;
    if (first < end)
        result = secure_range(reader, is_staged, why);
    if (result != STATUS_OK) {
        free(reader);
        return result;
    }
    reader->next = log->readers;
    log->readers = reader;
    *ret_reader = reader;
    return STATUS_OK;
}

static status find_staged(const commitlog *log, uint64_t offset, commitlog_found *ret)
{
    const transaction *txn = &log->txn;
    const staged_record *at =
        &txn->staged[txn->staged_first + (size_t)(offset - txn_staged_offset(log))];

    memset(ret, 0, sizeof *ret);
    ret->record_bytes = at->bytes;
    return record_decode(txn->buffer + at->start, at->bytes, &ret->record);
}

status commitlog_reader_get(commitlog_reader *reader, uint64_t offset, commitlog_found *ret,
                            failure *why)
{
    commitlog *log = reader->log;
    commitlog_found found;
    segment_limit limit;
    status result;

    if (log->txn.is_open && offset >= txn_staged_offset(log))
        return find_staged(log, offset, ret);
    if (reader->seg == NULL || offset < reader->row.base_offset ||
        offset - reader->row.base_offset >= reader->row.record_count) {
        result = enter_segment(reader, offset, why);
        if (result != STATUS_OK)
            return result;
    }
    limit = (segment_limit){reader->row.record_count, reader->row.bytes};
    if (offset == reader->row.base_offset) {
        reader->next_offset = offset;
        reader->next_position = SEGMENT_HEADER_BYTES;
    }
    found.position = reader->next_position;
    if (offset != reader->next_offset || segment_record(reader->seg, offset, found.position, limit,
                                                        &found.record_bytes, NULL) != STATUS_OK) {
        result =
            segment_find(reader->seg, offset, limit, &found.position, &found.record_bytes, why);
        if (result != STATUS_OK)
            return result;
    }
    if (record_decode(reader->seg->log.bytes + found.position, found.record_bytes, &found.record) !=
        STATUS_OK)
        return fail(why, STATUS_DAMAGED,
                    "offset %" PRIu64 " in segment %s changed while it was read", offset,
                    reader->row.name);
    reader->next_offset = offset + 1;
    reader->next_position = found.position + found.record_bytes;
    found.in_segment = true;
    found.base_offset = reader->row.base_offset;
    found.is_stable = log_may_hand_out(log);
    if (found.is_stable)
        reader->seg->has_handed_out = true;
    *ret = found;
    return STATUS_OK;
}
