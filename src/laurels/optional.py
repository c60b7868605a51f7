"""Modules that are loaded when they are first needed: the packages they import may not be installed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from laurels.errors import ExtraMissing

OPTIONAL_PACKAGES = {
    "botocore": "aws",
    "cryptography": "momento",
    "google": "momento",
    "grpc": "momento",
    "jwt": "momento",
    "momento": "momento",
    "momento_wire_types": "momento",
    "socksio": "socks",
    "trustme": "momento",
}
"""The extra of ours that installs each package."""


def load(place: str) -> Any:
    """Import ``module:attribute`` and return the attribute; raise ExtraMissing if its packages are not installed."""
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        # A missing package that no extra installs is a fault of ours, and must not be reported as one of the user's.
        if package not in OPTIONAL_PACKAGES:
            raise
        raise ExtraMissing(OPTIONAL_PACKAGES[package], package) from error
