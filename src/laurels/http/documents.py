"""The documents that the service has of itself: the landing page, the docs, and the same for programs.

Apart from the other operations, because functions that answer the core routes alone do not carry them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from laurels.http.docs import PAGE_HEADERS, docs_page, landing_page
from laurels.http.handlers import show_landing
from laurels.http.headers import revalidated
from laurels.http.messages import DEFAULT_ORIGIN, HTML, JSON, Response
from laurels.http.openapi import document
from laurels.http.operation import Answer, Operation
from laurels.http.operations import OPERATIONS

if TYPE_CHECKING:
    from laurels.http.gate import Context
    from laurels.http.messages import Header, Request

HTML_PAGE = b"text/html; charset=utf-8"


def _asked_at(request: Request, document: bytes, kind: bytes, *headers: Header) -> Response:
    """Return a document in which the address that the service was asked at stands in place of the default one."""
    body = document.replace(DEFAULT_ORIGIN.encode(), request.base.encode())
    return revalidated(request, Response(200, body, kind, headers))


async def _show_landing(context: Context, request: Request, kind: bytes) -> Response:
    if kind == JSON:
        return await show_landing(context, request)
    return _asked_at(request, landing_page(), HTML_PAGE, *PAGE_HEADERS, (b"vary", b"accept"))


async def _show_docs(context: Context, request: Request) -> Response:
    return _asked_at(request, docs_page(context.operations), HTML_PAGE, *PAGE_HEADERS)


async def _show_openapi(context: Context, request: Request) -> Response:
    return _asked_at(request, document(context.operations), JSON)


_LANDING = next(operation for operation in OPERATIONS if operation.path == "/")

DOCUMENTS = (
    replace(
        _LANDING,
        handler=_show_landing,
        produces=(JSON, HTML),
    ),
    Operation(
        name="document",
        method="GET",
        path="/-/openapi.json",
        tag="Service",
        title="Get this document",
        about="Returns it as OpenAPI 3.1.",
        answers=(Answer(200, "The document.", kinds=(JSON,)),),
        handler=_show_openapi,
        scope=None,
        takes_request=True,
    ),
    Operation(
        name="docs",
        method="GET",
        path="/-/docs",
        tag="Service",
        title="Read the docs",
        about="Returns this document as a page that needs nothing from elsewhere.",
        answers=(Answer(200, "The page.", kinds=(HTML_PAGE,)),),
        handler=_show_docs,
        scope=None,
        takes_request=True,
        produces=(HTML,),
    ),
)
"""Operations besides :data:`OPERATIONS`; the first takes the place of the one of its path there."""
