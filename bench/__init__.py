"""Laurels beside its peers: every figure and its peer's, measured in one run on one machine."""
