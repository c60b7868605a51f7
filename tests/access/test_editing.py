"""Edits of access files: what is added and removed, what stays, and that no edit is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from laurels.access.editing import add_key, remove_key, write_new
from laurels.access.file import Key, RateLimits, read_access
from laurels.errors import AccessFileNotEdited, AccessFileUnusable

if TYPE_CHECKING:
    from pathlib import Path

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount files and give them away")
A, B, NEW = ("a" * 64, "b" * 64, "c" * 64)
KEY = Key(NEW, ("read", "submit"), ("mario-*",), expires=datetime(2027, 11, 1, tzinfo=UTC))
TABLE = f"""[keys.new]
sha256 = "{NEW}"
scopes = ["read", "submit"]
boards = ["mario-*"]
expires = 2027-11-01
"""
COMMENTED = f"""\
# Who may do what in our game.
[public]
scopes = ["read"]   # everybody

# The game's own server.
[keys.a]  # made in March
sha256 = "{A}"
scopes = [
  "read",
  # "submit",
]
# expires = 2030-01-01

# Ann's laptop.
[keys.b]
sha256   = "{B}"

# --- players ---

[players]
scopes = ["read"]
"""
WITHOUT_A = f"""\
# Who may do what in our game.
[public]
scopes = ["read"]   # everybody

# Ann's laptop.
[keys.b]
sha256   = "{B}"

# --- players ---

[players]
scopes = ["read"]
"""
PUBLIC, PLAYERS = '[public]\nscopes = ["read"]\n', '[players]\nscopes = ["read"]\n'
LAYOUTS = {
    "commented": COMMENTED,
    "no newline at its end": f'[keys.a]\nsha256 = "{A}"',
    "a head for all keys": f'[keys]\n[keys.a]\nsha256 = "{A}"\n[keys.b]\nsha256 = "{B}"\n{PLAYERS}',
    "a line a key": f'[keys]\n# one\na = {{ sha256 = "{A}" }}\n# two\nb = {{ sha256 = "{B}" }}\n{PLAYERS}',
    "dotted": f'keys.a.sha256 = "{A}"\nkeys.a.scopes = ["read"]\nkeys.b = {{ sha256 = "{B}" }}\n{PUBLIC}',
    "dotted below a head": f'[keys]\na.sha256 = "{A}"\na.scopes = []\nb.sha256 = "{B}"\n',
    "parted": f'[keys.a]\nsha256 = "{A}"\n# players\n{PLAYERS}# b\n[keys.b]\nsha256 = "{B}"\n# public\n{PUBLIC}',
    "tables in tables": f'[keys.a]\nsha256 = "{A}"\n[keys.a.limits]\nburst = 1\n# b\n[keys.b]\nsha256 = "{B}"\n',
    "a table in a table, far away": f'[keys.a]\nsha256 = "{A}"\n{PLAYERS}[keys.a.limits]\nburst = 1\n{PUBLIC}',
    "quoted": f'[keys."a"]\nsha256 = """{A}"""\n["keys".\'b\']\nsha256 = "{B}"\n',
    "lines that look like heads": f'[keys.a]\nsha256 = "{A}"\nboards = [\n"""\\\n[keys.b]""",\n"x"]\n{PUBLIC}',
    "tables of issuers": f'[keys.a]\nsha256 = "{A}"\n[[players.issuers]]\nissuer = "i"\naudience = "a"\njwks = "https://i"\n',
    "one key, in braces": f'keys = {{ a = {{ sha256 = "{A}" }} }}\n',
    "blank lines": f'\n\n{PUBLIC}\n\n[keys.a]\n\nsha256 = "{A}"\n\nscopes = []\n\n\n# b\n\n[keys.b]\nsha256 = "{B}"\n',
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return an access file with comments."""
    file = tmp_path / "access.toml"
    file.write_text(COMMENTED)
    return file


def test_key_that_is_added(file: Path) -> None:
    """A new key stands after the others; all else stays, to the byte."""
    add_key(file, "new", KEY)
    text = file.read_text()
    assert text == COMMENTED.replace("\n# --- players", f"\n{TABLE}\n# --- players")
    assert read_access(file).keys["new"] == KEY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'[keys.a]\nsha256 = "{A}"\n# expires = 2030-01-01\n', f"\n{TABLE}"),
        (f'[keys.a]\nsha256 = "{A}"\n# expires = 2030-01-01\n\n# players\n', ""),
        ('[public]\nscopes = ["read"]\n\n', TABLE),
    ],
    ids=["a comment at the end", "a comment of the key", "a blank line at the end"],
)
def test_place_of_a_new_key(file: Path, before: str, after: str) -> None:
    """What is commented out below the last key stays with it, and there is one blank line before the new one."""
    file.write_text(before)
    add_key(file, "new", KEY)
    expected = before + after if after else before.replace("\n\n", f"\n\n{TABLE}\n")
    assert file.read_text() == expected


def test_key_that_is_removed(file: Path) -> None:
    """A key goes with the comments directly above and below it; those of the next key stay."""
    assert remove_key(file, "a")
    assert file.read_text() == WITHOUT_A


def test_key_that_is_not_there(file: Path) -> None:
    """Nothing is changed by removing what is not there."""
    assert not remove_key(file, "c")
    assert file.read_text() == COMMENTED


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("text", LAYOUTS.values(), ids=LAYOUTS)
def test_layouts(file: Path, text: str, newline: str) -> None:
    """However a file is laid out, a key is added and removed, and every comment that is not of that key stays."""
    file.write_bytes(text.replace("\n", newline).encode())
    before = read_access(file)
    if not text.startswith("keys = "):
        add_key(file, "new", KEY)
        assert read_access(file) == replace(before, keys={**before.keys, "new": KEY})
        assert all(line in file.read_text() for line in text.splitlines())
        assert remove_key(file, "new")
    assert list(filter(None, file.read_text().splitlines())) == list(filter(None, text.splitlines()))
    assert remove_key(file, "a")
    assert read_access(file) == replace(before, keys={name: key for name, key in before.keys.items() if name != "a"})
    left = file.read_bytes().decode()
    assert all(comment in left for comment in ("# b", "# two", "# players", "# public") if f"{comment}\n" in text)
    assert left.count("\r") == (left.count("\n") if newline == "\r\n" else 0)


def test_first_and_last_key(tmp_path: Path) -> None:
    """A file without keys gets its first one at its end; without its last one it still can be read."""
    file = tmp_path / "access.toml"
    file.write_text("[keys]\n")
    add_key(file, "new", replace(KEY, boards=("*",), expires=None, limits=RateLimits("20/s", burst=40)))
    table = f'[keys.new]\nsha256 = "{NEW}"\nscopes = ["read", "submit"]\nlimits = {{ requests = "20/s", burst = 40 }}\n'
    assert file.read_text() == f"[keys]\n\n{table}"
    file.write_text(table)
    assert remove_key(file, "new")
    assert file.read_text() == "[keys]\n"
    assert read_access(file).keys == {}


def test_long_list(file: Path) -> None:
    """A list of very many lines is passed over at once, wherever its end is."""
    boards = "".join(f'  "board-{number}",\n' for number in range(20_000))
    file.write_text(f'[keys.a]\nsha256 = "{A}"\nboards = [\n{boards}]\n\n{PUBLIC}')
    add_key(file, "new", KEY)
    assert file.read_text().index("[keys.new]") < file.read_text().index("[public]")
    assert remove_key(file, "a")
    assert file.read_text() == f"{TABLE}\n{PUBLIC}"


def test_names_and_patterns_that_need_quotes(file: Path) -> None:
    """What TOML has in quotes is written so."""
    key = replace(KEY, boards=('"\\', "ä\u2028*"), expires=datetime(2027, 11, 1, 12, 30, tzinfo=UTC))
    add_key(file, "game.server", key)
    assert '[keys."game.server"]' in file.read_text()
    assert "expires = 2027-11-01T12:30:00Z\n" in file.read_text()
    assert read_access(file).keys["game.server"] == key


REFUSED = {
    "taken": ("a", COMMENTED, 'it has a key "a" already'),
    "no name": ("", COMMENTED, "it must be 1 to 64 letters"),
    "slash": ("a/b", COMMENTED, "it must be 1 to 64 letters"),
    "in braces": ("new", f'keys = {{ a = {{ sha256 = "{A}" }}, b = {{ sha256 = "{B}" }} }}\n', "edit it by hand"),
    "its digest is there": ("new", COMMENTED.replace(A, NEW), "edit it by hand"),
}


@pytest.mark.parametrize(("name", "text", "says"), REFUSED.values(), ids=REFUSED)
def test_edit_that_is_refused(file: Path, name: str, text: str, says: str) -> None:
    """An edit that cannot be made changes nothing, and says why."""
    file.write_text(text)
    with pytest.raises(AccessFileNotEdited, match=says):
        add_key(file, name, KEY)
    assert file.read_text() == text
    assert [*file.parent.iterdir()] == [file]


def test_removal_that_is_refused(file: Path) -> None:
    """A key that shares its braces with others is not removed."""
    file.write_text(f'keys = {{ a = {{ sha256 = "{A}" }}, b = {{ sha256 = "{B}" }} }}\n')
    with pytest.raises(AccessFileNotEdited, match="edit it by hand"):
        remove_key(file, "a")


def test_file_that_is_wrong(file: Path) -> None:
    """A file that cannot be used is not edited either."""
    file.write_text("[keys")
    with pytest.raises(AccessFileUnusable, match="it is not TOML"):
        add_key(file, "new", KEY)


@as_root
def test_mode_and_link(file: Path) -> None:
    """The file keeps its mode and owner; a link to it stays one."""
    link = file.with_name("link.toml")
    link.symlink_to(file.name)
    file.chmod(0o640)
    os.chown(file, 1234, 5678)
    before = file.stat()
    add_key(link, "new", KEY)
    after = file.stat()
    assert link.is_symlink()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    assert before.st_ino != after.st_ino


def test_edits_at_once(file: Path) -> None:
    """No edit is lost, whichever process or thread makes it."""
    script = (
        "import sys; from pathlib import Path; from laurels.access.editing import add_key;"
        "from laurels.access.file import Key;"
        "[add_key(Path(sys.argv[1]), f'p{n}', Key(f'{n:064x}')) for n in range(20)]"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(file)]) as process, ThreadPoolExecutor(4) as pool:
        for number in range(40):
            pool.submit(add_key, file, f"t{number}", Key(f"{number + 100:064x}"))
        pool.submit(remove_key, file, "a")
    assert process.returncode == 0
    assert read_access(file).keys.keys() == {"b", *(f"p{n}" for n in range(20)), *(f"t{n}" for n in range(40))}


@as_root
@pytest.mark.parametrize(
    ("options", "says"),
    [(["-o", "bind,ro"], "Read-only file system"), (["-o", "bind"], "mount the directory that it is in")],
    ids=["read-only", "a mount of its own"],
)
def test_file_that_cannot_be_replaced(tmp_path: Path, file: Path, options: list[str], says: str) -> None:
    """A file that cannot be written is left as it is, with the reason."""
    place = tmp_path / "mounted.toml"
    place.touch()
    subprocess.run(["mount", *options, str(file), str(place)], check=True)
    try:
        with pytest.raises(AccessFileNotEdited, match=says):
            add_key(place, "new", KEY)
    finally:
        subprocess.run(["umount", str(place)], check=True)
    assert file.read_text() == COMMENTED
    assert {each.name for each in tmp_path.iterdir()} == {"access.toml", "mounted.toml"}


def test_new_file(tmp_path: Path) -> None:
    """A new file is its owner's alone, and never takes the place of another."""
    file = tmp_path / "access.toml"
    write_new(file, PUBLIC)
    assert (file.read_text(), file.stat().st_mode & 0o777) == (PUBLIC, 0o600)
    with pytest.raises(AccessFileNotEdited, match="File exists"):
        write_new(file, "")
    assert tomllib.loads(file.read_text()) == {"public": {"scopes": ["read"]}}
