"""The CDK app: one stack for one stage, as the context says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from aws_cdk import App

from infra.settings import read
from infra.stack import LaurelsStack
from laurels.errors import LaurelsError

if TYPE_CHECKING:
    from infra.settings import Settings


def add_stage(app: App) -> tuple[Settings, dict[str, Any]]:
    """Add the stack that the app's context asks for; give its settings, and which defaults are among them."""
    settings, taken = read(app.node.get_all_context())
    LaurelsStack(app, settings=settings)
    return settings, taken


def main() -> None:
    """Synthesize, and say which defaults were taken; end with the reason where it cannot be."""
    app = App()
    try:
        _, taken = add_stage(app)
    except LaurelsError as error:
        sys.exit(str(error))
    sys.stderr.write(f"Defaults taken: {', '.join(f'{name}={value}' for name, value in taken.items())}.\n")
    app.synth()


if __name__ == "__main__":
    main()
