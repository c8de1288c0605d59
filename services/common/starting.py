"""What a server answers before it can do its work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from services.common import status
from services.common.errors import Unavailable


class Handlers(grpc.GenericRpcHandler):
    """Handlers that come once a server has started; stands in for the server where handlers are added."""

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Add handlers."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, service: str, handlers: object) -> None:
        """Nothing: they are among the generic ones as well."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """The handler of a call."""
        return next((found for each in self._handlers if (found := each.service(details))), None)


class Starting(grpc.aio.ServerInterceptor):
    """Refuses calls to Ghostback's own services until the server is ready for them."""

    def __init__(self) -> None:
        self.over = False

    async def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Give the handler of a call."""
        if self.over or not details.method.startswith("/ghostback."):
            return await continuation(details)  # type: ignore[no-any-return]
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def _refuse(requests: Any, context: Any) -> None:
    refusal = Unavailable("STARTING", "the server is still starting; try again in 1 s", retry_seconds=1.0)
    await context.abort_with_status(status.refusal_of(refusal))
