"""Lambda's Python runtimes, and what is needed to make an asset for one of them: its interpreter and its wheels.

Compiled files and wheels are for one version of Python. An asset is made for the runtime of its functions, by that
version's own interpreter; or for this process's, on this machine, as the local stack runs it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from msgspec import Struct

from infra.errors import SettingRefused, WheelRefused, WheelsMissing

ROOT = Path(__file__).parent.parent
WHEELS = ROOT / "build" / "wheels"
LOCK = ROOT / "requirements" / "function.txt"
Runtime = Literal["python3.14", "python3.13", "python3.12", "python3.11"]
"""Those of Lambda that can run the functions, the newest first."""
RUNTIMES: tuple[Runtime, ...] = get_args(Runtime)
MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
"""The processors, by Lambda's names."""
DOWNLOAD = ("-m", "pip", "--quiet", "--disable-pip-version-check", "download")
LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--requirement", str(LOCK))
ASK = "from sys import *; print(implementation.cache_tag, version_info.releaselevel, executable, version, sep='|')"


class Target(Struct, frozen=True):
    """What an asset is made for; ``options`` are pip's that choose its wheels."""

    name: str
    interpreter: str = sys.executable
    version: str = sys.version
    options: tuple[str, ...] = ()


HERE = Target("here")
"""This machine, and the Python of this process."""


def find_target(runtime: str | None, architecture: str) -> Target:
    """Return the target for a runtime and a processor. Raises SettingRefused if no interpreter compiles for it."""
    path = os.environ.get("PATH", "")
    found = find_interpreter(runtime, path) if runtime else None
    if not runtime or not found:
        problem = f"is {runtime}, whose interpreter is not found" if runtime else "is missing"
        known = ", ".join(name for name in RUNTIMES if find_interpreter(name, path)) or "there are none"
        raise SettingRefused(
            "pythonRuntime",
            problem,
            f"It compiles the functions: install {runtime or RUNTIMES[0]}, or choose one that is found ({known}).",
        )
    interpreter, version = found
    options = ("--platform", f"manylinux2014_{MACHINES[architecture]}", "--python-version", runtime[len("python") :])
    return Target(f"{runtime}-{architecture}", interpreter, version, options)


def newest_runtime() -> Runtime | None:
    """Return the newest runtime whose interpreter is found, if there is one."""
    path = os.environ.get("PATH", "")
    return next((runtime for runtime in RUNTIMES if find_interpreter(runtime, path)), None)


@cache
def find_interpreter(runtime: str, path: str) -> tuple[str, str] | None:
    """Return the interpreter for a runtime and its full version: this process's, or one on ``path``, if there is one.

    What only has the name is passed over, such as a version manager's shim of a version that is not in use.
    """
    tag = f"cpython-{runtime.removeprefix('python').replace('.', '')}"
    named = (shutil.which(runtime, path=directory) for directory in path.split(os.pathsep))
    for candidate in (sys.executable, *filter(None, named)):
        with suppress(OSError):  # it is no program
            said = _run(candidate, "-I", "-S", "-c", ASK).stdout.split("|")
            if said[:2] == [tag, "final"]:
                return said[2], said[3]
    return None


def find_wheels(target: Target) -> list[Path]:
    """Return the target's wheels, which pip downloads if they are not there. Raises AssetError."""
    lock = LOCK.read_bytes()
    directory = WHEELS / f"{target.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if not directory.is_dir():
        _download(target, directory)
    wheels = sorted(directory.glob("*.whl"))
    locked = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock.decode()))
    for wheel in wheels:
        if hashlib.sha256(wheel.read_bytes()).hexdigest() not in locked:
            raise WheelRefused(wheel, LOCK)
    return wheels


def _download(target: Target, directory: Path) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        done = _run(sys.executable, *DOWNLOAD, "--dest", f"{scratch}/wheels", *target.options, *LOCKED)
        if done.returncode:
            raise WheelsMissing(target.name, done.stderr)
        with suppress(OSError):  # another process was quicker
            Path(scratch, "wheels").rename(directory)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as this code says


def main() -> None:
    """Download the wheels for this machine, and for both of Lambda's processors with the newest runtime found here."""
    find_wheels(HERE)
    for architecture in MACHINES if (runtime := newest_runtime()) else ():
        find_wheels(find_target(runtime, architecture))


if __name__ == "__main__":
    main()
