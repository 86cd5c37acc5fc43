/*
 * The helpers declared in driver.h. Relies on POSIX for directories, time and the seed, and on the
 * SQLite library for everything else. Prints only to report a failure or the usage.
 */
#define _XOPEN_SOURCE 700

#include "driver.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef COMMITLOG_SO
#define COMMITLOG_SO NULL
#endif

static const char *driver_program = "test";
void (*driver_failing)(void);

/* SplitMix64: one multiplication chain, no warm-up, every seed good. */
uint64_t prng_next(prng *random)
{
    uint64_t word = random->state += UINT64_C(0x9e3779b97f4a7c15);

    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    return word ^ (word >> 31);
}

uint64_t prng_below(prng *random, uint64_t bound)
{
    return prng_next(random) % bound;
}

bool prng_chance(prng *random, unsigned percent)
{
    return prng_below(random, 100) < percent;
}

void driver_fail(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fprintf(stderr, "%s: ", driver_program);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (driver_failing != NULL) {
        driver_failing();
    }
    exit(1);
}

static _Noreturn void usage(const driver_option *options, size_t option_count, const char *argument)
{
    fprintf(stderr, "%s: cannot use '%s'\nusage: %s [options]\n", driver_program, argument,
            driver_program);
    for (size_t i = 0; i < option_count; i++) {
        fprintf(stderr, "  %s%s\t%s\n", options[i].name, options[i].value != NULL ? " N" : "",
                options[i].meaning);
    }
    exit(2);
}

void driver_options(int argc, char **argv, const driver_option *options, size_t option_count)
{
    if (argc > 0) {
        const char *slash = strrchr(argv[0], '/');
        driver_program = slash != NULL ? slash + 1 : argv[0];
    }
    for (int i = 1; i < argc; i++) {
        const driver_option *found = NULL;

        for (size_t j = 0; j < option_count; j++) {
            if (strcmp(argv[i], options[j].name) == 0) {
                found = &options[j];
            }
        }
        if (found == NULL) {
            usage(options, option_count, argv[i]);
        }
        if (found->value == NULL) {
            *found->flag = true;
            continue;
        }
        char *end = NULL;
        errno = 0;
        if (i + 1 < argc && argv[i + 1][0] >= '0' && argv[i + 1][0] <= '9') {
            *found->value = strtoull(argv[i + 1], &end, 10);
        }
        if (end == NULL || *end != '\0' || errno != 0) {
            usage(options, option_count, argv[i]);
        }
        if (found->flag != NULL) {
            *found->flag = true;
        }
        i++;
    }
}

uint64_t driver_random_seed(void)
{
    prng random = {driver_nanoseconds() ^ ((uint64_t)getpid() << 32)};

    /* Short enough to be copied by hand. */
    return prng_next(&random) % 1000000000;
}

sqlite3 *driver_open(const char *path, int busy_timeout_ms)
{
    const char *extension = getenv("COMMITLOG_SO");
    sqlite3 *db = NULL;
    char *message = NULL;

    if (extension == NULL) {
        extension = COMMITLOG_SO;
    }
    if (extension == NULL) {
        driver_fail("COMMITLOG_SO does not name the extension to test");
    }
    if (sqlite3_open(path, &db) != SQLITE_OK) {
        driver_fail("cannot open '%s': %s", path, sqlite3_errmsg(db));
    }
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(db, extension, "sqlite3_commitlog_init", &message) != SQLITE_OK) {
        driver_fail("cannot load '%s': %s", extension, message);
    }
    sqlite3_busy_timeout(db, busy_timeout_ms);
    return db;
}

void driver_close(sqlite3 *db)
{
    if (sqlite3_close(db) != SQLITE_OK) {
        driver_fail("cannot close the database: %s", sqlite3_errmsg(db));
    }
}

static char *format_sql(const char *format, va_list arguments)
{
    char *sql = sqlite3_vmprintf(format, arguments);

    if (sql == NULL) {
        driver_fail("out of memory");
    }
    return sql;
}

int driver_exec(sqlite3 *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *sql = format_sql(format, arguments);
    va_end(arguments);
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    sqlite3_free(sql);
    return code;
}

void driver_must(sqlite3 *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *sql = format_sql(format, arguments);
    va_end(arguments);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        driver_fail("%s (%d) from: %.300s", sqlite3_errmsg(db), sqlite3_extended_errcode(db), sql);
    }
    sqlite3_free(sql);
}

sqlite3_stmt *driver_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK) {
        driver_fail("%s (%d) from: %.300s", sqlite3_errmsg(db), sqlite3_extended_errcode(db), sql);
    }
    return statement;
}

/* Step to the first row or fail the test. */
static sqlite3_stmt *first_row(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = driver_prepare(db, sql);

    if (sqlite3_step(statement) != SQLITE_ROW) {
        driver_fail("%s (%d), no row from: %.300s", sqlite3_errmsg(db),
                    sqlite3_extended_errcode(db), sql);
    }
    return statement;
}

int64_t driver_integer(sqlite3 *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *sql = format_sql(format, arguments);
    va_end(arguments);
    sqlite3_stmt *statement = first_row(db, sql);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return value;
}

char *driver_text(sqlite3 *db, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    char *sql = format_sql(format, arguments);
    va_end(arguments);
    sqlite3_stmt *statement = first_row(db, sql);
    const unsigned char *text = sqlite3_column_text(statement, 0);
    char *copy = sqlite3_mprintf("%s", text != NULL ? (const char *)text : "NULL");
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return copy;
}

char *driver_directory_new(const char *name)
{
    const char *parent = getenv("TMPDIR");
    char *path = sqlite3_mprintf("%s/commitlog-%s-XXXXXX", parent != NULL ? parent : "/tmp", name);

    if (path == NULL || mkdtemp(path) == NULL) {
        driver_fail("cannot make a directory '%s': %s", path, strerror(errno));
    }
    return path;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void driver_directory_remove(char *path)
{
    if (nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0) {
        driver_fail("cannot remove '%s': %s", path, strerror(errno));
    }
    sqlite3_free(path);
}

uint64_t driver_nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

int64_t driver_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
