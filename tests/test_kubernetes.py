"""The manifests for Kubernetes, as far as they can be proved without one: their form, and that their settings serve.

What a pod runs is run here, with its variables and the image's, on a root that is read-only but for its volume.
"""

from __future__ import annotations

import tomllib
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from click import Option

from laurels import __version__
from laurels.adapters.limits import Limits
from laurels.assembly import SHUTDOWN_SECONDS
from laurels.cli.serve import serve
from tests.asking import ask
from tests.conftest import started
from tests.newcomer import ROOT, environment, run
from tests.redis_servers import running as running_redis
from tests.test_containers import BIN, image_variables, said

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Server

PLACE = ROOT / "examples" / "kubernetes"
OLDEST, NEWEST = "1.32", kubernetes_validate.latest_version()
KUSTOMIZED: dict[str, dict[str, Any]] = {
    path.parent.name: yaml.safe_load(path.read_text()) for path in sorted(PLACE.glob("*/kustomization.yaml"))
}
MANIFESTS: dict[str, dict[str, Any]] = {
    str(path.relative_to(PLACE)): yaml.safe_load(path.read_text())
    for path in sorted(PLACE.glob("*/*.yaml"))
    if path.name != "kustomization.yaml"
}
WAYS = {"embedded": "statefulset.yaml", "redis": "deployment.yaml"}


def pod_of(way: str) -> dict[str, Any]:
    """Return what is said of the pods of a way."""
    pod: dict[str, Any] = MANIFESTS[f"{way}/{WAYS[way]}"]["spec"]["template"]["spec"]
    return pod


def variables_of(way: str) -> dict[str, str]:
    """Return the variables that the pods of a way get."""
    (literals,) = [each["literals"] for each in KUSTOMIZED[way]["configMapGenerator"] if "literals" in each]
    return dict(each.split("=", 1) for each in literals)


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("name", MANIFESTS)
def test_form(name: str, version: str) -> None:
    """It is what Kubernetes knows, and has no field that it does not."""
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_all_are_applied() -> None:
    """Every manifest is listed, and both ways have what is common; the image is this version's."""
    listed = {f"{way}/{name}" for way, one in KUSTOMIZED.items() for name in one["resources"] if name != "../base"}
    assert listed == MANIFESTS.keys()
    assert KUSTOMIZED.keys() == {"base", *WAYS}
    for way in WAYS:
        assert "../base" in KUSTOMIZED[way]["resources"]
        assert [image["newTag"] for image in KUSTOMIZED[way]["images"]] == [__version__]


def test_names_agree() -> None:
    """What selects pods selects ours, by the label that they have; ports and volumes have the names that are used."""
    labels = {"app.kubernetes.io/name": "laurels"}
    for name, manifest in MANIFESTS.items():
        selector = manifest["spec"].get("selector", manifest["spec"].get("podSelector")) if "spec" in manifest else None
        assert selector in (None, labels, {"matchLabels": labels}), name
    for way in WAYS:
        (container,) = pod_of(way)["containers"]
        assert [port["name"] for port in container["ports"]] == ["http"]
        made = {
            one["name"] for key in ("configMapGenerator", "secretGenerator") for one in KUSTOMIZED[way].get(key, [])
        }
        used = {one["configMapRef"]["name"] for one in container["envFrom"]}
        used |= {one.get("configMap", {}).get("name") or one["secret"]["secretName"] for one in pod_of(way)["volumes"]}
        assert used == made


@pytest.mark.parametrize("way", WAYS)
def test_narrow(way: str) -> None:
    """A pod may do nothing special, is the image's user, and has time to finish; no link to a service is a setting."""
    pod = pod_of(way)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert str(pod["securityContext"]["runAsUser"]) == said("USER")
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert (pod["automountServiceAccountToken"], pod["enableServiceLinks"]) == (False, False)
    assert str(container["ports"][0]["containerPort"]) == said("EXPOSE")
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod["terminationGracePeriodSeconds"] >= pause + Limits().body_timeout + SHUTDOWN_SECONDS


@pytest.mark.parametrize("way", WAYS)
def test_variables(way: str) -> None:
    """Each variable is one of the service's settings, and each file that one names is in a volume."""
    known = {str(parameter.envvar) for parameter in serve.params if isinstance(parameter, Option)}
    assert variables_of(way).keys() <= known
    mounted = {each["mountPath"] for each in pod_of(way)["containers"][0]["volumeMounts"]}
    assert {str(Path(value).parent) for value in variables_of(way).values() if value.startswith("/")} <= mounted


@contextmanager
def pod(way: str, directory: Path) -> Iterator[tuple[Server, dict[str, str]]]:
    """Run what a pod runs; yield the service, and what shows the key that the access file is made with."""
    files, volume = directory / "files", directory / "volume"
    files.mkdir()
    volume.mkdir()
    made = run([str(BIN / "laurels"), "access", "init", str(files / "access.toml")], directory, environment())
    (files / "password").write_text("hunter2\n")
    variables = image_variables() | variables_of(way) | {"LAURELS_PORT": "0"}
    for there, here in (("/etc/laurels-redis", files), ("/etc/laurels", files), ("/var/lib/laurels", volume)):
        variables = {name: value.replace(f"{there}/", f"{here}/") for name, value in variables.items()}
    with ExitStack() as needed:
        if way == "redis":
            options = {"appendonly": "yes", "appendfsync": "always", "requirepass": "hunter2"}
            node = needed.enter_context(running_redis(directory / "redis", **options))
            variables["LAURELS_STORE"] = variables["LAURELS_STORE"].replace("redis://redis", node.url[:-2])
        script = f'mount --bind {volume} {volume} && mount -o remount,bind,ro / && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", script, "sh", str(BIN / "laurels"), "serve"]
        server = needed.enter_context(started(words, environment(**variables)))
        yield server, {"Authorization": f"Bearer {made.stdout.strip()}"}


@pytest.mark.parametrize("way", WAYS)
def test_pod_serves(way: str, tmp_path: Path) -> None:
    """It keeps scores of who shows the key, answers each of its probes, and fears for nothing."""
    with pod(way, tmp_path) as (server, key):
        assert ask(server, "POST", "/kart/v", {"score": 7}).status == 401
        assert ask(server, "POST", "/kart/v", {"score": 7}, key).status == 202
        assert ask(server, "GET", "/kart/v").json == {"score": 7, "rank": 0}
        (container,) = pod_of(way)["containers"]
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert {ask(server, "GET", probe["path"]).status for probe in probes} == {200}
        assert {probe["port"] for probe in probes} == {"http"}
        assert ask(server, "GET", "/-/ready").json.get("warnings", []) == []
        assert tomllib.loads((tmp_path / "files" / "access.toml").read_text())["public"] == {"scopes": ["read"]}
        assert server.stop() == 0
