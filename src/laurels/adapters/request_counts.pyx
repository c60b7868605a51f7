"""Counts of answered requests, in arrays: by method and route the statuses, and a histogram of durations.

An observer of the gate. A counter and a histogram of prometheus-client cost 0.87 microseconds a request, as much as a
sixth of a standing; these cost 0.02 if the fast path counts without a call from Python. They are read seldom, and
written out by :mod:`laurels.http.metrics`. The event loop's thread alone counts.

There is a row for each method of each route, and one method called "other", so that no client can make more rows than
there are routes.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memset

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets, in seconds; the last bucket has none."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

cdef enum:
    STATUSES = 600
    N_BUCKETS = 17

cdef double BOUNDS[N_BUCKETS - 1]
cdef int _i
for _i in range(N_BUCKETS - 1):
    BOUNDS[_i] = BUCKETS[_i]


cdef class RequestCounts:
    """The counts of one process."""

    bounds = BUCKETS

    def __cinit__(self):
        self.keys = []
        self.row_numbers = {}
        self.size = 0

    def __dealloc__(self):
        free(self.statuses)
        free(self.buckets)
        free(self.seconds)

    cdef int row_of(self, object method, object route) except -1:
        """Return the row of a method and a route, which is made if it is new."""
        cdef object key = (method if method in METHODS or not method else "other", route)
        cdef object found = self.row_numbers.get(key)
        if found is not None:
            return found
        self.grow()
        self.row_numbers[key] = len(self.keys)
        self.keys.append(key)
        return len(self.keys) - 1

    cdef int grow(self) except -1:
        cdef int size = self.size + 1
        cdef void *statuses = realloc(self.statuses, size * STATUSES * sizeof(long long))
        if statuses != NULL:
            self.statuses = <long long *>statuses
        cdef void *buckets = realloc(self.buckets, size * N_BUCKETS * sizeof(long long))
        if buckets != NULL:
            self.buckets = <long long *>buckets
        cdef void *seconds = realloc(self.seconds, size * sizeof(double))
        if seconds != NULL:
            self.seconds = <double *>seconds
        if statuses == NULL or buckets == NULL or seconds == NULL:
            raise MemoryError
        memset(self.statuses + self.size * STATUSES, 0, STATUSES * sizeof(long long))
        memset(self.buckets + self.size * N_BUCKETS, 0, N_BUCKETS * sizeof(long long))
        self.seconds[self.size] = 0
        self.size = size
        return 0

    cdef void count(self, int row, int status, double seconds) noexcept:
        cdef int bucket = 0
        while bucket < N_BUCKETS - 1 and seconds > BOUNDS[bucket]:
            bucket += 1
        if 0 <= status < STATUSES:
            self.statuses[row * STATUSES + status] += 1
        self.buckets[row * N_BUCKETS + bucket] += 1
        self.seconds[row] += seconds

    def __call__(self, answered):
        """Count an answer."""
        self.count(self.row_of(answered.method, answered.route), answered.status, answered.seconds)

    def read(self):
        """Return of each method and route how many answers had each status, how many were no slower than each bound, and
        all their seconds.
        """
        cdef int row, i
        cdef long long *counted
        rows = []
        for row, (method, route) in enumerate(self.keys):
            counted = self.statuses + row * STATUSES
            statuses = {i: counted[i] for i in range(STATUSES) if counted[i]}
            total, buckets = 0, []
            for i in range(N_BUCKETS):
                total += self.buckets[row * N_BUCKETS + i]
                buckets.append(total)
            rows.append((method, route, statuses, buckets, self.seconds[row]))
        return rows
