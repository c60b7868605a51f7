# Writes: what changes a board, by its operator.
#
# A write looks its name up once. Under "latest" the way down to the new score's leaf is begun before the name is looked
# up, so that both are fetched at once; under "best" and "increment" the name's score comes first, as it decides what
# the new one is and whether there is one. Scores are compared by their keys, where "less" means "better".
#
# A write first reserves all memory it may need and only then changes anything, so that one that fails has changed
# nothing.

cdef enum:
    LATEST
    BEST
    INCREMENT

cdef enum:
    UNCOUNTED
    REPLACED
    ADDED

cdef enum:
    OUT_OF_MEMORY = -1
    OUT_OF_ROOM = -2
    DAMAGED = -3
    DUPLICATE = -4
    INFINITE = -5
    INEXACT = -6


cdef int core_submit(Core *c, Probe *p, bint refresh, bint lossy) noexcept nogil:
    """Submit the probe's score, by the operator; return whether it counted and was new, or a problem.

    The very score that the name has counts only with `refresh`, and then only its sequence is new. With `lossy` a
    fraction may get lost in a sum.
    """
    cdef Slot *slot
    cdef u32 i, target
    cdef int problem
    if c.operator == LATEST:
        return core_put(c, p, refresh)
    slot = name_slot(&c.names, p.hashed, p.name, p.size)
    if slot == NULL:
        if root_reserve(c) < 0:
            return OUT_OF_MEMORY
        return core_add(c, p, seek(c, p))
    cdef u32 number = slot_leaf(slot)
    cdef Head *leaf = node_of(c, 0, number)
    leaf_prefetch(c, leaf)
    i = place_in_leaf(c, leaf, slot_ref(slot))
    cdef u64 key = keys_of(&c.tree.leaf, leaf)[i]
    if c.operator == INCREMENT:
        problem = probe_increase(c, p, key, lossy)
        if problem < 0:
            return problem
    if p.key == key and not (refresh and c.names.length_at):
        return REPLACED if refresh else UNCOUNTED
    if p.key > key and c.operator == BEST:
        return UNCOUNTED
    return core_move(c, p, slot, number, i, seek(c, p))


cdef i64 core_submit_many(Core *c, Probe *probes, Py_ssize_t n) noexcept nogil:
    """Submit one after the other; return how many counted, or a problem."""
    cdef Py_ssize_t i
    cdef i64 counted = 0
    cdef int outcome
    for i in range(n):
        if i % BATCH == 0:
            entries_prefetch(c, &probes[i], min(n - i, <Py_ssize_t>BATCH))
        outcome = core_submit(c, &probes[i], False, False)
        if outcome < 0:
            return outcome
        counted += outcome != UNCOUNTED
    return counted


cdef void entries_prefetch(Core *c, const Probe *probes, Py_ssize_t n) noexcept nogil:
    """Ask for the slots of some names, then for the records and leaves that these are likely to lead to."""
    cdef Py_ssize_t i
    cdef Slot *slot
    if c.names.directory == NULL:
        return
    for i in range(n):
        name_prefetch(&c.names, probes[i].hashed)
    for i in range(n):
        slot = first_of_tag(directory_entry(&c.names, probes[i].hashed), tag_of(probes[i].hashed))
        if slot.leaf_and_ref:
            PREFETCH(record(&c.names, slot_ref(slot)))
            leaf_prefetch(c, node_of(c, 0, slot_leaf(slot)))


cdef int add(double a, double b, bint lossy, double *sum) noexcept nogil:
    """Add `b` to `a`; less than 0 if there is no such sum.

    Whole numbers are added exactly. Of others at most a thousandth of `b` may be lost in rounding, or with `lossy` all
    of it. What is lost is a double itself, and found exactly (Knuth's two-sum); so is its comparison, by `fma`.
    """
    cdef double lost, added
    sum[0] = a + b
    if not isfinite(sum[0]):
        return INFINITE
    added = sum[0] - a
    lost = (a - (sum[0] - added)) + (b - added)
    if lost == 0:
        return 0
    if is_whole(a) and is_whole(b) or not lossy and fma(fabs(lost), 1000, -fabs(b)) > 0:
        return INEXACT
    return 0


cdef int probe_increase(const Core *c, Probe *p, u64 key, bint lossy) noexcept nogil:
    """Add the probe's score to that of the key; less than 0 if there is no such sum."""
    cdef double sum
    cdef int problem = add(double_of_key(key, c.descending), double_of_key(p.key, c.descending), lossy, &sum)
    if problem == 0:
        p.key = key_of_double(sum, c.descending)
    return problem


cdef int core_put(Core *c, Probe *p, bint refresh) noexcept nogil:
    """Submit as under "latest", whatever the operator."""
    cdef u32 target, number, i
    cdef Head *leaf
    cdef Slot *slot
    if root_reserve(c) < 0:
        return OUT_OF_MEMORY
    name_prefetch(&c.names, p.hashed)
    target = seek(c, p)
    slot = name_slot(&c.names, p.hashed, p.name, p.size)
    if slot == NULL:
        return core_add(c, p, target)
    number = slot_leaf(slot)
    leaf = node_of(c, 0, number)
    leaf_prefetch(c, leaf)
    i = place_in_leaf(c, leaf, slot_ref(slot))
    if keys_of(&c.tree.leaf, leaf)[i] == p.key and not (refresh and c.names.length_at):
        return REPLACED if refresh else UNCOUNTED
    return core_move(c, p, slot, number, i, target)


cdef int record_date(Core *c, Slot *slot, u32 number, u32 i) noexcept nogil:
    """Give the entry at place `i` of a leaf a dated record, under which it keeps its place."""
    cdef u64 old = slot_ref(slot)
    cdef Head *leaf = node_of(c, 0, number)
    cdef Probe p
    cdef u64 ref
    probe_record(c, keys_of(&c.tree.leaf, leaf)[i], old, &p)
    if record_reserve(&c.names, units_for(&c.names, p.size, DATED)) < 0 or freed_reserve(&c.names) < 0:
        return OUT_OF_MEMORY
    p.name = name_bytes(&c.names, record(&c.names, old))    # the records may have moved
    ref = record_write(&c.names, p.name, p.size, p.sequence, p.moment, DATED)
    entry_set(&c.tree.leaf, leaf, i, p.key, ref)
    if i == 0:
        raise_first(c, 0, number)
    slot_set(slot, ref, number)
    record_list(&c.names, old, units_for(&c.names, p.size, 0))
    return 0


cdef int core_move(Core *c, const Probe *p, Slot *slot, u32 number, u32 i, u32 target) noexcept nogil:
    """Give the entry at place `i` of a leaf the probe's score, sequence and moment; `target` is the leaf for them.

    A record that is dated stays so, under any moment.
    """
    cdef u64 ref = slot_ref(slot)
    cdef u64 dated = record_dated(&c.names, record(&c.names, ref))
    if p.dated and not dated:
        if record_date(c, slot, number, i) < 0:
            return OUT_OF_MEMORY
        ref, dated = slot_ref(slot), DATED
    if keys_of(&c.tree.leaf, node_of(c, 0, number))[i] == p.key and not (c.timed and compare(c, ref, p) != 0):
        pass
    elif number == target:
        leaf_move(c, p, ref, number, i)
    else:
        if tree_reserve(c, target) < 0:
            return OUT_OF_MEMORY
        if tree_drop(c, number, i):
            target = seek(c, p)
        slot_set(slot, ref, tree_add(c, p, ref, target))
    record_stamp(&c.names, record(&c.names, ref), p.sequence, p.moment, dated)
    return REPLACED


cdef int core_add(Core *c, const Probe *p, u32 target) noexcept nogil:
    """Add the probe, whose name is not there; `target` is the leaf for it."""
    if c.tree.n >= MOST_ENTRIES:
        return OUT_OF_ROOM
    if record_reserve(&c.names, units_for(&c.names, p.size, p.dated)) < 0 or table_reserve(&c.names, p.hashed) < 0:
        return OUT_OF_MEMORY
    if tree_reserve(c, target) < 0:
        return OUT_OF_MEMORY
    cdef u64 ref = record_write(&c.names, p.name, p.size, p.sequence, p.moment, p.dated)
    slot_add(&c.names, p.hashed, ref, tree_add(c, p, ref, target))
    return ADDED


cdef int core_remove(Core *c, const Probe *p) noexcept nogil:
    """Take the probe's name off the board: 1 if it was there, 0 if not, or a problem."""
    cdef Slot *slot = name_slot(&c.names, p.hashed, p.name, p.size)
    cdef u64 ref, dated
    cdef u32 number
    if slot == NULL:
        return 0
    if c.tree.n == 1:
        core_clear(c)
        return 1
    if freed_reserve(&c.names) < 0:
        return OUT_OF_MEMORY
    ref, number = slot_ref(slot), slot_leaf(slot)
    dated = record_dated(&c.names, record(&c.names, ref))
    tree_drop(c, number, place_in_leaf(c, node_of(c, 0, number), ref))
    slot_drop(&c.names, p.hashed, slot)
    record_list(&c.names, ref, units_for(&c.names, p.size, dated))
    return 1


cdef int core_rank_by(Core *c, u32 ranking) noexcept nogil:
    """Use this ranking from now on. Only if firsts begin or cease to be counted is there anything to do."""
    cdef bint dense = ranking == DENSE
    if dense != (c.tree.inner.firsts != 0) and levels_renew(c, dense) < 0:
        return OUT_OF_MEMORY
    c.ranking = ranking
    return 0


cdef void core_start(Core *c, const Core *like) noexcept nogil:
    """Make an empty core of the kind of another."""
    memset(c, 0, sizeof(Core))
    c.descending, c.timed, c.latest = like.descending, like.timed, like.latest
    c.operator, c.ranking = like.operator, like.ranking
    names_start(&c.names, like.names.length_at != 0)
    tree_start(&c.tree, like.tree.most, like.tree.fan, like.tree.inner.firsts != 0)


cdef void core_clear(Core *c) noexcept nogil:
    names_end(&c.names)
    tree_end(&c.tree)
