"""A function's asset holds what its handler imports, and no more."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra import assets
from infra.errors import NotCarried
from infra.runtimes import HERE, MACHINES, ROOT, RUNTIMES, Target, find_interpreter, find_target, newest_runtime
from laurels.web.files import NAMES
from tests.access.issuing import AUDIENCE, FOREIGN, ISSUER, NOW, public, signed

if TYPE_CHECKING:
    from infra.settings import StoreName

pytestmark = pytest.mark.slow

LAMBDA_RUNTIME = ROOT / "build" / "lambda-runtime"
FOUND = [name for name in RUNTIMES if find_interpreter(name, os.environ["PATH"])]
MACHINE = {"aarch64": "arm64", "x86_64": "x86_64"}[platform.machine()]
ARM64, X86_64 = (find_target(newest_runtime(), architecture) for architecture in MACHINES)
ROTATION = "laurels.serverless.rotation"  # the smallest
MODULES = [assets.HANDLERS, "laurels.serverless.caches", ROTATION]
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
VALKEY = {
    "AWS_REGION": "eu-west-1",
    "LAURELS_CACHE": "laurels-dev",
    "LAURELS_CACHE_USER": "laurels-dev",
    "LAURELS_STORE": "redis://127.0.0.1:9",
}
IMPORT = """
import importlib, sys
sys.path = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:3]
importlib.import_module(sys.argv[3])
print(*(module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)), sep="\\n")
"""


def files(directory: Path) -> dict[str, Path]:
    """Return all files of an asset, by their names in it."""
    return {str(path.relative_to(directory)): path for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("target", "module", "store"),
    [
        *((HERE, module, "momento") for module in MODULES),
        *((find_target(runtime, MACHINE), assets.HANDLERS, store) for runtime in FOUND for store in assets.OF_STORE),
        (HERE, assets.HANDLERS, "valkey"),
    ],
    ids=lambda of: getattr(of, "name", of),
)
def test_imports_alone(tmp_path: Path, target: Target, module: str, store: StoreName) -> None:
    """From an empty directory, with only what Lambda's Python has, the module and all its imports load."""
    asset = shutil.copytree(assets.build(target, assets.ASSETS, module, store=store), tmp_path / "task")
    command = [target.interpreter, "-I", "-S", "-B", "-c", IMPORT, str(asset), str(LAMBDA_RUNTIME), module]
    environment = ENVIRONMENT | (VALKEY if store == "valkey" else {})
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    outside = [line for line in done.stdout.splitlines() if line.endswith(".py") and "site-packages" in line]
    assert not outside


VERIFY = """
import sys
sys.path = [path for path in sys.path if "site-packages" not in path] + sys.argv[1:3]
from laurels.access.file import parse_access
from laurels.access.tokens import Tokens
players = parse_access(sys.stdin.read(), "access.toml").players
print([Tokens(players).verify(token, float(sys.argv[3])).name for token in sys.argv[4:]])
"""


def test_verifies_tokens_of_issuers(tmp_path: Path) -> None:
    """With only what Lambda's Python has, an asset that is for issuers verifies signatures of each kind."""
    asset = shutil.copytree(assets.build(HERE, assets.ASSETS, with_issuers=True), tmp_path / "task")
    kinds = ("RS256", "ES256", "EdDSA")
    keys = (", ".join(f'{name} = "{value}"' for name, value in public(kind).items()) for kind in kinds)
    listed = ", ".join(f"{{ {key} }}" for key in keys)
    table = f'[players]\nissuers = [{{ issuer = "{ISSUER}", audience = "{AUDIENCE}", keys = [{listed}] }}]'
    tokens = [signed(FOREIGN, kind).decode() for kind in kinds]
    command = [sys.executable, "-I", "-S", "-B", "-c", VERIFY, str(asset), str(LAMBDA_RUNTIME), str(NOW), *tokens]
    done = subprocess.run(command, env=ENVIRONMENT, input=table, capture_output=True, text=True, check=False)
    assert done.stdout == "['v', 'v', 'v']\n", done.stderr


@pytest.mark.parametrize("with_issuers", [False, True])
@pytest.mark.parametrize("target", [ARM64, X86_64, HERE], ids=lambda target: target.name)
def test_package_for_signatures(target: Target, *, with_issuers: bool) -> None:
    """Only an asset that is for issuers has the package for their signatures, and it has at most 50 MB then."""
    made = files(assets.build(target, assets.ASSETS, with_issuers=with_issuers))
    assert bool([name for name in made if name.startswith(("cryptography/", "_cffi_backend"))]) is with_issuers
    assert sum(path.stat().st_size for path in made.values()) <= 50_000_000
    assert "laurels/access/tokens.py" in made


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("target", [ARM64, X86_64, HERE], ids=lambda target: target.name)
def test_size(target: Target, module: str) -> None:
    """An asset has at most 35 MB unzipped."""
    asset = assets.build(target, assets.ASSETS, module)
    assert sum(path.stat().st_size for path in files(asset).values()) <= 35_000_000


@pytest.mark.parametrize(("target", "machine"), [(ARM64, 183), (X86_64, 62)], ids=MACHINES)
def test_processor(target: Target, machine: int) -> None:
    """Compiled modules are for the given processor."""
    modules = [path for path in files(assets.build(target, assets.ASSETS)).values() if path.suffix == ".so"]
    machines = {int.from_bytes(path.read_bytes()[18:20], "little") for path in modules}
    assert machines == {machine}
    assert all(path.read_bytes()[:4] == b"\x7fELF" for path in modules)


@pytest.mark.parametrize("runtime", FOUND)
def test_runtime(runtime: str) -> None:
    """Each source has a compiled file of the runtime's version, marked as unchecked; compiled modules are of it too."""
    target = find_target(runtime, "arm64")
    made = files(assets.build(target, assets.ASSETS))
    show = "import importlib.util, sys; print(sys.implementation.cache_tag, importlib.util.MAGIC_NUMBER.hex())"
    tag, magic = subprocess.check_output([target.interpreter, "-c", show], text=True).split()
    sources = [Path(name) for name in made if name.endswith(".py")]
    compiled = [made[str(path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc")] for path in sources]
    assert {path.read_bytes()[:8].hex() for path in compiled} == {f"{magic}01000000"}
    modules = {name.split(".")[1] for name in made if name.endswith(".so")}
    assert modules == {f"{tag}-aarch64-linux-gnu", "abi3"}


def test_nothing_else() -> None:
    """An asset has modules, gRPC's certificates and what pages load; nothing for tests, type checkers or installers."""
    names = files(assets.build(ARM64, assets.ASSETS))
    others = {name for name in names if not name.endswith((".py", ".pyc", ".so"))}
    assert others == {"grpc/_cython/_credentials/roots.pem"} | {f"laurels/web/{name}" for name in NAMES}
    assert not [name for name in names if "test" in name.split("/") or "boto" in name.split("/")[0]]


@pytest.mark.parametrize("target", [ARM64, X86_64, HERE], ids=lambda target: target.name)
def test_of_one_store(target: Target) -> None:
    """An asset has what its own store needs alone; that for Valkey has scripts and time zones, and at most 15 MB."""
    momento, valkey = (files(assets.build(target, assets.ASSETS, store=store)) for store in ("momento", "valkey"))
    tops = [{name.partition("/")[0] for name in made} for made in (momento, valkey)]
    assert {"momento", "grpc", "google"} <= tops[0] - tops[1]
    assert {"hiredis", "tzdata"} <= tops[1] - tops[0]
    others = {name for name in valkey if not name.endswith((".py", ".pyc", ".so")) and not name.startswith("tzdata/")}
    scripts = (ROOT / "src" / "laurels" / "stores" / "redis").glob("*.lua")
    loaded = {f"laurels/web/{name}" for name in NAMES}
    assert others == {f"laurels/stores/redis/{path.name}" for path in scripts} | loaded
    assert sum(path.stat().st_size for path in valkey.values()) <= 15_000_000


def test_same_bytes(tmp_path: Path) -> None:
    """The same inputs make the same name and the same bytes, with any seed of Python's hashes."""
    digests = set()
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "infra.assets", "--to", str(tmp_path / seed)]
        done = subprocess.run(
            command, env=os.environ | {"PYTHONHASHSEED": seed}, cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        asset = Path(done.stdout.decode().strip())
        contents = [(name, path.read_bytes()) for name, path in sorted(files(asset).items())]
        digests.add((asset.name, hashlib.sha256(repr(contents).encode()).hexdigest()))
    assert len(digests) == 1


def test_built_once(tmp_path: Path) -> None:
    """An asset that is there already is not built again, and only the latest of one kind stay."""
    for number in range(7):
        (tmp_path / f"rotation-here-{number}").mkdir()
        os.utime(tmp_path / f"rotation-here-{number}", (number, number))
    made = assets.build(HERE, tmp_path, ROTATION)
    kept = {path for path in tmp_path.iterdir() if path.is_dir()}
    assert kept == {made, *(tmp_path / f"rotation-here-{number}" for number in range(3, 7))}
    inode = made.stat().st_ino
    assert assets.build(HERE, tmp_path, ROTATION).stat().st_ino == inode


def test_extra_files(tmp_path: Path) -> None:
    """Extra files are at the top of the asset, as they are, and other contents make another asset."""
    made = [assets.build(HERE, tmp_path, ROTATION, {"boards.json": text}) for text in (b"{}", b"[]")]
    assert [(asset / "boards.json").read_bytes() for asset in made] == [b"{}", b"[]"]


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints the path of the asset."""
    monkeypatch.setattr(sys, "argv", ["assets", "--architecture", "here"])
    assets.main()
    assert capsys.readouterr().out == f"{assets.build(HERE, assets.ASSETS)}\n"


@pytest.mark.parametrize("handler", ["laurels.serverless.nothing", "laurels.stores.embedded.store"])
def test_not_carried(tmp_path: Path, handler: str) -> None:
    """A handler that is missing, or needs the compiled index, is refused."""
    with pytest.raises(NotCarried):
        assets.build(ARM64, tmp_path, handler)
