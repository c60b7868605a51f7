"""The kinds of Momento's keys, as the store reads them."""

from __future__ import annotations

import base64
import traceback

import pytest

from laurels.errors import KeyRefused
from laurels.momento_local.keys import Keys
from laurels.stores.momento.connection import FixedKey, read_credentials

KEYS = Keys(b"secret" * 6, lambda: 0)
V2 = KEYS.owner()
LEGACY = KEYS.legacy("cell.momentohq.com")
V1 = KEYS.v1("cell.momentohq.com")


@pytest.mark.parametrize(
    ("key", "endpoint", "cache"),
    [
        (V2, "cell.momentohq.com", "cache.cell.momentohq.com"),
        (V1, None, "cache.cell.momentohq.com"),
        (V1, "another.momentohq.com", "cache.cell.momentohq.com"),
        (LEGACY, None, "cell.momentohq.com"),
        (f"  {V2}\n", "cell.momentohq.com", "cache.cell.momentohq.com"),
    ],
    ids=["v2", "v1", "v1 has its own endpoint", "legacy", "v2 with blanks around it"],
)
def test_kinds(key: str, endpoint: str | None, cache: str) -> None:
    """A key leads to its endpoint, over TLS."""
    found = read_credentials(key, endpoint)
    assert (found.cache_endpoint, found.port) == (cache, 443)
    assert found.auth_token == (key.strip() if key != V1 else base64_api_key(V1))


def base64_api_key(key: str) -> str:
    """Return the API key inside a v1 key."""
    return base64.b64decode(key).decode().partition('"api_key":"')[2].rstrip('"}')


@pytest.mark.parametrize("key", [V1, V2, LEGACY, ""], ids=["v1", "v2", "legacy", "none"])
def test_local_server(key: str) -> None:
    """With http:// any key, and none, leads to that server without TLS."""
    found = read_credentials(key, "http://127.0.0.1:8080")
    assert (found.cache_endpoint, found.control_endpoint, found.port) == ("127.0.0.1", "127.0.0.1", 8080)


def test_local_server_of_ipv6() -> None:
    """An endpoint is read as `laurels momento-local --host ::1` tells it."""
    found = read_credentials(V2, "http://[::1]:8080")
    assert (found.cache_endpoint, found.port) == ("[::1]", 8080)


@pytest.mark.parametrize(
    ("key", "endpoint", "problem"),
    [
        (V2, None, "needs its endpoint beside it"),
        (V2, "", "needs its endpoint beside it"),
        ("", None, "there is none: MOMENTO_API_KEY"),
        ("secret-nonsense", "cell.momentohq.com", "it cannot be read"),
        (base64.b64encode(b"secret-nonsense").decode(), None, "it cannot be read"),
        (base64.b64encode(b'{"secret": "nonsense"}').decode(), None, "it cannot be read"),
        (base64.b64encode(b'["secret-nonsense"]').decode(), None, "it cannot be read"),
        (base64.b64encode(b"\xffsecret-nonsense").decode(), None, "it cannot be read"),
        ("secret-nonsense", "http://127.0.0.1:8080", "it cannot be read"),
        (V2, "https://cell.momentohq.com", "endpoint 'https://cell.momentohq.com' is neither"),
        (V2, "http://localhost", "endpoint 'http://localhost' is neither"),
        ("", "http://localhost:65536", "endpoint 'http://localhost:65536' is neither"),
        ("sécret-nonsense", None, "characters that no key has"),
        ("secret\nnonsense", None, "characters that no key has"),
    ],
    ids=[
        *("v2 alone", "v2 at nothing", "none", "text", "base64", "JSON", "list", "no UTF-8", "local"),
        *("https", "no port", "no such port", "accent", "lines"),
    ],
)
def test_no_key(key: str, endpoint: str | None, problem: str) -> None:
    """What is no key is refused, and nothing of it is in the error."""
    with pytest.raises(KeyRefused, match=problem) as caught:
        read_credentials(key, endpoint)
    assert "nonsense" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.anyio
async def test_fixed_key() -> None:
    """A fixed key is the same before a refusal and after."""
    key = FixedKey("k")
    assert (await key.current(), await key.refused("k"), await key.current()) == ("k", "k", "k")
    assert "k'" not in repr(key)
