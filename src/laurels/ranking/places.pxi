# Places: where an entry is or would be, and what its rank is.
#
# A place is a position in the order, from 0. It is read upwards from an entry's leaf (tree.pxi), or downwards for a
# score or a probe. The rank is what the ranking makes of it: the place itself; the number of entries that are better,
# which is the place of the first of those with the very score; or the number of scores that are better (dense.pxi).

cdef enum:
    ORDINAL
    COMPETITION
    DENSE


cdef int compare(Core *c, u64 ref, const Probe *p) noexcept nogil:
    """Less than, equal to or greater than 0 as the record is before, at or after a probe of its own key."""
    cdef const char *r = record(&c.names, ref)
    cdef u64 sequence, moment
    cdef int side
    if c.timed:
        sequence = read_64(r)
        if (sequence | p.dated) & DATED:
            moment = record_moment(&c.names, r)
            if moment != p.moment:
                return -1 if moment < p.moment else 1
            sequence &= ~DATED
        if sequence != p.sequence:
            return -1 if sequence < p.sequence else 1
    side = order_of(name_bytes(&c.names, r), name_size(&c.names, r), p.name, p.size)
    return -side if c.descending else side


cdef u32 place(Core *c, const Layout *f, Head *node, const Probe *p) noexcept nogil:
    """How many of a node's entries are before or at the probe."""
    cdef u64 *keys = keys_of(f, node)
    cdef u32 i = less_than(keys, node.n, p.key)
    cdef u32 stop, middle
    if i < node.n and keys[i] == p.key:
        stop = i + less_than(keys + i, node.n - i, p.key + 1)
        while i < stop:
            middle = (i + stop) >> 1    # the next is one of two: both are on their way while this one is compared
            PREFETCH(record(&c.names, ref_at(f, node, (i + middle) >> 1)))
            PREFETCH(record(&c.names, ref_at(f, node, (middle + stop) >> 1)))
            if compare(c, ref_at(f, node, middle), p) <= 0:
                i = middle + 1
            else:
                stop = middle
    return i


cdef inline void keys_prefetch(const Layout *f, Head *node) noexcept nogil:
    cdef u32 i
    PREFETCH(node)
    for i in range(0, 8 * f.cap, 64):
        PREFETCH(<char *>node + f.keys + i)


cdef inline void leaf_prefetch(Core *c, Head *leaf) noexcept nogil:
    cdef u32 i
    for i in range(0, c.tree.leaf.stride, 64):
        PREFETCH(<char *>leaf + i)


cdef inline void records_prefetch(Core *c, Head *leaf, u32 i, u64 most) noexcept nogil:
    cdef u32 j
    for j in range(i, <u32>min(<u64>leaf.n, i + most)):
        PREFETCH(record(&c.names, ref_at(&c.tree.leaf, leaf, j)))


cdef u32 seek(Core *c, const Probe *p) noexcept nogil:
    """The leaf where the probe is or would be."""
    cdef u32 number = c.tree.root
    cdef u32 level, i
    cdef Head *node
    for level in range(c.tree.height, 0, -1):
        node = node_of(c, level, number)
        i = place(c, &c.tree.inner, node, p)
        number = children_of(node)[i - (i > 0)]
        if level > 1:
            keys_prefetch(&c.tree.inner, node_of(c, level - 1, number))
        else:
            leaf_prefetch(c, node_of(c, 0, number))
    return number


cdef inline u32 place_in_leaf(Core *c, Head *leaf, u64 ref) noexcept nogil:
    cdef Layout *f = &c.tree.leaf
    cdef u32 i = place_of(lo_of(f, leaf), f.cap, <u32>ref)
    while ref_at(f, leaf, i) != ref:
        i += 1
    return i


cdef u64 places_above(Core *c, u32 number) noexcept nogil:
    """How many entries are before the first of a leaf."""
    cdef u32 above = parent_of(c, 0, number)[0]
    cdef u32 i
    cdef u64 before = 0
    cdef Head *parent
    while above != NONE:
        parent = node_of(c, 1, above)
        i = place_of(children_of(parent), c.tree.inner.cap, number)
        before += sum_of(counts_of(&c.tree.inner, parent), i, c.tree.inner.cap)
        number, above = above, parent.parent
    return before


cdef u64 place_of_key(Core *c, u64 key) noexcept nogil:
    """How many entries have a lesser key."""
    cdef u32 number = c.tree.root
    cdef u32 level, i
    cdef u64 before = 0
    cdef Head *node
    if c.tree.n == 0:
        return 0
    for level in range(c.tree.height, 0, -1):
        node = node_of(c, level, number)
        i = less_than(keys_of(&c.tree.inner, node), node.n, key)
        i -= i > 0
        before += sum_of(counts_of(&c.tree.inner, node), i, c.tree.inner.cap)
        number = children_of(node)[i]
    node = node_of(c, 0, number)
    return before + less_than(keys_of(&c.tree.leaf, node), node.n, key)


cdef u64 place_after(Core *c, const Probe *p) noexcept nogil:
    """How many entries are before or at the probe."""
    cdef u32 number = c.tree.root
    cdef u32 level, i
    cdef u64 before = 0
    cdef Head *node
    if c.tree.n == 0:
        return 0
    for level in range(c.tree.height, 0, -1):
        node = node_of(c, level, number)
        i = place(c, &c.tree.inner, node, p)
        i -= i > 0
        before += sum_of(counts_of(&c.tree.inner, node), i, c.tree.inner.cap)
        number = children_of(node)[i]
    return before + place(c, &c.tree.leaf, node_of(c, 0, number), p)


cdef u32 leaf_at(Core *c, u64 place, u32 *i) noexcept nogil:
    """The leaf of the entry at that place, and its place in that."""
    cdef u32 number = c.tree.root
    cdef u32 level, j
    cdef u32 *counts
    cdef Head *node
    for level in range(c.tree.height, 0, -1):
        node = node_of(c, level, number)
        counts = counts_of(&c.tree.inner, node)
        j = 0
        while place >= counts[j]:
            place -= counts[j]
            j += 1
        number = children_of(node)[j]
    i[0] = <u32>place
    return number


# Ranks


cdef inline u64 rank_of_entry(Core *c, u32 number, u32 i) noexcept nogil:
    """The rank of the entry at place `i` of a leaf."""
    if c.ranking == ORDINAL:
        return places_above(c, number) + i
    return dense_rank(c, number, i) if c.ranking == DENSE else competition_rank(c, number, i)


cdef inline u64 rank_of_ref(Core *c, u32 number, u64 ref, u32 *i) noexcept nogil:
    """The rank of an entry of a leaf, and its place there; the way up is read while the leaf is being fetched."""
    cdef u64 rank = places_above(c, number) if c.ranking == ORDINAL else 0
    i[0] = place_in_leaf(c, node_of(c, 0, number), ref)
    return rank + i[0] if c.ranking == ORDINAL else rank_of_entry(c, number, i[0])


cdef u64 competition_rank(Core *c, u32 number, u32 i) noexcept nogil:
    """The place of the first entry with the key of that at place `i` of a leaf."""
    cdef Head *leaf = node_of(c, 0, number)
    cdef u64 *keys = keys_of(&c.tree.leaf, leaf)
    i = less_than(keys, leaf.n, keys[i])
    return places_above(c, number) + i if i else place_of_key(c, keys[0])


cdef u64 rank_of_key(Core *c, u64 key) noexcept nogil:
    """The rank of the first entry with that key, or that it would have."""
    cdef u64 place = place_of_key(c, key)
    cdef u32 number, i
    if c.ranking != DENSE or place == 0:
        return place
    number = leaf_at(c, place - 1, &i)
    return dense_rank(c, number, i) + 1
