"""Access files: what they say, and what is said of errors in them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING

import pytest

from laurels.access.advice import list_advice
from laurels.access.file import AccessFile, Issuer, Key, Players, Public, RateLimits, parse_access, read_access
from laurels.access.keys import digest_key, make_key
from laurels.access.secret_references import read_secret
from laurels.errors import AccessFileUnusable

if TYPE_CHECKING:
    from pathlib import Path

A, B = "a" * 64, "b" * 64
SECRET = "a-secret-that-is-long-enough-for-HS256"  # noqa: S105 - of tests alone
WHOLE = f"""
[public]
scopes = ["read"]
boards = ["*"]
limits = {{ requests = "20/s", burst = 40 }}

[keys.game-server]
sha256 = "{A}"
scopes = ["read", "submit", "tokens"]
boards = ["mario-*"]
expires = 2027-11-01

[keys."console.of.ann"]
sha256 = "{B}"
scopes = ["admin"]
limits = {{ submits = "600/m" }}

[players]
secret = "env:LAURELS_TOKEN_SECRET"
issuers = [{{ issuer = "https://i.example", jwks = "https://i.example/keys", audience = "game", name = "user.name" }}]
limits = {{ submits = "2/s", burst = 10 }}
anonymous = true
"""


def parse(text: str, *, on_lambda: bool = False) -> AccessFile:
    """Return what an access file says."""
    return parse_access(text, "access.toml", on_lambda=on_lambda)


def key(fields: str) -> str:
    """Return a file with one key that has further fields."""
    return f'[keys.game]\nsha256 = "{A}"\n{fields}\n'


def test_all_that_can_be_said() -> None:
    """Every table and field is read as what it means."""
    assert parse(WHOLE) == AccessFile(
        Public(("read",), ("*",), RateLimits("20/s", burst=40)),
        {
            "game-server": Key(
                A, ("read", "submit", "tokens"), ("mario-*",), expires=datetime(2027, 11, 1, tzinfo=UTC)
            ),
            "console.of.ann": Key(B, ("admin",), limits=RateLimits(submits="600/m")),
        },
        Players(
            "env:LAURELS_TOKEN_SECRET",
            (Issuer("https://i.example", "game", "https://i.example/keys", name="user.name"),),
            limits=RateLimits(submits="2/s", burst=10),
            anonymous=True,
        ),
    )


TIMES = {
    "2027-11-01": datetime(2027, 11, 1, tzinfo=UTC),
    "2027-11-01T12:30:00": datetime(2027, 11, 1, 12, 30, tzinfo=UTC),
    "2027-11-01 12:30:00.5Z": datetime(2027, 11, 1, 12, 30, 0, 500_000, tzinfo=UTC),
    "2027-11-01T00:30:00+02:00": datetime(2027, 10, 31, 22, 30, tzinfo=UTC),
    "0001-01-01T00:00:00+14:00": datetime(1, 1, 1, tzinfo=UTC).timestamp() - 14 * 3600,
}


@pytest.mark.parametrize(("text", "expected"), TIMES.items(), ids=TIMES)
def test_expiry(text: str, expected: datetime | float) -> None:
    """A date ends at its first moment in UTC, in which a time is, too, that says nothing of a zone."""
    moment = expected.timestamp() if isinstance(expected, datetime) else expected
    assert parse(key(f"expires = {text}")).keys["game"].expires_at == moment


def test_key_for_good() -> None:
    """A key without a time does not expire."""
    assert parse(key("")).keys["game"].expires_at == inf


WRONG = {
    "no TOML": ("[keys", "it is not TOML: "),
    "too deep": ("x = " + "[" * 5000, "nested too deep"),
    "nothing": ("# only a comment\n", "it is empty, so that nobody might do anything: `laurels access init`"),
    "another table": ("[player]\n", 'An access file has no field "player"; perhaps you mean "players". It has public'),
    "keys that are a list": ("keys = []", "keys must hold a table for each key, such as [keys.game]"),
    "key that is text": ('keys.game = "abc"', "[keys.game] must be a table. It has sha256, scopes"),
    "public that is a list": ("public = []", "[public] must be a table"),
    "misspelt field": (key("scope = []"), '[keys.game] has no field "scope"; perhaps you mean "scopes". It has sha256'),
    "name with a dot": (f'[keys.game.server]\nsha256 = "{A}"', 'stands in quotes: [keys."game.server"]'),
    "inner field": (key('limits = { rps = "1/s" }'), '[keys.game]: limits has no field "rps". It has requests'),
    "field of an issuer": (
        '[[players.issuers]]\nissuer = "i"\naud = "a"',
        '[players]: issuers has no field "aud"; perhaps you mean "audience"',
    ),
    "misspelt scope": (
        key('scopes = ["read", "submits"]'),
        '[keys.game]: there is no scope "submits"; perhaps you mean "submit". The scopes are read, submit:self, ',
    ),
    "scope by itself": (key('scopes = "read"'), '[keys.game]: scopes is "read": it must be a list of scopes'),
    "scope that is a number": (key("scopes = [1]"), "[keys.game]: scopes[0] is 1: it must be a list of scopes"),
    "pattern by itself": (key('boards = "mario-*"'), 'boards is "mario-*": it must be a list of names of boards'),
    "empty pattern": (key('boards = ["a", ""]'), 'boards[1] is "": it must be a list of names of boards'),
    "control in a pattern": (key('boards = ["a\\nb"]'), "boards[0] is "),
    "rate without a unit": (key('limits = { requests = "20" }'), 'limits.requests is "20": it must be how many in a'),
    "rate of none": ('[public]\nlimits = { submits = "0/s" }', '[public]: limits.submits is "0/s": it must be how'),
    "newline after a rate": (key('limits = { requests = "20/s\\n" }'), "limits.requests is "),
    "newline after a digest": (key("").replace(A, f"{A}\\n"), "sha256 is not right"),
    "newline after a pattern": (key('boards = ["a\\n"]'), "boards[0] is "),
    "burst of none": (key("limits = { burst = 0 }"), "limits.burst is 0: it must be a whole number from 1"),
    "limits that are a rate": (key('limits = "20/s"'), 'limits is "20/s": it must be such as { requests ='),
    "no digest": ("[keys.game]\n", "[keys.game] needs sha256: it must be the SHA-256 of the key, 64 hexadecimal"),
    "expiry in quotes": (
        key('expires = "2027-11-01"'),
        'expires is "2027-11-01": it must be a date or a time, without',
    ),
    "expiry by the clock": (key("expires = 12:00:00"), "expires is "),
    "digest twice": (key(f'[keys.other]\nsha256 = "{A}"'), "[keys.other] has the sha256 of [keys.game]: each key has"),
    "name that is none": ('[keys."a/b"]\n', 'The name of the key is "a/b": it must be 1 to 64 letters'),
    "name that is too long": (f"[keys.{'a' * 65}]\n", "it must be 1 to 64 letters, digits"),
    "nothing to sign with": ("[players]\nanonymous = true", "[players]: anonymous needs secret, to sign tokens with"),
    "anonymous": ("[players]\nanonymous = 1", "[players]: anonymous is 1: it must be true or false"),
    "issuer without keys": (
        '[[players.issuers]]\nissuer = "i"\naudience = "a"',
        "[players]: issuers[0] must have either jwks, an address, or keys",
    ),
    "issuer without an audience": (
        '[[players.issuers]]\nissuer = "i"\njwks = "https://i"',
        "[players]: issuers[0] needs audience: it must be what the tokens have in aud",
    ),
    "bare secret": (
        f'[players]\nsecret = "{SECRET}"',
        "as in env:LAURELS_TOKEN_SECRET or file:token-secret: it must not stand in this file itself",
    ),
    "secret of no name": ('[players]\nsecret = "env:"', "secret must say where the secret is"),
    "secret that is a number": ("[players]\nsecret = 1", "[players]: secret is not right: it must say where"),
    "secret of Lambda": ('[players]\nsecret = "ssm:/a"', "is in ssm:, which is read on Lambda alone: write env:NAME"),
}


@pytest.mark.parametrize(("text", "says"), WRONG.values(), ids=WRONG)
def test_what_is_wrong(text: str, says: str) -> None:
    """The error names file, table and field, and says what would be right."""
    with pytest.raises(AccessFileUnusable) as caught:
        parse(text)
    assert str(caught.value).startswith("The access file access.toml cannot be used: ")
    assert says in str(caught.value)


def test_secrets_are_not_repeated() -> None:
    """Whatever stands where a secret could be stands in no error, and no secret in what a file is shown as."""
    bare = make_key()
    for text in (
        f'[keys.game]\nsha256 = "{bare}"',
        f'[keys.{bare}]\nsha256 = "{A}"',
        f'[players]\nsecret = "{bare}"',
        f'[players]\nissuers = [{{ issuer = "i", audience = "a", keys = ["{bare}"] }}]',
    ):
        with pytest.raises(AccessFileUnusable) as caught:
            parse(text)
        assert bare[:20] not in str(caught.value)
    assert bare not in repr(parse(f'[keys.game]\nsha256 = "{digest_key(bare)}"'))


ON_LAMBDA = {
    "variable": (
        '[players]\nsecret = "env:A"',
        "secret is in env:, and on Lambda it must be in a parameter, as in ssm:",
    ),
    "file": ('[players]\nsecret = "file:a"', "secret is in file:, and on Lambda it must be in a parameter"),
    "bare secret": (f'[players]\nsecret = "{SECRET}"', "secret must say where the secret is, as in ssm:NAME"),
    "limits of addresses": ('[public]\nlimits = { requests = "1/s" }', "[public] has limits, which nothing keeps"),
    "limits of a key": (key("limits = { burst = 1 }"), "[keys.game] has limits, which nothing keeps on Lambda"),
    "limits of players": ('[players]\nlimits = { submits = "1/s" }', "[players] has limits, which nothing keeps"),
}


@pytest.mark.parametrize(("text", "says"), ON_LAMBDA.values(), ids=ON_LAMBDA)
def test_what_is_wrong_on_lambda(text: str, says: str) -> None:
    """Functions have no environment of secrets, and no memory to count in."""
    with pytest.raises(AccessFileUnusable) as caught:
        parse(text, on_lambda=True)
    assert says in str(caught.value)


def test_what_is_right_on_lambda() -> None:
    """A secret is in a parameter there."""
    players = parse('[players]\nsecret = "ssm:/laurels/tokens"\n[public]\nscopes = ["read"]', on_lambda=True).players
    assert players == Players("ssm:/laurels/tokens")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """What is no file of a moderate size in UTF-8 is refused at once, a pipe that nobody writes to, too."""
    pipe, large, foreign, loop = (tmp_path / name for name in ("pipe", "large", "foreign", "loop"))
    os.mkfifo(pipe)
    large.write_bytes(b"#" * (1024 * 1024 + 1))
    foreign.write_bytes(b'[public]\nscopes = ["\xff"]\n')
    loop.symlink_to(loop)
    found = {}
    for file in (tmp_path, pipe, large, foreign, loop, tmp_path / "none", tmp_path / "pipe" / "below"):
        with pytest.raises(AccessFileUnusable) as caught:
            read_access(file)
        found[file.name] = str(caught.value).partition("cannot be used: ")[2].partition(". Correct")[0]
    assert found == {
        tmp_path.name: "Is a directory",
        "pipe": "it is a pipe or a device, which is read only once",
        "large": "it is larger than 1 MiB",
        "foreign": "it is not UTF-8",
        "loop": "Too many levels of symbolic links",
        "none": "No such file or directory",
        "below": "Not a directory",
    }


def test_link(tmp_path: Path) -> None:
    """A link is followed."""
    (tmp_path / "access.toml").write_text(WHOLE)
    (tmp_path / "link").symlink_to("access.toml")
    assert read_access(tmp_path / "link") == parse(WHOLE)


def test_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is the value of a variable, or what a file beside the access file has before the newline at its end."""
    file = tmp_path / "access.toml"
    monkeypatch.setenv("LAURELS_TOKEN_SECRET", SECRET)
    (tmp_path / "secret").write_text(f"{SECRET}\r\n")
    assert read_secret("env:LAURELS_TOKEN_SECRET", file) == SECRET.encode()
    assert read_secret("file:secret", file) == SECRET.encode()
    assert read_secret(f"file:{tmp_path / 'secret'}", tmp_path / "elsewhere" / "access.toml") == SECRET.encode()


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("env:LAURELS_NO_SUCH", "secret is in the variable LAURELS_NO_SUCH, which is not set: make a secret by"),
        ("env:LAURELS_SHORT", "secret is in the variable LAURELS_SHORT, and must have 32 bytes to 64 KiB"),
        ("file:none", "secret is in the file none, which cannot be read: No such file or directory"),
        ("file:.", "secret is in the file ., which cannot be read: Is a directory"),
        ("file:long", "secret is in the file long, and must have 32 bytes to 64 KiB"),
    ],
)
def test_secrets_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reference: str, says: str
) -> None:
    """A secret that is missing, too short or too long is named by its place, and never shown."""
    monkeypatch.setenv("LAURELS_SHORT", SECRET[:31])
    (tmp_path / "long").write_bytes(b"x" * (64 * 1024 + 1))
    with pytest.raises(AccessFileUnusable) as caught:
        read_secret(reference, tmp_path / "access.toml")
    assert says in str(caught.value)
    assert SECRET[:31] not in str(caught.value)


def test_advice(tmp_path: Path) -> None:
    """What a file cannot mean is told, each in a line."""
    file, secret = tmp_path / "access.toml", tmp_path / "secret"
    file.write_text(
        '[public]\nscopes = ["read", "submit:self", "define"]\n[players]\nscopes = ["submit"]\n'
        f'[keys.old]\nsha256 = "{A}"\nexpires = 2020-01-01\nscopes = ["read", "submit:self"]\n'
        f'[keys.empty]\nsha256 = "{B}"\nboards = []\n'
    )
    file.chmod(0o666)
    assert list_advice(read_access(file), file, 1.8e9) == [
        "[public]: submit:self is of no use there: who shows nothing has no name",
        "[public]: whoever reaches the service has the scope define",
        "[players]: every player has the scope submit, over what others have",
        "[players] has neither secret nor issuers, so that no token is accepted",
        "[keys.old] has expired",
        "[keys.old]: submit:self is of no use there: it is for players, whose tokens have names",
        "[keys.empty] has no scopes, so that it may do nothing",
        "[keys.empty] has no boards, so that it may do nothing",
        f"{file} can be written by every user of this machine: chmod o-w {file}",
    ]
    file.write_text(f'[players]\nsecret = "file:secret"\n[keys.a]\nsha256 = "{A}"\nscopes = ["admin"]\n')
    file.chmod(0o600)
    assert list_advice(read_access(file), file, 1.8e9) == []
    secret.write_text(SECRET)
    secret.chmod(0o644)
    assert list_advice(read_access(file), file, 1.8e9) == [
        f"{secret}, a secret, can be read by every user of this machine: chmod o-rw {secret}"
    ]
