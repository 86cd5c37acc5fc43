/*
 * The benchmark's dealings with the operating system. See machine.h.
 *
 * POSIX, plus /proc where there is one (elsewhere a fact reads "unknown"). It removes files only
 * inside a directory that it made itself.
 */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE
#define _XOPEN_SOURCE 700

#include "machine.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    SCRATCH_PATH_BYTES = 4096,
    TREE_DESCRIPTORS = 16,
};

static char scratch_path[SCRATCH_PATH_BYTES];
static pid_t scratch_owner; /* a child must not remove what its parent made */
static uint64_t counted_disk_bytes;
static volatile sig_atomic_t interrupted;

void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The text after `name` and a colon in a file of such lines; "unknown" when there is none. */
static void fact_read(const char *path, const char *name, char *ret, size_t size)
{
    char line[1024];
    FILE *file = fopen(path, "r");

    snprintf(ret, size, "unknown");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');

        if (strncmp(line, name, strlen(name)) == 0 && colon != NULL) {
            colon += 1 + strspn(colon + 1, " \t");
            colon[strcspn(colon, "\n")] = '\0';
            snprintf(ret, size, "%s", colon);
            break;
        }
    }
    fclose(file);
}

static uint64_t memory_available_bytes(void)
{
    char text[64];
    char *end;
    unsigned long long kib;

    fact_read("/proc/meminfo", "MemAvailable", text, sizeof text);
    kib = strtoull(text, &end, 10);
    return end == text ? UINT64_MAX : (uint64_t)kib * 1024;
}

void machine_touch_memory(uint64_t bytes)
{
    uint64_t most_bytes = memory_available_bytes() / 4 * 3;
    long page_bytes = sysconf(_SC_PAGESIZE);
    unsigned char *memory;

    if (bytes > most_bytes)
        bytes = most_bytes;
    if (bytes == 0)
        return;
    memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (memory == MAP_FAILED)
        fail("cannot allocate %llu bytes to warm the memory: %s", (unsigned long long)bytes,
             strerror(errno));
    for (uint64_t i = 0; i < bytes; i += (uint64_t)page_bytes)
        ((volatile unsigned char *)memory)[i] = 1;
    munmap(memory, (size_t)bytes);
}

void machine_sync(void)
{
    sync();
}

static int tree_remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static int tree_count_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)path;
    (void)walk;
    if (type == FTW_F)
        counted_disk_bytes += (uint64_t)status->st_blocks * 512;
    return 0;
}

void scratch_remove(void)
{
    if (scratch_owner != getpid() || scratch_path[0] == '\0')
        return;
    if (nftw(scratch_path, tree_remove_one, TREE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS) != 0)
        fprintf(stderr, "bench: cannot remove %s: %s\n", scratch_path, strerror(errno));
    scratch_path[0] = '\0';
}

const char *scratch_make(const char *parent)
{
    if (scratch_owner == 0)
        atexit(scratch_remove);
    scratch_owner = getpid();
    if (snprintf(scratch_path, sizeof scratch_path, "%s/commitlog-bench-XXXXXX", parent) >=
        (int)sizeof scratch_path) {
        scratch_path[0] = '\0';
        fail("the path of the directory is too long: %s", parent);
    }
    if (mkdtemp(scratch_path) == NULL) {
        scratch_path[0] = '\0';
        fail("cannot make a directory in %s: %s", parent, strerror(errno));
    }
    return scratch_path;
}

uint64_t scratch_disk_bytes(void)
{
    counted_disk_bytes = 0;
    if (nftw(scratch_path, tree_count_one, TREE_DESCRIPTORS, FTW_PHYS) != 0)
        fail("cannot read %s: %s", scratch_path, strerror(errno));
    return counted_disk_bytes;
}

uint64_t machine_free_bytes(const char *directory)
{
    struct statvfs status;

    if (statvfs(directory, &status) != 0)
        fail("cannot read the file system of %s: %s", directory, strerror(errno));
    return (uint64_t)status.f_bavail * status.f_frsize;
}

static void interrupt_note(int signal_number)
{
    (void)signal_number;
    interrupted = 1;
}

void machine_catch_interrupts(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt_note;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* In the child: run the job and send its result. Ends the process. */
static _Noreturn void child_run(void (*job)(void *, void *), void *argument, void *result,
                                size_t result_bytes, int pipe_end)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    job(argument, result);
    /* One write: a result is smaller than PIPE_BUF. */
    if (write(pipe_end, result, result_bytes) != (ssize_t)result_bytes)
        fail("cannot send a result: %s", strerror(errno));
    exit(0);
}

bool machine_run(void (*job)(void *argument, void *result), void *argument, void *result,
                 size_t result_bytes, bool may_fail)
{
    int ends[2];
    int status;
    bool good;
    pid_t child;

    fflush(NULL);
    if (pipe(ends) != 0)
        fail("cannot make a pipe: %s", strerror(errno));
    child = fork();
    if (child < 0)
        fail("cannot start a process: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        child_run(job, argument, result, result_bytes, ends[1]);
    }
    close(ends[1]);
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR)
            fail("cannot wait for a process: %s", strerror(errno));
        if (interrupted)
            kill(child, SIGTERM);
    }
    good = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
           read(ends[0], result, result_bytes) == (ssize_t)result_bytes;
    close(ends[0]);
    if (interrupted)
        fail("interrupted");
    if (!good && WIFSIGNALED(status))
        fail("a run was ended by signal %d", WTERMSIG(status));
    if (!good && !may_fail)
        fail("a run failed: no figures");
    return good;
}

/* The type and options of the file system a directory is on: the last mount entry with the longest
 * mount point that leads the directory's path. */
static void filesystem_describe(const char *directory, char *ret, size_t size)
{
    char line[4096];
    size_t best_length = 0;
    char *path = realpath(directory, NULL);
    FILE *file = fopen("/proc/self/mounts", "r");

    snprintf(ret, size, "unknown");
    while (path != NULL && file != NULL && fgets(line, sizeof line, file) != NULL) {
        char device[1024];
        char point[1024];
        char type[64];
        char options[1024];
        size_t length;

        if (sscanf(line, "%1023s %1023s %63s %1023s", device, point, type, options) != 4)
            continue;
        length = strlen(point);
        if (strncmp(path, point, length) != 0 || length < best_length ||
            (length > 1 && path[length] != '/' && path[length] != '\0'))
            continue;
        best_length = length;
        snprintf(ret, size, "%s (%s)", type, options);
    }
    if (file != NULL)
        fclose(file);
    free(path);
}

void machine_describe(FILE *to, const char *lead, const char *directory)
{
    struct utsname name;
    char text[1200];
    char load[128] = "unknown";
    FILE *file = fopen("/proc/loadavg", "r");

    if (file != NULL) {
        if (fgets(load, sizeof load, file) != NULL)
            load[strcspn(load, "\n")] = '\0';
        fclose(file);
    }
    fact_read("/proc/cpuinfo", "model name", text, sizeof text);
    fprintf(to, "%scpu: %s, %ld cores\n", lead, text, sysconf(_SC_NPROCESSORS_ONLN));
    fact_read("/proc/meminfo", "MemTotal", text, sizeof text);
    fprintf(to, "%smemory: %s\n", lead, text);
    if (uname(&name) == 0)
        fprintf(to, "%skernel: %s %s %s\n", lead, name.sysname, name.release, name.machine);
    filesystem_describe(directory, text, sizeof text);
    fprintf(to, "%sfile system: %s\n", lead, text);
    fprintf(to, "%sload when it began (1, 5, 15 minutes): %s\n", lead, load);
}
