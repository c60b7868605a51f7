"""A service with an access file, for tests that ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.access.ways import KeyRing, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Server


class Guarded(NamedTuple):
    """A service whose boards anybody reads, its keys, and its access file."""

    server: Server
    secrets: dict[str, str]
    file: Path


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Start a service with a key for each scope."""
    directory = tmp_path_factory.mktemp("guarded")
    ring = KeyRing()
    for scope in ("read", "submit", "moderate", "define", "tokens", "metrics", "admin"):
        ring.add(scope, [scope])
    ring.add("some", ["read", "submit", "moderate"], boards=["kart", "mario-*"])
    ring.add("own", ["submit:self"])
    file = ring.write(directory / "access.toml", '# Who may what.\n[public]\nscopes = ["read"]')
    with serving(directory / "data", file) as server:
        yield Guarded(server, ring.secrets, file)
