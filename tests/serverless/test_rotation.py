"""The rotation of the key: what each run does, and that it may be killed at any step."""

from __future__ import annotations

import itertools
import logging
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import grpc
import msgspec
import pytest
from momento_wire_types import cacheclient_pb2 as wire
from urllib3.connectionpool import HTTPConnectionPool

from laurels.momento_local.keys import Keys
from laurels.serverless.account import Account, KeyInfo
from laurels.serverless.errors import AccountRefused, BadSetting
from laurels.serverless.parameters import connect_ssm, parameter
from laurels.serverless.rotation import DAY_SECONDS, GRACE_SECONDS, ROLE, RULES, Look, Settings, handler, rotate
from tests.cli.conftest import failing
from tests.length import times
from tests.serverless.conftest import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.momento import Momento
    from tests.serverless.conftest import ParameterStore

ADMIN = "/leaderboard-api/dev/momento-super-user-key"
ARN = f"arn:aws:ssm:eu-central-1:123456789012:parameter{PARAMETER}"
LATER = GRACE_SECONDS + 60
DUE = 31 * DAY_SECONDS


class Deployment:
    """A parameter with a key that was made by hand, and the rotation for it."""

    def __init__(self, momento: Momento, ssm: ParameterStore) -> None:
        self.momento = momento
        self.ssm = connect_ssm()
        self.account = Account(momento.connections.api_key, momento.connections.account_url)
        self.cache = momento.new_cache()
        self.by_hand = self.account.make_key("operator", "by hand").api_key
        self.settings = Settings(
            key_parameter=PARAMETER,
            admin_key_parameter=ADMIN,
            rotate_days=30,
            momento_account_url=momento.connections.account_url,
        )
        ssm.put(momento.connections.api_key, ADMIN)
        ssm.put(self.by_hand)

    @property
    def stored(self) -> str:
        """The stored key."""
        return parameter(PARAMETER, lambda: self.ssm)

    @property
    def ours(self) -> list[KeyInfo]:
        """The keys that the rotation made and has not revoked."""
        return [key for key in self.account.issued() if key.description == f"Laurels: {ARN}"]

    def rotate(self, after: float = 0) -> dict[str, Any]:
        """Run the rotation once, as if so many seconds had passed."""
        return rotate(self.settings, self.ssm, time.time() + after)

    def works(self, key: str) -> bool:
        """Return whether a key may write."""
        nothing = wire._DeleteRequest(cache_key=b"-")  # noqa: SLF001 - as Momento calls it
        try:
            self.momento.items.Delete(nothing, metadata=[("cache", self.cache), ("authorization", key)])
        except grpc.RpcError:
            return False
        return True


@pytest.fixture
def deployment(momento: Momento, ssm: ParameterStore) -> Iterator[Deployment]:
    """Yield a deployment whose key has not been rotated yet."""
    deployment = Deployment(momento, ssm)
    yield deployment
    for key in deployment.ours:
        deployment.account.revoke(key.key_id)


def test_first_run_takes_over(deployment: Deployment) -> None:
    """A key that was stored by hand is replaced by one of ours, and is not revoked."""
    assert deployment.rotate() == {"revoked": [], "made": deployment.ours[0].key_id}
    assert deployment.stored != deployment.by_hand
    assert deployment.works(deployment.stored)
    assert deployment.works(deployment.by_hand)


def test_stored_as_a_secret(deployment: Deployment) -> None:
    """The rotation stores its key as a SecureString, as the one before was."""
    deployment.rotate()
    assert deployment.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Type"] == "SecureString"


def test_nothing_is_due(deployment: Deployment) -> None:
    """While the stored key is young enough, a run changes nothing."""
    deployment.rotate()
    stored = deployment.stored
    assert [deployment.rotate(after) for after in (0, LATER, 29 * DAY_SECONDS)] == [{"revoked": [], "made": None}] * 3
    assert deployment.stored == stored


def test_superseded_key_is_revoked_later(deployment: Deployment) -> None:
    """A key that is due is replaced, works while functions may still have it, and is revoked by a later run."""
    first = deployment.rotate()["made"]
    old = deployment.stored
    second = deployment.rotate(DUE)["made"]
    assert deployment.rotate(60) == {"revoked": [], "made": None}
    assert deployment.works(old)
    assert deployment.rotate(LATER) == {"revoked": [first], "made": None}
    assert not deployment.works(old)
    assert deployment.works(deployment.stored)
    assert [key.key_id for key in deployment.ours] == [second]


@pytest.mark.parametrize(
    ("stored", "made", "old"),
    [(-LATER, -LATER, ["other"]), (-60, -LATER, []), (-LATER, -60, [])],
    ids=["nothing can use it", "functions may still have it", "another run may be storing it"],
)
def test_old_keys(stored: float, made: float, old: list[str]) -> None:
    """A key of ours is old if both it and the stored key have existed for a while."""
    look = Look(ARN, "stored", stored, [KeyInfo("stored", "", stored), KeyInfo("other", "", made)])
    assert look.old(0) == old


def test_history_in_any_order(deployment: Deployment) -> None:
    """The stored key is found by the versions' numbers: SSM does not guarantee their order."""

    def turn(parsed: dict[str, Any], **_: object) -> None:
        parsed["Parameters"].reverse()

    deployment.ssm.meta.events.register("after-call.ssm.GetParameterHistory", turn)
    first = deployment.rotate()["made"]
    deployment.rotate(DUE)
    assert deployment.rotate(LATER) == {"revoked": [first], "made": None}


def test_keys_may_only_read_and_write_items(deployment: Deployment) -> None:
    """A key of the rotation may use caches, and manage nothing."""
    deployment.rotate()
    with pytest.raises(AccountRefused, match="with 403"):
        Account(deployment.stored, deployment.momento.connections.account_url).make_key("owner", "more")


def test_keys_of_others_stay(deployment: Deployment) -> None:
    """A key of another parameter, account or region is not ours, however old."""
    other = deployment.account.make_key("operator", f"Laurels: {ARN.replace('eu-central-1', 'us-east-1')}")
    deployment.rotate()
    deployment.rotate(LATER)
    deployment.rotate(LATER)
    assert deployment.works(other.api_key)
    deployment.account.revoke(other.key_info.key_id)


def test_key_put_back_by_hand(deployment: Deployment, ssm: ParameterStore) -> None:
    """If an old key of ours is put back by hand, it is not revoked while it is stored, and is soon replaced."""
    deployment.rotate()
    old = deployment.stored
    deployment.rotate(DUE)
    ssm.put(old)
    assert deployment.rotate(LATER)["revoked"] == []
    assert deployment.works(old)
    assert deployment.works(deployment.stored)
    assert deployment.stored != old


def test_stored_key_that_was_revoked(deployment: Deployment) -> None:
    """If someone else revoked the stored key, the next run replaces it."""
    deployment.rotate()
    deployment.account.revoke(deployment.ours[0].key_id)
    assert deployment.rotate(LATER)["made"]
    assert deployment.works(deployment.stored)


def test_many_keys(deployment: Deployment) -> None:
    """An account with more keys and roles than one answer holds is read to its end."""
    roles = [deployment.account.role(f"role-{number:03}", RULES) for number in range(101)]
    keys = [deployment.account.make_key(roles[0], f"another's {number}").key_info.key_id for number in range(101)]
    first = deployment.rotate()["made"]
    assert deployment.account.role(roles[-1], RULES) == roles[-1]
    deployment.rotate(DUE)
    assert deployment.rotate(LATER)["revoked"] == [first]
    for key_id in keys:
        deployment.account.revoke(key_id)


class Killed(BaseException):
    """Ends a run as a kill does: nothing catches it."""


def killing(passing: int, *, after: bool) -> Any:
    """Return a urlopen that lets so many requests pass and kills at the next, before it is sent or after its answer."""
    send, numbers = HTTPConnectionPool.urlopen, itertools.count()

    def request(pool: HTTPConnectionPool, *args: Any, **options: Any) -> Any:
        is_last = next(numbers) >= passing
        if is_last and not after:
            raise Killed
        answer = send(pool, *args, **options)
        if is_last:
            raise Killed
        return answer

    return request


def arrange(deployment: Deployment, ssm: ParameterStore, start: str) -> float:
    """Bring a deployment to a state in which a run has something to do; return when it is to run."""
    if start == "by hand":
        ssm.put(deployment.by_hand)
        return 0
    deployment.rotate()
    if start == "superseded":
        deployment.rotate(DUE)
        return LATER
    if start == "orphaned":
        deployment.account.make_key(deployment.account.role(ROLE, RULES), f"Laurels: {ARN}")
    return DUE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "cut"),
    [("by hand", "after"), ("due", "before"), ("due", "after"), ("superseded", "after"), ("orphaned", "after")],
)
def test_killed_at_any_step(
    deployment: Deployment, ssm: ParameterStore, monkeypatch: pytest.MonkeyPatch, start: str, cut: str
) -> None:
    """Wherever a run is killed, the stored key works, and the runs after it leave that one key of ours."""
    for passing in itertools.count():  # pragma: no branch - it ends with a run that was not killed
        now = arrange(deployment, ssm, start)
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(HTTPConnectionPool, "urlopen", killing(passing, after=cut == "after"))
            deployment.rotate(now)
            break
        for _ in range(3):
            assert deployment.works(deployment.stored)
            deployment.rotate(LATER)
        assert deployment.works(deployment.stored)
        assert len(deployment.ours) == 1
    assert passing >= 5


ROTATING = """
from laurels.serverless.rotation import handler
print("ready", flush=True)
handler({}, None)
"""


@pytest.mark.slow
def test_killed_processes(deployment: Deployment, ssm: ParameterStore) -> None:
    """Rotations are killed at random times: the stored key works after each, and in the end there is one key."""
    chance = random.Random(20261123)
    settings = {
        "LAURELS_KEY_PARAMETER": PARAMETER,
        "LAURELS_ADMIN_KEY_PARAMETER": ADMIN,
        "LAURELS_ROTATE_DAYS": "0",
        "LAURELS_MOMENTO_ACCOUNT_URL": deployment.settings.momento_account_url,
    }
    for _ in range(times(8)):
        command = [sys.executable, "-c", ROTATING]
        with subprocess.Popen(command, env=os.environ | ssm.environment | settings, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.15))
            process.kill()
        assert deployment.works(deployment.stored)
    for after in (LATER, 2 * LATER):
        deployment.rotate(after)
    assert deployment.works(deployment.stored)
    assert len(deployment.ours) == 1


def test_handler(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Lambda calls it with settings in the environment; the log has ids, and no key."""
    caplog.set_level(logging.DEBUG, "laurels")
    settings = {name: str(value) for name, value in msgspec.structs.asdict(deployment.settings).items()}
    for name, value in settings.items():
        monkeypatch.setenv(f"LAURELS_{name.upper()}", value)
    result = handler({"source": "aws.events"}, None)
    assert f"Stored the new key {result['made']}" in caplog.text
    secret = [deployment.stored, deployment.momento.connections.api_key]
    assert not [key for key in secret if key in caplog.text or key in repr(result)]


@pytest.mark.parametrize("missing", [ADMIN, PARAMETER])
def test_missing_parameter(deployment: Deployment, ssm: ParameterStore, missing: str) -> None:
    """A missing parameter ends the run with its name."""
    ssm.delete(missing)
    with pytest.raises(BadSetting, match=f"The parameter {missing} cannot be .*ParameterNotFound"):
        deployment.rotate()


def test_v1_admin_key(deployment: Deployment, ssm: ParameterStore) -> None:
    """The key that may manage keys may be a v1 key."""
    ssm.put(deployment.momento.connections.v1_api_key, ADMIN)
    assert deployment.rotate()["made"]


def test_refused_admin_key(deployment: Deployment, ssm: ParameterStore) -> None:
    """A key that may not manage keys ends the run with what Momento says, and nothing is changed."""
    ssm.put(Keys(b"another" * 5, lambda: 0).owner(), ADMIN)
    with pytest.raises(AccountRefused, match=r"GET /api-keys with 401: Unauthenticated: .*The next run goes on"):
        deployment.rotate()
    assert deployment.stored == deployment.by_hand


def test_outage(deployment: Deployment) -> None:
    """If the account API cannot be reached the run ends, and nothing is changed."""
    deployment.settings = msgspec.structs.replace(deployment.settings, momento_account_url="http://127.0.0.1:1")
    with pytest.raises(AccountRefused, match="GET /api-keys: it cannot be reached"):
        deployment.rotate()
    assert deployment.stored == deployment.by_hand


def test_new_key_is_not_shown(deployment: Deployment) -> None:
    """The repr of a new key leaves its text out."""
    made = deployment.account.make_key("viewer", "seen once")
    assert made.api_key not in repr(made)
    assert made.key_info.key_id in repr(made)
    deployment.account.revoke(made.key_info.key_id)
    deployment.account.revoke(made.key_info.key_id)


def test_busy_account(deployment: Deployment) -> None:
    """A request that can be sent again is, if the account API is busy for a moment."""
    with failing((503, {}, b""), (200, {}, b'{"key_info":[]}')) as service:
        assert list(Account(deployment.by_hand, service.url).issued()) == []


@pytest.mark.parametrize("body", [b"<html>", b'{"key_info":[{"id":1}]}', b"[]"])
def test_undocumented_answer(deployment: Deployment, body: bytes) -> None:
    """An undocumented answer is not taken for an account without keys."""
    with failing((200, {}, body)) as service, pytest.raises(AccountRefused, match="not as its documentation says"):
        list(Account(deployment.by_hand, service.url).issued())


def test_unexplained_refusal(deployment: Deployment) -> None:
    """A key that could not be revoked is not taken for revoked."""
    with failing((501, {}, b"")) as service, pytest.raises(AccountRefused, match="with 501: it did not say why"):
        Account(deployment.by_hand, service.url).revoke("some-key")
