/*
 * Options of CREATE VIRTUAL TABLE: one table, from which parser, messages and documentation come.
 */
#include "glue.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

typedef enum { KIND_BYTES, KIND_MS, KIND_COUNT } option_kind;

typedef struct {
    const char *name;
    option_kind kind;
    size_t field;
    int64_t minimum, maximum, preset;
} option;

#define NO_LIMIT (INT64_MAX - 1)
#define YEARS_MS (INT64_C(1000) * 366 * 24 * 3600 * 1000)

/* A preset of 0 with a minimum above it means "off unless given". */
static const option options[] = {
    {"segment_bytes", KIND_BYTES, offsetof(log_options, segment_bytes), COMMITLOG_SEGMENT_BYTES_MIN,
     (int64_t)COMMITLOG_SEGMENT_BYTES_MAX, INT64_C(64) << 20},
    {"segment_ms", KIND_MS, offsetof(log_options, segment_ms), 1, YEARS_MS, 0},
    {"retention_bytes", KIND_BYTES, offsetof(log_options, retention_bytes), 1, NO_LIMIT, 0},
    {"retention_ms", KIND_MS, offsetof(log_options, retention_ms), 1, YEARS_MS, 0},
    {"retention_records", KIND_COUNT, offsetof(log_options, retention_records), 1, NO_LIMIT, 0},
    /* The preset stands for SQLite's own limit, SQLITE_LIMIT_LENGTH. */
    {"max_message_bytes", KIND_BYTES, offsetof(log_options, max_message_bytes), 1, 2147483647, 0},
    {"file_delete_delay_ms", KIND_MS, offsetof(log_options, file_delete_delay_ms), 0, YEARS_MS,
     60000},
};

#define OPTION_COUNT (sizeof options / sizeof *options)

typedef struct {
    const char *name;
    int64_t factor;
} unit;

static const unit byte_units[] = {{"", 1},
                                  {"KiB", INT64_C(1) << 10},
                                  {"MiB", INT64_C(1) << 20},
                                  {"GiB", INT64_C(1) << 30},
                                  {NULL, 0}};
static const unit time_units[] = {{"", 1},        {"ms", 1},       {"s", 1000}, {"m", 60000},
                                  {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const unit count_units[] = {{"", 1}, {NULL, 0}};

static const unit *const units[] = {
    [KIND_BYTES] = byte_units, [KIND_MS] = time_units, [KIND_COUNT] = count_units};

static const char *const unit_words[] = {
    [KIND_BYTES] = "a number of bytes, or with KiB, MiB or GiB",
    [KIND_MS] = "a number of milliseconds, or with ms, s, m, h or d",
    [KIND_COUNT] = "a number",
};

static int64_t *field_of(log_options *values, const option *which)
{
    return (int64_t *)((char *)values + which->field);
}

/* A whole number and a unit. What is beyond all ranges comes as a number that is, too. */
static int parse_quantity(const char *text, option_kind kind, int64_t *ret)
{
    int64_t number = 0;
    int is_negative = *text == '-';

    text += is_negative;
    if (!isdigit((unsigned char)*text))
        return 0;
    for (; isdigit((unsigned char)*text); text++)
        number =
            number > (INT64_MAX - (*text - '0')) / 10 ? INT64_MAX : number * 10 + (*text - '0');
    while (*text == ' ')
        text++;
    for (const unit *at = units[kind]; at->name != NULL; at++) {
        if (sqlite3_stricmp(text, at->name) == 0) {
            number = number > INT64_MAX / at->factor ? INT64_MAX : number * at->factor;
            *ret = is_negative ? -number : number;
            return 1;
        }
    }
    return 0;
}

static int is_space(char character)
{
    return isspace((unsigned char)character);
}

/* Cut white space and one pair of quotes, in place. */
static char *unquote(char *text)
{
    size_t length;
    char quote;

    while (is_space(*text))
        text++;
    length = strlen(text);
    while (length > 0 && is_space(text[length - 1]))
        text[--length] = '\0';
    quote = text[0];
    if (length >= 2 && (quote == '\'' || quote == '"') && text[length - 1] == quote) {
        text[length - 1] = '\0';
        text++;
    }
    return text;
}

static char *all_names(void)
{
    char *names = sqlite3_mprintf("%s", options[0].name);
    for (size_t i = 1; i < OPTION_COUNT && names != NULL; i++)
        names = sqlite3_mprintf("%z, %s", names, options[i].name);
    return names;
}

static const option *find_option(const char *name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *a = options[i].name, *b = name;
        while (*a != '\0' && (*a == tolower((unsigned char)*b) || (*a == '_' && *b == '.')))
            a++, b++;
        if (*a == '\0' && *b == '\0')
            return &options[i];
    }
    return NULL;
}

static int parse_one(char *text, log_options *values, unsigned *seen, char **ret_message)
{
    char *equals = strchr(text, '='), *name, *value;
    const option *which;
    int64_t number = 0;

    if (equals == NULL) {
        *ret_message = sqlite3_mprintf("commitlog: \"%s\" is no option: write name=value; allowed "
                                       "are %z",
                                       text, all_names());
        return SQLITE_ERROR;
    }
    *equals = '\0';
    name = unquote(text);
    value = unquote(equals + 1);
    which = find_option(name);
    if (which == NULL) {
        *ret_message =
            sqlite3_mprintf("commitlog: unknown option \"%s\"; allowed are %z", name, all_names());
        return SQLITE_ERROR;
    }
    if (*seen & 1u << (which - options)) {
        *ret_message = sqlite3_mprintf("commitlog: option %s is given twice", which->name);
        return SQLITE_ERROR;
    }
    *seen |= 1u << (which - options);
    if (!parse_quantity(value, which->kind, &number)) {
        *ret_message = sqlite3_mprintf(
            "commitlog: %s=\"%s\": expected %s, from %lld to %lld", which->name, value,
            unit_words[which->kind], (sqlite3_int64)which->minimum, (sqlite3_int64)which->maximum);
        return SQLITE_ERROR;
    }
    if (number < which->minimum || number > which->maximum || number == INT64_MAX) {
        *ret_message = sqlite3_mprintf("commitlog: %s=\"%s\" is out of range; allowed are %lld to "
                                       "%lld",
                                       which->name, value, (sqlite3_int64)which->minimum,
                                       (sqlite3_int64)which->maximum);
        return SQLITE_ERROR;
    }
    *field_of(values, which) = number;
    return SQLITE_OK;
}

int options_parse(sqlite3 *db, int count, const char *const *arguments, log_options *ret,
                  char **ret_message)
{
    log_options values;
    unsigned seen = 0;

    memset(&values, 0, sizeof values);
    for (size_t i = 0; i < OPTION_COUNT; i++)
        *field_of(&values, &options[i]) = options[i].preset;
    for (int i = 0; i < count; i++) {
        char *text = sqlite3_mprintf("%s", arguments[i]);
        int code = text == NULL ? SQLITE_NOMEM : SQLITE_OK;
        /* commitlog and commitlog() both come without options */
        if (code == SQLITE_OK && (count > 1 || text[strspn(text, " \t\r\n")] != '\0'))
            code = parse_one(text, &values, &seen, ret_message);
        sqlite3_free(text);
        if (code != SQLITE_OK)
            return code;
    }
    if (values.max_message_bytes == 0)
        values.max_message_bytes = sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1);
    *ret = values;
    return SQLITE_OK;
}
