"""What is read as it stands: the face for browsers, the docs, and the same for programs.

Apart from the routes, because functions that answer the core routes alone need not carry them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.http.docs import HEADERS, HTML, docs_page, face_page
from laurels.http.messages import Response
from laurels.http.openapi import document

if TYPE_CHECKING:
    from laurels.http.messages import Documents


def _face() -> Response:
    return Response(200, face_page(), HTML, (*HEADERS, (b"vary", b"accept")))


def _docs() -> Response:
    return Response(200, docs_page(), HTML, HEADERS)


def _openapi() -> Response:
    return Response(200, document())


DOCUMENTS: Documents = {b"/": _face, b"/-/docs": _docs, b"/-/openapi.json": _openapi}
"""By their paths."""
