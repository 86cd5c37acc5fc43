/*
 * Runs the one libcheck suite of an executable and compares the tests that ran with those that
 * stand in its source.
 *
 * Relies on TEST_SOURCE, the suite's file, as a compile-time string, and on libcheck's TAP report
 * ("ok 3 - file.c:case:test: message") to know which tests ran: libcheck's own calls give the
 * number of runs only, which a looped test alone can fill.
 *
 * libcheck's variables work as documented (CK_FORK, CK_VERBOSITY, ...). With one that selects
 * tests (CK_RUN_SUITE, CK_RUN_CASE, CK_INCLUDE_TAGS, CK_EXCLUDE_TAGS) nothing is compared, and a
 * line says so. Does not run tests in parallel.
 *
 * Exit status: 0 when every test of the source ran and passed, else 1.
 */
#include "check_main.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES_MAX = 128, LINE_BYTES_MAX = 4096 };

/* libcheck's own limit is 4 seconds a test, too near for a machine that is busy otherwise. */
static const char default_timeout_s[] = "60";

static bool tests_are_selected(void)
{
    static const char *const names[] = {"CK_RUN_SUITE", "CK_RUN_CASE", "CK_INCLUDE_TAGS",
                                        "CK_EXCLUDE_TAGS"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (getenv(names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Whether the report has a line "…:<name>: …". A case name that ends in ":<name>" would fool it. */
static bool report_has(FILE *report, const char *name)
{
    char line[LINE_BYTES_MAX];
    char wanted[NAME_BYTES_MAX + 4];

    snprintf(wanted, sizeof wanted, ":%s: ", name);
    rewind(report);
    while (fgets(line, sizeof line, report) != NULL) {
        if (strstr(line, wanted) != NULL) {
            return true;
        }
    }
    return false;
}

/* Returns the number of tests in the source that are not in the report, and names them; every
 * failure to compare counts as one. */
static int count_missing(FILE *report)
{
    FILE *source = fopen(TEST_SOURCE, "r");
    if (source == NULL) {
        perror(TEST_SOURCE);
        return 1;
    }

    char line[LINE_BYTES_MAX];
    int found = 0;
    int missing = 0;
    while (fgets(line, sizeof line, source) != NULL) {
        char name[NAME_BYTES_MAX];
        if (strncmp(line, "START_TEST", strlen("START_TEST")) != 0) {
            continue;
        }
        found++;
        if (sscanf(line, "START_TEST ( %127[A-Za-z0-9_]", name) != 1) {
            printf("%s: no test name on this line: %s", TEST_SOURCE, line);
            missing++;
        } else if (!report_has(report, name)) {
            printf("%s: START_TEST(%s) did not run: is it added to a test case?\n", TEST_SOURCE,
                   name);
            missing++;
        }
    }
    fclose(source);
    if (found == 0) {
        printf("%s: no line begins with START_TEST\n", TEST_SOURCE);
        missing++;
    }
    printf("%d of %d tests in the source ran\n", found - missing, found);
    return missing;
}

int main(void)
{
    char report_path[] = P_tmpdir "/commitlog-check.XXXXXX";
    int descriptor = mkstemp(report_path);
    FILE *report = descriptor < 0 ? NULL : fdopen(descriptor, "r");
    if (report == NULL) {
        perror(report_path);
        return EXIT_FAILURE;
    }

    setenv("CK_DEFAULT_TIMEOUT", default_timeout_s, 0);
    SRunner *runner = srunner_create(make_suite());
    srunner_set_tap(runner, report_path);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    int run = srunner_ntests_run(runner);
    srunner_free(runner);

    int missing = 0;
    if (tests_are_selected()) {
        printf("tests are selected by the environment: not compared with the source\n");
    } else {
        missing = count_missing(report);
    }
    fclose(report);
    remove(report_path);
    return run > 0 && failed == 0 && missing == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
