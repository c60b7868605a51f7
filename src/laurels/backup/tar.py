"""A backup as one file: a tar archive of its parts, written and read as a stream."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from laurels.errors import BackupDamaged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK = tarfile.BLOCKSIZE
END_OF_ARCHIVE = bytes(2 * BLOCK)


def tar_member(name: str, size: int, chunks: Iterable[bytes], seconds: int) -> Iterator[bytes]:
    """Yield a member of an archive; ``seconds`` is its time, since the epoch."""
    head = tarfile.TarInfo(name)
    head.size, head.mtime, head.mode = size, seconds, 0o600
    yield head.tobuf(tarfile.GNU_FORMAT)
    yield from chunks
    if size % BLOCK:
        yield bytes(BLOCK - size % BLOCK)


class _Stream:
    """Bytes that come in chunks, read by length."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def pieces(self, size: int, part: str) -> Iterator[bytes]:
        """Yield the next bytes, so many of them; raise BackupDamaged if there are fewer."""
        while size:
            piece = self._rest or next(self._chunks, None)
            if piece is None:
                raise BackupDamaged(part, "it is cut off")
            self._rest = piece[size:]
            size -= len(piece) - len(self._rest)
            yield piece[: len(piece) - len(self._rest)]

    def read(self, size: int, part: str) -> bytes:
        """Return the next bytes, so many of them."""
        return b"".join(self.pieces(size, part))

    def drain(self) -> None:
        """Read all that is left, which is padding."""
        for _ in self._chunks:
            pass


def read_tar(chunks: Iterable[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield name and bytes of each member; the bytes must be read before the next member.

    Raises BackupDamaged if it is no archive, or does not end.
    """
    stream = _Stream(chunks)
    while any(head := stream.read(BLOCK, "the archive")):
        name, size = _read_head(head)
        yield name, stream.pieces(size, name)
        stream.read(-size % BLOCK, name)
    stream.drain()


def _read_head(head: bytes) -> tuple[str, int]:
    try:
        found = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise BackupDamaged("the archive", f"it is no backup, or not what was written ({error})") from error
    return found.name, found.size
