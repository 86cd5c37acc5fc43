/*
 * Removing files: in order, under the lock, and only what the engine made.
 */
#include "check_main.h"

#include "fault_os.h"
#include "memory_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_BYTES = COMMITLOG_SEGMENT_BYTES_MIN, SEGMENTS = 6 };

static memory_catalog catalog;
static commitlog *log_handle;
static commitlog_segment rows[SEGMENTS];
static failure why;

/* A log of six segments with one record each. */
static void setup(void)
{
    memory_setup(&catalog, SEGMENT_BYTES);
    log_handle = memory_open(&catalog);
    memory_append_and_commit(&catalog, log_handle, SEGMENTS, 3000);
    ck_assert_uint_eq(catalog.row_count, SEGMENTS);
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    fault_trace_clear();
}

static void teardown(void)
{
    commitlog_close(log_handle);
    memory_teardown(&catalog);
}

/* The files of the segments [first, end) are there, and no others of segments. */
static void expect_segments(size_t first, size_t end)
{
    for (size_t i = 0; i < SEGMENTS; i++) {
        char index_name[COMMITLOG_NAME_BYTES];
        strcpy(index_name, rows[i].name);
        strcpy(strrchr(index_name, '.'), ".idx");
        ck_assert_int_eq(memory_file_exists(&catalog, rows[i].name), i >= first && i < end);
        ck_assert_int_eq(memory_file_exists(&catalog, index_name), i >= first && i < end);
        ck_assert_int_eq(commitlog_is_collected(log_handle, &rows[i]), !(i >= first && i < end));
    }
}

/* ---- segments -------------------------------------------------------------------------------- */

START_TEST(files_go_in_ascending_order)
{
    commitlog_collect(log_handle, rows, 3);
    ck_assert_str_eq(fault_trace(), "remove 00000000000000000000.log\n"
                                    "remove 00000000000000000000.idx\n"
                                    "remove 00000000000000000001.log\n"
                                    "remove 00000000000000000001.idx\n"
                                    "remove 00000000000000000002.log\n"
                                    "remove 00000000000000000002.idx\n");
    expect_segments(3, SEGMENTS);
    ck_assert_uint_eq(fault_open_files(), 0);
    memory_expect(log_handle, 3, SEGMENTS);
    commitlog_collect(log_handle, rows, 0);
    expect_segments(3, SEGMENTS);
    commitlog_collect(log_handle, rows, 4); /* what is gone already does no harm */
    expect_segments(4, SEGMENTS);
}
END_TEST

START_TEST(it_stops_at_the_first_pinned)
{
    commitlog_reader *reader = NULL;
    commitlog *other = memory_open(&catalog);

    ck_assert_int_eq(commitlog_reader_open(other, 2, 4, &reader, &why), STATUS_OK);
    commitlog_collect(log_handle, rows, SEGMENTS);
    expect_segments(2, SEGMENTS);
    commitlog_reader_close(reader);
    commitlog_collect(log_handle, rows, SEGMENTS);
    expect_segments(SEGMENTS, SEGMENTS);
    commitlog_close(other);
}
END_TEST

START_TEST(its_own_readers_count)
{
    commitlog_reader *reader = NULL;

    ck_assert_int_eq(commitlog_reader_open(log_handle, 1, 6, &reader, &why), STATUS_OK);
    commitlog_collect(log_handle, rows, SEGMENTS);
    expect_segments(1, SEGMENTS);
    commitlog_reader_close(reader);
}
END_TEST

START_TEST(a_pin_within_a_segment_keeps_it)
{
    commitlog_reader *reader = NULL;
    commitlog *other = memory_open(&catalog);

    memory_append_and_commit(&catalog, log_handle, 30, 60);
    ck_assert_uint_eq(catalog.row_count, SEGMENTS + 1);
    ck_assert_int_eq(commitlog_reader_open(other, 20, 36, &reader, &why), STATUS_OK);
    commitlog_collect(log_handle, catalog.rows, SEGMENTS + 1);
    expect_segments(SEGMENTS, SEGMENTS);
    ck_assert(memory_file_exists(&catalog, catalog.rows[SEGMENTS].name));
    commitlog_reader_close(reader);
    commitlog_close(other);
}
END_TEST

START_TEST(rows_that_nobody_wrote_remove_nothing)
{
    memory_store_bytes(&catalog, "foreign", 0, "x", 1);
    for (int kind = 0; kind < 6; kind++) {
        commitlog_segment row = rows[1];
        if (kind == 0)
            strcpy(row.name, "foreign");
        else if (kind == 1)
            strcpy(row.name, "PINS");
        else if (kind == 2)
            strcpy(row.name, "./00000000000000000001.log");
        else if (kind == 3)
            strcpy(row.name, rows[2].name);
        else if (kind == 4)
            row.record_count = 0;
        else
            strcpy(row.name, "");
        commitlog_collect(log_handle, &row, 1);
    }
    expect_segments(0, SEGMENTS);
    ck_assert(memory_file_exists(&catalog, "foreign"));
    ck_assert(memory_file_exists(&catalog, "PINS"));
    ck_assert_str_eq(fault_trace(), "");
}
END_TEST

START_TEST(what_cannot_be_removed_stays_for_later)
{
    fault_set(FAULT_REMOVE, 3, STATUS_IO, false);
    commitlog_collect(log_handle, rows, 3);
    ck_assert(memory_file_exists(&catalog, rows[1].name));
    ck_assert(memory_file_exists(&catalog, "00000000000000000001.idx"));
    commitlog_collect(log_handle, rows, 3);
    expect_segments(3, SEGMENTS);
    fault_set(FAULT_REMOVE, 2, STATUS_IO, false); /* the index */
    commitlog_collect(log_handle, rows, 4);
    commitlog_collect(log_handle, rows, 4);
    expect_segments(4, SEGMENTS);
    fault_set(FAULT_OPEN, 1, STATUS_CANT_OPEN, false);
    commitlog_collect(log_handle, rows, 5);
    expect_segments(4, SEGMENTS);
    fault_set(FAULT_LOCK, 1, STATUS_IO, false);
    commitlog_collect(log_handle, rows, 5);
    expect_segments(4, SEGMENTS);
}
END_TEST

START_TEST(a_link_in_a_segments_place_is_removed_not_followed)
{
    memory_store_bytes(&catalog, "precious", 0, "x", 1);
    ck_assert_int_eq(unlink(memory_path(&catalog, rows[0].name)), 0);
    ck_assert_int_eq(symlink("precious", memory_path(&catalog, rows[0].name)), 0);
    commitlog_collect(log_handle, rows, 1);
    expect_segments(1, SEGMENTS);
    ck_assert_uint_eq(memory_file_bytes(&catalog, "precious"), 1);
}
END_TEST

START_TEST(without_a_directory_all_is_collected)
{
    commitlog *other;

    catalog.uuid[0] ^= 1;
    other = memory_open(&catalog);
    ck_assert(commitlog_is_collected(other, &rows[0]));
    commitlog_collect(other, rows, SEGMENTS);
    commitlog_mark_dropped(other, true);
    commitlog_destroy(other);
    commitlog_close(other);
    expect_segments(0, SEGMENTS);
}
END_TEST

START_TEST(what_cannot_be_told_is_not_collected)
{
    fault_set(FAULT_OPEN_DIRECTORY, 1, STATUS_CANT_OPEN, false);
    ck_assert(!commitlog_is_collected(log_handle, &rows[0]));
    ck_assert_uint_eq(fault_hits(), 1);
}
END_TEST

/* "read_only: write nothing" */
START_TEST(a_read_only_handle_removes_nothing)
{
    commitlog *other = memory_open_read_only(&catalog);

    commitlog_collect(other, rows, SEGMENTS);
    expect_segments(0, SEGMENTS);
    commitlog_mark_dropped(other, true);
    ck_assert(!memory_file_exists(&catalog, "DROPPED"));
    commitlog_destroy(other);
    expect_segments(0, SEGMENTS);
    commitlog_close(other);
}
END_TEST

/* ---- dropped logs ---------------------------------------------------------------------------- */

START_TEST(destroy_leaves_nothing)
{
    /* Leftovers of killed writers go, too. */
    memory_store_bytes(&catalog, "00000000000000000099.log", 0, "x", 1);
    memory_store_bytes(&catalog, "00000000000000000099-0123456789abcdef.idx", 0, "x", 1);
    commitlog_mark_dropped(log_handle, true);
    commitlog_destroy(log_handle);
    ck_assert_int_ne(access(catalog.directory, F_OK), 0);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    ck_assert_int_eq(access(catalog.parent, F_OK), 0);
    commitlog_destroy(log_handle);
}
END_TEST

START_TEST(destroy_leaves_foreign_files)
{
    static const char *const foreign[] = {"notes.txt", "0.log", "00000000000000000000.log.bak",
                                          "00000000000000000000.LOG"};

    for (size_t i = 0; i < 4; i++)
        memory_store_bytes(&catalog, foreign[i], 0, "x", 1);
    ck_assert_int_eq(mkdir(memory_path(&catalog, "00000000000000000042.log"), 0700), 0);
    commitlog_destroy(log_handle);
    for (size_t i = 0; i < 4; i++)
        ck_assert(memory_file_exists(&catalog, foreign[i]));
    ck_assert(memory_file_exists(&catalog, "00000000000000000042.log"));
    ck_assert_uint_eq(memory_file_count(&catalog), 5);
}
END_TEST

START_TEST(destroy_leaves_another_logs_directory)
{
    char path[2 * MEMORY_PATH_BYTES];

    snprintf(path, sizeof path, "%s/other", catalog.root);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    commitlog_destroy(log_handle);
    ck_assert_int_ne(access(catalog.directory, F_OK), 0);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(destroy_waits_for_readers)
{
    commitlog_reader *reader = NULL;
    commitlog *other = memory_open(&catalog);

    ck_assert_int_eq(commitlog_reader_open(other, 5, 6, &reader, &why), STATUS_OK);
    commitlog_destroy(log_handle);
    expect_segments(0, SEGMENTS);
    commitlog_reader_close(reader);
    commitlog_close(other);
    commitlog_destroy(log_handle);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
}
END_TEST

typedef struct {
    unsigned count;
    uint8_t uuid[COMMITLOG_UUID_BYTES];
} visited;

static void visit(void *context, const uint8_t *uuid)
{
    visited *seen = context;
    seen->count++;
    memcpy(seen->uuid, uuid, sizeof seen->uuid);
}

static visited list_dropped(void)
{
    visited seen = {0};
    commitlog_list_dropped(&fault_os, catalog.root, visit, &seen);
    return seen;
}

START_TEST(marked_directories_are_listed)
{
    static const char *const hostile[] = {
        "00112233-4455-6677-8899-AABBCCDDEEFF", "00112233445566778899aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeef",  "00112233-4455-6677-8899-aabbccddeeff0",
        "00112233+4455-6677-8899-aabbccddeeff", "g0112233-4455-6677-8899-aabbccddeeff",
    };
    visited seen;

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        char path[2 * MEMORY_PATH_BYTES];
        snprintf(path, sizeof path, "%s/%s", catalog.root, hostile[i]);
        ck_assert_int_eq(mkdir(path, 0700), 0);
        strcat(path, "/DROPPED");
        ck_assert_int_eq(mkdir(path, 0700), 0);
    }
    ck_assert_uint_eq(list_dropped().count, 0);
    commitlog_mark_dropped(log_handle, true);
    commitlog_mark_dropped(log_handle, true);
    seen = list_dropped();
    ck_assert_uint_eq(seen.count, 1);
    ck_assert_mem_eq(seen.uuid, catalog.uuid, sizeof seen.uuid);
    commitlog_mark_dropped(log_handle, false);
    commitlog_mark_dropped(log_handle, false);
    ck_assert_uint_eq(list_dropped().count, 0);
    memory_expect(log_handle, 0, SEGMENTS);
    strcat(catalog.root, "-missing");
    ck_assert_uint_eq(list_dropped().count, 0);
    ck_assert_uint_eq(fault_open_files(), 1); /* the file of pins */
}
END_TEST

/* ---- temporary roots ------------------------------------------------------------------------- */

/* A log in a temporary root, with one record, made and removed. */
static void expect_temporary_root_works(void)
{
    char root[MEMORY_PATH_BYTES];
    memory_catalog temporary = catalog;

    ck_assert_msg(commitlog_make_temporary_root(root, sizeof root, &why) == STATUS_OK, "%s",
                  why.text);
    strcpy(temporary.root, root);
    temporary.rows = NULL;
    temporary.row_count = temporary.row_capacity = 0;
    memset(&temporary.state, 0, sizeof temporary.state);
    commitlog *log = memory_open(&temporary);
    memory_append_and_commit(&temporary, log, 5, 60);
    memory_expect(log, 0, 5);
    commitlog_close(log);
    commitlog_remove_temporary_root(root);
    ck_assert_int_ne(access(root, F_OK), 0);
    free(temporary.rows);
}

START_TEST(a_temporary_root_goes_with_its_logs)
{
    setenv("TMPDIR", catalog.parent, 1);
    expect_temporary_root_works();
}
END_TEST

START_TEST(a_temporary_root_behind_a_link)
{
    char path[2 * MEMORY_PATH_BYTES];

    snprintf(path, sizeof path, "%s/real", catalog.parent);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/link", catalog.parent);
    ck_assert_int_eq(symlink("real", path), 0);
    setenv("TMPDIR", path, 1);
    expect_temporary_root_works();
}
END_TEST

START_TEST(a_temporary_root_with_foreign_files_stays)
{
    char root[MEMORY_PATH_BYTES], path[2 * MEMORY_PATH_BYTES];

    setenv("TMPDIR", catalog.parent, 1);
    ck_assert_int_eq(commitlog_make_temporary_root(root, sizeof root, &why), STATUS_OK);
    snprintf(path, sizeof path, "%s/precious", root);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    commitlog_remove_temporary_root(root);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(the_directory_of_a_file_is_synced)
{
    char path[2 * MEMORY_PATH_BYTES];

    snprintf(path, sizeof path, "%s/file", catalog.parent);
    ck_assert_int_eq(commitlog_sync_directory_of(path, &why), STATUS_OK);
    ck_assert_int_eq(commitlog_sync_directory_of("file", &why), STATUS_OK);
    ck_assert_int_eq(commitlog_sync_directory_of("/file", &why), STATUS_OK);
    snprintf(path, sizeof path, "%s/no/file", catalog.parent);
    ck_assert_int_eq(commitlog_sync_directory_of(path, &why), STATUS_NOT_FOUND);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("collector");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, files_go_in_ascending_order);
    tcase_add_test(all, it_stops_at_the_first_pinned);
    tcase_add_test(all, its_own_readers_count);
    tcase_add_test(all, a_pin_within_a_segment_keeps_it);
    tcase_add_test(all, rows_that_nobody_wrote_remove_nothing);
    tcase_add_test(all, what_cannot_be_removed_stays_for_later);
    tcase_add_test(all, a_link_in_a_segments_place_is_removed_not_followed);
    tcase_add_test(all, without_a_directory_all_is_collected);
    tcase_add_test(all, what_cannot_be_told_is_not_collected);
    tcase_add_test(all, a_read_only_handle_removes_nothing);
    tcase_add_test(all, destroy_leaves_nothing);
    tcase_add_test(all, destroy_leaves_foreign_files);
    tcase_add_test(all, destroy_leaves_another_logs_directory);
    tcase_add_test(all, destroy_waits_for_readers);
    tcase_add_test(all, marked_directories_are_listed);
    tcase_add_test(all, a_temporary_root_goes_with_its_logs);
    tcase_add_test(all, a_temporary_root_behind_a_link);
    tcase_add_test(all, a_temporary_root_with_foreign_files_stays);
    tcase_add_test(all, the_directory_of_a_file_is_synced);
    suite_add_tcase(suite, all);
    return suite;
}
