"""How long SQLite waits for the disk: a VFS that is the system's own, but for a clock around its syncs.

Nothing else tells: the sync is inside the statement that commits, and to ask for it apart would take two statements
more, each of which may wait for the interpreter. SQLite's default VFS opens the file and does all of the work. Of the
file's table of methods a copy takes the place, in which the method that syncs is ours: it calls the other, and adds up
its time for the thread that it is called in.

The functions of SQLite come as addresses, those of the very library that Python's sqlite3 uses. The structs are those of
its stable interface (``sqlite3.h``), as far as they are used.
"""

from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

cdef extern from *:
    """
    typedef struct sqlite3_file sqlite3_file;
    typedef struct sqlite3_vfs sqlite3_vfs;
    typedef struct sqlite3_io_methods {
        int iVersion;
        void *before[4];    /* xClose, xRead, xWrite, xTruncate */
        int (*xSync)(sqlite3_file *, int);
        void *after[13];    /* those of version 3 included */
    } sqlite3_io_methods;
    struct sqlite3_file { const sqlite3_io_methods *pMethods; };
    struct sqlite3_vfs {
        int iVersion, szOsFile, mxPathname;
        sqlite3_vfs *pNext;
        const char *zName;
        void *pAppData;
        int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
        void *after[15];    /* those of version 3 included */
    };
    typedef struct Timed { sqlite3_io_methods methods; const sqlite3_io_methods *original; } Timed;
    typedef sqlite3_vfs *(*FindVFS)(const char *);
    typedef int (*RegisterVFS)(sqlite3_vfs *, int);

    static _Thread_local double seconds_in_thread;
    static volatile char is_locked;
    #define LOCK() while (__atomic_test_and_set(&is_locked, __ATOMIC_ACQUIRE)) {}
    #define UNLOCK() __atomic_clear(&is_locked, __ATOMIC_RELEASE)
    """
    ctypedef struct sqlite3_io_methods:
        int iVersion
        int (*xSync)(sqlite3_file *, int) noexcept nogil
    ctypedef struct sqlite3_file:
        const sqlite3_io_methods *pMethods
    ctypedef struct sqlite3_vfs:
        int iVersion
        const char *zName
        int (*xOpen)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *) noexcept nogil
    ctypedef struct Timed:
        sqlite3_io_methods methods
        const sqlite3_io_methods *original
    ctypedef sqlite3_vfs *(*FindVFS)(const char *) noexcept
    ctypedef int (*RegisterVFS)(sqlite3_vfs *, int) noexcept
    double seconds_in_thread
    void LOCK() noexcept nogil
    void UNLOCK() noexcept nogil

cdef enum:
    MOST_TABLES = 8     # of methods: SQLite has one for each way of locking
    LATEST = 3          # the version of both structs that is known here

NAME = "laurels"

cdef Timed tables[MOST_TABLES]
cdef int count_of_tables = 0
cdef sqlite3_vfs *system = NULL
cdef sqlite3_vfs timed


cdef int sync(sqlite3_file *file, int flags) noexcept nogil:
    global seconds_in_thread
    cdef timespec began, ended
    cdef int status
    clock_gettime(CLOCK_MONOTONIC, &began)
    status = (<const Timed *>file.pMethods).original.xSync(file, flags)
    clock_gettime(CLOCK_MONOTONIC, &ended)
    seconds_in_thread += (ended.tv_sec - began.tv_sec) + 1e-9 * (ended.tv_nsec - began.tv_nsec)
    return status


cdef const sqlite3_io_methods *find_table(const sqlite3_io_methods *original) noexcept nogil:
    """Return the copy of a table of methods, or the table itself if there are too many, or if it is of another version."""
    global count_of_tables
    cdef const sqlite3_io_methods *found = original
    cdef int place = 0
    LOCK()
    while place < count_of_tables and tables[place].original != original:
        place += 1
    if place < MOST_TABLES and 0 < original.iVersion <= LATEST:
        if place == count_of_tables:
            # No further than the table of its version goes: version 2 has four methods less than 3 has two more
            memcpy(&tables[place].methods, original, size_of(original.iVersion))
            tables[place].methods.xSync = sync
            tables[place].original = original
            count_of_tables += 1
        found = &tables[place].methods
    UNLOCK()
    return found


cdef size_t size_of(int version) noexcept nogil:
    """Return how many bytes a table of methods of a version has."""
    cdef size_t pointers = 13 + (4 if version > 1 else 0) + (2 if version > 2 else 0)   # the number takes one as well
    return pointers * sizeof(void *)


cdef int open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *flags_out) noexcept nogil:
    cdef int status = system.xOpen(system, name, file, flags, flags_out)
    if file.pMethods != NULL:
        file.pMethods = find_table(file.pMethods)
    return status


def register(size_t find, size_t add):
    """Have SQLite know the VFS by its NAME, from the addresses of two of its functions; return whether it does."""
    global system
    if system == NULL:
        system = (<FindVFS><void *>find)(NULL)
        if system == NULL or system.iVersion != LATEST:
            system = NULL
            return False
        memcpy(&timed, system, sizeof(sqlite3_vfs))
        timed.zName = b"laurels"
        timed.xOpen = open
        return (<RegisterVFS><void *>add)(&timed, 0) == 0
    return True


def take_seconds():
    """Return how long syncs have taken in this thread since this was asked last."""
    global seconds_in_thread
    seconds = seconds_in_thread
    seconds_in_thread = 0
    return seconds
