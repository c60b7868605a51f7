"""The import of sorted sets from a server of Redis."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct, field

from laurels.cli.client import PATIENT
from laurels.cli.errors import SourceFailed
from laurels.cli.options import open_client
from laurels.cli.printing import write_json
from laurels.cli.redis_source import open_source
from laurels.cli.restorer import RefusedEntry, Restorer
from laurels.cli.tables import SHOWN_REFUSALS, ProgressLine
from laurels.client.errors import RequestRefused
from laurels.errors import truncate
from laurels.stores.redis.settings import RedisSettings  # noqa: TC001 - a struct needs the type

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from laurels.cli.client import CommandClient
    from laurels.cli.key_pattern import KeyPattern
    from laurels.cli.redis_source import RedisSource, SortedSet

NOT_FOUND = 404


class ImportedSet(Struct):
    """What became of a sorted set; ``removed`` counts the entries that were removed from the board."""

    key: str
    board: str
    accepted: int = 0
    refused: list[RefusedEntry] = field(default_factory=list)
    removed: int = 0


class ImportedSets(Struct):
    """The result of an import; ``problem`` is why it stopped before its end, if it did."""

    sets: list[ImportedSet] = field(default_factory=list)
    problem: str | None = None


class Wanted(Struct, frozen=True):
    """What is asked of an import: the keys, the fields of the definition of new boards, and whether to remove."""

    url: str
    redis: RedisSettings
    pattern: str
    keys: KeyPattern
    definition: dict[str, Any]
    delete: bool


async def import_sets(server: str, wanted: Wanted, *, as_json: bool) -> int:
    """Import sorted sets to boards of a service; return how many members were refused."""
    done = ImportedSets()
    progress = ProgressLine(wanted.pattern, None, quiet=as_json)
    try:
        async with open_source(wanted.url, wanted.redis) as source, open_client(server, PATIENT) as client:
            sets = _name_boards(await source.sorted_sets(wanted.pattern), wanted)
            with progress:
                progress.expect(sum(each.count for each in sets.values()))
                for board, sorted_set in sets.items():
                    await _define(client, board, wanted.definition)
                    imported = ImportedSet(sorted_set.key.decode(errors="backslashreplace"), board)
                    done.sets.append(imported)
                    await _import(source, sorted_set, client, imported, progress)
                    if wanted.delete:
                        await _remove_others(source, sorted_set, client, imported)
    except BaseException as error:
        done.problem = str(error) or "interrupted"
        raise
    finally:
        if as_json:
            write_json(done)
    if not as_json:
        _show(done, progress)
    return sum(len(each.refused) for each in done.sets)


def _name_boards(sets: Sequence[SortedSet], wanted: Wanted) -> dict[str, SortedSet]:
    """Return the sorted sets by the boards that they become."""
    if not sets:
        raise SourceFailed(
            wanted.pattern, "no sorted set has such a key. (With --from-redis, --key says which are imported.)"
        )
    named: dict[str, SortedSet] = {}
    for each in sets:
        board = wanted.keys.board_of(each.key)
        if board in named:
            raise click.UsageError(f"More than one key becomes the board {truncate(board)!r}: --board says which do.")
        named[board] = each
    return named


async def _define(client: CommandClient, board: str, fields: dict[str, Any]) -> None:
    """Define a board that is not there; raise UsageError if one that is has other rules."""
    if not fields:
        return
    try:
        found = await client.definition(board)
    except RequestRefused as refusal:
        if refusal.status != NOT_FOUND:
            raise
        await client.define(board, fields)
        return
    for name, value in fields.items():
        if (has := getattr(found, name)) != value:
            raise click.UsageError(f"The board {truncate(board)!r} is there, and its {name} is {has}, not {value}.")


async def _import(
    source: RedisSource, sorted_set: SortedSet, client: CommandClient, imported: ImportedSet, progress: ProgressLine
) -> None:
    restorer = Restorer(client, imported.board)
    async with _counting(restorer, imported):
        async for good, unfit in source.portions(sorted_set):
            imported.refused += [RefusedEntry(each.name, each.problem) for each in unfit]
            await restorer.add(good)
            progress.move(len(good) + len(unfit), progress.rows)
        await restorer.finish()


@asynccontextmanager
async def _counting(restorer: Restorer, imported: ImportedSet) -> AsyncIterator[None]:
    """Have the result say what was restored, however the block ends."""
    try:
        yield
    finally:
        await restorer.cancel()
        imported.accepted = restorer.accepted
        imported.refused += restorer.refused


async def _remove_others(
    source: RedisSource, sorted_set: SortedSet, client: CommandClient, imported: ImportedSet
) -> None:
    """Remove from a board what is no member."""
    async for page in client.pages(imported.board):
        for name in await source.missing(sorted_set, [each.name for each in page]):
            await client.remove(imported.board, name)
            imported.removed += 1


def _show(done: ImportedSets, progress: ProgressLine) -> None:
    refused = [(each.board, entry) for each in done.sets for entry in each.refused]
    for board, entry in refused[:SHOWN_REFUSALS]:
        progress.write_line(f"{board}: {entry.name}: {entry.problem}")
    if len(refused) > SHOWN_REFUSALS:
        progress.write_line(f"... and {len(refused) - SHOWN_REFUSALS:,} more members refused (--json lists them all)")
    for each in done.sets:
        removed = f", {each.removed:,} others removed" if each.removed else ""
        progress.write_line(f"{each.key} is on {each.board}: {each.accepted:,} members{removed}")
    kept = sum(each.accepted for each in done.sets)
    boards = f"{len(done.sets):,} boards" if len(done.sets) != 1 else done.sets[0].board
    progress.write_line(progress.summary(f"Kept {kept:,} of {kept + len(refused):,} members on {boards}"))
