/*
 * See memory_catalog.h.
 */
#define _XOPEN_SOURCE 700

#include "memory_catalog.h"

#include "fault_os.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- surroundings ---------------------------------------------------------------------------- */

void memory_setup(memory_catalog *catalog, uint64_t segment_bytes)
{
    const char *parent = getenv("TMPDIR");

    fault_reset();
    memset(catalog, 0, sizeof *catalog);
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++)
        catalog->uuid[i] = (uint8_t)(i * 17);
    snprintf(catalog->parent, sizeof catalog->parent, "%s/commitlog-test-XXXXXX",
             parent != NULL ? parent : P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(catalog->parent));
    ck_assert_int_lt(
        snprintf(catalog->root, sizeof catalog->root, "%.400s/log.db-commitlog", catalog->parent),
        440);
    snprintf(catalog->directory, sizeof catalog->directory,
             "%.440s/00112233-4455-6677-8899-aabbccddeeff", catalog->root);
    catalog->options.segment_bytes = segment_bytes;
    catalog->options.max_message_bytes = UINT64_C(1) << 32;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

void memory_teardown(memory_catalog *catalog)
{
    ck_assert_uint_eq(fault_open_files(), 0);
    ck_assert_uint_eq(fault_open_directories(), 0);
    ck_assert_uint_eq(fault_open_mappings(), 0);
    ck_assert_int_eq(nftw(catalog->parent, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(catalog->rows);
}

uint64_t memory_random(uint64_t *seed, uint64_t limit)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 11) % limit;
}

uint64_t memory_seed(void)
{
    const char *given = getenv("COMMITLOG_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0)
                                  : (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
    seed += seed == 0;
    printf("COMMITLOG_TEST_SEED=%" PRIu64 "\n", seed);
    fflush(stdout);
    return seed;
}

/* ---- the tables ------------------------------------------------------------------------------ */

static status segment_at(void *context, uint64_t offset, commitlog_segment *ret, failure *why)
{
    memory_catalog *catalog = context;
    size_t low = 0, high = catalog->row_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (catalog->rows[middle].base_offset <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return fail(why, STATUS_NOT_FOUND, "no segment");
    *ret = catalog->rows[low - 1];
    return STATUS_OK;
}

static commitlog *open_handle(memory_catalog *catalog, bool read_only)
{
    commitlog_location where = {.root_path = catalog->root, .read_only = read_only};
    commitlog_catalog tables = {catalog, segment_at};
    commitlog *log = NULL;
    failure why = {STATUS_OK, ""};

    memcpy(where.uuid, catalog->uuid, sizeof where.uuid);
    ck_assert_msg(commitlog_open(&fault_os, &where, &catalog->options, &tables, &log, &why) ==
                      STATUS_OK,
                  "%s", why.text);
    return log;
}

commitlog *memory_open(memory_catalog *catalog)
{
    return open_handle(catalog, false);
}

commitlog *memory_open_read_only(memory_catalog *catalog)
{
    return open_handle(catalog, true);
}

void memory_begin(memory_catalog *catalog, commitlog *log)
{
    failure why = {STATUS_OK, ""};
    ck_assert_msg(commitlog_begin(log, &catalog->state, true, &why) == STATUS_OK, "%s", why.text);
}

void memory_begin_unsynced(memory_catalog *catalog, commitlog *log)
{
    failure why = {STATUS_OK, ""};
    ck_assert_msg(commitlog_begin(log, &catalog->state, false, &why) == STATUS_OK, "%s", why.text);
}

/* Insert or replace. */
static void store_row(memory_catalog *catalog, const commitlog_segment *row)
{
    size_t at = catalog->row_count;

    while (at > 0 && catalog->rows[at - 1].base_offset >= row->base_offset)
        at--;
    if (at < catalog->row_count && catalog->rows[at].base_offset == row->base_offset) {
        catalog->rows[at] = *row;
        return;
    }
    /* Ours go up only: a row in the middle would be a gap that was not there before. */
    ck_assert_uint_eq(at, catalog->row_count);
    if (catalog->row_count == catalog->row_capacity) {
        catalog->row_capacity = catalog->row_capacity * 2 + 16;
        catalog->rows = realloc(catalog->rows, catalog->row_capacity * sizeof *catalog->rows);
        ck_assert_ptr_nonnull(catalog->rows);
    }
    catalog->rows[catalog->row_count++] = *row;
}

void memory_store(memory_catalog *catalog, const commitlog_state *state,
                  const commitlog_segment *segments, size_t count)
{
    catalog->state = *state;
    for (size_t i = 0; i < count; i++)
        store_row(catalog, &segments[i]);
}

void memory_commit(memory_catalog *catalog, commitlog *log)
{
    commitlog_state state;
    const commitlog_segment *segments = NULL;
    size_t count = 0;
    failure why = {STATUS_OK, ""};

    ck_assert_msg(commitlog_sync(log, &state, &segments, &count, &why) == STATUS_OK, "%s",
                  why.text);
    memory_store(catalog, &state, segments, count);
    commitlog_commit(log);
}

size_t memory_drop_segments(memory_catalog *catalog, commitlog_segment *dropped, size_t most)
{
    size_t count = 0;

    while (count < catalog->row_count &&
           catalog->rows[count].base_offset + catalog->rows[count].record_count <=
               catalog->state.log_start_offset)
        count++;
    ck_assert_uint_le(count, most);
    if (count == 0)
        return 0;
    memcpy(dropped, catalog->rows, count * sizeof *dropped);
    catalog->row_count -= count;
    memmove(catalog->rows, catalog->rows + count, catalog->row_count * sizeof *catalog->rows);
    return count;
}

/* ---- records --------------------------------------------------------------------------------- */

commitlog_record memory_record(uint64_t offset, uint32_t bytes)
{
    static char *text;
    static size_t capacity;
    commitlog_record record = {.timestamp_ms = (int64_t)(1000 + offset)};
    int length;

    if (capacity < bytes + 32) {
        capacity = bytes + 32;
        free(text);
        text = malloc(capacity);
        ck_assert_ptr_nonnull(text);
    }
    length = snprintf(text, capacity, "%" PRIu64 " ", offset);
    for (uint32_t at = (uint32_t)length; at < bytes; at++)
        text[at] = (char)('a' + (offset * 7 + at) % 26);
    record.key = (commitlog_value){.type = COMMITLOG_INTEGER, .integer = (int64_t)offset};
    record.value = (commitlog_value){
        .type = COMMITLOG_TEXT,
        .bytes = bytes > (uint32_t)length ? bytes : (uint32_t)length,
        .data = text,
    };
    return record;
}

bool memory_is_record(const commitlog_record *record, uint64_t offset)
{
    commitlog_record wanted = memory_record(offset, record->value.bytes);

    return record->timestamp_ms == wanted.timestamp_ms && record->key.type == COMMITLOG_INTEGER &&
           record->key.integer == (int64_t)offset && record->value.type == COMMITLOG_TEXT &&
           record->value.bytes == wanted.value.bytes &&
           memcmp(record->value.data, wanted.value.data, wanted.value.bytes) == 0 &&
           record->headers.type == COMMITLOG_NULL;
}

static uint64_t append(commitlog *log, const commitlog_record *record)
{
    uint64_t offset = UINT64_MAX;
    failure why = {STATUS_OK, ""};

    ck_assert_msg(commitlog_append(log, record, &offset, &why) == STATUS_OK, "%s", why.text);
    return offset;
}

uint64_t memory_append_text(commitlog *log, const char *text)
{
    commitlog_record record = {
        .value = {.type = COMMITLOG_TEXT, .bytes = (uint32_t)strlen(text), .data = text}};
    return append(log, &record);
}

uint64_t memory_append(commitlog *log, uint32_t bytes)
{
    commitlog_record record = memory_record(commitlog_next_offset(log), bytes);
    return append(log, &record);
}

void memory_append_and_commit(memory_catalog *catalog, commitlog *log, unsigned count,
                              uint32_t bytes)
{
    memory_begin(catalog, log);
    for (unsigned i = 0; i < count; i++)
        memory_append(log, bytes);
    memory_commit(catalog, log);
}

void memory_expect(commitlog *log, uint64_t first, uint64_t end)
{
    commitlog_reader *reader = NULL;
    commitlog_found found;
    failure why = {STATUS_OK, ""};

    ck_assert_msg(commitlog_reader_open(log, first, end, &reader, &why) == STATUS_OK, "%s",
                  why.text);
    for (uint64_t offset = first; offset < end; offset++) {
        ck_assert_msg(commitlog_reader_get(reader, offset, &found, &why) == STATUS_OK, "%s",
                      why.text);
        ck_assert_msg(memory_is_record(&found.record, offset), "offset %" PRIu64 ": other bytes",
                      offset);
    }
    commitlog_reader_close(reader);
    commitlog_release_mappings(log);
}

const char *memory_read_fails(commitlog *log, uint64_t offset, status code)
{
    static failure why;
    commitlog_reader *reader = NULL;
    commitlog_found found;
    status result = commitlog_reader_open(log, offset, offset + 1, &reader, &why);

    if (result == STATUS_OK) {
        result = commitlog_reader_get(reader, offset, &found, &why);
        commitlog_reader_close(reader);
    }
    ck_assert_msg(result == code, "offset %" PRIu64 ": expected '%s', got '%s'", offset,
                  status_text(code), result == STATUS_OK ? "ok" : why.text);
    return why.text;
}

void memory_commit_and_expect(memory_catalog *catalog, commitlog **log, uint64_t end)
{
    uint64_t next = 0;

    memory_commit(catalog, *log);
    ck_assert_uint_eq(catalog->state.end_offset, end);
    for (size_t i = 0; i < catalog->row_count; i++) {
        const commitlog_segment *row = &catalog->rows[i];
        ck_assert_uint_eq(row->base_offset, next);
        next = row->base_offset + row->record_count;
        ck_assert(!fault_is_new(memory_path(catalog, row->name)));
        ck_assert_msg(fault_unsynced_position(memory_path(catalog, row->name)) >= row->bytes,
                      "%s is not synced", row->name);
    }
    ck_assert_uint_eq(next, end);
    ck_assert(!fault_is_new(catalog->directory));
    memory_expect(*log, 0, end);
    commitlog_close(*log);
    *log = memory_open(catalog);
    memory_expect(*log, 0, end);
}

/* ---- files ----------------------------------------------------------------------------------- */

const char *memory_path(const memory_catalog *catalog, const char *name)
{
    static char ring[4][2 * MEMORY_PATH_BYTES];
    static unsigned turn;
    char *path = ring[turn++ % 4];
    snprintf(path, sizeof ring[0], "%s/%s", catalog->directory, name);
    return path;
}

bool memory_file_exists(const memory_catalog *catalog, const char *name)
{
    struct stat found;
    return lstat(memory_path(catalog, name), &found) == 0;
}

unsigned memory_file_count(const memory_catalog *catalog)
{
    DIR *stream = opendir(catalog->directory);
    struct dirent *entry;
    unsigned count = 0;

    if (stream == NULL)
        return 0;
    while ((entry = readdir(stream)) != NULL)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(stream);
    return count;
}

uint64_t memory_file_bytes(const memory_catalog *catalog, const char *name)
{
    struct stat found;
    ck_assert_int_eq(stat(memory_path(catalog, name), &found), 0);
    return (uint64_t)found.st_size;
}

uint8_t *memory_load(const memory_catalog *catalog, const char *name, size_t *ret_size)
{
    size_t size = (size_t)memory_file_bytes(catalog, name);
    uint8_t *bytes = malloc(size + 1);
    FILE *file = fopen(memory_path(catalog, name), "rb");

    ck_assert_ptr_nonnull(bytes);
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(bytes, 1, size, file), size);
    fclose(file);
    *ret_size = size;
    return bytes;
}

void memory_store_bytes(const memory_catalog *catalog, const char *name, uint64_t position,
                        const void *bytes, size_t size)
{
    int descriptor = open(memory_path(catalog, name), O_RDWR | O_CREAT, 0600);

    ck_assert_int_ge(descriptor, 0);
    ck_assert_int_eq((int)pwrite(descriptor, bytes, size, (off_t)position), (int)size);
    close(descriptor);
}

void memory_flip_bit(const memory_catalog *catalog, const char *name, uint64_t position)
{
    size_t size;
    uint8_t *bytes = memory_load(catalog, name, &size);

    ck_assert_uint_lt(position, size);
    bytes[position] ^= 1;
    memory_store_bytes(catalog, name, position, bytes + position, 1);
    free(bytes);
}
