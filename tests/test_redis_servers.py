"""The servers that tests of Redis run on."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import redis

from tests.redis_servers import PROGRAMS, running, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.redis_servers import Cluster, Node, Sentinels, Servers


@pytest.mark.parametrize("redis_server", PROGRAMS, indirect=True)
def test_kind(redis_server: Node, redis_servers: Servers, request: pytest.FixtureRequest) -> None:
    """Each kind is what its name says, and is empty when the next test gets it."""
    kind = request.node.callspec.params["redis_server"]
    server = redis_server.info("server")
    assert ("valkey_version" in server, server["redis_version"].startswith("6.2")) == (
        kind == "valkey",
        kind == "redis-6.2",
    )
    redis_server.kill()
    redis_server.resume()
    redis_server.stall()
    redis_server.resume()
    with closing(redis_server.client()) as client:
        client.set("a", 1)
    assert redis_servers.node(kind) is redis_server
    with closing(redis_server.client()) as client:
        assert client.keys() == []


def test_tls_and_users(tmp_path: Path) -> None:
    """A server with TLS, whose users are those of its file."""
    users = ("default off", "laurels on >secret ~laurels:* +@all")
    with running(tmp_path / "tls", tls=True, users=users) as node:
        assert node.url == f"rediss://127.0.0.1:{node.port}/0"
        name = {"username": "laurels", "password": "secret"}
        with closing(redis.Redis.from_url(node.url, **name, ssl_ca_certs=str(node.authority))) as client:
            client.set("laurels:a", 1)
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.set("b", 1)


def test_cluster(redis_cluster: Cluster, redis_servers: Servers) -> None:
    """A replica takes over if its primary is killed; afterwards the cluster is whole again."""
    before = redis_cluster.primary_of(0)
    before.kill()
    assert redis_cluster.primary_of(0) is not before
    assert redis_servers.cluster() is redis_cluster
    assert redis_cluster.is_whole()
    assert redis_cluster.url.count("127.0.0.1:") == redis_cluster.primaries


def test_sentinels(redis_sentinels: Sentinels, redis_servers: Servers) -> None:
    """A replica takes over if its primary is killed; afterwards it is watched again."""
    before = redis_sentinels.primary
    before.kill()
    until(lambda: redis_sentinels.primary is not before)
    assert redis_servers.sentinels() is redis_sentinels
    assert redis_sentinels.url.endswith("/laurels/0")
    assert redis_sentinels.is_whole()
