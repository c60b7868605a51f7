"""The gRPC server: all calls of Momento's services, with the check of the key in one place."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from momento_wire_types import auth_pb2, cacheclient_pb2, cachepubsub_pb2, common_pb2, controlclient_pb2, token_pb2

from laurels.momento_local import cache, control
from laurels.momento_local.caches import Caches
from laurels.momento_local.errors import (
    AlreadyThere,
    BadArgument,
    CallRefused,
    NotAuthenticated,
    NotListening,
    NotPermitted,
    NotThere,
    WrongKind,
)
from laurels.momento_local.faults import Faults
from laurels.momento_local.rights import Action

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

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
}
"""The status with which each refusal is answered."""

OPTIONS = (
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.max_receive_message_length", 5_243_000),
    ("grpc.so_reuseport", 0),
)
"""The SDKs ping while no call is open, and send items of up to 5 MB; a second server must not share a port."""

HEARTBEAT_SECONDS = 5.0


class MomentoServer:
    """Caches, and the calls on them. ``clock`` is in seconds, of which only differences count.

    ``tokens`` has the functions that answer the calls for tokens and keys, by the calls' names.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        tokens: Mapping[str, Answer] | None = None,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        self.caches = Caches(clock, page=time.time_ns() // 1_000_000)
        self.faults = Faults()
        self._keys = keys
        self._heartbeat = heartbeat
        self._stopping = False
        self._server = grpc.aio.server(options=OPTIONS)
        handles: dict[str, Handle] = {
            **{name: self._make_handler(name, self._item_answer(name)) for name in cache.CALLS},
            **{name: self._make_handler(name, self._cache_answer(name)) for name in control.CALLS},
            "Publish": self._make_handler("Publish", self._publish),
            "Subscribe": self._subscribe,
        }
        handles |= {name: self._make_handler(name, answer) for name, answer in (tokens or {}).items()}
        for module in (cacheclient_pb2, controlclient_pb2, cachepubsub_pb2, token_pb2, auth_pb2):
            for service in module.DESCRIPTOR.services_by_name.values():
                self._serve(service, handles)

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

    async def stop(self, patience: float = 1.0) -> None:
        """End the subscriptions, wait up to ``patience`` seconds for the open calls, and stop."""
        self._stopping = True
        self.caches.end()
        await self._server.stop(patience)

    def _serve(self, service: ServiceDescriptor, handles: Mapping[str, Handle]) -> None:
        """Answer the calls of a service; those without a handler are UNIMPLEMENTED."""
        handlers = {
            method.name: _handler(method, handles.get(method.name) or _unknown(method.name))
            for method in service.methods
        }
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service.full_name, handlers)])

    def _make_handler(self, name: str, answer: Answer) -> Handle:
        """Make the handler of a call: first its faults, then its answer or the status of its refusal."""
        faults = self.faults

        async def handle(request: Any, context: grpc.aio.ServicerContext) -> Any:
            if faults:
                await self._strike(name, context)
            try:
                return answer(dict(context.invocation_metadata()), request)
            except CallRefused as refusal:
                await context.abort(STATUS[type(refusal)], str(refusal))

        return handle

    async def _strike(self, name: str, context: grpc.aio.ServicerContext) -> None:
        delay, status = self.faults.strike(name)
        await asyncio.sleep(delay)
        if status:
            await context.abort(status, f"A fault that was asked for: {name} answers {status.name}.")

    def _item_answer(self, name: str) -> Answer:
        action, field, call = cache.CALLS[name]
        check, caches = self._keys.check, self.caches
        reads_others = name == "SortedSetUnionStore"

        def answer(metadata: Metadata, request: Any) -> Any:
            cache_name, key = metadata.get("cache", ""), getattr(request, field)
            check(metadata.get("authorization"), action, cache_name, key)
            if not key:
                raise BadArgument(f"{field} is empty: give at least one byte.")
            if reads_others:
                for source in request.sources:
                    check(metadata.get("authorization"), Action.READ, cache_name, source.set_name)
            return call(caches[cache_name], request)

        return answer

    def _cache_answer(self, name: str) -> Answer:
        action, call = control.CALLS[name]

        def answer(metadata: Metadata, request: Any) -> Any:
            self._keys.check(metadata.get("authorization"), action, getattr(request, "cache_name", None))
            return call(self.caches, request)

        return answer

    def _publish(self, metadata: Metadata, request: cachepubsub_pb2._PublishRequest) -> common_pb2._Empty:
        authorization = metadata.get("authorization")
        self._keys.check(authorization, Action.PUBLISH, request.cache_name, request.topic.encode())
        if request.value.WhichOneof("kind") is None:
            raise BadArgument("The call does not say what to publish: give `text` or `binary`.")
        publisher = self._keys.grant(authorization).token_id
        self.caches[request.cache_name].topic(request.topic).publish(request.value, publisher)
        return common_pb2._Empty()

    async def _subscribe(
        self, request: cachepubsub_pb2._SubscriptionRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[cachepubsub_pb2._SubscriptionItem]:
        await self._strike("Subscribe", context)
        authorization = dict(context.invocation_metadata()).get("authorization")
        number, page = request.resume_at_topic_sequence_number, request.sequence_page
        try:
            self._keys.check(authorization, Action.SUBSCRIBE, request.cache_name, request.topic.encode())
            topic = self.caches[request.cache_name].topic(request.topic)
            async for item in topic.follow(number, page, self._heartbeat):
                yield item
            if self._stopping:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "The server is stopping. Subscribe again.")
            raise NotThere("cache", request.cache_name)
        except CallRefused as refusal:
            await context.abort(STATUS[type(refusal)], str(refusal))


def _handler(method: MethodDescriptor, handle: Handle) -> grpc.RpcMethodHandler:
    """Make gRPC's handler, which decodes and encodes the messages of the call."""
    make = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
    return make(
        handle, GetMessageClass(method.input_type).FromString, GetMessageClass(method.output_type).SerializeToString
    )


def _unknown(name: str) -> Handle:
    """Make the handler of a call that is not implemented."""

    async def handle(_request: Any, context: grpc.aio.ServicerContext) -> None:
        problem = f"The local Momento server has no {name}: it has sorted sets, scalars and topics."
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, problem)

    return handle
