"""The short way for plain requests: recognises the three core routes where a request is written as most clients write it.

A *plain* request is one that no two readers of HTTP could read in two ways: a whole request in one piece of bytes, HTTP/1.1,
one of the three core routes without percent signs, lines that end in CR LF, exactly one Host, nothing but the headers named
in ``_HARMLESS`` and ``_READ`` below, at most one Content-Length and the body right behind it. Everything else, good or bad,
is left to the full parser, so nothing is ever refused here. What is recognised here obeys the rules of names by its alphabet.

It costs about 0.2 microseconds; the full parser and its callbacks cost 3.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memchr, memcmp

STANDING, PAGE, SUBMIT = range(3)

cdef enum:
    NAME_BYTES = 256
    HEAD_BYTES = 4096
    BODY_BYTES = 4096
    PAGE_ENTRIES = 1000
    DEFAULT_PAGE = 20

# What a byte may be part of: a path segment, a header's name, a header's value.
cdef enum:
    SEGMENT = 1
    TOKEN = 2
    VALUE = 4

cdef unsigned char KINDS[256]
cdef int _c
for _c in range(256):
    KINDS[_c] = 0
    if 32 <= _c < 127 or _c == 9:
        KINDS[_c] |= VALUE
for _c in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~":
    KINDS[_c] |= SEGMENT | TOKEN
for _c in b"!$&'()*+,;=:@":
    KINDS[_c] |= SEGMENT

cdef extern from "strings.h" nogil:
    int strncasecmp(const char *a, const char *b, size_t n)


cdef struct Head:
    int hosts
    int lengths
    Py_ssize_t length       # of the body


cdef inline const char *skip(const char *p, const char *end, unsigned char kind) noexcept nogil:
    while p < end and KINDS[<unsigned char>p[0]] & kind:
        p += 1
    return p


cdef inline bint spells(const char *p, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept nogil:
    return size == length and strncasecmp(p, word, length) == 0


cdef bint read_header(const char *name, Py_ssize_t size, const char *value, Py_ssize_t length, Head *head) noexcept nogil:
    """Take a header line into ``head``; false where it could change what the request means."""
    cdef Py_ssize_t i
    if spells(name, size, b"host", 4):
        head.hosts += 1
        return length > 0 and memchr(value, c",", length) == NULL
    if spells(name, size, b"content-length", 14):
        head.lengths += 1
        if not 0 < length < 6:
            return False
        for i in range(length):
            if not c"0" <= value[i] <= c"9":
                return False
            head.length = head.length * 10 + value[i] - c"0"
        return True
    if spells(name, size, b"content-type", 12):
        return spells(value, length, b"application/json", 16)
    if spells(name, size, b"accept", 6):
        return spells(value, length, b"*/*", 3) or spells(value, length, b"application/json", 16)
    if spells(name, size, b"connection", 10):
        return spells(value, length, b"keep-alive", 10)
    return (
        spells(name, size, b"user-agent", 10)
        or spells(name, size, b"accept-encoding", 15)
        or spells(name, size, b"accept-language", 15)
        or spells(name, size, b"traceparent", 11)
        or spells(name, size, b"x-request-id", 12)
    )


cdef const char *read_headers(const char *p, const char *end, Head *head) noexcept nogil:
    """Read the header lines from ``p``; give where the body begins, or NULL where the head is not plain."""
    cdef const char *name
    cdef const char *value
    cdef const char *tail
    cdef Py_ssize_t size
    while end - p >= 2:
        if p[0] == c"\r" and p[1] == c"\n":
            return p + 2 if head.hosts == 1 and head.lengths <= 1 else NULL
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
    """Tell whether a segment is a good name as it stands; a dot is left to those who know about dots."""
    return 0 < size <= NAME_BYTES and p[0] != c"." and not (size == 1 and p[0] == c"-")


cdef const char *read_rank(const char *p, const char *end, const char *key, Py_ssize_t size, long long *rank) noexcept nogil:
    """Read ``key`` and a number of at most 15 digits; give where it ends, or NULL."""
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


def read(bytes data not None, Py_ssize_t at=0):
    """Read the plain request that begins at ``at``; give None where none does.

    The answer is one of ``(STANDING, end, board, name, None)``, ``(PAGE, end, board, start, stop)`` and
    ``(SUBMIT, end, board, name, body)``; ``end`` is where the next request begins.
    """
    cdef const char *base = PyBytes_AS_STRING(data)
    cdef const char *end = base + PyBytes_GET_SIZE(data)
    cdef const char *p = base + at
    cdef const char *board
    cdef const char *name = NULL
    cdef Py_ssize_t board_size, name_size = 0
    cdef long long start = 0, stop = DEFAULT_PAGE
    cdef bint submit = False
    cdef Head head
    if end - p < 18:
        return None
    if memcmp(p, b"GET /", 5) == 0:
        p += 5
    elif memcmp(p, b"POST /", 6) == 0:
        p += 6
        submit = True
    else:
        return None
    board = p
    p = skip(p, end, SEGMENT)
    board_size = p - board
    if not is_name(board, board_size) or p == end:
        return None
    if p[0] == c"/":
        name = p + 1
        p = skip(name, end, SEGMENT)
        name_size = p - name
        if not is_name(name, name_size):
            return None
    elif submit:
        return None
    elif p[0] == c"?":
        p = read_rank(p + 1, end, b"startRank=", 10, &start)
        if p != NULL and p < end and p[0] == c"&":
            p = read_rank(p + 1, end, b"endRank=", 8, &stop)
        else:
            return None
        if p == NULL or not 0 < stop - start <= PAGE_ENTRIES:
            return None
    if end - p < 11 or memcmp(p, b" HTTP/1.1\r\n", 11) != 0:
        return None
    head.hosts = head.lengths = 0
    head.length = 0
    p = read_headers(p + 11, end, &head)
    if p == NULL or p - base - at > HEAD_BYTES or head.lengths != submit or end - p < head.length:
        return None
    where = PyUnicode_DecodeASCII(board, board_size, NULL)
    if name == NULL:
        return PAGE, p - base, where, start, stop
    who = PyUnicode_DecodeASCII(name, name_size, NULL)
    if not submit:
        return STANDING, p - base, where, who, None
    return SUBMIT, p + head.length - base, where, who, PyBytes_FromStringAndSize(p, head.length)
