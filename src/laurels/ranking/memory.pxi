# Memory: items of one size, numbered, in chunks.
#
# Everything the index holds in number (records, leaves, inner nodes) is an item of a `Chunks` and is referred to by its
# number, never by its address: the chunk's index in the high bits, the place within the chunk in the low `shift` bits.
# So
#
# - growth copies nothing that is there but the first chunk, which begins at a few dozen bytes and is enlarged by a
#   sixteenth (by half while it is tiny) until it is full, at 2 MiB: ten entries cost a kilobyte;
# - every later chunk is a mapping of its own, of which only the pages that were touched are memory. The kernel is asked
#   to make a huge page of it when it is full, which it does in the background and takes a tenth off a lookup; asked
#   earlier it would do so within the put that touches it first, 5 ms on the machine of docs/index.md;
# - an address (`item`) is valid until the next call that may enlarge, so every change first reserves all the memory it
#   may need, then takes addresses, then changes. Whatever can fail fails before anything was changed.
#
# Items are not returned one by one; the owner of a freed item keeps it on a list.

from libc.stdint cimport int64_t as i64, uint8_t as u8, uint16_t as u16, uint32_t as u32, uint64_t as u64
from libc.string cimport memcmp, memcpy, memmove, memset

cdef extern from *:
    """
    #include <stdint.h>
    #include <stdlib.h>
    #include <string.h>
    #ifdef _WIN32
    #include <malloc.h>
    #else
    #include <sys/mman.h>
    #endif
    #if defined(__SSE2__) || defined(_M_X64)
    #define HAS_SSE2
    #include <emmintrin.h>
    #endif
    #if !defined(_MSC_VER) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "the packed format and the records are little-endian"
    #endif
    #ifdef _MSC_VER                         /* which knows the builtins of GCC and clang by other names */
    #include <intrin.h>
    #define __builtin_bswap64 _byteswap_uint64
    static inline unsigned long __builtin_ctzll(uint64_t x) {
        unsigned long place;
        _BitScanForward64(&place, x);
        return place;
    }
    #ifdef HAS_SSE2
    #define PREFETCH(p) _mm_prefetch((const char *)(p), _MM_HINT_T0)
    #else
    #define PREFETCH(p) __prefetch(p)
    #endif
    #else
    /* The empty statement lets no compiler drop a function that does nothing but prefetch. */
    #define PREFETCH(p) do { __builtin_prefetch(p); __asm__ volatile (""); } while (0)
    #endif

    #define CHUNK ((size_t)1 << 21)
    #define PAGE ((size_t)4096)
    #define NONE 0xFFFFFFFFu                /* no node */
    #define MOST_ENTRIES 0xFFFFFFFEu

    /* LAURELS_FAULTS: one allocation in so many fails; only the fuzzed build defines it. */
    #ifdef LAURELS_FAULTS
    static int allocation_fails(void) {
        static uint64_t luck = 88172645463325252u;
        luck ^= luck << 13, luck ^= luck >> 7, luck ^= luck << 17;
        return luck % LAURELS_FAULTS == 0;
    }
    #else
    #define allocation_fails() 0
    #endif

    static void *resize(void *block, size_t size) { return allocation_fails() ? NULL : realloc(block, size); }

    #ifdef _WIN32
    static void *map_chunk(void) { return allocation_fails() ? NULL : _aligned_malloc(CHUNK, CHUNK); }
    static void advise_huge_page(void *chunk) { (void)chunk; }
    static void unmap_chunk(void *chunk) { _aligned_free(chunk); }
    #else
    static void *map_chunk(void) {
        char *all, *start;
        if (allocation_fails()) return NULL;
        all = mmap(NULL, 2 * CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (all == (char *)MAP_FAILED) return NULL;
        start = (char *)(((uintptr_t)all + CHUNK - 1) & ~(CHUNK - 1));
        if (start > all) munmap(all, (size_t)(start - all));
        munmap(start + CHUNK, (size_t)(all + CHUNK - start));
        return start;
    }

    static void advise_huge_page(void *chunk) {
    #ifdef MADV_HUGEPAGE
        madvise(chunk, CHUNK, MADV_HUGEPAGE);
    #endif
    }

    static void unmap_chunk(void *chunk) { munmap(chunk, CHUNK); }
    #endif

    /* The first place of x in a[0..cap), where it must be; reads up to a[cap rounded up to 16]. Up to 64, nothing ends
       it early: a branch that depended on the place would be guessed wrong, after waiting for memory. */
    static inline uint32_t place_of(const uint32_t *a, uint32_t cap, uint32_t x) {
        uint32_t i = 0;
    #ifdef HAS_SSE2
        const __m128i want = _mm_set1_epi32((int)x);
        for (;; i += 64) {
            uint64_t found = 0;
            uint32_t j = 0, end = cap - i < 64 ? cap - i : 64;
            for (; j < end; j += 16) {
                const __m128i *p = (const __m128i *)(a + i + j);
                __m128i u = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(p), want),
                                            _mm_cmpeq_epi32(_mm_loadu_si128(p + 1), want));
                __m128i v = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_loadu_si128(p + 2), want),
                                            _mm_cmpeq_epi32(_mm_loadu_si128(p + 3), want));
                found |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_packs_epi16(u, v)) << j;
            }
            if (found) return i + (uint32_t)__builtin_ctzll(found);
        }
    #else
        while (a[i] != x) i++;
        return i;
    #endif
    }

    /* The sum of a[0..n), reading all of a[0..cap), for the same reason. */
    static inline uint32_t sum_of(const uint32_t *a, uint32_t n, uint32_t cap) {
        uint32_t s = 0, i;
        for (i = 0; i < cap; i++) s += i < n ? a[i] : 0;
        return s;
    }

    static inline int same_bytes(const char *a, const char *b, uint32_t n) {
        uint64_t x, y;
        if (n < 8 || n > 16) return memcmp(a, b, n) == 0;
        memcpy(&x, a, 8), memcpy(&y, b, 8);
        if (x != y) return 0;
        memcpy(&x, a + n - 8, 8), memcpy(&y, b + n - 8, 8);
        return x == y;
    }

    /* Less than, equal to or greater than 0 as a is before, equal to or after b by their bytes, a prefix first. */
    static inline int order_of(const char *a, uint32_t na, const char *b, uint32_t nb) {
        uint32_t n = na < nb ? na : nb, i = 0;
        uint64_t x, y;
        int side;
        if (n < 8) {
            side = memcmp(a, b, n);
            return side ? side : (int)na - (int)nb;
        }
        for (;; i = i + 8 < n - 8 ? i + 8 : n - 8) {
            memcpy(&x, a + i, 8), memcpy(&y, b + i, 8);
            if (x != y) return __builtin_bswap64(x) < __builtin_bswap64(y) ? -1 : 1;
            if (i == n - 8) return (int)na - (int)nb;
        }
    }

    /* Copies a name: for an unknown length, a compiler's own copy takes longer to begin than a name takes. */
    static inline void copy_bytes(char *to, const char *from, uint32_t n) {
        uint64_t a, b, c, d;
        if (n < 8 || n > 32) {
            memcpy(to, from, n);
        } else if (n <= 16) {
            memcpy(&a, from, 8), memcpy(&b, from + n - 8, 8);
            memcpy(to, &a, 8), memcpy(to + n - 8, &b, 8);
        } else {
            memcpy(&a, from, 8), memcpy(&b, from + 8, 8), memcpy(&c, from + n - 16, 8), memcpy(&d, from + n - 8, 8);
            memcpy(to, &a, 8), memcpy(to + 8, &b, 8), memcpy(to + n - 16, &c, 8), memcpy(to + n - 8, &d, 8);
        }
    }

    /* How many of the ascending a[0..n) are less than x; no branch depends on the data. */
    static inline uint32_t less_than(const uint64_t *a, uint32_t n, uint64_t x) {
        const uint64_t *b = a;
        if (!n) return 0;
        while (n > 1) {
            uint32_t half = n >> 1;
            b += (b[half - 1] < x) ? half : 0;
            n -= half;
        }
        return (uint32_t)(b - a) + (*b < x);
    }

    static inline uint64_t read_64(const void *p) { uint64_t x; memcpy(&x, p, 8); return x; }
    static inline uint32_t read_32(const void *p) { uint32_t x; memcpy(&x, p, 4); return x; }
    static inline void write_64(void *p, uint64_t x) { memcpy(p, &x, 8); }

    static inline uint64_t mix(uint64_t a, uint64_t b) {
        __uint128_t m = (__uint128_t)a * b;
        return (uint64_t)m ^ (uint64_t)(m >> 64);
    }

    /* After wyhash: seeded multiplication, its 128 bits reduced to 64, 16 bytes a step. */
    static inline uint64_t hash_of(const char *p, uint32_t n, uint64_t seed, uint64_t secret) {
        uint64_t a, b;
        uint32_t left = n;
        for (; left > 16; left -= 16, p += 16) seed = mix(read_64(p) ^ secret, read_64(p + 8) ^ seed);
        if (left >= 8) {
            a = read_64(p), b = read_64(p + left - 8);
        } else if (left >= 4) {
            a = read_32(p), b = read_32(p + left - 4);
        } else {
            a = (uint64_t)(uint8_t)p[0] << 16 | (uint64_t)(uint8_t)p[left >> 1] << 8 | (uint8_t)p[left - 1], b = 0;
        }
        return mix(secret ^ n, mix(a ^ secret, b ^ seed));
    }

    static inline int is_ascii(const char *p, uint32_t n) {
        uint64_t bits = 0;
        for (; n >= 8; n -= 8, p += 8) bits |= read_64(p);
        for (; n; n--, p++) bits |= (uint8_t)*p & 0x80u;
        return !(bits & 0x8080808080808080u);
    }
    """
    const size_t CHUNK, PAGE
    const u32 NONE, MOST_ENTRIES
    void PREFETCH(const void *) noexcept nogil
    void *resize(void *, size_t) noexcept nogil
    void free(void *) noexcept nogil
    void *map_chunk() noexcept nogil
    void advise_huge_page(void *) noexcept nogil
    void unmap_chunk(void *) noexcept nogil
    u32 place_of(const u32 *, u32, u32) noexcept nogil
    u32 sum_of(const u32 *, u32, u32) noexcept nogil
    bint same_bytes(const char *, const char *, u32) noexcept nogil
    int order_of(const char *, u32, const char *, u32) noexcept nogil
    void copy_bytes(char *, const char *, u32) noexcept nogil
    u32 less_than(const u64 *, u32, u64) noexcept nogil
    u64 read_64(const void *) noexcept nogil
    void write_64(void *, u64) noexcept nogil
    u64 hash_of(const char *, u32, u64, u64) noexcept nogil
    bint is_ascii(const char *, u32) noexcept nogil

cdef struct Chunks:
    char **at           # count chunks; room pointers held
    u32 count, room
    u32 stride          # bytes an item
    u32 shift           # bits of a number that are the place in the chunk
    u32 full            # items a full chunk has; only the last may have fewer
    u32 most            # chunks there may be
    u32 have, used      # items the last chunk has, and how many of them were handed out


cdef void chunks_start(Chunks *c, u32 stride, u32 bits) noexcept nogil:
    """Begin with no items of `stride` bytes, whose numbers shall have no more than so many bits."""
    memset(c, 0, sizeof(Chunks))
    c.stride = stride
    c.full = <u32>(CHUNK // stride)
    while (<u32>1 << c.shift) < c.full:
        c.shift += 1
    c.most = <u32>1 << (bits - c.shift)


cdef inline bint chunks_mapped(const Chunks *c) noexcept nogil:
    """Whether chunks but the first are mappings; those of a side array (`parents`) are too small for that."""
    return c.full * <size_t>c.stride > CHUNK // 2


cdef inline char *item(const Chunks *c, u64 number) noexcept nogil:
    return c.at[number >> c.shift] + (number & ((<u64>1 << c.shift) - 1)) * c.stride


cdef inline u64 chunks_next(const Chunks *c) noexcept nogil:
    """The number of the item that is handed out next."""
    return (<u64>(c.count - 1) << c.shift) | c.used


cdef inline u64 items_used(const Chunks *c) noexcept nogil:
    """How many items were handed out."""
    return <u64>(c.count - 1) * c.full + c.used if c.count else 0


cdef size_t chunks_bytes(const Chunks *c) noexcept nogil:
    """The bytes held; of a mapping that is being filled, the pages that were touched."""
    cdef size_t held = c.room * sizeof(char *)
    if c.count == 0:
        return held
    if c.count == 1 or not chunks_mapped(c):
        return held + (c.count - 1) * (c.full * <size_t>c.stride) + c.have * <size_t>c.stride
    held += c.full * <size_t>c.stride + (c.count - 2) * CHUNK
    return held + ((c.used * <size_t>c.stride + PAGE - 1) & ~(PAGE - 1))


cdef int chunks_begin(Chunks *c) noexcept nogil:
    """Begin another chunk; -1 if there is no memory."""
    cdef bint later = c.count and chunks_mapped(c)
    cdef char *chunk = NULL
    cdef char **at
    cdef u32 room
    if c.count == c.most:
        return -1
    if c.count == c.room:
        room = c.room + (c.room >> 1) + 1
        at = <char **>resize(c.at, room * sizeof(char *))
        if at == NULL:
            return -1
        c.at, c.room = at, room
    if later:
        chunk = <char *>map_chunk()
        if chunk == NULL:
            return -1
    if later and c.count > 1:
        advise_huge_page(c.at[c.count - 1])
    c.at[c.count] = chunk
    c.count += 1
    c.have, c.used = c.full if later else 0, 0
    return 0


cdef int chunks_enlarge(Chunks *c, u32 more) noexcept nogil:
    """Enlarge a last chunk that is no mapping for `more` items than are used, up to a full one; -1 for no memory."""
    cdef size_t total = chunks_bytes(c)
    cdef size_t step = max(total // 16, min(total // 2, <size_t>4096), <size_t>64)
    cdef size_t want = min(<size_t>c.full, max(<size_t>(c.used + more), c.have + step // c.stride))
    cdef char *chunk = <char *>resize(c.at[c.count - 1], want * c.stride)
    if chunk == NULL:
        return -1
    c.at[c.count - 1] = chunk
    c.have = <u32>want
    return 0


cdef void chunks_end(Chunks *c) noexcept nogil:
    cdef u32 i
    for i in range(c.count):
        if i and chunks_mapped(c):
            unmap_chunk(c.at[i])
        else:
            free(c.at[i])
    free(c.at)
    c.at = NULL
    c.count = c.room = c.have = c.used = 0


cdef int chunks_reserve(Chunks *c) noexcept nogil:
    """Make sure that one more item can be handed out; -1 if there is no memory."""
    if (c.count == 0 or c.used == c.full) and chunks_begin(c) < 0:
        return -1
    return chunks_enlarge(c, 1) if c.used == c.have else 0
