"""The rotation of the key: what each look does, and that it may be killed at any step."""

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

from laurels.errors import AccountRefused, BadSetting
from laurels.momento_local.keys import Keys
from laurels.serverless.account import Account, KeyInfo
from laurels.serverless.key import connected, parameter
from laurels.serverless.rotation import DAY_SECONDS, GRACE_SECONDS, ROLE, RULES, Look, Settings, handler, rotate
from tests.cli.conftest import failing
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
    """A parameter with a key that somebody made by hand, and what becomes of it."""

    def __init__(self, momento: Momento, ssm: ParameterStore) -> None:
        self.momento = momento
        self.ssm = connected()
        self.account = Account(momento.told.api_key, momento.told.account_url)
        self.cache = momento.new_cache()
        self.by_hand = self.account.make_key("operator", "by hand").api_key
        self.settings = Settings(
            key_parameter=PARAMETER,
            admin_key_parameter=ADMIN,
            rotate_days=30,
            momento_account_url=momento.told.account_url,
        )
        ssm.put(momento.told.api_key, ADMIN)
        ssm.put(self.by_hand)

    @property
    def stored(self) -> str:
        """The key that is stored."""
        return parameter(PARAMETER, lambda: self.ssm)

    @property
    def ours(self) -> list[KeyInfo]:
        """The keys that the rotation has made and not revoked."""
        return [key for key in self.account.issued() if key.description == f"Laurels: {ARN}"]

    def look(self, after: float = 0) -> dict[str, Any]:
        """Look once, so many seconds from now."""
        return rotate(self.settings, self.ssm, time.time() + after)

    def works(self, key: str) -> bool:
        """Tell whether a key may write."""
        nothing = wire._DeleteRequest(cache_key=b"-")  # noqa: SLF001 - as Momento calls it
        try:
            self.momento.items.Delete(nothing, metadata=[("cache", self.cache), ("authorization", key)])
        except grpc.RpcError:
            return False
        return True


@pytest.fixture
def deployment(momento: Momento, ssm: ParameterStore) -> Iterator[Deployment]:
    """Give a deployment whose key nobody has rotated yet."""
    deployment = Deployment(momento, ssm)
    yield deployment
    for key in deployment.ours:
        deployment.account.revoke(key.key_id)


def test_first_look_takes_over(deployment: Deployment) -> None:
    """A key that was put there by hand is replaced by one of ours, and is left alone itself."""
    assert deployment.look() == {"revoked": [], "made": deployment.ours[0].key_id}
    assert deployment.stored != deployment.by_hand
    assert deployment.works(deployment.stored)
    assert deployment.works(deployment.by_hand)


def test_stored_as_a_secret(deployment: Deployment) -> None:
    """A key of the rotation's is as secret as the one it follows."""
    deployment.look()
    assert deployment.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Type"] == "SecureString"


def test_nothing_is_due(deployment: Deployment) -> None:
    """While the stored key is young enough, a look changes nothing."""
    deployment.look()
    stored = deployment.stored
    assert [deployment.look(after) for after in (0, LATER, 29 * DAY_SECONDS)] == [{"revoked": [], "made": None}] * 3
    assert deployment.stored == stored


def test_superseded_key_is_revoked_later(deployment: Deployment) -> None:
    """A key that is due is replaced, works on while anyone may hold it, and is revoked by a later look."""
    first = deployment.look()["made"]
    old = deployment.stored
    second = deployment.look(DUE)["made"]
    assert deployment.look(60) == {"revoked": [], "made": None}
    assert deployment.works(old)
    assert deployment.look(LATER) == {"revoked": [first], "made": None}
    assert (deployment.works(old), deployment.works(deployment.stored)) == (False, True)
    assert [key.key_id for key in deployment.ours] == [second]


@pytest.mark.parametrize(
    ("stored", "made", "old"),
    [(-LATER, -LATER, ["other"]), (-60, -LATER, []), (-LATER, -60, [])],
    ids=["nobody can need it", "functions may still hold it", "another look may just store it"],
)
def test_old_keys(stored: float, made: float, old: list[str]) -> None:
    """A key of ours is old when both it and the one that is stored have been there for a while."""
    look = Look(ARN, "stored", stored, [KeyInfo("stored", "", stored), KeyInfo("other", "", made)])
    assert look.old(0) == old


def test_history_in_any_order(deployment: Deployment) -> None:
    """Which key is stored is told by the versions, whose order SSM does not promise."""

    def turn(parsed: dict[str, Any], **_: object) -> None:
        parsed["Parameters"].reverse()

    deployment.ssm.meta.events.register("after-call.ssm.GetParameterHistory", turn)
    first = deployment.look()["made"]
    deployment.look(DUE)
    assert deployment.look(LATER) == {"revoked": [first], "made": None}


def test_keys_may_only_read_and_write_items(deployment: Deployment) -> None:
    """A key of the rotation's own may use caches, and manage nothing."""
    deployment.look()
    with pytest.raises(AccountRefused, match="with 403"):
        Account(deployment.stored, deployment.momento.told.account_url).make_key("owner", "more")


def test_keys_of_others_stay(deployment: Deployment) -> None:
    """A key of another parameter, account or region is none of ours, however old."""
    other = deployment.account.make_key("operator", f"Laurels: {ARN.replace('eu-central-1', 'us-east-1')}")
    deployment.look()
    deployment.look(LATER)
    deployment.look(LATER)
    assert deployment.works(other.api_key)
    deployment.account.revoke(other.key_info.key_id)


def test_key_put_back_by_hand(deployment: Deployment, ssm: ParameterStore) -> None:
    """Where an old key of ours is put back by hand it is not revoked while it is stored, and is soon replaced."""
    deployment.look()
    old = deployment.stored
    deployment.look(DUE)
    ssm.put(old)
    assert deployment.look(LATER)["revoked"] == []
    assert deployment.works(old)
    assert deployment.works(deployment.stored)
    assert deployment.stored != old


def test_stored_key_that_was_revoked(deployment: Deployment) -> None:
    """Where somebody else has revoked the stored key it is replaced at the next look."""
    deployment.look()
    deployment.account.revoke(deployment.ours[0].key_id)
    assert deployment.look(LATER)["made"]
    assert deployment.works(deployment.stored)


def test_many_keys(deployment: Deployment) -> None:
    """An account with more keys and roles than one answer holds is read to its end."""
    roles = [deployment.account.role(f"role-{number:03}", RULES) for number in range(101)]
    keys = [deployment.account.make_key(roles[0], f"another's {number}").key_info.key_id for number in range(101)]
    first = deployment.look()["made"]
    assert deployment.account.role(roles[-1], RULES) == roles[-1]
    deployment.look(DUE)
    assert deployment.look(LATER)["revoked"] == [first]
    for key_id in keys:
        deployment.account.revoke(key_id)


class Killed(BaseException):
    """Ends a look as a kill does: nothing catches it."""


def killing(passing: int, *, after: bool) -> Any:
    """Let so many requests over HTTP pass, and end the look at the next, before it is sent or once it is answered."""
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


def arranged(deployment: Deployment, ssm: ParameterStore, start: str) -> float:
    """Bring a deployment to where a look has something to do; give when that is."""
    if start == "by hand":
        ssm.put(deployment.by_hand)
        return 0
    deployment.look()
    if start == "superseded":
        deployment.look(DUE)
        return LATER
    if start == "orphaned":
        deployment.account.make_key(deployment.account.role(ROLE, RULES), f"Laurels: {ARN}")
    return DUE


@pytest.mark.slow
@pytest.mark.parametrize("cut", ["before", "after"])
@pytest.mark.parametrize("start", ["by hand", "due", "superseded", "orphaned"])
def test_killed_at_any_step(
    deployment: Deployment, ssm: ParameterStore, monkeypatch: pytest.MonkeyPatch, start: str, cut: str
) -> None:
    """Wherever a look is killed the stored key works, and the looks after it leave that one key of ours."""
    for passing in itertools.count():  # pragma: no branch - it ends with a look that was not killed
        now = arranged(deployment, ssm, start)
        with monkeypatch.context() as patch, suppress(Killed):
            patch.setattr(HTTPConnectionPool, "urlopen", killing(passing, after=cut == "after"))
            deployment.look(now)
            break
        for _ in range(3):
            assert deployment.works(deployment.stored)
            deployment.look(LATER)
        assert (deployment.works(deployment.stored), len(deployment.ours)) == (True, 1)
    assert passing >= 5


ROTATING = """
from laurels.serverless.rotation import handler
print("ready", flush=True)
handler({}, None)
"""


@pytest.mark.slow
def test_killed_processes(deployment: Deployment, ssm: ParameterStore) -> None:
    """Rotations are killed at times of chance: the stored key works after each, and in the end there is one key."""
    chance = random.Random(20261123)
    told = {
        "LAURELS_KEY_PARAMETER": PARAMETER,
        "LAURELS_ADMIN_KEY_PARAMETER": ADMIN,
        "LAURELS_ROTATE_DAYS": "0",
        "LAURELS_MOMENTO_ACCOUNT_URL": deployment.settings.momento_account_url,
    }
    for _ in range(30):
        command = [sys.executable, "-c", ROTATING]
        with subprocess.Popen(command, env=os.environ | ssm.environment | told, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            with suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0, 0.15))
            process.kill()
        assert deployment.works(deployment.stored)
    for after in (LATER, 2 * LATER):
        deployment.look(after)
    assert [deployment.works(deployment.stored), len(deployment.ours)] == [True, 1]


def test_handler(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Lambda calls it with settings in the environment; the log tells ids, and no key."""
    caplog.set_level(logging.DEBUG, "laurels")
    settings = {name: str(value) for name, value in msgspec.structs.asdict(deployment.settings).items()}
    for name, value in settings.items():
        monkeypatch.setenv(f"LAURELS_{name.upper()}", value)
    told = handler({"source": "aws.events"}, None)
    assert f"Stored the new key {told['made']}" in caplog.text
    secret = [deployment.stored, deployment.momento.told.api_key]
    assert not [key for key in secret if key in caplog.text or key in repr(told)]


@pytest.mark.parametrize("missing", [ADMIN, PARAMETER])
def test_missing_parameter(deployment: Deployment, ssm: ParameterStore, missing: str) -> None:
    """A parameter that is not there ends the look with its name."""
    ssm.delete(missing)
    with pytest.raises(BadSetting, match=f"The parameter {missing} cannot be .*ParameterNotFound"):
        deployment.look()


def test_v1_admin_key(deployment: Deployment, ssm: ParameterStore) -> None:
    """The key that may manage keys may be a v1 key."""
    ssm.put(deployment.momento.told.v1_api_key, ADMIN)
    assert deployment.look()["made"]


def test_refused_admin_key(deployment: Deployment, ssm: ParameterStore) -> None:
    """A key that may not manage keys ends the look with what Momento says, and nothing has changed."""
    ssm.put(Keys(b"another" * 5, lambda: 0).owner(), ADMIN)
    with pytest.raises(AccountRefused, match=r"GET /api-keys with 401: Unauthenticated: .*The next run goes on"):
        deployment.look()
    assert deployment.stored == deployment.by_hand


def test_outage(deployment: Deployment) -> None:
    """Where the account API cannot be reached the look ends, and nothing has changed."""
    deployment.settings = msgspec.structs.replace(deployment.settings, momento_account_url="http://127.0.0.1:1")
    with pytest.raises(AccountRefused, match="GET /api-keys: it cannot be reached"):
        deployment.look()
    assert deployment.stored == deployment.by_hand


def test_new_key_is_not_shown(deployment: Deployment) -> None:
    """The repr of a new key leaves its text out."""
    made = deployment.account.make_key("viewer", "seen once")
    assert (made.api_key in repr(made), made.key_info.key_id in repr(made)) == (False, True)
    deployment.account.revoke(made.key_info.key_id)
    deployment.account.revoke(made.key_info.key_id)


def test_busy_account(deployment: Deployment) -> None:
    """What may be asked again is, where the account API is busy for a moment."""
    with failing((503, {}, b""), (200, {}, b'{"key_info":[]}')) as service:
        assert list(Account(deployment.by_hand, service.url).issued()) == []


@pytest.mark.parametrize("body", [b"<html>", b'{"key_info":[{"id":1}]}', b"[]"])
def test_undocumented_answer(deployment: Deployment, body: bytes) -> None:
    """An answer other than the documented one is not taken for an account without keys."""
    with failing((200, {}, body)) as service, pytest.raises(AccountRefused, match="not as its documentation says"):
        list(Account(deployment.by_hand, service.url).issued())


def test_unexplained_refusal(deployment: Deployment) -> None:
    """A key that could not be revoked is not taken for revoked."""
    with failing((200, {}, b"")) as service, pytest.raises(AccountRefused, match="with 501: it did not say why"):
        Account(deployment.by_hand, service.url).revoke("some-key")
