/*
 * commitlog_begin() with states that no writer left: tables may be edited by anybody, so what they
 * say of the end is refused before a file is made, opened or named after it.
 *
 * What the other refusals of a transaction are is the business of test_writer_failures.c.
 */
#define _XOPEN_SOURCE 700

#include "check_main.h"

#include "memory_catalog.h"

#include <string.h>
#include <unistd.h>

enum { SEGMENT_BYTES = COMMITLOG_SEGMENT_BYTES_MIN, RECORDS = 3 };

static memory_catalog catalog;
static commitlog *log_handle;
static failure why;

static void setup(void)
{
    memory_setup(&catalog, SEGMENT_BYTES);
    log_handle = memory_open(&catalog);
}

static void teardown(void)
{
    commitlog_close(log_handle);
    memory_teardown(&catalog);
}

/* ---- what is wrong with a state -------------------------------------------------------------- */

static void start_is_the_end(commitlog_state *state)
{
    state->log_start_offset = state->end_offset;
}

static void start_is_beyond_the_end(commitlog_state *state)
{
    state->log_start_offset = state->end_offset + 1;
}

static void start_is_beyond_the_end_of_no_segment(commitlog_state *state)
{
    state->has_active = false;
    state->log_start_offset = state->end_offset + 1;
}

static void name_is_short(commitlog_state *state)
{
    strcpy(state->active.name, "a");
}

static void name_is_empty(commitlog_state *state)
{
    strcpy(state->active.name, "");
}

static void name_is_an_index(commitlog_state *state)
{
    strcpy(state->active.name, "00000000000000000000.idx");
}

static void name_is_a_path(commitlog_state *state)
{
    strcpy(state->active.name, "../00000000000000000000.log");
}

static void name_is_another_segment(commitlog_state *state)
{
    strcpy(state->active.name, "00000000000000000001.log");
}

static void count_is_short_of_the_end(commitlog_state *state)
{
    state->active.record_count--;
}

static void count_is_beyond_the_end(commitlog_state *state)
{
    state->active.record_count++;
}

static void count_is_zero(commitlog_state *state)
{
    state->active.base_offset = state->end_offset;
    state->active.record_count = 0;
    strcpy(state->active.name, "00000000000000000003.log");
}

/* Base and count add up to the end only because the sum overflows. */
static void count_overflows(commitlog_state *state)
{
    state->active.base_offset = state->end_offset + 2;
    state->active.record_count = UINT64_MAX - 1;
    strcpy(state->active.name, "00000000000000000005.log");
}

static void bytes_hold_fewer_records(commitlog_state *state)
{
    state->active.bytes = 64;
}

static void bytes_are_zero(commitlog_state *state)
{
    state->active.bytes = 0;
}

static void bytes_are_not_aligned(commitlog_state *state)
{
    state->active.bytes++;
}

static void bytes_are_beyond_any_segment(commitlog_state *state)
{
    state->active.bytes = COMMITLOG_SEGMENT_BYTES_MAX * 4;
}

static void (*const spoil[])(commitlog_state *state) = {
    start_is_the_end,
    start_is_beyond_the_end,
    start_is_beyond_the_end_of_no_segment,
    name_is_short,
    name_is_empty,
    name_is_an_index,
    name_is_a_path,
    name_is_another_segment,
    count_is_short_of_the_end,
    count_is_beyond_the_end,
    count_is_zero,
    count_overflows,
    bytes_hold_fewer_records,
    bytes_are_zero,
    bytes_are_not_aligned,
    bytes_are_beyond_any_segment,
};

enum { SPOILT_STATES = sizeof spoil / sizeof *spoil };

static void is_refused(const commitlog_state *state)
{
    ck_assert_int_eq(commitlog_begin(log_handle, state, true, &why), STATUS_DAMAGED);
    ck_assert_str_eq(why.text, "the log's tables describe an impossible end at offset 3");
    ck_assert(!commitlog_in_transaction(log_handle));
}

/* ---- tests ----------------------------------------------------------------------------------- */

START_TEST(state_that_nobody_wrote)
{
    memory_append_and_commit(&catalog, log_handle, RECORDS, 60);
    unsigned files = memory_file_count(&catalog);
    uint64_t bytes = memory_file_bytes(&catalog, catalog.state.active.name);
    commitlog_state state = catalog.state;

    spoil[_i](&state);
    is_refused(&state);
    /* Nor by a handle that has nothing open yet. */
    commitlog_close(log_handle);
    log_handle = memory_open(&catalog);
    is_refused(&state);
    ck_assert_uint_eq(memory_file_count(&catalog), files);
    ck_assert_uint_eq(memory_file_bytes(&catalog, catalog.state.active.name), bytes);
    memory_expect(log_handle, 0, RECORDS);
    memory_begin(&catalog, log_handle);
    memory_append(log_handle, 60);
    memory_commit_and_expect(&catalog, &log_handle, RECORDS + 1);
}
END_TEST

/* The tables speak of a log whose directory does not exist: that is not even looked for. */
START_TEST(state_of_a_log_without_a_directory)
{
    commitlog_state state = {
        .end_offset = RECORDS,
        .has_active = true,
        .active = {.record_count = RECORDS, .bytes = 1024, .name = "00000000000000000000.log"},
    };

    ck_assert_int_eq(commitlog_begin(log_handle, &state, true, &why), STATUS_NO_LOG);
    spoil[_i](&state);
    is_refused(&state);
    ck_assert_int_ne(access(catalog.root, F_OK), 0);
    memory_append_and_commit(&catalog, log_handle, 1, 60);
    memory_expect(log_handle, 0, 1);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("begin");
    TCase *states = tcase_create("hostile states");

    tcase_add_checked_fixture(states, setup, teardown);
    tcase_add_loop_test(states, state_that_nobody_wrote, 0, SPOILT_STATES);
    tcase_add_loop_test(states, state_of_a_log_without_a_directory, 0, SPOILT_STATES);
    suite_add_tcase(suite, states);
    return suite;
}
