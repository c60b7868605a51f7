"""Who may, in the template: the parameter, the usage plan, the authorizer; and what of an access file is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from aws_cdk import App

from infra.access import has_issuers, read_access_file
from infra.app import add_stage
from infra.errors import SettingRefused
from infra.settings import read
from laurels.access.ssm_parameter import PARAMETER_BYTES
from laurels.errors import AccessFileUnusable
from laurels.serverless import environment
from tests.infra.conftest import ACCESS, Synthesized
from tests.infra.test_gateway import FUNCTIONS, ROUTES, header, methods
from tests.infra.test_settings import AUTHORIZER, USER_POOL
from tests.infra.test_stack import ROUTES as NAMES
from tests.infra.test_stack import allow, statements

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.infra.conftest import Properties

pytestmark = pytest.mark.slow

RULES = {"Annotation::AwsSolutions-APIG4", "Annotation::AwsSolutions-COG4"}
PARAMETER = {"accessParameter": "/laurels/dev/access"}
GUARDED = ["access", "keys", "cognito", "authorizer"]
LIMITS = 'limits = { requests = "1/s" }'
KEY = f'sha256 = "{"0" * 64}"'
REFUSED = {
    "limits of the public": (f"[public]\n{LIMITS}", r"\[public\] has limits.*usage plan"),
    "limits of a key": (f"[keys.one]\n{KEY}\n{LIMITS}", r"\[keys.one\] has limits"),
    "limits of players": (f"[players]\n{LIMITS}", r"\[players\] has limits"),
    "env": ('[players]\nsecret = "env:SECRET"', "ssm:NAME"),
    "file": ('[players]\nsecret = "file:secret"', "ssm:NAME"),
    "bare": ('[players]\nsecret = "hush"', "must not stand in this file"),
    "no name": ('[players]\nsecret = "ssm:tokens"', "such as ssm:/laurels/dev/tokens"),
    "too large": (f"[public]\n#{'x' * PARAMETER_BYTES}", r"has 8,202 bytes, and .* holds 8,192"),
    "no TOML": ("[public", "it is not TOML"),
}


def acknowledged(stage: Synthesized) -> dict[str, dict[str, str]]:
    """Return the rules about authorization that are acknowledged, with their reasons, by the paths of methods."""
    metadata = json.loads((stage.file.parent / f"{stage.settings.name}.metadata.json").read_text())
    found: dict[str, dict[str, str]] = {}
    for path, entries in metadata.items():
        for entry in entries:
            if entry["type"] == "aws:cdk:acknowledged-rules":
                reasons = {rule: reason for rule, reason in entry["data"].items() if rule in RULES}
                found.setdefault(path.partition("/Default/")[2], {}).update(reasons)
    return {path: reasons for path, reasons in found.items() if reasons}


def routes(stage: Synthesized) -> list[Properties]:
    """Return the methods that a function answers."""
    return [method for key, method in methods(stage).items() if key in ROUTES]


@pytest.mark.parametrize("stage", GUARDED)
@pytest.mark.parametrize("part", FUNCTIONS)
def test_what_asks_for_nothing(synthesized: Callable[[str], Synthesized], stage: str, part: str) -> None:
    """A preflight is answered without a credential, and so is a method that there is not."""
    found = methods(synthesized(stage))
    for method in (found["OPTIONS", part], found["ANY", part]):
        assert (method["AuthorizationType"], method.get("ApiKeyRequired", False)) == ("NONE", False)


@pytest.mark.parametrize(
    ("stage", "kind", "keys"),
    [
        ("access", "NONE", False),
        ("keys", "NONE", True),
        ("cognito", "COGNITO_USER_POOLS", False),
        ("authorizer", "CUSTOM", True),
    ],
)
def test_every_route_is_guarded(
    synthesized: Callable[[str], Synthesized], stage: str, kind: str, *, keys: bool
) -> None:
    """Each route has the stage's authorizer, and needs an API key if there are any."""
    made = synthesized(stage)
    authorizers = {name for name, one in made.template["Resources"].items() if one["Type"].endswith("::Authorizer")}
    assert len(routes(made)) == len(ROUTES)
    for method in routes(made):
        assert (method["AuthorizationType"], method["ApiKeyRequired"]) == (kind, keys)
        assert {method["AuthorizerId"]["Ref"]} == authorizers if kind != "NONE" else "AuthorizerId" not in method


@pytest.mark.parametrize(
    ("stage", "rules", "reason"),
    [
        ("dev", RULES, "The setting open"),
        ("access", RULES, "The functions ask who it is"),
        ("keys", RULES, "The gateway asks for a key of the usage plan"),
        ("cognito", set(), ""),
        ("authorizer", {"Annotation::AwsSolutions-COG4"}, "The authorizer is a function"),
    ],
)
def test_acknowledgements(synthesized: Callable[[str], Synthesized], stage: str, rules: set[str], reason: str) -> None:
    """cdk-nag has no acknowledgement for a missing authorizer where there is one; others say where the check is."""
    found = acknowledged(synthesized(stage))
    of_routes = [found.get(f"{{board}}{path}", {}) for path in ("/GET", "/HEAD", "/{name}/GET", "/{name}/POST")]
    assert [one.keys() for one in of_routes] == [rules] * 4
    assert all(text.startswith(reason) for one in of_routes for text in one.values())


@pytest.mark.parametrize("function", NAMES)
def test_functions_may_read_what_access_needs(synthesized: Callable[[str], Synthesized], function: str) -> None:
    """Each function may read the key, the access file and the secret that it names, and no other parameter."""
    (read_them,) = statements(synthesized("access"), function)
    arns = [arn["Fn::Join"][1][-1] for arn in read_them.pop("Resource")]
    assert arns == [
        f":parameter/{name}"
        for name in ("leaderboard-api/access/momento-api-key", "laurels/access/who", "laurels/access/tokens")
    ]
    assert read_them == {"Action": "ssm:GetParameter", "Effect": "Allow"}


def test_customer_key(synthesized: Callable[[str], Synthesized]) -> None:
    """Decryption with the customer's key is allowed once, for all parameters."""
    stage = synthesized("cognito")
    assert statements(stage, "get-standing")[1:] == [allow("kms:Decrypt", stage.settings.parameter_key_arn)]


def test_function_knows_its_parameter(synthesized: Callable[[str], Synthesized]) -> None:
    """The functions' environment has the name of the access file's parameter, and they read it."""
    made = synthesized("access").one("Lambda::Function", FunctionName="laurels-access-submit-score")
    assert environment.read(made["Environment"]["Variables"]).access_parameter == "/laurels/access/who"


def test_usage_plan(synthesized: Callable[[str], Synthesized]) -> None:
    """Each key is of the one plan, whose rate, burst and quota it has; no key has a value that the template knows."""
    stage = synthesized("keys")
    plan = stage.one("ApiGateway::UsagePlan")
    assert plan["Throttle"] == {"RateLimit": 5, "BurstLimit": 10}
    assert plan["Quota"] == {"Limit": 100_000, "Period": "MONTH"}
    assert [made["Name"] for made in stage.of("ApiGateway::ApiKey")] == [
        "laurels-keys-game-server",
        "laurels-keys-website",
    ]
    assert len(stage.of("ApiGateway::UsagePlanKey")) == 2
    assert not [made for made in stage.of("ApiGateway::ApiKey") if "Value" in made]


@pytest.mark.parametrize(("given", "throttle"), [({"apiKeyRate": "7"}, (7, 200)), ({"apiKeyBurst": "7"}, (100, 7))])
def test_half_of_a_throttle(tmp_path: Path, given: dict[str, str], throttle: tuple[int, int]) -> None:
    """Of rate and burst one may be left out: it is that of the stage."""
    plan = Synthesized(tmp_path, {"stageName": "half", "apiKeys": "one"} | given).one("ApiGateway::UsagePlan")
    assert (plan["Throttle"]["RateLimit"], plan["Throttle"]["BurstLimit"]) == throttle


def test_plan_without_rates(synthesized: Callable[[str], Synthesized]) -> None:
    """A usage plan may have keys alone."""
    assert not synthesized("authorizer").one("ApiGateway::UsagePlan").keys() & {"Throttle", "Quota"}


def test_user_pool(synthesized: Callable[[str], Synthesized]) -> None:
    """The authorizer takes the tokens of the user pool, from Authorization."""
    made = synthesized("cognito").one("ApiGateway::Authorizer")
    assert (made["Type"], made["ProviderARNs"]) == ("COGNITO_USER_POOLS", [USER_POOL])
    assert made["IdentitySource"] == "method.request.header.Authorization"


def test_authorizer_function(synthesized: Callable[[str], Synthesized]) -> None:
    """The gateway asks the function by a role that may call it and nothing else, and remembers of each path apart."""
    stage = synthesized("authorizer")
    made = stage.one("ApiGateway::Authorizer")
    arn = AUTHORIZER.removesuffix(":live")
    assert f"/functions/{arn}/invocations" in json.dumps(made["AuthorizerUri"])
    assert made["IdentitySource"] == "method.request.header.Authorization,context.httpMethod,context.path"
    role = stage.template["Resources"][made["AuthorizerCredentials"]["Fn::GetAtt"][0]]["Properties"]
    assert role["Policies"][0]["PolicyDocument"]["Statement"] == [allow("lambda:InvokeFunction", arn)]
    assert "apigateway.amazonaws.com" in json.dumps(role["AssumeRolePolicyDocument"])


@pytest.mark.parametrize(("stage", "is_allowed"), [("keys", True), ("access", False)])
def test_preflight_allows_api_keys(synthesized: Callable[[str], Synthesized], stage: str, *, is_allowed: bool) -> None:
    """A page may send an API key if there are any, and a token always."""
    (response,) = methods(synthesized(stage))["OPTIONS", "{name}"]["Integration"]["IntegrationResponses"]
    allowed = (header(response, "Access-Control-Allow-Headers") or "").split(", ")
    assert ("x-api-key" in allowed) is is_allowed
    assert "authorization" in allowed


@pytest.mark.parametrize(
    ("stage", "who"),
    [
        ("dev", "The setting open says that whoever has the address may do everything."),
        ("access", "the access file in /laurels/access/who"),
        ("cognito", f"the access file in /laurels/access/who and {USER_POOL}"),
        ("authorizer", f"X-Api-Key and {AUTHORIZER.removesuffix(':live')}"),
    ],
)
def test_output(synthesized: Callable[[str], Synthesized], stage: str, who: str) -> None:
    """An output of the stack says who may do what."""
    assert synthesized(stage).output("Access") == who


@pytest.mark.parametrize(("text", "problem"), REFUSED.values(), ids=REFUSED)
def test_file_is_checked_at_synthesis(tmp_path: Path, text: str, problem: str) -> None:
    """A file that no function could use, or no parameter hold, is refused with its name and the reason."""
    file = tmp_path / "access.toml"
    file.write_text(text)
    with pytest.raises(AccessFileUnusable, match=rf"{file} cannot be used: .*{problem}"):
        read_access_file(read(PARAMETER | {"accessFile": str(file)})[0])


def test_app_is_refused(tmp_path: Path) -> None:
    """The app refuses a file with one line, which does not repeat what stands in it."""
    file = tmp_path / "access.toml"
    file.write_text('[players]\nsecret = "hush"')
    with pytest.raises(AccessFileUnusable, match=r"^[^\n]*access\.toml cannot be used[^\n]*$") as refused:
        add_stage(App(context=PARAMETER | {"accessFile": str(file)}, outdir=str(tmp_path / "out")))
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("size", [PARAMETER_BYTES, PARAMETER_BYTES + 1])
def test_largest_file(tmp_path: Path, size: int) -> None:
    """A file of exactly as many bytes as a parameter holds is taken; characters are counted as they are encoded."""
    file = tmp_path / "access.toml"
    begin = b"[public]\n#"
    file.write_bytes(begin + "é".encode() * ((size - len(begin)) // 2) + b"x" * ((size - len(begin)) % 2))
    chosen, _ = read(PARAMETER | {"accessFile": str(file)})
    if size > PARAMETER_BYTES:
        with pytest.raises(AccessFileUnusable, match="8,193 bytes"):
            read_access_file(chosen)
    else:
        assert read_access_file(chosen)


@pytest.mark.parametrize(
    ("file", "secret", "problem"),
    [
        (
            "names one",
            None,
            "secretParameter is missing, but accessFile has /laurels/access/tokens. Give secretParameter=",
        ),
        ("names one", "/other", "secretParameter is /other, but accessFile has /laurels/access/tokens"),
        ("names none", "/other", "secretParameter is /other, but accessFile has no secret. Leave it out"),
    ],
)
def test_secret_is_the_one_of_the_file(tmp_path: Path, file: str, secret: str | None, problem: str) -> None:
    """What the functions may read is what the file names, and nothing else."""
    (tmp_path / "none.toml").write_text("[public]\nscopes = []\n")
    path = ACCESS if file == "names one" else tmp_path / "none.toml"
    given: dict[str, Any] = PARAMETER | {"accessFile": str(path)} | ({"secretParameter": secret} if secret else {})
    with pytest.raises(SettingRefused, match=problem):
        read_access_file(read(given)[0])


@pytest.mark.parametrize(
    ("given", "carried"),
    [
        ({}, False),
        (PARAMETER, True),
        (PARAMETER | {"accessFile": "without"}, False),
        (PARAMETER | {"accessFile": "with"}, True),
    ],
    ids=["open", "file not known", "file without issuers", "file with issuers"],
)
def test_issuers(tmp_path: Path, given: dict[str, str], *, carried: bool) -> None:
    """The functions can verify tokens of issuers only if there may be some."""
    issuer = '{ issuer = "https://game.example", audience = "game", jwks = "https://game.example/jwks" }'
    for name, text in {"without": "[players]\n", "with": f"[players]\nissuers = [{issuer}]\n"}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    file = {"accessFile": str(tmp_path / f"{given['accessFile']}.toml")} if "accessFile" in given else {}
    assert has_issuers(read(given | file)[0]) is carried
