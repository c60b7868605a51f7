"""What clients may take of a server, as a deployment sets it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from laurels.limits import BATCH_BYTES, BODY_BYTES, HEAD_BYTES, KIB, MIB, TARGET_BYTES, Limit

SMALL_BYTES = 4 * KIB
"""A request or an answer that is no larger is never refused for lack of memory."""
SLICE_SECONDS = 0.0001
"""How long one connection is served at a time, if it has pipelined more; at least one request is answered."""
TURN_SECONDS = 0.0005
"""How long a turn of the loop does what is not urgent: what was pipelined, large bodies; at least one connection's."""


class Limits(Struct, frozen=True):
    """What clients may take of a server: connections, memory, the bytes of one request, and time in seconds."""

    max_connections: Annotated[int, Limit("Connections at once; further ones are answered with a 503.")] = 10_000
    max_subscribers: Annotated[
        int, Limit("Clients at once that watch boards live; further ones are answered with a 503.")
    ] = 5_000
    max_backups: Annotated[int, Limit("Backups that are downloaded at once; further ones are answered with a 503.")] = 1
    max_client_memory: Annotated[
        int,
        Limit(
            "Memory for requests that are arriving or being answered, and for answers that clients have not taken yet; "
            "what would need more is answered with a 503.",
            "bytes",
            16 * MIB,
        ),
    ] = 256 * MIB
    max_metered: Annotated[
        int,
        Limit(
            "Addresses, and players, whose rate is metered at once; further ones share what one may ask.",
            least=1000,
            most=100_000_000,
        ),
    ] = 200_000
    max_target: Annotated[int, Limit("Longest target of a request: path and query.", "bytes", 256, MIB)] = TARGET_BYTES
    max_head: Annotated[int, Limit("Largest headers of a request.", "bytes", KIB, MIB)] = HEAD_BYTES
    max_body: Annotated[int, Limit("Largest body of a request.", "bytes", KIB, MIB)] = BODY_BYTES
    max_batch: Annotated[int, Limit("Largest body of a batch.", "bytes", KIB, 8 * MIB)] = BATCH_BYTES
    max_audit: Annotated[
        int,
        Limit(
            "Largest file of the audit log; at that size what would be recorded is answered with a 507.",
            "bytes",
            64 * KIB,
        ),
    ] = 1024 * MIB
    idle_timeout: Annotated[float, Limit("How long a connection may rest between requests.", "seconds")] = 75
    head_timeout: Annotated[float, Limit("How long the head of a request may take to arrive.", "seconds")] = 10
    body_timeout: Annotated[float, Limit("How long the body of a request may take to arrive.", "seconds")] = 30
    send_timeout: Annotated[float, Limit("How long a client may let an answer wait.", "seconds")] = 60
    linger_timeout: Annotated[
        float, Limit("How long to read what a client still sends after a refusal, so that it can read that.", "seconds")
    ] = 2
