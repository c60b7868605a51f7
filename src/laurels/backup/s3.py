"""A place in a bucket of S3, or of any other service that speaks its protocol.

Everything but the URL is taken from where AWS's own tools take it: ``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, the files in
``~/.aws``, the role of the machine, and ``AWS_ENDPOINT_URL_S3`` for another service than Amazon's.

What is larger than one part is uploaded in parts, which become an object when all of them are there. Parts are of one
size, as some services demand, until they would be too many. A download that breaks goes on where it was, if the object
is still the same.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
from contextlib import contextmanager, suppress
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from botocore.session import Session

from laurels.backup.places import ABANDONED_SECONDS, CHUNK_BYTES, Item, checked
from laurels.errors import BadPlace, NotInPlace, PlaceUnusable, truncate
from laurels.limits import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
"""How long to wait for a connection, and for the next bytes of an answer."""
ATTEMPTS = 3
"""How often one call is tried, and how often in a row a download is begun again that brings nothing."""
LISTED = 1000
"""How many names are asked for at a time; no service has more in one answer."""
PART_BYTES = 8 * MIB
LARGE_PART_BYTES, SMALL_PARTS = 64 * MIB, 5000
"""The size of parts behind the first so many: 10,000 are allowed."""

_URL = re.compile(r"s3://(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{1,254})(?:/(?P<prefix>.*))?", re.IGNORECASE | re.DOTALL)
_BROKEN = (ReadTimeoutError, ResponseStreamingError, IncompleteReadError)
_DENIED = {"AccessDenied", "AllAccessDisabled", "Forbidden", "403"}
_CREDENTIALS = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def open_bucket(url: str, *, read_seconds: float = READ_SECONDS) -> Bucket:
    """Return the place of a URL, ``s3://bucket/prefix``; nothing is asked of it yet.

    Raises BadPlace, and PlaceUnusable if what AWS's variables and files say cannot be used.
    """
    found = _URL.fullmatch(url)
    if found is None:
        raise BadPlace(url, "after s3:// comes the name of a bucket; credentials are in the environment, not in a URL")
    prefix = (found["prefix"] or "").strip("/")
    try:
        if prefix:
            checked(prefix)
    except ValueError:
        raise BadPlace(url, "its prefix is no path") from None
    place = f"s3://{found['bucket']}/{prefix}".rstrip("/")
    try:
        client = Session().create_client("s3", config=_configure(read_seconds))
    except (BotoCoreError, ValueError) as error:
        raise PlaceUnusable(place, str(error).rstrip("."), "Correct what AWS_ variables or ~/.aws say") from error
    return Bucket(place, client, found["bucket"], f"{prefix}/" if prefix else "")


def _configure(read_seconds: float) -> Config:
    # Hosts such as bucket.localhost, or checksums behind a body, are known to Amazon and not to all others.
    is_other = any(os.environ.get(name) for name in _ENDPOINTS)
    return Config(
        connect_timeout=min(CONNECT_SECONDS, read_seconds),
        read_timeout=read_seconds,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        s3={"addressing_style": "path" if is_other else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


class Bucket:
    """What is under a prefix in a bucket."""

    def __init__(self, url: str, client: Any, bucket: str, prefix: str) -> None:
        self._url = url
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._is_tidy = False
        """Whether what was abandoned has been looked for."""

    def __str__(self) -> str:
        return self._url

    def names(self, prefix: str = "") -> Iterator[Item]:
        """Yield what is there, sorted: as :class:`~laurels.backup.places.Place` says, and so below."""
        wanted: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "MaxKeys": LISTED}
        while True:
            with self._asking("list", prefix):
                found = self._client.list_objects_v2(**wanted)
            for each in found.get("Contents", ()):
                name = each["Key"][len(self._prefix) :]
                with suppress(ValueError):  # what others call a folder, for example
                    yield Item(checked(name), each["Size"])
            if not found.get("IsTruncated"):
                return
            wanted["ContinuationToken"] = found["NextContinuationToken"]

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an object."""
        done, failures, wanted = 0, 0, {"Key": self._key(name)}
        while True:
            with self._asking("read", name):
                found = self._client.get_object(Bucket=self._bucket, **wanted)
            body = found["Body"]
            try:
                while chunk := body.read(CHUNK_BYTES):
                    done, failures = done + len(chunk), 0
                    yield chunk
            except _BROKEN as error:
                failures += 1
                if failures == ATTEMPTS:
                    raise self._failed("read", name, error) from error
            else:
                return
            finally:
                body.close()
            wanted |= {"IfMatch": found["ETag"]} | ({"Range": f"bytes={done}-"} if done else {})

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Put an object, at once or in parts."""
        parts = _split(chunks)
        first, second = next(parts, b""), next(parts, None)
        if second is not None:
            self._put_parts(name, chain((first, second), parts))
            return
        with self._asking("write", name):
            self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=first, ContentMD5=_md5(first))

    def _put_parts(self, name: str, parts: Iterable[bytes]) -> None:
        self._remove_abandoned()
        upload = {"Bucket": self._bucket, "Key": self._key(name)}
        with self._asking("write", name):
            upload["UploadId"] = self._client.create_multipart_upload(**upload)["UploadId"]
        try:
            done = [self._put_part(name, upload, number, part) for number, part in enumerate(parts, 1)]
            with self._asking("write", name):
                self._client.complete_multipart_upload(**upload, MultipartUpload={"Parts": done})
        except BaseException:
            with suppress(ClientError, BotoCoreError):  # what is left is removed by a later write
                self._client.abort_multipart_upload(**upload)
            raise

    def _put_part(self, name: str, upload: dict[str, str], number: int, part: bytes) -> dict[str, object]:
        with self._asking("write", name):
            kept = self._client.upload_part(**upload, PartNumber=number, Body=part, ContentMD5=_md5(part))
        return {"PartNumber": number, "ETag": kept["ETag"]}

    def delete(self, name: str) -> None:
        """Delete an object."""
        with self._asking("delete", name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return self._prefix + checked(name)

    def _remove_abandoned(self) -> None:
        """Remove the parts that a writer left that was killed: they are paid for, and nobody sees them.

        Who may not list them leaves that to the bucket's own rules.
        """
        if self._is_tidy:
            return
        before = time.time() - ABANDONED_SECONDS
        with self._asking("list", "uploads that were not completed"), suppress(ClientError):
            found = self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=self._prefix or "laurels-")
            for each in found.get("Uploads", ()):
                if each["Initiated"].timestamp() < before:
                    self._client.abort_multipart_upload(Bucket=self._bucket, Key=each["Key"], UploadId=each["UploadId"])
        self._is_tidy = True

    @contextmanager
    def _asking(self, what: str, name: str) -> Iterator[None]:
        """Translate what fails."""
        try:
            yield
        except (ClientError, BotoCoreError) as error:
            code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
            if what == "read" and code in {"NoSuchKey", "404"}:
                raise NotInPlace(str(self), name) from error
            raise self._failed(what, name, error) from error

    def _failed(self, what: str, name: str, error: Exception) -> PlaceUnusable:
        if isinstance(error, ClientError):
            problem, remedy = self._explain_answer(error.response.get("Error", {}))
        else:
            problem, remedy = _explain(error)
        return PlaceUnusable(str(self), f"cannot {what} {name or 'what is there'}: {problem}", remedy)

    def _explain_answer(self, answer: dict[str, str]) -> tuple[str, str]:
        code, message = answer.get("Code", ""), answer.get("Message", "")
        if code == "NoSuchBucket":
            return f"there is no bucket {self._bucket}", "Make it, or correct the URL"
        if code in _DENIED:
            return "access is denied", "Let these credentials list, read, write and delete there"
        if code in _CREDENTIALS:
            return f"the credentials are not accepted ({code})", "Correct or renew them"
        if code == "PreconditionFailed":
            return "it was replaced while it was read", "Read it again"
        return f"it answered {truncate(code)}, {truncate(message).rstrip('.')}", "Try again, or mend it"


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, NoCredentialsError):
        return (
            "there are no credentials",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role",
        )
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return "it cannot be reached", "See to the network, and to AWS_REGION or AWS_ENDPOINT_URL_S3"
    if isinstance(error, ReadTimeoutError):
        return "it does not answer in time", "Try again"
    return truncate(error).rstrip("."), "Try again"


def _md5(part: bytes) -> str:
    """Return the checksum that every such service checks what arrives with."""
    return base64.b64encode(hashlib.md5(part, usedforsecurity=False).digest()).decode()


def _split(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in parts, each as large as it is to be but for the last."""
    held, parts, size = bytearray(), 0, PART_BYTES
    for chunk in chunks:
        held += chunk
        while len(held) >= size:
            yield bytes(held[:size])
            del held[:size]
            parts += 1
            size = PART_BYTES if parts < SMALL_PARTS else LARGE_PART_BYTES
    if held:
        yield bytes(held)
