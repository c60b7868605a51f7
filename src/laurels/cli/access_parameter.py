"""The command that puts an access file into a parameter of AWS Systems Manager, from which functions read it."""

from __future__ import annotations

from pathlib import Path

import click

from laurels.access.parameter import PARAMETER_BYTES, is_parameter_name, read_file
from laurels.cli.printing import write
from laurels.optional import load

EPILOG = """\b
Example:
  laurels access put access.toml --parameter /laurels/dev/access
"""


def _check_name(_ctx: click.Context, _option: click.Parameter, name: str) -> str:
    if not is_parameter_name(name):
        raise click.BadParameter("It is the whole name of a parameter, such as /laurels/dev/access.")
    return name


@click.command(epilog=EPILOG)
@click.argument("file", type=click.Path(path_type=Path), help="An access file.")
@click.option(
    "--parameter", "name", metavar="NAME", required=True, callback=_check_name, help="Its name, as /laurels/dev/access."
)
@click.option(
    "--kms-key", metavar="ID", help="Encrypt it with this KMS key of yours, not with the one that AWS manages."
)
def put(*, file: Path, name: str, kms_key: str | None) -> None:
    """Put the access file FILE into a parameter of AWS, from which the functions on Lambda read it.

    It is checked first: what no function could use is refused, and so is a file that is larger than a parameter. It
    becomes a SecureString of the advanced tier, in place of what may be there. Region and credentials are those of the
    environment, as for the command `aws`.
    """
    text, _ = read_file(file)
    load("laurels.serverless.parameters:put_parameter")(name, text, kms_key=kms_key)
    write(
        f"{file} is in the parameter {name} ({len(text.encode()):,} of {PARAMETER_BYTES:,} bytes). Running functions "
        "go by it within five minutes."
    )
