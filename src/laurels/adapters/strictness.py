"""Requests that are refused because two readers could understand them in two ways, although the parser takes them.

llhttp refuses two lengths, a length next to chunks, bare CR or LF and folded lines. It lets pass, and so they are
refused here: chunks under HTTP/1.0, any transfer coding besides chunks, versions other than 1.0 and 1.1, a Host that is
missing, given twice or no host, a target that is no path or has a fragment (which uvicorn would remove).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from laurels.errors import truncate
from laurels.http.hosts import read_authority
from laurels.http.problems import HTTPError

if TYPE_CHECKING:
    from httptools import HttpParserError

    from laurels.http.messages import Headers

CHUNKED = b"chunked"
_BAD_CODING = ("Invalid `Transfer-Encoding`", "Empty Transfer-Encoding")
"""What llhttp says of a header line that it refuses before the head is complete."""
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)/?(.*)", re.IGNORECASE | re.DOTALL)
_BAD_TARGET = ("Expected HTTP/", "Invalid char in url", "Unexpected start char in url")
"""What it says of a target with a space, and of one with another byte that no target has."""
_TO_ENCODE = " In a target a space is written %20, and what is not ASCII by its bytes in UTF-8: é is %C3%A9."


def split_target(target: bytes) -> tuple[bytes, bytes | None]:
    """Return a target without its scheme and authority, and the authority; None if it has none."""
    found = None if target.startswith(b"/") else _ABSOLUTE.fullmatch(target)
    return (target, None) if found is None else (b"/" + found[2], found[1])


def find_fault(version: str, target: bytes, authority: bytes | None, headers: Headers) -> HTTPError | None:
    """Return why a request with this head is refused, None if it is not; ``authority`` is that of its target."""
    host, coding = headers.get(b"host"), headers.get(b"transfer-encoding", CHUNKED)
    is_path = target.startswith(b"/") and b"#" not in target
    is_host = _is_host(host) and _is_host(authority)
    if is_path and is_host and coding == CHUNKED and version == "1.1" and host is not None:
        return None
    if version not in {"1.0", "1.1"}:
        return HTTPError(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    if version == "1.0" and b"transfer-encoding" in headers:
        return HTTPError(400, "HTTP/1.0 has no Transfer-Encoding: send a Content-Length.")
    if coding.rstrip(b" ").lower() != CHUNKED:  # llhttp takes no other space
        return _other_coding()
    if not is_host or (host is None and version == "1.1"):
        return HTTPError(400, "A request has exactly one Host header: a name or an address, and a port if it has one.")
    return None if is_path else HTTPError(400, "The target is no path, or has a fragment: write # in a name as %23.")


def _is_host(text: bytes | None) -> bool:
    return not text or read_authority(text) is not None


def describe_error(error: HttpParserError) -> HTTPError:
    """Return what is wrong with bytes that the parser does not take."""
    if str(error).startswith(_BAD_CODING):
        return _other_coding()
    advice = _TO_ENCODE if str(error).startswith(_BAD_TARGET) else ""
    return HTTPError(400, f"This is not HTTP/1.1: {truncate(error)}.{advice}")


def _other_coding() -> HTTPError:
    return HTTPError(501, "The only Transfer-Encoding here is chunked, alone and once: send the body plain.")
