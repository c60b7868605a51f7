"""Boards in the process of a program: a data directory, opened without a service.

    with laurels.open("laurels-data") as boards:
        boards.submit("mario-kart", "v", 2077)

What is opened has the calls of a client. They go through the routes of a service, but over no socket: so rules, results
and errors are the same, and a program goes over to a service by one line.
"""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

import httpx

from laurels.blocking import Blocking
from laurels.boards import Boards
from laurels.boards_file import read_boards
from laurels.client.async_client import AsyncClient
from laurels.client.connection import Answer, Connection, format_query
from laurels.client.sync_client import Client
from laurels.clock import Clock
from laurels.definition import BoardsFile, Definition
from laurels.errors import NotOpenHere
from laurels.http import Gate, Routes
from laurels.http.auditing import Auditor
from laurels.http.messages import Request, StreamingResponse
from laurels.live.hub import Hub
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from os import PathLike

    from laurels.client.retries import Repeat
    from laurels.definition import Order
    from laurels.http.messages import Chunks, Response

DATA = "laurels-data"
"""The directory that `laurels serve` takes unless it is told otherwise."""
_NO_HEADERS = httpx.Headers()


class _Stream(httpx.AsyncByteStream):
    """The body of an answer that goes on."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks


class InProcess(Connection):
    """The way to the routes over a directory that is open in this process, in place of that to a service."""

    is_retried = False  # what fails here would fail again

    def __init__(self, path: Path) -> None:
        self._server, self._via, self._proxy = str(path), "", None
        self._advise = lambda _: ""
        self._routes: Routes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self, routes: Routes) -> None:
        """Lead to routes from now on, in the loop that runs."""
        self._routes, self._loop = routes, asyncio.get_running_loop()

    async def close(self) -> None:
        """Lead nowhere from now on."""
        self._routes = None

    def _find_routes(self) -> Routes:
        if self._routes is None:
            raise NotOpenHere(f"{self._server} is not open: that is what `async with` is for, or it is closed again")
        if asyncio.get_running_loop() is not self._loop:
            raise NotOpenHere(f"{self._server} was opened in another event loop: call it there")
        return self._routes

    async def ask(  # noqa: PLR0913 - as that of a service
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: Repeat = "safe",  # noqa: ARG002 - nothing is sent
    ) -> Answer:
        """Return the answer to a request; raise RequestFailed for any but 2xx."""
        request = _make_request(method, path, query, headers)
        request.body = body or b""
        response = await self._find_routes().answer(request)
        if response.status >= httpx.codes.BAD_REQUEST:
            self._raise(response)
        return Answer(response.body, httpx.Headers([*response.headers]) if response.headers else _NO_HEADERS)

    @asynccontextmanager
    async def stream(
        self,
        path: str,
        query: Mapping[str, Any],
        headers: Mapping[str, str],
        *,
        silence: float,  # noqa: ARG002 - nothing is sent
    ) -> AsyncIterator[httpx.Response]:
        """Yield an answer of 2xx as it comes."""
        routes, request = self._find_routes(), _make_request("GET", path, query, headers)
        call = routes.find(request.method, request.path)
        try:
            routes.admit(call, request)
            response = await routes.answer_call(call, request)
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            response = routes.fail(call, request, error)
        if not isinstance(response, StreamingResponse):
            self._raise(response)
        async with aclosing(response.chunks()) as chunks:
            yield httpx.Response(response.status, headers=response.list_headers(), stream=_Stream(chunks))

    def _raise(self, response: Response) -> NoReturn:
        found = httpx.Response(response.status, headers=response.list_headers())
        raise self._make_error(found, response.body, None)


def _make_request(
    method: str, path: str, query: Mapping[str, Any] | None, headers: Mapping[str, str] | None
) -> Request:
    encoded = format_query(query)[1:].encode() if query else b""
    return Request(method, path.encode(), encoded, dict(_encode_headers(*headers.items())) if headers else {})


@lru_cache(64)
def _encode_headers(*headers: tuple[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in headers)


class AsyncEmbeddedBoards(AsyncClient):
    """The boards of a data directory that is open in this process, for programs that use asyncio.

    It has the calls of :class:`~laurels.AsyncClient`, with the same results and errors, and anybody may do everything.
    It is open inside ``async with``, or from :meth:`open` to :meth:`close`, and belongs to the event loop that it was
    opened in; several tasks of that may use it at a time. :func:`laurels.open` says what the parameters are.
    """

    def __init__(
        self,
        path: str | PathLike[str] = DATA,
        *,
        boards: str | PathLike[str] | None = None,
        order: Order | None = None,
        limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._path = Path(path)
        self._boards = None if boards is None else Path(boards)
        self._order, self._limits = order, limits
        self._way = InProcess(self._path)
        self._connection = self._way
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def open(self) -> None:
        """Take the directory, which is made if it is missing, and load it.

        Raises DirectoryInUse, DirectoryUnusable, DataDamaged or NewerFormat, and BoardsFileUnusable, BadDefinition or
        DefinitionConflict for what the boards file declares.
        """
        file = None
        if self._boards is not None or self._order is not None:
            file = await asyncio.to_thread(self._read_boards)
        async with AsyncExitStack() as opening:
            clock = Clock()
            default = file.default if file else Definition()
            store = await EmbeddedStore.open(self._path, default, clock=clock, limits=self._limits)
            opening.push_async_callback(store.close)
            boards = Boards(store, file or BoardsFile(default=store.default_definition), clock=clock)
            await boards.declare()
            hub = Hub(boards)
            opening.callback(hub.close)
            auditor = Auditor(None)
            opening.push_async_callback(auditor.settle)
            self._way.open(Routes(boards, gate=Gate(), auditor=auditor, hub=hub))
            self._opened = opening.pop_all()

    def _read_boards(self) -> BoardsFile:
        if self._boards is None:
            return BoardsFile(default=Definition(order=self._order or Definition().order))
        return read_boards(self._boards, self._order)

    async def close(self) -> None:
        """Finish what is under way, and let another process have the directory; no call is right after it.

        A program that ends without it loses nothing that was acknowledged.
        """
        await self._way.close()
        if threading.main_thread().is_alive():  # at the interpreter's end no thread could be asked any more
            await self._opened.aclose()


class EmbeddedBoards(Client):
    """The boards of a data directory that is open in this process, for programs that block.

    It has the calls of :class:`~laurels.Client`, with the same results and errors, and anybody may do everything. It
    is open from its making until :meth:`close` or the end of a ``with`` block; several threads may use it at a time. It
    drives :class:`AsyncEmbeddedBoards`, in a thread of its own. A process that is forked meanwhile cannot use it.
    """

    def __init__(
        self,
        path: str | PathLike[str] = DATA,
        *,
        boards: str | PathLike[str] | None = None,
        order: Order | None = None,
        limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
    ) -> None:
        owner = os.getpid()

        def make() -> AsyncEmbeddedBoards:
            if os.getpid() != owner:
                raise NotOpenHere(f"{path} was opened before this process was forked: only the other one has it")
            return AsyncEmbeddedBoards(path, boards=boards, order=order, limits=limits)

        Blocking.__init__(self, make, lambda driven: driven.close())
        try:
            self._run(_open)
        except BaseException:
            self.close()
            raise


async def _open(boards: AsyncClient) -> None:
    assert isinstance(boards, AsyncEmbeddedBoards)  # noqa: S101 - as it is made
    await boards.open()


class Opening:
    """A data directory that is to be opened: by ``with``, or by ``async with``."""

    def __init__(self, path: str | PathLike[str], **settings: Any) -> None:
        self._open = partial(EmbeddedBoards, path, **settings)
        self._open_async = partial(AsyncEmbeddedBoards, path, **settings)
        self._closing = AsyncExitStack()

    def __enter__(self) -> EmbeddedBoards:
        self._blocking = self._open()
        return self._blocking

    def __exit__(self, *_: object) -> None:
        self._blocking.close()

    async def __aenter__(self) -> AsyncEmbeddedBoards:
        return await self._closing.enter_async_context(self._open_async())

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()


def open(  # noqa: A001 - as the standard library's modules name theirs
    path: str | PathLike[str] = DATA,
    *,
    boards: str | PathLike[str] | None = None,
    order: Order | None = None,
    limits: StoreLimits = StoreLimits(),  # noqa: B008 - frozen
) -> Opening:
    """Return what opens a data directory in this process: as EmbeddedBoards by ``with``, or asynchronously.

        with laurels.open("laurels-data") as boards:
            boards.submit("mario-kart", "v", 2077)

        async with laurels.open("laurels-data") as boards:
            await boards.submit("mario-kart", "v", 2077)

    ``path`` is the directory, made if it is missing. ``boards`` is a boards file that declares boards, and ``order``
    that of the boards which nothing declares. Without either all boards are defined as they were left. ``limits`` say
    how much the store may hold. Only one process has a directory at a time: others raise DirectoryInUse.
    """
    return Opening(path, boards=boards, order=order, limits=limits)
