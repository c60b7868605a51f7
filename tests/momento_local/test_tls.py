"""The local Momento server with TLS, and the official Python SDK with nothing but a key."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509

from laurels.momento_local.certificates import issue

if TYPE_CHECKING:
    from tests.momento import Momento

PROGRAM = """
import json, sys
from datetime import timedelta
from momento import AuthClient, CacheClient, Configurations, CredentialProvider
from momento.auth.access_control.disposable_token_scopes import DisposableTokenScopes
from momento.config.auth_configurations import AuthConfigurations
from momento.utilities import ExpiresIn

def try_calls(credentials):
    minute = timedelta(minutes=1)
    configuration = Configurations.Laptop.latest().with_client_timeout(timedelta(seconds=5))
    with CacheClient(configuration, credentials, minute) as client:
        answers = [
            client.sorted_set_get_score(cache, "set", "v"),
            client.sorted_set_put_element(cache, "set", "v", 1.0),
            client.list_caches(),
        ]
    return [answer.error_code.name if hasattr(answer, "error_code") else "ok" for answer in answers]

kind, key, endpoint, cache = sys.argv[1:]
if kind == "v2":
    credentials = CredentialProvider.from_api_key_v2(key, endpoint)
else:
    credentials = CredentialProvider.from_disposable_token(key)
if kind == "token":
    with AuthClient(AuthConfigurations.Laptop.latest(), credentials) as client:
        made = client.generate_disposable_token(DisposableTokenScopes.cache_read_only(cache), ExpiresIn.minutes(1))
    credentials = CredentialProvider.from_disposable_token(made.auth_token)
print(json.dumps(try_calls(credentials)))
"""

OK = ["ok", "ok", "ok"]
WRONG = ["AUTHENTICATION_ERROR"] * 3
READER = ["ok", "PERMISSION_ERROR"]


def try_calls(momento: Momento, kind: str, key: str, **environment: str) -> Any:
    """Run the program with a key; return whether it could read, write and list caches."""
    command = [sys.executable, "-c", PROGRAM, kind, key, momento.connections.endpoint, momento.new_cache()]
    trust = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(momento.connections.ca_file)} | environment
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | trust, timeout=60, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["v2", "v1", "legacy"])
def test_key_of_each_kind_does_everything(secure: Momento, kind: str) -> None:
    """With each kind of key an unmodified program reaches the server, and may do everything."""
    found = secure.connections
    keys = {"v2": found.api_key, "v1": found.v1_api_key, "legacy": found.legacy_api_key}
    assert try_calls(secure, kind, keys[kind]) == OK


def test_token_leads_to_the_server(secure: Momento) -> None:
    """With a disposable token a program reaches the server too, and may do what the token allows."""
    assert try_calls(secure, "token", secure.connections.v1_api_key) == [*READER, "PERMISSION_ERROR"]


def test_viewer_reads(secure: Momento) -> None:
    """A v2 key with the role of a viewer may not write."""
    body = {"role_id": "viewer", "description": "reads", "expiry": "never"}
    headers = {"Authorization": secure.connections.api_key}
    made = httpx.post(f"{secure.connections.account_url}/api-keys", json=body, headers=headers).json()
    assert try_calls(secure, "v2", made["api_key"]) == [*READER, "ok"]


def test_key_of_another_server_is_refused(secure: Momento, momento: Momento) -> None:
    """A key that another server made is refused."""
    assert try_calls(secure, "v2", momento.connections.api_key) == WRONG


def test_server_without_trust_is_refused(secure: Momento, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A program that trusts another authority does not connect."""
    other = tmp_path_factory.mktemp("other") / "ca.pem"
    issue("localhost").write_authority(other)
    answers = try_calls(secure, "v1", secure.connections.v1_api_key, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(other))
    assert set(answers) == {"SERVER_UNAVAILABLE"}


@pytest.mark.parametrize(
    ("host", "more"),
    [
        ("0.0.0.0", ["0.0.0.0"]),  # noqa: S104
        ("127.0.0.1", []),
        ("games.example", ["games.example", "cache.games.example", "control.games.example", "token.games.example"]),
    ],
)
def test_certificate_names_this_machine_and_its_host(host: str, more: list[str]) -> None:
    """A certificate has every name that a key can hold: those of this machine, and those of the host."""
    certificates = issue(host)
    certificate = x509.load_pem_x509_certificate(certificates.chain)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    here = ["localhost", "cache.localhost", "control.localhost", "token.localhost", "127.0.0.1", "::1"]
    assert [str(name.value) for name in names] == here + more
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(certificates.authority))
