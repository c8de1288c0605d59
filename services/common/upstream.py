"""Calls to other services: one channel a target, the caller's deadline and request id passed on."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from prometheus_client import Gauge

from ghostback import wire
from ghostback.channels import Security, aio_channel
from services.common import errors, interceptor, status, tls, tracing
from services.common.breaker import Breaker
from services.common.settings import ServiceSettings

_PATIENT_SECONDS = 1.0
"""A call that had less time than this and was not answered says nothing of the other service."""
_MARGIN, _MOST_MARGIN = 0.1, 0.05
"""What is kept of the caller's time to tell it how its call went: a tenth, and no more than these seconds."""

_ENDING_SECONDS = 60.0
"""How long calls may take on a channel whose certificate was replaced."""

_OPEN = Gauge(
    "ghostback_circuit_open",
    "1 where the last calls to another service were not answered, and until one is.",
    ["upstream", "service"],
)


class Upstream:
    """One service of another server."""

    def __init__(self, name: str, address: str, service: ServiceDescriptor, settings: ServiceSettings) -> None:
        self._name = name
        self._timeout = settings.upstream_timeout_seconds
        self._address, self._service = address, service
        self._options = [
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", settings.max_message_bytes),
        ]
        self._security = tls.of_calls(settings)
        self._closing: set[asyncio.Task[None]] = set()
        self._connect(self._security())
        self._target = f"{name} at {address}"
        self._breaker = Breaker()
        _OPEN.labels(name, service.full_name).set_function(lambda: self._breaker.is_open)

    def _connect(self, security: Security) -> None:
        self._shown = security
        self._channel = aio_channel(self._address, security, self._options)
        self._stub_shown = wire.stub(self._service, self._channel)

    @property
    def _stub(self) -> Any:
        """A stub on a channel that shows the certificate of now; calls on the one before may end."""
        security = self._security()
        if security is not self._shown:
            closing = asyncio.ensure_future(self._channel.close(_ENDING_SECONDS))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            self._connect(security)
        return self._stub_shown

    async def call(self, method: str, request: Message) -> Any:
        """Call a unary method.

        Raises:
            DomainError: what the other service refused, or that it does not answer.
        """
        timeout = remaining_seconds(self._timeout)
        if wait := self._breaker.wait():
            raise errors.Unavailable(
                "UPSTREAM_UNAVAILABLE",
                f"{self._target} left the last calls unanswered; it is asked again in {wait:.1f} s",
                retry_seconds=wait,
                upstream=self._target,
            )
        try:
            with tracing.calling(f"{self._service.full_name}/{method}"):
                response = await getattr(self._stub, method)(request, timeout=timeout, metadata=_metadata())
        except grpc.aio.AioRpcError as error:
            if timeout >= _PATIENT_SECONDS or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                self._breaker.note(answered=error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED)
            raise status.error_of(error, self._target) from None
        self._breaker.note(answered=True)
        return response

    async def stream(self, method: str, request: Message, seconds: float) -> AsyncGenerator[Any, None]:
        """The responses of a streaming method, for some seconds at most.

        Raises:
            DomainError: what the other service refused, or that it does not answer.
        """
        with tracing.opening(f"{self._service.full_name}/{method}") as span:
            call = getattr(self._stub, method)(request, timeout=seconds, metadata=_metadata())
        code = grpc.StatusCode.OK
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
                code = error.code()
                raise status.error_of(error, self._target) from None
        finally:
            call.cancel()
            tracing.end(span, code)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
        for closing in self._closing:
            closing.cancel()


def remaining_seconds(default: float) -> float:
    """Seconds that may be spent until the caller of the call being served gives up, less a margin to answer it.

    Args:
        default: seconds where it set no deadline.

    Raises:
        DeadlineExceeded: the deadline has passed.
    """
    until = interceptor.deadline.get()
    if until is None:
        return default
    remaining = until - time.monotonic()
    if remaining <= 0:
        raise errors.DeadlineExceeded("DEADLINE_EXCEEDED", "the caller's deadline passed before the answer was ready")
    return remaining - min(_MARGIN * remaining, _MOST_MARGIN)


def _metadata() -> tuple[tuple[str, str], ...]:
    """What the call being served hands on: its id, who answers where a rollout decides, and its trace."""
    return (
        (interceptor.REQUEST_ID_KEY, interceptor.request_id.get()),
        *interceptor.passed_on.get(),
        *tracing.headers().items(),
    )
