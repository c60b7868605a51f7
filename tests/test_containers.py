"""The image and what is composed of it, as far as it can be proved without building an image.

What the image runs is run here, from this environment, with the variables of the image and of the composed service, on
a root that is read-only but for the volume.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

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
from tests.processes import end
from tests.redis_servers import free_port, until
from tests.redis_servers import running as running_redis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

STAGES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text()).split("\nFROM ")
FILE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
COMPOSED: dict[str, Any] = FILE["services"]
MONITORING = [name for name, service in COMPOSED.items() if service.get("profiles") == ["monitoring"]]
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


def test_compose_file_is_linted() -> None:
    """It has the form that is specified for such files."""
    run([str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", "compose.yaml"], ROOT, environment())


def mounts(name: str) -> dict[str, str]:
    """Return the files of this repository that a composed service sees, by their places there."""
    parts = [volume.split(":") for volume in COMPOSED[name]["volumes"] if volume.startswith(".")]
    assert all(mode == "ro" for _, _, mode in parts)
    return {there: here for here, there, _ in parts}


@pytest.mark.parametrize("name", MONITORING)
def test_monitoring_is_narrow(name: str) -> None:
    """It is reached from this machine alone, may do nothing special, and what it keeps is in a volume."""
    service = COMPOSED[name]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert {volume.partition(":")[0] for volume in service["volumes"] if not volume.startswith(".")} <= set(
        FILE["volumes"]
    )


def test_grafana_finds_the_dashboard() -> None:
    """Grafana is told of the Prometheus that is composed, and of the folder in which the dashboard is."""
    there = mounts("grafana")
    folder = "/etc/grafana/provisioning"
    kinds = ("datasources", "dashboards")
    told = [yaml.safe_load((ROOT / there[f"{folder}/{kind}/laurels.yaml"]).read_text()) for kind in kinds]
    assert told[0]["datasources"][0]["url"] == "http://prometheus:9090"
    home = COMPOSED["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(told[1]["providers"][0]["options"]["path"])
    assert msgspec.json.decode((ROOT / there[home]).read_bytes())["title"] == "Laurels"


@pytest.mark.skipif(not shutil.which("prometheus"), reason="needs prometheus")
def test_prometheus_reads_the_service(server: Server, tmp_path: Path) -> None:
    """A Prometheus with these files gets figures, by a name that the service answers to, and has the rules."""
    there = mounts("prometheus")
    text = (ROOT / there["/etc/prometheus/prometheus.yml"]).read_text()
    (target,) = yaml.safe_load(text)["scrape_configs"][0]["static_configs"][0]["targets"]
    assert target.removesuffix(":8000") in COMPOSED["laurels"]["environment"]["LAURELS_ALLOWED_HOST"].split()
    here = text.replace(target, f"127.0.0.1:{server.port}").replace("scrape_interval: 15s", "scrape_interval: 100ms")
    (tmp_path / "prometheus.yml").write_text(here)
    shutil.copy(ROOT / there["/etc/prometheus/alerts.yaml"], tmp_path)
    port = free_port()
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=figures", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen(["prometheus", *options], stderr=subprocess.DEVNULL, cwd=tmp_path) as prometheus:
        try:
            until(lambda: '"value":[' in read(port, 'query?query=up{job="laurels"}==1'))
            assert '"value":[' in read(port, "query?query=laurels_boards")
            assert '"name":"LaurelsDown"' in read(port, "rules")
        finally:
            end(prometheus)


def read(port: int, path: str) -> str:
    """Return what a Prometheus answers; nothing before it does."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection, suppress(OSError):
        connection.request("GET", f"/api/v1/{quote(path, safe='?=')}")
        return connection.getresponse().read().decode()
    return ""
