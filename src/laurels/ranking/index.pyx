# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""The ranking index: exact ranks and pages of a board.

Names are kept once, in records that a hash table finds (names.pxi); the order is a counted B+ tree of scores and
references to records (tree.pxi, places.pxi, dense.pxi); both are kept in numbered chunks (memory.pxi).
Every operation is O(log n) or O(log n + entries returned), but for those that say otherwise: nothing is rebuilt on the
side.

>>> index = Index()
>>> for name, score in [("v", 2077), ("silverhand", 34), ("johnny", 34)]:
...     _ = index.put(name, score)
>>> index.page(0, 20)
[('v', 2077), ('silverhand', 34), ('johnny', 34)]
>>> index.standing("johnny")
(34, 2)
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.float cimport PyFloat_AS_DOUBLE, PyFloat_FromDouble
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.long cimport PyLong_FromDouble, PyLong_FromLongLong
from cpython.ref cimport Py_INCREF
from libc.math cimport fabs, floor, fma, ilogb, isfinite, isnan, ldexp
from libc.stdlib cimport malloc

include "memory.pxi"
include "names.pxi"
include "tree.pxi"
include "places.pxi"
include "dense.pxi"
include "bulk.pxi"
include "writes.pxi"
include "check.pxi"
include "values.pxi"


def add_scores(score, more, bint lossy=False):
    """Return the sum of two scores, of which the second is added to the first. O(1).

    Raises OverflowError, which says why, for a sum that is not finite, for one of whole numbers that is not exactly a
    double, and for one in which more than a thousandth of ``more`` would get lost; with ``lossy`` not for the last.

    >>> add_scores(0.1, 0.2), add_scores(2**53, 0.5, lossy=True)
    (0.30000000000000004, 9007199254740992)
    """
    cdef double a = double_of(score), b = double_of(more), sum
    cdef int problem = add(a, b, lossy, &sum)
    if problem < 0:
        raise_sum_problem(problem, a, b)
    return int(sum) if is_whole(sum) else sum


@cython.final
cdef class Index:
    """Names and their scores, in order.

    ``ties`` orders equal scores: by "name", or by sequence with the "earliest" (least) or "latest" (greatest) first and
    then by name. By name is by the bytes of UTF-8: A before Z if ascending, Z before A if descending. A ``stamped``
    index keeps an entry's sequence, from 0 to 2^64 - 1, even if ties are by name; otherwise only one whose ties are by
    sequence does. An entry's place is its position, from 0; its rank is the place itself if ``ranking`` is "ordinal",
    the number of better entries if it is "competition", and the number of better scores if it is "dense". Scores are
    doubles; whole ones are returned as ``int``. ``leaf`` and ``fan`` are the most entries of a leaf and children of an
    inner node.
    """

    cdef Core core

    def __cinit__(
        self,
        *,
        bint descending=True,
        str ties not None="name",
        str operator not None="latest",
        str ranking not None="ordinal",
        bint stamped=False,
        u32 leaf=62,
        u32 fan=64,
    ):
        if ties not in TIES:
            raise ValueError(f"ties are by {', '.join(TIES)}, not {ties!r}")
        if operator not in OPERATORS:
            raise ValueError(f"an operator is one of {', '.join(OPERATORS)}, not {operator!r}")
        if not 4 <= leaf <= 1024 or not 4 <= fan <= 1024:
            raise ValueError("leaf and fan are from 4 to 1024")
        cdef Core *c = &self.core
        c.descending = descending
        c.timed, c.latest = ties != "name", ties == "latest"
        c.operator, c.ranking = OPERATORS.index(operator), <u32>ranking_of(ranking)
        names_start(&c.names, stamped or c.timed)
        tree_start(&c.tree, leaf, fan, c.ranking == DENSE)

    def __dealloc__(self):
        core_clear(&self.core)

    @property
    def nbytes(self):
        """The bytes held, this object included."""
        return (
            Index.__basicsize__
            + names_bytes(&self.core.names)
            + chunks_bytes(&self.core.tree.leaves)
            + chunks_bytes(&self.core.tree.parents)
            + chunks_bytes(&self.core.tree.inners)
        )

    def __sizeof__(self):
        return self.nbytes

    def __len__(self):
        return self.core.tree.n

    def __contains__(self, name):
        cdef Probe p
        if not isinstance(name, str):
            return False
        probe_name(name, &p)
        return name_slot(&self.core.names, p.hashed, p.name, p.size) != NULL

    def put(self, str name not None, score, u64 sequence=0):
        """Give ``name`` this score and sequence in place of any it had; return whether it is new. O(log n).

        Raises ValueError for a name of no or of more than 256 bytes, and for a score that is not finite or not exactly
        a double.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("v", 2078)
        (True, False)
        """
        cdef Probe p
        probe(&self.core, name, score, sequence, &p)
        return check_outcome(core_put(&self.core, &p, True)) == ADDED

    def submit(self, str name not None, score, u64 sequence=0, bint refresh=False, bint lossy=False, i64 tick=-1):
        """Submit a score by the operator; return 0 if it did not count, 1 if it did, 2 if the name is new.

        O(log n). Under "best" a score counts if it is better, under "increment" it is added, and under "latest" it
        counts; the very score that the name has counts only with ``refresh``, and then only its sequence is new. With a
        ``tick`` it takes the place among ties that a sequence of twice that would have, behind those of the same tick
        with lesser sequences. Raises ValueError as :meth:`put` does, and OverflowError, which says why, for a sum that :func:`add_scores`
        refuses.

        >>> index = Index(operator="best")
        >>> index.submit("v", 34), index.submit("v", 33), index.submit("v", 35), index.submit("v", 35)
        (2, 0, 1, 0)
        >>> index = Index(operator="increment")
        >>> index.submit("v", 34), index.submit("v", 33), index.score("v")
        (2, 1, 67)
        """
        cdef Probe p
        cdef int outcome
        probe(&self.core, name, score, sequence, &p)
        probe_date(&self.core, tick, &p)
        outcome = core_submit(&self.core, &p, refresh, lossy)
        if outcome == INFINITE or outcome == INEXACT:
            raise_sum_problem(outcome, self.score(name), score)
        return check_outcome(outcome)

    def submit_many(self, names, scores, u64 sequence):
        """Submit each name with its score, in turn; return how many counted. O(entries * log n).

        Entry i has the sequence ``sequence + 2 * i``. Raises ValueError, and submits none, if one could not be
        submitted, and under "increment", because any sum might be refused. After a MemoryError the first of them have
        been submitted.

        >>> index = Index(operator="best")
        >>> index.submit_many(["v", "silverhand", "v"], [2077, 34, 2076], 0)
        2
        """
        cdef Core *c = &self.core
        cdef tuple each = tuple(names)
        cdef tuple values = tuple(scores)
        cdef Py_ssize_t n = len(each)
        cdef Py_ssize_t i
        cdef Probe *probes
        if n != len(values):
            raise ValueError(f"there are {n} names, but {len(values)} scores")
        if c.operator == INCREMENT:
            raise ValueError("sums may be refused: submit them one by one")
        probes = <Probe *>malloc(max(n, 1) * sizeof(Probe))
        if probes == NULL:
            raise MemoryError
        try:
            for i in range(n):
                probe(c, <str?>each[i], values[i], sequence + 2 * <u64>i, &probes[i])
            return check_outcome(core_submit_many(c, probes, n))
        finally:
            free(probes)

    def mark(self, str name not None, bint mark):
        """Set or clear the lowest bit of the sequence of ``name``; return whether it is there. O(1).

        The entry keeps its place, so no two sequences of an index may differ in that bit alone. Raises ValueError if
        the index keeps no sequences.

        >>> index = Index(ties="earliest")
        >>> _ = index.put("v", 2077, 6)
        >>> index.mark("v", True), index.row("v"), index.mark("nobody", True)
        (True, ('v', 2077, 0, 7), False)
        """
        cdef Core *c = &self.core
        cdef u64 ref, sequence
        cdef u32 number
        cdef char *r
        if not c.names.length_at:
            raise ValueError("the index keeps no sequences")
        if not self.find(name, &number, &ref):
            return False
        r = record(&c.names, ref)
        sequence = (stored_sequence(c, record_sequence(&c.names, r)) & ~<u64>1) | mark
        write_64(r, stored_sequence(c, sequence) | record_dated(&c.names, r))
        return True

    def remove(self, str name not None):
        """Remove ``name``; return whether it was there. O(log n).

        >>> index = Index()
        >>> index.put("v", 2077), index.remove("v"), index.remove("v")
        (True, True, False)
        """
        cdef Probe p
        probe_name(name, &p)
        return check_outcome(core_remove(&self.core, &p)) == 1

    def clear(self):
        """Remove all names, and free the memory. O(n / 2,000).

        Other threads may run meanwhile, if they leave the index alone.

        >>> index = Index()
        >>> _ = index.put("v", 2077)
        >>> index.clear()
        >>> len(index)
        0
        """
        with nogil:
            core_clear(&self.core)

    def rank_by(self, str ranking not None):
        """Use another ranking from now on; entries and places stay as they are.

        O(1), but to and from "dense" O(n), 2 to 5 nanoseconds an entry. Raises ValueError for what is no ranking.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 2077), index.put("johnny", 34)
        (True, True, True)
        >>> index.rank_by("dense")
        >>> index.standing("johnny")
        (34, 1)
        """
        check_outcome(core_rank_by(&self.core, <u32>ranking_of(ranking)))

    def score(self, str name not None):
        """Return the score of ``name``, or None if it is not there. O(1).

        >>> index = Index()
        >>> _ = index.put("v", 20.77)
        >>> index.score("v"), index.score("nobody")
        (20.77, None)
        """
        cdef Core *c = &self.core
        cdef Head *leaf
        cdef u64 ref
        cdef u32 number
        if not self.find(name, &number, &ref):
            return None
        leaf = node_of(c, 0, number)
        return score_of(c, keys_of(&c.tree.leaf, leaf)[place_in_leaf(c, leaf, ref)])

    def standing(self, str name not None):
        """Return score and rank of ``name``, or None if it is not there. O(log n).

        >>> index = Index(ranking="competition")
        >>> index.put("v", 2077), index.put("silverhand", 34), index.put("johnny", 34)
        (True, True, True)
        >>> index.standing("silverhand"), index.standing("johnny")
        ((34, 1), (34, 1))
        """
        cdef Core *c = &self.core
        cdef u64 rank, ref
        cdef u32 number, i
        if not self.find(name, &number, &ref):
            return None
        rank = rank_of_ref(c, number, ref, &i)
        return score_of(c, keys_of(&c.tree.leaf, node_of(c, 0, number))[i]), rank

    def submit_compared(self, str name not None, score, u64 sequence=0):
        """Submit as :meth:`submit` does, and return the standings just before and just after, and whether it counted.

        >>> index = Index(operator="best")
        >>> index.submit_compared("v", 34), index.submit_compared("v", 33)
        ((None, (34, 0), True), ((34, 0), (34, 0), False))
        """
        before = self.standing(name)
        counted = self.submit(name, score, sequence) > 0
        return before, self.standing(name) if counted else before, counted

    def place_of(self, str name not None):
        """Return the place of ``name``, or None if it is not there. O(log n).

        >>> index = Index(ranking="competition")
        >>> index.put("v", 2077), index.put("silverhand", 34), index.put("johnny", 34)
        (True, True, True)
        >>> index.place_of("silverhand"), index.place_of("johnny")
        (1, 2)
        """
        cdef u64 ref
        cdef u32 number
        if not self.find(name, &number, &ref):
            return None
        return places_above(&self.core, number) + place_in_leaf(&self.core, node_of(&self.core, 0, number), ref)

    def row(self, str name not None):
        """Return name, score, rank and sequence of ``name``, and the tick if it has one; None if it is not there. O(log n).

        >>> index = Index(stamped=True)
        >>> _ = index.put("v", 2077, 7)
        >>> index.row("v")
        ('v', 2077, 0, 7)
        """
        cdef Core *c = &self.core
        cdef u64 rank, ref
        cdef u32 number, i
        if not self.find(name, &number, &ref):
            return None
        rank = rank_of_ref(c, number, ref, &i)
        return row_of(c, keys_of(&c.tree.leaf, node_of(c, 0, number))[i], ref, rank)

    def rows(self, start, stop):
        """Return name, score, rank and sequence of the entries at the places from ``start`` up to but not ``stop``.

        O(log n + entries). The sequence is 0 if the index has none; those that were submitted with a tick have that.

        >>> index = Index(ties="latest", ranking="competition")
        >>> index.put("v", 34, 1), index.put("silverhand", 34, 2), index.put("johnny", 33, 3)
        (True, True, True)
        >>> index.rows(1, 20)
        [('v', 34, 0, 1), ('johnny', 33, 2, 3)]
        """
        cdef Core *c = &self.core
        cdef Layout *f = &c.tree.leaf
        cdef u64 first, after, n, rank, last
        cdef u64 k = 0
        cdef u32 i, number
        cdef u64 *keys
        cdef Head *leaf
        cdef list out
        cdef tuple entry
        self.clip(start, stop, &first, &after)
        n = after - first
        out = PyList_New(n)
        if n == 0:
            return out
        number = leaf_at(c, first, &i)
        rank = rank_of_entry(c, number, i)
        last = keys_of(f, node_of(c, 0, number))[i]
        while True:
            leaf = node_of(c, 0, number)
            keys = keys_of(f, leaf)
            records_prefetch(c, leaf, i, n - k)
            while i < leaf.n and k < n:
                if c.ranking == ORDINAL or keys[i] != last:
                    rank = rank + 1 if c.ranking == DENSE else first + k
                    last = keys[i]
                entry = row_of(c, last, ref_at(f, leaf, i), rank)
                Py_INCREF(entry)
                PyList_SET_ITEM(out, k, entry)
                i += 1
                k += 1
            if k == n:
                return out
            number, i = leaf.next, 0

    def page(self, start, stop):
        """Return name and score of the entries at the places from ``start`` up to but not ``stop``. O(log n + entries).

        Places beyond the last are ignored, and negative ones are taken for 0.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.page(0, 1), index.page(1, 20), index.page(2, 20)
        ([('v', 2077)], [('silverhand', 34)], [])
        """
        return self.entries(start, stop)

    def place_of_score(self, score):
        """Return the place of the first entry with this score, or that it would have: how many entries are better.

        O(log n). An infinite score is allowed here.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.place_of_score(35), index.place_of_score(34), index.place_of_score(33)
        (1, 1, 2)
        """
        return place_of_key(&self.core, key_of_bound(score, self.core.descending))

    def rank_of_score(self, score):
        """Return the rank of the first entry with this score, or that it would have. O(log n).

        An infinite score is allowed here.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.rank_of_score(35), index.rank_of_score(34), index.rank_of_score(33)
        (1, 1, 2)
        """
        return rank_of_key(&self.core, key_of_bound(score, self.core.descending))

    def place_after(self, str name not None, score, u64 sequence=0, i64 tick=-1):
        """Return the place of the first entry that comes after ``name`` with this score and sequence. O(log n).

        That is how many entries are before or at that position, whether the name is there, elsewhere or nowhere.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34), index.put("johnny", 34)
        (True, True, True)
        >>> index.place_after("silverhand", 34), index.place_after("nobody", 34), index.place_after("v", 33)
        (2, 2, 3)
        """
        cdef Probe p
        probe(&self.core, name, score, sequence, &p)
        probe_date(&self.core, tick, &p)
        return place_after(&self.core, &p)

    def places(self, low, high):
        """Return the places of the entries with scores from ``low`` to ``high``: the first, and that after the last.

        O(log n). Both bounds are included, and may be infinite. If there is no such entry, both are the place that one
        would have.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.places(0, 100), index.places(100, 200)
        ((1, 2), (1, 1))
        """
        cdef u64 first, stop
        self.between(low, high, &first, &stop)
        return first, stop

    def count(self, low, high):
        """Return the number of entries with scores from ``low`` to ``high``, both included. O(log n).

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.count(34, 2077), index.count(35, float("inf"))
        (2, 1)
        """
        cdef u64 first, stop
        self.between(low, high, &first, &stop)
        return stop - first

    def is_whole(self):
        """Return whether all scores are whole numbers. O(n), a nanosecond or two an entry.

        >>> index = Index()
        >>> index.put("v", 2077), index.is_whole(), index.put("silverhand", 3.4), index.is_whole()
        (True, True, True, False)
        """
        return core_is_whole(&self.core)

    def dump(self, start, stop):
        """Return the entries at those places as bytes, as :meth:`load` takes them. O(log n + entries).

        An entry is its score (a double), its sequence (8 bytes) if the index keeps them, the length of its name less
        1 (one byte) and its name, all little-endian.

        >>> index = Index()
        >>> _ = index.put("v", 1)
        >>> index.dump(0, 1)
        b'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00v'
        """
        cdef u64 first, after, size
        cdef bytes packed
        self.clip(start, stop, &first, &after)
        size = core_pack(&self.core, first, after, NULL)
        packed = PyBytes_FromStringAndSize(NULL, size)
        core_pack(&self.core, first, after, PyBytes_AS_STRING(packed))
        return packed

    def load(self, chunks, *, bint sequences=True):
        """Fill this index with packed entries. O(n), or O(n log n) if they are not in the board's order.

        Each chunk holds whole entries; with ``sequences`` as :meth:`dump` of such an index returns them, without
        each has the sequence 0. Raises ValueError if the index is not empty, if the bytes are not packed entries, or if
        a name is there twice; the index is as it was then.

        >>> index, other = Index(), Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> other.load([index.dump(0, 1), index.dump(1, 2)])
        >>> other.page(0, 2)
        [('v', 2077), ('silverhand', 34)]
        """
        cdef Index fresh = Index()
        cdef Load state
        if self.core.tree.n:
            raise ValueError("only an empty index can be loaded")
        core_start(&fresh.core, &self.core)
        state.last, state.unsorted = NONE, False
        state.sequences = sequences and self.core.names.length_at
        for chunk in chunks:
            fresh.append(chunk, &state)
        check_outcome(load_finish(&fresh.core, &state))
        if self.core.tree.n:
            raise ValueError("the index was filled while it was loaded")
        self.core, fresh.core = fresh.core, self.core

    def check(self):
        """Raise AssertionError if an invariant does not hold. O(n).

        >>> Index().check()
        """
        check_core(&self.core)

    cdef int append(self, bytes chunk, Load *state) except -1:
        cdef const char *at = PyBytes_AS_STRING(chunk)
        cdef const char *end = at + PyBytes_GET_SIZE(chunk)
        cdef Probe p
        while at < end:
            at = unpack_entry(&self.core, at, end, state.sequences, &p)
            if at == NULL:
                check_outcome(DAMAGED)
            if not is_ascii(p.name, p.size):
                PyUnicode_DecodeUTF8(p.name, p.size, "strict")
            check_outcome(load_entry(&self.core, state, &p))
        return 0

    cdef inline bint find(self, str name, u32 *number, u64 *ref) except -1:
        """Find a name's record and the leaf of its entry, and prefetch that; False if there is none."""
        cdef Core *c = &self.core
        cdef Probe p
        cdef Slot *slot
        probe_name(name, &p)
        slot = name_slot(&c.names, p.hashed, p.name, p.size)
        if slot == NULL:
            return False
        number[0], ref[0] = slot_leaf(slot), slot_ref(slot)
        leaf_prefetch(c, node_of(c, 0, number[0]))
        return True

    cdef int clip(self, start, stop, u64 *first, u64 *after) except -1:
        """Clip places as slices do, but take negative ones for 0."""
        cdef u64 n = self.core.tree.n
        after[0] = min(n, <u64>max(0, PyNumber_AsSsize_t(stop, NULL)))
        first[0] = min(after[0], <u64>max(0, PyNumber_AsSsize_t(start, NULL)))
        return 0

    cdef list entries(self, start, stop):
        cdef Core *c = &self.core
        cdef Layout *f = &c.tree.leaf
        cdef u64 first, after, n
        cdef u64 k = 0
        cdef u32 i, number
        cdef Head *leaf
        cdef list out
        cdef tuple entry
        self.clip(start, stop, &first, &after)
        n = after - first
        out = PyList_New(n)
        if n == 0:
            return out
        number = leaf_at(c, first, &i)
        while True:
            leaf = node_of(c, 0, number)
            records_prefetch(c, leaf, i, n - k)
            while i < leaf.n and k < n:
                entry = (name_of(c, ref_at(f, leaf, i)), score_of(c, keys_of(f, leaf)[i]))
                Py_INCREF(entry)
                PyList_SET_ITEM(out, k, entry)
                i += 1
                k += 1
            if k == n:
                return out
            number, i = leaf.next, 0

    cdef int between(self, low, high, u64 *first, u64 *stop) except -1:
        """The places of the entries with scores between two bounds."""
        cdef bint descending = self.core.descending
        cdef u64 before = key_of_bound(high if descending else low, descending)
        cdef u64 last = key_of_bound(low if descending else high, descending)
        first[0] = place_of_key(&self.core, before)
        stop[0] = place_of_key(&self.core, last + 1) if last >= before else first[0]
        return 0
