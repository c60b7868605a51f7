# Check: every invariant, stated once.


cdef int check_nodes(Core *c, u32 level, u32 number, u32 parent, u64 *leaves, u64 *inners) except -1:
    """A node and all under it: parents and children, counts, and first entries."""
    cdef Layout *f = layout_of(c, level)
    cdef Head *node = node_of(c, level, number)
    cdef Head *child
    cdef u32 i
    assert parent_of(c, level, number)[0] == parent, "a node names its parent"
    assert node.n <= f.cap, "a node has no more than its cap"
    assert node.n >= ((2 if level else 1) if parent == NONE else f.low), "a node has no fewer than its least"
    if level == 0:
        leaves[0] += 1
        return 0
    inners[0] += 1
    for i in range(node.n):
        child = node_of(c, level - 1, children_of(node)[i])
        check_nodes(c, level - 1, children_of(node)[i], number, leaves, inners)
        assert counts_of(f, node)[i] == weight(c, level - 1, child), "a count is what is under the child"
        if f.firsts:
            assert firsts_of(f, node)[i] == firsts_under(c, level - 1, child), "firsts are what is under the child"
        assert keys_of(f, node)[i] == keys_of(layout_of(c, level - 1), child)[0], "a key is the first under the child"
        assert ref_at(f, node, i) == ref_at(layout_of(c, level - 1), child, 0), "a ref is the first under the child"
    return 0


cdef int check_order(Core *c, u64 leaves, dict sizes) except -1:
    """The chain of leaves: its links, the order of all entries, their records, and that the table finds each."""
    cdef u32 level, i
    cdef u32 number = c.tree.root
    cdef u32 before = NONE
    cdef u64 n = 0
    cdef u64 ref
    cdef Head *leaf
    cdef Pair last = Pair(0, 0)
    cdef Pair this
    cdef Slot *slot
    cdef Probe p
    for level in range(c.tree.height, 0, -1):
        number = children_of(node_of(c, level, number))[0]
    while number != NONE:
        leaf = node_of(c, 0, number)
        assert leaf.before == before, "a leaf names the one before it"
        leaves -= 1
        for i in range(leaf.n):
            ref = ref_at(&c.tree.leaf, leaf, i)
            this.key, this.ref = keys_of(&c.tree.leaf, leaf)[i], ref
            assert n == 0 or is_before(c, &last, &this), "each entry is after the one before"
            probe_record(c, this.key, ref, &p)
            slot = name_slot(&c.names, name_hash(p.name, p.size), p.name, p.size)
            assert slot != NULL and slot_ref(slot) == ref, "the table finds each name"
            assert slot_leaf(slot) == number, "a slot names the leaf of its entry"
            units = units_for(&c.names, p.size, p.dated)
            sizes[units] = sizes.get(units, 0) + 1
            last = this
            n += 1
        before, number = number, leaf.next
    assert n == c.tree.n, "the leaves hold as many entries as there are"
    assert leaves == 0, "every leaf under the root is in the chain"
    return 0


cdef int check_table(Core *c) except -1:
    """The segments: their order, that nothing is before its home, and that all directory entries agree."""
    cdef Names *t = &c.names
    cdef Segment *s
    cdef u64 i = 0
    cdef u64 j, span
    cdef u64 slots = 0
    cdef u64 held = 0
    cdef u32 k, count
    cdef Slot *slot
    while t.directory != NULL and i < <u64>1 << t.depth:
        s = t.directory[i].segment
        assert s.depth <= t.depth, "a segment is no deeper than the table"
        span = <u64>1 << (t.depth - s.depth)
        for j in range(i, i + span):
            assert t.directory[j].segment == s and t.directory[j].cap == s.cap, "directory entries of one segment agree"
        count = 0
        for k in range(s.total):
            slot = slots_of(s) + k
            if slot.leaf_and_ref:
                count += 1
                assert slot >= home_of(&t.directory[i], slot.tag), "no slot is before its home"
                if k and (slot - 1).leaf_and_ref:
                    assert (slot - 1).tag <= slot.tag, "slots are in the order of tags"
                else:
                    assert slot == home_of(&t.directory[i], slot.tag), "no gap is before a slot away from home"
        assert count == s.count, "a segment knows its count"
        assert slots_of(s)[s.total - 1].leaf_and_ref == 0, "the last slot is empty"
        slots += count
        held += segment_bytes(s)
        i += span
    assert slots == c.tree.n, "there are as many slots as entries"
    assert held == t.segment_bytes, "the bytes of the segments are counted"
    return 0


cdef int check_memory(Core *c, u64 leaves, u64 inners, dict sizes) except -1:
    """Every item that was handed out is in use or on a list of freed ones."""
    cdef u64 ref
    cdef u64 units = c.names.lost + (1 if c.names.records.count and items_used(&c.names.records) else 0)
    cdef u32 kind, number, spare
    cdef int k
    for k in range(SIZES):
        units += <u64>sizes.get(k, 0) * k
        ref = c.names.freed[k] if c.names.freed != NULL else 0
        while ref:
            units += k
            ref = read_64(record(&c.names, ref))
    assert units == items_used(&c.names.records), "every unit is in a record, freed, or lost at a chunk's end"
    for kind in range(2):
        number, spare = c.tree.freed[kind], 0
        while number != NONE:
            spare += 1
            number = node_of(c, kind, number).parent
        assert spare == c.tree.spare[kind], "spare nodes are counted"
    assert leaves + c.tree.spare[0] == items_used(&c.tree.leaves), "every leaf is in the tree or spare"
    assert items_used(&c.tree.parents) == items_used(&c.tree.leaves), "every leaf has a place for its parent"
    assert inners + c.tree.spare[1] == items_used(&c.tree.inners), "every inner node is in the tree or spare"
    return 0


cdef int check_core(Core *c) except -1:
    cdef u64 leaves = 0
    cdef u64 inners = 0
    cdef dict sizes = {}
    assert c.names.length_at or not c.timed, "if ties are by sequences, they are kept"
    assert (c.tree.inner.firsts != 0) == (c.ranking == DENSE), "firsts are counted if the ranking is dense"
    if c.tree.n:
        check_nodes(c, c.tree.height, c.tree.root, NONE, &leaves, &inners)
        check_order(c, leaves, sizes)
    else:
        assert c.tree.height == 0, "an empty tree has no inner levels"
        leaves = c.tree.root != NONE
    check_table(c)
    check_memory(c, leaves, inners, sizes)
    return 0
