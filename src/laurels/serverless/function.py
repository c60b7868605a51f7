"""A function for the life of its execution environment: one event loop, store and gate for all invocations."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.adapters import gateway
from laurels.boards import Boards
from laurels.definition import BoardsFile, Definition
from laurels.errors import StoreError
from laurels.http import Gate, Routes
from laurels.http.cors import Cors
from laurels.http.operations import OPERATIONS
from laurels.http.problems import failure
from laurels.http.web_files import WEB_FILES
from laurels.optional import load
from laurels.serverless.access import ParameterAccess
from laurels.serverless.errors import BadSetting
from laurels.serverless.live import Live
from laurels.serverless.parameters import Connecting
from laurels.serverless.telemetry import Telemetry
from laurels.tracing import read_traceparent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from laurels.http import Request, Response
    from laurels.serverless.environment import Settings
    from laurels.serverless.opened import Opened

log = logging.getLogger(__name__)


class Function:
    """The routes over one cache, for API Gateway."""

    def __init__(self, settings: Settings) -> None:
        self._telemetry = Telemetry(settings.stage)
        # One loop for all invocations: the store's connections are bound to the loop that they were made on.
        self._loop = asyncio.new_event_loop()
        connect = Connecting()
        # By its name, so that an asset has only what its own store needs.
        module = "laurels.serverless.valkey" if settings.store else "laurels.serverless.momento"
        self._opened: Opened = load(f"{module}:open_store")(settings, connect)
        self._telemetry.observe(self._opened.store, "valkey" if settings.store else "momento")
        self._boards = Boards(self._opened.store, _read_boards(settings))
        self._is_declared = False
        cors = Cors([settings.cors_origin] if settings.cors_origin else [])
        self._access = None
        if settings.access_parameter:
            self._access = ParameterAccess(settings.access_parameter, connect, is_isolated=settings.store is not None)
        allowing = cors if settings.cors_origin else None
        gate = Gate(origin=cors.check, cors=allowing, access=self._access, ancestors=cors.ancestors)
        live = Live(self._opened, self._telemetry.count_untold)
        self._routes = Routes(self._boards, (*OPERATIONS, *WEB_FILES, *live.operations), gate)

    def warm(self) -> None:
        """Get key, access file and a connection before the first request; if that fails, the requests try again."""
        self._loop.run_until_complete(self._warm())

    async def _warm(self) -> None:
        starting = asyncio.create_task(self._access.start()) if self._access is not None else None
        try:
            await self._prepare()
            await self._opened.store.ready()
        except StoreError as error:
            log.warning("Not ready yet: %s", error)
        if starting is not None:
            await starting

    async def _prepare(self) -> None:
        """Make the store fit for use, and let it keep what the deployment declares, unless that is done."""
        if self._opened.prepare is not None:
            await self._opened.prepare()
        if not self._is_declared:
            await self._boards.declare()
            self._is_declared = True

    async def _answer(self, request: Request) -> Response:
        await self._prepare()
        if self._access is not None:
            await self._access.refresh()
        return await self._routes.answer(request)

    def answer(self, event: dict[str, Any], context: LambdaContext, operation: str) -> dict[str, Any]:
        """Answer one event of API Gateway to the function of an operation."""
        request: Request | None = None
        begun = time.monotonic()
        with self._telemetry.invocation(context, operation) as part:
            try:
                request = gateway.read_event(event)
                self._telemetry.take_over(read_traceparent(request.headers.get(b"traceparent")))
                response = self._loop.run_until_complete(self._answer(request))
            except Exception as error:  # noqa: BLE001 - an adapter's outermost part
                response = self._routes.gate.release(None, None, failure(error), 0)
            part.mark_status(response.status)
            self._telemetry.record(operation, request, response.status, (time.monotonic() - begun) * 1e3)
        return gateway.format_response(response, request.method if request else "GET")


def _read_boards(settings: Settings) -> BoardsFile:
    """Return the deployment's declarations. Its file was checked when it was deployed."""
    if settings.boards is None:
        return BoardsFile(default=Definition(order=settings.order))
    try:
        return msgspec.json.decode(Path(settings.boards).read_bytes(), type=BoardsFile)
    except (OSError, msgspec.DecodeError) as error:
        raise BadSetting(f"LAURELS_BOARDS is wrong: {error}.") from error
