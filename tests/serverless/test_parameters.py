"""When the key is read, kept and read again, on a real SSM server."""

from __future__ import annotations

import asyncio
import logging
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from laurels.errors import ParameterUnreadable
from laurels.serverless.parameters import KEPT_SECONDS, REFUSED_SECONDS, RETRY_SECONDS, Parameter, parameter
from tests.serverless.conftest import PARAMETER

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clock import Clock
    from tests.serverless.conftest import ParameterStore

pytestmark = pytest.mark.anyio


def keys_of(clock: Callable[[], float] = time.time) -> Parameter[str]:
    """Return the keys of the parameter."""
    return Parameter(PARAMETER, "key", lambda: parameter(PARAMETER), clock)


@pytest.fixture
async def keys(ssm: ParameterStore, clock: Clock) -> Parameter[str]:
    """Return the keys of the parameter, of which the first has been read, and the second is stored."""
    ssm.put("first")
    keys = keys_of(clock)
    assert await keys.current() == "first"
    ssm.put("second")
    return keys


async def test_key_is_kept(keys: Parameter[str], clock: Clock) -> None:
    """For five minutes nothing is read."""
    clock.now += KEPT_SECONDS - 1
    assert await keys.current() == "first"


@pytest.mark.parametrize("seconds", [KEPT_SECONDS, -1], ids=["after five minutes", "clock set back"])
async def test_rotated_key_is_taken_up(keys: Parameter[str], clock: Clock, seconds: float) -> None:
    """After five minutes, or when the clock was set back, the parameter is read again."""
    clock.now += seconds
    assert await keys.current() == "second"


async def test_one_request_reads(keys: Parameter[str], clock: Clock) -> None:
    """Of concurrent requests one waits for the new key, and the others go on with the old one."""
    clock.now += KEPT_SECONDS
    assert await asyncio.gather(*(keys.current() for _ in range(3))) == ["second", "first", "first"]


async def test_first_read_is_shared(ssm: ParameterStore) -> None:
    """While there is no key yet, concurrent requests wait for one read."""
    ssm.put("first")
    keys = keys_of()
    assert await asyncio.gather(*(keys.current() for _ in range(3))) == ["first"] * 3


async def test_old_key_stays_in_use(
    keys: Parameter[str], clock: Clock, ssm: ParameterStore, caplog: pytest.LogCaptureFixture
) -> None:
    """While SSM is unreachable the old key is used, the log says so, and half a minute later SSM is tried again."""
    ssm.server.stop()
    clock.now += KEPT_SECONDS
    assert [await keys.current(), await keys.current()] == ["first"] * 2
    clock.now += RETRY_SECONDS
    assert await keys.current() == "first"
    messages = [record.getMessage() for record in caplog.records if record.name == "laurels.serverless.parameters"]
    assert len(messages) == 2
    assert "the old key serves on: Could not connect" in messages[0]


async def test_reading_succeeds_again(keys: Parameter[str], clock: Clock, ssm: ParameterStore) -> None:
    """A read that failed is tried again after half a minute, and the new key is taken up."""
    ssm.delete()
    clock.now += KEPT_SECONDS
    assert await keys.current() == "first"
    ssm.put("third")
    clock.now += RETRY_SECONDS
    assert await keys.current() == "third"


async def test_refused_key_is_read_again(keys: Parameter[str]) -> None:
    """After a refusal the parameter is read at once."""
    assert await keys.refused("first") == "second"


async def test_refused_key_is_read_once_a_minute(keys: Parameter[str], clock: Clock, ssm: ParameterStore) -> None:
    """A second refusal within a minute changes nothing; after the minute the parameter is read."""
    assert await keys.refused("first") == "second"
    ssm.put("third")
    assert await keys.refused("second") == "second"
    clock.now += REFUSED_SECONDS
    assert await keys.refused("second") == "third"


async def test_key_that_was_replaced_meanwhile(keys: Parameter[str], clock: Clock) -> None:
    """A late refusal of the old key returns the new one, and nothing is read."""
    clock.now += KEPT_SECONDS
    await keys.current()
    assert await keys.refused("first") == "second"


async def test_refused_key_while_ssm_is_unreachable(keys: Parameter[str], ssm: ParameterStore) -> None:
    """If the parameter cannot be read, the refused key is returned again."""
    ssm.server.stop()
    assert await keys.refused("first") == "first"


async def test_missing_parameter(ssm: ParameterStore, caplog: pytest.LogCaptureFixture) -> None:
    """Without any key the error leaves the reason to the log, and the next request tries again."""
    keys = keys_of()
    with pytest.raises(
        ParameterUnreadable, match=r"^A parameter that the service needs cannot be read\. Nothing was counted"
    ):
        await keys.current()
    assert f"parameter {PARAMETER}: An error occurred (ParameterNotFound)" in caplog.text
    ssm.put("first")
    assert await keys.current() == "first"


class OtherService(BaseHTTPRequestHandler):
    """Answers 200 with a body that is not of SSM."""

    says = b""

    def do_POST(self) -> None:
        """Answer."""
        self.send_response(200)
        self.send_header("content-length", str(len(self.says)))
        self.end_headers()
        self.wfile.write(self.says)

    def log_message(self, *_: object) -> None:
        """Write nothing on stderr."""


@pytest.mark.parametrize("says", [b"<html>Log in</html>", b"\xff\xfe"], ids=["a page", "no text"])
@pytest.mark.usefixtures("ssm")
async def test_answer_that_is_not_of_ssm(monkeypatch: pytest.MonkeyPatch, says: bytes) -> None:
    """An answer of something between here and SSM is not taken for a key."""
    with HTTPServer(("127.0.0.1", 0), type("Saying", (OtherService,), {"says": says})) as server:
        Thread(target=server.handle_request).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SSM", f"http://127.0.0.1:{server.server_port}")
        with pytest.raises(ParameterUnreadable) as caught:
            await keys_of().current()
    assert caught.value.reason == "what answered is not SSM"


async def test_key_is_not_logged(
    keys: Parameter[str], clock: Clock, ssm: ParameterStore, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither our log nor a repr has the key."""
    caplog.set_level(logging.DEBUG, "laurels")
    ssm.put("sesame-opens")
    clock.now += KEPT_SECONDS
    assert await keys.current() == "sesame-opens"
    assert "has changed" in caplog.text
    assert "sesame" not in caplog.text + repr(keys) + str(keys)
