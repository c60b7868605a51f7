"""Typed calls to a running service, over HTTP."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec
from msgspec import Struct

from laurels.cli.errors import RequestFailed, RequestRefused, ServerFailed, ServerUnreachable
from laurels.definition import Definition
from laurels.entries import checked_name
from laurels.http.problems import Problem
from laurels.http.wire import BatchReceipt, Listing, Page, Periods, Reading, Receipt, Submit
from laurels.stores.contract import Score, Standing

if TYPE_CHECKING:
    from laurels.stores.contract import Entry

TIMEOUT = 30.0
"""Seconds to wait for the connection, and for each part of an answer."""

JSON = {"content-type": "application/json"}
SUBMIT = JSON | {"prefer": "return=representation"}


class RankedEntry(Struct, frozen=True):
    """An entry of a page, with its rank."""

    rank: int
    name: str
    score: Score


class RankedPage(Struct, frozen=True):
    """A page whose entries have their ranks."""

    leaderboard: list[RankedEntry]


class FullPage(Reading, frozen=True):
    """Entries with all that was asked for; ``next`` is None on the last page."""

    next: str | None


class _Found(Struct, frozen=True):
    score: Score
    rank: int | None


T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_read_found = msgspec.json.Decoder(_Found)
_read_page = msgspec.json.Decoder(Page)
_read_full_page = msgspec.json.Decoder(FullPage)
_read_problem = msgspec.json.Decoder(Problem)
_read_receipt = msgspec.json.Decoder(Receipt)
_read_batch_receipt = msgspec.json.Decoder(BatchReceipt)
_read_ranked_page = msgspec.json.Decoder(RankedPage)
_read_listing = msgspec.json.Decoder(Listing)
_read_definition = msgspec.json.Decoder(Definition)
_read_periods = msgspec.json.Decoder(Periods)


class Period(Struct, frozen=True):
    """A period of a window: the current one if ``period`` is None, and all time if ``window`` is None too."""

    window: str | None = None
    period: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """Its query parameters."""
        return {key: value for key, value in (("window", self.window), ("period", self.period)) if value is not None}


ALL_TIME = Period()


class Client:
    """A connection to one service. Its methods raise BadName before a request, and RequestFailed if it fails."""

    def __init__(self, server: str) -> None:
        self._server = server.rstrip("/")
        self._http = httpx.AsyncClient(timeout=TIMEOUT)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def submit(self, board: str, name: str, score: Score) -> Receipt | None:
        """Submit a score; return the standings before and after, or None if the service's store does not keep them."""
        answer = await self._request("POST", _path(board, name), _encode(Submit(score)), SUBMIT)
        return self._read(_read_receipt, answer) if answer else None

    async def submit_many(self, board: str, batch: bytes, key: str | None = None) -> BatchReceipt:
        """Submit an encoded batch; with an idempotency key it counts once, however often it is sent."""
        headers = JSON if key is None else JSON | {"idempotency-key": key}
        return self._read(_read_batch_receipt, await self._request("POST", _path(board), batch, headers))

    async def submit_body(self, board: str, name: str, body: bytes, key: str | None) -> None:
        """Submit the body of a score; with an idempotency key it counts once, however often it is sent."""
        await self._request("POST", _path(board, name), body, JSON if key is None else JSON | {"idempotency-key": key})

    async def standing(self, board: str, name: str, when: Period = ALL_TIME) -> Standing | None:
        """Return the standing of a name, None if it is not on the board."""
        found = self._read(_read_found, await self._request("GET", _path(board, name) + _query(when.query)))
        return None if found.rank is None else Standing(found.score, found.rank)

    async def page(self, board: str, start: int, stop: int, when: Period = ALL_TIME) -> list[Entry]:
        """Return the entries at the places from ``start`` to ``stop``, exclusive."""
        query = _query({"startRank": str(start), "endRank": str(stop)} | when.query)
        return self._read(_read_page, await self._request("GET", _path(board) + query)).leaderboard

    async def full_page(self, board: str, query: dict[str, str]) -> FullPage:
        """Return the page that a query asks for, with the fields and the cursor that it includes."""
        return self._read(_read_full_page, await self._request("GET", _path(board) + _query(query)))

    async def ranked_page(self, board: str, start: int, stop: int, when: Period = ALL_TIME) -> list[RankedEntry]:
        """Return the same entries with their ranks."""
        query = _query({"startRank": str(start), "endRank": str(stop), "include": "rank"} | when.query)
        return self._read(_read_ranked_page, await self._request("GET", _path(board) + query)).leaderboard

    async def boards(self, after: str | None = None) -> Listing:
        """Return the first boards by name, or those after a name."""
        query = "" if after is None else _query({"after": after})
        return self._read(_read_listing, await self._request("GET", f"/-/boards{query}"))

    async def definition(self, board: str) -> Definition:
        """Return the definition of a board."""
        return self._read(_read_definition, await self._request("GET", _own_path(board)))

    async def define(self, board: str, definition: bytes) -> Definition:
        """Define a board, with a definition in JSON; return the definition as the service keeps it."""
        return self._read(_read_definition, await self._request("PUT", _own_path(board), definition, JSON))

    async def undefine(self, board: str) -> None:
        """Drop a board's definition."""
        await self._request("DELETE", _own_path(board))

    async def periods(self, board: str, after: str | None = None) -> Periods:
        """Return the first periods of a board that have entries, or those after one."""
        query = "" if after is None else _query({"after": after})
        return self._read(_read_periods, await self._request("GET", f"{_own_path(board)}/periods{query}"))

    async def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        try:
            response = await self._http.request(method, self._server + path, content=body, headers=headers)
        except httpx.TransportError as error:
            raise ServerUnreachable(self._server, _find_reason(error)) from error
        except httpx.DecodingError as error:
            raise self._unlike_laurels(error) from error
        if not response.is_success:
            raise _make_error(self._server, response)
        return response.content

    def _read(self, decoder: msgspec.json.Decoder[T], answer: bytes) -> T:
        try:
            return decoder.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._unlike_laurels(error) from error

    def _unlike_laurels(self, error: Exception) -> ServerFailed:
        return ServerFailed(f"{self._server} did not answer as Laurels does: {str(error).rstrip('.')}.")


def _path(board: str, name: str | None = None) -> str:
    path = "/" + quote(checked_name(board, "board"), safe="")
    return path if name is None else f"{path}/{quote(checked_name(name), safe='')}"


def _own_path(board: str) -> str:
    return "/-/boards" + _path(board)


def _query(parameters: dict[str, str]) -> str:
    return f"?{urlencode(parameters)}" if parameters else ""


def _make_error(server: str, response: httpx.Response) -> RequestFailed:
    """Return the error for an answer other than 2xx, with its problem document, or else its status alone."""
    try:
        found = _read_problem.decode(response.content)
        explanation = f"{found.title}: {found.detail}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        explanation = f"{server} answered {response.status_code} {response.reason_phrase}, and not why."
    kind = RequestRefused if response.is_client_error else ServerFailed
    wait = response.headers.get("retry-after", "")
    return kind(explanation, status=response.status_code, retry_after=int(wait) if wait.isdecimal() else None)


def _find_reason(error: BaseException) -> str:
    """Return the system's reason, from the exception at the root of a failed request."""
    if isinstance(error, httpx.TimeoutException):
        return f"no answer within {TIMEOUT:g} seconds"
    # httpx wraps the exceptions of its transport, some of which are groups with one error for each address of a host.
    root: BaseException | None = error
    while root is not None:
        if isinstance(root, OSError) and root.errno:
            return (os.strerror(root.errno) if root.errno > 0 else str(root.strerror)).lower()
        root = root.exceptions[0] if isinstance(root, BaseExceptionGroup) else root.__cause__ or root.__context__
    return str(error).rstrip(".").lower()
