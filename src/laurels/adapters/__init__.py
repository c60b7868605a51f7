"""Adapters: they turn requests of a protocol into calls of :mod:`laurels.http`."""
