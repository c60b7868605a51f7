"""Writes the reference of the command line, docs/cli.md, from the commands themselves: ``python docs/generate.py``."""

# ruff: noqa: INP001 - a script, in the directory of the page that it writes

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import click

from laurels.cli import main
from laurels.cli.main import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).with_name("cli.md")


def reference() -> str:
    """Return the whole page."""
    return "\n".join(_page())


def _page() -> Iterator[str]:
    yield "# The command line\n"
    yield "<!-- Written by docs/generate.py from the commands; change them there. -->\n"
    group = click.Context(main, info_name="laurels")
    yield from _command(group, main, "##")
    for section, names in SECTIONS.items():
        yield f"## {section}\n"
        for name in names:
            command = main.get_command(group, name)
            assert command is not None  # noqa: S101 - a section names only commands that there are
            ctx = click.Context(command, info_name=name, parent=group)
            yield from _command(ctx, command, "###")
            if isinstance(command, click.Group):
                for part in command.commands.values():
                    yield from _command(click.Context(part, info_name=part.name, parent=ctx), part, "####")


def _command(ctx: click.Context, command: click.Command, level: str) -> Iterator[str]:
    yield f"{level} {ctx.command_path}\n"
    usage = " ".join(command.collect_usage_pieces(ctx))
    yield f"```\n{ctx.command_path} {usage}\n```\n"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield " ".join(paragraph.splitlines()) + "\n"
    yield from _parameters(ctx, command)
    yield from _epilog(command.epilog or "")


def _parameters(ctx: click.Context, command: click.Command) -> Iterator[str]:
    rows = [_row(ctx, parameter) for parameter in command.get_params(ctx) if "--help" not in parameter.opts]
    if rows:
        yield "| parameter | what it is | default | environment |\n|---|---|---|---|"
        yield "\n".join(rows) + "\n"


def _row(ctx: click.Context, parameter: click.Parameter) -> str:
    title = metavar = parameter.make_metavar(ctx)
    default = "required" if parameter.required else ""
    if isinstance(parameter, click.Option):
        names = " / ".join(parameter.opts[:1] + parameter.secondary_opts)
        title = names if parameter.is_flag else f"{names} {metavar}"
        if parameter.secondary_opts:
            default = f"`{(parameter.opts if parameter.get_default(ctx) else parameter.secondary_opts)[0]}`"
        elif parameter.show_default:
            shown = parameter.show_default
            default = f"`{shown if isinstance(shown, str) else parameter.get_default(ctx)}`"
    about = getattr(parameter, "help", None) or ""
    variable = f"`{parameter.envvar}`" if parameter.envvar else ""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{title}`", about, default, variable)) + " |"


def _epilog(epilog: str) -> Iterator[str]:
    for block in inspect.cleandoc(epilog).split("\n\n"):
        lines = block.removeprefix("\b\n").splitlines()
        if block.startswith("\b"):
            yield f"{lines[0]}\n\n```\n{inspect.cleandoc(chr(10).join(lines[1:]))}\n```\n"
        elif lines:
            yield " ".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
