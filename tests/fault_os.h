/*
 * An operating system for tests: os_posix, which counts its calls, fails the one it is told to, and
 * writes down in which order files were written, synced and removed.
 *
 * It also knows which files have bytes, and which directories names, that were not synced since.
 *
 * One for the process, not for threads. libcheck runs each test in a process of its own; a test
 * calls fault_reset() first all the same, for those who run with CK_FORK=no.
 */
#ifndef FAULT_OS_H
#define FAULT_OS_H

#include "os.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    FAULT_OPEN_DIRECTORY,
    FAULT_SYNC_DIRECTORY,
    FAULT_LIST,
    FAULT_REMOVE_DIRECTORY,
    FAULT_REMOVE,
    FAULT_OPEN,
    FAULT_SIZE,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_ALLOCATE,
    FAULT_TRUNCATE,
    FAULT_SYNC,
    FAULT_LOCK,
    FAULT_MAP,
    FAULT_POPULATE,
    FAULT_RANDOM,
    FAULT_CALLS
} fault_call;

extern const os fault_os;

/* No fault, counts at zero, an empty trace, nothing unsynced, the system's clock and boot id. */
void fault_reset(void);

/* Let the `nth` call from now on (1: the next) fail with `code`, and those after it if `forever`.
 */
void fault_set(fault_call call, unsigned nth, status code, bool forever);

/* No fault any more. Counts, trace and clock stay. */
void fault_clear(void);

/* A write that fails leaves this many of its first bytes in the file. 0 at first. */
void fault_set_torn_bytes(size_t bytes);

/* How often it was called, failing calls included. */
unsigned fault_count(fault_call call);

/* How often the fault that was set last has come. */
unsigned fault_hits(void);

/*
 * What was done since the last fault_trace_clear(), a line each, files without directory:
 *
 *     create NAME
 *     write NAME POSITION SIZE
 *     truncate NAME SIZE
 *     sync NAME
 *     remove NAME
 *     sync-directory PATH
 *
 * A call that failed has "failed " before it. Allocation and reading are left out.
 */
const char *fault_trace(void);
void fault_trace_clear(void);

/* The lowest position of this file that was written since its last sync, UINT64_MAX if none. Not to
 * be asked of indexes, which are never synced. */
uint64_t fault_unsynced_position(const char *path);

/* Was this file or directory made, and the directory that holds it not synced since? */
bool fault_is_new(const char *path);

/* Files, directories and mappings that are open at the moment. */
unsigned fault_open_files(void);
unsigned fault_open_directories(void);
unsigned fault_open_mappings(void);

/* The wall clock stands at this time. 0: it is the system's. */
void fault_set_now_ms(int64_t now_ms);

/* Every byte of the boot id. */
void fault_set_boot_id(uint8_t byte);

/* As fork() does for the child, without one. */
void fault_count_fork(void);

#endif
