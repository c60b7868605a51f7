"""Several workers behind one address: started, watched and ended as one service, which answers as one."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.access.keys import digest_key, make_key
from laurels.adapters.protocol import CONTINUE
from laurels.adapters.request_counts import METHODS, ROWS
from laurels.adapters.server import bind, bind_beside
from laurels.errors import AddressUnusable
from laurels.figures import Histogram
from laurels.http.documents import DOCUMENTS
from laurels.http.operations import OPERATIONS
from laurels.logs import writing_at_once
from laurels.version import __version__
from laurels.workers import Greetings, SharedFigures, Worker, Workers
from tests.adapters.test_metrics import count_requests
from tests.adapters.test_tls import Site
from tests.asking import ask, read_replies
from tests.conftest import started
from tests.redis_servers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from laurels.figures import Figures
    from tests.asking import Reply
    from tests.conftest import Server
    from tests.momento import Momento
    from tests.redis_servers import Node

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0"]
READ = b"GET /b/v HTTP/1.1\r\nHost: localhost\r\n%b\r\n"
BEGUN = b"POST /b/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"
CONNECTIONS = 40
"""So many that each worker has some, but once in 10^11 runs."""
KEY, ADMIN = make_key(), make_key()
ACCESS = (
    f'[keys.game]\nsha256 = "{digest_key(KEY)}"\nscopes = ["read", "submit"]\n'
    f'[keys.admin]\nsha256 = "{digest_key(ADMIN)}"\nscopes = ["read", "admin", "define", "metrics"]\n'
)
BEARER = {"authorization": f"Bearer {ADMIN}"}


def workers_of(server: Server) -> list[int]:
    """Return the processes of the workers."""
    process = server.process.pid
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def wait_for_others(server: Server, before: list[int]) -> None:
    """Wait until there are two workers, and not those of before."""
    until(lambda: len(workers_of(server)) == 2 and workers_of(server) != before)


@contextmanager
def working(node: Node, *options: str, workers: int = 2) -> Iterator[Server]:
    """Run a service of several workers; all of them have ended after the block."""
    with started([*SERVE, "--store", node.url, "--workers", str(workers), *options]) as server:
        yield server


@pytest.fixture
def server(redis_server: Node) -> Iterator[Server]:
    """Run a service of two workers."""
    with working(redis_server) as server:
        yield server


def check_streams(connections: Sequence[socket.socket], submit: Callable[[int], Reply]) -> None:
    """Watch a board over each connection, change it, and see the last change over all of them."""
    request = b"GET /-/boards/b/live?startRank=0&endRank=3 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        for connection in connections:
            connection.sendall(request)
        streams = [stack.enter_context(connection.makefile("rb")) for connection in connections]
        assert [submit(1000 + number).status for number in range(3)] == [202] * 3
        for stream in streams:
            assert any(b'"score":1002' in line for line in stream)


def test_live(server: Server) -> None:
    """Who watches a board is told what any worker takes, whichever worker it watches by."""
    with connections_to(server) as connections:
        check_streams(connections, lambda score: ask(server, "POST", "/b/v", {"score": score}))


def test_live_over_tls(tmp_path: Path, redis_server: Node) -> None:
    """So it is over TLS."""
    site = Site(tmp_path)
    site.issue()
    request = b'POST /b/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\n{"score":%d}'
    with working(redis_server, *site.options) as server, ExitStack() as stack:
        connections = [stack.enter_context(site.connected(server)) for _ in range(CONNECTIONS)]
        check_streams(connections, lambda score: site.ask(server, request % score))


@contextmanager
def connections_to(server: Server, count: int = CONNECTIONS) -> Iterator[list[socket.socket]]:
    """Open connections, to all workers."""
    with ExitStack() as stack:
        address = (server.host, server.port)
        yield [stack.enter_context(socket.create_connection(address, timeout=30)) for _ in range(count)]


def statuses(connections: list[socket.socket], key: str = "") -> list[int]:
    """Read once over each connection; return the statuses, 0 for a connection that is lost."""
    found = []
    for connection in connections:
        with suppress(OSError):
            connection.sendall(READ % (f"Authorization: Bearer {key}\r\n".encode() if key else b""))
    for connection in connections:
        try:
            found.append(read_replies(connection, 1)[0].status)
        except (OSError, HTTPException):
            found.append(0)
    return found


def is_answered(connections: list[socket.socket], status: int) -> bool:
    """Return whether the key is answered so over all connections."""
    return statuses(connections, KEY) == [status] * len(connections)


def refusal(*options: str, status: int = 1) -> str:
    """Start a service that does not start; return why."""
    done = subprocess.run([*SERVE, *options], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    return done.stderr


def test_store_of_one_process(tmp_path: Path) -> None:
    """The embedded store is that of one process: the line says so and what to do, and nothing is opened."""
    said = refusal("--data", str(tmp_path / "data"), "--workers", "2")
    assert said.count("\n") == 1
    assert "Leave --workers out, or keep the boards in Redis" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("option", ["--access", "--boards"])
def test_files_that_are_wrong(tmp_path: Path, redis_server: Node, option: str) -> None:
    """What keeps one process from starting is said once, and ends the service as it would end that."""
    file = tmp_path / "file.toml"
    file.write_text("[keys")
    alone = refusal("--store", redis_server.url, option, str(file))
    assert refusal("--store", redis_server.url, option, str(file), "--workers", "3") == alone
    file.unlink()
    os.mkfifo(file)
    said = refusal("--store", redis_server.url, option, str(file), "--workers", "3")
    assert "it is a pipe, which only one of several workers could read" in said


def test_redis_that_is_not_there(redis_server: Node) -> None:
    """So it is if there is no server, and if nothing says who may do what."""
    nowhere = ["--store", "redis://127.0.0.1:1/0"]
    assert refusal(*nowhere, "--workers", "3") == refusal(*nowhere)
    beyond = ["--store", redis_server.url, "--host", "0.0.0.0"]  # noqa: S104 - the address that is meant
    assert refusal(*beyond, "--workers", "3") == refusal(*beyond)


def test_worker_that_is_killed_at_the_start(tmp_path: Path, redis_server: Node) -> None:
    """A worker that is killed before the service is up ends it, with the status that a shell would show."""
    script = "import os, laurels.assembly as a; a.uvloop.run = lambda c: os.kill(os.getpid(), 9); " + RUN
    command = [sys.executable, "-W", "ignore", "-c", script, "serve", "--port", "0", "--store", redis_server.url]
    done = subprocess.run([*command, "--workers", "2"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 128 + signal.SIGKILL


RUN = "import sys; from laurels.cli import main; main(sys.argv[1:])"


def test_address_is_taken(server: Server, redis_server: Node) -> None:
    """The workers share their address with each other, and with no second service."""
    for workers in ("1", "2"):
        said = refusal("--store", redis_server.url, "--port", str(server.port), "--workers", workers)
        assert "Address already in use" in said


def test_it_is_one_service(server: Server) -> None:
    """It says once where it listens; what one worker took all have, and any answers for all that were counted."""
    with connections_to(server) as connections:
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 202
        assert statuses(connections) == [200] * CONNECTIONS
        for _ in range(5):
            assert count_requests(server)["GET", "/{board}/{name}", "200"] == CONNECTIONS
    figures = ask(server, "GET", "/-/metrics").body.decode()
    assert "\nlaurels_workers 2.0\n" in figures
    assert len(set(re.findall(r'process_start_time_seconds\{worker="(\d)"\}', figures))) == 2
    durability, listening = server.log
    assert "acknowledged scores" in durability
    assert f"Laurels {__version__} serves {server.url} " in listening
    assert ", 2 workers" in listening


def test_worker_that_is_killed(server: Server) -> None:
    """Only its connections are lost, another takes its place after a pause that grows, and no count goes back."""
    with connections_to(server) as connections:
        assert set(statuses(connections)) == {200}
        for pause in ("0.1", "0.2", "0.4"):
            before = workers_of(server)
            os.kill(before[-1], signal.SIGKILL)
            (line,) = server.wait_for_line(f"(process {before[-1]})")
            assert line.endswith(f" was killed by SIGKILL; it is started again in {pause} s.\n")
            assert count_requests(server)["GET", "/{board}/{name}", "200"] >= CONNECTIONS
            wait_for_others(server, before)
            if pause == "0.1":
                assert set(statuses(connections)) == {0, 200}
        until(lambda: b"\nlaurels_workers 2.0\n" in ask(server, "GET", "/-/metrics").body)
        before_all = count_requests(server)["GET", "/{board}/{name}", "200"]
        with connections_to(server) as others:
            assert statuses(others) == [200] * CONNECTIONS
        assert count_requests(server)["GET", "/{board}/{name}", "200"] == before_all + CONNECTIONS


def test_worker_that_cannot_start_again(server: Server, redis_server: Node) -> None:
    """While there is no Redis it is tried again and again, the others go on, and then it is there."""
    redis_server.kill()
    os.kill(workers_of(server)[0], signal.SIGTERM)
    server.wait_for_line("ended with status 0; it is started again")
    assert "Worker 1 cannot start: Redis cannot be reached" in server.wait_for_line("cannot start")[0]
    server.wait_for_line("ended with status 1; it is started again")
    redis_server.start()
    until(lambda: b"\nlaurels_workers 2.0\n" in ask(server, "GET", "/-/metrics").body)


def test_hangup_reaches_all(tmp_path: Path, redis_server: Node) -> None:
    """A good file holds in all of them, a bad one in none, and each is said once."""
    file = tmp_path / "access.toml"
    file.write_text(ACCESS)
    with working(redis_server, "--access", str(file), workers=3) as server, connections_to(server) as connections:
        for text, says, status in (
            (ACCESS.replace("game", "other"), "reloaded", 200),
            (ACCESS.replace(digest_key(KEY), digest_key(make_key())), "reloaded", 401),
            ("[keys", "is not reloaded", 401),
            (ACCESS, "reloaded", 200),
        ):
            file.write_text(text)
            before = len(server.log)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for_line(says, before)
            until(partial(is_answered, connections, status))
            assert statuses(connections, KEY) == [status] * CONNECTIONS
            assert len(server.log) == before + 1


def test_advice_is_said_once(tmp_path: Path, redis_server: Node) -> None:
    """What an operator should know of a file stands in the log once, at the start and at each reload."""
    file = tmp_path / "access.toml"
    file.write_text('[public]\nscopes = ["read", "define"]\n')
    with working(redis_server, "--access", str(file), workers=3) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("SIGHUP: reloaded")
        server.stop()
        server.reading.join(30)
        assert len([line for line in server.log if "has the scope define" in line]) == 2


def test_revoked_key(tmp_path: Path, redis_server: Node) -> None:
    """Once the answer is there, no worker takes the key."""
    file = tmp_path / "access.toml"
    file.write_text(ACCESS)
    with working(redis_server, "--access", str(file), workers=3) as server, connections_to(server) as connections:
        assert statuses(connections, KEY) == [200] * CONNECTIONS
        assert ask(server, "DELETE", "/-/keys/game", headers=BEARER).status == 204
        assert statuses(connections, KEY) == [401] * CONNECTIONS
        stopped = workers_of(server)[0]
        os.kill(stopped, signal.SIGSTOP)  # who does not hear it is not waited for for long
        assert ask_any(server) == 204
        os.kill(stopped, signal.SIGCONT)


def ask_any(server: Server) -> int:
    """Revoke a key that is not there, over a connection to a worker that answers."""
    while True:
        with socket.create_connection((server.host, server.port), timeout=2) as connection:
            connection.sendall(
                b"DELETE /-/keys/none HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n" % ADMIN.encode()
            )
            with suppress(TimeoutError):
                return read_replies(connection, 1)[0].status


def test_audit_log_of_all(tmp_path: Path, redis_server: Node) -> None:
    """The lines of all workers are in one file, each whole; one that a full disk has cut is ended by any of them."""
    access, audit = tmp_path / "access.toml", tmp_path / "audit.jsonl"
    access.write_text(ACCESS)
    audit.write_bytes(b'{"time":"2026-11-2')
    options = ["--access", str(access), "--audit-log", str(audit)]
    request = b"DELETE /-/keys/n%d HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n\r\n"
    with working(redis_server, *options) as server, connections_to(server) as connections:
        for number, connection in enumerate(connections):
            connection.sendall(request % (number, ADMIN.encode()))
        assert {read_replies(connection, 1)[0].status for connection in connections} == {204}
    cut, *lines = audit.read_text().splitlines()
    assert cut == '{"time":"2026-11-2'
    assert len([json.loads(line) for line in lines]) == CONNECTIONS


def test_limit_of_connections(redis_server: Node) -> None:
    """The connections that are allowed are divided over the workers."""
    with working(redis_server, "--max-connections", "5") as server, connections_to(server) as connections:
        assert sorted(statuses(connections))[:5] == [200] * 5
        assert sorted(statuses(connections))[5:] != [200] * (CONNECTIONS - 5)


LIMITED = """
[public]
scopes = ["read", "metrics"]
limits = { requests = "6/h", burst = 7 }
[players]
secret = "env:LAURELS_TEST_SECRET"
anonymous = true
"""
SLOW_KEY = f'[keys.game]\nsha256 = "{digest_key(KEY)}"\nscopes = ["read"]\nlimits = {{ requests = "6/h", burst = 9 }}\n'


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an access file with limits."""
    monkeypatch.setenv("LAURELS_TEST_SECRET", "0123456789abcdef0123456789abcdef")
    file = tmp_path / "access.toml"
    file.write_text(LIMITED + SLOW_KEY)
    return file


def test_limits_of_all(limited: Path, redis_server: Node) -> None:
    """However many workers and services there are over one Redis, a limit lets in what one process would."""
    with working(redis_server, "--access", str(limited)) as server, connections_to(server) as connections:
        assert sorted(statuses(connections, KEY)) == [200] * 9 + [429] * (CONNECTIONS - 9)
        assert sorted(statuses(connections)) == [200] * 7 + [429] * (CONNECTIONS - 7)
        reply = ask(server, "GET", "/b/v", headers={"authorization": f"Bearer {KEY}"})
        assert reply.headers["ratelimit"].startswith('"requests";r=0;t=')
        with working(redis_server, "--access", str(limited), workers=1) as other:
            assert ask(other, "GET", "/b/v").status == 429
            assert ask(other, "GET", "/b/v", headers={"authorization": f"Bearer {make_key()}"}).status == 429


def test_anonymous_tokens_of_all(limited: Path, redis_server: Node) -> None:
    """So do tokens for new players."""
    limited.write_text(LIMITED.replace("limits", "# limits"))
    request = b"POST /-/tokens/anonymous HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    with working(redis_server, "--access", str(limited)) as server, connections_to(server) as connections:
        for connection in connections:
            connection.sendall(request)
        given = [read_replies(connection, 1)[0].status for connection in connections]
        assert sorted(given) == [201] * 10 + [429] * (CONNECTIONS - 10)


def test_bad_credentials_of_all(limited: Path, redis_server: Node) -> None:
    """What is shown and not accepted counts as a request of its address, in all workers together."""
    with working(redis_server, "--access", str(limited)) as server, connections_to(server) as connections:
        assert sorted(statuses(connections, make_key())) == [401] * 7 + [429] * (CONNECTIONS - 7)


def test_limits_without_redis(limited: Path, redis_server: Node) -> None:
    """While Redis does not answer, each worker meters by itself: nobody may ask without end."""
    with working(redis_server, "--access", str(limited)) as server, connections_to(server) as connections:
        redis_server.kill()
        found = statuses(connections, KEY)
        assert sorted(found) == [429] * (CONNECTIONS - 18) + [503] * 18
    redis_server.start()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_end(server: Server, how: signal.Signals) -> None:
    """What is under way is answered, and no worker is left, even if the parent is killed."""
    workers = workers_of(server)
    with connections_to(server) as connections:
        for connection in connections:
            connection.sendall(BEGUN)
            assert connection.recv(1000) == CONTINUE
        server.process.send_signal(how)
        until(lambda: refuses(server))
        for connection in connections:
            connection.sendall(b'{"score":5}')
        assert [read_replies(connection, 1)[0].status for connection in connections] == [202] * CONNECTIONS
    assert server.process.wait(30) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
    until(lambda: not any(runs(each) for each in workers))


def runs(process: int) -> bool:
    """Return whether a process has not ended; where nobody has waited for it, its entry stays."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def refuses(server: Server) -> bool:
    """Return whether nobody listens any more."""
    try:
        socket.create_connection((server.host, server.port), timeout=5).close()
    except OSError as error:
        return error.errno == errno.ECONNREFUSED
    return False


def test_second_interrupt(server: Server) -> None:
    """A second Ctrl-C does not wait for clients."""
    with connections_to(server) as connections:
        connections[0].sendall(BEGUN)
        assert connections[0].recv(1000) == CONTINUE
        server.process.send_signal(signal.SIGINT)
        until(lambda: refuses(server))
        assert server.stop(signal.SIGINT) == 0


def test_momento(momento: Momento, monkeypatch: pytest.MonkeyPatch) -> None:
    """Momento's store can have any number of workers as well."""
    monkeypatch.setenv("MOMENTO_ENDPOINT", f"http://{momento.host}:{momento.port}")
    store = ["--store", f"momento:{momento.new_cache()}", "--workers", "2", "--log-format", "json"]
    with started([*SERVE, *store]) as server, connections_to(server) as connections:
        assert ask(server, "POST", "/b/v", {"score": 5}).status == 202
        assert statuses(connections) == [200] * CONNECTIONS
        assert server.stop() == 0
        server.reading.join(30)
        assert [json.loads(line)["level"] for line in server.log] == ["INFO", "INFO"]  # of its start and its end


def test_fork_that_fails(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A worker for whom there is no memory is started later; until then the parent can be ended."""

    def fail() -> int:
        os.kill(os.getpid(), signal.SIGTERM)
        raise OSError(errno.EAGAIN, "no more")

    monkeypatch.setattr(os, "fork", fail)
    with pytest.raises(SystemExit):
        Workers(2, writing_at_once("text"), SharedFigures(2), Greetings(bool, bool)).run()
    assert "ERROR Worker 1 cannot be started: Resource temporarily unavailable." in capfd.readouterr().err


def test_figures_that_are_being_written() -> None:
    """Whoever reads figures that are not whole reads them again, until they are."""
    figures = SharedFigures(1)
    figures.write(0, {"boards": 1})
    memory = figures._memory  # noqa: SLF001 - as another process would find it in the middle of a write
    memory[20] ^= 1
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(figures.read)
        figures.write(0, {"boards": 2})
        assert reading.result(30) == {0: (os.getpid(), {"boards": 2})}


def test_figures_of_every_form() -> None:
    """Histograms and figures by labels are read as they were written; too many by labels are left out."""
    figures = SharedFigures(2)
    written: Figures = {"a": 1, "b": Histogram((0.5, 1.0), (0, 1, 3), 4.5), "c": {"k": 2}, "d": {"s": {"k": 3}}}
    figures.write(0, written)
    figures.write(1, {"a": 1, "c": {str(number): 1 for number in range(100_000)}})
    pid = os.getpid()
    assert figures.read() == {0: (pid, written), 1: (pid, {"a": 1})}


def test_what_is_not_relayed() -> None:
    """A traceback stays with its worker; and all that it logs, once there is no parent."""
    ours, theirs = socket.socketpair()
    with theirs:
        worker = Worker(0, 2, theirs, is_first=True)
        record = logging.makeLogRecord({"msg": "so"})
        with ours:
            assert worker.relay(record)
            assert not worker.relay(logging.makeLogRecord({"msg": "so", "exc_info": (None, None, None)}))
        assert not worker.relay(record)


def test_address_that_is_not_shared() -> None:
    """Where others may not listen, none can be bound beside."""
    (bound,) = bind("127.0.0.1", 0)
    with bound:
        bound.listen()
        with pytest.raises(AddressUnusable, match="Address already in use"):
            bind_beside([bound])


def test_room_for_all_counts() -> None:
    """There is a row in shared memory for every method of every route, and for what comes to none."""
    routes = {operation.path for operation in (*OPERATIONS, *DOCUMENTS)} | {"", "/-/metrics"}
    assert len(routes) * (len(METHODS) + 2) <= ROWS
    assert max(map(len, routes)) < 100
