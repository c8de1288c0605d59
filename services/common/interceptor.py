"""What happens around every call: request id, deadline, log line, metrics, errors as statuses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from prometheus_client import Counter, Gauge, Histogram

from ghostback.convert import InvalidMessage
from services.common import status
from services.common.budget import Budget
from services.common.errors import DomainError, InvalidInput, ResourceExhausted, Violation

_PARSED = 50
"""Bytes that a byte of a request may take when it is parsed, at worst: a message without fields has two."""

Parse = Callable[[bytes], Any]
Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it comes in, before its request is read.

    Attributes:
        method: `/package.Service/Method`.
        metadata: what it carries, by key.
        context: gRPC's.
    """

    method: str
    metadata: Mapping[str, str]
    context: Context


Gate = Callable[[Call], AbstractContextManager[None]]
"""Lets a call in for as long as the context lasts, or raises a DomainError that its caller is told."""

REQUEST_ID_KEY = "x-request-id"
_PASSED_ON = ("x-ghostback-arm", "x-ghostback-routing-key")

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the call being served; joins the logs of all services that took part in it."""
passed_on: ContextVar[tuple[tuple[str, str], ...]] = ContextVar("passed_on", default=())
"""Metadata of the call being served that calls to other services carry too: so arms agree from service to service."""
deadline: ContextVar[float | None] = ContextVar("deadline", default=None)
"""When the caller of the call being served gives up, on `time.monotonic`'s clock."""

_log = structlog.get_logger()
_CALLS = Counter("ghostback_grpc_calls_total", "Calls ended, by method and status code.", ["method", "code"])
_IN_FLIGHT = Gauge("ghostback_grpc_calls_in_flight", "Calls being served, by method.", ["method"])
_SECONDS = Histogram(
    "ghostback_grpc_call_seconds",
    "Time to serve a call, by method.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of Ghostback's own services; others pass through."""

    def __init__(self, reader_seconds: float, request_bytes: int, gates: Sequence[Gate] = ()) -> None:
        """Set the limits of calls.

        Args:
            reader_seconds: how long a response of a stream may wait to be read.
            request_bytes: memory for requests that are read and not yet answered; the others wait as they came.
            gates: what every call passes before its request is read, in this order.
        """
        self._reader_seconds = reader_seconds
        self._requests = Budget(request_bytes)
        self._gates = gates
        self._wrapped: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Give the wrapped handler of a call."""
        method = handler_call_details.method
        if method in self._wrapped:
            return self._wrapped[method]
        handler = await continuation(handler_call_details)
        if handler is None or not method.startswith("/ghostback."):
            return handler
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        parse = handler.request_deserializer or bytes
        request = "stream" if handler.request_streaming else "unary"
        response = "stream" if handler.response_streaming else "unary"
        behaviour = getattr(handler, f"{request}_{response}")

        async def unary(data: bytes, context: Context) -> Any:
            try:
                async with self._around(method, context), self._requests.held(_PARSED * len(data)):
                    return await behaviour(_parsed(parse, data), context)
            except grpc.aio.AbortError as aborted:
                del data
                raise _without_frames(aborted) from None

        async def stream(data: Any, context: Context) -> None:
            try:
                async with self._around(method, context):
                    data = self._each(parse, data) if handler.request_streaming else _parsed(parse, data)
                    async with aclosing(behaviour(data, context)) as responses:
                        async for response in responses:
                            await _write(response, context, self._reader_seconds)
            except grpc.aio.AbortError as aborted:
                del data
                raise _without_frames(aborted) from None

        make = getattr(grpc, f"{request}_{response}_rpc_method_handler")
        wrapped = stream if handler.response_streaming else unary
        return make(wrapped, response_serializer=handler.response_serializer)  # type: ignore[no-any-return]

    async def _each(self, parse: Parse, data: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The requests of a stream; memory is held for one until the next is asked for."""
        async for each in data:
            async with self._requests.held(_PARSED * len(each)):
                yield _parsed(parse, each)

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[None]:
        metadata: dict[str, str] = dict(context.invocation_metadata() or ())  # type: ignore[arg-type]
        request_id.set(str(metadata.get(REQUEST_ID_KEY) or uuid.uuid4().hex))
        passed_on.set(tuple((key, str(metadata[key])) for key in _PASSED_ON if key in metadata))
        started, remaining = time.monotonic(), context.time_remaining()
        deadline.set(None if remaining is None else started + remaining)
        structlog.contextvars.bind_contextvars(request_id=request_id.get())
        code, refusal = grpc.StatusCode.CANCELLED, None
        _IN_FLIGHT.labels(method).inc()
        try:
            with ExitStack() as passed:
                for gate in self._gates:
                    passed.enter_context(gate(Call(method, metadata, context)))
                yield
            code = grpc.StatusCode.OK
        except (DomainError, InvalidMessage) as error:
            refusal = rpc_status.to_status(status.status_of(error))
            code = refusal.code
        except Exception:
            _log.exception("call failed", method=method)
            refusal = rpc_status.to_status(status.internal(request_id.get()))
            code = refusal.code
        finally:
            ended = partial(_ended, method, code, time.monotonic() - started, request_id.get(), refusal)
            context.add_done_callback(lambda _: ended())  # type: ignore[arg-type]
        if refusal:
            await context.abort_with_status(refusal)


def _without_frames(error: grpc.aio.AbortError) -> grpc.aio.AbortError:
    """The error without the frames it passed, which hold the request; gRPC keeps the error in a cycle of references."""
    error.__context__ = None
    return error.with_traceback(None)


def _parsed(parse: Parse, data: bytes) -> Any:
    try:
        return parse(data)
    except DecodeError:
        raise InvalidInput("FIELD_INVALID", [Violation("", "the request is not a message of this method")]) from None


async def _write(response: Any, context: Context, seconds: float) -> None:
    try:
        await asyncio.wait_for(context.write(response), seconds)
    except TimeoutError:
        raise ResourceExhausted(
            "READER_TOO_SLOW", f"a response waited for more than {seconds:g} s to be read; open a new stream"
        ) from None


def _ended(method: str, code: grpc.StatusCode, seconds: float, request: str, refusal: Any) -> None:
    """Count and log a call, once its answer is out."""
    _IN_FLIGHT.labels(method).dec()
    _CALLS.labels(method, code.name).inc()
    _SECONDS.labels(method).observe(seconds)
    details = {"details": refusal.details} if refusal else {}
    milliseconds = round(seconds * 1000, 2)
    _log.info("call", method=method, code=code.name, milliseconds=milliseconds, request_id=request, **details)
