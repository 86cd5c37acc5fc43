/*
 * The bytes of a log on disk: segment header, record, index entry, file names. FORMAT.md beside
 * this file has the byte tables and a worked example, and a test holds it against these structs.
 *
 * Pure functions over bytes: encode, decode, validate. No I/O, no memory of their own. Everything
 * read through here is hostile until the function that decodes it has returned STATUS_OK.
 */
#ifndef COMMITLOG_FORMAT_H
#define COMMITLOG_FORMAT_H

#include "bytes.h"
#include "commitlog.h"
#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORMAT_VERSION 1u
#define FORMAT_ALIGNMENT 8u

/* An index entry counts positions in units of 8 bytes in 32 bits: no segment ends beyond this. */
#define FORMAT_SEGMENT_BYTES_MAX ((uint64_t)UINT32_MAX * FORMAT_ALIGNMENT)

typedef enum { FILE_LOG, FILE_INDEX } file_kind;

/* The first bytes of a segment's .log and of its .idx, which differ in the magic. */
typedef struct {
    uint8_t magic[8];
    le32 version;
    le32 header_bytes;
    le32 compatible_flags;   /* unknown ones may be ignored */
    le32 incompatible_flags; /* an unknown one means "unsupported" */
    uint8_t uuid[COMMITLOG_UUID_BYTES];
    le64 base_offset;
    le64 nonce;
    le64 checksum; /* of the bytes before it, seed 0 */
} segment_header;

_Static_assert(sizeof(segment_header) == 64, "segment header is 64 bytes");
_Static_assert(offsetof(segment_header, uuid) == 24, "uuid at 24");
_Static_assert(offsetof(segment_header, checksum) == 56, "checksum at 56");

/* What stands before the key, value and headers of each record; the payload is padded with zeros
 * to a multiple of 8 bytes. */
typedef struct {
    le64 checksum; /* of all that follows, padding included, seeded with nonce and offset */
    le64 timestamp_ms;
    le32 key_bytes;
    le32 value_bytes;
    le32 headers_bytes;
    uint8_t types;       /* key's in the low half, value's in the high half */
    uint8_t headers_set; /* 0: headers are NULL, 1: they are text */
    uint8_t reserved[2]; /* zero */
} record_frame;

_Static_assert(sizeof(record_frame) == 32, "record frame is 32 bytes");
_Static_assert(offsetof(record_frame, types) == 28, "types at 28");

/* Entry i of an index locates record base_offset + i. All zero: nothing known. */
typedef struct {
    le32 position_units; /* position in the .log, in units of 8 bytes */
    le32 record_bytes;   /* size of the record, frame and padding included */
} index_entry;

_Static_assert(sizeof(index_entry) == 8, "index entry is 8 bytes");

#define SEGMENT_HEADER_BYTES ((uint64_t)sizeof(segment_header))
#define RECORD_FRAME_BYTES ((uint64_t)sizeof(record_frame))

/* Write the header of a new file. */
void segment_header_encode(segment_header *header, file_kind kind,
                           const uint8_t uuid[COMMITLOG_UUID_BYTES], uint64_t base_offset,
                           uint64_t nonce);

/*
 * Is this the header of the file we look for? STATUS_OK; STATUS_UNSUPPORTED (made by a later
 * version); STATUS_DAMAGED (anything else, told in `why`, which names the file by `path`).
 */
status segment_header_check(const segment_header *header, file_kind kind,
                            const uint8_t uuid[COMMITLOG_UUID_BYTES], uint64_t base_offset,
                            uint64_t nonce, const char *path, failure *why) STATUS_MUST_CHECK;

/*
 * Bytes that the record takes in a segment, frame and padding included; 0 when a part is larger
 * than the format holds (4 GiB less a frame, all parts together).
 */
uint64_t record_bytes(const commitlog_record *record);

/* Write the record, all but its checksum, to `bytes`, which has record_bytes(record) of room. */
void record_encode(const commitlog_record *record, uint64_t size, uint8_t *bytes);

/* Complete a record that was encoded at `bytes`: it is now record `offset` of segment `nonce`. */
void record_seal(uint8_t *bytes, uint64_t size, uint64_t nonce, uint64_t offset);

/* The size a frame claims for its record, 0 if the frame is none that this version writes. */
uint64_t record_frame_bytes(const record_frame *frame);

/* Does the record of `size` bytes at `bytes` carry the checksum of this nonce and offset? */
bool record_verify(const uint8_t *bytes, uint64_t size, uint64_t nonce, uint64_t offset);

/*
 * Decode a record that was verified, or that this process encoded. `record` points into `bytes`
 * and lives as long. Sizes within are taken from the frame once, and stay inside `size`.
 */
status record_decode(const uint8_t *bytes, uint64_t size,
                     commitlog_record *record) STATUS_MUST_CHECK;

index_entry index_entry_make(uint64_t position, uint64_t record_size);
uint64_t index_entry_position(const index_entry *entry);
uint64_t index_entry_bytes(const index_entry *entry);

/*
 * The name of a segment's file: 20 digits of the base offset, then "-" and 16 hexadecimal digits of
 * the nonce if `with_nonce` (used when the plain name is taken), then ".log".
 */
void segment_name_build(char name[COMMITLOG_NAME_BYTES], uint64_t base_offset, uint64_t nonce,
                        bool with_nonce);

/* Is `name` one that segment_name_build() makes? Sets the base offset. `kind` chooses the ending.
 */
bool segment_name_parse(const char *name, file_kind kind, uint64_t *ret_base_offset);

/* Could a writer of ours have written this row? Its name, then, is one of ours, too. */
bool segment_row_is_plausible(const commitlog_segment *row);

/* The name of the index beside the segment called `name` (a valid segment name). */
void index_name_build(char index_name[COMMITLOG_NAME_BYTES], const char *name);

#endif
