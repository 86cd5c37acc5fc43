/*
 * Opening files on the real operating system: what is refused in a file's or directory's place, and
 * owner and mode of what is made.
 *
 * Runs as root or not; what only root can do is left out for others, and what root is always
 * allowed is tried as nobody.
 */
#define _GNU_SOURCE

#include "check_main.h"

#include "memory_catalog.h"
#include "os.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* Refused in every mode that meets what stands there, without waiting and without a file. */
static void expect_refused(const char *name)
{
    static const os_mode modes[] = {OS_READ, OS_WRITE, OS_CREATE};
    os_mapping *mapping = NULL;
    const uint8_t *bytes = NULL;
    uint64_t file_bytes = 77;
    os_file *file = NULL;

    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(os_posix.open(directory, name, modes[i], &file, &why), STATUS_DAMAGED);
        ck_assert_ptr_null(file);
        ck_assert_int_eq(
            strncmp(why.text, memory_path(&place, name), strlen(memory_path(&place, name))), 0);
        ck_assert_str_eq(why.text + strlen(memory_path(&place, name)),
                         " is not a regular file with one name");
    }
    ck_assert_int_eq(os_posix.map(directory, name, 4096, &mapping, &bytes, &file_bytes, &why),
                     STATUS_DAMAGED);
    ck_assert_ptr_null(mapping);
    ck_assert_ptr_null(bytes);
    ck_assert_uint_eq(file_bytes, 77);
}

/* ---- what is refused ------------------------------------------------------------------------- */

START_TEST(symbolic_links_are_not_followed)
{
    write_ok("target", "x", 1);
    ck_assert_int_eq(symlink("target", memory_path(&place, "link")), 0);
    expect_refused("link");
    ck_assert_int_eq(symlink("nowhere", memory_path(&place, "dangling")), 0);
    expect_refused("dangling");
    ck_assert_int_ne(access(memory_path(&place, "nowhere"), F_OK), 0);
}
END_TEST

START_TEST(files_with_two_names_are_refused)
{
    write_ok("file", "x", 1);
    ck_assert_int_eq(link(memory_path(&place, "file"), memory_path(&place, "second")), 0);
    expect_refused("file");
    ck_assert_int_eq(unlink(memory_path(&place, "second")), 0);
    os_posix.close(open_ok("file", OS_WRITE));
}
END_TEST

START_TEST(a_fifo_is_refused_without_waiting)
{
    ck_assert_int_eq(mkfifo(memory_path(&place, "fifo"), 0600), 0);
    alarm(20);
    expect_refused("fifo");
    alarm(0);
}
END_TEST

START_TEST(directories_and_sockets_are_refused)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char here[MEMORY_PATH_BYTES];
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_int_eq(mkdir(memory_path(&place, "directory"), 0700), 0);
    expect_refused("directory");
    /* By a short relative name, as an address has room for little. */
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(chdir(place.parent), 0);
    strcpy(address.sun_path, "socket");
    ck_assert_int_eq(bind(descriptor, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(chdir(here), 0);
    close(descriptor);
    expect_refused("socket");
}
END_TEST

START_TEST(a_link_to_a_directory_is_no_directory)
{
    os_directory *opened = NULL;

    ck_assert_int_eq(mkdir(memory_path(&place, "real"), 0700), 0);
    ck_assert_int_eq(symlink("real", memory_path(&place, "link")), 0);
    ck_assert_int_ne(os_posix.open_directory(memory_path(&place, "link"), OS_DIRECTORY_OPEN, NULL,
                                             &opened, &why),
                     STATUS_OK);
    ck_assert_int_ne(os_posix.open_directory(memory_path(&place, "link"), OS_DIRECTORY_CREATE, NULL,
                                             &opened, &why),
                     STATUS_OK);
    ck_assert_ptr_null(opened);
    write_ok("file", "x", 1);
    ck_assert_int_ne(os_posix.open_directory(memory_path(&place, "file"), OS_DIRECTORY_OPEN, NULL,
                                             &opened, &why),
                     STATUS_OK);
}
END_TEST

START_TEST(a_link_to_a_directory_is_followed_on_demand)
{
    os_directory *opened = NULL;

    ck_assert_int_eq(mkdir(memory_path(&place, "real"), 0700), 0);
    ck_assert_int_eq(symlink("real", memory_path(&place, "link")), 0);
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "link"), OS_DIRECTORY_FOLLOW, NULL,
                                             &opened, &why),
                     STATUS_OK);
    ck_assert_int_eq(os_posix.sync_directory(opened, &why), STATUS_OK);
    os_posix.close_directory(opened);
    opened = NULL;
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "no"), OS_DIRECTORY_FOLLOW, NULL,
                                             &opened, &why),
                     STATUS_NOT_FOUND);
    ck_assert_int_ne(access(memory_path(&place, "no"), F_OK), 0);
}
END_TEST

START_TEST(a_directory_that_was_renamed_is_still_held)
{
    os_directory *opened = NULL;
    os_file *file = NULL;

    ck_assert_int_eq(
        os_posix.open_directory(memory_path(&place, "a"), OS_DIRECTORY_CREATE, NULL, &opened, &why),
        STATUS_OK);
    ck_assert_int_eq(rename(memory_path(&place, "a"), memory_path(&place, "b")), 0);
    ck_assert_int_eq(os_posix.open(opened, "f", OS_CREATE_NEW, &file, &why), STATUS_OK);
    ck_assert_int_eq(access(memory_path(&place, "b/f"), F_OK), 0);
    os_posix.close(file);
    os_posix.close_directory(opened);
}
END_TEST

START_TEST(without_permission_it_cannot_be_opened)
{
    os_file *file = NULL;
    os_directory *opened = NULL;
    bool is_root = geteuid() == 0;

    write_ok("f", "x", 1);
    ck_assert_int_eq(chmod(memory_path(&place, "f"), 0), 0);
    ck_assert_int_eq(mkdir(memory_path(&place, "d"), 0), 0);
    if (is_root) {
        ck_assert_int_eq(chmod(place.parent, 0755), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    ck_assert_int_eq(os_posix.open(directory, "f", OS_READ, &file, &why), STATUS_CANT_OPEN);
    ck_assert_int_eq(
        os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_OPEN, NULL, &opened, &why),
        STATUS_CANT_OPEN);
    if (is_root) {
        ck_assert_int_eq(os_posix.open(directory, "g", OS_CREATE, &file, &why), STATUS_CANT_OPEN);
        ck_assert_int_eq(seteuid(0), 0);
    }
    ck_assert_int_eq(chmod(memory_path(&place, "d"), 0700), 0);
}
END_TEST

/* ---- owner and mode -------------------------------------------------------------------------- */

static struct stat stat_of(const char *name)
{
    struct stat found;
    ck_assert_int_eq(stat(memory_path(&place, name), &found), 0);
    return found;
}

START_TEST(files_take_the_databases_mode)
{
    static const struct {
        mode_t database, file, directory;
    } modes[] = {{0600, 0600, 0700}, {0644, 0644, 0755}, {0664, 0664, 0775},
                 {0640, 0640, 0750}, {0755, 0644, 0755}, {0666, 0666, 0777}};
    mode_t before = umask(0077);

    write_ok("db", "x", 1);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        char name[32], file_name[48];
        os_directory *made = NULL;
        os_file *file = NULL;
        ck_assert_int_eq(chmod(memory_path(&place, "db"), modes[i].database), 0);
        snprintf(name, sizeof name, "d%zu", i);
        snprintf(file_name, sizeof file_name, "%s/f", name);
        ck_assert_int_eq(os_posix.open_directory(memory_path(&place, name), OS_DIRECTORY_CREATE,
                                                 memory_path(&place, "db"), &made, &why),
                         STATUS_OK);
        ck_assert_int_eq(os_posix.open(made, "f", OS_CREATE_NEW, &file, &why), STATUS_OK);
        ck_assert_uint_eq(stat_of(name).st_mode & 07777, modes[i].directory);
        ck_assert_uint_eq(stat_of(file_name).st_mode & 07777, modes[i].file);
        os_posix.close(file);
        os_posix.close_directory(made);
    }
    umask(before);
}
END_TEST

START_TEST(without_a_database_they_are_private)
{
    os_directory *made = NULL;
    os_file *file = NULL;
    mode_t before = umask(0);

    ck_assert_int_eq(
        os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_CREATE, NULL, &made, &why),
        STATUS_OK);
    ck_assert_int_eq(os_posix.open(made, "f", OS_CREATE, &file, &why), STATUS_OK);
    umask(before);
    ck_assert_uint_eq(stat_of("d").st_mode & 0777, 0700);
    ck_assert_uint_eq(stat_of("d/f").st_mode & 0777, 0600);
    os_posix.close(file);
    os_posix.close_directory(made);
}
END_TEST

START_TEST(a_directory_that_is_there_keeps_its_mode)
{
    os_directory *opened = NULL;

    write_ok("db", "x", 1);
    ck_assert_int_eq(mkdir(memory_path(&place, "d"), 0711), 0);
    ck_assert_int_eq(chmod(memory_path(&place, "d"), 0711), 0);
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_CREATE,
                                             memory_path(&place, "db"), &opened, &why),
                     STATUS_OK);
    ck_assert_uint_eq(stat_of("d").st_mode & 0777, 0711);
    os_posix.close_directory(opened);
}
END_TEST

START_TEST(as_root_files_take_the_databases_owner)
{
    os_directory *made = NULL;
    os_file *file = NULL;
    bool is_root = geteuid() == 0;

    write_ok("db", "x", 1);
    if (is_root)
        ck_assert_int_eq(chown(memory_path(&place, "db"), 12345, 23456), 0);
    ck_assert_int_eq(os_posix.open_directory(memory_path(&place, "d"), OS_DIRECTORY_CREATE,
                                             memory_path(&place, "db"), &made, &why),
                     STATUS_OK);
    ck_assert_int_eq(os_posix.open(made, "f", OS_CREATE_NEW, &file, &why), STATUS_OK);
    ck_assert_uint_eq(stat_of("d").st_uid, stat_of("db").st_uid);
    ck_assert_uint_eq(stat_of("d").st_gid, stat_of("db").st_gid);
    ck_assert_uint_eq(stat_of("d/f").st_uid, stat_of("db").st_uid);
    ck_assert_uint_eq(stat_of("d/f").st_gid, stat_of("db").st_gid);
    ck_assert_uint_eq(stat_of("d/f").st_uid, is_root ? 12345 : geteuid());
    os_posix.close(file);
    os_posix.close_directory(made);
}
END_TEST

START_TEST(descriptors_do_not_survive_exec)
{
    os_file *file = open_ok("f", OS_CREATE);
    int checked = 0;

    for (int descriptor = 0; descriptor < 256; descriptor++) {
        struct stat found, wanted = stat_of("f"), parent = stat_of(".");
        if (fstat(descriptor, &found) != 0 ||
            (found.st_ino != wanted.st_ino && found.st_ino != parent.st_ino))
            continue;
        ck_assert_int_ne(fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0);
        checked++;
    }
    ck_assert_int_eq(checked, 2);
    os_posix.close(file);
}
END_TEST

Suite *make_suite(void)
{
    Suite *suite = suite_create("os_posix_open");
    TCase *all = tcase_create("all");

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_test(all, symbolic_links_are_not_followed);
    tcase_add_test(all, files_with_two_names_are_refused);
    tcase_add_test(all, a_fifo_is_refused_without_waiting);
    tcase_add_test(all, directories_and_sockets_are_refused);
    tcase_add_test(all, a_link_to_a_directory_is_no_directory);
    tcase_add_test(all, a_link_to_a_directory_is_followed_on_demand);
    tcase_add_test(all, a_directory_that_was_renamed_is_still_held);
    tcase_add_test(all, without_permission_it_cannot_be_opened);
    tcase_add_test(all, files_take_the_databases_mode);
    tcase_add_test(all, without_a_database_they_are_private);
    tcase_add_test(all, a_directory_that_is_there_keeps_its_mode);
    tcase_add_test(all, as_root_files_take_the_databases_owner);
    tcase_add_test(all, descriptors_do_not_survive_exec);
    suite_add_tcase(suite, all);
    return suite;
}
