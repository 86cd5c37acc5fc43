/*
 * The real operating system behind core/os.h: reading and writing, how its locks exclude, mappings,
 * and which status an error of the system becomes. What it refuses to open, and whose files it
 * makes, is in test_os_posix_open.c.
 *
 * Does not test that a sync survives a power loss.
 */
#define _GNU_SOURCE

#include "check_main.h"

#include "memory_catalog.h"
#include "os.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static memory_catalog place; /* its temporary directory alone */
static os_directory *directory;
static failure why;

static void setup(void)
{
    memory_setup(&place, COMMITLOG_SEGMENT_BYTES_MIN);
    strcpy(place.directory, place.parent);
    ck_assert_int_eq(
        os_posix.open_directory(place.parent, OS_DIRECTORY_OPEN, NULL, &directory, &why),
        STATUS_OK);
}

static void teardown(void)
{
    os_posix.close_directory(directory);
    memory_teardown(&place);
}

static os_file *open_ok(const char *name, os_mode mode)
{
    os_file *file = NULL;
    status result = os_posix.open(directory, name, mode, &file, &why);
    ck_assert_msg(result == STATUS_OK, "%s", why.text);
    return file;
}

static void write_ok(const char *name, const void *bytes, size_t size)
{
    os_file *file = open_ok(name, OS_CREATE);
    ck_assert_int_eq(os_posix.write(file, bytes, size, 0, &why), STATUS_OK);
    os_posix.close(file);
}

/* ---- modes and statuses ---------------------------------------------------------------------- */

START_TEST(modes_of_opening)
{
    os_file *file = NULL;

    ck_assert_int_eq(os_posix.open(directory, "f", OS_READ, &file, &why), STATUS_NOT_FOUND);
    ck_assert_int_eq(os_posix.open(directory, "f", OS_WRITE, &file, &why), STATUS_NOT_FOUND);
    ck_assert(!os_posix.exists(directory, "f"));
    file = open_ok("f", OS_CREATE_NEW);
    ck_assert_int_eq(os_posix.write(file, "abc", 3, 0, &why), STATUS_OK);
    ck_assert_str_eq(os_posix.file_path(file), memory_path(&place, "f"));
    os_posix.close(file);
    file = NULL;
    ck_assert_int_eq(os_posix.open(directory, "f", OS_CREATE_NEW, &file, &why), STATUS_EXISTS);
    ck_assert_ptr_null(file);
    os_posix.close(open_ok("f", OS_CREATE));
    ck_assert(os_posix.exists(directory, "f"));
    file = open_ok("f", OS_READ);
    ck_assert_int_eq(os_posix.write(file, "x", 1, 0, &why), STATUS_IO);
    os_posix.close(file);
    ck_assert_int_eq(os_posix.remove(directory, "f", &why), STATUS_OK);
    ck_assert_int_eq(os_posix.remove(directory, "f", &why), STATUS_NOT_FOUND);
}
END_TEST

START_TEST(reading_ends_with_the_file)
{
    os_file *file;
    char bytes[16];
    size_t got = 77;
    uint64_t size = 0;

    write_ok("f", "0123456789", 10);
    file = open_ok("f", OS_WRITE);
    ck_assert_int_eq(os_posix.read(file, bytes, 4, 3, &got, &why), STATUS_OK);
    ck_assert_uint_eq(got, 4);
    ck_assert_mem_eq(bytes, "3456", 4);
    ck_assert_int_eq(os_posix.read(file, bytes, 16, 8, &got, &why), STATUS_OK);
    ck_assert_uint_eq(got, 2);
    ck_assert_int_eq(os_posix.read(file, bytes, 16, 1000, &got, &why), STATUS_OK);
    ck_assert_uint_eq(got, 0);
    ck_assert_int_eq(os_posix.truncate(file, 5, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.size(file, &size, &why), STATUS_OK);
    ck_assert_uint_eq(size, 5);
    ck_assert_int_eq(os_posix.allocate(file, 1 << 16, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.size(file, &size, &why), STATUS_OK);
    ck_assert(size == 1 << 16 || size == 5); /* where the file system cannot */
    ck_assert_int_eq(os_posix.read(file, bytes, 6, 0, &got, &why), STATUS_OK);
    ck_assert_mem_eq(bytes, "01234", 5);
    ck_assert_int_eq(os_posix.sync(file, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.sync_directory(directory, &why), STATUS_OK);
    os_posix.close(file);
}
END_TEST

START_TEST(errors_of_the_system_become_statuses)
{
    os_directory *opened = NULL;
    os_file *file = NULL;
    char name[400];
    struct rlimit before, few;

    ck_assert_int_eq(
        os_posix.open_directory(memory_path(&place, "no"), OS_DIRECTORY_OPEN, NULL, &opened, &why),
        STATUS_NOT_FOUND);
    ck_assert_str_eq(strstr(why.text, ": "), ": No such file or directory");
    ck_assert_int_eq(strncmp(why.text, "open directory /", 16), 0);
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "no/no"), OS_DIRECTORY_CREATE,
                                             NULL, &opened, &why),
                     STATUS_NOT_FOUND);
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_CREATE,
                                             memory_path(&place, "no-owner"), &opened, &why),
                     STATUS_NOT_FOUND);
    ck_assert_int_ne(access(memory_path(&place, "d"), F_OK), 0);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(os_posix.open(directory, name, OS_CREATE, &file, &why), STATUS_CANT_OPEN);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){0, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    ck_assert_int_eq(os_posix.open(directory, "f", OS_CREATE, &file, &why), STATUS_CANT_OPEN);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_ptr_nonnull(strstr(why.text, strerror(EMFILE)));
    ck_assert_ptr_null(opened);
    ck_assert_ptr_null(file);
}
END_TEST

START_TEST(a_file_that_may_not_grow_is_no_space)
{
    struct rlimit before, small;
    os_file *file = open_ok("f", OS_CREATE);

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){4096, before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_int_eq(os_posix.write(file, "x", 1, 4096, &why), STATUS_NO_SPACE);
    ck_assert_int_eq(os_posix.allocate(file, 1 << 20, &why), STATUS_NO_SPACE);
    /* A write that only half fits fails, too. */
    ck_assert_int_eq(os_posix.write(file, place.parent, 100, 4046, &why), STATUS_NO_SPACE);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    os_posix.close(file);
}
END_TEST

START_TEST(devices_are_refused)
{
    os_directory *devices = NULL;
    os_file *file = NULL;

    ck_assert_int_eq(os_posix.open_directory("/dev", OS_DIRECTORY_OPEN, NULL, &devices, &why),
                     STATUS_OK);
    ck_assert_int_eq(os_posix.open(devices, "full", OS_WRITE, &file, &why), STATUS_DAMAGED);
    ck_assert_ptr_null(file);
    os_posix.close_directory(devices);
}
END_TEST

/* ---- locks ----------------------------------------------------------------------------------- */

START_TEST(two_openings_of_one_process_exclude_each_other)
{
    os_file *a = open_ok("PINS", OS_CREATE), *b = open_ok("PINS", OS_WRITE);
    os_file *reader = open_ok("PINS", OS_READ);

    ck_assert_int_eq(os_posix.lock(a, OS_SHARED, 100, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_SHARED, 50, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(reader, OS_SHARED, 500, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_UNLOCK, 0, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 0, 100, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 90, 11, &why), STATUS_BUSY);
    ck_assert_str_eq(strrchr(why.text, '/'), "/PINS is locked");
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, UINT64_C(1) << 62, 1, &why), STATUS_BUSY);
    ck_assert_int_eq(os_posix.lock(a, OS_SHARED, 99, 0, &why), STATUS_BUSY);
    ck_assert_int_eq(os_posix.lock(a, OS_UNLOCK, 0, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 90, 100, &why), STATUS_OK);
    os_posix.close(reader);
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 0, 0, &why), STATUS_OK);
    os_posix.close(a);
    os_posix.close(b);
}
END_TEST

START_TEST(closing_another_opening_keeps_a_lock)
{
    os_file *a = open_ok("PINS", OS_CREATE), *b = open_ok("PINS", OS_WRITE);

    ck_assert_int_eq(os_posix.lock(a, OS_SHARED, 10, 0, &why), STATUS_OK);
    os_posix.close(open_ok("PINS", OS_READ)); /* a POSIX lock would be gone now */
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 0, 0, &why), STATUS_BUSY);
    os_posix.close(a);
    ck_assert_int_eq(os_posix.lock(b, OS_EXCLUSIVE, 0, 0, &why), STATUS_OK);
    os_posix.close(b);
}
END_TEST

START_TEST(offsets_beyond_what_the_system_knows_are_locked_at_its_end)
{
    os_file *a = open_ok("PINS", OS_CREATE), *b = open_ok("PINS", OS_WRITE);

    ck_assert_int_eq(os_posix.lock(a, OS_EXCLUSIVE, UINT64_MAX - 5, 3, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_SHARED, 0, 1000, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.lock(b, OS_SHARED, UINT64_MAX, 0, &why), STATUS_BUSY);
    os_posix.close(a);
    os_posix.close(b);
}
END_TEST

START_TEST(locks_reach_other_processes)
{
    os_file *a = open_ok("PINS", OS_CREATE);
    int code = -1;
    pid_t child;

    ck_assert_int_eq(os_posix.lock(a, OS_SHARED, 10, 0, &why), STATUS_OK);
    child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        os_file *b = NULL;
        if (os_posix.open(directory, "PINS", OS_WRITE, &b, NULL) != STATUS_OK)
            _exit(1);
        if (os_posix.lock(b, OS_EXCLUSIVE, 0, 0, NULL) != STATUS_BUSY)
            _exit(2);
        _exit(os_posix.lock(b, OS_EXCLUSIVE, 0, 10, NULL) == STATUS_OK ? 0 : 3);
    }
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);
    os_posix.close(a);
}
END_TEST

/* ---- mappings -------------------------------------------------------------------------------- */

START_TEST(a_mapping_shows_what_is_written_later)
{
    os_file *file = open_ok("f", OS_CREATE);
    os_mapping *mapping = NULL;
    const uint8_t *bytes = NULL;
    uint64_t size = 0;

    ck_assert_int_eq(os_posix.write(file, "before", 6, 0, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.map(directory, "f", 1 << 20, &mapping, &bytes, &size, &why),
                     STATUS_OK);
    ck_assert_uint_eq(size, 6);
    ck_assert_int_eq(os_posix.populate(mapping, 0, 6, &why), STATUS_OK);
    ck_assert_mem_eq(bytes, "before", 6);
    ck_assert_int_eq(os_posix.write(file, "after", 5, 500000, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.populate(mapping, 500000, 5, &why), STATUS_OK);
    ck_assert_mem_eq(bytes + 500000, "after", 5);
    os_posix.close(file);
    ck_assert_int_eq(os_posix.remove(directory, "f", &why), STATUS_OK);
    ck_assert_mem_eq(bytes, "before", 6);
    os_posix.unmap(mapping);
    os_posix.unmap(NULL);
}
END_TEST

START_TEST(populating_beyond_the_file_is_an_error_and_no_signal)
{
    os_mapping *mapping = NULL;
    const uint8_t *bytes = NULL;
    uint64_t size = 0;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    write_ok("f", "12345678", 8);
    ck_assert_int_eq(os_posix.map(directory, "f", 16 * page, &mapping, &bytes, &size, &why),
                     STATUS_OK);
    ck_assert_int_eq(os_posix.populate(mapping, 0, 8, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.populate(mapping, 8 * page, 8, &why), STATUS_IO);
    ck_assert_ptr_nonnull(strstr(why.text, memory_path(&place, "f")));
    ck_assert_int_eq(os_posix.populate(mapping, 0, 2 * page, &why), STATUS_IO);
    ck_assert_int_eq(os_posix.populate(mapping, page - 1, 2, &why), STATUS_IO);
    /* Shortened while it is mapped. */
    ck_assert_int_eq(truncate(memory_path(&place, "f"), 0), 0);
    ck_assert_int_eq(os_posix.populate(mapping, 0, 8, &why), STATUS_IO);
    os_posix.unmap(mapping);
}
END_TEST

START_TEST(an_empty_file_is_mapped)
{
    os_mapping *mapping = NULL;
    const uint8_t *bytes = NULL;
    uint64_t size = 77;

    write_ok("f", "", 0);
    ck_assert_int_eq(os_posix.map(directory, "f", 4096, &mapping, &bytes, &size, &why), STATUS_OK);
    ck_assert_uint_eq(size, 0);
    ck_assert_int_eq(os_posix.populate(mapping, 0, 1, &why), STATUS_IO);
    ck_assert_int_eq(truncate(memory_path(&place, "f"), 64), 0);
    ck_assert_int_eq(os_posix.populate(mapping, 0, 64, &why), STATUS_OK);
    ck_assert_int_eq(bytes[63], 0);
    os_posix.unmap(mapping);
}
END_TEST

/* ---- surroundings ---------------------------------------------------------------------------- */

static void count_names(void *context, const char *name)
{
    (void)name;
    ++*(int *)context;
}

START_TEST(directories_are_listed_and_removed)
{
    os_directory *made = NULL;
    os_file *file = NULL;
    int count = 0;

    ck_assert_int_eq(
        os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_CREATE, NULL, &made, &why),
        STATUS_OK);
    ck_assert_int_eq(os_posix.list(made, count_names, &count, &why), STATUS_OK);
    ck_assert_int_eq(count, 0);
    ck_assert_int_eq(os_posix.open(made, ".hidden", OS_CREATE, &file, &why), STATUS_OK);
    os_posix.close(file);
    ck_assert_int_eq(symlink("nowhere", memory_path(&place, "d/dangling")), 0);
    for (int round = 1; round <= 2; round++) { /* from the start each time */
        ck_assert_int_eq(os_posix.list(made, count_names, &count, &why), STATUS_OK);
        ck_assert_int_eq(count, 2 * round);
    }
    ck_assert(os_posix.exists(made, "dangling"));
    ck_assert_int_ne(os_posix.remove_directory(memory_path(&place, "d"), &why), STATUS_OK);
    ck_assert_int_eq(os_posix.remove(made, ".hidden", &why), STATUS_OK);
    ck_assert_int_eq(os_posix.remove(made, "dangling", &why), STATUS_OK);
    ck_assert_int_eq(os_posix.remove_directory(memory_path(&place, "d"), &why), STATUS_OK);
    ck_assert_str_eq(os_posix.directory_path(made), memory_path(&place, "d"));
    os_posix.close_directory(made);
    os_posix.close_directory(NULL);
    os_posix.close(NULL);
}
END_TEST

START_TEST(a_child_is_of_another_generation)
{
    uint64_t before = os_posix.process_generation();
    int code = -1;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(os_posix.process_generation() == before);
    ck_assert_int_eq(waitpid(child, &code, 0), child);
    ck_assert_int_eq(code, 0);
    ck_assert_uint_eq(os_posix.process_generation(), before);
}
END_TEST

START_TEST(random_bytes_differ_and_the_boot_id_does_not)
{
    uint8_t a[16] = {0}, b[16] = {0}, zeros[16] = {0};

    ck_assert_int_eq(os_posix.random(a, sizeof a, &why), STATUS_OK);
    ck_assert_int_eq(os_posix.random(b, sizeof b, &why), STATUS_OK);
    ck_assert_mem_ne(a, b, sizeof a);
    ck_assert_mem_ne(a, zeros, sizeof a);
    os_posix.boot_id(a);
    os_posix.boot_id(b);
    ck_assert_mem_eq(a, b, sizeof a);
#ifdef __linux__
    ck_assert_mem_ne(a, zeros, sizeof a);
#endif
    ck_assert_int_gt(os_posix.now_ms(), INT64_C(1700000000000));
}
END_TEST

START_TEST(a_temporary_directory_is_private)
{
    char path[MEMORY_PATH_BYTES], small[8];
    struct stat found;

    setenv("TMPDIR", place.parent, 1);
    ck_assert_int_eq(os_posix.make_temporary_directory(path, sizeof path, &why), STATUS_OK);
    ck_assert_int_eq(strncmp(path, place.parent, strlen(place.parent)), 0);
    ck_assert_int_eq(stat(path, &found), 0);
    ck_assert_uint_eq(found.st_mode & 0777, 0700);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(os_posix.make_temporary_directory(small, sizeof small, &why),
                     STATUS_CANT_OPEN);
    setenv("TMPDIR", memory_path(&place, "missing"), 1);
    ck_assert_int_eq(os_posix.make_temporary_directory(path, sizeof path, &why), STATUS_NOT_FOUND);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("os_posix");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, modes_of_opening);
    tcase_add_test(all, reading_ends_with_the_file);
    tcase_add_test(all, errors_of_the_system_become_statuses);
    tcase_add_test(all, a_file_that_may_not_grow_is_no_space);
    tcase_add_test(all, devices_are_refused);
    tcase_add_test(all, two_openings_of_one_process_exclude_each_other);
    tcase_add_test(all, closing_another_opening_keeps_a_lock);
    tcase_add_test(all, offsets_beyond_what_the_system_knows_are_locked_at_its_end);
    tcase_add_test(all, locks_reach_other_processes);
    tcase_add_test(all, a_mapping_shows_what_is_written_later);
    tcase_add_test(all, populating_beyond_the_file_is_an_error_and_no_signal);
    tcase_add_test(all, an_empty_file_is_mapped);
    tcase_add_test(all, directories_are_listed_and_removed);
    tcase_add_test(all, a_child_is_of_another_generation);
    tcase_add_test(all, random_bytes_differ_and_the_boot_id_does_not);
    tcase_add_test(all, a_temporary_directory_is_private);
    suite_add_tcase(suite, all);
    return suite;
}
