/*
 * What the three long test drivers (differential, kill, processes) share: a seeded generator of
 * random numbers, connections with the extension loaded, SQL helpers that end the test with a
 * message on an unexpected result, command-line options, and a scratch directory.
 *
 * Relies on SQLite's C API and POSIX. The extension is the file named by the environment variable
 * COMMITLOG_SO, or else by the macro of that name given at compile time.
 *
 * It knows nothing of what a log promises: each driver states its own expectations.
 */
#ifndef TESTS_DRIVER_H
#define TESTS_DRIVER_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same seed gives the same numbers on every machine. */
typedef struct {
    uint64_t state;
} prng;

uint64_t prng_next(prng *random);
/* A number in [0, bound); bound is at least 1. */
uint64_t prng_below(prng *random, uint64_t bound);
/* True in `percent` of 100 calls. */
bool prng_chance(prng *random, unsigned percent);

/* Print "<program>: <message>" to stderr, call driver_failing if it is set, exit with status 1. */
_Noreturn void driver_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A test's own last words, such as how to run it again. */
extern void (*driver_failing)(void);

/*
 * Read "--name value" options of unsigned 64-bit value and "--name" flags (value pointer NULL,
 * flag set). An unknown argument or a bad number prints the usage and exits with status 2.
 */
typedef struct {
    const char *name;
    uint64_t *value;
    bool *flag;
    const char *meaning;
} driver_option;

void driver_options(int argc, char **argv, const driver_option *options, size_t option_count);

/* A seed nobody chose: different on every call. */
uint64_t driver_random_seed(void);

/* Open with the extension loaded and the busy timeout set; fails the test if that is impossible. */
sqlite3 *driver_open(const char *path, int busy_timeout_ms);
/* Close; fails the test when a statement is still there. */
void driver_close(sqlite3 *db);

/* Run SQL (formatted as sqlite3_mprintf does), discarding rows; returns the extended code. */
int driver_exec(sqlite3 *db, const char *format, ...);
/* The same, failing the test unless it succeeds. */
void driver_must(sqlite3 *db, const char *format, ...);
/* First column of the first row as an integer; fails the test on an error or without a row. */
int64_t driver_integer(sqlite3 *db, const char *format, ...);
/* First column of the first row as text, to be freed with sqlite3_free. */
char *driver_text(sqlite3 *db, const char *format, ...);
/* A prepared statement; fails the test when it does not compile. */
sqlite3_stmt *driver_prepare(sqlite3 *db, const char *sql);

/* A new empty directory below TMPDIR (or /tmp), removed by driver_directory_remove(). */
char *driver_directory_new(const char *name);
void driver_directory_remove(char *path);

/* Monotonic time in nanoseconds, and wall-clock time in milliseconds since 1970. */
uint64_t driver_nanoseconds(void);
int64_t driver_wall_ms(void);

#endif
