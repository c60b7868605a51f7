"""Rate limits: how often an address, a key or a player may ask, as the access file says it.

    429 Too Many Requests
    Retry-After: 3
    RateLimit-Policy: "requests";q=40;w=2, "submits";q=10;w=5
    RateLimit: "submits";r=0;t=3

The two fields are those of draft-ietf-httpapi-ratelimit-headers-11 (May 2026): of each limit how many requests at once
(``q``), and in how many seconds as many may come again (``w``); and of the one that refused how many are left (``r``),
and when to come again (``t``). Seconds are whole, rounded up.

**Shared.** Over a store with meters that all processes share, each request is counted there before it is let in, so the
limits are those of all processes together. The meters here then say what those last said: who is over a limit by them
is refused without a call. While the store does not answer, they decide alone.

Addresses of IPv6 are metered by their network of 64 bits, because whoever has one has them all.
"""

from __future__ import annotations

from functools import lru_cache, partial
from ipaddress import IPv6Address, IPv6Network
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from laurels.access.rates import Meters, Rate, Rates, key_of
from laurels.errors import StoreError, TooManyRequests, truncate
from laurels.http.hosts import parse_address
from laurels.http.proxies import read_address
from laurels.limits import ANONYMOUS_TOKENS, SECONDS, read_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from laurels.access.file import AccessFile, RateLimits
    from laurels.access.principal import Principal
    from laurels.http.operation import Operation
    from laurels.stores.contract import SharedMeters

CALLED = {SECONDS["s"]: "a second", SECONDS["m"]: "a minute", SECONDS["h"]: "an hour", SECONDS["d"]: "a day"}
ANONYMOUS_RATES = Rates(Rate("tokens", ANONYMOUS_TOKENS, 60 * 60, ANONYMOUS_TOKENS))
"""How many tokens an address may have made for new players; there is no right to ask for."""
REMEMBERED = 1000
"""Of the addresses: most requests come from few."""


Limit: TypeAlias = "Callable[[], Coroutine[Any, Any, None]]"
"""What is still to be awaited of a limit: it raises TooManyRequests, or the request is counted."""


class Metered(NamedTuple):
    """Where somebody is metered, here and in what is shared, and by which limits."""

    meters: Meters
    key: int
    rates: Rates
    subject: str
    is_principal: bool = False


class RateLimiter:
    """The limits of an access file and the meters of all whom they are for: ``most`` addresses, and as many players."""

    def __init__(self, file: AccessFile, most: int, *, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self.shared: SharedMeters | None = None
        self._addresses, self._keys, self._players, self._anonymous_tokens = (Meters(most) for _ in range(4))
        self.replace(file)

    def replace(self, file: AccessFile) -> None:
        """Go by the limits of another file from now on; the meters go on."""
        self._of_address = read_rates(file.public.limits)
        self._of_key = {name: read_rates(key.limits) for name, key in file.keys.items()}
        self._of_player = read_rates(file.players.limits) if file.players else Rates()

    def meter_address(self, client: str) -> Metered | None:
        """Return where an address is metered; None if it has no limits."""
        if not self._of_address:
            return None
        return Metered(self._addresses, _address_key(client), self._of_address, _subject(client))

    def meter_principal(self, principal: Principal) -> Metered | None:
        """Return where a key or a player is metered; None for those without limits."""
        if principal.kind == "player":
            meters, rates = self._players, self._of_player
        else:
            meters, rates = self._keys, self._of_key.get(principal.name, Rates())
        return Metered(meters, key_of(principal.name), rates, str(principal), is_principal=True) if rates else None

    def limit_address(self, client: str, operation: Operation) -> Limit | None:
        """Count a request of an address; raise TooManyRequests instead if that is one too many.

        What is returned, of this and of the other limits, says so when it is awaited.
        """
        metered = self.meter_address(client)
        if metered is None:
            return None
        return self._take(metered, f"from {name_network(client)}", is_submit=operation.is_submit)

    def check_address(self, client: str, operation: Operation) -> None:
        """Raise TooManyRequests if a request of an address would be one too many, and count nothing."""
        metered = self.meter_address(client)
        if metered is not None:
            now = self._now()
            if metered.meters.wait(metered.key, metered.rates, now, is_submit=operation.is_submit):
                raise _refusal(metered, now, f"from {name_network(client)}", is_submit=operation.is_submit)

    def limit_principal(self, principal: Principal, operation: Operation) -> Limit | None:
        """Count a request of a key or a player; raise TooManyRequests instead if that is one too many."""
        metered = self.meter_principal(principal)
        if metered is None:
            return None
        whose = f"{'of the player' if principal.kind == 'player' else 'with the key'} {truncate(principal.name)!r}"
        return self._take(metered, whose, is_submit=operation.is_submit)

    def limit_anonymous_tokens(self, client: str) -> Limit | None:
        """Count a token for a new player at an address; raise TooManyRequests instead if that is one too many."""
        metered = Metered(self._anonymous_tokens, _address_key(client), ANONYMOUS_RATES, f"tokens:{_subject(client)}")
        return self._take(metered, f"for {name_network(client)}", is_submit=False)

    def _take(self, metered: Metered, whose: str, *, is_submit: bool) -> Limit | None:
        now, take = self._now(), metered.meters.take if self.shared is None else metered.meters.wait
        if take(metered.key, metered.rates, now, is_submit=is_submit):
            raise _refusal(metered, now, whose, is_submit=is_submit)
        return None if self.shared is None else partial(self._take_shared, self.shared, metered, whose, is_submit)

    async def _take_shared(self, shared: SharedMeters, metered: Metered, whose: str, is_submit: bool) -> None:  # noqa: FBT001
        meters, key, rates, subject, _ = metered
        submits = rates.submits if is_submit else None
        try:
            taken = await shared.take(subject, _words(rates.requests), _words(submits))
        except StoreError:
            now = self._now()
            is_counted = not meters.take(key, rates, now, is_submit=is_submit)
        else:
            now, is_counted = self._now(), taken.is_counted
            meters.follow(key, now, taken.requests_due, taken.submits_due)
        if not is_counted:
            raise _refusal(metered, now, whose, is_submit=is_submit)


def _subject(client: str) -> str:
    return f"address:{name_network(client).split()[-1]}"


def _words(rate: Rate | None) -> tuple[float, float]:
    return (0, 0) if rate is None else (rate.interval, rate.tolerance)


def read_rates(limits: RateLimits) -> Rates:
    """Return limits of an access file as they are metered."""
    return Rates(_read_rate("requests", limits.requests, limits), _read_rate("submits", limits.submits, limits))


def _read_rate(name: str, text: str | None, limits: RateLimits) -> Rate | None:
    if text is None:
        return None
    count, seconds = read_rate(text)
    return Rate(name, count, seconds, limits.burst or max(1, count // seconds))


@lru_cache(REMEMBERED)
def name_network(client: str) -> str:
    """Return what addresses are metered together with this one, as a message names it."""
    address = parse_address(read_address(client))
    if address is None:
        return "this address"  # a Unix socket's clients have none
    if isinstance(address, IPv6Address):
        return f"the network {IPv6Network((address, 64), strict=False)}"
    return f"the address {address}"


@lru_cache(REMEMBERED)
def _address_key(client: str) -> int:
    return key_of(name_network(client))


def _refusal(metered: Metered, now: float, whose: str, *, is_submit: bool) -> TooManyRequests:
    meters, key, rates, subject, _ = metered
    limit = meters.find_limiting(key, rates, now, is_submit=is_submit)
    seconds = max(1, ceil(meters.wait(key, rates, now, is_submit=is_submit)))
    policies = (each for each in (rates.requests, rates.submits) if each is not None)
    error = TooManyRequests(
        f"There are too many {limit.name} {whose}: {limit.count:,} {CALLED[int(limit.seconds)]} are allowed, "
        f"{limit.burst:,} at once. Come again in {seconds:,} {'second' if seconds == 1 else 'seconds'}.",
        seconds,
        limit.name,
        [(each.name, each.burst, each.window) for each in policies],
    )
    if metered.is_principal:
        error.who = subject
    return error
