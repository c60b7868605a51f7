"""The commands about the access file and the keys in it."""

from __future__ import annotations

import json
import os
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from laurels.access.file import read_access
from laurels.access.keys import digest_key, is_key
from tests.asking import ask
from tests.cli.conftest import run
from tests.conftest import running

if TYPE_CHECKING:
    from click.testing import Result

DOCS = Path(__file__).parents[2] / "docs"
ISSUER = 'issuer = "https://i.example", audience = "game"'


def laurels(*args: object) -> Result:
    """Run a command."""
    return run("", *args)


def create(file: Path, *args: object) -> Result:
    """Make a key that may read."""
    return laurels("keys", "create", "--access", file, "--scope", "read", *args)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the file that init writes."""
    file = tmp_path / "access.toml"
    assert laurels("access", "init", file).exit_code == 0
    return file


def test_init(tmp_path: Path) -> None:
    """The first file lets everybody read and one key do everything, which a service that has it goes by."""
    file = tmp_path / "access.toml"
    made = laurels("access", "init", file)
    key = made.stdout.strip()
    assert is_key(key)
    assert file.stat().st_mode & 0o777 == 0o600
    assert key not in file.read_text()
    assert key not in made.stderr
    with running(tmp_path / "data", "--access", str(file)) as server:
        assert ask(server, "GET", "/b/v").status == 200
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 401
        assert ask(server, "POST", "/b/v", {"score": 5}, {"authorization": f"Bearer {key}"}).status == 202
        assert not [line for line in server.log if key in line]


def test_init_in_json(tmp_path: Path) -> None:
    """For programs there is one object."""
    made = json.loads(laurels("access", "init", tmp_path / "a.toml", "--json").stdout)
    assert made | {"key": ""} == {"name": "admin", "key": "", "file": str(tmp_path / "a.toml")}
    assert read_access(tmp_path / "a.toml").keys["admin"].sha256 == digest_key(made["key"])


def test_init_never_overwrites(file: Path) -> None:
    """A file that is there stays, and nothing is shown."""
    before = file.read_text()
    refused = laurels("access", "init", file)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "File exists" in refused.stderr
    assert file.read_text() == before


def test_init_with_what_is_commented_out(file: Path) -> None:
    """What the first file has as comments can be had: it is valid without their signs."""
    comments = "\n".join(file.read_text().splitlines()[4:]).replace("\n# [", "\n[")
    for word in ("limits", "secret", "scopes"):
        comments = comments.replace(f"\n# {word} =", f"\n{word} =")
    file.write_text(comments)
    found = read_access(file)
    assert found.players is not None
    assert (found.public.limits.requests, found.players.limits.submits) == ("20/s", "2/s")


def test_check(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table says who may do what; notes say what should be known."""
    monkeypatch.delenv("LAURELS_TOKEN_SECRET", raising=False)
    file.write_text(
        '[public]\nscopes = []\nlimits = { requests = "20/s", burst = 40 }\n'
        f'[keys.old]\nsha256 = "{"a" * 64}"\nscopes = ["admin", "read"]\nboards = ["a-*", "b"]\nexpires = 2020-01-01\n'
        '[players]\nsecret = "env:LAURELS_TOKEN_SECRET"\nboards = []\n'
    )
    done = laurels("access", "check", file)
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["who", "may", "on", "boards", "limits", "expires"],
        ["the", "public", "nothing", "all", "requests", "20/s,", "burst", "40", "never"],
        ["key", "old", "admin,", "read", "a-*,", "b", "2020-01-01T00:00:00Z", "(expired)"],
        ["players", "read,", "submit:self", "none", "never"],
    ]
    assert "Note: [keys.old] has expired.\n" in done.stderr
    assert "Note: [players]: secret is in the variable LAURELS_TOKEN_SECRET, which is not set" in done.stderr
    found = json.loads(laurels("access", "check", file, "--json").stdout)
    assert [one["who"] for one in found["may"]] == ["the public", "key old", "players"]
    assert len(found["advice"]) == 2


WRONG = {
    "field": ("[public]\nscope = []", 'has no field "scope"; perhaps you mean "scopes"'),
    "issuer": (f'[players]\nissuers = [{{ {ISSUER}, jwks = "http://i.example" }}]', "jwks must begin with https://"),
    "issuer twice": (
        f'[players]\nissuers = [{{ {ISSUER}, jwks = "https://i" }}, {{ {ISSUER}, jwks = "https://j" }}]',
        "stands there twice",
    ),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_check_of_what_is_wrong(file: Path, text: str, says: str) -> None:
    """What a service would refuse is refused here, too."""
    file.write_text(text)
    done = laurels("access", "check", file)
    assert (done.exit_code, done.stdout) == (1, "")
    assert says in done.stderr


def test_secret_that_is_there(file: Path) -> None:
    """A secret that can be read needs no note."""
    file.write_text(file.read_text() + '\n[players]\nsecret = "file:secret"\n')
    file.with_name("secret").write_text("s" * 40)
    file.with_name("secret").chmod(0o600)
    assert laurels("access", "check", file).stderr == ""


def test_key_from_making_to_revoking(file: Path) -> None:
    """A key is shown when it is made, listed without its secret, and gone when it is revoked."""
    before = file.read_text()
    made = create(file, "game-server", "--scope", "submit", "--board", "mario-*", "--expires", "365d")
    key = read_access(file).keys["game-server"]
    assert key.sha256 == digest_key(made.stdout.strip())
    assert (key.scopes, key.boards) == (("read", "submit"), ("mario-*",))
    assert key.expires is not None
    assert abs(key.expires - datetime.now(UTC) - timedelta(days=365)) < timedelta(minutes=5)
    assert "systemctl reload" in made.stderr
    listed = laurels("keys", "list", "--access", file)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == ["name", "admin", "game-server"]
    rows = json.loads(laurels("keys", "list", "--access", file, "--json").stdout)["keys"]
    assert rows[1]["boards"] == ["mario-*"]
    assert key.sha256 not in json.dumps(rows) + listed.stdout
    assert laurels("keys", "revoke", "game-server", "--access", file).exit_code == 0
    assert file.read_text().split() == before.split()


def test_secret_instead_of_the_name(file: Path) -> None:
    """A key is neither called by its secret nor revoked by it, also by one that is cut off; no message repeats it."""
    secret = create(file, "ann").stdout.strip()
    for text in (secret, secret[:-1]):
        for result in (create(file, text), laurels("keys", "revoke", text, "--access", file)):
            assert result.exit_code == 1
            assert secret[:30] not in result.output
    assert [*read_access(file).keys] == ["admin", "ann"]


def test_keys_in_json(file: Path) -> None:
    """For programs each command writes one object."""
    made = json.loads(create(file, "ann", "--json").stdout)
    assert (made["name"], read_access(file).keys["ann"].sha256) == ("ann", digest_key(made["key"]))
    gone = json.loads(laurels("keys", "revoke", "ann", "--access", file, "--json").stdout)
    assert gone == {"name": "ann", "removed": True}


def test_file_without_keys(file: Path) -> None:
    """A file may have none."""
    file.write_text("[public]\n")
    assert laurels("keys", "list", "--access", file).stdout == "no keys\n"


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2100-11-01", datetime(2100, 11, 1, tzinfo=UTC)),
        ("2100-11-01T12:30:00+02:00", datetime(2100, 11, 1, 10, 30, tzinfo=UTC)),
    ],
)
def test_expiry(file: Path, when: str, expected: datetime) -> None:
    """A key expires at a date, or at a time."""
    create(file, "ann", "--expires", when)
    assert read_access(file).keys["ann"].expires == expected


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "a time without a unit": (
        ["ann", "--expires", "365"],
        2,
        "'365' is neither a time such as 365d or 12h, nor a date",
    ),
    "no time": (["ann", "--expires", "soon"], 2, "'soon' is neither a time"),
    "a time too far": (["ann", "--expires", "999999999d"], 2, "'999999999d' is neither a time"),
    "the past": (["ann", "--expires", "2020-01-01"], 2, "'2020-01-01' is over."),
    "a scope that is none": (["ann", "--scope", "submits"], 2, "'submits' is not one of"),
    "a board without a name": (["ann", "--board", ""], 2, "A board's name has 1 to 256 characters"),
    "a board with a control": (["ann", "--board", "a\n"], 2, "A board's name has 1 to 256 characters"),
    "a board that is no text": (["ann", "--board", "\udcff"], 2, "A board's name has 1 to 256 characters"),
    "a name that is none": (["a/b"], 1, "it must be 1 to 64 letters, digits"),
    "a name that is taken": (["admin"], 1, 'it has a key "admin" already'),
}


@pytest.mark.parametrize(("args", "status", "says"), REFUSED.values(), ids=REFUSED)
def test_key_that_is_refused(file: Path, args: list[str], status: int, says: str) -> None:
    """What is wrong changes nothing, and shows no key."""
    before = file.read_text()
    done = create(file, *args)
    assert (done.exit_code, done.stdout, file.read_text()) == (status, "", before)
    assert says in done.stderr


def test_key_that_is_not_there(file: Path) -> None:
    """To revoke what is not there is refused: its name may be misspelt."""
    done = laurels("keys", "revoke", "ann", "--access", file)
    assert (done.exit_code, done.stdout) == (1, "")
    assert 'it has no key "ann"' in done.stderr


def test_schema_is_published() -> None:
    """The schema in docs/ is the one that the command writes."""
    assert (DOCS / "access.schema.json").read_text() == laurels("access", "schema").stdout


def test_schema_accepts_what_the_service_accepts(file: Path) -> None:
    """An editor accepts by the schema the files that the service accepts, and marks what it refuses."""
    validator = jsonschema_rs.Draft7Validator(json.loads(laurels("access", "schema").stdout))

    def is_valid(text: str) -> bool:
        found: Any = json.loads(json.dumps(tomllib.loads(text), default=str))
        return bool(validator.is_valid(found))

    create(file, "ann", "--expires", "2100-11-01")
    assert is_valid(file.read_text())
    assert is_valid(f'[players]\nsecret = "env:A"\nissuers = [{{ {ISSUER}, keys = [{{ kty = "EC" }}] }}]')
    assert not is_valid('[public]\nscopes = ["reads"]')
    assert not is_valid('[public]\nlimits = { requests = "20" }')
    assert not is_valid("[keys.ann]\n")


def test_variable(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file may be named by the variable that the service reads."""
    monkeypatch.setitem(os.environ, "LAURELS_ACCESS", str(file))
    assert "admin" in laurels("keys", "list").stdout
