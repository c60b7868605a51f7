"""Rate limits: of addresses, keys and players, and what who is over one is told."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from laurels.access.file import AccessFile
from laurels.access.keys import digest_key, make_key
from laurels.access.principal import Principal
from laurels.errors import TooManyRequests
from laurels.http.operations import OPERATIONS, STANDING, SUBMIT
from laurels.http.rate_limits import RateLimiter
from tests.asking import ask, connected, read_replies
from tests.conftest import started
from tests.http.conftest import ASGI

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server

BATCH = next(each for each in OPERATIONS if each.name == "submit_many")
SLOW = {"requests": "4/h", "submits": "2/h", "burst": 2}
FILE = msgspec.convert(
    {
        "public": {"limits": {"requests": "2/s", "burst": 3}},
        "keys": {
            "slow": {"sha256": "0" * 64, "limits": SLOW},
            "free": {"sha256": "1" * 64},
        },
        "players": {"limits": {"submits": "1/m"}},
    },
    AccessFile,
)
KEY, PLAYER = Principal(kind="key", name="slow"), Principal(kind="player", name="slow")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands."""
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    """Return the limits of the file."""
    return RateLimiter(FILE, 1000, now=clock)


def let_in(ask_once: Callable[[], object]) -> int:
    """Return how often one may ask, at once."""
    for times in range(1000):
        try:
            ask_once()
        except TooManyRequests:
            return times
    raise AssertionError("There is no limit.")


def test_one_address(limiter: RateLimiter, clock: Clock) -> None:
    """An address may ask as often as the burst says, then as the rate does."""
    assert let_in(lambda: limiter.limit_address("203.0.113.7", STANDING)) == 3
    clock.now += 1
    assert let_in(lambda: limiter.limit_address("203.0.113.7", STANDING)) == 2
    assert let_in(lambda: limiter.limit_address("203.0.113.8", STANDING)) == 3


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", "2001:db8:0:2::1"),
        ("::ffff:203.0.113.7", "203.0.113.7", "::ffff:203.0.113.8"),
        ("fe80::1%eth0", "fe80::2", "fe81::1"),
        ("203.0.113.7:55555", "203.0.113.7", "203.0.113.8"),
        ("", "no address", "203.0.113.7"),
    ],
    ids=["network of IPv6", "IPv4 written as IPv6", "zone", "port", "unknown"],
)
def test_addresses_that_are_one(limiter: RateLimiter, address: str, same: str, other: str) -> None:
    """Who has one of these addresses has the other."""
    assert let_in(lambda: limiter.limit_address(address, STANDING)) == 3
    assert let_in(lambda: limiter.limit_address(same, STANDING)) == 0
    assert let_in(lambda: limiter.limit_address(other, STANDING)) == 3


def test_check_counts_nothing(limiter: RateLimiter) -> None:
    """An address is checked without being counted."""
    for _ in range(10):
        limiter.check_address("203.0.113.7", STANDING)
    assert let_in(lambda: limiter.limit_address("203.0.113.7", STANDING)) == 3
    with pytest.raises(TooManyRequests):
        limiter.check_address("203.0.113.7", STANDING)


def test_submits_are_requests_too(limiter: RateLimiter, clock: Clock) -> None:
    """A submit, or a batch, counts as one of each; a request that is refused as a submit counts as none."""
    limiter.limit_principal(KEY, SUBMIT)
    clock.now += 900
    limiter.limit_principal(KEY, BATCH)
    with pytest.raises(TooManyRequests, match="too many submits"):
        limiter.limit_principal(KEY, SUBMIT)
    assert let_in(lambda: limiter.limit_principal(KEY, STANDING)) == 1


def test_players_and_keys_of_one_name(limiter: RateLimiter) -> None:
    """A player is not a key; who has no limits is not counted."""
    assert let_in(lambda: limiter.limit_principal(KEY, STANDING)) == 2
    assert let_in(lambda: limiter.limit_principal(PLAYER, SUBMIT)) == 1
    for principal in (PLAYER, Principal(kind="key", name="free"), Principal(kind="key", name="revoked")):
        for _ in range(100):
            limiter.limit_principal(principal, STANDING)


def test_meters_outlast_the_file(limiter: RateLimiter) -> None:
    """Another file has other limits; what was used remains used."""
    assert let_in(lambda: limiter.limit_address("203.0.113.7", STANDING)) == 3
    assert let_in(lambda: limiter.limit_principal(KEY, STANDING)) == 2
    limiter.replace(FILE)
    assert let_in(lambda: limiter.limit_address("203.0.113.7", STANDING)) == 0
    assert let_in(lambda: limiter.limit_principal(KEY, STANDING)) == 0
    limiter.replace(AccessFile())
    limiter.limit_address("203.0.113.7", STANDING)
    limiter.check_address("203.0.113.7", STANDING)
    limiter.limit_principal(KEY, STANDING)


def test_anonymous_tokens(limiter: RateLimiter) -> None:
    """An address may have few tokens made for new players."""
    assert let_in(lambda: limiter.limit_anonymous_tokens("203.0.113.7")) == 10
    assert let_in(lambda: limiter.limit_anonymous_tokens("203.0.113.8")) == 10


def test_what_is_told(limiter: RateLimiter) -> None:
    """Whoever is over a limit learns which, whose it is, and when to come again."""
    limiter.limit_principal(KEY, SUBMIT)
    limiter.limit_principal(KEY, SUBMIT)
    with pytest.raises(TooManyRequests) as refused:
        limiter.limit_principal(KEY, SUBMIT)
    assert str(refused.value) == (
        "There are too many submits with the key 'slow': 2 an hour are allowed, 2 at once. Come again in 1,800 seconds."
    )
    assert refused.value.retry_after == 1800
    assert refused.value.policy == '"requests";q=2;w=1800, "submits";q=2;w=3600'
    assert refused.value.state == '"submits";r=0;t=1800'


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ("203.0.113.7", "from the address 203.0.113.7: 2 a second are allowed, 3 at once. Come again in 1 second."),
        ("2001:db8::1", "from the network 2001:db8::/64: "),
        ("", "from this address: "),
    ],
)
def test_whose_it_is(limiter: RateLimiter, client: str, words: str) -> None:
    """The address is named as it is metered."""
    let_in(lambda: limiter.limit_address(client, STANDING))
    with pytest.raises(TooManyRequests) as refused:
        limiter.limit_address(client, STANDING)
    assert words in str(refused.value)
    assert refused.value.retry_after == 1


GOOD, OTHER, WRONG = make_key(), make_key(), make_key()
ACCESS = f"""
[public]
scopes = ["read"]
limits = {{ requests = "5/h" }}
[keys.game]
sha256 = "{digest_key(GOOD)}"
scopes = ["read", "submit"]
limits = {{ submits = "3/h", burst = 3 }}
[keys.other]
sha256 = "{digest_key(OTHER)}"
scopes = ["read", "submit"]
"""
SERVE = """
import sys
from pathlib import Path
from laurels.assembly import serve
from laurels.settings import Settings
serve(Settings(port=0, data=Path(sys.argv[1]), access=Path(sys.argv[2]), trusted_proxies=tuple(sys.argv[3:])))
"""
WAYS = {"fast": "", "full": "X-Odd: 1\r\n"}


@pytest.fixture(params=["protocol", "asgi"])
def limited(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Start a service with limits, behind a proxy on this machine, over each adapter."""
    file = tmp_path / "access.toml"
    file.write_text(ACCESS)
    data, environment = str(tmp_path / "data"), os.environ | {"LAURELS_ACCESS": str(file)}
    command = [sys.executable, "-c", SERVE, data, str(file), "127.0.0.1"]
    if request.param == "asgi":
        command, environment = ASGI, environment | {"LAURELS_DATA": data, "LAURELS_TRUSTED_PROXY": "127.0.0.1"}
    with started(command, environment) as server:
        yield server


def statuses(server: Server, line: str, *headers: str, times: int = 1, way: str = "fast") -> list[int]:
    """Send a request several times over one connection, one after another."""
    found = []
    with connected(server) as connection:
        for _ in range(times):
            head = f"{line} HTTP/1.1\r\nHost: localhost\r\n{WAYS[way]}" + "".join(f"{each}\r\n" for each in headers)
            body = '{"score":1}' if line.startswith("POST") else ""
            length = f"Content-Length: {len(body)}\r\n" if body else ""
            connection.sendall(f"{head}{length}\r\n{body}".encode())
            found += [reply.status for reply in read_replies(connection, 1)]
            if found[-1] == 429 and body:
                break  # the connection is closed, because its body is not read
    return found


@pytest.mark.parametrize("way", WAYS)
def test_public_and_keys(limited: Server, way: str) -> None:
    """What shows nothing, or something bad, is limited by its address; what shows a key by the key alone."""
    game, other, wrong = (f"Authorization: Bearer {key}" for key in (GOOD, OTHER, WRONG))
    assert statuses(limited, "POST /b/v", game, times=5, way=way) == [202, 202, 202, 429]
    assert statuses(limited, "GET /b/v", way=way) == [200]
    assert statuses(limited, "GET /b/v", game, times=9, way=way) == [200] * 9
    assert statuses(limited, "GET /b/v", wrong, way=way) == [429]
    assert statuses(limited, "POST /b/v", other, times=2, way=way) == [202, 202]  # although it was not known yet


def test_bad_credentials_count(limited: Server) -> None:
    """They are of the address: other addresses have limits of their own, also behind a proxy."""
    wrong = f"Authorization: Bearer {WRONG}"
    one, two = "X-Forwarded-For: 203.0.113.7", "X-Forwarded-For: 203.0.113.8"
    assert statuses(limited, "GET /b/v", wrong, one) == [401]
    assert statuses(limited, "GET /b/v", one) == [429]
    assert statuses(limited, "GET /b/v", two) == [200]
    assert statuses(limited, "GET /b/v", two, way="full") == [429]
    assert statuses(limited, "GET /b/v") == [200]


def test_fields(limited: Server) -> None:
    """The answer says when to come again, and what the policy is."""
    ask(limited, "GET", "/b/v")
    refused = ask(limited, "GET", "/b/v")
    assert refused.status == 429
    assert refused.headers["retry-after"] == "720"
    assert refused.headers["ratelimit-policy"] == '"requests";q=1;w=720'
    assert refused.headers["ratelimit"] == '"requests";r=0;t=720'
    assert "Come again in 720 seconds" in refused.json["detail"]


def test_no_route_is_told_first(limited: Server) -> None:
    """Who asks for no route is told so, limit or not."""
    ask(limited, "GET", "/b/v")
    assert [ask(limited, "GET", path).status for path in ("/a/b/c", "/b/v")] == [404, 429]
