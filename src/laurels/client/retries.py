"""When a request is sent again, and after how long. No I/O: time and chance come in as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from laurels.client.errors import ServerFailed, ServerUnreachable, TooManyRequests

if TYPE_CHECKING:
    from laurels.client.errors import RequestFailed

Repeat = Literal["safe", "unsent"]
"""Whether a request that may have been carried out may be sent again: it has the same effect then, or a key."""
_PASSING = frozenset({502, 503, 504})
"""The statuses that may be over after a while; 502 and 504 are those of a proxy in between."""


class Retries(Struct, frozen=True, kw_only=True):
    """How often a request is sent again, and for how long.

    Sent again is what may pass: no connection, a connection that broke, no answer in time, 429, 502, 503 and 504. If
    the service says when to come again (``Retry-After``), it is after that, and otherwise after 0.1 seconds, twice as
    many before each further attempt, ``longest_wait`` at most; chance takes up to half of that off or, of what the
    service says, adds up to a tenth.
    """

    attempts: int = 6
    """How often it is sent in all; 1 is never again."""
    seconds: float = 60.0
    """After how many seconds it is given up: no attempt begins later."""
    longest_wait: float = 5.0
    """How many seconds to wait at most, if the service does not say when to come again."""
    only_if_told: bool = False
    """Whether it is sent again only if the service says when."""

    def wait_after(self, error: RequestFailed, attempt: int, elapsed: float, chance: float, repeat: Repeat) -> float:
        """Return how many seconds to wait after an attempt, the first of which is 1; raise the error if it is final.

        ``elapsed`` is in seconds, ``chance`` from 0 to 1.
        """
        if attempt >= self.attempts or not _may_repeat(error, repeat):
            raise error
        if error.retry_after is not None:
            wait = error.retry_after * (1 + chance / 10)
        elif self.only_if_told:
            raise error
        else:
            wait = min(0.1 * 2 ** (attempt - 1), self.longest_wait) * (1 - chance / 2)
        if elapsed + wait > self.seconds:
            raise error
        return wait


NO_RETRIES = Retries(attempts=1)


def _may_repeat(error: RequestFailed, repeat: Repeat) -> bool:
    if isinstance(error, TooManyRequests) or (isinstance(error, ServerUnreachable) and not error.sent):
        return True
    is_passing = isinstance(error, ServerUnreachable) or (isinstance(error, ServerFailed) and error.status in _PASSING)
    return is_passing and repeat == "safe"
