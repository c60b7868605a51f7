"""Which hosts a service answers to, and what a host is."""

from __future__ import annotations

import pytest

from laurels.errors import BadHost
from laurels.http import Request
from laurels.http.hosts import LOCALHOST, AllowedHosts, is_loopback, read_authority
from laurels.http.problems import HTTPError

PASS = [
    *("localhost", "localhost:80", "LocalHost:8000", "localhost.", "localhost.:1", "localhost:", "", "127.0.0.1"),
    *("127.0.0.1:8000", "127.255.1.9", "127.0.0.1.", "[::1]", "[::1]:8000", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]"),
    *("[::FFFF:7f00:1]", "Boards.example", "boards.example.:99", "[2001:db8::1]:8000", "[2001:DB8:0::1]"),
]
REFUSED = [
    *("evil.example", "localhost.evil.example", "evil.example:8000", "localhost..", ".", "a.localhost", "127.1"),
    *("[::]", "[::2]", "[::ffff:10.0.0.1]", "127.0.0.1.evil.example", "128.0.0.1", "2130706433", "0x7f000001", "::1"),
    *("[::1", "[1:2]", "localhost@evil.example", "evil@localhost", "localhost, evil.example", "localhost:80:80"),
    *(
        "localhost:x",
        "local host",
        "localhost:800000",
        "%6cocalhost",
        "*",
        "http://localhost",
        "localhost/",
        "localhost\x00",
        "é",
    ),
    *("a" * 256, "0.0.0.0"),  # noqa: S104 - a name in a request, which nobody listens on
]


def answers_to(hosts: AllowedHosts, host: str) -> bool:
    """Return whether a request with this Host is let in."""
    try:
        hosts(Request("GET", b"/", b"", {b"host": host.encode()}), None)
    except HTTPError as error:
        return error.status != 421
    return True


@pytest.mark.parametrize(("host", "passes"), [*((each, True) for each in PASS), *((each, False) for each in REFUSED)])
def test_hosts_that_are_answered_to(host: str, passes: bool) -> None:  # noqa: FBT001
    """This machine's own names and addresses pass, and those that are allowed, on any port; nothing else does."""
    assert answers_to(AllowedHosts([LOCALHOST, "boards.EXAMPLE.", "2001:db8::1"]), host) is passes


def test_request_without_a_host() -> None:
    """What names no host passes: no browser sends that."""
    AllowedHosts([LOCALHOST])(Request("GET", b"/", b"", {}), None)


def test_listed_hosts_alone() -> None:
    """Without localhost among them, this machine's names are not answered to; an asterisk is any host."""
    assert answers_to(AllowedHosts(["boards.example"]), "boards.example:8000")
    assert not answers_to(AllowedHosts(["boards.example"]), "localhost")
    assert answers_to(AllowedHosts(["*"]), "evil.example")


@pytest.mark.parametrize(
    "name", ["", "a b", "http://a", "a/b", "a:80", "[::1]:80", "[::1", ".example", "*.example", "é.example", "a,b", "."]
)
def test_names_that_no_request_can_have(name: str) -> None:
    """A setting that could never match is refused, with what it should be."""
    with pytest.raises(BadHost, match=r"is no host: it must be"):
        AllowedHosts([name])


def test_authority_is_compared_by_its_parts() -> None:
    """Case, a dot at the end and the spelling of an address make no difference."""
    assert read_authority(b"A.example.:080") == read_authority(b"a.EXAMPLE:80") == ("a.example", 80)
    assert read_authority(b"[0::1]") == ("[::1]", None)


@pytest.mark.parametrize(("name", "expected"), [("::1", True), ("::ffff:127.0.0.9", True), ("::", False), ("", False)])
def test_addresses_of_this_machine(name: str, *, expected: bool) -> None:
    """An address without brackets, as one listens on, is known as well."""
    assert is_loopback(name) is expected
