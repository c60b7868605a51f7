# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, embedsignature=True
"""The ranking index: who stands where, exactly.

Names are kept once, in records that a hash table finds (names.pxi); the order is a counted B+ tree of scores and
references to records (tree.pxi); both live in numbered chunks (memory.pxi). Every act is O(log n) or O(log n + entries
given): nothing is rebuilt on the side, and no act does work for all entries but those that say so.

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
from libc.math cimport isfinite, isnan

include "memory.pxi"
include "names.pxi"
include "tree.pxi"
include "bulk.pxi"
include "check.pxi"

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    object PyUnicode_New(Py_ssize_t, Py_UCS4)
    void *PyUnicode_DATA(object)
    object PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *)
    bint PyFloat_Check(object)
    bint PyLong_Check(object)
    double PyLong_AsDouble(object) except? -1.0
    ctypedef struct PyObject
    Py_ssize_t PyNumber_AsSsize_t(object, PyObject *) except? -1

cdef double EXACT = 9007199254740992.0      # 2^53: below it every int is a double


cdef double double_of(object score) except? -1.0:
    """A number as the double that it is."""
    cdef double d
    if PyFloat_Check(score):
        return PyFloat_AS_DOUBLE(score)
    if not PyLong_Check(score):
        raise TypeError(f"a score is an int or a float, not {type(score).__name__}")
    try:
        d = PyLong_AsDouble(score)
    except OverflowError:
        raise ValueError("the score is too great for a double") from None
    if not -EXACT < d < EXACT and int(d) != score:
        raise ValueError(f"the score {score} is not exactly a double")
    return d


cdef u64 key_of_score(object score, bint descending) except 0:
    cdef double d = double_of(score)
    if not isfinite(d):
        raise ValueError("a score must be finite")
    return key_of_double(d, descending)


cdef u64 key_of_bound(object score, bint descending) except 0:
    """The key of a score that is only asked for: it may be infinite."""
    cdef double d = double_of(score)
    if isnan(d):
        raise ValueError("a score must be a number")
    return key_of_double(d, descending)


cdef inline object score_of(const Core *c, u64 key):
    cdef double d = double_of_key(key, c.descending)
    if -EXACT < d < EXACT:
        if d == <double><long long>d:
            return PyLong_FromLongLong(<long long>d)
        return PyFloat_FromDouble(d)
    return PyLong_FromDouble(d)


cdef inline int probe_name(str name, Probe *p) except -1:
    cdef Py_ssize_t size = 0
    p.name = PyUnicode_AsUTF8AndSize(name, &size)
    if size == 0 or size > 256:
        raise ValueError(f"a name is 1 to 256 bytes of UTF-8, not {size}")
    p.size = <u32>size
    p.hashed = name_hash(p.name, p.size)
    return 0


cdef inline object name_of(const Core *c, u64 ref):
    cdef const char *r = record(&c.names, ref)
    cdef u32 size = name_size(&c.names, r)
    cdef object name
    if not is_ascii(name_bytes(&c.names, r), size):
        return PyUnicode_DecodeUTF8(name_bytes(&c.names, r), size, "strict")
    name = PyUnicode_New(size, 127)
    memcpy(PyUnicode_DATA(name), name_bytes(&c.names, r), size)
    return name


cdef int core_put(Core *c, Probe *p) noexcept nogil:
    """Put the probe on the board: 1 where it is new, 0 where it was there, or a problem."""
    cdef u32 target, number, i
    cdef u64 ref
    cdef Slot *slot
    cdef Head *leaf
    if root_reserve(c) < 0:
        return OUT_OF_MEMORY
    name_prefetch(&c.names, p.hashed)
    target = seek(c, p)
    slot = name_slot(&c.names, p.hashed, p.name, p.size)
    if slot == NULL:
        return core_add(c, p, target)
    ref, number = slot_ref(slot), slot_leaf(slot)
    leaf = node_of(c, 0, number)
    leaf_prefetch(c, leaf)
    i = place_in_leaf(c, leaf, ref)
    if keys_of(&c.tree.leaf, leaf)[i] == p.key and (not c.timed or read_64(record(&c.names, ref)) == p.sequence):
        return 0
    if number == target:
        leaf_move(c, p, ref, number, i)
    else:
        if tree_reserve(c, target) < 0:
            return OUT_OF_MEMORY
        if tree_drop(c, number, i):
            target = seek(c, p)
        slot_set(slot, ref, tree_add(c, p, ref, target))
    if c.timed:
        write_64(record(&c.names, ref), p.sequence)
    return 0


cdef int core_add(Core *c, Probe *p, u32 target) noexcept nogil:
    if c.tree.n >= MOST_ENTRIES:
        return OUT_OF_ROOM
    if record_reserve(&c.names, units_for(&c.names, p.size)) < 0 or table_reserve(&c.names, p.hashed) < 0:
        return OUT_OF_MEMORY
    if tree_reserve(c, target) < 0:
        return OUT_OF_MEMORY
    cdef u64 ref = record_write(&c.names, p.name, p.size, p.sequence)
    slot_add(&c.names, p.hashed, ref, tree_add(c, p, ref, target))
    return 1


cdef int core_remove(Core *c, Probe *p) noexcept nogil:
    """Take the probe's name off the board: 1 where it was there, 0 where not, or a problem."""
    cdef Slot *slot = name_slot(&c.names, p.hashed, p.name, p.size)
    cdef u64 ref
    cdef u32 number
    if slot == NULL:
        return 0
    if c.tree.n == 1:
        core_clear(c)
        return 1
    if freed_reserve(&c.names) < 0:
        return OUT_OF_MEMORY
    ref, number = slot_ref(slot), slot_leaf(slot)
    tree_drop(c, number, place_in_leaf(c, node_of(c, 0, number), ref))
    slot_drop(&c.names, p.hashed, slot)
    record_list(&c.names, ref, units_for(&c.names, p.size))
    return 1


cdef void core_clear(Core *c) noexcept nogil:
    names_end(&c.names)
    tree_end(&c.tree)


cdef int trouble(int outcome) except -1:
    """Raise what a negative outcome means; hand on any other."""
    if outcome == OUT_OF_MEMORY:
        raise MemoryError
    if outcome == OUT_OF_ROOM:
        raise OverflowError("an index holds at most 4,294,967,294 entries")
    if outcome == DAMAGED:
        raise ValueError("the packed entries are damaged")
    if outcome == DUPLICATE:
        raise ValueError("a name is there twice")
    return outcome


@cython.final
cdef class Index:
    """Names and their scores, in order.

    ``ties`` says who stands first among equal scores: by "name", or of the ``sequence`` given to :meth:`put` the
    "earliest" (least) or the "latest" (greatest), and then by name. By name is by the bytes of UTF-8: A before Z where
    ascending, Z before A where descending. Scores are doubles; whole ones are given back as ``int``. ``leaf`` and
    ``fan`` are the most entries of a leaf and children of an inner node.
    """

    cdef Core core

    def __cinit__(self, *, bint descending=True, str ties not None="name", u32 leaf=62, u32 fan=64):
        if ties not in ("name", "earliest", "latest"):
            raise ValueError(f"ties are by name, earliest or latest, not {ties!r}")
        if not 4 <= leaf <= 1024 or not 4 <= fan <= 1024:
            raise ValueError("leaf and fan are from 4 to 1024")
        self.core.descending = descending
        self.core.timed = ties != "name"
        self.core.latest = ties == "latest"
        names_start(&self.core.names, self.core.timed)
        tree_start(&self.core.tree, leaf, fan)

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
        """Give ``name`` this score and sequence in place of any it had; tell whether it is new. O(log n).

        The sequence, from 0 to 2^64 - 1, matters and is kept only where ties are by it. Raises ValueError for a name
        of no or of more than 256 bytes, and for a score that is not finite or not exactly a double.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("v", 2078)
        (True, False)
        """
        cdef Probe p
        probe_name(name, &p)
        p.key = key_of_score(score, self.core.descending)
        p.sequence = stored_sequence(&self.core, sequence)
        return trouble(core_put(&self.core, &p)) == 1

    def remove(self, str name not None):
        """Take ``name`` off; tell whether it was there. O(log n).

        >>> index = Index()
        >>> index.put("v", 2077), index.remove("v"), index.remove("v")
        (True, True, False)
        """
        cdef Probe p
        probe_name(name, &p)
        return trouble(core_remove(&self.core, &p)) == 1

    def clear(self):
        """Take all names off, and give the memory back. O(n / 2,000).

        >>> index = Index()
        >>> _ = index.put("v", 2077)
        >>> index.clear()
        >>> len(index)
        0
        """
        core_clear(&self.core)

    def score(self, str name not None):
        """Give the score of ``name``, or None where it is not there. O(1).

        >>> index = Index()
        >>> _ = index.put("v", 20.77)
        >>> index.score("v"), index.score("nobody")
        (20.77, None)
        """
        cdef Core *c = &self.core
        cdef Head *leaf
        cdef Probe p
        cdef Slot *slot
        probe_name(name, &p)
        slot = name_slot(&c.names, p.hashed, p.name, p.size)
        if slot == NULL:
            return None
        leaf = node_of(c, 0, slot_leaf(slot))
        return score_of(c, keys_of(&c.tree.leaf, leaf)[place_in_leaf(c, leaf, slot_ref(slot))])

    def standing(self, str name not None):
        """Give score and rank of ``name``, or None where it is not there. O(log n).

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.standing("silverhand")
        (34, 1)
        """
        cdef Core *c = &self.core
        cdef Head *leaf
        cdef Probe p
        cdef Slot *slot
        cdef u64 rank
        cdef u32 i
        probe_name(name, &p)
        slot = name_slot(&c.names, p.hashed, p.name, p.size)
        if slot == NULL:
            return None
        leaf = node_of(c, 0, slot_leaf(slot))
        leaf_prefetch(c, leaf)
        rank = rank_above(c, slot_leaf(slot))
        i = place_in_leaf(c, leaf, slot_ref(slot))
        return score_of(c, keys_of(&c.tree.leaf, leaf)[i]), i + rank

    def rank_of_score(self, score):
        """Give the rank of the first entry with this score, or that it would have. O(log n).

        That is how many entries stand before every entry with the score. An infinite score is good here.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.rank_of_score(35), index.rank_of_score(34), index.rank_of_score(33)
        (1, 1, 2)
        """
        return rank_of_key(&self.core, key_of_bound(score, self.core.descending))

    def rank_after(self, str name not None, score, u64 sequence=0):
        """Give the rank of the first entry that stands after ``name`` with this score and sequence. O(log n).

        That is how many entries stand before or at that place, whether the name stands there, elsewhere or nowhere.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34), index.put("johnny", 34)
        (True, True, True)
        >>> index.rank_after("silverhand", 34), index.rank_after("nobody", 34), index.rank_after("v", 33)
        (2, 2, 3)
        """
        cdef Probe p
        probe_name(name, &p)
        p.key = key_of_score(score, self.core.descending)
        p.sequence = stored_sequence(&self.core, sequence)
        return rank_of_place(&self.core, &p)

    def count(self, low, high):
        """Give the number of entries with scores from ``low`` to ``high``, both included. O(log n).

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.count(34, 2077), index.count(35, float("inf"))
        (2, 1)
        """
        cdef u64 first, stop
        self.between(low, high, &first, &stop)
        return stop - first

    def page(self, start, stop):
        """Give the entries of rank ``start`` up to but not including ``stop``. O(log n + entries).

        Ranks that are not there give nothing, and negative ones are 0.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.page(0, 1), index.page(1, 20), index.page(2, 20)
        ([('v', 2077)], [('silverhand', 34)], [])
        """
        return self.entries(start, stop)

    def range(self, low, high, limit):
        """Give the entries with scores from ``low`` to ``high``, and the rank of the first. O(log n + entries).

        At most ``limit`` are given. Both bounds are included, and may be infinite. Where there is no entry, the rank is
        that which one would have.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> index.range(0, 100, 10)
        (1, [('silverhand', 34)])
        """
        cdef u64 first, stop
        cdef Py_ssize_t most = max(0, PyNumber_AsSsize_t(limit, NULL))
        self.between(low, high, &first, &stop)
        return first, self.entries(first, min(stop, first + <u64>most))

    def around(self, str name not None, span):
        """Give ``name`` with up to ``span`` entries before and after it, and the rank of the first. O(log n + entries).

        None where the name is not there.

        >>> index = Index()
        >>> index.put("v", 2077), index.put("silverhand", 34), index.put("johnny", 33)
        (True, True, True)
        >>> index.around("johnny", 1)
        (1, [('silverhand', 34), ('johnny', 33)])
        """
        cdef object standing = self.standing(name)
        cdef Py_ssize_t rank, reach
        if standing is None:
            return None
        rank = standing[1]
        reach = min(<Py_ssize_t>self.core.tree.n, max(0, PyNumber_AsSsize_t(span, NULL)))
        return max(0, rank - reach), self.entries(max(0, rank - reach), rank + reach + 1)

    def dump(self, start, stop):
        """Give the entries of those ranks packed, as :meth:`load` takes them. O(log n + entries).

        An entry is its score (a double), its sequence (8 bytes) where ties are by that, the length of its name less 1
        (one byte) and its name, all little-endian.

        >>> index = Index()
        >>> _ = index.put("v", 1)
        >>> index.dump(0, 1)
        b'\\x00\\x00\\x00\\x00\\x00\\x00\\xf0?\\x00v'
        """
        cdef Core *c = &self.core
        cdef u64 first, after, size
        cdef bytes packed
        self.clip(start, stop, &first, &after)
        size = self.packed(first, after, NULL)
        packed = PyBytes_FromStringAndSize(NULL, size)
        self.packed(first, after, PyBytes_AS_STRING(packed))
        return packed

    def load(self, chunks):
        """Fill this index with packed entries. O(n), or O(n log n) where they are not in the board's order.

        Each chunk holds whole entries. Raises ValueError where the index is not empty, where the bytes are not packed
        entries, and where a name is there twice; the index is as it was then.

        >>> index, other = Index(), Index()
        >>> index.put("v", 2077), index.put("silverhand", 34)
        (True, True)
        >>> other.load([index.dump(0, 1), index.dump(1, 2)])
        >>> other.page(0, 2)
        [('v', 2077), ('silverhand', 34)]
        """
        cdef Index fresh
        cdef Load state
        if self.core.tree.n:
            raise ValueError("only an empty index can be loaded")
        fresh = Index(
            descending=self.core.descending,
            ties=("latest" if self.core.latest else "earliest") if self.core.timed else "name",
            leaf=self.core.tree.most,
            fan=self.core.tree.fan,
        )
        state.last, state.unsorted = NONE, False
        for chunk in chunks:
            fresh.append(chunk, &state)
        trouble(load_finish(&fresh.core, &state))
        if self.core.tree.n:
            raise ValueError("the index was filled while it was loaded")
        self.core, fresh.core = fresh.core, self.core

    def check(self):
        """Raise AssertionError where the index is not as it must be. O(n).

        >>> Index().check()
        """
        check_core(&self.core)

    cdef int append(self, bytes chunk, Load *state) except -1:
        cdef const char *at = PyBytes_AS_STRING(chunk)
        cdef const char *end = at + PyBytes_GET_SIZE(chunk)
        cdef Probe p
        while at < end:
            at = unpack_entry(&self.core, at, end, &p)
            if at == NULL:
                trouble(DAMAGED)
            if not is_ascii(p.name, p.size):
                PyUnicode_DecodeUTF8(p.name, p.size, "strict")
            trouble(load_entry(&self.core, state, &p))
        return 0

    cdef int clip(self, start, stop, u64 *first, u64 *after) except -1:
        """Ranks as slices take them, but for the negative, which are 0."""
        cdef u64 n = self.core.tree.n
        after[0] = min(n, <u64>max(0, PyNumber_AsSsize_t(stop, NULL)))
        first[0] = min(after[0], <u64>max(0, PyNumber_AsSsize_t(start, NULL)))
        return 0

    cdef int between(self, low, high, u64 *first, u64 *stop) except -1:
        """The ranks of the entries with scores between two bounds."""
        cdef bint descending = self.core.descending
        cdef u64 before = key_of_bound(high if descending else low, descending)
        cdef u64 last = key_of_bound(low if descending else high, descending)
        first[0] = rank_of_key(&self.core, before)
        stop[0] = rank_of_key(&self.core, last + 1) if last >= before else first[0]
        return 0

    cdef list entries(self, start, stop):
        cdef Core *c = &self.core
        cdef Layout *f = &c.tree.leaf
        cdef u64 first, after, k, n
        cdef u32 i, j, number
        cdef Head *leaf
        cdef list out
        cdef tuple entry
        self.clip(start, stop, &first, &after)
        n, k = after - first, 0
        out = PyList_New(n)
        if n == 0:
            return out
        number = leaf_at(c, first, &i)
        while True:
            leaf = node_of(c, 0, number)
            for j in range(i, <u32>min(<u64>leaf.n, i + n - k)):
                PREFETCH(record(&c.names, ref_at(f, leaf, j)))
            while i < leaf.n and k < n:
                entry = (name_of(c, ref_at(f, leaf, i)), score_of(c, keys_of(f, leaf)[i]))
                Py_INCREF(entry)
                PyList_SET_ITEM(out, k, entry)
                i += 1
                k += 1
            if k == n:
                return out
            number, i = leaf.next, 0

    cdef u64 packed(self, u64 first, u64 after, char *out) noexcept nogil:
        """Write the entries of those ranks to `out`, where it is not NULL; give their size."""
        cdef Core *c = &self.core
        cdef Layout *f = &c.tree.leaf
        cdef u64 size = 0
        cdef u32 i, j, number
        cdef Head *leaf
        cdef const char *r
        if first == after:
            return 0
        number = leaf_at(c, first, &i)
        while first < after:
            leaf = node_of(c, 0, number)
            for j in range(i, leaf.n):
                PREFETCH(record(&c.names, ref_at(f, leaf, j)))
            while i < leaf.n and first < after:
                r = record(&c.names, ref_at(f, leaf, i))
                size += packed_size(c, r)
                if out != NULL:
                    out = pack_entry(c, keys_of(f, leaf)[i], r, out)
                i += 1
                first += 1
            number, i = leaf.next, 0
        return size
