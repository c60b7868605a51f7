"""An asset is made by the interpreter and of the wheels of its runtime, or an error names the runtime."""

from __future__ import annotations

import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from aws_cdk import aws_lambda as lambda_

from infra import runtimes
from infra.errors import SettingRefused, WheelRefused, WheelsMissing
from infra.runtimes import HERE, LOCK, RUNTIMES, find_interpreter, find_target, find_wheels, newest_runtime
from infra.settings import read

if TYPE_CHECKING:
    from pathlib import Path

OURS = f"python3.{sys.version_info.minor}"
OTHERS = [runtime for runtime in RUNTIMES if runtime != OURS]


def install(directory: Path, name: str, script: str) -> None:
    """Make a program."""
    (directory / name).write_text(script)
    (directory / name).chmod(0o700)


def test_known() -> None:
    """The runtimes are those that CDK knows and this package can run on, the newest first."""
    known = [int(name.rpartition("_")[2]) for name in dir(lambda_.Runtime) if re.match(r"PYTHON_3_\d", name)]
    assert list(RUNTIMES) == [f"python3.{minor}" for minor in sorted(known, reverse=True) if minor >= 11]


def test_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the setting the newest runtime is taken whose interpreter is on the PATH, or runs this."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read({})[1]["pythonRuntime"] == newest_runtime() == OURS
    tag = f"cpython-{OTHERS[0].removeprefix('python').replace('.', '')}"
    install(tmp_path, OTHERS[0], f"#!/bin/sh\necho '{tag}|final|/behind/the/shim|the version'")
    monkeypatch.setenv("PATH", f"/nowhere:{tmp_path}")
    assert find_target(OTHERS[0], "arm64").interpreter == "/behind/the/shim"
    assert read({})[1]["pythonRuntime"] == min(OURS, OTHERS[0], key=RUNTIMES.index)


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\necho not in use >&2; exit 127",
        f'#!/bin/sh\nexec {sys.executable} "$@"',
        "no program",
        "#!/bin/sh\necho 'pypy311|final|/pypy|3.11.0'",
        "#!/bin/sh\necho 'cpython-314|beta|/python|3.14.0b1'",
    ],
    ids=["a shim", "another version", "no program", "another implementation", "unfinished"],
)
def test_only_the_name(tmp_path: Path, script: str) -> None:
    """What has the name of an interpreter, and is not that, is passed over."""
    for runtime in OTHERS:
        install(tmp_path, runtime, script)
        assert find_interpreter(runtime, str(tmp_path)) is None


def test_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime without its interpreter is refused by name, with those that there are."""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SettingRefused, match=rf"{OTHERS[0]}, whose interpreter .*install {OTHERS[0]}.*\({OURS}\)"):
        find_target(OTHERS[0], "arm64")


def test_none_found() -> None:
    """If no runtime has its interpreter here, the newest is what to install."""
    with pytest.raises(SettingRefused, match=rf"pythonRuntime is missing\. .*install {RUNTIMES[0]}"):
        find_target(None, "arm64")


def test_no_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the wheels for a runtime cannot be downloaded, the error names it, and nothing is left."""
    monkeypatch.setattr(runtimes, "WHEELS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        WheelsMissing, match=rf"^The functions' packages for {OURS}-x86_64 cannot be downloaded: ERROR: "
    ):
        find_wheels(find_target(OURS, "x86_64"))
    assert not list(tmp_path.iterdir())


def test_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels of a target are downloaded if they are not there, by two processes at once too."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(find_wheels(HERE)[0].parent))
    monkeypatch.setattr(runtimes, "WHEELS", tmp_path)
    with ThreadPoolExecutor() as pool:
        found = [*pool.map(find_wheels, [HERE, HERE])]
    assert found[0] == found[1] != []
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert find_wheels(HERE) == found[0]
    assert len(list(tmp_path.iterdir())) == 1


def test_foreign_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that was not locked is refused."""
    directory = find_wheels(HERE)[0].parent.name
    monkeypatch.setattr(runtimes, "WHEELS", tmp_path)
    (tmp_path / directory).mkdir()
    (tmp_path / directory / "momento-1.29.1-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(WheelRefused, match=r"momento-1\.29\.1"):
        find_wheels(HERE)


def test_lock_is_for_every_runtime() -> None:
    """No locked package depends on the version of Python: pip would take this process's, not the runtime's."""
    conditions = [line.partition(";")[2] for line in LOCK.read_text().splitlines()]
    assert not [each for each in conditions if "python_version" in each or "python_full_version" in each]


def test_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command downloads for this machine, and for both processors with the newest runtime."""
    monkeypatch.setenv("PATH", "")
    runtimes.main()
    assert {path.name.rpartition("-")[0] for path in runtimes.WHEELS.iterdir()} >= {
        "here",
        f"{OURS}-arm64",
        f"{OURS}-x86_64",
    }
