"""The HTTP contract, sans I/O: a typed request in, a typed response out."""

from laurels.http.messages import Request, Response
from laurels.http.routes import Routes

__all__ = ["Request", "Response", "Routes"]
