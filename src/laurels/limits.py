"""Every limit of requests, once: what checks a limit or documents it takes it from here.

Limits of definitions are in :mod:`laurels.definition`. Limits of connections (time-outs, how many) are settings of the
server: :class:`laurels.adapters.protocol.Limits`.
"""

KIB = 1024

NAME_BYTES = 256
"""Of the name of a board or of a player, in UTF-8."""
KEY_CHARACTERS = 255
"""Of an idempotency key."""
KEY_HOURS = 24
"""How long an idempotency key is remembered."""
METADATA_BYTES = 1 * KIB
"""Of an entry's metadata, as compact JSON."""

PAGE_ENTRIES, DEFAULT_PAGE_ENTRIES = 1000, 20
"""How many entries a page spans, or a read between two scores returns, at most and by default."""
SPAN_ENTRIES, DEFAULT_SPAN_ENTRIES = 500, 5
"""How many neighbours a read around a name returns on either side, at most and by default."""
NAMES_ASKED = 100
"""How many names one read may ask for."""
BATCH_ENTRIES = 1000
"""How many entries one batch may have."""
BOARDS_LISTED, DEFAULT_BOARDS_LISTED = 1000, 100
"""How many boards one list has, at most and by default."""
LARGEST_NUMBER = 10**18 - 1
"""The largest whole number that a parameter of a query may be: 18 digits, which fit into 64 bits."""

REPEATED_CHARACTERS = 100
"""How much of what a client sent a message repeats."""

BODY_BYTES = 64 * KIB
BATCH_BYTES = 1024 * KIB
"""Of the body of a request, and of that of a batch."""
TARGET_BYTES = 8 * KIB
HEAD_BYTES = 16 * KIB
"""Of a request's target, and of its headers, unless the server is set otherwise."""
