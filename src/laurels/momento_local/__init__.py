"""A server that speaks Momento's protocol, for machines without an account."""
