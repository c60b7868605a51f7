"""What API Gateway does for a REST API with Lambda proxy integrations: HTTP in, events out, and back.

The events are those of payload format 1.0: paths stay percent-encoded, query parameters come decoded. Of the gateway's
own checks there are the routes and the size of a body; its throttling and CORS are not here.
"""

from __future__ import annotations

import sys
import time
import uuid
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, field

from infra.laptop.runtime import ACCOUNT, FunctionFailed, read_body, send_answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    from infra.laptop.runtime import Function

BODY_BYTES = 10 * 1024 * 1024
ROUTES = {
    ("GET", "/{board}"): "get_leaderboard",
    ("GET", "/{board}/{name}"): "get_standing",
    ("POST", "/{board}/{name}"): "submit_score",
}
"""Which function answers which method of which resource."""

Lists = dict[str, list[str]]


class Identity(Struct):
    """Who sent a request."""

    source_ip: str = field(name="sourceIp")
    user_agent: str | None = field(name="userAgent")


class Context(Struct, rename="camel"):
    """What the gateway says of a request."""

    resource_path: str
    http_method: str
    path: str
    stage: str
    identity: Identity
    protocol: str = "HTTP/1.1"
    account_id: str = ACCOUNT
    api_id: str = "laptop"
    domain_name: str = "127.0.0.1"
    domain_prefix: str = "laptop"
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extended_request_id: str = "laptop="
    request_time: str = field(default_factory=lambda: time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()))
    request_time_epoch: int = field(default_factory=lambda: int(time.time() * 1000))


class Event(Struct, rename="camel"):
    """One request, as a function gets it."""

    resource: str
    path: str
    http_method: str
    headers: dict[str, str]
    multi_value_headers: Lists
    query_string_parameters: dict[str, str] | None
    multi_value_query_string_parameters: Lists | None
    path_parameters: dict[str, str]
    request_context: Context
    body: str | None
    stage_variables: None = None
    is_base64_encoded: bool = False


class Answer(Struct, rename="camel"):
    """What a function gives back."""

    status_code: int
    headers: dict[str, str] = {}
    multi_value_headers: Lists = {}
    body: str = ""
    is_base64_encoded: bool = False


class Problem(Struct):
    """The body of an answer that the gateway itself gives."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"


class Front:
    """An ASGI application that answers as the gateway's stage does."""

    def __init__(self, functions: Mapping[str, Function], stage: str) -> None:
        self.functions = functions
        self.stage = stage

    async def answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request, by the function of its route."""
        path = scope["raw_path"].decode("latin-1")
        names = path.split("/")[1:]
        resource = "/{board}" if len(names) == 1 else "/{board}/{name}"
        function = ROUTES.get((scope["method"], resource))
        if function is None or not all(names) or len(names) > resource.count("/"):
            await _refuse(send, 404, "Not Found", "There is no such route.")
            return
        body = await read_body(receive)
        if len(body) > BODY_BYTES:
            await _refuse(send, 413, "Content Too Large", "The body is larger than 10 MiB.")
            return
        event = self._event(scope, resource, path, body)
        try:
            said = await self.functions[function].invoke(msgspec.json.encode(event))
            answer = msgspec.json.decode(said, type=Answer)
        except (FunctionFailed, msgspec.ValidationError) as error:
            sys.stderr.write(f"{error}\n")
            await _refuse(send, 502, "Bad Gateway", "The function failed; its log has the cause.")
            return
        content = b64decode(answer.body) if answer.is_base64_encoded else answer.body.encode()
        headers = _lists(answer.headers.items()) | answer.multi_value_headers
        await send_answer(send, answer.status_code, content, [(n, v) for n, values in headers.items() for v in values])

    def _event(self, scope: HTTPScope, resource: str, path: str, body: bytes) -> Event:
        client = scope["client"] or ("127.0.0.1", 0)
        headers = _lists((_header_name(name), value.decode("latin-1")) for name, value in scope["headers"])
        headers |= {"X-Forwarded-For": [client[0]], "X-Forwarded-Proto": ["https"], "X-Forwarded-Port": ["443"]}
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        lists = _lists(query)
        agent = headers.get("User-Agent", [None])[-1]
        return Event(
            resource,
            path,
            scope["method"],
            {name: values[-1] for name, values in headers.items()},
            headers,
            {name: values[-1] for name, values in lists.items()} or None,
            lists or None,
            dict(zip(("board", "name"), path.split("/")[1:], strict=False)),
            Context(resource, scope["method"], f"/{self.stage}{path}", self.stage, Identity(client[0], agent)),
            body.decode("utf-8", "replace") if body else None,
        )


def _lists(pairs: Iterable[tuple[str, str]]) -> Lists:
    lists: Lists = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _header_name(name: bytes) -> str:
    return name.decode("latin-1").title()


async def _refuse(send: ASGISendCallable, status: int, title: str, detail: str) -> None:
    body = msgspec.json.encode(Problem(title, status, detail))
    await send_answer(send, status, body, [("content-type", "application/problem+json")])
