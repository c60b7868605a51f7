"""The packages, as somebody installs them who has no checkout: built from a clone, run in an empty directory."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import msgspec
import pytest

from laurels import __version__
from tests.asking import ask
from tests.conftest import started
from tests.newcomer import ROOT, WHEELHOUSE, clone, environment, origin, run
from tests.processes import FOREIGN, end
from tests.redis_servers import running as running_redis
from tests.serverless.conftest import ParameterStore

if TYPE_CHECKING:
    from tests.conftest import Server

__all__ = ["clone", "origin"]

UV = [str(Path(sys.executable).with_name("uv")), "--no-cache", "--offline", "--quiet"]
ONLY = ["--no-index", "--find-links", str(WHEELHOUSE)]
SOURCES = ("*.pyx", "*.pxi", "*.pxd")
AS_IT_IS = ("*.py", "*.pyi", "py.typed", "*.html", "*.css", "*.js", "*.lua")
COMPILED = sysconfig.get_config_var("EXT_SUFFIX")


def files(*patterns: str) -> set[str]:
    """Return the files of the package in this checkout, by their paths below src."""
    return {str(path.relative_to(ROOT / "src")) for one in patterns for path in (ROOT / "src" / "laurels").rglob(one)}


@pytest.fixture(scope="module")
def packages(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution from a clone, and the wheel from it; return the directory that has both."""
    directory = tmp_path_factory.mktemp("packages")
    run(["git", "clone", "--quiet", str(origin), "clone"], directory, environment())
    run([*UV, "build", *ONLY, "--python", sys.executable, "--out-dir", "dist", "clone"], directory, environment())
    return directory / "dist"


@pytest.fixture(scope="module")
def sdist(packages: Path) -> Path:
    """Return the source distribution."""
    return packages / f"laurels-{__version__}.tar.gz"


@pytest.fixture(scope="module")
def wheel(packages: Path) -> Path:
    """Return the wheel."""
    (wheel,) = packages.glob("*.whl")
    return wheel


class Installed:
    """An environment that has nothing but the package and what it asks for, and an empty directory to be in."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / ".venv" / "bin"
        self.directory = directory / "empty"
        self.directory.mkdir()
        self.environment = environment(PATH=f"{self.bin}:{environment()['PATH']}")

    def run(self, *command: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment."""
        return run([str(self.bin / command[0]), *command[1:]], self.directory, self.environment, status)


@pytest.fixture(scope="module")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel with pip, and no extra."""
    installed = Installed(tmp_path_factory.mktemp("wheel"))
    run([sys.executable, "-m", "venv", str(installed.bin.parent)], installed.directory, environment())
    installed.run("pip", "install", "--quiet", str(wheel))
    return installed


def install_with_uv(wheel: Path, directory: Path, extra: str) -> Installed:
    """Return an environment that uv made, with the wheel and one of its extras."""
    installed = Installed(directory)
    run([*UV, "venv", "--python", sys.executable, str(installed.bin.parent)], directory, environment())
    pip = [*UV, "pip", "install", *ONLY, "--python", str(installed.bin.parent)]
    run([*pip, f"{wheel}[{extra}]"], directory, environment())
    return installed


def serves(installed: Installed, *options: str, **variables: str) -> bool:
    """Return whether the service takes a score and ranks it."""
    command = [str(installed.bin / "laurels"), "serve", "--port", "0", *options]
    with started(command, installed.environment | variables, installed.directory) as server:
        submitted = ask(server, "POST", "/mario-kart/v", {"score": 2077}).status
        standing = ask(server, "GET", "/mario-kart/v").body
    return (submitted, standing) == (202, b'{"score":2077,"rank":0}')


def test_kinds_of_files() -> None:
    """Every file of the package that git has is of a kind that is packed, or is compiled."""
    tracked = run(["git", "ls-files", "src/laurels"], ROOT, environment()).stdout.split()
    assert {name.removeprefix("src/") for name in tracked} <= files(*AS_IT_IS, *SOURCES)


def test_source_distribution(sdist: Path) -> None:
    """It holds what building takes, the licence, and nothing else."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames() if archive.getmember(name).isfile()}
    of_package = {f"src/{name}" for name in files(*AS_IT_IS, *SOURCES)}
    building = {"pyproject.toml", "setup.py", "MANIFEST.in"}
    written = {"PKG-INFO", "setup.cfg"} | {name for name in names if name.startswith("src/laurels.egg-info/")}
    assert names == of_package | building | written | {"README.md", "LICENSE"}


def test_wheel(wheel: Path) -> None:
    """A wheel built from the source distribution holds the files of the checkout, and what was compiled."""
    with ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    copied = {name: (ROOT / "src" / name).read_bytes() for name in files(*AS_IT_IS)}
    compiled = {name.removesuffix(".pyx") + COMPILED for name in files("*.pyx")}
    assert {name: held[name] for name in held.keys() - compiled} == copied
    assert compiled <= held.keys()
    assert len(licences) == 1


def test_wheel_brings_the_plugin(wheel: Path) -> None:
    """Wherever it is installed, pytest finds the fixture."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"[pytest11]\nlaurels = laurels.pytest\n" in archive.read(name)


def test_light(light: Installed, server: Server) -> None:
    """Without an extra there are the index, and the commands that ask a service; it has nothing that only serves."""
    packages = {line.partition("==")[0].lower() for line in light.run("pip", "freeze").stdout.splitlines()}
    assert not packages & {"uvicorn", "uvloop", "httptools", "websockets", "prometheus-client", "pyjwt", "cryptography"}
    place = light.run("python", "-c", "import laurels; print(laurels.__file__)").stdout
    assert Path(place).is_relative_to(light.bin.parent)
    index = "from laurels.ranking import Index; index = Index(); index.put('v', 7); print(index.standing('v'))"
    assert light.run("python", "-c", index).stdout == "(7, 0)\n"
    assert light.run("laurels", "--version").stdout == f"laurels, version {__version__}\n"
    assert light.run("python", "-m", "laurels", "--help").stdout.startswith("Usage:")
    light.run("laurels", "submit", "light", "v", "2077", "--server", server.url)
    assert "2077" in light.run("laurels", "top", "light", "--server", server.url).stdout
    light.run("laurels", "access", "init", "access.toml")
    light.run("laurels", "access", "check", "access.toml")


@pytest.mark.slow
def test_extra_as_printed(light: Installed) -> None:
    """A command that needs an extra prints the line that installs it; typed as it is, it does."""
    for command, extra in (("serve", "server"), ("momento-local", "momento")):
        refused = light.run("laurels", command, "--help", status=1).stderr
        line = refused.rpartition("not installed: ")[2].strip()
        assert line == f"pip install 'laurels[{extra}]'"
        run(["bash", "-c", line], light.directory, light.environment)
        assert light.run("laurels", command, "--help").stdout.startswith("Usage:")
    assert "not installed" not in light.run("laurels", "--help").stdout


@pytest.mark.slow
def test_server_extra(wheel: Path, tmp_path: Path) -> None:
    """With it the service runs in an empty directory, and its data are there."""
    installed = install_with_uv(wheel, tmp_path, "server")
    assert serves(installed)
    assert (installed.directory / "laurels-data" / "journal.db").exists()


@pytest.mark.slow
def test_redis_extra(wheel: Path, tmp_path: Path) -> None:
    """With it the service runs over Redis."""
    installed = install_with_uv(wheel, tmp_path, "redis")
    with running_redis(tmp_path / "redis", appendonly="yes", appendfsync="always") as node:
        assert serves(installed, "--store", node.url)


@pytest.mark.slow
def test_momento_extra(wheel: Path, tmp_path: Path) -> None:
    """With it the service runs over Momento, and there is a local server to try that with."""
    installed = install_with_uv(wheel, tmp_path, "momento")
    local = [str(installed.bin / "laurels"), "momento-local", "--port", "0", "--account-port", "0", "--json"]
    with subprocess.Popen([*local, "--cache", "boards"], stdout=subprocess.PIPE, env=installed.environment) as process:
        assert process.stdout is not None
        told = msgspec.json.decode(process.stdout.readline())
        variables = {"MOMENTO_API_KEY": told["api_key"], "MOMENTO_ENDPOINT": told["endpoint"]}
        try:
            assert serves(installed, "--store", "momento:boards", **variables)
        finally:
            end(process)


@pytest.mark.slow
def test_aws_extra(wheel: Path, tmp_path: Path) -> None:
    """With it an access file is put where functions read it; a service is not part of it."""
    installed = install_with_uv(wheel, tmp_path, "aws")
    (installed.directory / "access.toml").write_text('[public]\nscopes = ["read"]\n')
    with started([sys.executable, "-m", "moto.server", "-p", "0"], FOREIGN) as ssm:
        store = ParameterStore(ssm)
        store.delete()  # its first answer takes longer than a command waits
        installed.environment |= store.environment
        done = installed.run("laurels", "access", "put", "access.toml", "--parameter", "/laurels/dev/access")
    assert "access.toml is in the parameter /laurels/dev/access" in done.stdout
    assert "'laurels[server]'" in installed.run("laurels", "serve", status=1).stderr


def test_oldest_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """setup.py and make name the oldest Python as the package does, and setup.py refuses older ones."""
    (oldest,) = re.findall(r'requires-python = ">=(.+)"', (ROOT / "pyproject.toml").read_text())
    pages = [(ROOT / page).read_text() for page in ("Makefile", "README.md")]
    assert all(f"Python {oldest} or newer" in page for page in pages)
    monkeypatch.setattr(sys, "version_info", (3, 10))
    with pytest.raises(SystemExit, match=f"Laurels needs Python {oldest} or newer"):
        runpy.run_path(str(ROOT / "setup.py"))


@pytest.mark.parametrize("python", ["./old", "./not-there"])
def test_too_old_a_python(clone: Path, python: str) -> None:
    """Make names it at once, and makes nothing with it."""
    (clone / "old").write_text("#!/bin/sh\nexit 1\n")  # as it answers if it is asked whether it is new enough
    (clone / "old").chmod(0o755)
    refused = run(["make", "run", f"PYTHON={python}"], clone, environment(), status=2)
    assert f"Laurels needs Python 3.11 or newer, and {python} is not." in refused.stderr
    assert not (clone / ".venv").exists()


def test_no_compiler(clone: Path) -> None:
    """Without a C compiler make says what to install, and makes nothing."""
    refused = run(["make", "run"], clone, environment(CC="no-such-compiler"), status=2)
    assert "a C compiler, are missing. On Debian: apt install python3-venv python3-dev gcc" in refused.stderr
    assert not (clone / ".venv").exists()


def planned(clone: Path, *variables: str) -> bool:
    """Return whether make would make an environment."""
    return "-m venv --clear .venv" in run(["make", "-n", "install", *variables], clone, environment()).stdout


def test_environment_that_is_not_whole(clone: Path) -> None:
    """One that a first run left unfinished, that was moved, or whose Python is gone or another, is made anew."""
    assert planned(clone)
    run([sys.executable, "-m", "venv", "--without-pip", ".venv"], clone, environment())
    assert planned(clone)
    (site,) = (clone / ".venv").glob("lib/*/site-packages")
    (site / "pip.py").touch()
    (clone / ".venv" / "bin" / "pip").write_text(f"#!{clone}/.venv/bin/python\n")
    assert not planned(clone)
    assert planned(clone, "PYTHON=./another")
    assert planned(clone.rename(clone.with_name("moved")))
    (clone.with_name("moved") / ".venv" / "bin" / "python").unlink()
    assert planned(clone.with_name("moved"))
