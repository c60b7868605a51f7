"""What is loaded when it is first asked for, because a plain install may lack the packages it needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from laurels.errors import ExtraMissing

EXTRAS = {
    "botocore": "aws",
    "cryptography": "momento",
    "google": "momento",
    "grpc": "momento",
    "jwt": "momento",
    "momento": "momento",
    "momento_wire_types": "momento",
    "trustme": "momento",
}
"""Which extra of ours brings a package."""


def load(place: str) -> Any:
    """Give what stands at a place, ``module:attribute``; raise ExtraMissing where that needs what is not installed."""
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise ExtraMissing(EXTRAS[package], package) from error
