# cython: language_level=3, boundscheck=False, cdivision=True
"""Packed entries as JSON: a page goes from the index to the wire without an object for each entry.

Packed entries are what :meth:`Index.dump` returns: a double, 8 bytes of sequence if the index is stamped, and 8 more if
the highest bit of these is set, the length of the name less 1 (one byte), the name. The JSON is to the byte what msgspec writes for the same entries; a score with a
fraction, or beyond 2^53, is left to msgspec itself.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

import msgspec

cdef double EXACT = 9007199254740992.0
cdef object encode = msgspec.json.Encoder().encode


cdef inline char *put_text(char *out, const char *text, Py_ssize_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef char *put_name(char *out, const char *name, Py_ssize_t size) except NULL:
    cdef Py_ssize_t i
    cdef unsigned char byte
    cdef bytes escaped
    cdef char *begin = out
    for i in range(size):
        byte = name[i]
        if byte < 32:
            escaped = encode(name[:size].decode())[1:-1]
            return put_text(begin, PyBytes_AS_STRING(escaped), PyBytes_GET_SIZE(escaped))
        if byte == c'"' or byte == c"\\":
            out[0] = c"\\"
            out += 1
        out[0] = byte
        out += 1
    return out


cdef char *put_score(char *out, double score) except NULL:
    cdef char digits[20]
    cdef int first = 20
    cdef long long left
    cdef bytes written
    if not -EXACT <= score <= EXACT or score != <double><long long>score:
        written = encode(int(score) if score.is_integer() else score)
        return put_text(out, PyBytes_AS_STRING(written), PyBytes_GET_SIZE(written))
    left = <long long>score
    if left < 0:
        out[0] = c"-"
        out += 1
        left = -left
    while True:
        first -= 1
        digits[first] = c"0" + left % 10
        left //= 10
        if left == 0:
            return put_text(out, digits + first, 20 - first)


cdef inline Py_ssize_t head_of(const char *p, bint stamped) noexcept nogil:
    """The bytes before the name."""
    if not stamped:
        return 9
    return 25 if <unsigned char>p[15] >> 7 else 17


def to_json(bytes packed not None, bint stamped=False, dict metadata=None):
    """Return a JSON array of ``{"name", "score"}`` objects; the entries have sequences if ``stamped``. O(entries).

    With ``metadata``, JSON by sequences, each object has a third field: null if the lowest bit of the entry's sequence
    is not set. Returns None if it is set and ``metadata`` does not have the sequence.

    >>> from laurels.ranking.index import Index
    >>> index = Index()
    >>> _ = index.put("v", 2077)
    >>> to_json(index.dump(0, 20))
    b'[{"name":"v","score":2077}]'
    >>> index = Index(stamped=True)
    >>> _ = index.put("v", 2077, 7)
    >>> to_json(index.dump(0, 20), True, {7: b'{"car":1}'}), to_json(index.dump(0, 20), True, {})
    (b'[{"name":"v","score":2077,"metadata":{"car":1}}]', None)
    """
    cdef const char *p = PyBytes_AS_STRING(packed)
    cdef const char *end = p + PyBytes_GET_SIZE(packed)
    cdef const char *q = p
    cdef Py_ssize_t size, head, room = 2
    cdef Py_ssize_t place = 0
    cdef double score
    cdef uint64_t sequence
    cdef char *out
    cdef char *at
    cdef list bodies = None if metadata is None else []
    cdef bytes body
    while q < end:
        head = head_of(q, stamped)
        size = <unsigned char>q[head - 1] + 1
        if bodies is not None:
            memcpy(&sequence, q + 8, 8)
            sequence &= ~(<uint64_t>1 << 63)
            body = metadata.get(sequence) if sequence & 1 else b"null"
            if body is None:
                return None
            bodies.append(body)
            room += len(body)
        q += head + size
        room += 400 + 6 * size
    out = at = <char *>malloc(room)
    if out == NULL:
        raise MemoryError
    try:
        at = put_text(at, b"[", 1)
        while p < end:
            memcpy(&score, p, 8)
            head = head_of(p, stamped)
            size = <unsigned char>p[head - 1] + 1
            if at > out + 1:
                at = put_text(at, b",", 1)
            at = put_text(at, b'{"name":"', 9)
            at = put_name(at, p + head, size)
            at = put_text(at, b'","score":', 10)
            at = put_score(at, score)
            if bodies is not None:
                body = bodies[place]
                place += 1
                at = put_text(at, b',"metadata":', 12)
                at = put_text(at, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
            at = put_text(at, b"}", 1)
            p += head + size
        at = put_text(at, b"]", 1)
        return PyBytes_FromStringAndSize(out, at - out)
    finally:
        free(out)
