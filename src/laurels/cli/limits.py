"""Options for limits, made from the fields of the structs that hold them, and a help that lists them apart."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, get_type_hints

import click
from msgspec import structs

from laurels.definition import UNITS
from laurels.limits import KIB, MIB, format_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Meta, Struct

SIZES = {"": 1, "kib": KIB, "mib": MIB, "gib": KIB * MIB}


class _Quantity(click.ParamType[float]):
    """A whole number, and a unit behind it if there is one."""

    form: re.Pattern[str]
    units: dict[str, int]
    example: str

    def __init__(self, meta: Meta) -> None:
        self.least, self.most = meta.ge, meta.le

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the quantity in its least unit."""
        if isinstance(value, int | float):
            return value
        found = self.form.fullmatch(value.lower())
        if found is None:
            self.fail(f"{value!r} is not like {self.example}.", param, ctx)
        quantity = int(found[1]) * self.units[found[2]]
        if (self.least is not None and quantity < self.least) or (self.most is not None and quantity > self.most):
            bounds = f"at least {self.format(self.least)}" + (
                f", at most {self.format(self.most)}" if self.most else ""
            )
            self.fail(f"{value!r} is out of its bounds: {bounds}.", param, ctx)
        return quantity

    def format(self, quantity: Any) -> str:
        """Return a quantity as it may be given."""
        return f"{quantity:g}"


class Count(_Quantity):
    """A number of things."""

    name, form, units, example = "n", re.compile(r"(\d+)()"), {"": 1}, "10000"


class Size(_Quantity):
    """A number of bytes."""

    name, form, units, example = "size", re.compile(r"(\d+) ?(|[kmg]ib)"), SIZES, "65536, 64KiB or 1MiB"

    def format(self, quantity: Any) -> str:
        """Return a size with its unit."""
        return format_size(quantity).removesuffix(" bytes").replace(" ", "")


class Seconds(_Quantity):
    """A time."""

    name, form, units, example = "time", re.compile(r"(\d+) ?(|[smhd])"), {"": 1, **UNITS}, "90, 90s or 2m"

    def format(self, quantity: Any) -> str:
        """Return a time in seconds."""
        return f"{quantity:g}s"


KINDS: dict[str, type[_Quantity]] = {"": Count, "bytes": Size, "seconds": Seconds}


class LimitOption(click.Option):
    """An option that the help lists among the limits."""


class LimitedCommand(click.Command):
    """A command whose help lists its limits apart."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, then the limits."""
        for title, is_limit in (("Options", False), ("Limits", True)):
            parameters = [each for each in self.get_params(ctx) if isinstance(each, LimitOption) == is_limit]
            with formatter.section(title):
                formatter.write_dl([record for each in parameters if (record := each.get_help_record(ctx))])


def limit_options(kind: type[Struct]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds an option for each field of a struct of limits."""
    hints = get_type_hints(kind, include_extras=True)

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for field in reversed(structs.fields(kind)):
            command = _option(field.name, field.default, hints[field.name].__metadata__[0])(command)
        return command

    return add


def _option(name: str, default: Any, meta: Meta) -> Callable[[Callable[..., None]], Callable[..., None]]:
    unit = KINDS[(meta.extra or {})["unit"]](meta)
    return click.option(
        f"--{name.replace('_', '-')}",
        cls=LimitOption,
        type=unit,
        metavar=unit.name.upper(),
        default=unit.format(default),
        envvar=f"LAURELS_{name.upper()}",
        show_default=True,
        show_envvar=True,
        help=meta.description,
    )
