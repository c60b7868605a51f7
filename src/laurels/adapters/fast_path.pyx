"""The fast path: answers the three core routes when a request is written as most clients write it.

A *recognised* request is one that no two readers of HTTP could read in two ways: a whole request in one piece of bytes,
HTTP/1.1, one of the three core routes without percent signs, lines that end in CR LF, exactly one Host, no headers but
those that ``read_header`` names, Content-Length and Content-Type at most once each, and the body right behind it.
Everything else, good or bad, is left to the full parser, so nothing is ever refused here. What is recognised obeys the
rules of names by its alphabet. Recognising one costs about 0.1 microseconds; the full parser and its callbacks cost 3.

This module only recognises: the operation and its handler are those of every other request. What the gate says of a
``Host`` and an ``Origin`` is remembered (:class:`Site`), as are the headers of answers to them; and so is what it says of
whoever asks (:class:`Credential`). Whom it does not let in, or does not know yet, is left to the full parser as well.

The parts: ``recognition.pxi`` (which requests are recognised), ``credentials.pxi`` (who asks, and what they may),
``inline_call.pxi`` (a request that is answered in place: its coroutine, its current task and its context).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.stdint cimport uint64_t
from libc.string cimport memchr, memcmp, memcpy
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, clockid_t, timespec

from laurels.access.marks cimport Mark, Marking
from laurels.access.rates cimport Meters, Rates
from laurels.adapters.request_counts cimport RequestCounts

import asyncio
import logging

from laurels import limits
from laurels.access.principal import EVERY_BOARD
from laurels.errors import LaurelsError
from laurels.adapters.limits import SLICE_SECONDS as SLICE
from laurels.adapters.limits import SMALL_BYTES as SMALL
from laurels.adapters.limits import TURN_SECONDS as TURN
from laurels.adapters.request_counts import RequestCounts as Counts
from laurels.http.board_page import VARY, present
from laurels.http.handlers import ACCEPTED
from laurels.http.hosts import read_authority
from laurels.http.messages import JSON, ErrorResponse, Request, Response, StreamingResponse
from laurels.http.operations import STANDING as STANDING_OPERATION
from laurels.http.operations import SUBMIT as SUBMIT_OPERATION
from laurels.http.problems import failure
from laurels.http.query import EMPTY_QUERY
from laurels.http.reads import GUESSED as GUESSED_BOARDS
from laurels.http.reads import PAGE_READ, read_board
from laurels.http.routes import Call
from laurels.tracing import being_in, read_traceparent


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


cdef extern from "string.h":
    void *memmem(const void *within, size_t size, const void *wanted, size_t length) nogil


include "recognition.pxi"


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


cdef bint says_more(const char *body, const char *end) noexcept nogil:
    """Return whether a body may have a field that only moderators may send: written out, or with a backslash in it."""
    cdef size_t size = end - body
    return (
        memchr(body, c"\\", size) != NULL
        or memmem(body, size, b'"operator"', 10) != NULL
        or memmem(body, size, b'"submittedAt"', 13) != NULL
    )


cdef class Outbox:
    """The answers of one turn of the event loop, written together at its end.

    One write after another wakes a client on the same machine once; a write between two reads wakes it each time.
    """

    cdef list connections
    cdef list pieces
    cdef Py_ssize_t waiting_bytes
    cdef readonly Py_ssize_t piece_bytes
    cdef bint is_due
    cdef double end

    def __init__(self):
        self.connections = []
        self.pieces = []

    @property
    def is_over(self):
        """Whether this turn has done enough of what is not urgent."""
        return self.is_due and read_clock(CLOCK_MONOTONIC) > self.end

    cpdef put(self, object connection, bytes data):
        """Write ``data`` to the connection at the end of the loop's turn, or before if much is waiting already."""
        if not self.is_due:
            self.begin_turn(connection.loop)
        self.connections.append(connection)
        self.pieces.append(data)
        self.waiting_bytes += PyBytes_GET_SIZE(data)
        if self.waiting_bytes > OUTBOX_BYTES or PyBytes_GET_SIZE(data) > LARGE_BYTES:
            self.flush()

    cpdef begin_turn(self, object loop):
        """Remember when this turn began, if it has not begun already."""
        if not self.is_due:
            self.is_due = True
            self.end = read_clock(CLOCK_MONOTONIC) + TURN_SECONDS
            loop.call_soon(self.end_turn)

    def end_turn(self):
        """Write all that waits, at the end of the turn."""
        self.is_due = False
        self.flush()

    def flush(self):
        """Write all that waits."""
        cdef Py_ssize_t i
        connections, pieces = self.connections, self.pieces
        self.connections, self.pieces, self.waiting_bytes = [], [], 0
        for i in range(len(pieces)):
            connection = connections[i]
            transport = connection.transport
            if not transport.is_closing():
                self.piece_bytes = PyBytes_GET_SIZE(pieces[i])
                transport.write(pieces[i])
                if i > 0 and connections[i - 1] is connection and connection.flow.write_paused:
                    connection.count_unsent(self.piece_bytes)


cdef double read_clock(clockid_t clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef class Site:
    """What the gate says of requests with one ``Host`` and one ``Origin``, or none.

    ``ok``, ``page`` and ``accepted`` are heads of answers to them, with today's date and the headers of CORS; the server's clock
    renews them.
    """

    cdef bytes host, origin, ok, page, accepted
    cdef bint has_origin
    cdef bint admits[SUBMIT + 1]
    cdef object request     # one with these headers alone
    cdef tuple headers

    def __init__(self, gate, bytes host, bytes origin, operations):
        cdef int route
        headers = {b"host": host} if origin is None else {b"host": host, b"origin": origin}
        self.host, self.origin, self.has_origin = host, origin or b"", origin is not None
        self.request = Request("", b"", b"", headers)
        self.headers = () if gate.cors is None else gate.cors(self.request, Response(200)).headers
        for route, operation in operations.items():
            self.admits[route] = read_authority(host) is not None and is_admitted(gate, self.request, operation)

    cdef inline bint is_of(self, Recognised *found) noexcept:
        return (
            PyBytes_GET_SIZE(self.host) == found.host_size
            and memcmp(PyBytes_AS_STRING(self.host), found.host, found.host_size) == 0
            and self.has_origin == (found.origin != NULL)
            and PyBytes_GET_SIZE(self.origin) == found.origin_size
            and memcmp(PyBytes_AS_STRING(self.origin), found.origin, found.origin_size) == 0
        )

    cdef renew(self, format_head):
        self.ok = format_head(Response(200, b"{}", headers=self.headers)) + b"content-length: "
        self.page = format_head(Response(200, b"{}", headers=(VARY, *self.headers))) + b"content-length: "
        self.accepted = format_head(Response(202, headers=self.headers)) + b"content-length: 0\r\n\r\n"


def is_admitted(gate, request, operation):
    """Return whether the gate takes a request for an operation, as far as it is a matter of its headers alone."""
    try:
        gate.check_site(request, operation)
    except LaurelsError:
        return False
    return True


include "credentials.pxi"


cdef class FastPath:
    """What the inline calls of one server share: its routes, its loop, its outbox, and what its gate wants to see."""

    cdef Site site          # of the newest request
    cdef Site plain         # of requests by the full parser, unless their answers have headers of CORS
    cdef dict sites
    cdef object cors, format_head
    cdef readonly Outbox outbox
    cdef object routes, context, standing, page, submit, standing_handler, read_page, submit_handler, read_body
    cdef bint standing_is_bare, page_is_bare, submit_is_bare
    cdef tuple standing_defaults, page_defaults, submit_defaults
    cdef Py_ssize_t target_limit, head_limit, body_limit, key_place
    cdef object loop, base, spare, store_future
    cdef list base_items
    cdef RequestCounts counts
    cdef int standing_row, page_row, submit_row
    cdef object access, credential_cache
    cdef Marking marking    # None if credentials are remembered by another mark; then each is left to the full parser
    cdef Credential public  # what is not shown
    cdef list newest        # of the credentials, each in a place that its mark says
    cdef bint trusts_proxies    # then a forwarded host counts where an origin is compared with it
    cdef bint shows_clients     # to observers
    cdef bint shares_limits     # with other processes, which must be asked: the gate does
    cdef readonly bint is_observed
    cdef bint makes_spans       # which cost more than the full parser, and begin there
    cdef set tasks
    cdef public Py_ssize_t held
    cdef Py_ssize_t memory_limit
    cdef object full

    def __init__(self, routes, limits, full):
        gate = routes.gate
        self.routes = routes
        self.target_limit, self.head_limit = limits.max_target, limits.max_head
        self.memory_limit = limits.max_client_memory
        self.full = full
        self.context = routes.open_context
        self.standing = self.inline_operation("GET", b"/board/name")
        self.page = self.inline_operation("GET", b"/board", read_board)
        self.read_page = PAGE_READ.handler
        self.submit = self.inline_operation("POST", b"/board/name")
        self.standing_defaults = default_values(self.standing)
        self.page_defaults = tuple(PAGE_READ.inputs.read(EMPTY_QUERY, {}))[2:]  # without the two ranks
        self.submit_defaults = default_values(self.submit)
        self.key_place = find_key_place(self.submit, self.submit_defaults)
        self.standing_handler = getattr(self.standing, "handler", None)
        self.submit_handler = getattr(self.submit, "handler", None)
        is_bare = routes.waits_inline
        self.standing_is_bare = is_bare and self.standing_handler is STANDING_OPERATION.handler
        self.page_is_bare = is_bare and self.page is not None
        self.submit_is_bare = is_bare and self.submit_handler is SUBMIT_OPERATION.handler
        if self.submit is not None:
            self.read_body = self.submit.body.read
            self.body_limit = self.submit.body_limit
        self.outbox = Outbox()
        self.access = gate.access
        self.marking = gate.access.mark if gate.access is not None and isinstance(gate.access.mark, Marking) else None
        rates = None if gate.access is None else gate.access.limits
        self.shares_limits = rates is not None and rates.shared is not None
        self.trusts_proxies = gate.proxies is not None
        self.makes_spans = gate.spans is not None
        self.is_observed = bool(gate.observers) or self.makes_spans
        self.cors = gate.cors
        self.sites = {}
        self.site = Site(gate, b"", None, {})
        self.plain = None if gate.cors is not None else self.site
        if len(gate.observers) == 1 and isinstance(gate.observers[0], Counts) and not self.makes_spans:
            self.counts = gate.observers[0]  # counted without a call from Python, as long as nothing else observes
            self.standing_row = self.counts.row_of("GET", "/{board}/{name}")
            self.page_row = self.counts.row_of("GET", "/{board}")
            self.submit_row = self.counts.row_of("POST", "/{board}/{name}")
        self.shows_clients = self.is_observed and self.counts is None
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

    def renew(self, format_head):
        """Take the time anew: ``format_head`` returns the head of a response up to its length."""
        cdef Site site
        self.format_head = format_head
        for site in (self.site, self.plain, *self.sites.values()):
            if site is not None:
                site.renew(format_head)

    cdef Site find_site(self, Recognised *found):
        """Return what the gate says of the host and the origin of a request, and remember it."""
        host = PyBytes_FromStringAndSize(found.host, found.host_size)
        origin = None if found.origin == NULL else PyBytes_FromStringAndSize(found.origin, found.origin_size)
        site = self.sites.get((host, origin))
        if site is None:
            if len(self.sites) >= MOST_SITES:
                self.sites.clear()
            operations = {STANDING: self.standing, PAGE: self.page, SUBMIT: self.submit}
            site = self.sites[host, origin] = Site(self.routes.gate, host, origin, operations)
            (<Site>site).renew(self.format_head)
        self.site = site
        return site

    cdef bint is_unchanged(self, context) except -1:
        """Return whether a copy of the server's context still holds the very same objects."""
        if len(context) != len(self.base_items):
            return False
        for variable, value in self.base_items:
            if context.get(variable) is not value:
                return False
        return True

    cpdef bint has_room(self, Py_ssize_t size):
        """Return whether requests and answers in flight may take so many bytes more."""
        return self.held + size <= self.memory_limit

    cpdef new_context(self):
        """Return a context in which no request has set anything."""
        return PyContext_Copy(self.base)

    cdef bint is_store_future(self, outcome) except -1:
        """Return whether a coroutine may be run on from this future's callback, and remember its type."""
        if getattr(type(outcome), "drives_inline", False):
            self.store_future = type(outcome)
            return True
        return False

    cdef Credential find_credential(self, Recognised *found):
        """Return what the gate says of who asks, None if it does not know them yet."""
        cdef Credential credential
        cdef Mark mark
        cdef Py_ssize_t place, begin
        if found.shown == NULL:
            return self.public
        begin = find_shown(found.shown, found.shown_size)
        if self.marking is None or begin < 0:
            return None
        mark = self.marking.mark(found.shown + begin, found.shown_size - begin)
        place = mark.first & (PLACES - 1)
        credential = self.newest[place]
        if credential is not None and credential.is_of(&mark):
            return credential
        known = self.credential_cache.find(
            PyBytes_FromStringAndSize(<char *>&mark, sizeof(mark)), read_clock(CLOCK_REALTIME)
        )
        if known is None:
            return None
        credential = known.compiled
        if credential is None:
            known.compiled = credential = self.make_credential(known.principal)
            credential.mark = mark
        self.newest[place] = credential
        return credential

    cdef Credential make_credential(self, principal):
        cdef Credential credential
        operations = {STANDING: self.standing, PAGE: self.page, SUBMIT: self.submit}
        credential = Credential(principal, operations)
        credential.context = self.routes.context_of(principal)
        limits = self.access.limits
        if limits is not None:
            is_public = principal is self.access.public
            credential.meter_at(limits.meter_address("") if is_public else limits.meter_principal(principal))
        return credential

    cdef begin_piece(self):
        """Take over what the gate knows, which is another cache once the access file was read anew."""
        cache = self.access.credential_cache
        if cache is not self.credential_cache:
            self.credential_cache = cache
            self.newest = [None] * PLACES
            self.public = self.make_credential(self.access.public)

    cdef bint is_let_in(self, Credential credential, connection, Route route, Recognised *found, double now) except -1:
        """Return whether a request may be answered now; it is counted if it may."""
        cdef uint64_t key
        if not credential.may(route, found):
            return False
        if credential.rates is None:
            return True
        if self.shares_limits:
            return False
        key = credential.key
        if credential is self.public:
            if found.is_forwarded and self.trusts_proxies:
                return False
            if connection.meter_key is None:
                connection.meter_key = self.access.limits.meter_address(connection.address).key
            key = connection.meter_key
        return credential.rates.take(credential.meters.find(key, now), route == SUBMIT, now) == 0

    cdef object begin(self, Route route, context, Recognised *found):
        """Return the awaitable answer to a recognised request."""
        cdef long long score
        board = PyUnicode_DecodeASCII(found.board, found.board_size, NULL)
        name = None if route == PAGE else PyUnicode_DecodeASCII(found.name, found.name_size, NULL)
        if route == PAGE:
            return call(self.read_page, context, board, found.start, found.stop, self.page_defaults, -1, None)
        if route == STANDING:
            return call(self.standing_handler, context, board, name, NO_VALUE, self.standing_defaults, -1, None)
        if read_integer(found.body, found.end, &score):
            sent = score, None, None
        else:
            sent = self.read_body(PyBytes_FromStringAndSize(found.body, found.end - found.body))
        if found.key == NULL:
            return call(self.submit_handler, context, board, name, sent, self.submit_defaults, -1, None)
        key = PyUnicode_DecodeASCII(found.key, found.key_size, NULL)
        return call(self.submit_handler, context, board, name, sent, self.submit_defaults, self.key_place, key)

    def answer(self, object connection, bytes data not None, Py_ssize_t start):
        """Answer the recognised requests in ``data`` from ``start`` on; return where they end.

        Stops at the first request that is not recognised, that must wait, or whose answer the client does not read; and
        if they have taken the time of a turn.
        """
        cdef const char *base = PyBytes_AS_STRING(data)
        cdef const char *end = base + PyBytes_GET_SIZE(data)
        cdef const char *p = base + start
        cdef double until = 0
        cdef Recognised found
        cdef Route route
        cdef Site site
        cdef Credential credential
        cdef InlineCall call
        cdef double now = 0
        if self.makes_spans:
            return start
        connection.since = connection.shared.now
        context = self.context
        if self.access is not None:
            self.begin_piece()
        while p < end:
            route = recognise(p, end, &found)
            operation = self.standing if route == STANDING else self.page if route == PAGE else self.submit
            if route == NONE or operation is None:
                break
            if found.is_forwarded and self.trusts_proxies and (found.origin != NULL or self.shows_clients):
                break
            if found.body - p > self.head_limit or found.target_size > self.target_limit:
                break
            if route == SUBMIT and (found.end - found.body > self.body_limit or found.key != NULL and self.key_place < 0):
                break
            if route == SUBMIT and found.end - found.body >= SHORTEST_MODERATED and says_more(found.body, found.end):
                break  # the audit log asks more of it
            site = self.site if self.site.is_of(&found) else self.find_site(&found)
            if not site.admits[<int>route]:
                break
            if self.is_observed or self.access is not None:
                now = read_clock(CLOCK_MONOTONIC)
            if self.access is not None:
                credential = self.find_credential(&found)
                if credential is None or not self.is_let_in(credential, connection, route, &found, now):
                    break
                context = credential.context
            call = InlineCall.__new__(InlineCall, connection, self)
            call.keep_alive = True
            call.site = site
            call.is_bare = (
                self.standing_is_bare if route == STANDING
                else self.page_is_bare if route == PAGE
                else self.submit_is_bare and found.key == NULL  # with a key the store may have to wait for the disk
            )
            if self.is_observed:
                call.began = now
                call.row = (
                    self.standing_row if route == STANDING else self.page_row if route == PAGE else self.submit_row
                )
                if self.shows_clients:
                    names = (PyUnicode_DecodeASCII(found.board, found.board_size, NULL),)
                    call.asked = Call(operation.path, names, operation, None, context)
            if found.trace != NULL:
                call.traceparent = PyBytes_FromStringAndSize(found.trace, found.trace_size)
            call.is_read = route != SUBMIT
            call.is_page = route == PAGE
            p = found.end
            try:
                call.coroutine = self.begin(route, context, &found)
            except Exception as error:
                call.finish(call.fail(error))
            else:
                call.run()
            if not call.response_complete or (p < end and self.must_stop(connection, &until)):
                break
        return p - base

    cdef bint must_stop(self, connection, double *until) except -1:
        """Return whether a connection may answer no more in this turn, which begins with the first call."""
        if not self.has_room(SMALL_BYTES):
            self.outbox.flush()
        now = read_clock(CLOCK_MONOTONIC)
        if until[0] == 0:
            until[0] = min(now + SLICE_SECONDS, self.outbox.end)
        return now > until[0] or connection.flow.write_paused


cdef object NO_VALUE = object()
cdef object PLAIN = Request("GET", b"", b"", {})  # one of the fast path
cdef Py_ssize_t SMALL_BYTES = SMALL
cdef double SLICE_SECONDS = SLICE, TURN_SECONDS = TURN


cdef object call(handler, context, board, first, second, tuple defaults, Py_ssize_t place, value):
    """Return what the handler does with these and the defaults, but ``value`` in their ``place``, if that is not -1.

    Making a tuple of them would take 0.1 microseconds.
    """
    cdef PyObject *values[MOST_VALUES]
    cdef Py_ssize_t i, n = 3
    values[0], values[1], values[2] = <PyObject *>context, <PyObject *>board, <PyObject *>first
    if second is not NO_VALUE:
        values[3] = <PyObject *>second
        n = 4
    for i in range(len(defaults)):
        values[n + i] = <PyObject *>(value if i == place else defaults[i])
    return PyObject_Vectorcall(handler, values, n + len(defaults), NULL)


def default_values(operation):
    """Return the values that the parameters of an operation have in a request that gives none."""
    values = () if operation is None else tuple(operation.read_parameters(EMPTY_QUERY, {}))
    if len(values) > MOST_VALUES - 4:
        raise ValueError(f"{operation.name} has too many parameters")
    return values


def find_key_place(operation, tuple defaults):
    """Return which of the values of an operation is the idempotency key; -1 if that is not for the fast path to say."""
    values = () if operation is None else tuple(operation.read_parameters(EMPTY_QUERY, {b"idempotency-key": b"k"}))
    places = [place for place, (value, default) in enumerate(zip(values, defaults)) if value != default]
    return places[0] if len(values) == len(defaults) and [values[place] for place in places] == ["k"] else -1


include "inline_call.pxi"


def start(object connection, FastPath fast, object call, object request):
    """Answer inline a request that the full parser read, and that the gate has seen."""
    cdef InlineCall inline = InlineCall.__new__(InlineCall, connection, fast)
    inline.request = request
    inline.site = fast.plain
    inline.keep_alive = connection.keep_alive
    inline.is_head = request.method == "HEAD"
    inline.is_read = call.operation is not None and not call.operation.is_write
    inline.asked = call
    inline.began = connection.began
    if fast.counts is not None:
        inline.row = fast.counts.row_of(request.method, call.route)
    try:
        inline.coroutine = fast.routes.answer_call(call, request)
    except Exception as error:
        inline.finish(failure(error))
    else:
        inline.run()
