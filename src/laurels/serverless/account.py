"""Momento's account API over HTTP, as far as the rotation of keys needs it: v2 keys and their roles.

POST /api-keys     {"role_id", "description", "expiry"}   ->  {"api_key", "key_info"}
GET /api-keys      ?next_token=                           ->  {"key_info": [...], "next_token"}
DELETE /api-keys/ID
GET /roles         ?type=custom&next_token=               ->  {"roles": [...], "next_token"}
POST /roles        {"role_name", "permissions"}           ->  the role
"""

from __future__ import annotations

import base64
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3
from msgspec import Struct
from urllib3.exceptions import HTTPError

from laurels.serverless.errors import AccountRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

ADDRESS = "https://mga.registry.prod.a.momentohq.com"
TIMEOUT = urllib3.Timeout(connect=5, read=20)
AGAIN = urllib3.Retry(total=2, backoff_factor=0.5, status_forcelist=[429, 500, 502, 503], raise_on_status=False)
"""Requests that can safely be sent twice are retried. POST is not (urllib3's default): it would make a second key."""

T = TypeVar("T")


class KeyInfo(Struct, frozen=True):
    """What the API says of an existing key."""

    key_id: str
    description: str
    issued_at_epoch_seconds: float


class NewKey(Struct, frozen=True):
    """A new key; its text is in no later answer, and not in the repr, so that it is never logged."""

    api_key: str
    key_info: KeyInfo

    def __repr__(self) -> str:
        return f"NewKey({self.key_info!r})"


class Role(Struct, frozen=True):
    """A set of permissions that keys are made for."""

    role_id: str
    role_name: str


class KeyPage(Struct, frozen=True):
    """Some keys, and the token of the next page."""

    key_info: list[KeyInfo]
    next_token: str | None = None


class RolePage(Struct, frozen=True):
    """Some roles, and the token of the next page."""

    roles: list[Role]
    next_token: str | None = None


class Refusal(Struct, frozen=True):
    """The body of an error."""

    code: str
    message: str


class Nothing(Struct, frozen=True):
    """An empty answer."""


class KeyV1(Struct, frozen=True):
    """The content of a v1 key."""

    api_key: str


class Account:
    """The account of a key that may manage its keys. Its methods raise AccountRefused."""

    def __init__(self, key: str, address: str = ADDRESS) -> None:
        self._address = address.rstrip("/")
        self._headers = {"Authorization": _unwrap_key(key.strip()), "Content-Type": "application/json"}
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=AGAIN)

    def make_key(self, role_id: str, description: str) -> NewKey:
        """Make a key that does not expire."""
        return self._ask(NewKey, "POST", "/api-keys", role_id=role_id, description=description, expiry="never")

    def issued(self) -> Iterator[KeyInfo]:
        """Return all keys of the account, page by page."""
        token: str | None = ""
        while token is not None:
            page = self._ask(KeyPage, "GET", "/api-keys" + _after(token))
            yield from page.key_info
            token = page.next_token

    def revoke(self, key_id: str) -> None:
        """Revoke a key, if it is not revoked already."""
        try:
            self._ask(Nothing, "DELETE", f"/api-keys/{key_id}")
        except AccountRefused as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise

    def role(self, name: str, rules: list[dict[str, object]]) -> str:
        """Return the id of the role of that name; make it with these rules if there is none."""
        token: str | None = ""
        while token is not None:
            page = self._ask(RolePage, "GET", "/roles" + _after(token, type="custom"))
            for role in page.roles:
                if role.role_name == name:
                    return role.role_id
            token = page.next_token
        return self._ask(Role, "POST", "/roles", role_name=name, permissions={"rules": rules}).role_id

    def _ask(self, kind: type[T], method: str, path: str, **body: object) -> T:
        request = f"{method} {path}"
        content = msgspec.json.encode(body) if body else None
        try:
            answer = self._http.request(method, self._address + path, headers=self._headers, body=content)
        except HTTPError as error:
            raise AccountRefused(request, None, "it cannot be reached") from error
        if answer.status != HTTPStatus.OK:
            raise AccountRefused(request, answer.status, _read_reason(answer.data))
        try:
            return msgspec.json.decode(answer.data, type=kind)
        except msgspec.DecodeError:
            raise AccountRefused(request, answer.status, "its answer is not as its documentation says") from None


def _after(token: str, **parameters: str) -> str:
    if token:
        parameters["next_token"] = token
    return f"?{urlencode(parameters)}" if parameters else ""


def _read_reason(body: bytes) -> str:
    try:
        refusal = msgspec.json.decode(body, type=Refusal)
    except msgspec.DecodeError:
        return "it did not say why"
    return f"{refusal.code}: {refusal.message.rstrip('.')}"


def _unwrap_key(key: str) -> str:
    """Return the key inside a v1 key, which is what the API takes; any other key as it is."""
    try:
        return msgspec.json.decode(base64.b64decode(key, validate=True), type=KeyV1).api_key
    except (ValueError, msgspec.DecodeError):
        return key
