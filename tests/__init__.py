"""The proofs of Laurels."""
