"""The help of the commands, and the page that is generated from it."""

from __future__ import annotations

import runpy
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from laurels.cli import main
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.settings import Settings
from laurels.version import __version__

GROUP = click.Context(main, info_name="laurels")
DOCS = Path(__file__).parents[2] / "docs"


def test_reference_is_current() -> None:
    """The page is generated from the commands as they are: if this fails, run python docs/generate.py."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == runpy.run_path(str(DOCS / "generate.py"))["reference"]()


@pytest.mark.parametrize("name", main.list_commands(GROUP))
def test_command_explains_itself(name: str) -> None:
    """Each command has help, and so has each of its parameters."""
    command = main.get_command(GROUP, name)
    assert command is not None
    assert command.help
    assert all(parameter.help for parameter in command.params)


def test_help_lists_every_command() -> None:
    """The help names each command once, in its section."""
    sections = CliRunner().invoke(main, ["--help"]).stdout.partition("Service:\n")[2].partition("\n  Examples:")[0]
    names = [line.split()[0] for line in sections.splitlines() if line.startswith("  ")]
    assert names == main.list_commands(GROUP)


def test_default_server() -> None:
    """By default the commands call the address at which `laurels serve` listens by default."""
    settings = Settings()
    assert f"http://{settings.host}:{settings.port}" == DEFAULT_ORIGIN


def test_version() -> None:
    """The version is the package's."""
    assert CliRunner().invoke(main, ["--version"]).stdout == f"laurels, version {__version__}\n"
