from libc.stdint cimport uint64_t


cdef struct Meter:
    uint64_t key        # of whoever it is the meter of; 0 if there is none here
    double requests     # when the next is due, at the rate
    double submits


cdef class Rate:
    cdef readonly str name
    cdef readonly long long count
    cdef readonly double seconds
    cdef readonly long long burst
    cdef readonly double interval
    cdef readonly double tolerance

    cdef inline double wait(self, double *due, double now) noexcept


cdef class Rates:
    cdef readonly Rate requests
    cdef readonly Rate submits

    cdef double take(self, Meter *meter, bint is_submit, double now) noexcept
    cdef double wait(self, Meter *meter, bint is_submit, double now) noexcept


cdef class Meters:
    cdef Meter *slots
    cdef Meter *shared
    cdef readonly uint64_t most
    cdef uint64_t mask, hand
    cdef uint64_t count

    cdef Meter *find(self, uint64_t key, double now) noexcept
    cdef inline uint64_t place(self, uint64_t key) noexcept
    cdef void sweep(self, double now) noexcept
    cdef void remove(self, uint64_t hole) noexcept
