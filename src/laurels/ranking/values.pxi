# Values: scores and names, from Python and back.

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    object PyUnicode_New(Py_ssize_t, Py_UCS4)
    void *PyUnicode_DATA(object)
    object PyUnicode_DecodeUTF8(const char *, Py_ssize_t, const char *)
    bint PyFloat_Check(object)
    bint PyLong_Check(object)
    double PyLong_AsDouble(object) except? -1.0
    ctypedef struct PyObject
    Py_ssize_t PyNumber_AsSsize_t(object, PyObject *) except? -1

cdef double EXACT = 9007199254740992.0      # 2^53: below it every int is a double

# In the order of the enums of writes.pxi and places.pxi.
cdef tuple OPERATORS = ("latest", "best", "increment")
cdef tuple RANKINGS = ("ordinal", "competition", "dense")
cdef tuple TIES = ("name", "earliest", "latest")


cdef int ranking_of(str ranking) except -1:
    if ranking not in RANKINGS:
        raise ValueError(f"a ranking is one of {', '.join(RANKINGS)}, not {ranking!r}")
    return RANKINGS.index(ranking)


cdef double double_of(object score) except? -1.0:
    """A number as the double that it is."""
    cdef double d
    if PyFloat_Check(score):
        return PyFloat_AS_DOUBLE(score)
    if not PyLong_Check(score):
        raise TypeError(f"a score is an int or a float, not {type(score).__name__}")
    try:
        d = PyLong_AsDouble(score)
    except OverflowError:
        raise ValueError("the score is too great for a double") from None
    if not -EXACT < d < EXACT and int(d) != score:
        raise ValueError(f"the score {score} is not exactly a double")
    return d


cdef u64 key_of_score(object score, bint descending) except 0:
    cdef double d = double_of(score)
    if not isfinite(d):
        raise ValueError("a score must be finite")
    return key_of_double(d, descending)


cdef u64 key_of_bound(object score, bint descending) except 0:
    """The key of a score that is only asked for: it may be infinite."""
    cdef double d = double_of(score)
    if isnan(d):
        raise ValueError("a score must be a number")
    return key_of_double(d, descending)


cdef inline object score_of(const Core *c, u64 key):
    cdef double d = double_of_key(key, c.descending)
    if -EXACT < d < EXACT:
        if d == <double><long long>d:
            return PyLong_FromLongLong(<long long>d)
        return PyFloat_FromDouble(d)
    return PyLong_FromDouble(d)


cdef inline int probe_name(str name, Probe *p) except -1:
    cdef Py_ssize_t size = 0
    p.name = PyUnicode_AsUTF8AndSize(name, &size)
    if size == 0 or size > 256:
        raise ValueError(f"a name is 1 to 256 bytes of UTF-8, not {size}")
    p.size = <u32>size
    p.hashed = name_hash(p.name, p.size)
    return 0


cdef inline int probe(const Core *c, str name, object score, u64 sequence, Probe *p) except -1:
    probe_name(name, p)
    p.key = key_of_score(score, c.descending)
    if sequence & DATED:
        raise ValueError("a sequence is less than 2^63")
    p.sequence = stored_sequence(c, sequence)
    p.moment, p.dated = p.sequence >> 1, 0
    return 0


cdef inline int probe_date(const Core *c, i64 tick, Probe *p) except -1:
    """Let a probe count as of a tick, if that is one."""
    if tick >= 0:
        if not c.names.length_at:
            raise ValueError("the index keeps no sequences")
        if tick >> 61:
            raise ValueError("a tick is less than 2^61")
        p.moment, p.dated = stored_moment(c, <u64>tick), DATED
    return 0


cdef inline object name_of(const Core *c, u64 ref):
    cdef const char *r = record(&c.names, ref)
    cdef u32 size = name_size(&c.names, r)
    cdef object name
    if not is_ascii(name_bytes(&c.names, r), size):
        return PyUnicode_DecodeUTF8(name_bytes(&c.names, r), size, "strict")
    name = PyUnicode_New(size, 127)
    copy_bytes(<char *>PyUnicode_DATA(name), name_bytes(&c.names, r), size)
    return name


cdef object row_of(const Core *c, u64 key, u64 ref, u64 rank):
    cdef const char *r = record(&c.names, ref)
    cdef u64 sequence = stored_sequence(c, record_sequence(&c.names, r))
    if record_dated(&c.names, r):
        return name_of(c, ref), score_of(c, key), rank, sequence, stored_moment(c, record_moment(&c.names, r))
    return name_of(c, ref), score_of(c, key), rank, sequence


cdef str text_of(double score):
    """A score as a reader writes it."""
    return str(int(score)) if is_whole(score) and fabs(score) < 1e16 else repr(score)


cdef int raise_sum_problem(int outcome, double score, double more) except -1:
    problem = "is not finite"
    if outcome == INEXACT:
        step = text_of(ldexp(1, ilogb(score + more) - 52))  # between two doubles of that size
        problem = f"would lose its last digits: to such a score only multiples of {step} can be added"
    raise OverflowError(f"the sum of {text_of(score)} and {text_of(more)} {problem}")


cdef int check_outcome(int outcome) except -1:
    """Raise what a negative outcome means; return any other."""
    if outcome == OUT_OF_MEMORY:
        raise MemoryError
    if outcome == OUT_OF_ROOM:
        raise MemoryError("an index holds at most 4,294,967,294 entries")
    if outcome == DAMAGED:
        raise ValueError("the packed entries are damaged")
    if outcome == DUPLICATE:
        raise ValueError("a name is there twice")
    return outcome
