"""Which places a read around a name returns."""

from __future__ import annotations


def places_around(place: int, total: int, span: int, limit: int | None = None) -> range:
    """Return the places around one of ``total``: up to ``span`` on either side.

    With a ``limit`` instead so many in all, if there are as many, with the place as near to the middle as the ends
    allow; of an even number one more is above it than below.
    """
    if limit is None:
        return range(max(0, place - span), min(total, place + span + 1))
    start = max(0, min(place - limit // 2, total - limit))
    return range(start, min(total, start + limit))
