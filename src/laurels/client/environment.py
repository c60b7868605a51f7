"""What the environment says of the network: the proxy to a service, and whose certificates are trusted.

The variables are those of curl, in lower case or, failing that, in upper case: ``HTTP_PROXY`` or ``HTTPS_PROXY`` by the
scheme of the service's URL, else ``ALL_PROXY``; and ``NO_PROXY``, a list of names, domains, addresses and networks
that are asked directly. Loopback always is. httpx would read them too, but its errors do not tell which was wrong.
"""

from __future__ import annotations

import os
import re
import ssl
from ipaddress import IPv4Address, ip_network
from pathlib import Path
from socket import inet_aton
from typing import TYPE_CHECKING

import certifi
import httpx
from msgspec import Struct

from laurels.client.errors import EnvironmentWrong
from laurels.errors import ExtraMissing, explain_os_error
from laurels.http.hosts import DEFAULT_PORTS, parse_address
from laurels.optional import load

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv6Address

LARGEST_PORT = 65535
PROXIES = ("http", "https", "socks5", "socks5h")
TRUST = {"SSL_CERT_FILE": "cafile", "SSL_CERT_DIR": "capath"}


class Proxy(Struct, frozen=True):
    """The proxy to a service, and the variable that names it."""

    url: httpx.URL
    variable: str

    def __str__(self) -> str:
        """Name it, without its password."""
        return f"the proxy {without_password(self.url)} of {self.variable}"


def parse_url(text: str, schemes: Iterable[str] = DEFAULT_PORTS) -> httpx.URL:
    """Return a URL that can be connected to; raise ValueError, with the reason, for any other text."""
    try:
        url = httpx.URL(text)
        if url.scheme not in schemes:
            raise ValueError(f"it must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
        if not url.host or ("%" in url.host and ":" not in url.host):  # of IPv6 it is the zone
            raise ValueError("it has no host")
        if url.query or url.fragment:
            raise ValueError("it has more than host, port and path")
        if url.port is not None and not 0 < url.port <= LARGEST_PORT:
            raise ValueError(f"the port is not from 1 to {LARGEST_PORT}")
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError(str(error).rstrip(".")) from error
    return url


def hide_password(text: str) -> str:
    """Return what may be a URL as a message repeats it."""
    return re.sub(r"//\S*@", "//...@", text)


def without_password(url: httpx.URL) -> str:
    """Return a URL as a message may show it."""
    return str(url.copy_with(username=None, password=None)).rstrip("/")


def find_proxy(url: httpx.URL) -> Proxy | None:
    """Return the proxy to a service, None if it is asked directly; raise EnvironmentWrong for one that is none."""
    if _is_direct(url):
        return None
    for variable, value in (_read_variable(f"{url.scheme}_proxy"), _read_variable("all_proxy")):
        if value:
            return Proxy(_parse_proxy(variable, value), variable)
    return None


def _read_variable(name: str) -> tuple[str, str]:
    variable = name if name in os.environ else name.upper()
    return variable, os.environ.get(variable, "").strip()


def _parse_proxy(variable: str, value: str) -> httpx.URL:
    try:
        url = parse_url(value if "://" in value else f"http://{value}", PROXIES)
        if url.scheme.startswith("socks"):
            load("socksio:socks5")
    except (ValueError, ExtraMissing) as error:
        raise EnvironmentWrong(variable, hide_password(value), str(error).rstrip(".")) from error
    return url


def _is_direct(url: httpx.URL) -> bool:
    address = _parse_address(url.host)
    if address is not None and (address.is_loopback or address.is_unspecified):
        return True
    if f".{url.host.rstrip('.')}".endswith(".localhost"):
        return True
    _, exceptions = _read_variable("no_proxy")
    return any(_covers(entry, url, address) for entry in exceptions.lower().replace(",", " ").split())


def _parse_address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return parse_address(host) or IPv4Address(inet_aton(host))  # 127.1 and the like, which connect as well
    except OSError:
        return None


def _covers(entry: str, url: httpx.URL, address: IPv4Address | IPv6Address | None) -> bool:
    """Return whether an entry of NO_PROXY, in lower case, is about a service."""
    if address is not None:
        try:
            return address in ip_network(entry.strip("[]"), strict=False)
        except ValueError:
            pass
    name, _, port = entry.partition(":")
    domain = name.removeprefix("*").removeprefix(".")
    is_port = not port or port == str(url.port or DEFAULT_PORTS[url.scheme])
    return is_port and (name == "*" or (bool(domain) and f".{url.host.rstrip('.')}".endswith(f".{domain}")))


def make_trust(url: httpx.URL) -> ssl.SSLContext:
    """Return what checks the certificate of a service: against SSL_CERT_FILE or SSL_CERT_DIR, or else certifi's.

    A service without TLS gets one that trusts nobody, which costs nothing. Raises EnvironmentWrong for what cannot be
    read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if url.scheme == "https":
        variable = next((name for name in TRUST if os.environ.get(name)), None)
        if variable is None:
            context.load_verify_locations(certifi.where())
        else:
            _load_trust(context, variable, os.environ[variable])
    return context


def _load_trust(context: ssl.SSLContext, variable: str, value: str) -> None:
    try:
        Path(value).stat()  # a directory that is not there would be taken for an empty one
        context.load_verify_locations(**{TRUST[variable]: value})
    except ssl.SSLError as error:
        raise EnvironmentWrong(variable, value, "it holds no certificates in PEM") from error
    except (OSError, ValueError) as error:
        raise EnvironmentWrong(variable, value, explain_os_error(error)) from error
