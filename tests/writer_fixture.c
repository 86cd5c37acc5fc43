/*
 * A log and the steps of its transaction, for suites. See writer_fixture.h.
 */
#include "writer_fixture.h"

memory_catalog catalog;
commitlog *log_handle;
failure why;

commitlog_state state;
const commitlog_segment *segments;
size_t segment_count;

void writer_setup(void)
{
    memory_setup(&catalog, SEGMENT_BYTES);
    log_handle = memory_open(&catalog);
    segment_count = 0;
}

void writer_teardown(void)
{
    commitlog_close(log_handle);
    memory_teardown(&catalog);
}

status sync_now(void)
{
    why.text[0] = '\0';
    return commitlog_sync(log_handle, &state, &segments, &segment_count, &why);
}

void append(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        memory_append(log_handle, 60);
}

void flush(void)
{
    ck_assert_int_eq(commitlog_flush(log_handle, &why), STATUS_OK);
}

void savepoint(int number)
{
    ck_assert_int_eq(commitlog_savepoint(log_handle, number, &why), STATUS_OK);
}

void begin_at(unsigned count)
{
    if (count > 0)
        memory_append_and_commit(&catalog, log_handle, count, 60);
    memory_begin(&catalog, log_handle);
}
