/*
 * The jobs, in SQL. See side.h.
 *
 * The plain table is what an application would make in place of a log. It is given a timestamp by
 * its application, taken from the clock for each row, because a log's is defaulted; the offset is
 * assigned by SQLite, as the log's is.
 */
#include "side.h"

#include "floor.h"
#include "machine.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
    PATH_BYTES = 4096,
    SQL_BYTES = 256,
};

/* No row was written before this (in ms): tells a timestamp from a row number or a second. */
static const int64_t timestamp_least_ms = INT64_C(1500000000000);

typedef struct {
    sqlite3 *db;
    floor_state floor; /* what the floor's module points to */
    const side_task *task;
} session;

static const struct {
    const char *name;
    const char *create;
    const char *insert;
} sides[SIDE_COUNT] = {
    [SIDE_PLAIN] = {"plain",
                    "CREATE TABLE log(offset INTEGER PRIMARY KEY, timestamp INTEGER, key, value, "
                    "headers TEXT)",
                    "INSERT INTO log(value, timestamp) VALUES (?1, ?2)"},
    [SIDE_COMMITLOG] = {"commitlog", "CREATE VIRTUAL TABLE log USING commitlog",
                        "INSERT INTO log(value) VALUES (?1)"},
    [SIDE_FLOOR] = {"floor", "CREATE VIRTUAL TABLE log USING floor",
                    "INSERT INTO log(value) VALUES (?1)"},
};

const char *side_name(side_kind side)
{
    return sides[side].name;
}

static _Noreturn void sql_fail(const session *on, const char *what)
{
    fail("%s: %s: %s", side_name(on->task->side), what, sqlite3_errmsg(on->db));
}

static void sql_run(const session *on, const char *sql)
{
    if (sqlite3_exec(on->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        sql_fail(on, sql);
}

static sqlite3_stmt *sql_prepare(const session *on, const char *sql)
{
    sqlite3_stmt *statement;

    if (sqlite3_prepare_v3(on->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK)
        sql_fail(on, sql);
    return statement;
}

/* Step a statement that returns no row, and make it ready for the next time. */
static void sql_do(const session *on, sqlite3_stmt *statement)
{
    if (sqlite3_step(statement) != SQLITE_DONE || sqlite3_reset(statement) != SQLITE_OK)
        sql_fail(on, sqlite3_sql(statement));
}

/* End a loop over rows that left with `code`. */
static void sql_end(const session *on, sqlite3_stmt *statement, int code)
{
    if (code != SQLITE_DONE || sqlite3_finalize(statement) != SQLITE_OK)
        sql_fail(on, "SELECT");
}

/* Set a pragma and see that it took: a setting that differs between the sides would make every
 * ratio meaningless. A NULL `value` only looks. */
static void pragma_set(const session *on, const char *name, const char *value, const char *expected)
{
    char sql[SQL_BYTES];
    const char *found;
    sqlite3_stmt *statement;

    if (value != NULL) {
        snprintf(sql, sizeof sql, "PRAGMA %s=%s", name, value);
        sql_run(on, sql);
    }
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    statement = sql_prepare(on, sql);
    if (sqlite3_step(statement) != SQLITE_ROW)
        sql_fail(on, sql);
    found = (const char *)sqlite3_column_text(statement, 0);
    if (found == NULL || strcmp(found, expected) != 0)
        fail("%s: PRAGMA %s is %s where %s was asked for", side_name(on->task->side), name,
             found == NULL ? "NULL" : found, expected);
    sqlite3_finalize(statement);
}

static void extension_load(const session *on)
{
    char *message = NULL;

    sqlite3_db_config(on->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 1, NULL);
    if (sqlite3_load_extension(on->db, on->task->extension, "sqlite3_commitlog_init", &message) !=
        SQLITE_OK)
        fail("cannot load %s: %s", on->task->extension, message == NULL ? "no memory" : message);
}

static void session_open(session *on, const side_task *task)
{
    char path[PATH_BYTES];
    char number[32];

    *on = (session){.floor = {.work = task->work}, .task = task};
    snprintf(path, sizeof path, "%s/log.db", task->directory);
    if (sqlite3_open(path, &on->db) != SQLITE_OK)
        sql_fail(on, path);
    if (task->side == SIDE_COMMITLOG)
        extension_load(on);
    if (task->side == SIDE_FLOOR && floor_register(on->db, &on->floor) != SQLITE_OK)
        sql_fail(on, "the floor's module");
    pragma_set(on, "journal_mode", "wal", "wal");
    snprintf(number, sizeof number, "%d", (int)task->synchronous);
    pragma_set(on, "synchronous", number, number);
    snprintf(number, sizeof number, "%lld", (long long)task->mmap_bytes);
    pragma_set(on, "mmap_size", number, number);
    snprintf(number, sizeof number, "%lld", -(long long)task->cache_kib);
    pragma_set(on, "cache_size", number, number);
    pragma_set(on, "page_size", NULL, "4096");
    pragma_set(on, "wal_autocheckpoint", NULL, "1000");
}

static void session_close(session *on)
{
    if (sqlite3_close(on->db) != SQLITE_OK)
        sql_fail(on, "close");
}

/* SQLite numbers from 1; a first row at 0 gives the plain table the log's offsets. */
static void plain_first_row(const session *on)
{
    sqlite3_stmt *insert =
        sql_prepare(on, "INSERT INTO log(offset, timestamp, value) VALUES (0, ?2, ?1)");

    sqlite3_bind_blob(insert, 1, workload_value(on->task->work, 0),
                      (int)on->task->work->value_bytes, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, wall_clock_ms());
    sql_do(on, insert);
    sqlite3_finalize(insert);
}

static void append_rows(const session *on)
{
    const side_task *task = on->task;
    workload *work = task->work;
    bool plain = task->side == SIDE_PLAIN;
    uint64_t batch_rows = task->batch_rows == 0 ? work->rows : task->batch_rows;
    sqlite3_stmt *begin = sql_prepare(on, "BEGIN IMMEDIATE");
    sqlite3_stmt *commit = sql_prepare(on, "COMMIT");
    sqlite3_stmt *insert = sql_prepare(on, sides[task->side].insert);

    for (uint64_t row = 0; row < work->rows; row++) {
        if (row % batch_rows == 0)
            sql_do(on, begin);
        if (plain && row == 0) {
            plain_first_row(on);
        } else {
            sqlite3_bind_blob(insert, 1, workload_value(work, row), (int)work->value_bytes,
                              SQLITE_STATIC);
            if (plain)
                sqlite3_bind_int64(insert, 2, wall_clock_ms());
            sql_do(on, insert);
        }
        if ((row + 1) % batch_rows == 0 || row + 1 == work->rows)
            sql_do(on, commit);
    }
    sqlite3_finalize(insert);
    sqlite3_finalize(commit);
    sqlite3_finalize(begin);
}

void side_append(const side_task *task, append_times *ret)
{
    session on;
    uint64_t start_ns;

    session_open(&on, task);
    sql_run(&on, sides[task->side].create);
    machine_sync();
    start_ns = clock_ns();
    append_rows(&on);
    ret->append_ns = clock_ns() - start_ns;
    machine_sync();
    ret->settled_ns = clock_ns() - start_ns;
    if (task->side == SIDE_FLOOR && on.floor.dropped_rows != task->work->rows)
        fail("floor: %llu rows arrived of %llu", (unsigned long long)on.floor.dropped_rows,
             (unsigned long long)task->work->rows);
    session_close(&on);
}

static void expect(const session *on, const char *what, uint64_t found, uint64_t expected)
{
    if (found != expected)
        fail("%s: %s is %llu where %llu was expected", side_name(on->task->side), what,
             (unsigned long long)found, (unsigned long long)expected);
}

static uint64_t scan_time(const session *on)
{
    uint64_t start_ns = clock_ns();
    uint64_t rows = 0;
    uint64_t offset_sum = 0;
    uint64_t sum = 0;
    uint64_t end_ns;
    const workload *work = on->task->work;
    sqlite3_stmt *select = sql_prepare(on, "SELECT offset, value FROM log");
    int code;

    while ((code = sqlite3_step(select)) == SQLITE_ROW) {
        const void *value = sqlite3_column_blob(select, 1);

        offset_sum += (uint64_t)sqlite3_column_int64(select, 0);
        sum += words_sum(value, (size_t)sqlite3_column_bytes(select, 1));
        rows++;
    }
    sql_end(on, select, code);
    end_ns = clock_ns();
    expect(on, "the scan's number of rows", rows, work->rows);
    expect(on, "the scan's sum of offsets", offset_sum, work->rows * (work->rows - 1) / 2);
    expect(on, "the scan's sum of values", sum, work->expected_sum);
    return end_ns - start_ns;
}

static uint64_t count_time(const session *on)
{
    uint64_t start_ns = clock_ns();
    uint64_t end_ns;
    uint64_t rows = 0;
    sqlite3_stmt *select = sql_prepare(on, "SELECT count(*) FROM log");
    int code;

    while ((code = sqlite3_step(select)) == SQLITE_ROW)
        rows = (uint64_t)sqlite3_column_int64(select, 0);
    sql_end(on, select, code);
    end_ns = clock_ns();
    expect(on, "count(*)", rows, on->task->work->rows);
    return end_ns - start_ns;
}

static uint64_t lookup_time(const session *on)
{
    const side_task *task = on->task;
    workload *work = task->work;
    sqlite3_stmt *select = sql_prepare(on, "SELECT value FROM log WHERE offset = ?1");
    uint64_t state = task->seed;
    uint64_t hash = 0;
    uint64_t expected_hash = 0;
    uint64_t start_ns = clock_ns();
    uint64_t end_ns;

    for (uint64_t i = 0; i < task->lookup_count; i++) {
        uint64_t sum;

        sqlite3_bind_int64(select, 1, (sqlite3_int64)(random_next(&state) % work->rows));
        if (sqlite3_step(select) != SQLITE_ROW)
            sql_fail(on, "a lookup found no row");
        sum = words_sum(sqlite3_column_blob(select, 0), (size_t)sqlite3_column_bytes(select, 0));
        hash = words_hash(hash, &sum, sizeof sum);
        if (sqlite3_step(select) != SQLITE_DONE || sqlite3_reset(select) != SQLITE_OK)
            sql_fail(on, "a lookup did not end after one row");
    }
    end_ns = clock_ns();
    sqlite3_finalize(select);
    state = task->seed;
    for (uint64_t i = 0; i < task->lookup_count; i++) {
        const void *value = workload_value(work, random_next(&state) % work->rows);
        uint64_t sum = words_sum(value, work->value_bytes);

        expected_hash = words_hash(expected_hash, &sum, sizeof sum);
    }
    expect(on, "the hash of the rows looked up", hash, expected_hash);
    return end_ns - start_ns;
}

static uint64_t newest_time(const session *on)
{
    const side_task *task = on->task;
    workload *work = task->work;
    sqlite3_stmt *select =
        sql_prepare(on, "SELECT offset, value FROM log ORDER BY offset DESC LIMIT ?1");
    uint64_t sum = 0;
    uint64_t expected_sum = 0;
    uint64_t start_ns = clock_ns();
    uint64_t end_ns;

    sqlite3_bind_int(select, 1, NEWEST_ROWS);
    for (uint64_t i = 0; i < task->newest_count; i++) {
        uint64_t place = 1; /* weighs a row by its place, so that a wrong order shows */
        int code;

        while ((code = sqlite3_step(select)) == SQLITE_ROW)
            sum += place++ * ((uint64_t)sqlite3_column_int64(select, 0) +
                              words_sum(sqlite3_column_blob(select, 1),
                                        (size_t)sqlite3_column_bytes(select, 1)));
        if (code != SQLITE_DONE || sqlite3_reset(select) != SQLITE_OK)
            sql_fail(on, "the newest rows");
    }
    end_ns = clock_ns();
    sqlite3_finalize(select);
    for (uint64_t place = 1; place <= NEWEST_ROWS; place++) {
        uint64_t row = work->rows - place;

        expected_sum += place * (row + words_sum(workload_value(work, row), work->value_bytes));
    }
    expect(on, "the sum of the newest rows", sum, expected_sum * task->newest_count);
    return end_ns - start_ns;
}

void side_read(const side_task *task, read_times *ret)
{
    session on;

    session_open(&on, task);
    ret->scan_first_ns = scan_time(&on);
    ret->scan_again_ns = scan_time(&on);
    ret->count_ns = count_time(&on);
    ret->lookup_ns = lookup_time(&on);
    sql_run(&on, "BEGIN");
    ret->lookup_inside_ns = lookup_time(&on);
    sql_run(&on, "COMMIT");
    ret->newest_ns = newest_time(&on);
    session_close(&on);
}

void side_verify(const side_task *task)
{
    session on;
    workload *work = task->work;
    sqlite3_stmt *select;
    uint64_t row = 0;
    uint64_t hash = 0;
    int code;

    session_open(&on, task);
    select = sql_prepare(&on, "SELECT offset, timestamp, value FROM log ORDER BY offset");
    for (; (code = sqlite3_step(select)) == SQLITE_ROW; row++) {
        size_t size = (size_t)sqlite3_column_bytes(select, 2);

        expect(&on, "an offset", (uint64_t)sqlite3_column_int64(select, 0), row);
        if (sqlite3_column_type(select, 1) != SQLITE_INTEGER ||
            sqlite3_column_int64(select, 1) < timestamp_least_ms)
            fail("%s: row %llu has no timestamp", side_name(task->side), (unsigned long long)row);
        if (sqlite3_column_type(select, 2) != SQLITE_BLOB || size != work->value_bytes)
            fail("%s: row %llu has another value's type or size", side_name(task->side),
                 (unsigned long long)row);
        hash = words_hash(hash, sqlite3_column_blob(select, 2), size);
    }
    sql_end(&on, select, code);
    expect(&on, "the number of rows", row, work->rows);
    expect(&on, "the hash of all values", hash, work->expected_hash);
    session_close(&on);
}

void side_damage(const side_task *task)
{
    session on;
    sqlite3_stmt *update;
    const unsigned char *value;
    unsigned char damaged[WORKLOAD_VALUE_BYTES_MIN];

    session_open(&on, task);
    update = sql_prepare(&on, "UPDATE log SET value = CAST(?1 || substr(value, 9) AS BLOB) "
                              "WHERE offset = ?2");
    value = workload_value(task->work, task->work->rows / 2);
    memcpy(damaged, value, sizeof damaged);
    damaged[0] ^= 1;
    sqlite3_bind_blob(update, 1, damaged, sizeof damaged, SQLITE_STATIC);
    sqlite3_bind_int64(update, 2, (sqlite3_int64)(task->work->rows / 2));
    sql_do(&on, update);
    sqlite3_finalize(update);
    session_close(&on);
}
