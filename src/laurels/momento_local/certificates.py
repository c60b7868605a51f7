"""The certificate of a local Momento server, and the authority that signed it.

An SDK trusts the authority whose file ``GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`` names. With a key that holds an endpoint the
SDKs connect to ``cache.localhost``, ``control.localhost`` and ``token.localhost``; with a key that holds hosts, to
these.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path

PREFIXES = ("", "cache.", "control.", "token.")
ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Certificates:
    """A server's certificate chain, its private key, and the authority for its clients to trust: in PEM."""

    chain: bytes
    private_key: bytes
    authority: bytes

    def write_authority(self, path: Path) -> None:
        """Write the authority to a file, in place of the one that may be there."""
        path.write_bytes(self.authority)


def issue(host: str) -> Certificates:
    """Make an authority, and a certificate signed by it for this machine and for the host that it listens on."""
    authority = trustme.CA(organization_name="Laurels, a local Momento server")
    certificate = authority.issue_cert(*dict.fromkeys((*_names("localhost"), *ADDRESSES, *_names(host))))
    return Certificates(
        b"".join(blob.bytes() for blob in certificate.cert_chain_pems),
        certificate.private_key_pem.bytes(),
        authority.cert_pem.bytes(),
    )


def _names(host: str) -> list[str]:
    """Return the names by which clients reach a host: an address has only one."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        return [prefix + host for prefix in PREFIXES]
