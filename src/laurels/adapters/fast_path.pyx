"""The short way for plain requests: answers the three core routes where a request is written as most clients write it.

A *plain* request is one that no two readers of HTTP could read in two ways: a whole request in one piece of bytes, HTTP/1.1,
one of the three core routes without percent signs, lines that end in CR LF, exactly one Host, nothing but the headers that
``read_header`` names, Content-Length and Content-Type at most once each, and the body right behind it. Everything else, good
or bad, is left to the full parser, so nothing is ever refused here. What is recognised here obeys the rules of names by its
alphabet.

Recognising one costs about 0.1 microseconds; the full parser and its callbacks cost 3.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memchr, memcmp, memcpy

from laurels.errors import LaurelsError
from laurels.http.problems import problem
from laurels.http.routes import ACCEPTED
from laurels.http.wire import read_submit
from laurels.adapters.asgi import failure


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object coroutine, object value, PyObject **result) except PYGEN_ERROR
    void Py_DECREF(PyObject *held)

cdef enum Route:
    NONE
    STANDING
    PAGE
    SUBMIT

cdef enum:
    NAME_BYTES = 256
    HEAD_BYTES = 4096
    BODY_BYTES = 64 * 1024
    OUTBOX_BYTES = 256 * 1024
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
    int types
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
        if head.lengths > 1 or not 0 < length < 6:
            return False
        for i in range(length):
            if not c"0" <= value[i] <= c"9":
                return False
            head.length = head.length * 10 + value[i] - c"0"
        return True
    if spells(name, size, b"content-type", 12):
        head.types += 1
        return head.types == 1 and spells(value, length, b"application/json", 16)
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


cdef struct Plain:
    const char *end         # where the next request begins
    const char *board
    const char *name
    const char *body
    Py_ssize_t board_size, name_size
    long long start, stop   # of a page


cdef Route recognise(const char *p, const char *end, Plain *plain) noexcept nogil:
    """Tell which plain request begins at ``p``."""
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
    plain.board = p
    p = skip(p, end, SEGMENT)
    plain.board_size = p - plain.board
    if not is_name(plain.board, plain.board_size) or p == end:
        return NONE
    plain.name = NULL
    plain.name_size = 0
    plain.start = 0
    plain.stop = DEFAULT_PAGE
    if p[0] == c"/":
        plain.name = p + 1
        p = skip(plain.name, end, SEGMENT)
        plain.name_size = p - plain.name
        if not is_name(plain.name, plain.name_size):
            return NONE
    elif submit:
        return NONE
    elif p[0] == c"?":
        p = read_rank(p + 1, end, b"startRank=", 10, &plain.start)
        if p == NULL or p == end or p[0] != c"&":
            return NONE
        p = read_rank(p + 1, end, b"endRank=", 8, &plain.stop)
        if p == NULL or not 0 < plain.stop - plain.start <= PAGE_ENTRIES:
            return NONE
    if end - p < 11 or memcmp(p, b" HTTP/1.1\r\n", 11) != 0:
        return NONE
    head.hosts = head.lengths = head.types = 0
    head.length = 0
    p = read_headers(p + 11, end, &head)
    if p == NULL or p - begin > HEAD_BYTES or head.lengths != submit:
        return NONE
    if head.length > BODY_BYTES or end - p < head.length:
        return NONE
    plain.body = p
    plain.end = p + head.length
    return SUBMIT if submit else PAGE if plain.name == NULL else STANDING


cdef object begin(object routes, Route route, Plain *plain):
    """Give the coroutine that answers a plain request."""
    cdef long long score
    board = PyUnicode_DecodeASCII(plain.board, plain.board_size, NULL)
    if route == PAGE:
        return routes.page(board, plain.start, plain.stop)
    name = PyUnicode_DecodeASCII(plain.name, plain.name_size, NULL)
    if route == STANDING:
        return routes.standing(board, name)
    if read_integer(plain.body, plain.end, &score):
        return routes.submit(board, name, score)
    number, metadata = read_submit(PyBytes_FromStringAndSize(plain.body, plain.end - plain.body))
    if metadata is None:
        return routes.submit(board, name, number)
    return routes.attempt(board, name, number, metadata)


cdef bint read_integer(const char *p, const char *end, long long *score) noexcept nogil:
    """Read ``{"score":42}``, or the same with a space, where the score is an integer of at most 15 digits."""
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


cdef bytes joined(bytes head, bytes body):
    """Put a length, the empty line and the body behind a head that ends in ``content-length: ``."""
    cdef char digits[32]
    cdef int first = 32
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body), left = size, length = PyBytes_GET_SIZE(head)
    cdef bytes whole
    cdef char *p
    for mark in b"\n\r\n\r":
        first -= 1
        digits[first] = mark
    while True:
        first -= 1
        digits[first] = c"0" + left % 10
        left //= 10
        if left == 0:
            break
    whole = PyBytes_FromStringAndSize(NULL, length + 32 - first + size)
    p = PyBytes_AS_STRING(whole)
    memcpy(p, PyBytes_AS_STRING(head), length)
    memcpy(p + length, digits + first, 32 - first)
    memcpy(p + length + 32 - first, PyBytes_AS_STRING(body), size)
    return whole


cdef class Outbox:
    """The answers of one turn of the event loop, written together at its end.

    One write after another wakes a client on the same machine once; a write between two reads wakes it each time.
    """

    cdef list transports
    cdef list pieces
    cdef Py_ssize_t held

    def __init__(self):
        self.transports = []
        self.pieces = []

    cpdef put(self, object connection, bytes data):
        """Write ``data`` to the connection at the end of the loop's turn, or before, where much is held already."""
        if self.held == 0:
            connection.loop.call_soon(self.flush)
        self.transports.append(connection.transport)
        self.pieces.append(data)
        self.held += PyBytes_GET_SIZE(data)
        if self.held > OUTBOX_BYTES:
            self.flush()

    def flush(self):
        """Write all that is held."""
        cdef Py_ssize_t i
        transports, pieces = self.transports, self.pieces
        self.transports, self.pieces, self.held = [], [], 0
        for i in range(len(pieces)):
            transport = transports[i]
            if not transport.is_closing():
                transport.write(pieces[i])


@cython.freelist(64)
cdef class Turn:
    """One request's turn on its connection, until it has a response.

    Runs the request's coroutine; one that waits for a future of the store is run on by it. While it waits the turn is the
    connection's ``cycle``, and looks to uvicorn like one of its own.
    """

    cdef object connection, coroutine
    cdef bint bodiless
    cdef public bint keep_alive, disconnected, response_complete

    def __cinit__(self, connection, coroutine, bint keep_alive, bint bodiless):
        self.connection = connection
        self.coroutine = coroutine
        self.keep_alive = keep_alive
        self.bodiless = bodiless

    @property
    def message_event(self):
        """The event by which uvicorn wakes a cycle of its own."""
        return self

    def set(self):
        """Do nothing: a turn is woken by the store."""

    def __call__(self, future=None):
        """Run until there is a response, or a future to wait for."""
        self.run()

    cdef run(self):
        cdef PyObject *result = NULL
        cdef PySendResult sent
        try:
            sent = PyIter_Send(self.coroutine, None, &result)
        except Exception as error:
            self.finish(failure(error))
            return
        outcome = <object>result
        Py_DECREF(result)
        if sent == PYGEN_RETURN:
            self.finish(outcome)
            return
        self.connection.hold(self)
        outcome._asyncio_future_blocking = False  # what a task does with what it is handed
        outcome.add_done_callback(self)

    cdef finish(self, response):
        connection = self.connection
        clock = connection.clock
        self.response_complete = True
        if self.disconnected:
            pass
        elif not self.keep_alive or self.bodiless or response.headers:
            connection.write(response, self.keep_alive, self.bodiless)
        elif response.status == 200:
            (<Outbox>clock.outbox).put(connection, joined(clock.ok, response.body))
        elif response is ACCEPTED:
            (<Outbox>clock.outbox).put(connection, clock.accepted)
        else:
            connection.write(response, True, False)
        if connection.stage:  # not idle: the request waited, or came through the full parser
            connection.on_response_complete()


def answer(object connection, bytes data not None):
    """Answer the plain requests that ``data`` begins with; give how many bytes they were.

    Stops at the first request that is not plain, that must wait, or whose answer the client does not read.
    """
    cdef const char *base = PyBytes_AS_STRING(data)
    cdef const char *end = base + PyBytes_GET_SIZE(data)
    cdef const char *p = base
    cdef Plain plain
    cdef Route route
    cdef Turn turn
    routes = connection.routes
    connection.since = connection.clock.now
    while p < end:
        route = recognise(p, end, &plain)
        if route == NONE:
            break
        p = plain.end
        turn = Turn.__new__(Turn, connection, None, True, False)
        try:
            turn.coroutine = begin(routes, route, &plain)
        except LaurelsError as error:
            turn.finish(problem(error))
        else:
            turn.run()
        if not turn.response_complete or (p < end and connection.flow.write_paused):
            break
    return p - base
