"""The model of docs/scale.md, computed from what was measured (``scale.toml``): ``python -m bench.scale``."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__)
PAGE = HERE.parents[1] / "docs" / "scale.md"
PLAYERS = (10**6, 10**8, 10**9)
RATES = (1_000, 10_000, 100_000, 1_000_000)
HOURS, SECONDS = 730, 2_628_000
"""Of a month."""
NAMES = {10**6: "10^6", 10**8: "10^8", 10**9: "10^9"}
MOST_PARTITIONS = 64


class Routes(Struct, frozen=True):
    """A figure for each of the core routes."""

    standing: float
    page: float
    submit: float

    def mean(self, mix: Routes) -> float:
        """Return the mean over a mix of requests, given in parts of a hundred."""
        return (self.standing * mix.standing + self.page * mix.page + self.submit * mix.submit) / 100


class Partitioned(Routes, frozen=True):
    """The same, and what each partition adds to a read."""

    part: float

    def spread(self, partitions: int) -> Routes:
        """Return the figures for a board over so many partitions; submits go to one."""
        more = self.part * partitions if partitions > 1 else 0
        return Routes(self.standing + more, self.page + more, self.submit)


class Bytes(Struct, frozen=True):
    """Of an entry, by what its board keeps."""

    bare: float
    plain: float
    timed: float
    dense: float
    metadata: float
    embedded: float


class Network(Struct, frozen=True):
    """Bytes of a request and its answer."""

    client: Routes
    store: Routes


class Restart(Struct, frozen=True):
    """Of the embedded store."""

    seconds_a_million: float


class Rules(Struct, frozen=True):
    """How much is planned for, and the limits that are reckoned with."""

    busy: float
    filled: float
    node_gigabytes: float
    most_nodes: int
    machine_gigabytes: float
    restart_seconds: float
    invocations: int
    invocation_seconds: float


class Prices(Struct, frozen=True):
    """In US dollars."""

    core_hour: float
    gigabyte_hour: float
    node_hour: float
    gateway_million: float
    function_million: float
    momento_gigabyte: float


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """All that the page follows from."""

    machine: str
    date: str
    worker: Partitioned
    redis: Partitioned
    embedded: Routes
    bytes: Bytes
    network: Network
    restart: Restart
    mix: Routes
    rules: Rules
    prices: Prices

    # Redis

    def gigabytes(self, players: int) -> float:
        """Return the memory of a plain board's entries in Redis."""
        return players * self.bytes.plain / 1e9

    def nodes(self, players: int, rate: float, partitions: int = 1) -> int:
        """Return how many primaries hold the entries and answer the requests, if both are spread evenly."""
        for_memory = self.gigabytes(players) / (self.rules.node_gigabytes * self.rules.filled)
        for_requests = rate * self.redis.spread(partitions).mean(self.mix) / 1e6 / self.rules.busy
        return max(1, ceil(for_memory), ceil(for_requests))

    def workers(self, rate: float, partitions: int = 1) -> int:
        """Return how many workers, each with a core of its own, answer the requests; two at least."""
        return max(2, ceil(rate * self.worker.spread(partitions).mean(self.mix) / 1e6 / self.rules.busy))

    def redis_cost(self, players: int, rate: float) -> float:
        """Return the cost of a month, each primary with a replica."""
        nodes, workers = self.nodes(players, rate), self.workers(rate)
        return HOURS * (2 * nodes * self.prices.node_hour + workers * self.prices.core_hour)

    def redis_limit(self, players: int, rate: float) -> str:
        """Return what is nearest to its limit, and so would need the next primary."""
        if 2 * self.nodes(players, rate) > self.rules.most_nodes:
            return f"a cluster has {self.rules.most_nodes} nodes at most"
        memory = self.gigabytes(players) / (self.rules.node_gigabytes * self.rules.filled)
        threads = rate * self.redis.mean(self.mix) / 1e6 / self.rules.busy
        return "memory" if memory > threads else "Redis' threads"

    # One board over several nodes

    def partitions(self, players: int) -> int:
        """Return the least power of two of partitions, each of which fits a node; at most those that there can be."""
        needed, partitions = self.nodes(players, 0), 1
        while partitions < min(needed, MOST_PARTITIONS):
            partitions *= 2
        return partitions

    def most_requests(self, partitions: int) -> float:
        """Return how many requests a second one board answers at most, each partition on a node of its own."""
        return partitions * self.rules.busy * 1e6 / self.redis.spread(partitions).mean(self.mix)

    # The embedded store

    def embedded_limit(self, players: int, rate: float) -> str:
        """Return why one process does not do, or nothing."""
        most = 1e6 * self.rules.busy / self.embedded.mean(self.mix)
        memory = players * self.bytes.embedded * 2 / 1e9  # twice: what a rebuild of the index may need beside it
        away = self.restart.seconds_a_million * players / 1e6
        if rate > most:
            return f"its core, at {_number(most)}/s"
        if memory > self.rules.machine_gigabytes:
            return f"memory: {memory:.0f} GB"
        return f"a restart takes {away:.0f} s" if away > self.rules.restart_seconds else ""

    def embedded_cost(self, players: int) -> float:
        """Return the cost of a month of one machine with two cores."""
        memory = max(4.0, players * self.bytes.embedded * 2 / 1e9)
        return HOURS * (2 * self.prices.core_hour + memory * self.prices.gigabyte_hour)

    # Momento

    @property
    def momento_million(self) -> float:
        """Return the cost of a million requests."""
        moved = self.network.store.mean(self.mix) / 1e3 * self.prices.momento_gigabyte
        return self.prices.gateway_million + self.prices.function_million + moved

    def momento_limit(self, rate: float) -> str:
        """Return whether the functions' limit is reached, or nothing."""
        most = self.rules.invocations / self.rules.invocation_seconds
        return f"functions at once, at {_number(most)}/s" if rate > most else ""

    # The page

    def ways(self) -> Iterator[str]:
        """Yield the rows of the three ways."""
        yield "| players | requests/s | embedded | a month | Momento | a month | Redis' memory | primaries | workers "
        yield "| clients' network | a month | first to break on Redis | the right way |\n" + "|---" * 13 + "|\n"
        for players in PLAYERS:
            for rate in RATES:
                yield self._way(players, rate)

    def _way(self, players: int, rate: int) -> str:
        embedded, momento = self.embedded_limit(players, rate), self.momento_limit(rate)
        costs = {
            "embedded": None if embedded else self.embedded_cost(players),
            "Momento": None if momento else self.momento_million * rate * SECONDS / 1e6,
            "Redis": self.redis_cost(players, rate),
        }
        best = min((cost, way) for way, cost in costs.items() if cost is not None)[1]
        cells = [
            NAMES[players],
            f"{rate:,}",
            embedded or "yes",
            _dollars(costs["embedded"]),
            momento or "yes",
            _dollars(costs["Momento"]),
            f"{_number(self.gigabytes(players))} GB",
            f"{self.nodes(players, rate):,}",
            f"{self.workers(rate):,}",
            f"{_number(rate * self.network.client.mean(self.mix) * 8 / 1e9)} Gbit/s",
            _dollars(costs["Redis"]),
            self.redis_limit(players, rate),
            best,
        ]
        return "| " + " | ".join(cells) + " |\n"

    def boards(self) -> Iterator[str]:
        """Yield the rows of one board for all players."""
        yield "| partitions = primaries | entries that fit | requests/s at most | Redis, µs of all for a standing "
        yield "| worker, µs for a standing | workers at that rate |\n" + "|---" * 6 + "|\n"
        partitions = 1
        while partitions <= MOST_PARTITIONS:
            most = self.most_requests(partitions)
            fit = partitions * self.rules.node_gigabytes * self.rules.filled * 1e9 / self.bytes.plain
            redis, worker = (each.spread(partitions).standing for each in (self.redis, self.worker))
            yield (
                f"| {partitions} | {_number(fit)} | {_number(most)} | {redis:.0f} | {worker:.0f} "
                f"| {self.workers(most, partitions)} |\n"
            )
            partitions *= 4

    def entries(self) -> Iterator[str]:
        """Yield the rows of what entries take."""
        yield "| an entry | bytes | 10^6 | 10^8 | 10^9 |\n|---|---|---|---|---|\n"
        kinds = {
            "a bare sorted set in Redis": self.bytes.bare,
            "a plain board: beside it the time of each entry": self.bytes.plain,
            "ties by time: 12 bytes more in each member": self.bytes.timed,
            "dense ranks: each score once more": self.bytes.dense,
            "100 bytes of metadata": self.bytes.metadata,
            "in the embedded store, plain": self.bytes.embedded,
        }
        for kind, size in kinds.items():
            cells = " | ".join(f"{_number(players * size / 1e9)} GB" for players in PLAYERS)
            yield f"| {kind} | {size:g} | {cells} |\n"


def read() -> Model:
    """Return the model from what is beside this file."""
    return msgspec.toml.decode(HERE.with_suffix(".toml").read_bytes(), type=Model)


def page(model: Model) -> str:
    """Return the page."""
    template = HERE.with_name("scale.md").read_text(encoding="utf-8")
    rules, prices = model.rules, model.prices
    even = model.redis_cost(PLAYERS[0], 1) / model.momento_million / SECONDS * 1e6
    return _wrapped(
        template.format(
            model=model,
            rules=rules,
            prices=prices,
            ways="".join(model.ways()),
            boards="".join(model.boards()),
            entries="".join(model.entries()),
            worker=f"{model.worker.mean(model.mix):.1f}",
            redis=f"{model.redis.mean(model.mix):.1f}",
            embedded=f"{model.embedded.mean(model.mix):.1f}",
            client=f"{model.network.client.mean(model.mix):.0f}",
            store=f"{model.network.store.mean(model.mix):.0f}",
            million=f"{model.momento_million:.2f}",
            even=f"{even:.0f}",
            smallest=_dollars(model.redis_cost(PLAYERS[0], 1)),
            one=_number(1e6 * rules.busy / model.embedded.mean(model.mix)),
            single=_number(model.most_requests(1)),
            large=model.partitions(PLAYERS[-1]),
        )
    )


def _wrapped(text: str) -> str:
    """Return a page whose paragraphs and items of lists are in lines of at most 120 characters."""
    pieces = re.split(r"(\n\n|\n(?=- ))", text.strip())
    return "".join(piece if piece[0] in "\n#<|" else _filled(piece) for piece in pieces) + "\n"


def _filled(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return fill(" ".join(text.split()), 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _number(value: float) -> str:
    """Format two significant digits, large ones with commas."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"  # noqa: PLR2004


def _dollars(cost: float | None) -> str:
    return "" if cost is None else f"${_number(cost)}"


if __name__ == "__main__":
    PAGE.write_text(page(read()), encoding="utf-8")
