cdef class RequestCounts:
    cdef list keys
    cdef dict row_numbers
    cdef long long *statuses
    cdef long long *buckets
    cdef double *seconds
    cdef int size

    cdef int row_of(self, object method, object route) except -1
    cdef int grow(self) except -1
    cdef void count(self, int row, int status, double seconds) noexcept
