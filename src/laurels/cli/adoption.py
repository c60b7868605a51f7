"""What `laurels import` does with --from-redis: its options, and how they go together with those of a file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from laurels.cli.credentials import take_reference
from laurels.cli.key_pattern import KeyPattern
from laurels.cli.options import redis_ca_option, redis_password_option
from laurels.optional import load
from laurels.stores.redis.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

BOTH = {"board", "key", "key_file", "server", "as_json"}
"""The parameters that go with a file and with Redis."""
FIELDS = {"order": ["descending", "ascending"], "operator": ["latest", "best", "increment"]}
"""The fields of the definition of new boards that are asked for."""
_OPTIONS = (
    click.option(
        "--from-redis",
        metavar="URL",
        help="Import sorted sets from this server of Redis or Valkey instead: "
        "redis://, rediss://, redis+sentinel:// or redis+cluster://.",
    ),
    click.option(
        "--key",
        metavar="PATTERN|env:NAME|file:PATH",
        help="With --from-redis the keys to import, as in "
        "'leaderboard:*'. Without it, where the key or the token is that is shown to the service.",
    ),
    click.option(
        "--order",
        type=click.Choice(FIELDS["order"]),
        help="With --from-redis: which scores rank first on boards that are not there yet.",
    ),
    click.option(
        "--operator",
        type=click.Choice(FIELDS["operator"]),
        help="With --from-redis: what later submits do on boards that are not there yet.",
    ),
    click.option("--delete", is_flag=True, help="With --from-redis: remove from the boards what is no member."),
    redis_password_option,
    redis_ca_option,
)
REDIS = ("order", "operator", "delete", "redis_password_file", "redis_ca_file")


def redis_options(command: F) -> F:
    """Add the options of an import from Redis."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def check_kind(*, from_redis: bool) -> None:
    """Raise UsageError if an option is given that does not go with the kind of import."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) is not ParameterSource.COMMANDLINE or name in BOTH:
            continue
        if (name in REDIS or name == "from_redis") != from_redis:
            shown = parameter.opts[0] if isinstance(parameter, click.Option) else "FILE"
            raise click.UsageError(f"{shown} {'does not go' if from_redis else 'goes only'} with --from-redis.")


def take_credential(reference: str | None) -> None:
    """Read the key that --key says the place of, as all commands do."""
    context = click.get_current_context()
    parameter = next(each for each in context.command.params if each.name == "key")
    take_reference(context, parameter, reference)


def import_from_redis(server: str, board: str | None, options: dict[str, Any], *, as_json: bool) -> None:
    """Import sorted sets; end with status 1 if a member was refused."""
    pattern = options["key"]
    if not pattern:
        raise click.UsageError("--from-redis needs --key: the keys to import, as in --key 'leaderboard:*'.")
    wanted = load("laurels.cli.redis_import:Wanted")(
        options["from_redis"],
        RedisSettings(password_file=options["redis_password_file"], ca_file=options["redis_ca_file"]),
        pattern,
        KeyPattern(pattern, board),
        {name: options[name] for name in FIELDS if options[name]},
        options["delete"],
    )
    if asyncio.run(load("laurels.cli.redis_import:import_sets")(server, wanted, as_json=as_json)):
        click.get_current_context().exit(1)
