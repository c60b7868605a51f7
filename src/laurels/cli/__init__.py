"""The command line."""

from laurels.cli.main import main

__all__ = ["main"]
