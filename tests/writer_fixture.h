/*
 * What the suites about a transaction of the engine share: one log in a memory catalog, its handle,
 * and the steps of a transaction in a word each. Every step fails the test when it fails.
 */
#ifndef TESTS_WRITER_FIXTURE_H
#define TESTS_WRITER_FIXTURE_H

#include "check_main.h"

#include "fault_os.h"
#include "memory_catalog.h"

enum { SEGMENT_BYTES = COMMITLOG_SEGMENT_BYTES_MIN };

extern memory_catalog catalog;
extern commitlog *log_handle;
extern failure why;

/* Of the last sync. */
extern commitlog_state state;
extern const commitlog_segment *segments;
extern size_t segment_count;

void writer_setup(void);
void writer_teardown(void);

/* commitlog_sync(), whose status is the test's to look at. */
status sync_now(void);

/* Append `count` records of 60 bytes. */
void append(unsigned count);

void flush(void);
void savepoint(int number);

/* Begin a transaction when the log has `count` records more than before. */
void begin_at(unsigned count);

#endif
