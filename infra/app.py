"""The CDK app: one stack for one stage, with the settings in CDK's context."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from aws_cdk import App

from infra.settings import read
from infra.stack import LaurelsStack
from laurels.errors import LaurelsError

if TYPE_CHECKING:
    from infra.settings import Settings

OPEN_STAGE = (
    "Open: whoever has the address of this stage may do everything. accessParameter, apiKeys, cognitoUserPool or "
    "authorizerFunction say who may.\n"
)


def add_stage(app: App) -> tuple[Settings, dict[str, Any]]:
    """Add the stack for the settings in the app's context; return the settings, and the defaults among them."""
    settings, taken = read(app.node.get_all_context())
    LaurelsStack(app, settings=settings)
    return settings, taken


def main() -> None:
    """Synthesize the template and write the defaults that were taken; exit with the reason if a setting is refused."""
    app = App()
    try:
        settings, taken = add_stage(app)
    except LaurelsError as error:
        sys.exit(str(error))
    sys.stderr.write(f"Defaults taken: {', '.join(f'{name}={value}' for name, value in taken.items())}.\n")
    if settings.open:
        sys.stderr.write(OPEN_STAGE)
    app.synth()


if __name__ == "__main__":
    main()
