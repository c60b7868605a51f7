"""Laurels: a leaderboard service."""

from laurels.version import __version__

__all__ = ["__version__"]
