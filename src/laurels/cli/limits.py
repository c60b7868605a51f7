"""Options for limits, made from the structs that hold them, and a help that lists them apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from laurels.limits import Limit, limits_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.decorators import FC
    from msgspec import Struct

METAVARS = {"": "N", "bytes": "SIZE", "seconds": "TIME"}


class LimitType(click.ParamType[int]):
    """A number with the unit and the bounds of a limit."""

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.name = METAVARS[limit.unit]

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        try:
            return self.limit.read(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class LimitedCommand(click.Command):
    """A command whose help lists its limits apart."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the limits."""
        for title, is_limit in (("Options", False), ("Limits", True)):
            parameters = [each for each in self.get_params(ctx) if isinstance(each.type, LimitType) == is_limit]
            with formatter.section(title):
                formatter.write_dl([record for each in parameters if (record := each.get_help_record(ctx))])


def limit_options(kind: type[Struct], prefix: str = "") -> Callable[[FC], FC]:
    """Return a decorator that adds an option for each field of a struct of limits."""

    def add(command: FC) -> FC:
        for name, (_, limit, default) in reversed(limits_of(kind, prefix).items()):
            command = _option(name, limit, default)(command)
        return command

    return add


def take_limits(settings: dict[str, Any], kind: type[Struct], prefix: str = "") -> dict[str, int]:
    """Return the fields of a struct of limits, taken out of the settings."""
    return {field: settings.pop(name) for name, (field, *_) in limits_of(kind, prefix).items()}


def _option(name: str, limit: Limit, default: int) -> Callable[[FC], FC]:
    kind = LimitType(limit)
    return click.option(
        f"--{name.replace('_', '-')}",
        type=kind,
        metavar=kind.name,
        default=limit.format(default),
        envvar=f"LAURELS_{name.upper()}",
        show_default=True,
        show_envvar=True,
        help=limit.about,
    )
