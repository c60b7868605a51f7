"""Counts of answered requests, in arrays: by method and route the statuses, and a histogram of durations; refusals.

An observer of the gate. A counter and a histogram of prometheus-client cost 0.87 microseconds a request, as much as a
sixth of a standing; these cost 0.02 if the fast path counts without a call from Python. They are read seldom, and
written out by :mod:`laurels.http.metrics`. The event loop's thread alone counts.

There is a row for each method of each route, and one method called "other", so that no client can make more rows than
there are routes.

**Workers.** Each worker has a table in memory that all of them share, and counts in its own; any of them reads the sums
of all. Rows bear their keys, so that a worker that is started again goes on in the table that it had.
"""

from libc.string cimport memcpy

import mmap
from itertools import accumulate

from laurels.http.problems import ALL_REASONS

BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds of the histogram's buckets, in seconds; the last bucket has none."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
TABLE_BYTES = sizeof(Table)
PLACES = {reason: place for place, reason in enumerate(ALL_REASONS)}
assert len(PLACES) <= MOST_REASONS
ROWS = MOST_ROWS

cdef double BOUNDS[N_BUCKETS - 1]
cdef int _i
for _i in range(N_BUCKETS - 1):
    BOUNDS[_i] = BUCKETS[_i]

cdef extern from *:
    """
    #define PUBLISH(place, value) __atomic_store_n(place, value, __ATOMIC_RELEASE)
    #define LOOK_AT(place) __atomic_load_n(place, __ATOMIC_ACQUIRE)
    """
    void PUBLISH(long long *place, long long value) noexcept
    long long LOOK_AT(long long *place) noexcept


def share_counts(int workers):
    """Return memory for the counts of so many workers, which they share if it is made before they are forked."""
    return mmap.mmap(-1, workers * TABLE_BYTES)


cdef class RequestCounts:
    """The counts of one process, or those of the worker that has this number in shared memory."""

    bounds = BUCKETS

    def __init__(self, memory=None, int number=0):
        cdef unsigned char[::1] view
        cdef int row
        self.memory = share_counts(1) if memory is None else memory
        view = self.memory
        self.tables = <Table *>&view[0]
        self.count_of_tables = len(view) // TABLE_BYTES
        self.own = &self.tables[number]
        self.row_numbers = {read_key(&self.own.rows[row]): row for row in range(self.own.size)}

    cdef int row_of(self, object method, object route) except -1:
        """Return the row of a method and a route, which is made if it is new."""
        cdef tuple key = (method if method in METHODS or not method else "other", route)
        cdef object found = self.row_numbers.get(key)
        cdef long long size = self.own.size
        cdef bytes text
        if found is not None:
            return found
        text = " ".join(key).encode()
        if size == MOST_ROWS or len(text) >= KEY_BYTES:
            raise ValueError(f"no row for {text!r}")
        memcpy(self.own.rows[size].key, <char *>text, len(text))
        PUBLISH(&self.own.size, size + 1)
        self.row_numbers[key] = size
        return size

    cdef void count(self, int row, int status, double seconds) noexcept:
        cdef int bucket = 0
        while bucket < N_BUCKETS - 1 and seconds > BOUNDS[bucket]:
            bucket += 1
        if 0 <= status < STATUSES:
            self.own.rows[row].statuses[status] += 1
        self.own.rows[row].buckets[bucket] += 1
        self.own.rows[row].seconds += seconds

    cdef int count_refusal(self, object reason) except -1:
        """Count why a request was refused."""
        cdef object place = PLACES.get(reason)
        if place is not None:
            self.own.refusals[<int>place] += 1
        return 0

    def __call__(self, answered):
        """Count an answer."""
        self.count(self.row_of(answered.method, answered.route), answered.status, answered.seconds)
        if answered.reason:
            self.count_refusal(answered.reason)

    def read_refusals(self):
        """Return how many requests were refused, by the reason."""
        cdef int table, place
        counts = {}
        for reason, place in PLACES.items():
            counts[reason] = 0
            for table in range(self.count_of_tables):
                counts[reason] += self.tables[table].refusals[place]
        return counts

    def read(self):
        """Return of each method and route how many answers had each status, how many were no slower than each bound, and
        all their seconds.
        """
        cdef int table, row, i
        cdef Row *counted
        sums = {}
        for table in range(self.count_of_tables):
            for row in range(LOOK_AT(&self.tables[table].size)):
                counted = &self.tables[table].rows[row]
                statuses, buckets, seconds = sums.setdefault(read_key(counted), ({}, [0] * N_BUCKETS, [0.0]))
                for i in range(STATUSES):
                    if counted.statuses[i]:
                        statuses[i] = statuses.get(i, 0) + counted.statuses[i]
                for i in range(N_BUCKETS):
                    buckets[i] += counted.buckets[i]
                seconds[0] += counted.seconds
        return [
            (method, route, statuses, list(accumulate(buckets)), seconds)
            for (method, route), (statuses, buckets, (seconds,)) in sums.items()
        ]


cdef tuple read_key(Row *row):
    """Return the method and the route of a row."""
    return tuple((<bytes>row.key).decode().split(" "))
