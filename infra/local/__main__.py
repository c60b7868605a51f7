"""The command that runs the serverless stack on this machine: ``python -m infra.local``."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from infra.local.stack import Places, open_stack
from infra.runtimes import ROOT
from laurels.errors import LaurelsError
from laurels.http.hosts import is_loopback

FOREIGN = {"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"}
"""Variables that would send requests to other machines. Those of AWS are removed too."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on; 0 takes a free one.",
)
@click.option("--stage", default="dev", show_default=True, help="Name of the stage; it is in the names of all parts.")
@click.option(
    "--store",
    type=click.Choice(["momento", "valkey"]),
    default="momento",
    show_default=True,
    help="Where the boards are, as the setting store of a deployment.",
)
@click.option(
    "--boards",
    metavar="FILE",
    help="A TOML file that declares boards, as the setting boardsFile of a deployment.",
)
@click.option(
    "--access",
    metavar="FILE",
    help="An access file, in TOML: it is put into a parameter, from which the functions read it. Without it whoever "
    "reaches the stack may do everything.",
)
@click.option(
    "--live",
    "is_live",
    is_flag=True,
    help="Publish submits to Momento's Topics, and let browsers listen, as the setting live of a deployment.",
)
@click.option(
    "--cors-origin",
    metavar="ORIGIN",
    help="The origin whose pages may read answers, or *, as the setting corsOrigin of a deployment. Preflights are "
    "API Gateway's own, and not answered here.",
)
@click.option(
    "--open",
    "is_open",
    is_flag=True,
    help="Listen beyond loopback although whoever reaches the stack may do everything.",
)
@click.option(
    "--api-key",
    "api_keys",
    metavar="NAME",
    multiple=True,
    help="Make an API key of that name, and ask for one in X-Api-Key, as the setting apiKeys of a deployment. Rates "
    "and quotas are not kept here.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "build" / "local",
    help="Where logs and keys are kept.",
)
@click.option("--json", "as_json", is_flag=True, help="Write the addresses of the parts as one JSON object on stdout.")
def main(
    *,
    host: str,
    port: int,
    stage: str,
    store: str,
    boards: str | None,
    access: str | None,
    api_keys: tuple[str, ...],
    is_live: bool,
    cors_origin: str | None,
    is_open: bool,
    directory: Path,
    as_json: bool,
) -> None:
    """Run the serverless stack on this machine until Ctrl-C or SIGTERM.

    Real Lambda runtimes run the same asset that a deployment uploads; SSM is moto's, Momento the local server, and
    Valkey the valkey-server or redis-server of this machine. All scores are in memory, and gone at the end. Authorizers
    of API Gateway are not run, nor is its throttling.
    """
    if not (access or api_keys or is_open or is_loopback(host)):
        raise click.UsageError(
            f"Others can reach {host}, and nothing says who may do what: give --access FILE, --api-key NAME or --open, "
            "or leave --host out."
        )
    for name in [name for name in os.environ if name in FOREIGN or name.startswith("AWS_")]:
        del os.environ[name]
    try:
        with suppress(asyncio.CancelledError):
            given: dict[str, str | None] = {"boardsFile": boards, "accessFile": access, "apiKeys": ",".join(api_keys)}
            given |= {"live": "true" if is_live else None, "corsOrigin": cors_origin}
            context = {"stageName": stage, "store": store} | {name: value for name, value in given.items() if value}
            asyncio.run(_run(host, port, context, directory.absolute(), as_json=as_json))
    except (LaurelsError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _run(host: str, port: int, context: dict[str, str], directory: Path, *, as_json: bool) -> None:
    running = asyncio.current_task()
    assert running is not None  # noqa: S101 - this code runs in a task
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, running.cancel)
    async with open_stack(host, port, context, directory) as (places, server):
        if as_json:
            click.echo(msgspec.json.encode(places))
        click.echo(_format_places(places), err=True)
        await server.run_until_stopped()


def _format_places(places: Places) -> str:
    kind, place = ("Valkey", places.valkey) if places.valkey else ("Momento", places.momento["MOMENTO_ENDPOINT"])
    rows = {
        "key": f"{places.parameter} in SSM at {places.ssm_url}" if places.parameter else "",
        "access": f"{places.access} in SSM: a change there is taken up within 5 minutes" if places.access else "",
        "secret": f"{places.secret} in SSM: signs the tokens of players" if places.secret else "",
        "cache": f"{places.cache} in {kind} at {place}",
        "logs": places.logs,
    } | {f"X-Api-Key of {name}": key for name, key in places.api_keys.items()}
    listed = "\n".join(f"  {name:<7} {value}" for name, value in rows.items() if value)
    return f"""\
The serverless stack runs at {places.url}: gateway, three functions, SSM and {kind}. Ctrl-C stops it.

  curl -i --json '{{"score": 2077}}' {places.url}/mario-kart/v
  curl {places.url}/mario-kart/v
  curl '{places.url}/mario-kart?startRank=0&endRank=20'

{listed}
"""


if __name__ == "__main__":
    main()
