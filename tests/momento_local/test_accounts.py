"""The account API of the local Momento server, over HTTP."""

from __future__ import annotations

import json
import socket
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from momento import CacheClient, Configurations, CredentialProvider
from momento.errors import MomentoErrorCode

from laurels.momento_local.accounts import LONGEST_BODY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento

DAY = timedelta(days=1)
ROLE = {
    "role_name": "one-set",
    "permissions": {
        "rules": [
            {"type": "cache", "permissions": ["read"], "caches": {"name": "boards"}, "items": {"key_prefix": "a/"}},
            {"type": "cache", "permissions": ["write"], "caches": "*", "items": {"key": "b"}},
            {"type": "cache", "permissions": ["list"], "caches": "*", "items": "*"},
            {"type": "topic", "permissions": ["read"], "caches": "*", "topics": {"prefix": "room-"}},
            {"type": "topic", "permissions": ["write"], "caches": "*", "topics": {"name": "news"}},
            {"type": "topic", "permissions": ["list"], "caches": "*", "topics": "*"},
            {"type": "auth_management", "permissions": ["list"], "items": "*"},
            {"type": "resource_management", "permissions": ["list"], "resources": "*"},
            {"type": "account_management", "permissions": ["read"]},
        ]
    },
}


@pytest.fixture(scope="module")
def account(momento: Momento) -> Iterator[httpx.Client]:
    """Yield a client of the account API with the owner's key."""
    headers = {"Authorization": momento.connections.api_key}
    with httpx.Client(base_url=momento.connections.account_url, headers=headers) as client:
        yield client


def make_key(account: httpx.Client, role: str = "owner", description: str = "test", expiry: object = "never") -> Any:
    """Make a key; return the answer."""
    body = {"role_id": role, "description": description, "expiry": expiry}
    return account.post("/api-keys", json=body).raise_for_status().json()


def refusal(momento: Momento, key: str) -> MomentoErrorCode | None:
    """Set an item with a key by the SDK; return the code of the error, None if there was none."""
    credentials = CredentialProvider(key, momento.host, momento.host, momento.host, momento.port)
    with CacheClient(Configurations.Laptop.latest(), credentials, DAY) as client:
        return getattr(client.set(momento.new_cache(), "key", "value"), "error_code", None)


def test_new_key_is_listed(account: httpx.Client) -> None:
    """The information about a new key is in the answer and in the list."""
    answer = make_key(account, "viewer", "a dashboard")
    info = answer["key_info"]
    assert info["account_id"] == "local"
    assert info["description"] == "a dashboard"
    assert info["role_id"] == "viewer"
    assert abs(info["issued_at_epoch_seconds"] - time.time()) < 60
    assert info in account.get("/api-keys").json()["key_info"]


def test_expiry_of_a_key(account: httpx.Client) -> None:
    """A key expires at the second of the request; a key that never does has no such field."""
    soon = int(time.time()) + 100
    assert make_key(account, expiry=soon)["key_info"]["expires_at_epoch_seconds"] == soon
    assert "expires_at_epoch_seconds" not in make_key(account)["key_info"]


def test_revoked_key_is_refused_by_the_sdk(momento: Momento, account: httpx.Client) -> None:
    """A key is valid from when it is made until it is revoked."""
    answer = make_key(account)
    assert refusal(momento, answer["api_key"]) is None
    assert account.delete(f"/api-keys/{answer['key_info']['key_id']}").json() == {}
    assert refusal(momento, answer["api_key"]) == MomentoErrorCode.AUTHENTICATION_ERROR


def test_key_of_a_viewer_may_not_write(momento: Momento, account: httpx.Client) -> None:
    """A key has the rights of its role."""
    assert refusal(momento, make_key(account, "viewer")["api_key"]) == MomentoErrorCode.PERMISSION_ERROR


def test_pages_have_every_key(account: httpx.Client) -> None:
    """The pages have every key once, though one is revoked between them."""
    keys = {make_key(account)["key_info"]["key_id"] for _ in range(5)}
    found: list[str] = []
    page: dict[str, Any] = {"next_token": ""}
    while "next_token" in page:
        page = account.get("/api-keys", params={"limit": "2", "next_token": page["next_token"]}).json()
        found += [info["key_id"] for info in page["key_info"]]
        for revoked in keys & {found[-1]}:
            account.delete(f"/api-keys/{revoked}")
    assert keys <= set(found)
    assert len(found) == len(set(found))


def test_made_role_gives_its_rights(account: httpx.Client) -> None:
    """A role is listed as it was made, and a key of it has its rights."""
    role = account.post("/roles", json=ROLE).json()
    assert role["permissions"] == ROLE["permissions"]
    assert role in account.get("/roles", params={"type": "custom"}).json()["roles"]
    headers = {"Authorization": make_key(account, role["role_id"])["api_key"]}
    listed = httpx.get(account.base_url.join("/roles"), params={"type": "system"}, headers=headers).json()["roles"]
    assert [found["role_name"] for found in listed] == ["Operator", "Owner", "Viewer"]


@pytest.mark.parametrize("name", ["Owner", "owner"])
def test_role_of_a_taken_name_is_refused(account: httpx.Client, name: str) -> None:
    """A role cannot have the name or the id of another, such as one of the system's."""
    answer = account.post("/roles", json=ROLE | {"role_name": name})
    assert answer.status_code == 409
    assert answer.json()["code"] == "AlreadyExists"


READ_ALL = {"type": "cache", "permissions": ["read"], "caches": "*", "items": "*"}


def bad_role(**rule: object) -> dict[str, Any]:
    """Return a body that would make a role of one rule."""
    return {"role_name": "bad", "permissions": {"rules": [rule]}}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        pytest.param("POST", "/api-keys", b"{", 400, "not as it should be", id="no JSON"),
        pytest.param("POST", "/api-keys", {"role_id": "owner"}, 400, "missing required field", id="a field is missing"),
        pytest.param(
            "POST",
            "/api-keys",
            {"role_id": "owner", "description": "", "expiry": "soon"},
            400,
            "expiry",
            id="neither never nor a number",
        ),
        pytest.param(
            "POST",
            "/api-keys",
            {"role_id": "owner", "description": "", "expiry": 1},
            400,
            "has passed",
            id="in the past",
        ),
        pytest.param(
            "POST",
            "/api-keys",
            {"role_id": "nobody", "description": "", "expiry": "never"},
            404,
            "There is no role 'nobody'",
            id="no such role",
        ),
        pytest.param("POST", "/api-keys", b" " * (LONGEST_BODY + 1), 400, "over 65536 bytes", id="too long"),
        pytest.param("DELETE", "/api-keys/nothing", None, 404, "There is no API key 'nothing'", id="no such key"),
        pytest.param("GET", "/api-keys?limit=0", None, 400, "a number of 1 to 100, not '0'", id="limit of 0"),
        pytest.param("GET", "/api-keys?limit=101", None, 400, "a number of 1 to 100", id="limit of 101"),
        pytest.param("GET", "/api-keys?limit=many", None, 400, "a number of 1 to 100", id="limit that is no number"),
        pytest.param(
            "GET", f"/api-keys?limit={'1' * 5000}", None, 400, "a number of 1 to 100", id="limit of 5,000 digits"
        ),
        pytest.param("GET", "/roles?type=any", None, 400, "system or custom", id="no such type"),
        pytest.param(
            "GET", "/nowhere", None, 404, "There is no GET /nowhere; there are POST /api-keys,", id="no such call"
        ),
        pytest.param("PUT", "/-/faults", {"faults": ["Gett:UNAVAILABLE"]}, 400, "Get", id="no such fault"),
        pytest.param(
            "POST",
            "/roles",
            bad_role(type="cache", permissions=["read"], caches="*", items={}),
            400,
            "either `key` or `key_prefix`",
            id="no item",
        ),
        pytest.param(
            "POST",
            "/roles",
            bad_role(type="topic", permissions=["read"], caches="*", topics={"name": "a", "prefix": "b"}),
            400,
            "either `name` or `prefix`",
            id="two kinds of topics",
        ),
        pytest.param(
            "POST", "/roles", {"role_name": "", "permissions": {"rules": []}}, 400, "length >= 1", id="no name"
        ),
        pytest.param(
            "POST",
            "/roles",
            {"role_name": "x", "permissions": {"rules": []}},
            400,
            "`$.permissions.rules`",
            id="no rules",
        ),
        pytest.param(
            "POST",
            "/roles",
            bad_role(type="cache", permissions=[], caches="*", items="*"),
            400,
            "`$.permissions.rules[0].permissions`",
            id="a rule that allows nothing",
        ),
        pytest.param(
            "POST",
            "/roles",
            bad_role(type="cache", permissions=["read"], caches={"name": ""}, items="*"),
            400,
            "`$.permissions.rules[0].caches.name`",
            id="a cache without a name",
        ),
        pytest.param(
            "POST",
            "/roles",
            {"role_name": "x", "permissions": {"rules": [READ_ALL, READ_ALL | {"permissions": ["write"]}]}},
            400,
            "two `rules` are for the same",
            id="two rules for the same",
        ),
        pytest.param("PUT", "/-/faults", {"faults": ["SetPop:UNAVAILABLE"]}, 400, "that is served", id="not served"),
        pytest.param(
            "POST", "/roles", bad_role(type="store", permissions=["read"]), 400, "Invalid value 'store'", id="no stores"
        ),
    ],
)
def test_bad_request_is_refused(
    account: httpx.Client, method: str, path: str, body: object, status: int, message: str
) -> None:
    """The answer to a bad request says what is wrong, in the form of every error."""
    content = {"content": body} if isinstance(body, bytes) else {"json": body} if body else {}
    answer = account.request(method, path, headers={"Content-Type": "application/json"}, **content)
    assert answer.status_code == status
    assert set(answer.json()) == {"code", "message"}
    assert message in answer.json()["message"]


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("", 401, "Unauthenticated"), ("wrong", 401, "Unauthenticated"), ("viewer", 403, "PermissionDenied")],
)
def test_key_is_checked(account: httpx.Client, key: str, status: int, code: str) -> None:
    """Making keys needs a key that allows it, even on a server that allows Momento's calls without one."""
    key = make_key(account, "viewer")["api_key"] if key == "viewer" else key
    body = {"role_id": "owner", "description": "", "expiry": "never"}
    answer = account.post("/api-keys", json=body, headers={"Authorization": key})
    assert answer.status_code == status
    assert answer.json()["code"] == code


def test_body_in_parts_is_read_whole(account: httpx.Client) -> None:
    """A chunked body is read to its end."""
    parts = (part for part in (b'{"role_id": "owner", "desc', b'ription": "", "expiry": "never"}'))
    answer = account.post("/api-keys", content=parts, headers={"Content-Type": "application/json"})
    assert answer.json()["key_info"]["role_id"] == "owner"


def test_client_that_leaves_makes_nothing(momento: Momento, account: httpx.Client) -> None:
    """A body that breaks off makes no key, though the part that came is valid."""
    body = json.dumps({"role_id": "owner", "description": "broken off", "expiry": "never"})
    head = f"POST /api-keys HTTP/1.1\r\nHost: {momento.host}\r\nAuthorization: {momento.connections.api_key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    with socket.create_connection((account.base_url.host, account.base_url.port or 0)) as connection:
        connection.sendall((head + body).encode())
        connection.shutdown(socket.SHUT_WR)
        assert not connection.recv(1000).startswith(b"HTTP/1.1 200")
    assert "broken off" not in account.get("/api-keys").text


def test_body_must_be_json(account: httpx.Client) -> None:
    """A body without the Content-Type of JSON is refused."""
    answer = account.post("/api-keys", content=b"{}")
    assert answer.status_code == 400
    assert answer.json()["code"] == "Bad Request"


def test_faults_change_while_the_server_runs(momento: Momento, account: httpx.Client) -> None:
    """Planned faults hit the next calls, and are listed until they have."""
    faults = {"faults": ["Set:UNAVAILABLE:7"]}
    assert account.put("/-/faults", json=faults).json() == faults
    assert refusal(momento, "") == MomentoErrorCode.SERVER_UNAVAILABLE
    assert account.get("/-/faults").json()["faults"][0].startswith("Set:UNAVAILABLE:")
    account.put("/-/faults", json={"faults": []})
    assert refusal(momento, "") is None
