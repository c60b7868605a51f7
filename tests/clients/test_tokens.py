"""Tokens that others make are accepted, and they accept ours: Node's jose, and authlib."""

from __future__ import annotations

import json
import subprocess
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from authlib.deprecate import AuthlibDeprecationWarning  # type: ignore[import-untyped]

from laurels.access.principal import Principal
from tests.access.issuing import FOREIGN, SECRET, issuer, tokens

with warnings.catch_warnings():
    warnings.simplefilter("ignore", AuthlibDeprecationWarning)  # this part is to be a package of its own
    from authlib.jose import JsonWebKey, jwt  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from laurels.access.tokens import Tokens

HERE = Path(__file__).parent
NODE_MODULES = HERE.parent.parent / "node_modules"
NOW = time.time()  # which jose and authlib go by
CLAIMS = FOREIGN | {"exp": int(NOW) + 86_400, "iat": int(NOW), "name": "Silver\u00e9"}


def name_of(token: str, trusted: Tokens) -> str:
    """Return the name of a player by a token."""
    found = trusted.verify(token, NOW)
    assert isinstance(found, Principal)
    return found.name


@pytest.fixture(scope="module")
def jose(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run the program, with a token of ours."""
    directory = tmp_path_factory.mktemp("jose")
    (directory / "node_modules").symlink_to(NODE_MODULES)
    (directory / "tokens.mjs").write_bytes((HERE / "tokens.mjs").read_bytes())
    ours = tokens().sign("Silver\u00e9", ["mario-*"], 86_400, NOW).token
    command = ["node", "tokens.mjs", json.dumps(CLAIMS), SECRET.decode(), ours]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("place", range(4), ids=["RS256", "ES256", "EdDSA", "Ed25519"])
def test_jose(jose: Any, place: int) -> None:
    """A token by jose is accepted."""
    made = jose["made"][place]
    trusted = tokens(issuer(keys=tuple(each["key"] for each in jose["made"]), name="name"))
    assert name_of(made["token"], trusted) == "Silver\u00e9"


@pytest.mark.slow
def test_jose_and_the_secret(jose: Any) -> None:
    """Whoever has the service's secret may sign by it, as the service does, and read what the service signs."""
    assert name_of(jose["own"], tokens()) == "v"
    assert jose["ours"] | {"iat": 0, "exp": 0} == {
        "iss": "laurels",
        "aud": "laurels",
        "sub": "Silver\u00e9",
        "boards": ["mario-*"],
        "iat": 0,
        "exp": 0,
    }


@pytest.mark.parametrize(
    ("algorithm", "kind", "size"),
    [("RS256", "RSA", 2048), ("RS256", "RSA", 4096), ("ES256", "EC", "P-256"), ("EdDSA", "OKP", "Ed25519")],
)
def test_authlib(algorithm: str, kind: str, size: Any) -> None:
    """A token by authlib is accepted."""
    key = JsonWebKey.generate_key(kind, size, {"kid": "k"}, is_private=True)
    token = jwt.encode({"alg": algorithm, "kid": "k"}, CLAIMS, key).decode()
    assert name_of(token, tokens(issuer(keys=(key.as_dict(is_private=False),)))) == "v"


def test_authlib_and_the_secret() -> None:
    """A token by authlib and the service's secret is accepted, and authlib accepts one by the service."""
    token = jwt.encode({"alg": "HS256"}, CLAIMS | {"iss": "laurels", "aud": "laurels"}, SECRET).decode()
    assert name_of(token, tokens()) == "v"
    found = jwt.decode(tokens().sign("v", ["*"], 86_400, NOW).token, SECRET)
    found.validate(now=NOW)
    assert found["sub"] == "v"
