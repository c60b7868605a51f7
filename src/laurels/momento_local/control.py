"""The calls on caches as wholes: create, delete, list, flush."""

from __future__ import annotations

from typing import TYPE_CHECKING

from momento_wire_types import controlclient_pb2 as control

from laurels.momento_local.rights import Act

if TYPE_CHECKING:
    from laurels.momento_local.caches import Caches


def create(caches: Caches, request: control._CreateCacheRequest) -> control._CreateCacheResponse:
    """Make an empty cache."""
    caches.create(request.cache_name)
    return control._CreateCacheResponse()


def delete(caches: Caches, request: control._DeleteCacheRequest) -> control._DeleteCacheResponse:
    """Delete a cache with all that is in it."""
    caches.delete(request.cache_name)
    return control._DeleteCacheResponse()


def flush(caches: Caches, request: control._FlushCacheRequest) -> control._FlushCacheResponse:
    """Drop all items of a cache."""
    caches[request.cache_name].clear()
    return control._FlushCacheResponse()


def listing(caches: Caches, _request: control._ListCachesRequest) -> control._ListCachesResponse:
    """Name all caches, on one page."""
    return control._ListCachesResponse(cache=[control._Cache(cache_name=name) for name in caches.names()])


CALLS = {
    "CreateCache": (Act.MANAGE_CACHES, create),
    "DeleteCache": (Act.MANAGE_CACHES, delete),
    "FlushCache": (Act.MANAGE_CACHES, flush),
    "ListCaches": (Act.LIST_CACHES, listing),
}
"""What each call does; those of the service that are not here are not implemented."""
