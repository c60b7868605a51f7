"""What the environment says of the network, and what it may say of the terminal: no value gives a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from laurels.client.environment import find_proxy, make_trust, parse_url
from laurels.client.errors import EnvironmentWrong
from tests.asking import ask
from tests.cli.conftest import failing, run
from tests.cli.hostile import answer, lying

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Server

PLACE = "http://laurels.example"
PROXIES = [name for each in ("http_proxy", "https_proxy", "all_proxy", "no_proxy") for name in (each, each.upper())]
GARBAGE = [
    "socks5://127.0.0.1:9",
    "socks4://h",
    "ftp://h",
    "://",
    "http://",
    "http://[",
    "http://h:99999",
    "h:x",
    "\x1b[31m",
]


ENCODINGS = {"ascii": "ascii", "0": "ascii", "latin-1:strict": "latin-1", "utf-16": "utf-16"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the environment, without what this machine's says of the network."""
    for name in [*PROXIES, "SSL_CERT_FILE", "SSL_CERT_DIR"]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("variable", PROXIES)
def test_loopback_is_asked_directly(
    server: Server, board: str, environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    """A service on this machine is asked without a proxy, whatever the variables say."""
    environment.setenv(variable, value)
    assert run(server.url, "top", board).stdout == "no entries on the board\n"


@pytest.mark.parametrize("value", GARBAGE)
@pytest.mark.parametrize("variable", PROXIES[:-2])
def test_proxy_that_is_none(environment: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """What cannot be a proxy is one line that names the variable, with the status of a wrong command line."""
    environment.setenv(variable, value)
    found = run(f"{'https' if 'https' in variable.lower() else 'http'}://laurels.invalid", "top", "b")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.startswith(f"Error: {variable} is '")


def test_password_of_a_proxy(environment: pytest.MonkeyPatch) -> None:
    """No message has the password of a proxy."""
    environment.setenv("ALL_PROXY", "http://user:secret@127.0.0.1:9")
    assert "through the proxy http://127.0.0.1:9 of ALL_PROXY: connection refused." in run(PLACE, "top", "b").stderr
    environment.setenv("ALL_PROXY", "gopher://user:secret@127.0.0.1:9")
    assert "secret" not in run(PLACE, "top", "b").stderr
    assert "secret" not in run("http://user:secret@127.0.0.1:9", "top", "b").stderr
    assert "secret" not in run("http://user:secret@127.0.0.1:99999", "top", "b").stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_cannot_be_reached(environment: pytest.MonkeyPatch, scheme: str) -> None:
    """A proxy that cannot be reached is named, with its variable and the way out."""
    environment.setenv(f"{scheme.upper()}_PROXY", "127.0.0.1:9")
    found = run(f"{scheme}://laurels.example", "top", "b")
    variable = f"{scheme.upper()}_PROXY"
    assert found.exit_code == 3
    assert found.stderr == (
        f"Error: Cannot reach {scheme}://laurels.example through the proxy http://127.0.0.1:9 of {variable}: "
        f"connection refused. Correct {variable}, or name the host in NO_PROXY.\n"
    )


@pytest.mark.parametrize(
    ("scheme", "status", "reason"),
    [("http", 407, "407 Proxy Authentication Required"), ("http", 403, "403 Forbidden"), ("https", 407, "501 ")],
)
def test_proxy_that_refuses(environment: pytest.MonkeyPatch, scheme: str, status: int, reason: str) -> None:
    """A proxy that refuses is named, with what it says."""
    with failing((status, {}, b"<html>")) as proxy:
        environment.setenv("all_proxy", proxy.url)
        found = run(f"{scheme}://laurels.example", "top", "b")
    assert f"through the proxy {proxy.url} of all_proxy" in found.stderr
    assert reason in found.stderr
    assert found.stderr.count("\n") == 1


def test_proxy_is_used(environment: pytest.MonkeyPatch) -> None:
    """A request goes through the proxy, and its answer comes back."""
    with lying(lambda *_: [answer(b'{"leaderboard":[]}')]) as proxy:
        environment.setenv("http_proxy", proxy.url)
        assert run(PLACE, "top", "b").stdout == "no entries on the board\n"
    assert proxy.requests[0].startswith(f"GET {PLACE}/b?")


def test_socks_without_its_package(environment: pytest.MonkeyPatch) -> None:
    """A proxy that needs a package more says which, and how it is installed."""
    environment.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    environment.setitem(sys.modules, "socksio", None)
    environment.setitem(sys.modules, "socksio.socks5", None)
    found = run(PLACE, "top", "b")
    assert "ALL_PROXY is 'socks5://127.0.0.1:9': This needs the package socksio" in found.stderr
    assert "'laurels[socks]'" in found.stderr


@pytest.mark.parametrize(
    ("url", "no_proxy", "is_direct"),
    [
        ("http://localhost", "", True),
        ("http://LOCALHOST.:8000", "", True),
        ("http://laurels.localhost", "", True),
        ("http://127.8.9.1", "", True),
        ("http://127.1", "", True),
        ("http://[::1]:8000", "", True),
        ("http://[::ffff:127.0.0.1]", "", True),
        ("http://0.0.0.0", "", True),
        ("http://laurels.example", "", False),
        ("http://laurels.example", "*", True),
        ("http://laurels.example", "a, .Example ,b", True),
        ("http://laurels.example", "*.example", True),
        ("http://laurels.example.", "laurels.example", True),
        ("http://laurels.example", "els.example", False),
        ("http://laurels.example", "laurels.example:80", True),
        ("https://laurels.example", "laurels.example:80", False),
        ("http://laurels.example:81", "laurels.example:81", True),
        ("http://laurels.example", " , ,.,:,[,//", False),
        ("http://10.1.2.3", "10.0.0.0/8", True),
        ("http://10.1.2.3", "10.1.2.3", True),
        ("http://10.1.2.3", "11.0.0.0/8,x", False),
        ("http://10.1.2.3:81", "10.1.2.3:81", True),
        ("http://[fd00::1]", "[fd00::1]", True),
        ("http://[fd00::1]", "fd00::/8", True),
    ],
)
def test_which_services_are_asked_directly(
    environment: pytest.MonkeyPatch,
    url: str,
    no_proxy: str,
    is_direct: bool,  # noqa: FBT001 - of the table
) -> None:
    """Loopback is asked directly, and what NO_PROXY names: hosts, domains, addresses, networks, with a port or not."""
    environment.setenv("ALL_PROXY", "http://proxy.example")
    environment.setenv("NO_PROXY", no_proxy)
    assert (find_proxy(parse_url(url)) is None) == is_direct


def test_lower_case_comes_first(environment: pytest.MonkeyPatch) -> None:
    """As with curl, the variable in lower case counts, though it be empty."""
    environment.setenv("HTTP_PROXY", "http://upper.example")
    environment.setenv("http_proxy", "http://lower.example")
    proxy = find_proxy(parse_url(PLACE))
    assert proxy is not None
    assert proxy.variable == "http_proxy"
    environment.setenv("http_proxy", "")
    assert find_proxy(parse_url(PLACE)) is None


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("value", ["/nowhere", "/dev/null", "/etc/hostname", "/proc/self/mem", "x\ty"])
def test_certificates_that_are_none(environment: pytest.MonkeyPatch, variable: str, value: str) -> None:
    """Certificates that cannot be read are one line with the variable; a service without TLS needs none."""
    environment.setenv(variable, value)
    assert run("http://127.0.0.1:1", "top", "b").exit_code == 3
    found = run("https://127.0.0.1:1", "top", "b")
    assert found.stderr.count("\n") == 1
    assert found.exit_code == 3 or (found.exit_code == 2 and variable in found.stderr)


def test_certificates_that_are_missing(environment: pytest.MonkeyPatch) -> None:
    """The error says what is wrong with the file."""
    environment.setenv("SSL_CERT_FILE", "/nowhere")
    with pytest.raises(EnvironmentWrong, match=r"^SSL_CERT_FILE is '/nowhere': no such file or directory\."):
        make_trust(parse_url("https://laurels.example"))
    environment.setenv("SSL_CERT_FILE", "/etc/hostname")
    with pytest.raises(EnvironmentWrong, match="it holds no certificates in PEM"):
        make_trust(parse_url("https://laurels.example"))


def test_service_without_tls() -> None:
    """The error of TLS is its own, and not the system's of the same number."""
    with failing((200, {}, b"")) as service:
        found = run(service.url.replace("http", "https", 1), "top", "b")
    assert "TLS failed: wrong version number." in found.stderr


def without_coverage() -> dict[str, str]:
    """Return the environment of a process that runs no line of ours that no other test runs, which is not measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@pytest.mark.parametrize(
    "variables",
    [
        {"TERM": ""},
        {"TERM": "dumb"},
        {"TERM": "\x1b[31m"},
        {"COLUMNS": "0"},
        {"COLUMNS": "-1"},
        {"COLUMNS": "²"},
        {"COLUMNS": "9" * 5000},
        {"LINES": "²", "COLUMNS": "x"},
        {"NO_COLOR": "1", "FORCE_COLOR": "1"},
        {"FORCE_COLOR": "1", "COLUMNS": "1"},
        {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "x"},
        {"UNICODE_VERSION": "x"},
        {"UNICODE_VERSION": "1.2.3.4.5"},
        {"JUPYTER_COLUMNS": "x"},
        {"LC_ALL": "C"},
        {"LC_ALL": "xx_XX.nonsense"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1:strict"},
        {"PYTHONIOENCODING": "utf-16"},
        {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        {"SSLKEYLOGFILE": "/nowhere/keys"},
        {"NETRC": "/nowhere"},
        {"LAURELS_PORT": "x", "LAURELS_DATA": "\x1b"},
    ],
    ids=str,
)
def test_terminals(server: Server, board: str, variables: dict[str, str]) -> None:
    """Whatever the environment says of terminal and encoding, what can be written is, and the rest is shown."""
    ask(server, "POST", f"/{board}/J%C3%BCrgen%E6%97%A5", {"score": 1})
    command = [sys.executable, "-m", "laurels", "top", board, "--server", server.url]
    encoding = ENCODINGS.get(variables.get("PYTHONIOENCODING", variables.get("PYTHONUTF8", "")), "utf-8")
    environment = without_coverage() if encoding == "utf-8" else os.environ
    found = subprocess.run(command, capture_output=True, env={**environment, **variables}, check=False)
    assert (found.returncode, found.stderr) == (0, b"")
    shown = "Jürgen日".encode(encoding, "backslashreplace").decode(encoding)
    assert shown in found.stdout.decode(encoding).replace("\n", "")


@pytest.mark.parametrize("stream", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", ["top b", "top b --json", "summary b", "export b", "delete b v", "standing b x"])
def test_streams_that_are_closed(server: Server, stream: str, words: str, tmp_path: Path) -> None:
    """A command whose streams are closed ends without a traceback."""
    (tmp_path / "err").touch()
    redirected = stream if "2>&-" in stream else f"{stream} 2>{tmp_path / 'err'}"
    line = f"{sys.executable} -m laurels {words} {redirected}"
    subprocess.run(["sh", "-c", line], env=os.environ | {"LAURELS_SERVER": server.url}, check=False)
    assert "Traceback" not in (tmp_path / "err").read_text()
