/*
 * The one checksum of the project: XXH3-64 (https://xxhash.com, libxxhash's header-only form).
 *
 * It guards against stale, moved, swapped and damaged bytes, not against an adversary who can
 * compute it. Every caller seeds it with where the bytes belong, so that right bytes in a wrong
 * place do not pass. Zero is never a valid checksum: a word of zeros marks "nothing here".
 */
#ifndef COMMITLOG_CHECKSUM_H
#define COMMITLOG_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static inline uint64_t checksum(const void *bytes, size_t size, uint64_t seed)
{
    uint64_t sum = XXH3_64bits_withSeed(bytes, size, seed);
    return sum != 0 ? sum : 1;
}

#endif
