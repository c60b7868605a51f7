cdef class RequestCounts:
    cdef list rows
    cdef dict places
    cdef long long *statuses
    cdef long long *buckets
    cdef double *seconds
    cdef int size

    cdef int place(self, object method, object route) except -1
    cdef int grow(self) except -1
    cdef void count(self, int place, int status, double seconds) noexcept
