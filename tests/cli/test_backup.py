"""``laurels backup``: to a file, a directory, a bucket and stdout; how many are kept; what may fail."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from laurels.backup.reading import check_passing
from laurels.cli.backup import Destination, find_destination
from tests.asking import ask
from tests.cli.conftest import run, start
from tests.cli.hostile import lying

if TYPE_CHECKING:
    from pathlib import Path

    from tests.buckets import Buckets
    from tests.cli.conftest import Run
    from tests.conftest import Server

OLD = [f"laurels-202611{day}T030000Z.tar" for day in range(10, 15)]
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-tar\r\ntransfer-encoding: chunked\r\n\r\n"
NAME = re.compile(r"laurels-\d{8}T\d{6}Z\.tar")


def is_whole(file: Path) -> bool:
    """Return whether a file is a backup; raise BackupDamaged if not."""
    return bool(list(check_passing([file.read_bytes()])))


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """Return a directory with old backups, and other files."""
    directory = tmp_path / "backups"
    directory.mkdir()
    for name in (*OLD, "laurels-x.tar", "laurels-20261110T030000Z.tar.gz", "notes.txt"):
        (directory / name).touch()
    return directory


@pytest.mark.parametrize(
    ("value", "place", "name"),
    [
        ("-", "-", ""),
        ("x.tar", ".", "x.tar"),
        ("a/x", "a/", "x"),
        ("/x.tar", "/", "x.tar"),
        ("/usr", "/usr", ""),
        ("a/", "a/", ""),
        ("file:///usr", "file:///usr", ""),
        ("file:///a/x%20y.tar", "file:///a/", "x%20y.tar"),
        ("s3://bucket", "s3://bucket", ""),
        ("s3://bucket.tar", "s3://bucket.tar", ""),
        ("s3://bucket/kart", "s3://bucket/kart", ""),
        ("s3://bucket/kart/x.tar", "s3://bucket/kart/", "x.tar"),
        ("S3://bucket/x.tar", "S3://bucket/", "x.tar"),
    ],
)
def test_destinations(value: str, place: str, name: str) -> None:
    """What is a file, and what a place for several."""
    assert find_destination(value) == Destination(place, name)


def test_file(server: Server, laurels: Run, tmp_path: Path) -> None:
    """A file is written as it is named, in place of an older one."""
    ask(server, "POST", "/backed-up/v", {"score": 1})
    file = tmp_path / "new" / "kart.tar"
    for _ in range(2):
        result = laurels("backup", file)
        assert result.exit_code == 0, result.output
        assert re.fullmatch(rf"kart\.tar in {file.parent}/?: .* kB, up to \d{{4}}-.*Z, in .* s\n", result.stdout)
        assert is_whole(file)


def test_directory(laurels: Run, backups: Path) -> None:
    """In a directory it is called by the time; only so many are kept, and nothing else is touched."""
    result = laurels("backup", backups, "--keep", 3)
    name = result.stdout.partition(" ")[0]
    assert NAME.fullmatch(name)
    left = {"laurels-x.tar", "laurels-20261110T030000Z.tar.gz", "notes.txt"}
    assert {path.name for path in backups.iterdir()} == {*OLD[3:], name, *left}
    assert result.stdout.splitlines()[1:] == [f"{older} removed" for older in OLD[:3]]
    assert is_whole(backups / name)


@pytest.mark.parametrize(("keep", "left"), [(1, []), (6, OLD), (None, OLD)])
def test_keep(laurels: Run, backups: Path, keep: int | None, left: list[str]) -> None:
    """The new one counts, too; without --keep all stay. JSON says what was done."""
    result = laurels("backup", backups, "--json", *(["--keep", keep] if keep else []))
    kept = json.loads(result.stdout)
    assert sorted(path.name for path in backups.glob("laurels-*Z.tar")) == [*left, kept["name"]]
    assert kept["place"] == str(backups)
    assert kept["bytes"] == (backups / kept["name"]).stat().st_size
    assert kept["removed"] == [name for name in OLD if name not in left]


def test_clock_behind(laurels: Run, backups: Path) -> None:
    """If the clock was wrong once, the new backup stays although another looks newer."""
    (backups / "laurels-20990101T000000Z.tar").touch()
    result = laurels("backup", backups, "--keep", 1)
    assert [path.name for path in backups.glob("laurels-*Z.tar")] == [result.stdout.partition(" ")[0]]


def test_bucket(laurels: Run, bucket: str, buckets: Buckets) -> None:
    """In a bucket it is below the prefix, by the same rules."""
    for name in OLD:
        buckets.client.put_object(Bucket=bucket, Key=f"kart/{name}", Body=b"")
    buckets.client.put_object(Bucket=bucket, Key=OLD[0], Body=b"")
    result = laurels("backup", f"s3://{bucket}/kart/", "--keep", 2)
    name = result.stdout.partition(" ")[0]
    assert buckets.keys(bucket) == [f"kart/{OLD[4]}", f"kart/{name}", OLD[0]]
    assert laurels("backup", f"s3://{bucket}/single.tar").exit_code == 0
    assert "single.tar" in buckets.keys(bucket)


def test_no_bucket(laurels: Run, bucket: str) -> None:
    """If the place fails that is said with the way out, by the status of what could not be reached."""
    result = laurels("backup", f"s3://no-{bucket}/")
    assert result.exit_code == 3
    assert "there is no bucket" in result.stderr


def test_retention_fails(laurels: Run, bucket: str, buckets: Buckets) -> None:
    """If older ones cannot be removed the new one is there, and is reported."""
    buckets.client.put_object(Bucket=bucket, Key=OLD[0], Body=b"")
    buckets.deny(bucket, "s3:DeleteObject")
    result = laurels("backup", f"s3://{bucket}", "--keep", 1, "--json")
    assert result.exit_code == 3, result.output
    assert "access is denied" in result.stderr
    kept = json.loads(result.stdout)
    assert (kept["removed"], buckets.keys(bucket)) == ([], [OLD[0], kept["name"]])


def test_stdout(server: Server, tmp_path: Path) -> None:
    """Stdout gets the very bytes, and nothing else."""
    with (tmp_path / "x.tar").open("wb") as out, start(server.url, "backup", "-", stdout=out.fileno()) as process:
        assert process.stderr is not None
        assert (process.stderr.read(), process.wait(30)) == ("", 0)
    assert is_whole(tmp_path / "x.tar")


def test_terminal(server: Server) -> None:
    """A terminal gets none."""
    there, here = os.openpty()
    with start(server.url, "backup", "-", stdout=here) as process:
        os.close(here)
        assert process.stderr is not None
        assert "A terminal is no place for a backup" in process.stderr.read()
    os.close(there)
    assert process.returncode == 2


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["x.tar", "--keep", "3"], "--keep goes with a directory"),
        (["-", "--keep", "3"], "--keep goes with a directory"),
        (["-", "--json"], "contradict each other"),
        (["a\nb.tar"], "is no name that a backup can have"),
        (["gs://bucket/"], "there are no places of the kind gs://"),
    ],
)
def test_wrong_command_lines(laurels: Run, words: list[str], problem: str) -> None:
    """What cannot be meant is refused before anything is asked."""
    result = laurels("backup", *words)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_no_file(laurels: Run, tmp_path: Path) -> None:
    """A pipe or a device is not replaced by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    result = laurels("backup", pipe)
    assert (result.exit_code, pipe.is_fifo()) == (2, True)
    assert "is no file: say - instead" in result.stderr


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (HEAD + b"5\r\nhello\r\n", "peer closed connection"),
        (HEAD + b"5\r\nhello\r\n0\r\n\r\n", "The backup is damaged: the archive: it is cut off."),
        (HEAD + b"400\r\n" + bytes(1024) + b"\r\n0\r\n\r\n", "The backup is damaged: end.json: it is missing"),
        (HEAD.replace(b"x-tar", b"json") + b"2\r\n{}\r\n0\r\n\r\n", "it sent application/json for a backup"),
    ],
    ids=["broken off", "cut", "empty", "no backup"],
)
def test_no_whole_backup(backups: Path, answer: bytes, problem: str) -> None:
    """If what comes is no whole backup it is not kept, and older ones stay."""
    before = sorted(backups.iterdir())
    with lying(lambda *_: [answer]) as liar:
        result = run(liar.url, "backup", backups, "--keep", 1)
    assert result.exit_code in {1, 3}
    assert problem in result.stderr
    assert sorted(backups.iterdir()) == before


def test_refused(backups: Path) -> None:
    """What the service says is passed on."""
    body = b'{"title":"Service Unavailable","status":503,"detail":"As many backups are being taken."}'
    head = b"HTTP/1.1 503 Busy\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n\r\n" % len(body)
    with lying(lambda *_: [head + body]) as liar:
        result = run(liar.url, "backup", backups)
    assert result.exit_code == 3
    assert "As many backups are being taken." in result.stderr
