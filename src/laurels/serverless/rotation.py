"""The scheduled function that renews the key of a deployment. It may be killed at any step.

    look      find the stored key (its id is in the parameter's description, the time of storing in its history), and
              the keys that are ours: their description names the parameter
    clear     revoke the keys that are ours and not stored, once they are so old that nothing can still use them
    renew     if the stored key is due: make a key, then store it with its id

Nothing is remembered between two runs, so the next run finds whatever a killed one left behind: a key that was made
and never stored is ours and not stored. A key is stored in one call together with its id. A superseded key is revoked
by a later run, because functions keep a key for 5 minutes; so is a key that another run may be about to store.
The stored key is never revoked, and no key is while it is uncertain which one is stored.
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

from laurels.errors import ParameterUnreadable
from laurels.serverless import account, environment
from laurels.serverless.account import Account
from laurels.serverless.errors import BadSetting
from laurels.serverless.parameters import connect_ssm, parameter

if TYPE_CHECKING:
    from laurels.serverless.account import KeyInfo

GRACE_SECONDS = 15 * 60
DAY_SECONDS = 24 * 60 * 60
ROLE, LIVE_ROLE = "laurels-boards", "laurels-live-boards"
RULES: list[dict[str, object]] = [{"type": "cache", "permissions": ["read", "write"], "caches": "*", "items": "*"}]
"""Stages that share a parameter have a cache each, so the key must be for all caches."""
LIVE_RULES: list[dict[str, object]] = [
    *RULES,
    {"type": "topic", "permissions": ["write"], "caches": "*", "topics": "*"},
]
"""A key that publishes, too."""
STORED = "Key {} of Momento, stored by the rotation of Laurels"
_STORED = re.compile(STORED.format(r"(\S+)"))

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class Settings(Struct, frozen=True, kw_only=True):
    """The function's environment."""

    key_parameter: str
    admin_key_parameter: str
    rotate_days: int
    live: bool = False
    """Whether the key is to publish to topics."""
    momento_account_url: str = account.ADDRESS


class Look(Struct, frozen=True):
    """What one run found: the id of the stored key, None if it is uncertain, since when it is stored, and our keys."""

    arn: str
    key_id: str | None
    since: float
    keys: list[KeyInfo]

    def old(self, now: float) -> list[str]:
        """Return the ids of the keys that nothing can still use."""
        if self.key_id is None or now - self.since < GRACE_SECONDS:
            return []
        return [
            key.key_id
            for key in self.keys
            if key.key_id != self.key_id and now - key.issued_at_epoch_seconds >= GRACE_SECONDS
        ]

    def is_due(self, now: float, days: int) -> bool:
        """Return whether the stored key is not ours, is too old, or was revoked by someone else."""
        age = now - self.since
        # A key that was made a moment ago may not be listed yet; one that has been stored for a while must be.
        is_gone = age >= GRACE_SECONDS and self.key_id not in {key.key_id for key in self.keys}
        return self.key_id is None or age >= days * DAY_SECONDS or is_gone


def handler(_event: object, _context: object) -> dict[str, Any]:
    """Run the rotation once; return the ids of the keys that were revoked and made."""
    settings = environment.read_as(Settings, os.environ)
    return rotate(settings, connect_ssm(), time.time())


def rotate(settings: Settings, ssm: Any, now: float) -> dict[str, Any]:
    """Run once, at the time ``now``. Raises BadSetting, and AccountRefused if Momento's account API fails."""
    try:
        return _rotate(settings, ssm, now)
    except ParameterUnreadable as error:
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
    made = _renew(ssm, momento, settings, found) if found.is_due(now, settings.rotate_days) else None
    return {"revoked": old, "made": made}


def _look(ssm: Any, momento: Account, name: str) -> Look:
    arn = ssm.get_parameter(Name=name)["Parameter"]["ARN"]
    pages = ssm.get_paginator("get_parameter_history").paginate(Name=name)
    versions = sorted((version for page in pages for version in page["Parameters"]), key=itemgetter("Version"))
    *earlier, description = [version.get("Description", "") for version in versions]
    since = versions[-1]["LastModifiedDate"]
    known = _STORED.fullmatch(description)
    # Someone who stores another key by hand may leave the description as it was: then an earlier version has it too.
    is_certain = known is not None and description not in earlier
    ours = [key for key in momento.issued() if key.description == _describe_key(arn)]
    return Look(arn, known[1] if known and is_certain else None, since.timestamp(), ours)


def _renew(ssm: Any, momento: Account, settings: Settings, found: Look) -> str:
    role = momento.role(LIVE_ROLE, LIVE_RULES) if settings.live else momento.role(ROLE, RULES)
    made = momento.make_key(role, _describe_key(found.arn))
    key_id, stored = made.key_info.key_id, STORED.format(made.key_info.key_id)
    name = settings.key_parameter
    ssm.put_parameter(Name=name, Value=made.api_key, Description=stored, Type="SecureString", Overwrite=True)
    log.info("Stored the new key %s", key_id)
    return key_id


def _describe_key(arn: str) -> str:
    return f"Laurels: {arn}"
