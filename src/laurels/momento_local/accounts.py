"""Momento's account API over HTTP, as its documentation states it: v2 keys and the roles they have, made and revoked.

    POST /api-keys      {"role_id", "description", "expiry": "never" | epoch seconds}  ->  {"api_key", "key_info"}
    GET /api-keys       ?limit=1..100&next_token=                                      ->  {"key_info", "next_token"}
    DELETE /api-keys/ID                                                                ->  {}
    POST /roles         {"role_name", "description", "permissions": {"rules": []}}     ->  the role
    GET /roles          ?limit=&next_token=&type=system|custom                         ->  {"roles", "next_token"}

``Authorization`` is a bare key that may manage keys. An error is ``{"code", "message"}``; the words of ``code`` that
the documentation does not show are *assumed*, and so is that a key cannot be made that has expired already.

What is this server's own stands under ``/-/``: GET and PUT /-/faults, with ``{"faults": ["Get:UNAVAILABLE:3"]}``.
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
from laurels.momento_local.rights import Act
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
    """What a new key is made of."""

    role_id: str
    description: str
    expiry: Literal["never"] | int


class NewKey(Struct, frozen=True):
    """A key that was made, with the one sight of its text."""

    api_key: str
    key_info: KeyInfo


class KeyPage(Struct, frozen=True, omit_defaults=True):
    """Some of the keys there are, and what leads to the next ones."""

    key_info: list[KeyInfo]
    next_token: str | None = None


class RolePage(Struct, frozen=True, omit_defaults=True):
    """Some of the roles there are, and what leads to the next ones."""

    roles: list[Role]
    next_token: str | None = None


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    """The faults that are to come."""

    faults: list[str]


class Nothing(Struct, frozen=True):
    """An answer without anything in it."""


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
class Asked:
    """One request, read."""

    method: str
    path: str
    query: dict[str, str]
    authorization: str
    content_type: str
    body: bytes

    def read(self, kind: type[T]) -> T:
        """Give the body as what it should be; raise BadArgument where it is not."""
        if self.content_type.partition(";")[0].strip().lower() != "application/json":
            raise BadArgument("The Content-Type must be application/json.")
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as exc:
            raise BadArgument(f"The body is not as it should be: {exc}.") from exc

    @property
    def limit(self) -> int:
        """Give how many things the page shall have at most; raise BadArgument where that is no number of 1 to 100."""
        text = self.query.get("limit", str(PAGE))
        if text not in LIMITS:
            raise BadArgument(f"`limit` is a number of 1 to {PAGE}, not {text!r}.")
        return LIMITS[text]


class Parts(NamedTuple):
    """What the calls work on."""

    keys: Keys
    faults: Faults


def make_key(parts: Parts, asked: Asked) -> NewKey:
    """Make a key of a role."""
    request = asked.read(KeyRequest)
    expires = None if request.expiry == "never" else request.expiry
    if expires is not None and expires <= parts.keys.clock():
        raise BadArgument('`expiry` has passed: give "never", or seconds since the epoch that are to come.')
    return NewKey(*parts.keys.issue(request.role_id, request.description, expires))


def list_keys(parts: Parts, asked: Asked) -> KeyPage:
    """Tell of the keys there are, the oldest first, whatever is made or revoked between two pages."""
    found = sorted((info.issued_at_epoch_seconds, info.key_id, info) for info in parts.keys.issued())
    return KeyPage(*_page(asked, ((f"{issued:012}-{key_id}", info) for issued, key_id, info in found)))


def revoke_key(parts: Parts, asked: Asked) -> Nothing:
    """Make a key good for nothing at once."""
    parts.keys.revoke(asked.path.rpartition("/")[2])
    return Nothing()


def make_role(parts: Parts, asked: Asked) -> Role:
    """Make a role of rules."""
    return parts.keys.roles.add(asked.read(RoleRequest))


def list_roles(parts: Parts, asked: Asked) -> RolePage:
    """Tell of the roles there are, of one type or all."""
    kind = asked.query.get("type")
    if kind not in {None, "system", "custom"}:
        raise BadArgument(f"`type` is system or custom, not {kind!r}.")
    roles = sorted((role.role_id, role) for role in parts.keys.roles if kind in {None, role.role_type})
    return RolePage(*_page(asked, roles))


def _page(asked: Asked, found: Iterable[tuple[str, T]]) -> tuple[list[T], str | None]:
    """Give what stands behind the last page in its order, and what leads on if there is more."""
    rest = [(place, thing) for place, thing in found if place > asked.query.get("next_token", "")]
    page = rest[: asked.limit]
    return [thing for _, thing in page], page[-1][0] if len(rest) > len(page) else None


def show_faults(parts: Parts, _asked: Asked) -> Plan:
    """Tell which faults are still to come."""
    return Plan(str(parts.faults).splitlines())


def plan_faults(parts: Parts, asked: Asked) -> Plan:
    """Put faults in place of those that were to come."""
    faults = asked.read(Plan).faults
    for fault in faults:
        parse(fault)
    parts.faults.clear()
    for fault in faults:
        parts.faults.plan(fault)
    return show_faults(parts, asked)


ROUTES: dict[tuple[str, str], tuple[Act, Callable[[Parts, Asked], Struct]]] = {
    ("POST", "/api-keys"): (Act.MANAGE_KEYS, make_key),
    ("GET", "/api-keys"): (Act.LIST_KEYS, list_keys),
    ("DELETE", "/api-keys/{key_id}"): (Act.MANAGE_KEYS, revoke_key),
    ("POST", "/roles"): (Act.MANAGE_KEYS, make_role),
    ("GET", "/roles"): (Act.LIST_KEYS, list_roles),
    ("GET", "/-/faults"): (Act.LIST_KEYS, show_faults),
    ("PUT", "/-/faults"): (Act.MANAGE_KEYS, plan_faults),
}


class Account:
    """The account API as an ASGI application, for HTTP alone."""

    def __init__(self, keys: Keys, faults: Faults) -> None:
        self._parts = Parts(keys, faults)

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

    def _answer(self, asked: Asked) -> tuple[int, Struct]:
        route = "/api-keys/{key_id}" if asked.path.startswith("/api-keys/") else asked.path
        if (asked.method, route) not in ROUTES:
            there_are = ", ".join(" ".join(known) for known in ROUTES)
            return 404, Refusal("NotFound", f"There is no {asked.method} {asked.path}; there are {there_are}.")
        act, answer = ROUTES[asked.method, route]
        if not asked.authorization and not route.startswith("/-/"):
            raise NotAuthenticated("The Authorization header brings no API key")
        self._parts.keys.check(asked.authorization, act)
        return 200, answer(self._parts, asked)


async def _read(scope: HTTPScope, receive: ASGIReceiveCallable) -> Asked:
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    return Asked(
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
