# Bulk: entries from and to packed bytes.
#
# Packed, an entry is [f64 score][u64 sequence, on stamped boards][u64 tick, of dated ones][u8 length - 1][name],
# little-endian, with nothing between two; a chunk holds whole entries. Loading appends the entries to leaves, nine tenths full, as they come, and
# sees on the way whether they came in order. If not, they are sorted (the only time that needs memory besides the
# index: 32 bytes an entry) and written into the same leaves again. Then the table is made at its final size and filled,
# a batch at a time so that the slots' cache lines come in together; a name that is there already is a duplicate. Last,
# the inner levels are laid over the leaves from below. If anything fails, the caller discards the index.

cdef struct Load:
    u32 last        # the leaf that is being filled
    bint unsorted
    bint sequences  # whether the entries have them

cdef struct Pair:
    u64 key, ref


cdef inline u64 key_of_double(double score, bint descending) noexcept nogil:
    """The score as 64 bits that are ordered as the board orders scores."""
    cdef u64 bits
    score += 0.0        # -0.0 becomes 0.0
    memcpy(&bits, &score, 8)
    bits = ~bits if bits >> 63 else bits | (<u64>1 << 63)
    return ~bits if descending else bits


cdef inline double double_of_key(u64 key, bint descending) noexcept nogil:
    cdef double score
    if descending:
        key = ~key
    key = key & ~(<u64>1 << 63) if key >> 63 else ~key
    memcpy(&score, &key, 8)
    return score


cdef inline u64 stored_sequence(const Core *c, u64 sequence) noexcept nogil:
    """The sequence, or its complement if the latest come first, so that the lesser always comes first."""
    return sequence ^ ~DATED if c.latest else sequence


cdef inline u64 stored_moment(const Core *c, u64 tick) noexcept nogil:
    """The same for a tick; as it is half of a sequence, so is what is stored of it. Also the way back."""
    return stored_sequence(c, tick << 1) >> 1


cdef inline bint is_whole(double score) noexcept nogil:
    return score == floor(score)


cdef void probe_record(const Core *c, u64 key, u64 ref, Probe *p) noexcept nogil:
    cdef const char *r = record(&c.names, ref)
    p.key = key
    p.sequence = record_sequence(&c.names, r)
    p.moment, p.dated = record_moment(&c.names, r), record_dated(&c.names, r)
    p.name, p.size = name_bytes(&c.names, r), name_size(&c.names, r)


cdef int load_entry(Core *c, Load *l, const Probe *p) noexcept nogil:
    """Append an entry to the last leaf."""
    cdef Layout *f = &c.tree.leaf
    cdef u32 fresh
    cdef Head *leaf
    cdef u64 ref
    if c.tree.n >= MOST_ENTRIES:
        return OUT_OF_ROOM
    if record_reserve(&c.names, units_for(&c.names, p.size, p.dated)) < 0:
        return OUT_OF_MEMORY
    if c.tree.root == NONE:
        if root_reserve(c) < 0:
            return OUT_OF_MEMORY
        l.last = c.tree.root
    leaf = node_of(c, 0, l.last)
    if leaf.n and not l.unsorted and keys_of(f, leaf)[leaf.n - 1] >= p.key:
        l.unsorted = (
            keys_of(f, leaf)[leaf.n - 1] > p.key or compare(c, ref_at(f, leaf, leaf.n - 1), p) >= 0
        )
    if leaf.n == f.cap and f.cap < c.tree.most:
        if leaf_enlarge(c) < 0:
            return OUT_OF_MEMORY
    elif leaf.n == c.tree.most - c.tree.most // 10:
        if nodes_reserve(c, 0, 1) < 0:
            return OUT_OF_MEMORY
        fresh = node_take(c, 0)
        node_of(c, 0, l.last).next = fresh
        node_of(c, 0, fresh).before = l.last
        l.last = fresh
    leaf = node_of(c, 0, l.last)
    ref = record_write(&c.names, p.name, p.size, p.sequence, p.moment, p.dated)
    entry_set(f, leaf, leaf.n, p.key, ref)
    leaf.n += 1
    c.tree.n += 1
    return 0


cdef bint is_before(Core *c, const Pair *a, const Pair *b) noexcept nogil:
    cdef Probe p
    if a.key != b.key:
        return a.key < b.key
    probe_record(c, b.key, b.ref, &p)
    return compare(c, a.ref, &p) < 0


cdef Pair *pairs_sort(Core *c, Pair *a, Pair *b, u64 n) noexcept nogil:
    """Sort `a` by merging, with `b` as the other half of the work; return the one of them that holds the result."""
    cdef u64 width = 1
    cdef u64 start, middle, stop, i, j, k
    while width < n:
        start = 0
        while start < n:
            middle, stop = min(start + width, n), min(start + 2 * width, n)
            i, j = start, middle
            for k in range(start, stop):
                if j == stop or (i < middle and not is_before(c, &a[j], &a[i])):
                    b[k] = a[i]
                    i += 1
                else:
                    b[k] = a[j]
                    j += 1
            start = stop
        a, b = b, a
        width *= 2
    return a


cdef int entries_sort(Core *c) noexcept nogil:
    cdef u64 n = c.tree.n
    cdef Pair *pairs = <Pair *>resize(NULL, 2 * n * sizeof(Pair))
    cdef Pair *sorted_pairs
    cdef u32 number = c.tree.root
    cdef Layout *f = &c.tree.leaf
    cdef Head *leaf
    cdef u64 k = 0
    cdef u32 i
    if pairs == NULL:
        return OUT_OF_MEMORY
    while number != NONE:
        leaf = node_of(c, 0, number)
        for i in range(leaf.n):
            pairs[k].key, pairs[k].ref = keys_of(f, leaf)[i], ref_at(f, leaf, i)
            k += 1
        number = leaf.next
    sorted_pairs = pairs_sort(c, pairs, pairs + n, n)
    number, k = c.tree.root, 0
    while number != NONE:
        leaf = node_of(c, 0, number)
        for i in range(leaf.n):
            entry_set(f, leaf, i, sorted_pairs[k].key, sorted_pairs[k].ref)
            k += 1
        number = leaf.next
    free(pairs)
    return 0


cdef int names_build(Core *c) noexcept nogil:
    """Make and fill the table for the entries in the leaves."""
    cdef Names *t = &c.names
    cdef Layout *f = &c.tree.leaf
    cdef u64 hashes[BATCH]
    cdef u32 number = c.tree.root
    cdef u32 depth = 0
    cdef u32 start, i, stop
    cdef Head *leaf
    cdef const char *r
    cdef u64 ref
    while c.tree.n * 100 // 84 >> depth > SEGMENT_MOST:
        depth += 1
    if table_start(t, depth, <u32>(c.tree.n * 100 // 84 >> depth) + 4) < 0:
        return OUT_OF_MEMORY
    while number != NONE:
        leaf = node_of(c, 0, number)
        for start in range(0, leaf.n, 32):
            stop = min(start + BATCH, leaf.n)
            for i in range(start, stop):
                hashes[i - start] = record_hash(t, record(t, ref_at(f, leaf, i)))
                name_prefetch(t, hashes[i - start])
            for i in range(start, stop):
                ref = ref_at(f, leaf, i)
                r = record(t, ref)
                if name_slot(t, hashes[i - start], name_bytes(t, r), name_size(t, r)) != NULL:
                    return DUPLICATE
                if table_reserve(t, hashes[i - start]) < 0:
                    return OUT_OF_MEMORY
                slot_add(t, hashes[i - start], ref, number)
        number = leaf.next
    return 0


cdef inline u32 leaves_used(const Core *c) noexcept nogil:
    return <u32>items_used(&c.tree.leaves) - c.tree.spare[0]


cdef inline u32 nodes_over(const Core *c, u32 m) noexcept nogil:
    """How many inner nodes are laid over `m` nodes of a level."""
    cdef u32 fan = c.tree.inner.cap
    return 1 if m <= fan else (m - 1) // (fan - fan // 10) + 1


cdef int level_lay(Core *c, u32 level, u32 m, u32 *first) noexcept nogil:
    """Lay inner nodes over the `m` nodes of a level, a chain from `first`; return how many, the first in `first`."""
    cdef u32 k = nodes_over(c, m)
    cdef u32 child = first[0]
    cdef u32 number, i, j
    cdef Head *node = NULL
    if nodes_reserve(c, 1, k) < 0:
        return OUT_OF_MEMORY
    for j in range(k):
        number = node_take(c, level + 1)
        if node != NULL:
            node.next = number
        else:
            first[0] = number
        node = node_of(c, level + 1, number)
        node.n = m // k + (j < m % k)
        for i in range(node.n):
            children_of(node)[i] = child
            if level == 0 and node_of(c, 0, child).next != NONE:
                leaf_prefetch(c, node_of(c, 0, node_of(c, 0, child).next))
            parent_of(c, level, child)[0] = number
            child_update(c, level, node, number, i)
            child = node_of(c, level, child).next
    return <int>k


cdef int levels_lay(Core *c) noexcept nogil:
    """Lay the inner levels over the chain of leaves from the root."""
    cdef u32 first = c.tree.root
    cdef int m = <int>leaves_used(c)
    while m > 1:
        m = level_lay(c, c.tree.height, <u32>m, &first)
        if m < 0:
            return m
        c.tree.height += 1
    c.tree.root = first
    return 0


cdef int levels_renew(Core *c, bint dense) noexcept nogil:
    """Lay new inner levels, with firsts or without; the leaves stay as they are."""
    cdef Core fresh = c[0]
    cdef Tree *t = &fresh.tree
    cdef u32 nodes = 0
    cdef u32 i, m
    layout_start(&t.inner, t.fan, 3 if dense else 2)
    chunks_start(&t.inners, t.inner.stride, LEAF_BITS)
    t.freed[1], t.spare[1] = NONE, 0
    t.root, t.height = leaf_at(c, 0, &i), 0
    m = leaves_used(c)
    while m > 1:
        m = nodes_over(&fresh, m)
        nodes += m
    if nodes_reserve(&fresh, 1, nodes) < 0:
        chunks_end(&t.inners)
        return OUT_OF_MEMORY
    levels_lay(&fresh)
    chunks_end(&c.tree.inners)
    c[0] = fresh
    return 0


cdef int load_finish(Core *c, Load *l) noexcept nogil:
    """Make of the appended entries a whole index."""
    cdef int problem = 0
    if c.tree.n == 0:
        return 0
    if l.unsorted:
        problem = entries_sort(c)
    if problem == 0:
        problem = names_build(c)
    if problem == 0:
        problem = levels_lay(c)
    if problem == 0:
        rebalance(c, 0, l.last)
    return problem


cdef inline u32 packed_size(const Core *c, const char *r) noexcept nogil:
    cdef u32 at = length_in(&c.names, r)
    return 10 + at + <u8>r[at]


cdef char *pack_entry(const Core *c, u64 key, const char *r, char *out) noexcept nogil:
    """Write an entry; return the address after it."""
    cdef double score = double_of_key(key, c.descending)
    cdef u64 sequence
    cdef u32 size
    memcpy(out, &score, 8)
    out += 8
    if c.names.length_at:
        sequence = read_64(r)
        r += 8
        write_64(out, stored_sequence(c, sequence & ~DATED) | sequence & DATED)
        out += 8
        if sequence & DATED:
            write_64(out, stored_moment(c, read_64(r)))
            out += 8
            r += 8
    size = <u32><u8>r[0] + 1
    copy_bytes(out, r, 1 + size)
    return out + 1 + size


cdef const char *unpack_entry(const Core *c, const char *at, const char *end, bint sequences, Probe *p) noexcept nogil:
    """Read an entry; return the address after it, or NULL if it is cut off or its score is not finite."""
    cdef Py_ssize_t head = 17 if sequences else 9
    cdef double score
    cdef u64 sequence = 0
    if end - at < head:
        return NULL
    if sequences:
        sequence = read_64(at + 8)
    p.dated = sequence & DATED
    head += 8 if p.dated else 0
    if end - at < head:
        return NULL
    memcpy(&score, at, 8)
    p.size = <u32>(<u8>at[head - 1]) + 1
    if end - at - head < <Py_ssize_t>p.size or not isfinite(score):
        return NULL
    p.key = key_of_double(score, c.descending)
    p.sequence = stored_sequence(c, sequence & ~DATED)
    p.moment = stored_moment(c, read_64(at + 16)) if p.dated else p.sequence >> 1
    p.name = at + head
    return p.name + p.size


cdef u64 core_pack(Core *c, u64 first, u64 after, char *out) noexcept nogil:
    """Write the entries at those places to `out`, if it is not NULL; return their size in bytes."""
    cdef Layout *f = &c.tree.leaf
    cdef u64 size = 0
    cdef u32 i, number
    cdef Head *leaf
    cdef const char *r
    if first == after:
        return 0
    number = leaf_at(c, first, &i)
    while first < after:
        leaf = node_of(c, 0, number)
        records_prefetch(c, leaf, i, after - first)
        while i < leaf.n and first < after:
            r = record(&c.names, ref_at(f, leaf, i))
            size += packed_size(c, r)
            if out != NULL:
                out = pack_entry(c, keys_of(f, leaf)[i], r, out)
            i += 1
            first += 1
        number, i = leaf.next, 0
    return size


cdef bint core_is_whole(Core *c) noexcept nogil:
    cdef u32 i, number
    cdef Head *leaf
    if c.tree.n == 0:
        return True
    number = leaf_at(c, 0, &i)
    while number != NONE:
        leaf = node_of(c, 0, number)
        for i in range(leaf.n):
            if not is_whole(double_of_key(keys_of(&c.tree.leaf, leaf)[i], c.descending)):
                return False
        number = leaf.next
    return True
