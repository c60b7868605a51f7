"""Traces of requests: the header that names one, and where it goes on to."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.access.issuers import IssuerKeys
from laurels.logs import JSONFormatter, TextFormatter
from laurels.tracing import Trace, being_in, current_trace, read_traceparent, trace_headers
from tests.access.issuing import issuer, issuing
from tests.access.ways import KeyRing, bearer, serving
from tests.asking import ask, send_bytes
from tests.cli.conftest import failing, run
from tests.conftest import running, started

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"
HEX = "0123456789abcdef"


def is_valid(header: str) -> bool:
    """Return what the specification says of a header, in its words: section 3.2."""
    parts = header.split("-")
    if len(parts) < 4 or any(set(part) - set(HEX) for part in parts[:4]):
        return False
    version, trace, parent = parts[:3]
    if [*map(len, parts[:4])] != [2, 32, 16, 2] or version == "ff":
        return False
    if trace == "0" * 32 or parent == "0" * 16:
        return False
    return version != "00" or len(parts) == 4


def hexadecimal(length: int) -> st.SearchStrategy[str]:
    """Return a strategy for fields, most of them good."""
    good = st.text(HEX, min_size=length, max_size=length)
    return st.one_of(
        good, good, good, st.just("0" * length), st.just("f" * length), st.text(HEX + "AFgé -", max_size=40)
    )


headers = st.one_of(
    st.builds(
        lambda *parts: "-".join(parts[:4]) + parts[4],
        st.sampled_from(["00", "00", "00", "01", "cc", "ff", "0", "FF"]),
        hexadecimal(32),
        hexadecimal(16),
        hexadecimal(2),
        st.sampled_from(["", "", "", "-", "-more", "more", "-a-b", "-\n"]),
    ),
    st.text(HEX + "-", max_size=60),
    st.text(max_size=20),
)


@given(headers)
def test_header(header: str) -> None:
    """A header is taken over if the specification says that it is valid, and else it is as if there were none."""
    found = read_traceparent(header.encode())
    assert (found is not None) == is_valid(header)
    if found is not None:
        assert [found.trace_id, found.span_id] == header.split("-")[1:3]
        assert found.header == f"00-{found.trace_id}-{found.span_id}-{int(header[53:55], 16) & 3:02x}"


@given(st.binary(max_size=80))
def test_any_bytes(header: bytes) -> None:
    """No header is too odd."""
    assert read_traceparent(header) is None or b"-" in header


def test_header_without_end() -> None:
    """Of a later version there may be more; what is long beyond reason is ignored."""
    assert read_traceparent(None) is None
    assert read_traceparent(f"01-{TRACE}-{SPAN}-01-{'x' * 400}".encode()) is not None
    assert read_traceparent(f"01-{TRACE}-{SPAN}-01-{'x' * 600}".encode()) is None


def test_trace_that_is_over() -> None:
    """What goes on when a request is answered is not logged as its part; what it has begun still names it."""
    trace = Trace(TRACE, SPAN, 1)
    with being_in(trace):
        assert current_trace() is trace
        trace.is_over = True
        assert current_trace() is None
        assert trace_headers() == {"traceparent": HEADER}
    assert trace_headers() == {}


def requests_of(server: Server) -> list[dict[str, Any]]:
    """Stop a server, and return the lines of its request log."""
    server.stop()
    server.reading.join(30)
    lines = [json.loads(line) for line in server.log]
    return [line for line in lines if line["logger"] == "laurels.requests"]


@pytest.mark.parametrize("odd", [{}, {"x-odd": "1"}], ids=["fast path", "full parser"])
def test_request_log(tmp_path: Path, odd: dict[str, str]) -> None:
    """A line has the trace of its request by either way, none if the header is bad, or there are two."""
    others = {"tracestate": "a=b", **odd}
    with running(tmp_path, "--log-requests", "--log-format", "json") as server:
        assert ask(server, "POST", "/kart/v", {"score": 3}, {"traceparent": HEADER, **others}).status == 202
        assert ask(server, "GET", "/kart/v", None, {"traceparent": HEADER, **others}).json == {"score": 3, "rank": 0}
        assert ask(server, "GET", "/kart", None, {"traceparent": HEADER[:-1], **others}).status == 200
        head = "".join(f"{name}: {value}\r\n" for name, value in (others | {"traceparent": HEADER}).items())
        twice = f"GET /kart/v HTTP/1.1\r\nHost: localhost\r\n{head}traceparent: {HEADER}\r\n\r\n"
        assert send_bytes(server, twice.encode())[0].status == 200
        lines = requests_of(server)
    assert [(line["method"], line["board"], line.get("trace_id"), line.get("span_id")) for line in lines] == [
        ("POST", "kart", TRACE, SPAN),
        ("GET", "kart", TRACE, SPAN),
        ("GET", "kart", None, None),
        ("GET", "kart", None, None),
    ]


def test_who_asks(tmp_path: Path) -> None:
    """A line says whose key it was, also of who is refused or comes too often; of a player only that it is one."""
    ring = KeyRing()
    ring.add("game", ["submit", "tokens"])
    ring.add("slow", ["read"])
    ring.tables[-1] += '\nlimits = { requests = "1/h", burst = 1 }'
    (tmp_path / "secret").write_text("x" * 40)
    file = ring.write(tmp_path / "access.toml", '[players]\nsecret = "file:secret"\nscopes = ["submit:self"]')
    variables = {"LAURELS_LOG_REQUESTS": "1", "LAURELS_LOG_FORMAT": "json"}
    with serving(tmp_path / "data", file, variables) as server:
        game, slow = (bearer(ring.secrets[name]) for name in ("game", "slow"))
        token = ask(server, "POST", "/-/tokens", {"name": "Zoe"}, game).json["token"]
        for method, body, headers in (
            ("POST", {"score": 1}, game),
            ("POST", {"score": 1}, bearer(token)),
            ("GET", None, slow),
            ("GET", None, slow),
            ("DELETE", None, game),
            ("GET", None, {}),
            ("GET", None, bearer("nonsense")),
        ):
            ask(server, method, "/kart/Zoe", body, headers)
        lines = requests_of(server)
    log = json.dumps(lines)
    assert [(line["status"], line.get("who")) for line in lines[1:]] == [
        (202, "key:game"),
        (202, "player"),
        (200, "key:slow"),
        (429, "key:slow"),
        (403, "key:game"),
        (401, "public"),
        (401, "public"),
    ]
    assert "Zoe" not in log
    assert token not in log


FAULTY = """
import sys
from pathlib import Path
from laurels.assembly import serve
from laurels.settings import Settings
from laurels.stores.embedded.store import EmbeddedStore

async def fail(*_, **__):
    return 1 / 0

EmbeddedStore.standing = fail
serve(Settings(port=0, data=Path(sys.argv[1])))
"""


@pytest.mark.parametrize("odd", ["", "X-Odd: 1\r\n"], ids=["fast path", "full parser"])
def test_error_log(tmp_path: Path, odd: str) -> None:
    """A fault of ours is logged with the trace of its request, whichever way that came, and no other line is."""
    head = f"Host: localhost\r\n{odd}"
    request = f"GET /b/v HTTP/1.1\r\n{head}traceparent: {HEADER}\r\n\r\nGET /b/v HTTP/1.1\r\n{head}\r\n"
    with started([sys.executable, "-c", FAULTY, str(tmp_path)]) as server:
        assert [reply.status for reply in send_bytes(server, request.encode(), 2)] == [500, 500]
        server.stop()
        server.reading.join(30)
    failed = [line.rstrip() for line in server.log if "Failed to answer" in line]
    assert [line.partition("Failed to answer a request")[2] for line in failed] == [
        f" trace_id={TRACE} span_id={SPAN}",
        "",
    ]


def test_keys_are_fetched_for_a_request() -> None:
    """The call for the keys of an issuer carries the trace of the request that needs them."""
    with issuing("RS256") as local:

        async def main() -> None:
            keys = IssuerKeys(issuer(jwks=local.url(), keys=()))
            with being_in(Trace(TRACE, SPAN, 1)):
                assert await keys.find_anew("RS256", "RS256")

        asyncio.run(main())
        assert local.carried == [HEADER]


@pytest.mark.parametrize("given_", [HEADER, "nonsense"])
def test_command(given_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command goes on with the trace of the program that has started it."""
    monkeypatch.setenv("TRACEPARENT", given_)
    with failing((202, {}, b"")) as service:
        run(service.url, "submit", "kart", "v", 3)
        assert set(service.traces) == {HEADER if given_ == HEADER else None}


def test_lines_with_traces() -> None:
    """In JSON the trace is fields, in text it is at the end."""
    record = logging.makeLogRecord({"msg": "Failed", "trace": Trace(TRACE, SPAN)})
    assert json.loads(JSONFormatter().format(record))["trace_id"] == TRACE
    assert TextFormatter("%(message)s").format(record) == f"Failed trace_id={TRACE} span_id={SPAN}"
