"""The calls about the service itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from laurels.answers import AuditRecords, Caller, Keys, Readiness, Service
from laurels.client.calls import Calls
from laurels.entries import checked_name
from laurels.errors import truncate
from laurels.http.messages import TAR
from laurels.limits import AUDIT_RECORDS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from datetime import datetime

    from laurels.answers import AuditRecord, ListedKey

SILENCE = 60.0
"""Seconds to wait for the next bytes of a backup."""

_read_service = msgspec.json.Decoder(Service)
_read_readiness = msgspec.json.Decoder(Readiness)
_read_caller = msgspec.json.Decoder(Caller)
_read_keys = msgspec.json.Decoder(Keys)
_read_audit = msgspec.json.Decoder(AuditRecords)
_read_any = msgspec.json.Decoder()


class ServiceCalls(Calls):
    """The calls about the service itself."""

    async def service(self) -> Service:
        """Return what the service is, and of which version."""
        return await self._connection.read(_read_service, "/")

    async def health(self) -> None:
        """Return if the process answers; raise RequestFailed if not."""
        await self._connection.ask("GET", "/-/health")

    async def ready(self) -> Readiness:
        """Return that scores can be kept, and what the operator should know; raise ServerUnavailable if they cannot."""
        return await self._connection.read(_read_readiness, "/-/ready")

    async def whoami(self) -> Caller:
        """Return whose key or token is shown, its rights, and on which boards they hold."""
        return await self._connection.read(_read_caller, "/-/whoami")

    async def keys(self) -> AsyncIterator[ListedKey]:
        """Yield the keys of the access file, by name, without their secrets. Needs the right of an administrator."""
        async for part in self._connection.list(_read_keys, "/-/keys", {}):
            for each in part.keys:
                yield each

    async def revoke(self, key: str) -> None:
        """Take a key out of the access file, by its name, whether or not it is there.

        Raises Conflict if the file cannot be written, or if it is the last key that may do so.
        """
        await self._connection.do("DELETE", f"/-/keys/{quote(checked_name(key), safe='')}")

    async def audit(
        self,
        *,
        board: str | None = None,
        name: str | None = None,
        who: str | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[AuditRecord]:
        """Yield the records of the audit log, the newest first: all, or those of a board, a name, a principal.

        ``since`` has a time zone. Needs the right of an administrator; raises Conflict if the service has no audit log.
        """
        query = {"board": board, "name": name, "who": who, "limit": AUDIT_RECORDS}
        query |= {"since": since.isoformat() if since else None}
        async for part in self._connection.list(_read_audit, "/-/audit", query, on="before"):
            for each in part.records:
                yield each

    async def backup(self) -> AsyncGenerator[bytes, None]:
        """Yield a backup of all that the service keeps, a tar archive, as it is made.

        It is whole if this ends without an error, and is not begun anew if it breaks off. Needs the right of an
        administrator; raises RequestRefused if the service's store makes none, and ServerUnavailable while it sends
        another one.
        """
        async with self._connection.stream("/-/backup", {}, {"accept": TAR.decode()}, silence=SILENCE) as response:
            kind = response.headers.get("content-type", "nothing").partition(";")[0]
            if kind != TAR.decode():
                self._connection.refuse(f"it sent {truncate(kind)} for a backup")
            with self._connection.reaching(SILENCE):
                async for piece in response.aiter_raw():
                    yield piece

    async def metrics(self) -> str:
        """Return what the service counts, as text for Prometheus."""
        answer = await self._connection.ask("GET", "/-/metrics", headers={"accept": "text/plain"})
        return answer.content.decode()

    async def openapi(self) -> dict[str, Any]:
        """Return the description of the HTTP API that the service has of itself (OpenAPI 3.1)."""
        found: dict[str, Any] = await self._connection.read(_read_any, "/-/openapi.json")
        return found
