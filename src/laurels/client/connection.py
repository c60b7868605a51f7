"""The one way out to a service: requests and answers over HTTP, sent again where that is right.

The service may be anything. An answer is read up to ANSWER_BYTES within the time there is, is not unpacked, and is
checked before it is believed: its types, its numbers, and that a list goes on and ends.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import ssl
import sys
from collections.abc import Iterable
from contextlib import asynccontextmanager, contextmanager
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec
from msgspec import UNSET, Struct

from laurels.client.environment import find_proxy, make_trust, parse_url, without_password
from laurels.client.errors import (
    AnswerUnreadable,
    KeyUnusable,
    NotAuthenticated,
    RequestFailed,
    ServerUnreachable,
    kind_of,
)
from laurels.client.keys import ShownKey
from laurels.errors import truncate
from laurels.http.problems import Problem
from laurels.limits import MIB, format_size
from laurels.tracing import trace_headers
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from laurels.client.keys import Key
    from laurels.client.retries import Repeat, Retries
    from laurels.stores.contract import Score

ANSWER_BYTES = 16 * MIB
"""The longest answer that is read: several times the longest that there is, a page of 1,000 entries with metadata."""
LISTS, LIST_BYTES = 1000, 256 * MIB
"""Of so many answers a list is put together at most: a million boards."""
LARGEST = sys.float_info.max
_MANY_DIGITS = re.compile(rb"\d{309}")
"""So many has every integer that no double holds."""
_SECONDS = re.compile("[0-9]{1,9}")

JSON = {"content-type": "application/json"}
HEADERS = {"accept": "application/json", "accept-encoding": "identity", "user-agent": f"laurels/{__version__}"}

T = TypeVar("T")
L = TypeVar("L", bound=Struct)

_read_problem = msgspec.json.Decoder(Problem)


class Answer(Struct, frozen=True):
    """An answer of 2xx."""

    content: bytes
    headers: httpx.Headers


class Connection:
    """A connection to one service. What is shown to it is sent to no other: redirects are not followed.

    Raises ValueError for a URL that is none, and EnvironmentWrong if the environment says how to reach the service, and
    that cannot be.
    """

    def __init__(
        self,
        url: str,
        key: Key | None,
        *,
        timeout: float,
        retries: Retries,
        transport: httpx.AsyncBaseTransport | None,
        advise: Callable[[int], str],
    ) -> None:
        found = parse_url(url)
        if key is not None and found.userinfo:
            raise KeyUnusable("Both the service's URL and a key say who asks: take user and password out of the URL.")
        self._url = url.rstrip("/")
        self._server = without_password(found)
        self._key = ShownKey(key)
        self._timeout = timeout
        self._retries = retries
        self._advise = advise
        self._proxy = None if transport else find_proxy(found)
        self._via = f" through {self._proxy}" if self._proxy else ""
        self._http = httpx.AsyncClient(
            headers=HEADERS,
            timeout=timeout,
            trust_env=False,
            proxy=self._proxy.url if self._proxy else None,
            verify=make_trust(found),
            transport=transport,
        )

    @property
    def is_retried(self) -> bool:
        """Whether a request may be sent again."""
        return self._retries.attempts > 1

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: Repeat = "safe",
    ) -> Answer:
        """Return the answer to a request; raise RequestFailed for any but 2xx."""
        target = path + format_query(query or {})

        async def attempt() -> Answer:
            async with self._send(method, target, body, headers or {}, self._timeout) as (response, deadline):
                return Answer(await self._receive(response, deadline), response.headers)

        return await self._insist(attempt, repeat)

    async def do(self, method: str, path: str, query: Mapping[str, Any] | None = None, **request: Any) -> None:
        """Send a request whose answer is empty."""
        if (await self.ask(method, path, query, **request)).content:
            self.refuse("it sent something, although there is nothing to say")

    async def read(self, decoder: msgspec.json.Decoder[T], path: str, query: Mapping[str, Any] | None = None) -> T:
        """Return what a GET answers, read."""
        return self.decode(decoder, (await self.ask("GET", path, query)).content)

    async def list(
        self, decoder: msgspec.json.Decoder[L], path: str, query: Mapping[str, Any], on: str = "after"
    ) -> AsyncIterator[L]:
        """Yield the parts of a list, which goes on by the parameter ``on``.

        Raises AnswerUnreadable if it does not go on from one to the next, or does not end.
        """
        seen = set[Any]()
        size, after = 0, dict[str, Any]()
        while size < LIST_BYTES and len(seen) < LISTS:
            content = (await self.ask("GET", path, {**query, **after})).content
            found = self.decode(decoder, content)
            yield found
            following = found.next  # type: ignore[attr-defined]  # every list has it
            if following is None:
                return
            if following in seen:
                self.refuse("its list turns in a circle")
            seen.add(following)
            size, after = size + len(content), {on: following}
        self.refuse("its list does not end")

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, Any], headers: Mapping[str, str], *, silence: float
    ) -> AsyncIterator[httpx.Response]:
        """Yield an answer of 2xx as it comes; the next byte is waited for ``silence`` seconds.

        The request is sent once, but for a key that is refused.
        """
        async with self._send("GET", path + format_query(query), None, headers, silence) as (response, _):
            yield response

    @contextmanager
    def reaching(self, seconds: float) -> Iterator[None]:
        """Say of what fails on the way that the service cannot be reached."""
        try:
            yield
        except (TimeoutError, httpx.TimeoutException) as error:
            sent = not isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout)
            raise self._unreachable(f"no answer within {seconds:g} seconds", sent=sent) from error
        except httpx.TransportError as error:
            sent = not isinstance(error, httpx.ConnectError | httpx.ProxyError)
            raise self._unreachable(_find_reason(error), sent=sent) from error

    def decode(self, decoder: msgspec.json.Decoder[T], content: bytes) -> T:
        """Return what an answer says; raise AnswerUnreadable for what is no such answer."""
        try:
            found = decoder.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            self.refuse(str(error).rstrip("."))
        if _MANY_DIGITS.search(content) and not all(-LARGEST <= number <= LARGEST for number in _numbers(found)):
            self.refuse("a number is beyond the range of a double")
        return found

    def refuse(self, problem: str) -> NoReturn:
        """Raise AnswerUnreadable, with what is wrong with an answer."""
        raise AnswerUnreadable(f"{self._server}{self._via} did not answer as Laurels does: {problem}.")

    # Sending

    async def _insist(self, attempt: Callable[[], Awaitable[Answer]], repeat: Repeat) -> Answer:
        """Return the result of the first attempt that succeeds."""
        begun, attempts = monotonic(), 0
        while True:
            attempts += 1
            try:
                return await attempt()
            except RequestFailed as error:
                elapsed, chance = monotonic() - begun, random.random()  # noqa: S311 - nobody must not guess it
                wait = self._retries.wait_after(error, attempts, elapsed, chance, repeat)
            await asyncio.sleep(wait)

    @asynccontextmanager
    async def _send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], silence: float
    ) -> AsyncIterator[tuple[httpx.Response, float]]:
        """Yield an answer of 2xx whose body is not read yet, and by which time of the loop it must be.

        It is asked once more if a key is refused that can be renewed.
        """
        while True:
            shown = await self._key.find()
            request = self._http.build_request(
                method,
                self._url + target,
                content=body,
                headers={**trace_headers(), **headers, **({"authorization": f"Bearer {shown}"} if shown else {})},
                timeout=httpx.Timeout(self._timeout, read=silence),
            )
            deadline = asyncio.get_running_loop().time() + self._timeout
            with self.reaching(self._timeout):
                async with asyncio.timeout_at(deadline):
                    response = await self._http.send(request, stream=True)
            try:
                if response.is_success:
                    yield response, deadline
                    return
                error = self._make_error(response, await self._receive(response, deadline), shown)
            finally:
                await response.aclose()
            if not isinstance(error, NotAuthenticated) or not await self._key.renew(shown):
                raise error

    async def _receive(self, response: httpx.Response, deadline: float) -> bytes:
        if coding := response.headers.get("content-encoding", "").removeprefix("identity"):
            self.refuse(f"it sent {truncate(coding)}, which was not asked for")
        content = bytearray()
        with self.reaching(self._timeout):
            async with asyncio.timeout_at(deadline):
                async for piece in response.aiter_raw():
                    content += piece
                    if len(content) > ANSWER_BYTES:
                        self.refuse(f"its answer is longer than {format_size(ANSWER_BYTES)}")
        return bytes(content)

    def _unreachable(self, reason: str, *, sent: bool = True) -> ServerUnreachable:
        if self._proxy is None:
            return ServerUnreachable(self._server, reason, sent=sent)
        hint = f"Correct {self._proxy.variable}, or name the host in NO_PROXY."
        return ServerUnreachable(f"{self._server}{self._via}", reason, hint, sent=sent)

    def _make_error(self, response: httpx.Response, content: bytes, shown: str | None) -> RequestFailed:
        """Return the error for an answer other than 2xx, with its problem document, or else its status alone."""
        status = response.status_code
        phrase = f"{status} {response.reason_phrase}"
        if self._proxy is not None and status == httpx.codes.PROXY_AUTHENTICATION_REQUIRED:
            return self._unreachable(phrase, sent=False)
        wait = response.headers.get("retry-after", "")
        retry_after = int(wait) if _SECONDS.fullmatch(wait) else None

        def hide(text: str) -> str:  # what was shown, which a service may send back
            return text.replace(shown, "...") if shown else text

        try:
            found = _read_problem.decode(content)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            place = f" to {response.headers['location']}" if "location" in response.headers else ""
            text = hide(f"{self._server}{self._via} answered {phrase}{place}, and not why.") + self._advise(status)
            return kind_of(status, "")(text, status=status, retry_after=retry_after)
        parameter = None if found.parameter is UNSET else hide(found.parameter)
        pointer = None if found.pointer is UNSET else hide(found.pointer)
        kind = kind_of(status, parameter or pointer)
        return kind(
            hide(f"{found.title}: {found.detail}") + self._advise(status),
            status=status,
            title=hide(found.title),
            detail=hide(found.detail),
            parameter=parameter,
            pointer=pointer,
            retry_after=retry_after,
        )


def format_query(parameters: Mapping[str, Any]) -> str:
    """Return a query of the parameters that are not None, with its question mark; nothing if there are none."""
    given = drop_none(parameters)
    return f"?{urlencode(given, doseq=True)}" if given else ""


def drop_none(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are not None."""
    return {key: value for key, value in parameters.items() if value is not None}


def _numbers(found: object) -> Iterator[Score]:
    """Yield every number in what was read."""
    parts = msgspec.structs.astuple(found) if isinstance(found, Struct) else found
    if isinstance(parts, dict):
        parts = parts.values()
    if isinstance(parts, int | float):
        yield parts
    elif isinstance(parts, Iterable) and not isinstance(parts, str | bytes | msgspec.Raw):
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
