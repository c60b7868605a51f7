"""A function's asset holds what its handler imports, and no more."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from infra import assets
from infra.errors import NotCarried, WheelRefused, WheelsMissing

pytestmark = pytest.mark.slow

LAMBDA_RUNTIME = assets.ROOT / "build" / "lambda-runtime"
MODULES = [assets.HANDLERS, "laurels.serverless.caches", "laurels.serverless.rotation"]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ENDPOINT_URL_SSM": "http://127.0.0.1:9",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "LAURELS_ADMIN_KEY_PARAMETER": "/leaderboard-api/dev/momento-super-user-key",
    "LAURELS_KEY_PARAMETER": "/leaderboard-api/dev/momento-api-key",
    "LAURELS_MOMENTO_CACHE": "laurels-dev",
    "LAURELS_STAGE": "dev",
}
IMPORT = """
import importlib, sys
sys.path = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:3]
importlib.import_module(sys.argv[3])
print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)), sep="\\n")
"""
MACHINES = {"arm64": 183, "x86_64": 62}


def files(directory: Path) -> dict[str, Path]:
    """Return all files of an asset, by their names in it."""
    return {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("module", MODULES)
def test_imports_alone(tmp_path: Path, module: str) -> None:
    """From an empty directory, with only what Lambda's Python has, the module and all its imports load."""
    asset = shutil.copytree(assets.build("here", assets.ASSETS, module), tmp_path / "task")
    command = [sys.executable, "-I", "-S", "-B", "-c", IMPORT, str(asset), str(LAMBDA_RUNTIME), module]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outside = [line for line in done.stdout.splitlines() if line.endswith(".py") and "site-packages" in line]
    assert not outside


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("architecture", assets.ARCHITECTURES)
def test_size(architecture: str, module: str) -> None:
    """An asset has at most 35 MB unzipped."""
    asset = assets.build(architecture, assets.ASSETS, module)
    assert sum(path.stat().st_size for path in files(asset).values()) <= 35_000_000


@pytest.mark.parametrize("architecture", MACHINES)
def test_processor(architecture: str) -> None:
    """Compiled modules are for the given processor."""
    modules = [path for path in files(assets.build(architecture, assets.ASSETS)).values() if path.suffix == ".so"]
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in modules}
    assert machines == {MACHINES[architecture]}
    assert all(path.read_bytes()[:4] == b"\x7fELF" for path in modules)


def test_sources_are_compiled() -> None:
    """Every source has its compiled file, marked as unchecked."""
    asset = assets.build("arm64", assets.ASSETS)
    sources = [path for path in files(asset).values() if path.suffix == ".py"]
    assert {Path(cache_from_source(str(path))).read_bytes()[4:8] for path in sources} == {b"\x01\x00\x00\x00"}


def test_nothing_else() -> None:
    """An asset has modules and gRPC's certificates; nothing for tests, type checkers or installers."""
    names = files(assets.build("arm64", assets.ASSETS))
    others = {name for name in names if not name.endswith((".py", ".pyc", ".so"))}
    assert others == {"grpc/_cython/_credentials/roots.pem"}
    assert not [name for name in names if "test" in name.split("/") or "boto" in name.split("/")[0]]


def test_same_bytes(tmp_path: Path) -> None:
    """The same inputs make the same name and the same bytes, with any seed of Python's hashes."""
    digests = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "infra.assets", "--to", str(tmp_path / seed)]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, cwd=assets.ROOT, stdout=subprocess.PIPE, check=True
        )
        asset = Path(done.stdout.decode().strip())
        contents = [(name, path.read_bytes()) for name, path in sorted(files(asset).items())]
        digests.add((asset.name, hashlib.sha256(repr(contents).encode()).hexdigest()))
    assert len(digests) == 1


def test_built_once(tmp_path: Path) -> None:
    """An asset that is there already is not built again."""
    made = [assets.build("here", tmp_path).stat().st_ino for _ in range(2)]
    assert made[0] == made[1]


def test_extra_files(tmp_path: Path) -> None:
    """Extra files are at the top of the asset, as they are, and other contents make another asset."""
    made = [assets.build("here", tmp_path, extra_files={"boards.json": text}) for text in (b"{}", b"[]")]
    assert [(asset / "boards.json").read_bytes() for asset in made] == [b"{}", b"[]"]


def test_old_ones_go(tmp_path: Path) -> None:
    """Only the latest assets of one kind stay."""
    for number in range(7):
        (tmp_path / f"handlers-here-{number}").mkdir()
        os.utime(tmp_path / f"handlers-here-{number}", (number, number))
    made = assets.build("here", tmp_path)
    kept = {path for path in tmp_path.iterdir() if path.is_dir()}
    assert kept == {made, *(tmp_path / f"handlers-here-{number}" for number in range(3, 7))}


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the path of the asset."""
    monkeypatch.setattr(sys, "argv", ["assets", "--architecture", "here"])
    assets.main()
    assert capsys.readouterr().out == f"{assets.build('here', assets.ASSETS)}\n"


def test_no_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there are no wheels, the error names the command that downloads them."""
    monkeypatch.setattr(assets, "WHEELS", tmp_path)
    with pytest.raises(WheelsMissing, match=r"make build/wheels\.stamp"):
        assets.build("arm64", tmp_path)


def test_foreign_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel that was not locked is refused."""
    monkeypatch.setattr(assets, "WHEELS", tmp_path)
    (tmp_path / "arm64").mkdir()
    (tmp_path / "arm64" / "momento-1.29.1-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(WheelRefused, match=r"momento-1\.29\.1"):
        assets.build("arm64", tmp_path)


@pytest.mark.parametrize("handler", ["laurels.serverless.nothing", "laurels.stores.embedded.store"])
def test_not_carried(tmp_path: Path, handler: str) -> None:
    """A handler that is missing, or needs the compiled index, is refused."""
    with pytest.raises(NotCarried):
        assets.build("arm64", tmp_path, handler)
