"""The REST API: its routes, what it refuses by itself, and what it tells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from infra.answers import ANSWERS, DEFAULTS, Remainder
from infra.gateway import ALWAYS
from laurels.http.cors import ALLOWED_HEADERS, EXPOSED_HEADERS
from laurels.http.problems import Problem
from laurels.http.reads import READS

if TYPE_CHECKING:
    from tests.infra.conftest import Properties, Synthesized

pytestmark = pytest.mark.slow

ROUTES = [("GET", "{board}"), ("HEAD", "{board}"), ("GET", "{name}"), ("HEAD", "{name}"), ("POST", "{name}")]
FUNCTIONS = {"{board}": "GetLeaderboard", "{name}": "GetStanding"}
SECRETS = ["body", "payload", "header", "querystring", "context.path"]


def methods(stage: Synthesized) -> dict[tuple[str, str], Properties]:
    """Give all methods by their verb and the last part of their path."""
    resources = stage.template["Resources"]
    found = {}
    for method in stage.of("ApiGateway::Method"):
        part = resources[method["ResourceId"]["Ref"]]["Properties"]["PathPart"]
        found[method["HttpMethod"], part] = method
    return found


def header(properties: Properties, name: str) -> str | None:
    """Give a header that a gateway response, or a mock's one response, sends."""
    parameters: dict[str, str] = properties.get("ResponseParameters", {})
    return next((parameters[key].strip("'") for key in parameters if key.endswith(f"header.{name}")), None)


def mocked(method: Properties) -> tuple[Properties, Any]:
    """Give the response of a mock, and its body."""
    (response,) = method["Integration"]["IntegrationResponses"]
    (body,) = response.get("ResponseTemplates", {"application/json": "null"}).values()
    return response, json.loads(body)


@pytest.mark.parametrize(("verb", "part"), ROUTES)
def test_routes(dev: Synthesized, verb: str, part: str) -> None:
    """Each route goes to its function as a proxy event, its parameters validated, open to all."""
    method = methods(dev)[verb, part]
    function = "SubmitScore" if verb == "POST" else FUNCTIONS[part]
    assert function in json.dumps(method["Integration"]["Uri"])
    assert (method["Integration"]["Type"], method["AuthorizationType"]) == ("AWS_PROXY", "NONE")
    assert method["RequestParameters"][f"method.request.path.{part.strip('{}')}"] is True
    assert "RequestValidatorId" in method


def test_no_other_routes(dev: Synthesized) -> None:
    """There are the routes, and for each path what answers other methods."""
    others = {(verb, part) for verb in ("OPTIONS", "ANY") for part in FUNCTIONS}
    assert methods(dev).keys() == {*ROUTES, *others}


@pytest.mark.parametrize(
    "parameter", sorted({parameter.name for read in READS for parameter in read.inputs.parameters})
)
def test_parameters_of_reads(dev: Synthesized, parameter: str) -> None:
    """The parameters of reads are known, and may be left out; no answer is kept for others who leave them out."""
    parameters = methods(dev)["GET", "{board}"]["RequestParameters"]
    assert not parameters[f"method.request.querystring.{parameter}"]
    assert "CacheKeyParameters" not in methods(dev)["GET", "{board}"]["Integration"]


def test_validator(dev: Synthesized) -> None:
    """Bodies and parameters are validated before a function is called."""
    validator = dev.one("ApiGateway::RequestValidator")
    assert (validator["ValidateRequestBody"], validator["ValidateRequestParameters"]) == (True, True)


def test_any_json_goes_on(dev: Synthesized) -> None:
    """The model of a body allows any JSON, for its shape is the function's to judge; only JSON has a model."""
    model = dev.one("ApiGateway::Model")
    assert list(methods(dev)["POST", "{name}"]["RequestModels"]) == ["application/json"]
    assert model["Schema"] == {"$schema": "http://json-schema.org/draft-04/schema#"}


@pytest.mark.parametrize("part", FUNCTIONS)
def test_other_methods(dev: Synthesized, part: str) -> None:
    """A method that a route does not have is a 405 that names those it has."""
    response, body = mocked(methods(dev)["ANY", part])
    allowed = sorted(verb for verb, other in methods(dev) if other == part and verb != "ANY")
    assert (response["StatusCode"], header(response, "Allow")) == ("405", ", ".join(allowed))
    assert (body["status"], header(response, "Content-Type")) == (405, "application/problem+json")


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain"])
@pytest.mark.parametrize("part", FUNCTIONS)
def test_other_methods_with_a_body(dev: Synthesized, part: str, kind: str) -> None:
    """They are refused whatever they send: a mock that does not know the type of a body would answer 415."""
    integration = methods(dev)["ANY", part]["Integration"]
    assert integration["RequestTemplates"][kind] == '{"statusCode": 405}'
    assert integration["PassthroughBehavior"] == "WHEN_NO_TEMPLATES"


@pytest.mark.parametrize("part", FUNCTIONS)
def test_options(dev: Synthesized, part: str) -> None:
    """OPTIONS gives 204 with what is allowed, and nothing to browsers elsewhere."""
    response, _ = mocked(methods(dev)["OPTIONS", part])
    names = {name.removeprefix("method.response.header.") for name in response["ResponseParameters"]}
    assert (response["StatusCode"], names) == ("204", {"Allow", *ALWAYS})


@pytest.mark.parametrize("part", FUNCTIONS)
def test_preflight(everything: Synthesized, part: str) -> None:
    """With an origin OPTIONS is the preflight, and allows what the functions allow."""
    response, _ = mocked(methods(everything)["OPTIONS", part])
    assert header(response, "Access-Control-Allow-Origin") == "https://game.example"
    assert header(response, "Access-Control-Allow-Headers") == ALLOWED_HEADERS.decode()
    assert header(response, "Access-Control-Allow-Methods") == header(response, "Allow")


@pytest.mark.parametrize("kind", ANSWERS)
def test_own_answers(dev: Synthesized, kind: str) -> None:
    """What the gateway answers by itself is a problem document with the contract's status."""
    answer = dev.one("ApiGateway::GatewayResponse", ResponseType=kind)
    problem = msgspec.json.decode(answer["ResponseTemplates"]["application/json"], type=Problem)
    assert (str(problem.status), header(answer, "Content-Type")) == (answer["StatusCode"], "application/problem+json")
    again = "3600" if kind == "QUOTA_EXCEEDED" else "1"
    assert header(answer, "Retry-After") == (again if problem.status in {429, 503} else None)
    challenge = "ApiKey" if kind == "INVALID_API_KEY" else "Bearer"
    expected = f'{challenge} realm="laurels"' if problem.status == 401 else None
    assert header(answer, "Www-Authenticate") == expected
    assert header(answer, "Access-Control-Allow-Origin") is None


@pytest.mark.parametrize("kind", [*ANSWERS, *DEFAULTS])
def test_no_cache_keeps_them(dev: Synthesized, kind: str) -> None:
    """The gateway's own answers have the headers of every answer."""
    answer = dev.one("ApiGateway::GatewayResponse", ResponseType=kind)
    assert (header(answer, "Cache-Control"), header(answer, "X-Content-Type-Options")) == ("no-store", "nosniff")


@pytest.mark.parametrize("kind", DEFAULTS)
def test_remaining_answers(dev: Synthesized, kind: str) -> None:
    """What has no row of its own keeps its status, and is a problem document that does not name one."""
    answer = dev.one("ApiGateway::GatewayResponse", ResponseType=kind)
    problem = msgspec.json.decode(answer["ResponseTemplates"]["application/json"], type=Remainder)
    assert ("StatusCode" in answer, header(answer, "Content-Type")) == (False, "application/problem+json")
    assert "status" not in msgspec.to_builtins(problem)


@pytest.mark.parametrize("kind", [*ANSWERS, *DEFAULTS])
def test_browsers_may_read_them(everything: Synthesized, kind: str) -> None:
    """With an origin the gateway's own answers can be read by its scripts, the time to retry too."""
    answer = everything.one("ApiGateway::GatewayResponse", ResponseType=kind)
    assert header(answer, "Access-Control-Allow-Origin") == "https://game.example"
    assert header(answer, "Access-Control-Expose-Headers") == EXPOSED_HEADERS.decode()


@pytest.mark.parametrize(("stage", "rate", "burst"), [("dev", 100, 200), ("everything", 5, 10)])
def test_stage(request: pytest.FixtureRequest, stage: str, rate: int, burst: int) -> None:
    """A stage is traced, throttled as the context says, and logs errors without bodies."""
    made = request.getfixturevalue(stage).one("ApiGateway::Stage")
    (settings,) = made["MethodSettings"]
    assert made["TracingEnabled"]
    assert (settings["HttpMethod"], settings["ResourcePath"]) == ("*", "/*")
    assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (rate, burst)
    assert (settings["LoggingLevel"], settings["DataTraceEnabled"]) == ("ERROR", False)


def test_access_log(dev: Synthesized) -> None:
    """Each request has its line of JSON, in a log group of the stack's, without bodies and without names."""
    settings = dev.one("ApiGateway::Stage")["AccessLogSetting"]
    line = json.loads(settings["Format"])
    assert line["status"] == "$context.status"
    assert not [secret for secret in SECRETS if secret in settings["Format"].lower()]
    assert dev.template["Resources"][settings["DestinationArn"]["Fn::GetAtt"][0]]["Type"] == "AWS::Logs::LogGroup"


def test_execution_log_is_the_stack_s(dev: Synthesized) -> None:
    """The log that API Gateway makes by itself is made before its stage, so that it goes with the stack."""
    (made,) = [made for made in dev.template["Resources"].values() if made["Type"] == "AWS::ApiGateway::Stage"]
    groups = [dev.template["Resources"][name]["Properties"].get("LogGroupName") for name in made["DependsOn"]]
    assert [group["Fn::Join"][1][0] for group in groups] == ["API-Gateway-Execution-Logs_"]


def test_regional(dev: Synthesized) -> None:
    """The API is one region's."""
    assert dev.one("ApiGateway::RestApi")["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert not dev.of("ApiGateway::Account")
