"""The client has the whole contract, and the one that blocks has what the other has."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import laurels
from laurels import client
from laurels.client import AsyncClient, Client
from laurels.http.documents import DOCUMENTS
from laurels.http.metrics import metrics_operation
from laurels.http.operations import OPERATIONS

CALLS = {
    "landing": {"service"},
    "document": {"openapi"},
    "submit": {"submit", "submit_with_receipt"},
    "standing": {"standing", "standing_in_full"},
    "read": {"page", "pages", "entries", "around", "between", "names"},
    "rank": {"rank_of"},
    "definition": {"definition", "definition_and_tag"},
    "back_up": {"backup"},
    "live": {"live", "live_standing", "live_events"},
}
"""The calls of an operation, where these are not the one of its name."""
FOR_PEOPLE = {"docs"}
"""Operations that only browsers ask for."""
OF_CLIENT = {"close"}
PUBLIC = {name for name in dir(AsyncClient) if not name.startswith("_")}


def test_every_operation_has_its_calls() -> None:
    """Each operation of the service has a call, and each call is of an operation."""
    operations = {each.name for each in (*OPERATIONS, *DOCUMENTS, metrics_operation())} - FOR_PEOPLE
    calls = set().union(*(CALLS.get(name, {name}) for name in operations))
    assert calls == PUBLIC - OF_CLIENT


@pytest.mark.parametrize("name", sorted(PUBLIC - OF_CLIENT))
def test_twins(name: str) -> None:
    """A call of the client that blocks has the parameters, the types and the words of the other."""
    ours, theirs = getattr(Client, name), getattr(AsyncClient, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert (ours.__name__, ours.__doc__) == (name, theirs.__doc__)


def test_twins_are_all() -> None:
    """Both have the same calls, and are made alike."""
    assert {name for name in dir(Client) if not name.startswith("_")} == PUBLIC
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


@pytest.mark.parametrize("name", [name for name in client.__all__ if isinstance(getattr(client, name), type)])
def test_everything_is_documented(name: str) -> None:
    """Whatever is public has a docstring of its own, and answers are frozen."""
    kind = getattr(client, name)
    assert vars(kind).get("__doc__")
    assert not hasattr(kind, "__struct_config__") or kind.__struct_config__.frozen or name == "Event"


def test_import_is_light() -> None:
    """`import laurels` loads neither HTTP nor the client, and the client no server."""
    servers = {"uvicorn", "uvloop", "httptools", "websockets", "prometheus_client", "jwt", "cryptography"}
    code = (
        "import sys, laurels; before = {*sys.modules}; assert not {'httpx', 'msgspec', 'asyncio'} & before;"
        f"laurels.Client; print({{*sys.modules}} & {servers!r})"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_face() -> None:
    """The package lists what it has, and has nothing else."""
    assert {*laurels.__all__} <= {*dir(laurels)}
    assert laurels.Client is Client
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = laurels.Nothing
