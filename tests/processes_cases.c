/*
 * The arranged cases of the many-process test: a long scan over a log that is trimmed meanwhile, a
 * read transaction that cannot become a writing one, busy_timeout, and fork used wrongly. Each
 * makes a database of its own. Relies on pipes for the order of events between processes.
 */
#define _XOPEN_SOURCE 700

#include "processes.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SCAN_RECORDS = 3000 };

void append_plain(sqlite3 *db, int count, size_t value_bytes)
{
    driver_must(db, "BEGIN IMMEDIATE");
    driver_must(db,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
                "  INSERT INTO events(key, value) SELECT i, zeroblob(%d) FROM n",
                count, (int)value_bytes);
    driver_must(db, "INSERT INTO copy(offset) SELECT offset FROM events"
                    "  WHERE offset > ifnull((SELECT max(offset) FROM copy), -1)");
    driver_must(db, "COMMIT");
}

static void expect(bool condition, const char *what)
{
    if (!condition) {
        driver_fail("expected: %s", what);
    }
}

static void send_word(int pipe_end)
{
    expect(write(pipe_end, "x", 1) == 1, "a word can be sent");
}

/* Blocks until the other side has said its word; a dead other side fails the test. */
static void wait_word(int pipe_end)
{
    char word;

    expect(read(pipe_end, &word, 1) == 1, "the other process is alive");
}

/* How many segment files lie below the database's log directory. */
static int64_t count_segment_files(const char *path)
{
    int64_t count = 0;
    char *root = sqlite3_mprintf("%s-commitlog", path);
    DIR *logs = opendir(root);

    for (struct dirent *log; logs != NULL && (log = readdir(logs)) != NULL;) {
        if (log->d_name[0] == '.') {
            continue;
        }
        char *name = sqlite3_mprintf("%s/%s", root, log->d_name);
        DIR *files = opendir(name);
        for (struct dirent *file; files != NULL && (file = readdir(files)) != NULL;) {
            size_t length = strlen(file->d_name);
            count += length > 4 && strcmp(file->d_name + length - 4, ".log") == 0 ? 1 : 0;
        }
        if (files != NULL) {
            closedir(files);
        }
        sqlite3_free(name);
    }
    if (logs != NULL) {
        closedir(logs);
    }
    sqlite3_free(root);
    return count;
}

/* The reader: opens a scan, lets the trim happen, and still gets every row. */
static _Noreturn void scan_over_trim(char *path, int from_parent, int to_parent)
{
    sqlite3 *db = driver_open(path, BUSY_TIMEOUT_MS);
    sqlite3_stmt *scan = driver_prepare(db, "SELECT offset, key FROM events ORDER BY offset");
    int64_t count = 0;

    expect(sqlite3_step(scan) == SQLITE_ROW, "the scan has a first row");
    send_word(to_parent);
    wait_word(from_parent);
    do {
        if (sqlite3_column_int64(scan, 0) != count || sqlite3_column_int64(scan, 1) != count + 1) {
            driver_fail("long scan: row %" PRId64 " has offset %lld", count,
                        (long long)sqlite3_column_int64(scan, 0));
        }
        count++;
    } while (sqlite3_step(scan) == SQLITE_ROW);
    if (sqlite3_errcode(db) != SQLITE_DONE || count != SCAN_RECORDS) {
        driver_fail("long scan: %" PRId64 " rows of %d, then: %s", count, SCAN_RECORDS,
                    sqlite3_errmsg(db));
    }
    sqlite3_finalize(scan);
    expect(driver_integer(db, "SELECT min(offset) FROM events") >= SCAN_RECORDS - 100,
           "a new scan starts after the trim");
    driver_close(db);
    sqlite3_free(path);
    exit(0);
}

static void long_scan(const char *directory, const char *name, const char *trim)
{
    char *path =
        new_database(directory, name, "WAL", "segment_bytes='4KiB', file_delete_delay_ms=0");
    int to_child[2];
    int to_parent[2];

    if (pipe(to_child) != 0 || pipe(to_parent) != 0) {
        driver_fail("pipe: %s", strerror(errno));
    }
    /* The reader is forked while nobody has a connection open, and opens its own. */
    sqlite3 *db = driver_open(path, BUSY_TIMEOUT_MS);
    append_plain(db, SCAN_RECORDS, 100);
    driver_close(db);
    pid_t reader = fork_or_fail();
    if (reader == 0) {
        close(to_child[1]);
        close(to_parent[0]);
        scan_over_trim(path, to_child[0], to_parent[1]);
    }
    close(to_child[0]);
    close(to_parent[1]);
    wait_word(to_parent[0]);
    db = driver_open(path, BUSY_TIMEOUT_MS);
    int64_t files_before = count_segment_files(path);
    driver_must(db, trim, SCAN_RECORDS - 50);
    /* More sync points, at which files could go. */
    for (int i = 0; i < 3; i++) {
        append_plain(db, 50, 100);
    }
    send_word(to_child[1]);
    wait_for_success(reader, "the reader of a trimmed log");
    append_plain(db, 50, 100);
    driver_must(db, "INSERT INTO events(events) VALUES ('trim')");
    append_plain(db, 50, 100);
    int64_t files = count_segment_files(path);
    int64_t segments = driver_integer(db, "SELECT count(*) FROM commitlog_segments('events')");
    if (files != segments || files >= files_before) {
        driver_fail("%s: %" PRId64 " segment files are left of %" PRId64 ", the log has %" PRId64
                    " segments",
                    name, files, files_before, segments);
    }
    driver_close(db);
    close(to_child[1]);
    close(to_parent[0]);
    sqlite3_free(path);
    printf("%s: all %d rows came, %" PRId64 " segment files are left of %" PRId64 "\n", name,
           SCAN_RECORDS, files, files_before);
}

void case_long_scan(const char *directory)
{
    long_scan(directory, "scan-delete-records",
              "INSERT INTO events(events, offset) VALUES ('delete-records', %d)");
    long_scan(directory, "scan-delete", "DELETE FROM events WHERE offset < %d");
}

void case_upgrade(const char *directory)
{
    char *path = new_database(directory, "upgrade", "WAL", "segment_bytes='4KiB'");
    sqlite3 *slow = driver_open(path, BUSY_TIMEOUT_MS);
    sqlite3 *fast = driver_open(path, BUSY_TIMEOUT_MS);

    append_plain(slow, 5, 100);
    driver_must(slow, "BEGIN");
    expect(driver_integer(slow, "SELECT count(*) FROM events") == 5, "5 records");
    append_plain(fast, 1, 100);
    expect(driver_exec(slow, "INSERT INTO events(value) VALUES ('late')") == SQLITE_BUSY_SNAPSHOT,
           "INSERT on an old snapshot fails with SQLITE_BUSY_SNAPSHOT");
    expect(driver_integer(slow, "SELECT count(*) FROM events") == 5,
           "the refused INSERT staged nothing, and the snapshot stays");
    expect(driver_exec(slow, "SELECT commitlog_append('events', 1, 2)") != SQLITE_OK,
           "commitlog_append() is refused there, too");
    driver_must(slow, "COMMIT");
    expect(driver_integer(slow, "SELECT count(*) FROM events") == 6, "6 records after COMMIT");
    driver_must(slow, "BEGIN IMMEDIATE; INSERT INTO events(key, value) VALUES ('k', 'again')");
    expect(sqlite3_last_insert_rowid(slow) == 6, "the next record has offset 6");
    driver_must(slow, "COMMIT");
    expect(driver_integer(fast, "SELECT count(*) FROM events") == 7, "7 records for the other");
    expect(driver_integer(fast, "SELECT offset FROM events WHERE value = 'again'") == 6,
           "offset 6 holds the record");
    expect(driver_integer(fast, "SELECT count(*) FROM events WHERE value = 'late'") == 0,
           "the refused record is nowhere");
    driver_close(slow);
    driver_close(fast);
    sqlite3_free(path);
    printf("upgrade: SQLITE_BUSY_SNAPSHOT stages nothing\n");
}

void case_busy_timeout(const char *directory)
{
    enum { TIMEOUT_MS = 300 };
    char *path = new_database(directory, "busy", "WAL", "segment_bytes='4KiB'");
    sqlite3 *holder = driver_open(path, BUSY_TIMEOUT_MS);
    sqlite3 *waiter = driver_open(path, TIMEOUT_MS);

    driver_must(holder, "BEGIN IMMEDIATE; INSERT INTO events(value) VALUES ('held')");
    uint64_t start = driver_nanoseconds();
    int code = driver_exec(waiter, "INSERT INTO events(value) VALUES ('refused')");
    uint64_t waited_ms = (driver_nanoseconds() - start) / 1000000;
    expect(code == SQLITE_BUSY, "INSERT while another holds the write lock is SQLITE_BUSY");
    expect(waited_ms >= TIMEOUT_MS * 9 / 10, "busy_timeout is waited for");
    expect(driver_integer(waiter, "SELECT count(*) FROM events") == 0,
           "a reader is not blocked and sees nothing uncommitted");
    driver_must(holder, "COMMIT");
    driver_must(waiter, "INSERT INTO events(value) VALUES ('next')");
    expect(sqlite3_last_insert_rowid(waiter) == 1, "the next record has offset 1");
    driver_close(holder);
    driver_close(waiter);
    sqlite3_free(path);
    printf("busy: SQLITE_BUSY after %" PRIu64 " ms\n", waited_ms);
}

/* In the child: every use of the parent's connection for the log is an error. */
static int misuse_connection(sqlite3 *db)
{
    static const char *const statements[] = {
        "SELECT * FROM events", "SELECT count(*) FROM events WHERE offset = 3",
        "INSERT INTO events(value) VALUES ('from the child')",
        "SELECT commitlog_append('events', 1, 'from the child')",
        "DELETE FROM events WHERE offset < 2"};
    int refused = 0;

    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
        int code = driver_exec(db, "%s", statements[i]);
        if (code == SQLITE_OK) {
            fprintf(stderr, "fork: in the child this succeeded: %s\n", statements[i]);
        } else if (strstr(sqlite3_errmsg(db), "fork") == NULL) {
            fprintf(stderr, "fork: the message does not say why: %s\n", sqlite3_errmsg(db));
        } else {
            refused++;
        }
    }
    return refused == (int)(sizeof(statements) / sizeof(statements[0])) ? 0 : 1;
}

void case_fork(const char *directory)
{
    char *path = new_database(directory, "fork", "WAL", "segment_bytes='4KiB'");
    sqlite3 *db = driver_open(path, BUSY_TIMEOUT_MS);

    append_plain(db, 200, 100);
    sqlite3_stmt *scan = driver_prepare(db, "SELECT offset FROM events ORDER BY offset");
    expect(sqlite3_step(scan) == SQLITE_ROW, "the parent's scan has a first row");
    pid_t child = fork_or_fail();
    if (child == 0) {
        /* Not exit(): nothing inherited may be closed by the child. */
        _exit(misuse_connection(db));
    }
    wait_for_success(child, "the child that uses its parent's connection");
    for (int64_t i = 0; i < 200; i++) {
        expect(sqlite3_column_int64(scan, 0) == i, "the parent's scan goes on in order");
        expect(sqlite3_step(scan) == (i < 199 ? SQLITE_ROW : SQLITE_DONE), "with all its rows");
    }
    sqlite3_finalize(scan);
    append_plain(db, 10, 100);
    expect(driver_integer(db, "SELECT count(*) FROM events") == 210, "the parent has 210 records");
    expect(driver_integer(db, "SELECT max(offset) FROM events") == 209, "the last offset is 209");
    expect(driver_integer(db, "SELECT count(*) FROM events WHERE value = 'from the child'") == 0,
           "nothing came from the child");
    driver_close(db);
    sqlite3_free(path);
    printf("fork: the child was refused, the parent went on\n");
}
