"""What the page about Python says is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels import client
from laurels.client import AsyncClient, RequestFailed

if TYPE_CHECKING:
    from tests.conftest import Server

PAGE = (Path(__file__).parents[2] / "docs" / "python.md").read_text().partition("## Without a service")[0]


def test_code(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Every piece of code runs, one after another."""
    pieces = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    asks = [piece for piece in pieces if "Client(" in piece]
    exec("\n".join(asks).replace("http://127.0.0.1:8000", server.url), {})  # noqa: S102 - it is ours
    assert "Standing(score=2077, rank=0, hidden=False)\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in dir(AsyncClient) if name[0] != "_"])
def test_calls_are_named(name: str) -> None:
    """The page names every call that a program may need to know of, but those of the service itself."""
    assert re.search(rf"`{name}\b", PAGE) or name in {
        *("service", "health", "ready", "whoami", "metrics", "openapi", "revoke"),
        *("definition", "definition_and_tag", "undefine", "hide", "show", "close"),
    }


@pytest.mark.parametrize(
    "kind",
    [each for each in map(vars(client).get, client.__all__) if isinstance(each, type)],
    ids=lambda it: it.__name__,
)
def test_errors_are_named(kind: type) -> None:
    """The page names every error."""
    assert not issubclass(kind, RequestFailed) or f"`{kind.__name__}`" in PAGE
