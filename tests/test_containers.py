"""The image and what is composed of it, as far as it can be proved without building an image.

What the image runs is run here, from this environment, with the variables of the image and of the composed service, on
a root that is read-only but for the volume.
"""

from __future__ import annotations

import re
import shlex
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from click import Option

from laurels.adapters.limits import Limits
from laurels.assembly import SHUTDOWN_SECONDS
from laurels.cli.serve import serve
from tests.asking import ask
from tests.conftest import started
from tests.newcomer import ROOT, environment, run
from tests.redis_servers import running as running_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

STAGES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).split("\nFROM ")
COMPOSED: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
OURS = [name for name, service in COMPOSED.items() if service["image"] == "laurels"]
BIN = Path(sys.executable).parent


def said(instruction: str) -> str:
    """Return what the image says of an instruction."""
    (words,) = re.findall(rf"^{instruction} (.+)$", STAGES[-1], re.MULTILINE)
    return str(words)


def command(words: str) -> list[str]:
    """Return a command of the image, as it is run from this environment."""
    program, *arguments = msgspec.json.decode(words, type=list[str])
    return [str(BIN / program), *arguments]


def image_variables() -> dict[str, str]:
    """Return the variables of ours that the image sets."""
    pairs = (pair.split("=", 1) for pair in shlex.split(said("ENV")))
    return {name: value for name, value in pairs if name.startswith("LAURELS_")}


@contextmanager
def composed(name: str, directory: Path) -> Iterator[Server]:
    """Run a composed service as the image does, on a root that is read-only but for its volume, over what it needs."""
    variables = environment(**image_variables() | COMPOSED[name]["environment"], LAURELS_PORT="0")
    with ExitStack() as needed:
        for other in COMPOSED[name].get("depends_on", ()):
            words = COMPOSED[other]["command"][1:]
            options = {key[2:].replace("-", "_"): value for key, value in zip(words[::2], words[1::2], strict=True)}
            node = needed.enter_context(running_redis(directory / other, **options))
            variables["LAURELS_STORE"] = variables["LAURELS_STORE"].replace(f"redis://{other}", node.url[:-2])
        volume = directory / "volume"
        volume.mkdir()
        variables["LAURELS_DATA"] = str(volume)
        script = f'mount --bind {volume} {volume} && mount -o remount,bind,ro / && exec "$@"'
        words = [*command(said("ENTRYPOINT")), *msgspec.json.decode(said("CMD"))]
        yield needed.enter_context(started(["unshare", "--mount", "sh", "-c", script, "sh", *words], variables))


@pytest.mark.parametrize("name", OURS)
def test_composed_service(name: str, tmp_path: Path) -> None:
    """It keeps scores though nothing but its volume can be written, fears for none, and its check of health tells."""
    check = command(said("HEALTHCHECK").partition(" CMD ")[2])
    with composed(name, tmp_path) as server:
        local = {"Host": "localhost"}
        assert ask(server, "POST", "/kart/v", {"score": 7}, local).status == 202
        assert ask(server, "GET", "/kart/v", headers=local).json == {"score": 7, "rank": 0}
        assert ask(server, "GET", "/kart/v", headers={"Host": "elsewhere.example"}).status == 421
        assert ask(server, "GET", "/-/ready", headers=local).json.get("warnings", []) == []
        variables = environment(LAURELS_PORT=str(server.port))
        run(check, tmp_path, variables)
        assert server.stop() == 0
    run(check, tmp_path, variables, status=1)


def test_image_alone_is_refused(tmp_path: Path) -> None:
    """Without a word on who may what, the image does not serve, since others can reach it."""
    variables = environment(**image_variables() | {"LAURELS_DATA": str(tmp_path), "LAURELS_PORT": "0"})
    assert "--access" in run([*command(said("ENTRYPOINT")), "serve"], tmp_path, variables, status=1).stderr


def test_variables() -> None:
    """Each variable that is set is one of the service's settings."""
    known = {str(parameter.envvar) for parameter in serve.params if isinstance(parameter, Option)}
    assert {*image_variables()}.union(*(COMPOSED[name]["environment"] for name in OURS)) <= known


@pytest.mark.parametrize("name", OURS)
def test_narrow(name: str) -> None:
    """A composed service is reached from this machine alone, may do nothing special, and has time to finish."""
    service = COMPOSED[name]
    assert [port.rpartition(":")[2] for port in service["ports"]] == [said("EXPOSE")]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert int(service["stop_grace_period"].removesuffix("s")) >= Limits().body_timeout + SHUTDOWN_SECONDS


def test_volume() -> None:
    """The volume is where data are kept, and belongs to the image's user, who is not root."""
    volume = said("VOLUME")
    assert image_variables()["LAURELS_DATA"] == volume
    assert f"--uid {said('USER')} " in said("RUN")
    assert int(said("USER")) > 0
    assert f"--owner=laurels --mode=0700 {volume}" in said("RUN")
    assert [place.partition(":")[2] for place in COMPOSED["laurels"]["volumes"]] == [volume]


def test_sources() -> None:
    """What is copied into the image is there, and gets past ``.dockerignore``."""
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", STAGES[1], re.MULTILINE) for word in line.split()
    ]
    let = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let
    assert all((ROOT / name).exists() for name in copied)


def test_dockerfile_is_linted() -> None:
    """The linter of Dockerfiles finds nothing."""
    run([str(BIN / "hadolint"), "Dockerfile"], ROOT, environment())
