"""Fetching the keys of an issuer of tokens, in a function: by urllib3, which Lambda's Python has."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from laurels.access.issuers import FETCH_HEADERS, FETCHED_BYTES
from laurels.errors import KeysUnreadable
from laurels.limits import format_size
from laurels.serverless.segments import subsegment
from laurels.tracing import trace_headers

FETCH_SECONDS = 4.0
"""From the connection to the last byte; the function must have time left to answer."""
TIMEOUT = urllib3.Timeout(connect=2, read=FETCH_SECONDS)


async def fetch(url: str) -> bytes:
    """Return what is at a URL; raise KeysUnreadable, with the reason, if it cannot be fetched.

    Redirects are not followed. The wait is in a thread, so that it ends in time whatever the issuer sends.
    """
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            return await asyncio.to_thread(_get, url)
    except TimeoutError:
        raise KeysUnreadable(f"no answer within {FETCH_SECONDS:g} seconds") from None


def _get(url: str) -> bytes:
    try:
        with subsegment(urlsplit(url).hostname or "issuer", namespace="remote"), urllib3.PoolManager() as pool:
            answer = pool.request(
                "GET",
                url,
                headers=FETCH_HEADERS | trace_headers(),
                timeout=TIMEOUT,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = bytes(answer.read(FETCHED_BYTES + 1, decode_content=False))
            answer.close()
    except HTTPError as error:
        raise KeysUnreadable(str(error).rstrip(".") or type(error).__name__) from error
    if answer.status != 200:  # noqa: PLR2004 - OK
        raise KeysUnreadable(f"it answered {answer.status}")
    if len(content) > FETCHED_BYTES:
        raise KeysUnreadable(f"its answer is longer than {format_size(FETCHED_BYTES)}")
    return content
