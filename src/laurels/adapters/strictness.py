"""Requests that are refused because two readers could understand them in two ways, although the parser takes them.

llhttp refuses two lengths, a length next to chunks, bare CR or LF and folded lines. It lets pass, and so they are
refused here: chunks under HTTP/1.0, any transfer coding besides chunks, versions other than 1.0 and 1.1, a Host that is
missing or given twice, a target that is no path or has a fragment (which uvicorn would remove).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from laurels.errors import truncate
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from httptools import HttpParserError

    from laurels.http.messages import Headers

CHUNKED = b"chunked"
_BAD_CODING = ("Invalid `Transfer-Encoding`", "Empty Transfer-Encoding")
"""What llhttp says of a header line that it refuses before the head is complete."""
_BAD_TARGET = ("Expected HTTP/", "Invalid char in url", "Unexpected start char in url")
"""What it says of a target with a space, and of one with another byte that no target has."""
_TO_ENCODE = " In a target a space is written %20, and what is not ASCII by its bytes in UTF-8: é is %C3%A9."
_ORIGIN = re.compile(rb"^https?://[^/?#]*/?", re.IGNORECASE)


def strip_origin(target: bytes) -> bytes:
    """Return the path and query of a target in its absolute form; any other target as it is."""
    return target if target.startswith(b"/") else _ORIGIN.sub(b"/", target, count=1)


def find_fault(version: str, target: bytes, headers: Headers) -> HTTPError | None:
    """Return why a request with this head is refused, None if it is not."""
    host, coding = headers.get(b"host"), headers.get(b"transfer-encoding", CHUNKED)
    is_path = target.startswith(b"/") and b"#" not in target
    if is_path and coding == CHUNKED and version == "1.1" and host is not None and b"," not in host:
        return None
    if version not in {"1.0", "1.1"}:
        return HTTPError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if version == "1.0" and b"transfer-encoding" in headers:
        return HTTPError(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
    if coding.rstrip(b" ").lower() != CHUNKED:  # llhttp takes no other space
        return _other_coding()
    if (host is None and version == "1.1") or (host is not None and b"," in host):
        return HTTPError(400, "A request has exactly one Host header.")
    return None if is_path else HTTPError(400, "The target is no path, or has a fragment: write # in a name as %23.")


def describe_error(error: HttpParserError) -> HTTPError:
    """Return what is wrong with bytes that the parser does not take."""
    if str(error).startswith(_BAD_CODING):
        return _other_coding()
    advice = _TO_ENCODE if str(error).startswith(_BAD_TARGET) else ""
    return HTTPError(400, f"This is not HTTP/1.1: {truncate(error)}.{advice}")


def _other_coding() -> HTTPError:
    return HTTPError(501, "The only Transfer-Encoding here is chunked, alone and once: send the body plain.")
