"""The HTTP contract, sans I/O: a typed request in, a typed response out."""

from laurels.http.gate import Gate
from laurels.http.messages import Request, Response, StreamingResponse
from laurels.http.routes import Routes

__all__ = ["Gate", "Request", "Response", "Routes", "StreamingResponse"]
