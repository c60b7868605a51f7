"""A server with limits small enough to reach."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import Server, started

if TYPE_CHECKING:
    from collections.abc import Iterator

STRICT = """
import logging, sys
from math import inf
from pathlib import Path
from laurels.assembly import Settings, serve
from laurels.skins.protocol import Limits
logging.basicConfig(level=logging.INFO)
limits = Limits(target_bytes=600, head_bytes=1000, connections=8, seconds=(1.5, 1, 1, inf, 1), write_seconds=1)
serve(Settings(port=0, data=Path(sys.argv[1]), limits=limits))
"""


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Give a server that allows 600 bytes of target, 1,000 of head, 8 connections and a second for each stage."""
    with started([sys.executable, "-c", STRICT, str(tmp_path_factory.mktemp("strict"))]) as server:
        yield server
