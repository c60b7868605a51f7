"""Spans by OpenTelemetry, as its SDK keeps them in memory, of real services over each store."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from laurels.errors import ExporterMissing
from laurels.http.spans import open_spans
from laurels.tracing import wanted_exporters
from tests.access.ways import KeyRing, bearer
from tests.asking import ask, send_bytes
from tests.conftest import running, started
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Server
    from tests.momento import Momento
    from tests.redis_servers import Node

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"
UNSAMPLED = f"00-{TRACE}-{SPAN}-00"

SCRIPT = """
import json, sys
from pathlib import Path
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from laurels.assembly import serve
from laurels.settings import Settings
from laurels.stores.embedded.journal import Journal

if "full" in sys.argv:
    import sqlite3
    def fail(*_):
        raise sqlite3.OperationalError("database or disk is full")
    Journal.append = fail
kept, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
path, store, access = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
settings = Settings(port=0, data=path / "data", store=store, access=Path(access) if access else None)
serve(settings)
spans = [json.loads(each.to_json()) | {"id": each.context.span_id} for each in kept.get_finished_spans()]
(path / "spans").write_text(json.dumps(spans))
"""


@contextmanager
def traced(
    path: Path, store: str = "embedded", access: str = "", *more: str
) -> Iterator[tuple[Server, Callable[[], Any]]]:
    """Run a service whose spans are kept; yield it, and what ends it and returns its spans."""
    with started([sys.executable, "-c", SCRIPT, str(path), store, access, *more]) as server:

        def end() -> list[dict[str, Any]]:
            server.stop()
            spans: list[dict[str, Any]] = json.loads((path / "spans").read_text())
            return spans

        yield server, end


def below(spans: list[dict[str, Any]], parent: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the spans whose parent is this one."""
    return [span for span in spans if span["parent_id"] == parent["context"]["span_id"]]


def requests_in(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the spans of requests, in their order."""
    return [span for span in spans if span["kind"] == "SpanKind.SERVER"]


def test_embedded(tmp_path: Path) -> None:
    """A request's span goes on with the caller's trace, and has the commit below it; a read in memory has nothing."""
    with traced(tmp_path) as (server, end):
        assert ask(server, "POST", "/kart/Zoe", {"score": 3}, {"traceparent": HEADER}).status == 202
        assert ask(server, "GET", "/kart/Zoe", None, {"user-agent": "game/1"}).json == {"score": 3, "rank": 0}
        spans = end()
    submit, read = requests_in(spans)
    port = server.port
    assert submit["name"] == "POST /{board}/{name}"
    assert submit["context"]["trace_id"] == f"0x{TRACE}"
    assert submit["parent_id"] == f"0x{SPAN}"
    assert submit["attributes"] == {
        "http.request.method": "POST",
        "http.route": "/{board}/{name}",
        "http.response.status_code": 202,
        "http.response.body.size": 0,
        "url.scheme": "http",
        "url.path": "/kart/{name}",
        "server.address": "127.0.0.1",
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "laurels.board": "kart",
    }
    (commit,) = below(spans, submit)
    assert (commit["name"], commit["kind"]) == ("commit", "SpanKind.INTERNAL")
    assert commit["attributes"] == {"laurels.batch.records": 1}
    assert (read["name"], read["parent_id"], below(spans, read)) == ("GET /{board}/{name}", None, [])
    assert read["attributes"]["user_agent.original"] == "game/1"


def test_every_answer_has_one(tmp_path: Path) -> None:
    """Refusals have spans as well, those of the protocol too; of paths that are no route, and of secrets, nothing."""
    ring = KeyRing()
    ring.add("game", ["submit"])
    file = ring.write(tmp_path / "access.toml")
    key = ring.secrets["game"]
    with traced(tmp_path, "embedded", str(file)) as (server, end):
        ask(server, "DELETE", "/kart/Zoe", None, bearer(key))
        ask(server, "GET", f"/-/boards/kart/live?access_token={key}")
        ask(server, "GET", f"/no/such/{key}")
        ask(server, "POST", "/a%20b%2Fc/Zoe", {"score": "x"}, bearer(key))
        send_bytes(server, b"BREW /kart/Zoe HTTP/1.1\r\nHost: localhost\r\n\r\n")
        send_bytes(
            server, b"GET /kart HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"
        )
        send_bytes(server, b"nonsense\r\n\r\n")
        spans = end()
    shown = json.dumps(spans)
    assert not [secret for secret in (key, "Zoe", "access_token") if secret in shown]
    assert [(span["name"], span["attributes"]["http.response.status_code"]) for span in requests_in(spans)][:4] == [
        ("DELETE /{board}/{name}", 403),
        ("GET /-/boards/{board}/live", 401),
        ("GET", 404),
        ("POST /{board}/{name}", 422),
    ]
    assert spans[0]["attributes"]["laurels.who"] == "key:game"
    assert spans[3]["attributes"]["url.path"] == "/a%20b%2Fc/{name}"
    assert not [span for span in spans if span["status"]["status_code"] == "ERROR"]


def test_sampled(tmp_path: Path) -> None:
    """What the caller does not record is not recorded here; its request log has the trace all the same."""
    with traced(tmp_path) as (server, end):
        assert ask(server, "POST", "/kart/v", {"score": 3}, {"traceparent": UNSAMPLED}).status == 202
        assert ask(server, "GET", "/kart/v").status == 200
        spans = end()
    assert [span["name"] for span in spans] == ["GET /{board}/{name}"]


def test_failed_commit(tmp_path: Path) -> None:
    """A disk that takes nothing is an error of the commit's span and of the request's."""
    with traced(tmp_path, "embedded", "", "full") as (server, end):
        assert ask(server, "POST", "/kart/v", {"score": 3}).status == 503
        spans = end()
    commit, submit = spans
    assert (commit["status"]["status_code"], commit["attributes"]["error.type"]) == ("ERROR", "OperationalError")
    assert (submit["status"]["status_code"], submit["attributes"]["error.type"]) == ("ERROR", "503")


def test_redis(tmp_path: Path, redis_server: Node) -> None:
    """Each call of a request is a span below it, with the attributes of a database's client."""
    with traced(tmp_path, redis_server.url) as (server, end):
        assert ask(server, "POST", "/kart/v", {"score": 3}, {"traceparent": HEADER}).status == 202
        assert ask(server, "GET", "/kart/v").json == {"score": 3, "rank": 0}
        spans = end()
    submit, read = requests_in(spans)
    put, look = below(spans, submit)[-1], below(spans, read)[-1]
    assert put["kind"] == look["kind"] == "SpanKind.CLIENT"
    assert (put["name"], look["name"]) == (f"EVALSHA {put['attributes']['db.stored_procedure.name']}", "MULTI")
    assert (
        put["attributes"].items()
        >= {
            "db.system.name": "redis",
            "db.operation.name": "EVALSHA",
            "db.namespace": "0",
            "server.address": "127.0.0.1",
            "server.port": redis_server.port,
        }.items()
    )
    assert all(span["parent_id"] for span in spans if span["kind"] != "SpanKind.SERVER")


def test_redis_is_gone(tmp_path: Path, redis_server: Node) -> None:
    """A call that is not answered is an error of its span."""
    with traced(tmp_path, redis_server.url) as (server, end):
        ask(server, "POST", "/kart/v", {"score": 3})
        redis_server.kill()
        assert ask(server, "POST", "/kart/v", {"score": 3}).status == 503
        spans = end()
    failed = [span for span in spans if span["status"]["status_code"] == "ERROR"]
    assert {span["kind"] for span in failed} == {"SpanKind.CLIENT", "SpanKind.SERVER"}


def test_momento(tmp_path: Path, momento: Momento, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call of the SDK is a span below its request, that of a length too."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"http://{momento.host}:{momento.port}")
    cache = momento.new_cache()
    with traced(tmp_path, f"momento:{cache}") as (server, end):
        assert ask(server, "POST", "/kart/v", {"score": 3}).status == 202
        assert ask(server, "GET", "/kart").json == {"leaderboard": [{"name": "v", "score": 3}]}
        assert ask(server, "DELETE", "/kart").status == 204
        spans = end()
    calls = {span["name"]: span for request in requests_in(spans) for span in below(spans, request)}
    put = calls["sorted_set_put_elements"]
    assert put["kind"] == "SpanKind.CLIENT"
    assert put["attributes"] == {
        "db.system.name": "momento",
        "db.operation.name": "sorted_set_put_elements",
        "db.namespace": cache,
    }
    assert {"sorted_set_fetch_by_rank", "sorted_set_length", "delete"} <= calls.keys()


class Collector(ThreadingHTTPServer):
    """What takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        self.taken: list[ExportTraceServiceRequest] = []
        super().__init__(("127.0.0.1", 0), _Taking)


class _Taking(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(("variables", "called"), [({}, "laurels"), ({"OTEL_SERVICE_NAME": "boards"}, "boards")])
def test_exported(tmp_path: Path, variables: dict[str, str], called: str) -> None:
    """With a collector's endpoint in the environment, and nothing else, it gets the spans, at the latest at the end."""
    with serving(Collector()) as collector:
        environment = os.environ | variables
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}"}
        command = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data", str(tmp_path)]
        with started(command, environment) as server:
            assert ask(server, "GET", "/kart/v").status == 200
            assert server.stop() == 0
        (resource,) = collector.taken[0].resource_spans
    assert {each.key: each.value.string_value for each in resource.resource.attributes}["service.name"] == called
    assert resource.scope_spans[0].spans[0].name == "GET /{board}/{name}"
    assert "Spans go to otlp." in server.log[0]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://a"}, []),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://a"}, ["otlp"]),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, ["otlp", "console"]),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "TRUE"}, []),
    ],
)
def test_wanted(variables: dict[str, str], wanted: list[str]) -> None:
    """Spans are made if the standard variables ask for them."""
    assert wanted_exporters(variables) == wanted


def test_unknown_exporter() -> None:
    """An exporter that is not installed is named, and how OTLP is spoken chooses among those that are."""
    assert open_spans([], {}) is None
    for name, variables in (("zipkin", {}), ("otlp", {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})):
        with pytest.raises(ExporterMissing, match=f"OTEL_TRACES_EXPORTER is '{name}'"):
            open_spans([name], variables)


def test_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its packages the service serves, makes no spans, and says what would install them."""
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("raise ModuleNotFoundError(name='opentelemetry.sdk')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    with running(tmp_path / "data") as server:
        assert ask(server, "GET", "/kart/v").status == 200
        assert "install 'laurels[otel]'" in server.log[0]
