"""The files that pages load, as operations: open to anyone, and below ``/-/`` alone, so that no stage hides them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from laurels.http.cors import ALLOW
from laurels.http.headers import revalidated
from laurels.http.messages import Response
from laurels.http.operation import Answer, Operation
from laurels.http.parameters import VERSION
from laurels.web.files import NAMES, find

if TYPE_CHECKING:
    from laurels.http.gate import Context
    from laurels.http.messages import Request

FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
"""For what has its digest in its address."""
HEADERS = (
    (b"content-security-policy", b"default-src 'none'"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (ALLOW, b"*"),  # the widget loads on any page: only then can it say that the page may not read the board
)


async def _send(name: str, _: Context, request: Request, version: str | None) -> Response:
    file = find(name)
    if version == file.digest:
        return Response(200, file.body, file.kind, (*HEADERS, FOR_EVER))
    return revalidated(request, Response(200, file.body, file.kind, HEADERS))


WEB_FILES = tuple(
    Operation(
        name=f"file_{name.replace('.', '_')}",
        method="GET",
        path=f"/-/{name}",
        tag="Service",
        title=f"Load {name}",
        about="Returns a file that pages load. With the right `v` it may be kept for ever.",
        answers=(Answer(200, "The file.", kinds=(find(name).kind,)),),
        handler=partial(_send, name),
        parameters=(VERSION,),
        scope=None,
        takes_request=True,
        produces=(),
        subject=f"the file {name}",
    )
    for name in NAMES
)
"""One operation for each file."""
