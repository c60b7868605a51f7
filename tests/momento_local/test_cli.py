"""The command that runs a local Momento server, and the lines that it prints."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
from momento import CacheClient, Configurations, CredentialProvider
from momento.errors import MomentoErrorCode
from momento.responses import ListCaches

from laurels.optional import install_command
from tests.momento import momento_running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento

ROOT = Path(__file__).parents[2]
LAST = "    curl"
MINUTE = timedelta(minutes=1)

PYTHON = """
from datetime import timedelta
from momento import CacheClient, Configurations
with CacheClient(Configurations.Laptop.latest(), credentials, timedelta(minutes=1)) as client:
    client.sorted_set_put_element("boards", "played", "v", 2077.0)
    print(client.sorted_set_get_score("boards", "played", "v").score)
"""
JAVASCRIPT = """
const {CacheClient, Configurations} = require('@gomomento/sdk');
(async () => {
  const configuration = Configurations.Laptop.latest();
  const client = await CacheClient.create({configuration, credentialProvider, defaultTtlSeconds: 60});
  await client.sortedSetPutElement('boards', 'played', 'v', 2077);
  console.log((await client.sortedSetGetScore('boards', 'played', 'v')).score());
  client.close();
})();
"""
PROGRAMS = {
    "Python": ([sys.executable, "-c"], PYTHON, "2077.0"),
    "JavaScript": (["node", "--require", str(Path(__file__).with_name("hosts.cjs")), "-e"], JAVASCRIPT, "2077"),
    "Shell": (["sh", "-c"], "", '"role_id":"owner"'),
}

OPEN = [
    "Python, without TLS and without a key",
    "JavaScript, without TLS and without a key",
]
TLS = [
    "Python, with TLS",
    "Python, with TLS and nothing but one key string",
    "JavaScript, with TLS",
    "JavaScript, with TLS and nothing but one key string",
]
BLOCKS = ["Python, without TLS", *OPEN, *TLS, "Shell, for the account API"]


class Page(NamedTuple):
    """A running server, with what it has printed and the file that it has written."""

    text: str
    env_file: Path
    process: subprocess.Popen[str]

    @property
    def blocks(self) -> dict[str, str]:
        """The lines to copy, by their titles."""
        title, found = "", dict[str, str]()
        for part in self.text.split("\n\n"):
            if part.startswith("    "):
                found[title] = "".join(f"{line[4:]}\n" for line in part.splitlines())
            title = part.strip().removesuffix(":")
        return found


@contextmanager
def run_printing(directory: Path, *options: str) -> Iterator[Page]:
    """Run the command in a directory until the end of the block, and read what it prints."""
    env_file = directory / "momento.env"
    command = [sys.executable, "-m", "laurels", "momento-local", "--port", "0", "--env-file", str(env_file), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=directory)
    assert process.stdout is not None
    with process, process.stdout as stdout:
        lines = []
        for line in stdout:
            lines.append(line)
            if line.startswith(LAST):
                break
        else:  # pragma: no cover - what a failing test shows
            raise AssertionError("".join(lines))
        try:
            yield Page("".join(lines), env_file, process)
        finally:
            process.terminate()


def run_to_its_end(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a directory, with options for which it ends by itself."""
    command = [sys.executable, "-m", "laurels", "momento-local", "--port", "0", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=directory, timeout=30, check=False)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Yield a server with TLS, with what it has printed."""
    with run_printing(tmp_path_factory.mktemp("printed"), "--tls", "--cache", "boards") as page:
        yield page


@pytest.mark.parametrize("title", BLOCKS)
def test_printed_lines_connect(page: Page, title: str) -> None:
    """Each printed block of lines, run with the printed exports, connects a program to the server."""
    check_connects(page, title.partition(",")[0], page.blocks[title])


def test_node_takes_the_v1_key_if_it_finds_the_host(page: Page) -> None:
    """With the line that is printed for /etc/hosts, programs in Node connect with the v1 key, too."""
    lines = page.blocks["JavaScript, with TLS"]
    assert "// 127.0.0.1 cache.localhost control.localhost token.localhost" in lines
    check_connects(page, "JavaScript", lines.replace("fromEnvVarV2()", "fromEnvironmentVariable('V1_API_KEY')"))


def check_connects(page: Page, language: str, lines: str) -> None:
    """Run a program that begins with some lines, with the printed exports, and check what it prints."""
    runner, program, expected = PROGRAMS[language]
    command = ["sh", "-c", f'. {page.env_file} && exec "$@"', "sh", *runner, lines + program]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert expected in done.stdout, done.stderr


def test_printed_exports_are_those_of_the_file(page: Page) -> None:
    """The printed exports are also written to a file that only its owner can read."""
    text = page.env_file.read_text()
    assert page.blocks["Keys that may do everything, as shell exports"] == text
    assert [line.partition("=")[0].removeprefix("export ") for line in text.splitlines()] == [
        "MOMENTO_API_KEY",
        "MOMENTO_ENDPOINT",
        "V1_API_KEY",
        "LEGACY_API_KEY",
        "MOMENTO_ACCOUNT_URL",
        "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
    ]
    assert stat.S_IMODE(page.env_file.stat().st_mode) == 0o600


def test_all_blocks_are_tested(page: Page) -> None:
    """There are no blocks besides the tested ones."""
    assert list(page.blocks) == ["Keys that may do everything, as shell exports", *BLOCKS]


def test_page_without_tls(tmp_path: Path) -> None:
    """Lines that would not work, without TLS or without a key, are not printed; an old file is replaced."""
    (tmp_path / "momento.env").write_text("old")
    with run_printing(tmp_path, "--require-key") as page:
        assert list(page.blocks)[1:] == ["Python, without TLS", "Shell, for the account API"]
        assert page.process.stdout is not None
        assert "start it with --tls" in page.process.stdout.readline() + page.process.stdout.readline()
    assert stat.S_IMODE(page.env_file.stat().st_mode) == 0o600
    assert "old" not in page.env_file.read_text()


def test_exports_go_where_a_link_leads(tmp_path: Path) -> None:
    """The file for the exports may be a link, which stays, to a pipe."""
    (tmp_path / "momento.env").symlink_to("/dev/stdout")
    with run_printing(tmp_path) as page:
        assert page.text.startswith("export MOMENTO_API_KEY=")
        assert page.env_file.is_symlink()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda ending: ending.name)
def test_signal_ends_it_well(tmp_path: Path, ending: signal.Signals) -> None:
    """Ctrl-C and SIGTERM end the server with exit status 0, even right after its start."""
    with run_printing(tmp_path) as page:
        page.process.send_signal(ending)
        assert page.process.wait(30) == 0


def test_half_a_request_does_not_hold_the_end() -> None:
    """A client with an unfinished request does not hold up the end."""
    with momento_running() as momento:
        url = httpx.URL(momento.connections.account_url)
        with socket.create_connection((url.host, url.port or 0)) as connection:
            connection.sendall(
                b"POST /api-keys HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 100")
            momento.process.terminate()
            assert momento.process.wait(30) == 0


def test_secret_file_keeps_the_keys(tmp_path: Path) -> None:
    """Servers with one secret file have the same key; only its owner can read the file."""
    secret = tmp_path / "secret"
    with (
        momento_running("--secret-file", str(secret)) as first,
        momento_running("--secret-file", str(secret)) as second,
    ):
        assert first.connections.api_key == second.connections.api_key
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600


def test_key_can_be_required() -> None:
    """If a key is required, a call without one is refused, and a call with one is not."""
    with momento_running("--require-key") as momento:
        for key, expected in (("", MomentoErrorCode.AUTHENTICATION_ERROR), (momento.connections.api_key, None)):
            credentials = CredentialProvider(key, momento.host, momento.host, momento.host, momento.port)
            with CacheClient(Configurations.Laptop.latest(), credentials, MINUTE) as client:
                assert getattr(client.create_cache("boards"), "error_code", None) == expected


def test_caches_and_faults_are_there_at_the_start() -> None:
    """Caches and faults of the options are there at the first call; a fault with a count ends after it."""
    options = ["--cache", "one", "--cache", "two", "--fault", "ListCaches:PERMISSION_DENIED:1"]
    with (
        momento_running(*options) as momento,
        CacheClient(Configurations.Laptop.latest(), momento.credentials, MINUTE) as client,
    ):
        assert isinstance(client.list_caches(), ListCaches.Error)
        listed = client.list_caches()
        assert isinstance(listed, ListCaches.Success)
        assert sorted(cache.name for cache in listed.caches) == ["one", "two"]


@pytest.mark.parametrize(
    ("host", "name"),
    [("0.0.0.0", "localhost"), ("::1", "[::1]"), ("localhost", "localhost")],  # noqa: S104
)
def test_host_can_be_reached_as_printed(tmp_path: Path, host: str, name: str) -> None:
    """The printed addresses have a name by which this machine reaches the server."""
    with momento_running("--host", host, "--tls", "--ca-file", str(tmp_path / "ca.pem")) as momento:
        assert momento.host == name
        assert momento.connections.place == f"localhost:{momento.connections.tls_port}"
        assert httpx.get(f"{momento.connections.account_url}/-/faults").json() == {"faults": []}
        with CacheClient(Configurations.Laptop.latest(), momento.credentials, MINUTE) as client:
            assert isinstance(client.list_caches(), ListCaches.Success)


def test_endpoint_of_tls_is_as_the_sdks_take_it(secure: Momento) -> None:
    """With TLS the endpoint is a host and a port alone, and the path of the authority's file is absolute."""
    assert secure.connections.endpoint == f"localhost:{secure.connections.tls_port}"
    assert Path(str(secure.connections.ca_file)).is_absolute()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--fault", "Nothing:UNAVAILABLE"], 2, "There is no call 'Nothing'"),
        (["--cache", ""], 1, "Error: "),
        (["--secret-file", "short"], 1, "32 bytes"),
        (["--ca-file", "nowhere/ca.pem", "--tls"], 1, "nowhere/ca.pem"),
        (["--env-file", "nowhere/momento.env"], 1, "nowhere/momento.env"),
    ],
    ids=["fault", "cache", "secret", "authority", "exports"],
)
def test_bad_option_is_refused(tmp_path: Path, options: list[str], status: int, message: str) -> None:
    """A bad option ends the command with what would be right."""
    (tmp_path / "short").write_bytes(b"short")
    done = run_to_its_end(tmp_path, *options)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("option", ["--port", "--account-port", "--tls-port"])
def test_taken_port_is_refused(tmp_path: Path, option: str) -> None:
    """The error for a port in use says what to do, and the authority's file is left as it was."""
    trusted = tmp_path / "momento-local-ca.pem"
    trusted.write_text("of the server that has the port")
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        done = run_to_its_end(tmp_path, "--tls", option, str(port))
    assert done.returncode == 1
    assert trusted.read_text() == "of the server that has the port"
    assert f"Error: Cannot listen on 127.0.0.1:{port}: it is in use" in done.stderr
    assert f"Choose another with {option}." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["momento-local"], 1, install_command("momento")),
        (["--help"], 0, "momento-local  (not installed: `laurels momento-local` says how to)"),
    ],
)
def test_missing_package(arguments: list[str], status: int, message: str) -> None:
    """If the packages for Momento are not installed, the command and the help say how to install them."""
    program = "import sys; sys.modules['grpc'] = None; from laurels.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == status, done
    assert message in done.stdout + done.stderr


def test_json(secure: Momento) -> None:
    """With --json one object has all that a program needs."""
    command = [sys.executable, "-m", "laurels", "momento-local", "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as stdout:
        found = json.loads(stdout.readline())
        process.terminate()
    assert {"host", "port", "account_url", "endpoint", "api_key", "v1_api_key", "legacy_api_key"} == set(found)
    assert found["api_key"] != secure.connections.api_key
