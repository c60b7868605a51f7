"""One Lambda function: the process that runs it, and the Runtime API from which the process takes its invocations.

A process is one execution environment. It requests the next invocation, answers it, and requests the next; so it runs
one invocation at a time, as an environment on Lambda does. A process that ends, or takes longer than the function's
time-out, is replaced at the next invocation. The API is as in Lambda's documentation, version 2018-06-01.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from typing import TYPE_CHECKING

from msgspec import Struct

from infra.settings import MEMORY_MB, ROUTE_SECONDS
from laurels.adapters.asgi import read_body, send_response
from laurels.http.messages import Response

if TYPE_CHECKING:
    from pathlib import Path

    from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

API = "/2018-06-01/runtime"
ACCOUNT = "000000000000"
REGION = "us-east-1"


class FunctionFailed(Exception):
    """An invocation has no answer: the handler raised, its process ended, or the time-out was over."""


class Setup(Struct, frozen=True, kw_only=True):
    """A function's configuration.

    ``path`` is the directories that its Python imports from, the asset first; ``environment`` is without the variables
    that Lambda itself sets.
    """

    name: str
    handler: str
    path: tuple[Path, ...]
    environment: dict[str, str]
    log: Path
    memory: int = MEMORY_MB
    seconds: float = ROUTE_SECONDS


class _Invocation:
    def __init__(self, event: bytes, seconds: float) -> None:
        self.id = str(uuid.uuid4())
        self.event = event
        self.deadline = time.time() + seconds
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def headers(self, function: str) -> tuple[tuple[bytes, bytes], ...]:
        trace = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]};Sampled=0"
        headers = {
            "lambda-runtime-aws-request-id": self.id,
            "lambda-runtime-deadline-ms": str(int(self.deadline * 1000)),
            "lambda-runtime-invoked-function-arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}",
            "lambda-runtime-trace-id": trace,
        }
        return tuple((name.encode(), value.encode()) for name, value in headers.items())

    def succeed(self, answer: bytes) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)

    def fail(self, reason: str) -> None:
        if not self.answer.done():
            self.answer.set_exception(FunctionFailed(reason))


class Function:
    """A function with one execution environment, whose Runtime API is at ``address``."""

    def __init__(self, setup: Setup, address: str) -> None:
        self.setup = setup
        self.address = address
        self.process: asyncio.subprocess.Process | None = None
        self._waiting: asyncio.Queue[_Invocation] = asyncio.Queue()
        self._current: _Invocation | None = None
        self._turn = asyncio.Lock()
        self._starting = asyncio.Lock()

    async def invoke(self, event: bytes) -> bytes:
        """Run the function once; return its handler's result, as JSON. Raises FunctionFailed."""
        async with self._turn:
            await self.start()
            self._current = invocation = _Invocation(event, self.setup.seconds)
            self._waiting.put_nowait(invocation)
            try:
                return await asyncio.wait_for(invocation.answer, self.setup.seconds)
            except TimeoutError:
                await self.end()
                raise FunctionFailed(f"{self.setup.name} took longer than {self.setup.seconds} seconds.") from None
            finally:
                self._current = None

    async def start(self) -> None:
        """Start the environment, unless it is running."""
        async with self._starting:
            if self.process is None or self.process.returncode is not None:
                await self._start()

    def kill(self) -> None:
        """Kill the environment."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()

    async def end(self) -> None:
        """Kill the environment, and wait for its end."""
        self.kill()
        if self.process is not None:
            await self.process.wait()

    async def _start(self) -> None:
        # A queue of its own for each process: the dead one's request may still wait on the old queue, and must not
        # take the next invocation.
        self._waiting = asyncio.Queue()
        with self.setup.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-S", "-m", "awslambdaric", self.setup.handler),
                cwd=self.setup.path[0],
                env=self._environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watch = asyncio.create_task(self._wait_for_end(self.process))

    async def _wait_for_end(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        if self._current is not None and process is self.process:
            self._current.fail(f"{self.setup.name} ended with status {status}; its log is {self.setup.log}.")

    async def answer(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Answer one request of the environment to the Runtime API."""
        path = scope["path"]
        if path == f"{API}/invocation/next":
            await self._next(receive, send)
            return
        body = bytes(await read_body(sys.maxsize, receive))
        invocation = self._current
        if path == f"{API}/init/error":
            if invocation is not None:
                invocation.fail(f"{self.setup.name} did not start: {body.decode()}")
        elif invocation is None or f"/{invocation.id}/" not in path:
            await send_response(Response(400, b'{"errorType":"InvalidRequestID"}'), send)
            return
        elif path.endswith("/response"):
            invocation.succeed(body)
        else:
            invocation.fail(f"{self.setup.name} raised: {body.decode()}")
        await send_response(Response(202, b'{"status":"OK"}'), send)

    async def _next(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Wait for the next invocation and send it, unless the environment ends first."""
        await receive()
        waiting = self._waiting
        coming = asyncio.ensure_future(waiting.get())
        leaving = asyncio.ensure_future(receive())
        await asyncio.wait({coming, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not coming.done():
            coming.cancel()
            return
        invocation = coming.result()
        await send_response(Response(200, invocation.event, headers=invocation.headers(self.setup.name)), send)

    def _environment(self) -> dict[str, str]:
        setup = self.setup
        lambda_sets = {
            "AWS_LAMBDA_RUNTIME_API": self.address,
            "AWS_LAMBDA_FUNCTION_NAME": setup.name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(setup.memory),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{setup.name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "local",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "LAMBDA_TASK_ROOT": str(setup.path[0]),
            "_HANDLER": setup.handler,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "PYTHONPATH": ":".join(str(folder) for folder in setup.path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return lambda_sets | setup.environment
