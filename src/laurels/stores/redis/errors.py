"""What the errors of a server mean: each is translated to one of ours here, once.

What a server says is left out if it could reveal something of this network, of its users or of its keys.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

from laurels.errors import ServerFull, ServerUnusable, StoreRefused, StoreUnavailable

_log = logging.getLogger("laurels.stores")

if TYPE_CHECKING:
    from collections.abc import Callable

    from laurels.errors import StoreError

_IN_SCRIPT = re.compile(r"-?\b(OOM|WRONGTYPE|READONLY|MISCONF|NOREPLICAS|NOPERM|MOVED|ASK|CLUSTERDOWN)\b")
"""What 6.2 puts into the error of a script; later servers begin with it."""
_RIGHTS = re.compile(r"ACL failure in script|user executing the script can't")
_COMMAND = re.compile(r"'([a-z|]+)' command", re.IGNORECASE)

PASSING = {
    "BUSY": "A script that somebody runs keeps Redis busy",
    "LOADING": "Redis is loading its data",
    "MASTERDOWN": "The primary of Redis is gone",
    "TRYAGAIN": "The cluster is moving these keys",
    "CLUSTERDOWN": "The cluster is down, or a part of it",
    "NOREPLICAS": "Redis has too few replicas to take a change",
    "READONLY": "Redis answers as a replica, which takes no changes",
}
"""What is over by itself, by its code: nothing was done, and it is tried again."""


def code_of(text: str) -> str:
    """Return the code of an error, also of one that a script met."""
    code = text.partition(" ")[0]
    if code == "ERR" and _RIGHTS.search(text):
        return "NOPERM"
    if code == "ERR" and (found := _IN_SCRIPT.search(text)):
        return found[1]
    return code


def _no_permission(text: str) -> StoreError:
    found = _COMMAND.search(text)
    what = f"the command {found[1].upper()}" if found else "a command or a key"
    return ServerUnusable(f"Redis does not permit {what} to this user", "have the operator extend its rights (ACL)")


def in_cluster() -> ServerUnusable:
    """Return the error of a node of a cluster that is named as a server by itself."""
    return ServerUnusable("This is a node of a cluster", "have the operator name it as redis+cluster://")


TRANSLATE: dict[str, Callable[[str], StoreError]] = {
    "OOM": lambda _: ServerFull(),
    "WRONGTYPE": lambda _: StoreRefused("another program has put a key of another kind where this board is"),
    "CROSSSLOT": lambda _: in_cluster(),
    "MOVED": lambda _: in_cluster(),
    "NOPERM": _no_permission,
    "NOAUTH": lambda _: ServerUnusable("Redis asks for a password", "have the operator give one"),
    "WRONGPASS": lambda _: ServerUnusable("Redis refuses the user or the password", "have the operator correct them"),
    "MISCONF": lambda _: StoreUnavailable("Redis cannot write to its disk, and takes no changes", retry_after=10),
}


CONNECTING = {
    "max number of clients": ("Redis has as many connections as it takes", "have the operator raise maxclients there"),
    "DENIED": ("Redis takes connections from its own machine alone", "have the operator set a password there"),
    "DB index": ("Redis has no database of that number", "have the operator correct the URL"),
    "without any password": ("Redis has no password, and is shown one", "have the operator set it there, or give none"),
}
"""What only a new connection is refused for, by what the server says then; and what the operator can do about it."""


def refuse_connection(text: str) -> StoreUnavailable:
    """Return our error for what a server says to a new connection: whatever it is, it may be over the next time."""
    for part, (problem, remedy) in CONNECTING.items():
        if part in text:
            return ServerUnusable(problem, remedy)
    error = translate(text)
    if isinstance(error, StoreUnavailable):
        return error
    return ServerUnusable("Redis refuses connections", "have the operator look into the log of the service")


def translate(text: str) -> StoreError:
    """Return our error for what a server answered."""
    code = code_of(text)
    if code in PASSING:
        return StoreUnavailable(PASSING[code])
    if code in TRANSLATE:
        return TRANSLATE[code](text)
    _log.error("Redis refused a call: %s", text)
    return StoreRefused("Redis failed at it, as the log of the service says")
