/*
 * Reading one segment: whatever stands in the place of the index, answers are the same; whatever
 * is damaged in the .log is an error for those records and no others.
 *
 * Segments are made here, byte by byte, not by the writer.
 */
#include "check_main.h"

#include "fault_os.h"
#include "format.h"
#include "memory_catalog.h"
#include "segment.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RECORDS_MAX = 4000, FIRST = 1000 };

static const char log_name[] = "00000000000000001000.log";
static const char index_name[] = "00000000000000001000.idx";

static memory_catalog place;
static os_directory *directory;
static commitlog_segment row;
static uint64_t positions[RECORDS_MAX + 1]; /* of each record, and the end */
static segment *seg;
static size_t mark_bytes;
static failure why;

static void setup(void)
{
    memory_setup(&place, COMMITLOG_SEGMENT_BYTES_MIN);
    strcpy(place.directory, place.parent);
    ck_assert_int_eq(
        fault_os.open_directory(place.parent, OS_DIRECTORY_OPEN, NULL, &directory, &why),
        STATUS_OK);
    seg = NULL;
}

static void teardown(void)
{
    segment_close(seg);
    ck_assert_uint_eq(mark_bytes, 0);
    fault_os.close_directory(directory);
    memory_teardown(&place);
}

/* The bytes of a segment of `count` records with values of `bytes`, some a little more. */
static void make_segment(unsigned count, uint32_t bytes)
{
    segment_header header;
    index_entry *entries = calloc(count, sizeof *entries);
    uint64_t position = sizeof header;

    ck_assert_ptr_nonnull(entries);
    row = (commitlog_segment){.base_offset = FIRST, .nonce = 99, .record_count = count};
    strcpy(row.name, log_name);
    segment_header_encode(&header, FILE_LOG, place.uuid, FIRST, row.nonce);
    memory_store_bytes(&place, log_name, 0, &header, sizeof header);
    for (unsigned i = 0; i < count; i++) {
        commitlog_record record = memory_record(FIRST + i, bytes + i % 3 * 8);
        uint64_t size = record_bytes(&record);
        uint8_t *encoded = malloc((size_t)size);
        record_encode(&record, size, encoded);
        record_seal(encoded, size, row.nonce, FIRST + i);
        memory_store_bytes(&place, log_name, position, encoded, (size_t)size);
        entries[i] = index_entry_make(position, size);
        positions[i] = position;
        position += size;
        free(encoded);
    }
    positions[count] = row.bytes = position;
    segment_header_encode(&header, FILE_INDEX, place.uuid, FIRST, row.nonce);
    memory_store_bytes(&place, index_name, 0, &header, sizeof header);
    memory_store_bytes(&place, index_name, sizeof header, entries, count * sizeof *entries);
    free(entries);
}

static status open_segment(bool may_write)
{
    segment_close(seg);
    seg = NULL;
    return segment_open(&fault_os, directory, may_write, place.uuid, &row, 0, &mark_bytes, &seg,
                        &why);
}

static void open_ok(bool may_write)
{
    why.text[0] = '\0';
    ck_assert_msg(open_segment(may_write) == STATUS_OK, "%s", why.text);
}

static status find(uint64_t record)
{
    segment_limit limit = {row.record_count, row.bytes};
    uint64_t position = 0, size = 0;
    commitlog_record found;
    status result = segment_find(seg, FIRST + record, limit, &position, &size, &why);

    if (result != STATUS_OK)
        return result;
    ck_assert_uint_eq(position, positions[record]);
    ck_assert_uint_eq(size, positions[record + 1] - positions[record]);
    ck_assert_int_eq(record_decode(seg->log.bytes + position, size, &found), STATUS_OK);
    ck_assert(memory_is_record(&found, FIRST + record));
    return STATUS_OK;
}

static void expect(uint64_t record, status code)
{
    why.text[0] = '\0';
    status result = find(record);
    ck_assert_msg(result == code, "record %" PRIu64 ": expected '%s', got '%s' %s", record,
                  status_text(code), status_text(result), why.text);
}

/* All records but those of [bad, bad_end), in an order that is none. */
static void expect_all_but(uint64_t bad, uint64_t bad_end)
{
    for (uint64_t i = 0, record = row.record_count / 2; i < row.record_count; i++) {
        expect(record, record >= bad && record < bad_end ? STATUS_DAMAGED : STATUS_OK);
        record = (record + 1) % row.record_count;
    }
}

static void expect_all(void)
{
    expect_all_but(1, 0);
}

/* ---- the index ------------------------------------------------------------------------------- */

START_TEST(records_are_found_through_the_index)
{
    make_segment(300, 40);
    open_ok(true);
    expect(299, STATUS_OK);
    expect(0, STATUS_OK);
    expect(150, STATUS_OK);
    expect_all();
    ck_assert_ptr_null(seg->built);
    ck_assert_uint_eq(fault_count(FAULT_WRITE), 0);
}
END_TEST

static uint8_t *right_index;
static size_t right_size;

/* Answers are right with what stands in the index's place now, without and with the right to
 * write, and then the index is as it was. */
static void expect_unchanged(const char *what)
{
    size_t size;
    uint8_t *bytes;

    for (int may_write = 0; may_write < 2; may_write++) {
        unsigned writes = fault_count(FAULT_WRITE);
        open_ok(may_write);
        expect_all();
        if (!may_write)
            ck_assert_msg(fault_count(FAULT_WRITE) == writes, "%s: written", what);
    }
    bytes = memory_load(&place, index_name, &size);
    ck_assert_msg(size >= right_size && memcmp(bytes, right_index, right_size) == 0,
                  "%s: the index was not rebuilt", what);
    free(bytes);
    open_ok(true);
    expect_all();
    ck_assert_msg(seg->built == NULL, "%s: the rebuilt index is not used", what);
}

START_TEST(a_missing_or_cut_index_is_rebuilt)
{
    const size_t sizes[] = {0, 1, 63, 64, 65, 71, 72, 100, 64 + 8 * 299, 64 + 8 * 300 - 1};

    make_segment(300, 40);
    right_index = memory_load(&place, index_name, &right_size);
    ck_assert_int_eq(unlink(memory_path(&place, index_name)), 0);
    expect_unchanged("missing");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        ck_assert_int_eq(truncate(memory_path(&place, index_name), (off_t)sizes[i]), 0);
        expect_unchanged("cut");
    }
    free(right_index);
}
END_TEST

START_TEST(a_foreign_or_damaged_index_is_rebuilt)
{
    segment_header header;
    uint8_t *garbage = malloc(5000);
    uint64_t seed = memory_seed();

    make_segment(300, 40);
    right_index = memory_load(&place, index_name, &right_size);
    /* Of another segment, another log, and a .log in its place. */
    for (int kind = 0; kind < 4; kind++) {
        uint8_t uuid[COMMITLOG_UUID_BYTES];
        memcpy(uuid, place.uuid, sizeof uuid);
        uuid[3] ^= kind == 2;
        segment_header_encode(&header, kind == 3 ? FILE_LOG : FILE_INDEX, uuid, FIRST + (kind == 0),
                              row.nonce + (kind == 1));
        memory_store_bytes(&place, index_name, 0, &header, sizeof header);
        expect_unchanged("foreign");
    }
    for (size_t i = 0; i < 5000; i++)
        garbage[i] = (uint8_t)memory_random(&seed, 256);
    memory_store_bytes(&place, index_name, 0, garbage, 5000);
    expect_unchanged("garbage");
    memory_store_bytes(&place, index_name, 64, garbage, 2400);
    expect_unchanged("garbage in the entries");
    memset(garbage, 0, 5000);
    memory_store_bytes(&place, index_name, 64, garbage, 2400);
    expect_unchanged("entries of zeros");
    memset(garbage, 0xff, 5000);
    memory_store_bytes(&place, index_name, 64, garbage, 2400);
    expect_unchanged("entries of ones");
    /* Each entry is the next one's: records that verify, for other offsets. */
    memory_store_bytes(&place, index_name, 64, right_index + 72, 2392);
    expect_unchanged("shifted");
    free(garbage);
    free(right_index);
}
END_TEST

START_TEST(something_else_in_the_indexs_place_changes_nothing)
{
    make_segment(50, 40);
    for (int kind = 0; kind < 3; kind++) {
        const char *path = memory_path(&place, index_name);
        ck_assert_int_eq(kind == 1 ? rmdir(path) : unlink(path), 0);
        if (kind == 0)
            ck_assert_int_eq(mkdir(path, 0700), 0);
        else if (kind == 1)
            ck_assert_int_eq(symlink(log_name, path), 0);
        else
            ck_assert_int_eq(mkfifo(path, 0600), 0);
        open_ok(true);
        expect_all();
    }
}
END_TEST

START_TEST(an_index_that_cannot_be_written_is_kept_in_memory)
{
    make_segment(50, 40);
    ck_assert_int_eq(unlink(memory_path(&place, index_name)), 0);
    fault_set(FAULT_WRITE, 1, STATUS_NO_SPACE, true);
    open_ok(true);
    expect_all();
    fault_set(FAULT_OPEN, 1, STATUS_READ_ONLY, true);
    open_ok(true);
    expect_all();
}
END_TEST

START_TEST(a_segment_that_grows_is_found_further)
{
    commitlog_segment grown;

    make_segment(3000, 100);
    grown = row;
    ck_assert_int_eq(truncate(memory_path(&place, index_name), 64 + 8 * 10), 0);
    row.record_count = 10;
    row.bytes = positions[10];
    ck_assert_int_eq(segment_open(&fault_os, directory, true, place.uuid, &row, grown.bytes,
                                  &mark_bytes, &seg, &why),
                     STATUS_OK);
    expect_all();
    row = grown;
    expect_all();
    ck_assert_uint_eq(memory_file_bytes(&place, index_name), 64 + 8 * 3000);
}
END_TEST

/* ---- damage ---------------------------------------------------------------------------------- */

/* As it is with the index, without it, and with each record read before the damaged one or not. */
static void expect_damaged(uint64_t bad, uint64_t bad_end)
{
    size_t size, size_after;
    uint8_t *before = memory_load(&place, index_name, &size), *after;

    for (int with_index = 1; with_index >= 0; with_index--) {
        if (!with_index)
            ck_assert_int_eq(unlink(memory_path(&place, index_name)), 0);
        open_ok(true);
        expect_all_but(bad, bad_end);
        expect_all_but(bad, bad_end);
        open_ok(false);
        for (uint64_t i = row.record_count; i-- > 0;)
            expect(i, i >= bad && i < bad_end ? STATUS_DAMAGED : STATUS_OK);
        if (!with_index)
            continue;
        /* A good index is not replaced by one with holes. */
        after = memory_load(&place, index_name, &size_after);
        ck_assert_uint_eq(size_after, size);
        ck_assert_mem_eq(after, before, size);
        free(after);
    }
    free(before);
    ck_assert(!memory_file_exists(&place, index_name));
}

START_TEST(a_damaged_record_is_an_error_for_it_alone)
{
    static const unsigned at[] = {0, 8, 16, 20, 24, 28, 29, 30, 32, 40, 60};

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        make_segment(100, 40);
        memory_flip_bit(&place, log_name, positions[70] + at[i]);
        expect_damaged(70, 71);
    }
    make_segment(100, 40);
    open_ok(true);
    memory_flip_bit(&place, log_name, positions[70] + 40);
    expect(70, STATUS_DAMAGED);
    ck_assert_ptr_nonnull(strstr(why.text, "offset 1070 in segment "));
    ck_assert_ptr_nonnull(strstr(why.text, log_name));
}
END_TEST

START_TEST(the_first_and_the_last_record_damaged)
{
    make_segment(100, 40);
    memory_flip_bit(&place, log_name, positions[0] + 33);
    expect_damaged(0, 1);
    make_segment(100, 40);
    memory_flip_bit(&place, log_name, positions[99] + 33);
    expect_damaged(99, 100);
}
END_TEST

START_TEST(a_damaged_size_does_not_lead_astray)
{
    static const uint32_t sizes[] = {0, 1, 7, 8, 1000, 0x7fffffff, 0xffffffff, 0xffffffd8};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned field = 16; field <= 24; field += 4) {
            le32 size = le32_make(sizes[i]);
            make_segment(60, 40);
            memory_store_bytes(&place, log_name, positions[20] + field, &size, sizeof size);
            if (field == 16 && sizes[i] == 8)
                continue; /* the key is an integer: that is its size */
            if (field == 24 && sizes[i] == 0)
                continue;
            expect_damaged(20, 21);
        }
    }
}
END_TEST

/* A bad sector takes many small records with it; those behind it are whole. */
START_TEST(a_run_of_damaged_records_is_an_error_for_them_alone)
{
    static const unsigned runs[] = {2, 7, 8, 9, 10, 40};
    uint8_t *zeros = calloc(1, 1 << 16);

    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        uint64_t from, to;
        make_segment(200, 40);
        from = positions[50];
        to = positions[50 + runs[i]];
        memory_store_bytes(&place, log_name, from, zeros, (size_t)(to - from));
        expect_damaged(50, 50 + runs[i]);
    }
    free(zeros);
}
END_TEST

START_TEST(many_single_damages)
{
    make_segment(300, 40);
    for (uint64_t i = 5; i < 300; i += 10)
        memory_flip_bit(&place, log_name, positions[i] + 40);
    for (int with_index = 1; with_index >= 0; with_index--) {
        if (!with_index)
            ck_assert_int_eq(unlink(memory_path(&place, index_name)), 0);
        open_ok(true);
        for (uint64_t i = 0; i < 300; i++)
            expect(i, i % 10 == 5 ? STATUS_DAMAGED : STATUS_OK);
    }
}
END_TEST

/* The bytes of two records exchanged, and one copied over another: each verified where it stood. */
START_TEST(moved_records_do_not_pass)
{
    size_t size;
    uint8_t *bytes;

    make_segment(30, 40);
    bytes = memory_load(&place, log_name, &size);
    ck_assert_uint_eq(positions[4] - positions[3], positions[7] - positions[6]);
    memory_store_bytes(&place, log_name, positions[3], bytes + positions[6],
                       (size_t)(positions[7] - positions[6]));
    expect_damaged(3, 4);
    free(bytes);
}
END_TEST

/* A record is verified once, and again when the mark was given up. */
START_TEST(verification_is_remembered_until_it_is_forgotten)
{
    make_segment(30, 40);
    open_ok(true);
    expect(5, STATUS_OK);
    ck_assert_uint_gt(mark_bytes, 0);
    memory_flip_bit(&place, log_name, positions[5] + 33);
    segment_limit limit = {row.record_count, row.bytes};
    uint64_t position = 0, size = 0;
    ck_assert_int_eq(segment_find(seg, FIRST + 5, limit, &position, &size, &why), STATUS_OK);
    segment_forget_marks(seg);
    ck_assert_uint_eq(mark_bytes, 0);
    expect(5, STATUS_DAMAGED);
    expect(6, STATUS_OK);
    segment_forget_marks(seg);
    segment_forget_marks(seg);
    expect(6, STATUS_OK);
}
END_TEST

START_TEST(a_bad_page_is_an_error_and_no_signal)
{
    make_segment(3000, 100); /* several chunks */
    open_ok(true);
    expect(0, STATUS_OK);
    fault_set(FAULT_POPULATE, 1, STATUS_IO, true);
    ck_assert_int_ne(find(2500), STATUS_OK);
    expect(1, STATUS_OK);
    fault_clear();
    open_ok(true);
    expect(2500, STATUS_OK);
}
END_TEST

/* ---- the file and the row -------------------------------------------------------------------- */

static void expect_open(status code, const char *text)
{
    status result = open_segment(true);

    ck_assert_msg(result == code, "expected '%s', got '%s': %s", status_text(code),
                  status_text(result), why.text);
    ck_assert_ptr_null(seg);
    ck_assert_msg(strstr(why.text, text) != NULL, "expected '%s' in: %s", text, why.text);
    ck_assert_uint_eq(fault_open_mappings(), 0);
}

START_TEST(a_file_that_is_not_the_rows_is_not_opened)
{
    make_segment(20, 40);
    row.nonce++;
    expect_open(STATUS_DAMAGED, ": the file is not the one the log's tables name");
    row.nonce--;
    place.uuid[0] ^= 1;
    expect_open(STATUS_DAMAGED, ": the segment belongs to another log");
    place.uuid[0] ^= 1;
    memory_flip_bit(&place, log_name, 44);
    expect_open(STATUS_DAMAGED, ": the segment header fails its checksum");
    memory_flip_bit(&place, log_name, 44);
    memory_flip_bit(&place, log_name, 0);
    expect_open(STATUS_DAMAGED, ": position 0 does not hold a segment header");
    memory_flip_bit(&place, log_name, 0);
    open_ok(true);
    expect_all();
}
END_TEST

START_TEST(a_missing_file_was_trimmed)
{
    make_segment(20, 40);
    ck_assert_int_eq(unlink(memory_path(&place, log_name)), 0);
    expect_open(STATUS_TRIMMED, "/00000000000000001000.log is missing: it was trimmed by retention "
                                "after this snapshot of the database began, or somebody removed "
                                "it");
}
END_TEST

/* What is left of a file that somebody cut short can be read. */
START_TEST(a_file_that_was_cut_short)
{
    uint64_t sizes[] = {0, 0, 0, 64};

    make_segment(20, 40);
    sizes[0] = row.bytes - 1;
    sizes[1] = positions[12] + 8;
    sizes[2] = positions[12];
    for (size_t i = 0; i < 4; i++) {
        uint64_t whole = i == 0 ? 19 : i < 3 ? 12 : 0;
        ck_assert_int_eq(truncate(memory_path(&place, log_name), (off_t)sizes[i]), 0);
        expect_damaged(whole, 20);
        ck_assert_int_eq(find(19), STATUS_DAMAGED);
        ck_assert_ptr_nonnull(strstr(why.text, "offset 1019 in segment "));
        ck_assert_ptr_nonnull(strstr(why.text, ": the file was cut short, at position "));
        memory_store_bytes(&place, index_name, 0, "", 1); /* for the next round */
    }
    for (int size = 63; size >= 0; size -= 63) {
        ck_assert_int_eq(truncate(memory_path(&place, log_name), size), 0);
        expect_open(STATUS_DAMAGED, " was cut short: it has ");
    }
}
END_TEST

START_TEST(rows_that_nobody_wrote_are_refused)
{
    const char *text = "the log's tables describe an impossible segment at offset ";
    commitlog_segment right;

    make_segment(20, 40);
    right = row;
#define REFUSED(change)                    \
    do {                                   \
        row = right;                       \
        change;                            \
        expect_open(STATUS_DAMAGED, text); \
    } while (0)
    REFUSED(row.record_count = 0);
    REFUSED(row.record_count = UINT64_MAX);
    REFUSED(row.record_count = (row.bytes - 64) / 32 + 1);
    REFUSED(row.bytes = 0);
    REFUSED(row.bytes = 63);
    REFUSED(row.bytes = 64);
    REFUSED(row.bytes += 4);
    REFUSED(row.bytes = UINT64_MAX - 7);
    REFUSED(row.bytes = FORMAT_SEGMENT_BYTES_MAX + 8);
    REFUSED(row.base_offset++);
    REFUSED(strcpy(row.name, "../00000000000000001000.log"));
    REFUSED(strcpy(row.name, "00000000000000001000.idx"));
    REFUSED(strcpy(row.name, ""));
    REFUSED((row.base_offset = UINT64_MAX - 3, strcpy(row.name, "18446744073709551612.log")));
    REFUSED((row.base_offset = INT64_MAX, strcpy(row.name, "09223372036854775807.log")));
#undef REFUSED
    row = right;
    open_ok(true);
    expect_all();
}
END_TEST

/* Bytes and counts that the file could have, and the records do not. */
START_TEST(a_row_that_lies_is_an_error_where_it_lies)
{
    uint64_t count;

    make_segment(20, 40);
    count = row.record_count;
    ck_assert_int_eq(truncate(memory_path(&place, log_name), 8192), 0);
    row.bytes = 8192;
    row.record_count = 100;
    open_ok(true);
    for (uint64_t i = 0; i < 100; i++) {
        if (i < count)
            expect(i, STATUS_OK);
        else
            ck_assert_int_eq(find(i), STATUS_DAMAGED);
    }
    /* Less than there is: nothing beyond the end is believed. */
    row.record_count = 10;
    row.bytes = positions[10];
    open_ok(true);
    expect_all();
    row.bytes = positions[10] - 8;
    open_ok(true);
    expect(9, STATUS_DAMAGED);
    expect(8, STATUS_OK);
}
END_TEST

START_TEST(no_memory_leaves_nothing_open)
{
    make_segment(20, 40);
    fault_set(FAULT_MAP, 1, STATUS_NO_MEMORY, false);
    expect_open(STATUS_NO_MEMORY, "made to fail");
    fault_set(FAULT_POPULATE, 1, STATUS_IO, false);
    expect_open(STATUS_IO, "made to fail");
    segment_close(NULL);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("segment");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, records_are_found_through_the_index);
    tcase_add_test(all, a_missing_or_cut_index_is_rebuilt);
    tcase_add_test(all, a_foreign_or_damaged_index_is_rebuilt);
    tcase_add_test(all, something_else_in_the_indexs_place_changes_nothing);
    tcase_add_test(all, an_index_that_cannot_be_written_is_kept_in_memory);
    tcase_add_test(all, a_segment_that_grows_is_found_further);
    tcase_add_test(all, a_damaged_record_is_an_error_for_it_alone);
    tcase_add_test(all, the_first_and_the_last_record_damaged);
    tcase_add_test(all, a_damaged_size_does_not_lead_astray);
    tcase_add_test(all, a_run_of_damaged_records_is_an_error_for_them_alone);
    tcase_add_test(all, many_single_damages);
    tcase_add_test(all, moved_records_do_not_pass);
    tcase_add_test(all, verification_is_remembered_until_it_is_forgotten);
    tcase_add_test(all, a_bad_page_is_an_error_and_no_signal);
    tcase_add_test(all, a_file_that_is_not_the_rows_is_not_opened);
    tcase_add_test(all, a_missing_file_was_trimmed);
    tcase_add_test(all, a_file_that_was_cut_short);
    tcase_add_test(all, rows_that_nobody_wrote_are_refused);
    tcase_add_test(all, a_row_that_lies_is_an_error_where_it_lies);
    tcase_add_test(all, no_memory_leaves_nothing_open);
    suite_add_tcase(suite, all);
    return suite;
}
