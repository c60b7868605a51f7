"""Momento's errors: the SDK returns them as answers, and each is translated to one of ours here, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from momento.errors import SdkException, exceptions
from momento.responses.mixins import ErrorResponseMixin

from laurels.errors import (
    AnswerLost,
    CacheMissing,
    KeyRefused,
    LimitReached,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")


def _answer_lost(problem: str) -> Callable[[str, SdkException], StoreError]:
    return lambda _, __: AnswerLost(f"Momento {problem}")


def _store_refused(_: str, error: SdkException) -> StoreError:
    return StoreRefused(error.message.rstrip("."))


ERRORS: dict[type[SdkException], Callable[[str, SdkException], StoreError]] = {
    exceptions.LimitExceededException: lambda _, error: LimitReached(f"Momento: {error.message_wrapper}"),
    exceptions.TimeoutException: _answer_lost("did not answer in time"),
    exceptions.ServerUnavailableException: _answer_lost("cannot be reached"),
    exceptions.ConnectionException: _answer_lost("cannot be reached"),
    exceptions.CancelledException: _answer_lost("broke the call off"),
    exceptions.InternalServerException: _answer_lost("failed"),
    exceptions.UnknownServiceException: _answer_lost("failed and did not say how"),
    exceptions.UnknownException: _answer_lost("could not be asked, or gave no answer that its SDK knows"),
    exceptions.ClientResourceExhaustedException: lambda _, __: StoreUnavailable(
        "Momento could not be asked: this process is short of memory"
    ),
    exceptions.AuthenticationException: lambda _, __: KeyRefused("it is wrong, has expired or was revoked"),
    exceptions.PermissionDeniedException: lambda _, __: KeyRefused("it has no right to do this"),
    exceptions.NotFoundException: lambda cache, _: CacheMissing(cache),
    exceptions.AlreadyExistsException: _store_refused,
    exceptions.BadRequestException: _store_refused,
    exceptions.FailedPreconditionException: _store_refused,
    exceptions.InvalidArgumentException: _store_refused,
}
"""What makes our error of each error of the SDK, from the cache's name and the SDK's own exception.

By class, because two classes share a code. What Momento says is left out of our message if it could reveal something of
this network or of the key; it is kept as the cause.
"""


def check_answer(cache: str, answer: R) -> R:
    """Return the SDK's answer unless it is an error; raise ours then. ``cache`` is the one that was asked for."""
    if isinstance(answer, ErrorResponseMixin):
        raise translate(cache, answer.inner_exception) from answer.inner_exception
    return answer


def translate(cache: str, error: SdkException) -> StoreError:
    """Return our error for one of the SDK."""
    return ERRORS[type(error)](cache, error)
