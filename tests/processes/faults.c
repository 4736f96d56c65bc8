/* A disk that fails, for LD_PRELOAD: cc -shared -fPIC -o faults.so faults.c -ldl
 *
 * fault_arm(CALL, FOLDER, ERROR, FIRST, TIMES) lets calls FIRST to FIRST + TIMES - 1 of one kind, on
 * files below FOLDER, fail with ERROR; with 0 as ERROR they do not fail, but locks do not lock.
 * fault_calls(CALL) is the number of such calls so far. fault_clock(SECONDS) moves the clock.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { READ, WRITE, FSYNC, RENAME, FLOCK, CREATE, CALLS };

/* Shared with forked processes, so that a parent arms and counts. */
static struct fault {
    char folder[PATH_MAX];
    int armed, error;
    long first, times, calls;
} *faults;
static long *clock_offset;

__attribute__((constructor)) static void share(void) {
    int mode = PROT_READ | PROT_WRITE, kind = MAP_SHARED | MAP_ANONYMOUS;
    faults = mmap(NULL, CALLS * sizeof *faults, mode, kind, -1, 0);
    clock_offset = mmap(NULL, sizeof *clock_offset, mode, kind, -1, 0);
}

void fault_clear(void) { memset(faults, 0, CALLS * sizeof *faults); }

void fault_arm(int call, const char *folder, int error, long first, long times) {
    snprintf(faults[call].folder, PATH_MAX, "%s", folder);
    faults[call].error = error;
    faults[call].first = first;
    faults[call].times = times;
    faults[call].calls = 0;
    faults[call].armed = 1;
}

long fault_calls(int call) { return faults[call].calls; }
void fault_clock(long seconds) { *clock_offset = seconds; }

static int is_below(const char *path, const char *folder) {
    size_t length = strlen(folder);
    return !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

/* Whether a call on a path is one that fails, or is counted. */
static int hits(int call, const char *path) {
    char absolute[PATH_MAX], here[PATH_MAX / 2];
    if (!faults || !faults[call].armed || !path) return 0;
    if (path[0] != '/') {
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(absolute, sizeof absolute, "%s/%.2000s", here, path);
        path = absolute;
    }
    if (!is_below(path, faults[call].folder)) return 0;
    long number = ++faults[call].calls;
    return number >= faults[call].first && number - faults[call].first < faults[call].times;
}

static int hits_file(int call, int file) {
    char name[64], path[PATH_MAX];
    if (!faults || !faults[call].armed) return 0;
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return hits(call, path);
}

#define REAL(RESULT, NAME, ...) \
    static RESULT (*real)(__VA_ARGS__); \
    if (!real) real = (RESULT(*)(__VA_ARGS__))dlsym(RTLD_NEXT, NAME)
#define FAIL(CALL, HIT) \
    if (HIT && faults[CALL].error) return errno = faults[CALL].error, -1

ssize_t read(int file, void *buffer, size_t count) {
    REAL(ssize_t, "read", int, void *, size_t);
    FAIL(READ, hits_file(READ, file));
    return real(file, buffer, count);
}
ssize_t pread64(int file, void *buffer, size_t count, off64_t at) {
    REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
    FAIL(READ, hits_file(READ, file));
    return real(file, buffer, count, at);
}
ssize_t write(int file, const void *buffer, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    FAIL(WRITE, hits_file(WRITE, file));
    return real(file, buffer, count);
}
ssize_t pwrite64(int file, const void *buffer, size_t count, off64_t at) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    FAIL(WRITE, hits_file(WRITE, file));
    return real(file, buffer, count, at);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    FAIL(WRITE, hits_file(WRITE, file));
    return real(file, parts, count);
}
int fsync(int file) {
    REAL(int, "fsync", int);
    FAIL(FSYNC, hits_file(FSYNC, file));
    return real(file);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    FAIL(RENAME, hits(RENAME, to));
    return real(from, to);
}
int flock(int file, int operation) {
    REAL(int, "flock", int, int);
    if (hits_file(FLOCK, file)) {
        if (!faults[FLOCK].error) return 0;
        return errno = faults[FLOCK].error, -1;
    }
    return real(file, operation);
}

/* Creating files and folders, and renaming and removing them: what a permission is needed for. */
static int creates(int flags) { return flags & (O_CREAT | O_WRONLY | O_RDWR); }

int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    FAIL(CREATE, creates(flags) && hits(CREATE, path));
    return real(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return open64(path, flags, mode);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    FAIL(CREATE, hits(CREATE, path));
    return real(path, mode);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    FAIL(CREATE, hits(CREATE, path));
    return real(path);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, "clock_gettime", clockid_t, struct timespec *);
    int result = real(clock, now);
    if (!result && clock_offset && clock == CLOCK_REALTIME) now->tv_sec += *clock_offset;
    return result;
}
