/*
 * Random transactions against a trivial model: an array with the tag of each record.
 *
 * Two handles write in turn, a third reads in a snapshot of its own while files are removed. There
 * are savepoints, commits that fail after the sync and come back after a kill, kills, full disks,
 * failed syncs, torn writes, missing indexes. Whatever happens, what was committed reads back, and
 * in a run that is durable throughout, nothing that the tables name is left unsynced by a commit.
 *
 * Does not cover savepoints that were never set, and damage of a .log.
 */
#include "check_main.h"

#include "fault_os.h"
#include "memory_catalog.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEPS = 6000, OFFSETS_MAX = 400000, SAVEPOINTS_MAX = 8, DROPPED_MAX = 20000, HANDLES = 2 };

static memory_catalog catalog, snapshot; /* what the tables say, and said for the reader */
static commitlog *handles[HANDLES], *reading;
static commitlog_reader *reader;
static uint64_t reader_first;
static commitlog_segment dropped[DROPPED_MAX];
static size_t dropped_count;
static uint64_t seed, next_tag;
static bool is_durable_run, is_durable, met_fault; /* in the open transaction */
static failure why;

/* Of each offset: committed below catalog.state.end_offset, the open transaction's from there. */
static uint64_t *tags;

static commitlog *txn; /* the handle that has one */
static uint64_t txn_start;
static struct {
    int number;
    uint64_t next, start;
} savepoints[SAVEPOINTS_MAX];
static int savepoint_count;

/* A transaction that was synced and whose commit failed. It may come back until another commits. */
static struct {
    bool is_there;
    commitlog_state state;
    commitlog_segment *rows;
    size_t count;
    uint64_t *tags;
    uint64_t first;
} lost;

static struct {
    unsigned commits, rollbacks, rollbacks_to, kills, returns, faults, reads, retries;
} did;

static uint64_t draw(uint64_t limit)
{
    return memory_random(&seed, limit);
}

/* Some fault explains a failure of the open transaction. */
static bool is_excused(void)
{
    return met_fault || fault_hits() > 0;
}

/* ---- records --------------------------------------------------------------------------------- */

static uint8_t payload[200000];

static commitlog_record record_of(uint64_t tag)
{
    uint64_t state = tag * UINT64_C(0x9e3779b97f4a7c15) | 1;
    uint64_t kind = memory_random(&state, 100);
    uint32_t bytes = (uint32_t)memory_random(&state, kind < 90 ? 300 : kind < 99 ? 6000 : 150000);
    commitlog_record record = {.timestamp_ms = (int64_t)tag};

    for (uint32_t at = 0; at < bytes; at += 8) {
        uint64_t word = memory_random(&state, UINT64_MAX);
        memcpy(payload + at, &word, sizeof word);
    }
    record.key = (commitlog_value){.type = COMMITLOG_INTEGER, .integer = (int64_t)tag};
    if (kind % 7 != 0)
        record.value = (commitlog_value){.type = COMMITLOG_BLOB, .bytes = bytes, .data = payload};
    return record;
}

static void expect_record(const commitlog_record *found, uint64_t offset)
{
    commitlog_record wanted = record_of(tags[offset]);

    ck_assert_msg(found->key.type == COMMITLOG_INTEGER && found->key.integer == wanted.key.integer,
                  "offset %" PRIu64 ": tag %" PRId64 ", expected %" PRId64, offset,
                  found->key.integer, wanted.key.integer);
    ck_assert_int_eq(found->timestamp_ms, wanted.timestamp_ms);
    ck_assert_int_eq(found->value.type, wanted.value.type);
    if (wanted.value.bytes > 0) {
        ck_assert_uint_eq(found->value.bytes, wanted.value.bytes);
        ck_assert_mem_eq(found->value.data, wanted.value.data, wanted.value.bytes);
    }
}

static void expect_read(commitlog_reader *from, uint64_t offset)
{
    commitlog_found found;
    status result = commitlog_reader_get(from, offset, &found, &why);

    ck_assert_msg(result == STATUS_OK, "offset %" PRIu64 ": %s", offset, why.text);
    expect_record(&found.record, offset);
    did.reads++;
}

/* A part of what this handle may see: the transaction's records too, if it is its own. */
static void read_some(commitlog *log)
{
    uint64_t start = txn == log ? txn_start : catalog.state.log_start_offset;
    uint64_t end = txn == log ? commitlog_next_offset(log) : catalog.state.end_offset;
    uint64_t first, stop;
    commitlog_reader *from = NULL;

    fault_clear();
    if (start == end)
        return;
    first = start + draw(end - start);
    stop = first + 1 + draw(end - first);
    if (draw(3) > 0 && stop > first + 100)
        stop = first + 100;
    ck_assert_msg(commitlog_reader_open(log, first, stop, &from, &why) == STATUS_OK, "%s",
                  why.text);
    for (uint64_t i = first; i < stop; i++)
        expect_read(from, i);
    for (int i = 0; i < 5; i++)
        expect_read(from, first + draw(stop - first));
    commitlog_reader_close(from);
    if (draw(2) == 0)
        commitlog_release_mappings(log);
}

/* ---- the reader in its snapshot -------------------------------------------------------------- */

static void step_reader(void)
{
    fault_clear();
    if (reader == NULL) {
        uint64_t start = catalog.state.log_start_offset, end = catalog.state.end_offset;
        if (start == end)
            return;
        free(snapshot.rows);
        snapshot = catalog;
        snapshot.rows = malloc((catalog.row_count + 1) * sizeof *snapshot.rows);
        ck_assert_ptr_nonnull(snapshot.rows);
        if (catalog.row_count > 0)
            memcpy(snapshot.rows, catalog.rows, catalog.row_count * sizeof *snapshot.rows);
        reader_first = start + draw(end - start);
        ck_assert_msg(commitlog_reader_open(reading, reader_first, end, &reader, &why) == STATUS_OK,
                      "%s", why.text);
        return;
    }
    for (int i = 0; i < 10; i++)
        expect_read(reader, reader_first + draw(commitlog_reader_end(reader) - reader_first));
    if (draw(8) == 0) {
        commitlog_reader_close(reader);
        reader = NULL;
        commitlog_release_mappings(reading);
    }
}

/* ---- transactions ---------------------------------------------------------------------------- */

static void begin(void)
{
    commitlog *log = handles[draw(HANDLES)];

    is_durable = is_durable_run || draw(2) == 0;
    if (commitlog_begin(log, &catalog.state, is_durable, &why) != STATUS_OK) {
        ck_assert_msg(is_excused(), "%s", why.text);
        return;
    }
    txn = log;
    txn_start = catalog.state.log_start_offset;
    savepoint_count = 0;
    met_fault = false;
}

static void forget_lost(void)
{
    free(lost.rows);
    free(lost.tags);
    memset(&lost, 0, sizeof lost);
}

static void rollback(void)
{
    fault_clear();
    commitlog_rollback(txn);
    txn = NULL;
    did.rollbacks++;
}

static void append_some(void)
{
    for (uint64_t i = 0, count = 1 + draw(12); i < count; i++) {
        commitlog_record record = record_of(next_tag);
        uint64_t wanted = commitlog_next_offset(txn), offset = UINT64_MAX;
        ck_assert_uint_lt(wanted, OFFSETS_MAX);
        if (commitlog_append(txn, &record, &offset, &why) == STATUS_OK) {
            ck_assert_uint_eq(offset, wanted);
            tags[offset] = next_tag++;
            continue;
        }
        ck_assert_msg(is_excused(), "%s", why.text);
        ck_assert_uint_eq(commitlog_next_offset(txn), wanted);
        ck_assert_uint_eq(offset, UINT64_MAX);
        if (draw(2) == 0)
            rollback();
        return;
    }
}

static void step_savepoint(void)
{
    int at;

    if (savepoint_count == 0 || (savepoint_count < SAVEPOINTS_MAX && draw(3) == 0)) {
        int number = savepoint_count > 0 ? savepoints[savepoint_count - 1].number + 1 + (int)draw(2)
                                         : (int)draw(3);
        ck_assert_int_eq(commitlog_savepoint(txn, number, &why), STATUS_OK);
        savepoints[savepoint_count].number = number;
        savepoints[savepoint_count].next = commitlog_next_offset(txn);
        savepoints[savepoint_count++].start = commitlog_start_offset(txn);
        return;
    }
    at = (int)draw((uint64_t)savepoint_count);
    if (draw(3) == 0) {
        commitlog_release(txn, savepoints[at].number);
        savepoint_count = at;
        return;
    }
    commitlog_rollback_to(txn, savepoints[at].number);
    ck_assert_uint_eq(commitlog_next_offset(txn), savepoints[at].next);
    ck_assert_uint_eq(commitlog_start_offset(txn), savepoints[at].start);
    txn_start = savepoints[at].start;
    savepoint_count = at + 1;
    did.rollbacks_to++;
}

/* The tables as they are after a commit: without gaps, to the end, and with nothing unsynced. */
static void expect_tables(void)
{
    uint64_t next = catalog.row_count > 0 ? catalog.rows[0].base_offset : catalog.state.end_offset;

    ck_assert_uint_le(next, catalog.state.log_start_offset);
    for (size_t i = 0; i < catalog.row_count; i++) {
        const commitlog_segment *row = &catalog.rows[i];
        ck_assert_uint_eq(row->base_offset, next);
        next += row->record_count;
        if (is_durable_run)
            ck_assert_msg(
                !fault_is_new(memory_path(&catalog, row->name)) &&
                    fault_unsynced_position(memory_path(&catalog, row->name)) >= row->bytes,
                "%s was not synced from position %" PRIu64 " on, the end is %" PRIu64, row->name,
                fault_unsynced_position(memory_path(&catalog, row->name)), row->bytes);
    }
    ck_assert_uint_eq(next, catalog.state.end_offset);
    if (is_durable_run && catalog.row_count > 0)
        ck_assert(!fault_is_new(catalog.directory) && !fault_is_new(catalog.root));
}

static void collect(void)
{
    commitlog *log = handles[draw(HANDLES)];
    size_t gone = 0;

    commitlog_collect(log, dropped, dropped_count);
    while (gone < dropped_count && commitlog_is_collected(log, &dropped[gone]))
        gone++;
    dropped_count -= gone;
    memmove(dropped, dropped + gone, dropped_count * sizeof *dropped);
}

static void step_commit(void)
{
    commitlog_state state;
    const commitlog_segment *segments = NULL;
    size_t count = 0;
    uint64_t first = catalog.state.end_offset, fate = draw(10);

    if (commitlog_sync(txn, &state, &segments, &count, &why) != STATUS_OK) {
        ck_assert_msg(is_excused(), "%s", why.text);
        rollback();
        return;
    }
    ck_assert_uint_eq(state.end_offset, commitlog_next_offset(txn));
    ck_assert_uint_eq(state.log_start_offset, txn_start);
    if (fate < 2) { /* busy: tried again later, with more */
        did.retries++;
        return;
    }
    if (fate < 4) {
        forget_lost();
        lost.is_there = true;
        lost.state = state;
        lost.count = count;
        lost.first = first;
        lost.rows = malloc((count + 1) * sizeof *lost.rows);
        lost.tags = malloc((state.end_offset - first + 1) * sizeof *lost.tags);
        ck_assert(lost.rows != NULL && lost.tags != NULL);
        if (count > 0)
            memcpy(lost.rows, segments, count * sizeof *lost.rows);
        memcpy(lost.tags, tags + first, (state.end_offset - first) * sizeof *lost.tags);
        rollback();
        return;
    }
    forget_lost();
    memory_store(&catalog, &state, segments, count);
    commitlog_commit(txn);
    txn = NULL;
    did.commits++;
    dropped_count +=
        memory_drop_segments(&catalog, dropped + dropped_count, DROPPED_MAX - dropped_count);
    expect_tables();
    if (is_durable || draw(2) == 0)
        collect();
}

/* All processes die, and what the last commit left undecided is decided. */
static void kill_all(void)
{
    fault_clear();
    if (reader != NULL)
        commitlog_reader_close(reader);
    reader = NULL;
    fault_count_fork(); /* so that closing does not roll back */
    for (int i = 0; i < HANDLES; i++) {
        commitlog_close(handles[i]);
        handles[i] = memory_open(&catalog);
    }
    commitlog_close(reading);
    reading = memory_open(&snapshot);
    txn = NULL;
    did.kills++;
    if (lost.is_there && draw(2) == 0) {
        memcpy(tags + lost.first, lost.tags,
               (lost.state.end_offset - lost.first) * sizeof *lost.tags);
        memory_store(&catalog, &lost.state, lost.rows, lost.count);
        dropped_count +=
            memory_drop_segments(&catalog, dropped + dropped_count, DROPPED_MAX - dropped_count);
        did.returns++;
    }
    forget_lost();
    if (draw(3) == 0 && catalog.row_count > 0) {
        char name[COMMITLOG_NAME_BYTES];
        strcpy(name, catalog.rows[draw(catalog.row_count)].name);
        strcpy(strrchr(name, '.'), ".idx");
        if (truncate(memory_path(&catalog, name), (off_t)draw(200)) != 0)
            ck_assert(!memory_file_exists(&catalog, name));
    }
}

static void set_fault(void)
{
    static const fault_call calls[] = {FAULT_WRITE,          FAULT_SYNC,     FAULT_SYNC_DIRECTORY,
                                       FAULT_ALLOCATE,       FAULT_OPEN,     FAULT_READ,
                                       FAULT_RANDOM,         FAULT_TRUNCATE, FAULT_REMOVE,
                                       FAULT_OPEN_DIRECTORY, FAULT_MAP,      FAULT_POPULATE};
    fault_set_torn_bytes((size_t)draw(3000));
    fault_set(calls[draw(sizeof calls / sizeof *calls)], 1 + (unsigned)draw(3),
              draw(2) == 0 ? STATUS_IO : STATUS_NO_SPACE, draw(4) == 0);
}

static void step(void)
{
    uint64_t kind = draw(100);

    fault_set(FAULT_RANDOM, 0, STATUS_OK, false); /* none, and no hits yet */
    if (kind < 3)
        kill_all();
    else if (kind < 15)
        step_reader();
    else if (kind < 25)
        read_some(handles[draw(HANDLES)]);
    else {
        if (draw(3) == 0)
            set_fault();
        if (txn == NULL)
            begin();
        else if (kind < 60)
            append_some();
        else if (kind < 72)
            step_savepoint();
        else if (kind < 80) {
            status result = kind < 77 ? commitlog_flush(txn, &why) : commitlog_rotate(txn, &why);
            if (result != STATUS_OK) {
                ck_assert_msg(is_excused(), "%s", why.text);
                if (draw(2) == 0)
                    rollback();
            }
        } else if (kind < 83) {
            uint64_t end = commitlog_next_offset(txn);
            txn_start += draw(3) == 0 ? end - txn_start : draw((end - txn_start) / 2 + 1);
            commitlog_set_start_offset(txn, txn_start);
        } else if (kind < 87)
            rollback();
        else
            step_commit();
    }
    did.faults += fault_hits() > 0;
    met_fault = txn != NULL && is_excused();
    if (met_fault && draw(3) == 0)
        rollback();
}

static void finish(void)
{
    fault_clear();
    if (txn != NULL)
        rollback();
    if (catalog.state.end_offset > catalog.state.log_start_offset)
        for (int i = 0; i < HANDLES; i++) {
            commitlog_reader *from = NULL;
            uint64_t first = catalog.state.log_start_offset, end = catalog.state.end_offset;
            ck_assert_int_eq(commitlog_reader_open(handles[i], first, end, &from, &why), STATUS_OK);
            for (uint64_t offset = first; offset < end; offset++)
                expect_read(from, offset);
            commitlog_reader_close(from);
        }
}

static void run(void)
{
    memory_setup(&catalog, COMMITLOG_SEGMENT_BYTES_MIN << draw(4));
    snapshot = catalog;
    fault_set_boot_id(7);
    memset(&did, 0, sizeof did);
    txn = NULL;
    met_fault = false;
    dropped_count = 0;
    for (int i = 0; i < HANDLES; i++)
        handles[i] = memory_open(&catalog);
    reading = memory_open(&snapshot);
    for (int i = 0; i < STEPS; i++)
        step();
    finish();
    printf("%u commits, %u rollbacks, %u to savepoints, %u kills, %u commits came back, %u retries,"
           " %u faults, %u reads, %zu segments\n",
           did.commits, did.rollbacks, did.rollbacks_to, did.kills, did.returns, did.retries,
           did.faults, did.reads, catalog.row_count);
    ck_assert_uint_gt(did.commits, 100);
    ck_assert_uint_gt(did.rollbacks_to, 50);
    ck_assert_uint_gt(did.returns, 0);
    ck_assert_uint_gt(did.faults, 30);
    if (reader != NULL)
        commitlog_reader_close(reader);
    reader = NULL;
    for (int i = 0; i < HANDLES; i++)
        commitlog_close(handles[i]);
    commitlog_close(reading);
    forget_lost();
    free(snapshot.rows);
    memory_teardown(&catalog);
}

static void setup(void)
{
    seed = memory_seed();
    next_tag = 1;
    tags = malloc(OFFSETS_MAX * sizeof *tags);
    ck_assert_ptr_nonnull(tags);
}

static void teardown(void)
{
    free(tags);
}

START_TEST(durable_runs_agree_with_the_model)
{
    is_durable_run = true;
    for (int i = 0; i < 3; i++)
        run();
}
END_TEST

START_TEST(mixed_runs_agree_with_the_model)
{
    is_durable_run = false;
    for (int i = 0; i < 3; i++)
        run();
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("model");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, durable_runs_agree_with_the_model);
    tcase_add_test(all, mixed_runs_agree_with_the_model);
    suite_add_tcase(suite, all);
    return suite;
}
