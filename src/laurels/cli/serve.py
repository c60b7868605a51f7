"""The command that runs the service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from laurels.adapters.limits import Limits
from laurels.assembly import serve as run
from laurels.backup.limits import ArchiveLimits
from laurels.cli.limits import LimitedCommand, limit_options, take_limits
from laurels.cli.options import eviction_option, port_option, redis_ca_option, redis_password_option
from laurels.logs import LEVELS
from laurels.settings import Settings
from laurels.stores.contract import LONGEST_TTL_SECONDS, TTL_SECONDS
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.redis.settings import TIMEOUT, WAITING, RedisSettings

MOST_WORKERS = 256
EPILOG = """\b
Examples:
  laurels serve
  laurels serve --host 0.0.0.0 --port 80 --data /var/lib/laurels --access access.toml
  laurels serve --boards boards.toml
  LAURELS_PORT=9000 laurels serve --order ascending
  laurels serve --allowed-host boards.example --cors-origin https://game.example
  laurels serve --host 0.0.0.0 --port 443 --tls-cert chain.pem --tls-key key.pem
  laurels serve --max-connections 2000 --max-client-memory 64MiB
  laurels serve --store redis://localhost/0 --workers 4
  MOMENTO_API_KEY=... MOMENTO_ENDPOINT=... laurels serve --store momento:boards
"""


@click.command(cls=LimitedCommand, epilog=EPILOG)
@click.option(
    "--host",
    default="127.0.0.1",
    envvar="LAURELS_HOST",
    show_default=True,
    show_envvar=True,
    help="Address to listen on.",
)
@port_option("Port to listen on; 0 takes a free one.")
@click.option(
    "--store",
    metavar="URL",
    default="embedded",
    envvar="LAURELS_STORE",
    show_default=True,
    show_envvar=True,
    help="Where boards are kept: embedded (a directory of this machine), or momento:CACHE (a cache of Momento's).",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("laurels-data"),
    envvar="LAURELS_DATA",
    show_default=True,
    show_envvar=True,
    help="Directory of the embedded store; created if it is missing.",
)
@click.option(
    "--boards",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LAURELS_BOARDS",
    show_envvar=True,
    help="TOML file that declares boards, and the definition of all others. SIGHUP reloads it.",
)
@click.option(
    "--access",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="LAURELS_ACCESS",
    show_envvar=True,
    help="TOML file that says who may do what, as `laurels access init` writes one. SIGHUP reloads it.",
)
@click.option(
    "--open",
    is_flag=True,
    envvar="LAURELS_OPEN",
    show_envvar=True,
    help="Let whoever reaches the service do everything. Beyond this machine it takes this, or --access.",
)
@click.option(
    "--order",
    type=click.Choice(["descending", "ascending"]),
    envvar="LAURELS_ORDER",
    show_default="descending",
    show_envvar=True,
    help="Which scores rank first on boards that nothing declares: the highest, or the lowest (lap times).",
)
@click.option(
    "--ttl-seconds",
    type=click.IntRange(1, LONGEST_TTL_SECONDS),
    metavar="N",
    default=TTL_SECONDS,
    envvar="LAURELS_TTL_SECONDS",
    show_default=True,
    show_envvar=True,
    help="How long a board stays after its last score, with Momento. The embedded store keeps boards for good.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    metavar="NAME",
    multiple=True,
    envvar="LAURELS_ALLOWED_HOST",
    show_envvar=True,
    help="A name that the service has, for requests to ask for in Host; repeatable, * is any. On a loopback address it "
    "answers to localhost, loopback addresses and these; elsewhere to all, unless there is one.",
)
@click.option(
    "--trusted-proxy",
    "trusted_proxies",
    metavar="ADDRESS",
    multiple=True,
    envvar="LAURELS_TRUSTED_PROXY",
    show_envvar=True,
    help="Address or network of a proxy whose X-Forwarded-For, -Proto, -Host and -Prefix, or Forwarded, are believed; "
    "repeatable, * is whatever connects. Others are not.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    metavar="ORIGIN",
    multiple=True,
    envvar="LAURELS_CORS_ORIGIN",
    show_envvar=True,
    help="An origin whose pages may use the service in a browser, as in https://game.example; repeatable, * is any.",
)
@click.option(
    "--metrics/--no-metrics",
    default=True,
    envvar="LAURELS_METRICS",
    show_default=True,
    show_envvar=True,
    help="Count requests, and serve the counts at /-/metrics for Prometheus.",
)
@click.option(
    "--log-requests",
    is_flag=True,
    envvar="LAURELS_LOG_REQUESTS",
    show_envvar=True,
    help="Log a line for each request: client, method, route, status, bytes, duration, board, who asked, trace.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="LAURELS_LOG_FORMAT",
    show_default=True,
    show_envvar=True,
    help="How lines of the log are written.",
)
@click.option(
    "--log-level",
    type=click.Choice(LEVELS),
    default="info",
    envvar="LAURELS_LOG_LEVEL",
    show_default=True,
    show_envvar=True,
    help="The least that is logged. The request log and the audit log are in it on every level.",
)
@click.option(
    "--audit-log",
    type=click.Path(path_type=Path),
    envvar="LAURELS_AUDIT_LOG",
    show_envvar=True,
    help="File to add a line of JSON to for each write that takes the right to moderate, to define boards or to "
    "administer; without it the log has them. SIGHUP opens it again.",
)
@click.option(
    "--archive",
    metavar="PLACE",
    envvar="LAURELS_ARCHIVE",
    show_envvar=True,
    help="Directory or s3://BUCKET/PREFIX that gets everything a few seconds after it was written, so that `laurels "
    "restore` can go back to any second. With the embedded store; a service has a place of its own.",
)
@click.option(
    "--tls-cert",
    type=click.Path(readable=False, path_type=Path),
    envvar="LAURELS_TLS_CERT",
    show_envvar=True,
    help="Certificate to speak TLS with, in PEM, and behind it those of the authorities that signed it.",
)
@click.option(
    "--tls-key",
    type=click.Path(readable=False, path_type=Path),
    envvar="LAURELS_TLS_KEY",
    show_envvar=True,
    help="Key to the certificate, in PEM, unless the same file has it. The password of one that is encrypted is read "
    "from LAURELS_TLS_KEY_PASSWORD.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, MOST_WORKERS),
    metavar="N",
    default=1,
    envvar="LAURELS_WORKERS",
    show_default=True,
    show_envvar=True,
    help="Processes that serve, with Redis or Momento. --max-connections, --max-subscribers and --max-client-memory "
    "are divided among them.",
)
@click.option(
    "--redis-wait",
    type=click.IntRange(0, 100),
    metavar="N",
    default=0,
    envvar="LAURELS_REDIS_WAIT",
    show_default=True,
    show_envvar=True,
    help="How many replicas of Redis must have a change before it is acknowledged.",
)
@click.option(
    "--redis-timeout",
    type=click.FloatRange(0.1, 60),
    metavar="SECONDS",
    default=TIMEOUT,
    envvar="LAURELS_REDIS_TIMEOUT",
    show_default=True,
    show_envvar=True,
    help="How long an answer of Redis may take, and half of it how long replicas may.",
)
@click.option(
    "--redis-waiting",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    default=WAITING,
    envvar="LAURELS_REDIS_WAITING",
    show_default=True,
    show_envvar=True,
    help="How many calls may wait for one server of Redis; more are refused at once.",
)
@eviction_option
@redis_password_option
@redis_ca_option
@limit_options(StoreLimits, "max_")
@limit_options(ArchiveLimits, "archive_")
@limit_options(Limits)
def serve(**settings: Any) -> None:
    """Run the service until it is stopped.

    An acknowledged score is on disk, with the embedded store. One process owns a data directory. Ctrl-C or SIGTERM
    stops the service after it has finished what is under way. SIGHUP reloads the boards file,
    the access file and the certificate.

    A service that others than this machine can reach needs --access, or --open.

    With --store momento:CACHE the boards are in a cache of Momento's, for any number of processes. The key is read from
    MOMENTO_API_KEY, and the endpoint of a v2 key from MOMENTO_ENDPOINT.
    """
    if settings["tls_key"] and not settings["tls_cert"]:
        raise click.UsageError("--tls-key is the key to a certificate: name that with --tls-cert.")
    store_limits = StoreLimits(**take_limits(settings, StoreLimits, "max_"))
    archive_limits = ArchiveLimits(**take_limits(settings, ArchiveLimits, "archive_"))
    limits = Limits(**take_limits(settings, Limits))
    redis = RedisSettings(
        allow_eviction=settings.pop("allow_eviction"),
        **{name: settings.pop(f"redis_{name}") for name in ("wait", "timeout", "waiting", "password_file", "ca_file")},
    )
    run(Settings(**settings, redis=redis, store_limits=store_limits, archive_limits=archive_limits, limits=limits))
