"""Proofs of the stores."""
