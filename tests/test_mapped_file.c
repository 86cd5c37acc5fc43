/*
 * Mapped files: what is announced can be read, is populated once, and a short file is a status.
 */
#include "check_main.h"

#include "fault_os.h"
#include "mapped_file.h"
#include "memory_catalog.h"

#include <string.h>
#include <unistd.h>

#define CHUNK ((uint64_t)MAPPED_CHUNK_BYTES)

static memory_catalog place;
static os_directory *directory;
static mapped_file file;
static failure why;
static uint64_t file_bytes;

static void setup(void)
{
    memory_setup(&place, COMMITLOG_SEGMENT_BYTES_MIN);
    strcpy(place.directory, place.parent); /* no log here: the file stands in it */
    ck_assert_int_eq(
        fault_os.open_directory(place.parent, OS_DIRECTORY_OPEN, NULL, &directory, &why),
        STATUS_OK);
    file_bytes = 77;
}

static void teardown(void)
{
    mapped_file_close(&file);
    fault_os.close_directory(directory);
    memory_teardown(&place);
}

/* What the file holds: each byte tells its position. */
static uint8_t expected[6 * MAPPED_CHUNK_BYTES];

static void map(size_t size, uint64_t map_bytes)
{
    ck_assert_uint_le(size, sizeof expected);
    for (size_t i = 0; i < size; i++)
        expected[i] = (uint8_t)(i * 31 + i / 256);
    memory_store_bytes(&place, "f", 0, expected, size);
    ck_assert_int_eq(
        mapped_file_open(&file, &fault_os, directory, "f", map_bytes, &file_bytes, &why),
        STATUS_OK);
    ck_assert_uint_eq(file_bytes, size);
}

static void expect_ready(uint64_t position, uint64_t size, uint64_t end)
{
    why.text[0] = '\0';
    ck_assert_msg(mapped_file_ready(&file, position, size, end, &why) == STATUS_OK,
                  "[%llu, +%llu) of %llu: %s", (unsigned long long)position,
                  (unsigned long long)size, (unsigned long long)end, why.text);
    ck_assert_mem_eq(file.bytes + position, expected + position, size);
}

START_TEST(ranges_become_readable)
{
    map(5 * CHUNK + 100, 8 * CHUNK);
    expect_ready(0, 1, file_bytes);
    expect_ready(CHUNK - 1, 2, file_bytes);
    expect_ready(2 * CHUNK + 7, 3 * CHUNK, file_bytes);
    expect_ready(5 * CHUNK + 99, 1, file_bytes);
    expect_ready(0, file_bytes, file_bytes);
}
END_TEST

START_TEST(a_chunk_is_populated_once)
{
    map(4 * CHUNK, 4 * CHUNK);
    for (uint64_t at = 0; at < CHUNK; at += 64)
        expect_ready(at, 64, file_bytes);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 1);
    expect_ready(3 * CHUNK, 8, file_bytes);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 2);
}
END_TEST

START_TEST(a_file_that_grows_is_populated_on)
{
    map(4 * CHUNK, 4 * CHUNK);
    expect_ready(0, 64, 1000);
    expect_ready(936, 64, 1000);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 1);
    expect_ready(1000, 64, 2000);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 2);
    expect_ready(1900, 100, 2000);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 2);
}
END_TEST

/* Two readers of one segment, one with an older end: it may come second to a chunk. */
START_TEST(an_older_end_after_a_newer_one)
{
    map(4 * CHUNK, 4 * CHUNK);
    expect_ready(0, 8, 2 * CHUNK - 1000);
    expect_ready(CHUNK + 100, 8, 2 * CHUNK - 1000);
    expect_ready(CHUNK - 16, 32, CHUNK + 5000);
    expect_ready(CHUNK + 4000, 1000, CHUNK + 5000);
    /* And it takes nothing away. */
    unsigned before = fault_count(FAULT_POPULATE);
    expect_ready(CHUNK + 100, CHUNK - 2000, 2 * CHUNK - 1000);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), before);
}
END_TEST

START_TEST(every_order_of_ranges_and_ends)
{
    uint64_t seed = memory_seed();

    map(6 * CHUNK, 6 * CHUNK);
    for (int round = 0; round < 40; round++) {
        mapped_file_close(&file);
        ck_assert_int_eq(
            mapped_file_open(&file, &fault_os, directory, "f", 6 * CHUNK, &file_bytes, &why),
            STATUS_OK);
        for (int i = 0; i < 30; i++) {
            uint64_t end = 1 + memory_random(&seed, file_bytes);
            uint64_t position = memory_random(&seed, end);
            uint64_t size = 1 + memory_random(&seed, end - position);
            if (memory_random(&seed, 2) == 0 && size > 200)
                size = 200;
            expect_ready(position, size, end);
        }
    }
}
END_TEST

START_TEST(a_file_that_was_cut_is_an_error_and_no_signal)
{
    map(4 * CHUNK, 4 * CHUNK);
    ck_assert_int_eq(truncate(memory_path(&place, "f"), (off_t)CHUNK), 0);
    expect_ready(0, CHUNK, CHUNK);
    ck_assert_int_eq(mapped_file_ready(&file, 2 * CHUNK, 8, 4 * CHUNK, &why), STATUS_IO);
    ck_assert_int_eq(mapped_file_ready(&file, CHUNK - 8, 16, 4 * CHUNK, &why), STATUS_IO);
    /* Nothing was marked as ready on the way. */
    ck_assert_int_eq(mapped_file_ready(&file, 2 * CHUNK, 8, 4 * CHUNK, &why), STATUS_IO);
}
END_TEST

START_TEST(after_a_bad_page_it_is_tried_again)
{
    map(2 * CHUNK, 2 * CHUNK);
    fault_set(FAULT_POPULATE, 1, STATUS_IO, false);
    ck_assert_int_eq(mapped_file_ready(&file, 10, 10, file_bytes, &why), STATUS_IO);
    ck_assert_str_eq(why.text, "mapping: made to fail: input/output error");
    expect_ready(10, 10, file_bytes);
    ck_assert_uint_eq(fault_count(FAULT_POPULATE), 2);
}
END_TEST

START_TEST(what_cannot_be_mapped_leaves_an_empty_one)
{
    mapped_file opened = {.size = 77};

    ck_assert_int_eq(
        mapped_file_open(&opened, &fault_os, directory, "no", CHUNK, &file_bytes, &why),
        STATUS_NOT_FOUND);
    ck_assert_ptr_null(opened.bytes);
    ck_assert_uint_eq(opened.size, 0);
    ck_assert_uint_eq(file_bytes, 77);
    ck_assert_int_eq(symlink("f", memory_path(&place, "link")), 0);
    ck_assert_int_eq(
        mapped_file_open(&opened, &fault_os, directory, "link", CHUNK, &file_bytes, &why),
        STATUS_DAMAGED);
    mapped_file_close(&opened);
    mapped_file_close(&opened);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("mapped_file");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, ranges_become_readable);
    tcase_add_test(all, a_chunk_is_populated_once);
    tcase_add_test(all, a_file_that_grows_is_populated_on);
    tcase_add_test(all, an_older_end_after_a_newer_one);
    tcase_add_test(all, every_order_of_ranges_and_ends);
    tcase_add_test(all, a_file_that_was_cut_is_an_error_and_no_signal);
    tcase_add_test(all, after_a_bad_page_it_is_tried_again);
    tcase_add_test(all, what_cannot_be_mapped_leaves_an_empty_one);
    suite_add_tcase(suite, all);
    return suite;
}
