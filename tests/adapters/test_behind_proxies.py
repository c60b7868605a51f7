"""The service behind nginx and Caddy, as the page on proxies configures them."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.adapters.conftest import CERTIFICATE
from tests.conftest import running
from tests.processes import end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

PAGE = (Path(__file__).parents[2] / "docs" / "proxies.md").read_text()
UPSTREAM, SITE = "127.0.0.1:8000", "boards.example"
NGINX_WHOLE, NGINX_BELOW = re.findall(r"```nginx\n(.*?)```", PAGE, re.DOTALL)
CADDY_WHOLE, CADDY_BELOW = re.findall(r"```caddy\n(.*?)```", PAGE, re.DOTALL)
BLOCKS = {
    "nginx": (NGINX_WHOLE, ""),
    "nginx-below": (
        re.sub(r" {4}location / \{.*?\n    \}\n", lambda _: NGINX_BELOW, NGINX_WHOLE, flags=re.DOTALL),
        "/lb",
    ),
    "caddy": (CADDY_WHOLE, ""),
    "caddy-below": (CADDY_BELOW, "/lb"),
}
NGINX = """
daemon off; worker_processes 1; pid {0}/pid; error_log stderr;
events {{}}
http {{
    access_log off; client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;
    uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
    {1}
}}
"""
CADDY = "{{\n admin off\n}}\n{}"
CLIENT = "127.0.0.2"
SPOOFED = {
    "X-Forwarded-For": "1.1.1.1",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=1.1.1.1;host=evil.example;proto=http",
}


class Proxy(NamedTuple):
    """A proxy that listens, and the service behind it."""

    server: Server
    port: int
    prefix: str
    is_tls: bool

    @property
    def base(self) -> str:
        """The URL of the service, as its clients know it."""
        return f"http{'s' * self.is_tls}://{SITE}:{self.port}{self.prefix}"

    def ask(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and JSON of the answer to a request for the site."""
        context = ssl._create_unverified_context()  # noqa: S323, SLF001 - the tests' own certificate
        connection = (
            HTTPSConnection("127.0.0.1", self.port, timeout=10, source_address=(CLIENT, 0), context=context)
            if self.is_tls
            else HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(CLIENT, 0))
        )
        content = None if body is None else json.dumps(body)
        connection.request(method, self.prefix + path, content, {"Host": f"{SITE}:{self.port}"} | (headers or {}))
        reply = connection.getresponse()
        found = reply.read()
        connection.close()
        return reply.status, json.loads(found) if found else None


@contextmanager
def nginx(directory: Path, block: str) -> Iterator[int]:
    """Run nginx on a socket that it inherits; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        block = re.sub(r"/etc/ssl/[\w.]+", str(CERTIFICATE), block.replace("listen 443", f"listen 127.0.0.1:{port}"))
        (directory / "nginx.conf").write_text(NGINX.format(directory, block))
        command = ["nginx", "-p", str(directory), "-c", str(directory / "nginx.conf")]
        inherited = {"NGINX": f"{listening.fileno()};"}
        with subprocess.Popen(command, env=os.environ | inherited, pass_fds=[listening.fileno()]) as process:
            yield port
            end(process)


@contextmanager
def caddy(directory: Path, block: str) -> Iterator[int]:
    """Run Caddy, without TLS, for which it would have to get a certificate; yield its port."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        block = block.replace(f"{SITE} {{", f"http://{SITE}:{port} {{\n bind 127.0.0.1", 1)
        (directory / "Caddyfile").write_text(CADDY.format(block))
        command = ["caddy", "run", "--config", str(directory / "Caddyfile"), "--adapter", "caddyfile"]
        home = {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        with subprocess.Popen(command, env=os.environ | home, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            assert any("serving initial configuration" in line for line in process.stderr)
            yield port
            end(process)


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start the service as the page does."""
    options = ("--allowed-host", SITE, "--trusted-proxy", "127.0.0.1", "--log-requests", "--log-format", "json")
    with running(tmp_path_factory.mktemp("behind"), *options) as server:
        yield server


def programs() -> Iterator[Any]:
    """Yield each block of the page, skipped on a machine without the program that it configures."""
    for name in BLOCKS:
        program = name.partition("-")[0]
        yield pytest.param(name, marks=pytest.mark.skipif(not shutil.which(program), reason=f"without {program}"))


@pytest.fixture(scope="module", params=programs())
def proxy(request: pytest.FixtureRequest, behind: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Start a proxy with a configuration of the page."""
    block, prefix = BLOCKS[request.param]
    run = nginx if "nginx" in request.param else caddy
    with run(tmp_path_factory.mktemp("proxy"), block.replace(UPSTREAM, f"{behind.host}:{behind.port}")) as port:
        yield Proxy(behind, port, prefix, run is nginx)


@pytest.mark.parametrize("name", ["ada", "%40scope%2Fname", "100%25", "a%20b%3F%23", "%C3%A9", "%2F%2F", "a+b"])
def test_names_arrive_as_they_were_sent(proxy: Proxy, name: str, request: pytest.FixtureRequest) -> None:
    """A slash, a percent sign, and whatever else is encoded in a name, is part of it."""
    board = f"/board-{abs(hash(request.node.nodeid))}"
    assert proxy.ask("POST", f"{board}/{name}", {"score": 7}) == (202, None)
    assert proxy.ask("GET", f"{board}/{name}?window=")[0] == 400
    assert proxy.ask("GET", f"{board}/{name}") == (200, {"score": 7, "rank": 0})


def test_links_are_those_of_the_proxy(proxy: Proxy) -> None:
    """The service tells the address that the proxy was asked at, whatever its client says."""
    assert proxy.ask("GET", "/", headers=SPOOFED)[1]["docs"] == f"{proxy.prefix}/-/docs"
    assert proxy.ask("GET", "/-/openapi.json", headers=SPOOFED)[1]["servers"] == [{"url": proxy.base}]


@pytest.mark.parametrize(("origin", "status"), [(f"://{SITE}", 202), ("://evil.example", 403)], ids=["own", "foreign"])
def test_pages_of_the_proxy_may_write(proxy: Proxy, origin: str, status: int) -> None:
    """A page of the site itself may write through the proxy, and one of another site may not."""
    headers = SPOOFED | {"Origin": f"http{'s' * proxy.is_tls}{origin}:{proxy.port}"}
    assert proxy.ask("POST", "/origins/ada", {"score": 7}, headers)[0] == status


@pytest.mark.parametrize(
    ("path", "route"), [("/-/boards/nobody/summary", "/summary"), ("/clients/ada", "{board}/{name}")]
)
def test_address_of_the_client(proxy: Proxy, path: str, route: str) -> None:
    """The request log has the address that the proxy was asked from, not one that the client says it has."""
    before = len(proxy.server.log)
    assert proxy.ask("GET", path, headers=SPOOFED)[0] == 200
    (line,) = proxy.server.wait_for_line(route, before)
    assert json.loads(line)["client"] == CLIENT
