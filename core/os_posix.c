/*
 * The operating system as POSIX has it, with Linux's open-file-description locks, fdatasync,
 * fallocate and MADV_POPULATE_READ where they exist. The only file of core with system headers.
 */
#define _GNU_SOURCE /* openat flags, fallocate, F_OFD_SETLK, MADV_POPULATE_READ */

#include "os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__) && !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22 /* Linux 5.14; older kernels answer EINVAL */
#endif

struct os_directory {
    int descriptor;
    mode_t file_mode;
    bool set_owner; /* give new files to `user` and `group` */
    uid_t user;
    gid_t group;
    char path[];
};

struct os_file {
    int descriptor;
    char path[];
};

struct os_mapping {
    void *address;
    size_t size;
    os_file *file; /* kept open only where pages cannot be populated by advice */
    char path[];
};

static status status_of_errno(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return STATUS_NOT_FOUND;
    case EEXIST:
        return STATUS_EXISTS;
    case ENOMEM:
        return STATUS_NO_MEMORY;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return STATUS_NO_SPACE;
    case EROFS:
        return STATUS_READ_ONLY;
    case EACCES:
    case EPERM:
    case ELOOP:
    case EMFILE:
    case ENFILE:
    case ENAMETOOLONG:
        return STATUS_CANT_OPEN;
    default:
        return STATUS_IO;
    }
}

static status fail_errno(failure *why, const char *call, const char *path)
{
    int error = errno;
    return fail(why, status_of_errno(error), "%s %s: %s", call, path, strerror(error));
}

/* ---- directories ----------------------------------------------------------------------------- */

static void close_directory(os_directory *directory)
{
    if (directory == NULL)
        return;
    if (directory->descriptor >= 0)
        close(directory->descriptor);
    free(directory);
}

/* Owner and mode as SQLite gives its -wal: the database's permission bits, and as root its owner.
 */
static status take_owner(os_directory *directory, const char *owner_path, failure *why)
{
    struct stat owner;

    directory->file_mode = 0600;
    if (owner_path == NULL)
        return STATUS_OK;
    if (stat(owner_path, &owner) != 0)
        return fail_errno(why, "stat", owner_path);
    directory->file_mode = owner.st_mode & 0666;
    directory->set_owner = geteuid() == 0;
    directory->user = owner.st_uid;
    directory->group = owner.st_gid;
    return STATUS_OK;
}

/* Who may read the files may search the directory. */
static mode_t directory_mode(mode_t file_mode)
{
    return file_mode | (file_mode & 0444) >> 2;
}

static status open_directory(const char *path, os_directory_mode mode, const char *owner_path,
                             os_directory **ret, failure *why)
{
    size_t length = strlen(path);
    os_directory *directory = calloc(1, sizeof *directory + length + 1);
    bool made = false;
    status result = STATUS_OK;

    if (directory == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    directory->descriptor = -1;
    memcpy(directory->path, path, length);
    result = take_owner(directory, owner_path, why);
    if (result != STATUS_OK)
        goto failed;
    if (mode == OS_DIRECTORY_CREATE) {
        made = mkdir(path, 0700) == 0;
        if (!made && errno != EEXIST) {
            result = fail_errno(why, "mkdir", path);
            goto failed;
        }
    }
    directory->descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC |
                                           (mode == OS_DIRECTORY_FOLLOW ? 0 : O_NOFOLLOW));
    if (directory->descriptor < 0) {
        result = fail_errno(why, "open directory", path);
        goto failed;
    }
    if (made) {
        if (directory->set_owner &&
            fchown(directory->descriptor, directory->user, directory->group) != 0) {
            result = fail_errno(why, "chown", path);
            goto failed;
        }
        if (fchmod(directory->descriptor, directory_mode(directory->file_mode)) != 0) {
            result = fail_errno(why, "chmod", path);
            goto failed;
        }
    }
    *ret = directory;
    return STATUS_OK;
failed:
    close_directory(directory);
    return result;
}

static const char *directory_path(const os_directory *directory)
{
    return directory->path;
}

static status sync_directory(os_directory *directory, failure *why)
{
    if (fsync(directory->descriptor) != 0)
        return fail_errno(why, "fsync directory", directory->path);
    return STATUS_OK;
}

static status list(os_directory *directory, void (*visit)(void *context, const char *name),
                   void *context, failure *why)
{
    int descriptor = openat(directory->descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    struct dirent *entry;

    if (stream == NULL) {
        status result = fail_errno(why, "list", directory->path);
        if (descriptor >= 0)
            close(descriptor);
        return result;
    }
    errno = 0;
    while ((entry = readdir(stream)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            visit(context, entry->d_name);
        errno = 0;
    }
    if (errno != 0) {
        status result = fail_errno(why, "list", directory->path);
        closedir(stream);
        return result;
    }
    closedir(stream);
    return STATUS_OK;
}

static status remove_directory(const char *path, failure *why)
{
    return rmdir(path) == 0 ? STATUS_OK : fail_errno(why, "rmdir", path);
}

static bool exists(os_directory *directory, const char *name)
{
    struct stat found;
    return fstatat(directory->descriptor, name, &found, AT_SYMLINK_NOFOLLOW) == 0 ||
           errno != ENOENT;
}

static status remove_file(os_directory *directory, const char *name, failure *why)
{
    return unlinkat(directory->descriptor, name, 0) == 0 ? STATUS_OK
                                                         : fail_errno(why, "unlink", name);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void close_file(os_file *file)
{
    if (file == NULL)
        return;
    if (file->descriptor >= 0)
        close(file->descriptor);
    free(file);
}

static const int open_flags[] = {
    [OS_READ] = O_RDONLY,
    [OS_WRITE] = O_RDWR,
    [OS_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    [OS_CREATE] = O_RDWR | O_CREAT,
};

/* A link, a directory, a FIFO, a device, or a file with a second name. */
static status not_a_file(const os_file *file, failure *why)
{
    return fail(why, STATUS_DAMAGED, "%s is not a regular file with one name", file->path);
}

/* O_NONBLOCK: a FIFO put in a file's place must not make us wait; files do not mind it. */
static status open_file(os_directory *directory, const char *name, os_mode mode, os_file **ret,
                        failure *why)
{
    size_t directory_length = strlen(directory->path), length = strlen(name);
    os_file *file = calloc(1, sizeof *file + directory_length + 1 + length + 1);
    struct stat found;
    status result;

    if (file == NULL)
        return fail(why, STATUS_NO_MEMORY, "out of memory");
    memcpy(file->path, directory->path, directory_length);
    file->path[directory_length] = '/';
    memcpy(file->path + directory_length + 1, name, length);
    file->descriptor = openat(directory->descriptor, name,
                              open_flags[mode] | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                              directory->file_mode);
    if (file->descriptor < 0) {
        result = errno == ELOOP || errno == EISDIR || errno == ENXIO
                     ? not_a_file(file, why)
                     : fail_errno(why, "open", file->path);
        goto failed;
    }
    if (fstat(file->descriptor, &found) != 0) {
        result = fail_errno(why, "stat", file->path);
        goto failed;
    }
    if (!S_ISREG(found.st_mode) || found.st_nlink > 1) {
        result = not_a_file(file, why);
        goto failed;
    }
    if ((mode == OS_CREATE_NEW || mode == OS_CREATE) && found.st_size == 0) {
        /* As the umask may have taken bits that the database's other users need. */
        if (directory->set_owner &&
            fchown(file->descriptor, directory->user, directory->group) != 0) {
            result = fail_errno(why, "chown", file->path);
            goto failed;
        }
        if ((found.st_mode & 0777) != directory->file_mode &&
            fchmod(file->descriptor, directory->file_mode) != 0 && errno != EPERM) {
            result = fail_errno(why, "chmod", file->path);
            goto failed;
        }
    }
    *ret = file;
    return STATUS_OK;
failed:
    close_file(file);
    return result;
}

static const char *file_path(const os_file *file)
{
    return file->path;
}

static status file_size(os_file *file, uint64_t *ret_bytes, failure *why)
{
    struct stat found;
    if (fstat(file->descriptor, &found) != 0)
        return fail_errno(why, "stat", file->path);
    *ret_bytes = (uint64_t)found.st_size;
    return STATUS_OK;
}

static status read_file(os_file *file, void *bytes, size_t size, uint64_t position,
                        size_t *ret_size, failure *why)
{
    size_t done = 0;
    while (done < size) {
        ssize_t got =
            pread(file->descriptor, (uint8_t *)bytes + done, size - done, (off_t)(position + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail_errno(why, "read", file->path);
        if (got == 0)
            break;
        done += (size_t)got;
    }
    *ret_size = done;
    return STATUS_OK;
}

static status write_file(os_file *file, const void *bytes, size_t size, uint64_t position,
                         failure *why)
{
    size_t done = 0;
    while (done < size) {
        ssize_t put = pwrite(file->descriptor, (const uint8_t *)bytes + done, size - done,
                             (off_t)(position + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return fail_errno(why, "write", file->path);
        done += (size_t)put;
    }
    return STATUS_OK;
}

static status allocate_file(os_file *file, uint64_t bytes, failure *why)
{
#ifdef __linux__
    int result;
    do
        result = fallocate(file->descriptor, 0, 0, (off_t)bytes);
    while (result != 0 && errno == EINTR);
    if (result != 0 && errno != EOPNOTSUPP && errno != ENOSYS)
        return fail_errno(why, "fallocate", file->path);
#else
    (void)file, (void)bytes, (void)why;
#endif
    return STATUS_OK;
}

static status truncate_file(os_file *file, uint64_t bytes, failure *why)
{
    int result;
    do
        result = ftruncate(file->descriptor, (off_t)bytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? STATUS_OK : fail_errno(why, "truncate", file->path);
}

static status sync_file(os_file *file, failure *why)
{
#if defined(__APPLE__)
    if (fcntl(file->descriptor, F_FULLFSYNC) != 0)
        return fail_errno(why, "fullfsync", file->path);
#else
    if (fdatasync(file->descriptor) != 0)
        return fail_errno(why, "fdatasync", file->path);
#endif
    return STATUS_OK;
}

/* Locks of the open file description: closing another descriptor of the file does not drop them,
 * and two openings in one process exclude each other. */
static status lock_file(os_file *file, os_lock kind, uint64_t start, uint64_t size, failure *why)
{
    static const short types[] = {F_UNLCK, F_RDLCK, F_WRLCK};
    struct flock lock = {.l_type = types[kind],
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)(start <= INT64_MAX ? start : INT64_MAX)};

    if (size != 0)
        lock.l_len = (off_t)(size <= INT64_MAX - (uint64_t)lock.l_start
                                 ? size
                                 : INT64_MAX - (uint64_t)lock.l_start);
    if (fcntl(file->descriptor, F_OFD_SETLK, &lock) == 0)
        return STATUS_OK;
    if (errno == EAGAIN || errno == EACCES)
        return fail(why, STATUS_BUSY, "%s is locked", file->path);
    return fail_errno(why, "lock", file->path);
}

/* ---- mappings -------------------------------------------------------------------------------- */

static void unmap(os_mapping *mapping)
{
    if (mapping == NULL)
        return;
    if (mapping->address != NULL)
        munmap(mapping->address, mapping->size);
    close_file(mapping->file);
    free(mapping);
}

/* Does the kernel know the advice? Asked of one page of the mapping that holds bytes. */
static bool can_advise(void *address)
{
#ifdef MADV_POPULATE_READ
    return madvise(address, 1, MADV_POPULATE_READ) == 0 || errno != EINVAL;
#else
    (void)address;
    return false;
#endif
}

static status map_file(os_directory *directory, const char *name, uint64_t size, os_mapping **ret,
                       const uint8_t **ret_bytes, uint64_t *ret_file_bytes, failure *why)
{
    os_file *file = NULL;
    os_mapping *mapping = NULL;
    uint64_t file_bytes = 0;
    status result = open_file(directory, name, OS_READ, &file, why);

    if (result != STATUS_OK)
        return result;
    result = file_size(file, &file_bytes, why);
    if (result != STATUS_OK)
        goto failed;
    mapping = calloc(1, sizeof *mapping + strlen(file->path) + 1);
    if (mapping == NULL) {
        result = fail(why, STATUS_NO_MEMORY, "out of memory");
        goto failed;
    }
    strcpy(mapping->path, file->path);
    mapping->size = size <= SIZE_MAX ? (size_t)size : SIZE_MAX;
    mapping->address = mmap(NULL, mapping->size, PROT_READ, MAP_SHARED, file->descriptor, 0);
    if (mapping->address == MAP_FAILED) {
        mapping->address = NULL;
        result = fail_errno(why, "mmap", file->path);
        goto failed;
    }
    if (!can_advise(mapping->address)) {
        mapping->file = file;
        file = NULL;
    }
    close_file(file);
    *ret_bytes = mapping->address;
    *ret_file_bytes = file_bytes;
    *ret = mapping;
    return STATUS_OK;
failed:
    close_file(file);
    unmap(mapping);
    return result;
}

/* Without the advice: read the bytes, which brings them into the cache that the mapping shows. */
static status populate_by_reading(os_mapping *mapping, uint64_t position, uint64_t size,
                                  failure *why)
{
    uint8_t buffer[4096];
    while (size > 0) {
        size_t want = size < sizeof buffer ? (size_t)size : sizeof buffer, got = 0;
        status result = read_file(mapping->file, buffer, want, position, &got, why);
        if (result != STATUS_OK)
            return result;
        if (got < want)
            return fail(why, STATUS_IO, "%s ends before position %llu", mapping->path,
                        (unsigned long long)(position + want));
        position += want;
        size -= want;
    }
    return STATUS_OK;
}

static status populate(os_mapping *mapping, uint64_t position, uint64_t size, failure *why)
{
    if (mapping->file != NULL)
        return populate_by_reading(mapping, position, size, why);
#ifdef MADV_POPULATE_READ
    uint64_t start = position & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
    int result;
    do
        result = madvise((uint8_t *)mapping->address + start, (size_t)(position + size - start),
                         MADV_POPULATE_READ);
    while (result != 0 && (errno == EINTR || errno == EAGAIN));
    if (result != 0 && errno == EFAULT)
        return fail(why, STATUS_IO, "%s cannot be read between positions %llu and %llu",
                    mapping->path, (unsigned long long)position,
                    (unsigned long long)(position + size));
    if (result != 0)
        return fail_errno(why, "madvise", mapping->path);
#endif
    return STATUS_OK;
}

/* ---- surroundings ---------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static status random_bytes(void *bytes, size_t size, failure *why)
{
    if (size > 256 || getentropy(bytes, size) != 0)
        return fail_errno(why, "getentropy", "");
    return STATUS_OK;
}

static int hex_digit(int character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    return -1;
}

static void boot_id(uint8_t id[16])
{
    char text[64] = {0};
    int descriptor = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC), digits = 0;

    memset(id, 0, 16);
    if (descriptor < 0)
        return;
    if (read(descriptor, text, sizeof text - 1) > 0) {
        for (const char *at = text; *at != '\0' && digits < 32; at++) {
            int digit = hex_digit(*at);
            if (digit >= 0) {
                id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | digit);
                digits++;
            }
        }
    }
    close(descriptor);
}

static atomic_uint_fast64_t generation;

static void count_fork(void)
{
    generation++;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, count_fork);
}

static uint64_t process_generation(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    return generation;
}

static status make_temporary_directory(char *path, size_t size, failure *why)
{
    const char *parent = getenv("TMPDIR");
    int length;

    if (parent == NULL || parent[0] != '/')
        parent = "/tmp";
    length = snprintf(path, size, "%s/commitlog-XXXXXX", parent);
    if (length < 0 || (size_t)length >= size)
        return fail(why, STATUS_CANT_OPEN, "TMPDIR is too long");
    if (mkdtemp(path) == NULL)
        return fail_errno(why, "mkdtemp", path);
    return STATUS_OK;
}

const os os_posix = {
    .open_directory = open_directory,
    .close_directory = close_directory,
    .directory_path = directory_path,
    .sync_directory = sync_directory,
    .list = list,
    .remove_directory = remove_directory,
    .exists = exists,
    .remove = remove_file,
    .open = open_file,
    .close = close_file,
    .file_path = file_path,
    .size = file_size,
    .read = read_file,
    .write = write_file,
    .allocate = allocate_file,
    .truncate = truncate_file,
    .sync = sync_file,
    .lock = lock_file,
    .map = map_file,
    .unmap = unmap,
    .populate = populate,
    .now_ms = now_ms,
    .random = random_bytes,
    .boot_id = boot_id,
    .process_generation = process_generation,
    .make_temporary_directory = make_temporary_directory,
};
