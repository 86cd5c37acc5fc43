/*
 * core/FORMAT.md says what the code does: its tables are the structs, its names are those the code
 * builds, its example is what the code writes, byte for byte.
 *
 * Relies on TEST_SOURCE to find the page, and on the form of its tables and dumps.
 */
#include "check_main.h"

#include "format.h"

#include <stdio.h>
#include <string.h>

static const uint64_t nonce = UINT64_C(0x0123456789abcdef);
static const uint64_t base_offset = 42;
static uint8_t uuid[COMMITLOG_UUID_BYTES];

static commitlog_value text(const char *characters)
{
    return (commitlog_value){
        .type = COMMITLOG_TEXT, .bytes = (uint32_t)strlen(characters), .data = characters};
}

static char page[64 * 1024];

static void load_page(void)
{
    char path[1024];
    FILE *file;
    size_t size;

    snprintf(path, sizeof path, "%s", TEST_SOURCE);
    ck_assert_ptr_nonnull(strstr(path, "tests/test_format_page.c"));
    strcpy(strstr(path, "tests/test_format_page.c"), "core/FORMAT.md");
    file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot open %s", path);
    size = fread(page, 1, sizeof page - 1, file);
    page[size] = '\0';
    fclose(file);
    ck_assert_uint_gt(size, 1000);
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++)
        uuid[i] = (uint8_t)(i * 17);
}

/* The text from this line on. */
static const char *find_line(const char *from, const char *line)
{
    const char *at = strstr(from, line);
    ck_assert_msg(at != NULL && at[-1] == '\n', "FORMAT.md has no line '%s'", line);
    return at;
}

static const char *next_line(const char *at)
{
    at = strchr(at, '\n');
    ck_assert_ptr_nonnull(at);
    return at + 1;
}

typedef struct {
    const char *name;
    size_t position, bytes;
} field;

#define FIELD(type, name)                                      \
    {                                                          \
#name, offsetof(type, name), sizeof(((type *)0)->name) \
    }

/* The rows of a section's first table are these fields, in this order, and fill the struct. */
static void expect_fields(const char *section, const field *fields, size_t count, size_t total)
{
    const char *at = find_line(find_line(page, section), "| position | bytes | field |");
    size_t end = 0;

    at = next_line(next_line(at));
    for (size_t i = 0; i < count; i++, at = next_line(at)) {
        size_t position, bytes;
        char name[64];
        ck_assert_msg(sscanf(at, "| %zu | %zu | %63[a-z_] |", &position, &bytes, name) == 3,
                      "%s: row %zu is none: %.40s", section, i, at);
        ck_assert_str_eq(name, fields[i].name);
        ck_assert_uint_eq(position, fields[i].position);
        ck_assert_uint_eq(bytes, fields[i].bytes);
        ck_assert_uint_eq(position, end);
        end = position + bytes;
    }
    ck_assert_msg(at[0] != '|', "%s has more rows than the struct has fields", section);
    ck_assert_uint_eq(end, total);
}

START_TEST(the_pages_tables_are_the_structs)
{
    static const field header[] = {
        FIELD(segment_header, magic),
        FIELD(segment_header, version),
        FIELD(segment_header, header_bytes),
        FIELD(segment_header, compatible_flags),
        FIELD(segment_header, incompatible_flags),
        FIELD(segment_header, uuid),
        FIELD(segment_header, base_offset),
        FIELD(segment_header, nonce),
        FIELD(segment_header, checksum),
    };
    static const field frame[] = {
        FIELD(record_frame, checksum),      FIELD(record_frame, timestamp_ms),
        FIELD(record_frame, key_bytes),     FIELD(record_frame, value_bytes),
        FIELD(record_frame, headers_bytes), FIELD(record_frame, types),
        FIELD(record_frame, headers_set),   FIELD(record_frame, reserved),
    };
    static const field entry[] = {
        FIELD(index_entry, position_units),
        FIELD(index_entry, record_bytes),
    };

    expect_fields("## Segment header\n", header, 9, sizeof(segment_header));
    expect_fields("## Record\n", frame, 8, sizeof(record_frame));
    expect_fields("## Index entry\n", entry, 2, sizeof(index_entry));
}
END_TEST

START_TEST(the_pages_constants_are_the_codes)
{
    static const struct {
        const char *name;
        int number;
    } types[] = {{"NULL", COMMITLOG_NULL},
                 {"INTEGER", COMMITLOG_INTEGER},
                 {"REAL", COMMITLOG_REAL},
                 {"TEXT", COMMITLOG_TEXT},
                 {"BLOB", COMMITLOG_BLOB}};
    segment_header header;
    char line[128];

    for (size_t i = 0; i < 5; i++) {
        snprintf(line, sizeof line, "| %d | %s |", types[i].number, types[i].name);
        find_line(page, line);
    }
    snprintf(line, sizeof line, "| 8 | 4 | version | %u; ", FORMAT_VERSION);
    find_line(page, line);
    snprintf(line, sizeof line, "Version %u. ", FORMAT_VERSION);
    find_line(page, line);
    snprintf(line, sizeof line, "| 12 | 4 | header_bytes | %zu; ", sizeof header);
    find_line(page, line);
    for (int kind = FILE_LOG; kind <= FILE_INDEX; kind++) {
        const uint8_t *m = header.magic;
        segment_header_encode(&header, (file_kind)kind, uuid, base_offset, nonce);
        snprintf(line, sizeof line, "`%02x %02x %02x %02x %02x %02x %02x %02x` (`%s`)", m[0], m[1],
                 m[2], m[3], m[4], m[5], m[6], m[7], kind == FILE_LOG ? ".log" : ".idx");
        ck_assert_msg(strstr(page, line) != NULL, "FORMAT.md does not have %s", line);
    }
}
END_TEST

START_TEST(the_pages_names_are_the_codes)
{
    char name[COMMITLOG_NAME_BYTES], index_name[COMMITLOG_NAME_BYTES], line[128];

    for (int with_nonce = 0; with_nonce < 2; with_nonce++) {
        segment_name_build(name, base_offset, nonce, with_nonce);
        index_name_build(index_name, name);
        snprintf(line, sizeof line, "| `%s` |", name);
        find_line(page, line);
        snprintf(line, sizeof line, "| `%s` |", index_name);
        find_line(page, line);
    }
}
END_TEST

/* The bytes of the first dump after a line that begins like this; the words behind them are left
 * out, as they stand three blanks apart. */
static size_t parse_dump(const char *line, uint8_t *bytes, size_t most)
{
    const char *at = next_line(find_line(find_line(page, line), "```\n"));
    size_t count = 0;

    for (; strncmp(at, "```", 3) != 0; at = next_line(at)) {
        unsigned long position;
        unsigned byte;
        int used;
        ck_assert_int_eq(sscanf(at, "%8lx %n", &position, &used), 1);
        ck_assert_uint_eq(position, count);
        for (at += used; sscanf(at, "%2x", &byte) == 1 && at[-1] == ' ' && at[0] != ' '; at += 3) {
            ck_assert_uint_lt(count, most);
            bytes[count++] = (uint8_t)byte;
            if (at[2] == '\n' || (at[2] == ' ' && at[3] == ' '))
                break;
        }
    }
    return count;
}

START_TEST(the_pages_example_is_what_the_code_writes)
{
    commitlog_record records[] = {
        {.timestamp_ms = 1700000000000, .key = text("user-7"), .value = text("{\"op\":\"login\"}")},
        {.timestamp_ms = 1700000000001,
         .key = {.type = COMMITLOG_INTEGER, .integer = 7},
         .headers = text("{\"a\":1}")},
    };
    uint8_t log[256], index[256], dump[256];
    size_t end = sizeof(segment_header), index_end = sizeof(segment_header);

    segment_header_encode((segment_header *)log, FILE_LOG, uuid, base_offset, nonce);
    segment_header_encode((segment_header *)index, FILE_INDEX, uuid, base_offset, nonce);
    for (size_t i = 0; i < 2; i++) {
        uint64_t size = record_bytes(&records[i]);
        index_entry entry = index_entry_make(end, size);
        ck_assert_uint_le(end + size, sizeof log);
        record_encode(&records[i], size, log + end);
        record_seal(log + end, size, nonce, base_offset + i);
        memcpy(index + index_end, &entry, sizeof entry);
        end += (size_t)size;
        index_end += sizeof entry;
    }
    ck_assert_uint_eq(parse_dump("`00000000000000000042.log`, 168 bytes:", dump, sizeof dump), end);
    ck_assert_uint_eq(end, 168);
    ck_assert_mem_eq(dump, log, end);
    ck_assert_uint_eq(parse_dump("`00000000000000000042.idx`, 80 bytes:", dump, sizeof dump),
                      index_end);
    ck_assert_uint_eq(index_end, 80);
    ck_assert_mem_eq(dump, index, index_end);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("format_page");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, load_page, NULL);
    tcase_add_test(all, the_pages_tables_are_the_structs);
    tcase_add_test(all, the_pages_constants_are_the_codes);
    tcase_add_test(all, the_pages_names_are_the_codes);
    tcase_add_test(all, the_pages_example_is_what_the_code_writes);
    suite_add_tcase(suite, all);
    return suite;
}
