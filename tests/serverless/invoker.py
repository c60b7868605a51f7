"""A program that calls the functions as Lambda does: it imports the handlers once, then takes events from stdin.

Each line of stdin is ``{"function", "event"}``; what the function gives goes to the file descriptor that is told, so
that stdout has only what functions tell of themselves. Foreign loggers may write all they want, as where Lambda's own
log level is DEBUG.
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
    """Serve until stdin ends."""
    logging.basicConfig(level=logging.DEBUG, stream=sys.stdout)
    handlers = import_module("laurels.serverless.handlers")
    with os.fdopen(descriptor, "w") as answers:
        answers.write("\n")
        answers.flush()
        for line in sys.stdin:
            asked = json.loads(line)
            context = LambdaContext(str(uuid.uuid4()), None, None, 0)
            answers.write(json.dumps(getattr(handlers, asked["function"])(asked["event"], context)) + "\n")
            answers.flush()
