"""The scheduled function that renews the key of a deployment. It may be killed at any step.

    look      at what is stored (its id stands in the parameter's description, since when in its history), and at the
              keys that are ours: their description names the parameter
    clear     revoke what is ours, is not stored, and is older than the time for which anyone may hold it
    renew     where the stored key is due: make a key, then store it with its id

Nothing is remembered between two looks, so whatever a killed one left behind is found by the next: a key that was made
and never stored is ours and not stored. A key is stored in one call together with its id. A superseded key is revoked
by a later look, because functions keep a key for 5 minutes; so is one that another look may just be about to store.
The stored key is never revoked, nor is any where it is not certain which is stored.
"""

from __future__ import annotations

import logging
import os
import re
import time
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from laurels.errors import KeyUnreadable
from laurels.serverless import account, environment
from laurels.serverless.account import Account
from laurels.serverless.errors import BadSetting
from laurels.serverless.key import connected, parameter

if TYPE_CHECKING:
    from laurels.serverless.account import KeyInfo

GRACE_SECONDS = 15 * 60
DAY_SECONDS = 24 * 60 * 60
ROLE = "laurels-boards"
RULES: list[dict[str, object]] = [{"type": "cache", "permissions": ["read", "write"], "caches": "*", "items": "*"}]
"""All caches, because stages that share a parameter have a cache each."""
STORED = "Key {} of Momento, stored by the rotation of Laurels"
_STORED = re.compile(STORED.format(r"(\S+)"))

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class Settings(Struct, frozen=True, kw_only=True):
    """The function's environment."""

    key_parameter: str
    admin_key_parameter: str
    rotate_days: int
    momento_account_url: str = account.ADDRESS


class Look(Struct, frozen=True):
    """What one look found: which key is stored, None where that is uncertain; ``since`` when; and all keys of ours."""

    arn: str
    key_id: str | None
    since: float
    keys: list[KeyInfo]

    def old(self, now: float) -> list[str]:
        """Give the ids of the keys that nobody can need any more."""
        if self.key_id is None or now - self.since < GRACE_SECONDS:
            return []
        return [
            key.key_id
            for key in self.keys
            if key.key_id != self.key_id and now - key.issued_at_epoch_seconds >= GRACE_SECONDS
        ]

    def is_due(self, now: float, days: int) -> bool:
        """Tell whether the stored key is none of ours, is too old, or was revoked by another hand."""
        age = now - self.since
        is_gone = age >= GRACE_SECONDS and self.key_id not in {key.key_id for key in self.keys}
        return self.key_id is None or age >= days * DAY_SECONDS or is_gone


def handler(_event: object, _context: object) -> dict[str, Any]:
    """Look once, and do what is to be done; tell the ids of the keys that were revoked and made."""
    settings = environment.read_as(Settings, os.environ)
    return rotate(settings, connected(), time.time())


def rotate(settings: Settings, ssm: Any, now: float) -> dict[str, Any]:
    """Look once at the time ``now``. Raises BadSetting, and AccountRefused where Momento's account API fails."""
    try:
        return _rotate(settings, ssm, now)
    except KeyUnreadable as error:
        raise BadSetting(f"The parameter {error.name} cannot be read: {error.reason}.") from error
    except (BotoCoreError, ClientError) as error:
        raise BadSetting(f"The parameter {settings.key_parameter} cannot be used: {error}.") from error


def _rotate(settings: Settings, ssm: Any, now: float) -> dict[str, Any]:
    momento = Account(parameter(settings.admin_key_parameter, lambda: ssm), settings.momento_account_url)
    found = _look(ssm, momento, settings.key_parameter)
    old = found.old(now)
    for key_id in old:
        momento.revoke(key_id)
        log.info("Revoked the key %s, which is not stored any more or never was", key_id)
    made = _renew(ssm, momento, settings.key_parameter, found) if found.is_due(now, settings.rotate_days) else None
    return {"revoked": old, "made": made}


def _look(ssm: Any, momento: Account, name: str) -> Look:
    arn = ssm.get_parameter(Name=name)["Parameter"]["ARN"]
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    versions = sorted((version for page in pages for version in page["Parameters"]), key=itemgetter("Version"))
    *earlier, description = [version.get("Description", "") for version in versions]
    since = versions[-1]["LastModifiedDate"]
    known = _STORED.fullmatch(description)
    is_certain = known is not None and description not in earlier
    ours = [key for key in momento.issued() if key.description == _description(arn)]
    return Look(arn, known[1] if known and is_certain else None, since.timestamp(), ours)


def _renew(ssm: Any, momento: Account, name: str, found: Look) -> str:
    made = momento.make_key(momento.role(ROLE, RULES), _description(found.arn))
    key_id = made.key_info.key_id
    ssm.put_parameter(
        Name=name, Value=made.api_key, Description=STORED.format(key_id), Type="SecureString", Overwrite=True
    )
    log.info("Stored the new key %s", key_id)
    return key_id


def _description(arn: str) -> str:
    return f"Laurels: {arn}"
