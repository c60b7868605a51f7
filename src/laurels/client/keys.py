"""The key, or the token, that a client shows: text, or a function that is called for another one once it is refused."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias

from laurels.client.errors import KeyUnusable
from laurels.limits import CREDENTIAL_CHARACTERS

Key: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A key, a token, or a function that returns one. It may be a coroutine function; another runs in a thread."""

_FORM = re.compile(r"[A-Za-z0-9._~+/-]+=*")


def is_key_form(text: str) -> bool:
    """Return whether a text may be a key or a token."""
    return len(text) <= CREDENTIAL_CHARACTERS and _FORM.fullmatch(text) is not None


class ShownKey:
    """What is shown to a service. A function is called at the first request, and when the service refuses what it gave.

    Requests that are refused at the same time call it once.
    """

    def __init__(self, key: Key | None) -> None:
        self._source = key if callable(key) else None
        self._lock = asyncio.Lock()
        self.text: str | None = None if callable(key) or key is None else _checked(key)
        """What was shown last, None before the first request or if nothing is."""

    async def find(self) -> str | None:
        """Return what to show, None for nothing; raise KeyUnusable."""
        if self.text is None and self._source is not None:
            await self.renew(None)
        return self.text

    async def renew(self, refused: str | None) -> bool:
        """Have another one made for one that is refused; return whether there is another now."""
        if self._source is None:
            return False
        async with self._lock:
            if self.text == refused:
                self.text = _checked(await self._ask(self._source))
        return self.text != refused

    @staticmethod
    async def _ask(source: Callable[[], str | Awaitable[str]]) -> str:
        if asyncio.iscoroutinefunction(source):
            found: str | Awaitable[str] = source()
        else:
            found = await asyncio.to_thread(source)
        return await found if isawaitable(found) else found


def _checked(text: str) -> str:
    if not is_key_form(text):
        raise KeyUnusable("The key is none: it must be a key or a token, and nothing else.")
    return text
