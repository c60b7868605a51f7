"""The function behind a custom resource of CloudFormation: one Momento cache, made and deleted with its stack.

It stands behind ``aws_cdk.custom_resources.Provider``, which sends an event again when it is in doubt. So to make what
is there and to delete what is gone is as good as done. The resource's physical id is the cache's name: where the name
changes, a cache is made under the new one, and CloudFormation asks for the old one to be deleted afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Literal

import msgspec
from msgspec import Struct

from laurels.errors import KeyUnreadable
from laurels.serverless import environment
from laurels.serverless.errors import BadSetting
from laurels.serverless.key import parameter
from laurels.stores.momento import caches as momento_caches

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class Settings(Struct, frozen=True, kw_only=True):
    """The function's environment; the key in the parameter may make and delete caches."""

    admin_key_parameter: str
    momento_endpoint: str | None = None


class Properties(Struct, frozen=True, rename="pascal"):
    """What the template tells of the resource."""

    cache_name: str


class Event(Struct, frozen=True, rename="pascal"):
    """What CloudFormation asks for."""

    request_type: Literal["Create", "Update", "Delete"]
    resource_properties: Properties
    physical_resource_id: str = ""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Do what one event asks for. What it raises becomes the reason of the stack's failure."""
    settings = environment.read_as(Settings, os.environ)
    asked = msgspec.convert(event, Event)
    return {"PhysicalResourceId": asyncio.run(_follow(asked, _key(settings), settings.momento_endpoint))}


def _key(settings: Settings) -> str:
    try:
        return parameter(settings.admin_key_parameter)
    except KeyUnreadable as error:
        raise BadSetting(f"The parameter {error.name} cannot be read: {error.reason}.") from error


async def _follow(asked: Event, key: str, endpoint: str | None) -> str:
    if asked.request_type == "Delete":
        cache = asked.physical_resource_id
        done = await momento_caches.delete(cache, key, endpoint)
        log.info("The cache %s is %s", cache, "deleted" if done else "gone already")
    else:
        cache = asked.resource_properties.cache_name
        done = await momento_caches.create(cache, key, endpoint)
        log.info("The cache %s is %s", cache, "made" if done else "there already")
    return cache
