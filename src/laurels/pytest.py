"""The pytest plugin of Laurels: a service for each test, empty, on a free port, in this process.

    def test_game(laurels_service):
        start_game(leaderboard=laurels_service.url)
        assert laurels_service.client.standing("mario-kart", "v").score == 2077

pytest finds it by itself wherever Laurels is installed. Nothing of the service is imported before a test asks for it.
"""

from __future__ import annotations

from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from laurels.loop_thread import LoopThread


def _load(place: str) -> Any:
    """Return an attribute of a module, which is imported when a test needs it: every run of pytest loads this one."""
    return import_module("laurels.optional").load(place)


class LaurelsService:
    """A service that runs for one test.

    Its ``url`` is what programs are given, and its ``data`` the directory where it keeps all that it acknowledges.
    """

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self.data = data


@pytest.fixture(scope="session")
def laurels_loop() -> Iterator[LoopThread]:
    """Run the event loop of all services of this test process."""
    loop: LoopThread = _load("laurels.loop_thread:LoopThread")(_load("uvloop:new_event_loop"))
    yield loop
    loop.close()


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
    url = laurels_loop.call(serving.__aenter__())
    with ExitStack() as opened:
        opened.callback(lambda: laurels_loop.call(serving.__aexit__(None, None, None)))
        yield LaurelsService(url, settings.data)
