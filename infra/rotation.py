"""The rotation of the Momento key, without a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.functions import Function, use_parameters

if TYPE_CHECKING:
    from infra.settings import Settings

SECONDS = 120
ACTIONS = ("ssm:GetParameter", "ssm:GetParameterHistory", "ssm:PutParameter")


class Rotation(Construct):
    """A function that checks every hour whether the key is due: so a run that was killed is resumed within an hour."""

    def __init__(self, scope: Construct, id_: str, *, days: int, settings: Settings) -> None:
        super().__init__(scope, id_)
        self.function = Function(
            self,
            "KeyRotation",
            name="rotation",
            handler="laurels.serverless.rotation.handler",
            description="Make a new Momento key, store it, and only then retire the old one",
            settings=settings,
            environment={
                "LAURELS_ADMIN_KEY_PARAMETER": settings.admin_key_parameter,
                "LAURELS_KEY_PARAMETER": settings.key_parameter,
                "LAURELS_ROTATE_DAYS": str(days),
            }
            | ({"LAURELS_LIVE": "true"} if settings.live else {}),
            statements=[
                *use_parameters(self, [settings.admin_key_parameter], settings=settings),
                *use_parameters(self, [settings.key_parameter], settings=settings, actions=ACTIONS),
            ],
            seconds=SECONDS,
        )
        events.Rule(
            self,
            "Hourly",
            rule_name=f"{settings.name}-rotation",
            description="Look whether the Momento key is due",
            schedule=events.Schedule.rate(Duration.hours(1)),
            targets=[targets.LambdaFunction(self.function.function)],
        )
