"""The serverless stack on this machine: the store, and of AWS the parameters, the functions and their gateway."""

from __future__ import annotations

import secrets
import shlex
import shutil
import socket
import sys
import uuid
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import uvicorn
from msgspec import Struct

from infra import assets, settings
from infra.access import has_issuers
from infra.answers import FUNCTIONS, LIVE_ROUTES, ROUTES
from infra.boards import read_declarations
from infra.errors import ServerMissing
from infra.local.front import Front
from infra.local.runtime import REGION, Function, Setup
from infra.local.servers import running
from infra.runtimes import HERE, ROOT
from laurels.access.ssm_parameter import read_file, secret_parameter
from laurels.adapters.asgi import Disconnected
from laurels.momento_local.errors import NotListening

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import FrameType

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope

    Answer = Callable[[HTTPScope, ASGIReceiveCallable, ASGISendCallable], Awaitable[None]]

LAMBDA_RUNTIME = ROOT / "build" / "lambda-runtime"
MOTO = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0")
MOTO_READY = r"Running on (http://[\d.:]+)"
MOMENTO = (sys.executable, "-m", "laurels", "momento-local", "--port", "0", "--tls", "--require-key")
MOMENTO_READY = "listens on"
SERVERS = ("valkey-server", "redis-server")
"""What speaks Redis's protocol; the first that is installed keeps the boards of a stage with Valkey."""
VALKEY_READY = "eady to accept connections"
TRUSTED = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"


class Places(Struct, frozen=True):
    """The addresses of a running stack's parts; ``momento`` has the variables for programs that connect to Momento.

    ``parameter`` is that with its key; a stage with Valkey has the URL of its server instead. ``access`` and ``secret``
    are the parameters with the access file and with the secret of players' tokens.
    """

    url: str
    ssm_url: str
    cache: str
    logs: str
    parameter: str | None = None
    momento: dict[str, str] = {}
    valkey: str | None = None
    access: str | None = None
    secret: str | None = None
    api_keys: dict[str, str] = {}

    def __repr__(self) -> str:
        """Return nothing but the address: the rest has keys in it."""
        return f"Places({self.url!r})"


class Server(uvicorn.Server):
    """One server for the front and for the Runtime API of each function, each on a port of its own."""

    def __init__(self, sockets: ExitStack) -> None:
        self._sockets = sockets
        self._listening: list[socket.socket] = []
        self._answers: dict[int, Answer] = {}
        self._functions: list[Function] = []
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                lifespan="off",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
            )
        )

    def listen(self, host: str, port: int) -> int:
        """Listen on a port, 0 for a free one; return the port, or raise NotListening.

        Connections inherit TCP_NODELAY: asyncio sets it only if a socket's ``proto`` is TCP.
        """
        try:
            taken = self._sockets.enter_context(socket.create_server((host, port)))
        except OSError as exc:
            raise NotListening(f"{host}:{port}", "--port") from exc
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._listening.append(taken)
        return int(taken.getsockname()[1])

    def add(self, setup: Setup) -> Function:
        """Add a function."""
        port = self.listen("127.0.0.1", 0)
        function = Function(setup, f"127.0.0.1:{port}")
        self._functions.append(function)
        self._answers[port] = function.answer
        return function

    def add_front(self, port: int, front: Front) -> None:
        """Let ``front`` answer the requests to ``port``."""
        self._answers[port] = front.answer

    async def run_until_stopped(self) -> None:
        """Start the functions' environments, and serve until SIGINT or SIGTERM."""
        try:
            for function in self._functions:
                await function.start()
            await self.serve(self._listening)
        finally:
            for function in self._functions:
                await function.end()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Kill the environments first: their open requests for an invocation would hold up the shutdown."""
        for function in self._functions:
            function.kill()
        self.should_exit = True

    async def _answer(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http" and scope["server"] is not None:
            with suppress(Disconnected):
                await self._answers[scope["server"][1] or 0](scope, receive, send)


@asynccontextmanager
async def open_stack(
    host: str, port: int, context: Mapping[str, str], directory: Path
) -> AsyncIterator[tuple[Places, Server]]:
    """Start the parts in order, and stop all of them at the end of the block.

    ``context`` has the settings, as for a deployment. The caller runs the server. Raises DeploymentError, NotListening,
    and the errors of a boards file.
    """
    context = _with_access(context)
    chosen, _ = settings.read(context)
    logs = directory / "logs"
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    carried = read_declarations(chosen)
    asset = assets.build(HERE, assets.ASSETS, extra_files=carried, with_issuers=has_issuers(chosen), store=chosen.store)
    async with AsyncExitStack() as parts:
        ssm = (await parts.enter_async_context(running(MOTO, MOTO_READY, logs / "ssm.log")))[1]
        open_store = _open_valkey if chosen.store == "valkey" else _open_momento
        of_store, environment = await open_store(parts, context, directory, ssm)
        _put_access(ssm, chosen)
        with ExitStack() as sockets:
            server = Server(sockets)
            front = server.listen(host, port)
            environment = chosen.environment | environment | {"AWS_ENDPOINT_URL_SSM": ssm}
            functions = {
                function: server.add(
                    _setup(function, asset, environment | chosen.live_environment.get(function, {}), logs)
                )
                for function in FUNCTIONS
            }
            api_keys = {name: secrets.token_urlsafe(30) for name in chosen.api_key_names}
            routes = LIVE_ROUTES if chosen.live else ROUTES
            server.add_front(front, Front(functions, chosen.stage_name, api_keys, routes))
            places = Places(
                url=f"http://{host}:{front}",
                ssm_url=ssm,
                logs=str(logs),
                access=chosen.access_parameter,
                secret=chosen.secret_parameter,
                api_keys=api_keys,
                **of_store,
            )
            yield places, server


async def _open_momento(
    parts: AsyncExitStack, context: Mapping[str, str], directory: Path, ssm: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Run Momento, with a key for the stage's cache; return the stack's places in it, and the functions' variables."""
    chosen, _ = settings.read(context)
    files = ("--ca-file", str(directory / "momento-ca.pem"), "--env-file", str(directory / "momento.env"))
    command = (*MOMENTO, "--cache", chosen.name, *files)
    await parts.enter_async_context(running(command, MOMENTO_READY, directory / "logs" / "momento.log"))
    exports = _read_exports(directory / "momento.env")
    chosen, _ = settings.read({**context, "momentoEndpoint": exports["MOMENTO_ENDPOINT"]})
    _put_parameter(ssm, chosen.admin_key_parameter, exports["MOMENTO_API_KEY"])
    rules = [item_rule(chosen.name)]
    web = {}
    if chosen.live:
        topics: dict[str, object] = {"type": "topic", "caches": {"name": chosen.name}, "topics": "*"}
        rules.append(topics | {"permissions": ["write"]})
        live_key = make_key(exports, chosen.name, topics | {"permissions": ["read"]})[0]
        _put_parameter(ssm, chosen.live_key_parameter, live_key)
        web = {"LAURELS_MOMENTO_WEB": exports["MOMENTO_ACCOUNT_URL"]}
    _put_parameter(ssm, chosen.key_parameter, make_key(exports, chosen.name, *rules)[0])
    places = {"cache": chosen.name, "parameter": chosen.key_parameter, "momento": exports}
    return places, chosen.route_environment | {TRUSTED: exports[TRUSTED]} | web


async def _open_valkey(
    parts: AsyncExitStack, context: Mapping[str, str], directory: Path, _: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Run a server whose only user has the rights of a deployment's; it takes any token, for it knows no roles."""
    chosen, _taken = settings.read(context)
    program = next(filter(None, map(shutil.which, SERVERS)), None)
    if program is None:
        raise ServerMissing
    user, place = chosen.valkey_name, directory / "valkey.socket"
    users = directory / "valkey.acl"
    users.write_text(f"user default off\nuser {user} nopass {settings.ACCESS_STRING}\n")
    options = (
        "--port",
        "0",
        "--unixsocket",
        str(place),
        "--aclfile",
        str(users),
        "--dir",
        str(directory),
        "--save",
        "",
    )
    await parts.enter_async_context(running((program, *options), VALKEY_READY, directory / "logs" / "valkey.log"))
    url = f"unix://{place}"
    own = {"LAURELS_STORE": url, "LAURELS_CACHE": user, "LAURELS_CACHE_USER": user}
    return {"cache": user, "valkey": url}, chosen.route_environment | own


def _with_access(context: Mapping[str, str]) -> Mapping[str, str]:
    """Add the parameters that an access file needs, as an operator would who deploys it."""
    if "accessFile" not in context:
        return context
    parameter = {"accessParameter": f"/laurels/{context['stageName']}/access"}
    secret = secret_parameter(read_file(Path(context["accessFile"]))[1])
    return {**context, **parameter} | ({"secretParameter": secret} if secret else {})


def _put_access(ssm_url: str, chosen: settings.Settings) -> None:
    if chosen.access_file and chosen.access_parameter:
        _put_parameter(ssm_url, chosen.access_parameter, read_file(Path(chosen.access_file))[0], tier="Advanced")
    if chosen.secret_parameter:
        _put_parameter(ssm_url, chosen.secret_parameter, secrets.token_urlsafe(48))


def _setup(function: str, asset: Path, environment: dict[str, str], logs: Path) -> Setup:
    return Setup(
        name=function,
        handler=f"{assets.HANDLERS}.{function}",
        path=(asset, LAMBDA_RUNTIME),
        environment=environment,
        log=logs / f"{function}.log",
    )


def _read_exports(file: Path) -> dict[str, str]:
    """Read the file that ``--env-file`` wrote."""
    lines = (shlex.split(line) for line in file.read_text().splitlines())
    return dict(variable.split("=", 1) for _, variable in lines)


def item_rule(cache: str) -> dict[str, object]:
    """Return the right to read and write the items of one cache."""
    return {"type": "cache", "permissions": ["read", "write"], "caches": {"name": cache}, "items": "*"}


def make_key(exports: dict[str, str], cache: str, *rules: dict[str, object]) -> tuple[str, str]:
    """Make a key with these rights and no other, by default those on items of one cache; return its text and its id."""
    rules = rules or (item_rule(cache),)
    with httpx.Client(
        base_url=exports["MOMENTO_ACCOUNT_URL"], headers={"authorization": exports["MOMENTO_API_KEY"]}
    ) as account:
        role = account.post("/roles", json={"role_name": uuid.uuid4().hex, "permissions": {"rules": rules}})
        role_id = role.raise_for_status().json()["role_id"]
        made = account.post("/api-keys", json={"role_id": role_id, "description": cache, "expiry": "never"})
        key = made.raise_for_status().json()
        return key["api_key"], key["key_info"]["key_id"]


def _put_parameter(ssm_url: str, name: str, value: str, tier: str = "Standard") -> None:
    """Store a parameter as an operator would."""
    client = boto3.client(
        "ssm",
        endpoint_url=ssm_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - moto takes any
    )
    client.put_parameter(Name=name, Value=value, Type="SecureString", Tier=tier)
