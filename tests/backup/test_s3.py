"""A bucket as a place for backups, and what may be wrong with one."""

from __future__ import annotations

import sys
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from laurels.backup import s3
from laurels.backup.places import Item, open_place
from laurels.backup.s3 import open_bucket
from laurels.errors import ExtraMissing, PlaceUnusable
from tests.backup.test_places import MIB, PlaceConformance, contents, names
from tests.buckets import SILENCE, Fault, unreliable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from laurels.backup.places import Place
    from tests.buckets import Buckets

LARGE = [bytes([number]) * MIB for number in range(20)]


class TestBucket(PlaceConformance):
    """A bucket, below a prefix."""

    @pytest.fixture
    def place(self, bucket: str) -> Place:
        """Return a place in a new bucket."""
        return open_place(f"s3://{bucket}/kart/é x/")

    def test_other_prefixes(self, place: Place, bucket: str, buckets: Buckets) -> None:
        """What is in the bucket and not below the prefix, and what no place can have written, is not seen."""
        place.write("x", [b"x"])
        for key in ("x", "kart/é x", "kart/é x2/y", "kart/é x/", "kart/é x/a//b"):
            buckets.client.put_object(Bucket=bucket, Key=key, Body=b"")
        assert str(place) == f"s3://{bucket}/kart/é x"
        assert list(place.names()) == [Item("x", 1)]
        assert names(open_place(f"S3://{bucket}")) == ["kart/é x", "kart/é x/x", "kart/é x2/y", "x"]

    def test_many_names(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        """More names than one answer has are all listed."""
        monkeypatch.setattr(s3, "LISTED", 3)
        for number in range(7):
            place.write(f"{number}", [b"x"])
        assert names(place) == [*"0123456"]

    @pytest.mark.parametrize(("seconds", "left"), [(10**6, {"other"}), (10**12, {"other", "kart/é x/left"})])
    def test_abandoned(
        self, bucket: str, buckets: Buckets, monkeypatch: pytest.MonkeyPatch, seconds: int, left: set[str]
    ) -> None:
        """The old parts that a killed writer left are removed by a later write in parts: those below the prefix."""
        monkeypatch.setattr(s3, "ABANDONED_SECONDS", seconds)  # all are of 2010 for moto
        for key in ("kart/é x/left", "other"):
            buckets.client.create_multipart_upload(Bucket=bucket, Key=key)
        place = open_place(f"s3://{bucket}/kart/é x")
        place.write("small", [b"x"])
        assert len(buckets.uploads(bucket)) == 2
        for name in ("x", "y"):
            place.write(name, LARGE)
        assert set(buckets.uploads(bucket)) == left

    def test_nothing_is_left(self, place: Place, bucket: str, buckets: Buckets) -> None:
        """An upload in parts that breaks off leaves none."""

        def chunks() -> Iterator[bytes]:
            yield from LARGE
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            place.write("x", chunks())
        assert not buckets.uploads(bucket)


@pytest.fixture
def through(
    buckets: Buckets, bucket: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[[Callable[[str, str], Fault | None]], Place]:
    """Return a function that opens the bucket through a proxy, where requests meet what is chosen for them."""

    def open_through(choose: Callable[[str, str], Fault | None]) -> Place:
        running = unreliable(buckets, choose)
        proxy = running.__enter__()
        request.addfinalizer(lambda: running.__exit__(None, None, None))
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        return open_bucket(f"s3://{bucket}", read_seconds=0.2)

    return open_through


def is_download(method: str, path: str) -> bool:
    """Return whether a request is one for the bytes of an object."""
    return method == "GET" and "uploads" not in path


ACTS: dict[str, Callable[[Place], object]] = {
    "list": names,
    "read": lambda place: contents(place, "x"),
    "write": lambda place: place.write("x", [b"x"]),
    "write in parts": lambda place: place.write("x", LARGE),
    "delete": lambda place: place.delete("x"),
}


@pytest.mark.parametrize("act", ACTS)
def test_no_bucket(bucket: str, act: str) -> None:
    """A bucket that is not there is said by every act, and is no name that is not in it."""
    with pytest.raises(PlaceUnusable, match=rf"s3://no-{bucket}/x cannot be used: .*there is no bucket.*Make it, or"):
        ACTS[act](open_place(f"s3://no-{bucket}/x"))


@pytest.mark.parametrize("act", ["list", "write in parts"])
def test_unreachable(bucket: str, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    """If nothing listens there, that is said."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(PlaceUnusable, match=r"it cannot be reached\. See to the network"):
        ACTS[act](open_place(f"s3://{bucket}"))


def test_denied(bucket: str, buckets: Buckets) -> None:
    """What the bucket's policy forbids is said."""
    place = open_place(f"s3://{bucket}")
    place.write("x", [b"x"])
    buckets.deny(bucket, "s3:GetObject")
    with pytest.raises(PlaceUnusable, match=r"cannot read x: access is denied\. Let these credentials"):
        contents(place, "x")


def test_no_credentials(bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without credentials it is said how they are given."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(PlaceUnusable, match=r"there are no credentials\. Set AWS_ACCESS_KEY_ID"):
        names(open_place(f"s3://{bucket}"))


def test_bad_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """What AWS's variables say may be nothing that can be used."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(PlaceUnusable, match=r"profile \(nobody\) could not be found\. Correct what AWS_"):
        open_place("s3://bucket")


def test_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore the line that installs it is said."""
    monkeypatch.delitem(sys.modules, "laurels.backup.s3")
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    with pytest.raises(ExtraMissing, match=r"install 'laurels\[aws\]'"):
        open_place("s3://bucket")


@pytest.mark.parametrize("act", ["read", "write"])
def test_silent(through: Callable[..., Place], act: str) -> None:
    """A bucket that takes the request and never answers is given up in time."""
    with pytest.raises(PlaceUnusable, match=r"it does not answer in time\. Try again"):
        ACTS[act](through(lambda *_: SILENCE))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(403, "ExpiredToken"), r"the credentials are not accepted \(ExpiredToken\)\. Correct or renew them"),
        (Fault(507, "NoSpace"), r"it answered NoSpace, It is so\. Try again"),
        (Fault(503, "SlowDown"), r"it answered SlowDown"),
    ],
    ids=["credentials", "full", "overloaded"],
)
def test_refused(through: Callable[..., Place], fault: Fault, words: str) -> None:
    """What the service says that it does not do is passed on, in the midst of an upload too, which is taken back."""
    place = through(lambda method, path: fault if method == "PUT" and "partNumber=1" not in path else None)
    for chunks in ([b"x"], LARGE):
        with pytest.raises(PlaceUnusable, match=words):
            place.write("x", chunks)
    assert names(place) == []


def test_passing_failure(through: Callable[..., Place]) -> None:
    """What is over at the second attempt is not noticed."""
    faults = [Fault(503, "SlowDown"), Fault(500, "InternalError")]
    place = through(lambda *_: faults.pop() if faults else None)
    place.write("x", [b"x"])
    assert contents(place, "x") == b"x"


def test_abort_fails(through: Callable[..., Place], bucket: str, buckets: Buckets) -> None:
    """If an upload cannot even be taken back, it is its first failure that is raised."""
    place = through(lambda method, path: Fault(403, "AccessDenied") if method == "DELETE" or "=2" in path else None)
    with pytest.raises(PlaceUnusable, match="cannot write x: access is denied"):
        place.write("x", LARGE)
    assert buckets.uploads(bucket) == ["x"]


def test_uploads_may_not_be_listed(through: Callable[..., Place]) -> None:
    """Who may not see what others left does not fail for that."""
    place = through(lambda method, path: Fault(403, "AccessDenied") if method == "GET" and "uploads" in path else None)
    place.write("x", LARGE)
    assert list(place.names()) == [Item("x", 20 * MIB)]


@pytest.mark.parametrize("cut_at", [0, 1000, 3 * MIB + 1])
def test_download_goes_on(through: Callable[..., Place], cut_at: int) -> None:
    """A download that breaks goes on where it was, as long as it comes on."""
    faults = [Fault(cut_at=cut_at)] * 2
    place = through(lambda *request: faults.pop() if is_download(*request) and faults else None)
    place.write("x", LARGE)
    assert contents(place, "x") == b"".join(LARGE)


def test_download_fails(through: Callable[..., Place]) -> None:
    """One that does not come on is given up."""
    place = through(lambda *request: Fault(cut_at=0) if is_download(*request) else None)
    place.write("x", LARGE)
    with pytest.raises(PlaceUnusable, match=r"cannot read x: .*Try again"):
        contents(place, "x")


def test_replaced_meanwhile(through: Callable[..., Place]) -> None:
    """A download does not go on with the bytes of another object."""
    faults = [Fault(cut_at=2 * MIB)]
    place = through(lambda *request: faults.pop() if is_download(*request) and faults else None)
    place.write("x", LARGE)
    chunks = place.read("x")
    next(chunks)
    place.write("x", LARGE[1:])
    with pytest.raises(PlaceUnusable, match="it was replaced while it was read"):
        list(chunks)


def test_growing_parts(bucket: str, monkeypatch: pytest.MonkeyPatch, buckets: Buckets) -> None:
    """Behind many parts there are larger ones, so that what is huge has no more than S3 allows."""
    monkeypatch.setattr(s3, "SMALL_PARTS", 2)
    monkeypatch.setattr(s3, "LARGE_PART_BYTES", 12 * MIB)
    place = open_place(f"s3://{bucket}")
    place.write("x", repeat(b"x" * MIB, 28))
    head = buckets.client.head_object(Bucket=bucket, Key="x")
    assert (head["ContentLength"], head["ETag"].rpartition("-")[2]) == (28 * MIB, '3"')
