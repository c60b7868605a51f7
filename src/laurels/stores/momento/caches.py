"""The caches of Momento that boards are kept in: make, delete and list them, with a key that may."""

from __future__ import annotations

from momento import CacheClientAsync, Configurations
from momento.responses import CreateCache, ListCaches

from laurels.errors import CacheMissing
from laurels.stores.momento.connection import TTL, read_credentials
from laurels.stores.momento.errors import check_answer


def _client(key: str, endpoint: str | None) -> CacheClientAsync:
    return CacheClientAsync(Configurations.Laptop.latest(), read_credentials(key, endpoint), TTL)


async def create(cache: str, key: str, endpoint: str | None) -> bool:
    """Make a cache; return whether it was not there. Raises StoreError."""
    async with _client(key, endpoint) as client:
        answer = check_answer(cache, await client.create_cache(cache))
        return isinstance(answer, CreateCache.Success)


async def delete(cache: str, key: str, endpoint: str | None) -> bool:
    """Delete a cache with all boards in it; return whether it was there. Raises StoreError."""
    async with _client(key, endpoint) as client:
        try:
            check_answer(cache, await client.delete_cache(cache))
        except CacheMissing:
            return False
    return True


async def names(key: str, endpoint: str | None) -> list[str]:
    """Return the names of all caches, sorted. Raises StoreError."""
    async with _client(key, endpoint) as client:
        answer = check_answer("", await client.list_caches())
        return sorted(info.name for info in answer.caches) if isinstance(answer, ListCaches.Success) else []
