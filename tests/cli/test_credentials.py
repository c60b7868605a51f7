"""The key that commands show to a service: whence it is taken, and that it goes nowhere else."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

from laurels.access.keys import digest_key, make_key
from laurels.cli.credentials import Credential
from tests.cli.conftest import run
from tests.cli.hostile import CALLING, answer, lying, words_of
from tests.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from tests.conftest import Server

KEY, READER = make_key(), make_key()
MISTYPED = KEY[:-1] + ("0" if KEY[-1] != "0" else "1")
BEARER = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ2In0.c2lnbmF0dXJl"
PLAYER = ("standing", "b", "v")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Run a service that asks for a key."""
    directory = tmp_path_factory.mktemp("closed")
    keys = {"all": (KEY, ["admin"]), "reader": (READER, ["read"])}
    tables = [f'[keys.{name}]\nsha256 = "{digest_key(key)}"\nscopes = {scopes}' for name, (key, scopes) in keys.items()]
    (directory / "access.toml").write_text("\n".join([*tables, '[players]\nsecret = "file:secret"']))
    (directory / "secret").write_text("s" * 32)
    with running(directory / "data", "--access", str(directory / "access.toml")) as server:
        yield server


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Begin without a key."""
    monkeypatch.delenv("LAURELS_KEY", raising=False)
    return monkeypatch


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with the key in it, which nobody else may read."""
    found = tmp_path / "key"
    found.write_text(f"{KEY}\n")
    found.chmod(0o600)
    return found


def shows(found: Result, *secrets: str) -> bool:
    """Return whether what a command said has any of these in it, or a good part of one."""
    return any(secret[8:30] in found.output for secret in (KEY, READER, *secrets))


@pytest.mark.parametrize(
    "options", [["--key", "env:GAME_KEY"], ["--key", "file:FILE"], ["--key-file", "FILE"], []], ids=str
)
def test_where_the_key_is(closed: Server, environment: pytest.MonkeyPatch, file: Path, options: list[str]) -> None:
    """It is in a variable, in a file, or in LAURELS_KEY; an option comes before that."""
    environment.setenv("GAME_KEY", KEY)
    environment.setenv("LAURELS_KEY", READER if options else KEY)
    found = run(closed.url, "submit", "b", "v", "7", *(option.replace("FILE", str(file)) for option in options))
    assert (found.exit_code, found.stderr) == (0, "")
    assert not shows(found)


@pytest.mark.parametrize("words", CALLING, ids=" ".join)
def test_every_command_shows_the_key(environment: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Each command that calls a service shows it the key, with every request."""
    environment.setenv("LAURELS_KEY", KEY)
    with lying(lambda _, __: [answer(b"{}", "503 Service Unavailable")]) as service:
        run(service.url, *words_of(words, tmp_path))
        assert service.heads
        assert {head.get(b"authorization") for head in service.heads} == {b"bearer " + KEY.lower().encode()}


@pytest.mark.parametrize(
    "options",
    [
        ["--key", KEY],
        [f"--key={KEY}"],
        ["--key", BEARER],
        ["--key", "secret"],
        ["--key", "laurels_"],
        ["--key", f"env:{KEY}"],
        ["--key", f"file:{KEY}"],
        ["--key", "env:"],
        ["--key", "file:"],
        ["--key", ""],
        ["--key", f"ENV:{KEY}"],
        ["--key-file", KEY],
        ["--key-file", BEARER],
    ],
    ids=range(13),
)
def test_bare_key(options: list[str]) -> None:
    """A key on the command line is refused, with the ways out, and is not said again."""
    with lying(lambda _, __: [answer(b"{}")]) as service:
        found = run(service.url, *PLAYER, *options)
        assert (found.exit_code, service.requests) == (2, [])
    assert "LAURELS_KEY" in found.stderr
    assert "--key-file" in found.stderr
    assert not shows(found, BEARER)


BAD = {
    "no variable": (["--key", "env:NONE"], "variable NONE"),
    "no file": (["--key-file", "/nowhere/key"], "no such file"),
    "a directory": (["--key-file", "/"], "is a directory"),
    "a NUL": (["--key-file", "a\0b"], "cannot be read"),
    "both": (["--key-file", "FILE", "--key", "file:FILE"], "contradict"),
    "mistyped": (["--key", "env:MISTYPED"], "checksum"),
    "two lines": (["--key", "env:LINES"], "no key"),
    "a header": (["--key", "env:HEADER"], "no key"),
    "too long": (["--key", "env:LONG"], "no key"),
    "no text": (["--key-file", "/usr/bin/env"], "no key"),
    "empty": (["--key-file", "/dev/null"], "no key"),
}


@pytest.mark.parametrize(("options", "reason"), BAD.values(), ids=BAD)
def test_key_that_is_none(environment: pytest.MonkeyPatch, file: Path, options: list[str], reason: str) -> None:
    """What is no key is refused before a request, with status 2, and nothing of it is said."""
    for name, value in {"MISTYPED": MISTYPED, "LINES": f"{KEY}\n{KEY}", "HEADER": f"{KEY}\r\nx: y"}.items():
        environment.setenv(name, value)
    environment.setenv("LONG", "x" * 9000)
    with lying(lambda _, __: [answer(b"{}")]) as service:
        found = run(service.url, *PLAYER, *(option.replace("FILE", str(file)) for option in options))
        assert (found.exit_code, service.requests) == (2, [])
    assert reason in found.stderr
    assert not shows(found)
    assert "Traceback" not in found.output


def test_variable_that_is_wrong(environment: pytest.MonkeyPatch) -> None:
    """What is in LAURELS_KEY is checked, too; if that is empty there is no key."""
    environment.setenv("LAURELS_KEY", MISTYPED)
    assert (found := run("http://127.0.0.1:1", *PLAYER)).exit_code == 2
    assert not shows(found)
    environment.setenv("LAURELS_KEY", " ")
    assert "Cannot reach" in run("http://127.0.0.1:1", *PLAYER).stderr


@pytest.mark.parametrize(("mode", "is_warned"), [(0o600, False), (0o640, False), (0o644, True), (0o602, True)])
def test_file_that_others_can_read(closed: Server, file: Path, mode: int, *, is_warned: bool) -> None:
    """A key that every user can read is used, with a warning on stderr that says how to mend it."""
    file.chmod(mode)
    found = run(closed.url, "submit", "b", "v", "7", "--key-file", file, "--json")
    assert (found.exit_code, f"chmod 600 {file}" in found.stderr) == (0, is_warned)
    assert not shows(found)


def test_pipe(closed: Server) -> None:
    """A key may come through a pipe, as a shell's <(...) gives it."""
    ours, theirs = os.pipe()
    os.write(theirs, KEY.encode())
    os.close(theirs)
    assert run(closed.url, "submit", "b", "v", "7", "--key-file", f"/dev/fd/{ours}").exit_code == 0
    os.close(ours)


def test_without_a_key(closed: Server) -> None:
    """A 401 ends with how to show a key."""
    found = run(closed.url, *PLAYER)
    assert found.exit_code == 1
    assert "LAURELS_KEY" in found.stderr
    assert "--key-file FILE" in found.stderr


def test_key_that_is_not_accepted(closed: Server, environment: pytest.MonkeyPatch) -> None:
    """A 401 for a key says where that is from."""
    environment.setenv("LAURELS_KEY", make_key())
    found = run(closed.url, *PLAYER)
    assert found.exit_code == 1
    assert found.stderr.endswith("What was shown is from LAURELS_KEY.\n")


def test_key_that_may_not(closed: Server, environment: pytest.MonkeyPatch) -> None:
    """A 403 says which right is needed, and where the key is from."""
    environment.setenv("READER_KEY", READER)
    found = run(closed.url, "submit", "b", "v", "7", "--key", "env:READER_KEY")
    assert found.exit_code == 1
    assert "submit" in found.stderr
    assert found.stderr.endswith("What was shown is from the variable READER_KEY.\n")
    assert not shows(found)


def test_forbidden_without_a_key() -> None:
    """A 403 for nobody in particular is the service's own words alone."""
    refusal = b'{"title":"Forbidden","status":403,"detail":"Nobody may."}'
    with lying(lambda _, __: [answer(refusal, "403 Forbidden")]) as service:
        assert run(service.url, *PLAYER).stderr == "Error: Forbidden: Nobody may.\n"


@pytest.mark.parametrize(
    "status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
def test_key_is_sent_to_no_other_host(environment: pytest.MonkeyPatch, status: str) -> None:
    """A redirect is not followed, so nobody else sees the key."""
    environment.setenv("LAURELS_KEY", KEY)
    with (
        lying(lambda _, __: [answer(b"{}")]) as other,
        lying(lambda _, __: [answer(b"", status, f"location: {other.url}/b/v")]) as service,
    ):
        found = run(service.url, *PLAYER)
        assert (found.exit_code, other.requests) == (3, [])
    assert not shows(found)


def test_service_that_sends_the_key_back(environment: pytest.MonkeyPatch) -> None:
    """What a service says of the key is not shown either."""
    environment.setenv("LAURELS_KEY", KEY)
    refusal = b'{"title":"Unauthorized","status":401,"detail":"The key %b is bad."}' % KEY.encode()
    with lying(lambda _, __: [answer(refusal, "401 Unauthorized")]) as service:
        found = run(service.url, *PLAYER)
    assert "The key ... is bad." in found.stderr
    assert not shows(found)


def test_password_and_key(environment: pytest.MonkeyPatch) -> None:
    """A URL with a password and a key cannot both say who asks."""
    environment.setenv("LAURELS_KEY", KEY)
    found = run("http://ada:hunter2@127.0.0.1:1", *PLAYER)
    assert found.exit_code == 2
    assert "hunter2" not in found.stderr


def test_nothing_shows_the_key() -> None:
    """Neither a representation nor a core of the process has it."""
    credential = Credential(KEY, "a test")
    assert KEY not in repr(credential)
    assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
