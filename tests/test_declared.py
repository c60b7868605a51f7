"""A service with a boards file: what it keeps to, and how it says that it cannot start."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask
from tests.conftest import running, started

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.momento import Momento


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    """Write the boards file."""

    def write(text: str) -> Path:
        path = tmp_path / "boards.toml"
        path.write_text(text)
        return path

    return write


def refused(data: Path, file: Path, *options: str) -> str:
    """Return what a service says that cannot start with this file."""
    serve = [sys.executable, "-m", "laurels", "serve", "--port", "0"]
    command = [*serve, "--data", str(data), "--boards", str(file), *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    said = [line for line in ended.stderr.splitlines() if " INFO " not in line]
    assert (ended.returncode, len(said), ended.stdout) == (1, 1, "")
    return str(said[0])


LAPS = '[boards.laps]\norder = "ascending"\nwindows = ["daily"]\nscores = { min = 0 }\n'


def test_declared_boards(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """Boards are as the file declares them, from the first submit and after a restart."""
    file = write(LAPS)
    with running(tmp_path / "data", "--boards", str(file)) as server:
        for name, score in (("v", 61.5), ("w", 60)):
            assert ask(server, "POST", f"/laps/{name}", {"score": score}).status == 202
        assert ask(server, "POST", "/laps/x", {"score": -1}).status == 422
    with running(tmp_path / "data", "--boards", str(file)) as server:
        assert ask(server, "GET", "/laps/w?window=daily").json == {"score": 60, "rank": 0}


def test_declared_only(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """If the file says so, only declared boards accept scores, and the others are not visible."""
    with running(tmp_path / "data") as server:
        ask(server, "POST", "/old/v", {"score": 5})
    with running(tmp_path / "data", "--boards", str(write("declared_only = true\n" + LAPS))) as server:
        reply = ask(server, "POST", "/old/v", {"score": 6})
        assert (reply.status, "PUT its definition" in reply.json["detail"]) == (404, True)
        assert ask(server, "GET", "/old/v").json == {"score": 0, "rank": None}
        assert [board["name"] for board in ask(server, "GET", "/-/boards").json["boards"]] == ["laps"]


def test_file_is_not_changed_over_http(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """The definition of a board that the file declares changes there alone."""
    with running(tmp_path / "data", "--boards", str(write(LAPS))) as server:
        for method, body in (("PUT", {}), ("DELETE", None)):
            reply = ask(server, method, "/-/boards/laps", body)
            assert (reply.status, "change it there, and reload that" in reply.json["detail"]) == (409, True)


def test_change_of_the_default(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """The default changes in the same start in which boards are declared as they were under the old one."""
    with running(tmp_path / "data") as server:
        ask(server, "POST", "/old/v", {"score": 5})
    default = '[default]\norder = "ascending"\n'
    assert "declare it as it was" in refused(tmp_path / "data", write(default))
    with running(tmp_path / "data", "--boards", str(write(default + "[boards.old]\n"))) as server:
        assert ask(server, "GET", "/-/boards/old").json["order"] == "descending"


REFUSED = {
    "a field": (
        LAPS + 'ties = "first"',
        'boards.toml, [boards.laps]: ties is "first": it must be "name" or "earliest"',
    ),
    "not TOML": ("[boards", "it is not TOML"),
    "a window": ('[default]\nwindows = ["daily", "61 * * * *"]', 'The window "61 * * * *" has a bad minute'),
    "a name": ('[boards."-"]', "boards.toml, [boards.-]: The board '-' is reserved"),
}


@pytest.mark.parametrize(("text", "says"), REFUSED.values(), ids=REFUSED)
def test_bad_file(tmp_path: Path, write: Callable[[str], Path], text: str, says: str) -> None:
    """A file that is wrong ends the start with one line that says where."""
    assert says in refused(tmp_path / "data", write(text))


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there ends the start, too."""
    assert "boards.toml" in refused(tmp_path / "data", tmp_path / "boards.toml")


def test_order_against_the_file(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """An order beside a file that has a default must be its order."""
    assert "leave one out" in refused(tmp_path / "data", write("[default]"), "--order", "ascending")


def test_stored_entries_contradict_the_file(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """Entries that the file contradicts are not reordered in silence."""
    with running(tmp_path / "data") as server:
        ask(server, "POST", "/laps/v", {"score": 5})
    assert "order 'descending', not 'ascending'" in refused(tmp_path / "data", write(LAPS))


def test_store_that_cannot_keep_it(
    momento: Momento, tmp_path: Path, write: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot keep a definition ends the start."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"http://{momento.host}:{momento.port}")
    says = refused(tmp_path / "data", write(LAPS), "--store", f"momento:{momento.new_cache()}")
    assert "The boards file, [boards.laps]: This service cannot keep windows beside a board" in says


def test_any_asgi_server(tmp_path: Path, write: Callable[[str], Path]) -> None:
    """Another server than ours takes the file from the environment."""
    serve = [
        sys.executable,
        "-m",
        "uvicorn",
        "laurels.assembly:application",
        "--factory",
        "--port",
        "0",
        "--lifespan",
        "on",
    ]
    settings = {"LAURELS_DATA": str(tmp_path / "data"), "LAURELS_BOARDS": str(write(LAPS))}
    with started(serve, os.environ | settings) as server:
        assert ask(server, "GET", "/-/boards/laps").json["windows"] == ["daily"]
