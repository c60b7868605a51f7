"""Boards in the process of a program: they answer tasks and threads as a service does, and end as they should."""

from __future__ import annotations

import asyncio
import doctest
import inspect
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

import laurels
from laurels.assembly import serving
from laurels.embedded import AsyncEmbeddedBoards, EmbeddedBoards
from laurels.errors import BoardsFileUnusable, DirectoryInUse, NotOnBoard, NotOpenHere
from laurels.settings import Settings
from tests.newcomer import ROOT
from tests.test_readme import blocks

if TYPE_CHECKING:
    from pathlib import Path

    from laurels import AsyncClient

PAGE = (ROOT / "docs" / "python.md").read_text()
DEFINITION = {"operator": "best", "windows": ["daily"], "scores": {"max": 5000}}
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("define", ("kart", DEFINITION), {}),
    ("define", ("kart", {"operator": "bets"}), {}),
    ("submit", ("kart", "v", 2077), {"metadata": {"car": "porsche"}, "key": "a"}),
    ("submit", ("kart", "v", 2078), {"key": "a"}),
    ("submit", ("kart", "v", 5001), {}),
    ("submit", ("", "v", 1), {}),
    ("submit_with_receipt", ("kart", "johnny", 34), {}),
    ("submit_many", ("kart", {"judy": 2500, "panam": 1500, "rogue": 6000}), {}),
    ("standing", ("kart", "v"), {}),
    ("standing", ("kart", "nobody"), {}),
    ("standing", ("kart", "v"), {"window": "daily"}),
    ("standing", ("kart", "v"), {"window": "weekly"}),
    ("page", ("kart", 0, 3), {"total": True, "include": ["metadata", "place"]}),
    ("entries", ("kart",), {}),
    ("around", ("kart", "v"), {"span": 1}),
    ("around", ("kart", "nobody"), {}),
    ("between", ("kart", 1000, 2100), {}),
    ("names", ("kart", ["v", "nobody"]), {}),
    ("summary", ("kart",), {}),
    ("rank_of", ("kart", 2000), {}),
    ("hide", ("kart", "johnny"), {}),
    ("hidden", ("kart",), {}),
    ("boards", (), {"count": True}),
    ("definition", ("nothing",), {}),
    ("definition_and_tag", ("kart",), {}),
    ("define", ("kart", DEFINITION), {"if_match": '"old"'}),
    ("remove", ("kart", "judy"), {}),
    ("set_metadata", ("kart", "nobody", 1), {}),
    ("release", ("kart", "nobody"), {}),
    ("whoami", (), {}),
    ("health", (), {}),
    ("ready", (), {}),
    ("page", ("kart",), {}),
]


async def answers(boards: AsyncClient) -> list[tuple[str, object]]:
    """Return what each of the calls returns or raises."""
    found: list[tuple[str, object]] = []
    for name, given, named in CALLS:
        try:
            answer = getattr(boards, name)(*given, **named)
            result = [each async for each in answer] if hasattr(answer, "__anext__") else await answer
        except laurels.LaurelsError as error:
            result = (type(error), str(error), getattr(error, "status", None))
        found.append((name, result))
    return found


def test_answers_as_a_service(tmp_path: Path) -> None:
    """Every call returns or raises the very same as over HTTP."""

    async def ask() -> tuple[object, object]:
        async with (
            serving(Settings(data=tmp_path / "served")) as url,
            laurels.AsyncClient(url) as client,
            laurels.open(tmp_path / "opened") as boards,
        ):
            return await answers(boards), await answers(client)

    here, there = asyncio.run(ask())
    assert here == there


def test_same_names() -> None:
    """Both faces of it have the names of the clients, with the same parameters."""

    def face(kind: type) -> dict[str, inspect.Signature]:
        return {name: inspect.signature(of) for name, of in inspect.getmembers(kind, callable) if name[0] != "_"}

    assert face(EmbeddedBoards) == face(laurels.Client)
    own = face(AsyncEmbeddedBoards)
    del own["open"]
    assert own == face(laurels.AsyncClient)
    assert face(laurels.Client) == face(laurels.AsyncClient)


def test_is_kept(tmp_path: Path) -> None:
    """What threads submit is there when it is opened again, each score once."""
    with laurels.open(tmp_path) as boards, ThreadPoolExecutor(8) as threads:
        boards.define("kart", {"operator": "increment"})
        list(threads.map(lambda _: boards.submit("kart", "v", 1), range(200)))
    with laurels.open(tmp_path) as boards:
        assert boards.standing("kart", "v").score == 200  # type: ignore[union-attr]
        assert [entry.name for entry in boards.entries("kart")] == ["v"]


def test_live(tmp_path: Path) -> None:
    """Who follows a board sees what another task submits; a view that there is not is refused."""

    async def follow() -> list[tuple[int, ...]]:
        async with laurels.open(tmp_path) as boards:
            seen = []
            async with aclosing(boards.live("kart")) as tables:
                async for table in tables:
                    seen.append(tuple(int(entry.score) for entry in table.entries))
                    if len(seen) == 2:
                        break
                    await boards.submit("kart", "v", 7)
            with pytest.raises(laurels.LaurelsError, match="window"):
                await anext(boards.live("kart", window="daily"))
            return seen

    assert asyncio.run(follow()) == [(), (7,)]


def test_boards_file(tmp_path: Path) -> None:
    """A boards file declares boards, and what it declared stays; one that there is not is named."""
    (tmp_path / "boards.toml").write_text('[boards.kart]\noperator = "increment"\n')
    with laurels.open(tmp_path / "data", boards=tmp_path / "boards.toml", order="ascending") as boards:
        assert boards.definition("kart").operator == "increment"
        boards.submit("lap", "v", 1)
        assert boards.definition("lap").order == "ascending"
    with laurels.open(tmp_path / "data") as boards:
        assert boards.definition("kart").operator == "increment"
        assert boards.definition("lap").order == "ascending"
    with pytest.raises(BoardsFileUnusable):
        EmbeddedBoards(tmp_path / "data", boards=tmp_path / "nothing.toml")
    with laurels.open(tmp_path / "data", order="ascending"):
        pass


def test_in_use(tmp_path: Path) -> None:
    """A directory is opened once at a time, in this process or another, and the error says what to do."""
    with laurels.open(tmp_path):
        with pytest.raises(DirectoryInUse, match="Share that one, or close it before"):
            EmbeddedBoards(tmp_path)
        code = f"import laurels\nwith laurels.open({str(tmp_path)!r}): pass"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert f"is in use by process {os.getpid()}. Stop it, or ask it over HTTP" in other.stderr
    with laurels.open(tmp_path) as boards, pytest.raises(NotOnBoard):
        boards.around("kart", "v")


def test_not_open(tmp_path: Path) -> None:
    """Before it is open, after it is closed and in another event loop, it says so."""
    boards = AsyncEmbeddedBoards(tmp_path)
    with pytest.raises(NotOpenHere, match="is not open"):
        asyncio.run(boards.health())
    with asyncio.Runner() as runner:
        runner.run(boards.open())
        with ThreadPoolExecutor(1) as thread, pytest.raises(NotOpenHere, match="in another event loop"):
            thread.submit(asyncio.run, boards.health()).result()
        runner.run(boards.close())
        with pytest.raises(NotOpenHere, match="is not open"):
            runner.run(boards.health())


def test_forked(tmp_path: Path) -> None:
    """A child is told that it has nothing, and does not keep the directory when its parent has closed it."""
    reading, writing = os.pipe()
    with laurels.open(tmp_path) as boards:
        boards.submit("kart", "v", 7)
        child = os.fork()
        if child == 0:  # pragma: no cover - in the child
            try:
                boards.standing("kart", "v")
            except NotOpenHere:
                os.close(writing)
                os.read(reading, 1)
                os._exit(3)
            os._exit(1)
    with laurels.open(tmp_path) as boards:
        assert boards.standing("kart", "v").score == 7  # type: ignore[union-attr]
        os.close(writing)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    os.close(reading)


def test_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What the page shows of it works as it stands there, and what it shows of the index answers so."""
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in blocks("python", PAGE) if "with laurels.open" in block]
    exec(block, {})  # noqa: S102 - our own
    assert capsys.readouterr().out == "Standing(score=2077, rank=0, hidden=False)\n"
    (index,) = [block for block in blocks("python", PAGE) if "import Index" in block]
    test = doctest.DocTestParser().get_doctest(index, {}, "docs/python.md", None, None)
    assert doctest.DocTestRunner().run(test).failed == 0


LEFT_OPEN = """
import sys, laurels
from laurels.embedded import EmbeddedBoards
boards = EmbeddedBoards(sys.argv[1])
boards.submit("kart", "v", 7)
"""


def test_left_open(tmp_path: Path) -> None:
    """A program that ends without closing it ends at once, in silence, and has lost nothing."""
    command = [sys.executable, "-X", "dev", "-c", LEFT_OPEN, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    with laurels.open(tmp_path) as boards:
        assert boards.standing("kart", "v").score == 7  # type: ignore[union-attr]
