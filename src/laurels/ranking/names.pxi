# Names: one record for each entry, and the table that finds it.
#
# A record is [u64 sequence, on stamped boards][u64 moment, of *dated* ones][u8 length - 1][name], rounded up to units of
# 4 bytes, in chunks of 2^19 units. The highest bit of the sequence says whether it is dated. Its number (the ref, 36 bits, 256 GiB) is what the table and the tree hold; ref 0 is never handed out. A freed
# record goes on the list of its size, which runs through the records themselves.
#
# The table is extendible hashing. The top `depth` bits of the hash choose an entry of the directory; several directory
# entries lead to one segment until it splits. A segment is [Segment][slots], and a slot is 10 bytes: 16 more bits of
# the hash, the tag; the ref; and the leaf that holds the entry. The leaf is kept here and not in the record so that a
# lookup need not wait for the record: while the name is being fetched and compared, the leaf and what is above it are
# fetched too. Main memory is 200 ns away, and that is one wait less. The price is that an entry that changes leaves is
# looked up by its name.
#
# The slots of a segment are in the order of their tags, each at its home, (tag * cap) >> 16, or as near after it as the
# earlier ones leave room, with a tail beyond the last home instead of a wrap-around and one empty slot at the very end,
# which ends every search. That order
#
# - lets a search that finds nothing end as early as one that finds, so a segment may be 90 % full;
# - makes enlarging a segment one pass from front to back that reads no record, so segments grow by an eighth and the
#   table is always between 80 and 90 % full, rather than between 45 and 90 as with doublings;
# - makes removal a shift back of what follows, with no tombstones.
#
# A segment at its greatest size splits, which reads the names of its 1,800 records to learn one more bit of their
# hashes: the longest pause there is, some tens of microseconds, at any number of entries. (The directory is copied when
# it doubles: 16 bytes per 1,700 entries.) Each directory entry keeps a copy of its segment's cap, so that a lookup goes
# from there to the slot without reading the segment's head.
#
# The hash is keyed by Python's own per-process randomness, so names cannot be chosen to collide, and PYTHONHASHSEED
# repeats a run.

cdef enum:
    REF_BITS = 36
    LEAF_BITS = 28
    TAG_BITS = 16
    SEGMENT_MOST = 2048     # slots; a greater segment splits
    SIZES = 70              # a record has 2 to 69 units, and what is left at the end of a chunk no more

cdef struct Segment:
    u32 cap, count, depth, total    # total slots: cap, the tail, and the last that stays empty

cdef struct DirectoryEntry:
    Segment *segment
    u64 cap

cdef packed struct Slot:
    u64 leaf_and_ref    # leaf << REF_BITS | ref; 0 if empty
    u16 tag

cdef struct Names:
    Chunks records
    u64 *freed          # heads of the lists of freed records by units, or NULL while none was freed
    DirectoryEntry *directory   # 1 << depth of them, or NULL while there is no name
    size_t segment_bytes
    u32 depth
    u32 length_at       # where in a record the length is: at 0, or at 8 on stamped boards; 8 more if it is dated
    u32 lost            # units too few to be a record at the ends of chunks

cdef u64 DATED = <u64>1 << 63
cdef u64 SEED = <u64>hash("laurels names seed")
cdef u64 SECRET = <u64>hash("laurels names secret") | 1


cdef inline char *record(const Names *t, u64 ref) noexcept nogil:
    return item(&t.records, ref)


cdef inline u32 length_in(const Names *t, const char *r) noexcept nogil:
    """Where in this record the length is."""
    return t.length_at + (<u32><u8>r[7] >> 4 & t.length_at)     # 8 more if bit 63 of the sequence is set


cdef inline u32 name_size(const Names *t, const char *r) noexcept nogil:
    return <u32>(<u8>r[length_in(t, r)]) + 1


cdef inline const char *name_bytes(const Names *t, const char *r) noexcept nogil:
    return r + length_in(t, r) + 1


cdef inline u64 record_sequence(const Names *t, const char *r) noexcept nogil:
    """The sequence as it is stored; 0 if there is none."""
    return read_64(r) & ~DATED if t.length_at else 0


cdef inline u64 record_dated(const Names *t, const char *r) noexcept nogil:
    """DATED or 0."""
    return read_64(r) & DATED if t.length_at else 0


cdef inline u64 record_moment(const Names *t, const char *r) noexcept nogil:
    """When the entry counts as of, as it is stored; of one that is not dated that is in its sequence."""
    return read_64(r + 8) if record_dated(t, r) else record_sequence(t, r) >> 1


cdef inline u32 units_for(const Names *t, u32 size, u64 dated) noexcept nogil:
    return max(<u32>2, (t.length_at + (8 if dated else 0) + 1 + size + 3) >> 2)     # 2 units hold the link of a freed one


cdef inline u64 name_hash(const char *name, u32 size) noexcept nogil:
    return hash_of(name, size, SEED, SECRET)


cdef inline u64 record_hash(const Names *t, const char *r) noexcept nogil:
    return name_hash(name_bytes(t, r), name_size(t, r))


cdef inline u64 tag_of(u64 hashed) noexcept nogil:
    return hashed & ((<u64>1 << TAG_BITS) - 1)


cdef inline Slot *slots_of(Segment *s) noexcept nogil:
    return <Slot *>(s + 1)


cdef inline u64 slot_ref(const Slot *slot) noexcept nogil:
    return slot.leaf_and_ref & ((<u64>1 << REF_BITS) - 1)


cdef inline u32 slot_leaf(const Slot *slot) noexcept nogil:
    return <u32>(slot.leaf_and_ref >> REF_BITS)


cdef inline void slot_set(Slot *slot, u64 ref, u32 leaf) noexcept nogil:
    slot.leaf_and_ref = <u64>leaf << REF_BITS | ref


cdef inline DirectoryEntry *directory_entry(const Names *t, u64 hashed) noexcept nogil:
    return &t.directory[(hashed >> 1) >> (63 - t.depth)]


cdef inline Slot *home_of(const DirectoryEntry *d, u64 tag) noexcept nogil:
    return slots_of(d.segment) + ((tag * d.cap) >> TAG_BITS)


cdef inline void name_prefetch(const Names *t, u64 hashed) noexcept nogil:
    if t.directory != NULL:
        PREFETCH(home_of(directory_entry(t, hashed), tag_of(hashed)))


cdef inline Slot *first_of_tag(const DirectoryEntry *d, u64 tag) noexcept nogil:
    """The first slot at or after the tag's home that is empty or has no lesser tag."""
    cdef Slot *at = home_of(d, tag)
    while at.leaf_and_ref and at.tag < tag:
        at += 1
    return at


cdef Slot *slot_of(const Names *t, u64 hashed, u64 ref) noexcept nogil:
    """The slot of a record that is there."""
    cdef Slot *at = first_of_tag(directory_entry(t, hashed), tag_of(hashed))
    while slot_ref(at) != ref:
        at += 1
    return at


cdef Slot *name_slot(const Names *t, u64 hashed, const char *name, u32 size) noexcept nogil:
    """The slot that refers to the name's record, or NULL."""
    cdef u64 tag = tag_of(hashed)
    cdef Slot *at
    cdef const char *r
    if t.directory == NULL:
        return NULL
    at = first_of_tag(directory_entry(t, hashed), tag)
    while at.leaf_and_ref and at.tag == tag:
        r = record(t, slot_ref(at))
        if name_size(t, r) == size and same_bytes(name_bytes(t, r), name, size):
            return at
        at += 1
    return NULL


# Segments


cdef inline size_t segment_bytes(const Segment *s) noexcept nogil:
    return sizeof(Segment) + s.total * sizeof(Slot)


cdef Segment *segment_new(Names *t, u32 cap, u32 depth) noexcept nogil:
    cdef u32 total = cap + 5 + cap // 64
    cdef Segment *s = <Segment *>resize(NULL, sizeof(Segment) + total * sizeof(Slot))
    if s == NULL:
        return NULL
    s.cap, s.count, s.depth, s.total = cap, 0, depth, total
    memset(slots_of(s), 0, total * sizeof(Slot))
    t.segment_bytes += segment_bytes(s)
    return s


cdef void segment_free(Names *t, Segment *s) noexcept nogil:
    if s != NULL:
        t.segment_bytes -= segment_bytes(s)
        free(s)


cdef bint segment_append(Segment *s, u32 *end, const Slot *slot) noexcept nogil:
    """Put the slot after all others, of which `end` is the first place free; False if the tail is full."""
    cdef u32 at = max(end[0], <u32>((<u64>slot.tag * s.cap) >> TAG_BITS))
    if at + 1 >= s.total:
        return False
    slots_of(s)[at] = slot[0]
    s.count += 1
    end[0] = at + 1
    return True


cdef void directory_point(Names *t, u64 hashed, Segment *s) noexcept nogil:
    """Let all directory entries that share the first bits of `hashed`, as many as the segment's depth, lead to it."""
    cdef u64 span = <u64>1 << (t.depth - s.depth)
    cdef u64 first = <u64>(directory_entry(t, hashed) - t.directory) & ~(span - 1)
    cdef u64 i
    for i in range(first, first + span):
        t.directory[i].segment, t.directory[i].cap = s, s.cap


cdef int segment_resize(Names *t, u64 hashed, Segment *old, u32 cap) noexcept nogil:
    """Put in place of `old` a segment of at least `cap` slots; -1 if there is no memory."""
    cdef Segment *new = NULL
    cdef u32 end, i
    cdef bint fits = False
    while not fits:
        new = segment_new(t, cap, old.depth)
        if new == NULL:
            return -1
        end, i, fits = 0, 0, True
        while fits and i < old.total:
            if slots_of(old)[i].leaf_and_ref:
                fits = segment_append(new, &end, &slots_of(old)[i])
            i += 1
        if not fits:
            segment_free(t, new)
            cap += cap // 8 + 1
    directory_point(t, hashed, new)
    segment_free(t, old)
    return 0


cdef int directory_double(Names *t) noexcept nogil:
    cdef u64 n = <u64>1 << t.depth
    cdef DirectoryEntry *grown = <DirectoryEntry *>resize(t.directory, 2 * n * sizeof(DirectoryEntry))
    cdef u64 i
    if grown == NULL:
        return -1
    for i in range(n, 0, -1):
        grown[2 * i - 1] = grown[2 * i - 2] = grown[i - 1]
    t.directory = grown
    t.depth += 1
    return 0


cdef bint segment_part(Names *t, Segment *old, Segment *low, Segment *high) noexcept nogil:
    """Append each slot of `old` to the half that the next bit of its hash names; False if one has no room."""
    cdef u32 ends[2]
    cdef u32 i
    cdef u64 bit
    cdef Slot *at = slots_of(old)
    cdef Segment *halves[2]
    halves[0], halves[1] = low, high
    ends[0] = ends[1] = 0
    for i in range(old.total):
        if i + 16 < old.total and at[i + 16].leaf_and_ref:
            PREFETCH(record(t, slot_ref(&at[i + 16])))
        if at[i].leaf_and_ref:
            bit = record_hash(t, record(t, slot_ref(&at[i]))) >> (63 - old.depth) & 1
            if not segment_append(halves[bit], &ends[bit], &at[i]):
                return False
    return True


cdef int segment_split(Names *t, u64 hashed, Segment *old) noexcept nogil:
    cdef Segment *low
    cdef Segment *high
    cdef u64 bit = <u64>1 << (63 - old.depth)
    cdef u32 cap = old.count * 5 // 8 + 8
    if old.depth == t.depth and directory_double(t) < 0:
        return -1
    while True:
        low, high = segment_new(t, cap, old.depth + 1), segment_new(t, cap, old.depth + 1)
        if low == NULL or high == NULL:
            segment_free(t, low)
            segment_free(t, high)
            return -1
        if segment_part(t, old, low, high):
            break
        segment_free(t, low)
        segment_free(t, high)
        cap += cap // 8 + 1
    directory_point(t, hashed & ~bit, low)
    directory_point(t, hashed | bit, high)
    segment_free(t, old)
    return 0


cdef bint segment_roomy(Segment *s, const Slot *at) noexcept nogil:
    """Whether one more may come in at `at`: it is not too full, and before the end there is an empty slot."""
    cdef Slot *last = slots_of(s) + s.total - 1
    if s.count >= s.cap - s.cap // 10:
        return False
    while at.leaf_and_ref:
        at += 1
    return at < last


cdef int table_start(Names *t, u32 depth, u32 cap) noexcept nogil:
    """Make an empty table of 1 << depth segments; -1 if there is no memory."""
    cdef u64 i
    t.directory = <DirectoryEntry *>resize(NULL, (<size_t>1 << depth) * sizeof(DirectoryEntry))
    if t.directory == NULL:
        return -1
    t.depth = depth
    for i in range(<u64>1 << depth):
        t.directory[i].segment, t.directory[i].cap = segment_new(t, cap, depth), cap
        if t.directory[i].segment == NULL:
            while i:
                i -= 1
                segment_free(t, t.directory[i].segment)
            free(t.directory)
            t.directory = NULL
            t.depth = 0
            return -1
    return 0


cdef int table_reserve(Names *t, u64 hashed) noexcept nogil:
    """Make sure that a slot for `hashed` can be put in; -1 if there is no memory."""
    cdef DirectoryEntry *d
    if t.directory == NULL and table_start(t, 0, 4) < 0:
        return -1
    while True:
        d = directory_entry(t, hashed)
        if segment_roomy(d.segment, first_of_tag(d, tag_of(hashed))):
            return 0
        if d.segment.cap < SEGMENT_MOST:
            if segment_resize(t, hashed, d.segment, d.segment.cap + d.segment.cap // 8 + 4) < 0:
                return -1
        elif segment_split(t, hashed, d.segment) < 0:
            return -1


cdef void slot_add(Names *t, u64 hashed, u64 ref, u32 leaf) noexcept nogil:
    """Put in a slot; `table_reserve` has made room."""
    cdef DirectoryEntry *d = directory_entry(t, hashed)
    cdef Slot *at = first_of_tag(d, tag_of(hashed))
    cdef Slot *end = at
    while end.leaf_and_ref:
        end += 1
    memmove(at + 1, at, <size_t>(end - at) * sizeof(Slot))
    at.tag = <u16>tag_of(hashed)
    slot_set(at, ref, leaf)
    d.segment.count += 1


cdef void slot_drop(Names *t, u64 hashed, Slot *at) noexcept nogil:
    """Empty a slot and shift back those after it that are not at home; shrink the segment if most of it is empty."""
    cdef DirectoryEntry *d = directory_entry(t, hashed)
    cdef Slot *end = at + 1
    while end.leaf_and_ref and home_of(d, end.tag) < end:
        end += 1
    memmove(at, at + 1, <size_t>(end - at - 1) * sizeof(Slot))
    (end - 1).leaf_and_ref = 0
    d.segment.count -= 1
    if d.segment.cap > 16 and d.segment.count < d.segment.cap // 2:
        segment_resize(t, hashed, d.segment, d.segment.count + d.segment.count // 4 + 4)


# Records


cdef void names_start(Names *t, bint stamped) noexcept nogil:
    memset(t, 0, sizeof(Names))
    chunks_start(&t.records, 4, REF_BITS)
    t.length_at = 8 if stamped else 0


cdef void table_end(Names *t) noexcept nogil:
    cdef u64 i = 0
    cdef Segment *s
    if t.directory == NULL:
        return
    while i < <u64>1 << t.depth:
        s = t.directory[i].segment
        i += <u64>1 << (t.depth - s.depth)
        segment_free(t, s)
    free(t.directory)


cdef void names_end(Names *t) noexcept nogil:
    table_end(t)
    free(t.freed)
    chunks_end(&t.records)
    names_start(t, t.length_at == 8)


cdef size_t names_bytes(const Names *t) noexcept nogil:
    return (
        chunks_bytes(&t.records)
        + t.segment_bytes
        + ((<size_t>1 << t.depth) * sizeof(DirectoryEntry) if t.directory != NULL else 0)
        + (SIZES * sizeof(u64) if t.freed != NULL else 0)
    )


cdef inline void record_list(Names *t, u64 ref, u32 units) noexcept nogil:
    write_64(record(t, ref), t.freed[units])
    t.freed[units] = ref


cdef int freed_reserve(Names *t) noexcept nogil:
    if t.freed == NULL:
        t.freed = <u64 *>resize(NULL, SIZES * sizeof(u64))
        if t.freed == NULL:
            return -1
        memset(t.freed, 0, SIZES * sizeof(u64))
    return 0


cdef int record_reserve(Names *t, u32 units) noexcept nogil:
    """Make sure that a record of so many units can be taken; -1 if there is no memory."""
    cdef Chunks *c = &t.records
    cdef u32 left
    if t.freed != NULL and t.freed[units]:
        return 0
    if c.count == 0:
        if chunks_begin(c) < 0:
            return -1
    while c.have < c.used + units + 1:      # one more than needed: unit 0 is never handed out
        if c.have < c.full:
            if chunks_enlarge(c, units + 1) < 0:
                return -1
            continue
        left = c.have - c.used
        if freed_reserve(t) < 0:
            return -1
        if left >= 2:
            record_list(t, chunks_next(c), left)
        else:
            t.lost += left
        c.used = c.have
        if chunks_begin(c) < 0:
            return -1
    if c.count == 1 and c.used == 0:
        c.used = 1
    return 0


cdef u64 record_take(Names *t, u32 units) noexcept nogil:
    """Hand out a record; `record_reserve` has made room."""
    cdef u64 ref
    if t.freed != NULL and t.freed[units]:
        ref = t.freed[units]
        t.freed[units] = read_64(record(t, ref))
    else:
        ref = chunks_next(&t.records)
        t.records.used += units
    return ref


cdef inline void record_stamp(Names *t, char *r, u64 sequence, u64 moment, u64 dated) noexcept nogil:
    """Write what a record holds before the name; it has room for that."""
    if t.length_at:
        write_64(r, sequence | dated)
    if dated:
        write_64(r + 8, moment)


cdef inline u64 record_write(
    Names *t, const char *name, u32 size, u64 sequence, u64 moment, u64 dated
) noexcept nogil:
    """Take a record and fill it in."""
    cdef u64 ref = record_take(t, units_for(t, size, dated))
    cdef char *r = record(t, ref)
    cdef u32 at = t.length_at + (8 if dated else 0)
    record_stamp(t, r, sequence, moment, dated)
    r[at] = <char>(size - 1)
    copy_bytes(r + at + 1, name, size)
    return ref
