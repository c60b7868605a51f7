"""Requests over TLS, against the same without: each on its own server, in turns."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trustme

from bench import requests, servers
from bench.figures import Figure, Run, Subject, Target, compare
from bench.rows.features import MEMBERS, PREPARED, running, take_turns

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bench.servers import Server


def tls(run: Run) -> Iterator[Figure]:
    """Measure standings and submits over connections that stay, with a key of the curve P-256."""
    kinds = {"standing": requests.standings(MEMBERS, PREPARED), "submit": requests.submits(MEMBERS, PREPARED)}
    with running(run.directory / "plain") as plain, _secured(run.directory / "secured") as secured:
        for kind, sent in kinds.items():
            prepared = requests.save(sent, run.directory / f"tls-{kind}.requests")
            pairs = take_turns(run, secured, plain, prepared)
            subject = Subject("tls", f"{kind} over TLS, {MEMBERS:,} members", "/s", Target(">=", 0.4))
            yield compare(subject, "without TLS", pairs)


@contextmanager
def _secured(directory: Path) -> Iterator[Server]:
    """Run a server over TLS, on data that one without has taken."""
    with running(directory):
        pass
    file = directory / "site.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(file))
    with servers.laurels(directory, directory / "data", "--tls-cert", str(file), scheme="https") as server:
        server.await_answer()
        yield server
