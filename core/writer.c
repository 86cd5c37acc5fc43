/*
 * The transaction: staging, landing records in segments, savepoints, the sync before the commit.
 *
 * Nothing of an earlier transaction is trusted but the descriptors of the last target, whose end is
 * looked at again. PROTOCOL.md numbers the steps that the comments name.
 */
#include "log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Larger buffers are no faster (64 KiB to 1 MiB measured alike); a larger record gets its own. */
#define STAGING_BYTES ((size_t)256 << 10)

/* Make room for one more element. */
static status grow(void *array_pointer, size_t *capacity, size_t count, size_t element_bytes,
                   failure *why)
{
    void **array = array_pointer;
    void *grown;
    size_t wanted = *capacity != 0 ? *capacity * 2 : 16;

    if (count < *capacity)
        return STATUS_OK;
    grown = realloc(*array, wanted * element_bytes);
    if (grown == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    *array = grown;
    *capacity = wanted;
    return STATUS_OK;
}

uint64_t txn_staged_offset(const commitlog *log)
{
    return log->txn.next_offset - (log->txn.staged_count - log->txn.staged_first);
}

bool commitlog_in_transaction(const commitlog *log)
{
    return log->txn.is_open;
}

uint64_t commitlog_next_offset(const commitlog *log)
{
    return log->txn.next_offset;
}

uint64_t commitlog_start_offset(const commitlog *log)
{
    return log->txn.start_offset;
}

bool commitlog_active_segment(const commitlog *log, commitlog_segment *ret)
{
    if (log->txn.must_create)
        return false;
    *ret = log->txn.active;
    return true;
}

const commitlog_segment *commitlog_touched(const commitlog *log, size_t *ret_count)
{
    *ret_count = log->txn.touched_count;
    return log->txn.touched;
}

void commitlog_set_start_offset(commitlog *log, uint64_t offset)
{
    log->txn.start_offset = offset;
}

/* ---- beginning and ending -------------------------------------------------------------------- */

status commitlog_begin(commitlog *log, const commitlog_state *state, bool durable, failure *why)
{
    transaction *txn = &log->txn;
    uint8_t boot_id[COMMITLOG_BOOT_ID_BYTES], unknown[COMMITLOG_BOOT_ID_BYTES] = {0};
    status result;

    if (log->read_only)
        return fail(why, STATUS_READ_ONLY, "the database is read-only");
    if (state->log_start_offset > state->end_offset ||
        (state->has_active &&
         (!segment_row_is_plausible(&state->active) ||
          state->active.base_offset + state->active.record_count != state->end_offset ||
          state->log_start_offset == state->end_offset)))
        return fail(why, STATUS_DAMAGED,
                    "the log's tables describe an impossible end at offset %" PRIu64,
                    state->end_offset);
    if (state->end_offset > state->log_start_offset) {
        /* Records there are, so must be their directory: never go on beside a log that is lost. */
        result = log_open_directory(log, false, why);
        if (result != STATUS_OK)
            return result;
    }
    log->os->boot_id(boot_id);
    txn->is_open = true;
    txn->begin = *state;
    /* Without a boot id nobody could tell later what a power loss took: then always sync. */
    txn->is_durable = durable || memcmp(boot_id, unknown, sizeof boot_id) == 0;
    txn->was_durable = txn->is_durable;
    txn->is_dirty = txn->must_sync = false;
    txn->has_active = state->has_active;
    txn->active = state->active;
    txn->was_unsynced = state->unsynced;
    txn->must_create = !state->has_active ||
                       (state->unsynced && memcmp(state->boot_id, boot_id, sizeof boot_id) != 0);
    txn->next_offset = state->end_offset;
    txn->start_offset = state->log_start_offset;
    txn->failed.code = STATUS_OK;
    if (log->target.log != NULL && (txn->must_create || log->target_nonce != state->active.nonce))
        log_file_close(&log->target);
    return STATUS_OK;
}

static void end_transaction(commitlog *log)
{
    transaction *txn = &log->txn;

    txn->is_open = false;
    txn->staged_count = txn->staged_first = txn->used = 0;
    txn->touched_count = txn->created_count = txn->savepoint_count = 0;
    if (txn->capacity > STAGING_BYTES) {
        free(txn->buffer);
        txn->buffer = NULL;
        txn->capacity = 0;
    }
}

static bool is_touched(const transaction *txn, const char *name)
{
    for (size_t i = txn->touched_count; i-- > 0;)
        if (strcmp(txn->touched[i].name, name) == 0)
            return true;
    return false;
}

/* Step 13: remove files of this transaction that no commit, not even one that comes back, names. */
static void remove_created(commitlog *log, bool keep_touched)
{
    transaction *txn = &log->txn;

    for (size_t i = 0; i < txn->created_count; i++) {
        created_file *file = &txn->created[i];
        char index_name[COMMITLOG_NAME_BYTES];
        if (file->was_synced || (keep_touched && is_touched(txn, file->name)))
            continue;
        index_name_build(index_name, file->name);
        (void)log->os->remove(log->directory, index_name, NULL);
        (void)log->os->remove(log->directory, file->name, NULL);
    }
}

void commitlog_commit(commitlog *log)
{
    if (!log->txn.is_open)
        return;
    remove_created(log, true);
    end_transaction(log);
}

void commitlog_rollback(commitlog *log)
{
    if (!log->txn.is_open || commitlog_check_process(log, NULL) != STATUS_OK)
        return;
    if (log->txn.is_dirty || log->txn.touched_count > 0)
        log_file_close(&log->target);
    readers_cut(log, log->txn.begin.end_offset);
    remove_created(log, false);
    log_forget_segments(log, log->txn.begin.end_offset, UINT64_MAX);
    end_transaction(log);
}

void txn_free(commitlog *log)
{
    transaction *txn = &log->txn;

    free(txn->buffer);
    free(txn->staged);
    free(txn->touched);
    free(txn->created);
    free(txn->savepoints);
    memset(txn, 0, sizeof *txn);
}

/* ---- the target ------------------------------------------------------------------------------ */

/* Steps 8 and 10: sync what was written. A failure stays: asking again could hide it. */
static status sync_target(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    status result;

    if (!txn->is_dirty || !txn->is_durable)
        return STATUS_OK;
    result = log_file_sync(&log->target, &txn->failed);
    if (result != STATUS_OK)
        return fail(why, result, "%s", txn->failed.text);
    txn->is_dirty = false;
    return STATUS_OK;
}

/* The target's segment is full, too old, or rotated by command. */
static status seal_target(commitlog *log, failure *why)
{
    status result = sync_target(log, why);

    if (result != STATUS_OK)
        return result;
    if (log->target.log != NULL)
        log_file_seal(&log->target, log->txn.active.bytes);
    log_file_close(&log->target);
    log->txn.is_dirty = false;
    log->txn.must_create = true;
    return STATUS_OK;
}

/* Step 4: a new segment, from the end of what the segments hold. */
static status create_target(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    commitlog_segment row = {.base_offset = txn_staged_offset(log),
                             .min_timestamp_ms = INT64_MAX,
                             .max_timestamp_ms = INT64_MIN,
                             .created_ms = log->os->now_ms()};
    status result = log_open_directory(log, true, why);

    if (result == STATUS_OK)
        result = readers_pin(log, why);
    if (result == STATUS_OK)
        result = log->os->random(&row.nonce, sizeof row.nonce, why);
    if (result == STATUS_OK)
        result = grow(&txn->created, &txn->created_capacity, txn->created_count,
                      sizeof *txn->created, why);
    if (result == STATUS_OK)
        result = log_file_create(&log->target, log->os, log->directory, log->uuid, &row, why);
    if (result != STATUS_OK)
        return result;
    log->target_nonce = row.nonce;
    strcpy(txn->created[txn->created_count].name, row.name);
    txn->created[txn->created_count++].was_synced = false;
    txn->active = row;
    txn->has_active = true;
    txn->must_create = txn->was_unsynced = false;
    return STATUS_OK;
}

/* Step 3: may the active segment be extended? Opens it if it may. */
static status open_target(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    bool is_usable = false;
    status result = STATUS_OK;

    if (txn->touched_count > 0 && log->target.log != NULL)
        return STATUS_OK; /* this transaction's own */
    if (log->target.log != NULL) {
        result = log_file_check_end(&log->target, txn->active.bytes, &is_usable, why);
        if (result == STATUS_OK && !is_usable)
            log_file_close(&log->target);
    } else {
        result = log_file_open(&log->target, log->os, log->directory, log->uuid, &txn->active,
                               &is_usable, why);
        log->target_nonce = txn->active.nonce;
    }
    if (result != STATUS_OK)
        return result;
    txn->must_create = !is_usable;
    /* What an earlier transaction left unsynced goes with the next sync, also if that is to leave
     * the segment. */
    txn->is_dirty = is_usable && txn->was_unsynced;
    return STATUS_OK;
}

/* Have a target that the next staged record may go to. */
static status prepare_target(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    const staged_record *next = &txn->staged[txn->staged_first];
    status result;

    if (!txn->must_create) {
        const commitlog_options *options = &log->options;
        bool is_full = txn->active.bytes + next->bytes > options->segment_bytes;
        bool is_old = options->segment_ms > 0 &&
                      log->os->now_ms() - txn->active.created_ms >= options->segment_ms;
        result = open_target(log, why);
        if (result != STATUS_OK)
            return result;
        if (!txn->must_create && (is_full || is_old) && txn->active.record_count > 0) {
            result = seal_target(log, why);
            if (result != STATUS_OK)
                return result;
        }
    }
    if (!txn->must_create)
        return STATUS_OK;
    if (log->target.log != NULL) { /* never leave one unsynced behind */
        result = seal_target(log, why);
        if (result != STATUS_OK)
            return result;
    }
    return create_target(log, why);
}

/* ---- landing records ------------------------------------------------------------------------- */

/* How many staged records go to the target in one write: as many as fit, but not past a savepoint,
 * so that the state of the segment there is known. At least one. */
static size_t run_length(const commitlog *log)
{
    const transaction *txn = &log->txn;
    uint64_t first_offset = txn_staged_offset(log), room = 0;
    size_t most = txn->staged_count - txn->staged_first, count = 1;

    if (log->options.segment_bytes > txn->active.bytes)
        room = log->options.segment_bytes - txn->active.bytes;
    for (size_t i = 0; i < txn->savepoint_count; i++) {
        uint64_t offset = txn->savepoints[i].next_offset;
        if (offset > first_offset && offset - first_offset < most)
            most = (size_t)(offset - first_offset);
    }
    for (const staged_record *record = &txn->staged[txn->staged_first]; count < most; count++) {
        room -= record->bytes <= room ? record->bytes : room;
        if (record[1].bytes > room)
            break;
        record++;
    }
    return count;
}

/* Remember in the savepoints that stand at the first staged record how the segments are now. */
static void note_savepoints(commitlog *log)
{
    transaction *txn = &log->txn;
    uint64_t offset = txn_staged_offset(log);

    for (size_t i = txn->savepoint_count; i-- > 0;) {
        savepoint *at = &txn->savepoints[i];
        if (at->next_offset != offset)
            continue;
        at->must_create = txn->must_create;
        at->touched_count = txn->touched_count;
        at->has_active = txn->has_active;
        at->active = txn->active;
    }
}

/* Write `count` staged records to the target. On failure the target is given up. */
static status write_run(commitlog *log, size_t count, failure *why)
{
    transaction *txn = &log->txn;
    const staged_record *records = &txn->staged[txn->staged_first];
    const staged_record *last = &records[count - 1];
    uint64_t offset = txn_staged_offset(log), size = last->start + last->bytes - records->start;
    commitlog_segment row = txn->active;
    index_entry *entries = malloc(count * sizeof *entries);
    status result = entries != NULL ? STATUS_OK : fail(why, STATUS_NO_MEMORY, "out of memory");

    if (result == STATUS_OK)
        result = grow(&txn->touched, &txn->touched_capacity, txn->touched_count,
                      sizeof *txn->touched, why);
    if (result != STATUS_OK)
        goto out;
    for (size_t i = 0; i < count; i++) {
        record_seal(txn->buffer + records[i].start, records[i].bytes, row.nonce, offset + i);
        entries[i] = index_entry_make(row.bytes, records[i].bytes);
        row.bytes += records[i].bytes;
        if (records[i].timestamp_ms < row.min_timestamp_ms)
            row.min_timestamp_ms = records[i].timestamp_ms;
        if (records[i].timestamp_ms > row.max_timestamp_ms)
            row.max_timestamp_ms = records[i].timestamp_ms;
    }
    row.record_count += count;
    txn->is_dirty = true;
    result =
        log_file_write(&log->target, txn->buffer + records->start, size, txn->active.bytes, entries,
                       count, txn->active.record_count, log->options.segment_bytes, why);
    if (result != STATUS_OK)
        goto out;
    if (txn->touched_count == 0 || txn->touched[txn->touched_count - 1].nonce != row.nonce)
        txn->touched_count++;
    txn->touched[txn->touched_count - 1] = row;
    txn->active = row;
    txn->staged_first += count;
    note_savepoints(log);
out:
    free(entries);
    return result;
}

/* Give up the target after a failed write, or a rollback to below what was written: its bytes are
 * not to be written again. What stands there of this transaction and is kept must be synced. */
static void abandon_target(commitlog *log)
{
    transaction *txn = &log->txn;

    if (txn->touched_count > 0)
        (void)sync_target(log, NULL);
    log_file_close(&log->target);
    txn->is_dirty = false;
    txn->must_create = true;
    if (txn->active.record_count == 0) { /* created, but nothing came to stand in it */
        txn->has_active = txn->touched_count > 0 || txn->begin.has_active;
        txn->active =
            txn->touched_count > 0 ? txn->touched[txn->touched_count - 1] : txn->begin.active;
    }
}

static status write_staged(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;

    while (txn->staged_first < txn->staged_count) {
        status result = prepare_target(log, why);
        if (result != STATUS_OK)
            return result;
        result = write_run(log, run_length(log), why);
        if (result != STATUS_OK) {
            abandon_target(log);
            return result;
        }
    }
    txn->staged_first = txn->staged_count = txn->used = 0;
    return STATUS_OK;
}

static status check_usable(const commitlog *log, failure *why)
{
    if (log->txn.failed.code != STATUS_OK)
        return fail(why, log->txn.failed.code, "%s", log->txn.failed.text);
    return commitlog_check_process(log, why);
}

status commitlog_flush(commitlog *log, failure *why)
{
    status result = check_usable(log, why);

    if (result != STATUS_OK)
        return result;
    log->txn.is_durable = log->txn.must_sync = true;
    return write_staged(log, why);
}

status commitlog_rotate(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    status result = check_usable(log, why);

    if (result == STATUS_OK)
        result = write_staged(log, why);
    if (result != STATUS_OK || txn->must_create)
        return result;
    /* Only what may be extended may be cut: beyond the end may stand what can yet come back. */
    result = open_target(log, why);
    return result == STATUS_OK && !txn->must_create ? seal_target(log, why) : result;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* Room for `size` more bytes and one more record in the staging. */
static status make_room(commitlog *log, size_t size, failure *why)
{
    transaction *txn = &log->txn;
    status result;

    if (txn->used + size > txn->capacity || txn->buffer == NULL) {
        result = write_staged(log, why);
        if (result != STATUS_OK)
            return result;
        if (size > txn->capacity) {
            size_t wanted = size > STAGING_BYTES ? size : STAGING_BYTES;
            uint8_t *buffer = malloc(wanted);
            if (buffer == NULL)
                return fail(why, STATUS_NO_MEMORY, "out of memory");
            free(txn->buffer);
            txn->buffer = buffer;
            txn->capacity = wanted;
        }
    }
    return grow(&txn->staged, &txn->staged_capacity, txn->staged_count, sizeof *txn->staged, why);
}

status commitlog_append(commitlog *log, const commitlog_record *record, uint64_t *ret_offset,
                        failure *why)
{
    transaction *txn = &log->txn;
    uint64_t size = record_bytes(record);
    status result;

    if (size == 0 || size - RECORD_FRAME_BYTES > log->options.max_message_bytes) {
        uint64_t message_bytes =
            (uint64_t)record->key.bytes + record->value.bytes + record->headers.bytes;
        if (size == 0 || message_bytes > log->options.max_message_bytes)
            return fail(why, STATUS_TOO_BIG,
                        "record of %" PRIu64 " bytes (key, value and headers together) is larger "
                        "than max_message_bytes, %" PRIu64,
                        message_bytes, log->options.max_message_bytes);
    }
    if (txn->next_offset >= INT64_MAX)
        return fail(why, STATUS_NO_SPACE, "the log has no offsets left");
    result = check_usable(log, why);
    if (result == STATUS_OK)
        result = make_room(log, (size_t)size, why);
    if (result != STATUS_OK)
        return result;
    record_encode(record, size, txn->buffer + txn->used);
    txn->staged[txn->staged_count++] =
        (staged_record){txn->used, (uint32_t)size, record->timestamp_ms};
    txn->used += (size_t)size;
    *ret_offset = txn->next_offset++;
    return STATUS_OK;
}

/* ---- savepoints ------------------------------------------------------------------------------ */

status commitlog_savepoint(commitlog *log, int number, failure *why)
{
    transaction *txn = &log->txn;
    status result;

    for (size_t i = 0; i < txn->savepoint_count; i++)
        if (txn->savepoints[i].number == number)
            return STATUS_OK;
    result = grow(&txn->savepoints, &txn->savepoint_capacity, txn->savepoint_count,
                  sizeof *txn->savepoints, why);
    if (result != STATUS_OK)
        return result;
    txn->savepoints[txn->savepoint_count++] = (savepoint){
        .number = number,
        .next_offset = txn->next_offset,
        .start_offset = txn->start_offset,
        .must_create = txn->must_create,
        .touched_count = txn->touched_count,
        .has_active = txn->has_active,
        .active = txn->active,
    };
    return STATUS_OK;
}

void commitlog_release(commitlog *log, int number)
{
    transaction *txn = &log->txn;

    while (txn->savepoint_count > 0 && txn->savepoints[txn->savepoint_count - 1].number >= number)
        txn->savepoint_count--;
}

/* The records from `to` on were written: take their segments back to what they were there. */
static void unwrite(commitlog *log, const savepoint *to)
{
    transaction *txn = &log->txn;

    txn->touched_count = to->touched_count;
    if (to->touched_count > 0)
        txn->touched[to->touched_count - 1] = to->active;
    abandon_target(log);
    txn->has_active = to->has_active;
    txn->active = to->active;
    txn->staged_count = txn->staged_first = txn->used = 0;
}

void commitlog_rollback_to(commitlog *log, int number)
{
    transaction *txn = &log->txn;
    savepoint to = {.number = number,
                    .next_offset = txn->begin.end_offset,
                    .start_offset = txn->begin.log_start_offset,
                    .must_create = txn->must_create,
                    .has_active = txn->begin.has_active,
                    .active = txn->begin.active};
    bool is_known = false;

    for (size_t i = 0; i < txn->savepoint_count; i++) {
        is_known |= txn->savepoints[i].number == number;
        if (txn->savepoints[i].number == number)
            to = txn->savepoints[i];
    }
    if (to.next_offset >= txn_staged_offset(log)) {
        const staged_record *last;
        txn->staged_count -= (size_t)(txn->next_offset - to.next_offset);
        last = txn->staged_count > 0 ? &txn->staged[txn->staged_count - 1] : NULL;
        txn->used = last != NULL ? last->start + last->bytes : 0;
        txn->must_create = to.must_create;
    } else {
        unwrite(log, &to);
    }
    txn->next_offset = to.next_offset;
    txn->start_offset = to.start_offset;
    readers_cut(log, to.next_offset);
    commitlog_release(log, is_known ? number + 1 : 0);
}

/* ---- the sync point -------------------------------------------------------------------------- */

static status sync_segment(commitlog *log, const commitlog_segment *row, failure *why)
{
    os_file *file = NULL;
    status result = log->os->open(log->directory, row->name, OS_WRITE, &file, why);

    if (result == STATUS_OK)
        result = log->os->sync(file, why);
    log->os->close(file);
    return result;
}

/* The command to sync, where the database does not: also what was written before it came, and the
 * active segment if this transaction wrote nothing to it. */
static status sync_rest(commitlog *log, failure *why)
{
    transaction *txn = &log->txn;
    bool is_unsynced = txn->was_unsynced && !txn->must_create;
    status result = STATUS_OK;

    if (!txn->must_sync || txn->was_durable || (txn->touched_count == 0 && !is_unsynced))
        return STATUS_OK;
    for (size_t i = 0; i < txn->touched_count && result == STATUS_OK; i++)
        result = sync_segment(log, &txn->touched[i], &txn->failed);
    if (result == STATUS_OK && txn->touched_count == 0)
        result = sync_segment(log, &txn->active, &txn->failed);
    if (result == STATUS_OK)
        result = log_sync_directories(log, &txn->failed);
    if (result != STATUS_OK)
        return fail(why, result, "%s", txn->failed.text);
    txn->was_unsynced = false;
    return STATUS_OK;
}

/* What the anchor must say. Unsynced bytes are stamped with this start of the machine. */
static void describe(commitlog *log, commitlog_state *state)
{
    transaction *txn = &log->txn;
    bool is_written = txn->touched_count > 0;

    memset(state, 0, sizeof *state);
    state->log_start_offset = txn->start_offset;
    state->end_offset = txn->next_offset;
    state->has_active = txn->has_active && !txn->must_create;
    if (!state->has_active)
        return;
    state->active = txn->active;
    state->unsynced = is_written ? !txn->is_durable : txn->was_unsynced;
    if (state->unsynced && is_written)
        log->os->boot_id(state->boot_id);
    else if (state->unsynced)
        memcpy(state->boot_id, txn->begin.boot_id, sizeof state->boot_id);
}

static void note_synced(transaction *txn)
{
    for (size_t i = 0; i < txn->created_count; i++)
        if (is_touched(txn, txn->created[i].name))
            txn->created[i].was_synced = true;
}

status commitlog_sync(commitlog *log, commitlog_state *ret_state,
                      const commitlog_segment **ret_segments, size_t *ret_count, failure *why)
{
    transaction *txn = &log->txn;
    status result = check_usable(log, why);

    if (result == STATUS_OK)
        result = write_staged(log, why);
    if (result == STATUS_OK)
        result = sync_target(log, why);
    if (result == STATUS_OK)
        result = sync_rest(log, why);
    if (result != STATUS_OK)
        return result;
    /* Step 9; also for a file that was made while the database did not sync. */
    if (txn->is_durable &&
        (txn->created_count > 0 || (txn->begin.unsynced && txn->touched_count > 0))) {
        result = log_sync_directories(log, &txn->failed);
        if (result != STATUS_OK)
            return fail(why, result, "%s", txn->failed.text);
    }
    note_synced(txn);
    if (txn->start_offset == txn->next_offset) { /* nothing left: the segment goes, too */
        log_file_close(&log->target);
        txn->is_dirty = false;
        txn->must_create = true;
    }
    describe(log, ret_state);
    *ret_segments = txn->touched;
    *ret_count = txn->touched_count;
    return STATUS_OK;
}
