"""A service that lies, and every command that may meet it."""

from __future__ import annotations

from contextlib import suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import TYPE_CHECKING

import click

from laurels.cli import main
from tests.processes import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


class Liar(ThreadingTCPServer):
    """A service that answers each request with bytes of its own choice, and ends the connection."""

    daemon_threads = True

    def __init__(self, lie: Callable[[str, bytes], Iterable[bytes]]) -> None:
        self.lie = lie
        self.requests: list[str] = []
        self.heads: list[dict[bytes, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(StreamRequestHandler):
    server: Liar

    def handle(self) -> None:
        with suppress(OSError, ValueError):  # the command has had enough, or left in the midst of its request
            request = self.rfile.readline().decode().removesuffix(" HTTP/1.1\r\n")
            head = dict(line.lower().strip().split(b": ", 1) for line in iter(self.rfile.readline, b"\r\n"))
            body = self.rfile.read(int(head.get(b"content-length", 0)))
            self.server.requests.append(request)
            self.server.heads.append(head)
            for piece in self.server.lie(request, body):
                self.wfile.write(piece)


def lying(lie: Callable[[str, bytes], Iterable[bytes]]) -> AbstractContextManager[Liar]:
    """Run a service that lies until the end of the block."""
    return serving(Liar(lie))


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """Return an answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _leaves(group: click.Group, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _leaves(command, *path, name)
        else:
            yield (*path, name), command


CALLING = {
    path: command for path, command in _leaves(main) if any("--server" in option.opts for option in command.params)
}
"""Every command that calls a service, by its words."""


def words_of(path: tuple[str, ...], directory: Path) -> list[str]:
    """Return a command line of a command; a parameter that is not known here fails."""
    rows = directory / "rows.tsv"
    rows.write_text("v\t1\n")
    definition = directory / "definition.json"
    definition.write_text("{}")
    values = {
        "board": "b",
        "name": "v",
        "names": "v",
        "score": "1",
        "dest": str(directory / "boards.tar"),
        "file": {"import": str(rows), "export": "-"}.get(path[-1], str(definition)),
    }
    words = [*path]
    for parameter in CALLING[path].params:
        if isinstance(parameter, click.Argument):
            words.append(values[parameter.name or ""])
        elif parameter.required:
            words += [parameter.opts[0], values[parameter.name or ""]]
    options = {option for parameter in CALLING[path].params for option in parameter.opts}
    words += ["--board", "b"] * (path[-1] == "import")
    return words + ["--yes"] * ("--yes" in options) + ["--min=1"] * ("--min" in options)
