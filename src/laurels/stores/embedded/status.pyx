"""A look at a directory for each commit, without the objects of :func:`os.stat`, which would cost more than the look."""

from libc.stdint cimport int64_t as i64, uint64_t as u64
from posix.stat cimport stat, struct_stat

cdef extern from *:
    """
    #ifdef __APPLE__
    #define st_ctim st_ctimespec
    #endif
    """


def is_unchanged(bytes path, u64 device, u64 inode, i64 changed):
    """Return whether a path stands for this file, whose status was changed last in that nanosecond of the epoch."""
    cdef struct_stat found
    cdef const char *name = path
    cdef int failed
    with nogil:  # the file system may be a slow one
        failed = stat(name, &found)
    return (
        not failed
        and <u64>found.st_dev == device
        and <u64>found.st_ino == inode
        and <i64>found.st_ctim.tv_sec * 1_000_000_000 + <i64>found.st_ctim.tv_nsec == changed
    )
