"""The function behind a custom resource of CloudFormation: one Momento cache, made and deleted with its stack.

It is called by ``aws_cdk.custom_resources.Provider``, which may send an event again. So it succeeds if the cache to
make is there already, or the cache to delete is gone. The resource's physical id is the cache's name: if the name
changes, a cache is made under the new one, and CloudFormation asks for the old one to be deleted afterwards.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any, Literal

import msgspec
from msgspec import Struct

from laurels.errors import ParameterUnreadable
from laurels.serverless import environment
from laurels.serverless.errors import BadSetting
from laurels.serverless.parameters import parameter
from laurels.stores.momento import caches as momento_caches

log = logging.getLogger(__name__)
log.setLevel(logging.INFO)


class Settings(Struct, frozen=True, kw_only=True):
    """The function's environment. The key in the parameter must be allowed to make and delete caches."""

    admin_key_parameter: str
    momento_endpoint: str | None = None


class Properties(Struct, frozen=True, rename="pascal"):
    """The resource's properties in the template."""

    cache_name: str


class Event(Struct, frozen=True, rename="pascal"):
    """An event of CloudFormation."""

    request_type: Literal["Create", "Update", "Delete"]
    resource_properties: Properties
    physical_resource_id: str = ""


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Carry out one event. An exception's message becomes the reason for the stack's failure."""
    settings = environment.read_as(Settings, os.environ)
    request = msgspec.convert(event, Event)
    return {"PhysicalResourceId": asyncio.run(_carry_out(request, _read_key(settings), settings.momento_endpoint))}


def _read_key(settings: Settings) -> str:
    try:
        return parameter(settings.admin_key_parameter)
    except ParameterUnreadable as error:
        raise BadSetting(f"The parameter {error.name} cannot be read: {error.reason}.") from error


async def _carry_out(request: Event, key: str, endpoint: str | None) -> str:
    if request.request_type == "Delete":
        # By its id, not by the template's name: after a change of name the template has the new one.
        cache = request.physical_resource_id
        done = await momento_caches.delete(cache, key, endpoint)
        log.info("The cache %s is %s", cache, "deleted" if done else "gone already")
    else:
        cache = request.resource_properties.cache_name
        done = await momento_caches.create(cache, key, endpoint)
        log.info("The cache %s is %s", cache, "made" if done else "there already")
    return cache
