"""Fetching the keys of an issuer, over HTTP."""

from __future__ import annotations

import asyncio
import logging
from functools import cache

import httpx

from laurels.access.issuers import FETCH_HEADERS, FETCHED_BYTES
from laurels.errors import KeysUnreadable
from laurels.limits import format_size
from laurels.tracing import trace_headers

FETCH_SECONDS = 5.0
"""From the connection to the last byte."""
REDIRECTS = 3
_trust = cache(httpx.create_ssl_context)

logging.getLogger("httpx").setLevel(logging.WARNING)  # it would tell of each request


async def fetch(url: str) -> bytes:
    """Return what is at a URL; raise KeysUnreadable, with the reason, if it cannot be fetched.

    Redirects are followed within the URL's host. The proxies and certificates of the environment are respected.
    """
    try:
        place = httpx.URL(url)
        is_secure = place.scheme == "https"
        trust = await asyncio.to_thread(_trust) if is_secure else False  # it takes some milliseconds to read
        async with (
            asyncio.timeout(FETCH_SECONDS),
            httpx.AsyncClient(
                headers=FETCH_HEADERS | trace_headers(), timeout=FETCH_SECONDS, verify=trust, trust_env=is_secure
            ) as client,
        ):
            for _ in range(REDIRECTS + 1):
                async with client.stream("GET", place) as response:
                    if not response.has_redirect_location:
                        return await _receive(response)
                    place = _follow(place, response.headers["location"])
            raise KeysUnreadable(f"it redirects more than {REDIRECTS} times")
    except (TimeoutError, httpx.TimeoutException):
        raise KeysUnreadable(f"no answer within {FETCH_SECONDS:g} seconds") from None
    except (httpx.TransportError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:  # the last: of proxies
        raise KeysUnreadable(str(error).rstrip(".") or type(error).__name__) from error


def _follow(place: httpx.URL, location: str) -> httpx.URL:
    found = place.join(location)
    if (found.scheme, found.host, found.port) != (place.scheme, place.host, place.port):
        raise KeysUnreadable("it redirects to another host")
    return found


async def _receive(response: httpx.Response) -> bytes:
    if response.status_code != httpx.codes.OK:
        raise KeysUnreadable(f"it answered {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise KeysUnreadable("its answer is encoded, which was not asked for")
    content = bytearray()
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > FETCHED_BYTES:
            raise KeysUnreadable(f"its answer is longer than {format_size(FETCHED_BYTES)}")
    return bytes(content)
