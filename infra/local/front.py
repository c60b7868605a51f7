"""What API Gateway does for a REST API with Lambda proxy integrations: HTTP in, events out, and back.

The events are those of payload format 1.0: paths stay percent-encoded, query parameters come decoded. What the gateway
answers by itself it answers here too: what is no route, a method that a route does not have, a request without an API
key where there are some, a body that is too large or no JSON. As the gateway does, it renames ``WWW-Authenticate`` of a
function's answer. Its throttling, the rates and quotas of API keys, authorizers and CORS are not here.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from base64 import b64decode
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct, field

from infra.answers import DEFAULTS, OTHER_METHOD, ROUTES, gateway_answer, list_methods, refusal
from infra.local.runtime import ACCOUNT, FunctionFailed
from laurels.adapters.asgi import read_body, send_response
from laurels.http.messages import JSON, PROBLEM, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    from infra.local.runtime import Function
    from laurels.http.operation import Operation

    Routes = Sequence[tuple[str, Operation]]

PAYLOAD_BYTES = 10 * 1024 * 1024
RENAMED = {"www-authenticate": "x-amzn-remapped-www-authenticate"}
"""Headers of a function's answer that the gateway keeps for itself."""
NO_KEYS: Mapping[str, str] = {}
Lists = dict[str, list[str]]


class Identity(Struct):
    """Who sent a request."""

    source_ip: str = field(name="sourceIp")
    user_agent: str | None = field(name="userAgent")
    api_key: str | None = field(name="apiKey", default=None)
    api_key_id: str | None = field(name="apiKeyId", default=None)

    def __repr__(self) -> str:
        """Return all but the key."""
        return f"Identity({self.source_ip!r}, {self.user_agent!r}, {self.api_key_id!r})"


class Context(Struct, rename="camel"):
    """What the gateway says of a request."""

    resource_path: str
    http_method: str
    path: str
    stage: str
    identity: Identity
    protocol: str = "HTTP/1.1"
    account_id: str = ACCOUNT
    api_id: str = "local"
    domain_name: str = "127.0.0.1"
    domain_prefix: str = "local"
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extended_request_id: str = "local="
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


class Refused(Exception):
    """The gateway answers by itself; ``kind`` is its name for that."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class Front:
    """An ASGI application that answers as the gateway's stage does; ``api_keys`` are by their names."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        stage: str,
        api_keys: Mapping[str, str] = NO_KEYS,
        routes: Routes = ROUTES,
    ) -> None:
        self.functions = functions
        self._routes = {(operation.method, operation.path): function for function, operation in routes}
        self.stage = stage
        self._key_ids = {key: name for name, key in api_keys.items()}

    async def answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request: by the function of its route, or as the gateway does by itself."""
        body = bytes(await read_body(sys.maxsize, receive))
        try:
            await send_response(await self._invoked(scope, body), send)
        except Refused as refused:
            await send_response(gateway_answer(refused.kind), send)
        except FunctionFailed as failed:
            sys.stderr.write(f"{failed}\n")
            await send_response(Response(502, msgspec.json.encode(DEFAULTS["DEFAULT_5XX"]), PROBLEM), send)

    async def _invoked(self, scope: HTTPScope, body: bytes) -> Response:
        path = scope["raw_path"].decode("latin-1")
        resource, names = self._find_resource(path)
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        function = self._routes.get((method, resource))
        if function is None:
            return _other_method(scope["method"], ", ".join(list_methods(resource)))
        identity = self._identify(scope)
        if len(body) > PAYLOAD_BYTES:
            raise Refused("REQUEST_TOO_LARGE")
        event = self._event(scope, resource, names, body, identity)
        if scope["method"] == "POST":
            _check_body(event)
        said = await self.functions[function].invoke(msgspec.json.encode(event))
        return _response(said)

    def _find_resource(self, path: str) -> tuple[str, dict[str, str]]:
        """Return the resource of a path, and the names in it; raise Refused if there is none.

        At each part a fixed one is looked for first; what begins with that is looked for nowhere else.
        """
        segments = path.split("/")
        left = [resource.split("/") for _, resource in self._routes]
        for depth, segment in enumerate(segments):
            left = [parts for parts in left if len(parts) > depth]
            fixed = [parts for parts in left if parts[depth] == segment]
            left = fixed or [parts for parts in left if segment and parts[depth].startswith("{")]
        found = next((parts for parts in left if len(parts) == len(segments)), None)
        if found is None:
            raise Refused("MISSING_AUTHENTICATION_TOKEN")
        named = zip(found, segments, strict=True)
        return "/".join(found), {part.strip("{}"): segment for part, segment in named if part.startswith("{")}

    def _identify(self, scope: HTTPScope) -> Identity:
        client, _ = scope["client"] or ("127.0.0.1", 0)
        sent = {name: value.decode("latin-1") for name, value in scope["headers"]}
        identity = Identity(client, sent.get(b"user-agent"))
        if self._key_ids:
            identity.api_key = sent.get(b"x-api-key", "")
            identity.api_key_id = self._key_ids.get(identity.api_key)
            if identity.api_key_id is None:
                raise Refused("INVALID_API_KEY")
        return identity

    def _event(self, scope: HTTPScope, resource: str, names: dict[str, str], body: bytes, identity: Identity) -> Event:
        path = scope["raw_path"].decode("latin-1")
        headers = _lists((_header_name(name), value.decode("latin-1")) for name, value in scope["headers"])
        headers |= {
            "X-Forwarded-For": [identity.source_ip],
            "X-Forwarded-Proto": ["https"],
            "X-Forwarded-Port": ["443"],
        }
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        lists = _lists(query)
        return Event(
            resource,
            path,
            scope["method"],
            {name: values[-1] for name, values in headers.items()},
            headers,
            {name: values[-1] for name, values in lists.items()} or None,
            lists or None,
            names,
            Context(resource, scope["method"], f"/{self.stage}{path}", self.stage, identity),
            body.decode("utf-8", "replace") if body else None,
        )


def _lists(pairs: Iterable[tuple[str, str]]) -> Lists:
    lists: Lists = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def _header_name(name: bytes) -> str:
    return name.decode("latin-1").title()


def _check_body(event: Event) -> None:
    """Validate a body as the method's model says: what claims to be JSON is JSON."""
    kind = event.headers.get("Content-Type", JSON.decode())
    if kind.partition(";")[0].strip().lower() == JSON.decode():
        try:
            json.loads(event.body or "")
        except ValueError:
            raise Refused("BAD_REQUEST_BODY") from None


def _other_method(method: str, allowed: str) -> Response:
    allow = ((b"allow", allowed.encode()),)
    if method == "OPTIONS":
        return Response(204, headers=allow)
    refused = refusal(405, OTHER_METHOD.format(allowed))
    return Response(405, refused.body, refused.content_type, allow)


def _response(said: bytes) -> Response:
    try:
        answer = msgspec.json.decode(said, type=Answer)
    except msgspec.ValidationError as error:
        raise FunctionFailed(f"A function gave back what is no answer: {error}") from error
    body = b64decode(answer.body) if answer.is_base64_encoded else answer.body.encode()
    lists = {
        name.lower(): values for name, values in (_lists(answer.headers.items()) | answer.multi_value_headers).items()
    }
    kind = lists.pop("content-type", [JSON.decode()])[-1].encode()
    named = ((RENAMED.get(name, name), values) for name, values in lists.items())
    headers = tuple((name.encode(), value.encode()) for name, values in named for value in values)
    return Response(answer.status_code, body, kind, headers)
