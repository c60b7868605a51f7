"""Modules that are loaded when they are first needed: the packages they import may not be installed."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shlex import quote
from shutil import which
from typing import Any

from laurels.errors import ExtraMissing, NotOnWindows

OPTIONAL_PACKAGES = {
    "botocore": "aws",
    "cryptography": "server",
    "google": "momento",
    "grpc": "momento",
    "hiredis": "redis",
    "httptools": "server",
    "jwt": "server",
    "momento": "momento",
    "momento_wire_types": "momento",
    "opentelemetry": "otel",
    "prometheus_client": "server",
    "redis": "redis",
    "socksio": "socks",
    "trustme": "momento",
    "uvicorn": "server",
    "uvloop": "server",
    "websockets": "server",
}
"""The extra of ours that installs each package."""
POSIX_MODULES = {"fcntl", "resource"}
"""What Python has on Linux and macOS, and not on Windows."""
SERVICE = ("laurels.assembly:", "laurels.cli.serve:", "laurels.cli.demo:")
"""Where the service is, which needs them. It also needs uvloop, which no extra installs on Windows."""


def load(place: str) -> Any:
    """Import ``module:attribute`` and return the attribute.

    Raises ExtraMissing if its packages are not installed, and NotOnWindows if they could not be.
    """
    if place.startswith(SERVICE) and find_spec("fcntl") is None:
        raise NotOnWindows("The service")
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in POSIX_MODULES:
            raise NotOnWindows("This") from error
        # A missing package that no extra installs is a fault of ours, and must not be reported as one of the user's.
        if package not in OPTIONAL_PACKAGES:
            raise
        raise ExtraMissing(package, install_command(OPTIONAL_PACKAGES[package])) from error


def install_command(extra: str) -> str:
    """Return the line that installs an extra of ours into the environment of this process, typed where it runs.

    Laurels itself is there, so pip and uv take that one, be it a checkout: they look for its name in no index.
    """
    pip = Path(sys.prefix, "bin", "pip")
    if not pip.exists():  # uv makes environments without it
        command = f"uv pip install --python {quote(sys.prefix)}"
    elif which("pip") == str(pip):
        command = "pip install"
    else:
        is_beside = Path.cwd() == Path(sys.prefix).parent  # as .venv is in a checkout
        command = f"{quote(str(pip.relative_to(Path.cwd()) if is_beside else pip))} install"
    return f"{command} 'laurels[{extra}]'"
