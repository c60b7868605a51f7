"""Safe by default: what others than this machine can reach says who may do what, or that everybody may."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from click.testing import CliRunner

from laurels.access.keys import digest_key, make_key
from laurels.asgi import create_app
from laurels.cli import main
from laurels.errors import OpenWithAccess
from tests.asking import ask
from tests.conftest import running, started

if TYPE_CHECKING:
    from pathlib import Path

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0", "--data"]
ALL = "0.0.0.0"  # noqa: S104 - the address that is meant
KEY = make_key()


@pytest.fixture
def access(tmp_path: Path) -> Path:
    """Return an access file: everybody reads, and one key submits."""
    file = tmp_path / "access.toml"
    file.write_text(f'[public]\nscopes = ["read"]\n[keys.game]\nsha256 = "{digest_key(KEY)}"\nscopes = ["submit"]\n')
    return file


def refusal(data: Path, *options: str, **variables: str) -> str:
    """Start a service that does not start; return why."""
    done = CliRunner().invoke(main, ["serve", "--port", "0", "--data", str(data), *options], env=variables)
    assert done.exit_code == 1
    return done.stderr


@pytest.mark.parametrize("host", [ALL, "::", "", "::ffff:0.0.0.0"])
def test_beyond_this_machine(tmp_path: Path, host: str) -> None:
    """There it does not start by itself; one line says the three ways out, and nothing was opened."""
    said = refusal(tmp_path / "data", "--host", host)
    assert said.count("\n") == 1
    assert "laurels access init" in said or "Cannot listen" in said  # where there is no IPv6, or none for both
    if "Cannot listen" not in said:
        assert "--open" in said
        assert "--host 127.0.0.1" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1"])
def test_this_machine(tmp_path: Path, host: str) -> None:
    """On loopback it is open to whoever asks."""
    with running(tmp_path, "--host", host) as server:
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 202


@pytest.mark.parametrize("variables", [{}, {"LAURELS_OPEN": "1"}], ids=["option", "variable"])
def test_open(tmp_path: Path, variables: dict[str, str]) -> None:
    """Somebody said that everybody may."""
    options = [] if variables else ["--open"]
    with started([*SERVE, str(tmp_path), "--host", ALL, *options], os.environ | variables) as server:
        server.host = "127.0.0.1"
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 202


@pytest.mark.parametrize("host", [ALL, "127.0.0.1"])
def test_access_file(tmp_path: Path, access: Path, host: str) -> None:
    """With an access file it starts wherever it is to listen, and the file holds."""
    variables = os.environ | {"LAURELS_ACCESS": str(access)}
    with started([*SERVE, str(tmp_path / "data"), "--host", host], variables) as server:
        server.host = "127.0.0.1"
        assert ask(server, "GET", "/b/v").status == 200
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 401
        assert ask(server, "POST", "/b/v", {"score": 5}, {"authorization": f"Bearer {KEY}"}).status == 202
        assert not [line for line in server.log if "access file" in line]


def test_both(tmp_path: Path, access: Path) -> None:
    """A service that is open and has an access file is a contradiction, wherever it listens."""
    for variables in ({}, {"LAURELS_OPEN": "true", "LAURELS_ACCESS": str(access)}):
        options = [] if variables else ["--open", "--access", str(access)]
        assert "leave one out" in refusal(tmp_path / "data", *options, **variables)
    with pytest.raises(OpenWithAccess):
        create_app(data=tmp_path, access=access, open=True)


def test_access_file_that_is_wrong(tmp_path: Path) -> None:
    """A service whose access file cannot be used does not start, even on loopback."""
    assert "No such file or directory" in refusal(tmp_path / "data", "--access", str(tmp_path / "none"))
    assert not (tmp_path / "data").exists()


def test_advice_in_the_log(tmp_path: Path, access: Path) -> None:
    """What an operator should know of the file stands in the log."""
    access.write_text('[public]\nscopes = ["read", "define"]\n')
    with running(tmp_path / "data", "--access", str(access)) as server:
        assert "whoever reaches the service has the scope define." in server.wait_for_line("[public]")[0]


def asked(app: Any, client: str | None, server: str | None) -> int:
    """Ask an application as a server would that was asked from there; return the status."""

    async def called(scope: Any, receive: Any, send: Any) -> None:
        ends = {end: None if host is None else (host, 1) for end, host in (("client", client), ("server", server))}
        await app(scope | ends, receive, send)

    async def get() -> int:
        async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(called)) as http:
            return (await http.get("http://boards.example/b/v")).status_code

    return asyncio.run(get())


ENDS = {
    "loopback": ("127.0.0.1", "127.0.0.1", 200),
    "loopback as IPv6": ("::ffff:127.0.0.1", "::1", 200),
    "Unix socket": (None, "/run/laurels.sock", 200),
    "test": ("testclient", "testserver", 200),
    "elsewhere": ("203.0.113.7", "127.0.0.1", 403),
    "to an address of the network": ("127.0.0.1", "192.0.2.1", 403),
    "over IPv6": ("2001:db8::1", None, 403),
    "link-local": ("fe80::1%eth0", "::1", 403),
    "with a port, as some proxies say": ("203.0.113.7:55555", "127.0.0.1", 403),
    "with a port, over IPv6": ("[2001:db8::1]:55555", None, 403),
}


@pytest.mark.parametrize(("client", "server", "status"), ENDS.values(), ids=ENDS)
def test_other_servers(tmp_path: Path, access: Path, client: str | None, server: str | None, status: int) -> None:
    """Another ASGI server listens where it likes: each request tells whether it comes from this machine."""
    assert asked(create_app(data=tmp_path), client, server) == status
    assert asked(create_app(data=tmp_path, open=True), client, server) == 200
    assert asked(create_app(data=tmp_path, access=access), client, server) == 200


def test_other_servers_are_set_by_variables(tmp_path: Path, access: Path) -> None:
    """The application of variables has the access file, too."""
    command = [sys.executable, "-m", "uvicorn", "--factory", "laurels.assembly:application", "--port", "0"]
    settings = {"LAURELS_DATA": str(tmp_path / "data"), "LAURELS_ACCESS": str(access)}
    with started(command, os.environ | settings) as service:
        assert ask(service, "POST", "/b/v", {"score": 5}).status == 401
