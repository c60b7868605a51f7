"""The command that puts an access file into a parameter, and access files as they are for that."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from laurels.access.ssm_parameter import PARAMETER_BYTES
from laurels.cli import main
from laurels.serverless.parameters import connect_ssm, parameter

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from tests.serverless.conftest import ParameterStore

ACCESS = "/laurels/dev/access"
TEXT = '# who may\n[public]\nscopes = ["read"]\n[players]\nsecret = "ssm:/laurels/dev/tokens"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an access file as functions read it."""
    (tmp_path / "access.toml").write_text(TEXT)
    return tmp_path / "access.toml"


def run(*arguments: object) -> Result:
    """Run a command."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="laurels")


def put(file: Path, *options: str) -> Result:
    """Put a file into the parameter."""
    return run("access", "put", file, "--parameter", ACCESS, *options)


def test_put(ssm: ParameterStore, file: Path) -> None:
    """The parameter has the file to the byte, as a SecureString of the advanced tier; it can be put again."""
    ssm.put("another one", ACCESS)
    done = put(file)
    assert done.stdout == f"{file} is in the parameter {ACCESS}: {len(TEXT)} of 8,192 bytes.\n"
    assert "within five minutes" in done.stderr
    assert parameter(ACCESS) == TEXT
    (described,) = connect_ssm().describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [ACCESS]}])[
        "Parameters"
    ]
    assert (described["Type"], described["Tier"]) == ("SecureString", "Advanced")


def test_key_of_ones_own(ssm: ParameterStore, file: Path) -> None:
    """It is encrypted by another key if one is named."""
    ssm.delete(ACCESS)
    assert put(file, "--kms-key", "alias/mine").exit_code == 0
    (described,) = connect_ssm().describe_parameters(ParameterFilters=[{"Key": "Name", "Values": [ACCESS]}])[
        "Parameters"
    ]
    assert described["KeyId"] == "alias/mine"


REFUSED = {
    "too large": ("#" * (PARAMETER_BYTES + 1), "it has 8,193 bytes, and a parameter of the advanced tier holds 8,192"),
    "limits": ('[public]\nlimits = { requests = "1/s" }', "[public] has limits"),
    "env": ('[players]\nsecret = "env:SECRET"', "ssm:NAME"),
    "issuer": (
        '[players]\nissuers = [{ issuer = "i", audience = "a", jwks = "http://i.example" }]',
        "jwks must begin with https://",
    ),
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_refused(ssm: ParameterStore, file: Path, text: str, says: str) -> None:
    """What no function could use is not put, and what is in the parameter stays."""
    ssm.put("as it was", ACCESS)
    file.write_text(text)
    done = put(file)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr
    assert parameter(ACCESS) == "as it was"


@pytest.mark.parametrize("name", ["access", "laurels/dev/access", "/aws/access", "/a b", "/" + "a" * 1011])
def test_name_that_no_parameter_has(file: Path, name: str) -> None:
    """A name that AWS would refuse is refused before anything is sent."""
    done = run("access", "put", file, "--parameter", name)
    assert done.exit_code == 2
    assert "is not the whole name of a parameter" in done.stderr


def test_ssm_that_is_not_there(ssm: ParameterStore, file: Path) -> None:
    """If SSM cannot be reached the error says so."""
    ssm.server.stop()
    done = put(file)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: The parameter {ACCESS} cannot be written: Could not connect")


def test_check(file: Path) -> None:
    """A file for Lambda is refused as one for a machine, and one for a machine as one for Lambda."""
    assert "read on Lambda alone" in run("access", "check", file).stderr
    done = run("access", "check", file, "--on-lambda", "--json")
    assert [one["who"] for one in json.loads(done.stdout)["may"]] == ["the public", "players"]
    file.write_text('[public]\nlimits = { requests = "1/s" }')
    assert run("access", "check", file).exit_code == 0
    assert "[public] has limits" in run("access", "check", file, "--on-lambda").stderr


def test_keys_of_a_file_for_lambda(file: Path) -> None:
    """Keys are made, listed and revoked in it as in any access file."""
    option = ("--access", file)
    assert run("keys", "create", "game", *option, "--scope", "read").exit_code == 0
    assert "game" in run("keys", "list", *option).stdout
    assert run("keys", "revoke", "game", *option).exit_code == 0
    assert file.read_text().startswith(TEXT)
