"""The settings of a deployment, in CDK's context: ``-c stageName=FEAT-123``.

Every setting is one field of :class:`Settings`; its description says what is right, and is part of the error for a
wrong value. Names are as restricted as the most restricted AWS names that they become a part of.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from infra.errors import SettingRefused
from infra.runtimes import RUNTIMES, Runtime, newest_runtime
from laurels.access.ssm_parameter import NAME_CHARACTERS, PARAMETER_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

DAY = 86400
MEMORY_MB = 1024
ROUTE_SECONDS = 10
"""The memory of each function, and the time-out of one that answers a route."""
ACCESS_STRING = (
    "on ~laurels:* resetchannels &laurels:* -@all +@read +@write +@connection -@dangerous +evalsha +script|load +multi "
    "+exec +info +time +wait +publish +spublish +cluster|slots +cluster|shards"
)
"""What the functions may do in a cache of Valkey's: use Laurels' keys, by scripts, tell of changes, and ask for slots.
"""
BOARDS = "boards.json"
"""The name of the boards file in an asset."""
SEGMENT = r"^[A-Za-z0-9](?:[A-Za-z0-9-]{0,22}[A-Za-z0-9])?\Z"

StageName = Annotated[
    str,
    Meta(
        pattern=SEGMENT,
        description="It is part of the name of every resource: 1 to 24 letters, digits and hyphens, with a letter or a "
        "digit at both ends, as in FEAT-123.",
    ),
]
ParameterSegment = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,64}\Z",
        description="It is part of a parameter's name: 1 to 64 letters, digits, dots, hyphens and underscores.",
    ),
]
StageNames = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9-]*(?:,[A-Za-z0-9-]+)*\Z",
        description="It is a list of stage names with commas between them, as in prod,staging.",
    ),
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(?:\*|https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?)\Z",
        description="It is * for any origin, or one origin as browsers send it, as in https://game.example.",
    ),
]
Host = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9.-]+(?::[0-9]{1,5})?\Z",
        description="It is a host without a scheme, as in cell-us-east-1-1.prod.a.momentohq.com.",
    ),
]
Days = Annotated[int, Meta(ge=1, le=3650, description="It is a whole number of days from 1 to 3650.")]
Retention = Annotated[
    Literal[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
    Meta(description="It is a number of days that CloudWatch knows, as 1, 7, 30, 90 or 365."),
]
Rate = Annotated[int, Meta(ge=1, le=10_000, description="It is a whole number from 1 to 10000, of requests a second.")]
Burst = Annotated[int, Meta(ge=1, le=5_000, description="It is a whole number from 1 to 5000, of requests at once.")]
Flag = Annotated[bool, Meta(description="It is true or false.")]
KeyArn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+\Z",
        description="It is the ARN of a KMS key, as in arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab.",
    ),
]
TopicArn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}\Z",
        description="It is the ARN of an SNS topic, as in arn:aws:sns:eu-west-1:123456789012:alarms.",
    ),
]
Address = Annotated[
    str, Meta(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+\Z", description="It is an e-mail address, as in ops@game.example.")
]
Percent = Annotated[
    float, Meta(gt=0, le=100, description="It is a percentage, over 0 and at most 100, as in 1 or 0.5.")
]
Milliseconds = Annotated[
    int, Meta(ge=1, le=29_000, description="It is a whole number of milliseconds from 1 to 29000.")
]
Requests = Annotated[int, Meta(ge=1, le=1_000_000, description="It is a whole number of requests from 1 to 1000000.")]
Architecture = Annotated[Literal["arm64", "x86_64"], Meta(description="It is arm64 or x86_64.")]
PythonRuntime = Annotated[Runtime, Meta(description=f"It is a Python of Lambda's: {', '.join(RUNTIMES)}.")]
StoreName = Annotated[
    Literal["momento", "valkey"],
    Meta(description="It is momento, or valkey for ElastiCache Serverless for Valkey, which is a Redis as well."),
]
Login = Annotated[
    Literal["iam", "password"],
    Meta(description="It is iam, for tokens that are signed with a function's role, or password."),
]
Gigabytes = Annotated[int, Meta(ge=1, le=5_000, description="It is a whole number of GB from 1 to 5000.")]
Units = Annotated[
    int, Meta(ge=1_000, le=15_000_000, description="It is a whole number of ECPUs a second from 1000 to 15000000.")
]
SnapshotDays = Annotated[int, Meta(ge=1, le=35, description="It is a whole number of days from 1 to 35.")]
Concurrency = Annotated[int, Meta(ge=1, le=10_000, description="It is a whole number from 1 to 10000, of invocations.")]
CacheName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]{1,255}\Z",
        description="It is the name of a Momento cache: letters, digits, dots, hyphens and underscores.",
    ),
]
Order = Annotated[
    Literal["descending", "ascending"],
    Meta(description="It is descending, where higher is better, or ascending, where lower is."),
]
BoardsFile = Annotated[
    str,
    Meta(pattern=r"^.+\.toml\Z", description="It is a TOML file with the definitions of boards, as in boards.toml."),
]
ParameterName = Annotated[
    str,
    Meta(
        pattern=rf"^{PARAMETER_NAME}\Z",
        max_length=NAME_CHARACTERS,
        description="It is the whole name of a parameter of SSM, as in /laurels/dev/access.",
    ),
]
AccessFile = Annotated[
    str,
    Meta(pattern=r"^.+\.toml\Z", description="It is a TOML file that says who may do what, as in access.toml."),
]
ApiKeyNames = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,31}(?:,[A-Za-z0-9][A-Za-z0-9-]{0,31})*\Z",
        description="It is a list of names of keys with commas between them, as in game-server,website.",
    ),
]
Quota = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,8}/(?:day|week|month)\Z",
        description="It is a number of requests in a day, a week or a month, as in 100000/day.",
    ),
]
UserPoolArn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws[a-z-]*:cognito-idp:[a-z0-9-]+:[0-9]{12}:userpool/[A-Za-z0-9_-]+\Z",
        description="It is the ARN of a Cognito user pool, as in "
        "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_AbCdEfGhI.",
    ),
]
FunctionArn = Annotated[
    str,
    Meta(
        pattern=r"^arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]{1,64}(?::[A-Za-z0-9_$-]+)?\Z",
        description="It is the ARN of a Lambda function, as in arn:aws:lambda:eu-west-1:123456789012:function:who.",
    ),
]


class Settings(Struct, frozen=True, kw_only=True, rename="camel"):
    """One deployment's settings, checked."""

    stage_name: StageName = "dev"
    store: StoreName = "momento"
    ssm_stage_name: ParameterSegment | None = None
    cache_name: CacheName | None = None
    namespace: ParameterSegment | None = None
    architecture: Architecture = "arm64"
    python_runtime: PythonRuntime | None = None
    order: Order | None = None
    boards_file: BoardsFile | None = None
    ttl_days: Days | None = None
    momento_endpoint: Host | None = None
    parameter_key_arn: KeyArn | None = None
    cors_origin: Origin | None = None
    access_parameter: ParameterName | None = None
    access_file: AccessFile | None = None
    secret_parameter: ParameterName | None = None
    open: Flag
    api_keys: ApiKeyNames | None = None
    api_key_rate: Rate | None = None
    api_key_burst: Burst | None = None
    api_key_quota: Quota | None = None
    cognito_user_pool: UserPoolArn | None = None
    authorizer_function: FunctionArn | None = None
    rate_limit: Rate = 100
    burst_limit: Burst = 200
    lasting_stages: StageNames = "prod"
    log_retention_days: Retention
    alarm_topic_arn: TopicArn | None = None
    alarm_email: Address | None = None
    alarm_failed_percent: Percent = 1
    alarm_refused_percent: Percent = 20
    alarm_throttled_percent: Percent = 5
    alarm_latency_ms: Milliseconds = 1000
    alarm_min_requests: Requests = 100
    manage_cache: Flag | None = None
    rotate_key_days: Days | None = None
    live: Flag | None = None
    cache_login: Login | None = None
    cache_gigabytes: Gigabytes | None = None
    cache_units: Units | None = None
    snapshot_days: SnapshotDays | None = None
    concurrency: Concurrency | None = None

    @property
    def is_lasting(self) -> bool:
        """Whether the stage keeps its logs and its cache when it is destroyed."""
        return self.stage_name in self.lasting_stages.split(",")

    @property
    def name(self) -> str:
        """The name of the stack, and how all other names begin."""
        return f"laurels-{self.stage_name}"

    @property
    def valkey_name(self) -> str:
        """The name of the stage's cache, its user and its group of users: ElastiCache knows no capitals."""
        return self.name.lower()

    @property
    def key_parameter(self) -> str:
        """The name of the SSM parameter with the Momento key that the functions use."""
        return f"/leaderboard-api/{self.ssm_stage_name}/momento-api-key"

    @property
    def admin_key_parameter(self) -> str:
        """The name of the SSM parameter with the Momento key that may make caches and keys."""
        return f"/leaderboard-api/{self.ssm_stage_name}/momento-super-user-key"

    @property
    def live_key_parameter(self) -> str:
        """The name of the SSM parameter with the Momento key that makes tokens to listen to boards."""
        return f"/leaderboard-api/{self.ssm_stage_name}/momento-live-key"

    @property
    def api_key_names(self) -> list[str]:
        """The names of the API keys of the usage plan."""
        return self.api_keys.split(",") if self.api_keys else []

    @property
    def authorizer(self) -> str | None:
        """The ARN of what the gateway asks before it calls a function."""
        return self.cognito_user_pool or self.authorizer_function

    @property
    def parameters_read(self) -> list[str]:
        """The names of all parameters that the functions of the routes read."""
        key = self.key_parameter if self.store == "momento" else None
        return [name for name in (key, self.access_parameter, self.secret_parameter) if name]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of every function."""
        return {
            "LAURELS_STAGE": self.stage_name,
            "POWERTOOLS_LOG_LEVEL": "INFO" if self.is_lasting else "DEBUG",
        }

    @property
    def route_environment(self) -> dict[str, str]:
        """What the functions of the routes have in addition."""
        optional = {
            "LAURELS_CORS_ORIGIN": self.cors_origin,
            "LAURELS_ORDER": None if self.boards_file else self.order,
            "LAURELS_BOARDS": BOARDS if self.boards_file else None,
            "LAURELS_ACCESS_PARAMETER": self.access_parameter,
            "LAURELS_MOMENTO_CACHE": self.cache_name,
            "LAURELS_MOMENTO_ENDPOINT": self.momento_endpoint,
            "LAURELS_NAMESPACE": self.namespace,
            "LAURELS_TTL_SECONDS": str(self.ttl_days * DAY) if self.ttl_days else None,
            "LAURELS_KEY_PARAMETER": self.key_parameter if self.store == "momento" else None,
        }
        return {name: value for name, value in optional.items() if value}

    @property
    def live_environment(self) -> dict[str, dict[str, str]]:
        """What functions of the routes have in addition if boards are live, by the functions' names."""
        if not self.live:
            return {}
        return {
            "submit_score": {"LAURELS_LIVE": "true"},
            "get_leaderboard": {"LAURELS_LIVE_KEY_PARAMETER": self.live_key_parameter},
        }


FIELDS = {field.encode_name: field for field in msgspec.structs.fields(Settings)}
GUARDS = {"accessParameter", "apiKeys", "cognitoUserPool", "authorizerFunction"}
"""The settings of which one says who may do what. A lasting stage without any must be said to be open."""
NEEDED = {"accessFile": "accessParameter", "secretParameter": "accessParameter"} | dict.fromkeys(
    ("apiKeyRate", "apiKeyBurst", "apiKeyQuota"), "apiKeys"
)
"""Settings that are nothing without another one."""
OF_STORES = {
    "momento": {"ssmStageName", "cacheName", "namespace", "ttlDays", "momentoEndpoint", "manageCache", "rotateKeyDays"}
    | {"live"},
    "valkey": {"cacheLogin", "cacheGigabytes", "cacheUnits", "snapshotDays"},
}
"""The settings that mean something with one of the stores alone."""
EPHEMERAL_LOG_DAYS = 7
LASTING_LOG_DAYS = 90
LASTING_SNAPSHOT_DAYS = 7
EPHEMERAL_LIMITS = {"cacheGigabytes": 1, "cacheUnits": 1000}
"""The least that ElastiCache can be limited to: what is tried out cannot become expensive by mistake."""


def read(context: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """Read the settings from CDK's context; return them, and the defaults that were taken. Raises SettingRefused.

    Other names are ignored, because CDK has flags of its own there; but a name that is nearly a setting's is refused.
    """
    for name in context.keys() - FIELDS.keys():
        _check_spelling(name)
    given = {name: context[name] for name in FIELDS if context.get(name) is not None}
    stage = given.get("stageName", "dev")
    is_lasting = stage in str(given.get("lastingStages", "prod")).split(",")
    # With a boards file there is no default order: the file's own default may have another one.
    derived = (
        {
            "pythonRuntime": newest_runtime(),
            "logRetentionDays": LASTING_LOG_DAYS if is_lasting else EPHEMERAL_LOG_DAYS,
            "open": not is_lasting and not given.keys() & GUARDS,
        }
        | ({} if "boardsFile" in given else {"order": "descending"})
        | (_derive_valkey(is_lasting=is_lasting) if given.get("store") == "valkey" else _derive_momento(stage))
    )
    settings = _convert(given, derived)
    _check_store(settings, given)
    _check_access(settings, is_said="open" in given)
    if settings.manage_cache and settings.cache_name != settings.name:
        raise SettingRefused(
            "manageCache",
            f"is given, but the cache {settings.cache_name} may be that of other stages",
            "Leave out one of manageCache and cacheName: a stack makes and deletes only the cache of its own name.",
        )
    if settings.rotate_key_days:
        _check_rotation(settings)
    taken = {
        name: value
        for name in FIELDS
        if name not in given and (value := getattr(settings, FIELDS[name].name)) is not None
    }
    return settings, taken


def _derive_momento(stage: str) -> dict[str, Any]:
    return {"ssmStageName": stage, "cacheName": f"laurels-{stage}", "ttlDays": 7, "manageCache": False, "live": False}


def _derive_valkey(*, is_lasting: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {"snapshotDays": LASTING_SNAPSHOT_DAYS} if is_lasting else EPHEMERAL_LIMITS
    return {"cacheLogin": "iam"} | kept


def _check_store(settings: Settings, given: Mapping[str, Any]) -> None:
    """Refuse settings of another store than the stage's, and a name that ElastiCache refuses."""
    others = set().union(*(names for store, names in OF_STORES.items() if store != settings.store))
    for name in sorted(others & given.keys()):
        remedy = "Give the boards a ttl in boardsFile." if name == "ttlDays" else f"Leave out {name} or store."
        raise SettingRefused(name, f"is given, and means nothing with store={settings.store}", remedy)
    if settings.store == "valkey" and "--" in settings.stage_name:
        raise SettingRefused(
            "stageName", f"is {settings.stage_name!r}", "ElastiCache takes no name with two hyphens side by side."
        )


def _check_access(settings: Settings, *, is_said: bool) -> None:
    """Refuse settings of access that contradict each other, or that leave a lasting stage open without saying so."""
    given = {name for name in FIELDS if getattr(settings, FIELDS[name].name) is not None}
    for name, needed in NEEDED.items():
        if name in given and needed not in given:
            raise SettingRefused(name, f"is given, and {needed} is not", f"Give {needed} beside it, or leave it out.")
    for name in {name for name in settings.api_key_names if settings.api_key_names.count(name) > 1}:
        raise SettingRefused("apiKeys", f"has {name} twice", "Give each key a name of its own.")
    if {"cognitoUserPool", "authorizerFunction"} <= given:
        raise SettingRefused(
            "authorizerFunction", "is given beside cognitoUserPool", "Leave out one: a route has one authorizer."
        )
    guards = sorted(GUARDS & given)
    if settings.open and guards:
        raise SettingRefused("open", f"is true, and {guards[0]} says who may do what", "Leave out one of the two.")
    if not settings.open and not guards:
        problem = "is false" if is_said else f"is missing, and {settings.stage_name} is a lasting stage"
        raise SettingRefused(
            "open",
            f"{problem}: nothing says who may do what",
            "Give accessParameter, the parameter with the access file (`laurels access put` writes it), or apiKeys, "
            "cognitoUserPool or authorizerFunction; or open=true: then whoever has its address may do everything.",
        )


def _check_rotation(settings: Settings) -> None:
    if settings.ssm_stage_name != settings.stage_name:
        raise SettingRefused(
            "rotateKeyDays",
            f"is given, but the key is that of the stage {settings.ssm_stage_name}",
            "Rotate it in the stage that owns it.",
        )
    if settings.parameter_key_arn:
        raise SettingRefused(
            "rotateKeyDays",
            "is given, but what rotation stores is under the key that AWS manages, not under parameterKeyArn",
            "Leave out one of the two.",
        )
    if not settings.momento_endpoint:
        raise SettingRefused(
            "momentoEndpoint",
            "is missing: the keys that rotation makes do not tell where they belong",
            "Give it beside rotateKeyDays, as in cell-us-east-1-1.prod.a.momentohq.com.",
        )


def _convert(given: dict[str, Any], derived: dict[str, Any]) -> Settings:
    # One by one, because the error of a whole struct does not say which of its fields is meant by the context's name.
    for name, value in given.items():
        try:
            msgspec.convert(value, FIELDS[name].type, strict=False)
        except msgspec.ValidationError:
            raise SettingRefused(name, f"is {value!r}", _find_description(FIELDS[name].type)) from None
    return msgspec.convert(derived | given, Settings, strict=False)


def _find_description(kind: Any) -> str:
    """Return the description in the type of a field, which may be in a union with None."""
    described = kind if hasattr(kind, "__metadata__") else get_args(kind)[0]
    return str(described.__metadata__[0].description)


def _check_spelling(name: str) -> None:
    by_lower_case = {known.lower(): known for known in FIELDS}
    for near in get_close_matches(name.lower().replace("-", "").replace("_", ""), by_lower_case, cutoff=0.85):
        raise SettingRefused(name, "is not one of the settings", f"Did you mean {by_lower_case[near]}?")
