"""Long-running operations: work that goes on after the call that started it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import structlog
from google.protobuf.message import Message
from google.rpc import code_pb2

from ghostback import wire
from ghostback.tracking.v1 import operation_service_pb2
from services.common import interceptor, paging, status
from services.common.errors import DomainError, InvalidInput, NotFound, Violation

OPERATION_SERVICE = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"]

Report = Callable[[Message], None]
"""Called by the work with its metadata whenever it has come further."""

_log = structlog.get_logger()
_DEFAULT_WAIT_SECONDS = 10.0
_MAX_WAIT_SECONDS = 60.0


class Operations:
    """The operations of this server, in memory: started, followed, cancelled."""

    def __init__(self, keep: int = 1_000) -> None:
        self._keep = keep
        self._states: dict[str, operation_service_pb2.Operation] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._further: dict[str, asyncio.Event] = {}

    def start(self, work: Callable[[Report], Awaitable[Message]]) -> operation_service_pb2.Operation:
        """Start work in the background; of ended operations the oldest are forgotten beyond the limit."""
        name = f"operations/{uuid.uuid4().hex}"
        state = self._states[name] = wire.view(operation_service_pb2.Operation)(name=name)
        self._further[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._run(state, work))
        self._tasks[name].add_done_callback(lambda task: self._end(state, task.cancelled()))
        for old in [n for n, s in self._states.items() if s.done][: max(0, len(self._states) - self._keep)]:
            del self._states[old], self._tasks[old], self._further[old]
        return state

    async def _run(self, state: operation_service_pb2.Operation, work: Callable[[Report], Awaitable[Message]]) -> None:
        def report(metadata: Message) -> None:
            state.metadata.Pack(metadata)
            self._wake(state.name)

        interceptor.deadline.set(None)
        try:
            state.response.Pack(await work(report))
        except DomainError as error:
            state.error.MergeFromString(status.status_of(error).SerializeToString())
        except Exception:
            _log.exception("operation failed", operation=state.name)
            state.error.MergeFromString(status.internal(interceptor.request_id.get()).SerializeToString())

    def _end(self, state: operation_service_pb2.Operation, cancelled: bool) -> None:
        """Mark it done, also where it was cancelled before its work began."""
        if cancelled:
            state.error.code, state.error.message = code_pb2.CANCELLED, "cancelled"
        state.done = True
        self._wake(state.name)

    def _wake(self, name: str) -> None:
        self._further[name].set()
        self._further[name] = asyncio.Event()

    def get(self, name: str) -> operation_service_pb2.Operation:
        """The state of an operation.

        Raises:
            NotFound: no such operation.
        """
        if name not in self._states:
            raise NotFound("OPERATION_UNKNOWN", f"{name!r} is not an operation of this server", name)
        return self._states[name]

    def latest(self) -> list[operation_service_pb2.Operation]:
        """All operations, the latest first."""
        return list(reversed(self._states.values()))

    async def wait(self, name: str, seconds: float) -> operation_service_pb2.Operation:
        """The state of an operation once it is done or the time is up."""
        state = self.get(name)
        await asyncio.wait([self._tasks[name]], timeout=seconds)
        return state

    async def watch(self, name: str) -> AsyncIterator[operation_service_pb2.Operation]:
        """The state of an operation, now and whenever it has come further, until it is done."""
        state = self.get(name)
        while not state.done:
            further = self._further[name]
            yield state
            await further.wait()
        yield state

    async def cancel(self, name: str) -> None:
        """Cancel an operation and wait until it has ended."""
        self.get(name)
        self._tasks[name].cancel()
        await asyncio.wait([self._tasks[name]])

    async def close(self) -> None:
        """Cancel everything."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


class OperationServicer:
    """`ghostback.tracking.v1.OperationService`."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    async def GetOperation(self, request: operation_service_pb2.GetOperationRequest, context: Any) -> Message:
        """Give the state of an operation."""
        return _response(operation_service_pb2.GetOperationResponse, self._operations.get(request.name))

    async def WaitOperation(self, request: operation_service_pb2.WaitOperationRequest, context: Any) -> Message:
        """Wait for an operation."""
        seconds = _DEFAULT_WAIT_SECONDS
        if request.HasField("timeout"):
            seconds = request.timeout.seconds + request.timeout.nanos / 1e9
        if not 0 <= seconds <= _MAX_WAIT_SECONDS:
            raise InvalidInput(
                "FIELD_INVALID", [Violation("timeout", f"is {seconds} s, must be 0 to {_MAX_WAIT_SECONDS:.0f} s")]
            )
        state = await self._operations.wait(request.name, seconds)
        return _response(operation_service_pb2.WaitOperationResponse, state)

    async def WatchOperation(
        self, request: operation_service_pb2.WatchOperationRequest, context: Any
    ) -> AsyncIterator[Message]:
        """Give the states of an operation as it goes on."""
        async for state in self._operations.watch(request.name):
            yield _response(operation_service_pb2.WatchOperationResponse, state)

    async def CancelOperation(self, request: operation_service_pb2.CancelOperationRequest, context: Any) -> Message:
        """Cancel an operation."""
        await self._operations.cancel(request.name)
        return wire.view(operation_service_pb2.CancelOperationResponse)()

    async def ListOperations(self, request: operation_service_pb2.ListOperationsRequest, context: Any) -> Message:
        """List operations, a page at a time."""
        size = paging.page_size(request.page_size)
        start = int(paging.read_token("ListOperations", request.page_token) or 0)
        states = self._operations.latest()
        token = paging.make_token("ListOperations", str(start + size)) if len(states) > start + size else ""
        return wire.view(operation_service_pb2.ListOperationsResponse)(
            operations=states[start : start + size], next_page_token=token
        )


def _response(response_class: type[Any], state: operation_service_pb2.Operation) -> Message:
    return wire.view(response_class)(operation=state)  # type: ignore[no-any-return]
