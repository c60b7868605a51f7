"""A function for the life of its execution environment: one event loop, store and gate for all invocations."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.adapters import gateway
from laurels.boards import Boards
from laurels.definition import BoardsFile, Definition
from laurels.errors import StoreError
from laurels.http import Gate, Routes
from laurels.http.cors import Cors
from laurels.http.problems import failure
from laurels.serverless.access import ParameterAccess
from laurels.serverless.errors import BadSetting
from laurels.serverless.parameters import Connecting, Parameter, parameter
from laurels.serverless.telemetry import Telemetry
from laurels.stores.momento.store import MomentoStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from laurels.http import Request, Response
    from laurels.serverless.environment import Settings

log = logging.getLogger(__name__)


class Function:
    """The routes over one cache of Momento's, for API Gateway."""

    def __init__(self, settings: Settings) -> None:
        self._telemetry = Telemetry(settings.stage)
        # One loop for all invocations: the store's connections are bound to the loop that they were made on.
        self._loop = asyncio.new_event_loop()
        connect = Connecting()
        self._store = MomentoStore(
            settings.momento_cache,
            Parameter(settings.key_parameter, "key", lambda: parameter(settings.key_parameter, connect)),
            settings.momento_endpoint,
            ttl=timedelta(seconds=settings.ttl_seconds),
            namespace=settings.namespace,
        )
        boards = Boards(self._store, _read_boards(settings))
        self._loop.run_until_complete(boards.declare())
        cors = Cors([settings.cors_origin] if settings.cors_origin else [])
        self._access = ParameterAccess(settings.access_parameter, connect) if settings.access_parameter else None
        gate = Gate(origin=cors.check, cors=cors if settings.cors_origin else None, access=self._access)
        self._routes = Routes(boards, gate=gate)

    def warm(self) -> None:
        """Get key, access file and a connection before the first request; if that fails, the requests try again."""
        self._loop.run_until_complete(self._warm())

    async def _warm(self) -> None:
        starting = asyncio.create_task(self._access.start()) if self._access is not None else None
        try:
            await self._store.ready()
        except StoreError as error:
            log.warning("Not ready yet: %s", error)
        if starting is not None:
            await starting

    async def _answer(self, request: Request) -> Response:
        if self._access is not None:
            await self._access.refresh()
        return await self._routes.answer(request)

    def answer(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one event of API Gateway."""
        self._telemetry.begin(context)
        request: Request | None = None
        begun = time.monotonic()
        try:
            request = gateway.read_event(event)
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            response = self._routes.gate.release(None, "", "", failure(error), 0)
        else:
            response = self._loop.run_until_complete(self._answer(request))
        self._telemetry.record(request, response.status, (time.monotonic() - begun) * 1e3)
        return gateway.format_response(response, request.method if request else "GET")


def _read_boards(settings: Settings) -> BoardsFile:
    """Return the deployment's declarations. Its file was checked when it was deployed."""
    if settings.boards is None:
        return BoardsFile(default=Definition(order=settings.order))
    try:
        return msgspec.json.decode(Path(settings.boards).read_bytes(), type=BoardsFile)
    except (OSError, msgspec.DecodeError) as error:
        raise BadSetting(f"LAURELS_BOARDS is wrong: {error}.") from error
