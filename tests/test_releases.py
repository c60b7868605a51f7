"""What a release is made of, as far as it can be proved without making one."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from laurels import __version__
from tests.cli.test_windows import run_there
from tests.newcomer import ROOT, environment, run

BIN = Path(sys.executable).parent
TRIED = ROOT / "tests" / "installed.py"
PYTHONS = ("311", "312", "313", "314", "315")
NOTES = [sys.executable, ".github/release_notes.py"]


def workflow(name: str) -> dict[Any, Any]:
    """Return a workflow."""
    read: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    return read


@pytest.mark.parametrize(
    ("system", "machine", "tags"),
    [
        ("linux", "x86_64", ["manylinux_x86_64", "musllinux_x86_64"]),
        ("linux", "aarch64", ["manylinux_aarch64", "musllinux_aarch64"]),
        ("macos", "x86_64", ["macosx_x86_64"]),
        ("macos", "arm64", ["macosx_arm64"]),
        ("windows", "AMD64", ["win_amd64"]),
    ],
)
def test_wheels(system: str, machine: str, tags: list[str]) -> None:
    """A wheel is built for every Python that is supported, on each system and kind of processor, and for no other."""
    command = [str(BIN / "cibuildwheel"), "--print-build-identifiers", "--platform", system, "--archs", machine]
    listed = run(command, ROOT, environment()).stdout.split()
    assert listed == [f"cp{python}-{tag}" for tag in tags for python in PYTHONS]


def test_versions_agree() -> None:
    """The workflows build with the cibuildwheel that is locked, and test on the Pythons that wheels are built for."""
    locked = (ROOT / "requirements" / "dev.txt").read_text()
    used = [step.get("uses", "") for step in workflow("wheels")["jobs"]["wheels"]["steps"]]
    (version,) = (each.partition("@v")[2] for each in used if each.startswith("pypa/cibuildwheel@"))
    assert f"\ncibuildwheel=={version} " in locked
    tested = workflow("ci")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert [version.replace(".", "") for version in tested] == [*PYTHONS]


def test_tried_here() -> None:
    """What every wheel is tried with passes here, and where a service cannot be."""
    command = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]["test-command"]
    assert command == "python -P {project}/" + str(TRIED.relative_to(ROOT))
    subprocess.run([sys.executable, "-P", TRIED], check=True, timeout=60)
    there = run_there(program=f"import runpy; runpy.run_path({str(TRIED)!r}, run_name='__main__')")
    assert (there.returncode, there.stderr) == (0, "")


def test_tried_and_failing() -> None:
    """It fails if something is not as it should be: here the order of the index, and a command."""
    wrong = "import runpy; laurels = runpy.run_path({!r}); laurels[{!r}]({})"
    for name, arguments in (("expect", "'the first', 'v', 'silverhand'"), ("run", "'boards', 'schema', status=3")):
        program = wrong.format(str(TRIED), name, arguments)
        failed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert failed.returncode == 1
        assert "'v', and not 'silverhand'" in failed.stderr or "ended with 0" in failed.stderr


def test_notes() -> None:
    """A tag that is the version is released with what the changelog says of it."""
    said = run([*NOTES, f"v{__version__}"], ROOT, environment()).stdout
    assert f"## {__version__}\n\n{said}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("tag", ["v0.0.1", __version__, "main"])
def test_other_tags(tag: str) -> None:
    """Another tag releases nothing."""
    assert f"it would be v{__version__}" in run([*NOTES, tag], ROOT, environment(), status=1).stderr


def test_nothing_said(tmp_path: Path) -> None:
    """Nor does a version of which the changelog says nothing."""
    for name in (".github/release_notes.py", "src/laurels/version.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__}\n\n## 0.1.0\n\n- The first.\n")
    refused = run([*NOTES, f"v{__version__}"], tmp_path, environment(), status=1)
    assert f"says nothing of {__version__}" in refused.stderr


def test_only_one_job_may_publish() -> None:
    """What may publish builds nothing, is in an environment that can be guarded, and waits for the check of the tag."""
    jobs = workflow("release")["jobs"]
    trusted = [name for name, job in jobs.items() if "id-token" in job.get("permissions", {})]
    assert trusted == ["publish"]
    assert jobs["publish"]["environment"] == "release"
    assert not [step for step in jobs["publish"]["steps"] if "run" in step]
    assert [jobs[name]["needs"] for name in ("packages", "publish", "announce")] == ["check", "packages", "publish"]
