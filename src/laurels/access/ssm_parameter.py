"""The access file as a parameter of AWS Systems Manager, which the functions on Lambda read.

It is the same file, but that secrets are in parameters of their own (``ssm:NAME``), and that it has no limits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from laurels.access.file import parse_access, read_text
from laurels.access.lazy_tokens import make_tokens
from laurels.access.secret_references import SSM
from laurels.errors import AccessFileUnusable
from laurels.limits import KIB

if TYPE_CHECKING:
    from pathlib import Path

    from laurels.access.file import AccessFile, Players

PARAMETER_BYTES = 8 * KIB
"""How much a parameter of the advanced tier holds; one of the standard tier holds half of that."""
PARAMETER_NAME = r"/(?!(?i:aws|ssm))[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+){0,14}"
"""The names of parameters: from the root on, at most 15 levels, none of AWS's own."""
NAME_CHARACTERS = 1011


def read_file(file: Path) -> tuple[str, AccessFile]:
    """Return the text of a file that is to be put into a parameter, and what it says; raise AccessFileUnusable."""
    text = read_text(file)
    found = parse_parameter(text, str(file))
    make_tokens(found.players, None, file)  # which raises for issuers that cannot be used
    return text, found


def parse_parameter(text: str, place: str) -> AccessFile:
    """Return what an access file says that is in a parameter, or is to be; raise AccessFileUnusable.

    ``place`` is what errors call it: the name of the parameter, or of the file.
    """
    if (size := len(text.encode())) > PARAMETER_BYTES:
        problem = f"it has {size:,} bytes, and a parameter of the advanced tier holds {PARAMETER_BYTES:,}"
        raise AccessFileUnusable(place, problem)
    file = parse_access(text, place, on_lambda=True)
    if (name := secret_parameter(file)) is not None and not is_parameter_name(name):
        problem = f"[players]: secret must be {SSM}: and the name of a parameter, such as {SSM}:/laurels/dev/tokens"
        raise AccessFileUnusable(place, problem)
    return file


def check_isolated(players: Players | None, place: str) -> None:
    """Raise AccessFileUnusable if functions that nothing leads out of would have to fetch the keys of an issuer."""
    for issuer in players.issuers if players else ():
        if issuer.jwks:
            raise AccessFileUnusable(
                place,
                f"[players]: the issuer {issuer.issuer} has jwks, an address, and from the network of these functions "
                "nothing leads to the internet: give its public keys as keys",
            )


def secret_parameter(file: AccessFile) -> str | None:
    """Return the name of the parameter with the secret that players' tokens are signed with; None if there is none."""
    secret = file.players.secret if file.players else None
    return None if secret is None else secret.removeprefix(f"{SSM}:")


def is_parameter_name(text: str) -> bool:
    """Return whether a parameter may have that name."""
    return len(text) <= NAME_CHARACTERS and re.fullmatch(PARAMETER_NAME, text) is not None
