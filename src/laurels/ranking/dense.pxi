# Dense ranks: how many scores are better, which is how many entries before are the first of their score, less one if
# the first of the entry's own score is among them.
#
# An entry is a *first* if the one before it has another score. Inner nodes count the firsts under each child as well as
# the entries (`firsts`). Whether the first entry of a leaf is one depends on the leaf before; all others are seen in
# the leaf itself. So a rank is read upwards as a place is, and never looks at another leaf: it is the number of firsts
# up to the end of the entry's leaf, by the counts above, less those after the entry, which are seen, less one.
#
# An entry that comes or goes changes only whether itself and the entry after it are firsts, and nothing at all if the
# one before it has its score. If the entry after it becomes or ceases to be a first in its stead, the number under a
# leaf changes only if that entry is in the next one. Sharing, splitting and merging make no entry a first, nor end it.
#
# That costs 4 bytes for each child of an inner node, a tenth of a byte an entry, and nothing if the ranking is another.
# A second tree of the distinct scores would take some 17 bytes for each of them, and another way down for every update.


cdef inline u32 changes_between(const u64 *keys, u32 start, u32 stop) noexcept nogil:
    """How many of the keys from `start`, which is not 0, to `stop` differ from the one before."""
    cdef u32 n = 0
    cdef u32 i
    for i in range(start, stop):
        n += keys[i] != keys[i - 1]
    return n


cdef inline bint follows_equal(Core *c, Head *leaf, u32 i) noexcept nogil:
    """Whether the entry before that at place `i` of a leaf has the same key."""
    cdef u64 *keys = keys_of(&c.tree.leaf, leaf)
    cdef Head *before
    if i:
        return keys[i - 1] == keys[i]
    if leaf.before == NONE:
        return False
    before = node_of(c, 0, leaf.before)
    return keys_of(&c.tree.leaf, before)[before.n - 1] == keys[0]


cdef u32 firsts_under(Core *c, u32 level, Head *node) noexcept nogil:
    if level:
        return sum_of(firsts_of(&c.tree.inner, node), node.n, c.tree.inner.cap)
    return changes_between(keys_of(&c.tree.leaf, node), 1, node.n) + (not follows_equal(c, node, 0))


cdef void firsts_up(Core *c, u32 number, u32 change) noexcept nogil:
    """Add to the firsts above a leaf, modulo 2^32."""
    cdef u32 above = parent_of(c, 0, number)[0]
    cdef Head *parent
    while above != NONE:
        parent = node_of(c, 1, above)
        firsts_of(&c.tree.inner, parent)[place_of(children_of(parent), c.tree.inner.cap, number)] += change
        number, above = above, parent.parent


cdef void firsts_update(Core *c, u32 number, u32 i, u32 change) noexcept nogil:
    """Count the entry at place `i` of a leaf, which has just come (1) or will go now (-1)."""
    cdef Head *leaf = node_of(c, 0, number)
    cdef u64 *keys = keys_of(&c.tree.leaf, leaf)
    if follows_equal(c, leaf, i):
        return
    if i + 1 < leaf.n:
        if keys[i + 1] == keys[i]:
            return
    elif leaf.next != NONE and keys_of(&c.tree.leaf, node_of(c, 0, leaf.next))[0] == keys[i]:
        firsts_up(c, leaf.next, 0 - change)
    firsts_up(c, number, change)


cdef u64 dense_rank(Core *c, u32 number, u32 i) noexcept nogil:
    """How many keys are less than that at place `i` of a leaf."""
    cdef Head *leaf = node_of(c, 0, number)
    cdef u64 *keys = keys_of(&c.tree.leaf, leaf)
    cdef u32 above = parent_of(c, 0, number)[0]
    cdef u32 own = 1
    cdef u64 firsts = 0
    cdef Head *parent
    if above == NONE:
        return changes_between(keys, 1, i + 1)
    while above != NONE:
        parent = node_of(c, 1, above)
        own += place_of(children_of(parent), c.tree.inner.cap, number)
        firsts += sum_of(firsts_of(&c.tree.inner, parent), own, c.tree.inner.cap)
        number, above, own = above, parent.parent, 0
    return firsts - changes_between(keys, i + 1, leaf.n) - 1
