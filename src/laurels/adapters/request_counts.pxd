cdef enum:
    STATUSES = 600
    N_BUCKETS = 17
    MOST_ROWS = 512
    KEY_BYTES = 128
    MOST_REASONS = 96


cdef struct Row:
    char key[KEY_BYTES]     # method, space, route; ends with a zero
    long long statuses[STATUSES]
    long long buckets[N_BUCKETS]
    double seconds


cdef struct Table:
    long long size
    Row rows[MOST_ROWS]
    long long refusals[MOST_REASONS]    # by the place of their reason among all


cdef class RequestCounts:
    cdef object memory
    cdef Table *tables
    cdef Table *own
    cdef int count_of_tables
    cdef dict row_numbers

    cdef int row_of(self, object method, object route) except -1
    cdef void count(self, int row, int status, double seconds) noexcept
    cdef int count_refusal(self, object reason) except -1
