"""The sorted sets of a server of Redis or Valkey, a Sentinel's or a cluster's: they are read, and never written.

A sorted set is read in portions (ZSCAN), while others write to it. What is a member from the beginning to the end is
read at least once, with one of the scores that it has meanwhile; what comes or goes may be read or not.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from laurels.cli.errors import SourceFailed
from laurels.client.environment import hide_password
from laurels.entries import checked_name
from laurels.errors import BadName, truncate
from laurels.stores.contract import Entry
from laurels.stores.redis.connecting import read_password
from laurels.stores.redis.handshake import make_context
from laurels.stores.redis.url import PORTS, Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from laurels.stores.redis.settings import RedisSettings

SECONDS = 10
"""How long an answer may take."""
MEMBERS, KEYS = 1000, 1000
"""About how many members, and keys, a portion has."""
OWN = b"laurels:"
"""What the keys of Laurels' own boards begin with, which are no other program's to read."""


class Unfit(Struct, frozen=True):
    """A member that no board can hold, and why."""

    name: str
    problem: str


class SortedSet(Struct, frozen=True):
    """A sorted set: its key, what has it, and how many members it had at the beginning."""

    key: bytes
    node: Any
    count: int


@asynccontextmanager
async def open_source(url: str, settings: RedisSettings) -> AsyncIterator[RedisSource]:
    """Connect to what a URL names, and close it at the end of the block; raise SourceFailed if that fails anywhere.

    Raises StoreError for a URL that is none, and for a file of the settings that cannot be used.
    """
    target = Target(url)
    shown = hide_password(url)
    try:
        async with AsyncExitStack() as opened:
            yield RedisSource(await _connect(target, settings, opened))
    except AuthenticationError as error:
        raise SourceFailed(shown, f"it does not take the user and the password: {error}") from error
    except (RedisError, RedisClusterException, OSError, ValueError) as error:
        raise SourceFailed(shown, str(error)) from error


async def _connect(target: Target, settings: RedisSettings, opened: AsyncExitStack) -> Sequence[Any]:
    """Return a client of each primary."""
    options: dict[str, Any] = {
        "retry": Retry(ExponentialBackoff(cap=0.1, base=0.01), 3),
        "socket_timeout": SECONDS,
        "socket_connect_timeout": SECONDS,
        "username": target.user,
        "password": target.password or read_password(settings.password_file),
    }
    if target.is_tls:
        make_context(settings.ca_file)  # which says what is wrong with the file
        options |= {"ssl": True, "ssl_ca_certs": settings.ca_file and str(settings.ca_file)}
    first = target.addresses[0]
    if target.kind == "sentinel":
        own = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS, "retry": Retry(NoBackoff(), 0)}
        sentinel = Sentinel(target.addresses, sentinel_kwargs=own, **options)  # which is asked again by who needs it
        for each in sentinel.sentinels:
            opened.push_async_callback(each.aclose)
        return [await opened.enter_async_context(sentinel.master_for(target.service, db=target.database))]
    if first.port is None:
        return [await opened.enter_async_context(Redis(unix_socket_path=first.host, **options))]
    if target.kind == "node":
        return [
            await opened.enter_async_context(Redis(host=first.host, port=first.port, db=target.database, **options))
        ]
    nodes = [ClusterNode(host, port or PORTS["cluster"]) for host, port in target.addresses]
    cluster = await opened.enter_async_context(RedisCluster(startup_nodes=nodes, **options))
    primaries = cluster.get_primaries()
    return [await opened.enter_async_context(Redis(host=each.host, port=each.port, **options)) for each in primaries]


class RedisSource:
    """The sorted sets of all primaries."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self._nodes = nodes

    async def sorted_sets(self, pattern: str) -> list[SortedSet]:
        """Return the sorted sets whose keys match, by their keys; Laurels' own are left out."""
        found: dict[bytes, Any] = {}
        for node in self._nodes:
            async for key in node.scan_iter(match=pattern, count=KEYS, _type="zset"):
                if not key.startswith(OWN):
                    found[key] = node
        return [SortedSet(key, node, await node.zcard(key)) for key, node in sorted(found.items())]

    async def portions(self, sorted_set: SortedSet) -> AsyncIterator[tuple[list[Entry], list[Unfit]]]:
        """Yield the members of a sorted set in portions: those that a board can hold, and the others."""
        cursor: int | bytes = 0
        is_last = False
        while not is_last:
            answer = await sorted_set.node.execute_command("ZSCAN", sorted_set.key, cursor, "COUNT", MEMBERS)
            cursor, members = int(answer[0]), answer[1]
            is_last = not cursor
            yield _read(members)

    async def missing(self, sorted_set: SortedSet, names: Sequence[str]) -> list[str]:
        """Return those of the names that are no members."""
        pipeline = sorted_set.node.pipeline(transaction=False)
        for name in names:
            pipeline.zscore(sorted_set.key, name.encode())
        scores = await pipeline.execute()
        return [name for name, score in zip(names, scores, strict=True) if score is None]


def _read(members: Sequence[Any]) -> tuple[list[Entry], list[Unfit]]:
    good: list[Entry] = []
    unfit: list[Unfit] = []
    for member, score in members:
        try:
            name = checked_name(member.decode())
            if isfinite(score):
                good.append(Entry(name, score))
            else:
                unfit.append(Unfit(name, f"the score is {score}: a score is a finite number"))
        except UnicodeDecodeError:
            unfit.append(Unfit(truncate(repr(member)[2:-1]), "the name is not valid UTF-8"))
        except BadName as error:
            unfit.append(Unfit(truncate(member.decode()), str(error)))
    return good, unfit
