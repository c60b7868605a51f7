"""Sites of other origins: pages of a test's own, and proxies that keep back what should be streamed."""

from __future__ import annotations

from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server


class Site(ThreadingHTTPServer):
    """A site with pages."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Shown)
        self.url = f"http://localhost:{self.server_port}"
        self.pages: dict[str, str] = {}
        self.policy = ""
        """The content policy of all pages."""

    def put(self, path: str, html: str) -> str:
        """Have a page, and return its address."""
        self.pages[path] = html
        return self.url + path


class Shown(BaseHTTPRequestHandler):
    """A request for a page."""

    def do_GET(self) -> None:
        """Answer with the page, or with nothing."""
        assert isinstance(self.server, Site)
        page = self.server.pages.get(self.path, "").encode()
        self.send_response(200 if page else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Content-Security-Policy", self.server.policy)
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Keep still."""


@contextmanager
def site() -> Iterator[Site]:
    """Run a site."""
    with serving(Site()) as running:
        yield running


@contextmanager
def buffering_proxy(server: Server) -> Iterator[str]:
    """Run a proxy that passes on what has an end, and of a stream the head alone; yield its address."""

    class Passed(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with closing(HTTPConnection(server.host, server.port, timeout=30)) as connection:
                connection.request("GET", self.path, headers=dict(self.headers.items()))
                answer = connection.getresponse()
                body = b"" if "/live" in self.path else answer.read()
                answer.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() in {"content-type", "access-control-allow-origin"}:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep still."""

    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Passed)
    proxy.daemon_threads = True
    with serving(proxy):
        yield f"http://localhost:{proxy.server_port}/"
