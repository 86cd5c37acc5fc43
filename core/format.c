/*
 * Encoding, decoding and validating the bytes on disk. See format.h and FORMAT.md.
 */
#include "format.h"

#include "checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* As PNG's: a byte that is no text, the name, and line ends that a careless copy would change. */
static const uint8_t magics[2][8] = {
    [FILE_LOG] = {0x89, 'C', 'L', 'O', 'G', '\r', '\n', 0x1a},
    [FILE_INDEX] = {0x89, 'C', 'I', 'D', 'X', '\r', '\n', 0x1a},
};

static const char *const endings[2] = {[FILE_LOG] = ".log", [FILE_INDEX] = ".idx"};

static uint64_t header_checksum(const segment_header *header)
{
    return checksum(header, offsetof(segment_header, checksum), 0);
}

void segment_header_encode(segment_header *header, file_kind kind,
                           const uint8_t uuid[COMMITLOG_UUID_BYTES], uint64_t base_offset,
                           uint64_t nonce)
{
    memset(header, 0, sizeof *header);
    memcpy(header->magic, magics[kind], sizeof header->magic);
    header->version = le32_make(FORMAT_VERSION);
    header->header_bytes = le32_make((uint32_t)SEGMENT_HEADER_BYTES);
    memcpy(header->uuid, uuid, COMMITLOG_UUID_BYTES);
    header->base_offset = le64_make(base_offset);
    header->nonce = le64_make(nonce);
    header->checksum = le64_make(header_checksum(header));
}

status segment_header_check(const segment_header *header, file_kind kind,
                            const uint8_t uuid[COMMITLOG_UUID_BYTES], uint64_t base_offset,
                            uint64_t nonce, const char *path, failure *why)
{
    if (memcmp(header->magic, magics[kind], sizeof header->magic) != 0)
        return fail(why, STATUS_DAMAGED, "%s: position 0 does not hold a segment header", path);
    if (le64_load(&header->checksum) != header_checksum(header))
        return fail(why, STATUS_DAMAGED, "%s: the segment header fails its checksum", path);
    if (le32_load(&header->version) != FORMAT_VERSION)
        return fail(why, STATUS_UNSUPPORTED,
                    "%s: format version %" PRIu32 ", this library reads version %u", path,
                    le32_load(&header->version), FORMAT_VERSION);
    if (le32_load(&header->incompatible_flags) != 0 ||
        le32_load(&header->header_bytes) != SEGMENT_HEADER_BYTES)
        return fail(why, STATUS_UNSUPPORTED,
                    "%s: the segment uses features that this version of the library does not know",
                    path);
    if (memcmp(header->uuid, uuid, COMMITLOG_UUID_BYTES) != 0)
        return fail(why, STATUS_DAMAGED, "%s: the segment belongs to another log", path);
    if (le64_load(&header->base_offset) != base_offset)
        return fail(why, STATUS_DAMAGED,
                    "%s: the segment starts at offset %" PRIu64 ", expected %" PRIu64, path,
                    le64_load(&header->base_offset), base_offset);
    if (le64_load(&header->nonce) != nonce)
        return fail(why, STATUS_DAMAGED, "%s: the file is not the one the log's tables name", path);
    return STATUS_OK;
}

static uint64_t value_bytes(const commitlog_value *value)
{
    switch (value->type) {
    case COMMITLOG_NULL:
        return 0;
    case COMMITLOG_INTEGER:
    case COMMITLOG_REAL:
        return 8;
    case COMMITLOG_TEXT:
    case COMMITLOG_BLOB:
        return value->bytes;
    }
    return 0;
}

static uint64_t padded(uint64_t size)
{
    return (size + FORMAT_ALIGNMENT - 1) & ~(uint64_t)(FORMAT_ALIGNMENT - 1);
}

uint64_t record_bytes(const commitlog_record *record)
{
    uint64_t size = padded(RECORD_FRAME_BYTES + value_bytes(&record->key) +
                           value_bytes(&record->value) + value_bytes(&record->headers));
    return size <= UINT32_MAX ? size : 0;
}

/* The 8 bytes of an IEEE 754 double, as an integer of the same bits. */
static uint64_t real_bits(double real)
{
    uint64_t bits;
    memcpy(&bits, &real, sizeof bits);
    return bits;
}

static uint8_t *value_encode(const commitlog_value *value, uint8_t *to)
{
    uint64_t size = value_bytes(value);
    if (value->type == COMMITLOG_INTEGER || value->type == COMMITLOG_REAL) {
        le64 field = le64_make(value->type == COMMITLOG_INTEGER ? (uint64_t)value->integer
                                                                : real_bits(value->real));
        memcpy(to, &field, sizeof field);
    } else if (size > 0) {
        memcpy(to, value->data, size);
    }
    return to + size;
}

void record_encode(const commitlog_record *record, uint64_t size, uint8_t *bytes)
{
    record_frame *frame = (record_frame *)bytes;
    uint8_t *at = bytes + RECORD_FRAME_BYTES;

    frame->checksum = le64_make(0);
    frame->timestamp_ms = le64_make((uint64_t)record->timestamp_ms);
    frame->key_bytes = le32_make((uint32_t)value_bytes(&record->key));
    frame->value_bytes = le32_make((uint32_t)value_bytes(&record->value));
    frame->headers_bytes = le32_make((uint32_t)value_bytes(&record->headers));
    frame->types = (uint8_t)(record->key.type | record->value.type << 4);
    frame->headers_set = record->headers.type != COMMITLOG_NULL;
    memset(frame->reserved, 0, sizeof frame->reserved);
    at = value_encode(&record->key, at);
    at = value_encode(&record->value, at);
    at = value_encode(&record->headers, at);
    memset(at, 0, (size_t)(bytes + size - at));
}

/* Distinct for all offsets of a segment, as the multiplier is odd (2^64 / golden ratio). */
static uint64_t record_checksum(const uint8_t *bytes, uint64_t size, uint64_t nonce,
                                uint64_t offset)
{
    return checksum(bytes + sizeof(le64), (size_t)size - sizeof(le64),
                    nonce + offset * 0x9E3779B97F4A7C15u);
}

void record_seal(uint8_t *bytes, uint64_t size, uint64_t nonce, uint64_t offset)
{
    ((record_frame *)bytes)->checksum = le64_make(record_checksum(bytes, size, nonce, offset));
}

static bool is_fixed_size(unsigned type, uint32_t bytes)
{
    if (type == COMMITLOG_NULL)
        return bytes == 0;
    if (type == COMMITLOG_INTEGER || type == COMMITLOG_REAL)
        return bytes == 8;
    return type <= COMMITLOG_BLOB;
}

uint64_t record_frame_bytes(const record_frame *frame)
{
    uint32_t key_bytes = le32_load(&frame->key_bytes);
    uint32_t value_size = le32_load(&frame->value_bytes);
    uint32_t headers_bytes = le32_load(&frame->headers_bytes);
    unsigned types = frame->types;
    uint64_t size = padded(RECORD_FRAME_BYTES + (uint64_t)key_bytes + value_size + headers_bytes);

    if (!is_fixed_size(types & 15, key_bytes) || !is_fixed_size(types >> 4, value_size))
        return 0;
    if (frame->reserved[0] != 0 || frame->reserved[1] != 0 || frame->headers_set > 1 ||
        (frame->headers_set == 0 && headers_bytes != 0))
        return 0;
    return size <= UINT32_MAX ? size : 0;
}

bool record_verify(const uint8_t *bytes, uint64_t size, uint64_t nonce, uint64_t offset)
{
    uint64_t found = le64_load(&((const record_frame *)bytes)->checksum);
    return found != 0 && found == record_checksum(bytes, size, nonce, offset);
}

static const uint8_t *value_decode(unsigned type, uint32_t bytes, const uint8_t *from,
                                   commitlog_value *value)
{
    value->type = (commitlog_type)type;
    value->bytes = bytes;
    value->data = from;
    value->integer = 0;
    value->real = 0;
    if (type == COMMITLOG_INTEGER) {
        value->integer = (int64_t)le64_load((const le64 *)from);
    } else if (type == COMMITLOG_REAL) {
        uint64_t bits = le64_load((const le64 *)from);
        memcpy(&value->real, &bits, sizeof value->real);
    }
    return from + bytes;
}

status record_decode(const uint8_t *bytes, uint64_t size, commitlog_record *record)
{
    record_frame frame;
    const uint8_t *at = bytes + RECORD_FRAME_BYTES;

    memcpy(&frame, bytes, sizeof frame);
    if (record_frame_bytes(&frame) != size)
        return STATUS_DAMAGED;
    record->timestamp_ms = (int64_t)le64_load(&frame.timestamp_ms);
    at = value_decode(frame.types & 15, le32_load(&frame.key_bytes), at, &record->key);
    at = value_decode(frame.types >> 4, le32_load(&frame.value_bytes), at, &record->value);
    value_decode(frame.headers_set ? COMMITLOG_TEXT : COMMITLOG_NULL,
                 le32_load(&frame.headers_bytes), at, &record->headers);
    return STATUS_OK;
}

index_entry index_entry_make(uint64_t position, uint64_t record_size)
{
    index_entry entry = {le32_make((uint32_t)(position / FORMAT_ALIGNMENT)),
                         le32_make((uint32_t)record_size)};
    return entry;
}

uint64_t index_entry_position(const index_entry *entry)
{
    return (uint64_t)le32_load(&entry->position_units) * FORMAT_ALIGNMENT;
}

uint64_t index_entry_bytes(const index_entry *entry)
{
    return le32_load(&entry->record_bytes);
}

void segment_name_build(char name[COMMITLOG_NAME_BYTES], uint64_t base_offset, uint64_t nonce,
                        bool with_nonce)
{
    if (with_nonce)
        snprintf(name, COMMITLOG_NAME_BYTES, "%020" PRIu64 "-%016" PRIx64 "%s", base_offset, nonce,
                 endings[FILE_LOG]);
    else
        snprintf(name, COMMITLOG_NAME_BYTES, "%020" PRIu64 "%s", base_offset, endings[FILE_LOG]);
}

/* Length of the run of characters out of `set` at the start of `text`, at most `most`. */
static size_t run_of(const char *text, const char *set, size_t most)
{
    size_t length = strspn(text, set);
    return length < most ? length : most;
}

bool segment_name_parse(const char *name, file_kind kind, uint64_t *ret_base_offset)
{
    const char *at = name;
    uint64_t base_offset = 0;

    if (run_of(at, "0123456789", 20) != 20)
        return false;
    for (int i = 0; i < 20; i++) {
        uint64_t digit = (uint64_t)(*at++ - '0');
        if (base_offset > (UINT64_MAX - digit) / 10)
            return false;
        base_offset = base_offset * 10 + digit;
    }
    if (*at == '-') {
        if (run_of(at + 1, "0123456789abcdef", 16) != 16)
            return false;
        at += 17;
    }
    if (strcmp(at, endings[kind]) != 0)
        return false;
    *ret_base_offset = base_offset;
    return true;
}

bool segment_row_is_plausible(const commitlog_segment *row)
{
    uint64_t base_offset;
    return segment_name_parse(row->name, FILE_LOG, &base_offset) &&
           base_offset == row->base_offset && base_offset <= INT64_MAX && row->record_count > 0 &&
           row->record_count <= INT64_MAX - row->base_offset &&
           row->bytes <= FORMAT_SEGMENT_BYTES_MAX && row->bytes % FORMAT_ALIGNMENT == 0 &&
           row->bytes >= SEGMENT_HEADER_BYTES &&
           (row->bytes - SEGMENT_HEADER_BYTES) / RECORD_FRAME_BYTES >= row->record_count;
}

void index_name_build(char index_name[COMMITLOG_NAME_BYTES], const char *name)
{
    size_t stem = strlen(name) - strlen(endings[FILE_LOG]);
    memcpy(index_name, name, stem);
    strcpy(index_name + stem, endings[FILE_INDEX]);
}
