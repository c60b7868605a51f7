# The tree: a counted B+ tree, which is the order of the entries.
#
# A leaf holds the keys of its entries (the score as 64 bits that are ordered as the board orders scores, so "less"
# always means "before") and the refs of their records, as parallel arrays, in order. An inner node holds for each child
# the child's number, how many entries are under it, and the key and ref of the first of them. The parent of every node
# is known (of leaves in an array of its own), and of every entry the leaf (in the table). Hence
#
# - a rank is read upwards: the place in the leaf plus, at each level, the counts left of the child. No score and no
#   name is compared, so ties cost a standing nothing; and as the parents of leaves are few enough for the cache, the
#   way up does not wait for the leaf;
# - a score is looked for downwards by keys alone; names are compared only if a node has that very key;
# - an update goes down first, with the new score, which brings the target leaf into the cache while the old place is
#   looked up; if both are one leaf it is one move of memory, and no count changes.
#
# If the ranking is dense, an inner node also holds for each child how many of the entries under it are the first of
# their score, on the whole board: dense.pxi.
#
# A full node first shares with a neighbour that has a quarter free, and splits only if none has: random inserts
# leave leaves three quarters full. A node under two fifths is merged with a neighbour if both together fill no more
# than four fifths, and shares otherwise. Entries that change leaves are looked up in the table, about one an insert.
#
# A board of one leaf has it as small as it can be; the leaf is replaced by greater ones until it has its full size.

cdef enum:
    HEAD = 16
    BATCH = 32          # a step of `range` must be a literal in code without Python: 32 is this

cdef struct Head:
    u32 parent, next, before, n     # parent: of inner nodes, and the link of spare ones; next and before: of leaves

cdef struct Layout:
    u32 cap, low        # the most items of a node, and the fewest
    u32 merged, roomy   # the most after a merge, and the most that a neighbour may have to share with
    u32 stride, count, firsts, keys, lo, hi     # bytes: of a node, and where its arrays begin; children begin at HEAD

cdef struct Tree:
    Chunks leaves, inners
    Chunks parents      # of each leaf, by its number
    Layout leaf, inner
    u32 most, fan       # caps of full-grown nodes
    u32 height          # levels of inner nodes
    u32 root
    u32 freed[2]        # heads of the lists of freed leaves, inner nodes; the list runs through `parent`
    u32 spare[2]        # their lengths
    u64 n

cdef struct Core:
    Names names
    Tree tree
    bint descending
    bint timed          # ties are by the sequence
    bint latest         # with the greatest first
    u32 operator, ranking

cdef struct Probe:
    u64 key, sequence, hashed
    u64 moment, dated       # when it counts as of, if it is DATED, else 0: then that is in its sequence
    const char *name
    u32 size


# Nodes


cdef void layout_start(Layout *f, u32 cap, u32 arrays) noexcept nogil:
    """Lay out leaves (0 arrays besides those of entries), inner nodes (2) or inner nodes of a dense ranking (3)."""
    f.cap = cap
    f.low = max(<u32>(2 if arrays else 1), 2 * cap // 5)
    f.merged = max(2 * f.low - 1, 4 * cap // 5)
    f.roomy = cap - max(<u32>2, cap // 4)
    f.count = HEAD + 4 * cap
    f.firsts = HEAD + 8 * cap if arrays == 3 else 0
    f.lo = HEAD + 4 * cap * arrays
    f.keys = (f.lo + 4 * cap + 7) & ~<u32>7
    f.hi = f.keys + 8 * cap
    f.stride = max(f.hi + cap, HEAD + 4 * ((cap + 15) & ~<u32>15))    # `place_of` reads sixteen at a time
    f.stride = (f.stride + 63) & ~<u32>63 if f.stride > 448 else (f.stride + 7) & ~<u32>7


cdef inline Layout *layout_of(Core *c, u32 level) noexcept nogil:
    return &c.tree.inner if level else &c.tree.leaf


cdef inline Head *node_of(Core *c, u32 level, u32 number) noexcept nogil:
    return <Head *>item(&c.tree.inners if level else &c.tree.leaves, number)


cdef inline u64 *keys_of(const Layout *f, Head *node) noexcept nogil:
    return <u64 *>(<char *>node + f.keys)


cdef inline u32 *lo_of(const Layout *f, Head *node) noexcept nogil:
    return <u32 *>(<char *>node + f.lo)


cdef inline u8 *hi_of(const Layout *f, Head *node) noexcept nogil:
    return <u8 *>node + f.hi


cdef inline u32 *children_of(Head *node) noexcept nogil:
    return <u32 *>(<char *>node + HEAD)


cdef inline u32 *counts_of(const Layout *f, Head *node) noexcept nogil:
    return <u32 *>(<char *>node + f.count)


cdef inline u32 *firsts_of(const Layout *f, Head *node) noexcept nogil:
    return <u32 *>(<char *>node + f.firsts)


cdef inline u64 ref_at(const Layout *f, Head *node, u32 i) noexcept nogil:
    return lo_of(f, node)[i] | <u64>hi_of(f, node)[i] << 32


cdef inline void entry_set(const Layout *f, Head *node, u32 i, u64 key, u64 ref) noexcept nogil:
    keys_of(f, node)[i] = key
    lo_of(f, node)[i] = <u32>ref
    hi_of(f, node)[i] = <u8>(ref >> 32)


cdef inline void entries_move(const Layout *f, Head *a, u32 i, Head *b, u32 j, u32 k) noexcept nogil:
    """Copy `k` items of node `a` from place `i` to place `j` of node `b`, which may be the same."""
    memmove(keys_of(f, b) + j, keys_of(f, a) + i, 8 * <size_t>k)
    memmove(lo_of(f, b) + j, lo_of(f, a) + i, 4 * <size_t>k)
    memmove(hi_of(f, b) + j, hi_of(f, a) + i, k)


cdef inline void items_move(const Layout *f, u32 level, Head *a, u32 i, Head *b, u32 j, u32 k) noexcept nogil:
    entries_move(f, a, i, b, j, k)
    if level:
        memmove(children_of(b) + j, children_of(a) + i, 4 * <size_t>k)
        memmove(counts_of(f, b) + j, counts_of(f, a) + i, 4 * <size_t>k)
        if f.firsts:
            memmove(firsts_of(f, b) + j, firsts_of(f, a) + i, 4 * <size_t>k)


cdef inline u32 *parent_of(Core *c, u32 level, u32 number) noexcept nogil:
    return &node_of(c, level, number).parent if level else <u32 *>item(&c.tree.parents, number)


cdef void slots_move(Core *c, u32 number, Head *leaf, u32 start, u32 stop) noexcept nogil:
    """Record in the table that the entries from `start` to `stop`, at most BATCH, are in this leaf."""
    cdef Layout *f = &c.tree.leaf
    cdef u64 hashes[BATCH]
    cdef u32 i
    for i in range(start, stop):
        PREFETCH(record(&c.names, ref_at(f, leaf, i)))
    for i in range(start, stop):
        hashes[i - start] = record_hash(&c.names, record(&c.names, ref_at(f, leaf, i)))
        name_prefetch(&c.names, hashes[i - start])
    for i in range(start, stop):
        slot_set(slot_of(&c.names, hashes[i - start], ref_at(f, leaf, i)), ref_at(f, leaf, i), number)


cdef void adopt(Core *c, u32 level, u32 number, Head *node, u32 start, u32 stop) noexcept nogil:
    """Let the children, or in a leaf the entries, from `start` to `stop` be known as this node's."""
    cdef u32 i
    if level:
        for i in range(start, stop):
            parent_of(c, level - 1, children_of(node)[i])[0] = number
    else:
        for i in range(start, stop, 32):
            slots_move(c, number, node, i, min(i + BATCH, stop))


cdef int nodes_reserve(Core *c, u32 kind, u32 k) noexcept nogil:
    """Keep at least `k` spare leaves (kind 0) or inner nodes (1); -1 if there is no memory."""
    cdef Tree *t = &c.tree
    cdef Chunks *of = &t.inners if kind else &t.leaves
    cdef u32 number
    while t.spare[kind] < k:
        if chunks_reserve(of) < 0 or (kind == 0 and chunks_reserve(&t.parents) < 0):
            return -1
        number = <u32>chunks_next(of)
        of.used += 1
        t.parents.used += kind == 0
        (<Head *>item(of, number)).parent = t.freed[kind]
        t.freed[kind] = number
        t.spare[kind] += 1
    return 0


cdef u32 node_take(Core *c, u32 level) noexcept nogil:
    """Hand out an empty node; `nodes_reserve` has made it."""
    cdef Tree *t = &c.tree
    cdef u32 kind = 1 if level else 0
    cdef u32 number = t.freed[kind]
    cdef Head *node = node_of(c, level, number)
    t.freed[kind] = node.parent
    t.spare[kind] -= 1
    node.next = node.before = NONE
    node.n = 0
    parent_of(c, level, number)[0] = NONE
    return number


cdef void node_drop(Core *c, u32 level, u32 number) noexcept nogil:
    cdef u32 kind = 1 if level else 0
    node_of(c, level, number).parent = c.tree.freed[kind]
    c.tree.freed[kind] = number
    c.tree.spare[kind] += 1


# Counts and firsts


cdef inline u32 weight(Core *c, u32 level, Head *node) noexcept nogil:
    """The entries under a node."""
    return sum_of(counts_of(&c.tree.inner, node), node.n, c.tree.inner.cap) if level else node.n


cdef void raise_first(Core *c, u32 level, u32 number) noexcept nogil:
    """Record a node's first entry in those nodes above it whose first it is too."""
    cdef Head *node = node_of(c, level, number)
    cdef Head *parent
    cdef Layout *f = layout_of(c, level)
    cdef u64 key = keys_of(f, node)[0]
    cdef u64 ref = ref_at(f, node, 0)
    cdef u32 i
    cdef u32 above = parent_of(c, level, number)[0]
    while above != NONE:
        parent = node_of(c, 1, above)
        i = place_of(children_of(parent), c.tree.inner.cap, number)
        entry_set(&c.tree.inner, parent, i, key, ref)
        if i:
            return
        number, above = above, parent.parent


cdef void child_update(Core *c, u32 level, Head *parent, u32 number, u32 i) noexcept nogil:
    """Record again the count and the first entry of child `i`, which is at `level`, of the inner node `number`."""
    cdef Head *child = node_of(c, level, children_of(parent)[i])
    cdef Layout *f = layout_of(c, level)
    counts_of(&c.tree.inner, parent)[i] = weight(c, level, child)
    if c.tree.inner.firsts:
        firsts_of(&c.tree.inner, parent)[i] = firsts_under(c, level, child)
    entry_set(&c.tree.inner, parent, i, keys_of(f, child)[0], ref_at(f, child, 0))
    if i == 0:
        raise_first(c, level + 1, number)


cdef inline void count_up(Core *c, u32 number, u32 change) noexcept nogil:
    """Add to the counts above a leaf, modulo 2^32."""
    cdef u32 above = parent_of(c, 0, number)[0]
    cdef Head *parent
    while above != NONE:
        parent = node_of(c, 1, above)
        counts_of(&c.tree.inner, parent)[place_of(children_of(parent), c.tree.inner.cap, number)] += change
        number, above = above, parent.parent


# Sharing, splitting, merging. Each leaves all counts above as they were.


cdef void share(Core *c, u32 level, u32 number, u32 i) noexcept nogil:
    """Even out children `i` and `i + 1` of the inner node `number`."""
    cdef Layout *f = layout_of(c, level)
    cdef Head *parent = node_of(c, level + 1, number)
    cdef u32 left = children_of(parent)[i]
    cdef u32 right = children_of(parent)[i + 1]
    cdef Head *a = node_of(c, level, left)
    cdef Head *b = node_of(c, level, right)
    cdef u32 want = (a.n + b.n + 1) >> 1
    cdef u32 k
    if a.n < want:
        k = want - a.n
        items_move(f, level, b, 0, a, a.n, k)
        items_move(f, level, b, k, b, 0, b.n - k)
        adopt(c, level, left, a, a.n, want)
        b.n -= k
    else:
        k = a.n - want
        items_move(f, level, b, 0, b, k, b.n)
        items_move(f, level, a, want, b, 0, k)
        adopt(c, level, right, b, 0, k)
        b.n += k
    a.n = want
    child_update(c, level, parent, number, i)
    child_update(c, level, parent, number, i + 1)


cdef void split(Core *c, u32 level, u32 number, u32 i) noexcept nogil:
    """Move the greater half of child `i` of the inner node `number`, which has room, to a new child after it."""
    cdef Layout *f = layout_of(c, level)
    cdef u32 fresh = node_take(c, level)
    cdef Head *parent = node_of(c, level + 1, number)
    cdef u32 left = children_of(parent)[i]
    cdef Head *a = node_of(c, level, left)
    cdef Head *b = node_of(c, level, fresh)
    cdef u32 keep = (a.n + 1) >> 1
    items_move(f, level, a, keep, b, 0, a.n - keep)
    b.n, a.n = a.n - keep, keep
    adopt(c, level, fresh, b, 0, b.n)
    parent_of(c, level, fresh)[0] = number
    if level == 0:
        b.next, b.before, a.next = a.next, left, fresh
        if b.next != NONE:
            node_of(c, 0, b.next).before = fresh
    items_move(&c.tree.inner, level + 1, parent, i + 1, parent, i + 2, parent.n - i - 1)
    children_of(parent)[i + 1] = fresh
    parent.n += 1
    child_update(c, level, parent, number, i)
    child_update(c, level, parent, number, i + 1)


cdef void merge(Core *c, u32 level, u32 number, u32 i) noexcept nogil:
    """Move all of child `i + 1` of the inner node `number` to child `i`, and drop it."""
    cdef Layout *f = layout_of(c, level)
    cdef Head *parent = node_of(c, level + 1, number)
    cdef u32 left = children_of(parent)[i]
    cdef u32 right = children_of(parent)[i + 1]
    cdef Head *a = node_of(c, level, left)
    cdef Head *b = node_of(c, level, right)
    items_move(f, level, b, 0, a, a.n, b.n)
    a.n += b.n
    adopt(c, level, left, a, a.n - b.n, a.n)
    if level == 0:
        a.next = b.next
        if a.next != NONE:
            node_of(c, 0, a.next).before = left
    node_drop(c, level, right)
    items_move(&c.tree.inner, level + 1, parent, i + 2, parent, i + 1, parent.n - i - 2)
    parent.n -= 1
    child_update(c, level, parent, number, i)


cdef void root_raise(Core *c, u32 level) noexcept nogil:
    """Put a root of one child above the root."""
    cdef u32 number = node_take(c, level + 1)
    cdef Head *root = node_of(c, level + 1, number)
    children_of(root)[0] = c.tree.root
    root.n = 1
    parent_of(c, level, c.tree.root)[0] = number
    c.tree.root = number
    c.tree.height += 1
    child_update(c, level, root, number, 0)


cdef void make_room(Core *c, u32 level, u32 number) noexcept nogil:
    """Make room for one more in a full node, with nodes that are spare."""
    cdef Layout *f = layout_of(c, level)
    cdef Head *parent
    cdef u32 above, i
    if parent_of(c, level, number)[0] == NONE:
        root_raise(c, level)
    above = parent_of(c, level, number)[0]
    parent = node_of(c, level + 1, above)
    i = place_of(children_of(parent), c.tree.inner.cap, number)
    if i and node_of(c, level, children_of(parent)[i - 1]).n <= f.roomy:
        share(c, level, above, i - 1)
        return
    if i + 1 < parent.n and node_of(c, level, children_of(parent)[i + 1]).n <= f.roomy:
        share(c, level, above, i)
        return
    if parent.n == c.tree.inner.cap:
        make_room(c, level + 1, above)
        above = parent_of(c, level, number)[0]
        parent = node_of(c, level + 1, above)
        i = place_of(children_of(parent), c.tree.inner.cap, number)
    split(c, level, above, i)


cdef bint rebalance(Core *c, u32 level, u32 number) noexcept nogil:
    """Bring a node that may have too few items up to its least again; return whether entries changed leaves."""
    cdef Layout *f = layout_of(c, level)
    cdef Head *node = node_of(c, level, number)
    cdef Head *parent
    cdef u32 above = parent_of(c, level, number)[0]
    cdef u32 i
    if above == NONE:
        if level and node.n == 1:
            c.tree.root = children_of(node)[0]
            c.tree.height -= 1
            parent_of(c, level - 1, c.tree.root)[0] = NONE
            node_drop(c, level, number)
        return False
    if node.n >= f.low:
        return False
    parent = node_of(c, level + 1, above)
    i = place_of(children_of(parent), c.tree.inner.cap, number)
    if i:
        i -= 1
    if node_of(c, level, children_of(parent)[i]).n + node_of(c, level, children_of(parent)[i + 1]).n <= f.merged:
        merge(c, level, above, i)
        rebalance(c, level + 1, above)
    else:
        share(c, level, above, i)
    return True


# Changing


cdef int leaf_enlarge(Core *c) noexcept nogil:
    """Replace the only leaf by one with twice the room, up to that of a full-grown leaf; -1 if there is no memory."""
    cdef Tree *t = &c.tree
    cdef Tree fresh
    cdef u32 number
    cdef Head *old
    cdef Head *new
    memcpy(&fresh, t, sizeof(Tree))
    layout_start(&fresh.leaf, min(t.most, 2 * t.leaf.cap), 0)
    chunks_start(&fresh.leaves, fresh.leaf.stride, LEAF_BITS)
    fresh.parents.shift, fresh.parents.full, fresh.parents.most = (
        fresh.leaves.shift, fresh.leaves.full, fresh.leaves.most
    )
    if chunks_begin(&fresh.leaves) < 0 or chunks_enlarge(&fresh.leaves, 1) < 0:
        chunks_end(&fresh.leaves)
        return -1
    fresh.leaves.used = 1
    old, new = node_of(c, 0, t.root), <Head *>item(&fresh.leaves, 0)
    new[0] = old[0]
    memcpy(keys_of(&fresh.leaf, new), keys_of(&t.leaf, old), 8 * <size_t>old.n)
    memcpy(lo_of(&fresh.leaf, new), lo_of(&t.leaf, old), 4 * <size_t>old.n)
    memcpy(hi_of(&fresh.leaf, new), hi_of(&t.leaf, old), old.n)
    chunks_end(&t.leaves)
    memcpy(t, &fresh, sizeof(Tree))
    return 0


cdef void tree_start(Tree *t, u32 most, u32 fan, bint dense) noexcept nogil:
    memset(t, 0, sizeof(Tree))
    t.most, t.fan, t.root = most, fan, NONE
    t.freed[0] = t.freed[1] = NONE
    layout_start(&t.leaf, min(most, <u32>4), 0)
    layout_start(&t.inner, fan, 3 if dense else 2)
    chunks_start(&t.leaves, t.leaf.stride, LEAF_BITS)
    chunks_start(&t.inners, t.inner.stride, LEAF_BITS)
    t.parents = t.leaves
    t.parents.stride = 4


cdef void tree_end(Tree *t) noexcept nogil:
    chunks_end(&t.leaves)
    chunks_end(&t.parents)
    chunks_end(&t.inners)
    tree_start(t, t.most, t.fan, t.inner.firsts != 0)


cdef int tree_reserve(Core *c, u32 target) noexcept nogil:
    """Make sure that an entry can be added to the leaf; -1 if there is no memory. The leaf stays the right one."""
    cdef Tree *t = &c.tree
    if node_of(c, 0, target).n < t.leaf.cap:
        return 0
    if t.leaf.cap < t.most:
        return leaf_enlarge(c)
    if nodes_reserve(c, 1, t.height + 1) < 0:
        return -1
    return nodes_reserve(c, 0, 1)


cdef int root_reserve(Core *c) noexcept nogil:
    """Make the root of an empty tree; -1 if there is no memory."""
    if c.tree.root != NONE:
        return 0
    if nodes_reserve(c, 0, 1) < 0:
        return -1
    c.tree.root = node_take(c, 0)
    return 0


cdef u32 tree_add(Core *c, const Probe *p, u64 ref, u32 target) noexcept nogil:
    """Add an entry to the leaf that `seek` returned and `tree_reserve` made room in; return the leaf it came to."""
    cdef Layout *f = &c.tree.leaf
    cdef Head *leaf = node_of(c, 0, target)
    cdef u32 i
    if leaf.n == f.cap:
        make_room(c, 0, target)
        target = seek(c, p)
        leaf = node_of(c, 0, target)
    i = place(c, f, leaf, p)
    entries_move(f, leaf, i, leaf, i + 1, leaf.n - i)
    entry_set(f, leaf, i, p.key, ref)
    leaf.n += 1
    c.tree.n += 1
    count_up(c, target, 1)
    if i == 0:
        raise_first(c, 0, target)
    if c.tree.inner.firsts:
        firsts_update(c, target, i, 1)
    return target


cdef bint tree_drop(Core *c, u32 number, u32 i) noexcept nogil:
    """Take out the entry at place `i` of a leaf; return whether other entries changed leaves."""
    cdef Layout *f = &c.tree.leaf
    cdef Head *leaf = node_of(c, 0, number)
    if c.tree.inner.firsts:
        firsts_update(c, number, i, <u32>-1)
    leaf.n -= 1
    c.tree.n -= 1
    entries_move(f, leaf, i + 1, leaf, i, leaf.n - i)
    count_up(c, number, <u32>-1)
    if i == 0 and leaf.n:
        raise_first(c, 0, number)
    return leaf.n < f.low and rebalance(c, 0, number)


cdef void leaf_move(Core *c, const Probe *p, u64 ref, u32 number, u32 i) noexcept nogil:
    """Move the entry at place `i` of a leaf to the probe's place in the same leaf."""
    cdef Layout *f = &c.tree.leaf
    cdef Head *leaf = node_of(c, 0, number)
    cdef u32 j = place(c, f, leaf, p)
    if c.tree.inner.firsts:
        firsts_update(c, number, i, <u32>-1)
    if j > i:
        j -= 1
        entries_move(f, leaf, i + 1, leaf, i, j - i)
    else:
        entries_move(f, leaf, j, leaf, j + 1, i - j)
    entry_set(f, leaf, j, p.key, ref)
    if i == 0 or j == 0:
        raise_first(c, 0, number)
    if c.tree.inner.firsts:
        firsts_update(c, number, j, 1)
