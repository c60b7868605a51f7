"""The sorted sets of a server of Redis or Valkey, a Sentinel's or a cluster's: they are read, and never written.

A sorted set is read in portions (ZSCAN), while others write to it. What is a member from the beginning to the end is
read at least once, with one of the scores that it has meanwhile; what comes or goes may be read or not.
"""

from __future__ import annotations

import re
from contextlib import AsyncExitStack, asynccontextmanager
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import AuthenticationError, RedisClusterException, RedisError

from laurels.cli.environment import hide_password
from laurels.cli.errors import SourceFailed
from laurels.entries import checked_name
from laurels.errors import BadName, truncate
from laurels.stores.contract import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

SECONDS = 10
"""How long an answer may take."""
MEMBERS, KEYS = 1000, 1000
"""About how many members, and keys, a portion has."""
OWN = b"laurels:"
"""What the keys of Laurels' own boards begin with, which are no other program's to read."""
_SCHEME = re.compile(r"(rediss?)\+(sentinel|cluster)://")


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
async def open_source(url: str, password: str | None) -> AsyncIterator[RedisSource]:
    """Connect to what a URL names, and close it at the end of the block; raise SourceFailed if that fails anywhere."""
    shown = hide_password(url)
    try:
        async with AsyncExitStack() as opened:
            yield RedisSource(await _connect(url, password, opened))
    except AuthenticationError as error:
        raise SourceFailed(shown, f"it does not take the user and the password: {error}") from error
    except (RedisError, RedisClusterException, OSError, ValueError) as error:
        raise SourceFailed(shown, str(error)) from error


async def _connect(url: str, password: str | None, opened: AsyncExitStack) -> Sequence[Any]:
    """Return a client of each primary."""
    options: dict[str, Any] = {"socket_timeout": SECONDS, "socket_connect_timeout": SECONDS}
    if password:
        options["password"] = password
    found = _SCHEME.match(url)
    if found is None:
        return [await opened.enter_async_context(Redis.from_url(url, **options))]
    parts = urlsplit(url)
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, given = credentials.partition(":")
    options = {name: unquote(text) for name, text in (("username", user), ("password", given)) if text} | options
    options["ssl"] = found[1] == "rediss"
    places = [urlsplit(f"//{each}") for each in hosts.split(",")]
    if found[2] == "cluster":
        nodes = [ClusterNode(str(each.hostname), each.port or 6379) for each in places]
        cluster = await opened.enter_async_context(RedisCluster(startup_nodes=nodes, **options))
        addresses = [(each.host, each.port) for each in cluster.get_primaries()]
        return [await opened.enter_async_context(Redis(host=host, port=port, **options)) for host, port in addresses]
    sentinel = Sentinel([(each.hostname, each.port or 26379) for each in places], **options)
    for each in sentinel.sentinels:
        opened.push_async_callback(each.aclose)
    service, _, database = parts.path.strip("/").partition("/")
    return [await opened.enter_async_context(sentinel.master_for(unquote(service), db=int(database or 0)))]


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
