"""What happens around every call: request id, deadline, log line, metrics, errors as statuses."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, aclosing, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from grpc_status import rpc_status
from opentelemetry.trace import Span
from prometheus_client import Counter, Gauge, Histogram

from ghostback.convert import InvalidMessage
from services.common import identity, status, tracing
from services.common.budget import Budget
from services.common.errors import DomainError, ResourceExhausted, Unavailable
from services.common.shedding import Turns
from services.common.tarpit import Tarpit

_PARSED = 50
"""Bytes that a byte of a request may take when it is parsed, at worst: a message without fields has two."""

_LASTING = "/ghostback.tracking.v1.OperationService/"
"""Methods that do next to nothing, and may last."""

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

    def __init__(
        self,
        reader_seconds: float,
        request_bytes: int,
        gates: Sequence[Gate] = (),
        *,
        idle_seconds: float,
        turns: Turns,
        tarpit: Tarpit,
    ) -> None:
        """Set the limits of calls.

        Args:
            reader_seconds: how long a response of a stream may wait to be read.
            request_bytes: memory for requests that are read and not yet answered; the others wait as they came.
            gates: what every call passes before its request is read, in this order.
            idle_seconds: how long a stream may wait for its caller's next request.
            turns: what calls with one request and one answer wait for; streams and operations last, and take none.
            tarpit: where refusals wait that ask to come back later, and those of methods that there are not.
        """
        self._reader_seconds = reader_seconds
        self._requests = Budget(request_bytes)
        self._gates = gates
        self._idle_seconds = idle_seconds
        self._turns = turns
        self._tarpit = tarpit
        self._draining = False
        self._waits: set[asyncio.Timeout] = set()
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
        if handler is None:
            await self._tarpit.stuck()
        if handler is None or not method.startswith("/ghostback."):
            return handler
        self._wrapped[method] = self._wrap(method, handler)
        return self._wrapped[method]

    def _wrap(self, method: str, handler: grpc.RpcMethodHandler[Any, Any]) -> grpc.RpcMethodHandler[Any, Any]:
        parse = handler.request_deserializer or bytes
        request = "stream" if handler.request_streaming else "unary"
        response = "stream" if handler.response_streaming else "unary"
        behaviour = getattr(handler, f"{request}_{response}")
        turn = nullcontext if method.startswith(_LASTING) else self._turns.taken

        async def unary(data: bytes, context: Context) -> Any:
            async with self._around(method, context) as refused:
                with self._let_in(method, context):
                    async with turn(identity.caller_at(context.peer())), self._requests.held(_PARSED * len(data)):
                        return await behaviour(parse(data), context)
            del data
            return await self._refuse(refused[0], context)

        async def stream(data: Any, context: Context) -> None:
            async with self._around(method, context) as refused:
                with self._let_in(method, context):
                    if handler.request_streaming:
                        await self._respond(behaviour(self._each(parse, data), context), context)
                    else:
                        async with self._until_drained(None):
                            await self._respond(behaviour(parse(data), context), context)
                    return
            del data
            await self._refuse(refused[0], context)

        make = getattr(grpc, f"{request}_{response}_rpc_method_handler")
        wrapped = stream if handler.response_streaming else unary
        return make(wrapped, response_serializer=handler.response_serializer)  # type: ignore[no-any-return]

    async def _refuse(self, refusal: grpc.Status, context: Context) -> None:
        if refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            await self._tarpit.stuck()
        await context.abort_with_status(refusal)

    async def _each(self, parse: Parse, data: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        """The requests of a stream; memory is held for one until the next is asked for."""
        requests = aiter(data)
        while True:
            async with self._until_drained(self._idle_seconds):
                each = await anext(requests, None)
            if each is None:
                return
            async with self._requests.held(_PARSED * len(each)):
                yield parse(each)

    async def _respond(self, responses: AsyncGenerator[Any, None], context: Context) -> None:
        async with aclosing(responses):
            async for response in responses:
                await _write(response, context, self._reader_seconds)

    def drain(self) -> None:
        """End streams: those that only tell, at once; those that take requests, before the next one."""
        self._draining = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)

    @asynccontextmanager
    async def _until_drained(self, seconds: float | None) -> AsyncIterator[None]:
        """Wait for something, for some seconds at most, or until the server drains."""
        wait = asyncio.timeout(0 if self._draining else seconds)
        self._waits.add(wait)
        try:
            async with wait:
                yield
        except TimeoutError:
            if not wait.expired():
                raise
            if self._draining:
                raise Unavailable(
                    "SHUTTING_DOWN", "the server is shutting down; go on at another replica, or when it is back"
                ) from None
            raise ResourceExhausted(
                "STREAM_IDLE", f"nothing came on the stream for {seconds:g} s; open a new one when there is something"
            ) from None
        finally:
            self._waits.discard(wait)

    @contextmanager
    def _let_in(self, method: str, context: Context) -> Iterator[None]:
        """Pass the gates."""
        call = Call(method, _metadata(context), context)
        with ExitStack() as passed:
            for gate in self._gates:
                passed.enter_context(gate(call))
            yield

    @asynccontextmanager
    async def _around(self, method: str, context: Context) -> AsyncIterator[list[grpc.Status]]:
        """What happens around a call; gives a list in which it puts the refusal, should there be one.

        The refusal is to be sent when this is left: the error has let go of the request by then.
        """
        metadata = _metadata(context)
        request_id.set(str(metadata.get(REQUEST_ID_KEY) or uuid.uuid4().hex))
        passed_on.set(tuple((key, str(metadata[key])) for key in _PASSED_ON if key in metadata))
        started, remaining = time.monotonic(), context.time_remaining()
        deadline.set(None if remaining is None else started + remaining)
        structlog.contextvars.bind_contextvars(request_id=request_id.get())
        span = tracing.serve(method, metadata)
        code, refused = grpc.StatusCode.CANCELLED, list[grpc.Status]()
        _IN_FLIGHT.labels(method).inc()
        try:
            yield refused
            code = grpc.StatusCode.OK
        except (DomainError, InvalidMessage, DecodeError) as error:
            refused.append(status.refusal_of(error))
            code = refused[0].code
        except Exception:
            _log.exception("call failed", method=method)
            refused.append(rpc_status.to_status(status.internal(request_id.get())))
            code = refused[0].code
        finally:
            tracing.end(span, code)
            who, seconds = identity.caller.get(), time.monotonic() - started
            ended = partial(_ended, method, code, seconds, request_id.get(), who, refused, span)
            context.add_done_callback(lambda _: ended())  # type: ignore[arg-type]


def _metadata(context: Context) -> dict[str, str]:
    return dict(context.invocation_metadata() or ())  # type: ignore[arg-type]


async def _write(response: Any, context: Context, seconds: float) -> None:
    try:
        await asyncio.wait_for(context.write(response), seconds)
    except TimeoutError:
        _log.warning("reader too slow", code=grpc.StatusCode.RESOURCE_EXHAUSTED.name, seconds=seconds)
        raise ResourceExhausted(
            "READER_TOO_SLOW", f"a response waited for more than {seconds:g} s to be read; open a new stream"
        ) from None


def _ended(
    method: str, code: grpc.StatusCode, seconds: float, request: str, who: str, refused: list[grpc.Status], span: Span
) -> None:
    """Count and log a call, once its answer is out."""
    _IN_FLIGHT.labels(method).dec()
    _CALLS.labels(method, code.name).inc()
    _SECONDS.labels(method).observe(seconds, tracing.exemplar(span))
    details = tracing.ids(span)
    if who:
        details["caller"] = who
    if refused:
        details["details"] = refused[0].details
    milliseconds = round(seconds * 1000, 2)
    _log.info("call", method=method, code=code.name, milliseconds=milliseconds, request_id=request, **details)
