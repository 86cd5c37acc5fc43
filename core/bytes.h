/*
 * Integers as they are on disk: little-endian bytes, so that `uint64_t x = header->base_offset`
 * does not compile and alignment is 1. Compilers turn the loads and stores into single moves.
 */
#ifndef COMMITLOG_BYTES_H
#define COMMITLOG_BYTES_H

#include <stdint.h>

typedef struct {
    uint8_t byte[4];
} le32;

typedef struct {
    uint8_t byte[8];
} le64;

static inline uint32_t le32_load(const le32 *field)
{
    const uint8_t *b = field->byte;
    return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static inline uint64_t le64_load(const le64 *field)
{
    const uint8_t *b = field->byte;
    return (uint64_t)b[0] | (uint64_t)b[1] << 8 | (uint64_t)b[2] << 16 | (uint64_t)b[3] << 24 |
           (uint64_t)b[4] << 32 | (uint64_t)b[5] << 40 | (uint64_t)b[6] << 48 |
           (uint64_t)b[7] << 56;
}

static inline le32 le32_make(uint32_t value)
{
    le32 field;
    for (int i = 0; i < 4; i++)
        field.byte[i] = (uint8_t)(value >> (8 * i));
    return field;
}

static inline le64 le64_make(uint64_t value)
{
    le64 field;
    for (int i = 0; i < 8; i++)
        field.byte[i] = (uint8_t)(value >> (8 * i));
    return field;
}

#endif
