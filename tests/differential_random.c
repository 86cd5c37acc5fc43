/*
 * Random values, literals, predicates and SELECTs. Everything comes from the world's generator, so
 * the same seed makes the same statements. Numbers near the log's ends are common, because that is
 * where seeks go wrong; literals of the wrong type are common, because virtual tables get them
 * without the coercion that ordinary tables enjoy.
 *
 * A SELECT made here has one right answer: rows are compared as a set unless ORDER BY is total.
 */
#include "differential.h"

#include <stdlib.h>
#include <string.h>

const char *random_pick(world *w, const char *const *choices, size_t choice_count)
{
    return choices[prng_below(&w->random, choice_count)];
}

/* The hints outlive a ROLLBACK: they may even have changed places. */
int64_t rows_about(const world *w)
{
    return w->next_hint > w->start_hint ? w->next_hint - w->start_hint : 0;
}

void value_free(value *v)
{
    free(v->bytes);
    v->bytes = NULL;
}

void query_start(query *q)
{
    memset(q, 0, sizeof(*q));
    q->sql = sqlite3_str_new(NULL);
}

void query_free(query *q)
{
    for (int i = 0; i < q->bind_count; i++) {
        value_free(&q->binds[i]);
    }
    sqlite3_free(sqlite3_str_finish(q->sql));
    memset(q, 0, sizeof(*q));
}

char *query_text(query *q)
{
    return sqlite3_mprintf("%.*s", sqlite3_str_length(q->sql), sqlite3_str_value(q->sql));
}

static size_t random_length(world *w, size_t bytes_max)
{
    uint64_t dice = prng_below(&w->random, 1000);
    size_t bound = dice < 60 ? 1 : dice < 930 ? 40 : dice < 995 ? 3000 : 200 * 1024;

    return (size_t)prng_below(&w->random, bound < bytes_max ? bound : bytes_max);
}

/* Text without NUL that every encoding can hold, or any bytes at all for a BLOB. */
static void random_bytes(world *w, value *v, size_t bytes_max)
{
    bool any_byte = v->type == SQLITE_BLOB;

    v->length = random_length(w, bytes_max);
    v->bytes = malloc(v->length + 1);
    if (v->bytes == NULL) {
        driver_fail("out of memory");
    }
    unsigned alphabet = prng_chance(&w->random, 50) ? 3 : 26;
    for (size_t i = 0; i < v->length; i++) {
        v->bytes[i] =
            any_byte ? (char)prng_next(&w->random) : (char)('a' + prng_below(&w->random, alphabet));
    }
    v->bytes[v->length] = '\0';
}

static int64_t random_integer(world *w)
{
    static const int64_t edges[] = {0,   1,     -1,        127,       255,
                                    256, 65536, INT32_MAX, INT64_MAX, INT64_MIN};

    if (prng_chance(&w->random, 20)) {
        return edges[prng_below(&w->random, sizeof(edges) / sizeof(edges[0]))];
    }
    return (int64_t)prng_below(&w->random, 20) - 3;
}

/* Never equal to an integer: max() and DISTINCT of 3 and 3.0 may give either. */
static double random_real(world *w)
{
    static const double edges[] = {1.5, 1e300, -1e300, 1e-300, 9.2e18};

    if (prng_chance(&w->random, 50)) {
        return edges[prng_below(&w->random, sizeof(edges) / sizeof(edges[0]))];
    }
    return (double)(prng_below(&w->random, 400) * 2 + 1) / 8.0 - 10;
}

value value_random(world *w, size_t bytes_max)
{
    value v = {0};
    uint64_t dice = prng_below(&w->random, 100);

    if (dice < 8) {
        v.type = SQLITE_NULL;
    } else if (dice < 33) {
        v.type = SQLITE_INTEGER;
        v.integer = random_integer(w);
    } else if (dice < 43) {
        v.type = SQLITE_FLOAT;
        v.real = random_real(w);
    } else {
        v.type = dice < 80 ? SQLITE_TEXT : SQLITE_BLOB;
        random_bytes(w, &v, bytes_max);
    }
    return v;
}

static void append_literal(query *q, const value *v)
{
    switch (v->type) {
    case SQLITE_INTEGER:
        /* -9223372036854775808 written as a literal would be a negated REAL. */
        if (v->integer == INT64_MIN) {
            sqlite3_str_appendf(q->sql, "(-9223372036854775807-1)");
        } else {
            sqlite3_str_appendf(q->sql, "%lld", (long long)v->integer);
        }
        break;
    case SQLITE_FLOAT:
        sqlite3_str_appendf(q->sql, "%!.17g", v->real);
        break;
    case SQLITE_TEXT:
        sqlite3_str_appendf(q->sql, "%Q", v->bytes);
        break;
    case SQLITE_BLOB:
        sqlite3_str_appendall(q->sql, "x'");
        for (size_t i = 0; i < v->length; i++) {
            sqlite3_str_appendf(q->sql, "%02x", (unsigned char)v->bytes[i]);
        }
        sqlite3_str_appendall(q->sql, "'");
        break;
    default:
        sqlite3_str_appendall(q->sql, "NULL");
        break;
    }
}

char *query_expanded(const char *sql, const query *q)
{
    query expanded;

    query_start(&expanded);
    for (const char *at = sql; *at != '\0'; at++) {
        /* No literal made here holds a question mark. */
        if (*at != '?' || q == NULL) {
            sqlite3_str_appendchar(expanded.sql, 1, *at);
            continue;
        }
        char *end;
        long number = strtol(at + 1, &end, 10);
        append_literal(&expanded, &q->binds[number - 1]);
        at = end - 1;
    }
    char *text = query_text(&expanded);
    query_free(&expanded);
    return text;
}

void query_value(world *w, query *q, value v)
{
    if (q->bind_count < BIND_MAX && prng_chance(&w->random, 30)) {
        q->binds[q->bind_count++] = v;
        sqlite3_str_appendf(q->sql, "?%d", q->bind_count);
        return;
    }
    append_literal(q, &v);
    value_free(&v);
}

/* Something to compare a column with, mostly close to what the column holds. */
void random_literal(world *w, query *q, const char *column)
{
    static const char *const odd[] = {
        "'12'",   "' 7 '", "'12.0'", "'1e1'",  "'abc'",  "''",     "12.0",
        "12.5",   "-1",    "x'31'",  "x''",    "1e300",  "-1e300", "9223372036854775807",
        "NULL",   "'12x'", "-0.5",   "1e19",   "'-1'",   "0",      "(-9223372036854775807-1)",
        "'9e99'", "0x10",  "TRUE",   "'0x10'", "9.3e18", "-9.3e18"};
    uint64_t dice = prng_below(&w->random, 100);

    if (dice < 12) {
        sqlite3_str_appendall(q->sql, RANDOM_OF(w, odd));
    } else if (strcmp(column, "offset") == 0 || strcmp(column, "rowid") == 0) {
        int64_t from = prng_chance(&w->random, 30) ? w->next_hint - 5 : w->start_hint - 3;
        int64_t width = w->next_hint > from ? w->next_hint - from + 4 : 4;
        int64_t near = from + (int64_t)prng_below(&w->random, (uint64_t)width);

        if (dice < 18) {
            sqlite3_str_appendf(q->sql, "%lld.5", (long long)near);
        } else if (dice < 24) {
            sqlite3_str_appendf(q->sql, "'%lld'", (long long)near);
        } else if (dice < 30 && !w->without_subqueries) {
            sqlite3_str_appendf(q->sql, "(SELECT %s(offset) FROM %s)", dice & 1 ? "max" : "min",
                                w->name);
        } else {
            query_value(w, q, (value){.type = SQLITE_INTEGER, .integer = near});
        }
    } else if (strcmp(column, "timestamp") == 0) {
        /* Timestamps grow with the offset, so that ranges can leave whole segments out. */
        int64_t from = w->start_hint - 20;
        int64_t width = rows_about(w) + 40;

        query_value(w, q,
                    (value){.type = SQLITE_INTEGER,
                            .integer = from + (int64_t)prng_below(&w->random, (uint64_t)width)});
    } else {
        query_value(w, q, value_random(w, 40));
    }
}

static const char *random_column(world *w)
{
    static const char *const columns[] = {"offset",    "offset", "offset", "rowid", "timestamp",
                                          "timestamp", "key",    "key",    "value", "headers"};

    return RANDOM_OF(w, columns);
}

static void random_list(world *w, query *q, const char *column)
{
    unsigned count = (unsigned)prng_below(&w->random, 6);

    for (unsigned i = 0; i < count; i++) {
        sqlite3_str_appendall(q->sql, i > 0 ? ", " : "");
        random_literal(w, q, column);
    }
}

static void random_comparison(world *w, query *q, const char *alias)
{
    static const char *const operators[] = {"=", "=", "<", "<=", ">", ">=", "<>", "IS", "IS NOT"};
    const char *column = random_column(w);
    const char *dot = alias[0] != '\0' ? "." : "";
    uint64_t dice = prng_below(&w->random, 100);

    if (dice < 45) {
        sqlite3_str_appendf(q->sql, "%s%s%s %s ", alias, dot, column, RANDOM_OF(w, operators));
        random_literal(w, q, column);
    } else if (dice < 52) {
        random_literal(w, q, column);
        sqlite3_str_appendf(q->sql, " %s %s%s%s", RANDOM_OF(w, operators), alias, dot, column);
    } else if (dice < 68) {
        sqlite3_str_appendf(q->sql, "%s%s%s %sBETWEEN ", alias, dot, column,
                            prng_chance(&w->random, 15) ? "NOT " : "");
        random_literal(w, q, column);
        sqlite3_str_appendall(q->sql, " AND ");
        random_literal(w, q, column);
    } else if (dice < 78) {
        sqlite3_str_appendf(q->sql, "%s%s%s %sIN (", alias, dot, column,
                            prng_chance(&w->random, 15) ? "NOT " : "");
        random_list(w, q, column);
        sqlite3_str_appendall(q->sql, ")");
    } else if (dice < 83) {
        sqlite3_str_appendf(q->sql, "%s%s%s IS %sNULL", alias, dot, column,
                            prng_chance(&w->random, 50) ? "NOT " : "");
    } else if (dice < 87 && !w->without_subqueries) {
        sqlite3_str_appendf(q->sql, "%s%s%s IN (SELECT offset + %d FROM %s WHERE offset %% 3 = %d)",
                            alias, dot, column, (int)prng_below(&w->random, 3) - 1, w->name,
                            (int)prng_below(&w->random, 3));
    } else if (dice < 90) {
        sqlite3_str_appendf(q->sql, "%s%skey %s 'a%%'", alias, dot,
                            prng_chance(&w->random, 50) ? "LIKE" : "NOT LIKE");
    } else {
        /* A timestamp is about its offset: so the second comparison decides, too. */
        int64_t near = w->start_hint + (int64_t)prng_below(&w->random, (uint64_t)rows_about(w) + 1);

        sqlite3_str_appendf(q->sql, "(%s%soffset, %s%stimestamp) %s (", alias, dot, alias, dot,
                            dice & 1 ? ">" : "<=");
        query_value(w, q, (value){.type = SQLITE_INTEGER, .integer = near});
        sqlite3_str_appendall(q->sql, ", ");
        if (prng_chance(&w->random, 20)) {
            random_literal(w, q, "timestamp");
        } else {
            sqlite3_str_appendf(q->sql, "%lld",
                                (long long)near + (long long)prng_below(&w->random, 21) - 10);
        }
        sqlite3_str_appendall(q->sql, ")");
    }
}

void random_predicate(world *w, query *q, const char *alias, unsigned depth)
{
    if (depth == 0 || prng_chance(&w->random, 45)) {
        random_comparison(w, q, alias);
        return;
    }
    uint64_t dice = prng_below(&w->random, 100);
    sqlite3_str_appendall(q->sql, dice < 10 ? "NOT (" : "(");
    random_predicate(w, q, alias, depth - 1);
    sqlite3_str_appendall(q->sql, dice < 65 ? " AND " : " OR ");
    random_predicate(w, q, alias, depth - 1);
    sqlite3_str_appendall(q->sql, ")");
}

void random_scan_predicate(world *w, query *q)
{
    static const char *const operators[] = {"<", "<=", ">", ">="};
    static const char *const columns[] = {"offset", "timestamp"};
    unsigned count = (unsigned)prng_below(&w->random, 3);

    sqlite3_str_appendall(q->sql, "1");
    for (unsigned i = 0; i < count; i++) {
        const char *column = RANDOM_OF(w, columns);
        int64_t width = rows_about(w) + 4;
        int64_t near = w->start_hint + (int64_t)prng_below(&w->random, (uint64_t)width);

        sqlite3_str_appendf(q->sql, " AND %s %s %lld", column, RANDOM_OF(w, operators),
                            (long long)near);
    }
}

/* ORDER BY that leaves nothing open, with a LIMIT then. */
static void random_order(world *w, query *q)
{
    static const char *const orders[] = {"offset",           "offset DESC",
                                         "offset DESC",      "rowid",
                                         "key, offset",      "timestamp DESC, offset DESC",
                                         "offset, key DESC", "headers, offset DESC"};

    q->ordered = true;
    sqlite3_str_appendf(q->sql, " ORDER BY %s", RANDOM_OF(w, orders));
    if (prng_chance(&w->random, 60)) {
        sqlite3_str_appendf(q->sql, " LIMIT %d", (int)prng_below(&w->random, 30) - 1);
        if (prng_chance(&w->random, 70)) {
            sqlite3_str_appendf(q->sql, " OFFSET %d", (int)prng_below(&w->random, 60) - 1);
        }
    }
}

static void random_aggregate(world *w, query *q)
{
    static const char *const aggregates[] = {"count(*)",
                                             "min(offset)",
                                             "max(offset)",
                                             "max(rowid)",
                                             "min(offset), max(offset)",
                                             "count(*), count(key), count(value), count(headers)",
                                             "max(value)",
                                             "min(key), max(key)",
                                             "value, max(offset)",
                                             "key, headers, min(offset)",
                                             "sum(timestamp % 1000), total(length(value))",
                                             "count(DISTINCT key)",
                                             "min(timestamp), max(timestamp)"};

    sqlite3_str_appendf(q->sql, "SELECT %s FROM %s", RANDOM_OF(w, aggregates), w->name);
    if (prng_chance(&w->random, 60)) {
        sqlite3_str_appendall(q->sql, " WHERE ");
        random_predicate(w, q, "", 2);
    }
    if (prng_chance(&w->random, 10)) {
        sqlite3_str_appendall(q->sql, " GROUP BY timestamp % 5");
    }
}

static void random_join(world *w, query *q)
{
    static const char *const conditions[] = {
        "b.offset = a.offset + 1",
        "b.offset = a.timestamp",
        "b.offset IN (a.offset, a.offset - 1, a.key)",
        "b.offset BETWEEN a.offset AND a.offset + 2",
        "b.rowid = a.key",
        "b.timestamp = a.timestamp",
        "b.key IS a.key AND b.offset > a.offset",
        "b.offset >= a.offset - 1 AND b.offset < a.offset + 2"};
    static const char *const columns[] = {
        "a.offset, b.offset", "a.offset, b.offset, b.key, a.value", "count(*), max(b.offset)"};
    int64_t width = rows_about(w) + 1;
    int64_t first = w->start_hint + (int64_t)prng_below(&w->random, (uint64_t)width);

    sqlite3_str_appendf(q->sql,
                        "SELECT %s FROM %s a %s %s b ON %s WHERE a.offset BETWEEN %lld AND "
                        "%lld",
                        RANDOM_OF(w, columns), w->name,
                        prng_chance(&w->random, 30) ? "LEFT JOIN" : "JOIN", w->name,
                        RANDOM_OF(w, conditions), (long long)first, (long long)first + 8);
    if (prng_chance(&w->random, 30)) {
        sqlite3_str_appendall(q->sql, " AND ");
        random_predicate(w, q, prng_chance(&w->random, 50) ? "a" : "b", 1);
    }
}

void random_select(world *w, query *q)
{
    static const char *const columns[] = {"*",
                                          "offset",
                                          "rowid, *",
                                          "key, value",
                                          "offset, timestamp",
                                          "headers, offset",
                                          "length(value), offset",
                                          "typeof(key), typeof(value), offset, value",
                                          "offset * 2, key, offset"};
    uint64_t dice = prng_below(&w->random, 100);

    if (dice < 18) {
        random_aggregate(w, q);
        return;
    }
    if (dice < 28) {
        random_join(w, q);
        return;
    }
    if (dice < 32) {
        sqlite3_str_appendf(q->sql,
                            "SELECT o.id, x.offset FROM orders o JOIN %s x ON x.offset = o.%s",
                            w->name, dice & 1 ? "id" : "b");
        return;
    }
    if (dice < 36) {
        sqlite3_str_appendf(q->sql,
                            "SELECT offset FROM %s o WHERE EXISTS (SELECT 1 FROM %s i "
                            "WHERE i.offset = o.offset %+d) AND ",
                            w->name, w->name, (int)prng_below(&w->random, 5) - 2);
        random_predicate(w, q, "o", 1);
        return;
    }
    if (dice < 40) {
        /* Which rows these are is open, but not how many. */
        sqlite3_str_appendf(q->sql, "SELECT count(*) FROM (SELECT key FROM %s WHERE ", w->name);
        random_predicate(w, q, "", 1);
        sqlite3_str_appendf(q->sql, " LIMIT %d OFFSET %d)", (int)prng_below(&w->random, 60) - 1,
                            (int)prng_below(&w->random, 40) - 1);
        return;
    }
    sqlite3_str_appendf(q->sql, "SELECT %s%s FROM %s", dice < 43 ? "DISTINCT " : "",
                        dice < 43 ? "key, typeof(key)" : RANDOM_OF(w, columns), w->name);
    if (prng_chance(&w->random, 85)) {
        sqlite3_str_appendall(q->sql, " WHERE ");
        random_predicate(w, q, "", 2);
    }
    if (dice >= 43 && prng_chance(&w->random, 55)) {
        random_order(w, q);
    }
}
