"""The stack of one stage: functions, gateway, monitoring, and the optional parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack, Tags

from infra.cache import Cache
from infra.functions import Functions
from infra.gateway import Gateway
from infra.guard import OPEN
from infra.monitoring import Monitoring
from infra.rotation import Rotation
from infra.valkey import Valkey

if TYPE_CHECKING:
    from constructs import Construct

    from infra.functions import Function
    from infra.settings import Settings


class LaurelsStack(Stack):
    """Everything of one stage."""

    def __init__(self, scope: Construct, *, settings: Settings) -> None:
        super().__init__(
            scope,
            settings.name,
            stack_name=settings.name,
            description=f"Laurels, a leaderboard service: stage {settings.stage_name}",
        )
        valkey = Valkey(self, "Valkey", settings=settings) if settings.store == "valkey" else None
        functions = Functions(self, "Functions", settings=settings, **(valkey.for_functions if valkey else {}))
        gateway = Gateway(self, "Gateway", functions=functions, settings=settings)
        Monitoring(
            self,
            "Monitoring",
            stage=gateway.api.deployment_stage,
            access_log=gateway.access_log,
            routes=functions.all,
            others=self._add_optional(settings),
            cache_name=valkey.name if valkey else None,
            settings=settings,
        )
        Tags.of(self).add("laurels:stage", settings.stage_name)
        CfnOutput(self, "Endpoint", value=gateway.api.url, description="Where the leaderboard is")
        CfnOutput(self, "Access", value=_describe_access(settings), description="Who may do what")
        if valkey:
            CfnOutput(self, "Cache", value=valkey.name, description="The ElastiCache cache that the boards are in")
            return
        CfnOutput(self, "KeyParameter", value=settings.key_parameter, description="Where the Momento key has to be")
        CfnOutput(
            self, "Cache", value=self._describe_cache(settings), description="The Momento cache that the boards are in"
        )

    def _add_optional(self, settings: Settings) -> list[Function]:
        functions = []
        if settings.manage_cache:
            functions.append(Cache(self, "MomentoCache", settings=settings).function)
        if settings.rotate_key_days:
            functions.append(Rotation(self, "Rotation", days=settings.rotate_key_days, settings=settings).function)
        return functions

    def _describe_cache(self, settings: Settings) -> str:
        is_made = settings.manage_cache or settings.cache_name != settings.name
        return f"{'' if is_made else 'Run: laurels momento create-cache '}{settings.cache_name}"


def _describe_access(settings: Settings) -> str:
    guards = {
        f"the access file in {settings.access_parameter}": settings.access_parameter,
        "X-Api-Key": settings.api_keys,
        settings.authorizer: settings.authorizer,
    }
    asked = [guard for guard, is_set in guards.items() if is_set]
    return " and ".join(map(str, asked)) if asked else OPEN
