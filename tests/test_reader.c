/*
 * Readers: any order over segments and staging, what a snapshot keeps seeing, how many files and
 * mappings that takes, and what they say about tables and files that do not fit.
 */
#include "check_main.h"

#include "fault_os.h"
#include "format.h"
#include "memory_catalog.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEGMENT_BYTES = COMMITLOG_SEGMENT_BYTES_MIN };

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

static commitlog_reader *open_reader(commitlog *log, uint64_t first, uint64_t end)
{
    commitlog_reader *reader = NULL;
    why.text[0] = '\0';
    ck_assert_msg(commitlog_reader_open(log, first, end, &reader, &why) == STATUS_OK, "%s",
                  why.text);
    return reader;
}

static commitlog_found get(commitlog_reader *reader, uint64_t offset)
{
    commitlog_found found;
    why.text[0] = '\0';
    ck_assert_msg(commitlog_reader_get(reader, offset, &found, &why) == STATUS_OK,
                  "offset %" PRIu64 ": %s", offset, why.text);
    ck_assert_msg(memory_is_record(&found.record, offset), "offset %" PRIu64, offset);
    return found;
}

/* `count` segments of one record each. */
static void append_segments(unsigned count)
{
    memory_append_and_commit(&catalog, log_handle, count, 3000);
    ck_assert_uint_eq(catalog.row_count, count);
}

/* Trim all before `offset`, and remove the files as another connection would. */
static void trim_and_collect(uint64_t offset)
{
    commitlog *other = memory_open(&catalog);
    commitlog_segment *dropped = malloc(catalog.row_count * sizeof *dropped);

    memory_begin(&catalog, other);
    commitlog_set_start_offset(other, offset);
    memory_commit(&catalog, other);
    size_t count = memory_drop_segments(&catalog, dropped, catalog.row_count);
    commitlog_collect(other, dropped, count);
    commitlog_close(other);
    free(dropped);
}

/* ---- finding --------------------------------------------------------------------------------- */

START_TEST(forward_backward_and_at_random)
{
    uint64_t seed = memory_seed(), end = 500;

    memory_begin(&catalog, log_handle);
    for (uint64_t i = 0; i < end; i++)
        memory_append(log_handle, (uint32_t)memory_random(&seed, 600));
    memory_commit(&catalog, log_handle);
    for (int reopened = 0; reopened < 2; reopened++) {
        commitlog_reader *reader = open_reader(log_handle, 0, end);
        ck_assert_uint_eq(commitlog_reader_end(reader), end);
        for (uint64_t offset = 0; offset < end; offset++)
            get(reader, offset);
        for (uint64_t offset = end; offset-- > 0;)
            get(reader, offset);
        for (int i = 0; i < 2000; i++)
            get(reader, memory_random(&seed, end));
        commitlog_reader_close(reader);
        commitlog_close(log_handle);
        log_handle = memory_open(&catalog);
    }
}
END_TEST

START_TEST(a_found_record_says_where_it_stands)
{
    size_t size;
    uint64_t position = 64;

    memory_append_and_commit(&catalog, log_handle, 60, 200);
    commitlog_reader *reader = open_reader(log_handle, 0, 60);
    for (uint64_t offset = 0; offset < 60; offset++) {
        commitlog_found found = get(reader, offset);
        commitlog_segment row;
        ck_assert(found.in_segment);
        ck_assert_int_eq(commitlog_reader_segment(reader, offset, &row, &why), STATUS_OK);
        ck_assert_uint_eq(found.base_offset, row.base_offset);
        if (offset == row.base_offset)
            position = 64;
        ck_assert_uint_eq(found.position, position);
        uint8_t *bytes = memory_load(&catalog, row.name, &size);
        ck_assert(record_verify(bytes + position, found.record_bytes, row.nonce, offset));
        free(bytes);
        position += found.record_bytes;
    }
    ck_assert_uint_gt(catalog.row_count, 2);
    commitlog_reader_close(reader);
}
END_TEST

START_TEST(staged_and_written_records_are_one_range)
{
    commitlog_segment row;

    memory_append_and_commit(&catalog, log_handle, 30, 200);
    memory_begin(&catalog, log_handle);
    for (int i = 0; i < 30; i++)
        memory_append(log_handle, 200);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    for (int i = 0; i < 30; i++)
        memory_append(log_handle, 200);
    commitlog_reader *reader = open_reader(log_handle, 0, 90);
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < 90; i++) {
            uint64_t offset = round == 0 ? i : 89 - i;
            commitlog_found found = get(reader, offset);
            ck_assert_int_eq(found.in_segment, offset < 60);
            ck_assert_int_eq(commitlog_reader_segment(reader, offset, &row, &why),
                             offset < 60 ? STATUS_OK : STATUS_NOT_FOUND);
            if (offset >= 60)
                ck_assert(!found.is_stable);
        }
    /* What was staged when the reader came is written meanwhile. */
    memory_commit(&catalog, log_handle);
    for (uint64_t offset = 90; offset-- > 0;)
        ck_assert(get(reader, offset).in_segment);
    commitlog_reader_close(reader);
}
END_TEST

START_TEST(readers_of_one_segment_with_older_and_newer_ends)
{
    catalog.options.segment_bytes = 1 << 20;
    commitlog_set_options(log_handle, &catalog.options);
    memory_append_and_commit(&catalog, log_handle, 80, 1000);
    commitlog_reader *older = open_reader(log_handle, 0, 80);
    get(older, 0);
    memory_append_and_commit(&catalog, log_handle, 20, 1000);
    commitlog_reader *newer = open_reader(log_handle, 0, 100);
    get(newer, 99);
    for (uint64_t offset = 0; offset < 80; offset++)
        get(older, offset);
    for (uint64_t offset = 0; offset < 100; offset++)
        get(newer, offset);
    commitlog_reader_close(older);
    commitlog_reader_close(newer);
}
END_TEST

START_TEST(an_empty_range_needs_no_log)
{
    commitlog_reader *reader = open_reader(log_handle, 0, 0);

    ck_assert_uint_eq(commitlog_reader_end(reader), 0);
    commitlog_reader_close(reader);
    memory_read_fails(log_handle, 0, STATUS_NO_LOG);
    ck_assert_uint_eq(fault_count(FAULT_LOCK), 0);
}
END_TEST

START_TEST(a_reader_is_cut_by_rollback)
{
    memory_append_and_commit(&catalog, log_handle, 10, 60);
    memory_begin(&catalog, log_handle);
    for (int i = 0; i < 10; i++)
        memory_append(log_handle, 60);
    ck_assert_int_eq(commitlog_savepoint(log_handle, 0, &why), STATUS_OK);
    for (int i = 0; i < 10; i++)
        memory_append(log_handle, 60);
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
    commitlog_reader *own = open_reader(log_handle, 0, 30), *old = open_reader(log_handle, 0, 10);
    get(own, 29);
    commitlog_rollback_to(log_handle, 0);
    ck_assert_uint_eq(commitlog_reader_end(own), 20);
    ck_assert_uint_eq(commitlog_reader_end(old), 10);
    for (uint64_t offset = 0; offset < 20; offset++)
        get(own, offset);
    for (int i = 0; i < 10; i++) /* others at the same offsets */
        memory_append(log_handle, 70);
    ck_assert_uint_eq(commitlog_reader_end(own), 20);
    memory_expect(log_handle, 0, 30);
    commitlog_rollback(log_handle);
    ck_assert_uint_eq(commitlog_reader_end(own), 10);
    ck_assert_uint_eq(commitlog_reader_end(old), 10);
    for (uint64_t offset = 0; offset < 10; offset++)
        get(own, offset);
    commitlog_reader_close(own);
    commitlog_reader_close(old);
    memory_append_and_commit(&catalog, log_handle, 5, 80);
    memory_expect(log_handle, 0, 15);
}
END_TEST

START_TEST(another_handle_reads_on_as_the_log_grows)
{
    commitlog *other = memory_open(&catalog);

    for (unsigned round = 0; round < 40; round++) {
        memory_append_and_commit(&catalog, log_handle, 7, 150);
        memory_expect(other, round * 7 - (round > 0), (round + 1) * 7);
    }
    memory_expect(other, 0, 280);
    commitlog_close(other);
}
END_TEST

START_TEST(a_scan_goes_on_behind_a_damaged_record)
{
    memory_append_and_commit(&catalog, log_handle, 60, 200);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    commitlog_reader *reader = open_reader(log_handle, 0, 60);
    uint64_t position = get(reader, 25).position;
    commitlog_segment row;
    ck_assert_int_eq(commitlog_reader_segment(reader, 25, &row, &why), STATUS_OK);
    commitlog_reader_close(reader);
    commitlog_close(log_handle);
    memory_flip_bit(&catalog, row.name, position + 50);
    log_handle = memory_open(&catalog);
    reader = open_reader(log_handle, 0, 60);
    for (uint64_t offset = 0; offset < 60; offset++) {
        commitlog_found found = {.position = 77};
        if (offset != 25) {
            get(reader, offset);
            continue;
        }
        ck_assert_int_eq(commitlog_reader_get(reader, offset, &found, &why), STATUS_DAMAGED);
        ck_assert_uint_eq(found.position, 77);
        ck_assert_ptr_nonnull(strstr(why.text, "offset 25 in segment "));
        ck_assert_ptr_nonnull(strstr(why.text, row.name));
    }
    commitlog_reader_close(reader);
}
END_TEST

/* ---- pins ------------------------------------------------------------------------------------ */

START_TEST(a_reader_keeps_its_segments)
{
    append_segments(10);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    memory_catalog before = catalog; /* the snapshot that the reader is in */
    commitlog_segment rows[10];
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog_reader *reader = open_reader(log_handle, 4, 10);
    trim_and_collect(8);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(memory_file_exists(&catalog, rows[i].name), i >= 4);
    commitlog_segment *now = catalog.rows;
    size_t now_count = catalog.row_count;
    catalog.rows = rows;
    catalog.row_count = before.row_count;
    for (uint64_t offset = 4; offset < 10; offset++)
        get(reader, offset);
    commitlog_reader_close(reader);
    catalog.rows = now;
    catalog.row_count = now_count;
    /* Nobody reads any longer. */
    commitlog_collect(log_handle, rows, 8);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(memory_file_exists(&catalog, rows[i].name), i >= 8);
}
END_TEST

START_TEST(a_lower_reader_lowers_the_pin)
{
    commitlog_segment rows[10];

    append_segments(10);
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    commitlog_reader *high = open_reader(log_handle, 8, 10), *low = open_reader(log_handle, 2, 10);
    commitlog_reader_close(high);
    commitlog_collect(log_handle, rows, 10);
    for (size_t i = 0; i < 10; i++)
        ck_assert_int_eq(memory_file_exists(&catalog, rows[i].name), i >= 2);
    for (uint64_t offset = 2; offset < 10; offset++)
        get(low, offset);
    commitlog_reader_close(low);
}
END_TEST

/* A cursor on the own transaction's records, still open when it has committed; in a new log, and
 * with a part of them written already or not. */
START_TEST(a_reader_of_staged_records_keeps_their_segments)
{
    for (int flushed = 0; flushed < 2; flushed++) {
        commitlog_segment rows[6];
        memory_begin(&catalog, log_handle);
        for (int i = 0; i < 6; i++)
            memory_append(log_handle, 3000);
        commitlog_reader *reader = open_reader(log_handle, 0, 6);
        if (flushed)
            ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
        get(reader, 0);
        memory_commit(&catalog, log_handle);
        memcpy(rows, catalog.rows, sizeof rows);
        commitlog *other = memory_open(&catalog);
        commitlog_collect(other, rows, 6);
        commitlog_close(other);
        for (uint64_t offset = 0; offset < 6; offset++)
            get(reader, offset);
        commitlog_reader_close(reader);
        teardown();
        setup();
    }
}
END_TEST

START_TEST(a_mapped_segment_is_read_after_its_removal)
{
    commitlog_segment rows[3];

    append_segments(3);
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog_reader *reader = open_reader(log_handle, 0, 1);
    get(reader, 0);
    commitlog_reader_close(reader);
    reader = open_reader(log_handle, 0, 1); /* in one mapped segment */
    commitlog *other = memory_open(&catalog);
    commitlog_collect(other, rows, 1);
    commitlog_close(other);
    get(reader, 0);
    commitlog_reader_close(reader);
}
END_TEST

START_TEST(a_late_reader_is_told_about_retention)
{
    commitlog_segment rows[3];

    append_segments(3);
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog *other = memory_open(&catalog);
    commitlog_collect(log_handle, rows, 1);
    ck_assert_ptr_nonnull(
        strstr(memory_read_fails(other, 0, STATUS_TRIMMED), "offset 0: segment "));
    /* While it is being removed. */
    os_directory *directory = NULL;
    os_file *pins = NULL;
    ck_assert_int_eq(
        os_posix.open_directory(catalog.directory, OS_DIRECTORY_OPEN, NULL, &directory, &why),
        STATUS_OK);
    ck_assert_int_eq(os_posix.open(directory, "PINS", OS_WRITE, &pins, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(pins, OS_EXCLUSIVE, 1, 1, &why), STATUS_OK);
    ck_assert_str_eq(memory_read_fails(other, 1, STATUS_TRIMMED),
                     "offset 1 is being removed: it was trimmed by retention after this snapshot "
                     "of the database began");
    memory_expect(other, 2, 3);
    os_posix.close(pins);
    os_posix.close_directory(directory);
    memory_expect(other, 1, 3);
    commitlog_close(other);
}
END_TEST

/* The child's copy of the reader shares the parent's lock. */
START_TEST(a_child_that_closes_a_reader_keeps_the_parents_pin)
{
    commitlog_segment rows[6];
    int code = -1;

    append_segments(6);
    memcpy(rows, catalog.rows, sizeof rows);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    commitlog_reader *reader = open_reader(log_handle, 0, 6);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        commitlog_close(log_handle);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);
    commitlog *other = memory_open(&catalog);
    commitlog_collect(other, rows, 6);
    commitlog_close(other);
    for (uint64_t offset = 0; offset < 6; offset++)
        get(reader, offset);
    commitlog_reader_close(reader);
}
END_TEST

/* ---- read-only ------------------------------------------------------------------------------- */

START_TEST(a_read_only_handle_writes_nothing)
{
    append_segments(3);
    commitlog_close(log_handle);
    ck_assert_int_eq(unlink(memory_path(&catalog, "PINS")), 0);
    ck_assert_int_eq(unlink(memory_path(&catalog, "00000000000000000001.idx")), 0);
    ck_assert_int_eq(truncate(memory_path(&catalog, "00000000000000000002.idx"), 10), 0);
    log_handle = memory_open_read_only(&catalog);
    fault_trace_clear();
    commitlog_reader *reader = open_reader(log_handle, 0, 3);
    for (uint64_t offset = 3; offset-- > 0;)
        get(reader, offset);
    commitlog_reader_close(reader);
    ck_assert_str_eq(fault_trace(), "");
    ck_assert(!memory_file_exists(&catalog, "PINS"));
    ck_assert_uint_eq(memory_file_count(&catalog), 5);
}
END_TEST

START_TEST(pins_that_cannot_be_made_do_not_stop_a_reader)
{
    append_segments(3);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    ck_assert_int_eq(unlink(memory_path(&catalog, "PINS")), 0);
    fault_set(FAULT_OPEN, 2, STATUS_READ_ONLY,
              false); /* the first finds none, this would make it */
    memory_expect(log_handle, 0, 3);
    ck_assert_uint_eq(fault_hits(), 1);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    memory_expect(log_handle, 0, 3);
    ck_assert(memory_file_exists(&catalog, "PINS"));
}
END_TEST

START_TEST(errors_on_the_way_leave_nothing_open)
{
    static const fault_call calls[] = {FAULT_OPEN_DIRECTORY, FAULT_OPEN, FAULT_LOCK, FAULT_MAP,
                                       FAULT_POPULATE};

    append_segments(3);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        commitlog_close(log_handle);
        log_handle = memory_open(&catalog);
        fault_set(calls[i], 1, STATUS_IO, false);
        const char *text = memory_read_fails(log_handle, 1, STATUS_IO);
        ck_assert_ptr_nonnull(strstr(text, "made to fail: input/output error"));
        ck_assert_uint_eq(fault_open_mappings(), 0);
        memory_expect(log_handle, 0, 3);
    }
}
END_TEST

/* ---- how many -------------------------------------------------------------------------------- */

START_TEST(many_segments_take_few_files_and_mappings)
{
    enum { SEGMENTS = 300 };

    append_segments(SEGMENTS);
    ck_assert_uint_le(fault_open_files(), 4);
    for (int round = 0; round < 3; round++) {
        commitlog_reader *reader = open_reader(log_handle, 0, SEGMENTS);
        for (uint64_t i = 0; i < SEGMENTS; i++) {
            get(reader, i * 7 % SEGMENTS);
            ck_assert_uint_le(fault_open_files(), 4);
            commitlog_release_mappings(log_handle);
        }
        commitlog_reader_close(reader);
        commitlog_release_mappings(log_handle);
        ck_assert(!commitlog_holds_mappings(log_handle));
        ck_assert_uint_le(fault_open_mappings(), 80);
    }
}
END_TEST

/* The caller keeps pointers to all it has found. */
START_TEST(stable_bytes_stay_and_mappings_have_a_limit)
{
    enum { SEGMENTS = 1300 };
    static commitlog_record kept[SEGMENTS];
    unsigned stable = 0;

    append_segments(SEGMENTS);
    commitlog_reader *reader = open_reader(log_handle, 0, SEGMENTS);
    for (uint64_t offset = 0; offset < SEGMENTS; offset++) {
        commitlog_found found = get(reader, offset);
        kept[offset].value.type = COMMITLOG_NULL;
        if (found.is_stable) {
            kept[offset] = found.record;
            stable++;
        }
    }
    ck_assert(commitlog_holds_mappings(log_handle));
    for (uint64_t offset = 0; offset < SEGMENTS; offset++)
        if (kept[offset].value.type != COMMITLOG_NULL)
            ck_assert(memory_is_record(&kept[offset], offset));
    ck_assert_uint_ge(stable, 1000);
    ck_assert_uint_lt(stable, 1100);
    ck_assert_uint_lt(fault_open_mappings(), 2 * 1100);
    commitlog_reader_close(reader);
    commitlog_release_mappings(log_handle);
    ck_assert(!commitlog_holds_mappings(log_handle));
    ck_assert_uint_le(fault_open_mappings(), 80);
}
END_TEST

START_TEST(trimmed_segments_do_not_stay_mapped)
{
    append_segments(20);
    memory_expect(log_handle, 0, 20);
    commitlog_reader *reader = open_reader(log_handle, 3, 4);
    get(reader, 3);
    commitlog_forget_before(log_handle, 19);
    ck_assert(commitlog_holds_mappings(log_handle));
    commitlog_reader_close(reader);
    commitlog_release_mappings(log_handle);
    ck_assert(!commitlog_holds_mappings(log_handle));
    ck_assert_uint_le(fault_open_mappings(), 2);
}
END_TEST

/* ---- tables that do not fit ------------------------------------------------------------------ */

START_TEST(tables_without_a_segment_for_an_offset)
{
    append_segments(3);
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    catalog.rows[1].record_count = 0;
    ck_assert_str_eq(memory_read_fails(log_handle, 1, STATUS_DAMAGED),
                     "the log's tables name no segment for offset 1: 00000000000000000001.log "
                     "holds 0 records");
    catalog.rows[1].record_count = 1;
    catalog.row_count = 0;
    ck_assert_str_eq(memory_read_fails(log_handle, 1, STATUS_DAMAGED),
                     "the log's tables name no segment for offset 1");
    catalog.row_count = 3;
    catalog.rows[1].base_offset = 2;
    memory_read_fails(log_handle, 1, STATUS_DAMAGED);
    catalog.rows[1].base_offset = 1;
    memory_expect(log_handle, 0, 3);
}
END_TEST

START_TEST(a_row_that_lies_about_a_mapped_segment)
{
    commitlog_segment right;

    catalog.options.segment_bytes = 1 << 20;
    commitlog_set_options(log_handle, &catalog.options);
    memory_append_and_commit(&catalog, log_handle, 30, 100);
    memory_expect(log_handle, 0, 30);
    right = catalog.rows[0];
    for (int kind = 0; kind < 3; kind++) {
        commitlog_reader *reader = NULL;
        commitlog_found found;
        catalog.rows[0].record_count = kind == 0 ? 31 : kind == 1 ? UINT64_C(1) << 60 : 100000;
        catalog.rows[0].bytes = kind == 2 ? (1 << 20) - 8 : right.bytes;
        reader = open_reader(log_handle, 0, 100);
        get(reader, 29);
        ck_assert_int_eq(commitlog_reader_get(reader, 30, &found, &why), STATUS_DAMAGED);
        get(reader, 7);
        commitlog_reader_close(reader);
        catalog.rows[0] = right;
    }
    memory_expect(log_handle, 0, 30);
}
END_TEST

START_TEST(another_uuid_finds_no_log)
{
    append_segments(1);
    catalog.uuid[5] ^= 1;
    commitlog *other = memory_open(&catalog);
    memory_read_fails(other, 0, STATUS_NO_LOG);
    ck_assert_str_ne(commitlog_directory(other), catalog.directory);
    ck_assert_str_eq(commitlog_directory(log_handle), catalog.directory);
    commitlog_close(other);
}
END_TEST

START_TEST(a_path_that_is_too_long_cannot_be_opened)
{
    char *root = malloc(100001);
    commitlog_location where = {.root_path = root};
    commitlog_catalog tables = {NULL, NULL};
    commitlog *log = NULL;

    memset(root, 'r', 100000);
    root[0] = '/';
    root[100000] = '\0';
    ck_assert_int_eq(commitlog_open(&fault_os, &where, &catalog.options, &tables, &log, &why),
                     STATUS_OK);
    free(root);
    ck_assert_int_eq(commitlog_find(log, &why), STATUS_CANT_OPEN);
    ck_assert_uint_eq(strlen(why.text), sizeof why.text - 1);
    commitlog_close(log);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("reader");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, forward_backward_and_at_random);
    tcase_add_test(all, a_found_record_says_where_it_stands);
    tcase_add_test(all, staged_and_written_records_are_one_range);
    tcase_add_test(all, readers_of_one_segment_with_older_and_newer_ends);
    tcase_add_test(all, an_empty_range_needs_no_log);
    tcase_add_test(all, a_reader_is_cut_by_rollback);
    tcase_add_test(all, another_handle_reads_on_as_the_log_grows);
    tcase_add_test(all, a_scan_goes_on_behind_a_damaged_record);
    tcase_add_test(all, a_reader_keeps_its_segments);
    tcase_add_test(all, a_lower_reader_lowers_the_pin);
    tcase_add_test(all, a_reader_of_staged_records_keeps_their_segments);
    tcase_add_test(all, a_mapped_segment_is_read_after_its_removal);
    tcase_add_test(all, a_late_reader_is_told_about_retention);
    tcase_add_test(all, a_child_that_closes_a_reader_keeps_the_parents_pin);
    tcase_add_test(all, a_read_only_handle_writes_nothing);
    tcase_add_test(all, pins_that_cannot_be_made_do_not_stop_a_reader);
    tcase_add_test(all, errors_on_the_way_leave_nothing_open);
    tcase_add_test(all, many_segments_take_few_files_and_mappings);
    tcase_add_test(all, stable_bytes_stay_and_mappings_have_a_limit);
    tcase_add_test(all, trimmed_segments_do_not_stay_mapped);
    tcase_add_test(all, tables_without_a_segment_for_an_offset);
    tcase_add_test(all, a_row_that_lies_about_a_mapped_segment);
    tcase_add_test(all, another_uuid_finds_no_log);
    tcase_add_test(all, a_path_that_is_too_long_cannot_be_opened);
    suite_add_tcase(suite, all);
    return suite;
}
