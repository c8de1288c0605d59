"""`grpc.health.v1.Health`: whether the process answers, and whether each of its services can do its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc
import structlog
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2_grpc
from grpc_health.v1.health_pb2 import HealthCheckResponse
from prometheus_client import Gauge

from services.common.errors import DomainError

LIVENESS = "liveness"
"""Name under which the process is SERVING as long as it answers at all, also while it starts and drains."""
OVERALL = ""
"""Name under which the server is SERVING when each of its services is."""
CHECK_SECONDS = 2.0
"""How often services are checked, and how long a check may take."""

Check = Callable[[], Awaitable[None]]
"""Raises the DomainError that keeps a service from its work, if there is one."""

_log = structlog.get_logger()
_READY = Gauge("ghostback_service_ready", "1 where a service can do its work, 0 where it cannot.", ["service"])


async def always_ready() -> None:
    """The check of a service that needs nothing but itself."""


class Service(NamedTuple):
    """A service of a server.

    Attributes:
        descriptor: of the service.
        servicer: answers its methods.
        check: tells whether it can.
    """

    descriptor: ServiceDescriptor
    servicer: object
    check: Check = always_ready


class Health(health_pb2_grpc.HealthServicer):
    """Tells health by name; a watcher who does not read holds up nobody, and all are let go at the end."""

    def __init__(self) -> None:
        self._problems: dict[str, str] = {}
        self._starting = True
        self._changed = asyncio.Event()
        self._ending = False

    def set(self, name: str, problem: str) -> None:
        """Note what keeps a service from its work; nothing if `problem` is empty."""
        if self._ending or self._problems.get(name) == problem:
            return
        log = _log.warning if problem else _log.info
        log("health", service=name, problem=problem)
        self._problems[name] = problem
        _READY.labels(name).set(not problem)
        self._tell()

    def drain(self) -> None:
        """Say that nothing but the process is ready, from now on."""
        self._ending = True
        self._tell()

    @asynccontextmanager
    async def follow(self, services: Sequence[Service]) -> AsyncIterator[None]:
        """Check services, first of all and again and again; one whose check takes long is not ready until it ends."""
        await asyncio.gather(*map(self._check, services))
        self._starting = False
        self._tell()
        following = [asyncio.create_task(self._follow(service)) for service in services]
        try:
            yield
        finally:
            for task in following:
                task.cancel()

    async def _follow(self, service: Service) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await self._check(service)

    async def _check(self, service: Service) -> None:
        name, check = service.descriptor.full_name, asyncio.ensure_future(service.check())
        done, _ = await asyncio.wait([check], timeout=CHECK_SECONDS)
        if not done:
            self.set(name, f"its check takes longer than {CHECK_SECONDS:g} s")
        try:
            await check
        except DomainError as error:
            self.set(name, error.message)
        except Exception as error:
            self.set(name, f"its check failed: {error!r}")
        else:
            self.set(name, "")

    async def Check(self, request: Any, context: Any) -> HealthCheckResponse:  # noqa: N802
        """Tell the health of a name."""
        status_now = self._status(request.service)
        if status_now == HealthCheckResponse.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r}")
        return HealthCheckResponse(status=status_now)

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[HealthCheckResponse]:  # noqa: N802
        """Tell the health of a name now, and when it changes; ends when the server drains."""
        told = None
        while True:
            changed, ending = self._changed, self._ending
            if (status_now := self._status(request.service)) != told:
                told = status_now
                yield HealthCheckResponse(status=told)
            if ending:
                return
            await changed.wait()

    def _status(self, name: str) -> int:
        if name == LIVENESS:
            return HealthCheckResponse.SERVING
        if self._starting or self._ending or (name == OVERALL and any(self._problems.values())):
            return HealthCheckResponse.NOT_SERVING
        if name != OVERALL and name not in self._problems:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.NOT_SERVING if self._problems.get(name) else HealthCheckResponse.SERVING

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
