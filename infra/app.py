"""The CDK app: one stack for one stage, as the context says."""

from __future__ import annotations

import sys

from aws_cdk import App

from infra.errors import DeploymentError
from infra.settings import read
from infra.stack import LaurelsStack


def main() -> None:
    """Synthesize, and say which defaults were taken; end with the reason where it cannot be."""
    app = App()
    try:
        settings, taken = read(app.node.get_all_context())
        sys.stderr.write(f"Defaults taken: {', '.join(f'{name}={value}' for name, value in taken.items())}.\n")
        LaurelsStack(app, settings=settings)
    except DeploymentError as error:
        sys.exit(str(error))
    app.synth()


if __name__ == "__main__":
    main()
