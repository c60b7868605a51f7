"""The ranking index: who stands where, exactly, in O(log n)."""

from laurels.ranking.index import Index

__all__ = ["Index"]
