/*
 * The one thing a suite file tests/test_<name>.c gives to check_main.c.
 *
 *     #include "check_main.h"
 *
 *     START_TEST(empty_log_has_no_records)
 *     {
 *         ck_assert(...);
 *     }
 *     END_TEST
 *
 *     Suite *make_suite(void)
 *     {
 *         Suite *suite = suite_create("log");
 *         ...
 *         return suite;
 *     }
 *
 * START_TEST stands at the beginning of a line, with the test's name on the same line, so that
 * check_main.c can count them; every one must be added to a test case, and run. A test added with
 * tcase_add_loop_test counts once, however often it runs.
 */
#ifndef CHECK_MAIN_H
#define CHECK_MAIN_H

#include <check.h>

/* libcheck's old name for ck_abort_msg, and a function of core/status.h. */
#undef fail

/* A new suite with every test of the file; check_main.c frees it. */
Suite *make_suite(void);

#endif
