"""A function for the life of its execution environment: one event loop, one store and one key for all invocations."""

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
from laurels.errors import BadSetting, StoreError
from laurels.http import Gate, Routes
from laurels.http.cors import Cors
from laurels.http.problems import failure
from laurels.serverless.key import ParameterKeys
from laurels.serverless.telemetry import Observations
from laurels.stores.momento.store import MomentoStore

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from laurels.http import Request
    from laurels.serverless.environment import Settings

log = logging.getLogger(__name__)


class Function:
    """The routes on one cache of Momento's, for API Gateway."""

    def __init__(self, settings: Settings) -> None:
        self._observations = Observations(settings.stage)
        self._loop = asyncio.new_event_loop()
        self._store = MomentoStore(
            settings.momento_cache,
            ParameterKeys(settings.key_parameter),
            settings.momento_endpoint,
            ttl=timedelta(seconds=settings.ttl_seconds),
        )
        boards = Boards(self._store, _declared(settings))
        self._loop.run_until_complete(boards.declare())
        gate = Gate(cors=Cors(settings.cors_origin)) if settings.cors_origin else Gate()
        self._routes = Routes(boards, gate=gate)

    def warm(self) -> None:
        """Have the key and a connection before the first request; what cannot be had is left to the requests."""
        try:
            self._loop.run_until_complete(self._store.ready())
        except StoreError as error:
            log.warning("Not ready yet: %s", error)

    def answer(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one event of API Gateway's."""
        self._observations.begin(context)
        request: Request | None = None
        begun = time.perf_counter()
        try:
            request = gateway.request(event)
        except Exception as error:  # noqa: BLE001 - an adapter's outermost part
            response = self._routes.release(None, "", "", failure(error), 0)
        else:
            response = self._loop.run_until_complete(self._routes.answer(request))
        self._observations.tell(request, response.status, (time.perf_counter() - begun) * 1e3)
        return gateway.answer(response, request.method if request else "GET")


def _declared(settings: Settings) -> BoardsFile:
    """Give what the deployment declares. Its file was checked when it was deployed."""
    if settings.boards is None:
        return BoardsFile(default=Definition(order=settings.order))
    try:
        return msgspec.json.decode(Path(settings.boards).read_bytes(), type=BoardsFile)
    except (OSError, msgspec.DecodeError) as error:
        raise BadSetting(f"LAURELS_BOARDS is wrong: {error}.") from error
