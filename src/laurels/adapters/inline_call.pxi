# Inline calls: requests that are answered in place, without a task.
#
# An inline call has no task of its own. Its coroutine runs until it has a response
# or waits. If it waits for the store's own future (``drives_inline``), it is run on when that is done. If it waits for
# anything else, or is cancelled, an ordinary task takes over (:class:`Continuation`). All the time the call itself is
# what ``asyncio.current_task()`` returns: a stand-in that passes on to the task what concerns one. So handlers need not
# know how they are driven.
#
# **Bare calls.** The core operations of the table, over a store that waits inline (:attr:`Store.waits_inline`), ask for no
# current task and set no context variables: they are spared both, which saves 0.2 microseconds.
#
# **Contexts.** Context variables that a request sets are seen by no other. Calls run in one spare copy of the server's
# context; one that changed it keeps it, and a new copy is made for the next. A copy is unchanged if it holds the very same
# objects, which are few.

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


cdef object LEFT = Response(499)    # for the gate's observers: nobody else gets it


@cython.freelist(64)
cdef class InlineCall:
    """A request that is being answered inline. While it waits it is the connection's ``cycle``: uvicorn takes it for one
    of its own. To asyncio it is the current task (see the module's head).
    """

    cdef object connection, coroutine, request, context, task, pending, name
    cdef object asked       # for the gate's observers
    cdef bytes traceparent  # of a request of the fast path; the others have their trace in the request
    cdef list callbacks
    cdef FastPath fast
    cdef Site site          # whose heads its answer may have; None if that takes the headers of CORS
    cdef bint is_head, is_read, is_page, is_bare, must_cancel
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
        """Cancel a read whose client has left. All else goes on, woken by what it waits for."""
        if self.disconnected and self.is_read:
            self.cancel()

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
            self.finish(self.fail(trouble))
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
            response = LEFT if self.disconnected and self.is_read and task.cancelled() else self.fail(error)
        self.finish(response)

    cdef fail(self, error):
        """Return the response to a request whose handling raised; the log has the trace that it is part of."""
        if self.traceparent is None:
            return failure(error)
        with being_in(read_traceparent(self.traceparent)):
            return failure(error)

    cdef finish(self, response):
        cdef FastPath fast = self.fast
        connection = self.connection
        self.response_complete = True
        if self.is_read and fast.held and len(response.body) > SMALL_BYTES and not fast.has_room(len(response.body)):
            response = fast.full
        data = self.join_plain(response)
        if data is None and self.is_page:
            response = present(self.request or PLAIN, response)
        if fast.is_observed or (fast.cors is not None and data is None):
            try:
                response = self.release(response, data is not None)
            except Exception as error:
                response, data = failure(error), None
        self.coroutine = self.request = None
        if self.callbacks is not None:
            for callback, context in self.callbacks:
                fast.loop.call_soon(callback, self, context=context)
        if not self.disconnected:
            if data is not None:
                fast.outbox.put(connection, data)
            else:
                self.write(response)
        if connection.stage:  # not idle: the request waited, or came through the full parser
            connection.on_response_complete()

    cdef bytes join_plain(self, response):
        """Return the bytes of an answer that has a prepared head, None for any other."""
        cdef Site site = self.site
        if site is None or type(response) is not Response or not self.keep_alive or self.is_head or response.headers:
            return None
        if response.status == 200 and response.content_type is JSON:
            return join_response(site.page if self.is_page else site.ok, response.body)
        return site.accepted if response is ACCEPTED else None

    cdef write(self, response):
        connection = self.connection
        if isinstance(response, StreamingResponse) and not response.is_inline:
            response = failure(TypeError("An operation that streams its answer must not be inline"))
        try:
            connection.write(response, self.keep_alive, self.is_head)
        except Exception:
            log.exception("Failed to write an answer")
            connection.transport.abort()

    cdef release(self, response, bint is_joined):
        """Show the response to the gate's observers, and return it with the headers of CORS."""
        cdef FastPath fast = self.fast
        cdef double seconds = read_clock(CLOCK_MONOTONIC) - self.began
        if fast.counts is not None:
            fast.counts.count(self.row, response.status, seconds)
            if not is_joined and isinstance(response, ErrorResponse):
                fast.counts.count_refusal(response.reason)
            if is_joined or fast.cors is None:
                return response
            return fast.cors(self.site.request if self.request is None else self.request, response)
        if self.request is None:
            method = "" if self.asked is None else self.asked.operation.method
            self.request = Request(method, b"", b"", self.site.request.headers, b"", self.connection.address)
            self.request.trace = read_traceparent(self.traceparent)
        return fast.routes.gate.release(self.request, self.asked, response, seconds)
