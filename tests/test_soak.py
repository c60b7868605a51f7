"""The soaks, each for a moment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.redis_servers import program_of
from tests.soak import __main__ as soak

if TYPE_CHECKING:
    from tests.soak.run import Figures, Run

SECONDS = {"suite": "0"}
"""How long a soak runs here, if not a second."""


@pytest.mark.slow
@pytest.mark.parametrize("name", soak.SOAKS)
def test_for_a_moment(name: str) -> None:
    """Each soak ends without a fault, with what it did."""
    program_of("redis")
    found = CliRunner().invoke(soak.main, [name, "--seconds", SECONDS.get(name, "1"), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)[name].keys() > {"seconds"}


def test_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A soak that finds a fault says it in the table and by the exit status, and the next one runs."""

    def fail(run: Run) -> Figures:
        raise AssertionError(run.seconds)

    monkeypatch.setattr(soak, "SOAKS", {"bad": fail, "good": lambda _: {"rounds": 3}})
    found = CliRunner().invoke(soak.main, ["--seconds", "5"])
    assert found.exit_code == 1
    assert found.stdout.splitlines() == [
        "bad   fault    AssertionError: 5.0",
        "bad   seconds  0.0",
        "good  rounds   3",
        "good  seconds  0.0",
    ]
