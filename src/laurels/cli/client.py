"""Typed calls to a running service, over HTTP: the one way out of the command line.

The service may be anything. An answer is read up to ANSWER_BYTES within TIMEOUT seconds, is not unpacked, and is
checked before it is believed: its types, its numbers, the definitions in it, and that a list goes on and ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import sys
from collections.abc import Iterable
from contextlib import aclosing, contextmanager
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Self, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from laurels.cli.credentials import HOW
from laurels.cli.environment import find_proxy, make_trust, without_password
from laurels.cli.errors import KeyUnusable, RequestFailed, RequestRefused, ServerFailed, ServerUnreachable
from laurels.cli.live import LONGEST_RETRY_SECONDS, TOLD, Away, Event, Message, Messages
from laurels.declaring import normalize_definition
from laurels.definition import Definition
from laurels.entries import checked_name
from laurels.errors import BadDefinition, truncate
from laurels.http.messages import EVENTS, TAR
from laurels.http.problems import Problem
from laurels.http.wire import (
    BatchReceipt,
    GivenToken,
    HeldEntries,
    HiddenNames,
    Listing,
    Page,
    Periods,
    Reading,
    Receipt,
    ScoreRank,
    StandingInFull,
    Submit,
    WantedToken,
    encode,
)
from laurels.limits import (
    BOARDS_LISTED,
    DEFAULT_SUMMARY_BUCKETS,
    HELD_LISTED,
    MIB,
    NAMES_ASKED,
    PAGE_ENTRIES,
    SPAN_ENTRIES,
    format_size,
)
from laurels.stores.contract import Count, HiddenStanding, Score, Standing, Summary
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence

    from laurels.boards import ListedPeriod
    from laurels.cli.credentials import Credential
    from laurels.http.wire import HeldEntry, HiddenEntry, Listed
    from laurels.stores.contract import Entry

TIMEOUT = 30.0
"""Seconds to wait for an answer, from the connection to its last byte."""
SILENCE = 45.0
"""Seconds to wait for the next byte of a stream of events; a service says every 15 seconds that it is there."""
ANSWER_BYTES = 16 * MIB
"""The longest answer that is read: several times the longest that there is, a page of 1,000 entries with metadata."""
LISTS, LIST_BYTES = 1000, 256 * MIB
"""Of so many answers a list is put together at most: a million boards."""
LARGEST = sys.float_info.max
_MANY_DIGITS = re.compile(rb"\d{309}")
"""So many has every integer that no double holds."""
_SECONDS = re.compile("[0-9]{1,9}")

_STREAMS = {EVENTS: "a stream of events", TAR: "a backup"}
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
JSON = {"content-type": "application/json"}
SUBMIT = JSON | {"prefer": "return=representation"}
HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": f"laurels/{__version__}"}


class RankedEntry(Struct, frozen=True):
    """An entry of a page, with its rank."""

    rank: Count
    name: str
    score: Score


class RankedPage(Struct, frozen=True):
    """Entries with their ranks; ``missing`` are the names that were asked for and are not on the board."""

    leaderboard: Annotated[list[RankedEntry], Meta(max_length=2 * SPAN_ENTRIES + 1)]
    missing: Annotated[list[str], Meta(max_length=NAMES_ASKED)] | UnsetType = UNSET


class FullPage(Reading, frozen=True):
    """Entries with all that was asked for; ``next`` is None on the last page."""

    next: str | None


class _Found(Struct, frozen=True):
    score: Score
    rank: Count | None
    hidden: bool = False


T = TypeVar("T")
L = TypeVar("L", Listing, Periods, HiddenNames, HeldEntries)

_read_found = msgspec.json.Decoder(_Found)
_read_page = msgspec.json.Decoder(Page)
_read_full_page = msgspec.json.Decoder(FullPage)
_read_problem = msgspec.json.Decoder(Problem)
_read_receipt = msgspec.json.Decoder(Receipt)
_read_batch_receipt = msgspec.json.Decoder(BatchReceipt)
_read_ranked_page = msgspec.json.Decoder(RankedPage)
_read_listing = msgspec.json.Decoder(Listing)
_read_definition = msgspec.json.Decoder(Definition)
_read_hidden = msgspec.json.Decoder(HiddenNames)
_read_held = msgspec.json.Decoder(HeldEntries)
_read_given_token = msgspec.json.Decoder(GivenToken)
_read_periods = msgspec.json.Decoder(Periods)
_read_full_standing = msgspec.json.Decoder(StandingInFull)
_read_summary = msgspec.json.Decoder(Summary)
_read_told = {kind: msgspec.json.Decoder(told) for kind, told in TOLD.items()}
_read_score_rank = msgspec.json.Decoder(ScoreRank)


class Period(Struct, frozen=True):
    """A period of a window: the current one if ``period`` is None, and all time if ``window`` is None too."""

    window: str | None = None
    period: str | None = None

    @property
    def query(self) -> dict[str, str]:
        """Its query parameters."""
        return {key: value for key, value in (("window", self.window), ("period", self.period)) if value is not None}


ALL_TIME = Period()
FULL_IN_WINDOW = ("place", "total", "percentile", "metadata", "submittedAt")
FULL = (*FULL_IN_WINDOW, "windows")
"""What there is to know of a standing."""


class Client:
    """A connection to one service. Its methods raise BadName before a request, and RequestFailed if it fails.

    What is shown to the service is sent to no other: redirects are not followed. Raises EnvironmentWrong if the
    environment says how to reach the service, and that cannot be.
    """

    def __init__(
        self,
        server: str,
        credential: Credential | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to a URL, or over a ``transport`` to what is behind that."""
        url = httpx.URL(server)
        if credential is not None and url.userinfo:
            raise KeyUnusable("Both the service's URL and a key say who asks: take user and password out of the URL.")
        self._url = server.rstrip("/")
        self._server = without_password(url)
        self._proxy = find_proxy(url)
        self._last_page: Sequence[object] = ()
        self._via = f" through {self._proxy}" if self._proxy else ""
        self._credential = credential
        self._http = httpx.AsyncClient(
            headers=HEADERS | ({"authorization": f"Bearer {credential.text}"} if credential else {}),
            timeout=TIMEOUT,
            trust_env=False,
            proxy=self._proxy.url if self._proxy else None,
            verify=make_trust(url),
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def submit(self, board: str, name: str, score: Score, operator: str | None = None) -> Receipt | None:
        """Submit a score; return the standings before and after, or None if the service's store does not keep them."""
        sent = encode(Submit(score, operator=operator or UNSET))
        answer = await self._request("POST", _path(board, name), sent, SUBMIT)
        return self._read(_read_receipt, answer) if answer else None

    async def submit_many(self, board: str, batch: bytes, sent: int, key: str | None = None) -> BatchReceipt:
        """Submit an encoded batch of ``sent`` entries; with an idempotency key it counts once, if sent again, too."""
        headers = JSON if key is None else JSON | {"idempotency-key": key}
        return self._read_receipt(await self._request("POST", _path(board), batch, headers), sent)

    async def restore(self, board: str, batch: bytes, sent: int, when: Period = ALL_TIME) -> BatchReceipt:
        """Restore an encoded batch of ``sent`` entries, on a board alone or in one period."""
        answer = await self._request("PUT", f"{_own_path(board)}/entries{_query(when.query)}", batch, JSON)
        return self._read_receipt(answer, sent)

    def _read_receipt(self, answer: bytes, sent: int) -> BatchReceipt:
        receipt = self._read(_read_batch_receipt, answer)
        refused = {each.index for each in receipt.refused}
        if receipt.accepted + len(receipt.refused) != sent or not refused <= {*range(sent)}:
            self._refuse("it tells of entries that were not sent, or not of all that were")
        return receipt

    async def submit_body(self, board: str, name: str, body: bytes, key: str | None) -> None:
        """Submit the body of a score; with an idempotency key it counts once, however often it is sent."""
        await self._request("POST", _path(board, name), body, JSON if key is None else JSON | {"idempotency-key": key})

    async def standing(self, board: str, name: str, when: Period = ALL_TIME) -> Standing | None:
        """Return the standing of a name, None if it is not on the board."""
        found = self._read(_read_found, await self._request("GET", _path(board, name) + _query(when.query)))
        if found.hidden:
            return HiddenStanding(found.score)
        return None if found.rank is None else Standing(found.score, found.rank)

    async def standing_in_full(self, board: str, name: str, when: Period = ALL_TIME) -> StandingInFull:
        """Return the standing of a name with all that the service's store can tell of it."""
        try:
            return await self._standing_with(board, name, when, FULL if when.window is None else FULL_IN_WINDOW)
        except RequestRefused as refusal:
            if refusal.status != httpx.codes.UNPROCESSABLE_ENTITY:
                raise
        return await self._standing_with(board, name, when, ("place", "total"))

    async def _standing_with(self, board: str, name: str, when: Period, fields: Sequence[str]) -> StandingInFull:
        query = _query({"include": ",".join(fields)} | when.query)
        found = self._read(_read_full_standing, await self._request("GET", _path(board, name) + query))
        if found.total is UNSET or found.place is UNSET:
            self._refuse("it left out what was asked for")
        return found

    async def hide(self, board: str, name: str) -> None:
        """Hide a name on a board."""
        await self._do("PUT", f"{_own_path(board)}/hidden/{quote(checked_name(name), safe='')}")

    async def show(self, board: str, name: str) -> None:
        """Show a hidden name."""
        await self._do("DELETE", f"{_own_path(board)}/hidden/{quote(checked_name(name), safe='')}")

    async def hidden(
        self, board: str, when: Period = ALL_TIME, include: str | None = None
    ) -> AsyncIterator[list[HiddenEntry]]:
        """Yield the hidden names of a board in pages, with the included fields of their entries."""
        path = f"{_own_path(board)}/hidden"
        async for answer in self._list(path, {"include": include} | when.query, _read_hidden):
            yield answer.hidden

    async def held(self, board: str) -> AsyncIterator[list[HeldEntry]]:
        """Yield the held scores of a board in pages."""
        async for answer in self._list(f"{_own_path(board)}/held", {"limit": HELD_LISTED}, _read_held, on="cursor"):
            yield answer.held

    async def decide(self, board: str, name: str, act: str) -> None:
        """Release or reject what is held of a name."""
        await self._do("POST", f"{_own_path(board)}/held/{quote(checked_name(name), safe='')}/{act}")

    async def delete(self, board: str, name: str | None = None, when: Period = ALL_TIME) -> None:
        """Remove a name from a board and its periods, or from one period; without a name, all of them."""
        await self._do("DELETE", _path(board, name) + _query(when.query))

    async def page(self, board: str, start: int, stop: int, when: Period = ALL_TIME) -> list[Entry]:
        """Return the entries at the places from ``start`` to ``stop``, exclusive."""
        query = _query({"startRank": str(start), "endRank": str(stop)} | when.query)
        found = self._read(_read_page, await self._request("GET", _path(board) + query)).leaderboard
        self._check_change(found, is_first=not start)
        return found

    async def full_page(self, board: str, query: dict[str, str]) -> FullPage:
        """Return the page that a query asks for, with the fields and the cursor that it includes."""
        found = self._read(_read_full_page, await self._request("GET", _path(board) + _query(query)))
        is_full = len(found.leaderboard) >= PAGE_ENTRIES
        if found.next is not None and (not is_full or found.next == query.get("cursor")):
            self._refuse("its pages do not end")
        self._check_change(found.leaderboard, is_first="cursor" not in query)
        return found

    async def ranked_page(self, board: str, start: int, stop: int, when: Period = ALL_TIME) -> list[RankedEntry]:
        """Return the same entries with their ranks."""
        return (await self._read_ranked(board, when, startRank=start, endRank=stop)).leaderboard

    async def around(
        self, board: str, name: str, span: int | None, when: Period = ALL_TIME, limit: int | None = None
    ) -> list[RankedEntry]:
        """Return a name with ``span`` entries on either side, or with a ``limit`` so many entries in all."""
        return (await self._read_ranked(board, when, around=name, span=span, limit=limit)).leaderboard

    async def between(self, board: str, when: Period = ALL_TIME, **bounds: Score | None) -> list[RankedEntry]:
        """Return the entries whose scores are from ``minScore`` to ``maxScore``, at most ``limit`` of them."""
        return (await self._read_ranked(board, when, **bounds)).leaderboard

    async def names(self, board: str, names: Sequence[str], when: Period = ALL_TIME) -> RankedPage:
        """Return the entries of these names, and which names are missing."""
        return await self._read_ranked(board, when, name=[checked_name(name) for name in names])

    async def summary(
        self, board: str, when: Period = ALL_TIME, percentiles: str | None = None, buckets: int | None = None
    ) -> Summary:
        """Return a board in a few figures, with other percentiles and so many buckets if that is wanted."""
        query = _query({"percentiles": percentiles, "buckets": buckets} | when.query)
        found = self._read(_read_summary, await self._request("GET", f"{_own_path(board)}/summary{query}"))
        if len(found.histogram) > (buckets or DEFAULT_SUMMARY_BUCKETS):
            self._refuse("it sent more buckets than were asked for")
        return found

    async def rank_of(self, board: str, score: Score, when: Period = ALL_TIME) -> ScoreRank:
        """Return the rank that a score would have."""
        query = _query({"score": score} | when.query)
        return self._read(_read_score_rank, await self._request("GET", f"{_own_path(board)}/rank{query}"))

    async def boards(self) -> list[Listed]:
        """Return all boards, by name, with their counts."""
        found = [
            each
            async for answer in self._list("/-/boards", {"include": "count", "limit": BOARDS_LISTED}, _read_listing)
            for each in answer.boards
        ]
        for each in found:
            self._check_definition(each.definition)
        return found

    async def give_token(self, wanted: WantedToken) -> GivenToken:
        """Have a token made for a player."""
        return self._read(_read_given_token, await self._request("POST", "/-/tokens", encode(wanted), JSON))

    async def definition(self, board: str) -> Definition:
        """Return the definition of a board."""
        return self._check_definition(self._read(_read_definition, await self._request("GET", _own_path(board))))

    async def define(self, board: str, definition: bytes) -> Definition:
        """Define a board, with a definition in JSON; return the definition as the service keeps it."""
        answer = await self._request("PUT", _own_path(board), definition, JSON)
        return self._check_definition(self._read(_read_definition, answer))

    async def undefine(self, board: str) -> None:
        """Drop a board's definition."""
        await self._do("DELETE", _own_path(board))

    async def periods(self, board: str) -> list[ListedPeriod]:
        """Return all periods of a board that have entries."""
        path = f"{_own_path(board)}/periods"
        return [each async for answer in self._list(path, {}, _read_periods) for each in answer.periods]

    async def live(self, board: str, *views: Mapping[str, Any]) -> AsyncGenerator[Event | Away, None]:
        """Yield what views of a board show and then what changes there, for ever; each view is the query of a read.

        If the connection breaks, or the service ends, that is said, and it is connected again: what was missed comes
        then. Raises RequestFailed if the first connection fails, or a later one is refused.
        """
        query = views[0] if len(views) == 1 else {"view": [urlencode(_given(view)) for view in views]}
        path, messages, failures = f"{_own_path(board)}/live{_query(query)}", Messages(), 0
        while True:
            reason = "The service has ended the connection."
            try:
                async with aclosing(self._events(path, messages, len(views))) as events:
                    async for event in events:
                        failures = 0
                        yield event
            except RequestFailed as error:
                if not messages.last_id or not _may_pass(error):
                    raise
                reason = str(error)
            seconds = min(messages.retry * 2**failures, LONGEST_RETRY_SECONDS)
            yield Away(reason, seconds)
            await asyncio.sleep(seconds)
            failures += 1

    async def _events(self, path: str, messages: Messages, views: int) -> AsyncGenerator[Event, None]:
        """Yield the events of one connection, until the service ends it."""
        headers = {"last-event-id": messages.last_id} if messages.last_id else {}
        response = await self._open(path, EVENTS, headers | {"cache-control": "no-store"})
        try:
            messages.begin()
            with self._reaching(SILENCE):
                async for piece in response.aiter_raw():
                    for message in self._take(messages, piece):
                        told = self._read(_read_told[message.event], bytes(message.data))
                        if told.view >= views:
                            self._refuse("it tells of a view that was not asked for")
                        yield Event(message, told)
        finally:
            await response.aclose()

    async def _open(self, path: str, wanted: bytes, headers: Mapping[str, str] = NO_HEADERS) -> httpx.Response:
        """Return an answer of this media type, whose body is to be read as it comes."""
        headers = {"accept": wanted.decode(), **headers}
        timeout = httpx.Timeout(TIMEOUT, read=SILENCE)
        request = self._http.build_request("GET", self._url + path, headers=headers, timeout=timeout)
        with self._reaching(TIMEOUT):
            async with asyncio.timeout(TIMEOUT):
                response = await self._http.send(request, stream=True)
                kind = response.headers.get("content-type", "nothing").partition(";")[0]
                if response.is_success and kind == wanted.decode():
                    return response
                try:
                    content = await self._receive(response)
                finally:
                    await response.aclose()
        if response.is_success:
            self._refuse(f"it sent {truncate(kind)} for {_STREAMS[wanted]}")
        raise self._make_error(response, content)

    async def backup(self) -> AsyncGenerator[bytes, None]:
        """Yield a backup of everything as it comes; it is whole if this ends without an error."""
        response = await self._open("/-/backup", TAR)
        try:
            with self._reaching(SILENCE):
                async for piece in response.aiter_raw():
                    yield piece
        finally:
            await response.aclose()

    def _take(self, messages: Messages, piece: bytes) -> Sequence[Message]:
        try:
            return [message for message in messages.take(piece) if message.event in _read_told]
        except ValueError as error:
            self._refuse(str(error))

    def _check_change(self, page: Sequence[object], *, is_first: bool) -> None:
        if page and page == self._last_page and not is_first:
            self._refuse("its pages do not end")
        self._last_page = page

    async def _do(self, method: str, path: str) -> None:
        if await self._request(method, path):
            self._refuse("it sent something, although there is nothing to say")

    async def _read_ranked(self, board: str, when: Period, **query: Any) -> RankedPage:
        answer = await self._request("GET", _path(board) + _query({"include": "rank"} | query | when.query))
        return self._read(_read_ranked_page, answer)

    async def _list(
        self, path: str, query: dict[str, Any], decoder: msgspec.json.Decoder[L], on: str = "after"
    ) -> AsyncIterator[L]:
        """Yield the parts of a list, which goes on by the parameter ``on``.

        Raises ServerFailed if it does not go on from one to the next, or does not end.
        """
        seen: set[str | UnsetType | None] = {None, UNSET}
        size, after = 0, dict[str, Any]()
        while size < LIST_BYTES and len(seen) < LISTS:
            answer = await self._request("GET", path + _query(query | after))
            found = self._read(decoder, answer)
            yield found
            if not found.next:
                return
            if found.next in seen:
                self._refuse("its list turns in a circle")
            seen.add(found.next)
            size, after = size + len(answer), {on: found.next}
        self._refuse("its list does not end")

    async def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> bytes:
        with self._reaching(TIMEOUT):
            async with (
                asyncio.timeout(TIMEOUT),
                self._http.stream(method, self._url + path, content=body, headers=headers) as response,
            ):
                content = await self._receive(response)
        if not response.is_success:
            raise self._make_error(response, content)
        return content

    @contextmanager
    def _reaching(self, seconds: float) -> Iterator[None]:
        """Say of what fails on the way that the service cannot be reached."""
        try:
            yield
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._unreachable(f"no answer within {seconds:g} seconds") from error
        except httpx.TransportError as error:
            raise self._unreachable(_find_reason(error)) from error

    async def _receive(self, response: httpx.Response) -> bytes:
        if coding := response.headers.get("content-encoding", "").removeprefix("identity"):
            self._refuse(f"it sent {truncate(coding)}, which was not asked for")
        content = bytearray()
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > ANSWER_BYTES:
                self._refuse(f"its answer is longer than {format_size(ANSWER_BYTES)}")
        return bytes(content)

    def _read(self, decoder: msgspec.json.Decoder[T], answer: bytes) -> T:
        try:
            found = decoder.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self._refuse(str(error).rstrip("."))
        if _MANY_DIGITS.search(answer) and not all(-LARGEST <= number <= LARGEST for number in _numbers(found)):
            self._refuse("a number is beyond the range of a double")
        return found

    def _check_definition(self, definition: Definition) -> Definition:
        try:
            return normalize_definition(definition)
        except BadDefinition as error:
            self._refuse(str(error).rstrip("."))

    def _refuse(self, problem: str) -> NoReturn:
        raise ServerFailed(f"{self._server}{self._via} did not answer as Laurels does: {problem}.")

    def _unreachable(self, reason: str) -> ServerUnreachable:
        if self._proxy is None:
            return ServerUnreachable(self._server, reason)
        hint = f"Correct {self._proxy.variable}, or name the host in NO_PROXY."
        return ServerUnreachable(f"{self._server}{self._via}", reason, hint)

    def _make_error(self, response: httpx.Response, content: bytes) -> RequestFailed:
        """Return the error for an answer other than 2xx, with its problem document, or else its status alone."""
        status = f"{response.status_code} {response.reason_phrase}"
        if self._proxy is not None and response.status_code == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            return self._unreachable(status)
        try:
            found = _read_problem.decode(content)
            explanation = f"{found.title}: {found.detail}"
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            place = f" to {response.headers['location']}" if "location" in response.headers else ""
            explanation = f"{self._server}{self._via} answered {status}{place}, and not why."
        if self._credential is not None:  # which a service may send back
            explanation = explanation.replace(self._credential.text, "...")
        explanation += self._advise(response.status_code)
        kind = RequestRefused if response.is_client_error else ServerFailed
        wait = response.headers.get("retry-after", "")
        return kind(
            explanation, status=response.status_code, retry_after=int(wait) if _SECONDS.fullmatch(wait) else None
        )

    def _advise(self, status: int) -> str:
        """Return what to do about a refusal that is one of who asks, to go on after the reason."""
        if status not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            return ""
        if self._credential is None:
            return f" {HOW}" if status == httpx.codes.UNAUTHORIZED else ""
        return f" What was shown is from {self._credential.source}."


def _path(board: str, name: str | None = None) -> str:
    path = "/" + quote(checked_name(board, "board"), safe="")
    return path if name is None else f"{path}/{quote(checked_name(name), safe='')}"


def _own_path(board: str) -> str:
    return "/-/boards" + _path(board)


def _query(parameters: Mapping[str, Any]) -> str:
    given = _given(parameters)
    return f"?{urlencode(given, doseq=True)}" if given else ""


def _given(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in parameters.items() if value is not None}


def _may_pass(error: RequestFailed) -> bool:
    """Return whether a failure may be over after a while."""
    status = error.status or 0
    is_busy = status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS
    return is_busy or isinstance(error, ServerUnreachable)


def _numbers(found: object) -> Iterator[Score]:
    """Yield every number in what was read."""
    parts = msgspec.structs.astuple(found) if isinstance(found, Struct) else found
    if isinstance(parts, dict):
        parts = parts.values()
    if isinstance(parts, int | float):
        yield parts
    elif isinstance(parts, Iterable) and not isinstance(parts, str):
        yield from chain.from_iterable(map(_numbers, parts))


def _find_reason(error: BaseException) -> str:
    """Return the system's reason, from the exception at the root of a failed request."""
    # httpx wraps the exceptions of its transport, some of which are groups with one error for each address of a host.
    root: BaseException | None = error
    while root is not None:
        if isinstance(root, ssl.SSLError):
            reason = getattr(root, "verify_message", "") or str(root.reason).replace("_", " ")
            return f"TLS failed: {reason.lower()}"
        if isinstance(root, OSError) and root.errno:
            return (os.strerror(root.errno) if root.errno > 0 else str(root.strerror)).lower()
        root = root.exceptions[0] if isinstance(root, BaseExceptionGroup) else root.__cause__ or root.__context__
    return str(error).rstrip(".").lower()
