"""The client of a service, for programs that block."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from laurels.blocking import Blocking, blocking, blocking_iterator
from laurels.client.async_client import TIMEOUT, AsyncClient
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.limits import PAGE_ENTRIES

if TYPE_CHECKING:
    import httpx

    from laurels.client.keys import Key
    from laurels.client.retries import Retries


class Client(Blocking[AsyncClient]):
    """A client of one service, over HTTP, for programs that block; several threads may use it at a time.

    It has what :class:`AsyncClient` has: the same parameters and calls, with the same results and errors. It drives
    one, in a thread of its own, which begins with the first call and ends with :meth:`close`, with a ``with`` block,
    or with the program. After a fork either process goes on with connections of its own.
    """

    def __init__(
        self,
        url: str = DEFAULT_ORIGIN,
        *,
        key: Key | None = None,
        timeout: float = TIMEOUT,
        retries: Retries | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        make = partial(AsyncClient, url, key=key, timeout=timeout, retries=retries, transport=transport)
        super().__init__(make, AsyncClient.close)

    submit = blocking(AsyncClient.submit)
    submit_with_receipt = blocking(AsyncClient.submit_with_receipt)
    submit_many = blocking(AsyncClient.submit_many)
    restore = blocking(AsyncClient.restore)
    set_metadata = blocking(AsyncClient.set_metadata)
    remove = blocking(AsyncClient.remove)
    drop = blocking(AsyncClient.drop)

    standing = blocking(AsyncClient.standing)
    standing_in_full = blocking(AsyncClient.standing_in_full)
    page = blocking(AsyncClient.page)
    pages = blocking_iterator(AsyncClient.pages)
    entries = blocking_iterator(AsyncClient.entries, PAGE_ENTRIES)
    around = blocking(AsyncClient.around)
    between = blocking(AsyncClient.between)
    names = blocking(AsyncClient.names)
    summary = blocking(AsyncClient.summary)
    rank_of = blocking(AsyncClient.rank_of)

    live = blocking_iterator(AsyncClient.live)
    live_standing = blocking_iterator(AsyncClient.live_standing)
    live_events = blocking_iterator(AsyncClient.live_events)

    boards = blocking_iterator(AsyncClient.boards, PAGE_ENTRIES)
    definition = blocking(AsyncClient.definition)
    definition_and_tag = blocking(AsyncClient.definition_and_tag)
    define = blocking(AsyncClient.define)
    undefine = blocking(AsyncClient.undefine)
    periods = blocking_iterator(AsyncClient.periods, PAGE_ENTRIES)

    hide = blocking(AsyncClient.hide)
    show = blocking(AsyncClient.show)
    hidden = blocking_iterator(AsyncClient.hidden, PAGE_ENTRIES)
    held = blocking_iterator(AsyncClient.held, PAGE_ENTRIES)
    release = blocking(AsyncClient.release)
    reject = blocking(AsyncClient.reject)

    give_token = blocking(AsyncClient.give_token)
    give_anonymous_token = blocking(AsyncClient.give_anonymous_token)
    make_run = blocking(AsyncClient.make_run)

    service = blocking(AsyncClient.service)
    health = blocking(AsyncClient.health)
    ready = blocking(AsyncClient.ready)
    whoami = blocking(AsyncClient.whoami)
    keys = blocking_iterator(AsyncClient.keys, PAGE_ENTRIES)
    revoke = blocking(AsyncClient.revoke)
    audit = blocking_iterator(AsyncClient.audit, PAGE_ENTRIES)
    backup = blocking_iterator(AsyncClient.backup)
    metrics = blocking(AsyncClient.metrics)
    openapi = blocking(AsyncClient.openapi)
