"""Laurels compared with its peers: each figure and its peer's, measured in one run on one machine."""
