"""The service as a process: how it stops, is killed, runs out of disk and restarts. Over HTTP, on real disks."""

from __future__ import annotations

import gzip
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.asking import ask, connected, read_replies
from tests.conftest import running
from tests.length import times

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Server

pytestmark = pytest.mark.slow

DOWNLOADS = Path(__file__).parent / "data" / "package-downloads.tsv.gz"
"""Some 5,000 packages of a public registry and their downloads, a random sample of those much used."""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stop_keeps_everything(tmp_path: Path, how: signal.Signals) -> None:
    """A service stopped by a signal exits with 0, and everything is there after the next start."""
    with running(tmp_path) as server:
        ask(server, "POST", "/b/v", {"score": 5})
        assert server.stop(how) == 0
    with running(tmp_path) as server:
        assert ask(server, "GET", "/b/v").json == {"score": 5, "rank": 0}


def test_stop_finishes_requests_in_flight(tmp_path: Path) -> None:
    """A request whose body is still arriving when the service is stopped is read, stored and answered."""
    with running(tmp_path) as server, connected(server) as busy, connected(server) as idle:
        busy.sendall(b"POST /b/v HTTP/1.1\r\nHost: localhost\r\nContent-Length: 11\r\n\r\n")
        busy.sendall(b'{"score"')
        ask(server, "GET", "/-/health")  # once it is answered, the bytes before it have been read
        server.process.send_signal(signal.SIGTERM)
        assert idle.recv(1) == b""
        busy.sendall(b":5}")
        assert read_replies(busy, 1)[0].status == 202
        assert server.process.wait(30) == 0


class Submitter(threading.Thread):
    """Submits growing scores to one name until the service dies, and keeps the last that was acknowledged."""

    def __init__(self, server: Server, name: str, first: int) -> None:
        super().__init__()
        self.server = server
        self.name_ = name
        self.acknowledged = first

    def run(self) -> None:
        """Submit over one connection."""
        try:
            with connected(self.server) as connection:
                while True:
                    body = b'{"score":%d}' % (self.acknowledged + 1)
                    head = b"POST /b/%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                    connection.sendall(head % (self.name_.encode(), len(body)) + body)
                    if not connection.recv(1000).startswith(b"HTTP/1.1 202"):
                        return
                    self.acknowledged += 1
        except OSError:
            return


def test_kill_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A service killed several times under load has each acknowledged score, or a later one, after its restart."""
    chance = random.Random(20261123)
    acknowledged = dict.fromkeys((f"player-{place}" for place in range(16)), 0)
    for _ in range(times(4)):
        with running(tmp_path) as server:
            for name, score in acknowledged.items():
                assert ask(server, "GET", f"/b/{name}").json["score"] in {score, score + 1}
            threads = [Submitter(server, name, score) for name, score in acknowledged.items()]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.02, 0.2))
            server.stop(signal.SIGKILL)
            for thread in threads:
                thread.join()
            acknowledged = {thread.name_: thread.acknowledged for thread in threads}
    assert min(acknowledged.values()) > 0


def test_full_disk(small_disk: Path) -> None:
    """A service with a full disk refuses submits, answers reads, and recovers by itself once there is room."""
    ballast = small_disk / "ballast"
    with running(small_disk / "data") as server:
        ask(server, "POST", "/b/v", {"score": 5})
        fill(ballast)
        refused = [ask(server, "POST", "/b", batch(place)) for place in range(20)][-1]
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert ask(server, "GET", "/b/v").json["score"] == 5
        assert ask(server, "GET", "/-/ready").status == 503
        assert ask(server, "GET", "/-/health").status == 200
        server.wait_for_line("ERROR The journal cannot be written, and submits are refused until it can: database or")
        ballast.unlink()
        wait_until(lambda: ask(server, "GET", "/-/ready").status == 200)
        server.wait_for_line("WARNING The journal can be written again")
        assert ask(server, "POST", "/b/v", {"score": 6}).status == 202
        assert ask(server, "POST", "/b/v", {"score": 6}).status == 202


def test_read_only_files(tmp_path: Path) -> None:
    """A service whose files cannot be written refuses submits, answers reads, and recovers once they can."""
    with running(tmp_path / "data") as server:
        ask(server, "POST", "/b/v", {"score": 5})
        files = [str(path) for path in (tmp_path / "data").iterdir() if not path.name.endswith("-shm")]
        subprocess.run(["chattr", "+i", *files], check=True)
        try:
            assert [ask(server, "POST", "/b/v", {"score": 6}).status for _ in range(3)] == [503, 503, 503]
            assert ask(server, "GET", "/b/v").json["score"] == 5
            assert ask(server, "GET", "/-/ready").status == 503
        finally:
            subprocess.run(["chattr", "-i", *files], check=True)
        wait_until(lambda: ask(server, "GET", "/-/ready").status == 200)
        assert ask(server, "POST", "/b/v", {"score": 7}).status == 202
        assert ask(server, "GET", "/b/v").json["score"] == 7


def test_second_owner(tmp_path: Path) -> None:
    """A second service on the same data directory names the process that uses it, and the way out."""
    with running(tmp_path) as server:
        second = laurels("serve", "--port", "0", "--data", str(tmp_path))
    assert second.returncode == 1
    assert f"in use by process {server.process.pid}" in second.stderr
    assert "--data" in second.stderr


def test_damaged_file(tmp_path: Path) -> None:
    """A service with a damaged journal does not start, and names the file and the way out."""
    with running(tmp_path) as server:
        ask(server, "POST", "/b/v", {"score": 5})
        server.stop()
    (tmp_path / "journal.db").write_bytes(b"not a database" * 1000)
    again = laurels("serve", "--port", "0", "--data", str(tmp_path))
    assert again.returncode == 1
    assert "journal.db is damaged" in again.stderr
    assert "Traceback" not in again.stderr


def test_ascending_order(tmp_path: Path) -> None:
    """With ascending order the lowest score is first, and equal scores are ordered by name from A to Z."""
    with running(tmp_path, "--order", "ascending") as server:
        laps = [{"name": name, "score": score} for name, score in (("b", 61), ("a", 61), ("c", 59.5))]
        ask(server, "POST", "/laps", {"entries": laps})
        assert [entry["name"] for entry in ask(server, "GET", "/laps").json["leaderboard"]] == ["c", "a", "b"]


def test_import_is_in_order_after_a_restart(tmp_path: Path) -> None:
    """Real download counts with many ties are in the order of the sorted file, before and after a restart."""
    rows = [line.split("\t") for line in gzip.decompress(DOWNLOADS.read_bytes()).decode().splitlines()[1:]]
    ordered = sorted(((int(score), name.encode()) for name, score in rows), reverse=True)
    with running(tmp_path) as server:
        assert laurels("import", str(DOWNLOADS), "--board", "downloads", "--server", server.url).returncode == 0
        assert export(server) == ordered
        server.stop()
    with running(tmp_path) as server:
        assert export(server) == ordered


def export(server: Server) -> list[tuple[int, bytes]]:
    """Return score and name of each entry as ``laurels export`` writes them."""
    exported = laurels("export", "downloads", "--format", "tsv", "--scores-only", "--server", server.url)
    lines = exported.stdout.splitlines()[1:]
    return [(int(score), name.encode()) for name, score in (line.split("\t") for line in lines)]


def laurels(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a ``laurels`` command."""
    return subprocess.run(
        [sys.executable, "-m", "laurels", *arguments], capture_output=True, text=True, timeout=30, check=False
    )


def fill(path: Path) -> None:
    """Fill the disk with one file."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def batch(place: int) -> dict[str, object]:
    """Return a batch that needs much room on a disk."""
    return {"entries": [{"name": f"{place}-{entry:0200}", "score": entry} for entry in range(1000)]}


def wait_until(reached: Callable[[], bool], seconds: float = 15) -> None:
    """Poll until the condition holds."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
