"""The command that moves boards from one store or service to another."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field
from msgspec.structs import replace as replaced

from laurels.cli.credentials import find_credential, read_reference
from laurels.cli.moving import MovedBoard, Mover
from laurels.cli.options import eviction_option, json_option, redis_ca_option, redis_password_option
from laurels.cli.printing import write_json
from laurels.cli.sides import SERVICES, Side, open_side
from laurels.cli.tables import SHOWN_REFUSALS, ProgressLine
from laurels.errors import truncate
from laurels.stores.redis.settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from laurels.cli.client import CommandClient
    from laurels.cli.credentials import Credential

EPILOG = """\b
Examples:
  laurels move ./laurels-data redis://localhost/0
  laurels move redis://localhost/0 https://boards.example --to-key file:to.key
  laurels move http://127.0.0.1:8000 ./copy --board mario-kart
"""
JOURNAL = "journal.db"
"""The file that every directory of the embedded store has."""


class Moved(Struct):
    """The result of a move; ``problem`` is why it stopped before its end, if it did."""

    boards: list[MovedBoard] = field(default_factory=list)
    verified: bool = False
    problem: str | None = None


def _credential(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Credential | None:
    return None if value is None else read_reference(value)


@click.command(epilog=EPILOG)
@click.argument("source", metavar="FROM", help="A directory of the embedded store, redis://..., or http(s)://...")
@click.argument("target", metavar="TO", help="The same; a directory is made if it is missing.")
@click.option("--board", "names", metavar="NAME", multiple=True, help="Move this board alone; repeatable.")
@click.option(
    "--replace", is_flag=True, help="Drop boards of these names at TO that are no older copies, and move them anew."
)
@click.option(
    "--from-key", "source_key", metavar="env:NAME|file:PATH", callback=_credential, help="Where the key to FROM is."
)
@click.option(
    "--to-key", "target_key", metavar="env:NAME|file:PATH", callback=_credential, help="Where the key to TO is."
)
@redis_password_option
@click.option(
    "--from-redis-password-file",
    "source_password_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The same of FROM, if TO has another.",
)
@redis_ca_option
@eviction_option
@json_option
def move(*, source: str, target: str, names: tuple[str, ...], replace: bool, as_json: bool, **options: Any) -> None:
    """Move boards from one store or service to another, exactly.

    FROM and TO are a directory of the embedded store that no service runs on, the URL of a store on Redis, or that of a
    running service. Definitions, entries with their scores, times and metadata, their order, hidden names and the
    periods of windows are brought, and FROM stays as it is. At the end both are read, entry by entry: the exit status
    is 1 if there is any difference. Run it again if it was stopped, or for what has changed at FROM since.

    Not moved are idempotency keys, held scores, and what a guard remembers. The time of a ttl begins anew.

    A board that TO has already is brought up to date if it is an older copy. If it has a name that FROM does not have,
    or a newer entry, the move is refused, and with --replace it is dropped there first. Other boards at TO stay.
    """
    redis = RedisSettings(
        allow_eviction=options["allow_eviction"],
        password_file=options["redis_password_file"],
        ca_file=options["redis_ca_file"],
    )
    # What is only read there was lost before, or will not be
    read = replaced(redis, allow_eviction=True, password_file=options["source_password_file"] or redis.password_file)
    sides = _side(source, options["source_key"], read), _side(target, options["target_key"], redis)
    if sides[0].is_as(sides[1]):
        raise click.UsageError("FROM and TO are the same.")
    if (directory := sides[0].directory) is not None and not (directory / JOURNAL).is_file():
        raise click.UsageError(
            f"FROM: {directory} is no directory of the embedded store, and no URL of a store or a service."
        )
    done = Moved()
    progress = ProgressLine(f"{sides[0]} to {sides[1]}", None, quiet=as_json)
    try:
        asyncio.run(_move(sides, names, done, progress, replaces=replace))
    except BaseException as error:
        done.problem = str(error) or "interrupted"
        raise
    finally:
        if as_json:
            write_json(done)
        else:
            _show(done, progress)
    if not done.verified:
        click.get_current_context().exit(1)


def _side(place: str, credential: Credential | None, redis: RedisSettings) -> Side:
    return Side(place, credential or (find_credential() if place.startswith(SERVICES) else None), redis)


async def _move(
    sides: tuple[Side, Side], names: Sequence[str], done: Moved, progress: ProgressLine, *, replaces: bool
) -> None:
    async with AsyncExitStack() as opened:
        source, target = [await opened.enter_async_context(open_side(side)) for side in sides]
        movers = await _prepare(source, target, names, replaces=replaces)
        done.boards = [each.moved for each in movers]
        opened.enter_context(progress)
        for mover in movers:
            await mover.move(progress.move)
        for mover in movers:
            await mover.verify()
        done.verified = not any(each.differences or each.refused for each in done.boards)


async def _prepare(
    source: CommandClient, target: CommandClient, names: Sequence[str], *, replaces: bool
) -> list[Mover]:
    """Return what moves each board; raise UsageError for one that is not there."""
    here, there = [{each.name: each async for each in side.boards()} for side in (source, target)]
    if missing := [name for name in names if name not in here]:
        raise click.UsageError(f"FROM has no board {truncate(missing[0])!r}.")
    if not here:
        raise click.UsageError("FROM has no boards. Is it the right place, and the right database?")
    wanted = [here[name] for name in dict.fromkeys(names) or here]
    return [Mover((source, target), each, there.get(each.name), replaces=replaces) for each in wanted]


def _show(done: Moved, progress: ProgressLine) -> None:
    for each in done.boards:
        more = [f"{each.entries:,} entries", f"{each.sent:,} of them sent"]
        more += ["another board of that name dropped"] if each.replaced else []
        more += [f"{each.hidden:,} names hidden"] if each.hidden else []
        more += [f"{each.held:,} held scores stay behind: decide about them at FROM"] if each.held else []
        progress.write_line(f"{each.board}: {', '.join(more)}")
    problems = [f"{each.board}: {one.name}: refused: {one.problem}" for each in done.boards for one in each.refused]
    for each in done.boards:
        for one in each.differences:
            where = f" ({one.window} {one.period})" if one.window else ""
            problems.append(f"{each.board}{where}: {one.name + ': ' if one.name else ''}{one.problem}")
    for problem in problems[:SHOWN_REFUSALS]:
        progress.write_line(problem)
    if len(problems) > SHOWN_REFUSALS:
        progress.write_line(f"... and {len(problems) - SHOWN_REFUSALS:,} more (--json lists them all)")
    boards = f"{len(done.boards):,} board{'s' * (len(done.boards) != 1)}"
    if done.verified:
        progress.write_line(f"Moved and verified {boards}")
    elif done.problem is None:
        progress.write_line(
            f"Moved {boards}, and they are not the same: has something changed meanwhile? Run it again."
        )
    else:
        progress.write_line("Stopped. Run the same command again to go on.")
