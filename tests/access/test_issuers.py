"""The keys of issuers at a URL: a real one on loopback, well and unwell."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from laurels.access.issuers import REFRESH_SECONDS, RETRY_SECONDS, IssuerKeys
from laurels.access.principal import Principal
from laurels.errors import BadCredential, IssuerUnreachable, KeysUnreadable
from tests.access.issuing import FOREIGN, JWKS, NOW, LocalIssuer, issuer, issuing, key_set, signed, tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from laurels.access.tokens import Tokens

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the service does."""
    return "asyncio"


class Ticking:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.time


class Scripted:
    """An issuer whose keys, or what is wrong, are set; each fetch waits until it may go on."""

    def __init__(self, *names: str) -> None:
        self.answer: bytes | str = key_set(*names)
        self.fetches = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, url: str) -> bytes:
        """Return the keys; raise KeysUnreadable if it is unwell."""
        assert url == JWKS
        self.fetches += 1
        await self.may_answer.wait()
        if isinstance(self.answer, str):
            raise KeysUnreadable(self.answer)
        return self.answer


@pytest.fixture
def clock() -> Ticking:
    """Return a clock."""
    return Ticking()


def trusting(fetch: Callable[[str], Awaitable[bytes]] | None, clock: Ticking, jwks: str = JWKS) -> Tokens:
    """Return what verifies tokens of an issuer with its keys at a URL."""
    return tokens(issuer(jwks=jwks, keys=()), fetch=fetch, clock=clock)


async def whose(trusted: Tokens, name: str = "RS256", kid: str | None = None) -> str:
    """Return the name of a token that is signed by this key."""
    found = trusted.verify(signed(FOREIGN, name, {"kid": kid or name}).decode(), NOW)
    return (found if isinstance(found, Principal) else await found).name


@pytest.fixture
def local() -> Iterator[LocalIssuer]:
    """Run an issuer."""
    with issuing("RS256") as service:
        yield service


async def test_start(local: LocalIssuer, clock: Ticking) -> None:
    """Keys are fetched before the first token needs them, and not again for those that follow."""
    trusted = trusting(None, clock, local.url())
    await trusted.fetch_keys()
    assert isinstance(trusted.verify(signed(FOREIGN, "RS256").decode(), NOW), Principal)
    assert (local.asked, trusted.warnings()) == (["/keys"], [])


async def test_rotation(local: LocalIssuer, clock: Ticking) -> None:
    """A token of an unknown key has the keys fetched; what the issuer has no more is refused from then on."""
    trusted = trusting(None, clock, local.url())
    assert await whose(trusted) == "v"
    local.names = ("ES256", "EdDSA")
    clock.time += RETRY_SECONDS
    assert await whose(trusted) == "v"
    assert await whose(trusted, "EdDSA") == "v"
    assert await whose(trusted, "ES256") == "v"
    with pytest.raises(BadCredential):
        await whose(trusted)
    assert local.asked == ["/keys", "/keys"]


async def test_redirect_within_the_host(local: LocalIssuer, clock: Ticking) -> None:
    """A redirect to another path of the same host is followed."""
    assert await whose(trusting(None, clock, local.url("/moved"))) == "v"
    assert local.asked == ["/moved", "/keys"]


UNWELL = {
    "/away": "redirects to another host",
    "/circle": "redirects more than 3 times",
    "/broken": "answered 500",
    "/html": "no JSON Web Key Set",
    "/nested": "no JSON Web Key Set",
    "/empty": "none of the keys",
    "/secret": "none of the keys",
    "/many": "more than 100 keys",
    "/huge": "longer than 256 KiB",
    "/encoded": "encoded",
}


@pytest.mark.parametrize(("path", "problem"), UNWELL.items(), ids=UNWELL)
async def test_unwell(
    local: LocalIssuer, clock: Ticking, caplog: pytest.LogCaptureFixture, path: str, problem: str
) -> None:
    """An issuer whose answer is no set of keys is as one that is down: a 503 that says when to try again."""
    trusted = trusting(None, clock, local.url(path))
    with caplog.at_level(logging.WARNING), pytest.raises(IssuerUnreachable) as unreachable:
        await whose(trusted)
    assert unreachable.value.retry_after == RETRY_SECONDS
    assert problem in caplog.text
    assert "/keys" not in local.asked
    (warning,) = trusted.warnings()
    assert problem in warning


async def test_down(clock: Ticking) -> None:
    """An issuer that is not there is a 503."""
    with issuing("RS256") as gone:
        url = gone.url()
    for each in (url, f"{url}/\1"):  # which is no URL
        with pytest.raises(IssuerUnreachable):
            await whose(trusting(None, clock, each))


async def test_slow(local: LocalIssuer, clock: Ticking, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that does not answer in time is as one that is down."""
    monkeypatch.setattr("laurels.access.fetching.FETCH_SECONDS", 0.05)
    with pytest.raises(IssuerUnreachable):
        await whose(trusting(None, clock, local.url("/slow")))
    local.released.set()


async def test_outage(clock: Ticking) -> None:
    """While the issuer is down its known keys are good, and unknown ones are a 503; afterwards all is as before."""
    fetch = Scripted("RS256")
    trusted = trusting(fetch, clock)
    assert await whose(trusted) == "v"
    fetch.answer = "it is down"
    clock.time += RETRY_SECONDS
    with pytest.raises(IssuerUnreachable):
        await whose(trusted, "ES256")
    assert await whose(trusted) == "v"
    fetch.answer = key_set("ES256")
    clock.time += 20
    with pytest.raises(IssuerUnreachable) as unreachable:
        await whose(trusted, "ES256")
    assert unreachable.value.retry_after == RETRY_SECONDS - 20
    clock.time += RETRY_SECONDS - 20
    assert await whose(trusted, "ES256") == "v"
    assert (fetch.fetches, trusted.warnings()) == (3, [])


async def test_unknown_keys_are_no_way_to_have_many_fetches(clock: Ticking) -> None:
    """Whoever makes up keys gets one fetch a minute, and a 401 for each; others do not wait for that fetch."""
    fetch = Scripted("RS256")
    trusted = trusting(fetch, clock)
    await trusted.fetch_keys()
    clock.time += RETRY_SECONDS
    fetch.may_answer.clear()
    attacks = [asyncio.create_task(whose(trusted, "RS256-2", f"made up {number}")) for number in range(50)]
    await asyncio.sleep(0)
    assert isinstance(trusted.verify(signed(FOREIGN, "RS256").decode(), NOW), Principal)
    fetch.may_answer.set()
    refused = await asyncio.gather(*attacks, return_exceptions=True)
    assert {type(each) for each in refused} == {BadCredential}
    with pytest.raises(BadCredential):
        await whose(trusted, "RS256-2", "made up")
    assert fetch.fetches == 2


async def test_no_fetch_for_what_no_key_could_have_signed(clock: Ticking) -> None:
    """A token of another algorithm, or of no known issuer, asks nobody."""
    fetch = Scripted("RS256")
    trusted = trusting(fetch, clock)
    for head, claims in (({"alg": "none"}, {}), ({"alg": "HS256"}, {}), ({}, {"iss": "https://evil.example/"})):
        with pytest.raises(BadCredential):
            trusted.verify(signed(FOREIGN | claims, "RS256", head).decode(), NOW)
    assert fetch.fetches == 0


async def test_who_leaves_does_not_end_the_fetch(clock: Ticking) -> None:
    """A client that goes away takes no key from those that wait for the same."""
    fetch = Scripted("RS256")
    fetch.may_answer.clear()
    trusted = trusting(fetch, clock)
    leaving, waiting = (asyncio.create_task(whose(trusted)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    fetch.may_answer.set()
    assert await waiting == "v"
    assert leaving.cancelled()


async def test_old_keys_are_fetched_again(clock: Ticking) -> None:
    """A key that the issuer has withdrawn is not good for ever, though no token asks for another one."""
    fetch = Scripted("RS256")
    trusted = trusting(fetch, clock)
    assert await whose(trusted) == "v"
    fetch.answer = key_set("ES256")
    clock.time += REFRESH_SECONDS
    assert await whose(trusted) == "v"  # which does not wait
    assert await whose(trusted, "ES256") == "v"
    with pytest.raises(BadCredential):
        await whose(trusted)
    assert fetch.fetches == 2


async def test_keys_are_taken_over(clock: Ticking) -> None:
    """When the access file is read again, known keys stay, and with them when the issuer was asked."""
    fetch = Scripted("RS256")
    before = trusting(fetch, clock)
    assert await whose(before) == "v"
    fetch.answer = "it is down"
    after = tokens(issuer(jwks=JWKS, keys=(), audience=["other", "game"]), fetch=fetch, before=before, clock=clock)
    assert await whose(after) == "v"
    elsewhere = tokens(issuer(jwks=f"{JWKS}?2", keys=()), fetch=fetch, before=before, clock=clock)
    with pytest.raises(AssertionError):
        await whose(elsewhere)
    assert fetch.fetches == 1


async def test_keys_that_are_passed_over(clock: Ticking) -> None:
    """A set may have keys that are not understood, or are secrets: the others count."""
    fetch = Scripted()
    fetch.answer = b'{"keys":[7,{},{"kty":"oct","kid":"RS256","k":"eHh4"},{"kty":"x"},' + key_set("RS256")[10:]
    assert await whose(trusting(fetch, clock)) == "v"


@pytest.mark.parametrize(
    "url", ["https://issuer.example/", "http://localhost:1/", "http://127.0.0.1:1/", "http://[::1]/"]
)
def test_urls_of_keys(url: str) -> None:
    """Keys come over TLS, or from this machine."""
    assert IssuerKeys(issuer(jwks=url, keys=())).url == url
