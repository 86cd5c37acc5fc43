/*
 * Removing files: those of dropped segments, and the directories of dropped logs.
 *
 * Only what a durable commit dropped comes here, only under an exclusive lock on the offsets
 * concerned, and in ascending order, so that a reader who finds its lowest segment has them all.
 */
#include "log.h"

#include "format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Remove a segment's two files. The .log goes first: without it nobody reads the .idx. */
static void remove_segment_files(commitlog *log, const char *name)
{
    char index_name[COMMITLOG_NAME_BYTES];

    index_name_build(index_name, name);
    if (log->os->remove(log->directory, name, NULL) == STATUS_OK ||
        !log->os->exists(log->directory, name))
        (void)log->os->remove(log->directory, index_name, NULL);
}

void commitlog_collect(commitlog *log, const commitlog_segment *segments, size_t count)
{
    os_file *pins = NULL;
    uint64_t base_offset;

    if (count == 0 || log->read_only || log_open_directory(log, false, NULL) != STATUS_OK)
        return;
    /* Of its own: this connection's readers must hold it up like everybody else's. */
    if (log->os->open(log->directory, PINS_NAME, OS_CREATE, &pins, NULL) != STATUS_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        const commitlog_segment *row = &segments[i];
        if (!segment_name_parse(row->name, FILE_LOG, &base_offset) ||
            base_offset != row->base_offset || row->record_count == 0)
            continue;
        if (log->os->lock(pins, OS_EXCLUSIVE, row->base_offset, row->record_count, NULL) !=
            STATUS_OK)
            break;
        remove_segment_files(log, row->name);
        log_forget_segments(log, row->base_offset, row->base_offset + row->record_count);
    }
    log->os->close(pins);
}

bool commitlog_is_collected(commitlog *log, const commitlog_segment *segment)
{
    status result = log_open_directory(log, false, NULL);

    if (result != STATUS_OK)
        return result == STATUS_NO_LOG;
    return !log->os->exists(log->directory, segment->name);
}

/* ---- dropped logs ---------------------------------------------------------------------------- */

void commitlog_mark_dropped(commitlog *log, bool dropped)
{
    os_file *mark = NULL;

    if (log->read_only || commitlog_check_process(log, NULL) != STATUS_OK ||
        log_open_directory(log, false, NULL) != STATUS_OK)
        return;
    if (!dropped)
        (void)log->os->remove(log->directory, DROPPED_NAME, NULL);
    else if (log->os->open(log->directory, DROPPED_NAME, OS_CREATE, &mark, NULL) == STATUS_OK)
        log->os->close(mark);
}

/* Ours by name: segments, indexes, and the files without a number. */
static void remove_if_ours(void *context, const char *name)
{
    commitlog *log = context;
    uint64_t base_offset;

    if (segment_name_parse(name, FILE_LOG, &base_offset) ||
        segment_name_parse(name, FILE_INDEX, &base_offset))
        (void)log->os->remove(log->directory, name, NULL);
}

void commitlog_destroy(commitlog *log)
{
    os_file *pins = NULL;

    if (log->read_only || log_open_directory(log, false, NULL) != STATUS_OK ||
        log->os->open(log->directory, PINS_NAME, OS_CREATE, &pins, NULL) != STATUS_OK)
        return;
    if (log->os->lock(pins, OS_EXCLUSIVE, 0, 0, NULL) == STATUS_OK) {
        (void)log->os->list(log->directory, remove_if_ours, log, NULL);
        (void)log->os->remove(log->directory, DROPPED_NAME, NULL);
        (void)log->os->remove(log->directory, PINS_NAME, NULL);
        if (log->os->remove_directory(log->directory_path, NULL) == STATUS_OK)
            (void)log->os->remove_directory(log->root_path, NULL);
    }
    log->os->close(pins);
}

/* ---- directories under a root ---------------------------------------------------------------- */

static int hex_value(char character)
{
    const char *digits = "0123456789abcdef", *found = strchr(digits, character);
    return character != '\0' && found != NULL ? (int)(found - digits) : -1;
}

/* Parse the name of a log's directory. */
static bool parse_uuid(const char *name, uint8_t uuid[COMMITLOG_UUID_BYTES])
{
    if (strlen(name) != 36)
        return false;
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++) {
        int high, low;
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            if (*name++ != '-')
                return false;
        }
        high = hex_value(*name++);
        low = hex_value(*name++);
        if (high < 0 || low < 0)
            return false;
        uuid[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

typedef struct {
    const os *os;
    const char *root_path;
    bool remove_all; /* else: visit the marked ones */
    void (*visit)(void *context, const uint8_t *uuid);
    void *context;
} root_walk;

static void walk_log(void *context, const char *name)
{
    root_walk *walk = context;
    commitlog_location where = {.root_path = walk->root_path};
    commitlog_options options = {.segment_bytes = COMMITLOG_SEGMENT_BYTES_MIN};
    commitlog_catalog catalog = {NULL, NULL};
    commitlog *log = NULL;

    if (!parse_uuid(name, where.uuid) ||
        commitlog_open(walk->os, &where, &options, &catalog, &log, NULL) != STATUS_OK)
        return;
    if (walk->remove_all)
        commitlog_destroy(log);
    else if (log_open_directory(log, false, NULL) == STATUS_OK &&
             log->os->exists(log->directory, DROPPED_NAME))
        walk->visit(walk->context, where.uuid);
    commitlog_close(log);
}

static void walk_root(root_walk *walk)
{
    os_directory *root = NULL;

    if (walk->os->open_directory(walk->root_path, OS_DIRECTORY_OPEN, NULL, &root, NULL) !=
        STATUS_OK)
        return;
    (void)walk->os->list(root, walk_log, walk, NULL);
    walk->os->close_directory(root);
}

void commitlog_list_dropped(const struct os *os, const char *root_path,
                            void (*visit)(void *context, const uint8_t *uuid), void *context)
{
    root_walk walk = {os != NULL ? os : &os_posix, root_path, false, visit, context};
    walk_root(&walk);
}

status commitlog_make_temporary_root(char *path, size_t size, failure *why)
{
    return os_posix.make_temporary_directory(path, size, why);
}

void commitlog_remove_temporary_root(const char *path)
{
    root_walk walk = {&os_posix, path, true, NULL, NULL};
    walk_root(&walk);
    (void)os_posix.remove_directory(path, NULL);
}
