"""The access file of a deployment, as far as it is known when the stack is synthesized.

The functions read it from a parameter, which no stack can make: CloudFormation has no SecureString. ``laurels access
put`` writes it. If a deployment names the file as well, it is checked here, and what it needs is known: the functions
carry the package that verifies the signatures of foreign issuers only for a file that has some, or one that is not
known.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import SettingRefused
from laurels.access.ssm_parameter import check_isolated, read_file, secret_parameter

if TYPE_CHECKING:
    from infra.settings import Settings
    from laurels.access.file import AccessFile


def read_access_file(settings: Settings) -> AccessFile | None:
    """Return the access file that a deployment names; None if it names none.

    Raises AccessFileUnusable for a file that no function could use, and SettingRefused if it has its secret elsewhere.
    """
    if settings.access_file is None:
        return None
    _, file = read_file(Path(settings.access_file))
    if settings.store == "valkey":
        check_isolated(file.players, settings.access_file)
    secret = secret_parameter(file)
    if secret != settings.secret_parameter:
        given = "is missing" if settings.secret_parameter is None else f"is {settings.secret_parameter}"
        remedy = (
            "Leave it out." if secret is None else f"Give secretParameter={secret}: the functions may read it then."
        )
        raise SettingRefused("secretParameter", f"{given}, but accessFile has {secret or 'no secret'}", remedy)
    return file


def has_issuers(settings: Settings) -> bool:
    """Return whether tokens of foreign issuers may come to the functions."""
    if settings.access_parameter is None:
        return False
    file = read_access_file(settings)
    return file is None or bool(file.players and file.players.issuers)
