/*
 * Running a statement on one side, comparing what both sides gave, and reporting a mismatch with
 * everything needed to run it again. Values are compared with their types, byte for byte; codes by
 * their primary part, since the extended part and the text of a message are the log's own.
 */
#include "differential.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must_allocate(void *block, size_t size)
{
    void *larger = realloc(block, size);

    if (larger == NULL) {
        driver_fail("out of memory");
    }
    return larger;
}

/* Serialise the row a statement stands on: per column its type, its length and its bytes. */
row result_current_row(sqlite3_stmt *statement)
{
    row current = {NULL, 0};
    int column_count = sqlite3_column_count(statement);

    for (int i = 0; i < column_count; i++) {
        unsigned char type = (unsigned char)sqlite3_column_type(statement, i);
        int64_t integer = 0;
        double real = 0;
        const void *bytes = NULL;
        uint64_t length = 0;

        switch (type) {
        case SQLITE_INTEGER:
            integer = sqlite3_column_int64(statement, i);
            bytes = &integer;
            length = sizeof(integer);
            break;
        case SQLITE_FLOAT:
            real = sqlite3_column_double(statement, i);
            bytes = &real;
            length = sizeof(real);
            break;
        case SQLITE_TEXT:
            bytes = sqlite3_column_text(statement, i);
            length = (uint64_t)sqlite3_column_bytes(statement, i);
            break;
        case SQLITE_BLOB:
            bytes = sqlite3_column_blob(statement, i);
            length = (uint64_t)sqlite3_column_bytes(statement, i);
            break;
        default:
            break;
        }
        current.bytes = must_allocate(current.bytes, current.length + 9 + (size_t)length);
        current.bytes[current.length] = (char)type;
        memcpy(current.bytes + current.length + 1, &length, sizeof(length));
        if (length > 0) {
            memcpy(current.bytes + current.length + 9, bytes, (size_t)length);
        }
        current.length += 9 + (size_t)length;
    }
    return current;
}

static void bind_values(sqlite3_stmt *statement, const query *q)
{
    for (int i = 0; i < q->bind_count; i++) {
        const value *v = &q->binds[i];

        switch (v->type) {
        case SQLITE_INTEGER:
            sqlite3_bind_int64(statement, i + 1, v->integer);
            break;
        case SQLITE_FLOAT:
            sqlite3_bind_double(statement, i + 1, v->real);
            break;
        case SQLITE_TEXT:
            sqlite3_bind_text(statement, i + 1, v->bytes, (int)v->length, SQLITE_STATIC);
            break;
        case SQLITE_BLOB:
            sqlite3_bind_blob(statement, i + 1, v->bytes, (int)v->length, SQLITE_STATIC);
            break;
        default:
            sqlite3_bind_null(statement, i + 1);
            break;
        }
    }
}

result run_statement(sqlite3 *db, const char *sql, const query *q)
{
    result r = {0};
    sqlite3_stmt *statement = NULL;

    r.code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    if (r.code == SQLITE_OK) {
        if (q != NULL) {
            bind_values(statement, q);
        }
        while ((r.code = sqlite3_step(statement)) == SQLITE_ROW) {
            if (r.row_count == r.row_capacity) {
                r.row_capacity = r.row_capacity * 2 + 16;
                r.rows = must_allocate(r.rows, r.row_capacity * sizeof(row));
            }
            r.rows[r.row_count++] = result_current_row(statement);
        }
    }
    r.code = r.code == SQLITE_DONE ? SQLITE_OK : r.code & 0xff;
    r.message = sqlite3_mprintf("%s", r.code == SQLITE_OK ? "ok" : sqlite3_errmsg(db));
    sqlite3_finalize(statement);
    return r;
}

void row_free(row *r)
{
    free(r->bytes);
    r->bytes = NULL;
}

void result_free(result *r)
{
    for (size_t i = 0; i < r->row_count; i++) {
        row_free(&r->rows[i]);
    }
    free(r->rows);
    sqlite3_free(r->message);
    memset(r, 0, sizeof(*r));
}

static int compare_row(const void *left, const void *right)
{
    const row *a = left;
    const row *b = right;
    size_t common = a->length < b->length ? a->length : b->length;
    int order = common > 0 ? memcmp(a->bytes, b->bytes, common) : 0;

    return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

void result_sort(result *r)
{
    if (r->row_count > 1) {
        qsort(r->rows, r->row_count, sizeof(row), compare_row);
    }
}

outcome outcome_of(int code)
{
    return code == SQLITE_OK     ? OUTCOME_SUCCEEDED
           : code == SQLITE_BUSY ? OUTCOME_BUSY
                                 : OUTCOME_REFUSED;
}

void record_history(world *w, pair *p, const char *sql, const query *q)
{
    char **place = &w->history[w->history_count++ % HISTORY_MAX];
    char *text = query_expanded(sql, q);

    sqlite3_free(*place);
    *place =
        sqlite3_mprintf("/* %llu, connection %d */ %.400s%s;", (unsigned long long)w->statement,
                        (int)(p - w->pairs), text, strlen(text) > 400 ? "..." : "");
    if (w->trace) {
        printf("/* %" PRIu64 ", connection %d */ %s;\n", w->statement, (int)(p - w->pairs), text);
        fflush(stdout);
    }
    sqlite3_free(text);
}

static void print_row(const char *side, const result *r, size_t number)
{
    printf("  %s row %zu:", side, number);
    if (number >= r->row_count) {
        printf(" none\n");
        return;
    }
    const row *line = &r->rows[number];
    for (size_t at = 0; at < line->length;) {
        unsigned char type = (unsigned char)line->bytes[at];
        uint64_t length;
        int64_t integer;
        double real;

        memcpy(&length, line->bytes + at + 1, sizeof(length));
        const char *bytes = line->bytes + at + 9;
        if (type == SQLITE_INTEGER) {
            memcpy(&integer, bytes, sizeof(integer));
            printf(" | %" PRId64, integer);
        } else if (type == SQLITE_FLOAT) {
            memcpy(&real, bytes, sizeof(real));
            printf(" | %.17g", real);
        } else if (type == SQLITE_NULL) {
            printf(" | NULL");
        } else {
            printf(" | %s[%" PRIu64 "]", type == SQLITE_TEXT ? "text" : "blob", length);
            for (uint64_t i = 0; i < length && i < 40; i++) {
                unsigned char c = (unsigned char)bytes[i];
                printf(c >= 32 && c < 127 ? "%c" : "\\x%02x", c);
            }
        }
        at += 9 + (size_t)length;
    }
    printf("\n");
}

void report_run(world *w)
{
    uint64_t first = w->history_count > HISTORY_MAX ? w->history_count - HISTORY_MAX : 0;
    char *create = sqlite3_mprintf(w->create, w->name);

    printf("the statements before:\n");
    for (uint64_t i = first; i < w->history_count; i++) {
        printf("  %s\n", w->history[i % HISTORY_MAX]);
    }
    printf("table: %s\njournal_mode %s, synchronous %s, encoding %s\n", create, w->journal_mode,
           w->synchronous, w->encoding);
    printf("the databases are in %s\nreplay: differential --seed %" PRIu64 " --statements %" PRIu64
           " --epoch %" PRIu64 " (and --trace for every statement)\n",
           w->directory != NULL ? w->directory : "memory", w->seed, w->statement_limit, w->epoch);
    printf("at statement %" PRIu64 " (%s)\n", w->statement, w->kind_name);
    fflush(stdout);
}

void mismatch(world *w, pair *p, const char *sql, const char *format, ...)
{
    va_list arguments;

    report_run(w);
    printf("MISMATCH at statement %" PRIu64 " (%s), connection %d, transaction %s: %.2000s\n",
           w->statement, w->kind_name, (int)(p - w->pairs), in_transaction(p) ? "open" : "none",
           sql);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    exit(1);
}

void compare_codes(world *w, pair *p, const char *sql, const result *log, const result *oracle)
{
    p->soiled = p->soiled || log->code != SQLITE_OK;
    if (log->code != oracle->code) {
        mismatch(w, p, sql, "the log returned %d (%s), expected %d (%s)", log->code, log->message,
                 oracle->code, oracle->message);
    }
    if (sqlite3_get_autocommit(p->log) != sqlite3_get_autocommit(p->oracle)) {
        mismatch(w, p, sql, "a transaction is %s on the log's side, %s on the oracle's",
                 sqlite3_get_autocommit(p->log) ? "closed" : "open",
                 sqlite3_get_autocommit(p->oracle) ? "closed" : "open");
    }
}

void compare_rows(world *w, pair *p, const char *sql, const result *log, const result *oracle)
{
    size_t count = log->row_count > oracle->row_count ? log->row_count : oracle->row_count;

    for (size_t i = 0; i < count; i++) {
        if (i >= log->row_count || i >= oracle->row_count ||
            compare_row(&log->rows[i], &oracle->rows[i]) != 0) {
            print_row("log", log, i);
            print_row("oracle", oracle, i);
            mismatch(w, p, sql, "the log gave %zu rows, expected %zu; row %zu differs first",
                     log->row_count, oracle->row_count, i);
        }
    }
}

outcome compare_query(world *w, pair *p, query *q)
{
    char *sql = query_text(q);

    record_history(w, p, sql, q);
    result log = run_statement(p->log, sql, q);
    result oracle = run_statement(p->oracle, sql, q);
    compare_codes(w, p, sql, &log, &oracle);
    if (log.code == SQLITE_OK) {
        if (!q->ordered) {
            result_sort(&log);
            result_sort(&oracle);
        }
        compare_rows(w, p, sql, &log, &oracle);
    }
    outcome common = outcome_of(log.code);
    result_free(&log);
    result_free(&oracle);
    sqlite3_free(sql);
    return common;
}

void compare_everything(world *w, pair *p)
{
    query q;

    query_start(&q);
    sqlite3_str_appendf(q.sql,
                        "SELECT rowid, offset, timestamp, key, value, headers FROM %s "
                        "ORDER BY offset",
                        w->name);
    q.ordered = true;
    compare_query(w, p, &q);
    query_free(&q);
    query_start(&q);
    sqlite3_str_appendall(q.sql, "SELECT * FROM orders");
    compare_query(w, p, &q);
    query_free(&q);
}
