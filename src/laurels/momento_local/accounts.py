"""Momento's account API over HTTP, as its documentation states it: v2 keys and the roles they have, made and revoked.

    POST /api-keys      {"role_id", "description", "expiry": "never" | epoch seconds}  ->  {"api_key", "key_info"}
    GET /api-keys       ?limit=1..100&next_token=                                      ->  {"key_info", "next_token"}
    DELETE /api-keys/ID                                                                ->  {}
    POST /roles         {"role_name", "description", "permissions": {"rules": []}}     ->  the role
    GET /roles          ?limit=&next_token=&type=system|custom                         ->  {"roles", "next_token"}

``Authorization`` is the key itself, without a scheme, and must be one that may manage keys. An error is
``{"code", "message"}``; the values of ``code`` that the documentation does not show are *assumed*, and so is that a key
cannot be made that has expired already.

This server's own routes are below ``/-/``: GET and PUT /-/faults, with ``{"faults": ["Get:UNAVAILABLE:3"]}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Struct

from laurels.momento_local.errors import (
    AlreadyThere,
    BadArgument,
    CallRefused,
    NotAuthenticated,
    NotPermitted,
    NotThere,
)
from laurels.momento_local.faults import parse
from laurels.momento_local.rights import Action
from laurels.momento_local.roles import Role, RoleRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    from laurels.momento_local.faults import Faults
    from laurels.momento_local.keys import KeyInfo, Keys

T = TypeVar("T")

PAGE = 100
LIMITS = {str(number): number for number in range(1, PAGE + 1)}
LONGEST_BODY = 64 * 1024


class KeyRequest(Struct, frozen=True):
    """The body that makes a key."""

    role_id: str
    description: str
    expiry: Literal["never"] | int


class NewKey(Struct, frozen=True):
    """A new key; no later answer has its text."""

    api_key: str
    key_info: KeyInfo


class KeyPage(Struct, frozen=True, omit_defaults=True):
    """A page of the keys, and the token of the next page."""

    key_info: list[KeyInfo]
    next_token: str | None = None


class RolePage(Struct, frozen=True, omit_defaults=True):
    """A page of the roles, and the token of the next page."""

    roles: list[Role]
    next_token: str | None = None


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """The faults to inject."""

    faults: list[str]


class Nothing(Struct, frozen=True):
    """An empty answer."""


class Refusal(Struct, frozen=True):
    """The body of every error."""

    code: str
    message: str


STATUS: dict[type[CallRefused], tuple[int, str]] = {
    BadArgument: (400, "Bad Request"),
    NotAuthenticated: (401, "Unauthenticated"),
    NotPermitted: (403, "PermissionDenied"),
    NotThere: (404, "NotFound"),
    AlreadyThere: (409, "AlreadyExists"),
}


@dataclass(frozen=True)
class Request:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    authorization: str
    content_type: str
    body: bytes

    def read(self, kind: type[T]) -> T:
        """Return the body decoded as ``kind``; raise BadArgument if it cannot be."""
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            raise BadArgument("The Content-Type must be application/json.")
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as exc:
            raise BadArgument(f"The body is not as it should be: {exc}.") from exc

    @property
    def limit(self) -> int:
        """The most that the page may have; raises BadArgument unless it is a number of 1 to 100."""
        text = self.query.get("limit", str(PAGE))
        if text not in LIMITS:
            raise BadArgument(f"`limit` is a number of 1 to {PAGE}, not {text!r}.")
        return LIMITS[text]


class State(NamedTuple):
    """What the calls read and change."""

    keys: Keys
    faults: Faults


def make_key(state: State, request: Request) -> NewKey:
    """Make a key of a role."""
    body = request.read(KeyRequest)
    expires = None if body.expiry == "never" else body.expiry
    if expires is not None and expires <= state.keys.clock():
        raise BadArgument('`expiry` has passed: give "never", or seconds since the epoch that are to come.')
    return NewKey(*state.keys.issue(body.role_id, body.description, expires))


def list_keys(state: State, request: Request) -> KeyPage:
    """List the keys, oldest first. A page continues correctly though keys are made or revoked between two pages."""
    found = sorted((info.issued_at_epoch_seconds, info.key_id, info) for info in state.keys.issued())
    return KeyPage(*_page(request, ((f"{issued:012}-{key_id}", info) for issued, key_id, info in found)))


def revoke_key(state: State, request: Request) -> Nothing:
    """Revoke a key, at once."""
    state.keys.revoke(request.path.rpartition("/")[2])
    return Nothing()


def make_role(state: State, request: Request) -> Role:
    """Make a role."""
    return state.keys.roles.add(request.read(RoleRequest))


def list_roles(state: State, request: Request) -> RolePage:
    """List the roles, of one type or of all."""
    kind = request.query.get("type")
    if kind not in {None, "system", "custom"}:
        raise BadArgument(f"`type` is system or custom, not {kind!r}.")
    roles = sorted((role.role_id, role) for role in state.keys.roles if kind in {None, role.role_type})
    return RolePage(*_page(request, roles))


def _page(request: Request, found: Iterable[tuple[str, T]]) -> tuple[list[T], str | None]:
    """Return one page of what follows ``next_token`` in its order, and the next token, None at the end."""
    rest = [(place, thing) for place, thing in found if place > request.query.get("next_token", "")]
    page = rest[: request.limit]
    return [thing for _, thing in page], page[-1][0] if len(rest) > len(page) else None


def show_faults(state: State, _asked: Request) -> Plan:
    """Show the faults that are still to be injected."""
    return Plan(str(state.faults).splitlines())


def plan_faults(state: State, request: Request) -> Plan:
    """Replace the planned faults, all or none: a fault that cannot be read changes nothing."""
    faults = request.read(Plan).faults
    for fault in faults:
        parse(fault)
    state.faults.clear()
    for fault in faults:
        state.faults.plan(fault)
    return show_faults(state, request)


ROUTES: dict[tuple[str, str], tuple[Action, Callable[[State, Request], Struct]]] = {
    ("POST", "/api-keys"): (Action.MANAGE_KEYS, make_key),
    ("GET", "/api-keys"): (Action.LIST_KEYS, list_keys),
    ("DELETE", "/api-keys/{key_id}"): (Action.MANAGE_KEYS, revoke_key),
    ("POST", "/roles"): (Action.MANAGE_KEYS, make_role),
    ("GET", "/roles"): (Action.LIST_KEYS, list_roles),
    ("GET", "/-/faults"): (Action.LIST_KEYS, show_faults),
    ("PUT", "/-/faults"): (Action.MANAGE_KEYS, plan_faults),
}


class Account:
    """The account API as an ASGI application, for HTTP alone."""

    def __init__(self, keys: Keys, faults: Faults) -> None:
        self._state = State(keys, faults)

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request."""
        try:
            status, answer = self._answer(await _read(scope, receive))
        except CallRefused as error:
            status, code = STATUS[type(error)]
            answer = Refusal(code, str(error))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers, "trailers": False})
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer), "more_body": False})

    def _answer(self, request: Request) -> tuple[int, Struct]:
        route = "/api-keys/{key_id}" if request.path.startswith("/api-keys/") else request.path
        if (request.method, route) not in ROUTES:
            there_are = ", ".join(" ".join(known) for known in ROUTES)
            return 404, Refusal("NotFound", f"There is no {request.method} {request.path}; there are {there_are}.")
        action, answer = ROUTES[request.method, route]
        if not request.authorization and not route.startswith("/-/"):
            raise NotAuthenticated("The Authorization header brings no API key")
        self._state.keys.check(request.authorization, action)
        return 200, answer(self._state, request)


async def _read(scope: HTTPScope, receive: ASGIReceiveCallable) -> Request:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Request(
        scope["method"],
        scope["path"],
        {name: values[-1] for name, values in query.items()},
        headers.get(b"authorization", ""),
        headers.get(b"content-type", ""),
        await _body(receive),
    )


async def _body(receive: ASGIReceiveCallable) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise BadArgument("The body ended before it was whole.")
        body += message["body"]
        if len(body) > LONGEST_BODY:
            raise BadArgument(f"The body is over {LONGEST_BODY} bytes.")
        if not message["more_body"]:
            return body
