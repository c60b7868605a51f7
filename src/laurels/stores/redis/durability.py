"""Durability: what a server tells of itself, and what may be lost there of what was acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from laurels.errors import ServerUnusable, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

OLDEST = (6, 2)
"""The oldest version of Redis that knows all commands that are used; Valkey began with 7.2."""
WAITAOF_SINCE = (7, 2)
QUESTIONS: tuple[tuple[str, ...], ...] = (("INFO",), ("CONFIG", "GET", "append*"), ("CONFIG", "GET", "maxmemory*"))


class Facts(Struct, frozen=True):
    """What a server tells of itself. What it does not tell is None."""

    version: tuple[int, ...] | None = None
    is_cluster: bool | None = None
    is_replica: bool = False
    is_loading: bool = False
    is_logged: bool | None = None
    """Whether it logs changes to its disk (appendonly)."""
    fsync: str | None = None
    memory: int | None = None
    policy: str | None = None

    @property
    def is_durable(self) -> bool:
        """Whether it has synced a change to its disk before it answers."""
        return bool(self.is_logged) and self.fsync == "always"

    @property
    def evicts(self) -> bool:
        """Whether it removes keys when its memory is full."""
        return bool(self.memory) and self.policy not in {None, "noeviction"}

    @property
    def knows_waitaof(self) -> bool:
        """Whether it can say what replicas have on disk."""
        return self.version is not None and self.version >= WAITAOF_SINCE

    def check(self, *, allow_eviction: bool) -> None:
        """Raise StoreUnavailable if it cannot keep boards as they must be kept."""
        if self.version is not None and self.version < OLDEST:
            found = ".".join(map(str, self.version))
            raise ServerUnusable(f"The server is Redis {found}", "have the operator use 6.2 or later, or Valkey")
        if self.is_loading:
            raise StoreUnavailable("Redis is loading its data")
        if self.evicts and not allow_eviction:
            raise ServerUnusable(
                f"Redis would remove boards when its memory is full (maxmemory-policy {self.policy})",
                "have the operator set maxmemory-policy noeviction there, or start with --allow-eviction",
            )

    def describe(self) -> str:
        """Return what may be lost of what was acknowledged if the server or its machine fails; nothing if none may."""
        if self.is_durable:
            return ""
        if self.is_logged is None or (self.is_logged and self.fsync is None):
            return "Redis does not tell what it keeps on disk, so acknowledged scores may be lost"
        if not self.is_logged:
            return "Redis keeps acknowledged scores in memory alone (appendonly no), or in snapshots of a time before"
        spoken = "a second of" if self.fsync == "everysec" else "half a minute or more of"
        return f"a crash of Redis's machine may lose up to {spoken} acknowledged scores (appendfsync {self.fsync})"


def read_facts(info: Any, *configs: Any) -> Facts:
    """Return what the answers to :data:`QUESTIONS` say; one that was refused says nothing."""
    told = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line) if _is_told(info) else {}
    settings: dict[str, str] = {}
    for config in configs:
        if isinstance(config, list):
            words = [word.decode() for word in config]
            settings |= dict(zip(words[::2], words[1::2], strict=True))
    return Facts(
        version=_version(told),
        is_cluster=_flag(told.get("cluster_enabled")),
        is_replica=told.get("role") == "slave",
        is_loading=told.get("loading") == "1",
        is_logged=_flag(settings.get("appendonly", told.get("aof_enabled"))),
        fsync=settings.get("appendfsync"),
        memory=_number(settings.get("maxmemory", told.get("maxmemory"))),
        policy=settings.get("maxmemory-policy", told.get("maxmemory_policy")),
    )


def _is_told(answer: Any) -> bool:
    return isinstance(answer, bytes)


def _version(told: Mapping[str, str]) -> tuple[int, ...] | None:
    found = told.get("redis_version")
    return tuple(map(int, found.split(".")[:3])) if found else None


def _flag(text: str | None) -> bool | None:
    return None if text is None else text in {"yes", "1"}


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)
