/*
 * The planner's side: which constraints the log answers by itself, what that costs, and the words
 * for EXPLAIN QUERY PLAN. And xFilter's side: from those constraints to a range of offsets.
 *
 * Constraints on the offset are answered exactly, so SQLite need not check them again. Those on the
 * timestamp only skip segments; SQLite checks each row.
 */
#include "glue.h"

/* ---- planning -------------------------------------------------------------------------------- */

typedef struct {
    int bit;
    const char *words;
} plan_term;

/* In the order of the bits, which is that of the arguments. */
static const plan_term terms[] = {
    {PLAN_OFFSET_EQUAL, "offset=?"},
    {PLAN_OFFSET_ABOVE, "offset>?"},
    {PLAN_OFFSET_FROM, "offset>=?"},
    {PLAN_OFFSET_BELOW, "offset<?"},
    {PLAN_OFFSET_TO, "offset<=?"},
    {PLAN_TIMESTAMP_EQUAL, "timestamp=?"},
    {PLAN_TIMESTAMP_FROM, "timestamp>=?"},
    {PLAN_TIMESTAMP_TO, "timestamp<=?"},
    {PLAN_SKIP, "skip ?"},
};
#define TERM_COUNT ((int)(sizeof terms / sizeof *terms))

static int offset_bit(int op)
{
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_IS:
        return PLAN_OFFSET_EQUAL;
    case SQLITE_INDEX_CONSTRAINT_GT:
        return PLAN_OFFSET_ABOVE;
    case SQLITE_INDEX_CONSTRAINT_GE:
        return PLAN_OFFSET_FROM;
    case SQLITE_INDEX_CONSTRAINT_LT:
        return PLAN_OFFSET_BELOW;
    case SQLITE_INDEX_CONSTRAINT_LE:
        return PLAN_OFFSET_TO;
    default:
        return 0;
    }
}

static int timestamp_bit(int op)
{
    switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
        return PLAN_TIMESTAMP_EQUAL;
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
        return PLAN_TIMESTAMP_FROM;
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
        return PLAN_TIMESTAMP_TO;
    default:
        return 0;
    }
}

static int bit_of(const struct sqlite3_index_constraint *constraint)
{
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_OFFSET)
        return PLAN_SKIP;
    if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT)
        return 0;
    if (constraint->iColumn == COLUMN_OFFSET || constraint->iColumn == -1)
        return offset_bit(constraint->op);
    if (constraint->iColumn == COLUMN_TIMESTAMP)
        return timestamp_bit(constraint->op);
    return 0;
}

/* Does SQLite, too, hold the constraint for answered? Not if it stands for a comparison of row
 * values, (offset, ...) >= (x, ...), of which only the first pair came here. Such a one is not told
 * from others, but its right side is no constant. */
static int is_scalar(sqlite3_index_info *info, int number)
{
    int op = info->aConstraint[number].op;
    sqlite3_value *value = NULL;

    return (op != SQLITE_INDEX_CONSTRAINT_GE && op != SQLITE_INDEX_CONSTRAINT_LE) ||
           sqlite3_vtab_rhs_value(info, number, &value) == SQLITE_OK;
}

/* Choose one constraint for each bit. chosen[i] is the index of the one for terms[i], or -1. Sets
 * *ret_is_exact if the rows need no check beyond what was chosen. */
static int choose(sqlite3_index_info *info, int chosen[], int *ret_is_exact)
{
    int plan = 0, is_exact = 1;

    for (int i = 0; i < TERM_COUNT; i++)
        chosen[i] = -1;
    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
        int bit = bit_of(constraint);
        if (constraint->op == SQLITE_INDEX_CONSTRAINT_LIMIT)
            continue; /* SQLite stops by itself */
        if (!constraint->usable || bit == 0 || (plan & bit) != 0) {
            is_exact = 0;
            continue;
        }
        plan |= bit;
        if (!is_scalar(info, i))
            is_exact = 0;
        if (bit & (PLAN_TIMESTAMP_EQUAL | PLAN_TIMESTAMP_FROM | PLAN_TIMESTAMP_TO))
            is_exact = 0;
        for (int j = 0; j < TERM_COUNT; j++)
            if (terms[j].bit == bit)
                chosen[j] = i;
    }
    *ret_is_exact = is_exact;
    return plan;
}

/* Rows come by offset, up or down. Terms after the offset change nothing: it is unique. */
static int order(sqlite3_index_info *info, int plan)
{
    const struct sqlite3_index_orderby *by = info->aOrderBy;

    if (info->nOrderBy == 0)
        return plan;
    if (by->iColumn != COLUMN_OFFSET && by->iColumn != -1)
        return plan;
    info->orderByConsumed = 1;
    return by->desc ? plan | PLAN_DESCENDING : plan;
}

static void estimate(sqlite3_index_info *info, int plan, double records)
{
    double rows = records > 1000 ? records : 1000; /* few or none yet: more may come */

    if (plan & PLAN_OFFSET_EQUAL) {
        rows = 1;
        info->idxFlags |= SQLITE_INDEX_SCAN_UNIQUE;
    } else {
        if (plan & (PLAN_OFFSET_ABOVE | PLAN_OFFSET_FROM))
            rows /= 4;
        if (plan & (PLAN_OFFSET_BELOW | PLAN_OFFSET_TO))
            rows /= 4;
        if (plan & (PLAN_TIMESTAMP_EQUAL | PLAN_TIMESTAMP_FROM | PLAN_TIMESTAMP_TO))
            rows /= 2;
    }
    info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
    /* A seek costs about as much as ten rows of a scan. */
    info->estimatedCost = 10 + rows;
}

static int describe(sqlite3_index_info *info, int plan)
{
    sqlite3_str *words = sqlite3_str_new(NULL);

    for (int i = 0; i < TERM_COUNT; i++)
        if (plan & terms[i].bit)
            sqlite3_str_appendf(words, "%s%s", sqlite3_str_length(words) > 0 ? " AND " : "",
                                terms[i].words);
    if (plan & PLAN_DESCENDING)
        sqlite3_str_appendf(words, "%snewest first", sqlite3_str_length(words) > 0 ? ", " : "");
    else
        sqlite3_str_appendf(words, "%soldest first", sqlite3_str_length(words) > 0 ? ", " : "");
    info->idxStr = sqlite3_str_finish(words);
    info->needToFreeIdxStr = 1;
    return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

int plan_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
    const log_table *table = (const log_table *)base;
    int chosen[TERM_COUNT], is_exact = 0, argument = 0;
    int plan = choose(info, chosen, &is_exact);

    plan = order(info, plan);
    /* SQLite leaves its own skipping out if it is told so: only where every row is a row. Before
     * 3.46.0 it does not tell of terms that compare two columns. A loop over IN looks like an
     * equality, and must not skip once a round. */
    if ((plan & PLAN_SKIP) &&
        (sqlite3_libversion_number() < 3046000 || !is_exact || (plan & PLAN_OFFSET_EQUAL) ||
         (info->nOrderBy > 0 && !info->orderByConsumed)))
        plan &= ~PLAN_SKIP;
    for (int i = 0; i < TERM_COUNT; i++) {
        if ((plan & terms[i].bit) == 0)
            continue;
        info->aConstraintUsage[chosen[i]].argvIndex = ++argument;
        info->aConstraintUsage[chosen[i]].omit =
            (terms[i].bit & (PLAN_TIMESTAMP_EQUAL | PLAN_TIMESTAMP_FROM | PLAN_TIMESTAMP_TO)) == 0;
    }
    info->idxNum = plan;
    estimate(info, plan, table->handle != NULL ? (double)table->handle->known_records : 1000000);
    return describe(info, plan);
}

/* ---- applying -------------------------------------------------------------------------------- */

/* A value that a column of INTEGER affinity is compared with, as a bound between integers. */
typedef struct {
    int is_null;
    int is_exact;     /* equal to `floor` */
    int is_above_all; /* greater than every integer: text, blob, a large real */
    int is_below_all; /* less than every integer */
    int64_t floor;    /* the greatest integer not above it */
} bound;

static bound bound_of_real(double real)
{
    bound result = {0, 0, 0, 0, 0};

    if (real != real)
        result.is_null = 1;
    else if (real >= 9223372036854775808.0)
        result.is_above_all = 1;
    else if (real < -9223372036854775808.0)
        result.is_below_all = 1;
    else {
        result.floor = (sqlite3_int64)real;
        if ((double)result.floor > real)
            result.floor--;
        result.is_exact = (double)result.floor == real;
    }
    return result;
}

/* SQLite compares a column of INTEGER affinity with text as a number if the text looks like one. */
static bound bound_of(sqlite3_value *value)
{
    bound result = {0, 0, 0, 0, 0};

    switch (sqlite3_value_numeric_type(value)) {
    case SQLITE_NULL:
        result.is_null = 1;
        break;
    case SQLITE_INTEGER:
        result.floor = sqlite3_value_int64(value);
        result.is_exact = 1;
        break;
    case SQLITE_FLOAT:
        result = bound_of_real(sqlite3_value_double(value));
        break;
    default:
        result.is_above_all = 1;
        break;
    }
    return result;
}

/* Keep the integers >= the bound, or > it if `is_strict`. `low` is the least that is kept so far.
 */
static void raise_low(bound by, int is_strict, int *is_empty, int64_t *low)
{
    int64_t least = by.floor;

    if (by.is_null || by.is_above_all) {
        *is_empty = 1;
        return;
    }
    if (by.is_below_all)
        return;
    if (is_strict || !by.is_exact) {
        if (least == INT64_MAX) {
            *is_empty = 1;
            return;
        }
        least++;
    }
    if (least > *low)
        *low = least;
}

/* Keep the integers <= the bound, or < it. `high` is the greatest that is kept so far. */
static void lower_high(bound by, int is_strict, int *is_empty, int64_t *high)
{
    int64_t greatest = by.floor;

    if (by.is_null || by.is_below_all) {
        *is_empty = 1;
        return;
    }
    if (by.is_above_all)
        return;
    if (is_strict && by.is_exact) {
        if (greatest == INT64_MIN) {
            *is_empty = 1;
            return;
        }
        greatest--;
    }
    if (greatest < *high)
        *high = greatest;
}

static void apply_term(int bit, sqlite3_value *value, int *is_empty, plan_range *range,
                       int64_t *low, int64_t *high)
{
    bound by = bound_of(value);

    switch (bit) {
    case PLAN_OFFSET_EQUAL:
        if (!by.is_exact)
            *is_empty = 1;
        raise_low(by, 0, is_empty, low);
        lower_high(by, 0, is_empty, high);
        break;
    case PLAN_OFFSET_ABOVE:
    case PLAN_OFFSET_FROM:
        raise_low(by, bit == PLAN_OFFSET_ABOVE, is_empty, low);
        break;
    case PLAN_OFFSET_BELOW:
    case PLAN_OFFSET_TO:
        lower_high(by, bit == PLAN_OFFSET_BELOW, is_empty, high);
        break;
    case PLAN_TIMESTAMP_EQUAL:
        raise_low(by, 0, is_empty, &range->min_timestamp_ms);
        lower_high(by, 0, is_empty, &range->max_timestamp_ms);
        break;
    case PLAN_TIMESTAMP_FROM:
        raise_low(by, 0, is_empty, &range->min_timestamp_ms);
        break;
    case PLAN_TIMESTAMP_TO:
        lower_high(by, 0, is_empty, &range->max_timestamp_ms);
        break;
    default:
        break;
    }
}

/* Skip rows at the end that is read first. */
static void apply_skip(int plan, sqlite3_int64 count, plan_range *range)
{
    uint64_t rows = range->end > range->first ? range->end - range->first : 0;
    uint64_t skipped = count <= 0 ? 0 : (uint64_t)count < rows ? (uint64_t)count : rows;

    if (plan & PLAN_DESCENDING)
        range->end -= skipped;
    else
        range->first += skipped;
}

void plan_apply(int plan, sqlite3_value **arguments, plan_range *range)
{
    int64_t low = INT64_MIN, high = INT64_MAX;
    int is_empty = 0, argument = 0;

    range->min_timestamp_ms = INT64_MIN;
    range->max_timestamp_ms = INT64_MAX;
    for (int i = 0; i < TERM_COUNT; i++) {
        if ((plan & terms[i].bit) == 0 || terms[i].bit == PLAN_SKIP)
            continue;
        apply_term(terms[i].bit, arguments[argument++], &is_empty, range, &low, &high);
    }
    if (low > 0 && (uint64_t)low > range->first)
        range->first = (uint64_t)low;
    if (high < 0)
        is_empty = 1;
    else if ((uint64_t)high < range->end)
        range->end = (uint64_t)high + 1 < range->end ? (uint64_t)high + 1 : range->end;
    if (is_empty || range->first >= range->end)
        range->end = range->first;
    else if (plan & PLAN_SKIP)
        apply_skip(plan, sqlite3_value_int64(arguments[argument]), range);
}
