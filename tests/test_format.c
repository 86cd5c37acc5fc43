/*
 * The bytes on disk: that what is encoded comes back, and that nothing else passes for it.
 */
#include "check_main.h"

#include "checksum.h"
#include "format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t nonce = UINT64_C(0x0123456789abcdef);
static const uint64_t base_offset = 42;
static uint8_t uuid[COMMITLOG_UUID_BYTES];

static void setup(void)
{
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++)
        uuid[i] = (uint8_t)(i * 17);
}

static commitlog_value text(const char *characters)
{
    return (commitlog_value){
        .type = COMMITLOG_TEXT, .bytes = (uint32_t)strlen(characters), .data = characters};
}

/* Encode and seal into memory of exactly the record's size, so that a sanitizer sees the rest. */
static uint8_t *encode(const commitlog_record *record, uint64_t offset, uint64_t *ret_size)
{
    uint64_t size = record_bytes(record);
    uint8_t *bytes = malloc((size_t)size);

    ck_assert_ptr_nonnull(bytes);
    memset(bytes, 0xee, (size_t)size);
    record_encode(record, size, bytes);
    record_seal(bytes, size, nonce, offset);
    *ret_size = size;
    return bytes;
}

static bool is_same_value(const commitlog_value *a, const commitlog_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case COMMITLOG_NULL:
        return true;
    case COMMITLOG_INTEGER:
        return a->integer == b->integer;
    case COMMITLOG_REAL:
        return memcmp(&a->real, &b->real, sizeof a->real) == 0;
    case COMMITLOG_TEXT:
    case COMMITLOG_BLOB:
        return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
    }
    return false;
}

static uint64_t payload_bytes(const commitlog_value *value)
{
    if (value->type == COMMITLOG_INTEGER || value->type == COMMITLOG_REAL)
        return 8;
    return value->type == COMMITLOG_NULL ? 0 : value->bytes;
}

static void expect_round_trip(const commitlog_record *record)
{
    uint64_t size, payload = payload_bytes(&record->key) + payload_bytes(&record->value) +
                             payload_bytes(&record->headers);
    uint8_t *bytes = encode(record, 7, &size);
    commitlog_record found;

    ck_assert_uint_eq(size, (32 + payload + 7) / 8 * 8);
    for (uint64_t at = 32 + payload; at < size; at++)
        ck_assert_uint_eq(bytes[at], 0);
    ck_assert_uint_eq(record_frame_bytes((const record_frame *)bytes), size);
    ck_assert(record_verify(bytes, size, nonce, 7));
    ck_assert_int_eq(record_decode(bytes, size, &found), STATUS_OK);
    ck_assert_int_eq(found.timestamp_ms, record->timestamp_ms);
    ck_assert(is_same_value(&found.key, &record->key));
    ck_assert(is_same_value(&found.value, &record->value));
    ck_assert(is_same_value(&found.headers, &record->headers));
    free(bytes);
}

START_TEST(every_pair_of_types_comes_back)
{
    static const uint8_t blob[] = {0, 1, 0xff, 0, 0xc0};
    commitlog_value values[] = {
        {.type = COMMITLOG_NULL},
        {.type = COMMITLOG_INTEGER, .integer = INT64_MIN},
        {.type = COMMITLOG_INTEGER, .integer = -1},
        {.type = COMMITLOG_INTEGER, .integer = INT64_MAX},
        {.type = COMMITLOG_REAL, .real = -0.0},
        {.type = COMMITLOG_REAL, .real = 1e308 * 10},
        {.type = COMMITLOG_TEXT, .bytes = 0, .data = NULL},
        {.type = COMMITLOG_TEXT, .bytes = 5, .data = "a\0b\xff\xfe"},
        {.type = COMMITLOG_BLOB, .bytes = 0, .data = NULL},
        {.type = COMMITLOG_BLOB, .bytes = sizeof blob, .data = blob},
    };
    commitlog_value headers[] = {{.type = COMMITLOG_NULL}, text(""), text("{\"a\":[1,2]}")};
    int64_t timestamps[] = {0, -1, INT64_MIN, INT64_MAX, 1700000000000};

    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        for (size_t v = 0; v < sizeof values / sizeof *values; v++)
            for (size_t h = 0; h < 3; h++) {
                commitlog_record record = {.timestamp_ms = timestamps[(k + v + h) % 5],
                                           .key = values[k],
                                           .value = values[v],
                                           .headers = headers[h]};
                expect_round_trip(&record);
            }
}
END_TEST

START_TEST(every_size_is_padded_with_zeros)
{
    char bytes[80];
    memset(bytes, 'x', sizeof bytes);

    for (uint32_t key = 0; key <= 17; key++)
        for (uint32_t value = 0; value <= 17; value++)
            for (uint32_t headers = 0; headers <= 17; headers++) {
                commitlog_record record = {
                    .key = {.type = COMMITLOG_BLOB, .bytes = key, .data = bytes},
                    .value = {.type = COMMITLOG_TEXT, .bytes = value, .data = bytes},
                    .headers = {.type = COMMITLOG_TEXT, .bytes = headers, .data = bytes}};
                expect_round_trip(&record);
            }
}
END_TEST

START_TEST(nan_keeps_its_bits)
{
    uint64_t bits = UINT64_C(0x7ff8000000001234), size, found_bits;
    commitlog_record record = {.key = {.type = COMMITLOG_REAL}}, found;
    uint8_t *bytes;

    memcpy(&record.key.real, &bits, sizeof bits);
    bytes = encode(&record, 0, &size);
    ck_assert_int_eq(record_decode(bytes, size, &found), STATUS_OK);
    memcpy(&found_bits, &found.key.real, sizeof found_bits);
    ck_assert_uint_eq(found_bits, bits);
    free(bytes);
}
END_TEST

/* As a reader would take it: the frame's size first, then the checksum. */
static bool passes(const uint8_t *bytes, uint64_t size)
{
    return record_frame_bytes((const record_frame *)bytes) == size &&
           record_verify(bytes, size, nonce, base_offset);
}

START_TEST(every_flipped_bit_of_a_record_is_found)
{
    commitlog_record record = {.timestamp_ms = 1700000000000,
                               .key = text("user-7"),
                               .value = text("{\"op\":\"login\"}"),
                               .headers = text("{}")};
    uint64_t size;
    uint8_t *bytes = encode(&record, base_offset, &size);

    ck_assert(passes(bytes, size));
    for (uint64_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!passes(bytes, size), "bit %" PRIu64 " flipped, and the record passes", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert(passes(bytes, size));
    free(bytes);
}
END_TEST

START_TEST(zeros_are_no_record)
{
    uint8_t zeros[64] = {0};

    for (uint64_t offset = 0; offset < 100; offset++)
        ck_assert(!record_verify(zeros, 32, nonce, offset));
    ck_assert(!record_verify(zeros, 64, 0, 0));
}
END_TEST

START_TEST(a_record_begins_with_a_word_that_is_not_zero)
{
    uint64_t size;
    commitlog_record record = {.key = {.type = COMMITLOG_NULL}};
    uint8_t zeros[8] = {0}, *bytes = encode(&record, 0, &size);

    for (uint64_t offset = 0; offset < 20000; offset++) {
        record_seal(bytes, size, nonce, offset);
        ck_assert_mem_ne(bytes, zeros, 8);
    }
    free(bytes);
    /* The one sum that would be zero, if a sum of XXH3 is: it is stored as another. */
    ck_assert_uint_ne(checksum("", 0, 0), 0);
}
END_TEST

START_TEST(a_record_passes_at_its_offset_and_nonce_alone)
{
    commitlog_record record = {.value = text("x")};
    uint64_t size;
    uint8_t *bytes = encode(&record, 1000, &size);

    for (uint64_t offset = 0; offset < 3000; offset++)
        ck_assert_int_eq(record_verify(bytes, size, nonce, offset), offset == 1000);
    for (int bit = 0; bit < 64; bit++) {
        ck_assert(!record_verify(bytes, size, nonce ^ UINT64_C(1) << bit, 1000));
        ck_assert(!record_verify(bytes, size, nonce, 1000 ^ UINT64_C(1) << bit));
    }
    free(bytes);
}
END_TEST

START_TEST(the_largest_record_is_4_gib_less_8)
{
    commitlog_record record = {.value = {.type = COMMITLOG_BLOB, .bytes = UINT32_MAX - 7 - 32}};

    ck_assert_uint_eq(record_bytes(&record), UINT64_C(0xfffffff8));
    record.value.bytes++;
    ck_assert_uint_eq(record_bytes(&record), 0);
    record.value.bytes = UINT32_MAX;
    ck_assert_uint_eq(record_bytes(&record), 0);
    record.key = record.headers = record.value;
    ck_assert_uint_eq(record_bytes(&record), 0);
    record.key.bytes = record.value.bytes = UINT32_C(1) << 31;
    record.headers.bytes = 0;
    ck_assert_uint_eq(record_bytes(&record), 0);
}
END_TEST

/* ---- hostile frames -------------------------------------------------------------------------- */

static record_frame frame_of(uint32_t key, uint32_t value, uint32_t headers, unsigned types,
                             uint8_t headers_set)
{
    record_frame frame;
    memset(&frame, 0, sizeof frame);
    frame.key_bytes = le32_make(key);
    frame.value_bytes = le32_make(value);
    frame.headers_bytes = le32_make(headers);
    frame.types = (uint8_t)types;
    frame.headers_set = headers_set;
    return frame;
}

START_TEST(frames_that_nobody_writes_have_no_size)
{
    static const struct {
        uint32_t key, value, headers;
        unsigned types;
        uint8_t headers_set;
    } hostile[] = {
        {1, 0, 0, 0x00, 0},
        {0, 1, 0, 0x00, 0},
        {7, 0, 0, 0x01, 0},
        {0, 0, 0, 0x01, 0},
        {9, 0, 0, 0x02, 0},
        {0, 7, 0, 0x10, 0},
        {0, 16, 0, 0x20, 0},
        {0, 0, 0, 0x05, 0},
        {0, 0, 0, 0x50, 0},
        {0, 0, 0, 0xff, 0},
        {0, 0, 1, 0x00, 0},
        {0, 0, 0, 0x00, 2},
        {0, 0, 0, 0x00, 255},
        {UINT32_MAX, 0, 0, 0x03, 0},
        {UINT32_MAX, UINT32_MAX, UINT32_MAX, 0x33, 1},
        {0, UINT32_MAX - 38, 0, 0x40, 0},
    };
    record_frame frame;

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        frame = frame_of(hostile[i].key, hostile[i].value, hostile[i].headers, hostile[i].types,
                         hostile[i].headers_set);
        ck_assert_msg(record_frame_bytes(&frame) == 0, "frame %zu has a size", i);
    }
    for (int i = 0; i < 2; i++) {
        frame = frame_of(8, 3, 5, 0x31, 1);
        frame.reserved[i] = 1;
        ck_assert_msg(record_frame_bytes(&frame) == 0, "a reserved byte is set");
    }
    frame = frame_of(8, 3, 5, 0x31, 1);
    ck_assert_uint_eq(record_frame_bytes(&frame), 48);
    frame = frame_of(0, UINT32_MAX - 39, 0, 0x40, 0);
    ck_assert_uint_eq(record_frame_bytes(&frame), UINT64_C(0xfffffff8));
}
END_TEST

START_TEST(a_record_of_another_size_is_not_decoded)
{
    commitlog_record record = {.value = text("12345678")}, found;
    uint64_t size;
    uint8_t *bytes = encode(&record, 0, &size);

    ck_assert_int_eq(record_decode(bytes, size - 8, &found), STATUS_DAMAGED);
    ck_assert_int_eq(record_decode(bytes, size + 8, &found), STATUS_DAMAGED);
    ck_assert_int_eq(record_decode(bytes, 32, &found), STATUS_DAMAGED);
    free(bytes);
}
END_TEST

/* ---- the header ------------------------------------------------------------------------------ */

static void reseal(segment_header *header)
{
    header->checksum = le64_make(checksum(header, offsetof(segment_header, checksum), 0));
}

static void expect_check(const segment_header *header, status code, const char *message)
{
    failure why = {STATUS_OK, ""};

    ck_assert_int_eq(
        segment_header_check(header, FILE_LOG, uuid, base_offset, nonce, "a.log", &why), code);
    ck_assert_str_eq(why.text, message);
}

START_TEST(a_header_passes_for_its_own_file_alone)
{
    segment_header header;
    uint8_t other[COMMITLOG_UUID_BYTES];

    segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce);
    expect_check(&header, STATUS_OK, "");
    segment_header_encode(&header, FILE_INDEX, uuid, base_offset, nonce);
    expect_check(&header, STATUS_DAMAGED, "a.log: position 0 does not hold a segment header");
    memcpy(other, uuid, sizeof other);
    other[15] ^= 1;
    segment_header_encode(&header, FILE_LOG, other, base_offset, nonce);
    expect_check(&header, STATUS_DAMAGED, "a.log: the segment belongs to another log");
    segment_header_encode(&header, FILE_LOG, uuid, base_offset + 1, nonce);
    expect_check(&header, STATUS_DAMAGED, "a.log: the segment starts at offset 43, expected 42");
    segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce + 1);
    expect_check(&header, STATUS_DAMAGED, "a.log: the file is not the one the log's tables name");
    memset(&header, 0, sizeof header);
    expect_check(&header, STATUS_DAMAGED, "a.log: position 0 does not hold a segment header");
}
END_TEST

START_TEST(every_flipped_bit_of_a_header_is_found)
{
    segment_header header;
    uint8_t *bytes = (uint8_t *)&header;

    for (int kind = FILE_LOG; kind <= FILE_INDEX; kind++) {
        segment_header_encode(&header, (file_kind)kind, uuid, base_offset, nonce);
        for (size_t bit = 0; bit < sizeof header * 8; bit++) {
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
            ck_assert_int_eq(
                segment_header_check(&header, (file_kind)kind, uuid, base_offset, nonce, "a", NULL),
                STATUS_DAMAGED);
            bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
}
END_TEST

START_TEST(a_later_version_is_unsupported_not_damaged)
{
    const char *features =
        "a.log: the segment uses features that this version of the library does not know";
    segment_header header;

    segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce);
    header.version = le32_make(2);
    reseal(&header);
    expect_check(&header, STATUS_UNSUPPORTED,
                 "a.log: format version 2, this library reads version 1");
    for (int bit = 0; bit < 32; bit++) {
        segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce);
        header.incompatible_flags = le32_make(UINT32_C(1) << bit);
        reseal(&header);
        expect_check(&header, STATUS_UNSUPPORTED, features);
    }
    segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce);
    header.header_bytes = le32_make(128);
    reseal(&header);
    expect_check(&header, STATUS_UNSUPPORTED, features);
}
END_TEST

START_TEST(unknown_compatible_flags_are_ignored)
{
    segment_header header;

    segment_header_encode(&header, FILE_LOG, uuid, base_offset, nonce);
    header.compatible_flags = le32_make(UINT32_MAX);
    reseal(&header);
    expect_check(&header, STATUS_OK, "");
}
END_TEST

/* ---- index and names ------------------------------------------------------------------------- */

START_TEST(an_index_entry_reaches_the_end_of_the_largest_segment)
{
    uint64_t positions[] = {64, 72, UINT64_C(1) << 32, FORMAT_SEGMENT_BYTES_MAX};

    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        index_entry entry = index_entry_make(positions[i], UINT64_C(0xfffffff8));
        ck_assert_uint_eq(index_entry_position(&entry), positions[i]);
        ck_assert_uint_eq(index_entry_bytes(&entry), UINT64_C(0xfffffff8));
    }
    ck_assert_uint_ge(FORMAT_SEGMENT_BYTES_MAX, COMMITLOG_SEGMENT_BYTES_MAX);
}
END_TEST

START_TEST(names_come_back)
{
    uint64_t offsets[] = {0, 42, INT64_MAX, UINT64_MAX}, found = 1;
    char name[COMMITLOG_NAME_BYTES], index_name[COMMITLOG_NAME_BYTES];

    for (size_t i = 0; i < 4; i++)
        for (int with_nonce = 0; with_nonce < 2; with_nonce++) {
            segment_name_build(name, offsets[i], UINT64_MAX - i, with_nonce);
            ck_assert_uint_lt(strlen(name), COMMITLOG_NAME_BYTES - 1);
            ck_assert(segment_name_parse(name, FILE_LOG, &found));
            ck_assert_uint_eq(found, offsets[i]);
            ck_assert(!segment_name_parse(name, FILE_INDEX, &found));
            index_name_build(index_name, name);
            ck_assert(segment_name_parse(index_name, FILE_INDEX, &found));
            ck_assert(!segment_name_parse(index_name, FILE_LOG, &found));
            ck_assert_uint_eq(found, offsets[i]);
            ck_assert_int_eq(strncmp(index_name, name, strlen(name) - 3), 0);
        }
    /* Names sort as offsets do. */
    segment_name_build(name, 9, 0, false);
    segment_name_build(index_name, 10, 0, false);
    ck_assert_int_lt(strcmp(name, index_name), 0);
}
END_TEST

START_TEST(hostile_names_are_nobodys)
{
    static const char *const hostile[] = {
        "",
        ".",
        "..",
        ".log",
        "42.log",
        "0000000000000000042.log",
        "000000000000000000042.log",
        "00000000000000000042",
        "00000000000000000042.",
        "00000000000000000042.LOG",
        "00000000000000000042.log ",
        "00000000000000000042.log.log",
        "00000000000000000042.logx",
        " 00000000000000000042.log",
        "+0000000000000000042.log",
        "-0000000000000000042.log",
        "0x000000000000000042.log",
        "0000000000000000004a.log",
        "18446744073709551616.log",
        "99999999999999999999.log",
        "../00000000000000000042.log",
        "/00000000000000000042.log",
        "00000000000000000042/.log",
        "00000000000000000042-.log",
        "00000000000000000042-0123456789abcde.log",
        "00000000000000000042-0123456789abcdef0.log",
        "00000000000000000042-0123456789ABCDEF.log",
        "00000000000000000042-0123456789abcdeg.log",
        "00000000000000000042-0123456789abcdef",
        "00000000000000000042_0123456789abcdef.log",
        "00000000000000000042-0123456789abcdef-0123456789abcdef.log",
        "PINS",
        "DROPPED",
    };
    uint64_t found = 77;

    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        ck_assert_msg(!segment_name_parse(hostile[i], FILE_LOG, &found), "'%s' passes", hostile[i]);
        ck_assert_msg(!segment_name_parse(hostile[i], FILE_INDEX, &found), "'%s' passes",
                      hostile[i]);
    }
    ck_assert_uint_eq(found, 77);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("format");
    TCase *records = tcase_create("records"), *headers = tcase_create("headers");
    TCase *names = tcase_create("names");

    tcase_add_checked_fixture(headers, setup, NULL);
    tcase_add_test(records, every_pair_of_types_comes_back);
    tcase_add_test(records, every_size_is_padded_with_zeros);
    tcase_add_test(records, nan_keeps_its_bits);
    tcase_add_test(records, every_flipped_bit_of_a_record_is_found);
    tcase_add_test(records, zeros_are_no_record);
    tcase_add_test(records, a_record_begins_with_a_word_that_is_not_zero);
    tcase_add_test(records, a_record_passes_at_its_offset_and_nonce_alone);
    tcase_add_test(records, the_largest_record_is_4_gib_less_8);
    tcase_add_test(records, frames_that_nobody_writes_have_no_size);
    tcase_add_test(records, a_record_of_another_size_is_not_decoded);
    tcase_add_test(headers, a_header_passes_for_its_own_file_alone);
    tcase_add_test(headers, every_flipped_bit_of_a_header_is_found);
    tcase_add_test(headers, a_later_version_is_unsupported_not_damaged);
    tcase_add_test(headers, unknown_compatible_flags_are_ignored);
    tcase_add_test(names, an_index_entry_reaches_the_end_of_the_largest_segment);
    tcase_add_test(names, names_come_back);
    tcase_add_test(names, hostile_names_are_nobodys);
    suite_add_tcase(suite, records);
    suite_add_tcase(suite, headers);
    suite_add_tcase(suite, names);
    return suite;
}
