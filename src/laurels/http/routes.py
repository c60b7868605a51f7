"""The routes: a request in, a response out.

    GET POST DELETE  /{board}/{name}     an entry of a board
    GET POST DELETE  /{board}            a page or another read, a batch, the whole board
    GET              /-/boards           the boards and their definitions
    GET PUT DELETE   /-/boards/{board}   the definition of a board
    GET              /-/boards/{board}/periods    its periods
    GET              /-/boards/{board}/summary    the board in a few figures
    GET              /-/boards/{board}/rank       where a score would stand
    GET              /                   what this is, to a browser a page
    GET              /-/health           the process answers
    GET              /-/ready            the store can answer and can write
    GET              /-/...              the documents that the routes are given

HEAD is answered as GET (the skin leaves the body out), OPTIONS with what is allowed.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from laurels.errors import BadName, BadParameter, LaurelsError
from laurels.http.headers import (
    REPRESENTATION,
    check_accept,
    check_content,
    check_kind,
    key,
    wants_html,
    wants_representation,
)
from laurels.http.messages import Response
from laurels.http.problems import HTTPError, problem
from laurels.http.query import Query, decoded
from laurels.http.reads import (
    PAGE,
    board_asked,
    check_window_only,
    listed_boards,
    page_ranks,
    placed_score,
    wanted_read,
)
from laurels.http.wire import (
    ABSENT_BODY,
    BatchReceipt,
    Listed,
    ListedPeriod,
    Listing,
    Periods,
    Receipt,
    ScoreRank,
    encode,
    read_batch,
    read_definition,
    read_submit,
)
from laurels.stores.contract import Submission
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from laurels.boards import Boards
    from laurels.http.messages import Documents, Request
    from laurels.http.reads import Read
    from laurels.stores.contract import Board, Score

    Methods = dict[str, Callable[..., Awaitable[Response]]]

KIB = 1024
BODY_BYTES = 64 * KIB
BATCH_BYTES = 1024 * KIB

ACCEPTED = Response(202)
ABSENT = Response(200, ABSENT_BODY)
NO_CONTENT = Response(204)
HEALTHY = Response(200, b'{"status":"ok"}')
_ABOUT = encode({"service": "laurels", "version": __version__, "docs": "/-/docs"})
FACE = Response(200, _ABOUT, headers=((b"vary", b"accept"),))
_OWN = frozenset({b"", b"-"})
_NAMES = ("board", "name")
_PAGE = re.compile(rb"startRank=([0-9]{1,18})&endRank=([0-9]{1,18})")
_OF_BOARD = re.compile(rb"/-/boards/([^/]*)(?:/(summary|rank|periods))?")
_APPLIED = ((b"preference-applied", REPRESENTATION),)


def body_limit(path: bytes) -> int:
    """Tell how many bytes a body sent to ``path`` may have."""
    return BATCH_BYTES if path.count(b"/") == 1 else BODY_BYTES


def too_large(limit: int) -> HTTPError:
    """Give the error for a body over its limit."""
    return HTTPError(
        413, f"The body is larger than {limit // KIB} KiB. Send a batch in parts of 1,000 entries or fewer."
    )


class Routes:
    """Every route over one set of boards; of ``documents`` that of ``/`` is for browsers."""

    def __init__(self, boards: Boards, documents: Documents = MappingProxyType({})) -> None:
        self._boards = boards
        self._documents = documents
        entry: Methods = {"GET": self._standing, "HEAD": self._standing, "POST": self._submit, "DELETE": self._remove}
        board: Methods = {"GET": self._page, "HEAD": self._page, "POST": self._batch, "DELETE": self._drop}
        self._by_depth = {2: board, 3: entry}
        document: Methods = {"GET": self._document, "HEAD": self._document}
        self._own: dict[bytes, Methods] = {
            **dict.fromkeys(documents, document),
            b"/-/boards": {"GET": self._list, "HEAD": self._list},
            b"/": {"GET": self._face, "HEAD": self._face},
            b"/-/health": {"GET": self._health, "HEAD": self._health},
            b"/-/ready": {"GET": self._ready, "HEAD": self._ready},
        }
        self._of_board: dict[bytes | None, Methods] = {
            None: {
                "GET": self._definition,
                "HEAD": self._definition,
                "PUT": self._define,
                "DELETE": self._undefine,
            },
            b"periods": {"GET": self._periods, "HEAD": self._periods},
            b"summary": {"GET": self._summary, "HEAD": self._summary},
            b"rank": {"GET": self._rank, "HEAD": self._rank},
        }

    def has(self, path: bytes) -> bool:
        """Tell whether ``path`` is answered here; the rest of ``/-/`` is the application's."""
        return not path.startswith(b"/-/") or path in self._own or _OF_BOARD.fullmatch(path) is not None

    async def answer(self, request: Request) -> Response:
        """Answer any request. An error of ours becomes a problem document; any other is the skin's to catch."""
        try:
            methods, names = self._find(request.path)
            handler = methods.get(request.method)
            if handler is None:
                return _other_method(request.method, methods)
            return await handler(request, *names)
        except LaurelsError as error:
            return problem(error)

    def _find(self, path: bytes) -> tuple[Methods, list[str]]:
        first, *names = path.split(b"/")
        if names and not first and names[0] not in _OWN:
            methods = self._by_depth.get(len(names) + 1)
            if methods is not None:
                return methods, [_text(name, what) for name, what in zip(names, _NAMES, strict=False)]
        elif path in self._own:
            return self._own[path], []
        elif found := _OF_BOARD.fullmatch(path):
            return self._of_board[found[2]], [_text(found[1], "board")]
        raise HTTPError(
            404, "There is no such route. Routes are /{board} and /{board}/{name}; a slash in a name is %2F."
        )

    # The three core routes, for requests that are known to be good HTTP

    def standing(self, board: str, name: str) -> Awaitable[Response]:
        """Answer with score and rank of a name."""
        return self._plain_standing(self._boards.board(board), name)

    def page(self, board: str, start: int, stop: int) -> Awaitable[Response]:
        """Answer with the entries at the places from ``start`` up to but not including ``stop``."""
        return self._plain_page(self._boards.board(board), start, stop)

    async def submit(self, board: str, name: str, score: Score) -> Response:
        """Answer a submit once it is kept."""
        await self._boards.submit(board, Submission(name, score))
        return ACCEPTED

    async def attempt(self, board: str, name: str, score: Score, metadata: bytes) -> Response:
        """Answer a submit with metadata once it is kept."""
        await self._boards.submit(board, Submission(name, score, metadata))
        return ACCEPTED

    # The routes as a request finds them

    def _standing(self, request: Request, board: str, name: str) -> Awaitable[Response]:
        where = self._asked(request, board, "the standing of a name")
        return self._plain_standing(where, name) if request.query else self.standing(board, name)

    async def _plain_standing(self, board: Board, name: str) -> Response:
        standing = await self._boards.standing(board, name)
        return ABSENT if standing is None else Response(200, encode(standing))

    def _asked(self, request: Request, board: str, what: str) -> Board:
        """Give the board or the period that a request is about, which has no other parameters."""
        check_accept(request)
        if not request.query:
            return self._boards.board(board)
        query = Query(request.query)
        check_window_only(query, what)
        return board_asked(self._boards, board, query)

    def _page(self, request: Request, board: str) -> Awaitable[Response]:
        check_accept(request)
        plain = _PAGE.fullmatch(request.query)
        if plain:
            return self.page(board, int(plain[1]), int(plain[2]))
        query = Query(request.query)
        read = wanted_read(query)
        if read is PAGE and "include" not in query:
            return self._plain_page(board_asked(self._boards, board, query), *page_ranks(query))
        return self._read(read, board, query)

    async def _plain_page(self, board: Board, start: int, stop: int) -> Response:
        return Response(200, b'{"leaderboard":%b}' % await self._boards.page_json(board, start, stop))

    async def _read(self, read: Read, board: str, query: Query) -> Response:
        return Response(200, encode(await read.answer(self._boards, board, query)))

    async def _submit(self, request: Request, board: str, name: str) -> Response:
        _check_body(request)
        score, metadata = read_submit(request.body)
        # RFC 7240: a preference that cannot be kept is ignored
        want_change = wants_representation(request) and self._boards.reports_changes
        submission = Submission(name, score, metadata)
        change = await self._boards.submit(board, submission, key(request), want_change=want_change)
        return Response(200, encode(Receipt.of(change)), headers=_APPLIED) if change else ACCEPTED

    async def _batch(self, request: Request, board: str) -> Response:
        _check_body(request)
        entries = read_batch(request.body)
        refused = await self._boards.submit_many(board, entries, key(request))
        return Response(200, encode(BatchReceipt(len(entries) - len(refused), refused)))

    async def _remove(self, request: Request, board: str, name: str) -> Response:
        await self._boards.remove(self._asked(request, board, "the removal of a name"), name)
        return NO_CONTENT

    async def _drop(self, request: Request, board: str) -> Response:
        await self._boards.drop(self._asked(request, board, "the removal of a board"))
        return NO_CONTENT

    async def _list(self, request: Request) -> Response:
        check_accept(request)
        after, limit = listed_boards(Query(request.query))
        found = await self._boards.definitions(after, limit + 1)
        listed = [Listed(name, declared, definition) for name, definition, declared in found[:limit]]
        return Response(200, encode(Listing(listed, listed[-1].name if len(found) > limit else None)))

    async def _definition(self, request: Request, board: str) -> Response:
        _check(request)
        return Response(200, encode(await self._boards.definition(board)))

    async def _define(self, request: Request, board: str) -> Response:
        _check_body(request)
        definition = read_definition(request.body)
        is_new = await self._boards.define(board, definition)
        return Response(201 if is_new else 200, encode(definition))

    async def _undefine(self, request: Request, board: str) -> Response:
        _check(request)
        await self._boards.undefine(board)
        return NO_CONTENT

    async def _periods(self, request: Request, board: str) -> Response:
        _check(request)
        listed = [
            ListedPeriod(one.window, one.period, one.start, one.stop, one.count, one.is_current)
            for one in await self._boards.periods(board)
        ]
        return Response(200, encode(Periods(listed)))

    async def _summary(self, request: Request, board: str) -> Response:
        return Response(200, encode(await self._boards.summary(self._asked(request, board, "the summary of a board"))))

    async def _rank(self, request: Request, board: str) -> Response:
        check_accept(request)
        query = Query(request.query)
        score = placed_score(query)
        place = await self._boards.place(board_asked(self._boards, board, query), score)
        return Response(200, encode(ScoreRank.of(place)))

    async def _face(self, request: Request) -> Response:
        if request.path in self._documents and wants_html(request):
            return await self._document(request)
        _check(request)
        return FACE

    async def _document(self, request: Request) -> Response:
        _check_query(request)
        response = self._documents[request.path]()
        check_kind(request, response.content_type)
        return response

    async def _health(self, request: Request) -> Response:
        _check(request)
        return HEALTHY

    async def _ready(self, request: Request) -> Response:
        _check(request)
        await self._boards.ready()
        return HEALTHY


def _other_method(method: str, methods: Methods) -> Response:
    allow = ((b"allow", ", ".join([*methods, "OPTIONS"]).encode()),)
    if method == "OPTIONS":
        return Response(204, headers=allow)
    raise HTTPError(405, f"{method} is not allowed here: use {', '.join(methods)}.", headers=allow)


def _text(segment: bytes, parameter: str) -> str:
    try:
        return decoded(segment)
    except ValueError as error:
        raise BadName(parameter, str(error)) from None


def _check(request: Request) -> None:
    """Raise for a query, and for a client that takes no JSON."""
    _check_query(request)
    check_accept(request)


def _check_query(request: Request) -> None:
    if request.query and (first := next(iter(Query(request.query)), None)) is not None:
        raise BadParameter(first, "This route takes no query parameters.")


def _check_body(request: Request) -> None:
    _check(request)
    check_content(request)
