"""Puts the parts together: the one module that knows them all."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import uvicorn
import uvloop
from msgspec import UNSET
from msgspec.structs import replace
from prometheus_client import ProcessCollector

from laurels.access.marks import Marking
from laurels.adapters.asgi import Application, OpeningApplication
from laurels.adapters.protocol import BoardProtocol
from laurels.adapters.request_counts import RequestCounts, share_counts
from laurels.adapters.server import (
    Server,
    accepting,
    bind,
    bind_beside,
    connections_within_descriptors,
    find_urls,
    list_addresses,
    reserve,
)
from laurels.adapters.shared import Shared
from laurels.adapters.tls import Certificate, Handshake
from laurels.audit.file import AuditFile
from laurels.backup.archive import Archive, ArchiveSettings
from laurels.backup.places import Directory as DirectoryPlace
from laurels.backup.places import open_place
from laurels.boards import Boards
from laurels.boards_file import read_boards
from laurels.clock import Clock
from laurels.definition import DEFAULT_DEFINITION, NO_FILE, BoardsFile, Definition
from laurels.errors import (
    AccessFileUnusable,
    AccessUndecided,
    BadPlace,
    BadStore,
    BoardsFileUnusable,
    ExtraMissing,
    LaurelsError,
    NoArchive,
    OneProcess,
)
from laurels.http import Gate, Routes
from laurels.http.access import Access, open_access
from laurels.http.auditing import Auditor
from laurels.http.backups import Backups
from laurels.http.console import CONSOLE
from laurels.http.cors import Cors
from laurels.http.documents import DOCUMENTS
from laurels.http.hosts import LOCALHOST, AllowedHosts, is_loopback
from laurels.http.metrics import (
    FiguresCollector,
    InfoCollector,
    RequestCollector,
    WorkersCollector,
    metrics_operation,
)
from laurels.http.operations import OPERATIONS
from laurels.http.proxies import TrustedProxies
from laurels.http.rate_limits import RateLimiter
from laurels.http.request_log import log_request
from laurels.http.web_files import WEB_FILES
from laurels.http.wire import Batch
from laurels.lifetime import OPEN, Lifetime, Start, hide_secrets
from laurels.live.hub import Hub
from laurels.logs import alike, writing_at_once, writing_logs
from laurels.loop_lag import LoopLag
from laurels.memory_limit import measure_memory_limit
from laurels.optional import load
from laurels.reloading import Reloading, ignore_hangups
from laurels.settings import LOOPBACK, Settings, read_variables
from laurels.stores.embedded.store import EmbeddedStore
from laurels.stores.redis.url import SCHEMES
from laurels.systemd import notify
from laurels.tracing import wanted_exporters
from laurels.version import __version__
from laurels.workers import Greetings, SharedFigures, Workers

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from mmap import mmap

    from prometheus_client.registry import Collector

    from laurels.adapters.limits import Limits
    from laurels.backup.limits import ArchiveLimits
    from laurels.backup.places import Place
    from laurels.figures import Figures
    from laurels.http.gate import Observer, RequestSpans
    from laurels.http.operation import Operation
    from laurels.stores.contract import Store
    from laurels.workers import Worker

    Beside = Callable[[Boards], AbstractAsyncContextManager[None]]
    Measures = list[Callable[[], Figures]]

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
"""How long the journal's thread may wait for the interpreter. Python's own 0.005 shows in the slowest submits."""
SHUTDOWN_SECONDS = 5
"""How long clients have to take their answers at the end, after the time that a body may take."""


async def _open_embedded(_: str, settings: Settings, file: BoardsFile, clock: Clock) -> Store:
    return await EmbeddedStore.open(
        settings.data,
        file.default,
        clock=clock,
        limits=settings.store_limits,
        keep_journal=settings.archive is not None,
        backlog=settings.archive_limits.backlog,
    )


async def _open_momento(cache: str, settings: Settings, _: BoardsFile, __: Clock) -> Store:
    """Take the key from the environment, as the examples of Momento's SDK do."""
    key, endpoint = os.environ.get("MOMENTO_API_KEY", ""), os.environ.get("MOMENTO_ENDPOINT")
    open_store = load("laurels.stores.momento.store:open_store")
    store: Store = await open_store(cache, key, endpoint, ttl=timedelta(seconds=settings.ttl_seconds))
    return store


async def _open_redis(scheme: str, place: str, settings: Settings, __: BoardsFile, clock: Clock) -> Store:
    store: Store = await load("laurels.stores.redis.store:open_store")(f"{scheme}:{place}", clock, settings.redis)
    return store


class _Kind(NamedTuple):
    open: Callable[[str, Settings, BoardsFile, Clock], Awaitable[Store]]
    has_place: bool
    alone: str = ""
    """Why only one process can have the store; empty if any number can."""


STORES = {
    "embedded": _Kind(_open_embedded, has_place=False, alone="its index is in the memory of one process"),
    "momento": _Kind(_open_momento, has_place=True),
    **{scheme: _Kind(partial(_open_redis, scheme), has_place=True) for scheme in SCHEMES},
}
"""What opens the store of each scheme, given the place that follows it in the URL."""


def _store(url: str) -> tuple[_Kind, str]:
    scheme, _, place = url.partition(":")
    kind = STORES.get(scheme)
    if kind is None or kind.has_place != bool(place):
        raise BadStore(url)
    return kind, place


def _boards_file(settings: Settings) -> BoardsFile:
    if settings.boards is None:
        return BoardsFile(default=Definition(order=settings.order or DEFAULT_DEFINITION.order))
    return read_boards(settings.boards, settings.order)


class Hooks(NamedTuple):
    """What a service calls."""

    announce: Callable[[Figures], object]
    """Called when it listens, with the figures of its store."""
    beside: Beside | None = None
    """What uses its boards beside it."""
    ended: Callable[[int], object] = int
    """Called with each signal that it ended by."""


class Crew(NamedTuple):
    """One of several workers, and what it shares with the others."""

    worker: Worker
    counts: mmap
    figures: SharedFigures
    started: float
    """When the service was, in seconds since the epoch."""


@asynccontextmanager
async def open_routes(
    settings: Settings,
    reloading: Reloading | None = None,
    crew: Crew | None = None,
    measures: Measures | None = None,
) -> AsyncIterator[Routes]:
    """Open the store and yield the routes over it; close it at the end. What can be reloaded is added to ``reloading``.

    What is added to ``measures``, also later, is shown by the metrics, behind what there is to measure here.
    Raises StoreError, and BoardsFileUnusable, BadDefinition or DefinitionConflict for what the deployment declares.
    """
    kind, _ = _store(settings.store)
    archive_place = _archive_place(settings)
    file, clock = _boards_file(settings), Clock()
    reloading = reloading or Reloading()
    counts = _make_counts(crew) if settings.metrics else None
    access = _open_access(settings, crew)
    async with AsyncExitStack() as opened:
        spans = await _open_spans(opened)
        gate = _make_gate(settings, counts, access, spans)
        audit = AuditFile(settings.audit_log, settings.limits.max_audit) if settings.audit_log else None
        if audit is not None:
            opened.push_async_callback(audit.close)
        auditor = Auditor(audit)
        opened.push_async_callback(auditor.settle)
        store = await _open_store(settings, file, clock, opened, is_traced=spans is not None)
        _say_what_is_lost(kind, store, crew)
        if access is not None:
            access.begin_fetching()
            access.share_limits(store.meters)
        boards = Boards(store, file, clock=clock)  # the store's: it knows of every jump that a period comes from
        await boards.declare()

        hub = _make_hub(boards, settings, access)
        opened.callback(hub.close)
        measure_lag = _measure_lag(opened, settings)
        measures = [] if measures is None else measures
        measures += [store.measure, *_begin_archive(archive_place, store, settings.archive_limits, clock, opened)]
        measures += [hub.measure, boards.measure, auditor.measure, measure_lag, measure_memory_limit]
        measures += [reloading.measure, lambda: {"clock_time_seconds": clock()}]
        measure = partial(_measure_all, measures)
        _reload_boards_file(reloading, boards, settings)
        if access is not None:
            reloading.add(f"the access file {settings.access}", access.reload, "access")
        if audit is not None:
            reloading.add(f"the audit log {settings.audit_log}", audit.reopen, "audit")
        if crew is not None:
            if access is not None:
                crew.worker.hear(access.forget)
            await opened.enter_async_context(crew.worker.listening(measure, crew.figures))
        backups = Backups(settings.limits.max_backups)
        yield Routes(boards, list_operations(settings, counts, measure, crew), gate, auditor, hub, backups=backups)


def _reload_boards_file(reloading: Reloading, boards: Boards, settings: Settings) -> None:
    """Have the boards file read again, if there is one."""
    path = settings.boards
    if path is None:
        return

    async def reload() -> None:
        if path.is_fifo():
            raise BoardsFileUnusable(path, "it is a pipe, which is read only once")
        await boards.declare(await asyncio.to_thread(_boards_file, settings))

    reloading.add(f"the boards file {path}", reload, "boards")


@asynccontextmanager
async def open_store(url: str) -> AsyncIterator[Store]:
    """Open a store by its URL, for a command, and close it at the end. Raises StoreError."""
    kind, place = _store(url)
    store = await kind.open(place, Settings(store=url), NO_FILE, Clock())
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def open_application(settings: Settings) -> AsyncIterator[Application]:
    """Open a store as it was left, with its own definitions, and yield the application over it; close it at the end.

    For who copies boards in the same process. Anybody may do everything, and nothing is recorded. Raises StoreError.
    """
    kind, place = _store(settings.store)
    clock = Clock()
    store = await kind.open(place, settings, NO_FILE, clock)
    try:
        boards = Boards(store, BoardsFile(default=store.default_definition), clock=clock)
        await boards.declare()
        operations = list_operations(settings, None, store.measure)
        yield Application(Routes(boards, operations, Gate(), Auditor(None)))
    finally:
        await store.close()


def _make_hub(boards: Boards, settings: Settings, access: Access | None) -> Hub:
    hub = Hub(boards, settings.limits.max_subscribers)
    if access is not None:
        access.changed = hub.recheck
    return hub


def _archive_place(settings: Settings) -> Place | None:
    """Return where the store is archived, if it is; raise NoArchive, BadPlace or ExtraMissing."""
    if settings.archive is None:
        return None
    if settings.store != "embedded":
        raise NoArchive(settings.store)
    place = open_place(settings.archive)
    if isinstance(place, DirectoryPlace) and place.is_in(settings.data):
        raise BadPlace(settings.archive, "it is in the data directory, and would be lost with that")
    return place


def _begin_archive(
    place: Place | None, store: Store, limits: ArchiveLimits, clock: Clock, opened: AsyncExitStack
) -> Iterator[Callable[[], Figures]]:
    """Archive a store until ``opened`` is closed, if there is a place, and yield what measures that."""
    if place is not None and isinstance(store, EmbeddedStore):
        settings = ArchiveSettings(limits.every, limits.keep)
        archive = Archive(place, store.source, settings, lambda: clock.is_settled)
        opened.push_async_callback(asyncio.to_thread, archive.close)
        yield archive.measure


def _measure_lag(opened: AsyncExitStack, settings: Settings) -> Callable[[], Figures]:
    lag = LoopLag()
    if settings.metrics:
        opened.enter_context(lag.watching())
    return lag.measure


def _measure_all(measures: Measures) -> Figures:
    return {name: figure for measure in measures for name, figure in measure().items()}


def _make_counts(crew: Crew | None) -> RequestCounts:
    return RequestCounts() if crew is None else RequestCounts(crew.counts, crew.worker.number)


def _say_what_is_lost(kind: _Kind, store: Store, crew: Crew | None) -> None:
    if kind.alone or (crew is not None and (crew.worker.number or not crew.worker.is_first)):
        return
    for warning in store.warnings():
        log.warning("%s", warning)


def _open_access(settings: Settings, crew: Crew | None) -> Access | None:
    if settings.access is None:
        return None
    file, tokens = open_access(settings.access)
    limits = RateLimiter(file, settings.limits.max_metered)
    tell = None if crew is None else crew.worker.tell
    return Access(file, settings.access, tokens, limits=limits, mark=Marking(), tell=tell)


async def _open_spans(opened: AsyncExitStack) -> RequestSpans | None:
    """Return what makes spans, if OpenTelemetry's variables ask for that, or if this process has a provider of them."""
    exporters = wanted_exporters(os.environ)
    if not exporters and "opentelemetry.sdk.trace" not in sys.modules:
        return None
    try:
        spans: RequestSpans | None = load("laurels.http.spans:open_spans")(exporters, os.environ)
    except ExtraMissing as error:  # the variables may be for all that runs on a machine
        log.warning("No spans are made, although OpenTelemetry's variables ask for them. %s", error)
        return None
    if spans is not None:
        opened.push_async_callback(asyncio.to_thread, spans.close)
    return spans


async def _open_store(
    settings: Settings, file: BoardsFile, clock: Clock, opened: AsyncExitStack, *, is_traced: bool
) -> Store:
    kind, place = _store(settings.store)
    store = await kind.open(place, settings, file, clock)
    opened.push_async_callback(store.close)
    if is_traced:
        store.trace_calls()
    return store


def _make_gate(
    settings: Settings, counts: RequestCounts | None, access: Access | None, spans: RequestSpans | None
) -> Gate:
    observers: list[Observer] = [] if counts is None else [counts]
    if settings.log_requests:
        observers.append(log_request)
    cors = Cors(settings.cors_origins)
    return Gate(
        observers=tuple(observers),
        cors=cors if settings.cors_origins else None,
        host=AllowedHosts(settings.allowed_hosts) if settings.allowed_hosts else None,
        proxies=TrustedProxies(settings.trusted_proxies) if settings.trusted_proxies else None,
        origin=cors.check,
        access=access,
        ancestors=cors.ancestors,
        spans=spans,
    )


def list_operations(
    settings: Settings,
    counts: RequestCounts | None,
    measure: Callable[[], Figures],
    crew: Crew | None = None,
) -> tuple[Operation, ...]:
    """Return the operations that a deployment serves; ``measure`` returns the figures of this process."""
    collectors: tuple[Collector, ...] = (FiguresCollector(measure), ProcessCollector(registry=None))
    if crew is not None:
        collectors = (WorkersCollector(crew.figures.read),)
    info = InfoCollector(settings.store.partition(":")[0], time.time() if crew is None else crew.started)
    metrics = () if counts is None else (metrics_operation(info, RequestCollector(counts), *collectors),)
    shown = (*OPERATIONS, *DOCUMENTS, *WEB_FILES, *CONSOLE, *metrics)
    return tuple(_limited(each, settings.limits) for each in shown)


def _limited(operation: Operation, limits: Limits) -> Operation:
    """Return the operation with the limit of its body as it is set."""
    body = operation.body
    limit = limits.max_batch if body is not None and body.kind is Batch else limits.max_body
    return operation if body is None or body.limit == limit else replace(operation, body=replace(body, limit=limit))


def serve(settings: Settings, beside: Beside | None = None, board: str = "BOARD") -> None:
    """Serve until SIGINT or SIGTERM, then finish what is under way; SIGHUP reloads.

    One process can have something ``beside`` it, which uses its boards from before it listens. The log names the page
    of ``board``. Raises AddressUnusable,
    AccessUndecided, OneProcess, and as :func:`open_routes`.
    """
    _check_workers(settings)
    reloading = Reloading()
    reloading.install()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with ExitStack() as bound:
            # First: what loads for minutes should not do so in vain
            sockets = [bound.enter_context(each) for each in bind(settings.host, settings.port)]
            settings = replace(settings, allowed_hosts=_hosts_to_answer_to(settings, sockets))
            lifetime = Lifetime()
            announce = partial(_announce, lifetime, settings, sockets, board)
            if settings.workers > 1:
                _serve_as_worker(settings, sockets, reloading, announce, lifetime)
                return
            with writing_logs(settings.log_format, settings.log_level), _saying_the_end(lifetime) as ended_by:
                uvloop.run(_serve(settings, sockets, reloading, Hooks(announce, beside, ended_by.append)))
    finally:
        ignore_hangups()


@contextmanager
def _saying_the_end(lifetime: Lifetime) -> Iterator[list[int]]:
    """Yield a list for the signals that the service ends by, and say at the end why it ended."""
    ended_by: list[int] = []
    try:
        yield ended_by
    except BaseException as error:
        lifetime.end(f"an error: {error!r}")
        raise
    lifetime.end(signal.Signals(ended_by[-1]).name)


def _announce(
    lifetime: Lifetime,
    settings: Settings,
    sockets: Sequence[socket.socket],
    board: str,
    figures: Figures | None = None,
) -> None:
    """Say that the service listens: in the log, and to what started it."""
    url, pages = find_urls(sockets, settings.host, is_secure=settings.tls_cert is not None)
    kind, _ = _store(settings.store)
    held = {name: figure for name, figure in (figures or {}).items() if isinstance(figure, float | int)}
    lifetime.begin(
        Start(
            version=__version__,
            store=hide_secrets(settings.store),
            directory=str(settings.data.absolute()) if kind.alone else UNSET,
            boards=int(held["boards"]) if "boards" in held else UNSET,
            entries=int(held["entries"]) if "entries" in held else UNSET,
            addresses=list_addresses(sockets),
            url=url,
            access=OPEN if settings.access is None else str(settings.access),
            workers=settings.workers,
            pid=os.getpid(),
            page=f"{pages}/{board}",
            console=f"{pages}/-/console",
            docs=f"{pages}/-/docs",
            traces=", ".join(wanted_exporters(os.environ)) or UNSET,
        )
    )
    notify("READY=1")


def _check_workers(settings: Settings) -> None:
    """Raise OneProcess, BoardsFileUnusable or AccessFileUnusable if there cannot be as many workers as are wanted."""
    kind, _ = _store(settings.store)
    if settings.workers == 1:
        return
    if kind.alone:
        raise OneProcess(settings.store, kind.alone)
    problem = "it is a pipe, which only one of several workers could read"
    if settings.boards is not None and settings.boards.is_fifo():
        raise BoardsFileUnusable(settings.boards, problem)
    if settings.access is not None and settings.access.is_fifo():
        raise AccessFileUnusable(settings.access, problem)


def _serve_as_worker(
    settings: Settings,
    reserved: list[socket.socket],
    reloading: Reloading,
    announce: Callable[[], None],
    lifetime: Lifetime,
) -> None:
    """Fork, and serve in each worker; the parent raises SystemExit."""
    reserve(reserved)
    counts, figures, started = share_counts(settings.workers), SharedFigures(settings.workers), time.time()
    gc.freeze()  # what is there already is of all of them
    writing = writing_at_once(settings.log_format, settings.log_level)
    worker = Workers(settings.workers, writing, figures, Greetings(announce, lifetime.end)).run()
    alike.set(True)
    limits = settings.limits
    limits = replace(
        limits,
        max_connections=worker.share(limits.max_connections),
        max_subscribers=worker.share(limits.max_subscribers),
        max_client_memory=worker.share(limits.max_client_memory),
    )
    with writing_logs(settings.log_format, settings.log_level, worker.relay), ExitStack() as bound:
        try:
            sockets = [bound.enter_context(each) for each in bind_beside(reserved)]
            crew = Crew(worker, counts, figures, started)
            hooks = Hooks(lambda _: worker.be_ready())
            uvloop.run(_serve(replace(settings, limits=limits), sockets, reloading, hooks, crew))
        except LaurelsError as error:
            if worker.is_first:
                raise
            log.error("Worker %d cannot start: %s", worker.number + 1, error)  # noqa: TRY400 - one line
            sys.exit(1)


def _hosts_to_answer_to(settings: Settings, sockets: Sequence[socket.socket]) -> tuple[str, ...]:
    """Return the hosts that are allowed, those of this machine among them; none if any may ask from elsewhere.

    Raises AccessUndecided if others than this machine could reach one of the sockets, and nothing says who may.
    """
    beyond = [host for each in sockets if not is_loopback(host := str(each.getsockname()[0]))]
    if beyond and not settings.open and settings.access is None:
        raise AccessUndecided(", ".join(beyond))
    is_checked = settings.allowed_hosts or not beyond
    return (LOCALHOST, *settings.allowed_hosts) if is_checked else ()


async def _serve(
    settings: Settings, sockets: list[socket.socket], reloading: Reloading, hooks: Hooks, crew: Crew | None = None
) -> None:
    room = connections_within_descriptors(settings.limits.max_connections)
    settings = replace(settings, limits=replace(settings.limits, max_connections=room))
    certificate = Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None
    if certificate is not None:
        reloading.add(f"the certificate {settings.tls_cert}", certificate.reload, "certificate")
    async with AsyncExitStack() as opened:
        measures: Measures = []
        routes = await opened.enter_async_context(open_routes(settings, reloading, crew, measures))
        if hooks.beside is not None:
            await opened.enter_async_context(hooks.beside(routes.boards))
        await opened.enter_async_context(reloading.answering())
        shared = Shared(settings.limits, routes)
        measures.append(shared.measure)
        protocol = (
            partial(Handshake, shared=shared, certificate=certificate)
            if certificate
            else partial(BoardProtocol, shared=shared)
        )
        announce = partial(hooks.announce, routes.boards.store.measure())
        server = Server(_configure(routes, protocol, settings.limits), announce)
        for ending in (signal.SIGINT, signal.SIGTERM):  # uvicorn raises them again at its end: that end is a good one
            signal.signal(ending, lambda number, _: hooks.ended(number))
        alike.set(False)
        await server.serve(sockets)


def _configure(routes: Routes, protocol: Callable[..., asyncio.Protocol], limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        Application(routes, send_timeout=limits.send_timeout),
        http=protocol,  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.body_timeout + SHUTDOWN_SECONDS),
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[str]:
    """Serve in the loop that runs already, on a free port of this machine alone; yield the URL.

    It takes no signals and writes no log of its own, and ends with the block: for tests of programs, which start many.
    Raises as :func:`open_routes`.
    """
    (listening,) = bind(LOOPBACK, 0)
    settings = replace(settings, allowed_hosts=_hosts_to_answer_to(settings, [listening]))
    with listening:
        async with open_routes(settings) as routes:
            config = _configure(routes, partial(BoardProtocol, shared=Shared(settings.limits, routes)), settings.limits)
            async with accepting(config, listening):
                yield f"http://{LOOPBACK}:{listening.getsockname()[1]}"


def application() -> OpeningApplication:
    """Make the application for any ASGI server; its settings are variables such as ``LAURELS_DATA``.

    The server has its own limits of connections: of ours, those of bodies apply.
    """
    return make_application(read_variables(os.environ))


def make_application(settings: Settings) -> OpeningApplication:
    """Make the application with these settings; another server decides where it listens.

    So each request tells: unless the settings say who may, only those are answered that come from this machine.
    """
    is_decided = settings.open or settings.access is not None
    return OpeningApplication(
        partial(open_routes, settings), is_local=not is_decided, send_timeout=settings.limits.send_timeout
    )
