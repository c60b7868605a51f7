"""The unit for systemd, and what the service tells systemd."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from laurels.systemd import notify
from tests.asking import ask
from tests.conftest import started
from tests.newcomer import ROOT, environment, run

if TYPE_CHECKING:
    from tests.redis_servers import Node

SERVE = [sys.executable, "-m", "laurels", "serve", "--port", "0"]


@pytest.mark.parametrize("kind", ["a file", "an abstract socket"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_told_when_ready(kind: str, workers: str, redis_server: Node, tmp_path: Path) -> None:
    """Once it listens the main process says so, of however many workers, and only once."""
    place = str(tmp_path / "notify") if kind == "a file" else f"@{tmp_path}"
    store = ["--store", redis_server.url, "--workers", workers]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(place.replace("@", "\0", 1))
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        systemd.settimeout(30)
        with started([*SERVE, *store], environment(NOTIFY_SOCKET=place)) as server:
            state, (credentials, *_), *_ = systemd.recvmsg(100, 100)
            assert state == b"READY=1"
            assert int.from_bytes(credentials[2][:4], sys.byteorder) == server.process.pid
            assert ask(server, "GET", "/-/ready").status == 200
        systemd.settimeout(0)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)


def test_systemd_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If it cannot be told, the log says so, and that is all."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("READY=1")
    assert f"READY=1 cannot be told to systemd at {tmp_path / 'gone'}: No such file" in caplog.text


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("check", [["verify"], ["security", "--offline=true", "--threshold=20", "--no-pager"]])
def test_unit_is_sound(check: list[str], tmp_path: Path) -> None:
    """Systemd finds no fault with the unit, and says that it exposes little."""
    unit = tmp_path / "laurels.service"
    program = str(Path(sys.executable).with_name("laurels"))
    unit.write_text((ROOT / "examples" / unit.name).read_text().replace("/opt/laurels/bin/laurels", program))
    assert run(["systemd-analyze", *check, str(unit)], tmp_path, environment()).stderr == ""
