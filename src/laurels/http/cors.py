"""CORS: which pages of other origins may read the answers. A part of the gate; API Gateway uses its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

if TYPE_CHECKING:
    from laurels.http.messages import Request, Response

ALLOWED_HEADERS = b"content-type, prefer, idempotency-key"
EXPOSED_HEADERS = b"preference-applied, retry-after"
ANY_ORIGIN = "*"


class Cors:
    """Lets pages of one origin, or of any (``*``), read every answer. One with ``Allow`` answers a preflight, too."""

    def __init__(self, origin: str) -> None:
        self._headers = (
            (b"access-control-allow-origin", origin.encode()),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
            *(() if origin == ANY_ORIGIN else ((b"vary", b"origin"),)),
        )

    def __call__(self, _: Request | None, response: Response) -> Response:
        """Return the response with the headers that browsers look for."""
        allow = dict(response.headers).get(b"allow")
        preflight = (
            ((b"access-control-allow-methods", allow), (b"access-control-allow-headers", ALLOWED_HEADERS))
            if allow is not None
            else ()
        )
        return replace(response, headers=(*response.headers, *self._headers, *preflight))
