"""The list of boards that a principal has rights on, compared with all of them one by one."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laurels.access.principal import Principal
from laurels.boards import Boards
from laurels.http import permitted_boards
from laurels.http.permitted_boards import find_name_ranges, find_permitted_boards
from laurels.stores.contract import Submission
from laurels.stores.embedded.store import EmbeddedStore

if TYPE_CHECKING:
    from collections.abc import Iterator

CHARACTERS = "ab-\ud7ff\ue000\U0010ffff"
NAMES = sorted(
    {first + second + third for first in "ab\ue000" for second in ["", *CHARACTERS] for third in ["", *CHARACTERS]}
    | {"\U0010ffff" * 64, "a" * 256, "a" * 255, "\ue000" * 85}
)
PATTERN = st.text(CHARACTERS + "***", min_size=1, max_size=5) | st.sampled_from(NAMES)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """Yield what runs a loop for the whole module."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def boards(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Boards]:
    """Yield boards with an entry each; their names are alike."""
    store = runner.run(EmbeddedStore.open(tmp_path_factory.mktemp("boards")))
    boards = Boards(store)

    async def fill() -> None:
        for name in NAMES:
            await boards.submit(name, Submission("v", 1))

    runner.run(fill())
    yield boards
    runner.run(store.close())


def listed(
    runner: asyncio.Runner, boards: Boards, patterns: list[str], within: list[str], limit: int
) -> list[list[str]]:
    """Return all pages of the list."""
    principal = Principal(kind="key", boards=tuple(patterns), within=tuple(within))
    pages, after = [], ""
    while True:
        page, following = runner.run(find_permitted_boards(boards, principal, after, limit))
        pages.append(page)
        if following is None:
            return pages
        assert following == page[-1] > after
        after = following


@given(
    patterns=st.lists(PATTERN, max_size=4),
    within=st.just(["*"]) | st.lists(PATTERN, max_size=2),
    limit=st.integers(1, 9),
    portion=st.integers(1, 5),
    enough=st.sampled_from([0, 3, 10_000]),
)
def test_same_as_looking_at_all(
    runner: asyncio.Runner,
    boards: Boards,
    patterns: list[str],
    within: list[str],
    limit: int,
    portion: int,
    enough: int,
) -> None:
    """The pages have just the boards that match, in their order, and none is empty but the last."""
    principal = Principal(kind="key", boards=tuple(patterns), within=tuple(within))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permitted_boards, "PORTION", portion)
        patch.setattr(permitted_boards, "ENOUGH", enough)
        pages = listed(runner, boards, patterns, within, limit)
    assert [name for page in pages for name in page] == [name for name in NAMES if principal.may_on(name)]
    assert all(1 <= len(page) <= limit for page in pages[:-1])
    assert all(len(page) == limit for page in pages[:-1]) or enough < 10_000


@given(patterns=st.lists(PATTERN, max_size=6))
def test_ranges_are_apart(patterns: list[str]) -> None:
    """They are in their order, and none reaches into the next, so that no board is found twice."""
    ranges = find_name_ranges(patterns)
    ends = [end for each in ranges for end in each]
    assert ends == sorted(ends)
    assert all(one.last < other.first for one, other in pairwise(ranges))


def test_what_is_outside_is_not_looked_at(runner: asyncio.Runner, boards: Boards) -> None:
    """A pattern with a beginning asks for one range: one look, however many boards there are."""
    asked: list[str] = []

    class Watched(Boards):
        async def names(self, after: str, limit: int) -> list[str]:
            found = await super().names(after, limit)
            asked.extend(found)
            return found

    watched = Watched(boards.store)
    principal = Principal(kind="key", boards=("b-*", "ba"))
    found, following = runner.run(find_permitted_boards(watched, principal, "", 100))
    assert (found, following) == ([name for name in NAMES if name.startswith("b-") or name == "ba"], None)
    assert not [name for name in asked if name < "b"]
