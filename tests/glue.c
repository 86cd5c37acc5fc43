/*
 * See glue.h.
 */
#define _GNU_SOURCE /* nftw, and st_mtim in strict mode */

#include "glue.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

const char *glue_text(const char *format, ...)
{
    char *text = facts_text();
    va_list arguments;

    va_start(arguments, format);
    sqlite3_vsnprintf(FACTS_TEXT_BYTES, text, format, arguments);
    va_end(arguments);
    return text;
}

/* ---- connections ---- */

void glue_load(sqlite3 *db)
{
    const char *path = getenv("COMMITLOG_SO");
    char *message = NULL;

    if (path == NULL)
        path = COMMITLOG_SO;
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    int code = sqlite3_load_extension(db, path, "sqlite3_commitlog_init", &message);
    ck_assert_msg(code == SQLITE_OK, "cannot load %s: %s", path, message);
}

sqlite3 *glue_open(const char *name)
{
    sqlite3 *db = facts_open(name);

    glue_load(db);
    return db;
}

sqlite3 *glue_open_uri(const char *uri, int flags)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(uri, &db, flags | SQLITE_OPEN_URI, NULL);

    ck_assert_msg(code == SQLITE_OK, "cannot open %s: %s", uri, sqlite3_errmsg(db));
    sqlite3_extended_result_codes(db, 1);
    glue_load(db);
    return db;
}

void glue_close(sqlite3 **db)
{
    ck_assert_int_eq(sqlite3_close(*db), SQLITE_OK);
    *db = NULL;
}

sqlite3_stmt *glue_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    ck_assert_msg(code == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    return statement;
}

void glue_journal(sqlite3 *db, const char *mode)
{
    ROWS(db, glue_text("PRAGMA journal_mode = %s", mode), mode);
}

int64_t glue_integer(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = glue_prepare(db, sql);
    int code = sqlite3_step(statement);
    int64_t value = sqlite3_column_int64(statement, 0);

    ck_assert_msg(code == SQLITE_ROW, "%s: %d %s", sql, code, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return value;
}

/* ---- files ---- */

/* nftw() passes no context. One thread only, as in facts.h. */
static struct {
    const char *suffix;
    int count;
    int64_t disk_bytes;
    char **lines;
    size_t line_count;
} walk;

static bool ends_in(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);

    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static int count_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)where;
    if (kind == FTW_F) {
        walk.count += ends_in(path, walk.suffix);
        walk.disk_bytes += (int64_t)found->st_blocks * 512;
    }
    return 0;
}

static void count_below(const char *name, const char *suffix)
{
    memset(&walk, 0, sizeof walk);
    walk.suffix = suffix;
    nftw(facts_path(name), count_one, 8, FTW_PHYS);
}

int glue_count(const char *name, const char *suffix)
{
    count_below(name, suffix);
    return walk.count;
}

int64_t glue_disk_bytes(const char *name)
{
    count_below(name, "");
    return walk.disk_bytes;
}

static int list_one(const char *path, const struct stat *found, int kind, struct FTW *where)
{
    (void)kind, (void)where;
    if (ends_in(path, "-shm")) /* SQLite's readers write to it */
        return 0;
    walk.lines = realloc(walk.lines, (walk.line_count + 1) * sizeof *walk.lines);
    ck_assert_ptr_nonnull(walk.lines);
    /* A directory's size is its file system's affair. */
    walk.lines[walk.line_count++] = sqlite3_mprintf(
        "%s %lld %o %lld.%09lld\n", path, S_ISREG(found->st_mode) ? (int64_t)found->st_size : 0,
        (unsigned)found->st_mode, (int64_t)found->st_mtim.tv_sec, (int64_t)found->st_mtim.tv_nsec);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

const char *glue_listing(void)
{
    char *text = facts_text();
    size_t used = 0;

    memset(&walk, 0, sizeof walk);
    ck_assert_int_eq(nftw(facts_path(""), list_one, 8, FTW_PHYS), 0);
    qsort(walk.lines, walk.line_count, sizeof *walk.lines, compare_lines);
    for (size_t i = 0; i < walk.line_count; i++) {
        used += (size_t)snprintf(text + used, FACTS_TEXT_BYTES - used, "%s", walk.lines[i]);
        ck_assert_uint_lt(used, FACTS_TEXT_BYTES);
        sqlite3_free(walk.lines[i]);
    }
    free(walk.lines);
    return text;
}

const char *glue_directory(const char *database)
{
    const char *root = facts_path(glue_text("%s-commitlog", database)), *path = NULL;
    DIR *stream = opendir(root);
    int found = 0;

    ck_assert_msg(stream != NULL, "there is no %s", root);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (strlen(entry->d_name) == 36) {
            path = glue_text("%s/%s", root, entry->d_name);
            found++;
        }
    }
    closedir(stream);
    ck_assert_msg(found == 1, "%d log directories in %s", found, root);
    return path;
}

const char *glue_segment(const char *database, uint64_t base_offset, const char *suffix)
{
    return glue_text("%s/%020lld%s", glue_directory(database), (int64_t)base_offset, suffix);
}

void glue_overwrite(const char *path, int64_t position, const void *bytes, size_t size)
{
    int descriptor = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_msg(descriptor >= 0, "cannot open %s", path);
    ck_assert_int_eq(pwrite(descriptor, bytes, size, (off_t)position), (ssize_t)size);
    close(descriptor);
}

void glue_cut(const char *path, int64_t bytes)
{
    ck_assert_msg(truncate(path, (off_t)bytes) == 0, "cannot cut %s", path);
}

void glue_remove(const char *path)
{
    ck_assert_msg(remove(path) == 0, "cannot remove %s", path);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");

    ck_assert_msg(in != NULL && out != NULL, "cannot copy %s to %s", from, to);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, in)) > 0;)
        ck_assert_uint_eq(fwrite(bytes, 1, got, out), got);
    fclose(in);
    ck_assert_int_eq(fclose(out), 0);
}

void glue_copy(const char *from, const char *to)
{
    struct stat found;
    DIR *stream;

    ck_assert_msg(stat(from, &found) == 0, "there is no %s", from);
    if (!S_ISDIR(found.st_mode)) {
        copy_file(from, to);
        return;
    }
    mkdir(to, 0700);
    stream = opendir(from);
    ck_assert_ptr_nonnull(stream);
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        if (entry->d_name[0] != '.') {
            char *inner_from = sqlite3_mprintf("%s/%s", from, entry->d_name);
            char *inner_to = sqlite3_mprintf("%s/%s", to, entry->d_name);
            glue_copy(inner_from, inner_to);
            sqlite3_free(inner_from);
            sqlite3_free(inner_to);
        }
    }
    closedir(stream);
}

/* ---- the process ---- */

int glue_descriptor_count(void)
{
    DIR *stream = opendir("/proc/self/fd");
    int count = -3; /* ".", ".." and the descriptor of this very look */

    ck_assert_ptr_nonnull(stream);
    while (readdir(stream) != NULL)
        count++;
    closedir(stream);
    return count;
}

int glue_mapping_count(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char *line = NULL;
    size_t size = 0;
    int count = 0;

    ck_assert_ptr_nonnull(maps);
    while (getline(&line, &size, maps) >= 0)
        count += strstr(line, ".log") != NULL || strstr(line, ".idx") != NULL;
    free(line);
    fclose(maps);
    return count;
}

int glue_in_child(int (*body)(void *argument), void *argument)
{
    int result = 0;

    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(body(argument));
    ck_assert_int_eq(waitpid(child, &result, 0), child);
    return WIFSIGNALED(result) ? 1000 + WTERMSIG(result) : WEXITSTATUS(result);
}
