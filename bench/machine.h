/*
 * What the benchmark asks of the operating system: a clock, warm memory, a tidy disk, a description
 * of the machine, and processes to run in. machine.c alone includes system headers.
 */
#ifndef COMMITLOG_BENCH_MACHINE_H
#define COMMITLOG_BENCH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Print "bench: ..." on standard error and exit(1): every failure ends the benchmark, because a
 * figure from a run that failed is worth nothing. */
_Noreturn void fail(const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 1, 2)))
#endif
    ;

/* Nanoseconds of the monotonic clock; milliseconds since 1970. */
uint64_t clock_ns(void);
int64_t wall_clock_ms(void);

/* Allocate, write and free this much memory (at most three quarters of what is available). A
 * virtual machine's idle memory belongs to its host; getting it back costs seconds per GiB, which
 * would be charged to whoever happens to run first. */
void machine_touch_memory(uint64_t bytes);

/* Write everything dirty to the disk and wait for it. */
void machine_sync(void);

/* Make a new directory inside `parent` for this process to fill. It is removed, with everything in
 * it, by scratch_remove(), and when the process that made it exits. */
const char *scratch_make(const char *parent);
void scratch_remove(void);

/* Bytes that the files in the scratch directory occupy on the disk. */
uint64_t scratch_disk_bytes(void);

/* Bytes free on the disk that holds a directory. */
uint64_t machine_free_bytes(const char *directory);

/* Run `job(argument, result)` in a process of its own and bring its result back: each timed run
 * starts with an empty heap, no connection, and nothing mapped, read or verified before. A job that
 * fails ends the benchmark; with `may_fail` it returns false instead. */
bool machine_run(void (*job)(void *argument, void *result), void *argument, void *result,
                 size_t result_bytes, bool may_fail);

/* Let an interrupt end the benchmark with its scratch directory removed. */
void machine_catch_interrupts(void);

/* Print the machine's description, each line led by `lead`. */
void machine_describe(FILE *to, const char *lead, const char *directory);

#endif
