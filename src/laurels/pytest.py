"""The pytest plugin of Laurels: a service for each test, empty, on a free port, in this process.

    def test_game(laurels_service):
        play_a_game(leaderboard=laurels_service.url)
        assert laurels_service.client.standing("mario-kart", "v").score == 2077

pytest finds it by itself wherever Laurels is installed. Nothing of Laurels is imported before a test asks for it.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.blocking import LoopThread
    from laurels.client.sync_client import Client

__all__ = ["LaurelsService", "laurels_service", "laurels_settings"]


def _load(place: str) -> Any:
    """Return an attribute of a module, which is imported when a test needs it: every run of pytest loads this one."""
    return import_module("laurels.optional").load(place)


async def _end_nothing() -> None:
    """Leave nothing to be closed when the loop ends."""


class LaurelsService:
    """A service that runs for one test.

    Its ``url`` is what programs are given, ``client`` a :class:`~laurels.Client` of it that shows no key, and ``data``
    the directory where it keeps all that it acknowledges.
    """

    def __init__(self, url: str, client: Client, data: Path) -> None:
        self.url = url
        self.client = client
        self.data = data


@pytest.fixture(scope="session")
def laurels_loop() -> Iterator[LoopThread]:
    """Run the event loop of all services of this test process."""
    loop: LoopThread = _load("laurels.blocking:LoopThread")()
    yield loop
    loop.end(_end_nothing)


@pytest.fixture
def laurels_settings() -> dict[str, Any]:
    """Return the settings of the service; a fixture of this name in a test module or a conftest.py gives others.

    They are arguments of :func:`laurels.asgi.create_app`, such as ``{"boards": "boards.toml"}``.
    """
    return {}


@pytest.fixture
def laurels_service(
    laurels_loop: LoopThread, laurels_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LaurelsService]:
    """Run a service for one test: in a new directory, without any boards, on a free port of this machine alone."""
    settings = _load("laurels.asgi:read_settings")({"data": tmp_path_factory.mktemp("laurels")} | laurels_settings)
    serving = _load("laurels.assembly:serving")(settings)
    url = laurels_loop.run(serving.__aenter__())
    with ExitStack() as opened:
        opened.callback(lambda: laurels_loop.run(serving.__aexit__(None, None, None)))
        client = opened.enter_context(_load("laurels.client.sync_client:Client")(url))
        yield LaurelsService(url, client, settings.data)
