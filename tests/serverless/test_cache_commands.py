"""The commands that make, delete and list caches."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from laurels.cli import main
from laurels.cli.momento import PROXIES
from laurels.optional import install_command

if TYPE_CHECKING:
    from click.testing import Result

    from tests.momento import Momento
    from tests.serverless.conftest import ParameterStore

ADMIN = "/leaderboard-api/dev/momento-super-user-key"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, momento: Momento) -> None:
    """Set the endpoint and the key for the commands."""
    monkeypatch.setenv("MOMENTO_API_KEY", momento.connections.api_key)
    monkeypatch.setenv("MOMENTO_ENDPOINT", momento.connections.endpoint)


def run(*args: str) -> Result:
    """Run a command on caches."""
    return CliRunner().invoke(main, ["momento", *args], prog_name="laurels")


def test_life_of_a_cache() -> None:
    """A cache is made, listed and deleted; each command can be repeated, and says that there was nothing to do."""
    assert run("create-cache", "shelf").stdout == "The cache shelf is made.\n"
    assert run("create-cache", "shelf").stdout == "The cache shelf is there already.\n"
    assert "shelf\n" in run("caches").stdout
    assert run("delete-cache", "shelf").stdout == "The cache shelf is deleted.\n"
    assert run("delete-cache", "shelf").stdout == "There is no cache shelf.\n"


@pytest.mark.parametrize("variable", ["grpc_proxy", "https_proxy", "http_proxy"])
def test_local_server_is_asked_directly(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """A local server is asked without a proxy, whatever the variables say."""
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_grpc_proxy", "")
    assert run("caches").exit_code == 0


def test_server_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Momento cannot be reached the proxy is named with its variable, if there is one, and the exit status is 3."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", "laurels.invalid")
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    assert run("caches").stderr.startswith("Error: Momento cannot be reached. ")
    monkeypatch.setenv("https_proxy", "http://user:secret@127.0.0.1:9")
    found = run("caches")
    assert found.exit_code == 3
    assert "cannot be reached through the proxy http://...@127.0.0.1:9 of https_proxy. What " in found.stderr


def test_as_json() -> None:
    """With --json each command writes the same as JSON."""
    assert run("create-cache", "shelf", "--json").stdout == '{"cache":"shelf","created":true}\n'
    assert '"shelf"' in run("caches", "--json").stdout
    assert run("delete-cache", "shelf", "--json").stdout == '{"cache":"shelf","deleted":true}\n'


def test_key_from_a_parameter(ssm: ParameterStore, momento: Momento, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key may be in a parameter."""
    monkeypatch.delenv("MOMENTO_API_KEY")
    ssm.put(momento.connections.v1_api_key, ADMIN)
    result = run("create-cache", "from-parameter", "--key-parameter", ADMIN)
    assert result.stdout == "The cache from-parameter is made.\n"


@pytest.mark.usefixtures("ssm")
def test_missing_parameter() -> None:
    """The error for a missing parameter has its name and the reason."""
    result = run("caches", "--key-parameter", "/nothing/here")
    assert result.exit_code == 1
    assert "Error: The parameter /nothing/here cannot be read: " in result.stderr
    assert "ParameterNotFound" in result.stderr


def test_parameter_without_a_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """If AWS's settings have no region, the error says so, in one sentence."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    assert run("caches", "--key-parameter", "/key").stderr.endswith("You must specify a region.\n")


def test_refused_key(monkeypatch: pytest.MonkeyPatch, momento: Momento) -> None:
    """The error for a key that is not accepted says that the key is the reason."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"http://127.0.0.1:{momento.port}")
    monkeypatch.setenv("MOMENTO_API_KEY", "nonsense")
    result = run("create-cache", "shelf")
    assert result.exit_code == 1
    assert "The Momento key is refused: it cannot be read" in result.stderr


def test_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outage is an error, and is not taken for an account without caches."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", "http://127.0.0.1:1")
    result = run("caches")
    assert result.exit_code == 3
    assert "Momento cannot be reached" in result.stderr


@pytest.mark.parametrize(
    ("package", "args", "extra"),
    [("botocore", ["--key-parameter", "p"], "aws"), ("momento", [], "momento")],
)
def test_missing_package(monkeypatch: pytest.MonkeyPatch, package: str, args: list[str], extra: str) -> None:
    """If a package is not installed, the command says what to install."""
    for name in [name for name in sys.modules if name.startswith(("laurels.serverless", "laurels.stores.momento"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.config", None)
    result = run("caches", *args)
    assert result.exit_code == 1
    assert install_command(extra) in result.stderr


def test_help_without_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """The help lists all commands, and says which cannot be used yet."""
    monkeypatch.delitem(sys.modules, "laurels.cli.momento_local", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    shown = CliRunner().invoke(main, ["--help"]).stdout
    assert "(not installed: `laurels momento-local` says how to)" in shown


def test_missing_module_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing module that no extra installs is a fault: it is raised as it is."""
    monkeypatch.delitem(sys.modules, "laurels.cli.momento", raising=False)
    monkeypatch.setitem(sys.modules, "asyncio", None)
    assert isinstance(run("caches").exception, ModuleNotFoundError)
