"""The command line's entry point: the commands, and the exit statuses."""

from __future__ import annotations

import errno
import signal
from typing import Any

import click

from laurels.cli.errors import ServerFailed, ServerUnreachable
from laurels.errors import AnswerLost, ExtraMissing, LaurelsError
from laurels.optional import load
from laurels.version import __version__

SECTIONS = {
    "Service": {"serve": "laurels.cli.serve:serve"},
    "Scores": {
        "submit": "laurels.cli.commands:submit",
        "standing": "laurels.cli.commands:standing",
        "top": "laurels.cli.commands:top",
    },
    "Boards": {"boards": "laurels.cli.boards:boards"},
    "Whole boards": {
        "import": "laurels.cli.commands:import_",
        "export": "laurels.cli.commands:export",
    },
    "Momento": {"momento": "laurels.cli.momento:momento"},
    "Development": {"momento-local": "laurels.cli.momento_local:momento_local"},
}
"""The place of each command. It is imported when it is used: a server needs no client, and a client no server."""

REFUSED, FAILED, INTERRUPTED = 1, 3, 130

EPILOG = """\b
Examples:
  laurels serve
  laurels submit mario-kart silverhand 2077
  laurels standing mario-kart silverhand
  laurels top mario-kart --count 10
  laurels import scores.csv.gz --board mario-kart
  laurels export mario-kart mario-kart.jsonl
  laurels boards check boards.toml

\b
Exit status:
  0    done
  1    refused, in whole or in part
  2    the command line is wrong
  3    the service, or Momento, could not be reached, or failed
  130  interrupted

`laurels COMMAND --help` explains a command. The HTTP routes are documented at the service's own address.
"""


class Commands(click.Group):
    """The group of all commands, with help in sections and an exit status for every error."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of their sections."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load a command; return None if there is none of that name."""
        if name == "serve":  # which hears SIGHUP, but only when it has been imported
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        place = next((section[name] for section in SECTIONS.values() if name in section), None)
        if place is None:
            return None
        command: click.Command = load(place)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section."""
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self._short_help(ctx, name)) for name in section])

    def _short_help(self, ctx: click.Context, name: str) -> str:
        try:
            command = self.get_command(ctx, name)
        except ExtraMissing as missing:
            return f"(not installed: pip install 'laurels[{missing.extra}]')"
        return command.get_short_help_str(80) if command else ""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; write on stderr why it failed. A broken pipe is left to click, which ends quietly."""
        try:
            return super().invoke(ctx)
        except LaurelsError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(FAILED if isinstance(error, AnswerLost | ServerFailed | ServerUnreachable) else REFUSED)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            click.echo(f"Error: {error}.", err=True)
            ctx.exit(REFUSED)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@click.group(cls=Commands, epilog=EPILOG, context_settings={"max_content_width": 100})
@click.version_option(__version__, prog_name="laurels")
def main() -> None:
    """Leaderboards: run the service, submit scores, and read ranks and pages.

    A board is made by its first score. Rank 0 is the first place.
    """
