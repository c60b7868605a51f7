"""What proxies say of a request's client, and which of it is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.errors import BadProxy
from laurels.http import Request
from laurels.http.messages import add_header
from laurels.http.proxies import TrustedProxies

TRUSTED = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"]
FOR, PROTO, HOST, PREFIX = "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Prefix"
FORWARDED = "Forwarded"
PEER = "127.0.0.1"


def seen(*lines: tuple[str, str], peer: str = PEER, trusted: list[str] = TRUSTED) -> tuple[str, str, str, str]:
    """Return client, scheme, host and prefix of a request with these headers, as the service sees them."""
    request = Request("GET", b"/", b"", {b"host": b"inner"}, client=peer)
    for name, value in lines:
        add_header(request.headers, name.lower().encode(), value.encode("latin-1"))
    TrustedProxies(trusted)(request)
    return request.client, request.scheme, request.host.decode(), request.prefix


@pytest.mark.parametrize(
    ("sent", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7, 10.1.2.3", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7, 10.1.2.3,127.0.0.1", "203.0.113.7"),
        ("1.1.1.1, 203.0.113.7", "203.0.113.7"),
        ("10.1.2.3, 10.4.5.6", "10.1.2.3"),
        ("203.0.113.7:4711", "203.0.113.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("203.0.113.7, ::ffff:10.1.2.3", "203.0.113.7"),
        ("203.0.113.7, fd00::9", "203.0.113.7"),
        ("203.0.113.7, unknown", PEER),
        ("203.0.113.7, unknown, 10.1.2.3", "10.1.2.3"),
        ("", PEER),
        (",", PEER),
        ("203.0.113.7,", PEER),
        ("256.1.1.1", PEER),
        ("1.2.3", PEER),
        ("[::1", PEER),
        ("é", PEER),
        ("1" * 5000, PEER),
        ("1.1.1.1, " * 5000 + "203.0.113.7", "203.0.113.7"),
        ("1.1.1.1, " + "10.0.0.1, " * 99 + "10.0.0.2", "10.0.0.1"),
    ],
)
def test_client(sent: str, client: str) -> None:
    """The client is the rightmost address that is no trusted proxy's; what is no address ends the list."""
    assert seen((FOR, sent))[0] == client


@pytest.mark.parametrize(
    ("peer", "trusted", "client"),
    [
        ("203.0.113.1", TRUSTED, "203.0.113.1"),
        ("::ffff:127.0.0.1", TRUSTED, "203.0.113.7"),
        ("fd00::1", TRUSTED, "203.0.113.7"),
        ("", TRUSTED, ""),
        ("", ["*"], "203.0.113.7"),
        ("192.0.2.1", ["*"], "203.0.113.7"),
        ("192.0.2.1", ["*", "203.0.113.0/24"], "1.1.1.1"),
        ("testclient", ["127.0.0.1"], "testclient"),
    ],
)
def test_peer(peer: str, trusted: list[str], client: str) -> None:
    """Only a trusted peer is believed; any (``*``) says which address it was asked from, and no further one."""
    assert seen((FOR, "1.1.1.1, 203.0.113.7"), peer=peer, trusted=trusted)[0] == client


def test_nothing_of_others_is_believed() -> None:
    """Who is not trusted changes nothing."""
    lines = [(FOR, "1.1.1.1"), (PROTO, "https"), (HOST, "evil"), (PREFIX, "/x"), (FORWARDED, "for=1.1.1.1")]
    assert seen(*lines, peer="203.0.113.1") == ("203.0.113.1", "http", "inner", "")


@pytest.mark.parametrize(
    ("lines", "scheme", "host"),
    [
        ([(PROTO, "https"), (HOST, "boards.example:8443")], "https", "boards.example:8443"),
        ([(PROTO, "HTTPS")], "https", "inner"),
        ([(PROTO, "http, https")], "https", "inner"),
        ([(PROTO, "http"), (PROTO, "https")], "https", "inner"),
        ([(FOR, "1.1.1.1, 203.0.113.7, 10.0.0.1"), (PROTO, "ftp, https, http"), (HOST, "a, b, c")], "https", "b"),
        ([(FOR, "203.0.113.7, 10.0.0.1"), (PROTO, "https"), (HOST, "a")], "https", "a"),
        ([(PROTO, "gopher"), (HOST, "a/b")], "http", "inner"),
        ([(PROTO, ""), (HOST, "")], "http", "inner"),
        ([(HOST, "[::1]:80")], "http", "[::1]:80"),
        ([(HOST, "<script>")], "http", "inner"),
        ([(HOST, "é")], "http", "inner"),
    ],
)
def test_scheme_and_host(lines: list[tuple[str, str]], scheme: str, host: str) -> None:
    """They are what the client asked the outermost trusted proxy for; what is none is passed over."""
    assert seen(*lines)[1:3] == (scheme, host)


@pytest.mark.parametrize(
    ("sent", "prefix"),
    [
        ("/lb", "/lb"),
        ("/lb/", "/lb"),
        ("/", ""),
        ("/games/lb", "/games/lb"),
        ("/cr%c3%a9e", "/cr%C3%A9e"),
        ("/a'b", "/a%27b"),
        ("/outer, /inner", "/inner"),
        ("lb", ""),
        ("//evil.example", ""),
        ("/%2Fevil.example", "/%2Fevil.example"),
        ("/a%2fb/c", "/a%2Fb/c"),
        ("/lb?x", ""),
        ("/l b", ""),
        ("https://evil.example", ""),
        ("", ""),
    ],
)
def test_prefix(sent: str, prefix: str) -> None:
    """A prefix is a path, from the nearest proxy if no others are known; links may be made with it as it is."""
    assert seen((PREFIX, sent))[3] == prefix


def test_prefixes_of_several_proxies() -> None:
    """What one proxy after another took off is put together."""
    assert seen((FOR, "203.0.113.7, 10.0.0.1"), (PREFIX, "/outer/, /inner"))[3] == "/outer/inner"


@pytest.mark.parametrize(
    ("sent", "facts"),
    [
        ("for=203.0.113.7;proto=https;host=boards.example", ("203.0.113.7", "https", "boards.example")),
        ('For="[2001:db8::1]:4711" ; Proto=https', ("2001:db8::1", "https", "inner")),
        ("for=[2001:db8::1]", ("2001:db8::1", "http", "inner")),
        ('host="boards.example:8443";for=203.0.113.7', ("203.0.113.7", "http", "boards.example:8443")),
        ("for=1.1.1.1;host=evil, for=203.0.113.7;host=a, for=10.0.0.1;host=b", ("203.0.113.7", "http", "a")),
        ("for=203.0.113.7, for=10.0.0.1;proto=https;host=b", ("203.0.113.7", "https", "b")),
        ("for=1.1.1.1;proto=http, for=_hidden;proto=https;host=a", (PEER, "https", "a")),
        ("for=unknown", (PEER, "http", "inner")),
        ('for="203.0.113\\.7"', ("203.0.113.7", "http", "inner")),
        ("by=1.1.1.1;for=203.0.113.7,", ("203.0.113.7", "http", "inner")),
        ("proto=https;;", (PEER, "https", "inner")),
        ('for="203.0.113.7', (PEER, "http", "inner")),
        ("for", (PEER, "http", "inner")),
        ("for=203.0.113.7 proto=https", (PEER, "http", "inner")),
        ("=;for=203.0.113.7", (PEER, "http", "inner")),
        ("", (PEER, "http", "inner")),
        ("for=203.0.113.7," + "a=b," * 5000, (PEER, "http", "inner")),
    ],
)
def test_forwarded(sent: str, facts: tuple[str, str, str]) -> None:
    """The header of RFC 7239 is read in the same way; a malformed one says nothing."""
    assert seen((FORWARDED, sent))[:3] == facts


@pytest.mark.parametrize(
    ("lines", "facts"),
    [
        ([(FOR, "203.0.113.7"), (FORWARDED, "for=1.1.1.1;proto=https;host=evil")], (PEER, "http", "inner")),
        ([(FORWARDED, "for=203.0.113.7;proto=https"), (FOR, "1.1.1.1"), (HOST, "evil")], (PEER, "http", "inner")),
        ([(FORWARDED, "for=203.0.113.7;proto=https"), (HOST, "evil")], (PEER, "http", "inner")),
        ([(FORWARDED, 'for=203.0.113.7"'), (FOR, "1.1.1.1")], (PEER, "http", "inner")),
        ([(FOR, "unknown"), (FORWARDED, "for=1.1.1.1")], (PEER, "http", "inner")),
        (
            [(FORWARDED, "for=203.0.113.7;proto=https"), (FOR, "203.0.113.7"), (PROTO, "http")],
            ("203.0.113.7", "http", "inner"),
        ),
    ],
)
def test_both_kinds(lines: list[tuple[str, str]], facts: tuple[str, str, str]) -> None:
    """One of them may be a client's own, which its proxy passed on: only what both say is believed."""
    assert seen(*lines)[:3] == facts


def test_prefix_beside_forwarded() -> None:
    """Forwarded has no prefix: that is believed beside it."""
    assert seen((FORWARDED, "for=203.0.113.7"), (PREFIX, "/lb")) == ("203.0.113.7", "http", "inner", "/lb")


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "", "127.0.0.1:80", "unix:/run/x"])
def test_bad_proxy(text: str) -> None:
    """What is neither an address nor a network is refused, and told what is."""
    with pytest.raises(BadProxy, match="IP address or a network"):
        TrustedProxies([text])


@given(name=st.sampled_from([FOR, PROTO, HOST, PREFIX, FORWARDED]), value=st.text(st.characters(max_codepoint=255)))
def test_any_value_is_read(name: str, value: str) -> None:
    """No value fails, and none makes a link that leads elsewhere."""
    _, scheme, _, prefix = seen((name, value))
    assert scheme in {"http", "https"}
    assert not prefix.startswith("//")
