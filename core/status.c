/*
 * Texts of the statuses and the one place that formats a failure's message. Prints nothing.
 */
#include "status.h"

#include <stdarg.h>
#include <stdio.h>

const char *status_text(status code)
{
    switch (code) {
#define STATUS_CASE(name, number, text, sqlite_code) \
    case STATUS_##name:                              \
        return text;
        STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

status fail(failure *why, status code, const char *format, ...)
{
    if (why != NULL) {
        va_list arguments;
        why->code = code;
        va_start(arguments, format);
        vsnprintf(why->text, sizeof why->text, format, arguments);
        va_end(arguments);
    }
    return code;
}
