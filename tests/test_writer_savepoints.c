/*
 * The transaction when something is taken back: savepoints, rollback, and a commit that did not
 * come about and is tried again.
 */
#include "writer_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- savepoints ------------------------------------------------------------------------------ */

START_TEST(a_rollback_cuts_the_staging)
{
    begin_at(3);
    append(2);
    savepoint(0);
    append(2);
    savepoint(1);
    append(2);
    commitlog_rollback_to(log_handle, 1);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 7);
    append(1);
    commitlog_rollback_to(log_handle, 1);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 7);
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 5);
    append(3);
    memory_commit_and_expect(&catalog, &log_handle, 8);
    ck_assert_uint_eq(catalog.row_count, 1);
}
END_TEST

START_TEST(release_and_set_again)
{
    begin_at(3);
    savepoint(0);
    append(1);
    savepoint(0); /* set: nothing changes */
    savepoint(1);
    append(1);
    savepoint(2);
    commitlog_release(log_handle, 1); /* and those above */
    append(1);
    savepoint(1);
    append(1);
    commitlog_rollback_to(log_handle, 1);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 6);
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 3);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 4);
}
END_TEST

START_TEST(an_unknown_savepoint_is_the_beginning)
{
    static const int numbers[] = {-1, 0, 5};

    for (size_t i = 0; i < 3; i++) {
        for (int flushed = 0; flushed < 2; flushed++) {
            uint64_t begin = catalog.state.end_offset;
            memory_begin(&catalog, log_handle);
            append(3);
            if (flushed)
                flush();
            append(1);
            commitlog_rollback_to(log_handle, numbers[i]);
            ck_assert_uint_eq(commitlog_next_offset(log_handle), begin);
            append(2);
            memory_commit(&catalog, log_handle);
            memory_expect(log_handle, 0, begin + 2);
        }
    }
}
END_TEST

/* Savepoints below the unknown one go back to the beginning, too: there is nothing before it. */
START_TEST(savepoints_below_an_unknown_one)
{
    for (int flushed = 0; flushed < 2; flushed++) {
        uint64_t begin = catalog.state.end_offset;
        memory_begin(&catalog, log_handle);
        append(3);
        savepoint(1);
        append(3);
        if (flushed)
            flush();
        commitlog_rollback_to(log_handle, 3);
        ck_assert_uint_eq(commitlog_next_offset(log_handle), begin);
        commitlog_rollback_to(log_handle, 1);
        ck_assert_uint_eq(commitlog_next_offset(log_handle), begin);
        append(2);
        memory_commit(&catalog, log_handle);
        memory_expect(log_handle, 0, begin + 2);
    }
}
END_TEST

START_TEST(the_start_offset_goes_back_too)
{
    begin_at(10);
    commitlog_set_start_offset(log_handle, 3);
    savepoint(0);
    commitlog_set_start_offset(log_handle, 7);
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(commitlog_start_offset(log_handle), 3);
    commitlog_rollback_to(log_handle, -1);
    ck_assert_uint_eq(commitlog_start_offset(log_handle), 0);
    memory_commit_and_expect(&catalog, &log_handle, 10);
    ck_assert_uint_eq(catalog.state.log_start_offset, 0);
}
END_TEST

/* Below what was written: a new file, and what is kept of the old one is synced. */
START_TEST(a_rollback_below_what_was_written_takes_a_new_file)
{
    for (unsigned before = 0; before <= 5; before += 5) {
        size_t size_before, size_after;
        uint8_t *bytes_before, *bytes_after;
        size_t rows;
        uint64_t begin;
        char name[COMMITLOG_NAME_BYTES];
        begin_at(before);
        rows = catalog.row_count;
        begin = commitlog_next_offset(log_handle);
        append(2);
        savepoint(0);
        append(3);
        flush();
        size_t count;
        strcpy(name, commitlog_touched(log_handle, &count)[0].name);
        bytes_before = memory_load(&catalog, name, &size_before);
        commitlog_rollback_to(log_handle, 0);
        ck_assert_uint_eq(commitlog_next_offset(log_handle), begin + 2);
        memory_expect(log_handle, 0, begin + 2);
        append(4);
        memory_expect(log_handle, 0, begin + 6);
        bytes_after = memory_load(&catalog, name, &size_after);
        ck_assert_uint_le(size_before, size_after);
        ck_assert_mem_eq(bytes_before, bytes_after, size_before);
        free(bytes_before);
        free(bytes_after);
        memory_commit_and_expect(&catalog, &log_handle, begin + 6);
        ck_assert_uint_eq(catalog.row_count, rows + (rows == 0 ? 2 : 1));
        ck_assert_uint_eq(catalog.rows[catalog.row_count - 1].base_offset, begin + 2);
    }
}
END_TEST

START_TEST(a_rollback_to_where_writing_stood)
{
    begin_at(0);
    append(1);
    savepoint(1);
    flush();
    commitlog_rollback_to(log_handle, 1);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 2);
    ck_assert_uint_eq(catalog.row_count, 1);
    /* The same, the staging written because it was full. */
    memory_begin(&catalog, log_handle);
    memory_append(log_handle, 200000);
    savepoint(1);
    memory_append(log_handle, 200000);
    commitlog_rollback_to(log_handle, 1);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 4);
}
END_TEST

START_TEST(a_rollback_over_several_segments)
{
    begin_at(3);
    append(5);
    savepoint(0);
    append(70);
    savepoint(1);
    append(150);
    flush();
    append(20);
    ck_assert_uint_gt((commitlog_touched(log_handle, &segment_count), segment_count), 4);
    commitlog_rollback_to(log_handle, 1);
    memory_expect(log_handle, 0, 78);
    append(1);
    flush();
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(commitlog_next_offset(log_handle), 8);
    append(100);
    memory_commit_and_expect(&catalog, &log_handle, 108);
    /* Files that no row names are gone after the commit. */
    ck_assert_uint_eq(memory_file_count(&catalog), 2 * catalog.row_count + 1);
}
END_TEST

START_TEST(a_rollback_of_everything_that_was_written)
{
    begin_at(0);
    savepoint(0);
    append(100);
    flush();
    commitlog_rollback_to(log_handle, 0);
    memory_commit(&catalog, log_handle);
    ck_assert_uint_eq(catalog.row_count, 0);
    ck_assert_uint_eq(catalog.state.end_offset, 0);
    ck_assert_uint_eq(memory_file_count(&catalog), 1);
    begin_at(2);
    savepoint(0);
    append(1);
    flush();
    commitlog_rollback_to(log_handle, 0);
    memory_commit_and_expect(&catalog, &log_handle, 2);
    memory_append_and_commit(&catalog, log_handle, 1, 60);
    memory_expect(log_handle, 0, 3);
}
END_TEST

START_TEST(rotate_is_taken_back_with_its_savepoint)
{
    begin_at(2);
    savepoint(0);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
    commitlog_rollback_to(log_handle, 0);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 3);
    ck_assert_uint_eq(catalog.row_count, 1);
}
END_TEST

/* ---- rollback and retry ---------------------------------------------------------------------- */

START_TEST(a_rollback_forgets_and_removes_new_files)
{
    begin_at(0);
    append(200);
    flush();
    ck_assert_uint_gt(memory_file_count(&catalog), 4);
    commitlog_rollback(log_handle);
    ck_assert(!commitlog_in_transaction(log_handle));
    ck_assert_uint_eq(memory_file_count(&catalog), 1);
    ck_assert(memory_file_exists(&catalog, "PINS"));
    begin_at(5);
    append(100);
    flush();
    commitlog_rollback(log_handle);
    ck_assert_uint_eq(memory_file_count(&catalog), 3);
    memory_expect(log_handle, 0, 5);
    begin_at(3);
    memory_commit_and_expect(&catalog, &log_handle, 8);
}
END_TEST

START_TEST(closing_the_handle_rolls_back)
{
    begin_at(0);
    append(200);
    flush();
    commitlog_close(log_handle);
    ck_assert_uint_eq(memory_file_count(&catalog), 1);
    log_handle = memory_open(&catalog);
}
END_TEST

/* Its commit may come back: SQLite said no, and the next process finds it done. */
START_TEST(a_rollback_after_a_sync_keeps_the_files)
{
    begin_at(0);
    append(100);
    ck_assert_int_eq(sync_now(), STATUS_OK);
    memory_store(&catalog, &state, segments, segment_count);
    append(100); /* and these had no sync: their new files go */
    flush();
    commitlog_rollback(log_handle);
    ck_assert_uint_eq(memory_file_count(&catalog), 2 * catalog.row_count + 1);
    memory_expect(log_handle, 0, 100);
    memory_begin(&catalog, log_handle);
    append(3);
    memory_commit_and_expect(&catalog, &log_handle, 103);
}
END_TEST

START_TEST(a_rollback_after_a_sync_writes_elsewhere)
{
    commitlog_state lost;

    begin_at(3);
    append(4);
    ck_assert_int_eq(sync_now(), STATUS_OK);
    lost = state;
    commitlog_rollback(log_handle);
    memory_begin(&catalog, log_handle);
    append(2);
    ck_assert_int_eq(sync_now(), STATUS_OK);
    ck_assert_uint_ne(state.active.nonce, lost.active.nonce);
    commitlog_rollback(log_handle);
    /* The first came back after all. */
    catalog.state = lost;
    catalog.rows[0] = lost.active;
    memory_expect(log_handle, 0, 7);
    memory_begin(&catalog, log_handle);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 8);
}
END_TEST

START_TEST(a_busy_commit_is_tried_again_with_more)
{
    begin_at(3);
    append(2);
    ck_assert_int_eq(sync_now(), STATUS_OK);
    ck_assert_uint_eq(state.end_offset, 5);
    unsigned syncs = fault_count(FAULT_SYNC);
    ck_assert_int_eq(sync_now(), STATUS_OK); /* nothing new: no sync, the same answer */
    ck_assert_uint_eq(fault_count(FAULT_SYNC), syncs);
    ck_assert_uint_eq(state.end_offset, 5);
    ck_assert_uint_eq(segment_count, 1);
    append(100);
    savepoint(2);
    append(1);
    ck_assert_int_eq(sync_now(), STATUS_OK);
    ck_assert_uint_eq(state.end_offset, 106);
    commitlog_rollback_to(log_handle, 2);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 106);
}
END_TEST

/* Nothing is left, so the target is closed; then the commit is busy, and there is a flush. */
START_TEST(a_busy_commit_of_an_empty_log_is_tried_again)
{
    for (int durable = 0; durable < 2; durable++) {
        if (durable)
            memory_begin(&catalog, log_handle);
        else
            memory_begin_unsynced(&catalog, log_handle);
        append(3);
        commitlog_set_start_offset(log_handle, commitlog_next_offset(log_handle));
        ck_assert_int_eq(sync_now(), STATUS_OK);
        flush();
        ck_assert_int_eq(sync_now(), STATUS_OK);
        append(2);
        memory_commit(&catalog, log_handle);
        uint64_t end = catalog.state.end_offset;
        ck_assert_uint_eq(catalog.state.log_start_offset, end - 2);
        memory_expect(log_handle, end - 2, end);
        const commitlog_segment *last = &catalog.rows[catalog.row_count - 1];
        ck_assert_uint_ge(fault_unsynced_position(memory_path(&catalog, last->name)), last->bytes);
    }
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("writer_savepoints");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, writer_setup, writer_teardown);
    tcase_add_test(all, a_rollback_cuts_the_staging);
    tcase_add_test(all, release_and_set_again);
    tcase_add_test(all, an_unknown_savepoint_is_the_beginning);
    tcase_add_test(all, savepoints_below_an_unknown_one);
    tcase_add_test(all, the_start_offset_goes_back_too);
    tcase_add_test(all, a_rollback_below_what_was_written_takes_a_new_file);
    tcase_add_test(all, a_rollback_to_where_writing_stood);
    tcase_add_test(all, a_rollback_over_several_segments);
    tcase_add_test(all, a_rollback_of_everything_that_was_written);
    tcase_add_test(all, rotate_is_taken_back_with_its_savepoint);
    tcase_add_test(all, a_rollback_forgets_and_removes_new_files);
    tcase_add_test(all, closing_the_handle_rolls_back);
    tcase_add_test(all, a_rollback_after_a_sync_keeps_the_files);
    tcase_add_test(all, a_rollback_after_a_sync_writes_elsewhere);
    tcase_add_test(all, a_busy_commit_is_tried_again_with_more);
    tcase_add_test(all, a_busy_commit_of_an_empty_log_is_tried_again);
    suite_add_tcase(suite, all);
    return suite;
}
