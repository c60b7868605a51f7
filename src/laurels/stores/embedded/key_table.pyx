"""Which idempotency keys are known, and in which row on disk each has its answer: 20 to 30 bytes of memory a key.

A key is a digest of 16 bytes, of which the table holds eight, made of them all, beside the tick of the row
(:mod:`laurels.stores.embedded.answers`). So it may name several rows for a key, and rows that have another key: the row
decides. What it does not name is not known, and that costs no look at the disk.

Slots of 16 bytes lie in SHARDS arrays, each open addressing with linear probing. A digest is mixed with a number of this
process before its bits choose the shard and the home in it, so that nobody can look for keys that collide there. A shard
grows by half when it is four fifths full, alone: with ten million keys that moves 2,400 slots, so it stops nothing.
Removal shifts back what follows and leaves no tombstones, and a shard that is two thirds empty shrinks.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t as u32, uint64_t as u64
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

cdef enum:
    SHARD_BITS = 12
    SHARDS = 1 << SHARD_BITS
    PAIR = 32           # bytes: a key, and the fingerprint behind it

cdef u64 SEED = <u64>hash("laurels keys seed")
cdef u64 SECRET = <u64>hash("laurels keys secret") | 1
cdef tuple UNKNOWN = ()

cdef struct Slot:
    u64 key
    u64 tick            # 0 if the slot is empty

cdef struct Shard:
    Slot *slots
    u32 cap, count


cdef inline u64 mixed(u64 key) noexcept nogil:
    key = (key ^ SEED) * SECRET
    key = (key ^ (key >> 32)) * <u64>0x9E3779B97F4A7C15
    return key ^ (key >> 29)


cdef inline u32 home_of(u64 key, u32 cap) noexcept nogil:
    return <u32>((<u64><u32>mixed(key) * <u64>cap) >> 32)


cdef inline u32 after(u32 at, u32 cap) noexcept nogil:
    return at + 1 if at + 1 < cap else 0


cdef void put(Slot *slots, u32 cap, u64 key, u64 tick) noexcept nogil:
    cdef u32 at = home_of(key, cap)
    while slots[at].tick:
        at = after(at, cap)
    slots[at].key, slots[at].tick = key, tick


cdef int resize(Shard *shard, u32 cap) except -1:
    cdef Slot *slots = <Slot *>calloc(cap, sizeof(Slot))
    cdef u32 at
    if slots == NULL:
        raise MemoryError
    for at in range(shard.cap):
        if shard.slots[at].tick:
            put(slots, cap, shard.slots[at].key, shard.slots[at].tick)
    free(shard.slots)
    shard.slots, shard.cap = slots, cap
    return 0


cdef void take_out(Shard *shard, u32 at) noexcept nogil:
    """Empty a slot, and shift back those after it that are not at home."""
    cdef Slot *slots = shard.slots
    cdef u32 cap = shard.cap, next = after(at, cap), home
    while slots[next].tick:
        home = home_of(slots[next].key, cap)
        if not (at < home <= next if at <= next else at < home or home <= next):
            slots[at] = slots[next]
            at = next
        next = after(next, cap)
    slots[at].tick = 0
    shard.count -= 1


cdef class KeyTable:
    """The known keys, of which ``bits`` are told apart; each call is O(1) a key.

    >>> table = KeyTable()
    >>> table.add(b"k" * 16 + b"fingerprint here", 7)
    >>> table.find(b"k" * 16), table.find(b"l" * 16)
    ((7,), ())
    """

    cdef Shard shards[SHARDS]
    cdef u64 mask
    cdef Py_ssize_t count

    def __init__(self, int bits=64):
        self.mask = (<u64>1 << bits) - 1 if bits < 64 else <u64>0xFFFFFFFFFFFFFFFF

    def __dealloc__(self):
        cdef int i
        for i in range(SHARDS):
            free(self.shards[i].slots)

    def __len__(self):
        return self.count

    @property
    def nbytes(self):
        """How many bytes of memory it holds."""
        cdef int i
        cdef size_t total = sizeof(self.shards)
        for i in range(SHARDS):
            total += self.shards[i].cap * sizeof(Slot)
        return total

    cdef inline u64 folded(self, const char *key) noexcept nogil:
        cdef u64 halves[2]
        memcpy(halves, key, sizeof(halves))
        return (mixed(halves[0]) + halves[1]) & self.mask

    cdef inline Shard *shard_of(self, u64 key) noexcept nogil:
        return &self.shards[mixed(key) >> (64 - SHARD_BITS)]

    def add(self, bytes pairs not None, u64 tick):
        """Add the keys of pairs of key and fingerprint, one behind the other; the row of ``tick`` has their answers."""
        cdef const char *p = PyBytes_AS_STRING(pairs)
        cdef Py_ssize_t at
        cdef u64 key
        cdef Shard *shard
        for at in range(0, PyBytes_GET_SIZE(pairs), PAIR):
            key = self.folded(p + at)
            shard = self.shard_of(key)
            if 5 * (shard.count + 1) > 4 * shard.cap:
                resize(shard, shard.cap + shard.cap // 2 + 4)
            put(shard.slots, shard.cap, key, tick)
            shard.count += 1
            self.count += 1

    def find(self, bytes key not None):
        """Return the ticks of the rows that may have the answer to a key, the newest first."""
        cdef u64 wanted = self.folded(PyBytes_AS_STRING(key))
        cdef Shard *shard = self.shard_of(wanted)
        cdef u32 at
        if shard.count == 0:
            return UNKNOWN
        found = None
        at = home_of(wanted, shard.cap)
        while shard.slots[at].tick:
            if shard.slots[at].key == wanted:
                if found is None:
                    found = set()
                found.add(shard.slots[at].tick)
            at = after(at, shard.cap)
        return UNKNOWN if found is None else tuple(sorted(found, reverse=True))

    def remove(self, bytes pairs not None, u64 tick):
        """Remove keys as :meth:`add` added them; one that is not there is left out."""
        cdef const char *p = PyBytes_AS_STRING(pairs)
        cdef Py_ssize_t place
        for place in range(0, PyBytes_GET_SIZE(pairs), PAIR):
            self.remove_one(self.folded(p + place), tick)

    cdef int remove_one(self, u64 key, u64 tick) except -1:
        cdef Shard *shard = self.shard_of(key)
        cdef u32 at
        if shard.count == 0:
            return 0
        at = home_of(key, shard.cap)
        while shard.slots[at].tick:
            if shard.slots[at].key == key and shard.slots[at].tick == tick:
                take_out(shard, at)
                self.count -= 1
                if shard.cap > 16 and 3 * shard.count < shard.cap:
                    resize(shard, shard.count + shard.count // 2 + 4)
                return 0
            at = after(at, shard.cap)
        return 0
