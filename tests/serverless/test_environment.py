"""The settings in a function's environment."""

from __future__ import annotations

import pytest

from laurels.serverless.environment import Settings, read
from laurels.serverless.errors import BadSetting

LEAST = {"LAURELS_STAGE": "dev", "LAURELS_KEY_PARAMETER": "/key", "LAURELS_MOMENTO_CACHE": "laurels-dev"}


def test_least() -> None:
    """Stage, parameter and cache must be set; the rest has defaults. Other variables are ignored."""
    environment = LEAST | {"LAURELS_CORS_ORIGIN": "", "LAURELS_ADMIN_KEY_PARAMETER": "/admin", "PATH": "/bin"}
    assert read(environment) == Settings(
        stage="dev",
        key_parameter="/key",
        momento_cache="laurels-dev",
        momento_endpoint=None,
        order="descending",
        boards=None,
        ttl_seconds=604_800,
        cors_origin=None,
    )


def test_all() -> None:
    """Every setting is read from its variable."""
    more = {"ORDER": "ascending", "TTL_SECONDS": "86400", "MOMENTO_ENDPOINT": "e", "CORS_ORIGIN": "*", "BOARDS": "b"}
    settings = read(LEAST | {f"LAURELS_{name}": value for name, value in more.items()})
    assert settings.order == "ascending"
    assert settings.ttl_seconds == 86_400
    assert settings.momento_endpoint == "e"
    assert settings.cors_origin == "*"
    assert settings.boards == "b"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"LAURELS_STAGE": ""}, r"^LAURELS_STAGE is missing\. Correct it"),
        ({"LAURELS_TTL_SECONDS": "a week"}, r"^LAURELS_TTL_SECONDS is wrong: Expected `int`"),
        ({"LAURELS_TTL_SECONDS": "0"}, r"^LAURELS_TTL_SECONDS is wrong: Expected `int` >= 1\."),
        ({"LAURELS_ORDER": "up"}, r"^LAURELS_ORDER is wrong: Invalid enum value 'up'\."),
    ],
    ids=["missing", "no number", "too small", "unknown"],
)
def test_refused(wrong: dict[str, str], problem: str) -> None:
    """The error for a bad setting has its name and what is wrong."""
    with pytest.raises(BadSetting, match=problem):
        read(LEAST | wrong)
