/*
 * The transaction when nothing fails: staging, flush, rotation, where records go, what is synced
 * in which order, and what the tables are told. Savepoints and failures have suites of their own.
 */
#include "check_main.h"

#include "fault_os.h"
#include "format.h"
#include "memory_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_BYTES = COMMITLOG_SEGMENT_BYTES_MIN, STAGING_BYTES = 256 << 10 };

static const char first_name[] = "00000000000000000000.log";

static memory_catalog catalog;
static commitlog *log_handle;
static failure why;

static void setup(void)
{
    memory_setup(&catalog, SEGMENT_BYTES);
    log_handle = memory_open(&catalog);
}

static void teardown(void)
{
    commitlog_close(log_handle);
    memory_teardown(&catalog);
}

static void expect_trace(const char *expected)
{
    const char *at = fault_trace();
    char line[MEMORY_PATH_BYTES * 2], text[8192] = "";

    /* Directories by their role, indexes and the file of pins left out. */
    while (sscanf(at, "%1023[^\n]", line) == 1) {
        at += strlen(line) + 1;
        if (strstr(line, ".idx") != NULL || strstr(line, "PINS") != NULL)
            continue;
        char *path = strchr(line, '/');
        if (path != NULL && strcmp(path, catalog.directory) == 0)
            strcpy(path, "log");
        else if (path != NULL && strcmp(path, catalog.root) == 0)
            strcpy(path, "root");
        else if (path != NULL && strcmp(path, catalog.parent) == 0)
            strcpy(path, "parent");
        ck_assert_uint_lt(strlen(text) + strlen(line) + 2, sizeof text);
        strcat(strcat(text, line), "\n");
    }
    ck_assert_str_eq(text, expected);
    fault_trace_clear();
}

/* ---- staging --------------------------------------------------------------------------------- */

START_TEST(records_are_staged_until_the_sync)
{
    commitlog_state state;
    const commitlog_segment *segments;
    size_t count = 7;

    memory_begin(&catalog, log_handle);
    ck_assert(commitlog_in_transaction(log_handle));
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_uint_eq(commitlog_next_offset(log_handle), i);
        ck_assert_uint_eq(memory_append(log_handle, 30), i);
    }
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    commitlog_touched(log_handle, &count);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(commitlog_sync(log_handle, &state, &segments, &count, &why), STATUS_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(segments[0].name, first_name);
    ck_assert_uint_eq(segments[0].record_count, 20);
    ck_assert_uint_eq(segments[0].base_offset, 0);
    ck_assert_int_eq(segments[0].min_timestamp_ms, 1000);
    ck_assert_int_eq(segments[0].max_timestamp_ms, 1019);
    ck_assert_uint_eq(state.end_offset, 20);
    ck_assert_uint_eq(state.log_start_offset, 0);
    ck_assert(state.has_active && !state.unsynced);
    ck_assert_mem_eq(&state.active, &segments[0], sizeof state.active);
    memory_store(&catalog, &state, segments, count);
    commitlog_commit(log_handle);
    ck_assert(!commitlog_in_transaction(log_handle));
    memory_expect(log_handle, 0, 20);
}
END_TEST

START_TEST(a_full_staging_is_written)
{
    size_t count = 0;
    unsigned appended = 0;

    catalog.options.segment_bytes = 16 << 20;
    commitlog_set_options(log_handle, &catalog.options);
    memory_begin(&catalog, log_handle);
    for (; count == 0 && appended < 1000; appended++) {
        memory_append(log_handle, 1000);
        commitlog_touched(log_handle, &count);
    }
    ck_assert_uint_ge(appended, STAGING_BYTES / 1100);
    ck_assert_uint_le(appended, STAGING_BYTES / 1000 + 2);
    ck_assert_uint_eq(fault_count(FAULT_SYNC), 0);
    memory_expect(log_handle, 0, appended);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.row_count, 1);
    memory_expect(log_handle, 0, appended);
}
END_TEST

START_TEST(flush_writes_and_does_not_sync)
{
    size_t count = 0;

    memory_begin(&catalog, log_handle);
    memory_append(log_handle, 30);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    commitlog_touched(log_handle, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(fault_count(FAULT_SYNC), 0);
    memory_append(log_handle, 30);
    memory_expect(log_handle, 0, 2);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(fault_count(FAULT_SYNC), 1);
    memory_expect(log_handle, 0, 2);
}
END_TEST

START_TEST(an_empty_transaction_touches_nothing)
{
    commitlog_state before;

    memory_begin(&catalog, log_handle);
    memory_commit(&catalog, log_handle);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    ck_assert(!catalog.state.has_active);
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    before = catalog.state;
    fault_trace_clear();
    memory_begin(&catalog, log_handle);
    memory_commit(&catalog, log_handle);
    expect_trace("");
    ck_assert_mem_eq(&catalog.state, &before, sizeof before);
    commitlog_commit(log_handle);
    commitlog_rollback(log_handle);
}
END_TEST

START_TEST(too_big_stages_nothing)
{
    commitlog_record record = memory_record(0, 100);
    uint64_t offset = 77;

    catalog.options.max_message_bytes = 107;
    commitlog_set_options(log_handle, &catalog.options);
    memory_begin(&catalog, log_handle);
    ck_assert_int_eq(commitlog_append(log_handle, &record, &offset, &why), STATUS_OK);
    record.key = (commitlog_value){.type = COMMITLOG_TEXT, .bytes = 8, .data = "12345678"};
    ck_assert_int_eq(commitlog_append(log_handle, &record, &offset, &why), STATUS_TOO_BIG);
    ck_assert_str_eq(why.text, "record of 108 bytes (key, value and headers together) is larger "
                               "than max_message_bytes, 107");
    ck_assert_uint_eq(offset, 0);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 1);
    record.key.bytes = 7;
    ck_assert_int_eq(commitlog_append(log_handle, &record, &offset, &why), STATUS_OK);
    ck_assert_uint_eq(offset, 1);
    commitlog_rollback(log_handle);
}
END_TEST

/* ---- order ----------------------------------------------------------------------------------- */

START_TEST(a_new_file_is_written_then_synced_then_all_three_directories)
{
    memory_append_and_commit(&catalog, log_handle, 2, 30);
    expect_trace("create 00000000000000000000.log\n"
                 "write 00000000000000000000.log 0 64\n"
                 "write 00000000000000000000.log 64 144\n"
                 "sync 00000000000000000000.log\n"
                 "sync-directory log\n"
                 "sync-directory root\n"
                 "sync-directory parent\n");
    ck_assert_uint_eq(catalog.state.active.bytes, 64 + 144);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    expect_trace("write 00000000000000000000.log 208 72\n"
                 "sync 00000000000000000000.log\n");
}
END_TEST

START_TEST(a_full_segment_is_synced_before_the_next_is_made)
{
    memory_begin(&catalog, log_handle);
    for (int i = 0; i < 3; i++)
        memory_append(log_handle, 2400 - i);
    memory_commit(&catalog, log_handle);
    expect_trace("create 00000000000000000000.log\n"
                 "write 00000000000000000000.log 0 64\n"
                 "write 00000000000000000000.log 64 2440\n"
                 "sync 00000000000000000000.log\n"
                 "truncate 00000000000000000000.log 2504\n"
                 "create 00000000000000000001.log\n"
                 "write 00000000000000000001.log 0 64\n"
                 "write 00000000000000000001.log 64 2440\n"
                 "sync 00000000000000000001.log\n"
                 "truncate 00000000000000000001.log 2504\n"
                 "create 00000000000000000002.log\n"
                 "write 00000000000000000002.log 0 64\n"
                 "write 00000000000000000002.log 64 2440\n"
                 "sync 00000000000000000002.log\n"
                 "sync-directory log\n"
                 "sync-directory root\n"
                 "sync-directory parent\n");
}
END_TEST

START_TEST(directories_are_synced_though_another_made_them)
{
    /* As a writer leaves it that was killed after it made them. */
    ck_assert_int_eq(mkdir(catalog.root, 0700), 0);
    ck_assert_int_eq(mkdir(catalog.directory, 0700), 0);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(fault_count(FAULT_SYNC_DIRECTORY), 3);
    ck_assert(!fault_is_new(catalog.directory));
    ck_assert(!fault_is_new(catalog.root));
}
END_TEST

START_TEST(a_directory_reached_through_a_link_is_synced)
{
    char link_path[MEMORY_PATH_BYTES + 16];
    commitlog *log;

    commitlog_close(log_handle);
    snprintf(link_path, sizeof link_path, "%s-link", catalog.parent);
    ck_assert_int_eq(symlink(catalog.parent, link_path), 0);
    snprintf(catalog.root, sizeof catalog.root, "%.480s/log.db-commitlog", link_path);
    log = memory_open(&catalog);
    memory_begin(&catalog, log);
    memory_append(log, 30);
    why.text[0] = '\0';
    commitlog_state state;
    const commitlog_segment *segments;
    size_t count;
    status result = commitlog_sync(log, &state, &segments, &count, &why);
    commitlog_close(log);
    unlink(link_path);
    log_handle = NULL;
    ck_assert_msg(result == STATUS_OK, "%s", why.text);
}
END_TEST

/* ---- rotation -------------------------------------------------------------------------------- */

START_TEST(a_segment_is_filled_to_the_last_byte)
{
    /* 64 + 4032 = 4096: two records that just fit, and one that does not. */
    memory_begin(&catalog, log_handle);
    memory_append(log_handle, 2016 - 40);
    memory_append(log_handle, 2016 - 40);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.row_count, 2);
    ck_assert_uint_eq(catalog.rows[0].bytes, SEGMENT_BYTES);
    ck_assert_uint_eq(catalog.rows[0].record_count, 2);
    ck_assert_uint_eq(memory_file_bytes(&catalog, first_name), SEGMENT_BYTES);
    memory_expect(log_handle, 0, 3);
}
END_TEST

START_TEST(the_last_byte_may_come_later)
{
    memory_append_and_commit(&catalog, log_handle, 1, 2016 - 40);
    memory_append_and_commit(&catalog, log_handle, 1, 2016 - 40);
    ck_assert_uint_eq(catalog.row_count, 1);
    ck_assert_uint_eq(catalog.rows[0].bytes, SEGMENT_BYTES);
    memory_append_and_commit(&catalog, log_handle, 1, 0);
    ck_assert_uint_eq(catalog.row_count, 2);
    memory_expect(log_handle, 0, 3);
}
END_TEST

START_TEST(segments_follow_each_other_without_gaps)
{
    uint64_t next = 0;

    for (unsigned i = 0; i < 30; i++)
        memory_append_and_commit(&catalog, log_handle, 1 + i * 7 % 50, 20 + i * 31 % 700);
    ck_assert_uint_gt(catalog.row_count, 10);
    for (size_t i = 0; i < catalog.row_count; i++) {
        const commitlog_segment *row = &catalog.rows[i];
        ck_assert_uint_eq(row->base_offset, next);
        ck_assert_uint_le(row->bytes, SEGMENT_BYTES);
        ck_assert_uint_gt(row->record_count, 0);
        ck_assert_int_eq(row->min_timestamp_ms, (int64_t)(1000 + next));
        next += row->record_count;
        ck_assert_int_eq(row->max_timestamp_ms, (int64_t)(999 + next));
        ck_assert_uint_ge(fault_unsynced_position(memory_path(&catalog, row->name)), row->bytes);
        for (size_t j = 0; j < i; j++)
            ck_assert_uint_ne(row->nonce, catalog.rows[j].nonce);
    }
    ck_assert_uint_eq(next, catalog.state.end_offset);
    memory_expect(log_handle, 0, next);
}
END_TEST

START_TEST(a_record_larger_than_a_segment_has_its_own)
{
    memory_begin(&catalog, log_handle);
    memory_append(log_handle, 30);
    memory_append(log_handle, 100000);
    memory_append(log_handle, 30);
    memory_append(log_handle, 3 << 20); /* larger than the staging, too */
    memory_append(log_handle, 30);
    memory_expect(log_handle, 0, 5);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.row_count, 5);
    ck_assert_uint_eq(catalog.rows[3].record_count, 1);
    ck_assert_uint_gt(catalog.rows[3].bytes, 3 << 20);
    memory_expect(log_handle, 0, 5);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 5);
    memory_expect(log_handle, 0, 6);
}
END_TEST

START_TEST(a_segment_is_rotated_at_its_age)
{
    catalog.options.segment_ms = 1000;
    commitlog_set_options(log_handle, &catalog.options);
    fault_set_now_ms(1000000);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_int_eq(catalog.rows[0].created_ms, 1000000);
    fault_set_now_ms(1000999);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 1);
    fault_set_now_ms(1001000);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 2);
    ck_assert_int_eq(catalog.rows[1].created_ms, 1001000);
    /* A clock that goes back ages nothing. */
    fault_set_now_ms(5000);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 2);
    memory_expect(log_handle, 0, 4);
}
END_TEST

START_TEST(rotate_starts_a_new_segment)
{
    memory_begin(&catalog, log_handle);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK); /* nothing to rotate */
    memory_append(log_handle, 30);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.row_count, 2);
    memory_begin(&catalog, log_handle);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
    memory_commit(&catalog, log_handle);
    ck_assert(!catalog.state.has_active);
    ck_assert_uint_eq(catalog.row_count, 2);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 3);
    ck_assert_uint_eq(memory_file_bytes(&catalog, first_name), catalog.rows[0].bytes);
    memory_expect(log_handle, 0, 3);
}
END_TEST

START_TEST(a_trim_to_the_end_leaves_no_active_segment)
{
    memory_append_and_commit(&catalog, log_handle, 5, 30);
    memory_begin(&catalog, log_handle);
    ck_assert_uint_eq(commitlog_start_offset(log_handle), 0);
    commitlog_set_start_offset(log_handle, 5);
    ck_assert_uint_eq(commitlog_start_offset(log_handle), 5);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.state.log_start_offset, 5);
    ck_assert_uint_eq(catalog.state.end_offset, 5);
    ck_assert(!catalog.state.has_active);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.state.active.base_offset, 5);
    memory_begin(&catalog, log_handle);
    commitlog_set_start_offset(log_handle, 6);
    commitlog_rollback(log_handle);
    memory_begin(&catalog, log_handle);
    ck_assert_uint_eq(commitlog_start_offset(log_handle), 5);
    commitlog_rollback(log_handle);
}
END_TEST

/* ---- the tail check and names ---------------------------------------------------------------- */

/* What stands after the end forces a new file and stays as it is, whoever has the target open. */
START_TEST(what_stands_after_the_end_is_never_overwritten)
{
    for (int kept_open = 0; kept_open < 2; kept_open++) {
        static const char leftover[] = "leftover of a transaction that may come back";
        char name[COMMITLOG_NAME_BYTES];
        size_t size, rows = catalog.row_count;
        uint64_t end;
        uint8_t *bytes;
        memory_append_and_commit(&catalog, log_handle, 3, 30);
        rows = catalog.row_count;
        end = catalog.state.active.bytes;
        strcpy(name, catalog.state.active.name);
        memory_store_bytes(&catalog, name, end, leftover, sizeof leftover);
        if (!kept_open) {
            commitlog_close(log_handle);
            log_handle = memory_open(&catalog);
        }
        memory_append_and_commit(&catalog, log_handle, 3, 30);
        ck_assert_uint_eq(catalog.row_count, rows + 1);
        ck_assert_uint_eq(catalog.rows[rows - 1].bytes, end);
        bytes = memory_load(&catalog, name, &size);
        ck_assert_uint_ge(size, end + sizeof leftover);
        ck_assert_mem_eq(bytes + end, leftover, sizeof leftover);
        free(bytes);
    }
    memory_expect(log_handle, 0, 12);
}
END_TEST

/* Another handle wrote there, synced, and was not heard of again: its commit may come back. */
START_TEST(rotate_does_not_cut_what_another_left)
{
    commitlog *other = memory_open(&catalog);
    commitlog_state state;
    const commitlog_segment *segments;
    uint8_t *before, *after;
    size_t count, size, size_after;

    memory_append_and_commit(&catalog, log_handle, 3, 30);
    memory_begin(&catalog, other);
    memory_append(other, 30);
    ck_assert_int_eq(commitlog_sync(other, &state, &segments, &count, &why), STATUS_OK);
    ck_assert_uint_eq(state.active.base_offset, 0);
    before = memory_load(&catalog, first_name, &size);
    commitlog_close(other);
    memory_begin(&catalog, log_handle);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
    commitlog_rollback(log_handle);
    after = memory_load(&catalog, first_name, &size_after);
    ck_assert_uint_ge(size_after, state.active.bytes);
    ck_assert_mem_eq(after, before, (size_t)state.active.bytes);
    free(before);
    free(after);
    memory_store(&catalog, &state, segments, 0);
}
END_TEST

START_TEST(a_taken_name_gets_the_nonce)
{
    ck_assert_int_eq(mkdir(catalog.root, 0700), 0);
    ck_assert_int_eq(mkdir(catalog.directory, 0700), 0);
    memory_store_bytes(&catalog, first_name, 0, "leftover", 8);
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    ck_assert_uint_eq(strlen(catalog.rows[0].name), 20 + 1 + 16 + 4);
    ck_assert_uint_eq(memory_file_bytes(&catalog, first_name), 8);
    memory_expect(log_handle, 0, 3);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    ck_assert_uint_eq(catalog.row_count, 1);
    memory_expect(log_handle, 0, 6);
}
END_TEST

START_TEST(a_missing_or_damaged_segment_is_not_extended)
{
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    commitlog_close(log_handle);
    memory_flip_bit(&catalog, first_name, 50);
    log_handle = memory_open(&catalog);
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    ck_assert_uint_eq(catalog.row_count, 2);
    commitlog_close(log_handle);
    ck_assert_int_eq(unlink(memory_path(&catalog, catalog.rows[1].name)), 0);
    log_handle = memory_open(&catalog);
    memory_append_and_commit(&catalog, log_handle, 3, 30);
    ck_assert_uint_eq(catalog.row_count, 3);
    memory_expect(log_handle, 6, 9);
    ck_assert_ptr_nonnull(
        strstr(memory_read_fails(log_handle, 4, STATUS_TRIMMED), "offset 4: segment "));
    memory_read_fails(log_handle, 1, STATUS_DAMAGED);
}
END_TEST

START_TEST(a_log_that_is_lost_is_not_begun_anew)
{
    commitlog *other;

    memory_append_and_commit(&catalog, log_handle, 3, 30);
    ck_assert_int_eq(rename(catalog.root, memory_path(&catalog, "../../moved")), 0);
    other = memory_open(&catalog);
    ck_assert_int_eq(commitlog_begin(other, &catalog.state, true, &why), STATUS_NO_LOG);
    ck_assert_ptr_nonnull(strstr(why.text, catalog.directory));
    ck_assert_ptr_nonnull(strstr(why.text, " is missing: move or copy it along with the database"));
    ck_assert(!commitlog_in_transaction(other));
    ck_assert_int_eq(commitlog_find(other, &why), STATUS_NO_LOG);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    memory_read_fails(other, 1, STATUS_NO_LOG);
    commitlog_close(other);
}
END_TEST

/* ---- not durable ----------------------------------------------------------------------------- */

START_TEST(without_sync_the_anchor_has_the_boot_id)
{
    uint8_t seven[COMMITLOG_BOOT_ID_BYTES];

    memset(seven, 7, sizeof seven);
    fault_set_boot_id(7);
    memory_begin_unsynced(&catalog, log_handle);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(fault_count(FAULT_SYNC) + fault_count(FAULT_SYNC_DIRECTORY), 0);
    ck_assert(catalog.state.unsynced);
    ck_assert_mem_eq(catalog.state.boot_id, seven, sizeof seven);
    /* A transaction without records keeps it. */
    memory_begin(&catalog, log_handle);
    memory_commit(&catalog, log_handle);
    ck_assert(catalog.state.unsynced);
    ck_assert_mem_eq(catalog.state.boot_id, seven, sizeof seven);
    /* One that syncs the file takes it away, and syncs the directories that were left out. */
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 1);
    ck_assert(!catalog.state.unsynced);
    ck_assert_uint_eq(fault_unsynced_position(memory_path(&catalog, first_name)), UINT64_MAX);
    ck_assert_uint_eq(fault_count(FAULT_SYNC_DIRECTORY), 3);
}
END_TEST

START_TEST(after_another_boot_a_new_file_is_taken)
{
    fault_set_boot_id(7);
    memory_begin_unsynced(&catalog, log_handle);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    fault_set_boot_id(8);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 2);
    memory_expect(log_handle, 0, 2);
    /* But a segment that was synced is extended after any boot. */
    fault_set_boot_id(9);
    memory_append_and_commit(&catalog, log_handle, 1, 30);
    ck_assert_uint_eq(catalog.row_count, 2);
}
END_TEST

START_TEST(without_a_boot_id_everything_is_synced)
{
    fault_set_boot_id(0);
    memory_begin_unsynced(&catalog, log_handle);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(fault_count(FAULT_SYNC), 1);
    ck_assert_uint_eq(fault_count(FAULT_SYNC_DIRECTORY), 3);
    ck_assert(!catalog.state.unsynced);
}
END_TEST

START_TEST(flush_lets_an_unsynced_transaction_sync)
{
    memory_begin_unsynced(&catalog, log_handle);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    memory_begin_unsynced(&catalog, log_handle);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    memory_commit(&catalog, log_handle);
    ck_assert(!catalog.state.unsynced);
    ck_assert_uint_eq(fault_unsynced_position(memory_path(&catalog, first_name)), UINT64_MAX);
    ck_assert(!fault_is_new(catalog.directory));
    memory_begin_unsynced(&catalog, log_handle);
    memory_append(log_handle, 30);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    memory_append(log_handle, 30);
    memory_commit(&catalog, log_handle);
    ck_assert(!catalog.state.unsynced);
    ck_assert_uint_eq(fault_unsynced_position(memory_path(&catalog, first_name)), UINT64_MAX);
}
END_TEST

/* Records that were spilled before the command, in segments that were left since. */
START_TEST(flush_syncs_all_that_the_transaction_wrote)
{
    memory_begin_unsynced(&catalog, log_handle);
    for (unsigned bytes = 0; bytes < STAGING_BYTES + 8192; bytes += 1000)
        memory_append(log_handle, 1000);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_gt(catalog.row_count, 10);
    ck_assert(!catalog.state.unsynced);
    for (size_t i = 0; i < catalog.row_count; i++)
        ck_assert_msg(fault_unsynced_position(memory_path(&catalog, catalog.rows[i].name)) ==
                          UINT64_MAX,
                      "%s has no sync, and the anchor says all is synced", catalog.rows[i].name);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("writer");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, records_are_staged_until_the_sync);
    tcase_add_test(all, a_full_staging_is_written);
    tcase_add_test(all, flush_writes_and_does_not_sync);
    tcase_add_test(all, an_empty_transaction_touches_nothing);
    tcase_add_test(all, too_big_stages_nothing);
    tcase_add_test(all, a_new_file_is_written_then_synced_then_all_three_directories);
    tcase_add_test(all, a_full_segment_is_synced_before_the_next_is_made);
    tcase_add_test(all, directories_are_synced_though_another_made_them);
    tcase_add_test(all, a_directory_reached_through_a_link_is_synced);
    tcase_add_test(all, a_segment_is_filled_to_the_last_byte);
    tcase_add_test(all, the_last_byte_may_come_later);
    tcase_add_test(all, segments_follow_each_other_without_gaps);
    tcase_add_test(all, a_record_larger_than_a_segment_has_its_own);
    tcase_add_test(all, a_segment_is_rotated_at_its_age);
    tcase_add_test(all, rotate_starts_a_new_segment);
    tcase_add_test(all, a_trim_to_the_end_leaves_no_active_segment);
    tcase_add_test(all, what_stands_after_the_end_is_never_overwritten);
    tcase_add_test(all, rotate_does_not_cut_what_another_left);
    tcase_add_test(all, a_taken_name_gets_the_nonce);
    tcase_add_test(all, a_missing_or_damaged_segment_is_not_extended);
    tcase_add_test(all, a_log_that_is_lost_is_not_begun_anew);
    tcase_add_test(all, without_sync_the_anchor_has_the_boot_id);
    tcase_add_test(all, after_another_boot_a_new_file_is_taken);
    tcase_add_test(all, without_a_boot_id_everything_is_synced);
    tcase_add_test(all, flush_lets_an_unsynced_transaction_sync);
    tcase_add_test(all, flush_syncs_all_that_the_transaction_wrote);
    suite_add_tcase(suite, all);
    return suite;
}
