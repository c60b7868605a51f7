"""The calls that write scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from msgspec import UNSET, Raw, structs

from laurels.answers import BatchReceipt, Receipt
from laurels.client.batches import make_batches, make_body
from laurels.client.calls import Calls, own_path, path_of
from laurels.client.connection import JSON
from laurels.client.errors import NotKept
from laurels.http.wire import MetadataAlone, Submit, encode

if TYPE_CHECKING:
    from datetime import datetime

    from laurels.client.batches import Scores
    from laurels.client.connection import Answer
    from laurels.definition import Operator
    from laurels.stores.contract import Score

WITH_RECEIPT = JSON | {"prefer": "return=representation"}
_read_receipt = msgspec.json.Decoder(Receipt)
_read_batch_receipt = msgspec.json.Decoder(BatchReceipt)


class ScoreCalls(Calls):
    """The calls that write scores."""

    _keeps_keys = True
    """False once the service has said that its store keeps no idempotency keys."""

    async def submit(
        self,
        board: str,
        name: str,
        score: Score,
        *,
        metadata: Any = None,
        submitted_at: datetime | str | None = None,
        operator: Operator | None = None,
        run: str | None = None,
        key: str | None = None,
    ) -> None:
        """Submit a score, which is kept when this returns.

        It counts as the board's operator says, on the board and in the current period of each of its windows.
        ``metadata`` are anything that can be JSON, at most 1 KiB. ``submitted_at`` lets it count as of then, and
        ``operator`` by another operator than the board's: both need the right to moderate. ``run`` uses up a run of the
        player. A submit is sent under an idempotency key, so that it counts once, however often it is sent: ``key``, or
        one of its own.

        Raises ScoreRefused, and TooManyRequests; after ServerUnreachable it may have counted, and counts once if it is
        submitted again with the same ``key`` within 24 hours.
        """
        body = _encode(score, metadata, submitted_at, operator, run)
        await self._send_with_key(path_of(board, name), body, key, JSON)

    async def submit_with_receipt(
        self,
        board: str,
        name: str,
        score: Score,
        *,
        metadata: Any = None,
        submitted_at: datetime | str | None = None,
        operator: Operator | None = None,
        run: str | None = None,
        key: str | None = None,
    ) -> Receipt | None:
        """Submit a score as :meth:`submit` does; return the standings after and before it, of one moment.

        Returns None if the service's store cannot tell them (Momento).
        """
        body = _encode(score, metadata, submitted_at, operator, run)
        answer = await self._send_with_key(path_of(board, name), body, key, WITH_RECEIPT)
        return self._connection.decode(_read_receipt, answer.content) if answer.content else None

    async def submit_many(self, board: str, scores: Scores, *, key: str | None = None) -> BatchReceipt:
        """Submit many scores: by name, as pairs of name and score, or as :class:`NewEntry`.

        They are sent in batches of up to 1,000, one after another, and count in their order. Each is kept or refused on
        its own: the receipt has those that were refused, with their index among all. Each batch has an idempotency key,
        made of ``key`` if that is given. If this raises, batches before may be kept: the same call with the same
        ``key`` within 24 hours goes on, and nothing counts twice.
        """
        accepted, refused, sent = 0, [], 0
        for number, entries in enumerate(make_batches(scores)):
            own = None if key is None else f"{key}-{number}"
            receipt = await self._submit_batch(board, make_body(entries), len(entries), own)
            accepted += receipt.accepted
            refused += [structs.replace(each, index=sent + each.index) for each in receipt.refused]
            sent += len(entries)
        return BatchReceipt(accepted, refused)

    async def restore(
        self, board: str, entries: Scores, *, window: str | None = None, period: str | None = None
    ) -> BatchReceipt:
        """Have names stand with exactly these entries, whatever the board's operator and guard say: a moderator's act.

        On the board alone, or with ``window`` in one period of it; windows are not fed. In batches of up to 1,000,
        which are sent again without harm.
        """
        accepted, refused, sent = 0, [], 0
        for batch in make_batches(entries):
            receipt = await self._restore_batch(board, make_body(batch), len(batch), window, period)
            accepted += receipt.accepted
            refused += [structs.replace(each, index=sent + each.index) for each in receipt.refused]
            sent += len(batch)
        return BatchReceipt(accepted, refused)

    async def set_metadata(
        self, board: str, name: str, metadata: Any, *, window: str | None = None, period: str | None = None
    ) -> None:
        """Replace the metadata of a name, or with None take them away; score, time and place stay.

        On the board and in the current period of each of its windows, or with ``window`` in one period alone. Raises
        NameMissing.
        """
        body = encode(MetadataAlone(Raw(encode(metadata))))
        query = {"window": window, "period": period}
        await self._connection.do("PATCH", path_of(board, name), query, body=body, headers=JSON)

    async def remove(self, board: str, name: str, *, window: str | None = None, period: str | None = None) -> None:
        """Remove a name from a board and all its periods, or with ``window`` from one period.

        Whether or not it is there. Needs the right to moderate.
        """
        await self._connection.do("DELETE", path_of(board, name), {"window": window, "period": period})

    async def drop(self, board: str, *, window: str | None = None, period: str | None = None) -> None:
        """Remove all entries of a board and of its periods, or with ``window`` those of one period.

        The definition stays. Needs the right to define boards.
        """
        await self._connection.do("DELETE", path_of(board), {"window": window, "period": period})

    async def _submit_batch(self, board: str, body: bytes, sent: int, key: str | None) -> BatchReceipt:
        """Submit an encoded batch of ``sent`` entries as one request."""
        answer = await self._send_with_key(path_of(board), body, key, JSON)
        return self._read_batch_receipt(answer.content, sent)

    async def _restore_batch(
        self, board: str, body: bytes, sent: int, window: str | None, period: str | None
    ) -> BatchReceipt:
        """Restore an encoded batch of ``sent`` entries as one request."""
        query = {"window": window, "period": period}
        answer = await self._connection.ask("PUT", own_path(board, "entries"), query, body=body, headers=JSON)
        return self._read_batch_receipt(answer.content, sent)

    async def _send_with_key(self, path: str, body: bytes, key: str | None, headers: dict[str, str]) -> Answer:
        """Send a write with an idempotency key: the one that is given, or one of its own if the store keeps any."""
        if key is not None or (self._connection.is_retried and self._keeps_keys):
            keyed = headers | {"idempotency-key": key or uuid4().hex}
            try:
                return await self._connection.ask("POST", path, body=body, headers=keyed)
            except NotKept:  # perhaps it is the key that it does not keep
                if key is not None:
                    raise
            answer = await self._connection.ask("POST", path, body=body, headers=headers, repeat="unsent")
            self._keeps_keys = False
            return answer
        return await self._connection.ask("POST", path, body=body, headers=headers, repeat="unsent")

    def _read_batch_receipt(self, answer: bytes, sent: int) -> BatchReceipt:
        receipt = self._connection.decode(_read_batch_receipt, answer)
        refused = {each.index for each in receipt.refused}
        if receipt.accepted + len(receipt.refused) != sent or not refused <= {*range(sent)}:
            self._connection.refuse("it tells of entries that were not sent, or not of all that were")
        return receipt


def _encode(
    score: Score,
    metadata: Any,
    submitted_at: datetime | str | None,
    operator: Operator | None,
    run: str | None,
) -> bytes:
    at = submitted_at if isinstance(submitted_at, str | None) else submitted_at.isoformat()
    sent = Submit(score, submitted_at=at or UNSET, operator=operator or UNSET, run=run or UNSET)
    return encode(sent if metadata is None else structs.replace(sent, metadata=Raw(encode(metadata))))
