/*
 * The one seam to the operating system: a table of functions. os_posix.c is the real one; the
 * tests have others. Nothing else in core calls the system.
 *
 * Every function that can fail says in `why` which call failed on which path. Files are opened from
 * a held directory, never through links, and must be regular files with one name.
 */
#ifndef COMMITLOG_OS_H
#define COMMITLOG_OS_H

#include "status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct os os;
typedef struct os_directory os_directory;
typedef struct os_file os_file;
typedef struct os_mapping os_mapping;

typedef enum {
    OS_READ,       /* read only */
    OS_WRITE,      /* read and write; must exist */
    OS_CREATE_NEW, /* read and write; STATUS_EXISTS if the name is taken */
    OS_CREATE      /* read and write; made if missing */
} os_mode;

typedef enum {
    OS_DIRECTORY_OPEN,   /* must exist, and be no link */
    OS_DIRECTORY_CREATE, /* made if missing; no link */
    OS_DIRECTORY_FOLLOW  /* must exist; may be reached through a link */
} os_directory_mode;

typedef enum { OS_UNLOCK, OS_SHARED, OS_EXCLUSIVE } os_lock;

struct os {
    /*
     * Open a directory. New directories, and files made in them, take owner and mode from the file
     * `owner_path`, or are private to the user if that is NULL.
     * STATUS_NOT_FOUND, STATUS_CANT_OPEN, STATUS_READ_ONLY, STATUS_NO_SPACE, STATUS_NO_MEMORY.
     */
    status (*open_directory)(const char *path, os_directory_mode mode, const char *owner_path,
                             os_directory **ret, failure *why);
    void (*close_directory)(os_directory *directory); /* accepts NULL */
    const char *(*directory_path)(const os_directory *directory);
    status (*sync_directory)(os_directory *directory, failure *why);
    /* Calls `visit` for each name but "." and "..". */
    status (*list)(os_directory *directory, void (*visit)(void *context, const char *name),
                   void *context, failure *why);
    /* Remove a directory if it is empty. */
    status (*remove_directory)(const char *path, failure *why);
    bool (*exists)(os_directory *directory, const char *name);
    status (*remove)(os_directory *directory, const char *name, failure *why);

    status (*open)(os_directory *directory, const char *name, os_mode mode, os_file **ret,
                   failure *why);
    void (*close)(os_file *file); /* accepts NULL */
    const char *(*file_path)(const os_file *file);
    status (*size)(os_file *file, uint64_t *ret_bytes, failure *why);
    /* Reads up to `size` bytes; fewer only at the end of the file. */
    status (*read)(os_file *file, void *bytes, size_t size, uint64_t position, size_t *ret_size,
                   failure *why);
    /* Writes all of them. */
    status (*write)(os_file *file, const void *bytes, size_t size, uint64_t position, failure *why);
    /* Reserve disk space and extend the file to `bytes`, where the file system can. */
    status (*allocate)(os_file *file, uint64_t bytes, failure *why);
    status (*truncate)(os_file *file, uint64_t bytes, failure *why);
    /* Data, and what is needed to find it again. Never call it twice to see whether it works now.
     */
    status (*sync)(os_file *file, failure *why);
    /*
     * Lock bytes [start, start + size) of the file for this opening of it, or to the end of all
     * offsets if size is 0. Does not wait: STATUS_BUSY.
     */
    status (*lock)(os_file *file, os_lock kind, uint64_t start, uint64_t size, failure *why);

    /*
     * Map a file for reading. It may be shorter than `size`, and grow; what lies beyond its end
     * must not be touched. STATUS_NOT_FOUND, STATUS_CANT_OPEN, STATUS_NO_MEMORY, STATUS_IO.
     *   ret_file_bytes  How long the file is.
     */
    status (*map)(os_directory *directory, const char *name, uint64_t size, os_mapping **ret,
                  const uint8_t **ret_bytes, uint64_t *ret_file_bytes, failure *why);
    void (*unmap)(os_mapping *mapping); /* accepts NULL */
    /* Bring bytes into memory, so that a bad page is an error here and no signal later. STATUS_IO,
     * also when the file is too short. */
    status (*populate)(os_mapping *mapping, uint64_t position, uint64_t size, failure *why);

    int64_t (*now_ms)(void);
    status (*random)(void *bytes, size_t size, failure *why);
    /* Different after each start of the machine. All zero if the system does not tell. */
    void (*boot_id)(uint8_t id[16]);
    /* Changes in the child when the process forks. */
    uint64_t (*process_generation)(void);
    /* Make an empty private directory where temporary files go. */
    status (*make_temporary_directory)(char *path, size_t size, failure *why);
};

extern const os os_posix;

#endif
