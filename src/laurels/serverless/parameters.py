"""What functions keep of SSM's Parameter Store, where it is a SecureString: the store's key, and the access file.

Only a parameter's name is in the environment. It is read when it is first needed, and what it says is kept for five
minutes; then one request reads it again, while others go on with what there is. If it cannot be read, or does not say
what it should, the old one stays in use. If Momento refuses the key, the parameter is read again at once, at most once
a minute. So a rotated key and a changed access file are taken up without a new deployment.

Times are of the wall clock, because the monotonic clock may not move while Lambda freezes the environment. If the wall
clock was set back, it is read again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session

from laurels.errors import ParameterUnreadable
from laurels.serverless.errors import ParameterNotWritten
from laurels.serverless.segments import subsegment

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_SECONDS = 300
RETRY_SECONDS = 30
REFUSED_SECONDS = 60
CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2})

T = TypeVar("T")

log = logging.getLogger(__name__)


def connect_ssm() -> Any:
    """Return a client of SSM; its endpoint and credentials are from the environment."""
    return Session().create_client("ssm", config=CONFIG)


def connect_secrets() -> Any:
    """Return a client of Secrets Manager, as :func:`connect_ssm` does."""
    return Session().create_client("secretsmanager", config=CONFIG)


class Connecting:
    """A client of SSM that is made when it is first called for, and once: that takes as long as several reads."""

    def __init__(self) -> None:
        self._making = Lock()
        self._client: Any = None

    def __call__(self) -> Any:
        """Return the client."""
        with self._making:
            self._client = self._client or connect_ssm()
        return self._client


def parameter(name: str, client: Callable[[], Any] = connect_ssm) -> str:
    """Return the decrypted value of a parameter; raise ParameterUnreadable if it cannot be read."""
    try:
        with subsegment("SSM", namespace="aws", call="GetParameter", parameter=name):
            value: str = client().get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    except (BotoCoreError, ClientError) as error:
        raise ParameterUnreadable(name, str(error)) from error
    except (LookupError, UnicodeDecodeError) as error:
        raise ParameterUnreadable(name, "what answered is not SSM") from error
    return value


def secret(name: str, client: Callable[[], Any] = connect_secrets) -> str:
    """Return a secret of Secrets Manager; raise ParameterUnreadable if it cannot be read."""
    try:
        with subsegment("SecretsManager", namespace="aws", call="GetSecretValue"):
            value: str = client().get_secret_value(SecretId=name)["SecretString"]
    except (BotoCoreError, ClientError) as error:
        raise ParameterUnreadable(name, str(error)) from error
    return value


def put_parameter(
    name: str, value: str, *, kms_key: str | None = None, client: Callable[[], Any] = connect_ssm
) -> None:
    """Store an encrypted value in a parameter of the advanced tier, in place of what it may hold.

    It is encrypted with the key that AWS manages for SSM, unless another one is named. Raises ParameterNotWritten.
    """
    key = {"KeyId": kms_key} if kms_key else {}
    try:
        client().put_parameter(Name=name, Value=value, Type="SecureString", Tier="Advanced", Overwrite=True, **key)
    except (BotoCoreError, ClientError) as error:
        raise ParameterNotWritten(name, str(error)) from error


class Parameter(Generic[T]):
    """What one parameter says, as the log calls it; ``fetch`` reads it, in a thread, or raises ParameterUnreadable.

    That of a key is what :class:`~laurels.stores.momento.connection.Keys` asks for.
    """

    def __init__(self, name: str, what: str, fetch: Callable[[], T], clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self._what = what
        self._fetch = fetch
        self._clock = clock
        self._value: T | None = None
        self._due = 0.0
        self._heed_refusals_from = 0.0
        self._reading = asyncio.Lock()

    async def current(self) -> T:
        """Return what to use now; raise ParameterUnreadable if it could not be read yet."""
        if self._value is None or (self._passed(self._due, KEPT_SECONDS) and not self._reading.locked()):
            async with self._reading:
                # Again under the lock: another request may have read it while this one waited.
                if self._value is None or self._passed(self._due, KEPT_SECONDS):
                    await self._read()
        return self._known()

    async def refused(self, value: T) -> T:
        """Return what to use after ``value`` was refused; it may be the same."""
        async with self._reading:
            # If another one is there by now, that one has not been refused: nothing need be read.
            if value == self._value and self._passed(self._heed_refusals_from, REFUSED_SECONDS):
                self._heed_refusals_from = self._clock() + REFUSED_SECONDS
                await self._read()
        return self._known()

    def _known(self) -> T:
        assert self._value is not None  # noqa: S101 - both callers have read one or raised
        return self._value

    def _passed(self, due: float, kept: float) -> bool:
        # A due time that is further off than it can have been set means that the clock was set back.
        return not 0 < due - self._clock() <= kept

    async def _read(self) -> None:
        try:
            value = await asyncio.to_thread(self._fetch)
        except ParameterUnreadable as error:
            if self._value is None:
                log.error("The %s cannot be read from the parameter %s: %s", self._what, error.name, error.reason)  # noqa: TRY400 - one line
                raise
            log.warning(
                "The parameter %s cannot be read, the old %s serves on: %s", error.name, self._what, error.reason
            )
            self._due = self._clock() + RETRY_SECONDS
            return
        if self._value is not None and self._value != value:
            log.info("The %s in the parameter %s has changed and is taken up", self._what, self.name)
        self._value = value
        self._due = self._clock() + KEPT_SECONDS
