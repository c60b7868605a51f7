"""The guard of boards over HTTP: what players, keys and moderators get to see of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from laurels.access.file import AccessFile
from laurels.access.principal import Principal
from laurels.boards import Boards
from laurels.http.access import Access
from laurels.http.gate import Gate
from laurels.http.messages import Headers, Request, Response
from laurels.http.routes import Routes
from laurels.stores.embedded.store import EmbeddedStore
from tests.clock import clock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from laurels.http.operation import Operation
    from tests.clock import Clock

pytestmark = pytest.mark.anyio
__all__ = ["clock"]
REPRESENTATION = {"prefer": "return=representation"}
HOLDING = {"operator": "best", "windows": ["daily"], "guard": {"hold_above": 100}}
RUNS = {"guard": {"runs": {"required": True, "min_seconds": 20, "max_seconds": 3600}}}
PRINCIPALS = {
    "admin": Principal(kind="key", name="console"),
    "server": Principal(kind="key", name="server", scopes=frozenset({"read", "submit"})),
    "moderator": Principal(kind="key", name="mod", scopes=frozenset({"moderate"})),
    "v": Principal(kind="player", name="v", scopes=frozenset({"read", "submit:self"})),
    "w": Principal(kind="player", name="w", scopes=frozenset({"read", "submit:self"})),
    "batcher": Principal(kind="player", name="b", scopes=frozenset({"read", "submit"})),
    "public": Principal(kind="public", scopes=frozenset({"read"})),
}


class Known(Access):
    """Who asks is whom the header names."""

    def authenticate(self, request: Request, operation: Operation) -> Principal:  # noqa: ARG002 - as its base has it
        """Return that one."""
        return PRINCIPALS[request.headers[b"authorization"].decode()]


class Service:
    """A service whose callers say who they are."""

    def __init__(self, boards: Boards) -> None:
        self._routes = Routes(boards, gate=Gate(access=Known(AccessFile())))

    async def ask(
        self, who: str, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Return status and body of an answer."""
        response = await self.respond(who, method, target, body, headers)
        return response.status, json.loads(response.body) if response.body else None

    async def respond(
        self, who: str, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Return an answer."""
        path, _, query = target.encode().partition(b"?")
        all_headers = {"authorization": who} | (headers or {})
        fields = Headers((name.encode(), value.encode()) for name, value in all_headers.items())
        return await self._routes.answer(
            Request(method, path, query, fields, b"" if body is None else json.dumps(body).encode())
        )


@pytest.fixture
async def service(tmp_path: Path, clock: Clock) -> AsyncIterator[Service]:
    """Open a service."""
    store = await EmbeddedStore.open(tmp_path, clock=clock)
    boards = Boards(store, clock=clock)
    await boards.declare()
    yield Service(boards)
    await store.close()


async def define(service: Service, definition: dict[str, Any]) -> None:
    """Define the board."""
    assert (await service.ask("admin", "PUT", "/-/boards/b", definition))[0] in {200, 201}


async def test_over_the_step(service: Service) -> None:
    """A step too long is a 422, also for an admin; with an operator it is none."""
    await define(service, {"guard": {"max_step": 5}})
    assert await service.ask("admin", "POST", "/b/v", {"score": 1}) == (202, None)
    status, problem = await service.ask("admin", "POST", "/b/v", {"score": 7})
    assert (status, problem["pointer"]) == (422, "/score")
    assert await service.ask("admin", "POST", "/b/v", {"score": 7, "operator": "latest"}) == (202, None)
    assert (await service.ask("server", "POST", "/b/v", {"score": 70, "operator": "latest"}))[0] == 403


async def test_over_the_rate(service: Service) -> None:
    """One entry too many is a 429 that says when to come again; of a batch it is refused alone."""
    await define(service, {"guard": {"per_player": "1/m"}})
    await service.ask("v", "POST", "/b/v", {"score": 1})
    response = await service.respond("v", "POST", "/b/v", {"score": 2})
    assert response.status == 429
    assert dict(response.headers) == {
        b"retry-after": b"60",
        b"ratelimit-policy": b'"entries";q=1;w=60',
        b"ratelimit": b'"entries";r=0;t=60',
    }
    batch = {"entries": [{"name": "v", "score": 3}, {"name": "w", "score": 3}]}
    _, receipt = await service.ask("server", "POST", "/b", batch)
    assert (receipt["accepted"], [each["name"] for each in receipt["refused"]]) == (1, ["v"])


async def test_what_is_held(service: Service) -> None:
    """A held score is answered as one that did not count; its player and moderators may ask for it."""
    await define(service, HOLDING)
    assert await service.ask("v", "POST", "/b/v", {"score": 101}) == (202, None)
    status, receipt = await service.ask("v", "POST", "/b/v", {"score": 102}, REPRESENTATION)
    assert (status, receipt.pop("windows", None)) == (200, None)
    assert receipt == {"score": 0, "rank": None, "previous": None, "changed": False, "held": True}
    for who in ("v", "admin"):
        status, standing = await service.ask(who, "GET", "/b/v?include=held")
        held = standing.pop("held")
        assert (status, standing, held["score"]) == (200, {"score": 0, "rank": None}, 102)
        assert held["submittedAt"].startswith("1970-01-12T13:46:40.0000")
    assert await service.ask("v", "GET", "/b/v") == (200, {"score": 0, "rank": None})


@pytest.mark.parametrize(("who", "status"), [("w", 403), ("server", 403), ("public", 401)])
async def test_who_may_not_see_it(service: Service, who: str, status: int) -> None:
    """Nobody else is told what is held of a name."""
    await define(service, HOLDING)
    assert (await service.ask(who, "GET", "/b/v?include=held"))[0] == status


async def test_standing_with_nothing_held(service: Service) -> None:
    """Of a name of which nothing is held it is null; a hidden one is told to be hidden."""
    await define(service, HOLDING)
    await service.ask("v", "POST", "/b/v", {"score": 5})
    assert await service.ask("v", "GET", "/b/v?include=held") == (200, {"score": 5, "rank": 0, "held": None})
    window = await service.ask("v", "GET", "/b/v?include=held&window=daily")
    assert window == (200, {"score": 5, "rank": 0, "held": None})
    assert (await service.ask("v", "GET", "/b/v?include=held,rank"))[0] == 400


async def test_moderation(service: Service, clock: Clock) -> None:
    """A moderator lists what is held by pages, releases one as of its time, and rejects another."""
    await define(service, HOLDING)
    await service.ask("server", "POST", "/b/v", {"score": 200, "metadata": {"a": 1}})
    for name, score in (("w", 300), ("x", 150)):
        await service.ask("server", "POST", f"/b/{name}", {"score": score})
    status, page = await service.ask("moderator", "GET", "/-/boards/b/held?limit=2")
    assert (status, [(each["name"], each["score"]) for each in page["held"]]) == (200, [("w", 300), ("v", 200)])
    assert [each["metadata"] for each in page["held"]] == [None, {"a": 1}]
    _, rest = await service.ask("moderator", "GET", f"/-/boards/b/held?cursor={page['next']}")
    assert ([each["name"] for each in rest["held"]], rest["next"]) == (["x"], None)
    assert (await service.ask("moderator", "GET", "/-/boards/b/held?cursor=x"))[0] == 400
    clock.now += 3600
    assert await service.ask("moderator", "POST", "/-/boards/b/held/v/release") == (204, None)
    assert await service.ask("moderator", "POST", "/-/boards/b/held/w/reject") == (204, None)
    for act in ("release", "reject"):
        status, problem = await service.ask("moderator", "POST", f"/-/boards/b/held/w/{act}")
        assert (status, problem["parameter"]) == (404, "name")
    _, board = await service.ask("server", "GET", "/b?include=metadata,submittedAt")
    (entry,) = board["leaderboard"]
    assert (entry["name"], entry["score"], entry["metadata"]) == ("v", 200, {"a": 1})
    assert entry["submittedAt"] == page["held"][1]["submittedAt"]


async def test_release_into_its_periods(service: Service, clock: Clock) -> None:
    """A released score feeds the periods of its own time that are still kept, not those of today."""
    await define(service, HOLDING)
    await service.ask("server", "POST", "/b/v", {"score": 200})
    await service.ask("server", "POST", "/b/w", {"score": 200})
    clock.now += 24 * 3600
    await service.ask("moderator", "POST", "/-/boards/b/held/v/release")
    _, then = await service.ask("server", "GET", "/b?window=daily&period=1970-01-12")
    _, now = await service.ask("server", "GET", "/b?window=daily")
    assert ([each["name"] for each in then["leaderboard"]], now["leaderboard"]) == (["v"], [])
    await define(service, HOLDING | {"keep": {"daily": 1}})
    clock.now += 5 * 24 * 3600
    await service.ask("moderator", "POST", "/-/boards/b/held/w/release")
    _, then = await service.ask("server", "GET", "/b")
    assert [each["name"] for each in then["leaderboard"]] == ["w", "v"]


async def test_release_out_of_bounds(service: Service) -> None:
    """A held score that is out of the bounds of the board by now is not released, and stays."""
    await define(service, HOLDING)
    await service.ask("server", "POST", "/b/v", {"score": 200})
    await define(service, HOLDING | {"scores": {"max": 150}})
    assert (await service.ask("moderator", "POST", "/-/boards/b/held/v/release"))[0] == 422
    assert len((await service.ask("moderator", "GET", "/-/boards/b/held"))[1]["held"]) == 1


@pytest.mark.parametrize("who", ["server", "v", "batcher"])
async def test_only_moderators_decide(service: Service, who: str) -> None:
    """Nobody else lists, releases or rejects."""
    for method, target in (("GET", ""), ("POST", "/v/release"), ("POST", "/v/reject")):
        assert (await service.ask(who, method, f"/-/boards/b/held{target}"))[0] == 403


async def test_run(service: Service, clock: Clock) -> None:
    """A player makes a run, and submits with it once; a replay by key gets the first answer."""
    await define(service, RUNS)
    status, made = await service.ask("v", "POST", "/-/boards/b/runs")
    assert (status, made["expiresAt"]) == (201, "1970-01-12T14:46:40.000000Z")
    clock.now += 30
    sent, key = {"score": 5, "run": made["run"]}, {"idempotency-key": "k"}
    for _ in range(2):
        assert await service.ask("v", "POST", "/b/v", sent, key) == (202, None)
    for headers in ({}, {"idempotency-key": "l"}):
        status, problem = await service.ask("v", "POST", "/b/v", sent, headers)
        assert (status, problem["pointer"]) == (422, "/run")


async def test_who_needs_a_run(service: Service) -> None:
    """Players need one where it is required, keys and the open service do not; null is none."""
    await define(service, RUNS)
    for body in ({"score": 5}, {"score": 5, "run": None}):
        status, problem = await service.ask("v", "POST", "/b/v", body)
        assert (status, problem["pointer"]) == (422, "/run")
        assert "make one with POST /-/boards/b/runs" in problem["detail"]
        assert await service.ask("server", "POST", "/b/v", body) == (202, None)
    batch = {"entries": [{"name": "b", "score": 1}]}
    assert (await service.ask("server", "POST", "/b", batch))[0] == 200
    assert (await service.ask("batcher", "POST", "/b", batch))[1]["pointer"] == "/run"
    assert (await service.ask("batcher", "POST", "/b/b", {"score": 1}))[1]["pointer"] == "/run"


async def test_replay_of_before_runs_were_required(service: Service) -> None:
    """What a key has an answer for needs no run, be it one score or a batch."""
    batch = {"entries": [{"name": "b", "score": 1}, {"name": "", "score": 2}]}
    answers = []
    for definition in ({}, RUNS):
        await define(service, definition)
        assert (await service.ask("v", "POST", "/b/v", {"score": 5}, {"idempotency-key": "k"}))[0] == 202
        answers.append(await service.ask("batcher", "POST", "/b", batch, {"idempotency-key": "k"}))
    assert answers[0][0] == 200
    assert answers[0] == answers[1]
    assert (await service.ask("batcher", "POST", "/b", batch, {"idempotency-key": "l"}))[1]["pointer"] == "/run"


@pytest.mark.parametrize("who", ["server", "admin"])
async def test_runs_are_for_players(service: Service, who: str) -> None:
    """A key makes no run."""
    await define(service, RUNS)
    assert (await service.ask(who, "POST", "/-/boards/b/runs"))[0] == 403


async def test_board_without_runs(service: Service) -> None:
    """A board whose guard has no runs makes none and takes none."""
    await define(service, {"guard": {"max_step": 5}})
    for target, body in (("/-/boards/b/runs", None), ("/b/v", {"score": 5, "run": "x"})):
        status, problem = await service.ask("v", "POST", target, body)
        assert (status, "takes no runs" in problem["detail"]) == (422, True)


async def test_run_is_another_request(service: Service) -> None:
    """A key that came without a run is refused with one."""
    await define(service, {"guard": {"runs": {}}})
    run = (await service.ask("v", "POST", "/-/boards/b/runs"))[1]["run"]
    await service.ask("v", "POST", "/b/v", {"score": 5}, {"idempotency-key": "k"})
    status, problem = await service.ask("v", "POST", "/b/v", {"score": 5, "run": run}, {"idempotency-key": "k"})
    assert (status, problem["parameter"]) == (422, "Idempotency-Key")
    assert await service.ask("v", "POST", "/b/v", {"score": 6, "run": run}) == (202, None)
