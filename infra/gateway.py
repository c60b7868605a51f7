"""The REST API before the functions.

The gateway answers by itself only what the functions would answer with the same status: so it costs no invocation,
and the contract holds. Its answers are problem documents as those of the service are.

- A body that claims to be JSON (``application/json``, or no type at all) and is none is a 400. The model of a body is
  any JSON, because a body of the wrong shape is a 422, which the gateway does not know; a body that claims another type
  has no model and goes on, to be a 415. One answer does differ: a compressed body is a 400 here, for the validator
  reads it as it came, and a 415 from the function.
- Both parts of the path are required. The parameters of reads are known to the API, but their form is checked by the
  function: the validator looks no further than whether one is there.
- A method that a route does not have is a 405 with ``Allow``, from a mock. Of a path that is no route the gateway says
  403 by itself, "Missing Authentication Token"; here it is the 404 that it is.
- HEAD goes to the function of GET. The gateway leaves the body out.

With an authorizer, or API keys, the routes ask for them. OPTIONS does not, as browsers show nothing with a preflight,
nor what answers a method that a route does not have: that comes first, as in the contract.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aws_cdk import aws_apigateway as apigateway
from constructs import Construct

from infra.answers import (
    ANSWERS,
    DEFAULTS,
    LIVE_ROUTES,
    OTHER_METHOD,
    ROUTES,
    gateway_answer,
    list_methods,
    refusal,
)
from infra.functions import acknowledge, own_log_group
from infra.guard import Guard
from laurels.http.cors import ALLOWED_HEADERS, EXPOSED_HEADERS, PREFLIGHT_SECONDS
from laurels.http.messages import JSON, ON_EVERY_ANSWER, PROBLEM, Response
from laurels.http.operations import LIVE

if TYPE_CHECKING:
    from infra.functions import Function, Functions
    from infra.settings import Settings
    from laurels.http.operation import Operation

QUOTED_PROBLEM = f"'{PROBLEM.decode()}'"
SENT_TYPES = (
    JSON.decode(),
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "multipart/form-data",
    "text/plain",
)
"""The types of bodies that a mock looks past: a body of another type it answers with 415."""
ALWAYS = {name.decode().title(): f"'{value.decode()}'" for name, value in ON_EVERY_ANSWER}
"""Headers of every answer, in the gateway's quotes."""
LOGGED = {
    "stage": "$context.stage",
    "requestId": "$context.requestId",
    "time": "$context.requestTimeEpoch",
    "method": "$context.httpMethod",
    "route": "$context.resourcePath",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "milliseconds": "$context.responseLatency",
    "functionMilliseconds": "$context.integrationLatency",
    "functionStatus": "$context.integrationStatus",
    "errorType": "$context.error.responseType",
    "sourceIp": "$context.identity.sourceIp",
    "userAgent": "$context.identity.userAgent",
    "apiKeyId": "$context.identity.apiKeyId",
    "authorizerStatus": "$context.authorizer.status",
    "trace": "$context.xrayTraceId",
}
"""A line of the access log: no bodies, no credentials, and no names of players, which only the path has."""
API_KEY_HEADER = "X-Api-Key"
LIVE_SHARE = 5
"""Those who begin to listen to a board may have every fifth request of a stage: each asks every five minutes."""
OF_A_MOCK = "It does nothing but say which methods there are, before anybody is asked who it is, as in the contract."


class Gateway(Construct):
    """The routes, each to its function."""

    def __init__(self, scope: Construct, id_: str, *, functions: Functions, settings: Settings) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self.access_log = own_log_group(self, "AccessLogs", name=f"/aws/apigateway/{settings.name}", settings=settings)
        self.api = self._made_api()
        self._validator = self.api.add_request_validator(
            "Validator",
            request_validator_name=settings.name,
            validate_request_body=True,
            validate_request_parameters=True,
        )
        self._any_json = self.api.add_model(
            "AnyJson",
            model_name="AnyJson",
            content_type=JSON.decode(),
            description="Any JSON: its shape is for the function to judge",
            schema=apigateway.JsonSchema(schema=apigateway.JsonSchemaVersion.DRAFT4),
        )
        guard = Guard(self, "Guard", api=self.api, settings=settings)
        routes = LIVE_ROUTES if settings.live else ROUTES
        for name, operation in routes:
            self._add_operation(operation, getattr(functions, name), guard)
        for path in dict.fromkeys(operation.path for _, operation in routes):
            self._refuse_others(self._resource(path), ", ".join(list_methods(path)))
        for kind in ANSWERS:
            self._answer(kind, gateway_answer(kind))
        for kind, remainder in DEFAULTS.items():
            self._answer(kind, Response(0, msgspec.json.encode(remainder)))

    def _made_api(self) -> apigateway.RestApi:
        settings = self._settings
        api = apigateway.RestApi(
            self,
            "Api",
            rest_api_name=settings.name,
            description="Leaderboards: submit scores, and ask who stands where",
            endpoint_types=[apigateway.EndpointType.REGIONAL],
            cloud_watch_role=False,
            deploy_options=apigateway.StageOptions(
                stage_name=settings.stage_name,
                access_log_destination=apigateway.LogGroupLogDestination(self.access_log),
                access_log_format=apigateway.AccessLogFormat.custom(msgspec.json.encode(LOGGED).decode()),
                logging_level=apigateway.MethodLoggingLevel.ERROR,
                data_trace_enabled=False,
                tracing_enabled=True,
                throttling_rate_limit=settings.rate_limit,
                throttling_burst_limit=settings.burst_limit,
                method_options=_throttle_live(settings) if settings.live else None,
            ),
        )
        api.node.try_remove_child("Endpoint")  # an output of CDK's; the stack has its own
        execution = own_log_group(
            self,
            "ExecutionLogs",
            name=f"API-Gateway-Execution-Logs_{api.rest_api_id}/{settings.stage_name}",
            settings=settings,
        )
        api.deployment_stage.node.add_dependency(execution)
        acknowledge(
            api.deployment_stage,
            "AwsSolutions-APIG3",
            "A firewall costs more than the rest; put one before prod if needed.",
        )
        return api

    def _resource(self, path: str) -> apigateway.Resource:
        return self.api.root.resource_for_path(path)

    def _add_operation(self, operation: Operation, function: Function, guard: Guard) -> None:
        """Let a function answer an operation; what the parameters may be is for the function to judge."""
        query = sorted(parameter.name for parameter in operation.parameters if parameter.where == "query")
        for method in ("GET", "HEAD") if operation.method == "GET" else (operation.method,):
            added = self._resource(operation.path).add_method(
                method,
                apigateway.LambdaIntegration(function.function, allow_test_invoke=False),
                **guard.options,
                request_validator=self._validator,
                request_parameters={f"method.request.path.{part.name}": True for part in operation.path_names}
                | {f"method.request.querystring.{name}": False for name in query},
                request_models={JSON.decode(): self._any_json} if operation.body else None,
            )
            guard.acknowledge(added)

    def _refuse_others(self, resource: apigateway.Resource, allowed: str) -> None:
        """Answer OPTIONS with what is allowed, and every other method with 405."""
        allow = {"Allow": f"'{allowed}'"} | ALWAYS
        preflight = self._cors() | (
            {
                "Access-Control-Allow-Methods": f"'{allowed}'",
                "Access-Control-Allow-Headers": f"'{self._allowed_headers()}'",
                "Access-Control-Max-Age": f"'{PREFLIGHT_SECONDS}'",
            }
            if self._settings.cors_origin
            else {}
        )
        _mock(resource, "OPTIONS", 204, allow | preflight)
        refused = refusal(405, OTHER_METHOD.format(allowed)).body.decode()
        _mock(resource, "ANY", 405, allow | self._cors() | {"Content-Type": QUOTED_PROBLEM}, refused)

    def _answer(self, kind: str, answer: Response) -> None:
        """Let the gateway answer like this by itself; a status of 0 leaves it its own."""
        own = {name.decode().title(): f"'{value.decode()}'" for name, value in answer.headers}
        self.api.add_gateway_response(
            kind.title().replace("_", ""),
            type=apigateway.ResponseType.of(kind),
            status_code=str(answer.status) if answer.status else None,
            response_headers={"Content-Type": QUOTED_PROBLEM} | ALWAYS | own | self._cors(),
            templates={"application/json": answer.body.decode()},
        )

    def _allowed_headers(self) -> str:
        allowed = ALLOWED_HEADERS.decode()
        return f"{allowed}, {API_KEY_HEADER.lower()}" if self._settings.api_keys else allowed

    def _cors(self) -> dict[str, str]:
        if not self._settings.cors_origin:
            return {}
        return {
            "Access-Control-Allow-Origin": f"'{self._settings.cors_origin}'",
            "Access-Control-Expose-Headers": f"'{EXPOSED_HEADERS.decode()}'",
        }


def _throttle_live(settings: Settings) -> dict[str, apigateway.MethodDeploymentOptions]:
    """Let those who begin to listen have a share of the stage's requests, so that they keep no submit out."""
    options = apigateway.MethodDeploymentOptions(
        logging_level=apigateway.MethodLoggingLevel.ERROR,
        data_trace_enabled=False,
        throttling_rate_limit=max(1, settings.rate_limit // LIVE_SHARE),
        throttling_burst_limit=max(1, settings.burst_limit // LIVE_SHARE),
    )
    return {f"{LIVE.path}/{method}": options for method in ("GET", "HEAD")}


def _mock(
    resource: apigateway.Resource, method: str, status: int, headers: dict[str, str], body: str | None = None
) -> None:
    """Let the gateway itself answer a method."""
    added = resource.add_method(
        method,
        apigateway.MockIntegration(
            passthrough_behavior=apigateway.PassthroughBehavior.WHEN_NO_TEMPLATES,
            request_templates=dict.fromkeys(SENT_TYPES, f'{{"statusCode": {status}}}'),
            integration_responses=[
                apigateway.IntegrationResponse(
                    status_code=str(status),
                    response_parameters={f"method.response.header.{name}": value for name, value in headers.items()},
                    response_templates={"application/json": body} if body else None,
                )
            ],
        ),
        authorization_type=apigateway.AuthorizationType.NONE,
        method_responses=[
            apigateway.MethodResponse(
                status_code=str(status),
                response_parameters={f"method.response.header.{name}": True for name in headers},
            )
        ],
    )
    acknowledge(added, "AwsSolutions-APIG4", OF_A_MOCK)
    acknowledge(added, "AwsSolutions-COG4", OF_A_MOCK)
