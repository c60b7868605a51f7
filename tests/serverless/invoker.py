"""A program that calls the functions as Lambda does: it imports the handlers once, then takes events from stdin.

Each line of stdin is ``{"function", "event"}``; the function's answer goes to a file descriptor of its own, so that
stdout has only what the functions log. Foreign loggers log everything, as if Lambda's own log level were DEBUG.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import uuid
from importlib import import_module

from awslambdaric.lambda_context import LambdaContext


def main(descriptor: int) -> None:
    """Answer on ``descriptor`` until stdin ends."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    handlers = import_module("laurels.serverless.handlers")
    with os.fdopen(descriptor, "w") as answers:
        answers.write("\n")
        answers.flush()
        for line in sys.stdin:
            call = json.loads(line)
            context = LambdaContext(str(uuid.uuid4()), None, None, 0)
            answers.write(json.dumps(getattr(handlers, call["function"])(call["event"], context)) + "\n")
            answers.flush()
