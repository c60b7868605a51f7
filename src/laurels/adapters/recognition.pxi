# Recognition: which requests are written so that no two readers of HTTP could read them in two ways.

cdef enum Route:
    NONE
    STANDING
    PAGE
    SUBMIT

cdef enum:
    LONGEST_HEAD = 4096     # of those recognised; a longer one is left to the full parser
    SHORTEST_MODERATED = 24     # {"score":1,"operator":""}
    OUTBOX_BYTES = 256 * 1024
    LARGE_BYTES = 16 * 1024  # of one answer, after which it is time to see whether the client reads
    MOST_SITES = 64         # that are remembered: hosts and origins of requests
    MOST_VALUES = 32        # that a handler gets; a core route with more would not start

# Limits of the contract. What is beyond one is not recognised, so that the full parser refuses it, with its reason.
cdef Py_ssize_t NAME_BYTES = limits.NAME_BYTES
cdef long long LARGEST_NUMBER = limits.LARGEST_NUMBER
cdef long long PAGE_ENTRIES = limits.PAGE_ENTRIES
cdef long long DEFAULT_PAGE = limits.DEFAULT_PAGE_ENTRIES
cdef Py_ssize_t KEY_CHARACTERS = limits.KEY_CHARACTERS

# What a byte may be part of: a path segment, a header's name, a header's value, an idempotency key.
cdef enum:
    SEGMENT = 1
    TOKEN = 2
    VALUE = 4
    KEY = 8

cdef unsigned char KINDS[256]
cdef int _c
for _c in range(256):
    KINDS[_c] = 0
    if 32 <= _c < 127 or _c == 9:
        KINDS[_c] |= VALUE
    if 32 < _c < 127:
        KINDS[_c] |= KEY
for _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~":
    KINDS[_c] |= SEGMENT | TOKEN
for _c in b"!$&'()*+,;=:@":
    KINDS[_c] |= SEGMENT

# Boards whose pages are not answered without a look at whether there is such a one (`http/reads.py`).
cdef enum:
    MOST_GUESSED = 16

cdef const char *GUESSED[MOST_GUESSED]
cdef Py_ssize_t GUESSED_SIZES[MOST_GUESSED]
cdef Py_ssize_t GUESSES = 0
cdef list _guessed = [name.encode() for name in GUESSED_BOARDS]  # which keeps their bytes
for _name in _guessed:
    GUESSED[GUESSES], GUESSED_SIZES[GUESSES] = PyBytes_AS_STRING(_name), len(_name)
    GUESSES += 1

cdef extern from "strings.h" nogil:
    int strncasecmp(const char *a, const char *b, size_t n)


cdef struct Head:
    int hosts
    int lengths
    int types
    bint is_forwarded       # a proxy says something of the client
    Py_ssize_t length       # of the body
    const char *host
    const char *origin      # or NULL
    const char *key         # the idempotency key, or NULL
    const char *shown       # Authorization, or NULL
    const char *trace       # traceparent, or NULL
    Py_ssize_t host_size, origin_size, key_size, shown_size, trace_size


cdef inline const char *skip(const char *p, const char *end, unsigned char kind) noexcept nogil:
    while p < end and KINDS[<unsigned char>p[0]] & kind:
        p += 1
    return p


cdef inline bint equals_ignoring_case(const char *p, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept nogil:
    return size == length and strncasecmp(p, word, length) == 0


cdef bint is_forwarding(const char *name, Py_ssize_t size) noexcept nogil:
    """Return whether a header is what proxies say; who trusts none passes it over."""
    return (
        (size > 12 and strncasecmp(name, b"x-forwarded-", 12) == 0)
        or equals_ignoring_case(name, size, b"x-real-ip", 9)
        or equals_ignoring_case(name, size, b"forwarded", 9)
        or equals_ignoring_case(name, size, b"via", 3)
    )


cdef bint read_header(const char *name, Py_ssize_t size, const char *value, Py_ssize_t length, Head *head) noexcept nogil:
    """Read a header line into ``head``; return false if it could change what the request means."""
    cdef Py_ssize_t i
    if equals_ignoring_case(name, size, b"host", 4):
        head.hosts += 1
        head.host, head.host_size = value, length
        return length > 0
    if equals_ignoring_case(name, size, b"content-length", 14):
        head.lengths += 1
        if head.lengths > 1 or not 0 < length < 6:
            return False
        for i in range(length):
            if not c"0" <= value[i] <= c"9":
                return False
            head.length = head.length * 10 + value[i] - c"0"
        return True
    if equals_ignoring_case(name, size, b"content-type", 12):
        head.types += 1
        return head.types == 1 and equals_ignoring_case(value, length, b"application/json", 16)
    if equals_ignoring_case(name, size, b"accept", 6):
        return equals_ignoring_case(value, length, b"*/*", 3) or equals_ignoring_case(value, length, b"application/json", 16)
    if equals_ignoring_case(name, size, b"connection", 10):
        return equals_ignoring_case(value, length, b"keep-alive", 10)
    if equals_ignoring_case(name, size, b"idempotency-key", 15):
        if head.key != NULL or not 0 < length <= KEY_CHARACTERS or skip(value, value + length, KEY) != value + length:
            return False
        head.key, head.key_size = value, length
        return True
    if equals_ignoring_case(name, size, b"origin", 6):
        if head.origin != NULL:
            return False
        head.origin, head.origin_size = value, length
        return True
    if equals_ignoring_case(name, size, b"authorization", 13):
        if head.shown != NULL:
            return False
        head.shown, head.shown_size = value, length
        return True
    if equals_ignoring_case(name, size, b"traceparent", 11):
        if head.trace != NULL:
            return False
        head.trace, head.trace_size = value, length
        return True
    if (  # what no parameter of a core route may read, because the fast path does not
        equals_ignoring_case(name, size, b"user-agent", 10)
        or equals_ignoring_case(name, size, b"accept-encoding", 15)
        or equals_ignoring_case(name, size, b"accept-language", 15)
        or equals_ignoring_case(name, size, b"tracestate", 10)
        or equals_ignoring_case(name, size, b"x-request-id", 12)
        or (size > 7 and strncasecmp(name, b"sec-ch-", 7) == 0)  # these and below: browsers
        or (size > 10 and strncasecmp(name, b"sec-fetch-", 10) == 0)
        or equals_ignoring_case(name, size, b"referer", 7)
        or equals_ignoring_case(name, size, b"priority", 8)
    ):
        return True
    if not is_forwarding(name, size):
        return False
    head.is_forwarded = True
    return True


cdef const char *read_headers(const char *p, const char *end, Head *head) noexcept nogil:
    """Read the header lines from ``p``; return where the body begins, or NULL if the head is not found."""
    cdef const char *name
    cdef const char *value
    cdef const char *tail
    cdef Py_ssize_t size
    while end - p >= 2:
        if p[0] == c"\r" and p[1] == c"\n":
            return p + 2 if head.hosts == 1 else NULL
        name = p
        p = skip(p, end, TOKEN)
        size = p - name
        if size == 0 or p == end or p[0] != c":":
            return NULL
        value = p + 1
        while value < end and (value[0] == c" " or value[0] == c"\t"):
            value += 1
        p = tail = skip(value, end, VALUE)
        if end - p < 2 or p[0] != c"\r" or p[1] != c"\n":
            return NULL
        while tail > value and (tail[-1] == c" " or tail[-1] == c"\t"):
            tail -= 1
        if not read_header(name, size, value, tail - value, head):
            return NULL
        p += 2
    return NULL


cdef inline bint is_name(const char *p, Py_ssize_t size) noexcept nogil:
    """Return whether a segment is a good name as it is; one that begins with a dot is left to the full parser."""
    return 0 < size <= NAME_BYTES and p[0] != c"." and not (size == 1 and p[0] == c"-")


cdef inline bint is_guessed(const char *p, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(GUESSES):
        if size == GUESSED_SIZES[i] and memcmp(p, GUESSED[i], size) == 0:
            return True
    return False


cdef const char *read_rank(const char *p, const char *end, const char *key, Py_ssize_t size, long long *rank) noexcept nogil:
    """Read ``key`` and a number of at most 15 digits; return its end, or NULL."""
    cdef const char *begin
    if end - p < size or memcmp(p, key, size) != 0:
        return NULL
    p += size
    begin = p
    rank[0] = 0
    while p < end and c"0" <= p[0] <= c"9" and p - begin < 15:
        rank[0] = rank[0] * 10 + p[0] - c"0"
        p += 1
    return p if p > begin else NULL


cdef struct Recognised:
    bint is_forwarded       # a proxy says something of the client
    const char *end         # where the next request begins
    const char *board
    const char *name
    const char *body
    const char *host
    const char *origin      # or NULL
    const char *key         # the idempotency key, or NULL
    const char *shown       # Authorization, or NULL
    const char *trace       # traceparent, or NULL
    Py_ssize_t board_size, name_size, host_size, origin_size, key_size, shown_size, trace_size, target_size
    long long start, stop   # of a page


cdef Route recognise(const char *p, const char *end, Recognised *found) noexcept nogil:
    """Return which recognised request begins at ``p``."""
    cdef bint submit = False
    cdef const char *begin = p
    cdef Head head
    if end - p < 18:
        return NONE
    if memcmp(p, b"GET /", 5) == 0:
        p += 5
    elif memcmp(p, b"POST /", 6) == 0:
        p += 6
        submit = True
    else:
        return NONE
    found.board = p
    p = skip(p, end, SEGMENT)
    found.board_size = p - found.board
    if not is_name(found.board, found.board_size) or p == end:
        return NONE
    found.name = NULL
    found.name_size = 0
    found.start = 0
    found.stop = DEFAULT_PAGE
    if p[0] == c"/":
        found.name = p + 1
        p = skip(found.name, end, SEGMENT)
        found.name_size = p - found.name
        if not is_name(found.name, found.name_size):
            return NONE
    elif submit or is_guessed(found.board, found.board_size):
        return NONE
    elif p[0] == c"?":
        p = read_rank(p + 1, end, b"startRank=", 10, &found.start)
        if p == NULL or p == end or p[0] != c"&":
            return NONE
        p = read_rank(p + 1, end, b"endRank=", 8, &found.stop)
        if p == NULL or found.stop > LARGEST_NUMBER or not 0 < found.stop - found.start <= PAGE_ENTRIES:
            return NONE
    if end - p < 11 or memcmp(p, b" HTTP/1.1\r\n", 11) != 0:
        return NONE
    found.target_size = p - found.board + 1
    head.hosts = head.lengths = head.types = 0
    head.is_forwarded = False
    head.length = head.origin_size = head.key_size = head.shown_size = 0
    head.origin = head.key = head.shown = head.trace = NULL
    p = read_headers(p + 11, end, &head)
    if p == NULL or p - begin > LONGEST_HEAD or head.lengths != submit:
        return NONE
    if end - p < head.length:
        return NONE
    found.is_forwarded = head.is_forwarded
    found.host, found.host_size = head.host, head.host_size
    found.origin, found.origin_size = head.origin, head.origin_size
    found.key, found.key_size = head.key, head.key_size
    found.shown, found.shown_size = head.shown, head.shown_size
    found.trace, found.trace_size = head.trace, head.trace_size
    found.body = p
    found.end = p + head.length
    return SUBMIT if submit else PAGE if found.name == NULL else STANDING


cdef bint read_integer(const char *p, const char *end, long long *score) noexcept nogil:
    """Read ``{"score":42}``, or the same with a space, if the score is an integer of at most 15 digits."""
    cdef const char *first
    cdef bint negative
    if end - p < 11 or memcmp(p, b'{"score":', 9) != 0:
        return False
    p += 9
    if p[0] == c" ":
        p += 1
    negative = p[0] == c"-"
    p += negative
    first = p
    score[0] = 0
    while p < end and c"0" <= p[0] <= c"9":
        score[0] = score[0] * 10 + p[0] - c"0"
        p += 1
        if p - first > 15:
            return False
    if p == first or (first[0] == c"0" and p - first > 1) or end - p != 1 or p[0] != c"}":
        return False
    if negative:
        score[0] = -score[0]
    return True
