/*
 * The transaction when something fails: full disks, failed syncs, and what a child or a read-only
 * handle may not do.
 */
#include "writer_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- faults ---------------------------------------------------------------------------------- */

START_TEST(a_failed_sync_stays_failed_until_rollback)
{
    begin_at(3);
    append(2);
    fault_set(FAULT_SYNC, 1, STATUS_IO, false);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    ck_assert_str_eq(why.text, "00000000000000000000.log: made to fail: input/output error");
    unsigned syncs = fault_count(FAULT_SYNC);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    ck_assert_str_eq(why.text, "00000000000000000000.log: made to fail: input/output error");
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_IO);
    ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_IO);
    commitlog_record record = memory_record(5, 10);
    uint64_t offset = 77;
    ck_assert_int_eq(commitlog_append(log_handle, &record, &offset, &why), STATUS_IO);
    ck_assert_uint_eq(offset, 77);
    savepoint(0);
    commitlog_rollback_to(log_handle, -1);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    ck_assert_uint_eq(fault_count(FAULT_SYNC), syncs);
    commitlog_rollback(log_handle);
    memory_begin(&catalog, log_handle);
    append(2);
    memory_commit_and_expect(&catalog, &log_handle, 5);
}
END_TEST

START_TEST(a_failed_sync_of_a_directory_stays_failed)
{
    for (unsigned nth = 1; nth <= 3; nth++) {
        memory_begin(&catalog, log_handle);
        ck_assert_int_eq(commitlog_rotate(log_handle, &why), STATUS_OK);
        append(2);
        fault_set(FAULT_SYNC_DIRECTORY, nth, STATUS_IO, false);
        ck_assert_int_eq(sync_now(), STATUS_IO);
        ck_assert_int_eq(sync_now(), STATUS_IO);
        unsigned files = memory_file_count(&catalog);
        commitlog_rollback(log_handle);
        ck_assert_uint_eq(memory_file_count(&catalog), files - 2);
    }
    begin_at(2);
    append(2);
    memory_commit_and_expect(&catalog, &log_handle, 4);
}
END_TEST

START_TEST(a_failed_sync_on_the_way_fails_the_transaction)
{
    begin_at(0);
    append(200); /* several segments: the first is synced when it is left */
    fault_set(FAULT_SYNC, 1, STATUS_IO, false);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_IO);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    commitlog_rollback(log_handle);
    ck_assert_uint_eq(memory_file_count(&catalog), 1);
    memory_begin(&catalog, log_handle);
    append(200);
    memory_commit_and_expect(&catalog, &log_handle, 200);
}
END_TEST

/* What is kept of an abandoned file must be synced there and then; if that fails, so does all. */
START_TEST(a_failed_sync_of_what_a_rollback_keeps)
{
    begin_at(3);
    append(2);
    savepoint(0);
    append(2);
    flush();
    fault_set(FAULT_SYNC, 1, STATUS_IO, false);
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(fault_hits(), 1);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    commitlog_rollback(log_handle);
    memory_begin(&catalog, log_handle);
    append(1);
    memory_commit_and_expect(&catalog, &log_handle, 4);
}
END_TEST

/* The staging is full, the disk too: that record is refused, and those before it stay. */
START_TEST(a_full_disk_while_appending)
{
    static const size_t torn[] = {0, 1, 4, 8, 100, 5000};

    for (size_t i = 0; i < 6; i++) {
        uint64_t begin = catalog.state.end_offset, offset = 0;
        unsigned appended = 0;
        status result = STATUS_OK;
        begin_at(0);
        fault_set_torn_bytes(torn[i]);
        fault_set(FAULT_WRITE, 1 + (unsigned)i % 3, STATUS_NO_SPACE, false);
        for (; result == STATUS_OK && appended < 1000; appended++) {
            commitlog_record record = memory_record(begin + appended, 1000);
            result = commitlog_append(log_handle, &record, &offset, &why);
        }
        ck_assert_int_eq(result, STATUS_NO_SPACE);
        ck_assert_str_eq(strchr(why.text, ':'), ": made to fail: disk full");
        appended--;
        ck_assert_uint_eq(commitlog_next_offset(log_handle), begin + appended);
        memory_expect(log_handle, 0, begin + appended);
        append(1);
        memory_commit_and_expect(&catalog, &log_handle, begin + appended + 1);
    }
}
END_TEST

START_TEST(a_full_disk_at_the_sync)
{
    static const fault_call calls[] = {FAULT_WRITE,  FAULT_ALLOCATE,       FAULT_OPEN,
                                       FAULT_RANDOM, FAULT_OPEN_DIRECTORY, FAULT_READ};
    unsigned failures = 0;

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (unsigned nth = 1; nth < 60; nth++) {
            uint64_t begin = catalog.state.end_offset;
            fault_set_torn_bytes(nth * 13 % 50);
            memory_begin(&catalog, log_handle);
            append(80);
            fault_set(calls[i], nth, STATUS_NO_SPACE, true);
            status result = sync_now();
            fault_clear();
            commitlog_rollback(log_handle);
            if (fault_hits() == 0) {
                ck_assert_int_eq(result, STATUS_OK);
                break;
            }
            ck_assert_int_eq(result, STATUS_NO_SPACE);
            failures++;
            memory_begin(&catalog, log_handle);
            append(1);
            memory_commit_and_expect(&catalog, &log_handle, begin + 1);
        }
    }
    ck_assert_uint_gt(failures, 15);
}
END_TEST

START_TEST(after_a_failed_write_the_sync_does_not_lie)
{
    for (unsigned nth = 1; nth <= 8; nth++) {
        uint64_t begin = catalog.state.end_offset;
        memory_begin(&catalog, log_handle);
        append(80);
        fault_set_torn_bytes(20);
        fault_set(FAULT_WRITE, nth, STATUS_NO_SPACE, false);
        ck_assert_int_eq(sync_now(), STATUS_NO_SPACE);
        /* Not rolled back, as it must be: whatever it says now must be true. */
        if (sync_now() == STATUS_OK)
            memory_commit_and_expect(&catalog, &log_handle, begin + 80);
        else
            commitlog_rollback(log_handle);
    }
}
END_TEST

START_TEST(a_failed_beginning_begins_nothing)
{
    begin_at(2);
    commitlog_rollback(log_handle);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    fault_set(FAULT_OPEN_DIRECTORY, 1, STATUS_IO, false);
    ck_assert_int_eq(commitlog_begin(log_handle, &catalog.state, true, &why), STATUS_IO);
    ck_assert(!commitlog_in_transaction(log_handle));
    begin_at(1);
    memory_commit_and_expect(&catalog, &log_handle, 3);
}
END_TEST

START_TEST(outputs_are_untouched_on_failure)
{
    begin_at(3);
    append(1);
    memset(&state, 0x55, sizeof state);
    segments = NULL;
    segment_count = 77;
    commitlog_state before = state;
    fault_set(FAULT_SYNC, 1, STATUS_IO, false);
    ck_assert_int_eq(sync_now(), STATUS_IO);
    ck_assert_mem_eq(&state, &before, sizeof state);
    ck_assert_ptr_null(segments);
    ck_assert_uint_eq(segment_count, 77);
    commitlog_rollback(log_handle);
}
END_TEST

/* ---- fork and read-only ---------------------------------------------------------------------- */

/* "After fork() the child must not use a handle: calls answer STATUS_MISUSE." */
START_TEST(a_child_is_refused)
{
    commitlog_record record;
    uint64_t offset;
    int code = -1;

    begin_at(3);
    append(2);
    flush();
    record = memory_record(5, 10);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (commitlog_check_process(log_handle, &why) != STATUS_MISUSE)
            _exit(1);
        if (strcmp(why.text, "this connection was opened before fork(): a child process needs its "
                             "own") != 0)
            _exit(2);
        commitlog_rollback(log_handle); /* does not remove the parent's files */
        if (commitlog_append(log_handle, &record, &offset, &why) != STATUS_MISUSE)
            _exit(3);
        if (sync_now() != STATUS_MISUSE)
            _exit(4);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    memory_commit_and_expect(&catalog, &log_handle, 5);
    ck_assert_int_eq(WEXITSTATUS(code), 0);
}
END_TEST

START_TEST(closing_in_a_child_removes_nothing)
{
    int code = -1;

    begin_at(0);
    append(100);
    flush();
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        commitlog_close(log_handle);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);
    memory_commit_and_expect(&catalog, &log_handle, 100);
}
END_TEST

/* "read_only: write nothing" */
START_TEST(a_read_only_handle_writes_nothing)
{
    commitlog *reader = memory_open_read_only(&catalog);

    status result = commitlog_begin(reader, &catalog.state, true, &why);
    if (result == STATUS_OK) {
        commitlog_record record = memory_record(0, 10);
        uint64_t offset;
        result = commitlog_append(reader, &record, &offset, &why);
    }
    if (result == STATUS_OK)
        result = commitlog_sync(reader, &state, &segments, &segment_count, &why);
    ck_assert_int_eq(result, STATUS_READ_ONLY);
    commitlog_close(reader);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    ck_assert_str_eq(fault_trace(), "");
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("writer_failures");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, writer_setup, writer_teardown);
    tcase_add_test(all, a_failed_sync_stays_failed_until_rollback);
    tcase_add_test(all, a_failed_sync_of_a_directory_stays_failed);
    tcase_add_test(all, a_failed_sync_on_the_way_fails_the_transaction);
    tcase_add_test(all, a_failed_sync_of_what_a_rollback_keeps);
    tcase_add_test(all, a_full_disk_while_appending);
    tcase_add_test(all, a_full_disk_at_the_sync);
    tcase_add_test(all, after_a_failed_write_the_sync_does_not_lie);
    tcase_add_test(all, a_failed_beginning_begins_nothing);
    tcase_add_test(all, outputs_are_untouched_on_failure);
    tcase_add_test(all, a_child_is_refused);
    tcase_add_test(all, closing_in_a_child_removes_nothing);
    tcase_add_test(all, a_read_only_handle_writes_nothing);
    suite_add_tcase(suite, all);
    return suite;
}
