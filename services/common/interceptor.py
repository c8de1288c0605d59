"""What happens around every call: request id, deadline, log line, metrics, errors as statuses."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import structlog
from grpc_status import rpc_status
from prometheus_client import Counter, Gauge, Histogram

from ghostback.convert import InvalidMessage
from services.common import status
from services.common.errors import DomainError

REQUEST_ID_KEY = "x-request-id"

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the call being served; joins the logs of all services that took part in it."""
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

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Give the wrapped handler of a call."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or not method.startswith("/ghostback."):
            return handler
        request = "stream" if handler.request_streaming else "unary"
        response = "stream" if handler.response_streaming else "unary"
        wrap = _streaming if handler.response_streaming else _unary
        make = getattr(grpc, f"{request}_{response}_rpc_method_handler")
        return make(  # type: ignore[no-any-return]
            wrap(getattr(handler, f"{request}_{response}"), method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _unary(behaviour: Callable[..., Awaitable[Any]], method: str) -> Callable[..., Awaitable[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        async with _around(method, context):
            return await behaviour(request, context)

    return call


def _streaming(behaviour: Callable[..., AsyncIterator[Any]], method: str) -> Callable[..., AsyncIterator[Any]]:
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        async with _around(method, context):
            async for response in behaviour(request, context):
                yield response

    return call


@asynccontextmanager
async def _around(method: str, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[None]:
    metadata = dict(context.invocation_metadata() or ())
    request_id.set(str(metadata.get(REQUEST_ID_KEY) or uuid.uuid4().hex))
    started, remaining = time.monotonic(), context.time_remaining()
    deadline.set(None if remaining is None else started + remaining)
    structlog.contextvars.bind_contextvars(request_id=request_id.get())
    code, refusal = grpc.StatusCode.CANCELLED, None
    _IN_FLIGHT.labels(method).inc()
    try:
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
        seconds = time.monotonic() - started
        _IN_FLIGHT.labels(method).dec()
        _CALLS.labels(method, code.name).inc()
        _SECONDS.labels(method).observe(seconds)
        details = {"details": refusal.details} if refusal else {}
        _log.info("call", method=method, code=code.name, milliseconds=round(seconds * 1000, 2), **details)
    if refusal:
        await context.abort_with_status(refusal)
