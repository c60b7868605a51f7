from libc.stdint cimport uint64_t


cdef struct Mark:
    uint64_t first, second


cdef class Marking:
    cdef uint64_t key[2]

    cdef Mark mark(self, const char *text, Py_ssize_t size) noexcept
