/*
 * Statuses and the messages of failures, and the bytes and the checksum below everything else.
 */
#include "check_main.h"

#include "bytes.h"
#include "checksum.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    status code;
    int number;
    const char *text;
} statuses[] = {
#define ROW(name, number, text, sqlite_code) {#name, STATUS_##name, number, text},
    STATUS_LIST(ROW)
#undef ROW
};

enum { STATUS_COUNT = sizeof statuses / sizeof *statuses };

START_TEST(numbers_and_texts_are_distinct)
{
    ck_assert_int_eq(STATUS_OK, 0);
    for (int i = 0; i < STATUS_COUNT; i++) {
        ck_assert_int_eq(statuses[i].code, statuses[i].number);
        ck_assert_str_eq(status_text(statuses[i].code), statuses[i].text);
        ck_assert_str_ne(statuses[i].text, "");
        for (int j = 0; j < i; j++) {
            ck_assert_int_ne(statuses[i].code, statuses[j].code);
            ck_assert_str_ne(statuses[i].text, statuses[j].text);
        }
    }
}
END_TEST

START_TEST(a_number_out_of_the_list_has_a_text)
{
    ck_assert_str_eq(status_text((status)(STATUS_COUNT + 1000)), "unknown status");
}
END_TEST

START_TEST(a_failure_is_filled_and_its_code_returned)
{
    failure why = {STATUS_OK, "before"};

    ck_assert_int_eq(fail(&why, STATUS_DAMAGED, "%s at %d", "here", 7), STATUS_DAMAGED);
    ck_assert_int_eq(why.code, STATUS_DAMAGED);
    ck_assert_str_eq(why.text, "here at 7");
}
END_TEST

START_TEST(a_failure_without_a_place_returns_its_code)
{
    ck_assert_int_eq(fail(NULL, STATUS_IO, "%s", "nobody reads this"), STATUS_IO);
}
END_TEST

START_TEST(a_long_text_is_cut)
{
    failure why;
    char expected[sizeof why.text];
    char *text = malloc(4096);

    ck_assert_ptr_nonnull(text);
    memset(text, 'x', 4095);
    text[4095] = '\0';
    memset(expected, 'x', sizeof expected - 1);
    expected[sizeof expected - 1] = '\0';
    ck_assert_int_eq(fail(&why, STATUS_TOO_BIG, "%s", text), STATUS_TOO_BIG);
    ck_assert_str_eq(why.text, expected);
    free(text);
}
END_TEST

START_TEST(integers_are_little_endian)
{
    le32 four = le32_make(UINT32_C(0x04030201));
    le64 eight = le64_make(UINT64_C(0x8807060504030201));
    static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 0x88};

    ck_assert_mem_eq(four.byte, bytes, 4);
    ck_assert_mem_eq(eight.byte, bytes, 8);
    ck_assert_uint_eq(le32_load(&four), UINT32_C(0x04030201));
    ck_assert_uint_eq(le64_load(&eight), UINT64_C(0x8807060504030201));
    for (int bit = 0; bit < 64; bit++) {
        eight = le64_make(UINT64_C(1) << bit);
        ck_assert_uint_eq(le64_load(&eight), UINT64_C(1) << bit);
    }
    four = le32_make(UINT32_MAX);
    ck_assert_uint_eq(le32_load(&four), UINT32_MAX);
}
END_TEST

/* Values of the published algorithm: a file written today is read for ever. */
START_TEST(the_checksum_is_xxh3)
{
    ck_assert_uint_eq(checksum("", 0, 0), UINT64_C(0x2d06800538d394c2));
    ck_assert_uint_eq(checksum("abc", 3, 0), UINT64_C(0x78af5f94892f3950));
    ck_assert_uint_ne(checksum("abc", 3, 1), checksum("abc", 3, 0));
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("status");
    TCase *all = tcase_create("all");

    tcase_add_test(all, numbers_and_texts_are_distinct);
    tcase_add_test(all, a_number_out_of_the_list_has_a_text);
    tcase_add_test(all, a_failure_is_filled_and_its_code_returned);
    tcase_add_test(all, a_failure_without_a_place_returns_its_code);
    tcase_add_test(all, a_long_text_is_cut);
    tcase_add_test(all, integers_are_little_endian);
    tcase_add_test(all, the_checksum_is_xxh3);
    suite_add_tcase(suite, all);
    return suite;
}
