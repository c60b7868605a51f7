"""The store's key, kept in SSM's Parameter Store as a SecureString.

Only the parameter's name is in the environment. The key is read when it is first needed, and kept for five minutes;
then one request reads it again, while others go on with the key there is. If it cannot be read, the old key stays in
use. If Momento refuses the key, the parameter is read again at once, at most once a minute. So a rotated key is taken
up without a new deployment.

Times are of the wall clock, because the monotonic clock may not move while Lambda freezes the environment. If the wall
clock was set back, the key is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from laurels.errors import KeyUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_SECONDS = 300
RETRY_SECONDS = 30
REFUSED_SECONDS = 60
CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})

log = logging.getLogger(__name__)


def connect_ssm() -> Any:
    """Return a client of SSM; its endpoint and credentials are from the environment."""
    return Session().create_client("ssm", config=CONFIG)


def parameter(name: str, client: Callable[[], Any] = connect_ssm) -> str:
    """Return the decrypted value of a parameter; raise KeyUnreadable if it cannot be read."""
    try:
        value: str = client().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except (BotoCoreError, ClientError) as error:
        raise KeyUnreadable(name, str(error)) from error
    except (LookupError, UnicodeDecodeError) as error:
        raise KeyUnreadable(name, "what answered is not SSM") from error
    return value


class ParameterKeys:
    """The key in one parameter; what :class:`~laurels.stores.momento.connection.Keys` asks for."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self._clock = clock
        self._key: str | None = None
        self._due = 0.0
        self._heed_refusals_from = 0.0
        self._reading = asyncio.Lock()

    async def current(self) -> str:
        """Return the key to use now; raise KeyUnreadable if none could be read yet."""
        if self._key is None or (self._passed(self._due, KEPT_SECONDS) and not self._reading.locked()):
            async with self._reading:
                # Again under the lock: another request may have read the key while this one waited.
                if self._key is None or self._passed(self._due, KEPT_SECONDS):
                    await self._read()
        return self._known()

    async def refused(self, key: str) -> str:
        """Return the key to use after Momento refused ``key``; it may be the same."""
        async with self._reading:
            # If another key is there by now, that one has not been refused: nothing need be read.
            if key == self._key and self._passed(self._heed_refusals_from, REFUSED_SECONDS):
                self._heed_refusals_from = self._clock() + REFUSED_SECONDS
                await self._read()
        return self._known()

    def _known(self) -> str:
        assert self._key is not None  # noqa: S101 - both callers have read one or raised
        return self._key

    def _passed(self, due: float, kept: float) -> bool:
        # A due time that is further off than it can have been set means that the clock was set back.
        return not 0 < due - self._clock() <= kept

    async def _read(self) -> None:
        try:
            key = await asyncio.to_thread(self._fetch)
        except KeyUnreadable as error:
            if self._key is None:
                log.error("The key cannot be read from the parameter %s: %s", error.name, error.reason)  # noqa: TRY400
                raise
            log.warning("The parameter %s cannot be read, the old key serves on: %s", error.name, error.reason)
            self._due = self._clock() + RETRY_SECONDS
            return
        if self._key not in {None, key}:
            log.info("The key in the parameter %s has changed and is taken up", self.name)
        self._key = key
        self._due = self._clock() + KEPT_SECONDS

    def _fetch(self) -> str:
        return parameter(self.name, lambda: self._parameters)

    @cached_property
    def _parameters(self) -> Any:
        return connect_ssm()
