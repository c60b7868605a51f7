"""The calls on whole caches: create, delete, list, flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from momento_wire_types import controlclient_pb2 as control

from laurels.momento_local.errors import BadArgument
from laurels.momento_local.rights import Action

if TYPE_CHECKING:
    from laurels.momento_local.caches import Caches


def create(caches: Caches, request: control._CreateCacheRequest) -> control._CreateCacheResponse:
    """Make an empty cache."""
    caches.create(request.cache_name)
    return control._CreateCacheResponse()


def delete(caches: Caches, request: control._DeleteCacheRequest) -> control._DeleteCacheResponse:
    """Delete a cache with everything in it."""
    caches.delete(request.cache_name)
    return control._DeleteCacheResponse()


def flush(caches: Caches, request: control._FlushCacheRequest) -> control._FlushCacheResponse:
    """Drop all items of a cache."""
    caches[request.cache_name].clear()
    return control._FlushCacheResponse()


def listing(caches: Caches, request: control._ListCachesRequest) -> control._ListCachesResponse:
    """List all caches, on one page."""
    if request.next_token:
        raise BadArgument("`next_token` is none of this server's: all caches are on the first page.")
    return control._ListCachesResponse(cache=[control._Cache(cache_name=name) for name in caches.names()])


CALLS = {
    "CreateCache": (Action.MANAGE_CACHES, create),
    "DeleteCache": (Action.MANAGE_CACHES, delete),
    "FlushCache": (Action.MANAGE_CACHES, flush),
    "ListCaches": (Action.LIST_CACHES, listing),
}
"""The action and the function of each call; no other call is implemented."""
