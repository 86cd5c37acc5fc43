/*
 * The floors: a virtual table that does nothing, to show what SQLite itself costs.
 *
 * INSERT drops the row (it gets the next offset and is forgotten); SELECT makes the workload's rows
 * in memory. What a log needs above the first is the price of storing, above the second the price
 * of finding and reading. The columns are those of a log.
 */
#ifndef COMMITLOG_BENCH_FLOOR_H
#define COMMITLOG_BENCH_FLOOR_H

#include "workload.h"

#include <sqlite3.h>

typedef struct {
    workload *work;        /* the rows SELECT makes; borrowed */
    uint64_t dropped_rows; /* the rows INSERT dropped */
} floor_state;

/* Register the module `floor` with a connection. `state` is borrowed until the connection closes.
 * Returns SQLite's code. */
int floor_register(sqlite3 *db, floor_state *state);

#endif
