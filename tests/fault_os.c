/*
 * See fault_os.h. Every function of the table asks stop() first, and hands on to os_posix.
 *
 * Handles are those of os_posix, so the wrappers need no objects of their own; what must be known
 * of a file is kept by its name.
 */
#include "fault_os.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRACE_BYTES_MAX = 1 << 20, UNSYNCED_MAX = 4096, PATH_BYTES_MAX = 512 };

static struct {
    unsigned counts[FAULT_CALLS];
    fault_call failing;
    unsigned nth, hits; /* nth 0: no fault */
    status code;
    bool forever;
    size_t torn_bytes;
    int64_t now_ms;
    int boot_id; /* -1: the system's */
    uint64_t forks;
    unsigned files, directories, mappings;
    struct unsynced {
        char path[PATH_BYTES_MAX];
        uint64_t position; /* the lowest that was written, UINT64_MAX: none */
        bool is_new;       /* the name has not been synced in its directory */
    } * unsynced;
    size_t unsynced_count;
    char *trace;
    size_t trace_bytes;
} fault = {.boot_id = -1};

void fault_reset(void)
{
    char *trace = fault.trace;
    struct unsynced *unsynced = fault.unsynced;

    memset(&fault, 0, sizeof fault);
    fault.boot_id = -1;
    fault.trace = trace != NULL ? trace : malloc(TRACE_BYTES_MAX);
    fault.unsynced = unsynced != NULL ? unsynced : malloc(UNSYNCED_MAX * sizeof *unsynced);
    assert(fault.trace != NULL && fault.unsynced != NULL);
    fault.trace[0] = '\0';
}

void fault_set(fault_call call, unsigned nth, status code, bool forever)
{
    fault.failing = call;
    fault.nth = nth;
    fault.hits = 0;
    fault.code = code;
    fault.forever = forever;
}

void fault_clear(void)
{
    fault.nth = 0;
}

void fault_set_torn_bytes(size_t bytes)
{
    fault.torn_bytes = bytes;
}

unsigned fault_count(fault_call call)
{
    return fault.counts[call];
}

unsigned fault_hits(void)
{
    return fault.hits;
}

const char *fault_trace(void)
{
    return fault.trace;
}

void fault_trace_clear(void)
{
    fault.trace_bytes = 0;
    fault.trace[0] = '\0';
}

unsigned fault_open_files(void)
{
    return fault.files;
}

unsigned fault_open_directories(void)
{
    return fault.directories;
}

unsigned fault_open_mappings(void)
{
    return fault.mappings;
}

void fault_set_now_ms(int64_t now)
{
    fault.now_ms = now;
}

void fault_set_boot_id(uint8_t byte)
{
    fault.boot_id = byte;
}

void fault_count_fork(void)
{
    fault.forks++;
}

/* ---- what is written down -------------------------------------------------------------------- */

static const char *name_of(const os_file *file)
{
    const char *path = os_posix.file_path(file);
    return strrchr(path, '/') + 1;
}

__attribute__((format(printf, 2, 3))) static void note(status result, const char *format, ...)
{
    size_t room;
    va_list arguments;

    if (fault.trace_bytes > TRACE_BYTES_MAX - 2 * PATH_BYTES_MAX)
        fault_trace_clear(); /* a test this long does not read it */
    if (result != STATUS_OK)
        fault.trace_bytes += (size_t)sprintf(fault.trace + fault.trace_bytes, "failed ");
    room = TRACE_BYTES_MAX - fault.trace_bytes;
    va_start(arguments, format);
    fault.trace_bytes +=
        (size_t)vsnprintf(fault.trace + fault.trace_bytes, room, format, arguments);
    va_end(arguments);
}

static struct unsynced *find_unsynced(const char *path)
{
    for (size_t i = 0; i < fault.unsynced_count; i++)
        if (strcmp(fault.unsynced[i].path, path) == 0)
            return &fault.unsynced[i];
    return NULL;
}

static struct unsynced *make_unsynced(const char *path)
{
    struct unsynced *entry = find_unsynced(path);

    if (entry != NULL)
        return entry;
    assert(fault.unsynced_count < UNSYNCED_MAX && strlen(path) < PATH_BYTES_MAX);
    entry = &fault.unsynced[fault.unsynced_count++];
    strcpy(entry->path, path);
    entry->position = UINT64_MAX;
    entry->is_new = false;
    return entry;
}

static void forget_unsynced(struct unsynced *entry)
{
    *entry = fault.unsynced[--fault.unsynced_count];
}

uint64_t fault_unsynced_position(const char *path)
{
    const struct unsynced *entry = find_unsynced(path);
    return entry != NULL ? entry->position : UINT64_MAX;
}

bool fault_is_new(const char *path)
{
    const struct unsynced *entry = find_unsynced(path);
    return entry != NULL && entry->is_new;
}

static bool is_index(const char *path)
{
    const char *ending = strrchr(path, '.');
    return ending != NULL && strcmp(ending, ".idx") == 0;
}

static void set_new(const char *path)
{
    if (!is_index(path))
        make_unsynced(path)->is_new = true;
}

static void set_written(const char *path, uint64_t position)
{
    struct unsynced *entry;

    if (is_index(path))
        return;
    entry = make_unsynced(path);
    if (position < entry->position)
        entry->position = position;
}

static void set_synced(const char *path)
{
    struct unsynced *entry = find_unsynced(path);

    if (entry == NULL)
        return;
    entry->position = UINT64_MAX;
    if (!entry->is_new)
        forget_unsynced(entry);
}

static void set_names_synced(const char *directory)
{
    size_t length = strlen(directory);

    for (size_t i = fault.unsynced_count; i-- > 0;) {
        struct unsynced *entry = &fault.unsynced[i];
        if (strncmp(entry->path, directory, length) != 0 || entry->path[length] != '/' ||
            strchr(entry->path + length + 1, '/') != NULL)
            continue;
        entry->is_new = false;
        if (entry->position == UINT64_MAX)
            forget_unsynced(entry);
    }
}

static void set_removed(os_directory *directory, const char *name)
{
    char path[PATH_BYTES_MAX];
    struct unsynced *entry;

    snprintf(path, sizeof path, "%s/%s", os_posix.directory_path(directory), name);
    entry = find_unsynced(path);
    if (entry != NULL)
        forget_unsynced(entry);
}

/* Is it this call's turn to fail? */
static bool stop(fault_call call, const char *what, status *ret, failure *why)
{
    fault.counts[call]++;
    if (fault.nth == 0 || fault.failing != call)
        return false;
    if (fault.nth > 1) {
        fault.nth--;
        return false;
    }
    if (!fault.forever)
        fault.nth = 0;
    fault.hits++;
    *ret = fail(why, fault.code, "%s: made to fail: %s", what, status_text(fault.code));
    return true;
}

/* ---- directories ----------------------------------------------------------------------------- */

static status open_directory(const char *path, os_directory_mode mode, const char *owner_path,
                             os_directory **ret, failure *why)
{
    os_directory *before = NULL;
    status result;

    if (stop(FAULT_OPEN_DIRECTORY, path, &result, why))
        return result;
    if (mode == OS_DIRECTORY_CREATE &&
        os_posix.open_directory(path, OS_DIRECTORY_OPEN, NULL, &before, NULL) != STATUS_OK)
        set_new(path);
    os_posix.close_directory(before);
    result = os_posix.open_directory(path, mode, owner_path, ret, why);
    if (result == STATUS_OK)
        fault.directories++;
    return result;
}

static void close_directory(os_directory *directory)
{
    if (directory != NULL)
        fault.directories--;
    os_posix.close_directory(directory);
}

static const char *directory_path(const os_directory *directory)
{
    return os_posix.directory_path(directory);
}

static status sync_directory(os_directory *directory, failure *why)
{
    const char *path = directory_path(directory);
    status result;

    if (!stop(FAULT_SYNC_DIRECTORY, path, &result, why))
        result = os_posix.sync_directory(directory, why);
    if (result == STATUS_OK)
        set_names_synced(path);
    note(result, "sync-directory %s\n", path);
    return result;
}

static status list(os_directory *directory, void (*visit)(void *context, const char *name),
                   void *context, failure *why)
{
    status result;
    if (stop(FAULT_LIST, directory_path(directory), &result, why))
        return result;
    return os_posix.list(directory, visit, context, why);
}

static status remove_directory(const char *path, failure *why)
{
    status result;
    if (stop(FAULT_REMOVE_DIRECTORY, path, &result, why))
        return result;
    return os_posix.remove_directory(path, why);
}

static bool exists(os_directory *directory, const char *name)
{
    return os_posix.exists(directory, name);
}

static status remove_file(os_directory *directory, const char *name, failure *why)
{
    status result;

    if (!stop(FAULT_REMOVE, name, &result, why))
        result = os_posix.remove(directory, name, why);
    if (result == STATUS_OK)
        set_removed(directory, name);
    note(result, "remove %s\n", name);
    return result;
}

/* ---- files ----------------------------------------------------------------------------------- */

static status open_file(os_directory *directory, const char *name, os_mode mode, os_file **ret,
                        failure *why)
{
    bool is_new = mode == OS_CREATE_NEW || (mode == OS_CREATE && !os_posix.exists(directory, name));
    status result;

    if (!stop(FAULT_OPEN, name, &result, why))
        result = os_posix.open(directory, name, mode, ret, why);
    if (result == STATUS_OK)
        fault.files++;
    if (result == STATUS_OK && is_new)
        set_new(os_posix.file_path(*ret));
    if (is_new)
        note(result, "create %s\n", name);
    return result;
}

static void close_file(os_file *file)
{
    if (file != NULL)
        fault.files--;
    os_posix.close(file);
}

static const char *file_path(const os_file *file)
{
    return os_posix.file_path(file);
}

static status file_size(os_file *file, uint64_t *ret_bytes, failure *why)
{
    status result;
    if (stop(FAULT_SIZE, name_of(file), &result, why))
        return result;
    return os_posix.size(file, ret_bytes, why);
}

static status read_file(os_file *file, void *bytes, size_t size, uint64_t position,
                        size_t *ret_size, failure *why)
{
    status result;
    if (stop(FAULT_READ, name_of(file), &result, why))
        return result;
    return os_posix.read(file, bytes, size, position, ret_size, why);
}

static status write_file(os_file *file, const void *bytes, size_t size, uint64_t position,
                         failure *why)
{
    status result;

    if (stop(FAULT_WRITE, name_of(file), &result, why)) {
        size_t torn = fault.torn_bytes < size ? fault.torn_bytes : size;
        if (torn > 0 && os_posix.write(file, bytes, torn, position, NULL) != STATUS_OK)
            abort();
    } else {
        result = os_posix.write(file, bytes, size, position, why);
    }
    set_written(os_posix.file_path(file), position);
    note(result, "write %s %llu %zu\n", name_of(file), (unsigned long long)position, size);
    return result;
}

static status allocate_file(os_file *file, uint64_t bytes, failure *why)
{
    status result;
    if (stop(FAULT_ALLOCATE, name_of(file), &result, why))
        return result;
    return os_posix.allocate(file, bytes, why);
}

static status truncate_file(os_file *file, uint64_t bytes, failure *why)
{
    status result;

    if (!stop(FAULT_TRUNCATE, name_of(file), &result, why))
        result = os_posix.truncate(file, bytes, why);
    note(result, "truncate %s %llu\n", name_of(file), (unsigned long long)bytes);
    return result;
}

static status sync_file(os_file *file, failure *why)
{
    status result;

    if (!stop(FAULT_SYNC, name_of(file), &result, why))
        result = os_posix.sync(file, why);
    if (result == STATUS_OK)
        set_synced(os_posix.file_path(file));
    note(result, "sync %s\n", name_of(file));
    return result;
}

static status lock_file(os_file *file, os_lock kind, uint64_t start, uint64_t size, failure *why)
{
    status result;
    if (stop(FAULT_LOCK, name_of(file), &result, why))
        return result;
    return os_posix.lock(file, kind, start, size, why);
}

/* ---- mappings -------------------------------------------------------------------------------- */

static status map_file(os_directory *directory, const char *name, uint64_t size, os_mapping **ret,
                       const uint8_t **ret_bytes, uint64_t *ret_file_bytes, failure *why)
{
    status result;

    if (stop(FAULT_MAP, name, &result, why))
        return result;
    result = os_posix.map(directory, name, size, ret, ret_bytes, ret_file_bytes, why);
    if (result == STATUS_OK)
        fault.mappings++;
    return result;
}

static void unmap(os_mapping *mapping)
{
    if (mapping != NULL)
        fault.mappings--;
    os_posix.unmap(mapping);
}

static status populate(os_mapping *mapping, uint64_t position, uint64_t size, failure *why)
{
    status result;
    if (stop(FAULT_POPULATE, "mapping", &result, why))
        return result;
    return os_posix.populate(mapping, position, size, why);
}

/* ---- surroundings ---------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    return fault.now_ms != 0 ? fault.now_ms : os_posix.now_ms();
}

static status random_bytes(void *bytes, size_t size, failure *why)
{
    status result;
    if (stop(FAULT_RANDOM, "random", &result, why))
        return result;
    return os_posix.random(bytes, size, why);
}

static void boot_id(uint8_t id[16])
{
    if (fault.boot_id >= 0)
        memset(id, fault.boot_id, 16);
    else
        os_posix.boot_id(id);
}

static uint64_t process_generation(void)
{
    return os_posix.process_generation() + fault.forks;
}

static status make_temporary_directory(char *path, size_t size, failure *why)
{
    return os_posix.make_temporary_directory(path, size, why);
}

const os fault_os = {
    .open_directory = open_directory,
    .close_directory = close_directory,
    .directory_path = directory_path,
    .sync_directory = sync_directory,
    .list = list,
    .remove_directory = remove_directory,
    .exists = exists,
    .remove = remove_file,
    .open = open_file,
    .close = close_file,
    .file_path = file_path,
    .size = file_size,
    .read = read_file,
    .write = write_file,
    .allocate = allocate_file,
    .truncate = truncate_file,
    .sync = sync_file,
    .lock = lock_file,
    .map = map_file,
    .unmap = unmap,
    .populate = populate,
    .now_ms = now_ms,
    .random = random_bytes,
    .boot_id = boot_id,
    .process_generation = process_generation,
    .make_temporary_directory = make_temporary_directory,
};
