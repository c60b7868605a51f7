"""A service with a gate, with handlers of all kinds, and with further operations: ``python -m tests.adapters.served``.

The gate lets in who shows the right key, and writes each answer that leaves to a file, as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from msgspec.structs import replace

from laurels.access.file import AccessFile, Key
from laurels.access.keys import digest_key
from laurels.adapters.asgi import Application
from laurels.adapters.limits import Limits
from laurels.adapters.protocol import BoardProtocol
from laurels.adapters.shared import Shared
from laurels.boards import Boards
from laurels.http import Gate, Response, Routes, StreamingResponse
from laurels.http.access import Access
from laurels.http.bodies import parse_submit
from laurels.http.cors import Cors
from laurels.http.handlers import standing
from laurels.http.operation import Body, Operation
from laurels.http.operations import OPERATIONS, STANDING, SUBMIT
from laurels.http.parameters import Whole
from laurels.http.wire import Submit, encode
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from laurels.http import Request
    from laurels.http.gate import Answered, Context
    from laurels.http.rate_limits import Limit

KEY = b"Bearer laurels_00000000000000000000000000000000000000000011jmNLs"
FILE = AccessFile(keys={"ada": Key(digest_key(KEY.decode()[7:]), ("admin",), boards=("kart", "b"))})
UNSEEN = "unseen"
PAGE = "https://game.example"
seen: ContextVar[str] = ContextVar("seen", default=UNSEEN)
closed: list[str] = []
kept: dict[str, asyncio.Event] = {}


class Watched(Access):
    """Access that holds every adapter to saying where a request came from."""

    def address_limit(self, request: Request, operation: Operation) -> Limit | None:
        """Look at the address."""
        assert request.client
        return super().address_limit(request, operation)


def guard(lines: Path) -> Gate:
    """Return a gate that writes what it sees leave."""

    def fail(_: Answered) -> None:
        raise RuntimeError("This observer fails.")

    def observe(answered: Answered) -> None:
        with lines.open("a") as file:
            file.write(json.dumps(answered) + "\n")

    return Gate(access=Watched(FILE), observers=(fail, observe))


async def show_kind(  # noqa: C901 - one branch a kind
    context: Context, board: str, name: str, window: str | None, period: str | None, include: frozenset[str], extra: int
) -> Response:
    """Answer a standing after doing what the name says, as any asyncio code might."""
    before = seen.get()
    seen.set(name)
    task = asyncio.current_task()
    if name == "sleep":
        await asyncio.sleep(0)
    elif name == "timeout":
        async with asyncio.timeout(10):
            await asyncio.sleep(0)
    elif name == "expire":
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(10)
        except TimeoutError:
            return Response(200, b'{"expired":true}')
    elif name == "expire-store":
        return await _expire_waiting_for_the_store(context, board)
    elif name == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
    elif name == "wait":
        await asyncio.wait_for(asyncio.sleep(0.001), 1)
    elif name == "store":
        await context.boards.submit(board, Submission("kept", 1))
    elif name == "same":
        await asyncio.sleep(0)
        assert asyncio.current_task() is task
        async with asyncio.timeout(10):
            await asyncio.sleep(0.001)
        assert asyncio.current_task() is task
    elif name == "anyio":
        with anyio.fail_after(10):
            await anyio.sleep(0.001)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0)
    elif name == "task":
        assert task is not None
        task.set_name("mine")
        assert task.get_name() == "mine"
        task.add_done_callback(lambda _: closed.append("task"))
        task.add_done_callback(print)
        assert task.remove_done_callback(print) == 1
        await asyncio.sleep(0)
    elif name == "cancel":
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)
    assert asyncio.current_task() is not None
    found = await standing(context, board, name, window, period, include)
    return Response(
        200,
        encode(
            {"before": before, "after": seen.get(), "task": task is not None, "status": found.status, "extra": extra}
        ),
    )


async def _expire_waiting_for_the_store(context: Context, board: str) -> Response:
    """Wait for the store less long than it takes; the call becomes a task meanwhile."""
    expired = False
    try:
        async with asyncio.timeout(0):
            await context.boards.submit(board, Submission("kept", 2))
    except TimeoutError:
        expired = True
    return Response(200, encode({"expired": expired}))


async def tick(_: Context, board: str) -> Response:
    """Answer with a stream of three events, or of events without an end."""

    async def events() -> AsyncGenerator[bytes, None]:
        number = 0
        try:
            while number < 3 or board == "endless":
                yield b"data: %d\n\n" % number
                if board == "broken":
                    raise RuntimeError("This stream breaks off.")
                number += 1
                await asyncio.sleep(0.001)
        finally:
            closed.append(board)

    return StreamingResponse(200, content_type=b"text/event-stream", chunks=events)


async def show_names(_: Context, *names: str) -> Response:
    """Answer with the names in the path."""
    return Response(200, encode(names))


async def show_principal(context: Context) -> Response:
    """Answer with who asks."""
    return Response(200, encode(context.principal.name or None))


async def show_odd_status(_: Context) -> Response:
    """Answer with a status that HTTP has no name for."""
    return Response(299)


async def keep_body(_: Context, board: str, body: bytes) -> Response:
    """Keep a body until its board is let go."""
    kept[board] = asyncio.Event()
    await kept[board].wait()
    return Response(200, encode(len(body)))


async def let_go(_: Context, board: str) -> Response:
    """Let a body go that is kept, if it has come."""
    found = kept.pop(board, None)
    if found is not None:
        found.set()
    return Response(200, encode(found is not None))


async def show_kept(_: Context) -> Response:
    """Answer with the boards that keep a body."""
    return Response(200, encode([*kept]))


async def show_closed(_: Context) -> Response:
    """Answer with the streams that have been closed."""
    return Response(200, encode(closed))


def operation(name: str, path: str, handler: Any, **more: Any) -> Operation:
    """Return an operation that reads."""
    return Operation(
        name=name,
        method="GET",
        path=path,
        tag="Boards",
        title=name,
        about=name,
        answers=(),
        handler=handler,
        scope="read",
        concerns="no board",
        **more,
    )


FURTHER = (
    operation("live", "/-/boards/{board}/live", tick, is_inline=False, produces=(b"text/event-stream",)),
    operation("hidden", "/-/boards/{board}/hidden/{name}", show_names),
    operation("player", "/-/players/{name}", show_names),
    operation("closed", "/-/closed", show_closed),
    operation("principal", "/-/principal", show_principal),
    operation("odd", "/-/odd", show_odd_status),
    operation("kept", "/-/kept", show_kept),
    operation("let-go", "/-/boards/{board}/let-go", let_go),
    *(
        replace(
            operation(f"keep-{kind}", f"/-/boards/{{board}}/{kind}", keep_body, is_inline=kind == "inline"),
            method="POST",
            scope="submit",
            body=Body(Submit, bytes, 2**20),
        )
        for kind in ("inline", "asgi")
    ),
    operation("inline-stream", "/-/boards/{board}/inline", tick, produces=(b"text/event-stream",)),
)


STANDING_OF_KINDS = replace(
    STANDING, handler=show_kind, parameters=(*STANDING.parameters, Whole(name="extra", about="One more.", default=3))
)
SMALL_SUBMIT = replace(SUBMIT, body=Body(Submit, parse_submit, 1024))


async def serve(kind: str, data: Path, lines: Path) -> None:
    """Serve behind the gate, or with the handlers above."""
    boards = Boards(await EmbeddedStore.open(data))
    if kind == "guarded":
        routes = Routes(boards, (*OPERATIONS, *FURTHER), gate=guard(lines))
    else:
        routes = Routes(
            boards,
            (*OPERATIONS, *FURTHER, STANDING_OF_KINDS, SMALL_SUBMIT),
            Gate(cors=Cors([PAGE, "https://other.example"])),
        )
    limits = Limits(
        max_client_memory=2**20,
        max_target=600,
        max_head=1000,
        idle_timeout=3,
        head_timeout=1,
        body_timeout=10,
        linger_timeout=1,
    )
    http = partial(BoardProtocol, shared=Shared(limits, routes))
    config = uvicorn.Config(Application(routes), port=0, http=http, lifespan="off", proxy_headers=False)  # type: ignore[arg-type]
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])))
