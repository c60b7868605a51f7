"""The command line's entry point: the commands, and the exit statuses."""

from __future__ import annotations

import errno
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from laurels.cli.errors import SourceFailed
from laurels.cli.printing import write
from laurels.client.errors import EnvironmentWrong, KeyUnusable, ServerFailed, ServerUnreachable
from laurels.errors import AnswerLost, BadPlace, BadServerURL, ExtraMissing, LaurelsError, NotOnWindows, PlaceUnusable
from laurels.optional import load
from laurels.version import __version__
from laurels.visible import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTIONS = {
    "Service": {"serve": "laurels.cli.serve:serve", "demo": "laurels.cli.demo:demo"},
    "Scores": {
        "submit": "laurels.cli.scores:submit",
        "standing": "laurels.cli.scores:standing",
        "top": "laurels.cli.scores:top",
        "watch": "laurels.cli.watch:watch",
        "around": "laurels.cli.reads:around",
        "names": "laurels.cli.reads:names",
        "between": "laurels.cli.reads:between",
        "rank-of": "laurels.cli.reads:rank_of",
        "summary": "laurels.cli.reads:summary",
        "delete": "laurels.cli.removals:delete",
        "clear": "laurels.cli.removals:clear",
    },
    "Hidden names": {
        "hide": "laurels.cli.hidden:hide",
        "show": "laurels.cli.hidden:show",
        "hidden": "laurels.cli.hidden:hidden",
    },
    "Held scores": {"held": "laurels.cli.held:held"},
    "Boards": {"boards": "laurels.cli.boards:boards"},
    "Who may": {
        "access": "laurels.cli.access:access",
        "keys": "laurels.cli.keys:keys",
        "tokens": "laurels.cli.tokens:tokens",
        "audit": "laurels.cli.audit:audit",
    },
    "Whole boards": {
        "import": "laurels.cli.copies:import_",
        "export": "laurels.cli.copies:export",
        "move": "laurels.cli.move:move",
    },
    "Backups": {
        "backup": "laurels.cli.backup:backup",
        "restore": "laurels.cli.restore:restore",
        "verify": "laurels.cli.restore:verify",
    },
    "Momento": {"momento": "laurels.cli.momento:momento"},
    "Development": {"momento-local": "laurels.cli.momento_local:momento_local"},
}
"""The place of each command. It is imported when it is used: a server needs no client, and a client no server."""

REFUSED, WRONG, FAILED, INTERRUPTED = 1, 2, 3, 130
STATUSES: dict[type[Exception], int] = {
    EnvironmentWrong: WRONG,
    KeyUnusable: WRONG,
    BadServerURL: WRONG,
    BadPlace: WRONG,
    AnswerLost: FAILED,
    PlaceUnusable: FAILED,
    ServerFailed: FAILED,
    ServerUnreachable: FAILED,
    SourceFailed: FAILED,
}
"""The exit status of an error, REFUSED if it is not here."""

EPILOG = """\b
Examples:
  laurels serve
  laurels submit mario-kart silverhand 2077
  laurels standing mario-kart silverhand
  laurels top mario-kart --count 10
  laurels watch mario-kart
  laurels around mario-kart silverhand
  laurels summary mario-kart
  laurels import scores.csv.gz --board mario-kart
  laurels export mario-kart mario-kart.jsonl
  laurels boards check boards.toml
  laurels backup /var/backups/laurels/ --keep 14

\b
Exit status:
  0    done
  1    refused, in whole or in part
  2    the command line is wrong, or a variable of the environment, or the key
  3    the service, Momento, or a place for backups could not be reached, or failed
  130  interrupted

`laurels COMMAND --help` explains a command. The HTTP routes are documented at the service's own address.

\b
Completion by the Tab key, in one line of the shell's own file:
  eval "$(_LAURELS_COMPLETE=bash_source laurels)"       # ~/.bashrc
  eval "$(_LAURELS_COMPLETE=zsh_source laurels)"        # ~/.zshrc
  _LAURELS_COMPLETE=fish_source laurels | source        # ~/.config/fish/config.fish

LAURELS_KEY is the key, or the token, that is shown to the service; --key-file FILE and --key env:NAME say where another
is. It never stands on the command line.

Names with characters that a terminal would obey, or that nobody sees, are shown with escapes such as \\u202e.
HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR are respected; loopback is always asked
directly.
"""


class Commands(click.Group):
    """The group of all commands, with help in sections and an exit status for every error."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of their sections."""
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Load a command; return None if there is none of that name."""
        if name in {"serve", "demo"} and hasattr(signal, "SIGHUP"):  # handled only when the service has been imported
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
        except ExtraMissing:
            return f"(not installed: `laurels {name}` says how to)"  # a command line would be wrapped here
        except NotOnWindows:
            return "(not on Windows)"
        return command.get_short_help_str(80) if command else ""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the command line; what is wrong with it is shown, not obeyed."""
        with _showing():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; write on stderr why it failed. A broken pipe is left to click, which ends quietly."""
        try:
            with _showing():
                return super().invoke(ctx)
        except LaurelsError as error:
            write(f"Error: {error}", err=True)
            ctx.exit(next((status for kind, status in STATUSES.items() if isinstance(error, kind)), REFUSED))
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            write(f"Error: {error}.", err=True)
            ctx.exit(REFUSED)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)


@contextmanager
def _showing() -> Iterator[None]:
    """Let click, which prints its own errors, print them as everything else is printed."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = escape(error.message)  # final for type checkers alone
        raise


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="laurels")
def main() -> None:
    """Leaderboards: run the service, submit scores, and read ranks and pages.

    A board is made by its first score. Rank 0 is the first place.
    """
