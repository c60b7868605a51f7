"""The fast path: answers the three core routes when a request is written as most clients write it.

A *recognised* request is one that no two readers of HTTP could read in two ways: a whole request in one piece of bytes,
HTTP/1.1, one of the three core routes without percent signs, lines that end in CR LF, exactly one Host, no headers but
those that ``read_header`` names, Content-Length and Content-Type at most once each, and the body right behind it.
Everything else, good or bad, is left to the full parser, so nothing is ever refused here. What is recognised obeys the
rules of names by its alphabet. Recognising one costs about 0.1 microseconds; the full parser and its callbacks cost 3.

This module only recognises: the operation and its handler are those of every other request, and so is the context, which
only the gate gives. An open gate gives one for all; any other is asked for each request, and has its headers read out.

**Inline calls.** A request that is answered in place has no task of its own. Its coroutine runs until it has a response
or waits. If it waits for the store's own future (``drives_inline``), it is run on when that is done. If it waits for
anything else, or is cancelled, an ordinary task takes over (:class:`Continuation`). All the time the call itself is
what ``asyncio.current_task()`` returns: a stand-in that passes on to the task what concerns one. So handlers need not
know how they are driven.

**Bare calls.** The core operations of the table, over a store that waits inline (:attr:`Store.waits_inline`), ask for no
current task and set no context variables: they are spared both. That is a tenth of a standing.

**Contexts.** Context variables that a request sets are seen by no other. Calls run in one spare copy of the server's
context; one that changed it keeps it, and a new copy is made for the next. A copy is unchanged if it holds the very same
objects, which are few.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memchr, memcmp, memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from laurels.adapters.request_counts cimport RequestCounts

import asyncio
import logging

from laurels import limits
from laurels.adapters.request_counts import RequestCounts as Counts
from laurels.http.handlers import ACCEPTED
from laurels.http.messages import JSON, Request, Response, StreamingResponse, add_header
from laurels.http.operations import READ as READ_OPERATION
from laurels.http.operations import STANDING as STANDING_OPERATION
from laurels.http.operations import SUBMIT as SUBMIT_OPERATION
from laurels.http.problems import failure
from laurels.http.query import EMPTY_QUERY
from laurels.http.reads import PAGE_READ, read_board


log = logging.getLogger(__name__)


cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object coroutine, object value, PyObject **result) except PYGEN_ERROR
    void Py_DECREF(PyObject *held)
    object PyContext_CopyCurrent()
    object PyContext_Copy(object context)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    PyObject *PyDict_GetItemWithError(object mapping, object key) except? NULL
    int PyDict_SetItem(object mapping, object key, object value) except -1
    int PyDict_DelItem(object mapping, object key) except -1
    object PyObject_Vectorcall(object function, PyObject **values, size_t count, PyObject *names)

# What asyncio.current_task() looks up: a dictionary up to Python 3.11, then behind a function.
cdef object swap_current_task = getattr(asyncio.tasks, "_swap_current_task", None)
cdef object current_tasks = None if swap_current_task is not None else asyncio.tasks._current_tasks


cdef object swap_task(loop, task):
    """Make this the current task, and return the one before; None stands for no task."""
    cdef PyObject *found
    if swap_current_task is not None:
        return swap_current_task(loop, task)
    found = PyDict_GetItemWithError(current_tasks, loop)
    before = None if found == NULL else <object>found
    if task is not None:
        PyDict_SetItem(current_tasks, loop, task)
    elif before is not None:
        PyDict_DelItem(current_tasks, loop)
    return before


cdef enum Route:
    NONE
    STANDING
    PAGE
    SUBMIT

cdef enum:
    LONGEST_HEAD = 4096     # of those recognised; a longer one is left to the full parser
    OUTBOX_BYTES = 256 * 1024
    MOST_VALUES = 32        # that a handler gets; a core route with more would not start

# Limits of the contract. What is beyond one is not recognised, so that the full parser refuses it, with its reason.
cdef Py_ssize_t NAME_BYTES = limits.NAME_BYTES
cdef long long LARGEST_NUMBER = limits.LARGEST_NUMBER
cdef long long PAGE_ENTRIES = limits.PAGE_ENTRIES
cdef long long DEFAULT_PAGE = limits.DEFAULT_PAGE_ENTRIES

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


cdef inline bint equals_ignoring_case(const char *p, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept nogil:
    return size == length and strncasecmp(p, word, length) == 0


cdef bint read_header(const char *name, Py_ssize_t size, const char *value, Py_ssize_t length, Head *head) noexcept nogil:
    """Read a header line into ``head``; return false if it could change what the request means."""
    cdef Py_ssize_t i
    if equals_ignoring_case(name, size, b"host", 4):
        head.hosts += 1
        return length > 0 and memchr(value, c",", length) == NULL
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
    return (  # what no parameter of a core route may read, because the fast path does not
        equals_ignoring_case(name, size, b"user-agent", 10)
        or equals_ignoring_case(name, size, b"accept-encoding", 15)
        or equals_ignoring_case(name, size, b"accept-language", 15)
        or equals_ignoring_case(name, size, b"traceparent", 11)
        or equals_ignoring_case(name, size, b"x-request-id", 12)
    )


cdef const char *read_headers(const char *p, const char *end, Head *head) noexcept nogil:
    """Read the header lines from ``p``; give where the body begins, or NULL where the head is not found."""
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
    const char *end         # where the next request begins
    const char *board
    const char *name
    const char *body
    Py_ssize_t board_size, name_size, target_size
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
    elif submit:
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
    head.length = 0
    p = read_headers(p + 11, end, &head)
    if p == NULL or p - begin > LONGEST_HEAD or head.lengths != submit:
        return NONE
    if end - p < head.length:
        return NONE
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


cdef bytes join_response(bytes head, bytes body):
    """Put a length, the empty line and the body behind a head that ends in ``content-length: ``."""
    cdef char digits[32]
    cdef int first = 32
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body), left = size, length = PyBytes_GET_SIZE(head)
    cdef bytes whole
    cdef char *p
    for byte in b"\n\r\n\r":
        first -= 1
        digits[first] = byte
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
    cdef Py_ssize_t waiting_bytes

    def __init__(self):
        self.transports = []
        self.pieces = []

    cpdef put(self, object connection, bytes data):
        """Write ``data`` to the connection at the end of the loop's turn, or before if much is waiting already."""
        if self.waiting_bytes == 0:
            connection.loop.call_soon(self.flush)
        self.transports.append(connection.transport)
        self.pieces.append(data)
        self.waiting_bytes += PyBytes_GET_SIZE(data)
        if self.waiting_bytes > OUTBOX_BYTES:
            self.flush()

    def flush(self):
        """Write all that waits."""
        cdef Py_ssize_t i
        transports, pieces = self.transports, self.pieces
        self.transports, self.pieces, self.waiting_bytes = [], [], 0
        for i in range(len(pieces)):
            transport = transports[i]
            if not transport.is_closing():
                transport.write(pieces[i])


cdef double seconds_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class FastPath:
    """What the inline calls of one server share: its routes, its loop, its outbox, and what its gate wants to see.

    ``ok`` and ``accepted`` are heads of answers with today's date; the server's clock renews them.
    """

    cdef public bytes ok, accepted
    cdef readonly Outbox outbox
    cdef object routes, context, standing, page, submit, standing_handler, read_page, submit_handler, read_body
    cdef bint standing_is_bare, page_is_bare, submit_is_bare
    cdef tuple standing_defaults, page_defaults, submit_defaults
    cdef Py_ssize_t target_limit, head_limit, body_limit
    cdef object loop, base, spare, store_future
    cdef list base_items
    cdef RequestCounts counts
    cdef int standing_row, page_row, submit_row
    cdef bint needs_request
    cdef readonly bint is_observed
    cdef set tasks

    def __init__(self, routes, Py_ssize_t target_limit, Py_ssize_t head_limit):
        gate = routes.gate
        self.routes = routes
        self.context = routes.open_context
        self.standing = self.inline_operation("GET", b"/board/name")
        self.page = self.inline_operation("GET", b"/board", read_board)
        self.read_page = PAGE_READ.handler
        self.submit = self.inline_operation("POST", b"/board/name")
        self.standing_defaults = default_values(self.standing)
        self.page_defaults = tuple(PAGE_READ.inputs.read(EMPTY_QUERY, {}))[2:]  # without the two ranks
        self.submit_defaults = default_values(self.submit)
        self.standing_handler = getattr(self.standing, "handler", None)
        self.submit_handler = getattr(self.submit, "handler", None)
        is_bare = routes.waits_inline
        self.standing_is_bare = is_bare and self.standing is STANDING_OPERATION
        self.page_is_bare = is_bare and self.page is READ_OPERATION
        self.submit_is_bare = is_bare and self.submit is SUBMIT_OPERATION
        self.target_limit, self.head_limit = target_limit, head_limit
        if self.submit is not None:
            self.read_body = self.submit.body.read
            self.body_limit = self.submit.body_limit
        self.outbox = Outbox()
        self.needs_request = not gate.is_open or gate.cors is not None
        self.is_observed = not gate.is_silent
        if gate.cors is None and len(gate.observers) == 1 and isinstance(gate.observers[0], Counts):
            self.counts = gate.observers[0]  # counted without a call from Python, as long as nothing else observes
            self.standing_row = self.counts.row_of("GET", "/{board}/{name}")
            self.page_row = self.counts.row_of("GET", "/{board}")
            self.submit_row = self.counts.row_of("POST", "/{board}/{name}")
        self.tasks = set()

    def inline_operation(self, method, path, handler=None):
        """Return the operation of a core route; None if it may not be answered inline, or has another handler."""
        operation = self.routes.find(method, path).operation
        if operation is None or not operation.is_inline or handler not in (None, operation.handler):
            return None
        return operation

    def run_in(self, loop):
        """Take the loop of the server's connections, and the context that it runs in."""
        if self.loop is None:
            self.loop = loop
            self.base = PyContext_CopyCurrent()
            self.base_items = list(self.base.items())
            self.spare = self.new_context()

    cdef bint is_unchanged(self, context) except -1:
        """Return whether a copy of the server's context still holds the very same objects."""
        if len(context) != len(self.base_items):
            return False
        for variable, value in self.base_items:
            if context.get(variable) is not value:
                return False
        return True

    cpdef new_context(self):
        """Return a context in which no request has set anything."""
        return PyContext_Copy(self.base)

    cdef bint is_store_future(self, outcome) except -1:
        """Return whether a coroutine may be run on from this future's callback, and remember its type."""
        if getattr(type(outcome), "drives_inline", False):
            self.store_future = type(outcome)
            return True
        return False

    cdef object begin(self, Route route, operation, Recognised *found, request):
        """Return the awaitable answer to a recognised request."""
        cdef long long score
        context = self.context
        board = PyUnicode_DecodeASCII(found.board, found.board_size, NULL)
        name = None if route == PAGE else PyUnicode_DecodeASCII(found.name, found.name_size, NULL)
        if request is not None:
            context = self.routes.admit_recognised(operation, (board, name) if name else (board,), request)
        if route == PAGE:
            return call(self.read_page, context, board, found.start, found.stop, self.page_defaults)
        if route == STANDING:
            return call(self.standing_handler, context, board, name, NO_VALUE, self.standing_defaults)
        if read_integer(found.body, found.end, &score):
            sent = score, None
        else:
            sent = self.read_body(PyBytes_FromStringAndSize(found.body, found.end - found.body))
        return call(self.submit_handler, context, board, name, sent, self.submit_defaults)

    def answer(self, object connection, bytes data not None):
        """Answer the recognised requests that ``data`` begins with; return how many bytes they were.

        Stops at the first request that is not recognised, that must wait, or whose answer the client does not read.
        """
        cdef const char *base = PyBytes_AS_STRING(data)
        cdef const char *end = base + PyBytes_GET_SIZE(data)
        cdef const char *p = base
        cdef Recognised found
        cdef Route route
        cdef InlineCall call
        connection.since = connection.shared.now
        while p < end:
            route = recognise(p, end, &found)
            operation = self.standing if route == STANDING else self.page if route == PAGE else self.submit
            if route == NONE or operation is None:
                break
            if found.body - p > self.head_limit or found.target_size > self.target_limit:
                break
            if route == SUBMIT and found.end - found.body > self.body_limit:
                break
            call = InlineCall.__new__(InlineCall, connection, self)
            call.keep_alive = True
            call.is_bare = (
                self.standing_is_bare if route == STANDING else self.page_is_bare if route == PAGE else self.submit_is_bare
            )
            if self.is_observed:
                call.began = seconds_now()
                call.operation = operation
                call.row = (
                    self.standing_row if route == STANDING else self.page_row if route == PAGE else self.submit_row
                )
            if self.needs_request:
                call.request = read_head(p, found.body, connection)
            p = found.end
            try:
                call.coroutine = self.begin(route, operation, &found, call.request)
            except Exception as error:
                call.finish(failure(error))
            else:
                call.run()
            if not call.response_complete or (p < end and connection.flow.write_paused):
                break
        return p - base


cdef object NO_VALUE = object()


cdef object call(handler, context, board, first, second, tuple defaults):
    """Return what the handler does with these and the defaults. Making a tuple of them would take 0.1 microseconds."""
    cdef PyObject *values[MOST_VALUES]
    cdef Py_ssize_t i, n = 3
    values[0], values[1], values[2] = <PyObject *>context, <PyObject *>board, <PyObject *>first
    if second is not NO_VALUE:
        values[3] = <PyObject *>second
        n = 4
    for i in range(len(defaults)):
        values[n + i] = <PyObject *>defaults[i]
    return PyObject_Vectorcall(handler, values, n + len(defaults), NULL)


def default_values(operation):
    """Return the values that the parameters of an operation have in a request that gives none."""
    values = () if operation is None else tuple(operation.read_parameters(EMPTY_QUERY, {}))
    if len(values) > MOST_VALUES - 4:
        raise ValueError(f"{operation.name} has too many parameters")
    return values


cdef object read_head(const char *p, const char *body, connection):
    """Return a recognised request without its body, for a gate that looks at requests."""
    line, *lines = PyBytes_FromStringAndSize(p, body - p - 4).split(b"\r\n")
    method, target, _ = line.split(b" ")
    path, _, query = target.partition(b"?")
    headers = {}
    for line in lines:
        name, _, value = line.partition(b":")
        add_header(headers, name.lower(), value.strip())
    return Request(method.decode(), path, query, headers, b"", connection.address)


class Continuation:
    """A coroutine that has already run up to where it waits for ``pending``, as a task can take it over.

    To the coroutine the current task stays the call, so that what it has remembered of that still holds.
    """

    def __init__(self, call, coroutine, pending):
        self._call = call
        self._coroutine = coroutine
        self._pending = pending
        self._is_begun = False

    def send(self, value):
        """Hand the task what the coroutine waits for, and from then on run the coroutine."""
        if self._is_begun:
            return self._run(self._coroutine.send, value)
        self._is_begun = True
        if self._pending is not None:
            self._pending._asyncio_future_blocking = True  # as if it were awaited just now
        return self._pending

    def throw(self, *error):
        """Raise in the coroutine, where it waits: also if the task was cancelled before its first step."""
        self._is_begun = True
        return self._run(self._coroutine.throw, *error)

    def _run(self, step, *values):
        loop = self._call.get_loop()
        before = swap_task(loop, self._call)
        try:
            return step(*values)
        finally:
            swap_task(loop, before)

    def close(self):
        """End the coroutine."""
        self._coroutine.close()

    def __await__(self):
        raise NotImplementedError("a task runs it")


@cython.freelist(64)
cdef class InlineCall:
    """A request that is being answered inline. While it waits it is the connection's ``cycle``: uvicorn takes it for one
    of its own. To asyncio it is the current task (see the module's head).
    """

    cdef object connection, coroutine, request, operation, route, method, context, task, pending, name
    cdef list callbacks
    cdef FastPath fast
    cdef bint is_head, is_bare, must_cancel
    cdef int row
    cdef double began
    cdef public bint keep_alive, disconnected, response_complete
    cdef object __weakref__

    def __cinit__(self, connection, FastPath fast):
        self.connection = connection
        self.fast = fast

    @property
    def message_event(self):
        """The event by which uvicorn wakes a cycle of its own."""
        return self

    def set(self):
        """Do nothing: a call is woken by what it waits for."""

    def __call__(self, future=None):
        """Run on, now that the store's future is done."""
        if self.task is None:
            self.pending = None
            self.run()

    # What handlers may ask of the current task

    def cancel(self, msg=None):
        """Cancel, as :meth:`asyncio.Task.cancel` does; what cannot wait for a future to be cancelled becomes a task."""
        if self.response_complete:
            return False
        if self.task is not None:
            return self.task.cancel(msg)
        if self.pending is None:
            self.must_cancel = True
            return True
        self.become_task(self.pending)
        return self.task.cancel(msg)

    def cancelling(self):
        """Return how many cancellations are pending."""
        return int(self.must_cancel) if self.task is None else self.task.cancelling()

    def uncancel(self):
        """Take one cancellation back."""
        if self.task is not None:
            return self.task.uncancel()
        self.must_cancel = False
        return 0

    def add_done_callback(self, callback, *, context=None):
        """Call ``callback`` with this call once there is a response."""
        self.callbacks = [*(self.callbacks or ()), (callback, context or self.fast.new_context())]

    def remove_done_callback(self, callback):
        """Take callbacks back; return how many."""
        before = self.callbacks or []
        self.callbacks = [each for each in before if each[0] != callback]
        return len(before) - len(self.callbacks)

    def get_name(self):
        """Return the name."""
        return self.name or "inline-call"

    def set_name(self, name):
        """Take a name."""
        self.name = str(name)

    @property
    def _must_cancel(self):
        """Whether the next step is to raise CancelledError; anyio looks here."""
        return self.must_cancel if self.task is None else self.task._must_cancel

    @property
    def _fut_waiter(self):
        """What the coroutine waits for; anyio looks here."""
        return self.pending if self.task is None else self.task._fut_waiter

    def get_coro(self):
        """Return the coroutine."""
        return self.coroutine

    def get_loop(self):
        """Return the loop."""
        return self.fast.loop

    def done(self):
        """Return whether there is a response."""
        return self.response_complete

    # How it runs

    cdef run(self):
        cdef PyObject *result = NULL
        cdef PySendResult sent = PYGEN_ERROR
        cdef FastPath fast = self.fast
        trouble = None
        if self.is_bare:
            try:
                sent = PyIter_Send(self.coroutine, None, &result)
            except BaseException as error:
                trouble = error
        else:
            trouble = self.run_apart(&result, &sent)
        if trouble is not None:
            self.finish(failure(trouble))
            return
        outcome = <object>result
        Py_DECREF(result)
        if sent == PYGEN_RETURN:
            self.finish(outcome)
            return
        self.connection.hold(self)
        if not self.must_cancel and (type(outcome) is fast.store_future or fast.is_store_future(outcome)):
            self.pending = outcome
            outcome._asyncio_future_blocking = False  # what a task does with what it is handed
            outcome.add_done_callback(self)
        else:
            self.become_task(outcome)

    cdef object run_apart(self, PyObject **result, PySendResult *sent):
        """Run with a context and a current task of the call's own; return what was raised, or None."""
        cdef FastPath fast = self.fast
        context = fast.spare if self.context is None else self.context
        trouble = None
        before = swap_task(fast.loop, self)
        PyContext_Enter(context)
        try:
            sent[0] = PyIter_Send(self.coroutine, None, result)
        except BaseException as error:
            trouble = error
        finally:
            PyContext_Exit(context)
            swap_task(fast.loop, before)
        if self.context is None and not fast.is_unchanged(context):
            self.context = context
            fast.spare = fast.new_context()
        return trouble

    cdef become_task(self, pending):
        if self.context is None:
            self.context = self.fast.new_context()  # not the spare one, in which another call may be running
        task = asyncio.Task(Continuation(self, self.coroutine, pending), loop=self.fast.loop, context=self.context)
        self.task = task
        self.fast.tasks.add(task)  # a loop holds tasks only weakly
        task.add_done_callback(self.finish_task)
        if self.must_cancel:
            task.cancel()

    def finish_task(self, task):
        """Answer with what the task came to."""
        self.fast.tasks.discard(task)
        try:
            response = task.result()
        except BaseException as error:
            response = failure(error)
        self.finish(response)

    cdef finish(self, response):
        cdef FastPath fast = self.fast
        connection = self.connection
        self.response_complete = True
        if fast.is_observed:
            try:
                response = self.release(response)
            except Exception as error:
                response = failure(error)
        self.coroutine = self.request = None
        if self.callbacks is not None:
            for callback, context in self.callbacks:
                fast.loop.call_soon(callback, self, context=context)
        if not self.disconnected:
            self.write(response)
        if connection.stage:  # not idle: the request waited, or came through the full parser
            connection.on_response_complete()

    cdef write(self, response):
        cdef FastPath fast = self.fast
        connection = self.connection
        if type(response) is Response and self.keep_alive and not self.is_head and not response.headers:
            if response.status == 200 and response.content_type is JSON:
                fast.outbox.put(connection, join_response(fast.ok, response.body))
                return
            if response is ACCEPTED:
                fast.outbox.put(connection, fast.accepted)
                return
        if isinstance(response, StreamingResponse):
            response = failure(TypeError("An operation that streams its answer must not be inline"))
        try:
            connection.write(response, self.keep_alive, self.is_head)
        except Exception:
            log.exception("Failed to write an answer")
            connection.transport.abort()

    cdef release(self, response):
        """Show the response to the gate's observers."""
        cdef FastPath fast = self.fast
        cdef double seconds = seconds_now() - self.began
        if fast.counts is not None:
            fast.counts.count(self.row, response.status, seconds)
            return response
        operation = self.operation
        route, method = (self.route, self.method) if operation is None else (operation.path, operation.method)
        return fast.routes.gate.release(self.request, route, method, response, seconds)


def start(object connection, FastPath fast, object call, object request):
    """Answer inline a request that the full parser read, and that the gate has seen."""
    cdef InlineCall inline = InlineCall.__new__(InlineCall, connection, fast)
    inline.request = request
    inline.keep_alive = connection.keep_alive
    inline.is_head = request.method == "HEAD"
    inline.route, inline.method = call.route, request.method
    inline.began = connection.began
    if fast.counts is not None:
        inline.row = fast.counts.row_of(request.method, call.route)
    try:
        inline.coroutine = fast.routes.answer_call(call, request)
    except Exception as error:
        inline.finish(failure(error))
    else:
        inline.run()
