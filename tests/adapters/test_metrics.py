"""What is counted of requests and logged of them, as an operator reads it."""

from __future__ import annotations

import json
import re
import socket
import time
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from laurels import __version__
from laurels.access.keys import digest_key, make_key
from laurels.adapters.limits import Limits
from laurels.adapters.request_counts import RequestCounts
from laurels.http.gate import Answered
from laurels.http.problems import LIMIT_REASONS, REASONS, STATUS
from laurels.limits import limits_of
from laurels.stores.embedded.capacity import StoreLimits
from tests.asking import ask, send_bytes
from tests.conftest import running
from tests.redis_servers import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

READ = b"GET /kart/v HTTP/1.1\r\nHost: localhost\r\n\r\n"
ODD = READ.replace(b"\r\n", b"\r\nX-Odd: 1\r\n", 1)


def count_requests(server: Server) -> dict[tuple[str, str, str], float]:
    """Return how many requests were counted by method, route and status."""
    (requests,) = (
        family
        for family in parse_openmetrics(ask(server, "GET", "/-/metrics").body.decode())  # type: ignore[no-untyped-call]
        if family.name == "laurels_requests"
    )
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in requests.samples
    }


def test_every_answer_is_counted(tmp_path: Path) -> None:
    """Requests of the fast path, the full parser and uvicorn's queue count, and so do refusals of the protocol."""
    with running(tmp_path) as server:
        send_bytes(server, READ * 3 + ODD * 2, 5)
        send_bytes(server, b'POST /kart/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n{"score":1}' * 4, 4)
        ask(server, "HEAD", "/kart?endRank=5")
        ask(server, "GET", "/kart?endRank=0")
        ask(server, "PATCH", "/kart")
        ask(server, "GET", "/no/such/route")
        send_bytes(server, b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert count_requests(server) == {
            ("GET", "/{board}/{name}", "200"): 5,
            ("POST", "/{board}/{name}", "202"): 4,
            ("HEAD", "/{board}", "200"): 1,
            ("GET", "/{board}", "400"): 1,
            ("PATCH", "/{board}", "405"): 1,
            ("GET", "", "404"): 1,
            ("", "", "400"): 1,
        }
        assert count_requests(server)["GET", "/-/metrics", "200"] == 1


def read_values(server: Server, name: str, label: str = "", headers: dict[str, str] | None = None) -> dict[str, float]:
    """Return what a metric has that is not 0, by the value of a label."""
    text = ask(server, "GET", "/-/metrics", headers=headers or {}).body.decode()
    samples = [
        sample
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.name == name
    ]
    return {sample.labels.get(label, ""): sample.value for sample in samples if sample.value}


def test_refusals_are_counted(tmp_path: Path) -> None:
    """Each refusal counts once by its reason, on the fast path, by the full parser, as a page and by the protocol."""
    with running(tmp_path, "--max-entries", "1", "--max-target", "1KiB") as server:
        ask(server, "POST", "/kart/v", {"score": 1})
        ask(server, "POST", "/kart/w", {"score": 1})
        send_bytes(server, b'POST /b/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 13\r\n\r\n{"score":"x"}')
        ask(server, "GET", "/kart?endRank=0", headers={"accept": "text/html"})
        ask(server, "GET", "/kart?around=nobody")
        ask(server, "GET", "/no/such/route")
        ask(server, "PATCH", "/kart")
        ask(server, "GET", "/-/metrics", headers={"accept": "image/png"})
        send_bytes(server, b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % bytes(b"x" * 2000))
        send_bytes(server, READ.replace(b"localhost", b"elsewhere"))
        assert read_values(server, "laurels_refusals_total", "reason") == {
            "max_entries": 1,
            "refused": 1,
            "malformed": 1,
            "not_on_board": 1,
            "no_route": 1,
            "method_not_allowed": 1,
            "not_acceptable": 1,
            "target_too_long": 1,
            "foreign_host": 1,
        }


def test_refusals_of_access_are_counted(tmp_path: Path) -> None:
    """Who shows nothing, a wrong key, or asks too often is counted, each by a reason of its own."""
    key = make_key()
    public = '[public]\nscopes = ["metrics"]\n'
    often = (
        f'[keys.game]\nsha256 = "{digest_key(key)}"\nscopes = ["read"]\nlimits = {{ requests = "1/h", burst = 1 }}\n'
    )
    (tmp_path / "access.toml").write_text(public + often)
    with running(tmp_path / "data", "--access", str(tmp_path / "access.toml")) as server:
        assert ask(server, "POST", "/kart/v", {"score": 1}).status == 401
        shown = [{"authorization": f"Bearer {each}"} for each in (make_key(), key, key)]
        assert [ask(server, "GET", "/kart/v", headers=each).status for each in shown] == [401, 200, 429]
        counted = read_values(server, "laurels_refusals_total", "reason")
        assert counted == {"unauthenticated": 1, "bad_credential": 1, "rate_limit": 1}
        assert list(read_values(server, "laurels_file_loaded_timestamp_seconds", "file")) == ["access"]


def test_connections_are_counted(tmp_path: Path) -> None:
    """One that is too many is refused, and counted as a refusal and as a connection."""
    with running(tmp_path, "--max-connections", "1") as server:
        with socket.create_connection((server.host, server.port)) as held:
            held.sendall(READ)
            assert held.recv(1000).startswith(b"HTTP/1.1 200")
            assert ask(server, "GET", "/kart/v").status == 503
        until(lambda: ask(server, "GET", "/-/health").status == 200)
        refused = read_values(server, "laurels_connections_refused_total")[""]
        assert read_values(server, "laurels_refusals_total", "reason") == {"max_connections": refused}
        assert read_values(server, "laurels_connections_accepted_total")[""] >= refused + 3
        assert read_values(server, "laurels_connections_limit") == {"": 1}


def test_batches_are_counted(server: Server) -> None:
    """Each entry of a batch is counted by what became of it, also in one that is read in portions."""
    before = read_values(server, "laurels_batch_entries_total", "outcome")
    entries = [{"name": f"player-{number}", "score": 1} for number in range(900)] + [{"name": "", "score": 1}]
    ask(server, "POST", "/counted", {"entries": entries})
    after = read_values(server, "laurels_batch_entries_total", "outcome")
    assert after["accepted"] - before.get("accepted", 0) == 900
    assert after["refused"] - before.get("refused", 0) == 1


def test_what_runs(server: Server) -> None:
    """The version, the store and the Python are told, and since when."""
    assert read_values(server, "laurels_info", "version") == {__version__: 1}
    assert read_values(server, "laurels_info", "store") == {"embedded": 1}
    assert 0 < time.time() - read_values(server, "laurels_start_time_seconds")[""] < 24 * 60 * 60
    assert abs(time.time() - read_values(server, "laurels_clock_time_seconds")[""]) < 10


def test_every_error_has_a_reason() -> None:
    """What has a status has a reason; and the limits that refusals name are settings."""
    assert [kind for kind in STATUS if not any(each in REASONS for each in kind.__mro__)] == []
    settings = {*limits_of(Limits), *limits_of(StoreLimits, "max_"), "redis_waiting"}
    assert set(LIMIT_REASONS) <= settings


def test_durations_are_counted(tmp_path: Path) -> None:
    """Each request is in one bucket of the histogram, and in all above it."""
    with running(tmp_path) as server:
        send_bytes(server, READ * 3, 3)
        text = ask(server, "GET", "/-/metrics").body.decode()
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if (sample.labels.get("method"), sample.labels.get("route")) == ("GET", "/{board}/{name}")
    }
    name = "laurels_request_duration_seconds"
    assert samples[f"{name}_count", None] == samples[f"{name}_bucket", "+Inf"] == samples[f"{name}_bucket", "10.0"] == 3
    assert 0 < samples[f"{name}_sum", None] < 10


def test_figures_of_the_store(tmp_path: Path) -> None:
    """What the store measures of itself is there."""
    with running(tmp_path) as server:
        for board in ("kart", "race"):
            ask(server, "POST", f"/{board}/v", {"score": 1})
        assert b"\nlaurels_boards 2.0\n" in ask(server, "GET", "/-/metrics").body


def test_figures_of_the_process(server: Server) -> None:
    """What Prometheus asks of every process is there, too."""
    assert b"process_resident_memory_bytes" in ask(server, "GET", "/-/metrics").body


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0;"),
        ("text/plain", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_format_is_negotiated(server: Server, accept: str, kind: str) -> None:
    """It is OpenMetrics unless the client prefers the older format."""
    reply = ask(server, "GET", "/-/metrics", headers={"accept": accept})
    assert reply.headers["content-type"].startswith(kind)
    assert list((parse_text if accept == "text/plain" else parse_openmetrics)(reply.body.decode()))


def test_other_formats(server: Server) -> None:
    """There are no others."""
    assert ask(server, "GET", "/-/metrics", headers={"accept": "application/json"}).status == 406


def test_no_metrics(tmp_path: Path) -> None:
    """Without metrics there is no route for them, and no word of them in the document."""
    with running(tmp_path, "--no-metrics") as server:
        assert ask(server, "GET", "/-/metrics").status == 404
        assert ask(server, "GET", "/metrics").json["detail"].endswith(" Nor does this deployment have /-/metrics.")
        assert b"/-/metrics" not in ask(server, "GET", "/-/openapi.json").body


def test_methods_of_clients_make_no_rows() -> None:
    """A method that no operation has is counted as another one, so that a client cannot make the counts grow."""
    counts = RequestCounts()
    for number in range(100):
        counts(Answered(f"METHOD{number}", "", 400, 0, 0.001))
    assert [row[:3] for row in counts.read()] == [("other", "", {400: 100})]


def test_status_beyond_the_table() -> None:
    """What is no status of HTTP is timed, and not counted as one."""
    counts = RequestCounts()
    counts(Answered("GET", "/", 999, 0, 100))
    assert counts.read() == [("GET", "/", {}, [0] * 16 + [1], 100)]


def log_of(server: Server) -> str:
    """Stop a server, and return what it wrote."""
    server.stop()
    server.reading.join(30)
    return "".join(server.log)


def test_request_log(tmp_path: Path) -> None:
    """One line a request: address, method, route, status, bytes and duration, and no name of a player."""
    with running(tmp_path, "--log-requests") as server:
        send_bytes(server, READ + ODD, 2)
        send_bytes(server, b"nonsense\r\n\r\n")
        lines = [line for line in log_of(server).splitlines() if " bytes " in line]
    words = [re.sub(r"^\S+ \S+ INFO (.*) [\d.]+ ms", r"\1", line) for line in lines]
    assert words[:2] == ['127.0.0.1 GET /{board}/{name} 200 23 bytes board="kart"'] * 2
    assert re.fullmatch(r"127.0.0.1 - - 400 \d+ bytes", words[2])
    assert len(words) == 3


def test_request_log_as_json(tmp_path: Path) -> None:
    """Every line of the log is one JSON object, those of requests with their facts as fields."""
    with running(tmp_path, "--log-requests", "--log-format", "json", "--no-metrics") as server:
        send_bytes(server, READ)
        lines = [json.loads(line) for line in log_of(server).splitlines()]
    (found,) = (line for line in lines if line["logger"] == "laurels.requests")
    assert found | {"time": "", "milliseconds": 0, "message": ""} == {
        "time": "",
        "level": "INFO",
        "logger": "laurels.requests",
        "message": "",
        "client": "127.0.0.1",
        "method": "GET",
        "route": "/{board}/{name}",
        "status": 200,
        "bytes": 23,
        "milliseconds": 0,
        "board": "kart",
    }


def test_requests_are_not_logged_unasked(tmp_path: Path) -> None:
    """The request log is off by default."""
    with running(tmp_path) as server:
        send_bytes(server, READ)
        assert "/{board}" not in log_of(server)
