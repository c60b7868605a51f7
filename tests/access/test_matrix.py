"""Every operation by every credential, whichever way it comes: the one status that it is answered with.

What each scope may do is written here once more, by hand, so that an operation that is new, or has changed its scope,
fails here until somebody has said who may do it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import jwt
import pytest

from laurels.http.web_files import WEB_FILES
from tests.access.ways import KeyRing, bearer, invoked, send_oddly, send_plainly, served_by_asgi, serving
from tests.http.conftest import SERVED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.http.operation import Operation
    from tests.access.ways import Way

SCOPES = {
    "open": [
        "document",
        "docs",
        "landing",
        "health",
        "ready",
        "whoami",
        "console",
        "console_file",
        "give_anonymous_token",
        *(each.name for each in WEB_FILES),
    ],
    "read": ["standing", "read", "definition", "periods", "summary", "rank", "boards", "live"],
    "submit:self": ["submit", "make_run"],
    "submit": ["submit_many", "set_metadata"],
    "moderate": ["remove", "restore", "hide", "show", "hidden", "held", "release", "reject"],
    "define": ["define", "undefine", "drop"],
    "tokens": ["give_token"],
    "metrics": ["metrics"],
    "admin": ["keys", "revoke", "audit", "back_up"],
}
"""Section 6 of the contract: what each scope may do. "submit" has "submit:self" in it, "admin" has all."""
EVERYWHERE = {"keys", "revoke", "audit", "back_up"}
"""What concerns all boards, and takes the pattern for them."""
NOWHERE = {"boards", "metrics", "give_token"}
"""What can be done without a right on any one board."""
GOOD: dict[str, tuple[int, Any]] = {
    "submit": (202, {"score": 7}),
    "submit_many": (200, {"entries": [{"name": "v", "score": 7}]}),
    "restore": (200, {"entries": [{"name": "v", "score": 7, "submittedAt": "2026-11-20T10:00:00Z"}]}),
    "set_metadata": (204, {"metadata": {"car": "porsche"}}),
    "define": (200, {"operator": "latest"}),
    "undefine": (204, None),
    "drop": (204, None),
    "remove": (204, None),
    "revoke": (204, None),
    "audit": (409, None),  # it may be read, but is in no file
    "hide": (204, None),
    "show": (204, None),
    "make_run": (422, None),  # it may be made, but this board takes none, and holds nothing
    "release": (404, None),
    "reject": (404, None),
    "live": (400, None),  # it may be watched, but has no such window: nothing is streamed
    "back_up": (400, None),  # it may be taken, but not so: nothing is streamed
    "give_token": (201, {"name": "v"}),
    "give_anonymous_token": (404, None),  # it is open, and there are no anonymous players here
}
"""How an operation is answered that may be done, if not with 200, and the body that it takes."""
SECRET = "s" * 32
PLAYERS = {
    "player": ("v", ["*"], SECRET, 3600),
    "player-of-boards": ("v", ["k*"], SECRET, 3600),
    "player-elsewhere": ("v", ["other-*"], SECRET, 3600),
    "other-player": ("V", ["*"], SECRET, 3600),
    "player-before": ("v", ["*"], SECRET, -3600),
    "player-forged": ("v", ["*"], "S" * 32, 3600),
}
"""Tokens: the player's name and boards, the secret that it is signed with, and for how many seconds it is good."""
OF_PLAYERS = {"read", "submit:self"}
HAS = {scope: {scope} for scope in SCOPES} | {
    "none": set(),
    "nothing": set(),
    "submit": {"submit", "submit:self"},
    "admin": {*SCOPES},
    "elsewhere": {*SCOPES},
    "there": {*SCOPES} - {"admin"},
    "player": OF_PLAYERS,
    "player-of-boards": OF_PLAYERS,
    "player-elsewhere": OF_PLAYERS,
    "other-player": {"read"},  # for its name is not the one in the path
}
"""What a credential has a right to, be it on this board or on others."""
ELSEWHERE = {"elsewhere", "player-elsewhere"}
"""Those that have rights on other boards only."""
NOT_ACCEPTED = {"expired", "revoked", "mistyped", "player-before", "player-forged", "unsigned"}
WAYS = ["fast", "llhttp", "asgi", "lambda"]


class Service(NamedTuple):
    """A service behind one way in, and the secrets of its keys."""

    send: Way
    secrets: dict[str, str]

    def arrange(self) -> None:
        """Have a board that is defined, with one entry."""
        admin = bearer(self.secrets["admin"])
        assert self.send("PUT", "/-/boards/kart", {"operator": "latest"}, admin).status in {200, 201}
        assert self.send("POST", "/kart/v", {"score": 42}, admin).status == 202

    def look(self) -> list[Any]:
        """Return all that there is."""
        targets = ("/-/boards?include=count", "/kart?include=rank,metadata", "/-/keys")
        return [self.send("GET", target, None, bearer(self.secrets["admin"])).json for target in targets]


@pytest.fixture(scope="module")
def ring() -> KeyRing:
    """Return keys: one for each scope, one for all together, and some that are not what they were."""
    ring = KeyRing()
    for scope in SCOPES.keys() - {"open", "submit:self"}:
        ring.add(scope, [scope])
    ring.add("elsewhere", ["admin"], boards=["other-*", "Kart", "kar", "*kart-"])
    ring.add("there", [*SCOPES.keys() - {"open", "submit:self", "admin"}], boards=["k*t"])
    ring.add("nothing", [])
    ring.add("expired", ["admin"], expires="2026-11-01")
    ring.add("revoked", ["admin"])
    ring.tables.pop()
    for name, (player, boards, secret, seconds) in PLAYERS.items():
        claims = {"iss": "laurels", "aud": "laurels", "sub": player, "boards": boards, "exp": time.time() + seconds}
        ring.secrets[name] = jwt.encode(claims, secret, "HS256")
    ring.secrets["unsigned"] = jwt.encode(claims, "", "none")
    ring.secrets["mistyped"] = ring.secrets["admin"][:-1] + ("0" if ring.secrets["admin"][-1] != "0" else "1")
    return ring


@pytest.fixture(scope="module", params=WAYS)
def service(
    request: pytest.FixtureRequest, ring: KeyRing, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """Start the service behind each way in; nothing is public."""
    directory = tmp_path_factory.mktemp("matrix")
    (directory / "secret").write_text(SECRET)
    access = ring.write(directory / "access.toml", '[players]\nsecret = "file:secret"')
    data = directory / "data"
    if request.param == "asgi":
        with served_by_asgi(data, access) as server:
            yield Service(send_plainly(server), ring.secrets)
    elif request.param == "lambda":
        with invoked(data, access) as send:
            yield Service(send, ring.secrets)
    else:
        with serving(data, access) as server:
            send = send_plainly(server) if request.param == "fast" else send_oddly(server)
            yield Service(send, ring.secrets)


def scope_of(name: str) -> str:
    """Return the scope that an operation takes, by the table above."""
    (found,) = (scope for scope, names in SCOPES.items() if name in names)
    return found


def expected(name: str, credential: str) -> int:
    """Return the status that an operation is answered with for a credential, which may be none."""
    scope, (good, _) = scope_of(name), GOOD.get(name, (200, None))
    if credential in NOT_ACCEPTED:
        return 401
    has = HAS[credential] if name != "make_run" else OF_PLAYERS if credential in PLAYERS else set()
    if scope == "open" or (scope in has and (credential not in ELSEWHERE or name in NOWHERE)):
        return good
    return 401 if credential == "none" else 403


@pytest.mark.parametrize("operation", SERVED, ids=lambda operation: operation.name)
def test_who_may(service: Service, operation: Operation) -> None:
    """Each credential is answered with the one status, and whoever may not changes nothing."""
    _, body = GOOD.get(operation.name, (200, None))
    query = {"rank": "?score=7", "live": "?window=daily", "back_up": "?odd=1"}.get(operation.name, "")
    target = operation.path.format(board="kart", name="v", key="gone", file="console.css") + query
    statuses = {}
    wanted = {credential: expected(operation.name, credential) for credential in ("none", *service.secrets)}
    service.arrange()
    before = service.look()
    for credential, status in sorted(wanted.items(), key=lambda item: item[1] < 400):
        if status < 400:
            service.arrange()
        else:
            assert service.look() == before
        headers = {} if credential == "none" else bearer(service.secrets[credential])
        statuses[credential] = service.send(operation.method, target, body, headers).status
        if operation.method == "GET":
            assert service.send("HEAD", target, None, headers).status == statuses[credential]
    assert statuses == wanted


def test_every_operation_is_in_the_table() -> None:
    """The table has all operations, and each has the scope that it says."""
    assert {operation.name: operation.scope or "open" for operation in SERVED} == {
        name: scope for scope, names in SCOPES.items() for name in names
    }
    has_no_board = {operation.name for operation in SERVED if operation.scope and operation.concerns != "one board"}
    assert has_no_board == EVERYWHERE | NOWHERE
