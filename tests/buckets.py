"""Buckets: a server that speaks the protocol of S3 (moto's), and a proxy in front of it that does what networks do."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest
from botocore.config import Config
from botocore.session import Session

from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Server

REGION = "eu-central-1"
COMMAND = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]


def make_environment(url: str) -> dict[str, str]:
    """Return the variables by which AWS's SDK finds a server."""
    return {
        "AWS_ENDPOINT_URL_S3": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


class Buckets:
    """A running server of buckets."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.url = server.url
        self.environment = make_environment(server.url)
        self.client: Any = Session().create_client(
            "s3",
            endpoint_url=server.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - moto takes any
            config=Config(s3={"addressing_style": "path"}),
        )

    def new_bucket(self) -> str:
        """Make a bucket, and return its name."""
        name = f"laurels-{uuid4().hex}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def deny(self, bucket: str, *actions: str) -> None:
        """Let nobody do these actions in a bucket."""
        statement = {"Effect": "Deny", "Principal": "*", "Action": actions, "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client.put_bucket_policy(Bucket=bucket, Policy=policy)

    def keys(self, bucket: str) -> list[str]:
        """Return the keys in a bucket."""
        return [each["Key"] for each in self.client.list_objects_v2(Bucket=bucket).get("Contents", ())]

    def uploads(self, bucket: str) -> list[str]:
        """Return the keys of the uploads that were begun, and neither completed nor aborted."""
        return [each["Key"] for each in self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]


class Fault(NamedTuple):
    """What becomes of one request: an error of S3 for an answer, an answer that is cut, or no answer at all."""

    status: int = 0
    code: str = ""
    cut_at: int = -1
    """Behind how many bytes of its body the answer ends."""


SILENCE = Fault()


class Unreliable(ThreadingHTTPServer):
    """A proxy in front of buckets; ``choose`` says of each request what goes wrong, by its method and target."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, buckets: Buckets, choose: Callable[[str, str], Fault | None]) -> None:
        self.choose = choose
        self.asked: list[str] = []
        self.stopped = Event()
        self.there = buckets.server
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Unreliable
    protocol_version = "HTTP/1.1"

    def handle_request_of_any_method(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.server.choose(self.command, self.path)
        if fault is SILENCE:
            self.server.stopped.wait()
            self.close_connection = True
        elif fault is not None and fault.code:
            text = f"<Error><Code>{fault.code}</Code><Message>It is so.</Message></Error>".encode()
            self._answer(fault.status, [("Content-Type", "application/xml")], text, text)
        else:
            self._pass_on(body, None if fault is None else fault.cut_at)

    def _pass_on(self, body: bytes, cut_at: int | None) -> None:
        connection = HTTPConnection(self.server.there.host, self.server.there.port)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        headers = [header for header in answer.getheaders() if header[0].lower() in {"etag", "content-range"}]
        self._answer(answer.status, headers, content, content[:cut_at])
        self.close_connection = cut_at is not None

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, sent: bytes) -> None:
        self.send_response(status)
        for header in (*headers, ("Content-Length", str(len(content)))):
            self.send_header(*header)
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(sent)

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    do_GET = do_PUT = do_POST = do_DELETE = handle_request_of_any_method  # noqa: N815 - as the base class has it


@contextmanager
def unreliable(buckets: Buckets, choose: Callable[[str, str], Fault | None]) -> Iterator[Unreliable]:
    """Run a proxy in front of buckets until the end of the block."""
    with serving(Unreliable(buckets, choose)) as proxy:
        try:
            yield proxy
        finally:
            proxy.stopped.set()


@pytest.fixture
def bucket(buckets: Buckets, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a new bucket; the environment sends this process and its children there."""
    for name, value in buckets.environment.items():
        monkeypatch.setenv(name, value)
    return buckets.new_bucket()
