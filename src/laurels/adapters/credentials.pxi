# Credentials: who asks, as far as the fast path must know, and what they may.
#
# What the gate found a credential to be it remembers by its mark, however ``Authorization`` is written. A compiled form
# of that stands beside it, and those that were used lately in places of their own, where it takes no call to find them.
# Nothing is remembered for longer than the gate does: when the access file is read anew it has another cache, and all
# places are empty.

cdef enum:
    PLACES = 65536          # of credentials that were used lately; one of two that would have the same place is not there

cdef enum Right:
    NOBODY
    OWN_NAME
    ANY_NAME


@cython.no_gc  # it is part of no circle
cdef class Credential:
    """What the gate says of requests that show one ``Authorization``, or none."""

    cdef Mark mark
    cdef object context
    cdef str name
    cdef tuple boards, within
    cdef unsigned char rights[SUBMIT + 1]
    cdef double expires
    cdef Meters meters
    cdef Rates rates        # None if nothing is metered
    cdef uint64_t key

    def __init__(self, principal, operations):
        cdef int route
        self.expires = principal.expires
        self.name, self.boards, self.within = principal.name, principal.boards, principal.within
        for route, operation in operations.items():
            self.rights[route] = NOBODY if operation is None else find_right(principal, operation.scope)

    cdef meter_at(self, metered):
        """Take where the principal is metered, None if it is not."""
        if metered is not None:
            self.meters, self.key, self.rates = metered.meters, metered.key, metered.rates

    cdef inline bint is_of(self, Mark *mark) noexcept:
        return self.mark.first == mark.first and self.mark.second == mark.second

    cdef bint may(self, Route route, Recognised *found) except -1:
        """Return whether the gate lets in a request; whether it comes too often is another matter."""
        cdef unsigned char right = self.rights[<int>route]
        if right == NOBODY or (right == OWN_NAME and not is_text(self.name, found.name, found.name_size)):
            return False
        if self.expires < FOREVER and self.expires <= read_clock(CLOCK_REALTIME):
            return False
        return is_among(self.boards, found) and is_among(self.within, found)


cdef Py_ssize_t find_shown(const char *header, Py_ssize_t size) noexcept nogil:
    """Return where the credential begins in what ``Authorization`` says, -1 if that is of another scheme."""
    cdef Py_ssize_t i = 7
    if size < 7 or strncasecmp(header, b"bearer ", 7) != 0:
        return -1
    while i < size and header[i] == c" ":
        i += 1
    return i


cdef double FOREVER = float("inf")
cdef str EVERY = EVERY_BOARD


def find_right(principal, scope):
    """Return for whose names a principal may do what needs a scope."""
    if scope != "submit:self":
        return ANY_NAME if scope is None or principal.may(scope) else NOBODY
    if principal.may_submit_for(""):  # which nobody's name is
        return ANY_NAME
    return OWN_NAME if principal.may_submit_for(principal.name) else NOBODY


cdef bint is_text(str text, const char *p, Py_ssize_t size) except -1:
    cdef Py_ssize_t length
    cdef const char *own = PyUnicode_AsUTF8AndSize(text, &length)
    return length == size and memcmp(own, p, size) == 0


cdef bint is_among(tuple patterns, Recognised *found) except -1:
    """Return whether one of the patterns is of a request's board, as :func:`laurels.access.principal.matches` does."""
    cdef Py_ssize_t length
    cdef const char *pattern
    for each in patterns:
        if each is EVERY:
            return True
        pattern = PyUnicode_AsUTF8AndSize(each, &length)
        if is_match(pattern, length, found.board, found.board_size):
            return True
    return False


cdef bint is_match(const char *pattern, Py_ssize_t length, const char *text, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i = 0, j = 0, star = -1, mark = 0
    while i < size:
        if j < length and pattern[j] == c"*":
            star, mark = j, i
            j += 1
        elif j < length and pattern[j] == text[i]:
            i += 1
            j += 1
        elif star >= 0:  # let the newest star stand for one more
            mark += 1
            i, j = mark, star + 1
        else:
            return False
    while j < length and pattern[j] == c"*":
        j += 1
    return j == length
