/*
 * The handle: opening and closing, the directory, and the mapped segments it keeps.
 */
#include "log.h"

#include "checksum.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Segments kept mapped while nobody reads them, and mappings kept because the caller may hold
 * pointers into them. Beyond the second, readers hand out copies. */
#define CACHED_SEGMENTS_MAX 32u
#define RETIRED_SEGMENTS_MAX 1024u

/* Marks of verification take a 64th of what was read. Beyond this, the least recently used segments
 * lose theirs, and what is read of them again is verified again. */
#define MARK_BYTES_MAX ((size_t)8 << 20)

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

/* The directory's name: the uuid as RFC 9562 writes it. */
static char *build_directory_path(const commitlog_location *where)
{
    size_t size = strlen(where->root_path) + 1 + 36 + 1;
    char *path = malloc(size), *at = path;

    if (path == NULL)
        return NULL;
    at += sprintf(at, "%s/", where->root_path);
    for (int i = 0; i < COMMITLOG_UUID_BYTES; i++)
        at +=
            sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", where->uuid[i]);
    return path;
}

status commitlog_open(const struct os *os, const commitlog_location *where,
                      const commitlog_options *options, const commitlog_catalog *catalog,
                      commitlog **ret_log, failure *why)
{
    commitlog *log = calloc(1, sizeof *log);

    if (log == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    log->os = os != NULL ? os : &os_posix;
    log->process_generation = log->os->process_generation();
    log->options = *options;
    log->catalog = *catalog;
    log->read_only = where->read_only;
    memcpy(log->uuid, where->uuid, sizeof log->uuid);
    log->root_path = copy_text(where->root_path);
    log->directory_path = build_directory_path(where);
    if (where->database_path != NULL)
        log->database_path = copy_text(where->database_path);
    if (log->root_path == NULL || log->directory_path == NULL ||
        (where->database_path != NULL && log->database_path == NULL)) {
        commitlog_close(log);
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    }
    *ret_log = log;
    return STATUS_OK;
}

static void close_segments(segment **list)
{
    while (*list != NULL) {
        segment *seg = *list;
        *list = seg->next;
        segment_close(seg);
    }
}

void commitlog_close(commitlog *log)
{
    if (log == NULL)
        return;
    commitlog_rollback(log);
    txn_free(log);
    log_file_close(&log->target);
    while (log->readers != NULL)
        commitlog_reader_close(log->readers);
    close_segments(&log->cached);
    close_segments(&log->retired);
    log->os->close(log->pins);
    log->os->close_directory(log->directory);
    free(log->root_path);
    free(log->database_path);
    free(log->directory_path);
    free(log);
}

void commitlog_set_options(commitlog *log, const commitlog_options *options)
{
    log->options = *options;
}

const char *commitlog_directory(const commitlog *log)
{
    return log->directory_path;
}

status commitlog_check_process(const commitlog *log, failure *why)
{
    if (log->os->process_generation() == log->process_generation)
        return STATUS_OK;
    return fail(why, STATUS_MISUSE,
                "this connection was opened before fork(): a child process needs its own");
}

/* ---- directories ----------------------------------------------------------------------------- */

status log_open_directory(commitlog *log, bool create, failure *why)
{
    os_directory *root = NULL;
    failure cause = {STATUS_OK, ""};
    status result;

    if (log->directory != NULL)
        return STATUS_OK;
    /* Neither of the two may be a link: the directory is this database's alone. */
    result =
        log->os->open_directory(log->root_path, create ? OS_DIRECTORY_CREATE : OS_DIRECTORY_OPEN,
                                log->database_path, &root, &cause);
    log->os->close_directory(root);
    if (result == STATUS_OK)
        result = log->os->open_directory(log->directory_path,
                                         create ? OS_DIRECTORY_CREATE : OS_DIRECTORY_OPEN,
                                         log->database_path, &log->directory, &cause);
    if (result == STATUS_NOT_FOUND)
        return fail(why, STATUS_NO_LOG,
                    "the log's directory %s is missing: move or copy it along with the database, "
                    "or let commitlog_adopt() start the log anew here",
                    log->directory_path);
    if (result != STATUS_OK)
        return fail(why, result, "%s", cause.text);
    /* Made by the writer, for readers that may not write here. */
    if (create && log->pins == NULL)
        return log->os->open(log->directory, PINS_NAME, OS_CREATE, &log->pins, why);
    return STATUS_OK;
}

status commitlog_find(commitlog *log, failure *why)
{
    return log_open_directory(log, false, why);
}

static status sync_path(const os *os, const char *path, failure *why)
{
    os_directory *directory = NULL;
    status result = os->open_directory(path, OS_DIRECTORY_FOLLOW, NULL, &directory, why);

    if (result == STATUS_OK)
        result = os->sync_directory(directory, why);
    os->close_directory(directory);
    return result;
}

/* Sync the directory that holds `path`. */
static status sync_parent(const os *os, const char *path, failure *why)
{
    char *parent = copy_text(path);
    status result;

    if (parent == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    if (strrchr(parent, '/') == NULL)
        strcpy(parent, ".");
    else if (strrchr(parent, '/') == parent)
        parent[1] = '\0';
    else
        *strrchr(parent, '/') = '\0';
    result = sync_path(os, parent, why);
    free(parent);
    return result;
}

status log_sync_directories(commitlog *log, failure *why)
{
    status result = log->os->sync_directory(log->directory, why);

    if (result == STATUS_OK)
        result = sync_path(log->os, log->root_path, why);
    if (result == STATUS_OK)
        result = sync_parent(log->os, log->root_path, why);
    return result;
}

/* ---- mapped segments ------------------------------------------------------------------------- */

/* Take the segment of this row out of a list, if it stands there and maps enough. */
static segment *take(segment **list, unsigned *count, const commitlog_segment *row)
{
    for (segment **link = list; *link != NULL; link = &(*link)->next) {
        segment *seg = *link;
        if (seg->base_offset == row->base_offset && seg->nonce == row->nonce &&
            seg->log.size >= row->bytes) {
            *link = seg->next;
            --*count;
            return seg;
        }
    }
    return NULL;
}

/* Drop the least recently used segments that no reader stands in, until `most` are left. */
static void shrink_cache(commitlog *log, unsigned most)
{
    while (log->cached_count > most) {
        segment **victim = NULL, *seg;
        for (segment **link = &log->cached; *link != NULL; link = &(*link)->next)
            if ((*link)->reader_count == 0)
                victim = link;
        if (victim == NULL)
            return;
        seg = *victim;
        *victim = seg->next;
        log->cached_count--;
        if (seg->has_handed_out) {
            segment_forget_marks(seg);
            seg->next = log->retired;
            log->retired = seg;
            log->retired_count++;
        } else {
            segment_close(seg);
        }
    }
}

static void shed_marks(commitlog *log)
{
    segment *oldest;

    do {
        oldest = NULL;
        for (segment *seg = log->cached; seg != NULL; seg = seg->next)
            if (seg->has_marks && seg->reader_count == 0)
                oldest = seg;
        if (oldest != NULL)
            segment_forget_marks(oldest);
    } while (oldest != NULL && log->mark_bytes > MARK_BYTES_MAX);
}

/* Count a reader in, and let the segment be the most recently used. */
static segment *use(commitlog *log, segment *seg)
{
    seg->next = log->cached;
    log->cached = seg;
    log->cached_count++;
    seg->reader_count++;
    shrink_cache(log, CACHED_SEGMENTS_MAX);
    if (log->mark_bytes > MARK_BYTES_MAX)
        shed_marks(log);
    return seg;
}

segment *log_find_segment(commitlog *log, const commitlog_segment *row)
{
    segment *seg = take(&log->cached, &log->cached_count, row);

    if (seg == NULL)
        seg = take(&log->retired, &log->retired_count, row);
    return seg != NULL ? use(log, seg) : NULL;
}

status log_get_segment(commitlog *log, const commitlog_segment *row, segment **ret, failure *why)
{
    segment *seg = log_find_segment(log, row);

    if (seg == NULL) {
        status result = log_open_directory(log, false, why);
        if (result == STATUS_OK)
            result = segment_open(log->os, log->directory, !log->read_only, log->uuid, row,
                                  log->options.segment_bytes, &log->mark_bytes, &seg, why);
        if (result != STATUS_OK)
            return result;
        seg = use(log, seg);
    }
    *ret = seg;
    return STATUS_OK;
}

void log_put_segment(commitlog *log, segment *seg)
{
    seg->reader_count--;
    shrink_cache(log, CACHED_SEGMENTS_MAX);
}

bool commitlog_holds_mappings(const commitlog *log)
{
    return log->retired_count > 0 || log->has_stale;
}

bool log_may_hand_out(const commitlog *log)
{
    return log->retired_count < RETIRED_SEGMENTS_MAX;
}

void commitlog_release_mappings(commitlog *log)
{
    close_segments(&log->retired);
    log->retired_count = 0;
    for (segment *seg = log->cached; seg != NULL; seg = seg->next)
        if (seg->reader_count == 0)
            seg->has_handed_out = false;
    shrink_cache(log, CACHED_SEGMENTS_MAX);
    log->has_stale = false;
    log_forget_segments(log, 0, log->live_start);
}

void commitlog_forget_before(commitlog *log, uint64_t offset)
{
    if (offset > log->live_start)
        log_forget_segments(log, 0, offset);
    log->live_start = offset;
}

void log_forget_segments(commitlog *log, uint64_t first, uint64_t end)
{
    for (segment **link = &log->cached; *link != NULL;) {
        segment *seg = *link;
        if (seg->base_offset < first || seg->base_offset >= end) {
            link = &seg->next;
        } else if (seg->reader_count > 0 || seg->has_handed_out) {
            log->has_stale = true;
            link = &seg->next;
        } else {
            *link = seg->next;
            log->cached_count--;
            segment_close(seg);
        }
    }
}

/* ---- surroundings ---------------------------------------------------------------------------- */

uint64_t commitlog_process_generation(void)
{
    return os_posix.process_generation();
}

status commitlog_sync_directory_of(const char *file_path, failure *why)
{
    return sync_parent(&os_posix, file_path, why);
}

int64_t commitlog_now_ms(void)
{
    return os_posix.now_ms();
}

status commitlog_random(void *bytes, size_t size, failure *why)
{
    return os_posix.random(bytes, size, why);
}

uint64_t commitlog_checksum(const void *bytes, size_t size, uint64_t seed)
{
    return checksum(bytes, size, seed);
}
