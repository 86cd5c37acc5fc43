/*
 * The parts of the many-process test: processes.c has main and the crowd of writers and readers,
 * processes_cases.c the arranged meetings of two or three. See processes.c for what is tested.
 */
#ifndef TESTS_PROCESSES_H
#define TESTS_PROCESSES_H

#include "driver.h"

#include <sys/types.h>

enum { BUSY_TIMEOUT_MS = 60000 };

/* Create a log `events` with these options and an ordinary table `copy`; returns the path. */
char *new_database(const char *directory, const char *name, const char *journal_mode,
                   const char *options);
/* Fork, or fail the test; output is flushed first. */
pid_t fork_or_fail(void);
/* Fail the test unless the child exits with status 0. */
void wait_for_success(pid_t child, const char *what);
/* Append `count` records, each in log and copy, in one transaction. */
void append_plain(sqlite3 *db, int count, size_t value_bytes);

/* A SELECT keeps all its rows while another process trims the log and files go. */
void case_long_scan(const char *directory);
/* BEGIN; SELECT; INSERT that meets SQLITE_BUSY_SNAPSHOT stages nothing. */
void case_upgrade(const char *directory);
/* busy_timeout is waited for, and the log's INSERT then fails with SQLITE_BUSY. */
void case_busy_timeout(const char *directory);
/* A child that uses its parent's connection is refused, and the parent goes on. */
void case_fork(const char *directory);

#endif
