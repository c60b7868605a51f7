"""The gRPC server: all calls of Momento's services, with the check of the key in one place."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, cast

import grpc
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass
from momento_wire_types import auth_pb2, cacheclient_pb2, cachepubsub_pb2, common_pb2, controlclient_pb2, token_pb2

from laurels.momento_local import control, leaderboard_messages
from laurels.momento_local.caches import LARGEST_ITEM, Caches
from laurels.momento_local.calls import ITEMS, NAMES
from laurels.momento_local.errors import (
    AlreadyThere,
    BadArgument,
    CallRefused,
    NotAuthenticated,
    NotListening,
    NotPermitted,
    NotThere,
    TooMuch,
    WrongKind,
)
from laurels.momento_local.faults import Faults
from laurels.momento_local.fields import choice
from laurels.momento_local.rights import Action
from laurels.momento_local.tokens import DISPOSABLE, KEYS, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from google.protobuf.descriptor import MethodDescriptor

    from laurels.momento_local.item_calls import ItemCall
    from laurels.momento_local.keys import Keys

    Metadata = Mapping[str, str]
    Answer = Callable[[Metadata, Any], Any]
    Handle = Callable[[Any, grpc.aio.ServicerContext], Any]

STATUS = {
    NotAuthenticated: grpc.StatusCode.UNAUTHENTICATED,
    NotPermitted: grpc.StatusCode.PERMISSION_DENIED,
    BadArgument: grpc.StatusCode.INVALID_ARGUMENT,
    NotThere: grpc.StatusCode.NOT_FOUND,
    AlreadyThere: grpc.StatusCode.ALREADY_EXISTS,
    WrongKind: grpc.StatusCode.FAILED_PRECONDITION,
    TooMuch: grpc.StatusCode.RESOURCE_EXHAUSTED,
}
"""The status with which each refusal is answered."""

LARGEST_MESSAGE = 64 * 1024 * 1024
"""The bytes of a request that are read: more than any item may have, so that its refusal can say what is too large."""

OPEN_CALLS = 2_000
"""The calls that may be open at once: subscriptions, and those that a fault delays."""

LONGEST_DETAILS = 1_000
"""The characters of what a refusal says: it may repeat a key, and gRPC's trailers hold 8 KB."""

NEVER = 2**31 - 1
OPTIONS = (
    # The SDKs ping while no call is open.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", LARGEST_MESSAGE),
    # A second server must not share a port.
    ("grpc.so_reuseport", 0),
    # gRPC would cancel, without a word, calls that wait for their turn: more than 1,000 of them, or for 30 seconds.
    ("grpc.server.max_pending_requests", NEVER),
    ("grpc.server.max_pending_requests_hard_limit", NEVER),
    ("grpc.server_max_unrequested_time_in_server", NEVER),
    # It would refuse calls of a client that keeps to the number of streams, but sees the end of one before it does.
    ("grpc.http.overload_protection", 0),
)

HEARTBEAT_SECONDS = 5.0


class MomentoServer:
    """Caches, and the calls on them. ``clock`` is in seconds, of which only differences count.

    At most ``most`` calls are open at once. A connection may have twice as many under way, so that the next one is
    refused in words; a client keeps back what is beyond that, by HTTP/2, and nothing is lost.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: float = HEARTBEAT_SECONDS,
        most: int = OPEN_CALLS,
        largest: int = LARGEST_ITEM,
    ) -> None:
        self.caches = Caches(clock, page=time.time_ns() // 1_000_000, largest=largest)
        self.faults = Faults()
        self.tokens = Tokens(keys)
        self._keys = keys
        self._heartbeat = heartbeat
        self._stopping = False
        self._server = grpc.aio.server(options=(*OPTIONS, ("grpc.max_concurrent_streams", 2 * most)))
        self.dispatcher = Dispatcher(self._handlers(), most)
        self._server.add_generic_rpc_handlers([self.dispatcher])

    def listen(self, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen on a port, 0 for a free one, with TLS if there are credentials; return the port.

        Raises NotListening if that is not possible.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            taken: int = (
                self._server.add_secure_port(address, credentials)
                if credentials
                else self._server.add_insecure_port(address)
            )
        except RuntimeError as exc:
            raise NotListening(address, "--tls-port" if credentials else "--port") from exc
        return taken

    async def start(self) -> None:
        """Begin to answer on the ports."""
        await self._server.start()

    def end_subscriptions(self) -> None:
        """End the subscriptions: the server is about to stop."""
        self._stopping = True
        self.caches.end()

    async def stop(self, patience: float = 1.0) -> None:
        """End the subscriptions, wait up to ``patience`` seconds for the open calls, and stop."""
        self.end_subscriptions()
        await self._server.stop(patience)

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler]:
        """Make the handlers of all calls by their paths; those of calls that are not served say so."""
        answers: dict[str, Answer] = {
            **{name: self._item_answer(call) for name, call in ITEMS.items()},
            **{name: self._cache_answer(name) for name in control.CALLS},
            **{name: self._token_answer(call) for name, call in (DISPOSABLE | KEYS).items()},
            "Publish": self._publish,
        }
        handles = {name: self._make_handler(name, answer) for name, answer in answers.items()}
        handles["Subscribe"] = self._subscribe
        return {
            f"/{service.full_name}/{method.name}": _handler(method, handles.get(method.name) or _unknown(method.name))
            for module in (
                cacheclient_pb2,
                leaderboard_messages,
                controlclient_pb2,
                cachepubsub_pb2,
                token_pb2,
                auth_pb2,
            )
            for service in module.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }

    def _make_handler(self, name: str, answer: Answer) -> Handle:
        """Make the handler of a call: first its faults, then its answer or the status of its refusal."""
        faults = self.faults

        async def handle(request: Any, context: grpc.aio.ServicerContext) -> Any:
            if faults:
                await self._strike(name, context)
            try:
                return answer(dict(context.invocation_metadata()), _check_whole(request))
            except CallRefused as refusal:
                await _refuse(context, refusal)

        return handle

    async def _strike(self, name: str, context: grpc.aio.ServicerContext) -> None:
        delay, status = self.faults.strike(name)
        await asyncio.sleep(delay)
        if status:
            await context.abort(status, f"A fault that was asked for: {name} answers {status.name}.")

    def _item_answer(self, call: ItemCall) -> Answer:
        check, caches = self._keys.check, self.caches
        needs, respond = call

        def answer(metadata: Metadata, request: Any) -> Any:
            cache_name, authorization = metadata.get("cache", ""), metadata.get("authorization")
            needed = needs(request)
            for action, field, key in needed:
                check(authorization, action, cache_name, key)
                if not key:
                    raise BadArgument(f"{field} is empty: give at least one byte.")
            if not needed:
                self._keys.grant(authorization)
            return respond(caches[cache_name], request)

        return answer

    def _cache_answer(self, name: str) -> Answer:
        action, call = control.CALLS[name]

        def answer(metadata: Metadata, request: Any) -> Any:
            self._keys.check(metadata.get("authorization"), action, getattr(request, "cache_name", None))
            return call(self.caches, request)

        return answer

    def _token_answer(self, call: Callable[[Tokens, Any], Any]) -> Answer:
        return lambda _, request: call(self.tokens, request)

    def _publish(self, metadata: Metadata, request: cachepubsub_pb2._PublishRequest) -> common_pb2._Empty:
        authorization = metadata.get("authorization")
        self._keys.check(authorization, Action.PUBLISH, request.cache_name, request.topic.encode())
        choice(request.value, "kind", "what to publish")
        publisher = self._keys.grant(authorization).token_id
        self.caches[request.cache_name].topic(request.topic).publish(request.value, publisher)
        return common_pb2._Empty()

    async def _subscribe(
        self, request: cachepubsub_pb2._SubscriptionRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[cachepubsub_pb2._SubscriptionItem]:
        await self._strike("Subscribe", context)
        authorization = dict(context.invocation_metadata()).get("authorization")
        try:
            _check_whole(request)
            number, page = request.resume_at_topic_sequence_number, request.sequence_page
            self._keys.check(authorization, Action.SUBSCRIBE, request.cache_name, request.topic.encode())
            topic = self.caches[request.cache_name].topic(request.topic)
            async for item in topic.follow(number, page, self._heartbeat):
                yield item
            if self._stopping:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping. Subscribe again.")
            raise NotThere("cache", request.cache_name)
        except CallRefused as refusal:
            await _refuse(context, refusal)


class Dispatcher(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds the handler of a call by its path, unless ``most`` calls are open."""

    def __init__(self, handlers: Mapping[str, grpc.RpcMethodHandler], most: int) -> None:
        self._handlers = handlers
        self._most = most
        self._open: set[asyncio.Task[Any]] = set()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return the handler of a call, which is open until its task ends; None makes it UNIMPLEMENTED.

        gRPC asks in the task that handles the call.
        """
        if len(self._open) >= self._most:
            # As a stream of requests, of which none is read.
            return grpc.stream_unary_rpc_method_handler(self._refuse)
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return self._handlers.get(details.method)

    async def _refuse(self, _requests: Any, context: grpc.aio.ServicerContext) -> None:
        problem = f"{self._most:,} calls are open, as many as --max-calls allows: end some, or raise it."
        await _refuse(context, TooMuch("operations_rate_limit_exceeded", problem))


async def _refuse(context: grpc.aio.ServicerContext, refusal: CallRefused) -> None:
    """End a call with the status and the words of its refusal, and with its cause where the SDKs look for it."""
    cause = (("err", refusal.cause),) if refusal.cause else ()
    await context.abort(STATUS[type(refusal)], str(refusal)[:LONGEST_DETAILS], cause)


def _handler(method: MethodDescriptor, handle: Handle) -> grpc.RpcMethodHandler:
    """Make gRPC's handler, which decodes and encodes the messages of the call."""
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)

    def read(body: bytes) -> Any:
        # What gRPC would answer if this raised is UNKNOWN.
        try:
            return request.FromString(body)
        except DecodeError:
            return None

    return make(handle, read, response.SerializeToString)


def _check_whole(request: Any) -> Any:
    """Return a request; raise BadArgument if its bytes were no message."""
    if request is None:
        raise BadArgument("The request's bytes are no message of the call's type.")
    return request


def _unknown(name: str) -> Handle:
    """Make the handler of a call that is not implemented."""

    async def handle(_request: Any, context: grpc.aio.ServicerContext) -> None:
        problem = f"The local Momento server has no {name}: it has {', '.join(sorted(NAMES))}."
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, problem)

    return handle
