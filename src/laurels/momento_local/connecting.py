"""How to connect to a local Momento server: its addresses and keys, shell exports, and lines of code for the SDKs.

Without TLS, each SDK has its own way to connect to such a server. With TLS a program needs no other code than for
Momento itself, because the endpoint is in its key. Node resolves names as the system does, which may not know
``cache.localhost``, where v1 and v2 keys lead. The legacy key has ``localhost`` alone, so it works anywhere.
"""

from __future__ import annotations

import os
import shlex
import stat
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path

PYTHON_OPEN = """\
from momento import CredentialProvider
credentials = CredentialProvider.for_momento_local("{host}", {port})"""

PYTHON_PLAIN = """\
import os
from momento import CredentialProvider
credentials = CredentialProvider(os.environ["MOMENTO_API_KEY"], "{host}", "{host}", "{host}", {port})"""

PYTHON_V2 = """\
from momento import CredentialProvider
credentials = CredentialProvider.from_environment_variables_v2()"""

PYTHON_STRING = """\
import os
from momento import CredentialProvider
credentials = CredentialProvider.from_disposable_token(os.environ["V1_API_KEY"])"""

JAVASCRIPT_OPEN = """\
const {{CredentialProvider}} = require('@gomomento/sdk');
const credentialProvider = CredentialProvider.forMomentoLocal({{hostname: '{host}', port: {port}}});"""

JAVASCRIPT_STRING = """\
const {{CredentialProvider}} = require('@gomomento/sdk');
const credentialProvider = CredentialProvider.fromEnvironmentVariable('LEGACY_API_KEY');"""

JAVASCRIPT_V2 = """\
// Node asks the system for cache.{name}. If that finds none, /etc/hosts needs this line:
// 127.0.0.1 cache.{name} control.{name} token.{name}
const {{CredentialProvider}} = require('@gomomento/sdk');
const credentialProvider = CredentialProvider.fromEnvVarV2();"""

SHELL = """\
curl -H "Authorization: $MOMENTO_API_KEY" "$MOMENTO_ACCOUNT_URL/api-keys\""""


class Connections(Struct, frozen=True, omit_defaults=True):
    """A server's addresses, and the keys that may do everything there.

    ``endpoint`` belongs to the v2 key: with TLS in the form for the SDKs, else as the URL that ``laurels`` takes.
    """

    host: str
    port: int
    account_url: str
    endpoint: str
    api_key: str
    v1_api_key: str
    legacy_api_key: str
    tls_port: int | None = None
    ca_file: str | None = None
    needs_key: bool = False

    @property
    def place(self) -> str:
        """The host and the port in the keys."""
        return self.endpoint.removeprefix("http://")

    def exports(self) -> str:
        """Return shell lines that export keys and addresses, by the names in the SDKs' own examples."""
        variables = {
            "MOMENTO_API_KEY": self.api_key,
            "MOMENTO_ENDPOINT": self.endpoint,
            "V1_API_KEY": self.v1_api_key,
            "LEGACY_API_KEY": self.legacy_api_key,
            "MOMENTO_ACCOUNT_URL": self.account_url,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": self.ca_file,
        }
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items() if value)

    def write_exports(self, path: Path) -> None:
        """Write the exports to a file that only its owner may read, in place of what it holds."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            # The mode of open is for new files only: one that was there keeps its own. A device or a pipe is left so.
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.fchmod(descriptor, 0o600)
            file.write(self.exports())

    def page(self) -> str:
        """Format everything for a reader, with lines to copy."""
        places = f"{self.host}:{self.port}" + (f", with TLS on {self.place}" if self.tls_port else "")
        blocks = [
            f"A local Momento server listens on {places}; its account API is {self.account_url}. Ctrl-C stops it.",
            _block("Keys that may do everything, as shell exports", self.exports().rstrip()),
        ]
        name = self.place.rpartition(":")[0]
        blocks += [
            _block(title, code.format(host=self.host, port=self.port, name=name)) for title, code in self._examples()
        ]
        if not self.tls_port:
            blocks.append("Programs that take nothing but a key reach this server by TLS: start it with --tls.")
        return "\n\n".join(blocks)

    def _examples(self) -> list[tuple[str, str]]:
        plain = [("Python, without TLS", PYTHON_PLAIN)]
        if not self.needs_key:
            plain += [("Python, without TLS and without a key", PYTHON_OPEN)]
            plain += [("JavaScript, without TLS and without a key", JAVASCRIPT_OPEN)]
        tls = [
            ("Python, with TLS", PYTHON_V2),
            ("Python, with TLS and nothing but one key string", PYTHON_STRING),
            ("JavaScript, with TLS", JAVASCRIPT_V2),
            ("JavaScript, with TLS and nothing but one key string", JAVASCRIPT_STRING),
        ]
        return [*plain, *(tls if self.tls_port else []), ("Shell, for the account API", SHELL)]


def _block(title: str, code: str) -> str:
    return f"{title}:\n\n" + "\n".join(f"    {line}" for line in code.splitlines())
