/*
 * The segment that a writer extends: when it may, what is made and what is left behind on failure,
 * and in which order and where bytes go.
 */
#include "check_main.h"

#include "fault_os.h"
#include "format.h"
#include "log_file.h"
#include "memory_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char plain_name[] = "00000000000000000042.log";
static const char plain_index[] = "00000000000000000042.idx";
static const char nonce_name[] = "00000000000000000042-0123456789abcdef.log";
static const char nonce_index[] = "00000000000000000042-0123456789abcdef.idx";

static memory_catalog place;
static os_directory *directory;
static log_file file;
static commitlog_segment row;
static failure why;

static void setup(void)
{
    memory_setup(&place, COMMITLOG_SEGMENT_BYTES_MIN);
    strcpy(place.directory, place.parent);
    ck_assert_int_eq(
        fault_os.open_directory(place.parent, OS_DIRECTORY_OPEN, NULL, &directory, &why),
        STATUS_OK);
    memset(&file, 0, sizeof file);
    row = (commitlog_segment){.base_offset = 42, .nonce = UINT64_C(0x0123456789abcdef)};
}

static void teardown(void)
{
    log_file_close(&file);
    fault_os.close_directory(directory);
    memory_teardown(&place);
}

static status create(void)
{
    return log_file_create(&file, &fault_os, directory, place.uuid, &row, &why);
}

/* Write `count` records of 40 bytes as the next ones. */
static status write_records(unsigned count)
{
    uint8_t bytes[40 * 16];
    index_entry entries[16];
    status result;

    for (unsigned i = 0; i < count; i++) {
        commitlog_record record = {.key = {.type = COMMITLOG_INTEGER, .integer = 1}};
        record_encode(&record, 40, bytes + 40 * i);
        record_seal(bytes + 40 * i, 40, row.nonce, row.base_offset + row.record_count + i);
        entries[i] = index_entry_make(row.bytes + 40 * i, 40);
    }
    result = log_file_write(&file, bytes, 40 * count, row.bytes, entries, count, row.record_count,
                            COMMITLOG_SEGMENT_BYTES_MIN, &why);
    if (result == STATUS_OK) {
        row.bytes += 40 * count;
        row.record_count += count;
    }
    return result;
}

static void create_with_records(void)
{
    ck_assert_int_eq(create(), STATUS_OK);
    ck_assert_int_eq(write_records(3), STATUS_OK);
}

static bool open_is_usable(void)
{
    bool is_usable = false;
    status result;

    log_file_close(&file);
    result = log_file_open(&file, &fault_os, directory, place.uuid, &row, &is_usable, &why);
    ck_assert_msg(result == STATUS_OK, "%s", why.text);
    ck_assert_int_eq(is_usable, file.log != NULL);
    return is_usable;
}

/* ---- creating -------------------------------------------------------------------------------- */

START_TEST(a_new_segment_has_a_header_and_an_index)
{
    segment_header expected;
    size_t size;
    uint8_t *bytes;

    ck_assert_int_eq(create(), STATUS_OK);
    ck_assert_str_eq(row.name, plain_name);
    ck_assert_uint_eq(row.bytes, 64);
    segment_header_encode(&expected, FILE_LOG, place.uuid, 42, row.nonce);
    bytes = memory_load(&place, plain_name, &size);
    ck_assert_uint_eq(size, 64);
    ck_assert_mem_eq(bytes, &expected, 64);
    free(bytes);
    segment_header_encode(&expected, FILE_INDEX, place.uuid, 42, row.nonce);
    bytes = memory_load(&place, plain_index, &size);
    ck_assert_uint_eq(size, 64);
    ck_assert_mem_eq(bytes, &expected, 64);
    free(bytes);
}
END_TEST

START_TEST(a_taken_name_gets_the_nonce_and_is_left_alone)
{
    size_t size;
    uint8_t *bytes;

    memory_store_bytes(&place, plain_name, 0, "leftover", 8);
    ck_assert_int_eq(create(), STATUS_OK);
    ck_assert_str_eq(row.name, nonce_name);
    ck_assert(memory_file_exists(&place, nonce_index));
    ck_assert(!memory_file_exists(&place, plain_index));
    bytes = memory_load(&place, plain_name, &size);
    ck_assert_uint_eq(size, 8);
    ck_assert_mem_eq(bytes, "leftover", 8);
    free(bytes);
}
END_TEST

START_TEST(both_names_taken_is_an_error)
{
    memory_store_bytes(&place, plain_name, 0, "a", 1);
    memory_store_bytes(&place, nonce_name, 0, "b", 1);
    ck_assert_int_eq(create(), STATUS_EXISTS);
    ck_assert_ptr_null(file.log);
    ck_assert_uint_eq(memory_file_bytes(&place, nonce_name), 1);
}
END_TEST

/* Every call on the way fails once: nothing stays open or on disk. */
START_TEST(a_failed_creation_leaves_nothing)
{
    static const fault_call calls[] = {FAULT_OPEN, FAULT_WRITE, FAULT_READ};
    unsigned failures = 0;

    for (size_t i = 0; i < 3; i++) {
        for (unsigned nth = 1; nth < 10; nth++) {
            fault_set(calls[i], nth, STATUS_NO_SPACE, false);
            status result = create();
            fault_clear();
            if (fault_hits() == 0) {
                ck_assert_int_eq(result, STATUS_OK);
                log_file_close(&file);
                ck_assert_int_eq(unlink(memory_path(&place, plain_name)), 0);
                ck_assert_int_eq(unlink(memory_path(&place, plain_index)), 0);
                break;
            }
            ck_assert_int_eq(result, STATUS_NO_SPACE);
            ck_assert_ptr_null(file.log);
            ck_assert_uint_eq(fault_open_files(), 0);
            ck_assert_msg(memory_file_count(&place) == 0,
                          "call %u of kind %d failed: %u files stay", nth, (int)calls[i],
                          memory_file_count(&place));
            failures++;
        }
    }
    ck_assert_uint_ge(failures, 4);
}
END_TEST

/* "The index is a hint: something else that stands in its place must not stop the writer." */
START_TEST(something_in_the_indexs_place_does_not_stop_the_writer)
{
    for (int kind = 0; kind < 5; kind++) {
        const char *path = memory_path(&place, plain_index);
        if (kind == 0)
            ck_assert_int_eq(mkfifo(path, 0600), 0);
        else if (kind == 1)
            memory_store_bytes(&place, plain_index, 0, "garbage", 7);
        else if (kind == 2)
            ck_assert_int_eq(symlink("nowhere", path), 0);
        else if (kind == 3)
            ck_assert_int_eq(mkdir(path, 0700), 0);
        else {
            memory_store_bytes(&place, "two", 0, "x", 1);
            ck_assert_int_eq(link(memory_path(&place, "two"), path), 0);
        }
        why.text[0] = '\0';
        ck_assert_msg(create() == STATUS_OK, "kind %d: %s", kind, why.text);
        row.record_count = 0;
        ck_assert_int_eq(write_records(2), STATUS_OK);
        ck_assert_msg(open_is_usable(), "kind %d", kind);
        log_file_close(&file);
        ck_assert_int_eq(remove(path), 0);
        ck_assert_int_eq(unlink(memory_path(&place, plain_name)), 0);
    }
    ck_assert(!memory_file_exists(&place, "nowhere"));
    ck_assert_uint_eq(memory_file_bytes(&place, "two"), 1);
}
END_TEST

/* ---- opening --------------------------------------------------------------------------------- */

START_TEST(a_segment_as_the_row_says_is_extended)
{
    create_with_records();
    ck_assert(open_is_usable());
    ck_assert_int_eq(write_records(1), STATUS_OK);
    ck_assert(open_is_usable());
}
END_TEST

START_TEST(a_word_after_the_end_forbids_it)
{
    uint8_t one = 1, zero = 0;

    create_with_records();
    for (unsigned at = 0; at < 8; at++) {
        bool is_usable = true;
        memory_store_bytes(&place, plain_name, row.bytes + at, &one, 1);
        ck_assert(!open_is_usable());
        memory_store_bytes(&place, plain_name, row.bytes + at, &zero, 1);
        ck_assert(open_is_usable());
        memory_store_bytes(&place, plain_name, row.bytes + at, &one, 1);
        ck_assert_int_eq(log_file_check_end(&file, row.bytes, &is_usable, &why), STATUS_OK);
        ck_assert(!is_usable);
        memory_store_bytes(&place, plain_name, row.bytes + at, &zero, 1);
        ck_assert_int_eq(log_file_check_end(&file, row.bytes, &is_usable, &why), STATUS_OK);
        ck_assert(is_usable);
    }
}
END_TEST

START_TEST(a_file_that_ends_at_the_end_is_extended)
{
    create_with_records();
    ck_assert_int_eq(truncate(memory_path(&place, plain_name), (off_t)row.bytes), 0);
    ck_assert(open_is_usable());
    /* Part of a word is a word. */
    memory_store_bytes(&place, plain_name, row.bytes, "\0\0x", 3);
    ck_assert(!open_is_usable());
}
END_TEST

START_TEST(what_is_not_the_rows_file_is_not_extended)
{
    commitlog_segment right;

    create_with_records();
    right = row;
    row.nonce++;
    ck_assert(!open_is_usable());
    row = right;
    row.base_offset++;
    ck_assert(!open_is_usable());
    row = right;
    place.uuid[0] ^= 1;
    ck_assert(!open_is_usable());
    place.uuid[0] ^= 1;
    ck_assert(open_is_usable());
    memory_flip_bit(&place, plain_name, 60);
    ck_assert(!open_is_usable());
    memory_flip_bit(&place, plain_name, 60);
    ck_assert(open_is_usable());
    ck_assert_int_eq(truncate(memory_path(&place, plain_name), (off_t)row.bytes - 1), 0);
    ck_assert(!open_is_usable());
    ck_assert_int_eq(truncate(memory_path(&place, plain_name), 10), 0);
    ck_assert(!open_is_usable());
    ck_assert_int_eq(unlink(memory_path(&place, plain_name)), 0);
    ck_assert(!open_is_usable());
    ck_assert(!memory_file_exists(&place, plain_name));
}
END_TEST

/* "Missing or replaced: readers will say so; the log goes on in a new file." */
START_TEST(what_replaced_the_file_is_not_extended)
{
    create_with_records();
    ck_assert_int_eq(link(memory_path(&place, plain_name), memory_path(&place, "second")), 0);
    ck_assert(!open_is_usable());
    ck_assert_int_eq(unlink(memory_path(&place, plain_name)), 0);
    ck_assert_int_eq(symlink("second", memory_path(&place, plain_name)), 0);
    ck_assert(!open_is_usable());
    ck_assert_int_eq(unlink(memory_path(&place, plain_name)), 0);
    ck_assert_int_eq(mkdir(memory_path(&place, plain_name), 0700), 0);
    ck_assert(!open_is_usable());
}
END_TEST

START_TEST(an_error_while_opening_is_not_an_answer)
{
    static const fault_call calls[] = {FAULT_OPEN, FAULT_SIZE, FAULT_READ};
    bool is_usable = true;

    create_with_records();
    log_file_close(&file);
    for (size_t i = 0; i < 3; i++) {
        fault_set(calls[i], 1, STATUS_IO, false);
        ck_assert_int_eq(
            log_file_open(&file, &fault_os, directory, place.uuid, &row, &is_usable, &why),
            STATUS_IO);
        ck_assert(!is_usable);
        ck_assert_ptr_null(file.log);
        ck_assert_uint_eq(fault_open_files(), 0);
    }
}
END_TEST

START_TEST(a_damaged_index_gets_its_header_back)
{
    segment_header expected;
    size_t size;
    uint8_t *bytes;

    create_with_records();
    memory_store_bytes(&place, plain_index, 0, "garbage", 7);
    ck_assert(open_is_usable());
    segment_header_encode(&expected, FILE_INDEX, place.uuid, 42, row.nonce);
    bytes = memory_load(&place, plain_index, &size);
    ck_assert_mem_eq(bytes, &expected, sizeof expected);
    free(bytes);
    ck_assert_int_eq(unlink(memory_path(&place, plain_index)), 0);
    ck_assert(open_is_usable());
    ck_assert_uint_eq(memory_file_bytes(&place, plain_index), 64);
}
END_TEST

/* ---- writing --------------------------------------------------------------------------------- */

START_TEST(records_and_entries_land_where_they_belong)
{
    size_t size;
    uint8_t *bytes;

    ck_assert_int_eq(create(), STATUS_OK);
    fault_trace_clear();
    ck_assert_int_eq(write_records(2), STATUS_OK);
    ck_assert_int_eq(write_records(1), STATUS_OK);
    ck_assert_int_eq(log_file_sync(&file, &why), STATUS_OK);
    ck_assert_str_eq(fault_trace(), "write 00000000000000000042.log 64 80\n"
                                    "write 00000000000000000042.idx 64 16\n"
                                    "write 00000000000000000042.log 144 40\n"
                                    "write 00000000000000000042.idx 80 8\n"
                                    "sync 00000000000000000042.log\n");
    bytes = memory_load(&place, plain_name, &size);
    for (uint64_t i = 0; i < 3; i++)
        ck_assert(record_verify(bytes + 64 + 40 * i, 40, row.nonce, 42 + i));
    free(bytes);
    bytes = memory_load(&place, plain_index, &size);
    ck_assert_uint_eq(size, 64 + 3 * 8);
    for (uint64_t i = 0; i < 3; i++) {
        const index_entry *entry = (const index_entry *)(bytes + 64 + 8 * i);
        ck_assert_uint_eq(index_entry_position(entry), 64 + 40 * i);
        ck_assert_uint_eq(index_entry_bytes(entry), 40);
    }
    free(bytes);
}
END_TEST

START_TEST(room_is_reserved_up_to_a_full_segment_and_given_back)
{
    ck_assert_int_eq(create(), STATUS_OK);
    ck_assert_int_eq(write_records(1), STATUS_OK);
    ck_assert_uint_le(memory_file_bytes(&place, plain_name), COMMITLOG_SEGMENT_BYTES_MIN);
    ck_assert_uint_eq(fault_count(FAULT_ALLOCATE), 1);
    while (row.bytes + 160 <= COMMITLOG_SEGMENT_BYTES_MIN)
        ck_assert_int_eq(write_records(4), STATUS_OK);
    ck_assert_uint_eq(fault_count(FAULT_ALLOCATE), 1);
    log_file_seal(&file, row.bytes);
    ck_assert_uint_eq(memory_file_bytes(&place, plain_name), row.bytes);
    /* A record larger than a segment. */
    ck_assert_int_eq(write_records(16), STATUS_OK);
    ck_assert_uint_ge(memory_file_bytes(&place, plain_name), row.bytes);
}
END_TEST

START_TEST(each_failed_write_is_told)
{
    ck_assert_int_eq(create(), STATUS_OK);
    fault_set(FAULT_ALLOCATE, 1, STATUS_NO_SPACE, false);
    ck_assert_int_eq(write_records(1), STATUS_NO_SPACE);
    fault_set(FAULT_WRITE, 1, STATUS_NO_SPACE, false);
    ck_assert_int_eq(write_records(1), STATUS_NO_SPACE);
    fault_set(FAULT_WRITE, 2, STATUS_IO, false);
    ck_assert_int_eq(write_records(1), STATUS_IO);
    ck_assert_str_eq(why.text, "00000000000000000042.idx: made to fail: input/output error");
    fault_set(FAULT_SYNC, 1, STATUS_IO, false);
    ck_assert_int_eq(log_file_sync(&file, &why), STATUS_IO);
    fault_set(FAULT_TRUNCATE, 1, STATUS_IO, false);
    log_file_seal(&file, row.bytes);
    fault_set(FAULT_READ, 1, STATUS_IO, false);
    bool is_usable = true;
    ck_assert_int_eq(log_file_check_end(&file, row.bytes, &is_usable, &why), STATUS_IO);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("log_file");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, a_new_segment_has_a_header_and_an_index);
    tcase_add_test(all, a_taken_name_gets_the_nonce_and_is_left_alone);
    tcase_add_test(all, both_names_taken_is_an_error);
    tcase_add_test(all, a_failed_creation_leaves_nothing);
    tcase_add_test(all, something_in_the_indexs_place_does_not_stop_the_writer);
    tcase_add_test(all, a_segment_as_the_row_says_is_extended);
    tcase_add_test(all, a_word_after_the_end_forbids_it);
    tcase_add_test(all, a_file_that_ends_at_the_end_is_extended);
    tcase_add_test(all, what_is_not_the_rows_file_is_not_extended);
    tcase_add_test(all, what_replaced_the_file_is_not_extended);
    tcase_add_test(all, an_error_while_opening_is_not_an_answer);
    tcase_add_test(all, a_damaged_index_gets_its_header_back);
    tcase_add_test(all, records_and_entries_land_where_they_belong);
    tcase_add_test(all, room_is_reserved_up_to_a_full_segment_and_given_back);
    tcase_add_test(all, each_failed_write_is_told);
    suite_add_tcase(suite, all);
    return suite;
}
