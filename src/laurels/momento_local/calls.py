"""The calls that are served, by their services: what the server answers, a fault may be for, and the docs list."""

from __future__ import annotations

from laurels.momento_local import control, leaderboards, scalars, sorted_sets, tokens, topics

ITEMS = scalars.CALLS | sorted_sets.CALLS | leaderboards.CALLS
"""Those on what is in a cache, which its name in the metadata says."""

SERVED = {
    "cache_client.Scs": (*scalars.CALLS, *sorted_sets.CALLS),
    "leaderboard.Leaderboard": tuple(leaderboards.CALLS),
    "cache_client.pubsub.Pubsub": topics.CALLS,
    "control_client.ScsControl": tuple(control.CALLS),
    "token.Token": tuple(tokens.DISPOSABLE),
    "auth.Auth": tuple(tokens.KEYS),
}
"""The names of the calls of each service; any other call answers UNIMPLEMENTED."""

NAMES = frozenset(name for names in SERVED.values() for name in names)
