"""The functions as Lambda calls them, one for each route. All that can be done at import is, before any request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from laurels.serverless import environment
from laurels.serverless.function import Function

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    Answer = dict[str, Any]

function = Function(environment.read(os.environ))
function.warm()


def submit_score(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answer ``POST /{board}/{name}``."""
    return function.answer(event, context, "submit_score")


def get_standing(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answer ``GET /{board}/{name}``."""
    return function.answer(event, context, "get_standing")


def get_leaderboard(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answer ``GET /{board}``."""
    return function.answer(event, context, "get_leaderboard")
