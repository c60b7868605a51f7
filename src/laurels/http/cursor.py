"""Cursors: a place on a board, and how many entries to return after it, as text that a client hands back as it came.

A cursor names the last entry that was returned, by its score, its sequence and its name. No submit can move that place,
so what is read after it is right whatever has happened since. The text is URL-safe base64 of a msgpack array:
the version, the size, score, sequence and name, the window and the period that are read, and a checksum over these
and the board's name. The checksum detects a cursor that was changed or is of another board. It protects no secret: all
that a cursor can ask for may be asked for.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from laurels.errors import BadParameter
from laurels.stores.contract import Ranked

if TYPE_CHECKING:
    from laurels.stores.contract import Board

CHECKSUM_BYTES = 8
LARGEST_TICK = 2**61 - 1
"""That an index keeps; a sequence has two more bits."""


class Cursor(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The next ``size`` entries after a place."""

    version: Literal[2]
    size: int
    score: float
    sequence: int | tuple[int, int]
    """With a tick before it if the submission was dated."""
    name: str
    window: str
    period: str
    checksum: bytes = b""

    @property
    def moment(self) -> tuple[int, int]:
        """The tick, -1 if the submission was not dated, and the sequence."""
        return self.sequence if isinstance(self.sequence, tuple) else (-1, self.sequence)

    @property
    def entry(self) -> Ranked:
        """The place; its rank is not known."""
        tick, sequence = self.moment
        return Ranked(self.name, self.score, 0, sequence, tick=tick)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Cursor).decode


def write_cursor(board: Board, size: int, last: Ranked) -> str:
    """Return the cursor of the ``size`` entries of a board, or of a period of it, after ``last``."""
    sequence = last.sequence if last.tick < 0 else (last.tick, last.sequence)
    return _encode_with_checksum(
        board.name, Cursor(2, size, float(last.score), sequence, last.name, board.window, board.period)
    )


def read_cursor(board: str, text: str) -> Cursor:
    """Read a cursor that :func:`write_cursor` made; raise BadParameter for anything else."""
    try:
        cursor = _decode(urlsafe_b64decode(text.encode() + b"=="))
    except (ValueError, msgspec.DecodeError):
        pass
    else:
        tick, sequence = cursor.moment
        is_kept = tick <= LARGEST_TICK and 0 <= sequence <= 4 * LARGEST_TICK
        if is_kept and text == _encode_with_checksum(board, msgspec.structs.replace(cursor, checksum=b"")):
            return cursor
    raise BadParameter("cursor", 'The cursor is none of this board\'s: send the "next" of a page of it as it came.')


def _encode_with_checksum(board: str, plain: Cursor) -> str:
    checksum = blake2b(_encode((board, plain)), digest_size=CHECKSUM_BYTES, person=b"laurels").digest()
    return urlsafe_b64encode(_encode(msgspec.structs.replace(plain, checksum=checksum))).rstrip(b"=").decode()
