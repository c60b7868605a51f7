/* A disk that may fail: LD_PRELOAD this to see what a loss of power would leave of the files in a directory.

   Of each file in $POWER_LIVE, a copy in $POWER_DISK has what a sync has brought to the disk, page by page. A sync of a
   file whose name ends with the content of the file $POWER_FAIL ("." is $POWER_LIVE itself) fails once, with EIO, and as on Linux: the pages that it
   did not write are clean from then on, so that a later sync succeeds without them. Names are durable at once. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 1 << 14, FILES = 64 };

struct file { ino_t inode; off_t cut; char dirty[PAGES]; };

static struct file *files[FILES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

/* The name in $POWER_LIVE of a path, or NULL if it is not there or is one that no loss of power concerns. */
static const char *name_in(const char *path)
{
    const char *live = getenv("POWER_LIVE"), *name;

    if (live == NULL || strncmp(path, live, strlen(live)) || path[strlen(live)] != '/')
        return NULL;
    name = path + strlen(live) + 1;
    return strstr(name, "-shm") || !strstr(name, ".db") ? NULL : name;
}

static const char *name_of(int descriptor, char *path)
{
    char link[64];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, PAGE - 1);
    if (length < 0)
        return NULL;
    path[length] = 0;
    return name_in(path);
}

static char *copy_of(const char *name, char *path)
{
    snprintf(path, PAGE, "%s/%s", getenv("POWER_DISK"), name);
    return path;
}

static struct file *file_of(int descriptor)
{
    struct stat found;
    int at;

    if (fstat(descriptor, &found))
        abort();
    for (at = 0; files[at] != NULL && files[at]->inode != found.st_ino; at++)
        if (at == FILES - 2)
            abort();
    if (files[at] == NULL) {
        files[at] = calloc(1, sizeof(struct file));
        files[at]->inode = found.st_ino;
        files[at]->cut = found.st_size;
    }
    return files[at];
}

static void wrote(int descriptor, off_t offset, ssize_t size)
{
    char path[PAGE];

    if (size <= 0 || name_of(descriptor, path) == NULL)
        return;
    pthread_mutex_lock(&lock);
    for (off_t page = offset / PAGE; page <= (offset + size - 1) / PAGE && page < PAGES; page++)
        file_of(descriptor)->dirty[page] = 1;
    pthread_mutex_unlock(&lock);
}

static int must_fail(const char *name)
{
    char end[64] = "";
    int trigger = open(getenv("POWER_FAIL"), O_RDONLY);

    if (trigger < 0)
        return 0;
    if (read(trigger, end, sizeof end - 1) < 0)
        abort();
    close(trigger);
    if (strlen(name) < strlen(end) || strcmp(name + strlen(name) - strlen(end), end))
        return 0;
    unlink(getenv("POWER_FAIL"));
    return 1;
}

static void keep(int descriptor, struct file *file, const char *name)
{
    char copy[PAGE], page[PAGE];
    struct stat found;
    ssize_t size;
    int disk;

    disk = open(copy_of(name, copy), O_RDWR | O_CREAT, 0600);
    if (disk < 0 || fstat(descriptor, &found) || ((int (*)(int, off_t))real("ftruncate64"))(disk, file->cut))
        abort();
    for (off_t at = 0; at < PAGES; at++)
        if (file->dirty[at] && (size = pread(descriptor, page, PAGE, at * PAGE)) > 0)
            if (((ssize_t(*)(int, const void *, size_t, off_t))real("pwrite64"))(disk, page, size, at * PAGE) != size)
                abort();
    if (((int (*)(int, off_t))real("ftruncate64"))(disk, found.st_size))
        abort();
    file->cut = found.st_size;
    close(disk);
}

static int synced(int descriptor, const char *call)
{
    char path[PAGE];
    const char *name = name_of(descriptor, path);
    int result = 0;

    if (name == NULL && strcmp(path, getenv("POWER_LIVE")) == 0 && must_fail("."))
        return errno = EIO, -1;
    if (name == NULL)
        return ((int (*)(int))real(call))(descriptor);
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    if (must_fail(name))
        errno = EIO, result = -1;
    else
        keep(descriptor, file, name);
    memset(file->dirty, 0, PAGES);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int descriptor) { return synced(descriptor, "fsync"); }
int fdatasync(int descriptor) { return synced(descriptor, "fdatasync"); }

#define WRITES(name)                                                                                                   \
    ssize_t name(int descriptor, const void *data, size_t size, off_t offset)                                          \
    {                                                                                                                  \
        ssize_t done = ((ssize_t(*)(int, const void *, size_t, off_t))real(#name))(descriptor, data, size, offset);    \
        wrote(descriptor, offset, done);                                                                               \
        return done;                                                                                                   \
    }
WRITES(pwrite)
WRITES(pwrite64)

#define CUTS(name)                                                                                                     \
    int name(int descriptor, off_t size)                                                                               \
    {                                                                                                                  \
        char path[PAGE];                                                                                               \
        int result = ((int (*)(int, off_t))real(#name))(descriptor, size);                                             \
        if (result == 0 && name_of(descriptor, path) != NULL) {                                                        \
            pthread_mutex_lock(&lock);                                                                                 \
            struct file *file = file_of(descriptor);                                                                   \
            file->cut = size < file->cut ? size : file->cut;                                                           \
            pthread_mutex_unlock(&lock);                                                                               \
        }                                                                                                              \
        return result;                                                                                                 \
    }
CUTS(ftruncate)
CUTS(ftruncate64)

int rename(const char *from, const char *to)
{
    char old[PAGE], new[PAGE];
    int result = ((int (*)(const char *, const char *))real("rename"))(from, to);

    if (result == 0 && name_in(from) && name_in(to))
        ((int (*)(const char *, const char *))real("rename"))(copy_of(name_in(from), old), copy_of(name_in(to), new));
    return result;
}

int unlink(const char *path)
{
    char copy[PAGE];
    struct stat found;

    if (name_in(path) && stat(path, &found) == 0) {
        ((int (*)(const char *))real("unlink"))(copy_of(name_in(path), copy));
        for (int at = 0; files[at] != NULL; at++)
            if (files[at]->inode == found.st_ino)
                files[at]->inode = 0;
    }
    return ((int (*)(const char *))real("unlink"))(path);
}
