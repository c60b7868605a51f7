"""Rate limits: how often an address, a key or a player may ask, by the generic cell rate algorithm.

GCRA (ITU-T I.371, annex A, in its form of virtual scheduling) lets in as much as a bucket that holds ``burst`` tokens and
gets one each ``interval``, but what it keeps of whoever it meters is one number: when the next request is due, if all
came at the rate.

    interval = seconds / count,  tolerance = (burst - 1) * interval
    a request at ``now`` is let in if  due - tolerance <= now;  then  due = max(due, now) + interval
    a refused one changes nothing, and may come again in  due - tolerance - now

A meter whose time has passed says no more than a new one: it can be dropped without loss. A due time is never further
away than a whole burst takes. So a clock that was set back, or a limit that was changed, makes nobody wait longer than
that.

**Many meters.** A table of slots of 24 bytes, probed linearly, as large from the beginning as it may become: memory that
is not touched costs nothing, and no request pays for its growth. What is metered is known by a hash of 64 bits that
Python has seeded at random, so nobody can choose whose meter is theirs. Whoever is new sweeps a few slots of those whose
time has passed. If all slots are taken by meters that still run, nobody loses one: those who are new share a few, each
as if they were one address.
"""

from libc.math cimport INFINITY, ceil
from libc.stdint cimport uint64_t
from libc.stdlib cimport calloc, free

cdef enum:
    SWEPT = 8           # slots that each new meter looks at, behind where the one before it has stopped
    SHARED = 1024       # meters for those whom the table has no room for

cdef double SLACK = 1e-6    # seconds that a request may come early, rather than be refused for a rounding


cdef class Rate:
    """So many in so many seconds, ``burst`` of them at once; ``name`` says of what."""

    def __init__(self, str name, long long count, double seconds, long long burst):
        self.name, self.count, self.seconds, self.burst = name, count, seconds, burst
        self.interval = seconds / count
        self.tolerance = (burst - 1) * self.interval

    @property
    def window(self):
        """How many seconds a whole burst takes at the rate, rounded up."""
        return max(1, int(ceil(self.burst * self.interval - SLACK)))

    cdef inline double wait(self, double *due, double now) noexcept:
        """Return how long a request must wait."""
        cdef double wait
        due[0] = min(due[0], now + self.tolerance + self.interval)
        wait = due[0] - self.tolerance - now
        return wait if wait > SLACK else 0


cdef class Rates:
    """The limits of one address, key or player; None is no limit. A submit is a request, too."""

    def __init__(self, Rate requests=None, Rate submits=None):
        self.requests = requests
        self.submits = submits

    def __bool__(self):
        return self.requests is not None or self.submits is not None

    cdef double wait(self, Meter *meter, bint is_submit, double now) noexcept:
        """Return what :meth:`Meters.wait` does."""
        cdef double wait = 0
        if self.requests is not None:
            wait = self.requests.wait(&meter.requests, now)
        if is_submit and self.submits is not None:
            wait = max(wait, self.submits.wait(&meter.submits, now))
        return wait

    cdef double take(self, Meter *meter, bint is_submit, double now) noexcept:
        """Return what :meth:`Meters.take` does."""
        cdef double wait = self.wait(meter, is_submit, now)
        if wait > 0:
            return wait
        if self.requests is not None:
            meter.requests = max(meter.requests, now) + self.requests.interval
        if is_submit and self.submits is not None:
            meter.submits = max(meter.submits, now) + self.submits.interval
        return 0


def key_of(str subject not None):
    """Return what a subject is metered under."""
    return hash(subject) & 0xFFFFFFFFFFFFFFFF


cdef class Meters:
    """The meters of at most ``most`` subjects; times are in seconds of a clock that goes on steadily."""

    def __cinit__(self, uint64_t most):
        cdef uint64_t size = 16
        while size * 4 < most * 5:  # at most 0.8 of it full
            size *= 2
        self.most, self.mask = most, size - 1
        self.slots = <Meter *>calloc(size, sizeof(Meter))
        self.shared = <Meter *>calloc(SHARED, sizeof(Meter))
        if self.slots == NULL or self.shared == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self.slots)
        free(self.shared)

    def __len__(self):
        return self.count

    def __contains__(self, uint64_t key):
        """Return whether a subject has a meter of its own."""
        return self.slots[self.place(key)].key != 0

    def take(self, uint64_t key, Rates rates not None, double now, *, bint is_submit):
        """Return 0 if a request is let in, which is counted; else how many seconds it must wait, and nothing is."""
        return rates.take(self.find(key, now), is_submit, now)

    def wait(self, uint64_t key, Rates rates not None, double now, *, bint is_submit):
        """Return what :meth:`take` would, and count nothing."""
        return rates.wait(self.find(key, now), is_submit, now)

    def follow(self, uint64_t key, double now, double requests, double submits):
        """Take what another meter says of a subject: in how many seconds the next request, and the next submit, is due."""
        cdef Meter *meter = self.find(key, now)
        meter.requests, meter.submits = now + requests, now + submits

    def find_limiting(self, uint64_t key, Rates rates not None, double now, *, bint is_submit):
        """Return the rate that a request must wait for the longest."""
        cdef Meter *meter = self.find(key, now)
        if rates.requests is None:
            return rates.submits
        if not is_submit or rates.submits is None:
            return rates.requests
        is_slower = rates.submits.wait(&meter.submits, now) > rates.requests.wait(&meter.requests, now)
        return rates.submits if is_slower else rates.requests

    cdef Meter *find(self, uint64_t key, double now) noexcept:
        """Return the meter of a subject, made if it is new; or one that it shares, if there is no room."""
        cdef Meter *slot = &self.slots[self.place(key)]
        if slot.key != 0:
            return slot
        self.sweep(now)
        if self.count >= self.most:
            return &self.shared[key >> 32 & SHARED - 1]
        slot = &self.slots[self.place(key)]  # sweeping may have moved others
        slot.key = max(key, 1)
        slot.requests = slot.submits = -INFINITY
        self.count += 1
        return slot

    cdef inline uint64_t place(self, uint64_t key) noexcept:
        """Return where a subject's meter is, or the empty slot where it would be."""
        cdef uint64_t wanted = max(key, 1), i = wanted & self.mask
        while self.slots[i].key != 0 and self.slots[i].key != wanted:
            i = (i + 1) & self.mask
        return i

    cdef void sweep(self, double now) noexcept:
        cdef int step
        cdef Meter *slot
        for step in range(SWEPT):
            slot = &self.slots[self.hand]
            if slot.key != 0 and slot.requests <= now and slot.submits <= now:
                self.remove(self.hand)  # and look at what has moved there next
            else:
                self.hand = (self.hand + 1) & self.mask

    cdef void remove(self, uint64_t hole) noexcept:
        """Empty a slot, and move up what would not be found behind an empty one."""
        cdef uint64_t i = hole
        cdef uint64_t home
        self.count -= 1
        while True:
            i = (i + 1) & self.mask
            if self.slots[i].key == 0:
                break
            home = self.slots[i].key & self.mask
            if ((i - home) & self.mask) >= ((i - hole) & self.mask):
                self.slots[hole] = self.slots[i]
                hole = i
        self.slots[hole].key = 0
