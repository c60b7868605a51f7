"""The audit of operations: what is recorded, and when.

Every write of an operation that needs one of the :data:`~laurels.http.operation.AUDITED` scopes is, and every submit
that takes the right to moderate. The record is written after the act is kept and before its answer leaves; an act that
could not be recorded is not begun. One that failed is recorded with its status: it may have been done all the same.

Who was refused (401, 403) is recorded too, at most :data:`REFUSALS` at once and one a second in the long run, and none
while no act could be, so that nobody can fill the disk or the memory; the next record says how many were left out.

**Before and after** are read around the act, not in it: in between, others may have submitted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from laurels.access.keys import hide_keys
from laurels.audit.record import Record, format_line, format_time
from laurels.errors import LaurelsError, NoAuditLog, truncate
from laurels.http.problems import HTTPError, status_of
from laurels.http.query import Query
from laurels.limits import NAME_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from laurels.audit.file import AuditFile
    from laurels.audit.record import Wanted
    from laurels.figures import Figures
    from laurels.http.messages import Request, Response
    from laurels.http.operation import Operation

log = logging.getLogger("laurels.audit")

REFUSALS = 20
CUT_OFF, FAULT = 499, 500
_encode = msgspec.json.Encoder().encode


class Auditor:
    """Writes records to a file, or else to the log of the process."""

    def __init__(self, file: AuditFile | None = None, now: Callable[[], float] = time.time) -> None:
        self._file = file
        self._now = now
        self._room = float(REFUSALS)
        self._refused_at = now()
        self._unrecorded = self._recorded = 0
        self._writing: set[asyncio.Task[None]] = set()

    def measure(self) -> Figures:
        """Return figures, by their names in the metrics."""
        return {"audit_records": self._recorded, **({} if self._file is None else self._file.measure())}

    async def check(self) -> None:
        """Raise AuditLogUnwritable or StoreFull if an act could not be recorded."""
        if self._file is not None:
            await self._file.check()

    async def write(self, record: Record) -> None:
        """Write a record, as of now. If the file does not take it the log does, and no act is begun until it has."""
        line = format_line(replace(record, time=format_time(self._now()), unrecorded=self._unrecorded or UNSET))
        self._unrecorded = 0
        self._recorded += 1
        if self._file is None:
            # Where nobody has set logging up, as under other ASGI servers, less than a warning goes nowhere
            log.log(logging.INFO if log.isEnabledFor(logging.INFO) else logging.WARNING, "Audit: %s", line)
            return
        try:
            await self._file.add(line)
        except LaurelsError as error:
            log.error("%s The record: %s", error, line)  # noqa: TRY400 - one line

    def refuse(self, watch: Watch, error: LaurelsError) -> None:
        """Record soon that a request was refused, unless there have been too many."""
        now = self._now()
        self._room = min(REFUSALS, self._room + max(0.0, now - self._refused_at))
        self._refused_at = now
        if self._room < 1:
            self._unrecorded += 1
            return
        self._room -= 1
        record = replace(watch.describe(), status=status_of(error))
        task = asyncio.get_running_loop().create_task(self._write_refusal(record))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_refusal(self, record: Record) -> None:
        try:
            await self.check()
        except LaurelsError:
            self._unrecorded += 1
        else:
            await self.write(record)

    async def settle(self) -> None:
        """Wait until all refusals before are recorded."""
        await asyncio.gather(*self._writing)

    async def find(self, wanted: Wanted, limit: int, before: int | None) -> tuple[list[Record], int | None]:
        """Return records from the newest on, and where to go on; raise NoAuditLog or AuditLogUnusable."""
        if self._file is None:
            raise NoAuditLog
        return await self._file.find(wanted, limit, before)


class Watch(Struct, frozen=True, gc=False):
    """What records one request."""

    auditor: Auditor
    operation: Operation
    names: Sequence[str]
    request: Request
    who: str

    async def follow(self, show: Callable[[], Awaitable[Any]], act: Callable[[], Awaitable[Response]]) -> Response:
        """Return the answer of an act, once it is recorded with what is shown before and after it."""
        await self.auditor.check()
        record = replace(self.describe(), before=Raw(_encode(await show())))
        try:
            response = await act()
        except BaseException as error:
            await self.auditor.write(replace(record, status=_find_status(error)))
            raise
        await self.auditor.write(replace(record, status=response.status, after=await _look(show)))
        return response

    def refuse(self, error: LaurelsError) -> None:
        """Record that the request was refused."""
        self.auditor.refuse(self, error)

    def describe(self) -> Record:
        """Return what is known of the request itself."""
        query = Query(self.request.query)
        of = dict(zip(self.operation.path_parameters, self.names, strict=True))
        of |= {each: _text(query[each][0]) for each in ("window", "period") if each in query}
        of = {part: hide_keys(text)[:NAME_BYTES] for part, text in of.items()}
        operation = self.operation.name
        record = Record(time="", who=self.who, sender=self.request.client, operation=operation, status=0)
        return replace(record, **of)


def _text(value: bytes) -> str:
    return truncate(unquote_to_bytes(value).decode(errors="replace"))


def _find_status(error: BaseException) -> int:
    if isinstance(error, HTTPError):
        return error.status
    if isinstance(error, LaurelsError):
        return status_of(error)
    return CUT_OFF if isinstance(error, asyncio.CancelledError) else FAULT


async def _look(show: Callable[[], Awaitable[Any]]) -> Raw | UnsetType:
    try:
        return Raw(_encode(await show()))
    except LaurelsError:  # the act is kept, and what is there now cannot be read
        return UNSET
